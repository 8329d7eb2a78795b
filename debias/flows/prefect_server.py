"""Prefect's command line with a server that answers to its own names only, as MLflow's does.

    python -m debias.flows.prefect_server server start

By itself Prefect answers whatever host a browser was led to, and requests of any page in it.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

from prefect.cli import app
from prefect.server.api import server

NAMES = ("localhost", "127.0.0.1", "::1")
App = Callable[[Any, Any, Any], Awaitable[None]]


class OwnNames:
    """Refuses what was sent to another host's name, or by the page of another host."""

    def __init__(self, app: App) -> None:
        self.app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 (ASGI)
        if scope["type"] == "lifespan" or all(name in NAMES for name in _named(scope)):
            await self.app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await send({"type": "http.response.start", "status": 403, "headers": []})
            text = f"This server answers to {', '.join(NAMES)} only.\n"
            await send({"type": "http.response.body", "body": text.encode()})


def _named(scope: Any) -> list[str | None]:  # noqa: ANN401
    """Hosts that a request names: whom it asks, and whose page asks."""
    given = {name: value.decode("latin-1") for name, value in scope["headers"]}
    asked, origin = f"//{given.get(b'host', '')}", given.get(b"origin")
    return [urlsplit(one).hostname for one in (asked, origin) if one is not None]


def guarded(create_app: Callable[..., App]) -> Callable[..., App]:
    """As Prefect's own, but what listens to the outside is guarded.

    The server asks itself, too, under another name: for what automations do.
    """

    def create(*args: Any, final: bool = False, **named: Any) -> App:  # noqa: ANN401 (of Prefect)
        made = create_app(*args, final=final, **named)
        return OwnNames(made) if final else made

    return create


if __name__ == "__main__":
    server.create_app = guarded(server.create_app)  # type: ignore[assignment]
    app()

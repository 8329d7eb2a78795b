"""Who may ask the Prefect server that is started here."""

import pytest
from prefect.server.api import server
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.testclient import TestClient

from debias.flows.prefect_server import guarded


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "localhost:4200"}, 200),
        ({"host": "127.0.0.1:4200", "origin": "http://localhost:4200"}, 200),
        ({"host": "[::1]:4200"}, 200),
        ({"host": "rebound.example:4200"}, 403),
        ({"host": "127.0.0.1.rebound.example"}, 403),
        ({"host": "localhost:4200", "origin": "http://elsewhere.example"}, 403),
        ({"host": "localhost:4200", "origin": "null"}, 403),
    ],
)
def test_it_answers_to_its_own_names_only(headers, status):
    made = Starlette()
    made.add_route("/", lambda request: PlainTextResponse("api"), methods=["POST"])
    create = guarded(lambda *, final: made)
    assert TestClient(create(final=True)).post("/", headers=headers).status_code == status


def test_it_may_ask_itself_while_it_runs():
    """As its automations do, under a name that nobody outside can use; the app is cached."""
    create = guarded(server.create_app)
    with TestClient(create(final=True), base_url="http://127.0.0.1") as outside:
        assert outside.get("/api/health").json() is True
        assert outside.get("/api/health", headers={"host": "prefect-in-memory"}).status_code == 403
        assert TestClient(create(), base_url="http://prefect-in-memory").get("/api/health").json()

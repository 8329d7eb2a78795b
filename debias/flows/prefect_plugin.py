"""Prefect start-up plugin: a deployment name without a slash means ``<name>/<name>``.

Prefect itself wants ``<flow>/<deployment>`` and refuses ``prefect deployment run debias-faces``.
Plugins are off unless ``pyproject.toml`` of the current folder, the Prefect profile or the
environment variable ``PREFECT_PLUGINS_ENABLED`` switches them on; the documented form with a
slash works either way.
"""

import functools
from collections.abc import Callable
from typing import Any

from prefect.plugins import HookContext, SetupResult, register_hook


def qualified(name: str) -> str:
    """The name with its flow, which is of the same name when none is given."""
    return name if "/" in name else f"{name}/{name}"


@register_hook
def setup_environment(*, ctx: HookContext) -> SetupResult | None:
    """Let both Prefect clients look deployments up by their qualified name."""
    from prefect.client.orchestration import PrefectClient, SyncPrefectClient

    for client in (PrefectClient, SyncPrefectClient):
        look_up = client.read_deployment_by_name
        if not getattr(look_up, "qualifies_names", False):
            setattr(client, look_up.__name__, _qualifying(look_up))
    return None


def _qualifying(look_up: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(look_up)
    def by_name(client: Any, name: str) -> Any:  # noqa: ANN401 (either client, either answer)
        return look_up(client, qualified(name))

    by_name.qualifies_names = True  # type: ignore[attr-defined]
    return by_name

import asyncio
import logging
import tomllib
from pathlib import Path

import pytest
import yaml
from prefect.client.orchestration import PrefectClient, SyncPrefectClient
from prefect.plugins import HookContext

from debias.flows.prefect_plugin import qualified, setup_environment

ROOT = Path(__file__).parents[2]
CONTEXT = HookContext(prefect_version="3", api_url=None, logger_factory=logging.getLogger)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("debias-faces", "debias-faces/debias-faces"),
        ("debias-faces/debias-faces", "debias-faces/debias-faces"),
        ("flow/nightly", "flow/nightly"),
    ],
)
def test_a_name_without_a_slash_is_its_own_flow(given, meant):
    assert qualified(given) == meant


@pytest.fixture
def asked(monkeypatch):
    """Names that reach Prefect's own look-up, by client."""
    names: dict[str, list[str]] = {"async": [], "sync": []}

    async def look_up(self, name):
        names["async"].append(name)
        return "deployment"

    def look_up_sync(self, name):
        names["sync"].append(name)
        return "deployment"

    look_up.__name__ = look_up_sync.__name__ = "read_deployment_by_name"
    monkeypatch.setattr(PrefectClient, "read_deployment_by_name", look_up)
    monkeypatch.setattr(SyncPrefectClient, "read_deployment_by_name", look_up_sync)
    return names


def test_both_clients_ask_for_the_qualified_name(asked):
    setup_environment(ctx=CONTEXT)
    assert asyncio.run(PrefectClient.read_deployment_by_name(None, "debias-faces")) == "deployment"
    assert SyncPrefectClient.read_deployment_by_name(None, name="debias-faces") == "deployment"
    assert asked == {"async": ["debias-faces/debias-faces"], "sync": ["debias-faces/debias-faces"]}


def test_patching_twice_is_patching_once(asked):
    setup_environment(ctx=CONTEXT)
    once = PrefectClient.read_deployment_by_name, SyncPrefectClient.read_deployment_by_name
    setup_environment(ctx=CONTEXT)
    assert once == (
        PrefectClient.read_deployment_by_name,
        SyncPrefectClient.read_deployment_by_name,
    )


def test_prefect_finds_the_plugin():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    plugins = project["project"]["entry-points"]["prefect.plugins"]
    assert plugins == {"debias": "debias.flows.prefect_plugin"}
    assert project["tool"]["prefect"]["plugins"]["enabled"] is True


@pytest.mark.parametrize("name", ["debias-faces", "audit-faces", "study-latents"])
def test_a_deployment_is_called_like_its_flow(name):
    project = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    assert "pull" not in project  # Prefect takes the folder it deploys from
    (deployment,) = [one for one in project["deployments"] if one["name"] == name]
    flow = name.replace("-", "_")
    assert deployment["entrypoint"] == f"flows/{flow}.py:{flow}"
    assert "concurrency_limit" not in deployment  # its lease ends runs whose server is away


def test_the_main_job_runs_every_night():
    project = yaml.safe_load((ROOT / "prefect.yaml").read_text())
    schedules = [one for each in project["deployments"] for one in each.get("schedules", ())]
    (schedule,) = schedules
    assert (schedule["slug"], schedule["cron"], schedule["active"]) == (
        "nightly",
        "0 3 * * *",
        True,
    )

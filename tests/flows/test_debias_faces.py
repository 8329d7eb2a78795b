"""The flows without a server, and deployed to a server with a worker, both on loopback."""

import json
import sys
import textwrap
from dataclasses import replace
from urllib.error import HTTPError

import pytest
import yaml
from mlflow import MlflowClient
from station import ROOT, call, environment, station, until

from debias.tracking import servers

SMALL = {
    "name": "flow", "image_size": 32, "seeds": 1, "device": "cpu",
    "data": {"name": "synthetic", "n_train": 240, "n_validation": 20, "n_test": 80},
    "representation": {
        "model": {"name": "conv_vae", "latent_dim": 4, "width": 4, "hidden": 32},
        "training": {"epochs": 6, "batch_size": 16, "learning_rate": 0.003},
    },
    "density": {"name": "histogram", "components": 2},
    "arms": {
        "uniform": {"name": "uniform"},
        "latent": {"name": "latent_rarity", "allow_degenerate": True},
    },
    "classifier": {
        "model": {"name": "conv", "width": 4}, "training": {"epochs": 1, "batch_size": 16}
    },
}  # fmt: skip

AUDIT = {
    name: value for name, value in SMALL.items() if name not in ("seeds", "arms", "classifier")
} | {
    "label": "smiling", "attributes": ["skin_tone_group"], "audit": {"map_method": "PCA"},
}  # fmt: skip


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """Prefect's own folder: making its database takes seconds, so both tests share one."""
    return tmp_path_factory.mktemp("prefect")


ALONE = """
    import sys
    from flows.debias_faces import debias_faces
    from prefect.client.orchestration import get_client

    print(debias_faces(recipe=sys.argv[1], out=sys.argv[2]))
    lost = debias_faces(recipe="lost.yaml", return_state=True)
    with get_client(sync_client=True) as client:
        print(client.read_flow_run(lost.state_details.flow_run_id).name, lost.message, sep=": ")
"""


@pytest.mark.server
def test_the_flow_runs_without_a_server(tmp_path, home):
    (tmp_path / "small.yaml").write_text(json.dumps(SMALL))
    env = environment(tmp_path, PREFECT_HOME=str(home))
    env.pop("PREFECT_API_URL", None)
    out = tmp_path / "runs" / "flow"
    code = textwrap.dedent(ALONE)
    shown = call([sys.executable, "-c", code, str(tmp_path / "small.yaml"), str(out)], env)
    assert "worst_group" in shown
    assert f"lost: ConfigError: cannot read the config {ROOT}" in shown
    assert (out / "report.html").exists()
    client = MlflowClient(servers.local_store(tmp_path / "runs"))
    experiment = client.get_experiment_by_name("debias")
    runs = client.search_runs([experiment.experiment_id])
    assert all(run.data.tags["prefect.flow_run_id"] for run in runs)
    assert {run.info.status for run in runs} == {"FINISHED"}


@pytest.mark.server
def test_prefect_deployment_run_debias_faces_and_audit_faces(tmp_path, home):
    """A Prefect server, an MLflow server and a worker; bare deployment names; both Completed."""
    with station(tmp_path, home) as at:
        scheduled_in_an_empty_folder(at, tmp_path)  # and starts the worker
        at.typed("prefect", "--no-prompt", "deploy", "--all")
        accept_a_shipped_recipe(at)
        parameters = ["--param", f"config={json.dumps(SMALL)}", "--param", f"out={tmp_path}/run"]
        run = ["deployment", "run", "debias-faces", *parameters, "--watch"]
        shown = at.typed("prefect", *run)
        assert "Completed" in shown or "finished successfully" in shown, shown
        # In the run's folder: its network is used.
        (tmp_path / "audit.yaml").write_text(json.dumps(AUDIT))
        given = {"recipe": f"{tmp_path}/audit.yaml", "out": f"{tmp_path}/run"}
        ended = at.ended(at.submit("audit-faces/audit-faces", **given))
        assert (ended["state"]["type"], ended["name"]) == ("COMPLETED", "flow"), ended["state"]
        keys = {one["key"] for one in at.ask("/artifacts/filter", {})}
        assert keys >= {"debias-faces-flow", "audit-faces-flow"}
    document = json.loads((tmp_path / "run" / "report.json").read_text())
    assert set(document["arms"]) == {"uniform", "latent"}
    client = MlflowClient(servers.local_store(tmp_path / "mlflow"))
    experiment = client.get_experiment_by_name("debias")
    runs = client.search_runs([experiment.experiment_id])
    stages = sorted(run.data.tags["debias.stage"] for run in runs)
    made = ["classifier"] * 2 + ["comparison", *["method"] * 2, "representation"]
    made += ["weights"] * 2
    assert stages == ["audit", *made]  # the audit trained nothing of its own
    audit = json.loads((tmp_path / "run" / "audit.json").read_text())
    assert audit["data"]["images"] == 260
    assert (tmp_path / "run" / "audit.html").exists()
    for run in runs:
        if run.data.tags["debias.stage"] == "audit":
            found = run.data.metrics["audit/effective_cells"]
            assert found == pytest.approx(audit["coverage"]["effective_cells"], rel=1e-5)
        if run.data.tags["debias.stage"] == "classifier":
            assert "accuracy/worst_group" in run.data.metrics
            assert run.outputs.model_outputs


def accept_a_shipped_recipe(at):
    """And refuse nonsense; test_recipes tries every recipe on the schema that is deployed."""
    for name in ("debias-faces/debias-faces", "audit-faces/audit-faces"):
        deployed = at.deployment(name)["id"]
        shipped = yaml.safe_load((ROOT / "configs" / "demo.yaml").read_text())
        given = {"parameters": {"config": shipped}, "state": {"type": "CANCELLED"}}  # never runs
        at.ask(f"/deployments/{deployed}/create_flow_run", given)
        with pytest.raises(HTTPError, match="409"):
            at.submit(name, config={"data": "synthetic", "sedes": 3})


TYPED = """
    import json, sys
    from debias.commands import app

    for line in json.loads(sys.argv[1]):
        app(["schedule", *line], standalone_mode=False)
"""


def scheduled_in_an_empty_folder(at, tmp_path):
    """A recipe becomes a deployment, and the same recipe again replaces its schedule.

    The first command makes the pool and stays with the worker that it starts.
    """
    (tmp_path / "mine.yaml").write_text(json.dumps(SMALL | {"name": "mine"}))
    empty = tmp_path / "empty"
    empty.mkdir()
    (tmp_path / "other.yaml").write_text(json.dumps(SMALL | {"name": "other"}))
    mine = ["../mine.yaml", "--set", "image_size=32"]
    env = at.env | {"PYTHONPATH": str(ROOT)}
    replace(at, cwd=empty, env=env).schedule(*mine, "--cron", "0 3 * * *")
    workers = "/work_pools/local/workers/filter"
    until(lambda: [one for one in at.ask(workers, {}) if one["status"] == "ONLINE"])
    lines = [
        [*mine, "--cron", "30 4 * * 1", "--timezone", "Europe/Berlin"],
        ["../other.yaml", "--audit"],
    ]
    shown = call([sys.executable, "-c", textwrap.dedent(TYPED), json.dumps(lines)], env, empty)
    assert shown.count("Worker: one is running.") == 2
    assert "prefect deployment run debias-faces/mine" in shown
    assert at.ask("/work_pools/local")["concurrency_limit"] == 1
    (automation,) = at.ask("/automations/filter", {})
    assert (automation["name"], automation["enabled"]) == ("debias-crash-silent-runs", True)
    found = at.deployment("debias-faces/mine")
    assert found["parameters"] == {
        "recipe": str(tmp_path / "mine.yaml"),
        "changes": "image_size=32",
    }
    (only,) = found["schedules"]
    assert only["schedule"]["cron"] == "30 4 * * 1"
    assert only["schedule"]["timezone"] == "Europe/Berlin"
    assert at.deployment("audit-faces/other")["schedules"] == []

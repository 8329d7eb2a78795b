"""Every shipped recipe through server, worker and MLflow, on small drawn sets in its layout."""

import pytest
from drawn_layouts import SHORT_RUN, audit_changes, changes_by_recipe
from mlflow import MlflowClient
from station import ROOT, station

from debias.tracking import servers

CONFIGS = ROOT / "configs"


@pytest.mark.slow
@pytest.mark.server
def test_every_shipped_recipe_completes(tmp_path):
    changes = {name: [*SHORT_RUN, *own] for name, own in changes_by_recipe(tmp_path).items()}
    changes["audit"] = audit_changes(tmp_path)
    shipped = {path.stem for path in CONFIGS.glob("*.yaml")}
    assert set(changes) == {name for name in shipped if not name.startswith("study")}
    with station(tmp_path) as at:
        at.typed("prefect", "work-pool", "create", "local", "--type", "process")
        at.typed("prefect", "--no-prompt", "deploy", "--all")
        at.start_worker()
        ended = {}
        for name, lines in changes.items():
            flow = "audit-faces/audit-faces" if name == "audit" else "debias-faces/debias-faces"
            run = at.ended(at.submit(flow, **given(tmp_path, name, lines)))
            ended[run["name"]] = run["state"]
    assert {name: state["message"] for name, state in ended.items() if not done(state)} == {}
    assert set(ended) == {*changes, "my-faces", "my-audit"} - {"folder", "audit"}
    store = MlflowClient(servers.local_store(tmp_path / "mlflow"))
    experiment = store.get_experiment_by_name("debias").experiment_id
    stages = [run.data.tags["debias.stage"] for run in store.search_runs([experiment])]
    assert (stages.count("comparison"), stages.count("audit")) == (len(changes) - 1, 1)


def given(tmp_path, name, lines):
    return {
        "recipe": str(CONFIGS / f"{name}.yaml"),
        "changes": "\n".join(lines),
        "out": str(tmp_path / "runs" / name),
    }


def done(state):
    return state["type"] == "COMPLETED"

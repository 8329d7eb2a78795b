"""The flows without a server, and deployed to a server with a worker, both on loopback."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from debias import servers

ROOT = Path(__file__).parents[2]
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


def environment(tmp_path, **more) -> dict[str, str]:
    return {
        **os.environ,
        **servers.server_environment(),
        "PREFECT_HOME": str(tmp_path / "prefect"),
        "OMP_WAIT_POLICY": "PASSIVE",
        "NO_PROXY": "127.0.0.1",
        **more,
    }


def call(command, env, timeout=180) -> str:
    done = subprocess.run(
        command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.server
def test_the_flow_runs_without_a_server(tmp_path):
    (tmp_path / "small.yaml").write_text(json.dumps(SMALL))
    code = (
        "import sys; from flows.debias_faces import debias_faces;"
        "from debias.config import load_config; from pathlib import Path;"
        "print(debias_faces(load_config(Path(sys.argv[1])), sys.argv[2]))"
    )
    env = environment(tmp_path)
    env.pop("PREFECT_API_URL", None)
    out = tmp_path / "runs" / "flow"
    shown = call([sys.executable, "-c", code, str(tmp_path / "small.yaml"), str(out)], env)
    assert "worst_group" in shown
    assert (out / "report.html").exists()
    client = MlflowClient(servers.local_store(tmp_path / "runs"))
    experiment = client.get_experiment_by_name("debias")
    runs = client.search_runs([experiment.experiment_id])
    assert all(run.data.tags["prefect.flow_run_id"] for run in runs)
    assert {run.info.status for run in runs} == {"FINISHED"}


@pytest.mark.server
def test_prefect_deployment_run_debias_faces_and_audit_faces(tmp_path):
    """A Prefect server, an MLflow server and a worker; bare deployment names; both Completed."""
    prefect_port, mlflow_port = servers.free_port(), servers.free_port()
    api, tracking = f"http://127.0.0.1:{prefect_port}/api", f"http://127.0.0.1:{mlflow_port}"
    env = environment(tmp_path, PREFECT_API_URL=api, MLFLOW_TRACKING_URI=tracking)
    (tmp_path / "mlflow").mkdir()
    started = []

    def start(command, name):
        started.append(servers.start(command, env, tmp_path / f"{name}.log"))
        return started[-1]

    try:
        prefect = start(servers.prefect_command(prefect_port), "prefect")
        mlflow = start(servers.mlflow_command(tmp_path / "mlflow", mlflow_port), "mlflow")
        servers.wait_until_ready(f"{api}/health", 120.0, prefect)
        servers.wait_until_ready(f"{tracking}/health", 120.0, mlflow)
        cli = [sys.executable, "-m", "prefect"]
        call([*cli, "work-pool", "create", "local", "--type", "process"], env)
        call([*cli, "--no-prompt", "deploy", "--all"], env)
        start([*cli, "worker", "start", "--pool", "local", "--limit", "1"], "worker")
        parameters = ["--param", f"config={json.dumps(SMALL)}", "--param", f"out={tmp_path}/run"]
        shown = call([*cli, "deployment", "run", "debias-faces", *parameters, "--watch"], env)
        assert "Completed" in shown or "finished successfully" in shown, shown
        parameters[1] = f"config={json.dumps(AUDIT)}"  # in the run's folder: its network is used
        shown = call([*cli, "deployment", "run", "audit-faces", *parameters, "--watch"], env)
        assert "Completed" in shown or "finished successfully" in shown, shown
    finally:
        for process in reversed(started):
            servers.stop(process)
    document = json.loads((tmp_path / "run" / "report.json").read_text())
    assert set(document["arms"]) == {"uniform", "latent"}
    client = MlflowClient(servers.local_store(tmp_path / "mlflow"))
    experiment = client.get_experiment_by_name("debias")
    runs = client.search_runs([experiment.experiment_id])
    stages = sorted(run.data.tags["debias.stage"] for run in runs)
    made = ["classifier"] * 2 + ["comparison", "representation"] + ["weights"] * 2
    assert stages == ["audit", *made]  # the audit trained nothing of its own
    audit = json.loads((tmp_path / "run" / "audit.json").read_text())
    assert audit["data"]["images"] == 260
    assert (tmp_path / "run" / "audit.html").exists()
    for run in runs:
        if run.data.tags["debias.stage"] == "audit":
            found = run.data.metrics["audit/effective_cells"]
            assert found == pytest.approx(audit["coverage"]["effective_cells"])
        if run.data.tags["debias.stage"] == "classifier":
            assert "accuracy/worst_group" in run.data.metrics
            assert run.outputs.model_outputs

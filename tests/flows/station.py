"""A Prefect server, an MLflow server and a worker on loopback, and how tests speak to them."""

import json
import os
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from debias.tracking import servers

ROOT = Path(__file__).parents[2]
ENDED = {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}


def environment(folder, **more) -> dict[str, str]:
    return {
        **os.environ,
        **servers.server_environment(),
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
        "NO_PROXY": "127.0.0.1",
        **more,
    }


def call(command, env, cwd=ROOT, timeout=300) -> str:
    done = subprocess.run(
        command, cwd=cwd, env=env, capture_output=True, text=True, timeout=timeout, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def until(condition, patience=600):
    """What a condition is once it holds."""
    deadline = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < deadline, condition
        time.sleep(0.2)
    return found


@dataclass(frozen=True)
class Station:
    """What runs, where it answers, and in which folder commands are typed."""

    folder: Path
    env: dict[str, str]
    stack: ExitStack
    python: str = sys.executable
    cwd: Path = ROOT
    processes: dict[str, subprocess.Popen] = field(default_factory=dict)  # by name

    def typed(self, module, *arguments) -> str:
        return call([self.python, "-m", module, *map(str, arguments)], self.env, self.cwd)

    def start(self, command, name):
        process = servers.start(command, self.env, self.folder / f"{name}.log")
        # `debias schedule` gives its own worker the usual patience, and must outlive that.
        self.stack.callback(servers.stop, process, 30.0)
        self.processes[name] = process
        return process

    def schedule(self, *arguments):
        """Type `debias schedule`, which stays with the worker that it starts."""
        typed = [self.python, "-m", "debias", "schedule", *map(str, arguments)]
        self.start(["env", "-C", str(self.cwd), *typed], "schedule")
        log = self.folder / "schedule.log"
        until(lambda: "Ctrl-C stops Worker" in log.read_text())

    def start_worker(self):
        worker = [self.python, "-m", "prefect", "worker", "start", "--pool", "local"]
        # A process of its own takes the folder of its parent.
        self.start(["env", "-C", str(self.cwd), *worker, "--limit", "1"], "worker")

    def ask(self, place, body=None):
        """Status and answer of Prefect's server."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Content-Type": "application/json"}
        request = Request(f"{self.env['PREFECT_API_URL']}{place}", data, headers)
        for patience in (1, 2, 4, 8, 0):
            try:
                with build_opener(ProxyHandler({})).open(request, timeout=60) as answer:
                    return json.loads(answer.read())
            except HTTPError as error:
                if error.code != 503 or not patience:  # its database is busy
                    raise
                time.sleep(patience)
        raise AssertionError(place)

    def deployment(self, name):
        return self.ask(f"/deployments/name/{name}")

    def submit(self, name, **parameters):
        """Create a run of a deployment, which the server refuses where parameters do not fit."""
        found = self.deployment(name)["id"]
        return self.ask(f"/deployments/{found}/create_flow_run", {"parameters": parameters})

    def ended(self, run, patience=600):
        """The run as it ended."""
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            found = self.ask(f"/flow_runs/{run['id']}")
            if found["state"]["type"] in ENDED:
                return found
            time.sleep(0.3)
        raise TimeoutError(f"{run['name']}: {found['state']}")


@contextmanager
def station(folder, home=None, **where):
    """Both servers, without a worker; ``home`` is Prefect's folder. Both are gone afterwards."""
    prefect_port, mlflow_port = servers.free_port(), servers.free_port()
    api, tracking = f"http://127.0.0.1:{prefect_port}/api", f"http://127.0.0.1:{mlflow_port}"
    env = environment(folder, PREFECT_API_URL=api, MLFLOW_TRACKING_URI=tracking)
    env["PREFECT_HOME"] = str(home or folder / "prefect")
    (folder / "mlflow").mkdir()
    with ExitStack() as stack:
        made = Station(folder, env, stack, **where)
        prefect = made.start(servers.prefect_command(prefect_port), "prefect")
        mlflow = made.start(servers.mlflow_command(folder / "mlflow", mlflow_port), "mlflow")
        servers.wait_until_ready(f"{api}/health", 120.0, prefect)
        servers.wait_until_ready(f"{tracking}/health", 120.0, mlflow)
        yield made
    assert not any(map(servers.is_taken, (prefect_port, mlflow_port)))

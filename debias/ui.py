"""Local servers for looking at runs, in the foreground, on the loopback address only."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from subprocess import Popen

from debias import servers
from debias.errors import TrackingError

PREFECT_PORT = 4200
PATIENCE = 120  # seconds; a first start migrates its database


def serve(
    folder: Path, experiment: str, port: int, say: Callable[[str], None], *, prefect: bool = False
) -> None:
    """Start MLflow (and Prefect), print the links, wait for Ctrl-C, stop both.

    Raises:
        TrackingError: There are no recorded runs in ``folder``.
        PipelineError: A server does not start; its log says why.
    """
    if not (folder / "mlflow.db").exists():
        raise TrackingError(
            f"there are no recorded runs in {folder.absolute()} (no mlflow.db); "
            "make some with `debias run`, or name their folder with --folder"
        )
    with ExitStack() as stack:
        say("Starting MLflow ...")
        log, address = folder / "mlflow.log", f"http://{servers.LOOPBACK}:{port}"
        mlflow = _start(stack, servers.mlflow_command(folder, port), log, f"{address}/health")
        for name, link in _links(folder, experiment, address).items():
            say(f"{name}: {link}")
        if prefect:
            say("Starting Prefect ...")
            command, page = servers.prefect_command(PREFECT_PORT), _prefect_address()
            _start(stack, command, folder / "prefect.log", f"{page}/api/health")
            say(f"Prefect: {page}/deployments")
            say(f"Its flows find it with: export PREFECT_API_URL={page}/api")
        say("Ctrl-C stops everything again.")
        try:
            mlflow.wait()
        except KeyboardInterrupt:
            say("Stopped.")


def _start(stack: ExitStack, command: list[str], log: Path, health: str) -> "Popen[bytes]":
    if servers.answers(health):
        raise TrackingError(f"something already answers at {health}; stop it, or choose --port")
    process = servers.start(command, servers.server_environment(), log)
    stack.callback(servers.stop, process)
    servers.wait_until_ready(health, PATIENCE, process)
    return process


def _links(folder: Path, experiment: str, address: str) -> dict[str, str]:
    from debias.mlflow_tracker import MlflowTracking  # four seconds that --help does not need

    tracking = MlflowTracking(servers.local_store(folder), experiment)
    return tracking.links(address, tracking.run_ids("classifier"))


def _prefect_address() -> str:
    return f"http://{servers.LOOPBACK}:{PREFECT_PORT}"

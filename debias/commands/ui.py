"""``debias ui``: local servers for looking at runs, in the foreground, on the loopback only."""

import os
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from importlib import import_module
from pathlib import Path
from subprocess import Popen
from typing import TYPE_CHECKING, NamedTuple, NoReturn

from debias.commands.options import Options, command, option
from debias.commands.screen import say
from debias.errors import PipelineError, TrackingError
from debias.tracking import servers
from debias.tracking.servers import PREFECT, without_password

if TYPE_CHECKING:
    from debias.tracking.mlflow_tracker import MlflowTracking

PATIENCE = 300.0  # seconds; a first start migrates its database, and machines are busy


class Ui(Options):
    folder: Path = option(
        "Folder that holds mlflow.db, as `debias run` made it.", default=Path("runs")
    )
    experiment: str = option("MLflow experiment to link to.", default="debias")
    port: int = option("Port of the MLflow server.", default=5055)
    prefect: bool = option("Start Prefect's server too.", default=False)
    prefect_port: int = option("Its port, unless PREFECT_API_URL names a server.", default=4200)


@command
def ui(given: Ui) -> None:
    """Start the local MLflow server and print the links that open the right pages.

    A server that runs already is used as it is.
    """
    serve(given)


def serve(place: Ui) -> None:
    """Start MLflow (and Prefect) unless they run, print the links, wait, stop what was started.

    Ctrl-C, SIGTERM and SIGHUP end the wait. TrackingError, PipelineError: A port is a stranger's, a
    server does not start, or ends, or there are no recorded runs.
    """
    if not (place.folder / "mlflow.db").exists():
        raise TrackingError(
            f"there are no recorded runs in {place.folder.absolute()} (no mlflow.db); "
            "make some with `debias run`, or name their folder with --folder"
        )
    with servers.stopped_by_signals(), ExitStack() as stack:
        try:
            _serve(place, stack)
        except KeyboardInterrupt:
            say("Stopping what was started here ...")


def _serve(place: Ui, stack: ExitStack) -> None:
    started = [*_mlflow(place, stack)]
    if place.prefect:
        api, port = prefect_api(place.prefect_port), place.prefect_port
        started += prefect_server(api, port, place.folder, stack)
    import_module("debias.tracking.mlflow_tracker")  # seconds, in which the servers start
    for server in started:
        server.wait()
    for name, link in tracked(place).links(address(place.port)).items():
        say(f"{name}: {link}")
    if place.prefect:
        api = without_password(prefect_api(place.prefect_port))
        say(f"Prefect: {api.removesuffix('/api')}/deployments")
        say(f"Its flows find it with: export {PREFECT}={api}")
    if not started:
        say("All of it was running already and goes on running.")
        return
    keep(started)


def keep(started: "list[Server]") -> NoReturn:
    """Wait for Ctrl-C; or PipelineError: One of them ended by itself."""
    say(f"Ctrl-C stops {' and '.join(server.name for server in started)} again.")
    while True:
        for server in started:
            server.require_alive()
        time.sleep(0.5)


class Server(NamedTuple):
    """One that was started here, and where it says that it is well."""

    name: str
    health: str
    process: "Popen[bytes]"
    log: Path

    def wait(self) -> None:
        def waiting(seconds: int) -> None:
            say(f"{self.name} is starting, {seconds} s (at most {PATIENCE:g}) ...")

        try:
            servers.wait_until_ready(self.health, PATIENCE, self.process, waiting)
        except PipelineError as error:
            raise PipelineError(f"{self.name} did not start: {error} ({self.log})") from error

    def require_alive(self) -> None:
        code = self.process.poll()
        if code is not None:
            raise PipelineError(f"{self.name} ended with exit code {code}; {self.log} says why")


def address(port: int) -> str:
    return f"http://{servers.LOOPBACK}:{port}"


def prefect_api(port: int) -> str:
    """The server that flows of this environment talk to, else the one on our port."""
    named = os.environ.get(PREFECT, "").rstrip("/")
    return named.replace("://localhost:", f"://{servers.LOOPBACK}:") or f"{address(port)}/api"


def tracked(place: Ui) -> "MlflowTracking":
    from debias.tracking.mlflow_tracker import MlflowTracking  # seconds that --help does not need

    return MlflowTracking(servers.local_store(place.folder), place.experiment)


def launch(
    name: str, command: list[str], folder: Path, stack: ExitStack, health: str = "", **more: str
) -> Server:
    """Start it, with more in its environment; the stack stops it."""
    say(f"Starting {name} ...")
    log = folder / f"{name.lower()}.log"
    process = servers.start(command, servers.server_environment() | more, log)
    stack.callback(servers.stop, process)
    return Server(name, health, process, log)


def _mlflow(place: Ui, stack: ExitStack) -> Iterator[Server]:
    if not servers.is_taken(place.port):
        command = servers.mlflow_command(place.folder, place.port)
        yield launch("MLflow", command, place.folder, stack, f"{address(place.port)}/health")
    elif _shows(place):
        say(f"MLflow shows these runs at {address(place.port)} already.")
    else:
        raise TrackingError(
            f"port {place.port} is taken by something that does not show the runs in "
            f"{place.folder.absolute()}; choose another port with --port, or stop it"
        )


def _shows(place: Ui) -> bool:
    """Whether the server there reads this store: what is written here, it answers."""
    word, tracking = uuid.uuid4().hex, tracked(place)
    tracking.leave_word(word)
    question = f"api/2.0/mlflow/experiments/get?experiment_id={tracking.experiment_id}"
    return word.encode() in (servers.answer(f"{address(place.port)}/{question}") or b"")


def prefect_server(api: str, port: int, folder: Path, stack: ExitStack) -> Iterator[Server]:
    """Prefect's server, unless one answers at ``api`` already; its log goes to ``folder``."""
    own, shown = f"{address(port)}/api", without_password(api)
    if answers(api):
        say(f"Prefect answers at {shown} already.")
    elif api != own:
        raise PipelineError(
            f"{PREFECT} names {shown}, where no Prefect answers; start it there, "
            "or unset the variable to have one started here"
        )
    elif servers.is_taken(port):
        raise PipelineError(
            f"port {port} is taken by something that is no Prefect server; choose "
            "another port with --prefect-port, or stop it"
        )
    else:
        # Its page asks port 4200 unless it is told.
        told = {"PREFECT_SERVER_UI_API_URL": own}
        command = servers.prefect_command(port)
        yield launch("Prefect", command, folder, stack, f"{own}/health", **told)


def answers(api: str) -> bool:
    return servers.answer(f"{api}/health") == b"true"

"""Local servers for looking at runs, in the foreground, on the loopback address only."""

import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from subprocess import Popen
from typing import TYPE_CHECKING, NamedTuple

from debias.errors import PipelineError, TrackingError
from debias.tracking import servers
from debias.tracking.servers import PREFECT, without_password

if TYPE_CHECKING:
    from debias.tracking.mlflow_tracker import MlflowTracking

PATIENCE = 300.0  # seconds; a first start migrates its database, and machines are busy
Say = Callable[[str], None]


@dataclass(frozen=True)
class Place:
    """Where to serve from and what to link to.

    Attributes:
        folder: Holds the recorded runs, and takes the logs of the servers.
        experiment: Of MLflow.
        port: Of MLflow.
        prefect_port: Of Prefect, unless ``PREFECT_API_URL`` names it; None does without.
    """

    folder: Path
    experiment: str
    port: int
    prefect_port: int | None = None

    @property
    def address(self) -> str:
        return f"http://{servers.LOOPBACK}:{self.port}"

    @property
    def prefect(self) -> str:
        """The server that flows of this environment talk to, else the one on our port."""
        named = os.environ.get(PREFECT, "").rstrip("/")
        own = f"http://{servers.LOOPBACK}:{self.prefect_port}/api"
        return named.replace("://localhost:", f"://{servers.LOOPBACK}:") or own

    def tracking(self) -> "MlflowTracking":
        from debias.tracking.mlflow_tracker import MlflowTracking  # seconds, not for --help

        return MlflowTracking(servers.local_store(self.folder), self.experiment)


class Server(NamedTuple):
    """One that was started here, and where it says that it is well."""

    name: str
    health: str
    process: "Popen[bytes]"
    log: Path

    def wait(self, say: Say) -> None:
        """Return once it answers."""

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


def serve(place: Place, say: Say) -> None:
    """Start MLflow (and Prefect) unless they run, print the links, wait, stop what was started.

    Ctrl-C, SIGTERM and SIGHUP end the wait.

    Raises:
        TrackingError: There are no recorded runs in the folder, or the port is a stranger's.
        PipelineError: Prefect's port is a stranger's; a server does not start, or ends.
    """
    if not (place.folder / "mlflow.db").exists():
        raise TrackingError(
            f"there are no recorded runs in {place.folder.absolute()} (no mlflow.db); "
            "make some with `debias run`, or name their folder with --folder"
        )
    with servers.stopped_by_signals(), ExitStack() as stack:
        try:
            _serve(place, stack, say)
        except KeyboardInterrupt:
            say("Stopping what was started here ...")


def _serve(place: Place, stack: ExitStack, say: Say) -> None:
    started = [*_mlflow(place, stack, say), *_prefect(place, stack, say)]
    import_module("debias.tracking.mlflow_tracker")  # seconds, in which the servers start
    for server in started:
        server.wait(say)
    for name, link in place.tracking().links(place.address).items():
        say(f"{name}: {link}")
    if place.prefect_port is not None:
        api = without_password(place.prefect)
        say(f"Prefect: {api.removesuffix('/api')}/deployments")
        say(f"Its flows find it with: export {PREFECT}={api}")
    if not started:
        say("All of it was running already and goes on running.")
        return
    say(f"Ctrl-C stops {' and '.join(server.name for server in started)} again.")
    while True:
        for server in started:
            server.require_alive()
        time.sleep(0.5)


def _started(
    name: str, health: str, command: list[str], folder: Path, stack: ExitStack, say: Say
) -> Server:
    say(f"Starting {name} ...")
    log = folder / f"{name.lower()}.log"
    process = servers.start(command, servers.server_environment(), log)
    stack.callback(servers.stop, process)
    return Server(name, health, process, log)


def _mlflow(place: Place, stack: ExitStack, say: Say) -> Iterator[Server]:
    """The server that was started; none if one runs already."""
    if not servers.is_taken(place.port):
        command = servers.mlflow_command(place.folder, place.port)
        yield _started("MLflow", f"{place.address}/health", command, place.folder, stack, say)
    elif _shows(place):
        say(f"MLflow shows these runs at {place.address} already.")
    else:
        raise TrackingError(
            f"port {place.port} is taken by something that does not show the runs in "
            f"{place.folder.absolute()}; choose another port with --port, or stop it"
        )


def _shows(place: Place) -> bool:
    """Whether the server there reads this store: what is written here, it answers."""
    word, tracking = uuid.uuid4().hex, place.tracking()
    tracking.leave_word(word)
    question = f"api/2.0/mlflow/experiments/get?experiment_id={tracking.experiment_id}"
    return word.encode() in (servers.answer(f"{place.address}/{question}") or b"")


def _prefect(place: Place, stack: ExitStack, say: Say) -> Iterator[Server]:
    """Likewise."""
    port, api = place.prefect_port, place.prefect
    if port is None:
        return
    own, shown = f"http://{servers.LOOPBACK}:{port}/api", without_password(api)
    if servers.answer(f"{api}/health") == b"true":
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
        command = servers.prefect_command(port)
        yield _started("Prefect", f"{own}/health", command, place.folder, stack, say)

"""Local servers for looking at runs, in the foreground, on the loopback address only."""

import os
import time
import uuid
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from subprocess import Popen
from typing import TYPE_CHECKING

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


@dataclass(frozen=True)
class Server:
    """One that was started here."""

    name: str
    process: "Popen[bytes]"
    log: Path

    @classmethod
    def start(cls, name: str, command: list[str], folder: Path, stack: ExitStack) -> "Server":
        log = folder / f"{name.lower()}.log"
        process = servers.start(command, servers.server_environment(), log)
        stack.callback(servers.stop, process)
        return cls(name, process, log)

    def wait(self, health: str, say: Say) -> None:
        """Return once it answers at ``health``."""

        def waiting(seconds: int) -> None:
            say(f"{self.name} is starting, {seconds} s (at most {PATIENCE:g}) ...")

        try:
            servers.wait_until_ready(health, PATIENCE, self.process, waiting)
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
    address, api = _address(place.port), _prefect_api(place)
    started = _mlflow(place, stack, say) | _prefect(place, stack, say)
    import_module("debias.tracking.mlflow_tracker")  # seconds, in which the servers start
    for health, server in started.items():
        server.wait(health, say)
    for name, link in _tracking(place).links(address).items():
        say(f"{name}: {link}")
    if place.prefect_port is not None:
        say(f"Prefect: {without_password(api).removesuffix('/api')}/deployments")
        say(f"Its flows find it with: export {PREFECT}={without_password(api)}")
    if not started:
        say("All of it was running already and goes on running.")
        return
    say(f"Ctrl-C stops {' and '.join(server.name for server in started.values())} again.")
    while True:
        for server in started.values():
            server.require_alive()
        time.sleep(0.5)


def _mlflow(place: Place, stack: ExitStack, say: Say) -> dict[str, Server]:
    """The server that was started, by where it says that it is well; none if one runs already."""
    address = _address(place.port)
    if not servers.is_taken(place.port):
        say("Starting MLflow ...")
        command = servers.mlflow_command(place.folder, place.port)
        return {f"{address}/health": Server.start("MLflow", command, place.folder, stack)}
    if not _shows(address, _tracking(place)):
        raise TrackingError(
            f"port {place.port} is taken by something that does not show the runs in "
            f"{place.folder.absolute()}; choose another port with --port, or stop it"
        )
    say(f"MLflow shows these runs at {address} already.")
    return {}


def _shows(address: str, tracking: "MlflowTracking") -> bool:
    """Whether the server there reads this store: what is written here, it answers."""
    word = uuid.uuid4().hex
    tracking.leave_word(word)
    question = f"experiments/get?experiment_id={tracking.experiment_id}"
    return word.encode() in (servers.answer(f"{address}/api/2.0/mlflow/{question}") or b"")


def _prefect(place: Place, stack: ExitStack, say: Say) -> dict[str, Server]:
    """Likewise."""
    if place.prefect_port is None:
        return {}
    own, api = f"{_address(place.prefect_port)}/api", _prefect_api(place)
    if servers.answer(f"{api}/health") == b"true":
        say(f"Prefect answers at {without_password(api)} already.")
        return {}
    if api != own:
        raise PipelineError(
            f"{PREFECT} names {without_password(api)}, where no Prefect answers; start it there, "
            "or unset the variable to have one started here"
        )
    if servers.is_taken(place.prefect_port):
        raise PipelineError(
            f"port {place.prefect_port} is taken by something that is no Prefect server; choose "
            "another port with --prefect-port, or stop it"
        )
    say("Starting Prefect ...")
    command = servers.prefect_command(place.prefect_port)
    return {f"{own}/health": Server.start("Prefect", command, place.folder, stack)}


def _tracking(place: Place) -> "MlflowTracking":
    from debias.tracking.mlflow_tracker import MlflowTracking  # seconds that --help does not need

    return MlflowTracking(servers.local_store(place.folder), place.experiment)


def _prefect_api(place: Place) -> str:
    """The server that flows of this environment talk to, else the one on our port."""
    named = os.environ.get(PREFECT, "").rstrip("/")
    named = named.replace("://localhost:", f"://{servers.LOOPBACK}:")
    return named or f"{_address(place.prefect_port or 0)}/api"


def _address(port: int) -> str:
    return f"http://{servers.LOOPBACK}:{port}"

"""Local MLflow and Prefect servers: their addresses; how they are started, waited for, stopped.

Nothing here imports MLflow or Prefect; their command lines run as processes of their own, and
both listen on the loopback address only.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, ProxyHandler, build_opener

from debias.errors import PipelineError

LOOPBACK = "127.0.0.1"
MLFLOW, PREFECT = "MLFLOW_TRACKING_URI", "PREFECT_API_URL"  # where the environment names them
SCHEME = r"[A-Za-z][\w.+:-]*://"
WHOLE = re.compile(SCHEME + r".*", re.DOTALL)
IN_A_SENTENCE = re.compile(SCHEME + r"""[^\s"'<>]*""")
FILES = ("sqlite:///", "file:///")  # nobody logs in to a file: an @ is part of its name


def without_password(text: str) -> str:
    """An address, or a sentence with addresses in it, without what may hold a password.

    That is what stands in front of a host, and the question behind it. An address whose parts
    cannot be told apart is cut down to its scheme.
    """
    pattern = WHOLE if WHOLE.fullmatch(text) else IN_A_SENTENCE  # a password can hold blanks
    return pattern.sub(lambda found: _shown(found.group()), text)


def _shown(address: str) -> str:
    scheme, _, rest = address.partition("://")
    place = re.split(r"[?#]", rest, maxsplit=1)[0]
    if not address.startswith(FILES):
        # An @ behind: the password itself may hold the mark that begins a question.
        place = "" if "@" in rest[len(place) :] else place.rpartition("@")[2]
        try:
            urlsplit(f"{scheme}://{place}")
        except ValueError:
            place = ""
    return f"{scheme}://{place}"


def local_store(folder: Path) -> str:
    return f"sqlite:///{folder.resolve() / 'mlflow.db'}"


def local_artifacts(folder: Path) -> Path:
    """Where the SQLite store in ``folder`` keeps images, tables and models."""
    return folder.resolve() / "mlartifacts"


def client_environment() -> dict[str, str]:
    """Settings of a process that talks to MLflow: no telemetry, and an outage is noticed soon.

    By default one call to a dead server blocks for four minutes; with these for a few seconds.
    """
    return {
        "DO_NOT_TRACK": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MLFLOW_LOGGING_LEVEL": "WARNING",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "1",
        "MLFLOW_HTTP_REQUEST_BACKOFF_FACTOR": "0",
        "MLFLOW_HTTP_REQUEST_BACKOFF_JITTER": "0",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "4",
        "MLFLOW_HTTP_RESPECT_RETRY_AFTER_HEADER": "false",  # it may ask for a minute
    }


def server_environment() -> dict[str, str]:
    """Settings under which both servers start fast, stay small and call nobody."""
    return {
        "DO_NOT_TRACK": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_SHOW_PROMOTIONAL_CONTENT": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",
        "PREFECT_WORKER_QUERY_SECONDS": "2",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        # Seven more processes and 0.8 GB, for features that are not used here.
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }


def mlflow_command(folder: Path, port: int) -> list[str]:
    command = [sys.executable, "-m", "mlflow", "server", *_listening(port), "--workers", "1"]
    artifacts = ["--artifacts-destination", local_artifacts(folder).as_uri()]
    return [*command, "--backend-store-uri", local_store(folder), *artifacts]


def prefect_command(port: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "debias.flows.prefect_server",
        "server",
        "start",
        *_listening(port),
    ]


def _listening(port: int) -> list[str]:
    return ["--host", LOOPBACK, "--port", str(port)]


def free_port() -> int:
    """A port that nobody listened on a moment ago."""
    with socket.socket() as listener:
        listener.bind((LOOPBACK, 0))
        return int(listener.getsockname()[1])


def is_taken(port: int) -> bool:
    with socket.socket() as caller:
        return caller.connect_ex((LOOPBACK, port)) == 0


def start(
    command: Sequence[str], env: Mapping[str, str], log_path: Path
) -> subprocess.Popen[bytes]:
    """Start a server in a process group of its own; its output is appended to ``log_path``."""
    log_path.parent.mkdir(parents=True, exist_ok=True)
    with log_path.open("ab") as log:
        return subprocess.Popen(
            list(command), env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=log,
            stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip


def wait_until_ready(
    url: str,
    timeout: float,
    process: subprocess.Popen[bytes] | None = None,
    waiting: Callable[[int], None] | None = None,
) -> None:
    """Return once ``url`` (``.../health``) answers with success.

    ``waiting`` is called about every ten seconds with the seconds waited so far.

    Raises:
        PipelineError: The process ended, or ``url`` did not answer within ``timeout`` seconds.
    """
    start = told = time.monotonic()
    while answer(url) is None:
        if process is not None and process.poll() is not None:
            raise PipelineError(
                f"the server for {url} ended with exit code {process.returncode} before it "
                "answered; its log says why"
            )
        now = time.monotonic()
        if now > start + timeout:
            raise PipelineError(f"{url} did not answer within {timeout:g} s; see the server's log")
        if waiting is not None and now > told + 10:
            told = now
            waiting(round(now - start))
        time.sleep(0.2)


def stop(process: subprocess.Popen[bytes], patience: float = 10.0) -> None:
    """End a started server and everything it started: politely, after ``patience`` s by force."""
    # The group carries the number of its first process. The second signal goes out even when that
    # one is gone: a worker of it may have outlived the request.
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
        with suppress(subprocess.TimeoutExpired):
            process.wait(patience if number == signal.SIGTERM else None)


class _Stay(HTTPRedirectHandler):
    """Nobody is asked but the one who was named."""

    def redirect_request(self, *question: object) -> None:
        return None


def answer(url: str, patience: float = 5.0) -> bytes | None:
    """What a server at ``url`` answers; None if none does in time (s), or without success."""
    # A proxy from the environment would be asked for the loopback address, too.
    opener = build_opener(ProxyHandler({}), _Stay())
    try:
        with opener.open(url, timeout=patience) as found:
            return bytes(found.read()) if found.status == 200 else None
    except (OSError, ValueError, HTTPException):
        return None


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does, with KeyboardInterrupt.

    Only the first of them: what then stops the servers is not to be interrupted itself.
    """
    ended = [signal.SIGTERM, signal.SIGHUP]

    def interrupt(*_: object) -> None:
        for number in ended:
            signal.signal(number, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = [signal.signal(number, interrupt) for number in ended]
    try:
        yield
    finally:
        for number, handler in zip(ended, before, strict=True):
            signal.signal(number, handler)

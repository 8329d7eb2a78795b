import http.server
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from debias.errors import PipelineError, TrackingError
from debias.tracking import servers

ui = import_module("debias.commands.ui")  # the package names its function so


def python(code: str, log: Path) -> subprocess.Popen[bytes]:
    return servers.start([sys.executable, "-c", code], {}, log)


def eventually(claim) -> bool:
    deadline = time.monotonic() + 10
    while not claim() and time.monotonic() < deadline:
        time.sleep(0.05)
    return claim()


def gone(pid: int) -> bool:
    with suppress(ProcessLookupError):
        os.kill(pid, 0)
        # A child whose parent was killed is reaped by whoever adopts it; until then a zombie.
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    return True


def test_both_servers_listen_on_loopback_only():
    for command in (servers.mlflow_command(Path("runs"), 5001), servers.prefect_command(4201)):
        assert command[command.index("--host") + 1] == "127.0.0.1"
        assert command[0] == sys.executable
    assert "5001" in servers.mlflow_command(Path("runs"), 5001)
    assert "4201" in servers.prefect_command(4201)


def test_mlflow_serves_the_store_that_a_local_run_writes(tmp_path):
    command = servers.mlflow_command(tmp_path / "my runs", 5001)
    store = command[command.index("--backend-store-uri") + 1]
    assert store == f"sqlite:///{tmp_path}/my runs/mlflow.db"
    assert command[command.index("--artifacts-destination") + 1].endswith("my%20runs/mlartifacts")


def test_nobody_is_told_about_a_run():
    server, client = servers.server_environment(), servers.client_environment()
    assert server["DO_NOT_TRACK"] == client["DO_NOT_TRACK"] == "1"
    assert server["MLFLOW_DISABLE_TELEMETRY"] == client["MLFLOW_DISABLE_TELEMETRY"] == "true"
    assert server["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"


def test_importing_servers_stays_light():
    code = (
        "import sys, debias.tracking.servers;"
        "print(*{'mlflow', 'prefect', 'torch'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


def test_a_free_port_can_be_listened_on():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", servers.free_port()))


def test_a_started_server_gets_its_settings_and_writes_its_log(tmp_path):
    code = "import os; print(os.environ['ADDED'], os.environ['PATH'] != '')"
    log = tmp_path / "logs" / "server.log"
    process = servers.start([sys.executable, "-c", code], {"ADDED": "here"}, log)
    assert process.wait(10) == 0
    assert log.read_text() == "here True\n"


def test_stopping_ends_the_children_too(tmp_path):
    log = tmp_path / "log"
    code = (
        "import subprocess, sys, time\n"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    process = python(code, log)
    assert eventually(lambda: log.read_text().endswith("\n"))
    servers.stop(process)
    assert process.returncode == -signal.SIGTERM
    assert eventually(lambda: gone(int(log.read_text())))


def test_a_server_that_will_not_stop_is_killed(tmp_path):
    log = tmp_path / "log"
    code = (
        "import signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "print('deaf', flush=True)\n"
        "time.sleep(60)\n"
    )
    process = python(code, log)
    assert eventually(lambda: log.read_text() == "deaf\n")
    servers.stop(process, patience=0.3)
    assert process.returncode == -signal.SIGKILL


def test_stopping_twice_is_harmless(tmp_path):
    process = python("", tmp_path / "log")
    process.wait(10)
    servers.stop(process)
    servers.stop(process)


def test_waiting_ends_when_the_server_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    port = servers.free_port()
    process = servers.start(
        [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"],
        {},
        tmp_path / "log",
    )
    try:
        servers.wait_until_ready(f"http://127.0.0.1:{port}/", 20.0, process)
    finally:
        servers.stop(process)


def test_waiting_is_given_up_in_time():
    url = f"http://127.0.0.1:{servers.free_port()}/health"
    with pytest.raises(PipelineError, match=r"did not answer within 0\.5 s"):
        servers.wait_until_ready(url, 0.5)


def test_waiting_is_given_up_when_the_server_has_ended(tmp_path):
    process = python("raise SystemExit(3)", tmp_path / "log")
    url = f"http://127.0.0.1:{servers.free_port()}/health"
    with pytest.raises(PipelineError, match="exit code 3"):
        servers.wait_until_ready(url, 60.0, process)


def test_waiting_is_reported(monkeypatch):
    clock = iter(range(0, 100, 3))
    hands = SimpleNamespace(monotonic=lambda: next(clock), sleep=lambda seconds: None)
    monkeypatch.setattr(servers, "time", hands)
    heard: list[int] = []
    url = f"http://127.0.0.1:{servers.free_port()}/health"
    with pytest.raises(PipelineError, match="did not answer"):
        servers.wait_until_ready(url, 20.0, waiting=heard.append)
    assert heard == [12]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_block_once(number):
    before = signal.getsignal(number)
    with servers.stopped_by_signals():
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
        os.kill(os.getpid(), signal.SIGTERM)  # while servers are being stopped
    assert signal.getsignal(number) is before


class Answers(http.server.BaseHTTPRequestHandler):
    """Says one thing to everybody."""

    body = b"true"

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def stranger():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Recorded runs of one comparison."""
    from debias.tracking.mlflow_tracker import MlflowTracking

    folder = tmp_path_factory.mktemp("ui")
    tracking = MlflowTracking(servers.local_store(folder), "debias")
    tags = {"debias.stage": "comparison", "debias.name": "tiny"}
    with tracking.open("key", "tiny: comparison", tags):
        pass
    return folder


def place(folder: Path, port: int, prefect_port: int | None = None):
    prefect = prefect_port is not None
    options = {"experiment": "debias", "prefect": prefect, "prefect_port": prefect_port or 0}
    return ui.Ui(folder=folder, port=port, **options)


class TestUi:
    def test_a_port_of_a_stranger_is_refused_with_the_option_that_helps(self, folder, stranger):
        with pytest.raises(TrackingError, match=r"does not show the runs in .* --port"):
            ui.serve(place(folder, stranger))

    def test_the_port_of_prefect_has_an_option_of_its_own(self, folder, stranger, monkeypatch):
        monkeypatch.delenv("PREFECT_API_URL", raising=False)
        monkeypatch.setattr(Answers, "body", b"<html>")
        monkeypatch.setattr(ui, "_mlflow", lambda *_: {})
        with pytest.raises(PipelineError, match=r"no Prefect server.* --prefect-port"):
            ui.serve(place(folder, 1, stranger))

    def test_a_prefect_that_is_named_and_away_is_not_replaced(self, folder, monkeypatch):
        monkeypatch.setenv("PREFECT_API_URL", "http://me:secret@elsewhere.invalid/api")
        monkeypatch.setattr(ui, "_mlflow", lambda *_: {})
        with pytest.raises(PipelineError, match="unset the variable") as raised:
            ui.serve(place(folder, 1, servers.free_port()))
        assert "secret" not in str(raised.value)

    @pytest.mark.parametrize("named", [True, False])
    def test_a_prefect_that_runs_is_used(self, folder, stranger, monkeypatch, named):
        address = f"http://127.0.0.1:{stranger}/api"
        monkeypatch.delenv("PREFECT_API_URL", raising=False)
        if named:
            monkeypatch.setenv("PREFECT_API_URL", address.replace("127.0.0.1", "localhost"))
        monkeypatch.setattr(ui, "_mlflow", lambda *_: {})
        said: list[str] = []
        monkeypatch.setattr(ui, "say", said.append)
        ui.serve(place(folder, 1, 1 if named else stranger))
        assert f"Its flows find it with: export PREFECT_API_URL={address}" in said
        assert said[-1] == "All of it was running already and goes on running."

    def test_the_page_of_a_prefect_that_is_started_asks_that_one(self, tmp_path, monkeypatch):
        monkeypatch.setattr(servers, "start", lambda command, env, log: env)
        monkeypatch.setattr(servers, "stop", lambda process: None)
        port = servers.free_port()
        api = f"http://127.0.0.1:{port}/api"
        with ExitStack() as stack:
            (started,) = ui.prefect_server(api, port, tmp_path, stack)
        # By itself it would ask port 4200, as Prefect 3.8.8 does whatever --port says.
        for name, value in started.process.items():
            monkeypatch.setenv(name, value)
        from prefect.settings import Settings  # takes seconds

        assert Settings().server.ui.api_url == api

    def test_a_folder_without_runs_is_refused(self, tmp_path):
        with pytest.raises(TrackingError, match="no recorded runs"):
            ui.serve(place(tmp_path, 1))

    @pytest.mark.server
    def test_it_shares_a_running_server_and_stops_on_a_signal(self, folder, tmp_path, monkeypatch):
        port, log = servers.free_port(), tmp_path / "log"
        command = [sys.executable, "-m", "debias", "ui", "--folder", str(folder)]
        first = servers.start([*command, "--port", str(port)], {}, log)
        try:
            self.until(first, log, "Ctrl-C stops MLflow again.")
            assert "tiny, report: http://127.0.0.1:" in log.read_text()
            said: list[str] = []
            monkeypatch.setattr(ui, "say", said.append)
            ui.serve(place(folder, port))
            assert said[0] == f"MLflow shows these runs at http://127.0.0.1:{port} already."
            assert first.poll() is None
            first.send_signal(signal.SIGHUP)
            assert first.wait(30) == 0
        finally:
            servers.stop(first)
        assert not servers.is_taken(port)

    def until(self, process: subprocess.Popen[bytes], log: Path, line: str) -> None:
        deadline = time.monotonic() + 300
        while line not in log.read_text():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.2)

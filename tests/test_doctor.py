"""What the doctor says about machines, servers and folders that the tests make."""

import hashlib
import importlib.metadata as metadata
import json
import os
import re
import shutil
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from debias import processes
from debias.commands import app, machine
from debias.commands.doctor import examine_folder
from debias.processes import identity
from debias.storage import leftovers as janitor
from debias.storage.leftovers import Leftover
from debias.storage.sealed import sealing, write_checked
from debias.tracking.servers import without_password

KEY = hashlib.sha256(b"content").hexdigest()[:20]
DEAD = f"999999999-1-{processes.machine()}"


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch):
    for name in (*machine.SERVICES, *machine.TELEMETRY):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def root(tmp_path):
    """A finished run of one artifact."""
    with sealing(tmp_path / "run" / "faces" / KEY, {"stage": "faces"}) as path:
        np.save(path / "images-00000.npy", np.arange(12))
        (path / "quarantine.jsonl").write_text("{}\n")
        (path / "quarantine.jsonl").chmod(0o600)
    (tmp_path / "run" / "run.json").write_text(json.dumps({"process": DEAD}))
    (tmp_path / "run" / "report.json").write_text("{}")
    return tmp_path / "run"


def examine(folder, *, repair=False):
    return list(examine_folder(folder, repair=repair))


def exit_code(folder):
    return CliRunner().invoke(app, ["doctor", str(folder)], catch_exceptions=False).exit_code


def texts(findings, area, *states):
    wanted = states or ("ok", "warning", "problem")
    return [one.text for one in findings if one.area == area and one.state in wanted]


def worse(findings):
    return [(one.area, one.state) for one in findings if one.state != "ok"]


def test_a_sound_machine_and_folder_have_no_problem(root):
    found = examine(root)
    assert exit_code(root) == 0
    areas = {one.area for one in (*machine.examine_machine(root), *found)}
    assert areas >= {"versions", "disk", "servers", "telemetry", "integrity"}
    assert worse(one for one in found if one.area in ("integrity", "runs", "permissions")) == []
    assert texts(found, "integrity") == ["1 of 1 artifact as sealed"]
    assert texts(found, "runs") == ["1 run: 1 finished"]


def test_every_complaint_comes_with_advice(root, monkeypatch):
    monkeypatch.setenv("DO_NOT_TRACK", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    (root / "faces" / KEY / "images-00000.npy").write_bytes(b"other")
    (root / "faces" / ".parts").mkdir()
    found = [*machine.examine_machine(root, images=10**12), *examine(root)]
    complaints = [one for one in found if one.state != "ok"]
    assert len(complaints) >= 5
    assert all(one.advice for one in complaints)


def test_only_problems_change_the_exit_code(root, monkeypatch):
    monkeypatch.setenv("DO_NOT_TRACK", "0")
    assert exit_code(root) == 0
    (root / "faces" / KEY / "images-00000.npy").write_bytes(b"other")
    assert exit_code(root) == 4


def installed(monkeypatch, **versions):
    real = metadata.version

    def version(name):
        if name not in versions:
            return real(name)
        if versions[name] is None:
            raise metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(metadata, "version", version)


def test_versions_are_held_against_what_the_package_asks_for(monkeypatch):
    installed(monkeypatch, fastapi="0.159.1", mlflow="3.16.1", torch=None)
    problems = texts(machine.versions(), "versions", "problem")
    assert [text.split()[0] for text in problems] == ["fastapi", "mlflow", "torch"]
    assert "Prefect's server does not start" in problems[0]
    assert "outside <4,>=3.17" in problems[1]
    assert problems[2] == "torch is not installed"


def test_a_package_that_is_not_installed_says_so():
    (found,) = machine.versions("no-such-package-here")
    assert (found.state, "not installed" in found.text) == ("warning", True)


@pytest.mark.parametrize(
    ("version", "is_warned"),
    [((3, 11, 12), True), ((3, 11, 13), False), ((3, 13, 3), True), ((3, 14, 0), False)],
)
def test_python_versions_that_unpack_anything_are_warned_of(version, is_warned):
    assert bool(list(machine.python_version(version))) == is_warned


def test_the_disk_is_measured_in_images(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "free_bytes", lambda place: 12_288_000 * 12 // 10)
    (found,) = machine.disk(tmp_path / "not" / "there")  # 64 * 64 * 3 = 12,288 bytes each
    assert "room for 1,000 images of 64 px" in found.text
    assert found.state == "warning"
    assert worse(machine.disk(tmp_path, images=1001))[0] == ("disk", "problem")
    monkeypatch.setattr(machine, "free_bytes", lambda place: 2**40)
    assert worse(machine.disk(tmp_path, images=10**6)) == []


def test_a_folder_that_cannot_be_written_is_a_problem(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda *asked: False)  # as root everything can be written
    assert ("disk", "problem") in worse(machine.disk(tmp_path))


def test_a_network_file_system_is_named(tmp_path, monkeypatch):
    mounts = tmp_path / "mounts"
    mounts.write_text(f"/dev/a / ext4 rw 0 0\nserver:/x {tmp_path}/my\\040data nfs4 rw 0 0\n")
    monkeypatch.setattr(janitor, "MOUNTS", mounts)
    (tmp_path / "my data").mkdir()
    assert janitor.file_system(tmp_path / "my data" / "runs") == "nfs4"
    assert janitor.file_system(tmp_path / "my datasets") == "ext4"
    (warning,) = texts(machine.disk(tmp_path / "my data"), "disk", "warning")
    assert "nfs4" in warning


@pytest.mark.parametrize(
    ("variable", "value", "state"),
    [
        ("DO_NOT_TRACK", "1", "ok"),
        ("DO_NOT_TRACK", "0", "warning"),
        ("MLFLOW_DISABLE_TELEMETRY", "false", "warning"),
        ("PREFECT_SERVER_ANALYTICS_ENABLED", "true", "warning"),
        ("PREFECT_SERVER_ANALYTICS_ENABLED", "false", "ok"),
    ],
)
def test_telemetry_that_was_switched_on_is_warned_of(monkeypatch, variable, value, state):
    monkeypatch.setenv(variable, value)
    assert machine.telemetry().state == state


class Fake(BaseHTTPRequestHandler):
    """Answers as the test says, and notes what it was asked."""

    version, asked, elsewhere, pause = "3.17.2", (), "", 0.0

    def do_GET(self):
        type(self).asked += ((self.path, self.headers.get("Authorization")),)
        time.sleep(self.pause)
        self.send_response(302 if self.elsewhere else 200)
        if self.elsewhere:
            self.send_header("Location", self.elsewhere)
        self.end_headers()
        self.wfile.write(self.version.encode())

    def log_message(self, *said):
        pass


@pytest.fixture
def server():
    """Address of a server on the loopback, and the class that decides its answers."""
    handler = type("Answers", (Fake,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{http.server_port}", handler
        http.shutdown()


@pytest.mark.parametrize("variable", machine.SERVICES)
def test_a_server_that_answers_is_fine_and_gets_no_login(server, monkeypatch, variable):
    place, handler = server
    handler.version = '"3.17.2"'
    monkeypatch.setenv(variable, f"http://someone:canary-7@{place}")
    monkeypatch.setenv("MLFLOW_TRACKING_PASSWORD", "canary-8")
    found = list(machine.servers())
    assert worse(found) == []
    assert sum(one.text.endswith(f"at http://{place} answers") for one in found) == 1
    assert "canary" not in str(found)
    assert [login for _, login in handler.asked] == [None, None]


def test_an_old_server_is_named(server, monkeypatch):
    place, handler = server
    handler.version = "3.16.1"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"http://{place}")
    assert "3.16.1" in texts(machine.servers(), "servers", "warning")[0]


def test_nobody_else_is_asked(server, monkeypatch):
    """Neither where a server sends us, nor a proxy."""
    place, handler = server
    other = type("Other", (Fake,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), other) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        handler.elsewhere = f"http://127.0.0.1:{http.server_port}/"
        monkeypatch.setenv("http_proxy", handler.elsewhere)
        monkeypatch.setenv("PREFECT_API_URL", f"http://{place}/api")
        list(machine.servers())
        http.shutdown()
    assert other.asked == ()
    assert handler.asked[0] == ("/api/health", None)


def test_a_server_that_hangs_or_is_away_is_given_up(server, monkeypatch):
    place, handler = server
    monkeypatch.setattr(machine, "PATIENCE", 0.2)
    handler.pause = 1.0
    start = time.perf_counter()
    for address in (f"http://{place}", "http://127.0.0.1:9"):
        monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
        assert worse(machine.servers()) == [("servers", "problem")]
    assert time.perf_counter() - start < 1.0


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://me:canary@host/db", "postgresql://host/db"),
        ("postgresql://me:can/ary@host/db", "postgresql://host/db"),
        ("http://me:p@canary@h", "http://h"),
        ("http://h:5/a?password=canary#canary", "http://h:5/a"),
        ("http://me:can?ary@h/x", "http://"),
        ("http://me:a@b#canary@h/x", "http://"),
        ("mysql+pymysql://u:can ary@h/db", "mysql+pymysql://h/db"),
        ("http://[::1", "http://"),
        ("http://[::1]:5000", "http://[::1]:5000"),
        ("sqlite:////home/me@work/m.db?x=canary", "sqlite:////home/me@work/m.db"),
        ("asked http://u:canary@h/a?b=canary, 'http://u:canary@v' and m@x", "asked http://h/a"),
        ("postgresql:///db?password=canary", "postgresql:///db"),
        ("mlruns", "mlruns"),
    ],
)
def test_no_password_is_shown(address, shown):
    found = without_password(address)
    assert found.startswith(shown)
    assert not re.search("can|ary", found)
    assert found == shown or address.startswith("asked")


@pytest.mark.parametrize(
    ("address", "state"),
    [
        ("postgresql://me:can/ary@host/db", "warning"),
        ("databricks", "warning"),
        ("databricks://canary-profile", "warning"),
        ("uc:canary", "warning"),
        ("sqlite:///mlflow.db", "ok"),
        ("file:///data/mlruns", "ok"),
        ("/data/mlruns", "ok"),
        ("mlruns", "ok"),
        ("http://[::1", "problem"),
        ("http://host:port", "problem"),
        ("http://", "problem"),
        ("http://me:80/can@ary/x", "problem"),
        ("HTTP://127.0.0.1:9", "problem"),
        ("http://a b:9/\n", "problem"),
    ],
)
def test_every_address_is_named_as_what_it_is(monkeypatch, address, state):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", address)
    (found, _) = machine.servers()
    assert found.state == state
    assert ("not examined" in found.text) == (state == "warning")
    assert "me:" not in found.text
    assert "can@" not in found.text


def test_an_altered_missing_or_added_file_is_a_problem(root):
    artifact = root / "faces" / KEY
    (artifact / "more.json").write_text("{}")
    (text,) = texts(examine(root), "integrity", "problem")
    assert "more.json" in text
    (artifact / "more.json").unlink()
    (artifact / "manifest.json").write_text("{")
    found = examine(root)
    assert exit_code(root) == 4
    assert texts(found, "integrity", "ok") == ["0 of 1 artifact as sealed"]


def test_leftovers_of_the_dead_are_deleted_on_request_only(root):
    stage = root / "faces"
    dead, alive = (stage / f".debias-{owner}-abcd_123" for owner in (DEAD, identity()))
    forgotten, fresh = (root / f".debias-{x}-abcd_456.json" for x in (DEAD, identity()))
    for folder in (dead, alive):
        folder.mkdir()
        (folder / "images.npy").write_bytes(b"pixels")
    for file in (forgotten, fresh):
        file.write_text("{")
    found = examine(root)
    assert texts(found, "leftovers", "warning")[0].startswith("2 (")
    assert dead.exists()
    assert exit_code(root) == 0
    assert worse(one for one in examine(root, repair=True) if one.area == "leftovers") == []
    assert not dead.exists()
    assert not forgotten.exists()
    assert alive.exists()
    assert fresh.exists()
    assert len(texts(examine(root), "integrity", "ok")) == 1


def test_unfinished_work_is_named(root):
    parts = root / "faces" / ".parts" / "part-00000"
    parts.mkdir(parents=True)
    (parts / "images.npy").write_bytes(bytes(3 * 2**20))
    for key in (KEY, "0" * 20):  # the second without somebody who is in the first
        with sealing(root / "reference" / key, {"instead_of": KEY, "purged": int(key == KEY)}):
            pass
    found = examine(root)
    assert "3 MiB" in texts(found, "builds", "warning")[0]
    assert "debias purge" in next(one.advice for one in found if one.area == "purge")
    assert exit_code(root) == 4


@pytest.fixture
def open_root(root):
    """The same where everybody could come by; temporary folders of tests are the user's alone."""
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        Path(place).chmod(0o755)
        yield shutil.copytree(root, Path(place, "run"))


def readers(folder):
    return texts(examine(folder), "permissions", "warning")


@pytest.mark.parametrize("name", ["images-00000.npy", "quarantine.jsonl", "manifest.json"])
def test_who_can_read_faces_is_said_truly(open_root, name):
    artifact = open_root / "faces" / KEY
    for folder in (open_root, open_root / "faces", artifact):
        folder.chmod(0o755)
    assert readers(open_root) == []
    (artifact / name).chmod(0o644)
    (said,) = readers(open_root)
    assert said.startswith("others on this machine can read")
    assert name in said
    (artifact / name).chmod(0o640)
    assert readers(open_root) == [said]
    (artifact / name).chmod(0o644)
    artifact.chmod(0o700)  # nobody else comes in
    assert readers(open_root) == []
    artifact.chmod(0o755)
    open_root.parent.chmod(0o700)
    assert readers(open_root) == []


def test_what_a_refused_or_unfinished_build_left_is_looked_at(open_root):
    part = open_root / "faces" / ".parts" / "0123" / "part-00000"
    part.mkdir(parents=True)
    for folder in [open_root, *open_root.rglob("*")]:
        folder.chmod(0o755 if folder.is_dir() else 0o600)
    for path in (open_root / "faces" / "quarantine.jsonl", part / "images.npy"):
        path.write_bytes(b"x")
        path.chmod(0o604)
        (said,) = readers(open_root)
        assert path.name in said
        path.unlink()


def test_a_folder_that_anybody_can_change_is_a_problem(root):
    root.chmod(0o777)
    states = worse(one for one in examine(root) if one.area == "permissions")
    assert states == [("permissions", "problem")]


def test_links_that_lead_nowhere_stop_nobody(root):
    os.symlink("nowhere", root / "quarantine.jsonl")
    os.symlink("nowhere", root / "store.json")
    (root / "faces" / ".parts").mkdir()
    os.symlink("nowhere", root / "faces" / ".parts" / "images.npy")
    os.symlink("nowhere", root / "faces" / KEY / "more.npy")
    assert {"integrity", "builds"} <= {area for area, _ in worse(examine(root))}


def test_files_that_vanish_meanwhile_stop_nobody(root):
    gone = root / f".debias-{DEAD}-abcd_123.json"
    assert not Leftover(gone, f"999999999-1-{'0' * 8}").at_work
    janitor.delete([gone, root / "nowhere"])
    assert janitor.status(gone) is None


def test_a_repair_that_is_refused_is_a_problem(root, monkeypatch):
    (root / f".debias-{DEAD}-abcd_123").mkdir()

    def refuse(paths):
        raise PermissionError(13, "Permission denied", str(paths[0]))

    monkeypatch.setattr(janitor, "delete", refuse)
    assert "cannot be deleted" in texts(examine(root, repair=True), "leftovers", "problem")[0]


@pytest.mark.parametrize(
    "name",
    [".docker-settings.json", ".backup-2024-december", f".{KEY}-{DEAD}-abcd_123", ".debias-notes"],
)
@pytest.mark.parametrize("is_folder", [True, False])
def test_a_repair_leaves_what_is_not_ours(root, name, is_folder):
    mine = root / name
    if is_folder:
        mine.mkdir()
    else:
        mine.write_text("mine")
    os.utime(mine, (0, 0))
    assert texts(examine(root, repair=True), "leftovers") == ["no temporary file of a dead process"]
    assert mine.exists()


@pytest.mark.parametrize(
    ("text", "is_fine"),
    [
        (json.dumps({"faces": KEY}), True),
        (json.dumps({"faces": KEY[::-1]}), False),
        (json.dumps({"faces": f"../faces/{KEY}"}), False),
        (json.dumps({"faces": 1}), False),
        ("{", False),
        ("[]", False),
    ],
)
def test_a_store_must_have_the_faces_that_it_names(root, text, is_fine):
    (root / "store.json").write_text(text)
    found = texts(examine(root), "integrity", "problem")
    wanted = [] if is_fine else [f"{root / 'store.json'} names faces that are not there"]
    assert found == wanted


def test_artifacts_without_a_manifest_and_folders_without_artifacts_are_said(root, tmp_path):
    (root / "faces" / KEY / "manifest.json").unlink()
    (root / "store.json").write_text(json.dumps({"faces": KEY}))
    found = examine(root)
    assert [one.split()[0] for one in texts(found, "integrity", "problem")] == [
        str(root / "store.json"), str(root / "faces" / KEY),
    ]  # fmt: skip
    assert texts(found, "integrity", "warning")[0].startswith("no artifact")
    assert texts(found, "integrity", "ok") == []


@pytest.mark.parametrize(
    ("about", "is_done", "state"),
    [
        ({"process": DEAD}, True, "finished"),
        ({"process": DEAD}, False, "unfinished"),
        ({"process": identity()}, False, "perhaps at work"),
        ({}, False, "unfinished"),
        ({"process": 10**30}, False, "unfinished"),
        ([], False, "unreadable"),
    ],
)
def test_states_of_runs(root, about, is_done, state):
    (root / "run.json").write_text(json.dumps(about))
    if not is_done:
        (root / "report.json").unlink()
    assert texts(examine(root), "runs", "ok") == [f"1 run: 1 {state}"]


def test_a_damaged_report_is_a_problem(root):
    write_checked(root / "report.json", {"accuracy": 0.5})
    assert texts(examine(root), "integrity", "problem") == []
    text = (root / "report.json").read_text().replace("0.5", "0.9")
    (root / "report.json").write_text(text)
    (found,) = texts(examine(root), "integrity", "problem")
    assert found.endswith("report.json differs from the checksum in it")


def test_a_finished_audit_is_finished(root):
    (root / "run.json").write_text(json.dumps({"process": DEAD}))
    (root / "report.json").rename(root / "audit.json")
    assert texts(examine(root), "runs", "ok") == ["1 run: 1 finished"]


def test_nothing_is_changed_by_looking(root):
    before = {path: path.stat().st_mtime_ns for path in root.rglob("*") if path.is_file()}
    examine(root)
    assert {p: p.stat().st_mtime_ns for p in root.rglob("*") if p.is_file()} == before


def test_a_folder_that_is_not_there_is_a_problem(tmp_path):
    assert exit_code(tmp_path / "nowhere") == 4


def test_a_deep_examination_asks_torch():
    assert "torch computes" in machine.torch_device().text

"""Bytes of files that are missing, special, forbidden, too large, or change meanwhile."""

import os
import socket
import time

import pytest

from debias.decoding.rules import Place, RefusedError, read

MOST = 1000


def place(path, **options):
    return Place(os.fsencode(path), **options)


def reason(path, **options):
    start = time.monotonic()
    with pytest.raises(RefusedError) as caught:
        read(place(path, **options), MOST)
    assert time.monotonic() - start < 5  # nothing waits for a pipe
    assert caught.value.detail
    return caught.value.reason


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(bytes(range(200)))
    return path


def test_a_file_and_its_slices(file):
    content = bytes(range(200))
    assert read(place(file), MOST) == content
    assert read(place(file, offset=150), MOST) == content[150:]
    assert read(place(file, offset=10, length=5), MOST) == content[10:15]
    assert read(place(file, offset=200), MOST) == b""


@pytest.mark.parametrize("part", [{"offset": -1}, {"offset": 201}, {"offset": 190, "length": 11},
                                  {"length": -1}, {"offset": 2**62, "length": 1}])  # fmt: skip
def test_a_slice_that_is_not_there(file, part):
    assert reason(file, **part) == "not readable"


def test_missing(tmp_path, file):
    assert reason(tmp_path / "nothing") == "file missing"
    assert reason(file / "below") == "file missing"
    assert reason(tmp_path / ("x" * 300)) == "file missing"
    assert reason(b"a\0b") == "file missing"
    assert reason(b"") == "file missing"


def test_not_a_regular_file(tmp_path, file):
    assert reason(tmp_path) == "not a regular file"
    assert reason("/dev/zero") == "not a regular file"
    os.mkfifo(tmp_path / "pipe")
    assert reason(tmp_path / "pipe") == "not a regular file"
    (tmp_path / "link").symlink_to(file)
    assert reason(tmp_path / "link") == "not a regular file"
    (tmp_path / "broken").symlink_to(tmp_path / "nothing")
    assert reason(tmp_path / "broken") == "not a regular file"
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    assert reason(tmp_path / "loop") == "not a regular file"


def test_a_socket_is_not_a_regular_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # a socket's name must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket")
        assert reason("socket") == "not a regular file"


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_forbidden(file):
    file.chmod(0)
    assert reason(file) == "not readable"


@pytest.mark.parametrize("error", [PermissionError(13, "Permission denied"), OSError(5, "I/O")])
@pytest.mark.parametrize("call", ["open", "pread"])
def test_what_the_system_refuses_is_not_readable(file, error, call, monkeypatch):
    def fail(*_):
        raise error

    handles = len(os.listdir("/proc/self/fd"))
    monkeypatch.setattr(os, call, fail)
    found = reason(file)
    monkeypatch.undo()
    assert found == "not readable"
    assert len(os.listdir("/proc/self/fd")) == handles


def test_too_large_is_known_before_a_byte_is_read(file):
    os.truncate(file, 2**40)  # a hole of one terabyte
    with pytest.raises(RefusedError) as caught:
        read(place(file), MOST)
    assert (caught.value.reason, caught.value.size) == ("file too large", 2**40)
    assert len(read(place(file, offset=2**39, length=MOST), MOST)) == MOST


def test_a_file_that_shrinks_while_it_is_read(file, monkeypatch):
    original = os.pread
    monkeypatch.setattr(os, "pread", lambda handle, n, at: original(handle, min(n, 50), at)
                        if at < 100 else b"")  # fmt: skip
    assert reason(file) == "not readable"


def test_a_system_that_reads_a_little_at_a_time(file, monkeypatch):
    original = os.pread
    monkeypatch.setattr(os, "pread", lambda handle, n, at: original(handle, min(n, 7), at))
    assert read(place(file), MOST) == bytes(range(200))

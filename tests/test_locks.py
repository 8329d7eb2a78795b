import os
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from debias.errors import StorageError
from debias.storage.files import LOCK, locked

HOLD = textwrap.dedent("""
    import sys, time
    from pathlib import Path
    from debias.storage.files import locked
    with locked(Path(sys.argv[1])):
        print("held", flush=True)
        time.sleep(60)
""")


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of a folder."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def test_a_second_builder_is_told_and_gives_up_when_its_patience_ends(tmp_path, holder):
    told = []
    with (
        pytest.raises(StorageError, match=f"process {holder.pid} has been building"),
        locked(tmp_path, patience=0.2, waiting=told.append),
    ):
        pass
    assert told == [str(holder.pid)]


def test_a_killed_builder_holds_nothing(tmp_path, holder):
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    begun = time.monotonic()
    with locked(tmp_path):
        assert (tmp_path / LOCK).read_text() == str(os.getpid())
    assert time.monotonic() - begun < 5


def test_a_lock_file_that_an_earlier_process_left_means_nothing(tmp_path):
    (tmp_path / LOCK).write_text("1")
    with locked(tmp_path, patience=0.0):
        pass
    with locked(tmp_path, patience=0.0):
        pass


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file/store"), locked(tmp_path / "file" / "store"):
        pass

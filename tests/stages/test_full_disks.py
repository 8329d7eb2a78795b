"""Runs whose disk is full at some point: told so, and the same command ends well afterwards."""

import errno
import os
import shutil
import subprocess
from contextlib import contextmanager

import pytest
from test_killed_runs import contents, written
from typer.testing import CliRunner

from debias.commands import app
from debias.errors import StorageFullError
from debias.storage import files, sealed

POINTS = 20
QUICK = ["--set", "representation={model: {name: pca, latent_dim: 2}}",
         "--set", "classifier.training.epochs=1"]  # fmt: skip
ALL_TOLD = ("no space left to write below", "run the same command again")


def run(recipe, out, *more):
    done = CliRunner().invoke(app, ["run", str(recipe), "--out", str(out), *more])
    return done.exit_code, " ".join(done.output.split())


@contextmanager
def full_at(number):
    """The disk is full when file or folder of this number is to be brought to it."""
    left = [number]

    def sync(path):
        left[0] -= 1
        if left[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files, "sync", sync)
        patch.setattr(sealed, "sync", sync)
        yield left


def test_the_disk_is_full_at_twenty_points_of_a_run(tmp_path):
    recipe, untracked = written(tmp_path, "run"), [*QUICK, "--set", "tracking.enabled=false"]
    with full_at(0) as left:
        assert run(recipe, tmp_path / "undisturbed", *untracked)[0] == 0
    written_there, out = -left[0], tmp_path / "it"
    assert written_there > POINTS
    told = 0
    for number in range(POINTS):
        # What is finished is not written again, so each attempt comes a little further.
        with full_at(2 + number % 7):
            code, said = run(recipe, out, *untracked)
        assert code in (0, StorageFullError.exit_code)
        assert not list(out.rglob(".debias-*"))
        if code:
            assert all(part in said for part in ALL_TOLD), said
            told += 1
    assert told == POINTS
    assert run(recipe, out, *untracked)[0] == 0
    assert contents(out) == contents(tmp_path / "undisturbed")


@contextmanager
def disk(place, kilobytes):
    """A disk of this size."""
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k", "tmpfs", str(place)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


def kilobytes(folder):
    return sum(path.stat().st_blocks for path in folder.rglob("*")) // 2


@pytest.mark.slow
def test_a_small_disk_is_full_at_twenty_points_of_a_run(tmp_path):
    """With the tracking store on it."""
    recipe, whole = written(tmp_path, "run"), tmp_path / "undisturbed" / "it"
    assert run(recipe, whole)[0] == 0
    codes = []
    with disk(tmp_path / "disk", 1):
        for point in range(POINTS):
            size = 8 + kilobytes(whole.parent) * point // POINTS
            place = tmp_path / "disk" / str(point)
            subprocess.run(
                ["mount", "-o", f"remount,size={size}k", str(tmp_path / "disk")], check=True
            )
            code, said = run(recipe, place / "it")
            codes.append(code)
            assert "Traceback" not in said
            if code:
                assert "no space left" in said or "tracking store" in said, said
            subprocess.run(["mount", "-o", "remount,size=64m", str(tmp_path / "disk")], check=True)
            code, said = run(recipe, place / "it")
            assert code == 0, said
            assert contents(place / "it") == contents(whole)
            shutil.rmtree(place)
    print(codes)  # noqa: T201
    assert sum(map(bool, codes)) > POINTS // 2

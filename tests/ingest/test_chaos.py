"""Builders that are killed, or run out of space, leave nothing wrong and lose nothing."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from debias.ingesting.build import STAGE
from debias.storage.artifacts import RunFolder
from debias.storage.sealed import MANIFEST, verify

KILLS = int(os.environ.get("DEBIAS_KILLS", "12"))
OFFSETS = 20
FULL = 4  # exit status of a builder that ran out of space
SCRIPT = Path(__file__).with_name("disturbed_builds.py")


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """Images of two classes, some of them broken, some of them copies."""
    folder = tmp_path_factory.mktemp("source")
    generator = np.random.default_rng(0)
    for number in range(150):  # of three parts
        place = folder / ("a" if number % 3 else "b")
        place.mkdir(exist_ok=True)
        pixels = generator.integers(0, 256, (6, 6, 3), dtype=np.uint8)
        Image.fromarray(pixels).resize((48, 48)).save(place / f"{number:03d}.jpg")
    for number in (5, 77, 140):
        (folder / "a" / f"broken{number}.jpg").write_bytes(b"\xff\xd8\xff nothing")
    (folder / "b" / "copy.jpg").write_bytes((folder / "b" / "000.jpg").read_bytes())
    return folder


def disturbed(mode, source, out, count):
    done = subprocess.run(
        [sys.executable, SCRIPT, mode, source, out, str(count), "0"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def require_same_stores(out):
    """Every disturbed store, once finished, is the undisturbed one byte by byte."""
    expected = files(out / "undisturbed")
    stores = sorted(out.glob("disturbed-*"))
    assert stores
    for store in stores:
        assert files(store) == expected
        left = {path.name for path in (store / STAGE).iterdir()}
        assert left == {".lock", expected["key"].decode()}, "something half-written is left"
        assert RunFolder(store).find(STAGE, expected["key"].decode()) is not None


def files(store: Path) -> dict[str, bytes]:
    (manifest,) = (store / STAGE).glob(f"*/{MANIFEST}")
    verify(manifest.parent)
    found = {path.name: path.read_bytes() for path in manifest.parent.iterdir()}
    found.pop(MANIFEST)  # says when it was made and how long it took
    return found | {"key": manifest.parent.name.encode()}


def test_killed_builders_leave_the_same_store_as_an_undisturbed_one(source, tmp_path):
    found = disturbed("killed", source, tmp_path, KILLS)
    assert found["killed"] == KILLS
    require_same_stores(tmp_path)


def test_a_full_disk_is_named_and_the_next_build_succeeds(source, tmp_path):
    found = disturbed("full", source, tmp_path, OFFSETS)
    assert found["statuses"] == [FULL] * OFFSETS
    require_same_stores(tmp_path)


def test_builders_that_start_at_once_make_one_store(source, tmp_path):
    found = disturbed("together", source, tmp_path, 5)
    assert found["statuses"] == [0] * 4
    require_same_stores(tmp_path)

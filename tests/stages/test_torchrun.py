"""``torchrun -m debias run``: two processes, one run."""

import json
import os
import signal
import subprocess
import sys
import time

import psutil
import pytest
import yaml
from test_interrupted import SETTINGS
from test_ranks import require_alike

from debias.pipeline.recipe import RunConfig, load
from debias.plugins import dump
from debias.storage.artifacts import Artifact

pytestmark = pytest.mark.slow
PLAIN = [one for one in SETTINGS if not one.startswith(("reference", "discriminator"))]


def written(folder, *more):
    recipe = folder / "recipe.yaml"
    settings = [*PLAIN, "tracking.enabled=false", *more]
    recipe.write_text(yaml.safe_dump(dump(load(RunConfig, None, settings))))
    return recipe


def begun(recipe, out, *launcher):
    command = [sys.executable, *launcher, "-m", "debias", "run", str(recipe), "--out", str(out)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1", "COLUMNS": "200"}, start_new_session=True,
    )  # fmt: skip


TWO = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def made(out):
    folders = sorted(one.parent for one in out.glob("*/*/network.safetensors"))
    return [Artifact(path.parent.name, path.name, path) for path in folders]


def test_two_processes_write_what_one_writes_and_say_it_once(tmp_path):
    recipe = written(tmp_path)
    for name, launcher in (("one", ()), ("two", TWO)):
        said, errors = (process := begun(recipe, tmp_path / name, *launcher)).communicate()
        assert process.returncode == 0, errors
        assert said.count("Next: open the report.") == 1
    one, two = (made(tmp_path / name) for name in ("one", "two"))
    assert len(one) == len(two) == 2  # a representation and a classifier
    for first, second in zip(one, two, strict=True):
        require_alike(first, second)
    assert json.loads((tmp_path / "two" / "report.json").read_text())["arms"]


@pytest.mark.parametrize(
    ("rank", "number", "said"),
    [("1", signal.SIGKILL, "WorkerError: one of 2 processes that train together is gone"),
     ("", signal.SIGINT, "Interrupted: finished steps are kept")],
)  # fmt: skip
def test_whatever_ends_one_ends_all_with_one_paragraph(rank, number, said, tmp_path):
    """Of a helper that is killed, or of Ctrl-C in the terminal of torchrun."""
    recipe = written(tmp_path, "representation.training.epochs=2000")
    process = begun(recipe, tmp_path / "out", *TWO)
    while not list((tmp_path / "out").glob("faces/*/manifest.json")):
        assert process.poll() is None
        time.sleep(0.1)
    time.sleep(4)
    below = psutil.Process(process.pid).children()
    asked = [one for one in below if one.environ().get("RANK") == rank] if rank else [process]
    asked[0].send_signal(number)
    _, errors = process.communicate(timeout=30)
    assert process.returncode != 0
    assert errors.count(said) == 1
    assert "Error" not in errors.split(said)[0]
    assert not [one for one in below if one.is_running()]
    if number == signal.SIGINT:
        assert list((tmp_path / "out" / "representation").glob("*.checkpoint"))

"""Of two processes that train together one is asked to end, or is killed, or fails."""

import signal
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from led import both, led
from safetensors.numpy import load_file
from test_interrupted import run_of
from test_ranks import classifier

from debias import stopping
from debias.errors import ConfigError, DataError, TrainingError, WorkerError
from debias.pipeline.workers import hired
from debias.training import loop, parallel


@contextmanager
def before_batch(number, do):
    """Something that this process does before it trains a batch, counted from 0."""
    count, step = [], loop._step

    def disturbed(*given):
        if len(count) == number:
            do()
        count.append(1)
        return step(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_step", disturbed)
        yield count


@pytest.mark.slow
def test_a_training_that_one_is_asked_to_end_is_ended_and_gone_on_with_by_both(tmp_path):
    """In the midst of the second of two epochs, after those of the representation."""
    with led() as helper:
        expected = classifier(tmp_path / "first", "erm")
        with before_batch(17, stopping.ask), pytest.raises(stopping.Stopped):
            classifier(tmp_path / "second", "erm")
    stopping.forget()
    assert helper.wait(timeout=10) == 130
    with led(), before_batch(-1, None) as count:
        found = classifier(tmp_path / "second", "erm")
    assert len(count) == 2
    first, second = (load_file(made.path / "network.safetensors") for made in (expected, found))
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.fixture
def signals():
    """Whoever ends for a reason of its own hears none any more."""
    before = {one: signal.getsignal(one) for one in stopping.SIGNALS}
    yield
    for one, handler in before.items():
        signal.signal(one, handler)


def test_a_helper_that_is_killed_ends_the_training_and_is_told_of(tmp_path, signals):
    said = r"one of 2 .* is gone \(it said nothing, as one that is killed"
    with led() as helper, before_batch(12, helper.kill), pytest.raises(WorkerError, match=said):
        classifier(tmp_path, "erm")
    assert list((tmp_path / "representation").glob("*/manifest.json"))


def unread():
    if parallel._Now.team.rank:
        raise DataError("the disk of the second process cannot be read")
    return parallel.same(lambda: 1)


def test_why_a_helper_ended_is_said_by_the_one_who_leads(signals):
    said = "process 2 of 2: DataError: the disk of the second"
    with led() as helper, pytest.raises(WorkerError, match=said):
        both(unread)
    assert helper.returncode == DataError.exit_code
    assert helper.stderr.read() == ""


def other_loss():
    return parallel.averaged([], torch.tensor([1.0 + parallel._Now.team.rank]))


def test_processes_that_train_different_things_are_found_out(signals):
    with led(), pytest.raises(TrainingError, match=r"disagree about the loss: \[1.0\] in one"):
        both(other_loss)


def test_several_trainings_at_a_time_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("WORLD_SIZE", "2")
    job = run_of(tmp_path, "erm", "workers=4")
    with pytest.raises(ConfigError, match="workers=4 asks for several trainings"), hired(job):
        pass

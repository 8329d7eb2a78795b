"""Trainings that are interrupted and gone on with equal those that are not, bit for bit."""

import errno
import json
import os
import signal
import time

import pytest
import torch
from interruption import Killed, save_at_every_batch
from small_store import make_store
from torch import nn

from debias import stopping
from debias.errors import CheckpointMismatchError
from debias.models import ConvClassifier, ConvVAE
from debias.processes import machine
from debias.seeding import numpy_generator, torch_generator, torch_stream
from debias.storage.leftovers import stale_checkpoints
from debias.training import checkpoint
from debias.training.batches import Augmentation, Batches, Draws
from debias.training.checkpoint import checkpoints
from debias.training.device import Compute
from debias.training.loop import Training, fit

CPU = Compute(torch.device("cpu"), torch.float32)
VIEWS = Augmentation(flip=True, shift=0.1, brightness=0.2)
RECIPE = Training(epochs=2, batch_size=16)  # of 48 images: 3 batches an epoch
MODELS = {
    "vae": lambda: ConvVAE(latent_dim=4, width=2, hidden=16, warm_up=10).build(32),
    "classifier": lambda: nn.Sequential(nn.Dropout(0.3), ConvClassifier(width=2).build(2)),
}


@pytest.fixture(autouse=True)
def _at_every_batch(monkeypatch):
    save_at_every_batch(monkeypatch)


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


class Followed:
    """What a run gathers after every epoch."""

    def __init__(self):
        self.losses = []

    def __call__(self, epoch, means):
        self.losses.append(means["loss"])

    def state_dict(self):
        return {"losses": self.losses}

    def load_state_dict(self, state):
        self.losses[:] = state["losses"]


class Loses(nn.Module):
    """A network that is killed before its losses of some numbers, or asked to end in its fourth."""

    def __init__(self, network, at=()):
        super().__init__()
        self.network, self.at, self.count = network, at, 0

    def loss(self, batch):
        if self.at == signal.SIGTERM and self.count == 3:
            os.kill(os.getpid(), signal.SIGTERM)
        elif self.at != signal.SIGTERM and self.count in self.at:
            raise Killed
        self.count += 1
        last = self.network[-1] if isinstance(self.network, nn.Sequential) else self.network
        if last is not self.network:
            batch = type(batch)(self.network[0](batch.image), batch.label, batch.index)
        return last.loss(batch)


def trained(name, path, at=(), recipe=RECIPE):
    """One process: what it has learned, or None if it was killed; and what its fit was told."""
    store, said = make_store(), []
    rows, followed = store.rows("train"), Followed()
    with checkpoints(path, said.append), torch_stream(0, "network"):
        model = Loses(MODELS[name](), at)
        draws = Draws(
            Batches(store, recipe.batch_size, CPU.device, VIEWS),
            lambda epoch: numpy_generator(epoch, "order").permutation(rows),
            torch_generator(0, "views"),
        )
        try:
            fit(CPU.place(model), draws, recipe, 3, CPU, followed)
        except Killed:
            return None, said
        state = {**model.state_dict(), "noise": torch.rand(3), "losses": followed.losses}
        return state, said


def require_equal(first, second):
    assert first.keys() == second.keys()
    for name, one in first.items():
        other = second[name]
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other, name


# Batches that are trained before each kill. The third ends at the last batch of an epoch; a kill
# at the very first batch after going on leaves the checkpoint as it was.
POSITIONS = [(1,), (4,), (3,), (1, 1), (0, 4, 0)]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("name", MODELS)
def test_five_positions_equal_the_undisturbed_training_bit_for_bit(name, count, tmp_path, threads):
    threads(count)
    undisturbed, said = trained(name, tmp_path / "none")
    assert said == []
    assert len(undisturbed["losses"]) == RECIPE.epochs
    for number, kills in enumerate(POSITIONS):
        path = tmp_path / f"{number}.checkpoint"
        for batches in kills:
            assert trained(name, path, at=(batches,))[0] is None
        found, said = trained(name, path)
        assert said == ["An interrupted training goes on from its last checkpoint."]
        require_equal(found, undisturbed)
        again, _ = trained(name, path, at=(0,))  # its last batch was its end but one epoch
        require_equal(again, undisturbed)


def test_a_finished_training_of_a_step_is_not_repeated(tmp_path):
    """As where a helper is trained before the network that is wanted."""

    def two(at=(99, 99)):
        store, path, found = make_store(), tmp_path / "two.checkpoint", []
        with checkpoints(path, lambda text: None), torch_stream(0, "network"):
            for number in range(2):
                model = Loses(MODELS["classifier"](), at=(at[number],))
                batches = Batches(store, 16, CPU.device)
                views = torch_generator(0, "views")
                draws = Draws(batches, lambda epoch: store.rows("train")[epoch:], views)
                try:
                    fit(CPU.place(model), draws, RECIPE, 3, CPU)
                except Killed:
                    return number, model.count
                found.append((model.count, {**model.state_dict(), "noise": torch.rand(3)}))
        return found

    undisturbed = two()
    (tmp_path / "two.checkpoint").unlink()
    assert two(at=(99, 4)) == (1, 4)
    (first, helper), (second, wanted) = two(at=(0, 99))
    assert (first, second) == (0, 3 + 2 - 4)
    require_equal(helper, undisturbed[0][1])
    require_equal(wanted, undisturbed[1][1])


def test_what_is_shorter_than_the_interval_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "EVERY", 20.0)
    assert trained("classifier", tmp_path / "a.checkpoint")[0] is not None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("damage", ["flipped", "cut", "empty", "renamed", "torch", "threads"])
def test_a_checkpoint_that_is_damaged_or_of_something_else_is_left_aside(damage, tmp_path, threads):
    path, threads_before = tmp_path / "a.checkpoint", torch.get_num_threads()
    undisturbed, _ = trained("classifier", tmp_path / "none")
    assert trained("classifier", path, at=(4,))[0] is None
    assert path.stat().st_mode & 0o077 == 0  # what is learned of people is nobody else's
    written = path.read_bytes()
    line, content = written.split(b"\n", 1)
    if damage == "flipped":
        middle = len(content) // 2
        content = content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]
    if damage == "torch":
        line = json.dumps(json.loads(line) | {"torch": "1.0"}).encode()
    whole = {"cut": written[:-9], "empty": b""}.get(damage, line + b"\n" + content)
    path.write_bytes(whole)
    if damage == "renamed":
        path = path.rename(tmp_path / "b.checkpoint")
    if damage == "threads":
        threads(threads_before + 1)
    found, said = trained("classifier", path)
    assert len(said) == 1
    assert "is left aside" in said[0]
    assert "training begins anew" in said[0]
    if damage in ("torch", "threads"):
        assert f"written with other {damage}" in said[0]
    if damage != "threads":
        require_equal(found, undisturbed)


def test_a_checkpoint_of_another_network_is_deleted_with_a_word(tmp_path):
    path = tmp_path / "a.checkpoint"
    assert trained("classifier", path, at=(3,))[0] is None
    with pytest.raises(CheckpointMismatchError, match="does not fit what is trained here"):
        trained("vae", path)
    assert not path.exists()


def test_a_disk_that_is_full_ends_no_training(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "replace_file", full)
    monkeypatch.setattr(checkpoint, "EVERY", 1e-9)
    found, said = trained("classifier", tmp_path / "a.checkpoint")
    assert found is not None
    assert "no space left" in said[0]


def test_who_is_asked_to_end_ends_the_batch_and_keeps_it(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoint, "EVERY", 20.0)
    path = tmp_path / "a.checkpoint"
    undisturbed, _ = trained("classifier", tmp_path / "none")
    with stopping.stoppable(), pytest.raises(stopping.Stopped) as stopped:
        trained("classifier", path, at=signal.SIGTERM)
    assert stopped.value.exit_code == 143
    found, said = trained("classifier", path, at=(2,))
    assert found is not None  # 6 batches less the 4 that were kept
    require_equal(found, undisturbed)
    assert said == ["An interrupted training goes on from its last checkpoint."]


def test_nothing_is_kept_longer_than_it_can_be_of_use(tmp_path):
    key = "{:020x}".format
    stage = tmp_path / "classifier"
    stage.mkdir()
    for number in range(7):
        file = stage / f"{key(number)}.checkpoint"
        file.touch()
        os.utime(file, (time.time() - 60 * number,) * 2)
    (stage / key(1)).mkdir()
    (stage / key(1) / "manifest.json").touch()
    (tmp_path / "faces").mkdir()
    old = tmp_path / "faces" / f"{key(9)}.checkpoint"
    old.touch()
    os.utime(old, (time.time() - 8 * 24 * 3600,) * 2)
    gone = f"4194304-0-{machine()}"  # no process has this number
    half = stage / f".debias-{gone}-abcdefgh.checkpoint"
    half.touch()
    (stage / "notes.checkpoint").touch()  # somebody's own
    stale = {path.name for path in stale_checkpoints(tmp_path)}
    assert stale == {old.name, half.name, *(f"{key(n)}.checkpoint" for n in (1, 5, 6))}

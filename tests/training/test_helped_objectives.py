"""Objectives that learn from another network, against hand-computed figures and planted groups."""

import itertools
import math

import numpy as np
import pytest
import torch
from test_objectives import SIDE, Lesson
from torch import nn
from torch.nn import functional

from debias.training.batches import Batch
from debias.training.objectives import OBJECTIVES
from debias.training.objectives.clustering import within_classes
from debias.training.objectives.eiil import environments
from debias.training.objectives.lff import MovingLosses, Pair, generalised
from debias.training.objectives.tab import balance, halves


def follower(lesson, sure=0.9):
    """Probabilities of a helper that takes the minority of each class for the other class."""
    told = np.where(lesson.minority, 1 - lesson.labels, lesson.labels)
    return np.where(told[:, None] == np.arange(2), sure, 1 - sure)


@pytest.fixture
def shortcut():
    """A task whose every network, once trained, is wrong on the minority alone."""
    lesson = Lesson(uses="no")
    lesson.probabilities = lambda network, split="train": follower(lesson)
    return lesson


def test_errors_of_the_first_training_are_drawn_more_often_in_the_second(shortcut):
    OBJECTIVES["jtt"](upweight=7, helper_share=1 / 3).train(shortcut)
    (first, plain), (second, multiples) = shortcut.fits
    assert (first, plain, second) == (1, None, 3)
    assert multiples.tolist() == [7.0 if one else 1.0 for one in shortcut.minority]


@pytest.mark.parametrize("name", ["jtt", "eiil"])
def test_a_helper_without_errors_leaves_plain_training_and_says_so(name, shortcut):
    right = follower(shortcut)
    right[shortcut.labels == 1] = [0.1, 0.9]
    shortcut.probabilities = lambda network, split="train": right
    with pytest.warns(UserWarning, match=f"{name}: the helper tells no images of class 1 apart"):
        OBJECTIVES[name]().train(shortcut)
    _, multiples = shortcut.fits[1]
    assert multiples is None or (multiples[shortcut.labels == 1] == 1).all()


def test_planted_environments_are_found(shortcut):
    assert np.array_equal(environments(shortcut, nn.Identity()), shortcut.minority)


def test_no_other_assignment_has_a_larger_penalty():
    """All 2^10 of them, with the derivative by the scale from torch."""
    noise = np.random.default_rng(4)
    logits, labels = torch.from_numpy(noise.normal(size=(10, 3))), torch.arange(10) % 3
    logits[0] = torch.tensor([0.45, 0.5, 0.05]).log()  # wrong, as it expects to be
    scale = torch.ones(10, dtype=torch.float64, requires_grad=True)
    functional.cross_entropy(scale[:, None] * logits, labels, reduction="sum").backward()
    slope = scale.grad.numpy()
    lesson = Lesson(uses="no", classes=3)
    lesson.labels = labels.numpy()
    lesson.probabilities = lambda network, split="train": torch.softmax(logits, 1).numpy()
    found = environments(lesson, nn.Identity())

    def penalty(second):
        return (second * slope).sum() ** 2 + ((1 - second) * slope).sum() ** 2

    largest = max(penalty(np.array(one)) for one in itertools.product([0, 1], repeat=10))
    assert penalty(found) == pytest.approx(largest)
    wrong = logits.argmax(1).numpy() != labels.numpy()
    assert (found <= wrong).all()
    assert wrong[0]
    assert not found[0]


def test_the_smaller_cluster_of_a_class_counts_as_much_as_the_larger():
    labels = np.array([0] * 8 + [1] * 8 + [2] * 3)
    slow = np.array([False] * 6 + [True] * 2 + [False] * 3 + [True] * 5 + [False] * 3)
    noise = np.random.default_rng(0).normal(size=(19, 4)) * 0.02
    noise[labels == 2] = 0  # all alike
    learned = np.where(slow[:, None], [0.9, 0.8, 0.7, 0.6], [0.6, 0.3, 0.2, 0.1]) + noise
    half = within_classes(learned, labels, lambda one: halves(one, seed=1))
    for one in (0, 1):
        member = labels == one
        assert np.array_equal(half[member] == half[member][-1], slow[member] == slow[member][-1])
    by_hand = [1.0] * 6 + [3.0] * 2 + [5 / 3] * 3 + [1.0] * 5 + [1.0] * 3
    assert balance(labels, half) == pytest.approx(by_hand)


def test_the_history_of_a_helper_has_every_epoch_and_tells_the_minority():
    lesson = Lesson(uses="no", epochs=12)
    lesson.images[:, 0] = 0.5 * torch.from_numpy(lesson.labels ^ lesson.minority)[:, None, None]
    network = OBJECTIVES["tab"]().train(lesson)
    (_, plain), (_, multiples) = lesson.fits
    assert plain is None
    assert (multiples[lesson.minority] == 3).all()
    assert (multiples[~lesson.minority] == 1).all()
    assert isinstance(network, nn.Module)


def test_moving_averages_by_hand():
    losses = MovingLosses(torch.tensor([0, 0, 1, 1]), decay=0.7)
    first = losses(torch.tensor([2.0, 1.0, 3.0]), torch.tensor([0, 1, 2]))
    assert first.tolist() == pytest.approx([1.0, 0.5, 1.0])
    # Twice in a batch: (4 + 6) / 2 = 5, and 0.7 * 1 + 0.3 * 5 = 2.2 is now the largest of class 0.
    again = losses(torch.tensor([4.0, 6.0, 1.5]), torch.tensor([1, 1, 3]))
    assert again.tolist() == pytest.approx([1.0, 1.0, 0.5])
    assert losses.average.tolist() == pytest.approx([2.0, 2.2, 3.0, 1.5])


class Fixed(nn.Module):
    """Logits that are learned themselves, whatever the pictures."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(torch.tensor(logits))

    def forward(self, images):
        return self.logits


def test_what_the_biased_network_fails_on_weighs_more_by_hand():
    lesson = Lesson(uses="no")
    pair = Pair(lesson, q=0.7, decay=0.7)
    pair.network, pair.biased = Fixed([[0.0, 0.0], [0.0, 0.0]]), Fixed([[2.0, 0.0], [-1.0, 0.0]])
    batch = Batch(
        image=torch.zeros(2, 3, SIDE, SIDE), label=torch.tensor([0, 0]), index=torch.tensor([0, 2])
    )
    d = [math.log(2), math.log(2)]
    b = [math.log(1 + math.exp(-2)), math.log(1 + math.exp(1))]
    weight = [b[i] / max(b) / (b[i] / max(b) + d[i] / max(d)) for i in range(2)]
    easy = [(1 - math.exp(-one) ** 0.7) / 0.7 for one in b]
    found = pair.loss(batch)
    by_hand = sum(w * one for w, one in zip(weight, d, strict=True)) / 2 + sum(easy) / 2
    assert found["loss"].item() == pytest.approx(by_hand, rel=1e-5)
    found["loss"].backward()
    # Of the network that is wanted, the cross-entropy's gradient at even logits is -1/2.
    by_hand = [-w / 2 / 2 for w in weight]
    assert pair.network.logits.grad[:, 0].tolist() == pytest.approx(by_hand, rel=1e-5)
    # Of the biased one, that of cross-entropy times p^q.
    by_hand = [math.exp(-one) ** 0.7 * (math.exp(-one) - 1) / 2 for one in b]
    assert pair.biased.logits.grad[:, 0].tolist() == pytest.approx(by_hand, rel=1e-5)


def test_the_generalised_cross_entropy_of_one_is_a_share_of_errors():
    assert float(generalised(torch.tensor(-math.log(0.3)), 1.0)) == pytest.approx(0.7)
    nearly = generalised(torch.tensor(1.2, dtype=torch.float64), 1e-9)
    assert float(nearly) == pytest.approx(1.2, rel=1e-6)


class Tied(Lesson):
    """A faint sign of the label, and beside it a plain one that is wrong of the minority."""

    def plant(self, conflicts, size, seed):
        noise = np.random.default_rng(seed)
        self.labels, self.minority = np.arange(size) % 2, noise.random(size) < conflicts
        pixels = noise.normal(0, 1, (size, 3, SIDE, SIDE))
        for channel, (strength, sign) in enumerate(
            [(0.2, self.labels), (0.4, self.labels ^ self.minority)]
        ):
            pixels[:, channel] += strength * (2 * sign[:, None, None] - 1)
        self.images = torch.from_numpy(pixels).float()
        return self


def test_more_are_right_who_do_not_follow_a_planted_correlation_without_groups_named():
    test = Tied().plant(0.5, size=2000, seed=9)

    def accuracy(name):
        network = OBJECTIVES[name]().train(Tied(uses="no", epochs=10).plant(0.05, 1200, seed=3))
        right = test.probabilities(network).argmax(1) == test.labels
        return right[test.minority].mean()

    plain = accuracy("erm")
    assert plain < 0.45
    gain = {name: accuracy(name) - plain for name in ("jtt", "eiil", "tab")}
    assert min(gain.values()) > 0.2, gain
    assert accuracy("lff") - plain > 0.03

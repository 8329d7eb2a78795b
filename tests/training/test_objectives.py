"""Every objective keeps the contract; losses against hand-computed figures and oracles."""

import math
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest
import torch
from scipy.optimize import minimize_scalar
from torch import nn
from torch.nn import functional

from debias.errors import ConfigError, DataError
from debias.training.batches import Batch
from debias.training.objectives import OBJECTIVES
from debias.training.objectives.chi2_dro import worst_mixture
from debias.training.objectives.cvar_dro import worst_share
from debias.training.objectives.group_dro import WorstGroup
from debias.training.objectives.objective import GROUP_USES

SIZE, SIDE = 48, 8

pytestmark = pytest.mark.filterwarnings("ignore:.*the helper tells no images")


class Small(nn.Module):
    """A classifier of 8 x 8 pictures by one dense layer on four features."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.body, self.head = nn.Linear(3 * SIDE * SIDE, 4), nn.Linear(4, classes)

    def features(self, images):
        return torch.tanh(self.body(images.flatten(1)))

    def forward(self, images):
        return self.head(self.features(images))

    def loss(self, batch):
        logits = self(batch.image)
        accuracy = (logits.argmax(1) == batch.label).float().mean()
        return {"loss": functional.cross_entropy(logits, batch.label), "accuracy": accuracy}


@dataclass
class Lesson:
    """A task in memory: two classes, told by the first channel; a quarter of each is group 1."""

    uses: str = "training"
    epochs: int = 3
    classes: int = 2
    unknown: tuple = ()  # rows without a group
    fits: list = field(default_factory=list)

    def __post_init__(self):
        noise = np.random.default_rng(0)
        self.labels = np.arange(SIZE) % 2
        self.minority = np.arange(SIZE) % 8 < 2
        pixels = noise.random((SIZE, 3, SIDE, SIDE)) * 0.1
        pixels[:, 0] += 0.5 * self.labels[:, None, None]
        pixels[:, 1] += 0.3 * self.minority[:, None, None]
        self.images = torch.from_numpy(pixels).float()

    def labels_of(self, split):
        return self.labels.astype(np.int64)

    def groups_of(self, split):
        known = (self.attributes_of(split)["hat"] != "unknown").to_numpy()
        return np.where(known, 2 * self.labels + self.minority, -1).astype(np.int64)

    def attributes_of(self, split):
        if self.uses == "no" or (self.uses == "selection" and split == "train"):
            raise ConfigError("not declared")
        hat = np.where(self.minority, "yes", "no")
        hat = np.where(np.isin(np.arange(SIZE), self.unknown), "unknown", hat)
        return pd.DataFrame({"hat": hat})

    def positions(self, batch):
        return batch.index

    def network(self):
        torch.manual_seed(0)
        return Small(self.classes)

    def batch(self, rows):
        label = torch.from_numpy(self.labels[rows].astype(np.int64))
        return Batch(image=self.images[rows], label=label, index=torch.from_numpy(rows))

    def fit(self, model, *, epochs=None, multiples=None, on_epoch=None):
        self.fits.append((epochs or self.epochs, multiples))
        size = len(self.labels)
        optimizer = torch.optim.AdamW(model.parameters(), 0.01)
        noise = np.random.default_rng(1)
        for step in range((epochs or self.epochs) * 4):
            given = multiples(step // 4) if callable(multiples) else multiples
            chance = np.ones(size) if given is None else np.asarray(given)
            rows = noise.choice(size, 12, p=chance / chance.sum())
            loss = model.loss(self.batch(rows))["loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            if on_epoch and step % 4 == 3:
                on_epoch(model.network)
        return model.network

    def weigh(self, network, among):
        assert among.shape == (SIZE,)
        assert isinstance(network, Small)
        return np.ones(SIZE)

    def probabilities(self, network, split="train"):
        with torch.no_grad():
            return torch.softmax(network(self.images).double(), 1).numpy()

    def features(self, network, split="train"):
        with torch.no_grad():
            return network.features(self.images).numpy()

    def generator(self, purpose):
        return np.random.default_rng(2)


@pytest.fixture(params=sorted(OBJECTIVES))
def objective(request):
    return OBJECTIVES[request.param]()


def trained(objective, **changes):
    torch.manual_seed(0)
    lesson = Lesson(uses=objective.uses_groups, **changes)
    return objective.train(lesson), lesson


def test_it_learns_and_is_the_same_again(objective):
    network, lesson = trained(objective, epochs=60)
    right = lesson.probabilities(network).argmax(1) == lesson.labels
    assert right.mean() > 0.9
    again, _ = trained(objective, epochs=60)
    for one, other in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


def test_it_says_how_long_it_trains(objective):
    _, lesson = trained(objective)
    assert sum(epochs for epochs, _ in lesson.fits) == objective.fitted(lesson.epochs)


def test_it_reads_no_more_groups_than_it_declares(objective):
    assert objective.uses_groups in GROUP_USES
    trained(objective)  # the task raises where more is asked for


def test_a_criterion_is_finite_and_moves_every_parameter(objective):
    lesson = Lesson(uses=objective.uses_groups)
    criterion = objective.criterion(lesson)
    if criterion is None:
        pytest.skip("trains in stages, or by the classifier's own loss")
    network, batch = lesson.network(), lesson.batch(np.arange(12))
    loss = criterion(network(batch.image), batch)
    loss.backward()
    assert loss.ndim == 0
    assert math.isfinite(loss.item())
    assert all(one.grad.abs().sum() > 0 for one in network.parameters())


LOGITS = torch.tensor([[2.0, 0.0], [0.0, 0.0], [1.0, -1.0], [0.0, 3.0]])
LABELS = torch.tensor([0, 0, 1, 1])
PICTURES = torch.zeros(4, 3, SIDE, SIDE)


def loss_of(name, task=None, **settings):
    task = task or Lesson()
    batch = Batch(image=PICTURES, label=LABELS, index=torch.arange(4))
    return float(OBJECTIVES[name](**settings).criterion(task)(LOGITS, batch))


def test_focal_by_hand():
    p = [1 / (1 + math.exp(-2)), 0.5, 1 / (1 + math.exp(2)), 1 / (1 + math.exp(-3))]
    by_hand = sum(-((1 - one) ** 2) * math.log(one) for one in p) / 4
    assert loss_of("focal", gamma=2) == pytest.approx(by_hand, rel=1e-5)
    plain = float(functional.cross_entropy(LOGITS, LABELS))
    assert loss_of("focal", gamma=0) == pytest.approx(plain, rel=1e-6)


def test_focal_learns_on_where_it_is_sure_and_right():
    logits = torch.tensor([[0.0, 40.0], [0.0, 0.0]], requires_grad=True)
    batch = Batch(image=PICTURES[:2], label=torch.tensor([1, 1]), index=torch.arange(2))
    OBJECTIVES["focal"](gamma=0.5).criterion(Lesson())(logits, batch).backward()
    # Of sqrt(1 - p) (-log p), of two images: ((1 - p)^1.5 - sqrt(1 - p) p log(p) / 2) / 2.
    slope = (0.5**1.5 + math.sqrt(0.5) * 0.5 * math.log(2) / 2) / 2
    assert logits.grad[0].abs().max() < 1e-8
    assert logits.grad[1].tolist() == pytest.approx([slope, -slope], rel=1e-5)


def test_class_balanced_by_hand():
    task = Lesson()
    task.labels = np.array([0] * 12 + [1] * 36)
    number = [(1 - 0.9**12) / 0.1, (1 - 0.9**36) / 0.1]
    weight = np.array([1 / number[0], 1 / number[1]])
    weight *= 2 / weight.sum()
    each = functional.cross_entropy(LOGITS, LABELS, reduction="none").numpy()
    by_hand = (weight[LABELS.numpy()] * each).mean()
    assert loss_of("class_balanced", task, beta=0.9) == pytest.approx(by_hand, rel=1e-5)
    plain = float(functional.cross_entropy(LOGITS, LABELS))
    assert loss_of("class_balanced", task, beta=0) == pytest.approx(plain, rel=1e-6)


def test_the_worst_share_by_hand():
    losses = torch.tensor([4.0, 1.0, 5.0, 2.0, 3.0])
    assert float(worst_share(losses, 0.4)) == pytest.approx(4.5)
    assert float(worst_share(losses, 0.5)) == pytest.approx((5 + 4 + 0.5 * 3) / 2.5)
    assert float(worst_share(losses, 1.0)) == pytest.approx(3)


@pytest.mark.parametrize("rho", [0.1, 1.0, 3.0])
def test_the_worst_mixture_is_the_least_of_its_dual(rho):
    losses = torch.rand(16, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def dual(eta):
        above = np.clip(losses.numpy() - eta, 0, None)
        return np.sqrt((1 + 2 * rho) * np.mean(above**2)) + eta

    least = minimize_scalar(dual, bounds=(-20, 1), method="bounded", options={"xatol": 1e-10})
    assert float(worst_mixture(losses, rho)) == pytest.approx(least.fun, abs=1e-7)


def test_the_worst_mixture_stays_within_its_ball_and_ends_at_the_largest_loss():
    losses = torch.rand(16, dtype=torch.float64, requires_grad=True)
    worst_mixture(losses, 1.0).backward()
    share = losses.grad  # the gradient of the largest mean is the mixture itself
    assert float(share.sum()) == pytest.approx(1)
    assert float((16 * share - 1).square().mean() / 2) == pytest.approx(1, abs=1e-6)
    assert worst_mixture(losses, 100.0).item() == pytest.approx(losses.max().item())
    assert worst_mixture(losses, 0.0).item() == pytest.approx(losses.mean().item())
    same = torch.full((5,), 0.7)
    assert float(worst_mixture(same, 1.0)) == pytest.approx(0.7)


def test_the_shares_of_groups_by_hand():
    task = Lesson()
    criterion = WorstGroup(np.array([0, 1, 2, 2]), task, eta=0.5)
    batch = Batch(image=PICTURES, label=LABELS, index=torch.arange(4))
    each = functional.cross_entropy(LOGITS, LABELS, reduction="none").numpy()
    losses = np.array([each[0], each[1], each[2:].mean()])
    grown = np.exp(0.5 * losses) / 3
    by_hand = (grown / grown.sum() * losses).sum()
    assert float(criterion(LOGITS, batch)) == pytest.approx(by_hand, rel=1e-5)
    assert criterion.share.numpy() == pytest.approx(grown / grown.sum(), rel=1e-5)


def test_a_group_that_no_image_of_the_batch_has_keeps_its_size():
    criterion = WorstGroup(np.array([0, 0, 1, 1]), Lesson(), eta=1.0)
    batch = Batch(image=PICTURES[:2], label=LABELS[:2], index=torch.arange(2))
    loss = functional.cross_entropy(LOGITS[:2], LABELS[:2])
    criterion(LOGITS[:2], batch)
    by_hand = np.array([math.exp(float(loss)), 1.0])
    assert criterion.share.numpy() == pytest.approx(by_hand / by_hand.sum(), rel=1e-5)


def test_a_step_of_any_size_goes_to_the_worst_group():
    criterion = WorstGroup(np.array([0, 1, 2, 2]), Lesson(), eta=1e6)
    batch = Batch(image=PICTURES, label=LABELS, index=torch.arange(4))
    worst = functional.cross_entropy(LOGITS[2:], LABELS[2:])
    assert float(criterion(LOGITS, batch)) == pytest.approx(float(worst), rel=1e-6)
    assert criterion.share.tolist() == [0.0, 0.0, 1.0]


def test_images_without_a_group_are_refused():
    task = Lesson()
    task.groups_of = lambda split: np.array([0, -1, 1, 1])
    with pytest.raises(DataError, match="1 of 4 have none"):
        OBJECTIVES["group_dro"]().train(task)

"""Objectives that cluster what a plain model sees, and those that fit its last layer again."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from pydantic import ValidationError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_rand_score, silhouette_score
from test_objectives import LABELS, LOGITS, PICTURES, SIZE, Lesson, Small
from torch import nn
from torch.nn import functional

from debias.errors import ConfigError, DataError
from debias.models.classifiers import Classifier, ConvClassifier, ResNet18
from debias.training.batches import Batch
from debias.training.objectives import OBJECTIVES
from debias.training.objectives.clustering import within_classes
from debias.training.objectives.george import silhouette
from debias.training.objectives.last_layer import balanced, last_dense, refit
from debias.training.objectives.pseudo_attributes import ClusterWeights


def planted(sizes, seed=0):
    """Blobs on a circle of radius 9 in four dimensions; which blob each point is of."""
    noise = np.random.default_rng(seed)
    which = np.repeat(np.arange(len(sizes)), sizes)
    angle = 2 * np.pi * which / len(sizes)
    centre = 9 * np.stack([np.cos(angle), np.sin(angle), 0 * angle, 0 * angle], 1)
    return (centre + noise.normal(0, 0.5, (len(which), 4))).astype(np.float32), which


def test_planted_clusters_are_found_and_numbered_within_classes():
    points, which = planted([60, 30, 10, 45, 15])
    labels = (which > 2).astype(np.int64)
    for find in (
        lambda one: OBJECTIVES["george"]().clusters(one, np.random.default_rng(0)),
        lambda one: OBJECTIVES["pseudo_attributes"](clusters=3).directions(one, 0),
    ):
        found = within_classes(points, labels, find)
        assert adjusted_rand_score(which[labels == 0], found[labels == 0]) == 1
        assert not set(found[labels == 0]) & set(found[labels == 1])
        assert set(found) == set(range(len(set(found))))
    found = within_classes(points, labels, lambda one: OBJECTIVES["george"]().clusters(
        one, np.random.default_rng(0)))  # fmt: skip
    assert adjusted_rand_score(which, found) == 1  # the number is found, too


def test_the_silhouette_of_clusters_counts_small_ones_alike():
    points, which = planted([20, 20])
    assert silhouette(points, which) == pytest.approx(silhouette_score(points, which), rel=1e-6)
    assert silhouette(points, 0 * which) == -1
    line = np.array([[0.0], [1.0], [10.0]])  # 0: 1 - 1/10, 1: 1 - 1/9, alone: 0
    by_hand = ((1 - 1 / 10 + 1 - 1 / 9) / 2 + 0) / 2
    assert silhouette(line, np.array([0, 0, 1])) == pytest.approx(by_hand)


def test_the_weights_of_clusters_by_hand():
    clusters = np.array([0, 0, 0, 1])
    criterion = ClusterWeights(clusters, Lesson(), momentum=0.25)
    each = functional.cross_entropy(LOGITS, LABELS, reduction="none").double().numpy()

    def step(rows):
        logits, labels = LOGITS[rows], LABELS[rows]
        batch = Batch(image=PICTURES[rows], label=labels, index=torch.tensor(rows))
        return float(criterion(logits, batch))

    wanted = np.array([1 / 3, 1 / 3, 1])  # nobody has been seen: sizes alone
    weight = 0.75 + 0.25 * wanted / wanted.mean()
    assert weight.mean() == pytest.approx(1)
    assert step([0, 1, 3]) == pytest.approx((weight * each[[0, 1, 3]]).mean(), rel=1e-5)
    small, large = each[[0, 1]].mean() / 3, each[3]  # the loss of row 2 is not known yet
    wanted = np.array([small, large])
    second = 0.75 * np.array([1, weight[2]]) + 0.25 * wanted / wanted.mean()
    second /= second.mean()
    assert step([2, 3]) == pytest.approx((second * each[[2, 3]]).mean(), rel=1e-5)
    assert criterion.weights == pytest.approx([weight[0], weight[1], *second], rel=1e-5)
    assert criterion.of_clusters() == pytest.approx([each[:3].mean() / 3, each[3]], rel=1e-5)


def test_the_balanced_draw_has_equally_many_of_every_cell_and_no_image_twice():
    cells = np.array([0] * 20 + [2] * 5 + [3] * 9)
    rows = balanced(cells, 5, np.random.default_rng(0))
    assert np.bincount(cells[rows]).tolist() == [5, 0, 5, 5]
    assert len(set(rows)) == 15


@pytest.mark.parametrize("classes", [2, 3])
def test_the_last_layer_is_the_logistic_regression(classes):
    points, which = planted([20] * classes)
    points[:, 3] = 7  # says nothing, and has no spread
    layer = OBJECTIVES["last_layer"](refits=1, inverse_penalties=[0.1]).fit_layer(
        points.astype(np.float64), which, which, np.random.default_rng(0)
    )
    network = Small(classes)
    refit(network, *layer)
    scaled = (points - points.mean(0)) / np.where(points.std(0) > 1e-6, points.std(0), 1)
    oracle = LogisticRegression(C=0.1, max_iter=1000).fit(scaled, which)
    with torch.no_grad():
        found = torch.softmax(network.head(torch.from_numpy(points)).double(), 1).numpy()
    assert found == pytest.approx(oracle.predict_proba(scaled), abs=1e-5)


def test_the_penalty_is_the_one_that_serves_the_worst_cell_best():
    noise = np.random.default_rng(0)
    which, shared = np.arange(200) % 2, noise.normal(0, 10, 200)
    points = np.stack([which + shared, shared], 1)  # the difference tells; either alone does not

    def chosen(*inverse):
        objective = OBJECTIVES["last_layer"](inverse_penalties=inverse)
        return objective._chosen(points, which, which, np.random.default_rng(1))

    assert chosen(1e-6, 1e6) == 1e6
    assert chosen(1e6, 1e-6) == 1e6
    assert chosen(1e6, 1e7) == 1e6  # of equals, the first


def test_images_of_unknown_groups_take_no_part_in_dfr():
    cells = OBJECTIVES["dfr"]().cells(Lesson(uses="selection", unknown=(0, 5)))
    assert np.flatnonzero(cells < 0).tolist() == [0, 5]
    assert np.bincount(cells[cells >= 0]).tolist() == [18, 5, 17, 6]
    task = Lesson(uses="selection")
    task.attributes_of = lambda split: pd.DataFrame(index=range(SIZE))  # the label alone
    task.groups_of = task.labels_of
    assert np.array_equal(OBJECTIVES["dfr"]().cells(task), task.labels)


def refused(name, task, **settings):
    with pytest.raises(DataError) as error:
        OBJECTIVES[name](**settings).train(task)
    assert not task.fits  # before anything is trained
    return str(error.value)


def test_what_the_data_do_not_hold_is_said_before_anything_is_trained():
    task = Lesson()
    said = refused("george", task, most=24)
    assert "24 clusters" in said
    assert "takes 25, and class 0 has 24: set most" in said
    with pytest.raises(ValidationError, match="less than 2000"):  # images that are looked at
        OBJECTIVES["george"](most=2000)
    assert "class 0 has 24: set clusters" in refused("pseudo_attributes", task, clusters=25)
    task.labels = np.zeros(SIZE, np.int64)
    assert "of class 1 there are 0, where 2" in refused("last_layer", task)
    assert "of class 1 there are 0, where 2" in refused("dfr", task)
    task = Lesson()
    task.minority = task.labels == 1
    said = refused("dfr", task)
    assert (
        "images of the validation split, equally many of every cell, and of class 1 with hat:no"
        in said
    )
    assert "selection.validation_fraction" in said
    said = refused("dfr_train", task)
    assert (
        "images of the train split, equally many of every cell, and of class 1 with hat:no" in said
    )
    assert "selection.validation_fraction" not in said
    assert "annotated (hat), and none of 48 is one" in refused(
        "dfr", Lesson(unknown=tuple(range(SIZE)))
    )


def test_a_network_without_a_dense_layer_at_its_end_is_refused():
    task = Lesson()
    task.network = lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 2), nn.Softmax(1))
    with pytest.raises(ConfigError, match=r"must be a torch.nn.Linear .* is Softmax"):
        OBJECTIVES["last_layer"]().train(task)
    task.network = lambda: nn.Sequential(nn.Flatten(), nn.Linear(192, 2, bias=False))
    with pytest.raises(ConfigError, match="with a bias"):
        OBJECTIVES["dfr"]().train(task)
    assert not task.fits


class Odd(nn.Module):
    """Layers of which the one defined last is not the one used last."""

    def __init__(self, is_odd):
        super().__init__()
        self.head, self.body = nn.Linear(4, 2), nn.Linear(192, 4)
        if not is_odd:
            self.head = self.__dict__["_modules"].pop("head")
            self.add_module("head", self.head)

    def forward(self, images):
        return self.head(torch.relu(self.body(images.flatten(1))))


@pytest.mark.parametrize("network", [ConvClassifier().build(3), ResNet18().build(3)])
def test_the_last_layer_makes_logits_of_the_features(network):
    images = torch.rand(2, 3, 32, 32)
    with torch.inference_mode():
        network.eval()
        dense = last_dense(network, "dfr")
        assert torch.equal(dense(network.features(images)), network(images))


def test_features_of_a_network_of_ones_own_are_what_its_last_layer_is_given():
    images, network = torch.rand(2, 3, 8, 8), Classifier(Odd(is_odd=False))
    hidden = torch.relu(network.network.body(((images - 0.5) / 0.25).flatten(1)))
    assert torch.equal(network.features(images), hidden)
    with pytest.raises(ConfigError, match="its last layer, does not give the logits"):
        Classifier(Odd(is_odd=True)).features(images)


def test_the_page_about_mitigations_says_of_every_objective_what_it_reads_and_trains():
    page = (Path(__file__).parents[2] / "docs" / "mitigations.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \|.*\| (\w+) \| ([\d.]+)[^|]*\| [^|]*\|$", page, re.MULTILINE)
    listed = {name: (labels, float(trainings)) for name, labels, trainings in rows}
    for name, cls in OBJECTIVES.own.items():
        assert listed[name] == (cls.uses_groups, cls().fitted(100) / 100), name

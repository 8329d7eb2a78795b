"""A plain model whose last layer is fitted again, on evenly drawn images that it has not seen.

``m`` images of a split, ``d`` features, ``cells`` that are drawn evenly: classes, or groups.
"""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float64, Int64
from pydantic import Field
from torch import nn

from debias.errors import ConfigError, DataError
from debias.training.objectives.objective import Objective, Split, Supervised, Task

FEWEST = 2  # images of a cell: one to fit on, one to choose the penalty by
MORE = {"train": "", "validation": ", raise selection.validation_fraction"}
Layer = tuple[Float64[np.ndarray, "classes d"], Float64[np.ndarray, " classes"]]
Points = Float64[np.ndarray, "m d"]
Cells = Int64[np.ndarray, " m"]


class LastLayer(Objective):
    """Plain training, then a last layer by logistic regression on class-balanced held-out images.

    The validation images are drawn so that every class has equally many, ``refits`` times, and the
    mean of the logistic regressions on features of mean 0 and standard deviation 1 becomes the last
    layer. The penalty is the one with the best accuracy on the worst class when half of the
    smallest class, and as many of the others, are fitted on and the rest is looked at.

    Reference:
        LaBonte, Muthukumar, Kumar 2023, Towards Last-Layer Retraining for Group Robustness with
        Fewer Annotations (class-balanced retraining). Deviations: logistic regression and mean of
        refits as in :class:`debias.training.objectives.dfr.DFR`, not stochastic descent.
    """

    split: ClassVar[Split] = "validation"

    name: Literal["last_layer"] = "last_layer"
    inverse_penalties: tuple[Annotated[float, Field(gt=0)], ...] = Field(
        default=(0.01, 0.03, 0.07, 0.1, 0.3, 0.7, 1.0),
        min_length=1,
        description="Inverse strengths C of the L2 penalty to choose from.",
    )
    refits: int = Field(default=10, ge=1, description="Logistic regressions averaged.")

    def cells(self, task: Task) -> Cells:
        """What is drawn evenly; -1 for images left out.

        Raises:
            DataError: Some class has too few images.
        """
        labels = task.labels_of(self.split)
        count = np.bincount(labels, minlength=task.classes)
        require_cells(self, {f"class {label}": int(size) for label, size in enumerate(count)})
        return labels

    def train(self, task: Task) -> nn.Module:
        """See :meth:`Objective.train`; a DataError where a cell has too few images."""
        cells, network = self.cells(task), task.network()
        last_dense(network, self.name)
        network = task.fit(Supervised(network))
        features = task.features(network, self.split).astype(np.float64)
        used = np.flatnonzero(cells >= 0)
        labels, noise = task.labels_of(self.split)[used], task.generator("refits")
        refit(network, *self.fit_layer(features[used], labels, cells[used], noise))
        return network

    def fit_layer(
        self, features: Points, labels: Cells, cells: Cells, noise: np.random.Generator
    ) -> Layer:
        """Weight and bias for the features as they are."""
        from sklearn.preprocessing import StandardScaler  # seconds that others do not need

        scaler = StandardScaler().fit(features)
        points = scaler.transform(features)
        chosen = self._chosen(points, labels, cells, noise)
        drawn = [balanced(cells, smallest(cells), noise) for _ in range(self.refits)]
        layers = [logistic(points[rows], labels[rows], chosen) for rows in drawn]
        weight, bias = (np.mean(parts, axis=0) for parts in zip(*layers, strict=True))
        weight = weight / scaler.scale_
        return weight, bias - weight @ scaler.mean_

    def _chosen(
        self, points: Points, labels: Cells, cells: Cells, noise: np.random.Generator
    ) -> float:
        """The inverse penalty with the best accuracy on the worst cell; of equals, the first."""
        if len(self.inverse_penalties) == 1:
            return self.inverse_penalties[0]
        rows = balanced(cells, smallest(cells) // 2, noise)
        rest = np.setdiff1d(np.arange(len(cells)), rows)

        def worst(inverse: float) -> float:
            weight, bias = logistic(points[rows], labels[rows], inverse)
            right = (points[rest] @ weight.T + bias).argmax(1) == labels[rest]
            return min(float(right[cells[rest] == cell].mean()) for cell in np.unique(cells))

        return max(self.inverse_penalties, key=worst)


def require_cells(objective: LastLayer, sizes: Mapping[str, int], otherwise: str = "") -> None:
    """A DataError where a cell has too few images; ``otherwise`` says what else can be done."""
    name = min(sizes, key=lambda cell: sizes[cell])
    if sizes[name] < FEWEST:
        raise DataError(
            f"{objective.name} fits the last layer on images of the {objective.split} split, "
            f"equally many of every cell, and of {name} there are {sizes[name]}, where {FEWEST} "
            f"are needed: give more images of it{MORE[objective.split]}{otherwise}"
        )


def smallest(cells: Cells) -> int:
    """Images of the smallest cell."""
    return int(np.unique(cells, return_counts=True)[1].min())


def balanced(cells: Cells, each: int, noise: np.random.Generator) -> Int64[np.ndarray, " b"]:
    """Rows drawn without replacement, ``each`` of every cell."""
    drawn = [
        noise.choice(np.flatnonzero(cells == cell), each, replace=False)
        for cell in np.unique(cells)
    ]
    return np.concatenate(drawn)


def logistic(points: Points, labels: Cells, inverse: float) -> Layer:
    """Logistic regression with an L2 penalty as a layer of one logit a class."""
    from sklearn.linear_model import LogisticRegression

    found = LogisticRegression(C=inverse, max_iter=1000).fit(points, labels)
    weight, bias = found.coef_, found.intercept_
    if len(weight) == 1:  # log-odds of the second of two classes
        weight, bias = np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2
    return weight, bias


def last_dense(network: nn.Module, name: str) -> nn.Linear:
    """The layer that gives the logits; a ConfigError if that is no dense one with a bias."""
    *_, last = network.modules()
    if not isinstance(last, nn.Linear) or last.bias is None:
        raise ConfigError(
            f"{name} fits the last layer of a classifier again, which must be a torch.nn.Linear "
            f"with a bias, and the last of this network is {last}: end the network with one, or "
            "choose another objective"
        )
    return last


def refit(
    network: nn.Module,
    weight: Float64[np.ndarray, "classes d"],
    bias: Float64[np.ndarray, " classes"],
) -> None:
    """Write a layer in place of the last of a network; a ConfigError as in :func:`last_dense`."""
    dense = last_dense(network, "refit")
    with torch.no_grad():
        dense.weight.copy_(torch.as_tensor(weight))
        dense.bias.copy_(torch.as_tensor(bias))

"""Clusters of what a plain model sees, within each class.

``n`` training images, ``d`` features.
"""

from collections.abc import Callable

import numpy as np
from jaxtyping import Float, Int64

from debias.errors import DataError
from debias.training.objectives.objective import Supervised, Task

Points = Float[np.ndarray, "m d"]
Find = Callable[[Points], Int64[np.ndarray, " m"]]  # images of one class to their clusters


def require_images(task: Task, name: str, setting: str, wanted: int, needed: int) -> None:
    """A DataError where a class has fewer than ``needed`` images for ``wanted`` clusters."""
    count = np.bincount(task.labels_of("train"), minlength=task.classes)
    few = int(count.argmin())
    if count[few] < needed:
        raise DataError(
            f"{name} looks for {wanted} clusters among the training images of every class, which "
            f"takes {needed:,}, and class {few} has {count[few]:,}: set {setting} of the objective "
            "to fewer, or use one without clusters (cvar_dro, jtt)"
        )


def plain_features(task: Task) -> Float[np.ndarray, "n d"]:
    """Train a plain model; what its last layer decides by, of every training image."""
    return task.features(task.fit(Supervised(task.network())))


def within_classes(
    points: Float[np.ndarray, "n d"], labels: Int64[np.ndarray, " n"], find: Find
) -> Int64[np.ndarray, " n"]:
    """Clusters of every class in turn, numbered from 0 without a gap."""
    found, above = np.empty(len(labels), np.int64), 0
    for label in np.unique(labels):
        rows = np.flatnonzero(labels == label)
        names, numbers = np.unique(find(points[rows]), return_inverse=True)
        found[rows] = above + numbers
        above += len(names)
    return found

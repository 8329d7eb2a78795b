"""Counts -> rates. Every rate is a numerator over a denominator, both read from a 2 x 2 table.

``n`` samples, ``g`` cells. Class 1 is the positive class.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64


def confusion(
    y_true: Int64[np.ndarray, " n"],
    y_pred: Int64[np.ndarray, " n"],
    codes: Int64[np.ndarray, " n"],
    n_cells: int,
) -> Int64[np.ndarray, "g 2 2"]:
    """Count the samples of every cell by true and predicted class.

    Args:
        y_true: (n,) in {0, 1}.
        y_pred: (n,) in {0, 1}.
        codes: (n,) cell of each sample, in [0, n_cells).
        n_cells: How many cells there are, the empty ones included.

    Returns:
        (g, 2, 2), indexed [cell, true class, predicted class].
    """
    flat = (codes * 2 + y_true) * 2 + y_pred
    return np.bincount(flat, minlength=4 * n_cells).reshape(n_cells, 2, 2).astype(np.int64)


def ratio(
    numerator: Int64[np.ndarray, "*cells"], denominator: Int64[np.ndarray, "*cells"]
) -> Float64[np.ndarray, "*cells"]:
    """Divide; NaN, never 0, where the denominator is 0."""
    undefined = np.full(numerator.shape, np.nan)
    return np.divide(numerator, denominator, out=undefined, where=denominator > 0)


@dataclass(frozen=True, kw_only=True)
class Rate:
    """One rate.

    Attributes:
        numerator: (g, 2, 2) table -> (g,) counts.
        denominator: (g, 2, 2) table -> (g,) counts.
        counted: What the denominator counts, as printed when there is none of it.
    """

    numerator: Callable[[Int64[np.ndarray, "g 2 2"]], Int64[np.ndarray, " g"]]
    denominator: Callable[[Int64[np.ndarray, "g 2 2"]], Int64[np.ndarray, " g"]]
    counted: str


def _correct(table: Int64[np.ndarray, "g 2 2"]) -> Int64[np.ndarray, " g"]:
    return table[:, 0, 0] + table[:, 1, 1]


def _images(table: Int64[np.ndarray, "g 2 2"]) -> Int64[np.ndarray, " g"]:
    return table.sum(axis=(1, 2))


def _positives(table: Int64[np.ndarray, "g 2 2"]) -> Int64[np.ndarray, " g"]:
    return table[:, 1].sum(axis=1)


def _negatives(table: Int64[np.ndarray, "g 2 2"]) -> Int64[np.ndarray, " g"]:
    return table[:, 0].sum(axis=1)


def _true_positives(table: Int64[np.ndarray, "g 2 2"]) -> Int64[np.ndarray, " g"]:
    return table[:, 1, 1]


def _false_positives(table: Int64[np.ndarray, "g 2 2"]) -> Int64[np.ndarray, " g"]:
    return table[:, 0, 1]


def _selected(table: Int64[np.ndarray, "g 2 2"]) -> Int64[np.ndarray, " g"]:
    return table[:, :, 1].sum(axis=1)


RATES = {
    "accuracy": Rate(numerator=_correct, denominator=_images, counted="images"),
    "true_positive_rate": Rate(
        numerator=_true_positives, denominator=_positives, counted="positives"
    ),
    "false_positive_rate": Rate(
        numerator=_false_positives, denominator=_negatives, counted="negatives"
    ),
    "selection_rate": Rate(numerator=_selected, denominator=_images, counted="images"),
}

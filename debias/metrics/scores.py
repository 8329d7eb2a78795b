"""What lies behind the rates: which classes are mixed up, how scores lie, rank and are calibrated.

All tables take the cells that may be shown; the others leave no row. Scores of several trainings
enter by their mean for each image.

``n`` images, ``g`` cells, ``c`` classes, ``r`` runs of equal values, ``b`` bins.
"""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64

from debias.metrics.cells import confusion_of
from debias.metrics.outcomes import Outcomes
from debias.statistics.areas import area_under_curve
from debias.statistics.groupings import Grouping
from debias.statistics.intervals import clopper_pearson

# Fewer images draw a curve of noise.
FEWEST = 30
MOST_BINS = 10
CALIBRATION_BINS = 15
QUALITIES = ("auroc", "expected_calibration_error", "calibration_bias")
QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}


def confusion_table(
    outcomes: Outcomes, grouping: Grouping, shown: Bool[np.ndarray, " g"]
) -> pd.DataFrame:
    """Images by true and predicted class in every cell, as a mean over trainings.

    Args:
        outcomes: Predictions of one classifier.
        grouping: One of its groupings.
        shown: (g,) cells of which nothing is withheld.

    Returns:
        One row for each cell and pair of classes, counts of 0 included. Columns attribute, group,
        true, predicted, count.
    """
    c, names = len(outcomes.classes), np.array(outcomes.classes, dtype=object)
    columns = {
        "group": np.repeat(_names(grouping)[shown], c * c),
        "true": np.tile(np.repeat(names, c), shown.sum()),
        "predicted": np.tile(names, c * shown.sum()),
        "count": confusion_of(outcomes, grouping)[shown].ravel(),
    }
    return _of(grouping, columns)


def calibration_table(
    outcomes: Outcomes,
    grouping: Grouping,
    shown: Bool[np.ndarray, " g"],
    level: float = 0.95,
) -> pd.DataFrame:
    """Share of positives among images of similar score, in bins of equal counts.

    A cell of m images has min(10, m // 30) bins, so none with fewer than 30; below 30 images it
    has no row. Images of one score that meet a boundary are shared out in the mix of classes that
    this score has, because their order says nothing.

    Args:
        outcomes: Predictions of one classifier.
        grouping: One of its groupings.
        shown: (g,) cells of which nothing is withheld.
        level: Of the interval, in (0, 1).

    Returns:
        One row for each bin, cells in order and scores ascending; none without scores or with more
        than two classes. Columns attribute, group, n (images), mean_score, observed (share of
        positives), low and high (Clopper-Pearson). One person's images have one class, so with
        identities the interval rests on (sum m)^2 / sum m^2 independent images, for m images of
        each person in the bin.
    """
    kept = _shown_images(outcomes, grouping, shown, smallest=FEWEST)
    score, positive = _score(outcomes)[kept], _is_positive(outcomes)[kept]
    order = np.lexsort([score, grouping.codes[kept]])
    images, codes = kept[order], grouping.codes[kept][order]
    score, positive = score[order], positive[order]
    positive = _evened(codes, score, positive)
    first, size = _place(codes)
    count = np.minimum(MOST_BINS, size // FEWEST)
    place = (np.arange(len(codes)) - first) * count // size
    starts = np.flatnonzero(_changes(codes, place))
    n = np.diff(np.append(starts, len(codes)))
    subjects = None if outcomes.subjects is None else outcomes.subjects[images]
    worth = _independent(np.repeat(np.arange(len(n)), n), n, subjects)
    observed = _sums(positive, starts) / n
    low, high = clopper_pearson(np.minimum(observed, 1) * worth, worth, level)
    columns = {
        "group": _names(grouping)[codes[starts]],
        "n": n,
        "mean_score": _sums(score, starts) / n,
        "observed": observed,
        "low": low,
        "high": high,
    }
    return _of(grouping, columns)


def score_table(
    outcomes: Outcomes, grouping: Grouping, shown: Bool[np.ndarray, " g"]
) -> pd.DataFrame:
    """Quantiles of the positive class's probability, by cell and true class.

    Args:
        outcomes: Predictions of one classifier.
        grouping: One of its groupings.
        shown: (g,) cells of which nothing is withheld.

    Returns:
        One row for each cell and true class with at least 30 images; none without scores or with
        more than two classes. Columns attribute, group, true, n, q05, q25, median, q75, q95
        (linear between order statistics).
    """
    kept = _shown_images(outcomes, grouping, shown)
    key = grouping.codes[kept] * len(outcomes.classes) + outcomes.y_true[kept]
    score = _score(outcomes)[kept]
    order = np.lexsort([score, key])
    key, score = key[order], score[order]
    starts = np.flatnonzero(_changes(key))
    n = np.diff(np.append(starts, len(key)))
    starts, n = starts[n >= FEWEST], n[n >= FEWEST]
    cell, true = np.divmod(key[starts], len(outcomes.classes))
    columns = {
        "group": _names(grouping)[cell],
        "true": np.array(outcomes.classes, dtype=object)[true],
        "n": n,
        **{name: _quantile(score, starts, n, q) for name, q in QUANTILES.items()},
    }
    return _of(grouping, columns)


def _of(grouping: Grouping, columns: dict[str, np.ndarray]) -> pd.DataFrame:
    table = pd.DataFrame(columns)
    table.insert(0, "attribute", grouping.attribute)
    return table


def _names(grouping: Grouping) -> np.ndarray:
    return np.array(grouping.cells, dtype=object)


def _shown_images(
    outcomes: Outcomes, grouping: Grouping, shown: Bool[np.ndarray, " g"], smallest: int = 0
) -> Int64[np.ndarray, " n"]:
    """Images of the shown cells of at least this size; none where scores mean nothing."""
    if outcomes.score is None or outcomes.positive is None:
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero((shown & (grouping.sizes >= smallest))[grouping.codes])


def _score(outcomes: Outcomes) -> Float64[np.ndarray, " n"]:
    """Mean probability of the positive class over trainings."""
    if outcomes.score is None or outcomes.positive is None:
        return np.zeros(0)
    return outcomes.score[:, :, outcomes.classes.index(outcomes.positive)].mean(axis=0)


def _is_positive(outcomes: Outcomes) -> Float64[np.ndarray, " n"]:
    if outcomes.positive is None:
        return np.zeros(0)
    return (outcomes.y_true == outcomes.classes.index(outcomes.positive)).astype(np.float64)


def _changes(*columns: np.ndarray) -> Bool[np.ndarray, " n"]:
    """Where a run of equal rows begins."""
    found = np.zeros(len(columns[0]), dtype=bool)
    for column in columns:
        found[1:] |= column[1:] != column[:-1]
    found[:1] = True
    return found


def _sums(values: Float64[np.ndarray, " n"], starts: Int64[np.ndarray, " r"]) -> np.ndarray:
    return np.add.reduceat(values, starts) if len(starts) else np.zeros(0)


def _place(codes: Int64[np.ndarray, " n"]) -> tuple[np.ndarray, np.ndarray]:
    """Where each image's cell begins among the sorted ones, and its size."""
    first = np.searchsorted(codes, codes, side="left")
    return first, np.searchsorted(codes, codes, side="right") - first


def _evened(
    codes: Int64[np.ndarray, " n"],
    score: Float64[np.ndarray, " n"],
    positive: Float64[np.ndarray, " n"],
) -> Float64[np.ndarray, " n"]:
    """Give images of one cell and score the mean of their classes."""
    change = _changes(codes, score)
    starts = np.flatnonzero(change)
    size = np.diff(np.append(starts, len(codes)))
    return np.repeat(_sums(positive, starts) / size, size)


def _independent(
    place: Int64[np.ndarray, " n"],
    n: Int64[np.ndarray, " b"],
    subjects: Int64[np.ndarray, " n"] | None,
) -> Float64[np.ndarray, " b"]:
    """Independent images in each bin when all images of a person are alike."""
    if subjects is None:
        return n.astype(np.float64)
    people = subjects.max(initial=0) + 1
    pairs, images = np.unique(place * people + subjects, return_counts=True)
    return n**2 / np.bincount(pairs // people, weights=images**2, minlength=len(n))


def _quantile(
    ascending: Float64[np.ndarray, " n"],
    starts: Int64[np.ndarray, " r"],
    n: Int64[np.ndarray, " r"],
    q: float,
) -> Float64[np.ndarray, " r"]:
    position = starts + q * (n - 1)
    below = np.floor(position).astype(np.int64)
    above = np.minimum(below + 1, starts + n - 1)
    return ascending[below] + (position - below) * (ascending[above] - ascending[below])


def quality(outcomes: Outcomes, which: Bool[np.ndarray, " n"] | None = None) -> dict[str, float]:
    """Means over trainings; NaN where there is no score, or a single class.

    Args:
        outcomes: Predictions of one classifier.
        which: (n,) images to look at; None for all.

    Returns:
        ``auroc`` (two classes only), ``expected_calibration_error`` of the predicted class, and
        ``calibration_bias``, the share of positives minus the mean score (two classes only):
        positive where the scores are too low.
    """
    if outcomes.score is None:
        return dict.fromkeys(QUALITIES, float("nan"))
    rows = slice(None) if which is None else np.flatnonzero(which)
    y_true = outcomes.y_true[rows]
    if not len(y_true):
        return dict.fromkeys(QUALITIES, float("nan"))
    found = [
        _of_one(outcomes, y_true, y_pred[rows], score[rows])
        for y_pred, score in zip(outcomes.y_pred, outcomes.score, strict=True)
    ]
    return {name: float(np.mean([one[name] for one in found])) for name in QUALITIES}


def _of_one(
    outcomes: Outcomes, y_true: np.ndarray, y_pred: np.ndarray, score: np.ndarray
) -> dict[str, float]:
    confidence = np.take_along_axis(score, y_pred[:, None], axis=1)[:, 0]
    found = {"expected_calibration_error": calibration_error(y_true == y_pred, confidence)}
    if outcomes.positive is None:
        return found | {"auroc": float("nan"), "calibration_bias": float("nan")}
    column = outcomes.classes.index(outcomes.positive)
    positive = y_true == column
    area = area_under_curve(score[positive, column], score[~positive, column]).value
    bias = float(positive.mean() - score[:, column].mean())
    return found | {"auroc": area, "calibration_bias": bias}


def calibration_error(
    correct: Bool[np.ndarray, " n"],
    confidence: Float64[np.ndarray, " n"],
    bins: int = CALIBRATION_BINS,
) -> float:
    """Mean distance between confidence and accuracy over bins, weighted by samples per bin.

    The bins divide [0, 1] equally, each closed on the right, the first on both sides.

    Args:
        correct: (n,) whether the predicted class is the true one.
        confidence: (n,) probability given to the predicted class, in [0, 1].
        bins: Number of bins.

    Returns:
        In [0, 1]; the sum over bins of ``|correct - summed confidence| / n``.

    Reference:
        Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3.
    """
    index = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    excess = np.bincount(index, weights=correct - confidence, minlength=bins)
    return float(np.abs(excess).sum() / len(confidence))

"""What lies behind the rates: which classes are mixed up, how scores lie, rank and are calibrated.

All tables take the cells that may be shown; the others leave no row. Scores of several trainings
enter by their mean for each image.

``n`` images, ``g`` cells, ``c`` classes, ``r`` runs of equal values, ``b`` bins.
"""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64, Real
from scipy.special import ndtri

from debias.metrics.gaps import confusion_of
from debias.metrics.outcomes import Outcomes
from debias.statistics.areas import area_under_curve
from debias.statistics.groupings import Grouping
from debias.statistics.intervals import clopper_pearson
from debias.storage.documents import plain

Which = Bool[np.ndarray, " g"]
PerImage = Float64[np.ndarray, " n"]
Codes = Int64[np.ndarray, " n"]

# Fewer images draw a curve of noise.
FEWEST = 30
MOST_BINS = 10
CALIBRATION_BINS = 15
QUALITIES = ("auroc", "expected_calibration_error", "calibration_bias")
QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}


def confusion_table(outcomes: Outcomes, grouping: Grouping, shown: Which) -> pd.DataFrame:
    """Images by true and predicted class in every cell, as a mean over trainings.

    Returns:
        ``attribute, group, true, predicted, count``; counts of 0 included.
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
    outcomes: Outcomes, grouping: Grouping, shown: Which, level: float = 0.95
) -> pd.DataFrame:
    """Share of positives among images of similar score, in bins of equal counts.

    A cell of m images has min(10, m // 30) bins, so none with fewer than 30; below 30 images it
    has no row. Images of one score that meet a boundary are shared out in the mix of classes that
    this score has, because their order says nothing.

    Returns:
        ``attribute, group, n, mean_score, observed`` (share of positives), ``low, high``
        (Clopper-Pearson), one row a bin, scores ascending; none without scores or with more than
        two classes. One person's images have one class, so with identities the interval rests on
        (sum m)^2 / sum m^2 independent images, for m images of each person in the bin.
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


def score_table(outcomes: Outcomes, grouping: Grouping, shown: Which) -> pd.DataFrame:
    """Quantiles of the positive class's probability, by cell and true class.

    Returns:
        ``attribute, group, true, n, q05, q25, median, q75, q95`` (linear between order statistics),
        where there are at least 30 images; none without scores or with more than two classes.
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


def _shown_images(outcomes: Outcomes, grouping: Grouping, shown: Which, smallest: int = 0) -> Codes:
    """Images of the shown cells of at least this size; none where scores mean nothing."""
    if outcomes.score is None or outcomes.positive is None:
        return np.zeros(0, dtype=np.int64)
    return np.flatnonzero((shown & (grouping.sizes >= smallest))[grouping.codes])


def _score(outcomes: Outcomes) -> PerImage:
    """Mean probability of the positive class over trainings."""
    if outcomes.score is None or outcomes.positive is None:
        return np.zeros(0)
    return outcomes.score[:, :, outcomes.classes.index(outcomes.positive)].mean(axis=0)


def _is_positive(outcomes: Outcomes) -> PerImage:
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


def _sums(values: PerImage, starts: Int64[np.ndarray, " r"]) -> np.ndarray:
    return np.add.reduceat(values, starts) if len(starts) else np.zeros(0)


def _place(codes: Codes) -> tuple[np.ndarray, np.ndarray]:
    """Where each image's cell begins among the sorted ones, and its size."""
    first = np.searchsorted(codes, codes, side="left")
    return first, np.searchsorted(codes, codes, side="right") - first


def _evened(codes: Codes, score: PerImage, positive: PerImage) -> PerImage:
    """Give images of one cell and score the mean of their classes."""
    change = _changes(codes, score)
    starts = np.flatnonzero(change)
    size = np.diff(np.append(starts, len(codes)))
    return np.repeat(_sums(positive, starts) / size, size)


def _independent(
    place: Codes, n: Int64[np.ndarray, " b"], subjects: Codes | None
) -> Float64[np.ndarray, " b"]:
    """Independent images in each bin when all images of a person are alike."""
    if subjects is None:
        return n.astype(np.float64)
    people = subjects.max(initial=0) + 1
    pairs, images = np.unique(place * people + subjects, return_counts=True)
    return n**2 / np.bincount(pairs // people, weights=images**2, minlength=len(n))


def _quantile(
    ascending: PerImage, starts: Int64[np.ndarray, " r"], n: Int64[np.ndarray, " r"], q: float
) -> Float64[np.ndarray, " r"]:
    position = starts + q * (n - 1)
    below = np.floor(position).astype(np.int64)
    above = np.minimum(below + 1, starts + n - 1)
    return ascending[below] + (position - below) * (ascending[above] - ascending[below])


def quality(outcomes: Outcomes, which: Bool[np.ndarray, " n"] | None = None) -> dict[str, float]:
    """Means over trainings, of all images or of some; NaN without a score, or of a single class.

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
    correct: Bool[np.ndarray, " n"], confidence: PerImage, bins: int = CALIBRATION_BINS
) -> float:
    """Mean distance between confidence and accuracy over bins, weighted by samples per bin.

    The bins divide [0, 1] equally, each closed on the right, the first on both sides.

    Confidence is the probability given to the predicted class, in [0, 1]; the error is the sum
    over bins of ``|correct - summed confidence| / n``.

    Reference:
        Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3.
    """
    index = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    excess = np.bincount(index, weights=correct - confidence, minlength=bins)
    return float(np.abs(excess).sum() / len(confidence))


@dataclass(frozen=True, kw_only=True)
class Skill:
    """How far one classifier is above guessing, over its trainings.

    A training is at chance unless two intervals lie above 0.5: that of the area under the curve of
    its scores, and that of its answers, which is the mean of the shares of both classes that are
    answered rightly. On two even classes the latter says that more answers are right than by
    always naming one class; on uneven ones it does not take a rare class for a failure.

    Attributes:
        at_chance: How many of the ``trainings`` are no better than guessing.
        accuracy: Share of answers that are right, mean over trainings, in [0, 1], with its limits
            ``low`` and ``high`` for other images.
        guess: The most common class among these ``n`` images.
        guessed: Share of answers that are right when it is always named.
        auroc: Area under the curve of the scores, mean over trainings, with the means of its
            limits; NaN without scores.
    """

    n: int
    trainings: int
    at_chance: int
    accuracy: float
    low: float
    high: float
    guess: str
    guessed: float
    auroc: float
    auroc_low: float
    auroc_high: float

    @property
    def learned(self) -> bool:
        """Whether at least half of the trainings are better than guessing."""
        return 2 * self.at_chance <= self.trainings

    def sentence(self, name: str) -> str:
        """What was not learned, in plain English; empty where every training is above chance."""
        if not self.at_chance:
            return ""
        where = f"{self.at_chance} of {self.trainings} training{'s' * (self.trainings > 1)}"
        if self.learned:
            return f"{name}: in {where} no better than guessing; every mean holds these, too."
        scores = (
            f"; the area under the curve of its scores is {self.auroc:.2f} "
            f"[{self.auroc_low:.2f} to {self.auroc_high:.2f}], and guessing gives 0.50"
        )
        return (
            f"{name} learned nothing, as far as {self.n:,} images tell: in {where} it is no better "
            f"than guessing. {self.accuracy:.1%} of its answers are right [{self.low:.1%} to "
            f"{self.high:.1%}], and always answering “{self.guess}” would be right in "
            f"{self.guessed:.1%}{scores if np.isfinite(self.auroc) else ''}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, None where undefined."""
        return dict(plain({**asdict(self), "learned": self.learned}))


def skill_of(outcomes: Outcomes, level: float = 0.95) -> Skill | None:
    """Compare every training with guessing; every interval takes images as independent.

    Returns:
        None with more than two classes, or fewer than two images of a class.
    """
    y_true, n = outcomes.y_true, len(outcomes.y_true)
    counts = np.bincount(y_true, minlength=len(outcomes.classes))
    if outcomes.positive is None or counts.min() < 2:
        return None
    column = outcomes.classes.index(outcomes.positive)
    positive = y_true == column
    answers = _areas(outcomes.y_pred == column, positive, level)
    scores = np.full_like(answers, np.nan)
    if outcomes.score is not None:
        scores = _areas(outcomes.score[:, :, column], positive, level)
    above = (answers[:, 1] > 0.5) & ~(scores[:, 1] <= 0.5)  # without scores, answers alone count
    right = np.array((outcomes.y_pred == y_true).sum(axis=1).mean())
    low, high = clopper_pearson(right, np.array(n), level)
    area, area_low, area_high = scores.mean(axis=0).tolist()
    return Skill(
        n=n,
        trainings=len(answers),
        at_chance=int((~above).sum()),
        accuracy=float(right) / n,
        low=float(low),
        high=float(high),
        guess=outcomes.classes[int(counts.argmax())],
        guessed=float(counts.max()) / n,
        auroc=area,
        auroc_low=area_low,
        auroc_high=area_high,
    )


def _areas(
    scores: Real[np.ndarray, "s n"] | Bool[np.ndarray, "s n"],
    positive: Bool[np.ndarray, " n"],
    level: float,
) -> Float64[np.ndarray, "s 3"]:
    """Area under the curve of each training, and its limits by DeLong's variance."""
    areas = [area_under_curve(one[positive], one[~positive]) for one in scores.astype(np.float64)]
    value, variance = np.array([(area.value, area.variance) for area in areas]).T
    half = ndtri((1 + level) / 2) * np.sqrt(variance)
    return np.stack([value, (value - half).clip(min=0), (value + half).clip(max=1)], axis=1)

"""Counts -> rates. Every rate is a numerator over a denominator, both sums of confusion counts.

``n`` samples, ``s`` trainings, ``g`` cells, ``c`` classes, ``m`` measures.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from debias.errors import EvaluationError
from debias.statistics.intervals import Measure

Mask = tuple[tuple[int, int], tuple[int, int]]
_ALL: Mask = ((1, 1), (1, 1))
_NEGATIVES: Mask = ((1, 1), (0, 0))
_POSITIVES: Mask = ((0, 0), (1, 1))
_SELECTED: Mask = ((0, 1), (0, 1))
_TRUE_POSITIVES: Mask = ((0, 0), (0, 1))
_FALSE_POSITIVES: Mask = ((0, 1), (0, 0))


@dataclass(frozen=True, kw_only=True)
class Rate:
    """One rate of a two-class table; counts are indexed [true class, predicted class]."""

    numerator: Mask  # which of the four counts are summed
    denominator: Mask
    counted: str  # what the denominator counts, as printed when there is none of it
    meaning: str  # what the rate is, with {} for the positive class
    better: int  # 1 where more of it is better for a group, -1 where less is, 0 where neither is
    # Whose images are counted, what is said of them, and the headline where one group is served
    # worse than another; None to stay out of summaries.
    said: tuple[str, str, str] | None = None


RATES = {
    "accuracy": Rate(
        numerator=((1, 0), (0, 1)),
        denominator=_ALL,
        counted="images",
        meaning="share of the images that are classified correctly",
        better=1,
        said=(
            "images",
            "are answered rightly",
            "{who} is right less often about images of {group} than of {other}",
        ),
    ),
    "true_positive_rate": Rate(
        numerator=_TRUE_POSITIVES,
        denominator=_POSITIVES,
        counted="positives",
        meaning="share of the images of {} that are recognised as such",
        better=1,
        said=(
            "“{positive}” images",
            "are recognised",
            "{who} recognises “{positive}” less often in {group} than in {other}",
        ),
    ),
    "false_positive_rate": Rate(
        numerator=_FALSE_POSITIVES,
        denominator=_NEGATIVES,
        counted="negatives",
        meaning="share of the other images that are taken for {}; lower is better",
        better=-1,
        said=(
            "{negative} images",
            "are called “{positive}”",
            "{who} wrongly calls {group} “{positive}” more often than {other}",
        ),
    ),
    "selection_rate": Rate(
        numerator=_SELECTED,
        denominator=_ALL,
        counted="images",
        meaning="share of all images that are called {}, rightly or wrongly; neither high nor low "
        "is better in itself",
        better=0,
    ),
    "precision": Rate(
        numerator=_TRUE_POSITIVES,
        denominator=_SELECTED,
        counted="predicted positives",
        meaning="share of the images called {} that really are",
        better=1,
    ),
}

# Rates of the estimated cells, at least two of them -> one number.
Summary = Callable[[Float64[np.ndarray, " g"]], float]


def _variance(values: Float64[np.ndarray, " g"]) -> float:
    """Sum of squared deviations from the unweighted mean over cells, divided by g - 1."""
    return float(values.var(ddof=1))


# Which rates, and how they are summed up; of several rates, the largest one. The three named
# differences follow fairlearn 0.15 (between groups, aggregated by worst case), except that
# fairlearn takes a rate without a denominator for 0. Variances are of plain rates in [0, 1], so in
# squared rates: 0.0001 is (1 percentage point) squared.
DISPARITIES: dict[str, tuple[tuple[str, ...], Summary]] = {
    "worst_group_accuracy": (("accuracy",), np.min),
    "accuracy_gap": (("accuracy",), np.ptp),
    "accuracy_variance": (("accuracy",), _variance),
    "true_positive_rate_variance": (("true_positive_rate",), _variance),
    "demographic_parity_difference": (("selection_rate",), np.ptp),
    "equal_opportunity_difference": (("true_positive_rate",), np.ptp),
    "equalized_odds_difference": (("true_positive_rate", "false_positive_rate"), np.ptp),
}
WORST, GAP = "worst_group_", "_gap"  # how a summary of any rate may be called

_BESIDE = {"true_positive_rate": "false_positive_rate", "false_positive_rate": "true_positive_rate"}


def rate_of(metric: str) -> tuple[Rate | None, str]:
    """The registered rate of ``true_positive_rate[cat]``, if it is one, and its class."""
    name, _, about = metric.partition("[")
    return RATES.get(name), about.removesuffix("]")


def beside_of(metric: str) -> str:
    """What rises and falls with a rate where a classifier says yes more often; empty: nothing."""
    name, bracket, about = metric.partition("[")
    return f"{_BESIDE[name]}{bracket}{about}" if name in _BESIDE else ""


def measures(
    classes: Sequence[str], positive: str | None, names: Sequence[str] | None = None
) -> tuple[Measure, ...]:
    """The rates of a task.

    Args:
        classes: At least two.
        positive: The class that the rates other than accuracy are about; None for each class
            against the rest.
        names: Registered rates; None for all.

    Raises:
        EvaluationError: An unknown rate.
    """
    chosen = list(RATES) if names is None else list(names)
    unknown = [name for name in chosen if name not in RATES]
    if unknown:
        raise EvaluationError(f"unknown metric {unknown[0]!r}; known: {', '.join(RATES)}")
    about = [positive] if positive is not None else list(classes)
    found = []
    for name in dict.fromkeys(chosen):
        if name == "accuracy":
            found.append(_accuracy(len(classes)))
        else:
            found += [_one_against_rest(name, classes, one, positive is None) for one in about]
    return tuple(found)


def _accuracy(c: int) -> Measure:
    ones, eye = np.ones((c, c), dtype=np.int64), np.eye(c, dtype=np.int64)
    return Measure(name="accuracy", numerator=eye, denominator=ones, counted="images")


def _one_against_rest(name: str, classes: Sequence[str], one: str, named: bool) -> Measure:
    rate = RATES[name]
    is_one = (np.array(classes, dtype=object) == one).astype(np.int64)
    place = np.ix_(is_one, is_one)
    return Measure(
        name=f"{name}[{one}]" if named else name,
        numerator=np.array(rate.numerator, dtype=np.int64)[place],
        denominator=np.array(rate.denominator, dtype=np.int64)[place],
        counted=rate.counted,
    )


def confusion(
    y_true: Int64[np.ndarray, " n"],
    y_pred: Int64[np.ndarray, " n"],
    codes: Int64[np.ndarray, " n"],
    n_cells: int,
    n_classes: int = 2,
) -> Int64[np.ndarray, "g c c"]:
    """Count the samples of every cell; indexed [cell, true class, predicted class]."""
    flat = (codes * n_classes + y_true) * n_classes + y_pred
    counts = np.bincount(flat, minlength=n_cells * n_classes**2)
    return counts.reshape(n_cells, n_classes, n_classes).astype(np.int64)

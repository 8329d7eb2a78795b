"""Trainings and images, both drawn at random -> how sure a mean over both is.

``s`` trainings, ``u`` units (images, or people with all their images), ``rows`` means. Trainings
and images are crossed: every training is measured on the same images, as readers and cases are in
radiology. A mean then varies with other trainings and with other images, and neither alone says
how much.

Reference:
    Obuchowski and Rockette, "Hypothesis testing of diagnostic accuracy for multiple readers and
    multiple tests", Communications in Statistics 24, 1995; Gallas, Pennello and Myers,
    "Multireader multicase variance analysis for binary data", JOSA A 24, 2007. Deviation: instead
    of one t-distribution with estimated degrees of freedom (Hillis 2007), each part of the variance
    keeps its own quantile and the two half-widths are joined by their squares, which covers with
    two trainings, too (there Hillis covers down to 84 %; see ``benchmarks/verdicts.py``).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64
from scipy.special import stdtrit

PerRow = Float64[np.ndarray, " rows"]

# Images taken to have changed beyond those that did, in either direction together: without them
# an interval vanishes where nothing changed (Bonett and Price, "Adjusted Wald confidence interval
# for a difference of binomial proportions based on paired data", JEBS 37, 2012).
ADDED = 2.0
_SMALLEST_P = 1e-14
_HALVINGS = 60


@dataclass(frozen=True, eq=False)
class Crossed:
    """Means, and the parts of their variance."""

    value: PerRow
    of_trainings: PerRow  # variance of the mean that further trainings would show; 0 for one
    of_images: PerRow  # that other images would show
    trainings: int
    freedom: PerRow  # degrees of freedom of ``of_images``
    in_single: float = 0.0  # the part of ``of_trainings`` by single images in single trainings

    def limits(self, level: float | PerRow) -> tuple[PerRow, PerRow]:
        """For other images and, of several trainings, other trainings; not cut to any range."""
        half = self._half((1 - np.asarray(level, dtype=np.float64)) / 2)
        return self.value - half, self.value + half

    def p_value(self) -> PerRow:
        """One less the highest level at which the limits leave out 0, in [1e-14, 1]."""
        low, high = np.full_like(self.value, np.log(_SMALLEST_P)), np.zeros_like(self.value)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            excluded = np.abs(self.value) > self._half(np.exp(middle) / 2)
            low, high = np.where(excluded, low, middle), np.where(excluded, middle, high)
        return np.where(np.isnan(self._half(0.25)), np.nan, np.exp(high))

    def apart(
        self,
        by_training: Float64[np.ndarray, "s rows"],
        first: Int64[np.ndarray, " pairs"],
        second: Int64[np.ndarray, " pairs"],
        wider: Float64[np.ndarray, " pairs"],
    ) -> "Crossed":
        """How far the means of two rows lie apart, rows of other images but the same trainings.

        ``wider`` is the factor of the interval where people stand in both rows.
        """
        apart = by_training[:, first] - by_training[:, second]
        images = (self.of_images[first] + self.of_images[second]) * np.square(wider)
        freedom = np.minimum(self.freedom[first], self.freedom[second])
        return Crossed(apart.mean(axis=0), _between(apart), images, self.trainings, freedom)

    def _half(self, tail: float | PerRow) -> PerRow:
        image = stdtrit(np.maximum(self.freedom, 1.0), tail)
        training = stdtrit(self.trainings - 1, tail) if self.trainings > 1 else 0.0
        half: PerRow = np.sqrt(training**2 * self.of_trainings + image**2 * self.of_images)
        return half


def crossed(
    values: Float64[np.ndarray, " s"],
    influence: Float64[np.ndarray, "s n"],
    counted: Bool[np.ndarray, " n"],
    units: Int64[np.ndarray, " n"] | None = None,
    added: float = 0.0,
) -> Crossed:
    """One mean over trainings of what each of them shows on the same images.

    Args:
        values: Of each training.
        influence: By how much each image moves the value of each training; every row sums to 0.
            Of an accuracy: right or wrong, less the accuracy, over the number of images.
        counted: Images that the values are about.
        units: Person of each image; None for images that are independent.
        added: Variance beside, where too few images moved to tell it.
    """
    influence = influence[:, counted]
    if units is not None:
        names, places = np.unique(units[counted], return_inverse=True)
        influence = np.stack([np.bincount(places, row, len(names)) for row in influence])
    s, n = len(values), max(influence.shape[1], 2)
    mean = influence.mean(axis=0)
    rest = np.square(influence - mean).sum() / max(s * (s - 1), 1)
    within = _less(np.square(mean).sum(keepdims=True), rest) * n / (n - 1)
    value = values[:, None]
    freedom = np.array([n - 1.0])
    return Crossed(value.mean(axis=0), _between(value), within + added, s, freedom, float(rest))


def crossed_rows(
    by_training: Float64[np.ndarray, "s rows"],
    deviation: PerRow,
    apart: PerRow,
    added: PerRow,
    freedom: PerRow,
) -> Crossed:
    """Many means at once, of what is known of each.

    Args:
        by_training: Of each training.
        deviation: Standard error of the mean under these very trainings.
        apart: The part of its square by which trainings differ in single images.
        added: As in :func:`crossed`.
        freedom: Units less one.
    """
    within = _less(np.square(deviation), apart) + added
    return Crossed(
        by_training.mean(axis=0), _between(by_training), within, len(by_training), freedom
    )


def _between(by_training: Float64[np.ndarray, "s rows"]) -> PerRow:
    """Variance of the mean by the trainings; it holds what differs in single images, too."""
    s = len(by_training)
    found: PerRow = by_training.var(axis=0, ddof=1) / s if s > 1 else np.zeros(by_training.shape[1])
    return found


def _less(squares: PerRow, rest: float | PerRow) -> PerRow:
    """Variance by the images alone: what differs in single images is in that by the trainings."""
    return np.maximum(squares - rest, 0.0)

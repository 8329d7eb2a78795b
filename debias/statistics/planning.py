"""How many test images and trainings find a change, before they are there.

The interval and its level are those by which the change will be judged (``statistics.crossed``).
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import chi2

from debias.statistics.crossed import ADDED, Crossed

FEWEST, MOST = 30, 100_000  # images that are considered
_DRAWS = 400


@dataclass(frozen=True)
class Parts:
    """Variances of a change, by what they come from."""

    trainings: float  # of one training to the next, for all images alike
    images: float  # of one image to the next, in all trainings alike
    both: float  # of single images in single trainings

    def by_trainings(self, images: int, trainings: int) -> float:
        """Variance of the mean that trainings will show, in expectation."""
        return (self.trainings + self.both / images) / trainings


def parts_of(change: Crossed, images: int) -> Parts:
    """What a pilot of two trainings or more says about them; at least 0, each."""
    s, rest = change.trainings, change.in_single
    return Parts(
        trainings=max(float(change.of_trainings[0]) - rest, 0.0) * s,
        images=max(float(change.of_images[0]) - ADDED / images**2, 0.0) * images,
        both=rest * s * images,
    )


def power(parts: Parts, change: float, images: int, trainings: int, level: float) -> float:
    """Probability in [0, 1] that a change is found; the mean over what trainings may show."""
    expected, within = parts.by_trainings(images, trainings), parts.images / images
    quantiles = (np.arange(_DRAWS) + 0.5) / _DRAWS
    shown = expected * chi2.ppf(quantiles, trainings - 1) / (trainings - 1)
    zero, judged = np.zeros(_DRAWS), np.full(_DRAWS, within + ADDED / images**2)
    around = Crossed(zero, shown, judged, trainings, np.full(_DRAWS, images - 1.0))
    half = around.limits(level)[1]
    sd = max(np.sqrt(expected + within), 1e-12)
    return float((ndtr((change - half) / sd) + ndtr((-change - half) / sd)).mean())


def detectable(
    parts: Parts, images: int, trainings: int, level: float, wanted: float = 0.8
) -> float | None:
    """Smallest change in (0, 1] that is found with the wanted power; None: not even 1 is."""

    def lacking(change: float) -> float:
        return power(parts, change, images, trainings, level) - wanted

    return float(brentq(lacking, 0.0, 1.0, xtol=1e-5)) if lacking(1.0) > 0 else None


def images_needed(
    parts: Parts, change: float, trainings: int, level: float, wanted: float = 0.8
) -> int | None:
    """Fewest test images with which a change is found; None: ``MOST`` do not suffice."""
    low, high = FEWEST, MOST
    if power(parts, change, high, trainings, level) < wanted:
        return None
    while low < high:
        middle = (low + high) // 2
        enough = power(parts, change, middle, trainings, level) >= wanted
        low, high = (low, middle) if enough else (middle + 1, high)
    return low

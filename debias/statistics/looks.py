"""Looking at trainings as they come: which error each look may make, so that all keep theirs.

``k`` looks, one after each number of trainings from ``least`` to ``most``, said beforehand.

The error is spent as trainings come (Lan and DeMets, "Discrete sequential boundaries for clinical
trials", Biometrika 70, 1983) by their function like O'Brien and Fleming's: next to nothing at
first, when few trainings tell little, most of it at the last look. Boundaries are those of sums of
independent increments, one a training (Armitage, McPherson and Rowe, JRSS A 132, 1969). Two
deviations from the textbook, both measured in ``benchmarks/verdicts.py``. The test images stay the
same from look to look, so looks are more alike than these sums and err less often together. And the
boundaries are taken as levels of p-values by Student's quantiles (Jennison and Turnbull 2000,
section 11.5), with which few trainings err up to 1.14 times as often; so only ``_SPENT`` of the
error is spent.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from jaxtyping import Float64
from scipy.optimize import brentq
from scipy.special import ndtr, ndtri

PerLook = Float64[np.ndarray, " k"]

_SPENT = 0.85
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(160)
_LOG_ERRORS = np.log(np.geomspace(1e-13, 0.999, 50))  # between which levels are interpolated
_FAR = 12.0  # standard deviations that no look goes beyond


@dataclass(frozen=True)
class Looks:
    """After every number of trainings from ``least`` to ``most``."""

    least: int
    most: int

    def level(self, after: int, error: float) -> float:
        """That a p-value must reach after so many trainings, all looks together wrong by error."""
        return float(np.exp(np.interp(np.log(error), _LOG_ERRORS, self._log_levels[after])))

    def error(self, after: int, p: Float64[np.ndarray, " m"]) -> Float64[np.ndarray, " m"]:
        """Of all looks together, where a p-value after so many trainings just reaches its level."""
        return np.exp(np.interp(np.log(p), self._log_levels[after], _LOG_ERRORS))

    @cached_property
    def _log_levels(self) -> dict[int, Float64[np.ndarray, " errors"]]:
        return dict(zip(range(self.least, self.most + 1), _log_levels(self).T, strict=True))


@lru_cache
def _log_levels(looks: Looks) -> Float64[np.ndarray, "errors k"]:
    times = np.arange(looks.least, looks.most + 1) / looks.most
    errors = _SPENT * np.exp(_LOG_ERRORS)
    limits = np.array([boundaries(times, spent(times, error)) for error in errors])
    return np.log(2 * ndtr(-limits))


def spent(times: PerLook, error: float) -> PerLook:
    """Error spent up to each time in (0, 1], on both sides together; all of it at 1."""
    found: PerLook = 4 * ndtr(ndtri(error / 4) / np.sqrt(times))
    return found


def boundaries(times: PerLook, errors: PerLook) -> PerLook:
    """Limits, in standard deviations, outside which a Brownian motion was by each time so often."""
    found, places, inside = np.zeros(len(times)), np.zeros(1), np.ones(1)
    steps, shares = np.diff(times, prepend=0.0), np.diff(errors, prepend=0.0)
    for k, (time, step, share) in enumerate(zip(times, np.sqrt(steps), shares, strict=True)):
        given = places, inside, np.sqrt(time), step, share
        is_far = _excess(_FAR, *given) > 0
        found[k] = _FAR if is_far else brentq(_excess, 0.0, _FAR, given, xtol=1e-10)
        after = found[k] * np.sqrt(time) * _NODES
        jumps = np.exp(-0.5 * np.square((after[:, None] - places) / step))
        widths = found[k] * np.sqrt(time) * _WEIGHTS
        inside = jumps @ inside * widths / (step * np.sqrt(2 * np.pi))
        places = after
    return found


def _excess(
    limit: float,
    places: Float64[np.ndarray, " n"],
    inside: Float64[np.ndarray, " n"],
    end: float,
    step: float,
    share: float,
) -> float:
    """By how much more than ``share`` leaves the limits by ``step``, of what is inside so far."""
    beyond = ndtr((places - limit * end) / step) + ndtr((-places - limit * end) / step)
    return float(inside @ beyond) - share

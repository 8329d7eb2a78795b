"""From a score of rarity to weights with a declared effective sample size."""

import warnings
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

LARGEST_TAU = 1e12


@dataclass(frozen=True, eq=False)
class Tempered:
    """Weights exp(tau * score), normalised and capped.

    Attributes:
        probability: (n,), sums to 1.
        tau: Exponent, >= 0; 0 is plain sampling, 1 the score as it is.
        capped: How many weights stand at the cap.
    """

    probability: Float64[np.ndarray, " n"]
    tau: float
    capped: int


def temper(
    score: Float64[np.ndarray, " n"],
    parts: Int64[np.ndarray, " n"],
    *,
    ess: float,
    cap: float,
) -> Tempered:
    """Solve tau so that the effective sample size is the declared share of n.

    Kish's effective sample size falls monotonically in tau, so bisection finds it. Every part (a
    class) keeps the share of the total weight that it has among the samples.

    Args:
        score: Log-rarity.
        parts: Part of each sample, coded 0, 1, ...
        ess: Target, as a share of n in (0, 1].
        cap: Largest weight, as a multiple of the mean; > 1.
    """
    shares = _Shares(score, parts, cap)
    if ess >= 1 or shares.constant:
        if ess < 1:
            warnings.warn("every sample is equally rare: the weights stay uniform", stacklevel=2)
        return shares.at(0.0)
    low, high = 0.0, 1.0
    while shares.ess(high) > ess and high < LARGEST_TAU:
        low, high = high, 2 * high
    for _ in range(200):
        middle = 0.5 * (low + high)
        if middle in (low, high):
            break
        low, high = (middle, high) if shares.ess(middle) > ess else (low, middle)
    found = shares.at(low)
    reached = _ess(found.probability)
    if abs(reached - ess) > 0.01 * ess:
        warnings.warn(
            f"effective sample size {reached:.3f} instead of {ess:.3f}: ties in the rarity or the "
            f"cap of {cap} times the mean leave nothing closer",
            stacklevel=2,
        )
    return found


def apply(
    score: Float64[np.ndarray, " n"], parts: Int64[np.ndarray, " n"], *, tau: float, cap: float
) -> Tempered:
    """Weights for a given tau; tau = 1 is the published formula."""
    return _Shares(score, parts, cap).at(tau)


def _ess(probability: Float64[np.ndarray, " n"]) -> float:
    return float(1 / (len(probability) * np.square(probability).sum()))


class _Shares:
    """Weights of every part as a function of tau; sorted once, since tau keeps the order."""

    def __init__(
        self, score: Float64[np.ndarray, " n"], parts: Int64[np.ndarray, " n"], cap: float
    ) -> None:
        self.size, self.cap = len(score), cap
        self.rows = [np.flatnonzero(parts == part) for part in np.unique(parts)]
        self.rows = [rows[np.argsort(-score[rows], kind="stable")] for rows in self.rows]
        self.falling = [score[rows] - score[rows[0]] for rows in self.rows]  # from 0 downwards
        self.constant = all(fall[-1] == 0 for fall in self.falling)

    def at(self, tau: float) -> Tempered:
        probability = np.empty(self.size)
        capped = 0
        for rows, fall in zip(self.rows, self.falling, strict=True):
            share, count = _capped(tau * fall, self.cap)
            probability[rows] = share * (len(rows) / self.size)
            capped += count
        return Tempered(probability / probability.sum(), tau, capped)

    def ess(self, tau: float) -> float:
        return _ess(self.at(tau).probability)


def _capped(
    log_weight: Float64[np.ndarray, " m"], cap: float
) -> tuple[Float64[np.ndarray, " m"], int]:
    """Normalise falling weights to sum 1 with none above ``cap`` times the mean.

    What is cut off the largest goes to the others in proportion; how many stand at the cap is
    the smallest number for which the next one stays below it.
    """
    size = len(log_weight)
    limit = cap / size
    weight = np.exp(log_weight)  # the first is 1
    if limit * weight.sum() >= 1:
        return weight / weight.sum(), 0
    # In logarithms: beside a capped weight all others may be too small for a float.
    log_rest = np.logaddexp.accumulate(log_weight[::-1])[::-1]  # what is left from here on
    with np.errstate(divide="ignore"):
        log_free = np.log(np.maximum(1 - np.arange(size) * limit, 0))
    count = int(np.argmax(log_weight + log_free <= np.log(limit) + log_rest))
    share = np.full(size, limit)
    share[count:] = np.exp(log_weight[count:] - log_rest[count] + log_free[count])
    return share, count

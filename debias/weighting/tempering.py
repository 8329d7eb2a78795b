"""From a score of rarity to weights with a declared effective sample size.

Only the few samples that could stand at the cap are sorted; the others enter by sums, taken anew
for each of the handful of exponents that are tried.
"""

import math
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64
from pydantic import Field

from debias.errors import NonFiniteWeightError, WeightError
from debias.types import TrainingTable
from debias.weighting.rule import Rule
from debias.weighting.weights import SamplingWeights, check

VALUES_AT_ONCE = 2**16  # stay in the cache
ENOUGH_FOR_A_GUESS = 2**15
MANY = 2**20
NEARLY = 1 + 1e-4  # the least effective sample size itself would take an infinite tau
EXACT = 1e-9
ROUNDING = 1e-9  # of 1 less many times the cap
TINY = 1e-150  # its square is still a float
LARGEST_LOG = math.log(sys.float_info.max)

R = TypeVar("R")
Score = Float64[np.ndarray, " m"]


class TemperedRule(Rule):
    """Weights proportional to exp(tau * score), capped, every class by itself.

    ``tau`` is solved so that the effective sample size is the declared share of the samples;
    ``ess: published`` fixes tau = 1, the score as it is.
    """

    ess: float | Literal["published"] = Field(
        default=0.5, description="Effective sample size as a share of n, or 'published' (tau = 1)."
    )
    cap: float = Field(
        default=20.0,
        gt=1,
        allow_inf_nan=False,
        description="Largest weight, times the mean weight.",
    )
    across: Literal["class", "all"] = Field(
        default="class", description="Weigh within each class, or over all samples."
    )
    allow_degenerate: bool = Field(
        default=False, description="Go on although the weights rest on very few samples."
    )

    def model_post_init(self, context: object) -> None:
        """Check the range here: a bound on the union would apply to the word as well."""
        if self.ess != "published" and not 0 < self.ess <= 1:
            raise ValueError(f"ess must lie in (0, 1] or be 'published', got {self.ess}")

    def tempered(
        self, table: TrainingTable, origin: Mapping[str, Any], most: float = math.inf
    ) -> SamplingWeights:
        """Weights from the scores of the table; ``origin`` is kept beside tau, ``most`` at most.

        Raises:
            WeightError: The table has no score, or a score is not finite.
            WeightDegeneracyError: The weights rest on too few samples.
        """
        if table.score is None:
            raise WeightError(f"{self.name} needs a score of every sample; see 'density'")
        if not np.isfinite(table.score).all():
            bad = table.sample_ids[~np.isfinite(table.score)]
            raise NonFiniteWeightError(
                f"the scores of {len(bad)} samples are not finite, first {bad[0]}"
            )
        parts = pd.factorize(table.labels)[0].astype(np.int64)  # sorts nothing
        parts = parts if self.across == "class" else np.zeros_like(parts)
        if isinstance(self.ess, str):
            found = apply(table.score, parts, tau=1.0, cap=self.cap)
        else:
            found = temper(table.score, parts, ess=self.ess, cap=self.cap, most=most)
        about = {"rule": self.name, **origin, "tau": found.tau, "capped": found.capped}
        weights = SamplingWeights(
            sample_ids=table.sample_ids, probability=found.probability, origin=about
        )
        remedy = "give 'ess' a share" if self.ess == "published" else "raise 'ess'"
        return check(weights, allow_degenerate=self.allow_degenerate, remedy=remedy)


class Tempered(NamedTuple):
    """Weights (n,) exp(tau * score), capped, of sum 1; and how many stand at the cap.

    ``tau`` >= 0; 0 is plain sampling, 1 the score as it is.
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
    most: float = math.inf,
) -> Tempered:
    """Solve tau so that the effective sample size is the declared share of n.

    Kish's effective sample size falls continuously in tau, down to what ties and the cap allow. A
    target below that is approached as far as possible, with a warning that says what is in the
    way. Every part (a class) keeps the share of the total weight that it has among the samples.

    Args:
        score: Log-rarity, finite and of any size.
        parts: Part of each sample, coded 0, 1, ...
        ess: Target, as a share of n in (0, 1].
        cap: Largest weight, as a multiple of the mean; > 1.
        most: Largest tau; with it the effective sample size may stay larger.
    """
    whole = Whole(score, parts, cap)
    if most < math.inf and whole.ess(most * whole.span) >= ess:
        return whole.at(most * whole.span)
    found = whole.at(whole.solve(ess))
    whole.warn(ess, float(1 / (len(score) * np.square(found.probability).sum())))
    return found


def apply(
    score: Float64[np.ndarray, " n"], parts: Int64[np.ndarray, " n"], *, tau: float, cap: float
) -> Tempered:
    """Weights for a given tau; tau = 1 is the published formula."""
    whole = Whole(score, parts, cap)
    return whole.at(tau * whole.span)


@runtime_checkable
class Scores(Protocol):
    """Scores of one part, wherever they are kept."""

    def __len__(self) -> int: ...

    def each(self, work: Callable[[Score], R]) -> Iterable[R]:
        """Results for consecutive pieces, in order."""

    def every(self, step: int) -> Score:
        """The first, and each that is so many after it."""

    def at_least(self, least: float) -> Score:
        """Those that are not smaller, in any order."""


class Held:
    """Scores in the memory of this process."""

    def __init__(self, values: Score) -> None:
        self.values = values

    def __len__(self) -> int:
        return len(self.values)

    def each(self, work: Callable[[Score], R]) -> Iterable[R]:
        return _for_each_piece(lambda piece: work(self.values[piece]), len(self))

    def every(self, step: int) -> Score:
        return self.values[::step]

    def at_least(self, least: float) -> Score:
        return self.values[self.values >= least] if least > -math.inf else self.values


class Tempering:
    """Where weights stand as a function of tau.

    Scores are taken in units of their ``span`` and tau per span: their product cannot overflow.
    """

    def __init__(self, parts: Sequence[Scores], cap: float) -> None:
        self.cap = cap
        self.parts = [_Part(scores, cap) for scores in parts]
        self.size = sum(part.size for part in self.parts)
        self.span = max(part.span for part in self.parts) or 1.0
        for part in self.parts:
            part.per_span = 1 / max(self.span, 4 * sys.float_info.min)

    def some(self) -> "Tempering | None":
        """Of a part of the samples, large enough for a guess; None where these are few."""
        raise NotImplementedError

    def solve(self, ess: float) -> float:
        """Tau per span for an effective sample size, or the nearest that can be reached."""
        aim = max(ess, NEARLY * self.least_ess())
        return _solve(self, aim) if aim < 1 else 0.0

    def warn(self, ess: float, reached: float) -> None:
        if abs(reached - ess) > 0.01 * ess:
            warnings.warn(
                f"effective sample size {reached:.3f} instead of {ess:.3f}: {self.obstacle(ess)}",
                stacklevel=3,
            )

    def tau(self, per_span: float) -> float:
        return min(per_span / self.span, sys.float_info.max)

    def ess(self, tau: float) -> float:
        return self._ess([part.level(tau).square for part in self.parts])

    def least_ess(self) -> float:
        """What an infinite tau would come to."""
        return self._ess([part.least_square() for part in self.parts])

    def obstacle(self, ess: float) -> str:
        """What keeps the effective sample size from falling to ``ess``."""
        ties = self._ess([1 / part.ties(part.top[0]) for part in self.parts])
        if ties == 1:
            return "every sample is equally rare, so the weights stay uniform"
        if ties > ess:
            return "ties among the rarest samples leave nothing closer"
        return f"the cap of {self.cap:g} times the mean leaves nothing closer; raise 'cap'"

    def _ess(self, squares: list[float]) -> float:
        """Kish's, as a share of n, from the sum of squared weights within each part."""
        pairs = zip(self.parts, squares, strict=True)
        return self.size / sum(part.size**2 * square for part, square in pairs)


class Whole(Tempering):
    """Weights of all samples, in the memory of this process."""

    def __init__(
        self, score: Float64[np.ndarray, " n"], parts: Int64[np.ndarray, " n"], cap: float
    ) -> None:
        self.score, self.labels = score, parts
        codes = np.flatnonzero(np.bincount(parts))
        several = len(codes) > 1
        self.rows = [np.flatnonzero(parts == code) if several else slice(None) for code in codes]
        super().__init__([Held(score[rows]) for rows in self.rows], cap)

    def some(self) -> "Whole | None":
        every = len(self.score) // ENOUGH_FOR_A_GUESS
        if every < 2:
            return None
        return Whole(self.score[::every], self.labels[::every], self.cap)

    def at(self, tau: float) -> Tempered:
        """Weights for a tau per span; each part has its share of the samples."""
        levels = [part.level(tau) for part in self.parts]
        found = [part.weights(tau, level) for part, level in zip(self.parts, levels, strict=True)]
        probability = found[0] if len(found) == 1 else np.empty(len(self.score))
        for rows, weights in zip(self.rows, found, strict=True):
            if len(found) > 1:
                probability[rows] = weights * (len(weights) / len(probability))
        probability /= probability.sum()
        return Tempered(probability, self.tau(tau), sum(level.capped for level in levels))


class Level(NamedTuple):
    """Where the weights of a part stand at some tau."""

    capped: int
    weight: float  # of the first sample below the cap
    square: float  # sum of the squares of all


class _Part:
    """Weights of one part, which sum to 1.

    No more than ``size / cap`` weights can stand at the cap, so only as many of the largest scores
    are kept in order, ``top``. Differences are taken between scores that matter together.
    """

    per_span = 1.0

    def __init__(self, scores: Scores, cap: float) -> None:
        self.scores, self.size, self.limit = scores, len(scores), cap / len(scores)
        self.top = _largest(scores, int(self.size / cap) + 1)
        self.span = float(self.top[0] - min(scores.each(np.min)))

    def level(self, tau: float) -> Level:
        """Cut the largest weights to the cap and give what is cut off to the others in proportion.

        As few stand at the cap as leave the next one below it. Beside a capped weight all others
        may be too small for a float; then the search goes on from the first of these, as if it were
        1.
        """
        plain, squared = self._rest(tau)
        free = np.maximum(1 - np.arange(len(self.top)) * self.limit, 0.0)
        start = 0
        while True:
            weight = np.exp(tau * ((self.top[start:] - self.top[start]) * self.per_span))
            total = np.cumsum(weight[::-1])[::-1] + plain * weight[-1]  # of each and all after it
            fits = weight * free[start:] <= self.limit * total * (1 + ROUNDING)
            first = int(np.argmax(fits | (weight < TINY)))
            if weight[first] >= TINY:
                break
            start += first
        capped = start + first
        scale = free[capped] / total[first]
        square = np.square(weight[first:]).sum() + squared * weight[-1] ** 2
        square = capped * self.limit**2 + square * scale**2
        return Level(capped, float(weight[first] * scale), float(square))

    def weights(self, tau: float, level: Level) -> Float64[np.ndarray, " m"]:
        """Of all, from the first piece to the last."""
        found, start = np.empty(self.size), 0
        for piece in self.scores.each(self.weigher(tau, level)):
            found[start : start + len(piece)] = piece
            start += len(piece)
        return found

    def weigher(self, tau: float, level: Level) -> Callable[[Score], Score]:
        """From scores to weights."""
        return partial(
            _weighed, below=self.top[level.capped], rate=(self.per_span, tau),
            logs=(math.log(max(level.weight, sys.float_info.min)), math.log(self.limit)),
        )  # fmt: skip

    def least_square(self) -> float:
        """Sum of squares for an infinite tau: the largest at the cap, the rest on the next ties."""
        next_one = self.top[math.ceil(1 / self.limit) - 1]
        above = int((self.top > next_one).sum())
        return above * self.limit**2 + (1 - above * self.limit) ** 2 / self.ties(next_one)

    def ties(self, value: float) -> int:
        return sum(self.scores.each(partial(_ties, value=value)))

    def _rest(self, tau: float) -> tuple[float, float]:
        """Sum of weights and of their squares below the top, in units of its last."""
        sums = partial(_sums, last=self.top[-1], rate=(self.per_span, tau))
        plain, squared = zip(*self.scores.each(sums), strict=True)
        return max(sum(plain) - len(self.top), 0.0), max(sum(squared) - len(self.top), 0.0)


def _sums(score: Score, last: float, rate: tuple[float, float]) -> tuple[float, float]:
    weight = np.minimum(score, last)  # each of the top will count 1
    weight -= last
    for factor in rate:
        weight *= factor
    np.exp(weight, out=weight)
    return float(weight.sum()), float(np.square(weight, out=weight).sum())


def _weighed(
    score: Score, below: float, rate: tuple[float, float], logs: tuple[float, float]
) -> Score:
    weight = np.subtract(score, below)
    for factor in rate:
        weight *= factor
    weight += logs[0]
    return np.exp(np.minimum(weight, logs[1], out=weight), out=weight)


def _ties(score: Score, value: float) -> int:
    return int((score == value).sum())


def _largest(scores: Scores, count: int) -> Score:
    """The largest scores, falling; where there are many, some tell what most lie safely below."""
    step = max(1, len(scores) // ENOUGH_FOR_A_GUESS)
    least = -math.inf
    if step > 1:
        some = scores.every(step)
        wanted = len(some) * count / len(scores)
        safe = len(some) - math.ceil(wanted + 4 * math.sqrt(wanted) + 4)
        least = float(np.partition(some, safe)[safe]) if safe > 0 else least
    above = scores.at_least(least)
    above = above if len(above) >= count else scores.at_least(-math.inf)
    return np.sort(np.partition(above, len(above) - count)[len(above) - count :])[::-1]


def _for_each_piece(work: Callable[[slice], R], size: int) -> Iterator[R]:
    """Results in order; several pieces at a time where there are many."""
    pieces = (slice(start, start + VALUES_AT_ONCE) for start in range(0, size, VALUES_AT_ONCE))
    if size < MANY:
        return map(work, pieces)
    from debias.loops import in_threads  # tenths of a second that few samples do not need

    return in_threads(work, pieces)


def _solve(whole: Tempering, aim: float) -> float:
    """Tau per span for an effective sample size that can be reached, or nearly.

    The search starts from the tau of a part of the samples, which is hardly off.
    """
    from scipy.optimize import brentq

    known: dict[float, float] = {}

    def excess(log_tau: float) -> float:
        if log_tau not in known:
            difference = math.log(whole.ess(math.exp(log_tau)) / aim)
            known[log_tau] = 0.0 if abs(difference) < EXACT else difference
        return known[log_tau]

    low, step = 0.0, 1.0
    some = whole.some()
    if some is not None and aim > NEARLY * some.least_ess():
        low, step = math.log(_solve(some, aim) * (whole.span / some.span)), 0.02
    high = low
    while excess(low) < 0:
        low, high, step = low - step, low, 2 * step
    while excess(high) > 0 and high < LARGEST_LOG:
        low, high, step = high, min(high + step, LARGEST_LOG), 2 * step
    if excess(high) > 0:  # scores that differ by less than floats can tell
        return math.exp(high)
    return math.exp(brentq(excess, low, high, xtol=EXACT))

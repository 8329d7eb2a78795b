"""Two arms -> what changed between them, paired by seed.

``s`` seeds.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64
from scipy.special import stdtrit

from debias.errors import EvaluationError
from debias.metrics.seeds import check_one_arm, check_same_images, spread
from debias.metrics.trainings import TrainingReport
from debias.storage.documents import plain
from debias.types import SEEDS_NEEDED

Reading = Literal["difference_found", "cannot_tell"]
Reason = Literal["", "not_estimable", "single_run", "too_few_seeds", "insufficient_evidence"]

QUANTITIES = ("accuracy", "worst_group_accuracy", "accuracy_gap", "equalized_odds_difference")


@dataclass(frozen=True, kw_only=True)
class Change:
    """Change of one quantity from one arm to another, over seeds.

    The interval is about retraining with other seeds on these test images; it says nothing about
    other images. Whoever looks at several changes passes an adjusted level.

    Attributes:
        quantity: One of ``QUANTITIES``.
        baseline: Name of the arm compared with.
        arm: Name of the arm.
        baseline_mean: Mean over seeds, in [0, 1]; NaN when undefined in a seed.
        arm_mean: Likewise.
        seeds: (s,) ascending.
        differences: (s,) arm minus baseline, by seed.
        mean: Mean difference.
        sd: Standard deviation of the differences, divisor s - 1; NaN for one seed.
        low: Lower limit of the t-interval of the mean difference; NaN for one seed, and when
            all differences are equal, because then nothing tells how much they would vary.
        high: Upper limit.
        level: Level of the interval.
        n_seeds: s.
        reading: ``difference_found`` only with five seeds or more and an interval without 0.
        reason: Why it cannot be told; empty when a difference was found.
    """

    quantity: str
    baseline: str
    arm: str
    baseline_mean: float
    arm_mean: float
    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    mean: float
    sd: float
    low: float
    high: float
    level: float
    n_seeds: int
    reading: Reading
    reason: Reason

    def sentence(self) -> str:
        """The change in plain English; enough decimals that no non-zero number shows as zero."""
        name = self.quantity.replace("_", " ")
        seeds = f"{self.n_seeds} seed" + ("s" if self.n_seeds > 1 else "")
        if not np.isfinite(self.mean):
            return f"{name}: undefined, over {seeds}: {self._verdict()}"
        decimals = _decimals(self.mean, self.low, self.high)
        change = f"change {self.mean:+.{decimals}f}"
        if np.isfinite(self.low):
            change += f" [{self.low:+.{decimals}f}, {self.high:+.{decimals}f}]"
        levels = f"{self.baseline_mean:.{decimals}f} -> {self.arm_mean:.{decimals}f}"
        return f"{name}: {levels}, {change} over {seeds}: {self._verdict()}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, None where undefined, with the sentence."""
        return plain({**asdict(self), "sentence": self.sentence()})

    def _verdict(self) -> str:
        if self.reading == "difference_found":
            return "difference found"
        return f"cannot tell ({self._because()})"

    def _because(self) -> str:
        reasons = {
            "not_estimable": "not estimable in every seed",
            "single_run": f"single run; at least {SEEDS_NEEDED} seeds are needed",
            "too_few_seeds": f"{self.n_seeds} seeds; at least {SEEDS_NEEDED} are needed",
            "insufficient_evidence": "insufficient evidence",
        }
        return reasons[self.reason]


def paired_change(
    baseline: Sequence[TrainingReport],
    arm: Sequence[TrainingReport],
    quantity: str,
    level: float = 0.95,
) -> Change:
    """Compare two arms by the mean of their differences, seed by seed.

    Args:
        baseline: One report per seed.
        arm: One report per seed, of the same seeds and the same images.
        quantity: One of ``QUANTITIES``.
        level: Of the t-interval, in (0, 1).

    Raises:
        EvaluationError: An unknown quantity, seeds or images that differ.
        ValueError: The level is outside (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), got {level}")
    seeds = _common_seeds(baseline, arm)
    before, after = _by_seed(baseline, quantity), _by_seed(arm, quantity)
    differences = after - before
    sd, low, high = (float(part[0]) for part in seed_limits(differences[:, None], level))
    reading, reason = _read(differences, low, high)
    return Change(
        quantity=quantity,
        baseline=baseline[0].arm,
        arm=arm[0].arm,
        baseline_mean=float(before.mean()),
        arm_mean=float(after.mean()),
        seeds=seeds,
        differences=tuple(differences.tolist()),
        mean=float(differences.mean()),
        sd=sd,
        low=low,
        high=high,
        level=level,
        n_seeds=len(seeds),
        reading=reading,
        reason=reason,
    )


def _common_seeds(
    baseline: Sequence[TrainingReport], arm: Sequence[TrainingReport]
) -> tuple[int, ...]:
    check_one_arm(baseline)
    check_one_arm(arm)
    check_same_images([baseline[0], arm[0]])
    before, after = ({report.seed for report in reports} for reports in (baseline, arm))
    if before != after:
        raise EvaluationError(
            f"both arms need the same seeds to be paired, got {sorted(before)} and {sorted(after)}"
        )
    return tuple(sorted(before))


def _by_seed(reports: Sequence[TrainingReport], quantity: str) -> Float64[np.ndarray, " s"]:
    ordered = sorted(reports, key=lambda report: report.seed)
    return np.array([_value(report, quantity) for report in ordered], dtype=np.float64)


def _value(report: TrainingReport, quantity: str) -> float:
    if quantity not in QUANTITIES:
        known = ", ".join(QUANTITIES)
        raise EvaluationError(f"unknown quantity {quantity!r}; known: {known}")
    return float(
        report.overall["accuracy"] if quantity == "accuracy" else report.disparities[quantity]
    )


def seed_limits(
    differences: Float64[np.ndarray, "s rows"], level: float
) -> tuple[Float64[np.ndarray, " rows"], ...]:
    """Standard deviation over seeds, and Student's t limits of the mean.

    The limits are NaN for one seed, and when all differences are equal, because then nothing tells
    how much they would vary.
    """
    s, mean, sd = len(differences), differences.mean(axis=0), spread(differences)
    # Below 1e-12 the differences are equal but for rounding: no interval can be formed.
    known = np.where(sd > 1e-12, sd, np.nan)
    half = stdtrit(max(s - 1, 1), (1 + level) / 2) * known / np.sqrt(s)
    return sd, mean - half, mean + half


def _read(
    differences: Float64[np.ndarray, " s"], low: float, high: float
) -> tuple[Reading, Reason]:
    if not np.isfinite(differences).all():
        return "cannot_tell", "not_estimable"
    if len(differences) == 1:
        return "cannot_tell", "single_run"
    if len(differences) < SEEDS_NEEDED:
        return "cannot_tell", "too_few_seeds"
    if low > 0 or high < 0:
        return "difference_found", ""
    return "cannot_tell", "insufficient_evidence"


def _decimals(*numbers: float) -> int:
    """Three, or as many more (up to nine) as it takes to show the sign of each number."""
    shown = [number for number in numbers if np.isfinite(number) and number != 0]
    enough = (d for d in range(3, 9) if all(round(number, d) != 0 for number in shown))
    return next(enough, 9)

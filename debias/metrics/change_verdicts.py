"""Changes -> what may be said about them: found, ruled out, or cannot tell, and who was harmed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Shaped

from debias.errors import EvaluationError
from debias.types import SEEDS_NEEDED

Reference = str | Mapping[str, str] | Sequence[str]
UNTESTED = ("suppressed", "not_estimable", "too_small")
# 1 where more of it is better for the group; selecting more people is neither.
_BETTER = {"accuracy": 1, "true_positive_rate": 1, "false_positive_rate": -1}


@dataclass(frozen=True, kw_only=True)
class Question:
    """What the reader decided before the changes were looked at.

    Attributes:
        reference: As in ``evaluate``; None takes what both reports declared, or all pairs.
        margin: Largest change that does not matter, in (0, 1); None where none was set.
        level: Of the intervals of groups, and of all comparisons together, in (0, 1).
        seed: Of the bootstrap.
    """

    reference: Reference | None = None
    margin: float | None = None
    level: float = 0.95
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.level < 1:
            raise EvaluationError(f"level must lie in (0, 1), got {self.level}")
        if self.margin is not None and not 0 < self.margin < 1:
            raise EvaluationError(
                f"margin must lie in (0, 1), got {self.margin}; 5 percentage points are 0.05"
            )


def read_changes(
    table: pd.DataFrame,
    limits: tuple[Float64[np.ndarray, " rows"], Float64[np.ndarray, " rows"]],
    state: Shaped[np.ndarray, " rows"],
    seeds: Sequence[int],
    question: Question,
) -> pd.DataFrame:
    """Add verdict, reason and harm to each row, on unrounded numbers.

    A change is found when its p-value says so after Holm and, where the trainings are known, five
    of them or more and their own interval say so, too. It is ruled out beyond the margin when
    both intervals lie inside of it. Harm is a change for the worse that the p-value finds,
    whatever the number of trainings: in these trainings it happened.

    Args:
        table: Rows of groups, or of gaps, with ``change, before, after, p_adjusted, seed_low,
            seed_high``.
        limits: (rows,) of the change, at the adjusted level.
        state: (rows,) ``estimated`` where the row was tested, else why not.
        seeds: Of the trainings; empty for two single classifiers.
        question: Level and margin.
    """
    few, untested, margin = too_few(seeds), state != "estimated", question.margin
    seen = is_seen(table, question.level)
    over_seeds = table["seed_low"].to_numpy(dtype=float), table["seed_high"].to_numpy(dtype=float)
    every = [limits, over_seeds] if seeds else [limits]
    found = seen & (True if not seeds else (over_seeds[0] > 0) | (over_seeds[1] < 0))
    inside = np.logical_and.reduce([_within(one, margin) for one in every])
    readable = ~untested & (few == "")
    verdict = np.select(
        [readable & found, readable & inside],
        ["difference_found", "difference_ruled_out"],
        "cannot_tell",
    )
    unread = np.where(seen | (margin is not None), "insufficient_evidence", "no_margin")
    reason = np.select([untested, ~readable, verdict != "cannot_tell"], [state, few, ""], unread)
    return table.assign(
        verdict=verdict.astype(object),
        reason=reason.astype(object),
        harm=seen & (benefit(table) < 0),
    )


def _within(
    limits: tuple[Float64[np.ndarray, " rows"], Float64[np.ndarray, " rows"]],
    margin: float | None,
) -> Bool[np.ndarray, " rows"]:
    if margin is None:
        return np.zeros(len(limits[0]), dtype=bool)
    return (limits[0] > -margin) & (limits[1] < margin)


def is_seen(table: pd.DataFrame, level: float) -> Bool[np.ndarray, " rows"]:
    """Rows in which a change is found in these trainings: by Holm, and not against the interval.

    The printed interval of a gap holds at the adjusted level, so it must leave out 0, too.
    """
    seen = table["p_adjusted"].to_numpy(dtype=float) <= 1 - level
    if "other" in table:
        seen &= ((table["low"] > 0) | (table["high"] < 0)).to_numpy()
    return seen


def too_few(seeds: Sequence[int]) -> str:
    """Why there are too few trainings for a verdict; empty when there are enough, or none known."""
    if not seeds or len(seeds) >= SEEDS_NEEDED:
        return ""
    return "single_run" if len(seeds) == 1 else "too_few_seeds"


def benefit(table: pd.DataFrame) -> Float64[np.ndarray, " rows"]:
    """Above 0 for a change for the better: a better rate, or a narrower gap of such a rate."""
    sign = sign_of(table["metric"])
    if "other" in table:
        narrower = (table["before"].abs() - table["after"].abs()).to_numpy(dtype=float)
        # A gap that changes sides may be as wide as before: beyond chance only if its width
        # changed by more than the interval of the change reaches.
        reach = (table["high"] - table["low"]).to_numpy(dtype=float) / 2
        turned = (table["direction"] == "reversed").to_numpy() & (np.abs(narrower) <= reach)
        return np.where(turned, 0.0, np.abs(sign) * narrower)
    return sign * table["change"].to_numpy(dtype=float)


def sign_of(metric: pd.Series) -> Float64[np.ndarray, " rows"]:
    """1 where a higher rate is better for the group, -1 where a lower is, 0 where neither is."""
    signs = [_BETTER.get(name.partition("[")[0], 0) for name in metric]
    return np.array(signs, dtype=np.float64)


def overall_reading(
    groups: pd.DataFrame, gaps: pd.DataFrame, seeds: Sequence[int], margin: float | None
) -> tuple[str, str]:
    """Reading and reason over all rows; images without a group label take no part."""
    rows = pd.concat([groups[groups["state"] != "unknown"], gaps], ignore_index=True)
    if not rows["p_value"].notna().any():
        return "cannot_tell", "insufficient_evidence"
    if too_few(seeds):
        return "cannot_tell", too_few(seeds)
    if (rows["verdict"] == "difference_found").any():
        return "difference_found", ""
    if (rows["verdict"] == "difference_ruled_out").all():
        return "difference_ruled_out", ""
    evidence = rows["reason"].isin(["insufficient_evidence", *UNTESTED])
    no_margin = margin is None and not evidence.any()
    return "cannot_tell", "no_margin" if no_margin else "insufficient_evidence"

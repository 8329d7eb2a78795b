"""Comparisons -> what may be said: found, ruled out, or cannot tell, and why."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Shaped

from debias.metrics.documents import (
    AttributeVerdict,
    FairnessVerdict,
    PrimaryChange,
    Reading,
)
from debias.metrics.rates import rate_of
from debias.metrics.rules import Rules

PerRow = Float64[np.ndarray, " rows"]
Limits = tuple[PerRow, PerRow]
UNTESTED = ("suppressed", "not_estimable", "too_small")


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What may be said about one attribute, or about all of them."""

    reading: Reading
    reason: str  # why it cannot be told; empty otherwise
    incomplete: bool  # whether some declared group could not be tested
    sentence: str  # the same in plain English
    attribute: str = ""  # or crossing; empty for all of them
    by_attribute: tuple["Verdict", ...] = ()  # the verdicts that this one sums up

    def to_dict(self) -> FairnessVerdict | AttributeVerdict:
        """Plain values for JSON."""
        own: Any = asdict(self)
        del own["by_attribute" if self.attribute else "attribute"]
        if not self.attribute:
            own["by_attribute"] = [part.to_dict() for part in self.by_attribute]
        return own


def reading_of(
    verdicts: Sequence[str], obstacle: bool, margin: float | None
) -> tuple[Reading, str]:
    """Reading and reason of many comparisons together.

    A difference found in one of them stands. It is ruled out only if it is in every one, and there
    is no ``obstacle``, such as a group that could not be tested.
    """
    if "difference_found" in verdicts:
        return "difference_found", ""
    if obstacle:
        return "cannot_tell", "insufficient_evidence"
    if all(verdict == "difference_ruled_out" for verdict in verdicts):
        return "difference_ruled_out", ""
    return "cannot_tell", "no_margin" if margin is None else "insufficient_evidence"


def overall_reading(
    primary: Sequence[PrimaryChange], rows: pd.DataFrame, seeds: Sequence[int], margin: float | None
) -> tuple[Reading, str]:
    """Reading and reason over the primary questions and all rows.

    Rows count among what is found only once every primary question has found a difference; images
    without a group label take no part.
    """
    if too_few(seeds):
        return "cannot_tell", too_few(seeds)
    found: list[str] = [one["reading"] for one in primary]
    asked = rows[rows["reason"] != "unknown"]
    readings = asked["verdict"].tolist()
    if describes(primary):
        readings = ["cannot_tell" if one == "difference_found" else one for one in readings]
    if not (found or asked["p_value"].notna().any()):
        return "cannot_tell", "insufficient_evidence"
    obstacle = bool(asked["reason"].isin(["insufficient_evidence", *UNTESTED]).any())
    return reading_of([*found, *readings], obstacle, margin)


def describes(primary: Sequence[PrimaryChange]) -> bool:
    """Whether groups and gaps only describe: not every primary question found a difference."""
    return any(one["reading"] != "difference_found" for one in primary)


def read_changes(
    table: pd.DataFrame,
    limits: Limits,
    state: Shaped[np.ndarray, " rows"],
    seeds: Sequence[int],
    rules: Rules,
) -> pd.DataFrame:
    """Add verdict, reason and harm to each row, on unrounded numbers.

    A change is found when its p-value over images and trainings says so after Holm; of a single
    training nothing is found that another could turn around. It is ruled out beyond the margin
    when both intervals lie inside of it. Harm is a change for the worse that the images alone
    find, whatever the trainings: in these trainings it happened. ``limits`` hold at the adjusted
    level; ``state`` is ``estimated`` where the row was tested, else why not.
    """
    few, untested, margin = too_few(seeds), state != "estimated", rules.margin
    seen = is_seen(table, rules.level)
    low, high = (table[end].to_numpy(dtype=float) for end in ("wide_low", "wide_high"))
    found = seen & (table["p_wide"].to_numpy(dtype=float) <= 1 - rules.level)
    inside = within(limits, margin)
    if len(seeds) > 1:
        inside = inside & within((low, high), margin)
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


def within(limits: Limits, margin: float | None) -> Bool[np.ndarray, " rows"]:
    """Whether an interval lies inside of the margin; nowhere if there is none."""
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
    return "single_run" if len(seeds) == 1 else ""


def benefit(table: pd.DataFrame) -> PerRow:
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


def sign_of(metric: pd.Series) -> PerRow:
    """1 where a higher rate is better for the group, -1 where a lower is, 0 where neither is."""
    signs = [rate.better if rate else 0 for rate, _ in map(rate_of, metric)]
    return np.array(signs, dtype=np.float64)

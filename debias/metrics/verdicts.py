"""Comparisons -> what may be said: found, ruled out, or cannot tell, and why."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Shaped

from debias.metrics.documents import AttributeVerdict, FairnessVerdict, Reading
from debias.metrics.rates import rate_of
from debias.metrics.rules import Rules
from debias.types import SEEDS_NEEDED

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
    groups: pd.DataFrame, gaps: pd.DataFrame, seeds: Sequence[int], margin: float | None
) -> tuple[Reading, str]:
    """Reading and reason over all rows; images without a group label take no part."""
    rows = pd.concat([groups[groups["state"] != "unknown"], gaps], ignore_index=True)
    if not rows["p_value"].notna().any():
        return "cannot_tell", "insufficient_evidence"
    if too_few(seeds):
        return "cannot_tell", too_few(seeds)
    obstacle = bool(rows["reason"].isin(["insufficient_evidence", *UNTESTED]).any())
    return reading_of(rows["verdict"].tolist(), obstacle, margin)


def read_changes(
    table: pd.DataFrame,
    limits: Limits,
    state: Shaped[np.ndarray, " rows"],
    seeds: Sequence[int],
    rules: Rules,
) -> pd.DataFrame:
    """Add verdict, reason and harm to each row, on unrounded numbers.

    A change is found when its p-value says so after Holm and, where the trainings are known, five
    of them or more and their own interval say so, too. It is ruled out beyond the margin when
    both intervals lie inside of it. Harm is a change for the worse that the p-value finds,
    whatever the number of trainings: in these trainings it happened. ``limits`` hold at the
    adjusted level; ``state`` is ``estimated`` where the row was tested, else why not.
    """
    few, untested, margin = too_few(seeds), state != "estimated", rules.margin
    seen = is_seen(table, rules.level)
    low, high = (table[end].to_numpy(dtype=float) for end in ("seed_low", "seed_high"))
    found, inside = seen, within(limits, margin)
    if seeds:
        found = seen & ((low > 0) | (high < 0))
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
    if not seeds or len(seeds) >= SEEDS_NEEDED:
        return ""
    return "single_run" if len(seeds) == 1 else "too_few_seeds"


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

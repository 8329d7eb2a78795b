"""Comparisons -> what may be said: found, ruled out, or cannot tell, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Shaped

from debias.errors import EvaluationError
from debias.metrics.rates import rate_of
from debias.statistics.groupings import is_unknown
from debias.types import SEEDS_NEEDED

PerRow = Float64[np.ndarray, " rows"]

Reading = Literal["difference_found", "difference_ruled_out", "cannot_tell"]
_NAMED = 3  # pairs named in a sentence


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What may be said about one attribute, or about all of them.

    Attributes:
        reason: Why it cannot be told; empty otherwise.
        incomplete: Whether some declared group could not be tested.
        sentence: The same in plain English.
        attribute: Attribute or crossing; empty for all of them.
        by_attribute: The verdicts that this one sums up.
    """

    reading: Reading
    reason: str
    incomplete: bool
    sentence: str
    attribute: str = ""
    by_attribute: tuple["Verdict", ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        own = asdict(self)
        parts = own.pop("by_attribute")
        if self.attribute:
            return own
        for part in parts:
            part.pop("by_attribute")
        del own["attribute"]
        return own | {"by_attribute": list(parts)}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Verdict":
        """Read back what ``to_dict`` wrote."""
        parts = tuple(Verdict.from_dict(part) for part in values.get("by_attribute", ()))
        return Verdict(**{**values, "by_attribute": parts})


def conclude(
    by_group: pd.DataFrame,
    gaps: pd.DataFrame,
    attributes: Sequence[Mapping[str, Any]],
    margin: float | None,
) -> Verdict:
    """The verdict on each attribute, and on all of them.

    A difference is ruled out only if it is in every comparison and every group could be tested;
    a group that could not be tested leaves a difference found between others standing, marked
    incomplete.
    """
    parts = tuple(_of_attribute(one, by_group, gaps, margin) for one in attributes)
    reading, reason = _together(parts)
    incomplete = any(part.incomplete for part in parts)
    sentence = "Cannot tell (insufficient evidence): no group is annotated."
    if parts:
        sentence = _sentence(reading, reason, gaps, margin, incomplete)
    return Verdict(
        reading=reading, reason=reason, incomplete=incomplete, sentence=sentence, by_attribute=parts
    )


def _of_attribute(
    attribute: Mapping[str, Any], by_group: pd.DataFrame, every: pd.DataFrame, margin: float | None
) -> Verdict:
    name = attribute["attribute"]
    cells = by_group[by_group["attribute"] == name]
    cells = cells[
        cells["metric"].isin(attribute["metrics"]) & ~cells["group"].isin(attribute["empty"])
    ]
    gaps = every[every["attribute"] == name]
    cells = cells[~cells["group"].map(is_unknown)]  # images without a label are no group
    untested = cells[cells["state"].isin(["not_estimable", "too_small", "suppressed"])]
    incomplete = len(untested) > 0 or len(gaps) == 0
    reading, reason = _read(gaps, incomplete, margin)
    return Verdict(
        reading=reading,
        reason=reason,
        incomplete=incomplete,
        sentence=_sentence(reading, reason, gaps, margin, incomplete),
        attribute=name,
    )


def _read(gaps: pd.DataFrame, incomplete: bool, margin: float | None) -> tuple[Reading, str]:
    verdicts = gaps["verdict"]
    if (verdicts == "difference_found").any():
        return "difference_found", ""
    if incomplete:
        return "cannot_tell", "insufficient_evidence"
    if (verdicts == "difference_ruled_out").all():
        return "difference_ruled_out", ""
    return "cannot_tell", "no_margin" if margin is None else "insufficient_evidence"


def _together(parts: Sequence[Verdict]) -> tuple[Reading, str]:
    readings = [part.reading for part in parts]
    if "difference_found" in readings:
        return "difference_found", ""
    if readings and all(reading == "difference_ruled_out" for reading in readings):
        return "difference_ruled_out", ""
    reasons = [part.reason for part in parts]
    evidence = not reasons or "insufficient_evidence" in reasons
    return "cannot_tell", "insufficient_evidence" if evidence else "no_margin"


def _sentence(
    reading: Reading, reason: str, gaps: pd.DataFrame, margin: float | None, incomplete: bool
) -> str:
    tested = gaps[gaps["p_value"].notna()]
    if reading == "difference_found":
        found = gaps[gaps["verdict"] == "difference_found"]
        listed = _listed(found)
        text = f"Difference found in {len(found)} of {len(tested)} comparisons: {listed}"
    elif reading == "difference_ruled_out":
        text = f"Difference ruled out beyond the margin of {points(margin or 0.0)}"
    elif reason == "no_margin":
        text = (
            f"Cannot tell (no margin): none of {len(tested)} comparisons shows a difference, "
            "which is not evidence that there is none; no margin was set beforehand"
        )
    else:
        text = f"Cannot tell (insufficient evidence): {_lacking(gaps, tested)}"
    tail = ". Incomplete: some groups could not be tested" if incomplete else ""
    return f"{text}{tail}."


def _lacking(gaps: pd.DataFrame, tested: pd.DataFrame) -> str:
    if not len(gaps):
        return (
            "no two groups were compared; there is a single one, or there are too many for all "
            "pairs and no reference"
        )
    if not len(tested):
        return "no pair of groups has enough images to be compared"
    if len(tested) < len(gaps):
        return (
            f"{len(tested)} of {len(gaps)} comparisons could be made, and none shows a difference"
        )
    return f"none of {len(tested)} comparisons shows a difference, or rules one out"


def _listed(found: pd.DataFrame) -> str:
    """The largest differences by name."""
    order = found["difference"].abs().sort_values(ascending=False, kind="stable").index
    named = [_told(row) for row in found.loc[order[:_NAMED]].to_dict("records")]
    more = len(found) - len(named)
    return "; ".join(named) + (f"; and {more} more" if more else "")


def _told(row: Mapping[Any, Any]) -> str:
    direction = "below" if row["difference"] < 0 else "above"
    low, high = sorted((abs(row["low"]), abs(row["high"])))
    decimals = decimals_of(low)
    return (
        f"{spoken(row['metric'])} of {spoken(row['group'])} is "
        f"{points(abs(row['difference']))} {direction} {spoken(row['other'])} "
        f"[{100 * low:.{decimals}f} to {100 * high:.{decimals}f}]"
    )


def spoken(name: str) -> str:
    """Name of a measure or a group as a reader says it: ``annotated race Black``."""
    return name.replace("_", " ").replace(":", " ")


def points(share: float) -> str:
    """Percentage points; enough decimals that no difference shows as zero."""
    return f"{100 * share:.{decimals_of(share)}f} percentage points"


def decimals_of(share: float) -> int:
    """Decimals of percentage points at which a share does not show as zero, one at least."""
    return next((d for d in range(1, 6) if round(100 * share, d) != 0), 6)


Reference = str | Mapping[str, str] | Sequence[str]
UNTESTED = ("suppressed", "not_estimable", "too_small")


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
    limits: tuple[PerRow, PerRow],
    state: Shaped[np.ndarray, " rows"],
    seeds: Sequence[int],
    question: Question,
) -> pd.DataFrame:
    """Add verdict, reason and harm to each row, on unrounded numbers.

    A change is found when its p-value says so after Holm and, where the trainings are known, five
    of them or more and their own interval say so, too. It is ruled out beyond the margin when
    both intervals lie inside of it. Harm is a change for the worse that the p-value finds,
    whatever the number of trainings: in these trainings it happened. ``limits`` hold at the
    adjusted level; ``state`` is ``estimated`` where the row was tested, else why not.
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


def _within(limits: tuple[PerRow, PerRow], margin: float | None) -> Bool[np.ndarray, " rows"]:
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

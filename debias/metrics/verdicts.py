"""Comparisons -> what may be said: found, ruled out, or cannot tell, and why."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd

from debias.statistics.groupings import is_unknown

Reading = Literal["difference_found", "difference_ruled_out", "cannot_tell"]
_NAMED = 3  # pairs named in a sentence


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What may be said about one attribute, or about all of them.

    Attributes:
        reading: ``difference_found``, ``difference_ruled_out`` or ``cannot_tell``.
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
    return Verdict(
        reading=reading,
        reason=reason,
        incomplete=any(part.incomplete for part in parts),
        sentence=_overall_sentence(reading, reason, gaps, margin, parts),
        by_attribute=parts,
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


def _overall_sentence(
    reading: Reading,
    reason: str,
    gaps: pd.DataFrame,
    margin: float | None,
    parts: Sequence[Verdict],
) -> str:
    if not parts:
        return "Cannot tell (insufficient evidence): no group is annotated."
    return _sentence(reading, reason, gaps, margin, any(part.incomplete for part in parts))


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

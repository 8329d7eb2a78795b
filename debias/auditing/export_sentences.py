"""What the short audit of an export says, in sentences."""

from collections.abc import Mapping
from typing import Any

from debias.statistics.groupings import UNKNOWN


def sentences(document: Mapping[str, Any]) -> list[str]:
    """What the figures say, losses of small groups first."""
    groups = document["groups"]
    shown = [row for row in groups["evenness"] if row["after"] is not None]
    told = [
        _losses(groups["rows"]),
        _evenness_told(shown),
        _coverage_told(document["coverage"]),
        _withheld_told(groups["rows"]),
    ]
    return [sentence for sentence in told if sentence]


def _coverage_told(coverage: Mapping[str, Any]) -> str:
    """After against chance: against all images, a smaller set would look worse than it is."""
    before, after, random = coverage["before"], coverage["after"], coverage["random"]
    name, chance = "effective_cells", random["effective_cells"]
    than = "more even than" if after[name] > chance["high"] else "no more even than"
    than = "less even than" if after[name] < chance["low"] else than
    densest = random["densest_tenth"]
    return (
        f"Coverage of the latent space is {than} by chance: as even as {after[name]:.1f} equally "
        f"full cells of {coverage['cells']}. At random from the same images, {random['draws']} "
        f"times: {chance['mean']:.1f} on average (95 % of them {chance['low']:.1f} to "
        f"{chance['high']:.1f}); all images alike: {before[name]:.1f}. The fullest tenth of "
        f"the cells holds {after['densest_tenth']:.1%}; at random {densest['mean']:.1%} "
        f"({densest['low']:.1%} to {densest['high']:.1%}), of all images "
        f"{before['densest_tenth']:.1%}."
    )


def _withheld_told(rows: list[dict[str, Any]]) -> str:
    count = sum(row["state"] == "suppressed" for row in rows)
    if not count:
        return ""
    return (
        f"{count} of {len(rows)} groups and crossings are withheld: a small count would show, or "
        "follow from other figures of this export and of the audit."
    )


def _losses(rows: list[dict[str, Any]]) -> str:
    """Groups that are rarer than the others and became rarer still."""
    lost = [row for row in rows if row["state"] == "estimated" and _lost(row, rows)]
    lost.sort(key=lambda row: row["after"]["share"] / row["before"]["share"])
    if not lost:
        return ""
    named = [
        f"{row['group']} ({row['before']['share']:.1%} before, {row['after']['share']:.1%} after)"
        for row in lost[:5]
    ]
    more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
    return f"Small groups with a smaller share than before: {', '.join(named)}{more}."


def _lost(row: Mapping[str, Any], rows: list[dict[str, Any]]) -> bool:
    """Whether the interval after lies below the share before."""
    among = sum(
        other["attribute"] == row["attribute"] and other["state"] != UNKNOWN for other in rows
    )
    before = row["before"]["share"]
    return bool(before < 1 / among and row["after"]["high"] < before)


def _evenness_told(rows: list[dict[str, Any]]) -> str:
    if not rows:
        return ""
    parts = [f"{row['attribute']} {row['after']:.1%} (before {row['before']:.1%})" for row in rows]
    return (
        "Part of the annotated images that would have to belong to another group for equal shares: "
        f"{', '.join(parts)}. No annotation was used to choose."
    )

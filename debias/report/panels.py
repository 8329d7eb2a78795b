"""Rows of a fairness or comparison document, gathered by attribute and put in reading order."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from debias.report.charts.rows import Label
from debias.report.charts.style import GROUPS_DRAWN, PANELS_DRAWN
from debias.report.readings import is_neutral, is_worse_high
from debias.report.words import attribute_name, group_name, is_number

Row = Mapping[str, Any]
Key = Callable[[Row], tuple[Any, ...]]
STATES = ("estimated", "too_small", "unknown", "not_estimable", "suppressed")
UNJUDGED = STATES[1:]
GAPS_DRAWN = 12  # pairs grow with the square of the groups


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Rows of one attribute or crossing.

    Attributes:
        attribute: Name in the document.
        title: Name as printed.
        labels: What stands to the left of each row.
        rows: Worst first.
    """

    attribute: str
    title: str
    labels: tuple[Label, ...]
    rows: tuple[Row, ...]


def panels(
    rows: Iterable[Row],
    key: Key,
    most: int | None = GROUPS_DRAWN,
    panels_drawn: int | None = PANELS_DRAWN,
) -> list[Panel]:
    """Gather rows by attribute, single attributes before crossings, each in the order of ``key``.

    Args:
        rows: Of one measure.
        key: Sorts the rows of an attribute.
        most: Rows kept of an attribute; None keeps all.
        panels_drawn: Attributes kept; None keeps all.
    """
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["attribute"], []).append(row)
    names = sorted(found, key=lambda name: " x " in name)[:panels_drawn]
    return [_panel(name, sorted(found[name], key=key), most) for name in names]


def _panel(attribute: str, rows: Sequence[Row], most: int | None) -> Panel:
    kept = tuple(rows[:most])
    return Panel(
        attribute=attribute,
        title=attribute_name(attribute),
        labels=tuple(label(row) for row in kept),
        rows=kept,
    )


def label(row: Row) -> Label:
    """Group, or the two groups of a gap, without the attribute."""
    one = group_name(row["attribute"], row["group"])
    if "other" not in row:
        return one
    return one, f"minus {group_name(row['attribute'], row['other'])}"


def of(document: Mapping[str, Any], part: str, metric: str) -> list[Row]:
    """Rows of one measure."""
    return [row for row in document[part] if row["metric"] == metric]


def worst_rate_first(row: Row) -> tuple[Any, ...]:
    """Worst group first, then what is too small, has no label, is not estimable or withheld."""
    return STATES.index(row["state"]), by_rate(row)[1]


def by_rate(row: Row) -> tuple[bool, float]:
    """Worst rate first, whatever its group's size; without a number last."""
    value = row["value"]
    if not is_number(value):
        return True, 0.0
    return False, -value if is_worse_high(row["metric"]) else value


def largest_gap_first(row: Row) -> tuple[Any, ...]:
    """What was found first, then by size; pairs without a number last."""
    difference = row["difference"]
    if not is_number(difference):
        return 3, 0.0
    order = {"difference_found": 0, "cannot_tell": 1, "difference_ruled_out": 2}
    return 2 if row["reason"] in UNJUDGED else order.get(row["verdict"], 1), -abs(difference)


def harm_first(row: Row) -> tuple[Any, ...]:
    """Harmed groups first, then other changes that were found, then the largest loss."""
    change = row["change"]
    if not is_number(change):
        return 4, 0.0
    if row["reason"] in UNJUDGED:
        return 3, -abs(change)
    return 0 if row["harm"] else 1 + (row["verdict"] != "difference_found"), _gain(row, change)


def _gain(row: Row, change: float) -> float:
    if "direction" in row:  # a gap: no sign of its change is good in itself
        return -abs(change)
    if is_neutral(row["metric"]):
        return 0.0
    return -change if is_worse_high(row["metric"]) else change

"""Group results of a document, gathered by attribute and put in reading order."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from debias.report.text import attribute_name, group_name, is_number

Row = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Group:
    """One group with its rows of every arm.

    Attributes:
        full: Name in the document.
        short: Name without its attribute.
        rows: Arm, then metric, to the row of the mean over seeds.
        seeds: Arm, then metric, to one value a seed (None where undefined).
        train: Training images, None for a crossing.
        test: Test images, None when unknown.
    """

    full: str
    short: str
    rows: Mapping[str, Mapping[str, Row]]
    seeds: Mapping[str, Mapping[str, list[float | None]]]
    train: int | None
    test: int | None

    def value(self, arm: str, metric: str = "accuracy") -> float | None:
        """Mean over seeds, None where it is undefined."""
        value = self.rows.get(arm, {}).get(metric, {}).get("value")
        return float(value) if is_number(value) else None


@dataclass(frozen=True, kw_only=True)
class Attribute:
    """All groups of an attribute or of a crossing, worst first."""

    name: str
    title: str
    groups: tuple[Group, ...]


def baseline_arm(document: Mapping[str, Any]) -> str | None:
    """The arm that the others are compared with."""
    arms = list(document["arms"])
    for change in document.get("changes") or ():
        if change["baseline"] in arms:
            return change["baseline"]
    return "uniform" if "uniform" in arms else next(iter(arms), None)


def attributes(document: Mapping[str, Any]) -> list[Attribute]:
    """Gather every declared or measured group, single attributes before crossings."""
    declared = {(row["attribute"], row["group"]): row for row in document["data"]["groups"]}
    keys = dict.fromkeys(declared)
    for arm in document["arms"].values():
        keys |= dict.fromkeys((row["attribute"], row["group"]) for row in arm["mean"]["by_group"])
    rows = {name: _by_key(arm["mean"]["by_group"]) for name, arm in document["arms"].items()}
    seeds = {name: _seed_values(arm["seeds"]) for name, arm in document["arms"].items()}
    found: dict[str, list[Group]] = {}
    for attribute, group in keys:
        key = attribute, group
        measured = {arm: table.get(key, {}) for arm, table in rows.items()}
        known = declared.get(key, {})
        found.setdefault(attribute, []).append(
            Group(
                full=group,
                short=group_name(attribute, group),
                rows=measured,
                seeds={arm: table.get(key, {}) for arm, table in seeds.items()},
                train=known.get("train"),
                test=known.get("test", _test_images(measured)),
            )
        )
    baseline = baseline_arm(document)
    return [
        Attribute(name=name, title=attribute_name(name), groups=_worst_first(members, baseline))
        for name, members in sorted(found.items(), key=lambda item: " x " in item[0])
    ]


def _by_key(rows: list[Row]) -> dict[tuple[str, str], dict[str, Row]]:
    table: dict[tuple[str, str], dict[str, Row]] = {}
    for row in rows:
        table.setdefault((row["attribute"], row["group"]), {})[row["metric"]] = row
    return table


def _seed_values(
    seeds: list[Mapping[str, Any]],
) -> dict[tuple[str, str], dict[str, list[float | None]]]:
    table: dict[tuple[str, str], dict[str, list[float | None]]] = {}
    for seed in seeds:
        for row in seed["by_group"]:
            metrics = table.setdefault((row["attribute"], row["group"]), {})
            value = row["value"] if is_number(row["value"]) else None
            metrics.setdefault(row["metric"], []).append(value)
    return table


def _test_images(measured: Mapping[str, Mapping[str, Row]]) -> int | None:
    for metrics in measured.values():
        size = metrics.get("accuracy", {}).get("denominator")
        if is_number(size):
            return round(size)
    return None


def _worst_first(groups: list[Group], baseline: str | None) -> tuple[Group, ...]:
    def rank(group: Group) -> float:
        value = group.value(baseline) if baseline else None
        return math.inf if value is None else value

    return tuple(sorted(groups, key=rank))

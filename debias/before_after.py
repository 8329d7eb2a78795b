"""A short audit of an export: the same figures before and after.

``n`` images that could be chosen.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64

from debias.audit.cells import coverage_of
from debias.audit.crossings import Grouping, groupings
from debias.metrics import clopper_pearson, hidden_counts
from debias.ranking import UNKNOWN

LEVEL = 0.95
EVENNESS = ("occupied", "effective_cells", "densest_tenth")
NUMBERS = ("count", "share", "low", "high")


def compare_coverage(
    cell: Int64[np.ndarray, " n"], cells: int, weight: Float64[np.ndarray, " n"]
) -> dict[str, Any]:
    """How evenly all images alike fill the cells of the audit, and how evenly they do by weight."""
    before, after = coverage_of(cell, cells), coverage_of(cell, cells, weight)
    sides = {"before": before, "after": after}
    return {"cells": cells} | {
        side: {name: getattr(one, name) for name in EVENNESS} for side, one in sides.items()
    }


def compare_groups(
    groups: pd.DataFrame, weight: Float64[np.ndarray, " n"], below: int
) -> dict[str, Any]:
    """Share of every annotated group and crossing before and after.

    Intervals are Clopper and Pearson's and take images as independent; after, they count as many
    images as the weights are worth (Kish). A group whose number is small before or after is
    withheld in both, and with it enough others that it cannot be worked out.

    Args:
        groups: One row an image, one text column per attribute.
        weight: (n,) how much each image counts: draws of a manifest, 0 or 1 in a subset.
        below: Counts from 1 to below this are withheld.

    Returns:
        ``rows``: ``attribute``, ``group``, ``state`` (``estimated``, ``suppressed`` or, without a
        label, ``unknown``), ``before`` and ``after`` with ``count`` (of images; after weighting
        their number times the share), ``share``, ``low``, ``high``. ``evenness``: for each
        attribute the distance of all groups to equal shares, 0 if they are equal, before and
        after; None where a group is withheld.
    """
    if groups.empty or not len(groups.columns):
        return {"rows": [], "evenness": []}
    hidden = _hidden(groups, weight, below)
    rows: list[dict[str, Any]] = []
    evenness: list[dict[str, Any]] = []
    for grouping in groupings(groups, {}):
        found = _rows(grouping, weight, hidden)
        rows += found
        evenness.append({"attribute": grouping.attribute, **_evenness(found)})
    return {"rows": rows, "evenness": evenness}


def _hidden(groups: pd.DataFrame, weight: Float64[np.ndarray, " n"], below: int) -> set[str]:
    """Groups withheld before, or among the images that are left."""
    tables = (groups, groups[weight > 0])
    found = [hidden_counts(one, below) for one in tables]
    return {name for one in found for name, small in one.items() if small}


def _rows(
    grouping: Grouping, weight: Float64[np.ndarray, " n"], hidden: set[str]
) -> list[dict[str, Any]]:
    before = _shares(grouping, np.ones(len(weight)))
    after = _shares(grouping, weight)
    rows = []
    for place in np.flatnonzero(grouping.sizes):
        name, unlabelled = grouping.cells[place], grouping.unlabelled[place]
        state = "suppressed" if name in hidden else "unknown" if unlabelled else "estimated"
        named = {"attribute": grouping.attribute, "group": name, "state": state}
        sides = {"before": before[place], "after": after[place]}
        if name in hidden:
            sides = {side: dict.fromkeys(NUMBERS) for side in sides}
        rows.append(named | sides)
    return rows


def _shares(grouping: Grouping, weight: Float64[np.ndarray, " n"]) -> list[dict[str, Any]]:
    held = np.bincount(grouping.codes, weights=weight, minlength=len(grouping.cells))
    share = held.astype(np.float64) / weight.sum()
    worth = weight.sum() ** 2 / np.square(weight).sum()
    # Rounding may lift a share of everything above 1.
    low, high = clopper_pearson(np.minimum(share, 1.0) * worth, np.full(len(share), worth), LEVEL)
    columns = (share * weight.sum(), share, low, high)
    return [dict(zip(NUMBERS, map(float, one), strict=True)) for one in zip(*columns, strict=True)]


def _evenness(rows: list[dict[str, Any]]) -> dict[str, float | None]:
    if any(row["state"] == "suppressed" for row in rows):
        return {"before": None, "after": None}  # it would tell what is withheld
    labelled = [row for row in rows if row["state"] == "estimated"]
    return {side: _distance(labelled, side) for side in ("before", "after")}


def _distance(rows: list[dict[str, Any]], side: str) -> float | None:
    """Part of the labelled images that would have to change group for equal shares."""
    share = np.array([row[side]["share"] for row in rows])
    if len(rows) < 2 or share.sum() == 0:
        return None
    return float(np.abs(share / share.sum() - 1 / len(rows)).sum() / 2)


def sentences(document: Mapping[str, Any]) -> list[str]:
    """What the figures say, losses of small groups first."""
    coverage_, groups = document["coverage"], document["groups"]
    told = [_losses(groups["rows"])]
    told.append(_evenness_told([row for row in groups["evenness"] if row["after"] is not None]))
    before, after = coverage_["before"], coverage_["after"]
    told.append(
        f"Coverage of the latent space: as even as {after['effective_cells']:.1f} equally full "
        f"cells, before {before['effective_cells']:.1f}, of {coverage_['cells']} cells; the "
        f"fullest tenth of them holds {after['densest_tenth']:.1%}, before "
        f"{before['densest_tenth']:.1%}."
    )
    return [sentence for sentence in told if sentence]


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

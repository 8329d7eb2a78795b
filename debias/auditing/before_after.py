"""A short audit of an export: the same figures before and after.

``a`` audited images, ``n`` of them that could be chosen, ``g`` groups.
"""

from collections.abc import Collection
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64

from debias.auditing.coverage import coverage_of
from debias.metrics import clopper_pearson
from debias.statistics.groupings import Grouping, groupings

LEVEL = 0.95
EVENNESS = ("occupied", "effective_cells", "densest_tenth")
NUMBERS = ("count", "share", "low", "high")
DRAWS = 100  # at random, with which an export is compared


def compare_coverage(
    cell: Int64[np.ndarray, " n"],
    cells: int,
    weight: Float64[np.ndarray, " n"],
    generator: np.random.Generator,
) -> dict[str, Any]:
    """How evenly the images fill the cells of the audit: all alike, by weight, and at random.

    Fewer images leave more cells empty, however they were chosen, so that the figures after are to
    be compared with those at random: the same weights, given to the same images in another order.
    For a subset that is a random draw of its size.

    Returns:
        ``cells``; ``before`` and ``after`` with ``occupied``, ``effective_cells`` and
        ``densest_tenth``; ``random`` with ``draws`` and, of each figure, ``mean``, ``low`` and
        ``high`` (2.5 % and 97.5 % of the draws).
    """
    return {
        "cells": cells,
        "before": _figures(cell, cells, np.ones(len(cell))),
        "after": _figures(cell, cells, weight),
        "random": _at_random(cell, cells, weight, generator),
    }


def _figures(
    cell: Int64[np.ndarray, " n"], cells: int, weight: Float64[np.ndarray, " n"]
) -> dict[str, Any]:
    found = coverage_of(cell, cells, weight)
    return {name: getattr(found, name) for name in EVENNESS}


def _at_random(
    cell: Int64[np.ndarray, " n"],
    cells: int,
    weight: Float64[np.ndarray, " n"],
    generator: np.random.Generator,
) -> dict[str, Any]:
    draws = [_figures(cell, cells, generator.permutation(weight)) for _ in range(DRAWS)]
    found: dict[str, Any] = {"draws": DRAWS}
    for name in EVENNESS:
        values = [one[name] for one in draws]
        low, high = np.percentile(values, [2.5, 97.5])
        found[name] = {"mean": float(np.mean(values)), "low": float(low), "high": float(high)}
    return found


def compare_groups(
    groups: pd.DataFrame,
    able: Int64[np.ndarray, " n"],
    weight: Float64[np.ndarray, " n"],
    below: int,
    withheld: Collection[str] = (),
) -> dict[str, Any]:
    """Share of every annotated group and crossing before and after.

    Intervals are Clopper and Pearson's and take images as independent; after, they count as many
    images as the weights are worth (Kish). What is withheld is so before and after, see
    :func:`_hidden`.

    Args:
        groups: One row an audited image, one text column per attribute.
        able: (n,) rows of those that could be chosen.
        weight: (n,) how much each of them counts: draws of a manifest, 0 or 1 in a subset.
        below: Counts from 1 to below this are withheld.
        withheld: Groups and crossings whose numbers the audit does not show.

    Returns:
        ``rows``: ``attribute``, ``group``, ``state`` (``estimated``, ``suppressed`` or, without a
        label, ``unknown``), ``before`` and ``after`` with ``count`` (of images or lines; the sum
        of their weights where these are no whole numbers), ``share``, ``low``, ``high``.
        ``evenness``: for each attribute the distance of all groups to equal shares, 0 if they are
        equal, before and after; None where a group is withheld.
    """
    if groups.empty or not len(groups.columns):
        return {"rows": [], "evenness": []}
    rows: list[dict[str, Any]] = []
    evenness: list[dict[str, Any]] = []
    any_hidden = False
    for grouping in groupings(groups):
        hidden = _hidden(grouping, _parts(grouping, able, weight > 0), below, withheld)
        if grouping.is_crossing and (any_hidden or hidden.any()):
            hidden[:] = True
        any_hidden |= bool(hidden.any())
        found = _rows(grouping, grouping.codes[able], weight, hidden)
        rows += found
        evenness.append({"attribute": grouping.attribute, **_evenness(found)})
    return {"rows": rows, "evenness": evenness}


def _parts(
    grouping: Grouping, able: Int64[np.ndarray, " n"], chosen: Bool[np.ndarray, " n"]
) -> Int64[np.ndarray, "5 g"]:
    """Images of each group in every part that a reader knows or gets by subtraction.

    The audit tells the numbers of all audited images, an export those of the images it could
    choose and of those it chose; what they differ by are the images in other splits, and those
    that are left out.
    """
    codes = grouping.codes
    other = np.delete(codes, able)
    parts = (codes, codes[able], codes[able][chosen], other, codes[able][~chosen])
    return np.stack([np.bincount(one, minlength=len(grouping.cells)) for one in parts])


def _hidden(
    grouping: Grouping, parts: Int64[np.ndarray, "5 g"], below: int, withheld: Collection[str]
) -> Bool[np.ndarray, " g"]:
    """Groups withheld: those small in any part, those the audit withholds, and some more.

    The smallest others join them until no part holds images of a single withheld group, or a
    small number of all of them together: either would follow from the total. As a crossing adds up
    to its attributes, it is shown as a whole or not at all.
    """
    hidden = np.array([name in withheld for name in grouping.cells], dtype=bool)
    hidden |= _small(parts, below).any(axis=0)
    if grouping.is_crossing:
        return np.full(len(hidden), hidden.any())
    for place in np.argsort(parts[0], kind="stable"):
        of_hidden = parts[:, hidden]
        alone = (of_hidden > 0).sum(axis=1) == 1
        if not (alone | _small(of_hidden.sum(axis=1), below)).any():
            break
        hidden[place] = True
    return hidden


def _small(counts: Int64[np.ndarray, "..."], below: int) -> Bool[np.ndarray, "..."]:
    return (counts > 0) & (counts < below)


def _rows(
    grouping: Grouping,
    codes: Int64[np.ndarray, " n"],
    weight: Float64[np.ndarray, " n"],
    hidden: Bool[np.ndarray, " g"],
) -> list[dict[str, Any]]:
    size = len(grouping.cells)
    before = _shares(codes, size, np.ones(len(weight)))
    after = _shares(codes, size, weight)
    rows = []
    for place in np.unique(codes):
        name, unlabelled = grouping.cells[place], grouping.unlabelled[place]
        state = "suppressed" if hidden[place] else "unknown" if unlabelled else "estimated"
        named = {"attribute": grouping.attribute, "group": name, "state": state}
        sides = {"before": before[place], "after": after[place]}
        if hidden[place]:
            sides = {side: dict.fromkeys(NUMBERS) for side in sides}
        rows.append(named | sides)
    return rows


def _shares(
    codes: Int64[np.ndarray, " n"], size: int, weight: Float64[np.ndarray, " n"]
) -> list[dict[str, Any]]:
    held = np.bincount(codes, weights=weight, minlength=size).astype(np.float64)
    share = held / weight.sum()
    worth = weight.sum() ** 2 / np.square(weight).sum()
    # Rounding may lift a share of everything above 1.
    low, high = clopper_pearson(np.minimum(share, 1.0) * worth, np.full(size, worth), LEVEL)
    counts = held.astype(np.int64) if _is_whole(weight) else held
    columns = (counts.tolist(), share.tolist(), low.tolist(), high.tolist())
    return [dict(zip(NUMBERS, one, strict=True)) for one in zip(*columns, strict=True)]


def _is_whole(weight: Float64[np.ndarray, " n"]) -> bool:
    return bool((weight == np.floor(weight)).all())


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

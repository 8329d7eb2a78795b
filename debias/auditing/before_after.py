"""A short audit of an export: the same figures before and after, and what they say.

``a`` audited images, ``n`` of them that could be chosen, ``g`` groups.
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64

from debias.auditing.coverage import coverage_of
from debias.auditing.words import listed, say
from debias.statistics.groupings import UNKNOWN, Grouping, groupings
from debias.statistics.intervals import clopper_pearson

LEVEL = 0.95
EVENNESS = ("occupied", "effective_cells", "densest_tenth")
NUMBERS = ("count", "share", "low", "high")
SIDES = ("before", "after")
DRAWS = 100  # at random, with which an export is compared
NAMED = 5  # groups in one sentence

Weight = Float64[np.ndarray, " n"]
Rows = Int64[np.ndarray, " n"]
Parts = Int64[np.ndarray, "5 g"]
Mask = Bool[np.ndarray, " g"]
Row = dict[str, Any]


def compare_coverage(cell: Rows, cells: int, weight: Weight, generator: np.random.Generator) -> Row:
    """How evenly the images fill the cells of the audit: all alike, by weight, and at random.

    Fewer images leave more cells empty, however they were chosen, so that the figures after are to
    be compared with those at random, of which mean, 2.5 % and 97.5 % are told: the same weights,
    given to the same images in another order; for a subset a random draw of its size.
    """

    def figures(weight: Weight) -> Row:
        found = coverage_of(cell, cells, weight)
        return {name: getattr(found, name) for name in EVENNESS}

    draws = pd.DataFrame([figures(generator.permutation(weight)) for _ in range(DRAWS)])
    random: Row = {"draws": DRAWS}
    for name, values in draws.items():
        low, high = np.percentile(values, [2.5, 97.5]).tolist()
        random[str(name)] = {"mean": float(np.mean(values.to_numpy())), "low": low, "high": high}
    before = figures(np.ones(len(cell)))
    return {"cells": cells, "before": before, "after": figures(weight), "random": random}


def compare_groups(
    groups: pd.DataFrame, able: Rows, weight: Weight, below: int, withheld: Collection[str] = ()
) -> Row:
    """Share of every annotated group and crossing before and after.

    Intervals are Clopper and Pearson's and take images as independent; after, they count as many
    images as the weights are worth (Kish). What is withheld is so before and after.

    Args:
        groups: One row an audited image, one text column per attribute.
        able: (n,) rows of those that could be chosen.
        weight: (n,) how much each of them counts: draws of a manifest, 0 or 1 in a subset.
        below: Counts from 1 to below this are withheld.
        withheld: Groups and crossings whose numbers the audit does not show.

    Returns:
        ``rows``, whose counts are sums of weights, and ``evenness``: for each attribute the
        distance of all groups to equal shares, 0 if they are equal; None where one is withheld.
    """
    rows: list[Row] = []
    evenness: list[Row] = []
    any_hidden = False
    for grouping in groupings(groups) if groups.size else ():
        hidden = _hidden(grouping, _parts(grouping, able, weight > 0), below, withheld)
        hidden |= grouping.is_crossing and (any_hidden or hidden.any())
        any_hidden |= bool(hidden.any())
        found = _rows(grouping, grouping.codes[able], weight, hidden)
        rows += found
        distances = {side: _distance(found, side) for side in SIDES}
        evenness.append({"attribute": grouping.attribute} | distances)
    return {"rows": rows, "evenness": evenness}


def _parts(grouping: Grouping, able: Rows, chosen: Bool[np.ndarray, " n"]) -> Parts:
    """Images of each group in every part that a reader knows or gets by subtraction.

    The audit tells of all audited images, an export of those it could choose and chose: what they
    differ by are the images in other splits, and those that are left out.
    """
    codes = grouping.codes
    parts = (codes, codes[able], codes[able][chosen], np.delete(codes, able), codes[able][~chosen])
    return np.stack([np.bincount(one, minlength=len(grouping.cells)) for one in parts])


def _hidden(grouping: Grouping, parts: Parts, below: int, withheld: Collection[str]) -> Mask:
    """Groups withheld: those small in any part, those the audit withholds, and some more.

    The smallest others join them until no part holds images of a single withheld group, or a
    small number of all of them together: either would follow from the total. As a crossing adds up
    to its attributes, it is shown as a whole or not at all.
    """

    def small(counts: Int64[np.ndarray, "..."]) -> Bool[np.ndarray, "..."]:
        return (counts > 0) & (counts < below)

    hidden = np.isin(grouping.cells, list(withheld)) | small(parts).any(axis=0)
    if grouping.is_crossing:
        return np.full(len(hidden), hidden.any())
    for place in np.argsort(parts[0], kind="stable"):
        of_hidden = parts[:, hidden]
        alone = (of_hidden > 0).sum(axis=1) == 1
        if not (alone | small(of_hidden.sum(axis=1))).any():
            break
        hidden[place] = True
    return hidden


def _rows(grouping: Grouping, codes: Rows, weight: Weight, hidden: Mask) -> list[Row]:
    size = len(grouping.cells)
    sides = _shares(codes, size, np.ones(len(weight))), _shares(codes, size, weight)
    rows = []
    for place in np.unique(codes):
        state = "unknown" if grouping.unlabelled[place] else "estimated"
        told = {side: found[place] for side, found in zip(SIDES, sides, strict=True)}
        if hidden[place]:
            state, told = "suppressed", {side: dict.fromkeys(NUMBERS) for side in SIDES}
        named = {"attribute": grouping.attribute, "group": grouping.cells[place], "state": state}
        rows.append(named | told)
    return rows


def _shares(codes: Rows, size: int, weight: Weight) -> list[Row]:
    held = np.bincount(codes, weights=weight, minlength=size).astype(np.float64)
    share = held / weight.sum()
    worth = weight.sum() ** 2 / np.square(weight).sum()
    # Rounding may lift a share of everything above 1.
    low, high = clopper_pearson(np.minimum(share, 1.0) * worth, np.full(size, worth), LEVEL)
    counts = held.astype(np.int64) if (weight == np.floor(weight)).all() else held
    columns = (counts.tolist(), share.tolist(), low.tolist(), high.tolist())
    return [dict(zip(NUMBERS, one, strict=True)) for one in zip(*columns, strict=True)]


def _distance(rows: list[Row], side: str) -> float | None:
    """Part of the labelled images that would have to change group for equal shares."""
    if any(row["state"] == "suppressed" for row in rows):
        return None  # it would tell what is withheld
    share = np.array([row[side]["share"] for row in rows if row["state"] == "estimated"])
    if len(share) < 2 or share.sum() == 0:
        return None
    return float(np.abs(share / share.sum() - 1 / len(share)).sum() / 2)


def sentences(document: Mapping[str, Any]) -> list[str]:
    """What the figures say, losses of small groups first."""
    rows, evenness = document["groups"]["rows"], document["groups"]["evenness"]
    return [*_losses(rows), *_evenness(evenness), _coverage(document["coverage"]), *_withheld(rows)]


def _losses(rows: list[Row]) -> Iterator[str]:
    """Groups that are rarer than the others and became rarer still."""
    lost = [row for row in rows if row["state"] == "estimated" and _lost(row, rows)]
    lost.sort(key=lambda row: row["after"]["share"] / row["before"]["share"])
    named = [
        f"{row['group']} ({row['before']['share']:.1%} before, {row['after']['share']:.1%} after)"
        for row in lost
    ]
    if lost:
        yield say("export.lost", groups=listed(named, NAMED))


def _lost(row: Row, rows: list[Row]) -> bool:
    """Whether the interval after lies below the share before."""
    among = sum(
        other["attribute"] == row["attribute"] and other["state"] != UNKNOWN for other in rows
    )
    before = row["before"]["share"]
    return bool(before < 1 / among and row["after"]["high"] < before)


def _evenness(rows: list[Row]) -> Iterator[str]:
    parts = [
        f"{row['attribute']} {row['after']:.1%} (before {row['before']:.1%})"
        for row in rows
        if row["after"] is not None
    ]
    if parts:
        yield say("export.evenness", parts=", ".join(parts))


def _coverage(coverage: Row) -> str:
    """After against chance: against all images, a smaller set would look worse than it is."""
    before, after, random = coverage["before"], coverage["after"], coverage["random"]
    found, chance = after["effective_cells"], random["effective_cells"]
    than = "more even than" if found > chance["high"] else "no more even than"
    than = "less even than" if found < chance["low"] else than
    densest = {f"densest_{name}": value for name, value in random["densest_tenth"].items()}
    return say(
        "export.coverage", than=than, after=found, before=before["effective_cells"],
        cells=coverage["cells"], draws=random["draws"], densest=after["densest_tenth"],
        densest_before=before["densest_tenth"], **chance, **densest,
    )  # fmt: skip


def _withheld(rows: list[Row]) -> Iterator[str]:
    count = sum(row["state"] == "suppressed" for row in rows)
    if count:
        yield say("export.withheld", count=count, all=len(rows))

"""A short audit of an export: the same figures before and after, and what they say.

``a`` audited images, ``n`` of them that could be chosen, ``g`` groups.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from operator import itemgetter
from typing import Literal, TypedDict

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64

from debias.auditing.coverage import coverage_of
from debias.auditing.words import listed, say
from debias.statistics.groupings import UNKNOWN, Grouping, groupings
from debias.statistics.intervals import clopper_pearson
from debias.statistics.withholding import hidden_together

LEVEL = 0.95
DRAWS = 100  # at random, with which an export is compared
FELL = 0.9  # of a share: a smaller loss that may be chance is no news
NAMED = 5  # groups in one sentence

Weight = Float64[np.ndarray, " n"]
Rows = Int64[np.ndarray, " n"]
Parts = Int64[np.ndarray, "5 g"]
Side = dict[str, int | float | None]
Figures = dict[str, int | float]
NOTHING: Side = dict.fromkeys(("count", "share", "low", "high"))


class Row(TypedDict):
    """``count`` (a sum of weights), ``share``, ``low``, ``high`` on both sides; None: withheld."""

    attribute: str
    group: str
    state: str
    before: Side
    after: Side


class Evenness(TypedDict):
    """Distance of all groups to equal shares, 0 if they are equal; None where one is withheld."""

    attribute: str
    before: float | None
    after: float | None


class Groups(TypedDict):
    rows: list[Row]
    evenness: list[Evenness]


class AtRandom(TypedDict):
    """``mean``, ``low`` (2.5 %) and ``high`` (97.5 %) of each figure."""

    draws: int
    occupied: Figures
    effective_cells: Figures
    densest_tenth: Figures


class Coverage(TypedDict):
    cells: int
    before: Figures
    after: Figures
    random: AtRandom


def compare_coverage(
    cell: Rows, cells: int, weight: Weight, generator: np.random.Generator
) -> Coverage:
    """How evenly the images fill the cells of the audit: all alike, by weight, and at random.

    Fewer images leave more cells empty, however they were chosen, so that the figures after are to
    be compared with those at random, of which mean, 2.5 % and 97.5 % are told: the same weights,
    given to the same images in another order; for a subset a random draw of its size.
    """

    def figures(weight: Weight) -> Figures:
        found = coverage_of(cell, cells, weight)
        names = ("occupied", "effective_cells", "densest_tenth")
        return {name: getattr(found, name) for name in names}

    draws = [figures(generator.permutation(weight)) for _ in range(DRAWS)]

    def chance(name: str) -> Figures:
        values = [one[name] for one in draws]
        low, high = np.percentile(values, [2.5, 97.5]).tolist()
        return {"mean": float(np.mean(values)), "low": low, "high": high}

    random = AtRandom(
        draws=DRAWS, occupied=chance("occupied"), effective_cells=chance("effective_cells"),
        densest_tenth=chance("densest_tenth"),
    )  # fmt: skip
    before = figures(np.ones(len(cell)))
    return Coverage(cells=cells, before=before, after=figures(weight), random=random)


def compare_groups(
    groups: pd.DataFrame, able: Rows, weight: Weight, below: int, withheld: Collection[str] = ()
) -> Groups:
    """Share of every annotated group and crossing before and after.

    Intervals are Clopper and Pearson's and take images as independent; after, they count as many
    images as the weights are worth (Kish). What is withheld is so before and after; as a crossing
    adds up to its attributes, it is shown as a whole or not at all.

    Args:
        groups: One row an audited image, one text column per attribute.
        able: (n,) rows of those that could be chosen.
        weight: (n,) how much each of them counts: draws of a manifest, 0 or 1 in a subset.
        below: Counts from 1 to below this are withheld.
        withheld: Groups and crossings whose numbers the audit does not show.
    """
    found = Groups(rows=[], evenness=[])
    any_hidden = False
    for grouping in groupings(groups) if groups.size else ():
        known = np.isin(grouping.cells, list(withheld))
        hidden = hidden_together(_parts(grouping, able, weight > 0), below, known)
        if grouping.is_crossing:
            hidden |= any_hidden or hidden.any()
        any_hidden |= bool(hidden.any())
        rows = _rows(grouping, grouping.codes[able], weight, hidden)
        found["rows"] += rows
        before, after = _distance(rows, "before"), _distance(rows, "after")
        found["evenness"].append(
            {"attribute": grouping.attribute, "before": before, "after": after}
        )
    return found


def _parts(grouping: Grouping, able: Rows, chosen: Bool[np.ndarray, " n"]) -> Parts:
    """Images of each group in every part that a reader knows or gets by subtraction.

    The audit tells of all audited images, an export of those it could choose and chose: what they
    differ by are the images in other splits, and those that are left out.
    """
    codes = grouping.codes
    parts = (codes, codes[able], codes[able][chosen], np.delete(codes, able), codes[able][~chosen])
    return np.stack([np.bincount(one, minlength=len(grouping.cells)) for one in parts])


def _rows(
    grouping: Grouping, codes: Rows, weight: Weight, hidden: Bool[np.ndarray, " g"]
) -> list[Row]:
    size, rows = len(grouping.cells), []
    before, after = _shares(codes, size, np.ones(len(weight))), _shares(codes, size, weight)
    for place in np.unique(codes).tolist():
        state = UNKNOWN if grouping.unlabelled[place] else "estimated"
        sides = (NOTHING, NOTHING) if hidden[place] else (before[place], after[place])
        rows.append(
            Row(
                attribute=grouping.attribute, group=grouping.cells[place],
                state="suppressed" if hidden[place] else state, before=sides[0], after=sides[1],
            )
        )  # fmt: skip
    return rows


def _shares(codes: Rows, size: int, weight: Weight) -> list[Side]:
    held = np.bincount(codes, weights=weight, minlength=size).astype(np.float64)
    share = held / weight.sum()
    worth = weight.sum() ** 2 / np.square(weight).sum()
    # Rounding may lift a share of everything above 1.
    low, high = clopper_pearson(np.minimum(share, 1.0) * worth, np.full(size, worth), LEVEL)
    counts = held.astype(np.int64) if (weight == np.floor(weight)).all() else held
    columns = zip(*(one.tolist() for one in (counts, share, low, high)), strict=True)
    return [dict(zip(NOTHING, one, strict=True)) for one in columns]


def _distance(rows: list[Row], side: Literal["before", "after"]) -> float | None:
    """Part of the labelled images that would have to change group for equal shares."""
    if any(row["state"] == "suppressed" for row in rows):
        return None  # it would tell what is withheld
    share = np.array([row[side]["share"] for row in rows if row["state"] == "estimated"], float)
    if len(share) < 2 or share.sum() == 0:
        return None
    return float(np.abs(share / share.sum() - 1 / len(share)).sum() / 2)


def sentences(groups: Groups, coverage: Coverage) -> list[str]:
    """What the figures say, losses of small groups first."""
    rows = groups["rows"]
    even = [
        f"{row['attribute']} {row['after']:.1%} (before {row['before']:.1%})"
        for row in groups["evenness"] if row["after"] is not None
    ]  # fmt: skip
    withheld = sum(row["state"] == "suppressed" for row in rows)
    return [
        *_losses(rows),
        *([say("export.evenness", parts=", ".join(even))] if even else []),
        _coverage(coverage),
        *([say("export.withheld", count=withheld, all=len(rows))] if withheld else []),
    ]


def _losses(rows: list[Row]) -> Iterator[str]:
    """Groups that are rarer than the others and became rarer still, chance named as such."""
    groups = Counter(row["attribute"] for row in rows if row["state"] != UNKNOWN)
    lost = []
    for row in rows:
        before, after, high = row["before"]["share"], row["after"]["share"], row["after"]["high"]
        if row["state"] != "estimated" or before is None or after is None or high is None:
            continue
        if before < 1 / groups[row["attribute"]] and (high < before or after < FELL * before):
            chance = ", perhaps by chance" if high >= before else ""
            said = f"{row['group']} ({before:.1%} before, {after:.1%} after{chance})"
            lost.append((after / before, said))
    if lost:
        named = (said for _, said in sorted(lost, key=itemgetter(0)))
        yield say("export.lost", groups=listed(named, NAMED))


def _coverage(coverage: Coverage) -> str:
    """After against chance: against all images, a smaller set would look worse than it is."""
    before, after, random = coverage["before"], coverage["after"], coverage["random"]
    found, chance, tenth = (
        after["effective_cells"],
        random["effective_cells"],
        random["densest_tenth"],
    )
    than = "more even than" if found > chance["high"] else "no more even than"
    than = "less even than" if found < chance["low"] else than
    return say(
        "export.coverage", than=than, after=found, before=before["effective_cells"],
        cells=coverage["cells"], draws=random["draws"], densest=after["densest_tenth"],
        densest_before=before["densest_tenth"], densest_mean=tenth["mean"],
        densest_low=tenth["low"], densest_high=tenth["high"], **chance,
    )  # fmt: skip

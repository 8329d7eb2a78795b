"""What numbers by group mean, in sentences, the worst first.

Only rows from which withheld numbers were removed come here.
"""

from dataclasses import dataclass
from typing import Any

import pandas as pd

from debias.auditing.group_words import (
    by_attribute,
    called,
    images,
    interval,
    listed,
    moved,
    names,
    percent,
    records,
    short_name,
)
from debias.statistics.groupings import UNKNOWN


@dataclass(frozen=True, kw_only=True, eq=False)
class Facts:
    """What sentences are made of.

    Attributes:
        table: One row a group or crossing: the fields of :class:`GroupRow`, ``attribute``,
            ``is_crossing``, ``few`` (images to say more than a share), ``before`` and ``reach`` of
            weights, ``set_aside_overall``, ``more_set_aside``.
        images: Number of images.
        people: Number of people shown; None where nobody says.
        comparisons: Groups and crossings with a declared share.
        level: Of a false alarm.
        minimum: Images below which nothing is concluded.
        below: Counts from 1 to below this are withheld.
        source: Who says to which group a face belongs.
    """

    table: pd.DataFrame
    images: int
    people: int | None
    comparisons: int
    level: float
    minimum: int
    below: int
    source: str


def sentences(facts: Facts) -> list[str]:
    """Shortfalls, harm by weights, losses, what is too small, the rest, and how it was judged."""
    table = facts.table
    single = table[~table["is_crossing"]]
    return [
        *_short(table),
        *_together(table),
        *_weights_lower(single),
        *_lost(table),
        *_too_small(facts),
        *_absent(table),
        *_above(table),
        *_open(table),
        *_undeclared(table),
        *_rarity(single),
        *_few(facts),
        *_weights_reach(single),
        *_withheld(facts),
        *_unlabelled(single),
        *_method(facts),
    ]


def bad_news(facts: Facts) -> list[tuple[str, str]]:
    """What a reader must not miss, by kind, worst first: ``below``, ``lowered``, ``lost``."""
    table = facts.table
    single = table[~table["is_crossing"]]
    kinds = {"below": _short(table), "lowered": _weights_lower(single), "lost": _lost(table)}
    return [(kind, sentence) for kind, found in kinds.items() for sentence in found]


def _short(table: pd.DataFrame) -> list[str]:
    worst = table[table["verdict"] == "below"].sort_values("missing", ascending=False)
    return [
        f"{called(row)} is below its declared share: {interval(row)} instead of "
        f"{percent(row.declared)}; {_reached(row.missing)}."
        for row in records(worst)
    ]


def _reached(missing: float) -> str:
    if pd.isna(missing):
        return "no number of images of this group alone would reach it"
    return f"{missing:,.0f} more {images(missing)} would reach it"


def _together(table: pd.DataFrame) -> list[str]:
    """How far a set grows until all shares are as declared, if images are only ever added."""
    found = []
    for attribute, rows in by_attribute(table):
        short, groups = rows[rows["verdict"] == "below"], rows[rows["state"] != UNKNOWN]
        if len(short) > 1 and (groups["state"] != "suppressed").all():
            size = (groups["count"] / groups["declared"].where(groups["declared"] > 0)).max()
            unwanted = (groups["declared"] == 0) & (groups["count"] > 0)
            grown = "no addition suffices" if unwanted.any() else f"it takes {size:,.0f} images"
            found.append(
                f"{attribute}: each of these numbers is what one group needs if nothing else is "
                f"added; to reach all declared shares at once by adding, {grown} in all."
            )
    return found


def _weights_lower(single: pd.DataFrame) -> list[str]:
    return [
        f"{attribute}: harm, the weights lower the share of {moved(rows)}."
        for attribute, rows in by_attribute(single[single["reach"] == "lowered"])
    ]


def _lost(table: pd.DataFrame) -> list[str]:
    more = table[table["more_set_aside"].eq(True)]
    return [
        f"{called(row)} lost more than others: {percent(row.set_aside_share)} of its listed "
        f"images were set aside, {percent(row.set_aside_overall)} overall; find out why before "
        "collecting more."
        for row in records(more)
    ]


def _too_small(facts: Facts) -> list[str]:
    small = facts.table[facts.table["state"] == "too_small"]
    found = []
    for attribute, rows in by_attribute(small):
        texts = [f"{short_name(row)} ({row.count:,.0f}{_wanted(row)})" for row in records(rows)]
        found.append(
            f"{attribute}: no verdict on {listed(texts)}: the images with a label are under "
            f"{facts.minimum}, or show so few people that they are worth no more."
        )
    return found


def _wanted(row: Any) -> str:  # noqa: ANN401 (a row of a table)
    return (
        f", {row.missing:,.0f} more would reach {percent(row.declared)}" if row.missing > 0 else ""
    )


def _absent(table: pd.DataFrame) -> list[str]:
    """Groups without images that no shortfall has named."""
    absent = table[(table["state"] == "not_estimable") & (table["verdict"] != "below")]
    return [
        f"{attribute}: no image shows {names(rows)}." for attribute, rows in by_attribute(absent)
    ]


def _above(table: pd.DataFrame) -> list[str]:
    return [
        f"{called(row)} is above its declared share: {interval(row)} instead of "
        f"{percent(row.declared)}."
        for row in records(table[table["verdict"] == "above"])
    ]


def _open(table: pd.DataFrame) -> list[str]:
    return [
        f"{attribute}: cannot tell whether {names(rows)} differ from "
        "what was declared: INSUFFICIENT EVIDENCE."
        for attribute, rows in by_attribute(table[table["verdict"] == "cannot_tell"])
    ]


def _undeclared(table: pd.DataFrame) -> list[str]:
    declared = set(table.loc[table["declared"].notna(), "attribute"])
    return [
        f"{attribute}: no shares are declared, so there are counts and intervals and no verdict."
        for attribute, _ in by_attribute(table)
        if attribute not in declared
    ]


def _rarity(single: pd.DataFrame) -> list[str]:
    """Groups that lie where the latent space is thin, and those of which that cannot be said."""
    found = []
    for attribute, rows in by_attribute(single[single["auc"].notna()]):
        rare = rows[rows["auc_low"].astype(float) > 0.5].sort_values("auc", ascending=False)
        unseen = rows[
            rows["auc_low"].astype(float).le(0.5) & rows["auc_high"].astype(float).ge(0.5)
        ]
        if len(rare):
            texts = [
                f"{short_name(row)} ({row.auc:.2f}, {row.auc_low:.2f} to {row.auc_high:.2f})"
                for row in records(rare)
            ]
            found.append(
                f"{attribute}: images of {listed(texts)} lie in thinner surroundings than the "
                "others (area under the ROC curve of rarity; 0.5 says nothing, 1 everything)."
            )
        if len(unseen):
            found.append(
                f"{attribute}: rarity does not tell {names(unseen)} "
                "from the others: the interval of the area holds one half."
            )
    return found


def _few(facts: Facts) -> list[str]:
    table = facts.table
    return [
        f"{attribute}: whether rarity or weights reach {names(rows)} is not said: under "
        f"{facts.minimum} images, or of so few people that they are worth no more."
        for attribute, rows in by_attribute(table[table["few"].eq(True) & ~table["is_crossing"]])
    ]


def _weights_reach(single: pd.DataFrame) -> list[str]:
    found = []
    for attribute, rows in by_attribute(single):
        reached, missed, unclear = (
            rows[rows["reach"] == kind] for kind in ("reached", "missed", "unclear")
        )
        if len(reached):
            found.append(
                f"{attribute}: the weights raise the share of {moved(reached)}, more than equally "
                "uneven random weights would."
            )
        if len(missed):
            found.append(
                f"{attribute}: the weights do not target {names(missed)}: they do no better there "
                "than random weights of equal effective sample size."
            )
        if len(unclear):
            found.append(f"{attribute}: whether the weights reach {names(unclear)} cannot be told.")
    return found


def _withheld(facts: Facts) -> list[str]:
    hidden = facts.table[facts.table["state"] == "suppressed"]
    return [
        f"{attribute}: the numbers of {names(rows)} are withheld, as "
        f"a count of 1 to {facts.below - 1} could be read from them."
        for attribute, rows in by_attribute(hidden)
    ]


def _unlabelled(single: pd.DataFrame) -> list[str]:
    return [
        f"{row.attribute}: {row.count:,.0f} {images(row.count)} ({percent(row.share)}) have no "
        "label and are compared with nobody; shares are of the others."
        for row in records(single[single["state"] == UNKNOWN])
    ]


def _method(facts: Facts) -> list[str]:
    found = []
    if facts.comparisons:
        found.append(
            f"{facts.comparisons} {'group' if facts.comparisons == 1 else 'groups'} and crossings "
            f"were compared with declared shares; p-values are adjusted (Holm), so that a false "
            f"alarm among all of them has a chance of at most {percent(facts.level)}."
        )
    if facts.people is None:
        found.append(
            "Nobody says who is shown: images are treated as independent, and intervals are too "
            "narrow if people repeat."
        )
    elif facts.people < facts.images:
        found.append(
            f"The {facts.images:,} images show {facts.people:,} people; intervals are wide enough "
            "for their images being alike."
        )
    if facts.source == "inferred":
        found.append("The groups are machine guesses, not what people say of themselves.")
    return found

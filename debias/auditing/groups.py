"""What annotations say about a data set: how large each group is, and what rarity and weights see.

``n`` images, ``g`` cells: the values of each attribute and the crossings of all attributes.

``declared`` divides the images, ``group_shares`` counts and compares them with what was declared,
``group_losses`` asks who was left out, and ``group_sentences`` says it. What is withheld is removed
here, before anything is said.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64, Shaped

from debias.auditing.declared import Declared, Shares, declared_groupings
from debias.auditing.group_losses import losses
from debias.auditing.group_rows import GroupAudit, rows_of
from debias.auditing.group_sentences import Facts, bad_news, sentences
from debias.auditing.rules import AuditRules
from debias.auditing.shares import shares
from debias.errors import DataError
from debias.statistics.areas import areas_of_people
from debias.statistics.concentration import share_by_group
from debias.statistics.groupings import UNKNOWN
from debias.statistics.intervals import holm
from debias.weighting.reach import SLACK, reach

MINIMUM = 30  # images below which nothing is concluded: of those with a label, for a share
# What is said about the images of a group themselves takes as many of them.
OF_ITS_IMAGES = ("auc", "auc_low", "auc_high", "weight_share", "raised")
# What a row keeps when its numbers are withheld.
KEPT = ("attribute", "group", "is_crossing", "state", "declared")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Images:
    """What is known of every image beside its groups."""

    rarity: Float64[np.ndarray, " n"]
    weight: Float64[np.ndarray, " n"]
    people: Int64[np.ndarray, " n"] | None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Asked:
    """What was decided beforehand."""

    losses: pd.DataFrame
    hidden: frozenset[str]
    level: float
    comparisons: int
    seed: int


def audit_groups(  # noqa: PLR0913 (the columns of one table, and what was decided beforehand)
    groups: pd.DataFrame,
    *,
    declared: Shares,
    rarity: Float64[np.ndarray, " n"],
    weight: Float64[np.ndarray, " n"],
    subjects: Shaped[np.ndarray, " n"] | None = None,
    set_aside: pd.DataFrame | None = None,
    hidden: frozenset[str] = frozenset(),
    rules: AuditRules | None = None,
    source: str = "annotated",
    seed: int = 0,
) -> GroupAudit:
    """Compare groups with the shares they should have, and with rarity and weights.

    Of a hidden group nothing is kept but its name and declared share. What is printed of the
    others follows from their own images and from totals, so that nothing can be worked out that
    the choice of ``hidden`` protects.

    Args:
        groups: One row an image, one text column per attribute; missing and blank values are the
            group ``unknown``.
        declared: Share in [0, 1] of every value by attribute, or of every cell of the crossing of
            all attributes under ``a x b``. Shares of crossings are never formed from those of
            single attributes.
        rarity: (n,), finite, larger is rarer.
        weight: (n,), finite, at least 0.
        subjects: (n,) who is shown; missing values are people of their own. None: images are
            taken as independent.
        set_aside: Columns ``attribute``, ``group``, ``listed``, ``rejected`` of the images listed.
        hidden: Names of groups and crossings whose number of images is withheld.
        rules: ``level`` and ``suppress_below`` count.
        source: Who says to which group a face belongs.
        seed: Of the random control of the weights.

    Raises:
        DataError: Columns of different lengths, or a rarity or weight that cannot be used.
        GroupSchemaError: Attributes or groups that the declared shares do not fit.
    """
    rules = rules or AuditRules()
    images = _checked(groups, rarity, weight, subjects)
    lost = losses(set_aside, hidden, below=rules.suppress_below, minimum=MINIMUM, level=rules.level)
    found = declared_groupings(groups, declared, _listed(groups, set_aside))
    comparisons = sum(int((~np.isnan(one.declared)).sum()) for one in found)
    asked = _Asked(
        losses=lost, hidden=hidden, level=rules.level, comparisons=comparisons, seed=seed
    )
    table = pd.concat([_measured(one, images, asked) for one in found], ignore_index=True)
    table = _judged(table, rules.level)
    rows = {one.attribute: rows_of(table[table["attribute"] == one.attribute]) for one in found}
    facts = Facts(
        table=table, images=len(groups), comparisons=comparisons, level=rules.level,
        minimum=MINIMUM, below=rules.suppress_below, source=source,
        people=None if images.people is None else len(np.unique(images.people)),
    )  # fmt: skip
    return GroupAudit(
        source=source,
        attributes={one.attribute: rows[one.attribute] for one in found if not one.is_crossing},
        declared=frozenset(declared),
        crossings=next((rows[one.attribute] for one in found if one.is_crossing), ()),
        sentences=tuple(sentences(facts)),
        comparisons=comparisons,
        news=tuple(bad_news(facts)),
    )


def _checked(
    groups: pd.DataFrame,
    rarity: Float64[np.ndarray, " _n"],
    weight: Float64[np.ndarray, " _m"],
    subjects: Shaped[np.ndarray, " _p"] | None,
) -> _Images:
    people = None if subjects is None else _numbered(subjects)
    sizes = [len(groups), len(rarity), len(weight), *([] if people is None else [len(people)])]
    if len(set(sizes)) > 1 or not sizes[0]:
        raise DataError(
            f"groups, rarity, weights (and subjects) have {sizes} rows; they must agree, and be "
            "at least 1"
        )
    for name, values in (("rarity", rarity), ("weight", weight)):
        wrong = int((~np.isfinite(values)).sum())
        if wrong:
            raise DataError(f"{wrong} of {sizes[0]} values of {name} are not finite")
    if weight.min() < 0 or weight.sum() <= 0:
        raise DataError(f"weights must be at least 0 and not all 0, the least is {weight.min():g}")
    return _Images(rarity=rarity, weight=weight, people=people)


def _numbered(subjects: Shaped[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """People numbered from 0; an image of nobody known is one of somebody else."""
    column = pd.Series(subjects, dtype=object)
    codes, names = pd.factorize(column.where(column.notna() & (column.astype(str) != "")))
    others = np.cumsum(codes < 0) - 1
    return np.where(codes < 0, len(names) + others, codes).astype(np.int64)


def _listed(groups: pd.DataFrame, set_aside: pd.DataFrame | None) -> list[str]:
    """Groups of which images were listed, of whom perhaps none was left."""
    if set_aside is None:
        return []
    return set_aside.loc[set_aside["attribute"].isin(list(groups)), "group"].tolist()


def _measured(grouping: Declared, images: _Images, asked: _Asked) -> pd.DataFrame:
    """One row a cell, with everything that is measured; of hidden cells nothing."""
    withheld = np.isin(grouping.cells, list(asked.hidden))
    unlabelled, codes, level = grouping.unlabelled, grouping.codes, asked.level
    table = shares(grouping, withheld, images.people, level=level, comparisons=asked.comparisons)
    shown = np.where((withheld | unlabelled)[codes], -1, codes)
    of_weight = areas_of_people(images.weight, shown, images.people, level=1 - level)
    names = np.where(unlabelled, UNKNOWN, grouping.cells).tolist()
    table = table.join(areas_of_people(images.rarity, shown, images.people, level=1 - level))
    table = table.join(reached_by(images.weight, names, codes, of_weight, asked.seed))
    table = _without_few(table.join(asked.losses, on="group"), unlabelled).assign(
        state=_states(table, withheld, unlabelled),
        attribute=grouping.attribute,
        is_crossing=grouping.is_crossing,
    )
    table.loc[withheld, table.columns.difference(list(KEPT))] = None
    return table[~unlabelled | (grouping.sizes > 0)]


def reached_by(
    weight: Float64[np.ndarray, " n"],
    names: list[str],
    codes: Int64[np.ndarray, " n"],
    area: pd.DataFrame,
    seed: int,
) -> pd.DataFrame:
    """Which groups weights raise, beside equally uneven weights dealt out at random.

    Args:
        weight: (n,), at least 0, with a sum above 0.
        names: Of the cells; ``unknown`` for those that are no group.
        codes: (n,) cell of each image.
        area: Of the weight, as :func:`areas_of_people` makes it, of the cells that may be shown.
        seed: Of the random control.

    Returns:
        By cell: ``before``, ``weight_share`` (share of the weight), ``raised`` (True, False, or
        None where it cannot be told) and ``reach`` (``reached``, ``lowered``, ``missed`` or
        ``unclear`` as in :class:`debias.weighting.reach.Reach`, or nothing).
    """
    generator = np.random.default_rng(seed)
    one_class = np.zeros(len(codes), dtype=np.int64)
    table = share_by_group(weight / weight.sum(), codes, one_class, generator)
    table = table.set_index(table["group"].astype(int)).drop(columns="group")
    table = table.join(area.rename(columns={"auc_low": "low", "auc_high": "high"}))
    table = table.assign(group=[names[code] for code in table.index])
    found, kind = reach(table), pd.Series("", index=table.index, dtype=object)
    for name in ("reached", "lowered", "missed", "unclear"):
        kind[getattr(found, name).index] = name
    # No answer where a share grew beyond chance but single images do not show it.
    unsure = table["auc"].isna() | (table["after"] > table["random_high"] + SLACK)
    raised = (kind == "reached").astype(object).where((kind == "reached") | ~unsure, None)
    return pd.DataFrame(
        {
            "before": table["before"],
            "weight_share": table["after"].clip(upper=1.0),  # rounding
            "raised": raised.where(table["group"] != UNKNOWN, None),
            "reach": kind,
        }
    )


def _states(
    table: pd.DataFrame, withheld: Bool[np.ndarray, " g"], unlabelled: Bool[np.ndarray, " g"]
) -> "pd.Series[str]":
    """Whether shares may be judged, and why not.

    A share is one of all labelled images: 25 of 500 can be judged, 25 of 29 cannot. Nor can images
    of so few people that they are worth too few independent ones.
    """
    few = table["basis"] < MINIMUM
    states = pd.Series("estimated", index=table.index, dtype=object).mask(few, "too_small")
    states = states.mask(table["count"] == 0, "not_estimable").mask(unlabelled, "unknown")
    return states.mask(withheld, "suppressed")


def _without_few(table: pd.DataFrame, unlabelled: Bool[np.ndarray, " g"]) -> pd.DataFrame:
    """Without what rests on the images of one group alone where these are too few.

    A thousand photographs of one person are too few as well: they say little about a group.
    """
    few = ((table["count"] < MINIMUM) | (table["worth"] < MINIMUM)) & (table["count"] > 0)
    few &= ~unlabelled
    table = table.assign(few=few.astype(object), reach=table["reach"].mask(few, ""))
    table.loc[few, list(OF_ITS_IMAGES)] = None
    return table


def _judged(table: pd.DataFrame, level: float) -> pd.DataFrame:
    """Adjusted p-values and verdicts.

    Groups without a verdict count as comparisons whose p-value is 1: whether there is a verdict
    depends on the data, and a number that is withheld must not move those of the others.
    """
    declared = table["declared"].notna()
    answered = declared & table["state"].isin(["estimated", "not_estimable"])
    answered &= table["basis"].astype(float) >= MINIMUM
    p = table["p"].astype(float).where(answered, 1.0).where(declared)
    adjusted = pd.Series(holm(p.to_numpy()), index=table.index).where(answered)
    short = table["share"].astype(float) < table["declared"]
    side = pd.Series(np.where(short, "below", "above"), index=table.index, dtype=object)
    verdict = side.where(adjusted < level, "cannot_tell").where(answered, None)
    return table.assign(p_adjusted=adjusted, verdict=verdict)

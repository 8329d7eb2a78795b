"""What annotations say about a data set: how large each group is, and what rarity and weights see.

``n`` images, ``g`` cells: the values of each attribute, and the crossing of all attributes. What is
withheld is removed here, before ``words`` says what the rest means.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64, Shaped
from scipy.special import betainc

from debias.auditing.rules import AuditRules
from debias.auditing.shortfall import images_missing
from debias.auditing.words import MINIMUM, Facts, group_sentences
from debias.errors import EvaluationError, GroupSchemaError
from debias.report import audit_document as doc
from debias.statistics import people as persons
from debias.statistics.areas import areas_of_people
from debias.statistics.concentration import SLACK, share_by_group
from debias.statistics.groupings import CROSS, UNKNOWN, Grouping, group_names, groupings, value_of
from debias.statistics.intervals import bonferroni_level, clopper_pearson, holm, ratio
from debias.statistics.withholding import hidden_together
from debias.weighting.reach import reach

NAMED = 5  # values in a message
# What is said about the images of a group themselves takes as many of them.
OF_ITS_IMAGES = ["auc", "auc_low", "auc_high", "weight_share", "raised"]
# What a row keeps when its numbers are withheld.
KEPT = ["attribute", "group", "is_crossing", "state", "declared"]
WHOLE = ("count", "missing", "set_aside")
# What follows from the account of what was set aside.
LOSSES = ("set_aside", "set_aside_share", "set_aside_overall", "more_set_aside")

Shares = Mapping[str, Mapping[str, float]]
Cells = Float64[np.ndarray, " g"]
Sizes = Float64[np.ndarray, "s g"]
Mask = Bool[np.ndarray, " g"]
Codes = Int64[np.ndarray, " n"]
Score = Float64[np.ndarray, " n"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Declared(Grouping):
    """Cells with the share that each should have: (g,) in [0, 1], NaN where nobody said."""

    declared: Cells


@dataclass(frozen=True, kw_only=True, eq=False)
class _Known:
    """What is known of every image beside its groups, and what was decided beforehand."""

    rarity: Score
    weight: Score
    people: Codes | None
    losses: pd.DataFrame
    hidden: frozenset[str]
    level: float
    comparisons: int
    seed: int


def audit_groups(  # noqa: PLR0913 (the columns of one table, and what was decided beforehand)
    groups: pd.DataFrame,
    *,
    declared: Shares,
    rarity: Score,
    weight: Score,
    subjects: Shaped[np.ndarray, " n"] | None = None,
    set_aside: pd.DataFrame | None = None,
    hidden: frozenset[str] = frozenset(),
    rules: AuditRules | None = None,
    source: str = "annotated",
    seed: int = 0,
) -> doc.Groups:
    """Compare groups with the shares they should have, and with rarity and weights.

    Of a hidden group nothing is kept but its name and declared share. What is printed of the
    others follows from their own images and from totals, so that nothing can be worked out that
    the choice of ``hidden`` protects.

    Args:
        groups: One row an image, one text column per attribute; missing and blank values are the
            group ``unknown``.
        declared: Share in [0, 1] of every value by attribute, or of every cell of the crossing of
            all attributes under ``a x b``; never formed from those of single attributes.
        rarity: (n,), finite, larger is rarer.
        weight: (n,), finite, at least 0.
        subjects: (n,) who is shown; missing values are people of their own. None: images are
            taken as independent.
        set_aside: Columns ``attribute``, ``group``, ``listed``, ``rejected`` of the images listed.
        hidden: Names of groups and crossings whose number of images is withheld.
        rules: ``level`` and ``suppress_below`` count.
        source: Who says to which group a face belongs.
        seed: Of the random control of the weights.

    Returns:
        Plain values, as the audit document holds them: rows of ``attributes`` and ``crossings``,
        ``sentences``, all the worst first; ``comparisons``, over which p-values are adjusted;
        ``news`` that a reader must not miss, by ``kind``: ``below`` its declared share,
        ``lowered`` by weights, ``lost`` more of its images on the way.

        In a row None is undefined, or withheld where ``state`` is ``suppressed``. Other states:
        ``estimated``; ``not_estimable``, no images; ``too_small``, one of too few labelled images
        to judge its share; ``unknown``, images without a label. ``share`` is of the images with a
        label (of all for those without), ``missing`` the images to add to this group alone until
        it has the declared share, ``verdict`` ``below``, ``above`` or ``cannot_tell``,
        ``p_adjusted`` by Holm over all comparisons, ``auc`` the area under the ROC curve of
        rarity against membership, ``raised`` whether weights raise the share beyond chance,
        ``set_aside_share`` a part of the images listed. What rests on the images of a group
        alone is None where these are too few.

    Raises:
        GroupSchemaError: Attributes or groups that the declared shares do not fit.
    """
    rules = rules or AuditRules()
    people = None if subjects is None else persons.numbered(subjects)
    lost = losses(set_aside, hidden, below=rules.suppress_below, minimum=MINIMUM, level=rules.level)
    listed: list[str] = []  # groups of which images were listed, of whom perhaps none was left
    if set_aside is not None:
        listed = set_aside.loc[set_aside["attribute"].isin(list(groups)), "group"].tolist()
    found = declared_groupings(groups, declared, listed)
    comparisons = sum(int((~np.isnan(one.declared)).sum()) for one in found)
    known = _Known(
        rarity=rarity, weight=weight, people=people, losses=lost, hidden=hidden, level=rules.level,
        comparisons=comparisons, seed=seed,
    )  # fmt: skip
    table = pd.concat([_measured(one, known) for one in found], ignore_index=True)
    table = judged(table, rules.level)
    facts = Facts(
        table=table, images=len(groups), comparisons=comparisons, rules=rules, source=source,
        people=None if people is None else len(np.unique(people)),
    )  # fmt: skip
    sentences, news = group_sentences(facts)
    rows = {one.attribute: _rows(table[table["attribute"] == one.attribute]) for one in found}
    crossed = next((one.attribute for one in found if one.is_crossing), "")
    return doc.Groups(
        source=source, crossings=rows.pop(crossed, []), sentences=sentences,
        attributes=[{"attribute": name, "declared": name in declared, "rows": of_it}
                    for name, of_it in rows.items()],
        comparisons=comparisons, news=news,
    )  # fmt: skip


def losses(
    account: pd.DataFrame | None, hidden: frozenset[str], *, below: int, minimum: int, level: float
) -> pd.DataFrame:
    """Images that could not be used, by group (``race:Black``), and who lost more than others.

    Withheld are hidden groups, those of which 1 to ``below`` images were listed, and what would
    give these away; those of under ``minimum`` have no share and no answer. ``more_set_aside`` says
    whether chance alone would hardly show so many more (Fisher's exact test, one-sided, Holm over
    all groups).
    """
    if account is None:
        return pd.DataFrame(columns=LOSSES)
    from scipy.stats import hypergeom

    table = account.set_index("group")
    listed, rejected = table["listed"], table["rejected"]
    whole = table.groupby("attribute")[["listed", "rejected"]].transform("sum")
    withheld = table.index.isin(list(hidden))
    for rows in account.groupby("attribute").indices.values():
        counts = listed.to_numpy(dtype=np.int64)[None, rows]
        withheld[rows] = hidden_together(counts, below, withheld[rows])
    # What is withheld must not move the p-values of the others.
    few = listed < minimum
    so_many = hypergeom.sf(rejected - 1, whole["listed"], whole["rejected"], listed)
    p = np.where(withheld | few, 1.0, so_many.astype(np.float64))
    found = {
        "set_aside": rejected.astype(float),
        "set_aside_share": rejected / listed.where(~few),
        "set_aside_overall": whole["rejected"] / whole["listed"].where(whole["listed"] > 0),
        "more_set_aside": pd.Series(holm(p) < level, index=table.index).astype(object),
    }
    return pd.DataFrame(found).mask(pd.Series(withheld, table.index))


# ---- the cells, and the shares that they should have


def declared_groupings(
    groups: pd.DataFrame, declared: Shares, lost: Collection[str] = ()
) -> tuple[Declared, ...]:
    """One grouping per attribute, then their crossing when there are two or more.

    Groups that are declared, or of which images are ``lost`` (``race:Black``), stay cells where no
    image has them.

    Raises:
        GroupSchemaError: Shares of something else than an attribute or the crossing of all; a
            value of the data without a declared share; more than 10,000 crossings.
    """
    names = [str(name) for name in groups.columns]
    wanted: dict[str, float] = {}
    for key, shares in declared.items():
        named = {f"{key}:{value}": share for value, share in shares.items()}
        wanted |= named if key in names else _crossed(key, shares, names)
    text = pd.DataFrame({str(name): group_names(groups[name]) for name in groups}, dtype=object)
    parts = {*lost, *(part for cell in wanted for part in cell.split(CROSS))}
    parts -= {f"{name}:{UNKNOWN}" for name in names}
    values = {
        name: sorted({*text[name], *(value_of(a) for a in parts if a.startswith(f"{name}:"))})
        for name in names
    }
    try:
        found = groupings(text, declared=values)
    except EvaluationError as problem:
        raise GroupSchemaError(str(problem)) from problem
    return tuple(_declared(grouping, wanted) for grouping in found)


def _crossed(key: str, shares: Mapping[str, float], names: Sequence[str]) -> dict[str, float]:
    """Shares of crossings, named in the order of the attributes."""
    if len(names) < 2 or sorted(key.split(CROSS)) != sorted(names):
        every = f" or their crossing {CROSS.join(names)!r}" if len(names) > 1 else ""
        raise GroupSchemaError(
            f"shares are declared of {key!r}, which is no attribute; there are "
            f"{', '.join(names)}{every}"
        )
    found = {}
    for cell, share in shares.items():
        parts = {part.partition(":")[0]: part for part in cell.split(CROSS)}
        if set(parts) != set(names):
            example = CROSS.join(f"{name}:value" for name in names)
            raise GroupSchemaError(
                f"a declared crossing is called {cell!r}; it must be of the form {example!r}"
            )
        found[CROSS.join(parts[name] for name in names)] = share
    return found


def _declared(grouping: Grouping, shares: Mapping[str, float]) -> Declared:
    """Refuse images of a group that a table of shares forgot."""
    wanted = np.array([shares.get(cell, np.nan) for cell in grouping.cells], dtype=np.float64)
    forgotten = np.isnan(wanted) & ~grouping.unlabelled & (grouping.sizes > 0)
    if forgotten.any() and not np.isnan(wanted).all():
        names = np.array(grouping.cells)[forgotten]
        raise GroupSchemaError(
            f"the declared shares of {grouping.attribute!r} do not name {len(names)} groups that "
            f"the data hold: {', '.join(names[:NAMED])}; declare a share for each, 0 where none "
            "is wanted"
        )
    return Declared(**vars(grouping), declared=wanted)


def shares(
    grouping: Declared, withheld: Mask, people: Codes | None, *, level: float, comparisons: int
) -> pd.DataFrame:
    """Count every cell and compare its share with the declared one.

    Shares are of the images with a label; that of the images without one is of all. The interval
    is Clopper and Pearson's, the p-value twice the smaller tail of the binomial distribution, so
    that one excludes the declared share just when the other is below ``level``. Where people
    repeat, the wider interval and the larger p-value of two: for the images, and for as many
    independent images as leave the uncertainty that shares have between people.

    Args:
        grouping: The cells.
        withheld: (g,) cells whose number is not shown.
        people: (n,) who is shown, numbered from 0; None where nobody says.
        level: Of a false alarm, in (0, 1); intervals have level 1 - level.
        comparisons: In how many groups the level is shared.

    Returns:
        One row a cell; ``missing`` are images of this group alone, NaN as ``p`` where nothing is
        declared; ``worth`` and ``basis`` are how many independent images those of the cell, and
        those of which it is a share, are worth.
    """
    count, unlabelled = grouping.sizes.astype(np.float64), grouping.unlabelled
    least, most = _basis(count, unlabelled, withheld)
    sizes = np.ones((1, len(count)))  # each a fraction of the images
    worth = count
    if people is not None:
        counted = (~unlabelled | withheld)[grouping.codes]  # as many as the basis has at most
        repeating = persons.Shares(grouping.codes[counted], people[counted], len(count))
        fraction = repeating.fraction(bonferroni_level(1 - level, comparisons), ~withheld)
        sizes, worth = np.stack([sizes[0], fraction]), repeating.worth()
    scaled = count * sizes, least * sizes, most * sizes
    # Those without a label are no group of people whose share could be estimated.
    low, high = np.where(unlabelled, np.nan, _limits(*scaled, level))
    return pd.DataFrame(
        {
            "group": grouping.cells,
            "count": count,
            "share": ratio(count, most),
            "low": low,
            "high": high,
            "declared": grouping.declared,
            "missing": images_missing(count, least, grouping.declared),
            "p": _p_value(*scaled, grouping.declared),
            "worth": worth,
            "basis": scaled[1].min(axis=0),
        }
    )


def _basis(sizes: Cells, unlabelled: Mask, withheld: Mask) -> tuple[Cells, ...]:
    """Of how many images each cell is a share, at least and at most.

    Where the number of images without a label is withheld, a reader knows only between which
    numbers the rest lies; what is printed then follows from these two alone and tells no more.
    """
    known = sizes.sum() - sizes[unlabelled & ~withheld].sum()
    unsure = sizes[withheld].sum() if (unlabelled & withheld).any() else 0.0
    return tuple(np.where(unlabelled, sizes.sum(), one) for one in (known - unsure, known))


def _limits(x: Sizes, least: Sizes, most: Sizes, level: float) -> tuple[Cells, Cells]:
    """Outer limits over the given sizes and over what the basis may be."""
    low, _ = clopper_pearson(x, most, 1 - level)
    _, high = clopper_pearson(np.minimum(x, least), least, 1 - level)
    return np.nan_to_num(low).min(axis=0), np.nan_to_num(high, nan=1.0).max(axis=0)


def _p_value(x: Sizes, least: Sizes, most: Sizes, declared: Cells) -> Cells:
    """Each tail at the basis that makes it larger."""
    with np.errstate(invalid="ignore"):
        so_few = np.where(x < least, betainc(least - x, x + 1, 1 - declared), 1.0)
        so_many = np.where(x > 0, betainc(x, most - x + 1, declared), 1.0)
    p = np.minimum(1.0, 2 * np.minimum(so_few.max(axis=0), so_many.max(axis=0)))
    return np.where(np.isnan(declared), np.nan, p)


# ---- everything that is measured of a cell


def _measured(grouping: Declared, known: _Known) -> pd.DataFrame:
    """One row a cell; of hidden cells nothing."""
    withheld = np.isin(grouping.cells, list(known.hidden))
    unlabelled, codes = grouping.unlabelled, grouping.codes
    table = shares(
        grouping, withheld, known.people, level=known.level, comparisons=known.comparisons
    )
    shown = np.where((withheld | unlabelled)[codes], -1, codes)
    of_rarity, of_weight = (
        areas_of_people(score, shown, known.people, level=1 - known.level)
        for score in (known.rarity, known.weight)
    )
    names = np.where(unlabelled, UNKNOWN, grouping.cells).tolist()
    reached = _reached_by(known.weight, names, codes, of_weight, known.seed)
    table = table.join(of_rarity).join(reached).join(known.losses, on="group")
    # A thousand photographs of one person are too few as well: they say little about a group.
    few = ((table["count"] < MINIMUM) | (table["worth"] < MINIMUM)) & (table["count"] > 0)
    few &= ~unlabelled
    table = table.assign(
        few=few.astype(object), reach=table["reach"].mask(few, ""), attribute=grouping.attribute,
        is_crossing=grouping.is_crossing, state=states(table, withheld, unlabelled),
    )  # fmt: skip
    table.loc[few, OF_ITS_IMAGES] = None
    table.loc[withheld, table.columns.difference(KEPT)] = None
    return table[~unlabelled | (grouping.sizes > 0)]


def _reached_by(
    weight: Score, names: list[str], codes: Codes, area: pd.DataFrame, seed: int
) -> pd.DataFrame:
    """Which cells weights raise, beside equally uneven weights dealt out at random.

    Columns ``before``, ``weight_share``, ``raised`` (None where it cannot be told) and ``reach``
    (a part of :class:`debias.weighting.reach.Reach`, or nothing); ``area`` is that of the weight.
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


def states(table: pd.DataFrame, withheld: Mask, unlabelled: Mask) -> "pd.Series[str]":
    """Whether shares may be judged, and why not.

    A share is one of all labelled images: 25 of 500 can be judged, 25 of 29 cannot. Nor can images
    of so few people that they are worth too few independent ones.
    """
    found = pd.Series("estimated", index=table.index, dtype=object)
    found = found.mask(table["basis"] < MINIMUM, "too_small")
    found = found.mask(table["count"] == 0, "not_estimable").mask(unlabelled, "unknown")
    return found.mask(withheld, "suppressed")


def judged(table: pd.DataFrame, level: float) -> pd.DataFrame:
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


def _rows(table: pd.DataFrame) -> list[doc.Group]:
    """The worst first: those that miss most images, then the smallest.

    Withheld ones by name, which tells nothing of their size; images without a label last.
    """
    below = (table["verdict"] == "below") * table["missing"].fillna(0).astype(float)
    last = table["state"].map({"suppressed": 1, "unknown": 2}).fillna(0)
    ordered = table.assign(last=last, most=-below).sort_values(["last", "most", "share", "group"])
    plain = ordered[list(doc.Group.__annotations__)].astype(object)
    for name in WHOLE:
        known = [None if pd.isna(value) else int(value) for value in plain[name]]
        plain[name] = pd.Series(known, plain.index, dtype=object)
    return cast(list[doc.Group], plain.where(plain.notna(), None).to_dict("records"))

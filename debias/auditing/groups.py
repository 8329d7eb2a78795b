"""What annotations say about a data set: how large each group is, and what rarity and weights see.

``n`` images, ``g`` cells: the values of each attribute and the crossings of all attributes.

``shares`` divides and counts the images and compares them with what was declared, ``words`` says
what it means. What is withheld is removed here, before anything is said.
"""

from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64, Shaped

from debias.auditing.rules import AuditRules
from debias.auditing.shares import Declared, Shares, declared_groupings, shares
from debias.auditing.words import Facts, bad_news, group_sentences
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
WHOLE = ("count", "missing", "set_aside")
# Of the account of what was set aside, and of what follows from it.
ACCOUNT = ("attribute", "group", "listed", "rejected")
LOSSES = ("set_aside", "set_aside_share", "set_aside_overall", "more_set_aside")


@dataclass(frozen=True, kw_only=True)
class GroupRow:
    """One group or crossing; None is undefined, or withheld where the state is ``suppressed``.

    Attributes:
        group: ``race:Black``, or ``race:Black x gender:Female``.
        state: ``estimated``; ``not_estimable``, no images; ``too_small``, one of too few labelled
            images to judge its share; ``suppressed``; ``unknown``, images without a label.
        count: Images.
        share: Of the images with a label, with its limits; of all in the row of those without one.
        declared: Share that the group should have.
        missing: Images to add to this group alone until it has the declared share.
        verdict: ``below``, ``above`` or ``cannot_tell``; None without a comparison.
        p_adjusted: Of the declared share, by Holm over all groups and crossings compared.
        auc: Area under the ROC curve of rarity against membership, with its limits; None, as
            everything about weights, in a group of too few images.
        weight_share: Share of the weight.
        raised: Whether the weights raise the share beyond chance; None if that cannot be told.
        set_aside: Listed images that could not be used.
        set_aside_share: Of those listed; None where these are too few.
    """

    group: str
    state: str
    count: int | None
    share: float | None
    low: float | None
    high: float | None
    declared: float | None
    missing: int | None
    verdict: str | None
    p_adjusted: float | None
    auc: float | None
    auc_low: float | None
    auc_high: float | None
    weight_share: float | None
    raised: bool | None
    set_aside: int | None
    set_aside_share: float | None


@dataclass(frozen=True, kw_only=True)
class GroupAudit:
    """What annotations say about a data set.

    Attributes:
        source: Who says to which group a face belongs.
        attributes: Rows of each attribute, the worst first.
        declared: Attributes whose shares are declared.
        crossings: Rows of the crossing of all attributes, the worst first.
        sentences: What it means, the worst first.
        comparisons: Groups and crossings with a declared share, over which p-values are adjusted.
        news: The sentences that a reader must not miss, each with its kind: ``below`` its declared
            share, ``lowered`` by weights, ``lost`` more of its images on the way.
    """

    source: str
    attributes: dict[str, tuple[GroupRow, ...]]
    declared: frozenset[str]
    crossings: tuple[GroupRow, ...]
    sentences: tuple[str, ...]
    comparisons: int
    news: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as the audit document holds them."""
        return {
            "source": self.source,
            "attributes": [
                {
                    "attribute": name,
                    "declared": name in self.declared,
                    "rows": [asdict(row) for row in rows],
                }
                for name, rows in self.attributes.items()
            ],
            "crossings": [asdict(row) for row in self.crossings],
            "sentences": list(self.sentences),
            "comparisons": self.comparisons,
            "news": [{"kind": kind, "sentence": sentence} for kind, sentence in self.news],
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class _Known:
    """What is known of every image beside its groups, and what was decided beforehand."""

    rarity: Float64[np.ndarray, " n"]
    weight: Float64[np.ndarray, " n"]
    people: Int64[np.ndarray, " n"] | None
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
    people = None if subjects is None else _numbered(subjects)
    _check(len(groups), rarity, weight, people)
    lost = losses(set_aside, hidden, below=rules.suppress_below, minimum=MINIMUM, level=rules.level)
    # Groups of which images were listed, of whom perhaps none was left.
    listed: list[str] = []
    if set_aside is not None:
        listed = set_aside.loc[set_aside["attribute"].isin(list(groups)), "group"].tolist()
    found = declared_groupings(groups, declared, listed)
    comparisons = sum(int((~np.isnan(one.declared)).sum()) for one in found)
    known = _Known(
        rarity=rarity, weight=weight, people=people, losses=lost, hidden=hidden, level=rules.level,
        comparisons=comparisons, seed=seed,
    )  # fmt: skip
    table = pd.concat([_measured(one, known) for one in found], ignore_index=True)
    table = _judged(table, rules.level)
    rows = {one.attribute: _rows(table[table["attribute"] == one.attribute]) for one in found}
    facts = Facts(
        table=table, images=len(groups), comparisons=comparisons, level=rules.level,
        minimum=MINIMUM, below=rules.suppress_below, source=source,
        people=None if people is None else len(np.unique(people)),
    )  # fmt: skip
    return GroupAudit(
        source=source,
        attributes={one.attribute: rows[one.attribute] for one in found if not one.is_crossing},
        declared=frozenset(declared),
        crossings=next((rows[one.attribute] for one in found if one.is_crossing), ()),
        sentences=tuple(group_sentences(facts)),
        comparisons=comparisons,
        news=tuple(bad_news(facts)),
    )


def _numbered(subjects: Shaped[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """People numbered from 0; an image of nobody known is one of somebody else."""
    column = pd.Series(subjects, dtype=object)
    codes, names = pd.factorize(column.where(column.notna() & (column.astype(str) != "")))
    others = np.cumsum(codes < 0) - 1
    return np.where(codes < 0, len(names) + others, codes).astype(np.int64)


def _check(
    size: int,
    rarity: Float64[np.ndarray, " _n"],
    weight: Float64[np.ndarray, " _m"],
    people: Int64[np.ndarray, " _p"] | None,
) -> None:
    sizes = [size, len(rarity), len(weight), *([] if people is None else [len(people)])]
    if len(set(sizes)) > 1 or not size:
        raise DataError(
            f"groups, rarity, weights (and subjects) have {sizes} rows; they must agree, and be "
            "at least 1"
        )
    for name, values in (("rarity", rarity), ("weight", weight)):
        wrong = int((~np.isfinite(values)).sum())
        if wrong:
            raise DataError(f"{wrong} of {size} values of {name} are not finite")
    if weight.min() < 0 or weight.sum() <= 0:
        raise DataError(f"weights must be at least 0 and not all 0, the least is {weight.min():g}")


def losses(
    account: pd.DataFrame | None, hidden: frozenset[str], *, below: int, minimum: int, level: float
) -> pd.DataFrame:
    """Images that could not be used, group by group, and who lost more of them than others.

    Args:
        account: One row a group with ``attribute``, ``group`` (``race:Black``), ``listed`` and
            ``rejected`` images; None where nothing is known.
        hidden: Names of groups whose numbers are withheld.
        below: Groups of which 1 to below this images were listed are withheld too.
        minimum: Listed images below which a group has no share and no answer.
        level: Of a false alarm among all groups.

    Returns:
        By group: ``set_aside`` (images), ``set_aside_share`` (of those listed),
        ``set_aside_overall`` (the same over all groups), ``more_set_aside`` (whether chance alone
        would hardly show so many more: Fisher's exact test, one-sided, Holm over all groups). NaN
        where withheld.

    Raises:
        DataError: A column is missing, or a group stands there twice.
    """
    if account is None:
        return pd.DataFrame(columns=LOSSES)
    lacking = [name for name in ACCOUNT if name not in account]
    if lacking:
        raise DataError(f"the account of what was set aside has no column {lacking[0]!r}")
    repeated = account["group"][account["group"].duplicated()]
    if len(repeated):
        raise DataError(f"the account of what was set aside names {repeated.iloc[0]!r} twice")
    from scipy.stats import hypergeom

    table = account.set_index("group")
    listed, rejected = table["listed"], table["rejected"]
    whole = table.groupby("attribute")[["listed", "rejected"]].transform("sum")
    withheld = listed.between(1, below - 1) | table.index.isin(list(hidden))
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
    return pd.DataFrame(found).mask(withheld)


def _measured(grouping: Declared, known: _Known) -> pd.DataFrame:
    """One row a cell, with everything that is measured; of hidden cells nothing."""
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
    table = table.join(of_rarity)
    table = table.join(reached_by(known.weight, names, codes, of_weight, known.seed))
    table = _without_few(table.join(known.losses, on="group"), unlabelled).assign(
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


def _rows(table: pd.DataFrame) -> tuple[GroupRow, ...]:
    """The worst first: those that miss most images, then the smallest.

    Withheld ones by name, which tells nothing of their size; images without a label last.
    """
    below = (table["verdict"] == "below") * table["missing"].fillna(0).astype(float)
    last = table["state"].map({"suppressed": 1, "unknown": 2}).fillna(0)
    keys = pd.DataFrame({"last": last, "below": -below}).join(table[["share", "group"]])
    ordered = table.loc[keys.sort_values(keys.columns.tolist()).index]
    names = [field.name for field in fields(GroupRow)]
    return tuple(
        GroupRow(**{name: _plain(name, getattr(row, name)) for name in names})
        for row in ordered.itertuples(index=False)
    )


def _plain(name: str, value: Any) -> Any:  # noqa: ANN401 (a cell of any column)
    if value is None or pd.isna(value):
        return None
    if name in WHOLE:
        return int(value)
    return bool(value) if name == "raised" else value

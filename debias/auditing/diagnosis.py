"""Which disease do training data have: rarity, correlation, both, neither; or it cannot be told.

A group can be rare, or the label can go with a column. What helps against the one need not help
against the other, so each is judged where the other does not show: rarity within classes, whose
shares count alike, correlation as though all groups were equally large. Either is affirmed or
denied only if its whole interval is on one side of its limit.

``n`` training images, ``c`` classes, ``g`` groups.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Int64, Shaped

from debias.statistics.concentration import Association, association
from debias.statistics.groupings import UNKNOWN
from debias.statistics.intervals import Share, bonferroni_level, clopper_pearson
from debias.statistics.people import Shares

Reading = Literal["rarity", "correlation", "both", "neither", "cannot_tell"]
HALF = 0.5  # of an even share: a group below it is rare
KNOWN = 0.95  # share of the images that must have a group
People = Int64[np.ndarray, " n"]


@dataclass(frozen=True)
class Method:
    """What others found to help: a weighting or an objective, and who found it.

    ``group_labels`` says whether it reads annotated groups: no, for selection, or in training.
    """

    name: str
    group_labels: Literal["no", "selection", "training"]
    rarity: str  # author and year; empty: not found to help against it
    correlation: str


METHODS = (
    Method("group_balance", "training", "Idrissi et al. 2022", "Idrissi et al. 2022"),
    Method("group_dro", "training", "Sagawa et al. 2020", "Sagawa et al. 2020"),
    Method("latent_rarity", "no", "Amini et al. 2019", ""),
    Method("db_vae", "no", "Amini et al. 2019", ""),
    Method("reference_ratio", "no", "Shimodaira 2000", ""),
    Method("cvar_dro", "no", "Levy et al. 2020", ""),
    Method("chi2_dro", "no", "Hashimoto et al. 2018", ""),
    Method("jtt", "no", "", "Liu et al. 2021"),
    Method("lff", "no", "", "Nam et al. 2020"),
    Method("george", "no", "", "Sohoni et al. 2020"),
    Method("eiil", "no", "", "Creager et al. 2021"),
    Method("dfr", "selection", "", "Kirichenko et al. 2023"),
    Method("dfr_train", "training", "", "Kirichenko et al. 2023"),
    Method("last_layer", "no", "", "LaBonte et al. 2023"),
    Method("pseudo_attributes", "no", "", "Seo et al. 2022"),
    Method("tab", "no", "", "Espinosa Zarlenga et al. 2024"),
)


@dataclass(frozen=True, kw_only=True)
class Prevalence:
    """How common a group is: the mean over classes of its share there, with its limits.

    ``rare`` says whether that is less than half an even share; None: these images cannot tell.
    """

    group: str
    share: float
    low: float
    high: float
    rare: bool | None


@dataclass(frozen=True, kw_only=True)
class Errors:
    """Where a plain model errs, without annotation; shares in [0, 1].

    Attributes:
        rate: Of its answers that are wrong.
        images: Share of the images in the clusters that err most, about a tenth at most.
        share: Part of the errors that these hold, counted on images that did not choose them.
        chance: What they hold if errors are dealt out anew within classes.
        against: Part of these errors on images of a class uncommon in their cluster.
        told: Labels that the latents tell among such images and as many others of their clusters,
            of which guessing tells half; None where that was not asked or cannot be.
    """

    rate: float
    images: float
    share: Share
    chance: float
    against: float
    told: Share | None = None


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """What one column of a training set says, or latents without any.

    Attributes:
        reason: Why it cannot be told, or what stays open beside the reading; may be empty.
        groups: The rarest first.
        tie: Of label and column; None where it has no groups to compare.
        fewest: Images in the smallest cell of class and group that has any.
        errors: Of latents alone.
    """

    reading: Reading
    reason: str = ""
    groups: tuple[Prevalence, ...] = ()
    tie: Association | None = None
    fewest: int = 0
    errors: Errors | None = None

    @property
    def rare(self) -> list[str]:
        return [one.group for one in self.groups if one.rare]


def diagnose(
    labels: Int64[np.ndarray, " n"],
    groups: Shaped[np.ndarray, " n"],
    people: People | None = None,
) -> Diagnosis:
    """What a column says of the training images, given their classes.

    Args:
        labels: Class index.
        groups: Text; ``unknown`` where nobody said.
        people: Who is shown, numbered from 0; None where nobody says. Images of one person then
            count as the independent images that they are worth (Kish).
    """
    known = groups != UNKNOWN
    if known.mean() < KNOWN:
        return Diagnosis(reading="cannot_tell", reason="unannotated")
    labels, groups = labels[known], groups[known]
    people = None if people is None else people[known]
    if min(len(np.unique(labels)), len(np.unique(groups))) < 2:
        return Diagnosis(reading="cannot_tell", reason="single")
    tie = association(labels, groups, people)
    if tie.nested:  # the label in other words, or a tie without exception: the data cannot say
        return Diagnosis(reading="cannot_tell", reason="says_the_label", tie=tie)
    common, fewest = prevalence(labels, groups, people)
    rare = [one.rare for one in common]
    is_rare = True if True in rare else None if None in rare else False
    reading, reason = _concluded(is_rare, tie.tied)
    return Diagnosis(reading=reading, reason=reason, groups=common, tie=tie, fewest=fewest)


def _concluded(rare: bool | None, tied: bool | None) -> tuple[Reading, str]:
    """The reading, and which of the two questions is open beside it."""
    open_ = "rarity" * (rare is None) or "correlation" * (tied is None)
    if rare and tied:
        return "both", ""
    if rare:
        return "rarity", open_
    if tied:
        return "correlation", open_
    if open_:
        return "cannot_tell", "too_few" if rare is tied is None else open_
    return "neither", ""


def prevalence(
    labels: Int64[np.ndarray, " n"], groups: Shaped[np.ndarray, " n"], people: People | None
) -> tuple[tuple[Prevalence, ...], int]:
    """How common each group is, the rarest first, and the smallest cell that holds an image.

    Limits hold together for all groups with 95 %: of each class those of Clopper and Pearson, put
    together by the squares of their distances; where people are known, who may stand in every
    class, by the distances themselves.

    Reference:
        Zou, Donner 2008, Construction of confidence limits about effect measures: a general
        approach, Statistics in Medicine 27 (a sum of independent estimates).
    """
    from scipy.stats.contingency import crosstab

    (_, names), counts = crosstab(labels, groups)  # (c, g)
    c, g = counts.shape
    sizes = counts.sum(axis=1, keepdims=True)
    worth = sizes.astype(np.float64)
    if people is not None:
        codes = np.unique(labels, return_inverse=True)[1].astype(np.int64)
        worth = Shares(codes, people, c).worth()[:, None]
    share = counts / sizes
    size = np.broadcast_to(worth, counts.shape)
    limits = clopper_pearson(share * size, size, bonferroni_level(0.95, g))
    mean = share.mean(axis=0)
    apart = (np.abs(share - one) for one in limits)
    below, above = (
        np.linalg.norm(one, ord=2 if people is None else 1, axis=0) / c for one in apart
    )
    low, high, half = (mean - below).clip(0), (mean + above).clip(max=1), HALF / g
    found = (
        Prevalence(
            group=str(names[j]), share=float(mean[j]), low=float(low[j]), high=float(high[j]),
            rare=_is_below(float(low[j]), float(high[j]), half),
        )
        for j in np.argsort(mean, kind="stable")
    )  # fmt: skip
    return tuple(found), int(counts[counts > 0].min())


def _is_below(low: float, high: float, limit: float) -> bool | None:
    """Whether what has these limits is below; None where it may be either."""
    return True if high < limit else False if low >= limit else None

"""What may be concluded from a comparison of arms, in words, and what may not."""

from collections.abc import Collection, Mapping

import pandas as pd

from debias.metrics import ComparisonReport, FairnessReport
from debias.metrics.words import DESCRIBES, primary_sentence
from debias.report.documents import Lowered, ReferenceRatio, Weights
from debias.report.opening import less_often
from debias.statistics.groupings import CROSS, UNKNOWN
from debias.types import BASELINE, SEEDS_NEEDED
from debias.weighting.reach import reach, readings

ESTIMATED = (
    "latent_rarity",
    "generated",
    "reference_ratio",
    "elsewhere",
)  # rules that guess who is under-represented


def concluded(
    weights: Mapping[str, Weights],
    fairness: Mapping[str, FairnessReport],
    comparisons: Mapping[str, ComparisonReport],
    failed: Collection[str] = (),
) -> list[str]:
    """Sentences that the figures of this run support; harm comes first, then gains.

    What the groups of arms differ in that ``failed``, learning nothing, is no finding.
    """
    told = {arm: one for arm, one in comparisons.items() if not {arm, BASELINE} & set(failed)}
    told = {arm: one for arm, one in told.items() if _says_something(one)}
    sentences = _of_arms({arm: one for arm, one in told.items() if one.verdict["harms"]})
    sentences += _of_arms({arm: one for arm, one in told.items() if not one.verdict["harms"]})
    if BASELINE in fairness and len(fairness[BASELINE].gaps) and BASELINE not in failed:
        sentences.append(f"Plain training: {fairness[BASELINE].verdict.sentence}")
    for arm, figures in weights.items():
        if figures["rule"] in ESTIMATED or figures.get("estimated"):
            sentences += _of_weights(arm, figures)
    return sentences or ["Nothing beyond the figures themselves: see the reasons below."]


def _says_something(comparison: ComparisonReport) -> bool:
    verdict = comparison.verdict
    seen = verdict["harms"] or verdict["gains"] or verdict["trades"]
    return bool(verdict["reading"] != "cannot_tell" or seen)


def _of_arms(comparisons: Mapping[str, ComparisonReport]) -> list[str]:
    return [
        f"Arm {arm!r} against plain training: {one.verdict['sentence']}"
        for arm, one in comparisons.items()
    ]


def not_concluded(
    seeds: int,
    comparisons: Mapping[str, ComparisonReport],
    failed: Collection[str] = (),
) -> list[str]:
    """Sentences that limit what the figures say; the banners of each report say more."""
    sentences = [
        f"Anything about groups under arm {arm!r}, or about changes to or from it: it learned "
        "nothing, so its groups differ in guesses."
        for arm in failed
    ]
    if seeds < SEEDS_NEEDED:
        sentences.append(
            "Whether a change would come back in another training: it rests on a single run, and "
            f"at least {SEEDS_NEEDED} are needed."
        )
    sentences += [
        f"Arm {arm!r}: {primary_sentence(asked)}: cannot tell."
        for arm, one in comparisons.items()
        for asked in one.primary
        if asked["reason"] == "insufficient_evidence"
    ]
    sentences += [
        f"Arm {arm!r} against plain training, group by group: {one.verdict['sentence']}"
        for arm, one in comparisons.items()
        if not _says_something(one)
    ]
    if comparisons:
        one = next(iter(comparisons.values()))
        describes = any(one.describes for one in comparisons.values())
        sentences.append(
            f"Anything from an unadjusted interval: {one.comparisons:,} changes of groups and gaps "
            "were looked at, and their p-values are adjusted to hold together"
            f"{'; ' + DESCRIBES if describes else ''}."
        )
    sentences += [
        "Anything about groups that are not annotated here, about other images, or about people: "
        "the annotations say how faces were labelled, not who the people are."
    ]
    return sentences


def left_out(refused: Mapping[str, str]) -> list[str]:
    return [
        f"Anything about arm {arm!r}: it was left out, because {reason}."
        for arm, reason in refused.items()
    ]


def _of_weights(arm: str, figures: Weights) -> list[str]:
    """Which groups the weights reach, attribute by attribute."""
    whose = f"the weights of arm {arm!r}"
    source = "" if figures.get("uses_groups") else "; no group label was used"
    found = [reach(table) for table in tables_by_attribute(figures)]
    every = (sentence for one in found for sentence in readings(one, whose, source))
    others = [sentence for sentence in every if not sentence.startswith("Harm")]
    harm = [less_often(arm, figures)]  # in the words of the report's first sentences
    return [*filter(None, harm), *others, *_of_ratio(arm, figures.get("ratio"))]


def lowered(figures: Weights) -> list[Lowered]:
    """Small groups that weights which guess show less often, by attribute."""
    if figures["rule"] not in ESTIMATED and not figures.get("estimated"):
        return []
    rows = [reach(table).lowered for table in tables_by_attribute(figures)]
    return [
        Lowered(group=group, before=before, after=after)
        for table in rows
        for group, before, after in table[["group", "before", "after"]].itertuples(index=False)
    ]


def tables_by_attribute(figures: Weights) -> list[pd.DataFrame]:
    """Shares and areas of the groups of each single attribute, with their full names."""
    rows = [
        {"group": group, **share, **figures["auc_by_group"][group]}
        for group, share in figures["share_by_group"].items()
        if CROSS not in group
    ]
    if not rows:
        return []
    table = pd.DataFrame(rows)
    attribute = table["group"].str.partition(":")[0]
    unknown = table["group"] == attribute + ":" + UNKNOWN
    table["group"] = table["group"].where(~unknown, UNKNOWN)
    return [part for _, part in table.groupby(attribute, sort=False)]


def _of_ratio(arm: str, ratio: ReferenceRatio | None) -> list[str]:
    """Whether a reference is told apart by its style rather than by its people."""
    if ratio is None or not ratio["telltale"]:
        return []
    return [
        f"Arm {arm!r} cannot be trusted: the reference is told apart from the training faces "
        f"almost perfectly (area under the curve {ratio['separability']:.2f}), so the ratio sees "
        "another camera or framing rather than other people. Use a reference of the same kind of "
        "photograph."
        + (" Or set discriminator.style to 'auto'." if ratio["style"] != "augmented" else "")
    ]

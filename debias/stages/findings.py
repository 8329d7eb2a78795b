"""What may be concluded from a comparison of arms, in words, and what may not."""

from collections.abc import Mapping, Sequence
from typing import Any

from debias.metrics import CROSS, SEEDS_NEEDED, Change

ESTIMATED = ("latent_rarity", "reference_ratio")  # rules that guess who is under-represented


def concluded(weights: Mapping[str, Any], changes: Sequence[Change]) -> list[str]:
    """Sentences that the figures of this run support; harm comes first."""
    found = [change for change in changes if change.reading == "difference_found"]
    harms = [change for change in found if _is_harm(change)]
    gains = [change for change in found if not _is_harm(change)]
    sentences = [
        f"Arm {change.arm!r} against plain training, harm: {change.sentence()}." for change in harms
    ]
    sentences += [
        f"Arm {change.arm!r} against plain training: {change.sentence()}." for change in gains
    ]
    for arm, figures in weights.items():
        if figures["rule"] in ESTIMATED or figures.get("estimated"):
            sentences += _of_weights(arm, figures)
    return sentences or ["Nothing beyond the figures themselves: see the reasons below."]


def not_concluded(seeds: int, subjects: bool, changes: Sequence[Change]) -> list[str]:
    """Sentences that limit what the figures say."""
    sentences = []
    if seeds < SEEDS_NEEDED:
        runs = "a single run" if seeds == 1 else f"{seeds} seeds"
        sentences.append(
            f"Whether a change would come back in another training: it rests on {runs}, and at "
            f"least {SEEDS_NEEDED} are needed."
        )
    open_questions = [c for c in changes if c.reason == "insufficient_evidence"]
    sentences += [f"Arm {c.arm!r}: {c.sentence()}." for c in open_questions]
    known = "people repeat in these data" if subjects else "nobody says who is shown"
    sentences.append(
        f"How exact the intervals of groups are: {known}, but images count as independent, and "
        "the intervals are too narrow where one person appears often."
    )
    if changes:
        sentences.append(
            f"Anything from an unadjusted interval: {len(changes)} changes were looked at, so each "
            f"interval is widened to {changes[0].level:.2%} (Bonferroni) for all to hold with 95 %."
        )
    sentences += [
        "That a difference is absent: no margin was set beforehand, so a small or uncertain "
        "difference is not a ruled-out one.",
        "Anything about groups that are not annotated here, about other images, or about people: "
        "the annotations say how faces were labelled, not who the people are.",
    ]
    return sentences


def headline_changes(changes: Sequence[Change]) -> list[dict[str, Any]]:
    """Changes as plain values, in the order in which they were made."""
    return [
        change.to_dict()
        | {"before": _defined(change.baseline_mean), "after": _defined(change.arm_mean)}
        for change in changes
    ]


def _defined(value: float) -> float | None:
    return value if value == value else None


def _is_harm(change: Change) -> bool:
    """More of a gap, or less of an accuracy, than before."""
    is_gap = change.quantity.endswith(("gap", "difference"))
    return change.mean > 0 if is_gap else change.mean < 0


def _of_weights(arm: str, figures: Mapping[str, Any]) -> list[str]:
    """Which groups the weights reach, against equally uneven weights dealt out at random."""
    areas = figures["auc_by_group"]  # undefined where a group is a whole class: its share is kept
    shares = {
        group: share
        for group, share in figures["share_by_group"].items()
        if CROSS not in group and areas[group]["auc"] is not None
    }
    lowered = [
        group
        for group, share in shares.items()
        if share["after"] < share["random_low"] and share["before"] < 1 / len(shares)
    ]
    reached = [
        group
        for group, share in shares.items()
        if share["after"] > share["random_high"] and areas[group]["low"] > 0.5
    ]
    missed = [g for g, s in shares.items() if s["random_low"] <= s["after"] <= s["random_high"]]
    sentences = []
    if lowered:
        sentences.append(
            f"Harm: the weights of arm {arm!r} lower the share of {_moved(lowered, shares)}."
        )
    if reached:
        source = "" if figures.get("uses_groups") else "; no group label was used"
        sentences.append(
            f"The weights of arm {arm!r} raise the share of {_moved(reached, shares)}, more than "
            f"equally uneven random weights would{source}."
        )
    if missed:
        sentences.append(
            f"The weights of arm {arm!r} do no better than random weights of equal effective "
            f"sample size for {', '.join(missed)}: they do not target these groups."
        )
    return sentences + _of_ratio(arm, figures.get("ratio"))


def _moved(groups: Sequence[str], shares: Mapping[str, Mapping[str, float]]) -> str:
    return ", ".join(
        f"{group} ({shares[group]['before']:.1%} to {shares[group]['after']:.1%})"
        for group in groups
    )


def _of_ratio(arm: str, ratio: Mapping[str, Any] | None) -> list[str]:
    """Whether a reference is told apart by its style rather than by its people."""
    if ratio is None or not ratio["telltale"]:
        return []
    return [
        f"Arm {arm!r} cannot be trusted: the reference is told apart from the training faces "
        f"almost perfectly (area under the curve {ratio['separability']:.2f}), so the ratio sees "
        "another camera or framing rather than other people. Use a reference of the same kind of "
        "photograph, or set discriminator.style to 'matched' and compare."
    ]

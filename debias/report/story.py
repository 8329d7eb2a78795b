"""Sentences made from the numbers: what was found, said no louder than measured."""

from collections.abc import Mapping
from typing import Any

from debias.report.groups import baseline_arm
from debias.report.text import arm_name, full_group_name, is_number, number, reading_name

Document = Mapping[str, Any]

# What the three big numbers are called among the changes and the reasons of a document.
QUANTITIES = {"overall": "accuracy", "worst_group": "worst_group_accuracy", "gap": "accuracy_gap"}


def headline(document: Document) -> str:
    """One sentence on the baseline: how far its best and worst groups lie apart."""
    baseline = baseline_arm(document)
    if baseline is None:
        return "No classifier was trained"
    accuracy = document["arms"][baseline]["mean"]["accuracy"]
    overall, worst, gap = (accuracy.get(key) for key in ("overall", "worst_group", "gap"))
    if is_number(worst) and is_number(gap):
        best = number(worst + gap, "percent")
        worst = number(worst, "percent")
        return f"{arm_name(baseline)} is right for {best} of one group and {worst} of another"
    if is_number(overall):
        return f"{arm_name(baseline)} is right for {number(overall, 'percent')} of the test images"
    return "Accuracy could not be measured"


def lead(document: Document) -> list[str]:
    """A few sentences on who is served worst and what each other arm changed."""
    baseline = baseline_arm(document)
    if baseline is None:
        return []
    first = _who(document, baseline)
    others = [_compared(document, arm, baseline) for arm in document["arms"] if arm != baseline]
    return [first, *others]


def _who(document: Document, baseline: str) -> str:
    mean = document["arms"][baseline]["mean"]
    gap = mean["accuracy"].get("gap")
    worst, best = extreme(mean, "worst"), extreme(mean, "best")
    if not is_number(gap):
        return (
            "Differences between groups could not be measured: "
            "fewer than two groups have a defined accuracy."
        )
    if not worst or not best:
        return f"{arm_name(baseline)} leaves {number(gap, 'points')} points between groups."
    return (
        f"{arm_name(baseline)} serves “{full_group_name(worst)}” worst and "
        f"“{full_group_name(best)}” best: {number(gap, 'points')} percentage points apart."
    )


def extreme(mean: Mapping[str, Any], end: str) -> str | None:
    """Name of the ``worst`` or ``best`` group, None where there are not two to compare."""
    found = mean.get("extremes") or {}
    return found.get(end) or found.get(f"{end}_group")


def _compared(document: Document, arm: str, baseline: str) -> str:
    before, after = (document["arms"][name]["mean"]["accuracy"] for name in (baseline, arm))
    parts = []
    for key, label in (("gap", "the gap"), ("overall", "overall accuracy")):
        change = difference(before.get(key), after.get(key))
        if change is not None:
            kind = "percent" if key == "overall" else "points"
            unit = " points" if key == "gap" else ""
            value = f"{number(after[key], kind)}{unit}"
            parts.append(f"{label} is {value} ({number(change, 'change')})")
    if not parts:
        return f"With {arm_name(arm).lower()} the change could not be measured."
    return f"With {arm_name(arm).lower()} {' and '.join(parts)}."


def difference(before: object, after: object) -> float | None:
    """After minus before, None where either is undefined."""
    return float(after - before) if is_number(before) and is_number(after) else None


def cautions(document: Document) -> list[str]:
    """What a reader must know before reading any number."""
    seeds = min((len(arm["seeds"]) for arm in document["arms"].values()), default=0)
    found = []
    if seeds == 1:
        found.append(
            "Single run: each classifier was trained once. Training again would give other "
            "numbers, so no change can be told from chance here."
        )
    elif 0 < seeds < 5:
        found.append(
            f"{seeds} runs per classifier: enough to show the numbers, too few for a verdict "
            "about a change. Five or more give one."
        )
    if len(document["arms"]) == 1:
        found.append("Only one classifier was trained: there is nothing to compare it with.")
    return found


def verdict(document: Document, arm: str, key: str) -> str | None:
    """Reading of the change of one big number, if the document holds it."""
    for change in document.get("changes") or ():
        if change["arm"] == arm and change["quantity"] == QUANTITIES[key]:
            return reading_name(change["reading"], None)
    return None


def weight_sentences(weights: Mapping[str, Any], train: object) -> list[str]:
    """Say in words what the figures of one arm's weights mean."""
    ess, largest, top = (weights.get(key) for key in ("ess", "largest", "top_1_percent"))
    unique = weights.get("unique_per_epoch")
    said = []
    if is_number(ess):
        sentence = f"The effective sample size is {number(ess, 'percent')} of the training images"
        if is_number(train):
            equal = number(round(ess * train), "count")
            sentence += (
                f": the weighted draw carries about as much information as {equal} of the "
                f"{number(train, 'count')} images, drawn equally often, would"
            )
        said.append(f"{sentence}.")
    if is_number(largest):
        said.append(
            f"The most drawn image comes up {number(largest, 'times')} as often as the average one."
        )
    if is_number(top):
        said.append(f"The top 1% of images take {number(top, 'percent')} of the draws.")
    if is_number(unique):
        said.append(f"One pass shows {number(round(unique), 'count')} different images on average.")
    return said


def ratio_sentences(ratio: Mapping[str, Any] | None) -> list[str]:
    """Say how far the ratio to a reference may rest on style."""
    if not ratio:
        return []
    apart, other = ratio["separability"], ratio["separability_other_style"]
    agreement = number(ratio["style_agreement"], "auc")
    kind = "as it is" if ratio["style"] == "matched" else "matched in colour and sharpness"
    return [
        f"Networks tell reference from training images with an area under the curve of "
        f"{number(apart, 'auc')} (0.5: not at all; near 1: almost always, which means another "
        "camera or framing rather than other people).",
        f"With the style {kind}, in a single repetition, the area is {number(other, 'auc')}, and "
        f"the rankings of the training images agree with a rank correlation of {agreement}. "
        "A single repetition is noisy, so 1 is out of reach; a low value means that the ratio "
        "rests on style.",
    ]


def auc_reading(low: object, high: object) -> str:
    """What the interval of an area under the curve says about weight and membership."""
    if not is_number(low) or not is_number(high):
        return "cannot tell"
    if low > 0.5:
        return "drawn more often than the others"
    if high < 0.5:
        return "drawn less often than the others"
    return "weights do not target this group"

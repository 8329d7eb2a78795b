"""Sentences on weights made from their figures, said no louder than measured."""

from collections.abc import Mapping
from typing import Any

from debias.report.words import is_number, number


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

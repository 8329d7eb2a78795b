"""What a reader must know before reading a number, and what was not measured, in words."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from debias.statistics.groupings import is_unknown
from debias.types import SEEDS_NEEDED

if TYPE_CHECKING:
    from debias.metrics.fairness_report import FairnessReport


def notes(report: "FairnessReport") -> list[str]:
    """Banners, the gravest first."""
    return [*_of_groups(report), *_of_people(report), *_of_trainings(report), *_of_sizes(report)]


def scope(report: "FairnessReport") -> list[str]:
    """What was measured on whom, and what was not."""
    compared = [one["reference"] for one in report.attributes if one["reference"]]
    against = f"against {', '.join(compared)}" if compared else "pair by pair"
    about = "" if report.positive is None else f" Rates are about class {report.positive!r}."
    return [
        f"Measured: {', '.join(name.replace('_', ' ') for name in report.metrics)} of "
        f"{report.name or 'one classifier'} on {report.n:,} images"
        f"{f' of the {report.split} split' if report.split else ''}, classes "
        f"{', '.join(report.classes)}.{about}",
        f"Groups: {_groups(report)}.",
        f"Compared {against}: {report.comparisons:,} comparisons. Each interval of a gap is "
        f"widened to {100 * report.adjusted_level:.5g} % (Bonferroni), so that all of them hold "
        f"together with {100 * report.level:g} %.",
        f"Rates with a denominator below {report.minimum} take no part in a verdict; "
        + _withholding(report),
        "Images are counted as they are, unweighted.",
        "Not measured: groups that are not annotated, other images than these, errors in the true "
        "labels, and what a wrong answer costs a person. The annotations say how people were "
        "labelled, not who they are.",
    ]


def _withholding(report: "FairnessReport") -> str:
    if report.suppress_below <= 1:
        return "nothing is withheld."
    return (
        f"counts of images from 1 to {report.suppress_below - 1} in a group are withheld, with "
        "what they follow from. Figures over all images are shown."
    )


def _groups(report: "FairnessReport") -> str:
    named = [
        f"{one['attribute']} ({one['source']}, {len(one['groups'])} groups)"
        for one in report.attributes
    ]
    return "; ".join(named) or "none annotated"


def _of_groups(report: "FairnessReport") -> list[str]:
    guessed = [one["attribute"] for one in report.attributes if one["source"] == "inferred"]
    labels = [one["attribute"] for one in report.attributes if one["metrics"] == ["accuracy"]]
    found = []
    if guessed:
        found.append(
            f"Groups are machine guesses ({', '.join(guessed)}): a gap may be one of the guesses "
            "rather than of the classifier."
        )
    if labels and report.metrics != ("accuracy",):
        found.append(
            f"Groups of {', '.join(labels)} hold one true class each: only accuracy is compared "
            "between them, because other rates differ where labels do."
        )
    compared = set(report.gaps["attribute"])
    for one in report.attributes:
        count = sum(not is_unknown(group) for group in one["groups"]) - len(one["empty"])
        if count > 1 and one["attribute"] not in compared:
            found.append(
                f"The {count:,} groups of {one['attribute']} were not compared with each other: "
                "pairs would be too many. Name a reference."
            )
    return found


def _of_people(report: "FairnessReport") -> list[str]:
    if report.identities is None:
        return [
            "Nobody says who is shown: images are treated as independent, and the intervals are "
            "too narrow if people repeat. Give the identities, if there are any."
        ]
    unnamed = 0 if report.outcomes is None else report.outcomes.unnamed
    without = (
        f" {unnamed:,} images without identity count as people of their own." if unnamed else ""
    )
    return [
        f"{report.n:,} images show {report.identities:,} people; intervals allow for images of one "
        f"person being alike.{without}"
    ]


def _of_trainings(report: "FairnessReport") -> list[str]:
    count = max(1, len(report.seeds))
    if count >= SEEDS_NEEDED:
        return [
            f"Rates are means over {count} trainings. The intervals are about other images, not "
            "about further trainings."
        ]
    if count == 1:
        return ["Single run: says nothing about how much a retraining would change the figures."]
    return [f"{count} trainings: too few to say how much a retraining would change the figures."]


def _of_sizes(report: "FairnessReport") -> list[str]:
    if not len(report.by_group):
        return ["No group is annotated: only figures over all images can be given."]
    state = report.by_group["state"]
    counts = {kind: int((state == kind).sum()) for kind in ("suppressed", "too_small", "unknown")}
    words: Sequence[tuple[str, str]] = (
        ("suppressed", "are withheld because a count from 1 to "
         f"{report.suppress_below - 1} could be read from them"),
        ("too_small", f"rest on fewer than {report.minimum} images and take no part in a verdict"),
        ("unknown", "are of images without a group label"),
    )  # fmt: skip
    listed = [f"{counts[kind]} {text}" for kind, text in words if counts[kind]]
    return [f"Of {len(report.by_group)} rates by group, {'; '.join(listed)}."] if listed else []

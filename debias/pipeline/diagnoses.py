"""Which kind of trouble the training faces have, in words, and what is known to help."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from debias.auditing.diagnosis import HALF, METHODS, Diagnosis, Errors, diagnose
from debias.auditing.unannotated import diagnose_unannotated
from debias.density import active_dimensions
from debias.metrics.documents import ComparisonDocument, GroupChange
from debias.report import documents as doc
from debias.report import readings as r
from debias.report.words import PLAIN, TIMES, number, words
from debias.statistics.groupings import group_names
from debias.statistics.people import numbered
from debias.types import FaceStore, Latents
from debias.weighting.image_ratio import shrunk

Weights = Mapping[str, doc.Weights]
Compared = Mapping[str, ComparisonDocument]
SEARCHED, SIDE = 10_000, 32  # images that are looked at without annotation, and their pixels
HELPED = "helped a group"
_WHY = {
    "unannotated": "too many training images have no group",
    "single": "the training images show one group or one class alone",
    "says_the_label": "every group stands with one label, so it says what the label says, and no "
    "training image tells the two apart",
    "too_few": "there are too few training images",
    "rarity": "whether a group is rare stays open: the limits of a share hold half of an even one",
    "errs_too_often": "a plain model errs so often that its errors say little",
    "too_few_errors": "a plain model errs too seldom to see where",
    "shows_the_label": "errors lie against the label that goes with their look, but the latents "
    "show the label as well, and the look may be the label itself",
    "nothing_stands_out": "no small part of the images that these latents show holds most of the "
    "errors of a plain model, and what they do not show is not found",
    "no_latents": "no latent dimension says anything",
    "correlation": "whether the label goes with it stays open: there are too few training images",
}


def diagnoses(
    faces: FaceStore,
    latents: Latents,
    weights: Weights,
    compared: Compared,
    *,
    below: int,
    seed: int,
) -> list[doc.Diagnosis]:
    """Of every annotated column, then of the latents of the training faces alone.

    Numbers that give away a count under ``below`` are left out.
    """
    rows = faces.rows("train")
    labels, groups = faces.labels(rows), faces.groups(rows)
    people = None
    if "subject_id" in faces.samples:
        people = numbered(faces.samples["subject_id"].to_numpy()[rows])
    found = {str(name): diagnose(labels, group_names(groups[name]), people) for name in groups}
    found[""] = _unannotated(faces, latents, seed)
    return [
        {
            **told(name, one, label=faces.label, classes=faces.classes, below=below),
            "remedies": [*_remedies(name, one, weights, compared)],
        }
        for name, one in found.items()
    ]


def _unannotated(faces: FaceStore, latents: Latents, seed: int) -> Diagnosis:
    """Of training faces drawn at random, if there are many."""
    rows = faces.rows("train")
    some = np.sort(np.random.default_rng(seed).permutation(len(rows))[:SEARCHED])
    known = np.asarray(latents.mean[some])[:, active_dimensions(latents)]
    pixels = shrunk(faces.images, rows[some], SIDE)
    return diagnose_unannotated(known, pixels, faces.labels(rows[some]), seed)


def told(
    attribute: str, found: Diagnosis, *, label: str, classes: Sequence[str], below: int = 1
) -> doc.Diagnosis:
    """A diagnosis as plain values, in a sentence, without remedies."""
    tie, hidden = found.tie, 0 < found.fewest < below
    v = None if tie is None or hidden or np.isnan(tie.cramers_v) else tie
    return {
        "attribute": attribute, "reading": found.reading, "reason": found.reason,
        "sentence": _sentence(attribute, found, label, classes, hidden),
        "groups": [
            doc.Prevalence(
                group=f"{attribute}:{one.group}", share=None if hidden else one.share,
                low=None if hidden else one.low, high=None if hidden else one.high, rare=one.rare,
            )
            for one in found.groups
        ],
        "cramers_v": v.cramers_v if v else None, "low": v.low if v else None,
        "high": v.high if v else None,
        "errors": _errors(found.errors) if found.errors else None, "remedies": [],
    }  # fmt: skip


def _errors(found: Errors) -> doc.Errors:
    share = found.share
    return {
        "rate": found.rate, "images": found.images, "share": share.value, "low": share.low,
        "high": share.high, "chance": found.chance,
        "against": None if np.isnan(found.against) else found.against,
        "told": found.told.value if found.told else None,
        "told_high": found.told.high if found.told else None,
    }  # fmt: skip


def _sentence(
    attribute: str, found: Diagnosis, label: str, classes: Sequence[str], hidden: bool
) -> str:
    name = words(attribute) or "without annotation"
    parts = [f"{name[0].upper()}{name[1:]}: {words(found.reading)}"]
    if found.reading == "cannot_tell":
        return f"{parts[0]}, because {_WHY[found.reason]}."
    if found.errors is not None:
        return f"{parts[0]}. {_of_errors(found.reading, found.errors)}."
    if found.reading == "neither":
        return f"{parts[0]}. No group is rare, and {words(label)} does not go with it."
    if found.rare:
        parts.append(_rare(found, hidden))
    if found.tie is not None and found.tie.tied:
        v, low, high = (
            number(one, "auc") for one in (found.tie.cramers_v, found.tie.low, found.tie.high)
        )
        code, group = found.tie.rarest_cell
        parts.append(
            f"{words(label)} goes with it{'' if hidden else f' (V {v}, {low} to {high})'}; what is "
            f"missing most is {classes[int(code)]} {TIMES} {group}"
        )
    if found.reason:
        parts.append(_WHY[found.reason])
    return ". ".join(part[0].upper() + part[1:] for part in parts) + "."


def _of_errors(reading: str, found: Errors) -> str:
    """Where the errors of a plain model of the latents are, without annotation."""
    images, share, chance = (
        number(one, "percent") for one in (found.images, found.share.value, found.chance)
    )
    told = (
        f"The {images} of the images where a plain model errs most hold {share} of "
        f"its errors, {chance} by chance"
    )
    if reading == "rarity":
        return f"{told}: a small part of look-alikes is served worse"
    return f"{told}, mostly against the label that goes with their look"


def _rare(found: Diagnosis, hidden: bool) -> str:
    """Who is rare, and how rare."""
    rare = [one for one in found.groups if one.rare]
    shares = ", ".join(
        one.group if hidden else f"{one.group} ({number(one.share, 'percent')})" for one in rare
    )
    half = number(HALF / len(found.groups), "percent")
    return f"less than {half} of a class, half an even share: {shares}"


def _remedies(
    attribute: str, found: Diagnosis, weights: Weights, compared: Compared
) -> Iterator[doc.Remedy]:
    """Methods against what was found, with the arms that used them; then other arms that helped."""
    here = {arm: _here(attribute, one) for arm, one in compared.items()}
    used = {arm: _method(weights[arm]) for arm in here}
    wanted = [one for one in ("rarity", "correlation") if found.reading in (one, "both")]
    listed = [
        (one, method)
        for one in wanted
        for method in METHODS
        if getattr(method, one) and (attribute or method.group_labels == "no")
    ]
    for disease, method in listed:
        arms: list[str | None] = [arm for arm, name in used.items() if name == method.name]
        for arm in arms or [None]:
            yield {
                "method": method.name, "against": disease, "source": getattr(method, disease),
                "group_labels": method.group_labels, "arm": arm, "here": here[arm] if arm else "",
            }  # fmt: skip
    for arm, name in used.items() if wanted else ():
        if HELPED in here[arm] and name not in {method.name for _, method in listed}:
            yield {
                "method": name, "against": "", "source": "", "arm": arm, "here": here[arm],
                "group_labels": _group_labels(weights[arm]),
            }  # fmt: skip


def _method(weights: doc.Weights) -> str:
    """What an arm is: its objective, or its weighting where that is plain training."""
    objective = weights.get("objective", PLAIN)
    return weights["rule"] if objective == PLAIN else objective


def _group_labels(weights: doc.Weights) -> str:
    """Whether an arm reads annotated groups: for its weights in training, or for its objective."""
    said = weights.get("group_labels", "no")
    return "training" if said == "no" and weights.get("uses_groups") else said


def _here(attribute: str, compared: ComparisonDocument) -> str:
    """What an arm did for the groups of a column, or of any, beside plain training."""
    rows = [row for row in compared["groups"] if attribute in ("", row["attribute"])]
    better = [row for row in rows if _is_gain(row, compared)]
    found = any(row["verdict"] == "difference_found" for row in better)
    said = [
        *["harmed a group"] * any(row["harm"] for row in rows),
        *[HELPED if found else f"perhaps {HELPED}"] * bool(better),
    ]
    return ", ".join(said) or "no sure difference"


def _is_gain(row: GroupChange, compared: ComparisonDocument) -> bool:
    """Whether a group is served better in these trainings, and paid for it with no other error."""
    level = compared["level"]
    return (
        r.sign_of(row["metric"]) != 0 and r.is_seen(row, level) and r.is_better(row)
        and r.paid(row, compared["groups"], level) is None
    )  # fmt: skip

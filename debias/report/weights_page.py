"""What weights do: a part of a run's page, and a small page about weights alone."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from matplotlib.figure import Figure

from debias.report import blocks as b
from debias.report.charts.style import arm_style, svg
from debias.report.html import render
from debias.report.pictures import Pictures, sheets
from debias.report.readings import Document, arms_of
from debias.report.words import TIMES, arm_name, full_group_name, is_number, number, words
from debias.types import BASELINE

Drawing = tuple[Callable[[Figure], None], float]
WIDTH = 7.6  # inches
COLUMNS = 6
SLACK = 1e-9  # rounding must not look like an effect
MEANINGS = {
    "{effective_samples:count}": "effective sample size: a mean over a weighted draw varies as "
    "much as one over this many plain samples",
    "{ess:percent}": "the same as a share of all samples; 100% is plain sampling",
    "{unique_per_epoch:count}": "different samples expected among as many draws as there are "
    "samples; plain sampling gives 63% of them",
    "{largest:times}": "largest weight in multiples of the mean: how often the most wanted "
    "sample is drawn in such an epoch",
    "{top_1_percent:percent}": "share of the weight held by the heaviest hundredth",
}


def render_weights(n: int, figures: Mapping[str, Any], drawings: Mapping[str, Drawing]) -> str:
    """A page about weights alone, as text.

    Args:
        n: Samples.
        figures: Of ``SamplingWeights.describe()``.
        drawings: ``weight_distribution``, or nothing where all weights are the same.
    """
    alt = "Histogram of the weights in multiples of plain sampling"
    drawn: list[b.Block] = [
        b.Chart(svg(draw, WIDTH, height), alt) for draw, height in drawings.values()
    ]
    plain = b.Sentence("Every sample has the same weight: this is plain sampling.")
    rows = tuple(b.Row((b.said(figure, figures), said)) for figure, said in MEANINGS.items())
    table = b.Table(("figure", "what it says"), rows, left=(1,))
    page = b.Page(
        title="Sampling weights",
        kicker=f"{n:,} samples",
        heading="How unevenly do these weights draw?",
        opening=(*(drawn or [plain]), table),
        sections=(),
        footer="Weights say how often a sample is drawn. Whom they reach is seen with annotations "
        "alone, and what they change with a classifier trained both ways on the same data.",
    )
    return render(page)


def weights_section(
    document: Document, drawn: Mapping[str, bytes], pictures: Pictures
) -> Iterator[b.Block]:
    """What the weights of each arm that has any did, in words and by group."""
    arms = [arm for arm in arms_of(document) if arm != BASELINE and document["weights"].get(arm)]
    if not arms:
        return
    yield b.Sentence(
        "Weights change how often each training image is drawn, never an image, a label, or the "
        "test set."
    )
    if "weight_share" in drawn:
        yield b.Chart(
            drawn["weight_share"],
            "Share of each group among the training images and among the training draws of each "
            "arm",
            b.said(
                "From a group's share of the images (hollow) to its share of the draws (filled). "
                "What to do: check that the groups you worry about moved right. Where they did not "
                "move, weights from looks alone do not reach them."
            ),
        )
    if "weight_distribution" in drawn:
        yield b.Chart(
            drawn["weight_distribution"],
            "How often images are drawn, in multiples of plain training",
            b.said(
                f"At 1{TIMES}, the vertical line, an image is drawn as often as in plain training. "
                "What to do: a long tail to the right means that few images are repeated very "
                "often; look at the least represented faces before trusting the result."
            ),
        )
    if document["situations"]:
        yield b.Heading("Rare, or tied to the label?")
        yield b.Points(document["situations"])
        yield b.to_do(
            "weights by latent rarity are for groups that are rare and look different. Where a "
            "label goes with a group, or a rare group does not look different to the model, use a "
            "reference set or annotate some images."
        )
    for arm in arms:
        yield from _arm(arm, document, pictures)


def _arm(arm: str, document: Document, pictures: Pictures) -> Iterator[b.Block]:
    facts = document["weights"][arm]
    colour = arm_style(arm, arms_of(document))[0]
    yield b.Heading(b.Marked(arm_name(arm), colour), words(str(facts.get("rule"))))
    if said := " ".join(_said(facts, document["data"]["n"].get("train"))):
        yield b.Sentence(said)
    if facts.get("ratio"):
        yield _ratio(facts["ratio"])
    if pictures.faces_shown and arm in pictures.wanted:
        yield from _wanted(arm, bool(facts.get("ratio")), pictures)
    yield from (b.Sentence(warning, "caution") for warning in facts.get("warnings") or ())
    if facts.get("auc_by_group"):
        uses_groups = bool(facts.get("uses_groups")) and not facts.get("estimated")
        yield _reach(facts, is_open=not uses_groups)
    shares = (_shares(facts["share_by_group"]),) if facts.get("share_by_group") else ()
    settings: list[tuple[b.Text, b.Text]] = [
        (label, b.Value(facts[key], kind))
        for key, label, kind in (
            ("tau", "tempering exponent tau", "plain"), ("alpha", "smoothing alpha", "plain"),
            ("capped", "images capped", "count"),
        )
        if facts.get(key) is not None
    ]  # fmt: skip
    dropped = facts.get("dropped_dimensions")
    if dropped is not None:
        settings.append(("latent dimensions left out", ", ".join(map(str, dropped)) or "none"))
    yield b.Fold("Shares and settings", (*shares, b.Facts(tuple(settings))), arm_name(arm))


def _said(weights: Mapping[str, Any], train: object) -> Iterator[str]:
    """What the figures of one arm's weights mean, said no louder than measured."""
    ess, largest, top = (weights.get(key) for key in ("ess", "largest", "top_1_percent"))
    unique, about = weights.get("unique_per_epoch"), ""
    if is_number(ess):
        if is_number(train):
            about = (
                ": the weighted draw carries about as much information as "
                f"{number(round(ess * train), 'count')} of the {number(train, 'count')} images, "
                "drawn equally often, would"
            )
        share = number(ess, "percent")
        yield f"The effective sample size is {share} of the training images{about}."
    if is_number(largest):
        times = number(largest, "times")
        yield f"The most drawn image comes up {times} as often as the average one."
    if is_number(top):
        yield f"The top 1% of images take {number(top, 'percent')} of the draws."
    if is_number(unique):
        yield f"One pass shows {number(round(unique), 'count')} different images on average."


def _ratio(ratio: Mapping[str, Any]) -> b.Sentence:
    """How far the ratio to a reference may rest on style."""
    kind = "as it is" if ratio["style"] == "matched" else "matched in colour and sharpness"
    apart, other, agree = (
        number(ratio[key], "auc")
        for key in ("separability", "separability_other_style", "style_agreement")
    )
    return b.Sentence(
        f"Networks tell reference from training images with an area under the curve of {apart} "
        "(0.5: not at all; near 1: almost always, by camera or framing rather than people). With "
        f"the style {kind}, in a single noisy repetition, the area is {other}, and the rankings of "
        f"the training images correlate by {agree}; a low value: the ratio rests on style."
    )


def _wanted(arm: str, has_ratio: bool, pictures: Pictures) -> Iterator[b.Block]:
    """The faces that an arm asks for most and least."""
    sides = zip(("most", "least"), ("What this arm asks for", "What it asks for"),
                pictures.wanted[arm], strict=True)  # fmt: skip
    yield b.Grid(tuple(
        (b.Faces(tuple(sheets(images, COLUMNS, most=24)),
                 f"The training images that this arm draws {side}", caption=f"{lead} {side}."),)
        for side, lead, images in sides
    ))  # fmt: skip
    reference = tuple(sheets(pictures.reference, COLUMNS, parts=2))
    if has_ratio and reference:
        caption = "Images of the reference, drawn at random."
        yield b.Faces(reference, "Images of the unlabelled reference", caption=caption)
    yield b.to_do(
        "look for what the two sides differ in. If it is light, background or framing rather than "
        "people, the target is about the photographs: do not use these weights."
    )


def _reach(facts: Mapping[str, Any], *, is_open: bool) -> b.Fold:
    """Whether the weight alone tells who belongs to a group."""
    shares = facts.get("share_by_group") or {}
    rows = [{**area, "group": group} for group, area in facts["auc_by_group"].items()]
    rows.sort(key=lambda row: -row["auc"] if is_number(row["auc"]) else 1.0)
    columns: dict[str, b.Column] = {
        "group": _group,
        "AUC": "{auc:auc}",
        "95% interval": "{low..high:auc}",
        "n": "{n:count}",
        "members are": lambda row: reached(row, shares.get(row["group"], {})),
    }
    said = b.Sentence(
        "Can the weight alone tell who belongs to a group, among images of the same class? 0.5: "
        "no; near 1: nearly every member weighs more than all others; below 0.5: less."
    )
    table = b.table(rows, columns, left=(0, 4), look="tight")
    return b.Fold(
        "Does the weight find the group?", (said, table), f"{len(rows):,} groups", is_open
    )


def _group(row: Mapping[str, Any]) -> b.Cell:
    return b.Cell(full_group_name(row["group"]), title=row["group"])


def reached(area: Mapping[str, Any], share: Mapping[str, Any]) -> str:
    """What may be said of how often a group is drawn.

    Args:
        area: ``low`` and ``high`` of the area under the curve of weight against membership.
        share: ``after``, the share of the draws, ``random_low`` and ``random_high``, those of
            random weights that are as uneven; may lack any.
    """
    low, high = area["low"], area["high"]
    if not is_number(low) or not is_number(high):
        return "cannot tell"
    if low <= 0.5 <= high:
        return "weights do not target this group"
    often = "more" if low > 0.5 else "less"
    after, least, most = (share.get(key) for key in ("after", "random_low", "random_high"))
    limits = is_number(least) and is_number(most) and (least - SLACK, most + SLACK)
    if limits and is_number(after) and limits[0] <= after <= limits[1]:
        return f"given {often} weight, but drawn no more and no less than with random weights"
    return f"drawn {often} often than the others"


def _shares(by_group: Mapping[str, Any]) -> b.Table:
    rows = [{"random_low": None, "random_high": None, **share, "group": group}
            for group, share in by_group.items()]  # fmt: skip
    rows.sort(key=lambda row: row["before"] if is_number(row["before"]) else 2.0)
    columns: dict[str, b.Column] = {
        "group": _group,
        "share of images": "{before:percent}",
        "share of draws": "{after:percent}",
        "of equally uneven random draws": "{random_low..random_high:percent|}",
    }
    return b.table(rows, columns, look="tight")

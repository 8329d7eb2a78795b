"""What weights do: a part of a run's page, and a small page about weights alone."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from matplotlib.figure import Figure

from debias.report import blocks as b
from debias.report.arms import arms_of
from debias.report.charts.style import arm_style, svg
from debias.report.html import render
from debias.report.pictures import Pictures, sheets
from debias.report.words import TIMES, arm_name, full_group_name, is_number, number, words
from debias.types import BASELINE

Document = Mapping[str, Any]
Drawing = tuple[Callable[[Figure], None], float]
WIDTH = 7.6  # inches
COLUMNS = 6
SLACK = 1e-9  # rounding must not look like an effect
MEANINGS = (
    ("effective_samples", "count", "effective sample size: a mean over a weighted draw varies as "
     "much as one over this many plain samples"),
    ("ess", "percent", "the same as a share of all samples; 100% is plain sampling"),
    ("unique_per_epoch", "count", "different samples expected among as many draws as there are "
     "samples; plain sampling gives 63% of them"),
    ("largest", "times", "largest weight in multiples of the mean: how often the most wanted "
     "sample is drawn in such an epoch"),
    ("top_1_percent", "percent", "share of the weight held by the heaviest hundredth"),
)  # fmt: skip


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
    rows = tuple(b.Row((b.Value(figures[name], kind), meaning)) for name, kind, meaning in MEANINGS)
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
    """What each arm's weights did, in words and by group."""
    yield b.Sentence(
        "Weights change how often each training image is drawn. They never change an image, a "
        "label, or the test set."
    )
    yield from _charts(drawn)
    if document["situations"]:
        yield b.Heading("Rare, or tied to the label?")
        yield b.Points(tuple(document["situations"]))
        yield b.to_do(
            "weights by latent rarity are for groups that are rare and look different. Where a "
            "label goes with a group, or a rare group does not look different to the model, use a "
            "reference set or annotate some images."
        )
    for arm in weighted_arms(document):
        yield from _arm(arm, document, pictures)


def weighted_arms(document: Document) -> list[str]:
    """Arms that have figures of their weights."""
    return [arm for arm in arms_of(document) if arm != BASELINE and document["weights"].get(arm)]


def _charts(drawn: Mapping[str, bytes]) -> Iterator[b.Block]:
    if "weight_share" in drawn:
        yield b.Chart(
            drawn["weight_share"],
            "Share of each group among the training images and among the training draws of each "
            "arm",
            ("The hollow mark is a group's share of the images, the filled mark its share of the "
             "draws. A line to the right means that the classifier sees more of this group than "
             "before. ", b.Strong("What to do:"), " check that the groups you worry about moved "
             "right. Where they did not move, weights from looks alone do not reach them."),
        )  # fmt: skip
    if "weight_distribution" in drawn:
        yield b.Chart(
            drawn["weight_distribution"],
            "How often images are drawn, in multiples of plain training",
            (f"At 1{TIMES} an image is drawn as often as in plain training; at 4{TIMES} four times "
             "as often. "
             "The vertical line is plain training. ", b.Strong("What to do:"), " a long tail to "
             "the right means that few images are repeated very often; look at them among the "
             "least represented faces before trusting the result."),
        )  # fmt: skip


def _arm(arm: str, document: Document, pictures: Pictures) -> Iterator[b.Block]:
    facts = document["weights"][arm]
    colour = arm_style(arm, arms_of(document))[0]
    yield b.Heading(b.Marked(arm_name(arm), colour), words(str(facts.get("rule"))))
    yield from map(b.Sentence, _said(facts, document["data"]["n"].get("train")))
    yield from _ratio(facts.get("ratio"))
    yield from _wanted(arm, bool(facts.get("ratio")), pictures)
    yield from (b.Sentence(warning, "caution") for warning in facts.get("warnings") or ())
    if facts.get("auc_by_group"):
        uses_groups = bool(facts.get("uses_groups")) and not facts.get("estimated")
        yield _reach(facts, is_open=not uses_groups)
    table = (_shares(facts["share_by_group"]),) if facts.get("share_by_group") else ()
    yield b.Fold("Shares and settings", (*table, _settings(facts)), arm_name(arm))


def _said(weights: Mapping[str, Any], train: object) -> Iterator[str]:
    """What the figures of one arm's weights mean, said no louder than measured."""
    ess, largest, top = (weights.get(key) for key in ("ess", "largest", "top_1_percent"))
    unique, said = weights.get("unique_per_epoch"), []
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
    if said:
        yield " ".join(said)


def _ratio(ratio: Mapping[str, Any] | None) -> Iterator[b.Sentence]:
    """How far the ratio to a reference may rest on style."""
    if not ratio:
        return
    apart, other = ratio["separability"], ratio["separability_other_style"]
    kind = "as it is" if ratio["style"] == "matched" else "matched in colour and sharpness"
    yield b.Sentence(
        f"Networks tell reference from training images with an area under the curve of "
        f"{number(apart, 'auc')} (0.5: not at all; near 1: almost always, which means another "
        f"camera or framing rather than other people). With the style {kind}, in a single "
        f"repetition, the area is {number(other, 'auc')}, and the rankings of the training images "
        f"agree with a rank correlation of {number(ratio['style_agreement'], 'auc')}. A single "
        "repetition is noisy, so 1 is out of reach; a low value means that the ratio rests on "
        "style."
    )


def _wanted(arm: str, has_ratio: bool, pictures: Pictures) -> Iterator[b.Block]:
    """The faces that an arm asks for most and least."""
    if not pictures.faces_shown or arm not in pictures.wanted:
        return
    most, least = (tuple(sheets(images, COLUMNS, most=24)) for images in pictures.wanted[arm])
    yield b.Grid((
        (b.Faces(most, "The training images that this arm draws most",
                 caption="What this arm asks for most."),),
        (b.Faces(least, "The training images that this arm draws least",
                 caption="What it asks for least."),),
    ))  # fmt: skip
    reference = tuple(sheets(pictures.reference, COLUMNS, parts=2))
    if has_ratio and reference:
        caption = "Images of the reference, drawn at random."
        yield b.Faces(reference, "Images of the unlabelled reference", caption=caption)
    yield b.to_do(
        "look for what the two sides differ in. If it is light, sharpness, background or framing "
        "rather than people, the target is about the photographs: do not use these weights."
    )


def _reach(facts: Mapping[str, Any], *, is_open: bool) -> b.Fold:
    """Whether the weight alone tells who belongs to a group."""
    groups = sorted(
        facts["auc_by_group"].items(),
        key=lambda item: -item[1]["auc"] if is_number(item[1]["auc"]) else 1.0,
    )
    shares = facts.get("share_by_group") or {}
    rows = (
        b.Row((
            b.Cell(full_group_name(group), title=group), b.Value(row["auc"], "auc"),
            b.between(row["low"], row["high"], "auc"), b.Value(row["n"], "count"),
            reached(row, shares.get(group, {})),
        ))
        for group, row in groups
    )  # fmt: skip
    table = b.Table(
        ("group", "AUC", "95% interval", "n", "members are"), tuple(rows), left=(0, 4), look="tight"
    )
    said = b.Sentence(
        "Can the weight alone tell who belongs to a group, among images of the same class? At 0.5 "
        "it knows nothing about the group; near 1 nearly every member weighs more than everybody "
        "else; below 0.5 members weigh less."
    )
    note = f"{len(groups):,} groups"
    return b.Fold("Does the weight find the group?", (said, table), note, is_open)


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
    if (
        is_number(after)
        and is_number(least)
        and is_number(most)
        and least - SLACK <= after <= most + SLACK
    ):
        return f"given {often} weight, but drawn no more and no less than with random weights"
    return f"drawn {often} often than the others"


def _shares(by_group: Mapping[str, Any]) -> b.Table:
    shares = sorted(
        by_group.items(),
        key=lambda item: item[1]["before"] if is_number(item[1]["before"]) else 2.0,
    )
    rows = (
        b.Row((
            b.Cell(full_group_name(group), title=group), b.Value(row["before"], "percent"),
            b.Value(row["after"], "percent"),
            b.between(row.get("random_low"), row.get("random_high"), "percent", ""),
        ))
        for group, row in shares
    )  # fmt: skip
    headings = ("group", "share of images", "share of draws", "of equally uneven random draws")
    return b.Table(headings, tuple(rows), look="tight")


def _settings(facts: Mapping[str, Any]) -> b.Facts:
    rows: list[tuple[b.Text, b.Text]] = [
        (label, b.Value(facts[key], kind))
        for key, label, kind in (
            ("tau", "tempering exponent tau", "plain"), ("alpha", "smoothing alpha", "plain"),
            ("capped", "images capped", "count"),
        )
        if facts.get(key) is not None
    ]  # fmt: skip
    dropped = facts.get("dropped_dimensions")
    if dropped is not None:
        rows.append(("latent dimensions left out", ", ".join(map(str, dropped)) or "none"))
    return b.Facts(tuple(rows))

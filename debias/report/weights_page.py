"""What weights do: a part of a run's page, and a small page about weights alone."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypedDict

import numpy as np
from matplotlib.figure import Figure

from debias.metrics.documents import Number
from debias.report import blocks as b
from debias.report.charts.style import arm_style, svg
from debias.report.documents import (
    Area,
    EpochOfWeights,
    EstimatedShare,
    Findings,
    ForeignGroups,
    Generated,
    ReferenceRatio,
    Share,
    Weights,
)
from debias.report.html import render
from debias.report.pictures import Pictures, contact_sheet, sheets, shrink, webp
from debias.report.readings import arms_of
from debias.report.texts import TEXTS, chart, note, text
from debias.report.words import arm_name, full_group_name, is_number, words
from debias.statistics.concentration import SLACK
from debias.types import BASELINE

Drawing = tuple[Callable[[Figure], None], float]
WIDTH = 7.6  # inches
COLUMNS = 6


def render_weights(n: int, figures: Mapping[str, object], drawings: Mapping[str, Drawing]) -> str:
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
    rows = tuple(
        b.Row((b.said(figure, figures), said)) for figure, said in TEXTS["weights"].items()
    )
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
    document: Findings, drawn: Mapping[str, bytes], pictures: Pictures
) -> Iterator[b.Block]:
    """What the weights of each arm that has any did, in words and by group."""
    arms = [arm for arm in arms_of(document) if arm != BASELINE and document["weights"].get(arm)]
    if not arms:
        return
    yield note("weights")
    for name in ("weight_share", "weight_distribution", "weights_by_epoch"):
        if name in drawn:
            yield chart(drawn[name], name)
    for arm in arms:
        yield from _arm(arm, document, pictures)


def _arm(arm: str, document: Findings, pictures: Pictures) -> Iterator[b.Block]:
    facts = document["weights"][arm]
    colour = arm_style(arm, arms_of(document))[0]
    if epochs := facts.get("by_epoch"):
        yield b.Heading(b.Marked(arm_name(arm), colour), words(facts["objective"]))
        yield from _film(arm, epochs, pictures)
        yield from (b.Sentence(warning, "caution") for warning in facts.get("warnings") or ())
        return
    yield b.Heading(b.Marked(arm_name(arm), colour), words(str(facts.get("rule"))))
    yield from _generated(arm, facts.get("generated"), pictures)
    if said := b.joined(_said(facts, document["data"]["n"].get("train"))):
        yield b.Sentence(said)
    if ratio := facts.get("ratio"):
        yield from _ratio(ratio)
    if found := facts.get("elsewhere"):
        yield from _foreign(found, facts.get("share_by_group") or {})
    if pictures.faces_shown and arm in pictures.wanted:
        yield from _wanted(arm, bool(facts.get("ratio")), pictures)
    yield from (b.Sentence(warning, "caution") for warning in facts.get("warnings") or ())
    if facts.get("auc_by_group"):
        uses_groups = bool(facts.get("uses_groups")) and not facts.get("estimated")
        yield _reach(facts, is_open=not uses_groups)
    shares = (_shares(facts["share_by_group"]),) if facts.get("share_by_group") else ()
    settings: list[tuple[b.Text, b.Text]] = [
        (label, said)
        for label, template in (
            ("tempering exponent tau", "tau?{tau:plain}"),
            ("smoothing alpha", "alpha?{alpha:plain}"),
            ("images capped", "capped?{capped:count}"),
        )
        if (said := b.said(template, facts))
    ]
    dropped = facts.get("dropped_dimensions")
    if dropped is not None:
        settings.append(("latent dimensions left out", ", ".join(map(str, dropped)) or "none"))
    yield b.Fold("Shares and settings", (*shares, b.Facts(tuple(settings))), arm_name(arm))


def _generated(arm: str, made: Generated | None, pictures: Pictures) -> Iterator[b.Block]:
    """How many images were generated, if any, and some of them between their parents."""
    if made is None:
        return
    yield note("generated", made, tone="caution")
    if found := made.get("legible"):
        yield note("legible", found)
    if pictures.faces_shown and arm in pictures.generated:
        rows = shrink(np.concatenate(pictures.generated[arm]))
        columns = len(rows) // 3
        yield b.Faces(
            (webp(contact_sheet(rows, columns)),),
            "In the middle row images that were generated, each between its two parents",
            "top: first parents; middle: generated, nobody is shown; bottom: second parents",
        )
        yield note("generated_faces")


def _ratio(ratio: ReferenceRatio) -> Iterator[b.Block]:
    """How well networks tell the reference from the training images, and by what."""
    kind = "matched in colour and sharpness" if ratio["style"] == "as_is" else "as it is"
    yield note("ratio_to_reference", ratio, kind=kind)
    if ratio["style"] == "augmented":
        yield note("restyled")


def _foreign(found: ForeignGroups, here: Mapping[str, Share]) -> Iterator[b.Block]:
    """Shares of groups that are annotated in another collection; beside them what is known here."""
    column = found["column"]
    rows: list[_EstimatedOf] = [
        {**one, "group": group, "before": here[group]["before"] if group in here else math.nan}
        for group, one in ((f"{column}:{name}", one) for name, one in found["shares"].items())
    ]
    yield note("elsewhere", found, called=words(column))
    columns: b.Columns[_EstimatedOf] = {
        "group": _group,
        "estimated share": "{share:percent}",
        "95% interval": "{low..high:percent}",
        "second estimate": "{check:percent}",
    }
    if any(is_number(row["before"]) for row in rows):
        columns["annotated here"] = "{before:percent}"
    yield b.table(rows, columns, look="tight")


def _film(arm: str, epochs: Sequence[EpochOfWeights], pictures: Pictures) -> Iterator[b.Block]:
    """Weights that changed from epoch to epoch."""
    yield note("film", epochs[-1], epochs=len(epochs))
    first, last = (epoch["share_by_group"] for epoch in (epochs[0], epochs[-1]))
    rows: list[_Course] = [
        {"group": group, "first": share, "last": last[group]}
        for group, share in sorted(first.items(), key=lambda one: one[1])
    ]
    columns: b.Columns[_Course] = {
        "group": _group,
        "share of the first draws": "{first:percent}",
        "of the last": "{last:percent}",
    }
    yield b.table(rows, columns, look="tight")
    if pictures.faces_shown and arm in pictures.film:
        yield b.Grid(tuple(
            (b.Faces((webp(contact_sheet(shrink(faces), len(faces))),),
                     f"The training images drawn most in epoch {epoch}", f"epoch {epoch}"),)
            for epoch, faces in pictures.film[arm].items()
        ))  # fmt: skip
        yield note("film_faces")


def _said(weights: Weights, train: object) -> Iterator[b.Text]:
    """What the figures of one arm's weights mean, said no louder than measured."""
    ess, unique = weights.get("ess"), weights.get("unique_per_epoch")
    if is_number(ess):
        known = is_number(train) and {"equal": round(ess * train), "train": train}
        yield text("ess", weights, about=text("equal", known) if known else "")
    yield text("largest", {"largest": None, **weights})
    yield text("top", {"top_1_percent": None, **weights})
    whole = {"unique": round(unique)} if is_number(unique) else {}
    yield text("unique", {**weights, **whole})


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
    yield note("wanted")


def _reach(facts: Weights, *, is_open: bool) -> b.Fold:
    """Whether the weight alone tells who belongs to a group."""
    shares = facts.get("share_by_group") or {}
    rows: list[_AreaOf] = [
        {**area, "group": group} for group, area in facts["auc_by_group"].items()
    ]
    rows.sort(key=lambda row: -row["auc"] if is_number(row["auc"]) else 1.0)
    columns: b.Columns[_AreaOf] = {
        "group": _group,
        "AUC": "{auc:auc}",
        "95% interval": "{low..high:auc}",
        "n": "{n:count}",
        "members are": lambda row: reached(row, shares.get(row["group"])),
    }
    table = b.table(rows, columns, left=(0, 4), look="tight")
    return b.Fold(
        "Does the weight find the group?", (note("reach"), table), f"{len(rows):,} groups", is_open
    )


class _ShareOf(Share):
    group: str


class _AreaOf(Area):
    group: str


class _EstimatedOf(EstimatedShare):
    group: str
    before: Number


class _Course(TypedDict):
    group: str
    first: float
    last: float


def _group(row: _ShareOf | _AreaOf | _Course | _EstimatedOf) -> b.Cell:
    return b.Cell(full_group_name(row["group"]), title=row["group"])


def reached(area: Area, share: Share | None) -> str:
    """What may be said of how often a group is drawn.

    Args:
        area: ``low`` and ``high`` of the area under the curve of weight against membership.
        share: ``after``, the share of the draws, ``random_low`` and ``random_high``, those of
            random weights that are as uneven.
    """
    low, high = area["low"], area["high"]
    if not is_number(low) or not is_number(high):
        return "cannot tell"
    if low <= 0.5 <= high:
        return "weights do not target this group"
    often = "more" if low > 0.5 else "less"
    after, least, most = (
        (share["after"], share["random_low"], share["random_high"]) if share else [np.nan] * 3
    )
    if is_number(after) and is_number(least) and least - SLACK <= after <= most + SLACK:
        return f"given {often} weight, but drawn no more and no less than with random weights"
    return f"drawn {often} often than the others"


def _shares(by_group: Mapping[str, Share]) -> b.Table:
    rows: list[_ShareOf] = [{**share, "group": group} for group, share in by_group.items()]
    rows.sort(key=lambda row: row["before"] if is_number(row["before"]) else 2.0)
    columns: b.Columns[_ShareOf] = {
        "group": _group,
        "share of images": "{before:percent}",
        "share of draws": "{after:percent}",
        "of equally uneven random draws": "{random_low..random_high:percent|}",
    }
    return b.table(rows, columns, look="tight")

"""The page of ``debias plan``: how many test images and trainings find a change."""

from collections.abc import Iterator, Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, ScalarFormatter

from debias.metrics.words import points
from debias.report import blocks as b
from debias.report import words as w
from debias.report.charts.style import ARM_STYLES, FAINT, Drawing
from debias.report.documents import PlanDocument, Planned, PlanRow
from debias.report.texts import NOTES, chart, note, text


def drawings(document: PlanDocument) -> dict[str, Drawing]:
    return {f"plan_{k}": _curves(document, one) for k, one in enumerate(document["planned"])}


def _curves(document: PlanDocument, planned: Planned) -> Drawing:
    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for row, (colour, mark) in zip(planned["rows"], ARM_STYLES, strict=False):
            found = np.array([np.nan if one is None else one for one in row["curve"]])
            axes.plot(document["curve_images"], found, color=colour, marker=mark, markersize=3,
                      label=w.amount(row["trainings"], "training"))  # fmt: skip
        axes.axhline(document["change"], color="#5f6670", linewidth=0.9, linestyle=":")
        axes.set_xscale("log")
        axes.set_xticks([30, 100, 300, 1000, 3000], minor=False)
        axes.xaxis.set_major_formatter(ScalarFormatter())
        axes.minorticks_off()
        axes.set_ylim(0, 0.5)
        axes.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}"))
        axes.grid(axis="y", color=FAINT, linewidth=0.7)
        axes.set_title("Smallest change that is found, points")
        axes.set_xlabel("test images of the group")
        axes.legend(fontsize=8)

    return draw, 3.0


def page(document: PlanDocument, drawn: Mapping[str, bytes]) -> b.Page:
    sections = [
        b.Section(f"plan-{k}", _title(one), tuple(_section(document, k, one, drawn)))
        for k, one in enumerate(document["planned"])
    ]
    return b.Page(
        title=f"{document['name']}: what could be found",
        kicker=f"{document['name']} · plan",
        heading=headline(document),
        opening=tuple(_opening(document)),
        sections=sections,
        footer=f"Made by debias {document['version']}. A plan says what images and trainings could "
        "show; which change matters is for you to say.",
    )


def summary(document: PlanDocument) -> Iterator[b.Block]:
    """What a terminal shows."""
    yield b.Sentence(headline(document), "verdict")
    yield from _opening(document)
    for one in document["planned"]:
        yield _table(document, one)


def headline(document: PlanDocument) -> str:
    """The fewest test images with which any of the numbers of trainings finds the change."""
    change = points(document["change"])
    row = min(
        (row for one in document["planned"][:1] for row in one["rows"] if row["needed"]),
        key=lambda row: (row["needed"] or 0) * row["trainings"],
        default=None,
    )
    if row is None:
        return f"No number of trainings here finds a change of {change}"
    images = f"{row['needed']:,} test images of a group"
    return f"A change of {change} is found with {images} and {row['trainings']} trainings"


def _opening(document: PlanDocument) -> Iterator[b.Block]:
    yield note(
        "plan_from_pilot" if document["pilot"] else "plan_from_typical", pilot=document["pilot"]
    )
    looks = NOTES["plan_looks"] if document["looks"] else ""
    yield note(
        "plan_level", arms=w.amount(document["arms"], "arm"), looks=looks,
        error=b.Value(document["error"], "percent"), power=b.Value(document["power"], "percent"),
    )  # fmt: skip


def _title(planned: Planned) -> str:
    arm = f" under {w.arm_name(planned['arm']).lower()}" if planned["arm"] else ""
    return f"{w.quantity_name(planned['quantity'])}{arm}"


def _section(
    document: PlanDocument, place: int, planned: Planned, drawn: Mapping[str, bytes]
) -> Iterator[b.Block]:
    yield chart(drawn[f"plan_{place}"], "plan", what=_title(planned))
    yield _table(document, planned)
    facts: dict[str, b.Text] = {
        "One training to the next": text("plan_sd", sd=b.Value(planned["sd_trainings"], "points")),
        "One image to the next": f"variance {planned['variance_images']:.3f}",
        "Single images in single trainings": f"variance {planned['variance_both']:.3f}",
    }
    if planned["images"]:
        facts["Estimated from"] = (
            f"{w.amount(planned['trainings'] or 0, 'training')}, {planned['images']:,} test images"
        )
    yield b.Facts(tuple(facts.items()))


def _table(document: PlanDocument, planned: Planned) -> b.Table:
    """Images that a change takes, and what numbers of images find, by trainings."""
    most = f"over {document['most_images']:,}"

    def row(one: PlanRow) -> b.Row:
        found = (b.Value(change, "points", "none") for change in one["found"])
        return b.Row((str(one["trainings"]), b.Value(one["needed"], "count", most), *found))

    change = f"images for {100 * document['change']:g} points"
    headings = ("trainings", change, *(f"with {n:,}" for n in document["images"]))
    title = f"{_title(planned)}: smallest change in points that is found"
    return b.Table(headings, tuple(map(row, planned["rows"])), title, left=(0,))

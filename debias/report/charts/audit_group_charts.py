"""Charts of the annotated groups of an audit."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from debias.report.audit_groups_view import UNJUDGED, group_panels, short_name, why_no_number
from debias.report.charts.style import (
    ARM_STYLES,
    FAINT,
    GROUPS_DRAWN,
    INK,
    MUTED,
    PANELS_DRAWN,
    TOO_SMALL,
    beside,
    dotted_key,
    hollow_key,
    key_above,
    percent,
    stack,
)
from debias.report.panels import Panel, Row, height
from debias.report.words import is_number, number

Document = Mapping[str, Any]
Drawing = tuple[Callable[[Figure], None], float]
# Colour, mark, whether it is filled, and what it means; the colour only repeats the mark.
VERDICTS = {
    "below": (*ARM_STYLES[1], True, "below its declared share"),
    "above": (*ARM_STYLES[2], True, "above it"),
    "cannot_tell": (ARM_STYLES[0][0], "o", False, "cannot tell"),
    None: (ARM_STYLES[0][0], "o", True, "no share declared"),
}
GREY = (TOO_SMALL, "o", False, "in no verdict")


def group_shares(document: Document) -> Drawing | None:
    """Share of each group with its interval, beside the share it was declared to have."""
    found = _drawn_panels(document)
    rows = [row for panel in found for row in panel.rows]
    if not any(is_number(row["share"]) for row in rows):
        return None

    def draw(figure: Figure) -> None:
        key_above(figure, _share_keys(rows))
        grid = stack(figure, [(panel.title, _labels(panel)) for panel in found])
        for axes, panel in zip(grid[:, 0], found, strict=True):
            for place, row in enumerate(panel.rows):
                _share_marks(axes, place, row)
                beside(axes, place, _size(row))
        grid[-1, 0].set_xlim(left=0)
        grid[-1, 0].set_xlabel("share of the images")
        grid[-1, 0].xaxis.set_major_formatter(FuncFormatter(percent))

    return draw, height(found, 0.27)


def _drawn_panels(document: Document) -> list[Panel]:
    return group_panels(document, GROUPS_DRAWN, PANELS_DRAWN)


def _labels(panel: Panel) -> list[str]:
    return [short_name(row) for row in panel.rows]


def _style(row: Row) -> tuple[str, str, bool, str]:
    return GREY if row["state"] in UNJUDGED else VERDICTS.get(row["verdict"], VERDICTS[None])


def _share_keys(rows: Sequence[Row]) -> list[Line2D]:
    seen = {_style(row) for row in rows if is_number(row["share"])}
    keys = [
        Line2D([], [], color=colour, marker=mark, markerfacecolor=colour if filled else "white",
               label=label)
        for colour, mark, filled, label in (*VERDICTS.values(), GREY)
        if (colour, mark, filled, label) in seen
    ]  # fmt: skip
    if any(is_number(row["declared"]) for row in rows):
        stroke = Line2D([], [], color=INK, marker="|", linestyle="none", label="declared share")
        stroke.set_markersize(11)
        stroke.set_markeredgewidth(1.8)
        keys.append(stroke)
    return keys


def _share_marks(axes: Axes, place: int, row: Row) -> None:
    if is_number(row["declared"]):
        axes.vlines(row["declared"], place - 0.33, place + 0.33, color=INK, linewidth=1.8, zorder=5)
    if is_number(row["share"]):
        _mark_with_interval(axes, place, (row["share"], row["low"], row["high"]), _style(row))


def _mark_with_interval(
    axes: Axes, place: int, values: Sequence[Any], style: tuple[str, str, bool, str]
) -> None:
    value, low, high = values
    colour, mark, filled, _ = style
    if is_number(low) and is_number(high):
        axes.hlines(place, low, high, color=colour, linewidth=1.6)
    axes.scatter(
        [value], [place], s=34, marker=mark, facecolors=colour if filled else "white",
        edgecolors=colour, zorder=4, clip_on=False,
    )  # fmt: skip


def _size(row: Row) -> str:
    if not is_number(row["count"]):
        return why_no_number(row)
    small = {"too_small": ", too small", "unknown": ", in no verdict"}.get(row["state"], "")
    return f"n = {number(row['count'], 'count')}{small}"


def group_rarity(document: Document) -> Drawing | None:
    """How well rarity finds each group, and what the weights do to its share."""
    found = _drawn_panels(document)
    if not any(is_number(row["auc"]) for panel in found for row in panel.rows):
        return None

    def draw(figure: Figure) -> None:
        key_above(figure, _rarity_keys())
        grid = stack(figure, [(panel.title, _labels(panel)) for panel in found], columns=2)
        for (left, right), panel in zip(grid, found, strict=True):
            left.axvline(0.5, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
            for place, row in enumerate(panel.rows):
                _rarity_marks(left, right, place, row)
        grid[-1, 0].set_xlabel("area under the curve")
        grid[-1, 1].set_xlabel("share of the images and of the weight")
        grid[-1, 1].set_xlim(left=0)
        grid[-1, 1].xaxis.set_major_formatter(FuncFormatter(percent))

    return draw, height(found, 0.25)


def _rarity_keys() -> list[Line2D]:
    colour = ARM_STYLES[0][0]
    return [
        Line2D([], [], color=colour, marker="o", label="rarity of the group"),
        dotted_key("no rarer than others", MUTED),
        hollow_key("share of the images", MUTED),
        Line2D([], [], color=colour, marker="s", linestyle="none", label="share of the weight"),
    ]


def _rarity_marks(left: Axes, right: Axes, place: int, row: Row) -> None:
    style = GREY if row["state"] in UNJUDGED else (ARM_STYLES[0][0], "o", True, "")
    if is_number(row["auc"]):
        _mark_with_interval(left, place, (row["auc"], row["auc_low"], row["auc_high"]), style)
    else:
        beside(right, place, why_no_number(row))
    if is_number(row["share"]) and is_number(row["weight_share"]):
        right.hlines(place, row["share"], row["weight_share"], color=FAINT, linewidth=3, zorder=1)
        right.scatter([row["share"]], [place], s=26, facecolors="white", edgecolors=MUTED, zorder=2)
        right.scatter([row["weight_share"]], [place], s=30, marker="s", color=style[0], zorder=3)

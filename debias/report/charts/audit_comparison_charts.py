"""Charts of two sets of images: how far apart they lie, and where one falls short."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from debias.report.charts.style import (
    ARM_STYLES,
    FAINT,
    INK,
    TOO_SMALL,
    beside,
    key_above,
    percent,
    stack,
)
from debias.report.panels import Row
from debias.report.words import is_number, number

Drawing = tuple[Callable[[Figure], None], float]
REGIONS_DRAWN = 12
OWN, OTHER = ARM_STYLES[0], ARM_STYLES[1]


def distance(comparison: Row | None) -> Drawing | None:
    """The distance of two sets on top of what chance alone gives."""
    if comparison is None or not is_number(comparison["distance"]):
        return None

    def draw(figure: Figure) -> None:
        handles = [_distance_mark(comparison), Patch(color=FAINT, label="what chance alone gives")]
        key_above(figure, handles)
        axes = stack(figure, [("", [""])])[0, 0]
        _band(axes, comparison["null"])
        colour, mark, face = _look(comparison["verdict"])
        axes.scatter(
            [comparison["distance"]], [0], s=70, marker=mark, facecolors=face, edgecolors=colour,
            zorder=4, clip_on=False,
        )  # fmt: skip
        axes.set_xlim(left=0)
        axes.set_xlabel("distance between the two sets")

    return draw, 1.45


def _look(verdict: str) -> tuple[str, str, str]:
    """Colour, mark and fill: filled only where a difference was found."""
    if verdict == "told_apart":
        return OTHER[0], OTHER[1], OTHER[0]
    return OWN[0], OWN[1], "white"


def _distance_mark(comparison: Row) -> Line2D:
    colour, mark, face = _look(comparison["verdict"])
    return Line2D(
        [], [], color=colour, marker=mark, linestyle="none", markerfacecolor=face,
        label="the two sets compared",
    )  # fmt: skip


def _band(axes: Axes, null: Sequence[float | None] | None) -> None:
    low, middle, high = null or (None, None, None)
    if is_number(low) and is_number(high):
        axes.hlines(0, low, high, color=FAINT, linewidth=22, zorder=1)
    if is_number(middle):
        axes.vlines(middle, -0.3, 0.3, color=INK, linewidth=1.0, zorder=2)


def shares_of_regions(comparison: Row | None, there: str) -> Drawing | None:
    """Share of each region here and there, what falls short first.

    Args:
        comparison: Part ``reference`` or ``drift`` of an audit document.
        there: Where the other share was counted, for the legend.
    """
    rows = [] if comparison is None else comparison["regions"][:REGIONS_DRAWN]
    if not any(is_number(row["share"]) and is_number(row["reference_share"]) for row in rows):
        return None

    def draw(figure: Figure) -> None:
        key_above(figure, _region_keys(rows, there))
        axes = stack(figure, [("", [f"region {row['number']}" for row in rows])])[0, 0]
        for place, row in enumerate(rows):
            _region_marks(axes, place, row)
            beside(axes, place, _missing(row))
        axes.set_xlim(left=0)
        axes.set_xlabel("share of the images")
        axes.xaxis.set_major_formatter(FuncFormatter(percent))

    return draw, 0.95 + 0.36 * len(rows)


def _region_keys(rows: Sequence[Mapping[str, Any]], there: str) -> list[Line2D]:
    keys = [
        Line2D([], [], color=OWN[0], marker=OWN[1], label="here"),
        Line2D([], [], color=OTHER[0], marker=OTHER[1], label=there),
    ]
    if not all(row["found"] for row in rows):
        keys.append(Line2D([], [], color=TOO_SMALL, marker="o", label="nothing found"))
    return keys


def _region_marks(axes: Axes, place: int, row: Row) -> None:
    ends = (
        (row["share"], row["share_low"], row["share_high"], OWN, -0.13),
        (row["reference_share"], row["reference_low"], row["reference_high"], OTHER, 0.13),
    )
    for share, low, high, (colour, mark), offset in ends:
        colour = colour if row["found"] else TOO_SMALL
        if is_number(low) and is_number(high):
            axes.hlines(place + offset, low, high, color=colour, linewidth=1.6)
        if is_number(share):
            axes.scatter([share], [place + offset], s=34, marker=mark, color=colour, zorder=4)


def _missing(row: Row) -> str:
    if not row["found"] or not is_number(row["missing"]) or row["missing"] <= 0:
        return ""
    return f"{number(row['missing'], 'count')} missing"

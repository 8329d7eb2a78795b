"""The charts of an ingest, and that of the share rejected in each group."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import PercentFormatter

from debias.report.charts.flow import flow
from debias.report.charts.style import (
    ARM_STYLES,
    GROUPS_DRAWN,
    MUTED,
    PANELS_DRAWN,
    WIDTH,
    beside,
    dotted_key,
    hollow_key,
    key_above,
    stack,
    svg,
)
from debias.report.ingest_view import group_panels, overall_share, short_name
from debias.report.panels import Panel, Row, height
from debias.report.words import TIMES, is_number, number

Document = Mapping[str, Any]
Drawing = tuple[Callable[[Figure], None], float]
NORMAL, FLAGGED = ARM_STYLES[0][0], ARM_STYLES[1]


def ingest_figures(document: Document) -> dict[str, bytes]:
    """Draw what there is to draw.

    Args:
        document: An ingest document.

    Returns:
        Name to SVG: ``flow`` and ``rejected_by_group``. The same input gives the same bytes.
    """
    drawings = {"flow": flow(document), "rejected_by_group": rejected_by_group(document)}
    return {
        name: svg(drawing[0], WIDTH, drawing[1])
        for name, drawing in drawings.items()
        if drawing is not None
    }


def rejected_by_group(document: Document) -> Drawing | None:
    """Share of each group that was rejected, flagged groups first, beside the share of all."""
    found = group_panels(document, GROUPS_DRAWN, PANELS_DRAWN)
    overall, most = overall_share(document), document["limits"]["most_group_ratio"]
    if not overall or not any(is_number(row["share"]) for row in _rows(found)):
        return None

    def draw(figure: Figure) -> None:
        key_above(figure, _keys(_rows(found), most))
        grid = stack(figure, [(panel.title, list(map(short_name, panel.rows))) for panel in found])
        for axes, panel in zip(grid[:, 0], found, strict=True):
            axes.axvline(overall, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
            axes.axvline(most * overall, color=FLAGGED[0], linewidth=0.9, linestyle=":", zorder=1)
            for place, row in enumerate(panel.rows):
                _mark(axes, place, row)
        grid[-1, 0].set_xlim(left=0)
        grid[-1, 0].set_xlabel("share of the images listed that was rejected")
        grid[-1, 0].xaxis.set_major_formatter(PercentFormatter(1.0))

    return draw, height(found, 0.27)


def _rows(found: Sequence[Panel]) -> list[Row]:
    return [row for panel in found for row in panel.rows]


def _keys(rows: Sequence[Row], most: float) -> list[Line2D]:
    keys = [hollow_key("group", NORMAL), dotted_key("all images", MUTED)]
    keys.append(dotted_key(f"{number(most)}{TIMES} all images", FLAGGED[0]))
    if any(row["flagged"] for row in rows):
        colour, mark = FLAGGED
        flagged = Line2D([], [], color=colour, marker=mark, linestyle="none", label="flagged")
        keys.insert(0, flagged)
    return keys


def _mark(axes: Axes, place: int, row: Row) -> None:
    if not is_number(row["share"]):
        beside(axes, place, "no images" if row["listed"] == 0 else "withheld")
        return
    colour, mark = FLAGGED if row["flagged"] else (NORMAL, "o")
    face = colour if row["flagged"] else "white"
    axes.scatter(
        [row["share"]], [place], s=34, marker=mark, facecolors=face, edgecolors=colour, zorder=4,
        clip_on=False,
    )  # fmt: skip
    counted = f"{number(row['rejected'], 'count')} of {number(row['listed'], 'count')}"
    beside(axes, place, counted)

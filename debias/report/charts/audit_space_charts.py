"""Charts of how evenly the images fill the latent space: cells, directions, clusters."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from debias.report.charts.style import (
    ARM_STYLES,
    FAINT,
    MUTED,
    beside,
    dotted_key,
    key_above,
    percent,
    row_axes,
    stack,
)
from debias.report.words import is_number, number

Document = Mapping[str, Any]
Drawing = tuple[Callable[[Figure], None], float]
COLOUR, MARK = ARM_STYLES[0]
ROWS_DRAWN = 24


def coverage(document: Document) -> Drawing | None:
    """Shares of the cells in falling order, and two summaries beside those of bell shapes."""
    found = document["coverage"]
    if not found["shares"]:
        return None

    def draw(figure: Figure) -> None:
        keys = [
            Patch(color=COLOUR, label="share of one cell"),
            dotted_key("all cells equally full", MUTED),
            Patch(color=FAINT, label="a single bell-shaped cloud"),
        ]
        key_above(figure, keys)
        top, middle, bottom = figure.subplots(3, height_ratios=[4.2, 1, 1])
        _cells(top, found["shares"], found["cells"])
        _summary(middle, found["effective_cells"], found["bell"]["effective_cells"])
        middle.set_title("effective number of cells: more is more even")
        middle.set_xlim(0, found["cells"])
        _summary(bottom, found["densest_tenth"], found["bell"]["densest_tenth"])
        bottom.set_title("share in the densest tenth: less is more even")
        bottom.set_xlim(0, 1)
        bottom.xaxis.set_major_formatter(FuncFormatter(percent))

    return draw, 4.4


def _cells(axes: Axes, shares: Sequence[float], cells: int) -> None:
    axes.bar(range(1, len(shares) + 1), shares, width=0.86, color=COLOUR)
    axes.axhline(1 / cells, color=MUTED, linewidth=0.9, linestyle=":")
    axes.set_xlim(0.3, max(len(shares), cells) + 0.7)
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.set_xlabel("cells, the fullest first")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda part, _: f"{100 * part:g}%"))
    axes.tick_params(axis="y", colors=MUTED)


def _summary(axes: Axes, value: float | None, band: Sequence[float | None] | None) -> None:
    row_axes(axes, [""])
    low, high = band or (None, None)
    if is_number(low) and is_number(high):
        axes.hlines(0, low, high, color=FAINT, linewidth=15, zorder=1)
        axes.vlines([low, high], -0.3, 0.3, color=FAINT, linewidth=2, zorder=1)
    if is_number(value):
        axes.scatter([value], [0], s=50, color=COLOUR, marker=MARK, zorder=4, clip_on=False)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8))


def directions(document: Document) -> Drawing | None:
    """Share of the images in the lower half of each direction, in the order of the document."""
    rows = [row for row in document["directions"] if is_number(row["low_share"])][:ROWS_DRAWN]
    if not rows:
        return None

    def draw(figure: Figure) -> None:
        axes = stack(figure, [("", [f"direction {row['number']}" for row in rows])])[0, 0]
        axes.axvline(0.5, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
        for place, row in enumerate(rows):
            axes.hlines(place, 0.5, row["low_share"], color=FAINT, linewidth=4, zorder=2)
            axes.scatter([row["low_share"]], [place], s=38, color=COLOUR, marker=MARK, zorder=4)
            beside(axes, place, f"{number(row['variance_share'], 'percent')} of the variation")
        axes.set_xlim(0, 1)
        axes.set_xlabel("share of the images in the lower half of its range")
        axes.xaxis.set_major_formatter(FuncFormatter(percent))

    return draw, 0.75 + 0.3 * len(rows)


def clusters(document: Document) -> Drawing | None:
    """Share of each cluster with its interval, smallest first."""
    rows = [row for row in document["clusters"] if is_number(row["share"])][:ROWS_DRAWN]
    if not rows:
        return None

    def draw(figure: Figure) -> None:
        axes = stack(figure, [("", [f"cluster {row['number']}" for row in rows])])[0, 0]
        even = 1 / len(document["clusters"])
        axes.axvline(even, color=MUTED, linewidth=0.9, linestyle=":", zorder=1)
        keys = [Line2D([], [], color=COLOUR, marker=MARK, label="share, with its interval")]
        keys.append(dotted_key("all clusters equally large", MUTED))
        key_above(figure, keys)
        for place, row in enumerate(rows):
            if is_number(row["low"]) and is_number(row["high"]):
                axes.hlines(place, row["low"], row["high"], color=COLOUR, linewidth=1.6)
            axes.scatter([row["share"]], [place], s=34, color=COLOUR, marker=MARK, zorder=4)
            beside(axes, place, f"density {number(row['density'], 'times')}")
        axes.set_xlim(left=0)
        axes.set_xlabel("share of the images")
        axes.xaxis.set_major_formatter(FuncFormatter(percent))

    return draw, 0.9 + 0.28 * len(rows)

"""Charts of before and after: each group's rate, and the gaps between groups."""

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
    GROUPS_DRAWN,
    INK,
    MUTED,
    TOO_SMALL,
    beside,
    key_above,
    percent,
    signed,
    stack,
)
from debias.report.panels import GAPS_DRAWN, Row, harm_first, height, of, panels
from debias.report.readings import metric_name, size
from debias.report.words import is_number, number

Document = Mapping[str, Any]
Drawing = tuple[Callable[[Figure], None], float]
Remark = Callable[[Row], str]
COLOUR = ARM_STYLES[0][0]
HARM = ARM_STYLES[1][0]


def change_by_group(document: Document, metric: str) -> Drawing | None:
    """Before and after of each group, and the change with its interval; harmed groups first.

    Args:
        document: A comparison.
        metric: Measure to draw.
    """
    rows = of(document, "groups", metric)

    def remark(row: Row) -> str:
        return size(metric, row, document["suppress_below"])

    return _pairs(rows, metric_name(metric), remark, GROUPS_DRAWN)


def gap_change(document: Document, metric: str) -> Drawing | None:
    """Before and after of the difference between two groups, and its change; harm first."""
    sizes = {(row["attribute"], row["group"]): row["n"] for row in of(document, "groups", metric)}
    rows = [row for row in of(document, "gaps", metric) if is_number(row["change"])]

    def remark(row: Row) -> str:
        both = (sizes.get((row["attribute"], row[end])) for end in ("group", "other"))
        return f"n = {' and '.join(number(n, 'count') for n in both)}"

    return _pairs(rows, f"gap in {metric_name(metric)}", remark, GAPS_DRAWN)


def _pairs(rows: Sequence[Row], quantity: str, remark: Remark, most: int) -> Drawing | None:
    found = panels(rows, harm_first, most)
    drawn = [row for panel in found for row in panel.rows]
    if not any(is_number(row["change"]) for row in drawn):
        return None
    is_gap = "direction" in drawn[0]

    def draw(figure: Figure) -> None:
        _legend(figure, drawn)
        grid = stack(figure, [(panel.title, panel.labels) for panel in found], columns=2)
        for (left, right), panel in zip(grid, found, strict=True):
            right.axvline(0, color=INK, linewidth=1, zorder=1)
            if is_gap:
                left.axvline(0, color=INK, linewidth=1, zorder=1)
            for place, row in enumerate(panel.rows):
                _before_after(left, place, row)
                _change(right, place, row)
                beside(right, place, f"{remark(row)}{', harmed' if row['harm'] else ''}")
        _label(grid[-1, 0], grid[-1, 1], quantity, is_gap=is_gap)

    return draw, height(found, 0.36 if is_gap else 0.29) + 0.1


def _label(left: Axes, right: Axes, quantity: str, *, is_gap: bool) -> None:
    left.set_xlabel(f"{quantity},\nbefore and after")
    left.xaxis.set_major_formatter(FuncFormatter(_points if is_gap else percent))
    right.set_xlabel("change, percentage points")
    right.xaxis.set_major_formatter(FuncFormatter(signed))


def _points(difference: float, _: object) -> str:
    return signed(round(100 * difference, 6), None)


def _style(row: Row) -> tuple[str, str, bool]:
    """Colour, mark and whether it is filled; each tells harm apart alone."""
    if row["harm"]:
        return HARM, "X", True
    if row["reason"] in ("too_small", "unknown"):
        return TOO_SMALL, "o", False
    return COLOUR, "o", row["verdict"] != "cannot_tell"


def _before_after(axes: Axes, place: int, row: Row) -> None:
    before, after = row["before"], row["after"]
    if not is_number(before) or not is_number(after):
        return
    colour, mark, filled = _style(row)
    axes.hlines(place, before, after, color=colour, linewidth=1.6, zorder=2)
    axes.scatter([before], [place], s=90, marker="|", color=MUTED, linewidths=1.6, zorder=3)
    face = colour if filled else "white"
    axes.scatter([after], [place], s=36, marker=mark, facecolors=face, edgecolors=colour, zorder=4)


def _change(axes: Axes, place: int, row: Row) -> None:
    if not is_number(row["change"]):
        return
    colour, mark, filled = _style(row)
    if is_number(row["seed_low"]) and is_number(row["seed_high"]):
        axes.hlines(place, *possible(row), color=FAINT, linewidth=10, zorder=1)
    if is_number(row["low"]) and is_number(row["high"]):
        axes.hlines(place, 100 * row["low"], 100 * row["high"], color=colour, linewidth=1.6)
    face = colour if filled else "white"
    axes.scatter(
        [100 * row["change"]], [place], s=36, marker=mark, facecolors=face, edgecolors=colour,
        zorder=4,
    )  # fmt: skip


def possible(row: Row) -> tuple[float, float]:
    """Interval over trainings, in points, as far as a rate or a gap can go from where it was."""
    least = -1.0 if "direction" in row else 0.0
    low, high = least - row["before"], 1 - row["before"]
    return 100 * max(row["seed_low"], low), 100 * min(row["seed_high"], high)


def _legend(figure: Figure, rows: Sequence[Row]) -> None:
    keys: list[Any] = [
        Line2D([], [], color=MUTED, marker="|", linestyle="none", markersize=9,
               markeredgewidth=1.6, label="before")
    ]  # fmt: skip
    styles = {_style(row): row for row in rows if is_number(row["change"])}
    names = {
        (HARM, "X", True): "harmed: became worse",
        (COLOUR, "o", True): "change found",
        (COLOUR, "o", False): "cannot tell",
        (TOO_SMALL, "o", False): "too small, or no group label",
    }
    for style, name in names.items():
        if style in styles:
            colour, mark, filled = style
            face = colour if filled else "white"
            keys.append(Line2D([], [], color=colour, marker=mark, linestyle="none",
                               markerfacecolor=face, label=name))  # fmt: skip
    keys.append(Line2D([], [], color=COLOUR, label="interval: other images"))
    if any(is_number(row["seed_low"]) for row in rows):
        keys.append(Patch(color=FAINT, label="interval: training again"))
    key_above(figure, keys)

"""Charts of what lies behind the rates: confusions, calibration and scores of each group."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter

from debias.report.charts.style import (
    ARM_STYLES,
    GROUPS_DRAWN,
    INK,
    MUTED,
    beside,
    key_above,
    offsets,
    percent,
    stack,
)
from debias.report.panels import Row, height, of, panels, worst_rate_first
from debias.report.words import escape_label, group_name, number

Document = Mapping[str, Any]
Drawing = tuple[Callable[[Figure], None], float]
Cell = tuple[str, str]
COLUMNS = 3
CLASSES_DRAWN = 12
CLASSES_WITH_NUMBERS = 5


def _gathered(document: Document, part: str) -> dict[Cell, list[Row]]:
    """Rows of each group, worst accuracy first within an attribute, cut to what fits."""
    rows: dict[Cell, list[Row]] = {}
    for row in document[part]:
        rows.setdefault((row["attribute"], row["group"]), []).append(row)
    order = [
        (panel.attribute, row["group"])
        for panel in panels(of(document, "by_group", document["metrics"][0]), worst_rate_first)
        for row in panel.rows
    ]
    known = [cell for cell in order if cell in rows]
    return {cell: rows[cell] for cell in known[:GROUPS_DRAWN]}


def _tiles(figure: Figure, cells: Sequence[Cell]) -> list[Axes]:
    """One small panel a group."""
    lines = -(-len(cells) // COLUMNS)
    grid = figure.subplots(lines, COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
    for axes in grid[len(cells) :]:
        axes.set_axis_off()
    return list(grid[: len(cells)])


def _title(axes: Axes, cell: Cell, n: float) -> None:
    name = escape_label(group_name(*cell), 27)
    axes.set_title(f"{name}\nn = {number(n, 'count')}", size=8)


def confusion(document: Document) -> Drawing | None:
    """What each true class was taken for, as shares of the true class, one panel a group."""
    found, classes = _gathered(document, "confusion"), list(document["classes"])
    if not found or len(classes) > CLASSES_DRAWN:
        return None

    def draw(figure: Figure) -> None:
        tiles = _tiles(figure, list(found))
        for axes, (cell, rows) in zip(tiles, found.items(), strict=True):
            counts = _counts(rows, classes)
            _confusion_tile(axes, counts, classes)
            _title(axes, cell, float(counts.sum()))
        figure.supylabel("true class", size=9, color=MUTED)
        figure.supxlabel("taken for", size=9, color=MUTED)

    return draw, 0.5 + 1.75 * -(-len(found) // COLUMNS)


def _counts(rows: Sequence[Row], classes: Sequence[str]) -> np.ndarray[Any, np.dtype[np.float64]]:
    counts = np.zeros((len(classes), len(classes)))
    for row in rows:
        counts[classes.index(row["true"]), classes.index(row["predicted"])] += row["count"]
    return counts


def _confusion_tile(
    axes: Axes, counts: np.ndarray[Any, np.dtype[np.float64]], classes: Sequence[str]
) -> None:
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.full(counts.shape, np.nan), where=total > 0)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.15, aspect="auto")
    names = [escape_label(name, 12) for name in classes]
    axes.set_xticks(range(len(classes)), labels=names, size=7, rotation=20 if len(names) > 2 else 0)
    axes.set_yticks(range(len(classes)), labels=names, size=7)
    axes.spines["bottom"].set_visible(False)
    if len(classes) > CLASSES_WITH_NUMBERS:
        return
    for (true, taken), share in np.ndenumerate(shares):
        text = "none" if np.isnan(share) else number(share, "percent")
        colour = "white" if share > 0.6 else INK
        axes.text(taken, true, text, ha="center", va="center", size=7.5, color=colour)


def calibration(document: Document) -> Drawing | None:
    """How often images of a score are positive, with intervals, one panel a group."""
    found = _gathered(document, "calibration")
    if not found:
        return None

    def draw(figure: Figure) -> None:
        tiles = _tiles(figure, list(found))
        for axes, (cell, rows) in zip(tiles, found.items(), strict=True):
            _calibration_tile(axes, rows)
            _title(axes, cell, float(sum(row["n"] for row in rows)))
        figure.supxlabel("mean score of the images in a bin", size=9, color=MUTED)
        figure.supylabel("share of them that are positive", size=9, color=MUTED)

    return draw, 0.5 + 1.75 * -(-len(found) // COLUMNS)


def _calibration_tile(axes: Axes, rows: Sequence[Row]) -> None:
    colour, mark = ARM_STYLES[0]
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle=":", zorder=1)
    x = [row["mean_score"] for row in rows]
    axes.vlines(x, [r["low"] for r in rows], [r["high"] for r in rows], color=colour, linewidth=1.2)
    axes.plot(
        x, [row["observed"] for row in rows], color=colour, marker=mark, markersize=3.5, linewidth=1
    )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(FixedLocator([0, 0.5, 1]))
        axis.set_major_formatter(FuncFormatter(percent))
    axes.tick_params(labelsize=7, colors=MUTED)
    axes.set_xlim(-0.03, 1.03)
    axes.set_ylim(-0.03, 1.03)


def scores(document: Document) -> Drawing | None:
    """Where the scores of each true class lie in each group: median, middle half, middle 90 %."""
    found, classes = _gathered(document, "scores"), list(document["classes"])
    if not found:
        return None
    first = [rows[0] for rows in found.values()]
    shown = panels(first, lambda _: ())  # keeps the order

    def draw(figure: Figure) -> None:
        _score_legend(figure, classes)
        grid = stack(figure, [(panel.title, panel.labels) for panel in shown])
        for axes, panel in zip(grid[:, 0], shown, strict=True):
            for place, row in enumerate(panel.rows):
                rows = {r["true"]: r for r in found[row["attribute"], row["group"]]}
                _score_marks(axes, place, rows, classes)
                beside(axes, place, _class_sizes(rows, classes))
        grid[-1, 0].set_xlabel(f"probability given to “{escape_label(document['positive'], 40)}”")
        grid[-1, 0].xaxis.set_major_formatter(FuncFormatter(percent))

    return draw, height(shown, 0.4)


def _score_marks(axes: Axes, place: int, rows: Mapping[str, Row], classes: Sequence[str]) -> None:
    for name, offset, (colour, mark) in zip(
        classes, offsets(len(classes)), ARM_STYLES, strict=False
    ):
        if name not in rows:
            continue
        row, y = rows[name], place + 1.4 * offset
        axes.hlines(y, row["q05"], row["q95"], color=colour, linewidth=1.1, zorder=2)
        axes.hlines(y, row["q25"], row["q75"], color=colour, linewidth=4, alpha=0.5, zorder=2)
        axes.scatter([row["median"]], [y], s=26, color=colour, marker=mark, zorder=4)


def _class_sizes(rows: Mapping[str, Row], classes: Sequence[str]) -> str:
    counts = {name: number(rows[name]["n"], "count") for name in classes if name in rows}
    if len(counts) == len(classes):
        return f"n = {' and '.join(counts.values())}"
    return "n = " + ", ".join(f"{n} {escape_label(name, 20)}" for name, n in counts.items())


def _score_legend(figure: Figure, classes: Sequence[str]) -> None:
    keys = [
        Line2D([], [], color=colour, marker=mark, linestyle="none",
               label=escape_label(f"truly {name}", 40))
        for name, (colour, mark) in zip(classes, ARM_STYLES, strict=False)
    ]  # fmt: skip
    half = Line2D([], [], color=MUTED, linewidth=4, alpha=0.5, label="middle half")
    most = Line2D([], [], color=MUTED, linewidth=1.1, label="middle 90%")
    key_above(figure, [*keys, half, most])

"""One small panel a group: confusions, and calibration."""

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter

from debias.report.charts.style import ARM_STYLES, INK, MUTED, Drawing, percent
from debias.report.words import escape_label, number

COLUMNS = 3
CLASSES_WITH_NUMBERS = 5


def _tiles(
    titles: Sequence[tuple[str, int | float]],
    axis_names: tuple[str, str],
    fill: Callable[[int, Axes], None],
) -> Drawing | None:
    """Panels side by side, each titled by its group and how many images it has."""  # fmt: skip
    if not titles:
        return None
    lines = -(-len(titles) // COLUMNS)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(lines, COLUMNS, sharex=True, sharey=True, squeeze=False).ravel()
        for axes in grid[len(titles) :]:
            axes.set_axis_off()
        for place, (axes, (name, n)) in enumerate(zip(grid, titles, strict=False)):
            fill(place, axes)
            axes.set_title(f"{escape_label(name, 27)}\nn = {number(n, 'count')}", size=8)
        figure.supxlabel(axis_names[0], size=9, color=MUTED)
        figure.supylabel(axis_names[1], size=9, color=MUTED)

    return draw, 0.5 + 1.75 * lines


def confusion_tiles(
    tables: Sequence[tuple[str, Sequence[Sequence[int | float]]]], classes: Sequence[str]
) -> Drawing | None:
    """What each true class was taken for, as shares of the true class.

    Args:
        tables: Of each group its name and its counts, true classes in rows, taken in columns.
        classes: Names of rows and columns.
    """
    counts = [np.asarray(table, np.float64) for _, table in tables]
    titles = [(name, float(table.sum())) for (name, _), table in zip(tables, counts, strict=True)]

    def fill(place: int, axes: Axes) -> None:
        total = counts[place].sum(axis=1, keepdims=True)
        none = np.full(counts[place].shape, np.nan)
        _shares(axes, np.divide(counts[place], total, out=none, where=total > 0), classes)

    return _tiles(titles, ("taken for", "true class"), fill)


def _shares(axes: Axes, shares: Float64[np.ndarray, "k k"], classes: Sequence[str]) -> None:
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


def calibration_tiles(
    groups: Sequence[tuple[str, int | float, Sequence[tuple[float, float, float, float]]]],
) -> Drawing | None:
    """How often images of a score are positive.

    Args:
        groups: Of each group its name, its images and, for each bin, mean score, share of
            positives, and the interval of that share.
    """

    def fill(place: int, axes: Axes) -> None:
        colour, mark = ARM_STYLES[0]
        x, observed, low, high = np.transpose(groups[place][2])
        axes.plot([0, 1], [0, 1], color=MUTED, linewidth=0.9, linestyle=":", zorder=1)
        axes.vlines(x, low, high, color=colour, linewidth=1.2)
        axes.plot(x, observed, color=colour, marker=mark, markersize=3.5, linewidth=1)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(FixedLocator([0, 0.5, 1]))
            axis.set_major_formatter(FuncFormatter(percent))
        axes.tick_params(labelsize=7, colors=MUTED)
        axes.set_xlim(-0.03, 1.03)
        axes.set_ylim(-0.03, 1.03)

    names = ("mean score of the images in a bin", "share of them that are positive")
    return _tiles([(name, n) for name, n, _ in groups], names, fill)

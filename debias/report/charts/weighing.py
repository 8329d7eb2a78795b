"""One picture of what weights do to embeddings: where they go, how uneven they are, to whom."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from debias.report.charts.curves import times, weight_panel
from debias.report.charts.style import ARM_STYLES, FAINT, MUTED, beside, hollow_key, row_axes, svg
from debias.report.words import escape_label, number

COLOUR, MARK = ARM_STYLES[0]
GROUPS_DRAWN = 24
REACH = 3  # the colours go from 1/8 to 8 times
WIDTH = 7.6  # inches


@dataclass(frozen=True, kw_only=True, eq=False)
class Weighed:
    """What the picture shows.

    Attributes:
        points: (m, 2), some samples along the two directions that vary most.
        multiple: (m,), their weight in multiples of plain sampling.
        every: (n,), the weight of all samples, in the same unit.
        by_group: Rows of ``SamplingWeights.describe``; None where no group is known.
    """

    points: Float[np.ndarray, "m 2"]
    multiple: Float64[np.ndarray, " m"]
    every: Float64[np.ndarray, " n"]
    by_group: pd.DataFrame | None = None


def picture(found: Weighed) -> bytes:
    """Draw it as one SVG; the same values give the same bytes."""
    groups = None if found.by_group is None else found.by_group.head(GROUPS_DRAWN)
    low = 0.0 if groups is None else 1.1 + 0.3 * len(groups)

    def draw(figure: Figure) -> None:
        figure.set_facecolor("white")  # a viewer may stand it on black
        upper, lower = _halves(figure, low)
        left, right = upper.subplots(1, 2)
        _map(upper, left, found)
        _distribution(right, found.every)
        if lower is not None and groups is not None:
            _shares(lower, groups.to_dict("records"))

    return svg(draw, WIDTH, 3.3 + low)


def _halves(figure: Figure, low: float) -> tuple[FigureBase, FigureBase | None]:
    if not low:
        return figure, None
    halves = figure.subfigures(2, 1, height_ratios=[3.3, low], squeeze=False)
    return halves[0, 0], halves[1, 0]


def _map(figure: FigureBase, axes: Axes, found: Weighed) -> None:
    """Drawn in the order given, so that neither heavy nor light samples hide the others."""
    exponent = np.log2(np.maximum(found.multiple, 2.0**-REACH))
    x, y = found.points.T
    marks = axes.scatter(
        x, y, c=exponent, s=5, cmap="cividis", linewidths=0,
        vmin=-REACH, vmax=REACH, rasterized=len(x) > 2000,
    )  # fmt: skip
    bar = figure.colorbar(
        marks, ax=axes, location="bottom", aspect=40, pad=0.02, extend="both", extendfrac=0.03
    )
    bar.set_ticks(np.linspace(-REACH, REACH, 2 * REACH + 1).tolist())
    bar.ax.xaxis.set_major_formatter(FuncFormatter(times))
    bar.outline.set_visible(False)
    bar.set_label("weight, compared with plain sampling")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines["bottom"].set_visible(False)
    axes.set_title("The two directions that vary most")


def _distribution(axes: Axes, multiple: Float64[np.ndarray, " n"]) -> None:
    positive = multiple[multiple > 0]
    low, high = (float(np.log2(edge)) for edge in (positive.min(), positive.max()))
    bins = np.linspace(max(min(low, -1), -10) - 0.1, max(high, 1) + 0.1, 51)
    weight_panel(axes, np.clip(multiple, 2.0**-10, None), bins, COLOUR)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(times))
    axes.set_xlabel("weight, compared with plain sampling")
    axes.set_title("How uneven: share of the samples")


def _shares(figure: FigureBase, rows: Sequence[Mapping[Hashable, Any]]) -> None:
    axes = figure.subplots()
    row_axes(axes, [str(row["group"]) for row in rows])
    for y, row in enumerate(rows):
        before, after = row["before"], row["after"]
        axes.hlines(y, row["random_low"], row["random_high"], color=FAINT, linewidth=9, zorder=1)
        axes.hlines(y, before, after, color=COLOUR, linewidth=1.6, zorder=2)
        axes.scatter([before], [y], s=30, facecolors="white", edgecolors=MUTED, zorder=3)
        axes.scatter([after], [y], s=36, color=COLOUR, marker=MARK, zorder=4)
        limits = f"{number(row['low'], 'auc')} to {number(row['high'], 'auc')}"
        known = number(row["auc"], "auc")
        beside(axes, y, f"AUC {known} ({limits})" if row["auc"] == row["auc"] else f"AUC {known}")
    axes.set_xlim(left=0)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{100 * share:g}%"))
    axes.set_xlabel("share of the samples (hollow) and of the weight (filled)")
    drawn = Line2D([], [], color=COLOUR, marker=MARK, linestyle="none", label="share of the weight")
    control_key = Patch(color=FAINT, label=escape_label("equally uneven random weights, 95 %"))
    keys = [hollow_key("share of the samples", MUTED), drawn, control_key]
    figure.legend(handles=keys, loc="outside upper left", ncols=3, columnspacing=1.4)

"""Charts of weights, of latent dimensions and of training."""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float64
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.ticker import FuncFormatter, MaxNLocator

from debias.report.charts.rows import Axis, Key, Look, Mark, Row, Rows, draw_blocks, key_handles
from debias.report.charts.style import (
    ARM_STYLES,
    FAINT,
    GROUPS_DRAWN,
    INK,
    MUTED,
    Drawing,
    arm_style,
    fine_percent,
    svg,
)
from debias.report.words import TIMES, arm_name, escape_label, number, words

DIMENSIONS_DRAWN = 64
CURVES_DRAWN = 12
REACH = 3  # the colours of a picture of weights go from 1/8 to 8 times
PICTURE = 7.6  # inches
INACTIVE = "#c3c7cc"


def weight_distribution(
    arms: Sequence[str], weights: Mapping[str, Float[np.ndarray, " _"]]
) -> Drawing | None:
    """How often images are drawn, in multiples of plain training."""
    drawn = [arm for arm in arms if arm in weights and np.ptp(weights[arm]) > 1e-9]
    if not drawn:
        return None
    positive = np.concatenate([weights[arm][weights[arm] > 0] for arm in drawn])
    low, high = (float(np.log2(edge)) for edge in (positive.min(), positive.max()))
    bins = np.linspace(min(low, -1) - 0.1, max(high, 1) + 0.1, 61)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(len(drawn), sharex=True, squeeze=False)[:, 0]
        for axes, arm in zip(grid, drawn, strict=True):
            _weight_panel(axes, weights[arm], bins, arm_style(arm, arms)[0])
            axes.set_title(f"{escape_label(arm_name(arm), 30)}, share of images")
        grid[-1].xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True))
        grid[-1].xaxis.set_major_formatter(FuncFormatter(_times))
        grid[-1].set_xlabel("how often an image is drawn, compared with plain training")

    return draw, 0.6 + 1.35 * len(drawn)


def _times(exponent: float, _: object) -> str:
    return f"{2**exponent:g}{TIMES}" if exponent >= 0 else f"1/{2**-exponent:g}{TIMES}"


def _weight_panel(
    axes: Axes, weights: Float[np.ndarray, " n"], bins: Float[np.ndarray, " b"], colour: str
) -> None:
    positive = weights[weights > 0]
    share = np.full(len(positive), 1 / len(weights))
    axes.hist(np.log2(positive), bins=bins.tolist(), weights=share, color=colour, alpha=0.85)
    axes.axvline(0, color=INK, linewidth=1)
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
    axes.yaxis.set_major_formatter(FuncFormatter(fine_percent))
    axes.tick_params(axis="y", colors=MUTED)


def latent_dimensions(
    mean: Float[np.ndarray, "n k"] | None, active: Bool[np.ndarray, " k"] | None
) -> Drawing | None:
    """Histogram of each latent dimension over the training images; inactive ones grey."""
    if mean is None or not mean.size:
        return None
    count = min(mean.shape[1], DIMENSIONS_DRAWN)
    columns = min(4, count)
    rows = -(-count // columns)
    alive = np.ones(mean.shape[1], bool) if active is None else active
    finite = [column[np.isfinite(column)] for column in mean.T[:count]]
    reach = max([float(np.quantile(np.abs(c), 0.995)) for c in finite if len(c)], default=1.0)
    bins = np.linspace(-1.1, 1.1, 34) * max(reach, 1e-6)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(rows, columns, sharex=True, squeeze=False).ravel()
        for axes in grid[count:]:
            axes.set_axis_off()
        for dimension, (axes, values) in enumerate(zip(grid, finite, strict=False)):
            _dimension_panel(axes, values, bins, dimension, bool(alive[dimension]))

    return draw, 0.2 + 0.98 * rows


def _dimension_panel(
    axes: Axes,
    values: Float[np.ndarray, " m"],
    bins: Float[np.ndarray, " b"],
    dimension: int,
    alive: bool,
) -> None:
    colour = ARM_STYLES[0][0] if alive else INACTIVE
    mass, _ = np.histogram(values, bins=bins)
    axes.stairs(mass, bins, fill=True, color=colour, linewidth=0)
    title = f"{dimension}" if alive else f"{dimension} inactive"
    axes.set_title(
        title, color=INK if alive else MUTED, size=8, weight="bold" if alive else "normal"
    )
    axes.set_yticks([])
    axes.tick_params(axis="x", labelsize=7)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=3))


def training_curves(curves: Mapping[str, Mapping[str, Sequence[float]]]) -> Drawing | None:
    """One panel a quantity of a stage, one line a split."""
    panels = _curve_panels(curves)
    if not panels:
        return None
    columns = min(2, len(panels))
    rows = -(-len(panels) // columns)

    def draw(figure: Figure) -> None:
        grid = figure.subplots(rows, columns, squeeze=False).ravel()
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        said: list[str] = []
        for axes, (title, lines) in zip(grid, panels.items(), strict=False):
            _curve_panel(axes, title, lines)
            if len(lines) > 1 and list(lines) != said:
                axes.legend(fontsize=8)
            said = list(lines)

    return draw, 0.2 + 1.8 * rows


def _curve_panels(
    curves: Mapping[str, Mapping[str, Sequence[float]]],
) -> dict[str, dict[str, Sequence[float]]]:
    """Put ``train/loss`` and ``validation/loss`` of a stage into one panel."""
    panels: dict[str, dict[str, Sequence[float]]] = {}
    for stage, lines in curves.items():
        for name, values in lines.items():
            split, _, quantity = name.rpartition("/")
            if len(values):
                title = words(quantity if len(curves) == 1 else f"{stage}\n{quantity}")
                line = {"": "value", "val": "validation"}.get(split, split)
                panels.setdefault(title, {})[line] = values
    return dict(list(panels.items())[:CURVES_DRAWN])


def _curve_panel(axes: Axes, title: str, lines: Mapping[str, Sequence[float]]) -> None:
    for (name, values), (colour, mark) in zip(lines.items(), ARM_STYLES, strict=False):
        epochs = np.arange(1, len(values) + 1)
        points = np.array([np.nan if value is None else value for value in values], float)
        label = escape_label(words(name), 30)
        shown = mark if len(values) <= 40 else None
        axes.plot(
            epochs, points, color=colour, marker=shown, markersize=3, linewidth=1.5, label=label
        )
    axes.set_title("\n".join(escape_label(line, 26) for line in title.split("\n")), size=8.5)
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.tick_params(axis="y", colors=MUTED)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=5))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.tick_params(labelsize=8)
    axes.set_xlabel("epoch", size=8)


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
        _weight_map(upper, left, found)
        _distribution(right, found.every)
        if lower is not None and groups is not None:
            _shares(lower, groups.to_dict("records"))

    return svg(draw, PICTURE, 3.3 + low)


def _halves(figure: Figure, low: float) -> tuple[FigureBase, FigureBase | None]:
    if not low:
        return figure, None
    halves = figure.subfigures(2, 1, height_ratios=[3.3, low], squeeze=False)
    return halves[0, 0], halves[1, 0]


def _weight_map(figure: FigureBase, axes: Axes, found: Weighed) -> None:
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
    bar.ax.xaxis.set_major_formatter(FuncFormatter(_times))
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
    _weight_panel(axes, np.clip(multiple, 2.0**-10, None), bins, ARM_STYLES[0][0])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=7, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(_times))
    axes.set_xlabel("weight, compared with plain sampling")
    axes.set_title("How uneven: share of the samples")


def _shares(figure: FigureBase, rows: Sequence[Mapping[Hashable, Any]]) -> None:
    key = Key(
        before=Look("share of the samples", MUTED, filled=False),
        band="equally uneven random weights, 95%",
    )
    said = "share of the samples (hollow) and of the weight (filled)"
    axis = Axis(label=said, ticks=fine_percent, limits=(0, None))
    shown = [_share(row) for row in rows]
    draw_blocks(figure, [Rows(rows=shown)], [axis], key.before)
    handles = list(key_handles([mark for row in shown for mark in row.marks], [axis], key))
    figure.legend(handles=handles, loc="outside upper left", ncols=3, columnspacing=1.4)


def _share(row: Mapping[Hashable, Any]) -> Row:
    mark = Mark(
        value=row["after"],
        before=row["before"],
        band=(row["random_low"], row["random_high"]),
        look=Look("share of the weight"),
    )
    limits = f" ({number(row['low'], 'auc')} to {number(row['high'], 'auc')})"
    known = row["auc"] == row["auc"]
    note = f"AUC {number(row['auc'], 'auc')}{limits if known else ''}"
    return Row(label=str(row["group"]), marks=[mark], note=note)

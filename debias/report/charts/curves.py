"""Charts of distributions and of training."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from debias.report.charts.style import ARM_STYLES, FAINT, INK, MUTED, arm_style
from debias.report.words import TIMES, arm_name, escape_label, words

DIMENSIONS_DRAWN = 64
CURVES_DRAWN = 12
INACTIVE = "#c3c7cc"

Drawing = tuple[Callable[[Figure], None], float]


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
            weight_panel(axes, weights[arm], bins, arm_style(arm, arms)[0])
            axes.set_title(f"{escape_label(arm_name(arm), 30)}, share of images")
        grid[-1].xaxis.set_major_locator(MaxNLocator(nbins=9, integer=True))
        grid[-1].xaxis.set_major_formatter(FuncFormatter(times))
        grid[-1].set_xlabel("how often an image is drawn, compared with plain training")

    return draw, 0.6 + 1.35 * len(drawn)


def times(exponent: float, _: object) -> str:
    return f"{2**exponent:g}{TIMES}" if exponent >= 0 else f"1/{2**-exponent:g}{TIMES}"


def weight_panel(
    axes: Axes, weights: Float[np.ndarray, " n"], bins: Float[np.ndarray, " b"], colour: str
) -> None:
    positive = weights[weights > 0]
    share = np.full(len(positive), 1 / len(weights))
    axes.hist(np.log2(positive), bins=bins.tolist(), weights=share, color=colour, alpha=0.85)
    axes.axvline(0, color=INK, linewidth=1)
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda part, _: f"{100 * part:g}%"))
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
        for axes, (title, lines) in zip(grid, panels.items(), strict=False):
            _curve_panel(axes, title, lines)
        grid[0].legend(fontsize=8)

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

"""A small page about sampling weights: how uneven they are, and how often a sample repeats."""

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure

from debias.report.charts.style import svg
from debias.report.html import embedded, fill

Drawing = tuple[Callable[[Figure], None], float]
WIDTH = 7.6  # inches
MEANINGS = (
    ("effective_samples", "count", "effective sample size: a mean over a weighted draw varies as "
     "much as one over this many plain samples"),
    ("ess", "percent", "the same as a share of all samples; 100% is plain sampling"),
    ("unique_per_epoch", "count", "different samples expected among as many draws as there are "
     "samples; plain sampling gives 63% of them"),
    ("largest", "times", "largest weight in multiples of the mean: how often the most wanted "
     "sample is drawn in such an epoch"),
    ("top_1_percent", "percent", "share of the weight held by the heaviest hundredth"),
)  # fmt: skip


def render_weights(n: int, figures: Mapping[str, Any], drawings: Mapping[str, Drawing]) -> str:
    """The page as text.

    Args:
        n: Samples.
        figures: Of ``SamplingWeights.describe()``.
        drawings: ``weight_distribution``, or nothing where all weights are the same.
    """
    drawn = {name: svg(draw, WIDTH, height) for name, (draw, height) in drawings.items()}
    rows = [(figures[name], kind, meaning) for name, kind, meaning in MEANINGS]
    return fill("weights.html", {"n": n, "rows": rows, "charts": embedded(drawn)})

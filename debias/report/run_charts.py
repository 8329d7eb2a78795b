"""The charts of a run, drawn from its document and pictures."""

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure

from debias.report.arms import arms_of, comparisons_of, fairness_of
from debias.report.charts.curves import latent_dimensions, training_curves, weight_distribution
from debias.report.charts.style import WIDTH, svg
from debias.report.charts.weight_charts import weight_share
from debias.report.fairness_charts import run_figures
from debias.report.pictures import Pictures

Drawing = tuple[Callable[[Figure], None], float]


def figures(document: Mapping[str, Any], pictures: Pictures) -> dict[str, bytes]:
    """Draw every chart for which there is something to draw.

    Args:
        document: Numbers of the run.
        pictures: Arrays behind the distributions.

    Returns:
        Name to SVG: ``weight_share``, ``weight_distribution``, ``latent_dimensions``,
        ``training_curves``, and those of :func:`run_figures`. The same input gives the same bytes.
    """
    drawings: dict[str, Drawing | None] = {
        "weight_share": weight_share(document),
        "weight_distribution": weight_distribution(arms_of(document), pictures.weights),
        "latent_dimensions": latent_dimensions(pictures.latent_mean, pictures.active),
        "training_curves": training_curves(pictures.training_curves),
    }
    drawn = {
        name: svg(drawing[0], WIDTH, drawing[1])
        for name, drawing in drawings.items()
        if drawing is not None
    }
    return drawn | run_figures(fairness_of(document), comparisons_of(document))

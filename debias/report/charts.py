"""The charts of a run, drawn from its document and pictures."""

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure

from debias.report.answers import measured
from debias.report.curves import latent_dimensions, training_curves, weight_distribution
from debias.report.drawing import svg
from debias.report.fairness_charts import run_figures
from debias.report.group_charts import accuracy_by_group, accuracy_change, weight_share
from debias.report.pictures import Pictures

Drawing = tuple[Callable[[Figure], None], float]
WIDTH = 7.6  # inches


def figures(document: Mapping[str, Any], pictures: Pictures) -> dict[str, bytes]:
    """Draw every chart for which there is something to draw.

    Args:
        document: Numbers of the run.
        pictures: Arrays behind the distributions.

    Returns:
        Name to SVG: ``accuracy_by_group``, ``accuracy_change``, ``weight_share``,
        ``weight_distribution``, ``latent_dimensions``, ``training_curves``. Where the document
        holds fairness documents and comparisons, :func:`run_figures` of these takes the place of
        the first two. The same input gives the same bytes.
    """
    fairness, comparisons = measured(document)
    drawings: dict[str, Drawing | None] = {
        "accuracy_by_group": None if fairness else accuracy_by_group(document),
        "accuracy_change": None if fairness and comparisons else accuracy_change(document),
        "weight_share": weight_share(document),
        "weight_distribution": weight_distribution(list(document["arms"]), pictures.weights),
        "latent_dimensions": latent_dimensions(pictures.latent_mean, pictures.active),
        "training_curves": training_curves(pictures.training_curves),
    }
    drawn = {
        name: svg(drawing[0], WIDTH, drawing[1])
        for name, drawing in drawings.items()
        if drawing is not None
    }
    return drawn | run_figures(fairness, comparisons)

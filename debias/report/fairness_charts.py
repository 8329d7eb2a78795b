"""The charts of a fairness document, of a comparison, and of the arms of a run, by name."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.figure import Figure

from debias.report.charts.change_charts import change_by_group, gap_change
from debias.report.charts.rows import detectable, intervals_by_group
from debias.report.charts.style import WIDTH, svg
from debias.report.charts.tiles import calibration, confusion, scores
from debias.report.readings import usual_place

Document = Mapping[str, Any]
Drawing = tuple[Callable[[Figure], None], float]
MEASURES_DRAWN = 6
MEASURES_OF_A_RUN = 3  # a run has a picture of each for every arm


def chart_names(kind: str, metrics: Sequence[str], most: int = MEASURES_DRAWN) -> dict[str, str]:
    """Name of the chart of each measure; the first one is called after its kind alone."""
    names: dict[str, str] = {}
    for place, metric in enumerate(metrics[:most]):
        plain = re.sub(r"[^a-z0-9]+", "_", metric.lower()).strip("_")
        name = f"{kind}_{plain}" if place else kind
        names[metric] = f"{name}_{place}" if name in names.values() else name
    return names


def fairness_figures(document: Document) -> dict[str, bytes]:
    """Draw one classifier.

    Args:
        document: A fairness document.

    Returns:
        Name to SVG: ``intervals_by_group`` and ``detectable`` of the first measure, the same
        followed by ``_<measure>`` of the others, ``confusion``, ``calibration`` and ``scores``.
        What has nothing to show is left out. The same input gives the same bytes.
    """
    return _drawn(fairness_drawings(document))


def fairness_drawings(document: Document) -> dict[str, Drawing]:
    """What :func:`fairness_figures` draws, not drawn yet."""
    one = {document["name"]: document}
    metrics = document["metrics"]
    drawings: dict[str, Drawing | None] = {}
    for metric, name in chart_names("intervals_by_group", metrics).items():
        drawings[name] = intervals_by_group(one, metric)
    for metric, name in chart_names("detectable", metrics).items():
        drawings[name] = detectable(document, metric)
    drawings |= {
        "confusion": confusion(document),
        "calibration": calibration(document),
        "scores": scores(document),
    }
    return _there(drawings)


def comparison_figures(document: Document) -> dict[str, bytes]:
    """Draw two classifiers on the same images.

    Args:
        document: A comparison document.

    Returns:
        Name to SVG: ``change_by_group`` and ``gap_change`` of the first measure, the same followed
        by ``_<measure>`` of the others.
    """
    return _drawn(comparison_drawings(document))


def comparison_drawings(document: Document) -> dict[str, Drawing]:
    """What :func:`comparison_figures` draws, not drawn yet."""
    metrics = compared_metrics(document)
    drawings: dict[str, Drawing | None] = {}
    for metric, name in chart_names("change_by_group", metrics).items():
        drawings[name] = change_by_group(document, metric)
    for metric, name in chart_names("gap_change", metrics).items():
        drawings[name] = gap_change(document, metric)
    return _there(drawings)


def run_figures(
    fairness: Mapping[str, Document], comparisons: Mapping[str, Document]
) -> dict[str, bytes]:
    """Draw the arms of a run: all of them in one chart a measure, and the changes of each.

    Args:
        fairness: Arm to its fairness document, the baseline first.
        comparisons: Arm to its comparison with the baseline.

    Returns:
        Name to SVG: ``intervals_by_group``, ``change_by_group_<arm>``, each also followed by the
        other measures, and ``detectable`` of the baseline.
    """
    return _drawn(run_drawings(fairness, comparisons))


def run_drawings(
    fairness: Mapping[str, Document], comparisons: Mapping[str, Document]
) -> dict[str, Drawing]:
    """What :func:`run_figures` draws, not drawn yet."""
    baseline = next(iter(fairness.values()))
    metrics = baseline["metrics"]
    drawings: dict[str, Drawing | None] = {}
    for metric, name in chart_names("intervals_by_group", metrics, MEASURES_OF_A_RUN).items():
        drawings[name] = intervals_by_group(fairness, metric)
    drawings["detectable"] = detectable(baseline, metrics[0])
    for arm, document in comparisons.items():
        for metric, name in run_change_names(arm, document).items():
            drawings[name] = change_by_group(document, metric)
    return _there(drawings)


def run_change_names(arm: str, document: Document) -> dict[str, str]:
    """Name of the chart of changes of each measure under an arm."""
    return chart_names(f"change_by_group_{arm}", compared_metrics(document), MEASURES_OF_A_RUN)


def compared_metrics(document: Document) -> list[str]:
    """Measures of a comparison in their usual order: its rows begin with the harms."""
    found = dict.fromkeys(row["metric"] for row in document["groups"])
    return sorted(found, key=usual_place)


def _there(drawings: Mapping[str, Drawing | None]) -> dict[str, Drawing]:
    """Those that show something."""
    return {name: drawing for name, drawing in drawings.items() if drawing is not None}


def _drawn(drawings: Mapping[str, Drawing]) -> dict[str, bytes]:
    return {name: svg(draw, WIDTH, height) for name, (draw, height) in drawings.items()}

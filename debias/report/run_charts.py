"""The charts of a run, drawn from its document and pictures."""

from collections.abc import Mapping
from typing import Any

from debias.report.arms import arms_of, comparisons_of, fairness_of
from debias.report.charts import rows as chart
from debias.report.charts.curves import latent_dimensions, training_curves, weight_distribution
from debias.report.charts.rows import Axis, Key, Look, Mark, Rows, rows_chart
from debias.report.charts.style import MUTED, Drawing, arm_style, drawn
from debias.report.fairness_charts import run_figures
from debias.report.panels import Row, panels
from debias.report.pictures import Pictures
from debias.report.words import arm_name, escape_label, is_number
from debias.types import BASELINE

Document = Mapping[str, Any]


def figures(document: Document, pictures: Pictures) -> dict[str, bytes]:
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
    return drawn(drawings) | run_figures(fairness_of(document), comparisons_of(document))


def weight_share(document: Document) -> Drawing | None:
    """Share of each group among the images and among the draws of each arm, rarest first."""
    rows, arms = _rows(document), arms_of(document)
    shown = [arm for arm in arms if any(arm in row["shares"] for row in rows)]

    def line(label: chart.Label, row: Row) -> chart.Row:
        return chart.Row(label=label, marks=[_weighed(row, arm, arms) for arm in shown])

    blocks = [
        Rows(title=panel.title, rows=[*map(line, panel.labels, panel.rows)])
        for panel in panels(rows, _rarest_first)
    ]
    said = "share of the training images (hollow) and of the training draws (filled)"
    key = Key(before=Look("share of the images", MUTED, filled=False))
    axis = Axis(label=said, limits=(0, None))
    return rows_chart(blocks, [axis], key, row=0.2 + 0.115 * len(shown))


def _weighed(row: Row, arm: str, arms: list[str]) -> Mark:
    share = row["shares"].get(arm, {"before": None, "after": None})
    look = Look(escape_label(arm_name(arm), 30), *arm_style(arm, arms))
    return Mark(value=share["after"], before=share["before"], look=look)


def _rows(document: Document) -> list[Row]:
    """Each group with its shares under the arms whose weights differ from plain training."""
    shares: dict[str, dict[str, Any]] = {}
    for arm, weights in document["weights"].items():
        for group, share in (weights.get("share_by_group") or {}).items():
            if arm in document["arms"] and arm != BASELINE:
                shares.setdefault(group, {})[arm] = share
    known = _attributes(document)
    return [
        {"attribute": known.get(group) or _attribute(group), "group": group, "shares": by_arm}
        for group, by_arm in shares.items()
    ]


def _attributes(document: Document) -> dict[str, str]:
    """Attribute of each group of the test set."""
    return {
        group: row["attribute"]
        for found in fairness_of(document).values()
        for row in found["attributes"]
        for group in row["groups"]
    }


def _attribute(group: str) -> str:
    """Of a group that only the training images have."""
    return " x ".join(part.partition(":")[0] for part in group.split(" x "))


def _rarest_first(row: Row) -> tuple[Any, ...]:
    before = next(iter(row["shares"].values()))["before"]
    return (before if is_number(before) else 2.0,)

"""The chart of what weights do to the share of each group."""

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from debias.report.arms import arms_of, fairness_of
from debias.report.charts.style import (
    FAINT,
    MUTED,
    arm_style,
    hollow_key,
    legend,
    offsets,
    percent,
    stack,
)
from debias.report.panels import Row, height, panels
from debias.report.words import is_number
from debias.types import BASELINE

Document = Mapping[str, Any]
Drawing = tuple[Callable[[Figure], None], float]


def weight_share(document: Document) -> Drawing | None:
    """Share of each group among the images and among the draws of each arm, rarest first."""
    rows, arms = _rows(document), arms_of(document)
    found = panels(rows, _rarest_first)
    drawn = [arm for arm in arms if any(arm in row["shares"] for row in rows)]
    if not drawn:
        return None

    def draw(figure: Figure) -> None:
        legend(figure, drawn, arms, [hollow_key("share of the images", MUTED)])
        grid = stack(figure, [(panel.title, panel.labels) for panel in found])
        for axes, panel in zip(grid[:, 0], found, strict=True):
            for place, row in enumerate(panel.rows):
                for arm, offset in zip(drawn, offsets(len(drawn)), strict=True):
                    if arm in row["shares"]:
                        _dumbbell(axes, place + offset, row["shares"][arm], arm_style(arm, arms))
        last = grid[-1, 0]
        last.set_xlim(left=0)
        last.set_xlabel("share of the training images (hollow) and of the training draws (filled)")
        last.xaxis.set_major_formatter(FuncFormatter(percent))

    return draw, height(found, 0.2 + 0.115 * len(drawn))


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


def _dumbbell(axes: Axes, y: float, share: Mapping[str, Any], style: tuple[str, str]) -> None:
    before, after = share["before"], share["after"]
    colour, mark = style
    if is_number(before) and is_number(after):
        axes.hlines(y, before, after, color=FAINT, linewidth=3, zorder=1)
    if is_number(before):
        axes.scatter([before], [y], s=26, facecolors="white", edgecolors=MUTED, zorder=2)
    if is_number(after):
        axes.scatter([after], [y], s=34, marker=mark, color=colour, zorder=3)

"""Charts of one measure: each group with its interval, and what could have been found at all."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter

from debias.report.charts.style import (
    ARM_STYLES,
    FAINT,
    GROUPS_DRAWN,
    INK,
    MUTED,
    TOO_SMALL,
    Label,
    arm_style,
    beside,
    dotted_key,
    hollow_key,
    key_above,
    legend,
    offsets,
    percent,
    stack,
)
from debias.report.panels import Panel, Row, height, of, panels, worst_rate_first
from debias.report.readings import SMALL, counted, metric_name, size, withheld
from debias.report.words import group_name, is_number, number

Document = Mapping[str, Any]
Drawing = tuple[Callable[[Figure], None], float]
# Mark and whether it is filled, by verdict; the colour only repeats it.
VERDICT_MARKS = {
    "difference_found": ("D", True, "difference found"),
    "difference_ruled_out": ("s", True, "difference ruled out"),
    "cannot_tell": ("o", False, "cannot tell"),
}
# States that have a number but no part in a verdict, drawn grey and hollow.
UNJUDGED_NAMES = {"too_small": "too small to judge", "unknown": "no group label"}


def intervals_by_group(documents: Mapping[str, Document], metric: str) -> Drawing | None:
    """A rate of each group with its interval, worst group first, n beside every row.

    An attribute whose groups are not compared in this measure is left out, and so is a crossing
    into which no image falls.

    Args:
        documents: Name of a classifier to its fairness document; the first one gives the order
            of the groups and the overall value.
        metric: Measure to draw.
    """
    names = list(documents)
    baseline = documents[names[0]]
    found = panels(_compared(baseline, metric), worst_rate_first)
    if not any(is_number(row["value"]) for panel in found for row in panel.rows):
        return None
    tables = {name: _by_group(documents[name], metric) for name in names}
    overall = next((row["value"] for row in of(baseline, "overall", metric)), None)

    def draw(figure: Figure) -> None:
        _rate_legend(figure, names, found, overall)
        grid = stack(figure, [(panel.title, panel.labels) for panel in found])
        for axes, panel in zip(grid[:, 0], found, strict=True):
            if is_number(overall):
                axes.axvline(overall, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
            for place, row in enumerate(panel.rows):
                rows = {name: tables[name].get(_key(row), row) for name in names}
                _rate_marks(axes, place, rows)
                beside(axes, place, _sizes(metric, rows, baseline["suppress_below"]))
        grid[-1, 0].set_xlabel(metric_name(metric))
        grid[-1, 0].xaxis.set_major_formatter(FuncFormatter(percent))

    return draw, height(found, 0.17 + 0.115 * len(names))


def _compared(document: Document, metric: str) -> list[Row]:
    compared = {one["attribute"] for one in document["attributes"] if metric in one["metrics"]}
    empty = {(one["attribute"], group) for one in document["attributes"] for group in one["empty"]}
    rows = of(document, "by_group", metric)
    return [row for row in rows if row["attribute"] in compared and _key(row) not in empty]


def _key(row: Row) -> tuple[str, str]:
    return row["attribute"], row["group"]


def _by_group(document: Document, metric: str) -> dict[tuple[str, str], Row]:
    return {_key(row): row for row in of(document, "by_group", metric)}


def _rate_legend(
    figure: Figure, names: Sequence[str], found: Sequence[Panel], overall: object
) -> None:
    states = {row["state"] for panel in found for row in panel.rows}
    unjudged = [said for state, said in UNJUDGED_NAMES.items() if state in states]
    extra = [dotted_key("all images", MUTED)] if is_number(overall) else []
    extra += [hollow_key(" or ".join(unjudged), TOO_SMALL)] if unjudged else []
    if len(names) > 1:
        legend(figure, names, names, extra)
    elif extra:
        colour, mark = ARM_STYLES[0]
        judged = Line2D([], [], color=colour, marker=mark, label="group, with its interval")
        key_above(figure, [judged, *extra])


def _rate_marks(axes: Axes, place: int, rows: Mapping[str, Row]) -> None:
    names = list(rows)
    for name, offset in zip(names, offsets(len(names)), strict=True):
        row = rows[name]
        if not is_number(row["value"]):
            continue
        colour, mark = arm_style(name, names)
        is_grey = row["state"] in UNJUDGED_NAMES
        colour = TOO_SMALL if is_grey else colour
        if is_number(row["low"]) and is_number(row["high"]):
            axes.hlines(place + offset, row["low"], row["high"], color=colour, linewidth=1.6)
        face = "white" if is_grey else colour
        axes.scatter(
            [row["value"]], [place + offset], s=34, marker=mark, facecolors=face,
            edgecolors=colour, zorder=4,
        )  # fmt: skip


def _sizes(metric: str, rows: Mapping[str, Row], below: object) -> str:
    """One size where all classifiers share it; precision counts what each of them predicted."""
    said = list(dict.fromkeys(size(metric, row, below) for row in rows.values()))
    if len(said) == 1 or not all(text.startswith("n = ") for text in said):
        return "; ".join(said)
    counts = ", ".join(text.removeprefix("n = ").removesuffix(SMALL) for text in said)
    return f"n = {counts}{SMALL if any(text.endswith(SMALL) for text in said) else ''}"


def detectable(document: Document, metric: str) -> Drawing | None:
    """The smallest gap that each group's size would probably have shown, beside the gap found.

    Each group is compared with the group against which the smallest gap could be found: where
    even that one is large, the group is too small to judge.
    """
    best = _sharpest(of(document, "gaps", metric))
    found = panels(best, _blindest_first, GROUPS_DRAWN)
    if not found:
        return None
    sizes = _by_group(document, metric)
    margin = document["margin"]
    colour = ARM_STYLES[0][0]

    def draw(figure: Figure) -> None:
        _detectable_legend(figure, best, margin)
        grid = stack(figure, [(panel.title, _against(panel)) for panel in found])
        for axes, panel in zip(grid[:, 0], found, strict=True):
            if is_number(margin):
                axes.axvline(100 * margin, color=MUTED, linewidth=0.9, linestyle=":", zorder=1)
            for place, row in enumerate(panel.rows):
                _detectable_marks(axes, place, row, colour)
                beside(axes, place, _both_sizes(row, sizes, document["suppress_below"]))
        grid[-1, 0].set_xlim(left=0)
        grid[-1, 0].set_xlabel(f"percentage points of {metric_name(metric)} between two groups")

    return draw, height(found, 0.36)


def _sharpest(rows: Sequence[Row]) -> list[Row]:
    """Of each group's gaps the one that could be told from chance best; each pair once."""
    best: dict[tuple[str, str], Row] = {}
    for row in rows:
        if is_number(row["detectable"]):
            for group in (row["group"], row["other"]):
                known = best.get((row["attribute"], group))
                if known is None or row["detectable"] < known["detectable"]:
                    best[row["attribute"], group] = row
    pairs = {(row["attribute"], row["group"], row["other"]): row for row in best.values()}
    return list(pairs.values())


def _blindest_first(row: Row) -> tuple[Any, ...]:
    return (-row["detectable"],)


def _against(panel: Panel) -> list[Label]:
    def short(group: str) -> str:
        return group_name(panel.attribute, group)

    return [(short(row["group"]), f"and {short(row['other'])}") for row in panel.rows]


def _detectable_legend(figure: Figure, rows: Sequence[Row], margin: object) -> None:
    keys: list[Any] = [Patch(color=FAINT, label="a gap this small would probably be missed")]
    colour, seen = ARM_STYLES[0][0], {row["verdict"] for row in rows}
    for verdict, (mark, filled, label) in VERDICT_MARKS.items():
        if verdict in seen:
            keys.append(
                Line2D([], [], color=colour, marker=mark, linestyle="none", label=label,
                       markerfacecolor=colour if filled else "white")
            )  # fmt: skip
    keys += [dotted_key("your margin", MUTED)] if is_number(margin) else []
    key_above(figure, keys)


def _detectable_marks(axes: Axes, place: int, row: Row, colour: str) -> None:
    reach = 100 * row["detectable"]
    axes.hlines(place, 0, reach, color=FAINT, linewidth=11, zorder=1)
    axes.vlines(reach, place - 0.3, place + 0.3, color=INK, linewidth=1.2, zorder=2)
    if not is_number(row["difference"]):
        return
    mark, filled, _ = VERDICT_MARKS[row["verdict"]]
    colour = TOO_SMALL if row["reason"] == "too_small" else colour
    axes.scatter(
        [100 * abs(row["difference"])], [place], s=36, marker=mark,
        facecolors=colour if filled else "white", edgecolors=colour, zorder=4,
    )  # fmt: skip


def _both_sizes(row: Row, sizes: Mapping[tuple[str, str], Row], below: object) -> str:
    both = [sizes.get((row["attribute"], row[end]), {}) for end in ("group", "other")]
    counts = [one.get("denominator") for one in both]
    shown = [number(n, "count") if is_number(n) else withheld(below) for n in counts]
    small = SMALL if row["reason"] == "too_small" else ""
    return f"n = {' and '.join(shown)} {counted(row['metric'])}{small}"

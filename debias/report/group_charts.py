"""Charts with one row a group: accuracy, its change, and shares of weight."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from debias.report.drawing import (
    FAINT,
    INK,
    MUTED,
    arm_style,
    beside,
    dotted_key,
    hollow_key,
    legend,
    offsets,
    percent,
    signed,
    stack,
)
from debias.report.groups import Attribute, Group, attributes, baseline_arm
from debias.report.text import attribute_name, group_name, is_number, number

GROUPS_DRAWN = 24  # in one panel; the tables hold all of them
PANELS_DRAWN = 8
TOO_SMALL = "#9aa0a6"

Drawing = tuple[Callable[[Figure], None], float]
DrawPanel = Callable[[Axes, Sequence[Group]], None]


def accuracy_by_group(document: Mapping[str, Any]) -> Drawing | None:
    """Accuracy of each group under each arm with its interval; one tick a seed."""
    arms = list(document["arms"])
    panels = _panels(document, arms)
    if not panels:
        return None
    baseline = baseline_arm(document)
    overall = document["arms"][baseline]["mean"]["accuracy"]["overall"] if baseline else None

    def panel(axes: Axes, groups: Sequence[Group]) -> None:
        if is_number(overall):
            axes.axvline(overall, color=MUTED, linewidth=0.9, linestyle=(0, (2, 2)), zorder=1)
        for row, group in enumerate(groups):
            for arm, offset in zip(arms, offsets(len(arms)), strict=True):
                _accuracy_mark(axes, row + offset, group, arm, arms)
            size = f"n = {number(group.test, 'count')}" if is_number(group.test) else ""
            beside(axes, row, size)

    def draw(figure: Figure) -> None:
        extra = [dotted_key("overall accuracy", MUTED)] if is_number(overall) else []
        if any(_too_small(group) for attribute in panels for group in attribute.groups):
            extra.append(hollow_key("too small", TOO_SMALL))
        legend(figure, arms, arms, extra)
        last = _stack(figure, panels, panel)
        last.set_xlabel("accuracy on the test images")
        last.xaxis.set_major_formatter(FuncFormatter(percent))

    return draw, _height(panels, 0.17 + 0.115 * len(arms))


def accuracy_change(document: Mapping[str, Any]) -> Drawing | None:
    """Accuracy of each group minus its accuracy under the baseline; one tick a seed."""
    baseline = baseline_arm(document)
    arms = list(document["arms"])
    others = [arm for arm in arms if arm != baseline]
    panels = _panels(document, others)
    if not panels or baseline is None:
        return None

    def panel(axes: Axes, groups: Sequence[Group]) -> None:
        axes.axvline(0, color=INK, linewidth=1, zorder=1)
        for row, group in enumerate(groups):
            for arm, offset in zip(others, offsets(len(others)), strict=True):
                _change_mark(axes, row + offset, group, (baseline, arm), arms)

    def draw(figure: Figure) -> None:
        legend(figure, others, arms)
        last = _stack(figure, panels, panel)
        last.set_xlabel("percentage points of accuracy gained (right) or lost (left)")
        last.xaxis.set_major_formatter(FuncFormatter(signed))

    return draw, _height(panels, 0.2 + 0.115 * len(others))


def weight_share(document: Mapping[str, Any]) -> Drawing | None:
    """Share of each group among the images and among the draws of each arm, rarest first."""
    arms = list(document["arms"])
    shares = _shares(document)
    panels = _share_panels(document, shares)
    if not panels:
        return None
    drawn = [arm for arm in arms if any(arm in rows for rows in shares.values())]

    def panel(axes: Axes, groups: Sequence[Group]) -> None:
        for row, group in enumerate(groups):
            for arm, offset in zip(drawn, offsets(len(drawn)), strict=True):
                if arm in shares[group.full]:
                    _dumbbell(axes, row + offset, shares[group.full][arm], arm_style(arm, arms))

    def draw(figure: Figure) -> None:
        legend(figure, drawn, arms, [hollow_key("share of the images", MUTED)])
        last = _stack(figure, panels, panel)
        last.set_xlim(left=0)
        last.set_xlabel("share of the training images (hollow) and of the training draws (filled)")
        last.xaxis.set_major_formatter(FuncFormatter(percent))

    return draw, _height(panels, 0.2 + 0.115 * len(drawn))


def _share_panels(document: Mapping[str, Any], shares: Mapping[str, Any]) -> list[Attribute]:
    """Groups that have shares, by attribute; training may hold groups that the test set lacks."""
    known = {group.full: found.name for found in attributes(document) for group in found.groups}
    members: dict[str, list[Group]] = {}
    for full in sorted(shares, key=lambda group: _before(shares[group])):
        parts = (part.partition(":")[0] for part in full.split(" x "))
        name = known.get(full) or " x ".join(parts)
        group = Group(
            full=full, short=group_name(name, full), rows={}, seeds={}, train=None, test=None
        )
        members.setdefault(name, []).append(group)
    return [
        Attribute(name=name, title=attribute_name(name), groups=tuple(groups[:GROUPS_DRAWN]))
        for name, groups in sorted(members.items(), key=lambda item: " x " in item[0])
    ][:PANELS_DRAWN]


def _panels(document: Mapping[str, Any], arms: Sequence[str]) -> list[Attribute]:
    """Attributes with at least one defined accuracy, cut to what a chart can show."""
    shown = []
    for attribute in attributes(document):
        defined = [
            group for group in attribute.groups if any(group.value(arm) is not None for arm in arms)
        ]
        if defined:
            cut = tuple(defined[:GROUPS_DRAWN])
            shown.append(Attribute(name=attribute.name, title=attribute.title, groups=cut))
    return shown[:PANELS_DRAWN]


def _height(panels: Sequence[Attribute], row: float) -> float:
    return 0.85 + sum(0.38 + row * len(attribute.groups) for attribute in panels)


def _stack(figure: Figure, panels: Sequence[Attribute], draw: DrawPanel) -> Axes:
    """Draw one panel an attribute on a common axis; return the lowest."""
    named = [(one.title, [group.short for group in one.groups]) for one in panels]
    grid = stack(figure, named)
    for axes, attribute in zip(grid[:, 0], panels, strict=True):
        draw(axes, attribute.groups)
    last: Axes = grid[-1, 0]
    return last


def _too_small(group: Group) -> bool:
    rows = (metrics.get("accuracy", {}) for metrics in group.rows.values())
    return any(row.get("state") == "too_small" for row in rows)


def _accuracy_mark(axes: Axes, y: float, group: Group, arm: str, arms: Sequence[str]) -> None:
    row = group.rows.get(arm, {}).get("accuracy", {})
    value = group.value(arm)
    if value is None:
        return
    colour, mark = arm_style(arm, arms)
    small = row.get("state") == "too_small"
    colour = TOO_SMALL if small else colour
    if is_number(row.get("low")) and is_number(row.get("high")):
        axes.hlines(y, row["low"], row["high"], color=colour, linewidth=1.6, zorder=2)
    seeds = [seed for seed in group.seeds.get(arm, {}).get("accuracy", []) if seed is not None]
    if len(seeds) > 1:
        _seed_ticks(axes, seeds, y, colour)
    face = "white" if small else colour
    axes.scatter([value], [y], s=34, marker=mark, facecolors=face, edgecolors=colour, zorder=4)


def _seed_ticks(axes: Axes, values: Sequence[float], y: float, colour: str) -> None:
    rows = [y] * len(values)
    axes.scatter(values, rows, s=24, marker="|", color=colour, linewidths=0.9, zorder=3)


def _change_mark(
    axes: Axes, y: float, group: Group, arms: tuple[str, str], every: Sequence[str]
) -> None:
    before, after = (group.value(arm) for arm in arms)
    if before is None or after is None:
        return
    colour, mark = arm_style(arms[1], every)
    colour = TOO_SMALL if _too_small(group) else colour
    change = 100 * (after - before)
    pairs = zip(*(group.seeds.get(arm, {}).get("accuracy", []) for arm in arms), strict=False)
    seeds = [100 * (b - a) for a, b in pairs if a is not None and b is not None]
    axes.hlines(y, 0, change, color=colour, linewidth=2.2, zorder=2)
    if len(seeds) > 1:
        _seed_ticks(axes, seeds, y, colour)
    face = "white" if _too_small(group) else colour
    axes.scatter([change], [y], s=34, marker=mark, facecolors=face, edgecolors=colour, zorder=4)


def _dumbbell(axes: Axes, y: float, share: Mapping[str, Any], style: tuple[str, str]) -> None:
    before, after = share["before"], share["after"]
    colour, mark = style
    if is_number(before) and is_number(after):
        axes.hlines(y, before, after, color=FAINT, linewidth=3, zorder=1)
    if is_number(before):
        axes.scatter([before], [y], s=26, facecolors="white", edgecolors=MUTED, zorder=2)
    if is_number(after):
        axes.scatter([after], [y], s=34, marker=mark, color=colour, zorder=3)


def _shares(document: Mapping[str, Any]) -> dict[str, dict[str, Mapping[str, Any]]]:
    """Group to arm to shares, for the arms whose weights differ from plain training."""
    shares: dict[str, dict[str, Mapping[str, Any]]] = {}
    for arm, weights in (document.get("weights") or {}).items():
        for group, share in (weights.get("share_by_group") or {}).items():
            if arm in document["arms"] and arm != "uniform":
                shares.setdefault(group, {})[arm] = share
    return shares


def _before(by_arm: Mapping[str, Mapping[str, Any]]) -> float:
    first = next(iter(by_arm.values()))["before"]
    return float(first) if is_number(first) else 2.0

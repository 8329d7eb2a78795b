"""The chart of what became of the images listed: bands as thick as their numbers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Rectangle
from matplotlib.path import Path

from debias.report.charts.style import ARM_STYLES, INK, TOO_SMALL, Drawing
from debias.report.words import escape_label, number

Span = tuple[float, float]
COLOURS = {
    "kept": ARM_STYLES[0][0],
    "not selected": TOO_SMALL,
    "exact duplicates": ARM_STYLES[4][0],
    "rejected": ARM_STYLES[1][0],
}
LEAVES_DRAWN = 14  # of one outcome
# Inches: all images together, a line of text, between outcomes, the thinnest band that is seen.
BODY, LINE, GAP, HAIR = 2.2, 0.21, 0.13, 0.015
LISTED, OUTCOMES, LEAVES, NODE = 0.0, 0.27, 0.55, 0.013  # of the width


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of some of the images.

    Attributes:
        name: One of ``COLOURS``.
        images: How many.
        leaves: Splits or reasons, each with its number of images; may be empty.
        scale: Inches an image.
    """

    name: str
    images: int
    leaves: tuple[tuple[str, int], ...]
    scale: float

    def thick(self, images: int) -> float:
        """Inches of a band; a very small number stays visible."""
        return max(images * self.scale, HAIR)

    def room(self, images: int) -> float:
        """Inches of a band and of the line of text beside it."""
        return max(self.thick(images), LINE)

    @property
    def height(self) -> float:
        return sum(self.room(images) for _, images in self.leaves) or self.room(self.images)


def flow(
    listed: int, became: Mapping[str, tuple[int, Sequence[tuple[str, int]]]]
) -> Drawing | None:
    """From the images listed to what became of them, and on to the splits and the reasons.

    Args:
        listed: All images.
        became: Outcome, one of ``COLOURS``, to its images and to splits or reasons with theirs.
    """
    outcomes = [
        Outcome(name=name, images=images, leaves=_leaves(leaves), scale=BODY / listed)
        for name, (images, leaves) in became.items()
        if images and listed
    ]
    if not outcomes:
        return None
    tall = sum(outcome.height for outcome in outcomes) + GAP * (len(outcomes) - 1)
    thick = sum(outcome.thick(outcome.images) for outcome in outcomes)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        axes.set(xlim=(-0.01, 1), ylim=(tall + GAP, -GAP))
        axes.set_axis_off()
        source, top = (tall - thick) / 2, 0.0
        _node(axes, LISTED, (source, source + thick), INK)
        for outcome in outcomes:
            end = source + outcome.thick(outcome.images)
            _draw_outcome(axes, outcome, (source, end), top)
            source = end
            top += outcome.height + GAP
        _label(axes, LISTED, tall / 2, _said("listed", listed))

    return draw, tall + 2 * GAP + 0.15


def _leaves(found: Iterable[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
    """Those that hold something; the last of many as one."""
    leaves = [leaf for leaf in found if leaf[1]]
    rest = leaves[LEAVES_DRAWN:]
    others = [(f"{len(rest)} others", sum(images for _, images in rest))] if rest else []
    return (*leaves[:LEAVES_DRAWN], *others)


def _draw_outcome(axes: Axes, outcome: Outcome, source: Span, top: float) -> None:
    colour, thick = COLOURS[outcome.name], outcome.thick(outcome.images)
    start = top + (outcome.height - thick) / 2
    node = start, start + thick
    _band(axes, (LISTED, OUTCOMES), source, node, colour)
    _node(axes, OUTCOMES, node, colour)
    total = sum(images for _, images in outcome.leaves)
    for name, images in outcome.leaves:
        room, end = outcome.room(images), outcome.thick(images)
        span = top + (room - end) / 2, top + (room + end) / 2
        part = start, start + thick * images / total
        _band(axes, (OUTCOMES, LEAVES), part, span, colour)
        _node(axes, LEAVES, span, colour)
        _label(axes, LEAVES, top + room / 2, _said(name, images))
        start, top = part[1], top + room
    _label(axes, OUTCOMES, sum(node) / 2, _said(outcome.name, outcome.images), thick < LINE)


def _band(axes: Axes, ends: Span, start: Span, end: Span, colour: str) -> None:
    left, right = ends[0] + NODE, ends[1]
    middle = (left + right) / 2
    move, line, curve = Path.MOVETO, Path.LINETO, Path.CURVE4
    corners = [
        (left, start[0]), (middle, start[0]), (middle, end[0]), (right, end[0]), (right, end[1]),
        (middle, end[1]), (middle, start[1]), (left, start[1]), (left, start[0]),
    ]  # fmt: skip
    path = Path(corners, [move, curve, curve, curve, line, curve, curve, curve, line])
    axes.add_patch(PathPatch(path, facecolor=colour, alpha=0.22, linewidth=0))


def _node(axes: Axes, x: float, span: Span, colour: str) -> None:
    axes.add_patch(Rectangle((x, span[0]), NODE, span[1] - span[0], facecolor=colour, linewidth=0))


def _label(axes: Axes, x: float, y: float, text: str, on_white: bool = False) -> None:
    # Thin bands would run through the words.
    paper = {"facecolor": "white", "linewidth": 0, "pad": 1.0} if on_white else None
    axes.text(x + NODE + 0.008, y, text, va="center", bbox=paper)


def _said(name: str, images: int) -> str:
    return f"{escape_label(name, 30)} {number(images, 'count')}"

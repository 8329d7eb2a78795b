"""One chart for all that stands in labelled rows: marks with intervals, and remarks beside them."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from debias.report.charts.style import (
    ARM_STYLES,
    FAINT,
    INK,
    LINE,
    MUTED,
    Drawing,
    key_above,
    percent,
)
from debias.report.words import escape_label, is_number

ROW_LABEL = 20  # characters of a line
PATH = "#b4bac1"  # from where a mark came
Label = str | tuple[str, str]  # a pair is broken between its two parts
Value = int | float | None
Span = Sequence[Value]  # two ends
NOWHERE: Span = (None, None)


class Look(NamedTuple):
    """How a mark looks and what the key says of it; the colour only repeats the mark."""

    label: str = ""
    colour: str = ARM_STYLES[0][0]
    mark: str = "o"
    filled: bool = True


PLAIN = Look()
HOLLOW = Look(colour=MUTED, filled=False)


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One value within a row; what is None is not drawn.

    Attributes:
        value: Where the mark stands.
        interval: Ends of the thin line through it.
        before: Where it came from: a second mark, joined to it in grey.
        band: Ends of a wide grey bar behind it.
        half: Ends of a thick line: the middle half, where the value is a median.
        stroke: Where an upright stroke stands.
    """

    value: Value
    look: Look = PLAIN
    interval: Span = NOWHERE
    before: Value = None
    band: Span = NOWHERE
    half: Span = NOWHERE
    stroke: Value = None


@dataclass(frozen=True, kw_only=True)
class Row:
    """A label, the marks to its right, those in a second column, and a remark at the end."""

    label: Label
    marks: Sequence[Mark]
    right: Sequence[Mark] = ()
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class Rows:
    """Rows under one title."""

    rows: Sequence[Row]
    title: str = ""


class Rule(NamedTuple):
    """An upright line through all rows; without a label it has no place in the key."""

    value: int | float
    label: str = ""
    colour: str = MUTED
    style: Literal["-", "--", ":"] = ":"


@dataclass(frozen=True, kw_only=True)
class Axis:
    """What a column of marks measures, in which numbers, and between which limits."""

    label: str
    ticks: Callable[[float, Any], str] | None = percent
    rules: Sequence[Rule] = ()
    limits: Span = NOWHERE


@dataclass(frozen=True, kw_only=True)
class Key:
    """What the key says beside the looks of the marks; empty text is left out."""

    before: Look = HOLLOW
    interval: str = ""
    band: str = ""
    half: str = ""
    stroke: str = ""


def rows_chart(
    blocks: Sequence[Rows], axes: Sequence[Axis], key: Key = Key(), row: float = 0.28
) -> Drawing | None:
    """Draw blocks of rows below each other on common axes; None where there is no value.

    Args:
        blocks: In reading order.
        axes: Of the marks, and of those to the right where rows have any.
        key: What the key explains.
        row: Inches a row takes.
    """
    marks = [mark for block in blocks for one in block.rows for mark in (*one.marks, *one.right)]
    if not any(is_number(mark.value) for mark in marks):
        return None

    def draw(figure: Figure) -> None:
        if handles := list(key_handles(marks, axes, key)):
            key_above(figure, handles)
        draw_blocks(figure, blocks, axes, key.before)

    two_lines = any("\n" in _in_lines(one.label) for block in blocks for one in block.rows)
    row = max(row, 2.1 * LINE) if two_lines else row
    titles = sum(0.38 if block.title else 0.1 for block in blocks)
    return draw, 0.85 + titles + row * sum(len(block.rows) for block in blocks)


def draw_blocks(
    figure: FigureBase, blocks: Sequence[Rows], axes: Sequence[Axis], before: Look
) -> None:
    """Draw blocks of rows below each other, each column on a common axis."""
    heights = [len(block.rows) + 0.2 for block in blocks]
    grid = figure.subplots(
        len(blocks), len(axes), sharex="col", squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for line, block in zip(grid, blocks, strict=True):
        line[0].set_title(escape_label(block.title, 52))
        for column, (plane, axis) in enumerate(zip(line, axes, strict=True)):
            marks = [row.right if column else row.marks for row in block.rows]
            labels = ["" if column else _in_lines(row.label) for row in block.rows]
            draw_rows(plane, labels, marks, before)
            _rules(plane, axis)
        for place, row in enumerate(block.rows):
            _beside(line[-1], place, row.note)
    for plane, axis in zip(grid[-1], axes, strict=True):
        scale(plane, axis, 5 // len(axes))


def scale(plane: Axes, axis: Axis, ticks: int) -> None:
    """Name, ticks and limits of the common axis, below the last rows."""
    plane.set_xlabel(axis.label)
    plane.xaxis.set_major_locator(MaxNLocator(nbins=ticks))
    left, right = axis.limits
    plane.set_xlim(left, right)
    if axis.ticks is not None:
        plane.xaxis.set_major_formatter(FuncFormatter(axis.ticks))


def key_handles(marks: Sequence[Mark], axes: Sequence[Axis], key: Key) -> Iterable[Artist]:
    """What is drawn at all, each once: looks of marks, lines, bars."""
    with_line = {mark.look for mark in marks if is_number(mark.interval[0]) and not key.interval}
    looks = [mark.look for mark in marks if is_number(mark.value)]
    before = [key.before] if any(is_number(mark.before) for mark in marks) else []
    by_label = {look.label: look for look in reversed([*before, *looks]) if look.label}
    for look in reversed(by_label.values()):
        yield _look_key(look, "-" if look in with_line else "none")
    for rule in (rule for axis in axes for rule in axis.rules if rule.label):
        yield Line2D([], [], color=rule.colour, linestyle=rule.style, label=rule.label)
    if key.stroke and any(is_number(mark.stroke) for mark in marks):
        yield _look_key(Look(key.stroke, INK, "|"))
    if key.half:
        yield Line2D([], [], color=MUTED, linewidth=4, alpha=0.5, label=key.half)
    if key.interval:
        yield Line2D([], [], color=MUTED, linewidth=1.6, label=key.interval)
    if key.band and any(is_number(mark.band[1]) for mark in marks):
        yield Patch(color=FAINT, label=key.band)


def _look_key(look: Look, line: Literal["-", "none"] = "none") -> Line2D:
    stroke: dict[str, Any] = {"markersize": 10, "markeredgewidth": 1.7} if look.mark == "|" else {}
    return Line2D(
        [], [], color=look.colour, marker=look.mark, linestyle=line, label=look.label,
        markerfacecolor=look.colour if look.filled else "white", **stroke,
    )  # fmt: skip


def draw_rows(
    axes: Axes, labels: Sequence[str], marks: Sequence[Sequence[Mark]], before: Look = HOLLOW
) -> None:
    """Draw the marks of each row, the first row at the top."""
    axes.set_yticks(range(len(labels)), labels=labels)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(axis="x", color=FAINT, linewidth=0.7)
    for place, within in enumerate(marks):
        for offset, mark in zip(_offsets(len(within)), within, strict=True):
            _draw_mark(axes, place + offset, mark, before)


def _rules(axes: Axes, axis: Axis) -> None:
    for value, _, colour, style in axis.rules:
        axes.axvline(value, color=colour, linewidth=0.9, linestyle=style, zorder=1)


def _beside(axes: Axes, place: int, note: str) -> None:
    """A remark at the right end of a row."""
    axes.text(
        1.015, place, note, transform=axes.get_yaxis_transform(), va="center", color=MUTED, size=8
    )


def _offsets(count: int) -> list[float]:
    """Vertical places of several marks within a row."""
    step = min(0.2, 0.56 / max(count - 1, 1))
    return [step * (place - (count - 1) / 2) for place in range(count)]


def _draw_mark(axes: Axes, y: float, mark: Mark, before: Look) -> None:
    colour = mark.look.colour
    _line(axes, y, mark.band, color=FAINT, linewidth=10, zorder=1)
    _line(axes, y, (mark.before, mark.value), color=PATH, linewidth=2.2, zorder=2)
    _line(axes, y, mark.half, color=colour, linewidth=4, alpha=0.5, zorder=2)
    _line(axes, y, mark.interval, color=colour, linewidth=1.6, zorder=2)
    if is_number(mark.stroke):
        axes.vlines(mark.stroke, y - 0.33, y + 0.33, color=INK, linewidth=1.8, zorder=5)
    if is_number(mark.before):
        _put(axes, mark.before, y, before)
    if is_number(mark.value):
        _put(axes, mark.value, y, mark.look)


def _line(axes: Axes, y: float, ends: Span, **style: Any) -> None:  # noqa: ANN401 (of matplotlib)
    low, high = ends
    if is_number(low) and is_number(high):
        axes.hlines(y, low, high, **style)


def _put(axes: Axes, x: float, y: float, look: Look) -> None:
    if look.mark == "|":  # has no face
        axes.scatter([x], [y], s=90, marker="|", color=look.colour, linewidths=1.6, zorder=3)
        return
    face = look.colour if look.filled else "white"
    axes.scatter(
        [x], [y], s=34, marker=look.mark, facecolors=face, edgecolors=look.colour, zorder=4,
        clip_on=False,
    )  # fmt: skip


def _in_lines(label: Label) -> str:
    if isinstance(label, str):
        return wrapped(escape_label(label, 60))
    parts = [escape_label(part, ROW_LABEL + 4) for part in label]
    whole = " ".join(parts)
    return whole if len(whole) <= ROW_LABEL else "\n".join(parts)


def wrapped(label: str, width: int = ROW_LABEL) -> str:
    """Break a label into two lines at most."""
    if len(label) <= width:
        return label
    cut = label.rfind(" ", 0, width + 1)
    cut = cut if cut > width // 3 else width
    rest = label[cut:].strip()
    return f"{label[:cut].rstrip()}\n{rest if len(rest) <= width else rest[: width - 1] + '…'}"

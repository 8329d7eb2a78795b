"""The course of a run: its steps by time, and the memory that it took."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from debias.report.charts.style import ARM_STYLES, INK, MUTED, Drawing, key_above, style_at
from debias.report.words import escape_label
from debias.tracking.profile import Span

STEPS_DRAWN = 80
WIDTH = 7.6  # inches
ROW, MEMORY = 0.2, 1.0  # inches
LABEL = 40  # characters
GIB = 2**30


def course_chart(
    spans: Sequence[Span], memory: Float[np.ndarray, "looks 2"], seconds: float
) -> Drawing:
    """One bar a step, the earliest on top; above them the memory.

    Args:
        spans: Of the steps, in the order in which they began.
        memory: Seconds and bytes of each look; none where the system does not say.
        seconds: That the run took.
    """
    longest = sorted(spans, key=lambda one: one.begin - one.end)[:STEPS_DRAWN]
    drawn = [one for one in spans if one in longest]
    colours = {
        name: style_at(place)[0]
        for place, name in enumerate(dict.fromkeys(one.worker for one in spans if not one.reused))
    }

    def draw(figure: Figure) -> None:
        heights = [MEMORY, ROW * (len(drawn) + 1)]
        above, below = figure.subplots(2, sharex=True, height_ratios=heights)
        _draw_memory(above, memory)
        for row, span in enumerate(drawn):
            _draw_step(below, row, span, _rest(span, spans, seconds), colours)
        below.set_ylim(len(drawn) - 0.5, -0.5)
        below.set_yticks(range(len(drawn)), [escape_label(one.title, LABEL) for one in drawn])
        below.set_xlim(0, seconds)
        left_out = len(spans) - len(drawn)
        below.set_xlabel("seconds" + f"; {left_out} shorter steps are not drawn" * bool(left_out))
        key_above(figure, _key(colours))

    return draw, 0.9 + MEMORY + ROW * (len(drawn) + 1)


def _draw_memory(axes: Axes, memory: Float[np.ndarray, "looks 2"]) -> None:
    axes.set_title("memory of all its processes, GiB")
    if not len(memory):
        axes.text(0.5, 0.5, "this system does not say", color=MUTED, transform=axes.transAxes)
        axes.set_yticks([])
        return
    time, held = memory[:, 0], memory[:, 1] / GIB
    axes.fill_between(time, held, color=MUTED, alpha=0.25, linewidth=0)
    axes.plot(time, held, color=INK, linewidth=1)
    axes.set_ylim(0, 1.1 * held.max())
    axes.yaxis.set_major_locator(MaxNLocator(nbins=3))


def _draw_step(axes: Axes, row: int, span: Span, rest: float, colours: Mapping[str, str]) -> None:
    if span.reused:
        axes.plot(span.begin, row, "|", color=MUTED, markersize=8)
        axes.annotate("reused", (span.begin, row), (4, 0), textcoords="offset points",
                      va="center", color=MUTED, fontsize=8)  # fmt: skip
        return
    colour = colours[span.worker]
    axes.barh(row, span.end - span.begin, left=span.begin, height=0.7, color=colour)
    axes.barh(row, rest - span.end, left=span.end, height=0.7, color=colour, alpha=0.25)


def _rest(span: Span, spans: Sequence[Span], seconds: float) -> float:
    """When whoever did a step began or found the next: then at last this one was over."""
    later = spans[spans.index(span) + 1 :]
    after = [one.begin for one in later if not span.worker or one.worker == span.worker]
    return max(after[0] if after else seconds, span.end)


def _key(colours: Mapping[str, str]) -> list[Patch]:
    workers = [one for one in colours if one]
    named = {one: f"worker {place + 1}" for place, one in enumerate(workers)}
    here = "in this process" if workers else "a step"
    steps = [Patch(color=colour, label=named.get(one, here)) for one, colour in colours.items()]
    rest = Patch(
        color=ARM_STYLES[0][0],
        alpha=0.25,
        label="then, to the next: sealing, publishing, reading, waiting",
    )
    return [*steps, rest]

"""What all charts share: colours, marks, and SVG bytes that do not change between runs."""

import io
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from debias.report.words import arm_name, escape_label

INK, MUTED, FAINT = "#1d2126", "#5f6670", "#dcdfe3"
TOO_SMALL = "#9aa0a6"
# Inches. No wider than a narrow page shows, so that the words stay readable there.
WIDTH = 4.8
LINE = 0.17  # inches of a line of text
GROUPS_DRAWN = 24  # in one panel; the tables hold all of them
PANELS_DRAWN = 8

# Okabe and Ito's palette, told apart under all common forms of colour blindness; grey is kept
# for what is too small to read anything into. The mark repeats what the colour says.
ARM_STYLES = (
    ("#0072B2", "o"),
    ("#D55E00", "D"),
    ("#009E73", "s"),
    ("#CC79A7", "^"),
    ("#E69F00", "v"),
    ("#56B4E9", "P"),
)

# The page's reader has these fonts; the widths are measured with matplotlib's own, which is
# wider than each of them and the same on every machine.
PAGE_FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

AXIS_LABEL, ROW_LABEL = 36, 20  # characters of a line
Place = Literal["outside upper left", "outside lower left"]
Label = str | tuple[str, str]  # a pair is broken between its two parts

STYLE: Mapping[Any, Any] = MappingProxyType(
    {
        "svg.fonttype": "none",
        "svg.hashsalt": "debias",
        "font.family": ["DejaVu Sans"],
        "font.size": 9.0,
        "axes.edgecolor": FAINT,
        "axes.labelcolor": MUTED,
        "axes.labelsize": 9.0,
        "axes.titlesize": 9.5,
        "axes.titleweight": "bold",
        "axes.titlecolor": INK,
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.spines.left": False,
        "axes.axisbelow": True,
        "text.color": INK,
        "xtick.color": MUTED,
        "ytick.color": INK,
        "xtick.major.size": 0.0,
        "ytick.major.size": 0.0,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "legend.frameon": False,
        "legend.handletextpad": 0.5,
    }
)


def svg(draw: Callable[[Figure], None], width: float, height: float) -> bytes:
    """Draw on a fresh figure and return the SVG; equal input gives equal bytes.

    Args:
        draw: Fills the figure.
        width: Inches.
        height: Inches.
    """
    return chart(draw, width, height).svg()


def chart(draw: Callable[[Figure], None], width: float, height: float) -> "Chart":
    """Draw on a fresh figure, as :func:`svg`."""
    with _styled():
        layout = ConstrainedLayoutEngine(h_pad=0.07, hspace=0.03)
        figure = Chart(figsize=(width, height), layout=layout)
        draw(figure)
        _break_long_labels(figure)
    return figure


class Chart(Figure):
    """A figure that a notebook shows as it stands on a page, whatever backend it has."""

    def svg(self) -> bytes:
        """The figure as SVG, in the fonts of the page."""
        buffer = io.BytesIO()
        with _styled():
            self.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
        return buffer.getvalue().replace(b"'DejaVu Sans'", PAGE_FONTS.encode())

    def _repr_svg_(self) -> str:
        return self.svg().decode()


@contextmanager
def _styled() -> Iterator[None]:
    # The salt of the SVG writer and the defaults of text can be set in no other way than for
    # the process; they are put back at once.
    with rc_context(dict(STYLE)), warnings.catch_warnings():
        # A name in a script that the measuring font lacks is shown by the reader's own font.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        yield


def arm_style(arm: str, arms: Sequence[str]) -> tuple[str, str]:
    """Colour and mark of an arm, the same in every chart of a page."""
    return ARM_STYLES[list(arms).index(arm) % len(ARM_STYLES)]


def legend(
    figure: Figure, drawn: Sequence[str], arms: Sequence[str], extra: Sequence[Line2D] = ()
) -> None:
    """Name the arms that are drawn, in their colours among all arms, above the chart."""
    handles = []
    for arm in drawn:
        colour, mark = arm_style(arm, arms)
        label = escape_label(arm_name(arm), 30)
        handles.append(Line2D([], [], color=colour, marker=mark, linestyle="none", label=label))
    key_above(figure, [*handles, *extra])


def key_above(
    figure: Figure, handles: Sequence[Artist], place: Place = "outside upper left"
) -> None:
    """What the marks mean, in as many columns as fit; each further line makes the figure taller."""
    lengths = [len(str(handle.get_label())) for handle in handles]
    columns = next(
        count for count in range(min(4, len(handles)), 0, -1)
        if count == 1 or _inches(lengths, count) <= figure.get_figwidth()
    )  # fmt: skip
    figure.legend(handles=handles, loc=place, ncols=columns, columnspacing=1.4)
    lines = -(-len(handles) // columns)
    figure.set_figheight(figure.get_figheight() + LINE * (lines - 1))


def _inches(lengths: Sequence[int], columns: int) -> float:
    """Width of a legend: matplotlib fills it column by column."""
    parts = np.array_split(np.asarray(lengths), columns)
    return float(sum(0.5 + 0.075 * part.max() for part in parts if len(part)))


def _break_long_labels(figure: Figure) -> None:
    """Two lines where the name of an axis is longer than a narrow chart."""
    for axes in figure.axes:
        label = axes.get_xlabel()
        if len(label) > AXIS_LABEL:
            axes.set_xlabel(textwrap.fill(label, AXIS_LABEL))
            figure.set_figheight(figure.get_figheight() + LINE)


def hollow_key(label: str, colour: str) -> Line2D:
    """Legend entry of a hollow mark."""
    return Line2D(
        [], [], color=colour, marker="o", linestyle="none", markerfacecolor="white", label=label
    )


def dotted_key(label: str, colour: str) -> Line2D:
    """Legend entry of a reference line."""
    return Line2D([], [], color=colour, linestyle=":", label=label)


def wrapped(label: str, width: int = ROW_LABEL) -> str:
    """Break a label into two lines at most."""
    if len(label) <= width:
        return label
    cut = label.rfind(" ", 0, width + 1)
    cut = cut if cut > width // 3 else width
    rest = label[cut:].strip()
    return f"{label[:cut].rstrip()}\n{rest if len(rest) <= width else rest[: width - 1] + '…'}"


def row_axes(axes: Axes, labels: Sequence[Label]) -> None:
    """Give each group a row, first at the top."""
    texts = [_in_lines(label) for label in labels]
    axes.set_yticks(range(len(labels)), labels=texts)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(axis="x", color=FAINT, linewidth=0.7)


def _in_lines(label: Label) -> str:
    if isinstance(label, str):
        return wrapped(escape_label(label, 60))
    parts = [escape_label(part, ROW_LABEL + 4) for part in label]
    whole = " ".join(parts)
    return whole if len(whole) <= ROW_LABEL else "\n".join(parts)


def stack(
    figure: Figure, panels: Sequence[tuple[str, Sequence[Label]]], columns: int = 1
) -> NDArray[np.object_]:
    """One panel of labelled rows below the other, each column on a common axis.

    Args:
        figure: To draw on.
        panels: Title and the labels of its rows.
        columns: Drawings side by side of the same rows; the left one carries the labels.

    Returns:
        (panels, columns) of axes.
    """
    grid: NDArray[np.object_] = figure.subplots(
        len(panels), columns, sharex="col", squeeze=False,
        gridspec_kw={"height_ratios": [len(labels) + 0.2 for _, labels in panels]},
    )  # fmt: skip
    for line, (title, labels) in zip(grid, panels, strict=True):
        line[0].set_title(escape_label(title, 52))
        for axes in line:
            row_axes(axes, labels)
        for axes in line[1:]:
            axes.set_yticklabels([])
    for axes in grid[-1]:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=max(3, 5 // columns)))
    return grid


def offsets(count: int) -> list[float]:
    """Vertical places of several marks within a row."""
    spread = min(0.56, 0.2 * (count - 1))
    return [float(place) for place in np.linspace(-spread / 2, spread / 2, count)]


def percent(share: float, _: object) -> str:
    """Tick label of a share."""
    return f"{100 * share:.0f}%"


def signed(points: float, _: object) -> str:
    """Tick label of percentage points gained or lost."""
    return f"{points:+g}".replace("-", "\N{MINUS SIGN}") if points else "0"


def beside(axes: Axes, row: int, text: str) -> None:
    """Write a remark at the right end of a row."""
    axes.text(
        1.015, row, text, transform=axes.get_yaxis_transform(), va="center", color=MUTED, size=8
    )

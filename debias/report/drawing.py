"""What all charts share: colours, marks, and SVG bytes that do not change between runs."""

import io
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from debias.report.text import arm_name, escape_label

INK, MUTED, FAINT = "#1d2126", "#5f6670", "#dcdfe3"

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
    # The salt of the SVG writer and the defaults of text can be set in no other way than for
    # the process; they are put back at once.
    with rc_context(dict(STYLE)), warnings.catch_warnings():
        # A name in a script that the measuring font lacks is shown by the reader's own font.
        warnings.filterwarnings("ignore", message="Glyph .* missing from")
        layout = ConstrainedLayoutEngine(h_pad=0.07, hspace=0.03)
        figure = Figure(figsize=(width, height), layout=layout)
        draw(figure)
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return buffer.getvalue().replace(b"'DejaVu Sans'", PAGE_FONTS.encode())


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
    every = [*handles, *extra]
    columns = len(every) if len(every) <= 5 else 3
    figure.legend(handles=every, loc="outside upper left", ncols=columns, columnspacing=1.4)


def hollow_key(label: str, colour: str) -> Line2D:
    """Legend entry of a hollow mark."""
    return Line2D(
        [], [], color=colour, marker="o", linestyle="none", markerfacecolor="white", label=label
    )


def dotted_key(label: str, colour: str) -> Line2D:
    """Legend entry of a reference line."""
    return Line2D([], [], color=colour, linestyle=":", label=label)


def wrapped(label: str, width: int = 26) -> str:
    """Break a label into two lines at most."""
    if len(label) <= width:
        return label
    cut = label.rfind(" ", 0, width + 1)
    cut = cut if cut > width // 3 else width
    rest = label[cut:].strip()
    return f"{label[:cut].rstrip()}\n{rest if len(rest) <= width else rest[: width - 1] + '…'}"


def row_axes(axes: Axes, labels: Sequence[str]) -> None:
    """Give each group a row, first at the top."""
    texts = [wrapped(escape_label(label, 60)) for label in labels]
    axes.set_yticks(range(len(labels)), labels=texts)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.grid(axis="x", color=FAINT, linewidth=0.7)


def beside(axes: Axes, row: int, text: str) -> None:
    """Write a remark at the right end of a row."""
    axes.text(
        1.015, row, text, transform=axes.get_yaxis_transform(), va="center", color=MUTED, size=8
    )

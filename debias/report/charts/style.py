"""What all charts share: colours, marks, and SVG bytes that do not change between runs."""

import io
import re
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

INK, MUTED, FAINT = "#1d2126", "#5f6670", "#dcdfe3"
TOO_SMALL = "#9aa0a6"
# Inches. No wider than a narrow page shows, so that the words stay readable there.
WIDTH = 4.8
LINE = 0.17  # inches of a line of text
GROUPS_DRAWN = 24  # in one panel; the tables hold all of them
PANELS_DRAWN = 8
MEASURES_DRAWN = 6

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

AXIS_LABEL, HALF_LABEL = 36, 14  # characters of a line, and where two axes share the width
Drawing = tuple[Callable[[Figure], None], float]  # fills a figure; its height in inches
Place = Literal["outside upper left", "outside lower left"]

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


def there(drawings: Mapping[str, Drawing | None]) -> dict[str, Drawing]:
    """Those that show something."""
    return {name: drawing for name, drawing in drawings.items() if drawing is not None}


def drawn(drawings: Mapping[str, Drawing | None]) -> dict[str, bytes]:
    """Each chart that shows something as SVG, by its name."""
    return {name: svg(draw, WIDTH, height) for name, (draw, height) in there(drawings).items()}


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


def chart_names(kind: str, metrics: Sequence[str], most: int = MEASURES_DRAWN) -> dict[str, str]:
    """Name of the chart of each measure; the first one is called after its kind alone."""
    names: dict[str, str] = {}
    for place, metric in enumerate(metrics[:most]):
        plain = re.sub(r"[^a-z0-9]+", "_", metric.lower()).strip("_")
        name = f"{kind}_{plain}" if place else kind
        names[metric] = f"{name}_{place}" if name in names.values() else name
    return names


def arm_style(arm: str, arms: Sequence[str]) -> tuple[str, str]:
    """Colour and mark of an arm, the same in every chart of a page."""
    return style_at(list(arms).index(arm))


def style_at(place: int) -> tuple[str, str]:
    """Colour and mark number ``place``; a further turn through the colours takes other marks."""
    turn, column = divmod(place, len(ARM_STYLES))
    return ARM_STYLES[column][0], ARM_STYLES[(column + turn) % len(ARM_STYLES)][1]


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
    """Lines that fit below the axes, of which several may stand side by side."""
    lines = 1
    for axes in figure.axes:
        place = axes.get_subplotspec()
        columns = 1 if place is None else place.get_gridspec().ncols
        words = textwrap.wrap(axes.get_xlabel(), AXIS_LABEL if columns == 1 else HALF_LABEL)
        axes.set_xlabel("\n".join(words))
        lines = max(lines, len(words))
    figure.set_figheight(figure.get_figheight() + LINE * (lines - 1))


def percent(share: float, _: object) -> str:
    """Tick label of a share."""
    return f"{100 * share:.0f}%"


def fine_percent(share: float, _: object) -> str:
    """Tick label of a share that may be a small part of a per cent."""
    return f"{100 * share:g}%"


def signed(points: float, _: object) -> str:
    """Tick label of percentage points gained or lost."""
    return f"{points:+g}".replace("-", "\N{MINUS SIGN}") if points else "0"

"""The latent space: its map, by density, region, cluster and annotation, and its cells."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
from jaxtyping import Bool, Float, Shaped
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator
from scipy.stats import rankdata

from debias.report.charts.rows import Axis, Mark, draw_rows, scale
from debias.report.charts.style import (
    ARM_STYLES,
    FAINT,
    INK,
    MUTED,
    Drawing,
    chart_names,
    fine_percent,
    key_above,
    style_at,
    svg,
)
from debias.report.pictures import AuditMap, shrink
from debias.report.words import escape_label, words

Painted = Callable[[Figure], None]
Places = Float[np.ndarray, "_ 2"]
Parts = Mapping[str, Bool[np.ndarray, " m"]]  # by the label, which images
WIDTH, HEIGHT = 4.6, 4.5  # inches; two maps stand side by side
WIDE, TALL = 6.2, 5.4
ANNOTATIONS_DRAWN = 6
OTHERS = "#d3d7db"
THUMBNAIL = 24  # points
APART = 0.052  # of the extent of the map, between two thumbnails: about the width of one
# Lightness falls all the way, so that the map reads the same in grey.
CROWDED_TO_THIN = LinearSegmentedColormap.from_list(
    "crowded to thin", ["#cfdfeb", "#e8bd7c", "#d55e00", "#6b2700"]
)


def maps(
    found: AuditMap, clusters: Sequence[int], values: Mapping[str, Sequence[str]]
) -> dict[str, bytes]:
    """Draw the map once for each question.

    Args:
        found: Where the images lie.
        clusters: Numbers of the clusters, smallest first.
        values: Of each annotation the values that may be told apart.
    """
    regions = np.unique(found.region[found.region > 0]).tolist()
    of_region = {f"region {number}": found.region == number for number in regions}
    of_cluster = {f"cluster {number}": found.cluster == number for number in clusters}
    painted: dict[str, Painted] = {"map_density": partial(_by_density, found)}
    if of_region:
        painted["map_regions"] = partial(_coloured, found, of_region, "elsewhere")
    painted["map_cluster"] = partial(_by_cluster, found, of_cluster)
    for attribute, name in map_names(found).items():
        column, title = found.attributes[attribute].astype(str), escape_label(words(attribute), 40)
        parts = {value: column == value for value in values[attribute]}
        painted[name] = partial(_coloured, found, parts, "others, or withheld", title=title)
    drawn = {name: svg(draw, WIDTH, HEIGHT) for name, draw in painted.items()}
    if len(found.thumbnail_rows):
        drawn["map_faces"] = svg(partial(_faces, found), WIDE, TALL)
    return drawn


def coloured_map(xy: Places, values: Shaped[np.ndarray, " m"], title: str, most: int = 12) -> bytes:
    """One map, a colour and mark a value, the most frequent first; the others in grey."""
    names, counts = np.unique(values.astype(str), return_counts=True)
    kept = sorted(names[np.argsort(-counts, kind="stable")][:most])
    styles = [style_at(place) for place in range(len(kept))]

    def draw(figure: Figure) -> None:
        axes = _plane(figure)
        axes.set_title(escape_label(title, 40))
        _points(axes, xy[~np.isin(values, kept)], OTHERS)
        for name, style in zip(kept, styles, strict=True):
            _points(axes, xy[values == name], *style)
        if len(kept) > 1:
            _legend(figure, [(n, *style) for n, style in zip(kept, styles, strict=True)])

    return svg(draw, WIDTH, HEIGHT)


def map_names(found: AuditMap | None) -> dict[str, str]:
    """Name of the chart of each annotation."""
    if found is None or not len(found.xy):
        return {}
    return chart_names("map_annotation", list(found.attributes), ANNOTATIONS_DRAWN)


def _plane(figure: Figure) -> Axes:
    """Axes without a scale: the numbers of a map mean nothing."""
    figure.set_dpi(200)  # of what is drawn as pixels
    axes: Axes = figure.subplots()
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines["bottom"].set_visible(False)
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.03)
    return axes


def _points(axes: Axes, xy: Places, colour: str | np.ndarray, mark: str = "o") -> None:
    # As pixels: thousands of marks would make a heavy page. Small sets get larger points.
    size = float(np.clip(9000 / max(len(xy), 1), 3.5, 26))
    axes.scatter(xy[:, 0], xy[:, 1], s=size, c=colour, marker=mark, linewidths=0, rasterized=True)


def _by_density(found: AuditMap, figure: Figure) -> None:
    axes = _plane(figure)
    # Ranks in [0, 1], the thinnest at 1: any rising scale of density looks alike.
    thinness = (rankdata(-found.density) - 1) / max(len(found.xy) - 1, 1)
    order = np.argsort(thinness, kind="stable")
    _points(axes, found.xy[order], CROWDED_TO_THIN(thinness[order]))
    ends = (("crowded", 0.05), ("between", 0.5), ("thin", 0.95))
    _legend(figure, [(label, CROWDED_TO_THIN(place), "o") for label, place in ends])


def _by_cluster(found: AuditMap, parts: Parts, figure: Figure) -> None:
    _coloured(found, parts, "larger clusters", figure)
    (axes,) = figure.axes
    for number in np.unique(found.cluster):
        _number(axes, found.xy[found.cluster == number], int(number))


def _number(axes: Axes, xy: Places, number: int) -> None:
    """At the image nearest to the middle: the middle of a crescent lies outside of it."""
    middle = np.median(xy, axis=0)
    place = xy[np.argmin(np.square(xy - middle).sum(axis=1))]
    axes.annotate(
        str(number), place, ha="center", va="center", size=8, weight="bold", color=INK,
        bbox={"boxstyle": "circle,pad=0.22", "fc": "white", "ec": "none", "alpha": 0.8},
    )  # fmt: skip


def _coloured(found: AuditMap, parts: Parts, rest: str, figure: Figure, title: str = "") -> None:
    """The first parts in a colour and mark of their own, small ones on top; the rest in grey."""
    axes = _plane(figure)
    axes.set_title(title)
    parts = dict(islice(parts.items(), len(ARM_STYLES)))
    other = ~np.logical_or.reduce([np.zeros(len(found.xy), bool), *parts.values()])
    _points(axes, found.xy[other], OTHERS)
    styles = dict(zip(parts, ARM_STYLES, strict=False))
    for label, inside in sorted(parts.items(), key=lambda part: -part[1].sum()):
        _points(axes, found.xy[inside], *styles[label])
    keys = [(label, *style) for label, style in styles.items()]
    _legend(figure, [*keys, *([(rest, OTHERS, "o")] if other.any() else [])])


def _legend(figure: Figure, keys: Sequence[tuple[str, Any, str]]) -> None:
    handles = [
        Line2D([], [], color=colour, marker=mark, linestyle="none", label=escape_label(label, 24))
        for label, colour, mark in keys
    ]
    key_above(figure, handles, "outside lower left")


def _faces(found: AuditMap, figure: Figure) -> None:
    axes = _plane(figure)
    _points(axes, found.xy, OTHERS)
    assert found.thumbnails is not None  # there are rows of them
    faces = shrink(found.thumbnails, 2 * THUMBNAIL)
    for one in _apart(found):
        picture = OffsetImage(faces[one], zoom=THUMBNAIL / faces.shape[2], resample=True)
        place = tuple(found.xy[found.thumbnail_rows[one]])
        axes.add_artist(AnnotationBbox(picture, place, pad=0.1, bboxprops={"ec": "none"}))


def _apart(found: AuditMap) -> list[int]:
    """Thumbnails that do not hide each other, those in thin surroundings first."""
    xy = found.xy[found.thumbnail_rows]
    nearest = APART * float(np.ptp(found.xy, axis=0).max())
    kept: list[int] = []
    for one in np.argsort(found.density[found.thumbnail_rows], kind="stable"):
        if all(np.abs(xy[one] - xy[other]).max() >= nearest for other in kept):
            kept.append(int(one))
    return kept


@dataclass(frozen=True, kw_only=True)
class Cells:
    """How full the cells of the space are.

    Attributes:
        shares: Of the cells that hold an image, the fullest first.
        cells: How many there are.
        effective: Equally full cells that would be as uneven, beside those of bell shapes.
        densest: Share of the images in the densest tenth, beside those of bell shapes.
    """

    shares: Sequence[float]
    cells: int
    effective: Mark
    densest: Mark


def coverage(found: Cells) -> Drawing:
    """Shares of the cells in falling order, and two summaries beside those of bell shapes."""
    summaries = (
        ("effective number of cells: more is more even", found.effective,
         Axis(label="", ticks=None, limits=(0, found.cells))),
        ("share in the densest tenth: less is more even", found.densest,
         Axis(label="", limits=(0, 1))),
    )  # fmt: skip

    def draw(figure: Figure) -> None:
        equal = Line2D([], [], color=MUTED, linestyle=":", label="all cells equally full")
        share = Patch(color=ARM_STYLES[0][0], label="share of one cell")
        key_above(figure, [share, equal, Patch(color=FAINT, label="a single bell-shaped cloud")])
        top, *below = figure.subplots(3, height_ratios=[4.2, 1, 1])
        _bars(top, found.shares, found.cells)
        for axes, (title, mark, axis) in zip(below, summaries, strict=True):
            axes.set_title(title)
            draw_rows(axes, [""], [[mark]])
            scale(axes, axis, ticks=8)

    return draw, 4.4


def _bars(axes: Axes, shares: Sequence[float], cells: int) -> None:
    axes.bar(range(1, len(shares) + 1), shares, width=0.86, color=ARM_STYLES[0][0])
    axes.axhline(1 / cells, color=MUTED, linewidth=0.9, linestyle=":")
    axes.set_xlim(0.3, max(len(shares), cells) + 0.7)
    axes.grid(axis="y", color=FAINT, linewidth=0.7)
    axes.set_xlabel("cells, the fullest first")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8, integer=True))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
    axes.yaxis.set_major_formatter(FuncFormatter(fine_percent))
    axes.tick_params(axis="y", colors=MUTED)

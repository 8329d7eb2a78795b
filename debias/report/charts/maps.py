"""The map of the latent space, coloured by density, region, cluster and annotation."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.offsetbox import AnnotationBbox, OffsetImage
from scipy.stats import rankdata

from debias.report.audit_groups_view import every_row, short_name
from debias.report.charts.style import ARM_STYLES, INK, key_above, svg
from debias.report.fairness_charts import chart_names
from debias.report.pictures import shrink
from debias.report.pictures_of_audits import AuditMap
from debias.report.words import escape_label, is_number, words
from debias.statistics.groupings import UNKNOWN

Document = Mapping[str, Any]
Painted = Callable[[Figure], None]
WIDTH, HEIGHT = 4.6, 4.5  # inches; two maps stand side by side
WIDE, TALL = 6.2, 5.4
ANNOTATIONS_DRAWN = 6
FEW = 11  # images; a group of fewer is not told from the others
OTHERS = "#d3d7db"
THUMBNAIL = 24  # points
APART = 0.052  # of the extent of the map, between two thumbnails: about the width of one
# Lightness falls all the way, so that the map reads the same in grey.
CROWDED_TO_THIN = LinearSegmentedColormap.from_list(
    "crowded to thin", ["#cfdfeb", "#e8bd7c", "#d55e00", "#6b2700"]
)


def maps(document: Document, found: AuditMap | None) -> dict[str, bytes]:
    """Draw the map once for each question; without a map, nothing."""
    if found is None or not len(found.xy):
        return {}
    painted: dict[str, Painted] = {"map_density": _by_density(found)}
    if found.region.any():
        painted["map_regions"] = _by_region(found)
    painted["map_cluster"] = _by_cluster(document, found)
    for attribute, name in map_names(found).items():
        painted[name] = _by_annotation(found, attribute, _countable(document, attribute, found))
    drawn = {name: svg(draw, WIDTH, HEIGHT) for name, draw in painted.items()}
    return drawn | ({"map_faces": svg(_faces(found), WIDE, TALL)} if _has_faces(found) else {})


def map_names(found: AuditMap | None) -> dict[str, str]:
    """Name of the chart of each annotation."""
    if found is None or not len(found.xy):
        return {}
    return chart_names("map_annotation", list(found.attributes), ANNOTATIONS_DRAWN)


def _has_faces(found: AuditMap) -> bool:
    return len(found.thumbnail_rows) > 0


def _plane(figure: Figure, found: AuditMap) -> Axes:
    """Axes without a scale: the numbers of a map mean nothing."""
    figure.set_dpi(200)  # of what is drawn as pixels
    axes: Axes = figure.subplots()
    axes.set_xticks([])
    axes.set_yticks([])
    axes.spines["bottom"].set_visible(False)
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.03)
    return axes


def _points(
    axes: Axes,
    xy: Float[np.ndarray, "m 2"],
    colour: str | Float[np.ndarray, "m 4"],
    mark: str = "o",
) -> None:
    # As pixels: thousands of marks would make a heavy page. Small sets get larger points.
    size = float(np.clip(9000 / max(len(xy), 1), 3.5, 26))
    axes.scatter(xy[:, 0], xy[:, 1], s=size, c=colour, marker=mark, linewidths=0, rasterized=True)


def _thinness(found: AuditMap) -> Float[np.ndarray, " m"]:
    """Rank of each point in [0, 1], the thinnest at 1: any rising scale of density looks alike."""
    ranks: Float[np.ndarray, " m"] = rankdata(-found.density)
    return (ranks - 1) / max(len(ranks) - 1, 1)


def _by_density(found: AuditMap) -> Painted:
    def draw(figure: Figure) -> None:
        axes = _plane(figure, found)
        thinness = _thinness(found)
        order = np.argsort(thinness, kind="stable")
        _points(axes, found.xy[order], CROWDED_TO_THIN(thinness[order]))
        ends = (("crowded", 0.05), ("between", 0.5), ("thin", 0.95))
        _legend(figure, [(label, CROWDED_TO_THIN(place), "o") for label, place in ends])

    return draw


def _by_region(found: AuditMap) -> Painted:
    def draw(figure: Figure) -> None:
        axes = _plane(figure, found)
        numbers = [int(number) for number in np.unique(found.region) if number > 0]
        parts = [(f"region {number}", found.region == number) for number in numbers]
        _coloured(figure, axes, found, parts[: len(ARM_STYLES)], "elsewhere")

    return draw


def _by_cluster(document: Document, found: AuditMap) -> Painted:
    def draw(figure: Figure) -> None:
        axes = _plane(figure, found)
        smallest = [row["number"] for row in document["clusters"][: len(ARM_STYLES)]]
        parts = [(f"cluster {number}", found.cluster == number) for number in smallest]
        _coloured(figure, axes, found, parts, "larger clusters")
        for number in np.unique(found.cluster):
            _number(axes, found.xy[found.cluster == number], int(number))

    return draw


def _number(axes: Axes, xy: Float[np.ndarray, "c 2"], number: int) -> None:
    """At the image nearest to the middle: the middle of a crescent lies outside of it."""
    middle = np.median(xy, axis=0)
    place = xy[np.argmin(np.square(xy - middle).sum(axis=1))]
    axes.annotate(
        str(number), place, ha="center", va="center", size=8, weight="bold", color=INK,
        bbox={"boxstyle": "circle,pad=0.22", "fc": "white", "ec": "none", "alpha": 0.8},
    )  # fmt: skip


def _by_annotation(found: AuditMap, attribute: str, values: Sequence[str]) -> Painted:
    def draw(figure: Figure) -> None:
        axes = _plane(figure, found)
        axes.set_title(escape_label(words(attribute), 40))
        column = found.attributes[attribute].astype(str)
        parts = [
            (short_name({"attribute": attribute, "group": f"{attribute}:{value}"}), column == value)
            for value in values[: len(ARM_STYLES)]
        ]
        _coloured(figure, axes, found, parts, "others, or withheld")

    return draw


def _countable(document: Document, attribute: str, found: AuditMap) -> list[str]:
    """Values that may be told apart, commonest first: withheld counts could be read off the map.

    A value that the document states a count of may be shown; where it has no table of groups,
    one with enough points.
    """
    column = found.attributes[attribute].astype(str)
    values, counts = np.unique(column, return_counts=True)
    stated = {row["group"]: row["count"] for row in every_row(document)}
    kept = [
        (-count, str(value)) for value, count in zip(values, counts, strict=True)
        if (is_number(stated.get(f"{attribute}:{value}")) if stated else count >= FEW)
    ]  # fmt: skip
    return [value for _, value in sorted(kept) if value not in ("", UNKNOWN)]


def _coloured(
    figure: Figure,
    axes: Axes,
    found: AuditMap,
    parts: Sequence[tuple[str, Bool[np.ndarray, " m"]]],
    rest: str,
) -> None:
    """Each part in a colour and mark of its own, the smallest on top; the rest in grey below."""
    other = ~np.logical_or.reduce([np.zeros(len(found.xy), bool), *(part[1] for part in parts)])
    _points(axes, found.xy[other], OTHERS)
    styles = dict(zip([label for label, _ in parts], ARM_STYLES, strict=False))
    for label, inside in sorted(parts, key=lambda part: -part[1].sum()):
        _points(axes, found.xy[inside], *styles[label])
    keys = [(label, *styles[label]) for label, _ in parts]
    _legend(figure, [*keys, *([(rest, OTHERS, "o")] if other.any() else [])])


def _legend(figure: Figure, keys: Sequence[tuple[str, Any, str]]) -> None:
    handles = [
        Line2D([], [], color=colour, marker=mark, linestyle="none", label=escape_label(label, 24))
        for label, colour, mark in keys
    ]
    key_above(figure, handles, "outside lower left")


def _faces(found: AuditMap) -> Painted:
    def draw(figure: Figure) -> None:
        axes = _plane(figure, found)
        _points(axes, found.xy, OTHERS)
        assert found.thumbnails is not None  # there are rows of them
        faces = shrink(found.thumbnails, 2 * THUMBNAIL)
        for one in _apart(found):
            picture = OffsetImage(faces[one], zoom=THUMBNAIL / faces.shape[2], resample=True)
            place = tuple(found.xy[found.thumbnail_rows[one]])
            axes.add_artist(AnnotationBbox(picture, place, pad=0.1, bboxprops={"ec": "none"}))

    return draw


def _apart(found: AuditMap) -> list[int]:
    """Thumbnails that do not hide each other, those in thin surroundings first."""
    xy = found.xy[found.thumbnail_rows]
    nearest = APART * float(np.ptp(found.xy, axis=0).max())
    kept: list[int] = []
    for one in np.argsort(found.density[found.thumbnail_rows], kind="stable"):
        if all(np.abs(xy[one] - xy[other]).max() >= nearest for other in kept):
            kept.append(int(one))
    return kept

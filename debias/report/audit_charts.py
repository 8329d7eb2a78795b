"""The charts of an audit, by name."""

from collections.abc import Callable, Mapping
from typing import Any

from matplotlib.figure import Figure

from debias.report.charts.audit_comparison_charts import distance, shares_of_regions
from debias.report.charts.audit_group_charts import group_rarity, group_shares
from debias.report.charts.audit_space_charts import clusters, coverage, directions
from debias.report.charts.maps import maps
from debias.report.charts.style import WIDTH, svg
from debias.report.pictures_of_audits import AuditPictures

Document = Mapping[str, Any]
Drawing = tuple[Callable[[Figure], None], float]


def audit_figures(document: Document, pictures: AuditPictures) -> dict[str, bytes]:
    """Draw what there is to draw.

    Args:
        document: An audit document.
        pictures: The map; of the faces only the thumbnails are drawn, in ``map_faces`` alone.

    Returns:
        Name to SVG: ``reference_distance``, ``reference_regions``, ``drift_distance``,
        ``drift_regions``, ``group_shares``, ``group_rarity``, ``directions``, ``coverage``,
        ``clusters``, ``map_faces``, ``map_density``, ``map_regions``, ``map_cluster`` and
        ``map_annotation`` of the first annotation, the same followed by ``_<name>`` of the others.
        What has nothing to show is left out. The same input gives the same bytes.
    """
    drawn = {
        name: svg(draw, WIDTH, height) for name, (draw, height) in audit_drawings(document).items()
    }
    return drawn | maps(document, pictures.map)


def audit_drawings(document: Document) -> dict[str, Drawing]:
    """What :func:`audit_figures` draws beside the maps, not drawn yet."""
    drawings: dict[str, Drawing | None] = {
        "reference_distance": distance(document["reference"]),
        "reference_regions": shares_of_regions(document["reference"], "in the reference"),
        "drift_distance": distance(document["drift"]),
        "drift_regions": shares_of_regions(document["drift"], "in the earlier version"),
        "group_shares": group_shares(document),
        "group_rarity": group_rarity(document),
        "directions": directions(document),
        "coverage": coverage(document),
        "clusters": clusters(document),
    }
    return {name: drawing for name, drawing in drawings.items() if drawing is not None}

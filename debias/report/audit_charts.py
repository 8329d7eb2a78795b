"""The charts of an audit, by name."""

from debias.report import audit_document as doc
from debias.report.audit_findings import UNJUDGED, short_name, why_no_number
from debias.report.charts import rows as chart
from debias.report.charts.maps import Cells, coverage, map_names, maps
from debias.report.charts.rows import HOLLOW, NOWHERE, Axis, Key, Look, Mark, Rows, Rule, rows_chart
from debias.report.charts.style import (
    ARM_STYLES,
    GROUPS_DRAWN,
    PANELS_DRAWN,
    TOO_SMALL,
    Drawing,
    drawn,
    there,
)
from debias.report.pictures import AuditMap, AuditPictures
from debias.report.readings import is_withheld
from debias.report.words import TIMES, attribute_name, is_number, number

REGIONS_DRAWN = 12
ROWS_DRAWN = 24
SHARE = Axis(label="share of the images", limits=(0, None))
UNJUDGED_LOOK = Look("in no verdict", TOO_SMALL, filled=False)
VERDICTS = {
    "below": Look("below its declared share", *ARM_STYLES[1]),
    "above": Look("above it", *ARM_STYLES[2]),
    "cannot_tell": Look("cannot tell", filled=False),
    None: Look("no share declared"),
}


def audit_figures(document: doc.Findings, pictures: AuditPictures) -> dict[str, bytes]:
    """Draw what there is to draw: name to SVG, the same bytes for the same document.

    The names are those of :func:`audit_drawings`, and ``map_faces`` (the only one with faces),
    ``map_density``, ``map_regions``, ``map_cluster`` and ``map_annotation`` of the first
    annotation, the same followed by ``_<name>`` of the others.
    """
    return drawn(audit_drawings(document)) | map_figures(document, pictures.map)


def map_figures(document: doc.Findings, found: AuditMap | None) -> dict[str, bytes]:
    """The map once for each question; without a map, nothing."""
    if found is None or not len(found.xy):
        return {}
    stated = {row["group"]: row["count"] for row in doc.every_row(document["groups"])}
    values = {name: found.countable(name, stated) for name in map_names(found)}
    return maps(found, [row["number"] for row in document["clusters"]], values)


def audit_drawings(document: doc.Findings) -> dict[str, Drawing]:
    """What :func:`audit_figures` draws beside the maps, not drawn yet; without what is empty."""
    return there(
        {
            "reference_distance": distance(document["reference"]),
            "reference_regions": shares_of_regions(document["reference"], "in the reference"),
            "drift_distance": distance(document["drift"]),
            "drift_regions": shares_of_regions(document["drift"], "in the earlier version"),
            "group_shares": group_shares(document, crossed=False),
            "crossing_shares": group_shares(document, crossed=True),
            "group_rarity": group_rarity(document),
            "directions": directions(document),
            "coverage": _cells(document["coverage"]),
            "clusters": clusters(document),
        }
    )


def distance(comparison: doc.Comparison | None) -> Drawing | None:
    """The distance of two sets on top of what chance alone gives."""
    if comparison is None:
        return None
    low, middle, high = comparison["null"] or (None, None, None)
    told_apart = comparison["verdict"] == "told_apart"
    look = Look("the two sets compared", *ARM_STYLES[int(told_apart)], filled=told_apart)
    mark = Mark(value=comparison["distance"], band=(low, high), stroke=middle, look=look)
    axis = Axis(label="distance between the two sets", ticks=None, limits=(0, None))
    key = Key(band="what chance alone gives")
    return rows_chart([Rows(rows=[chart.Row(label="", marks=[mark])])], [axis], key, row=0.5)


def shares_of_regions(comparison: doc.Comparison | None, there: str) -> Drawing | None:
    """Share of each region here and ``there``, as the key says, what falls short first."""
    rows = [] if comparison is None else comparison["regions"][:REGIONS_DRAWN]
    shown = [
        chart.Row(
            label=f"region {row['number']}",
            marks=[
                _region_share(row, "here", 0, row["share"], (row["share_low"], row["share_high"])),
                _region_share(
                    row,
                    there,
                    1,
                    row["reference_share"],
                    (row["reference_low"], row["reference_high"]),
                ),
            ],
            note=_missing(row),
        )
        for row in rows
    ]
    return rows_chart([Rows(rows=shown)], [SHARE], row=0.36)


def _region_share(
    row: doc.Region, where: str, side: int, share: float, ends: tuple[float, float]
) -> Mark:
    colour, mark = ARM_STYLES[side]
    look = Look(where, colour, mark) if row["found"] else Look("nothing found", TOO_SMALL, mark)
    return Mark(value=share, interval=ends, look=look)


def _missing(row: doc.Region) -> str:
    return f"{number(row['missing'], 'count')} missing" if row["found"] and row["missing"] else ""


def _by_attribute(document: doc.Findings) -> list[tuple[str, list[doc.NamedGroup]]]:
    found = list(doc.by_attribute(document["groups"]).items())[:PANELS_DRAWN]
    return [
        (attribute_name(name), shown[:GROUPS_DRAWN])
        for name, rows in found if (shown := [row for row in rows if not is_withheld(row)])
    ]  # fmt: skip


def group_shares(document: doc.Findings, *, crossed: bool) -> Drawing | None:
    """Share of each group with its interval, beside the share it was declared to have."""
    blocks = [
        Rows(title=title, rows=[*map(_group_share, rows)])
        for title, rows in _by_attribute(document) if (TIMES in title) == crossed
    ]  # fmt: skip
    return rows_chart(blocks, [SHARE], Key(stroke="declared share"), row=0.27)


def _group_share(row: doc.NamedGroup) -> chart.Row:
    look = VERDICTS.get(row["verdict"], VERDICTS[None])
    look = UNJUDGED_LOOK if row["state"] in UNJUDGED else look
    ends = row["low"], row["high"]
    mark = Mark(value=row["share"], interval=ends, stroke=row["declared"], look=look)
    return chart.Row(label=short_name(row), marks=[mark], note=_size(row))


def _size(row: doc.NamedGroup) -> str:
    if not is_number(row["count"]):
        return why_no_number(row)
    small = {"too_small": ", too small", "unknown": ", in no verdict"}.get(row["state"], "")
    return f"n = {number(row['count'], 'count')}{small}"


def group_rarity(document: doc.Findings) -> Drawing | None:
    """How well rarity finds each group, and what the weights do to its share."""
    found = _by_attribute(document)
    if not any(is_number(row["auc"]) for _, rows in found for row in rows):
        return None
    blocks = [Rows(title=title, rows=[*map(_group_rarity, rows)]) for title, rows in found]
    chance = Rule(0.5, "no rarer than others", style="--")
    rarity = Axis(label="area under the curve", ticks=None, rules=[chance])
    weight = Axis(label="share of the images and of the weight", limits=(0, None))
    key = Key(before=HOLLOW._replace(label="share of the images"))
    return rows_chart(blocks, [rarity, weight], key)


def _group_rarity(row: doc.NamedGroup) -> chart.Row:
    judged = row["state"] not in UNJUDGED
    colour = ARM_STYLES[0][0] if judged else TOO_SMALL
    both = is_number(row["share"]) and is_number(row["weight_share"])
    look = Look("rarity of the group", colour, filled=judged)
    rarity = Mark(value=row["auc"], interval=(row["auc_low"], row["auc_high"]), look=look)
    weight = Mark(
        value=row["weight_share"] if both else None, before=row["share"] if both else None,
        look=Look("share of the weight", colour, "s"),
    )  # fmt: skip
    why = "" if is_number(row["auc"]) else why_no_number(row)
    return chart.Row(label=short_name(row), marks=[rarity], right=[weight], note=why)


def directions(document: doc.Findings) -> Drawing | None:
    """Share of the images in the lower half of each direction, in the order of the document."""
    rows = [
        chart.Row(
            label=f"direction {row['number']}",
            marks=[Mark(value=row["low_share"], band=(0.5, row["low_share"]))],
            note=f"{number(row['variance_share'], 'percent')} of the variation",
        )
        for row in document["directions"]
        if is_number(row["low_share"])
    ]
    label, half = "share of the images in the lower half of its range", Rule(0.5, style="--")
    axis = Axis(label=label, rules=[half], limits=(0, 1))
    return rows_chart([Rows(rows=rows[:ROWS_DRAWN])], [axis])


def clusters(document: doc.Findings) -> Drawing | None:
    """Share of each cluster with its interval, smallest first."""
    look = Look("share, with its interval")
    rows = [
        chart.Row(
            label=f"cluster {row['number']}",
            marks=[Mark(value=row["share"], interval=(row["low"], row["high"]), look=look)],
            note=f"density {number(row['density'], 'times')}",
        )
        for row in document["clusters"]
        if is_number(row["share"])
    ]
    even = [Rule(1 / len(rows), "all clusters equally large")] if rows else []
    axis = Axis(label=SHARE.label, limits=(0, None), rules=even)
    return rows_chart([Rows(rows=rows[:ROWS_DRAWN])], [axis])


def _cells(found: doc.Coverage) -> Drawing | None:
    if not found["shares"]:
        return None
    bell = found["bell"]
    cells = Cells(
        shares=found["shares"], cells=found["cells"],
        effective=Mark(value=found["effective_cells"], band=bell["effective_cells"] or NOWHERE),
        densest=Mark(value=found["densest_tenth"], band=bell["densest_tenth"] or NOWHERE),
    )  # fmt: skip
    return coverage(cells)

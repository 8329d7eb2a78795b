"""The page about an ingest: what came in, what became of it, and whom that hit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from debias.report import contact_sheet, ingest_view
from debias.report.charts import rows as chart
from debias.report.charts.flow import flow
from debias.report.charts.rows import Axis, Look, Mark, Rows, Rule, rows_chart
from debias.report.charts.style import ARM_STYLES, GROUPS_DRAWN, PANELS_DRAWN, Drawing, drawn
from debias.report.contact_sheet import FacePictures
from debias.report.html import embedded, fill, put
from debias.report.panels import Row
from debias.report.words import TIMES, day, is_number, number

Document = Mapping[str, Any]


def write_ingest_page(document: Document, pictures: FacePictures, path: Path) -> None:
    """Write the page about an ingest, or leave what was there untouched.

    Every number and verdict is printed as the document states it. ``None`` in the place of a
    number of a group means withheld, unless said otherwise; shares are in [0, 1].

    Args:
        document: An ingest document, plain values only:

            - ``name``, ``store``, ``key``, ``created`` (ISO 8601), ``image_size`` (pixels a
              side), ``seconds``, ``reused`` (whether an earlier store was taken as it was),
              ``framing`` and ``identities`` (a sentence each), ``concluded`` (sentences).
            - ``source``: ``name``, ``place``, ``annotation`` (who assigned the groups and how),
              ``source`` (``annotated``, ``estimated``, ...).
            - ``counts``: ``listed`` = ``kept`` + ``rejected`` + ``exact_duplicates`` +
              ``not_selected`` (filters, caps, leaks); ``near_pairs``, ``mirrored_pairs``,
              ``clusters``, ``clustered_images``, ``conflicts`` (pairs whose labels disagree),
              ``people`` (None: nobody says). Parts that do not add up are reported on the page.
            - ``reasons``: ``reason``, ``count``, ``examples`` of ``sample_id``, ``path``,
              ``detail``, ``format`` (may be empty), ``dimensions`` (width and height, or None).
              They add up to ``counts.rejected``: exact duplicates are none of them.
            - ``notes``: ``note``, ``count``: what was converted on the way.
            - ``groups``: ``attribute``, ``group`` (with or without ``attribute:``), ``listed``,
              ``rejected``, ``share``, ``times_overall``, ``p`` and ``p_adjusted`` (None beside a
              number in ``rejected``: not tested), ``flagged``, ``duplicates``.
            - ``limits``: ``most_rejected``, ``most_group_ratio``, ``level``.
            - ``duplicates``: ``rule`` (a sentence) and ``pairs`` of ``first`` and ``second``
              (sample ids), ``kind`` (``near``, ``mirrored``, ``exact`` or ``latent``), ``bits``
              and ``correlation`` (None: not compared so), ``conflict`` (names of attributes
              joined by ", ", or empty), ``splits`` (of both; empty text: not in the store).
            - ``splits``: ``split``, ``images``, ``people`` (None: nobody says), ``share`` of the
              kept images, ``by_group`` of ``attribute``, ``group``, ``images``, ``share`` of the
              split.
            - ``leaks``: ``checked`` (some of ``people``, ``duplicates``, ``content``) and
              ``removed``.
        pictures: Sample id to its pixels, ``uint8 (H, W, 3)``; empty unless the configuration
            allows faces. Only those that stand on the page are embedded.
        path: File to write, readable by its owner alone; its folder must exist.

    Raises:
        OSError: The folder cannot be written.
    """
    put(path, render_ingest(document, pictures))


def render_ingest(document: Document, pictures: FacePictures) -> str:
    """The page about an ingest as text."""
    return fill("ingest.html", _view(document, pictures))


def _view(document: Document, pictures: FacePictures) -> dict[str, Any]:
    return {
        "document": document,
        "counts": document["counts"],
        "name": ingest_view.shown(document["name"]),
        "created": day(document["created"]),
        "outcome": ingest_view.outcome(document),
        "cautions": ingest_view.cautions(document),
        "groups": ingest_view.groups(document),
        "groups_drawn": GROUPS_DRAWN,
        "tested": ingest_view.tested(document),
        "rejects": contact_sheet.rejects(document, pictures),
        "duplicates": contact_sheet.duplicates(document, pictures),
        "split_groups": ingest_view.split_groups(document),
        "leak_check": ingest_view.leak_check(document),
        "provenance": ingest_view.provenance(document),
        "faces_shown": bool(pictures),
        "charts": embedded(ingest_figures(document)),
    }


def ingest_figures(document: Document) -> dict[str, bytes]:
    """Name to SVG: ``flow`` and ``rejected_by_group``; the same input gives the same bytes."""
    return drawn({"flow": _flow(document), "rejected_by_group": rejected_by_group(document)})


def _flow(document: Document) -> Drawing | None:
    counts = document["counts"]
    reasons = sorted((-row["count"], row["reason"]) for row in document["reasons"])
    became = {
        "kept": (counts["kept"], [(row["split"], row["images"]) for row in document["splits"]]),
        "not selected": (counts["not_selected"], []),
        "exact duplicates": (counts["exact_duplicates"], []),
        "rejected": (counts["rejected"], [(reason, -count) for count, reason in reasons]),
    }
    return flow(counts["listed"], became)


def rejected_by_group(document: Document) -> Drawing | None:
    """Share of each group that was rejected, flagged groups first, beside the share of all."""
    overall, most = ingest_view.overall_share(document), document["limits"]["most_group_ratio"]
    if not overall:
        return None
    limit = Rule(most * overall, f"{number(most)}{TIMES} all images", ARM_STYLES[1][0])
    axis = Axis(
        label="share of the images listed that was rejected",
        rules=[Rule(overall, "all images", style="--"), limit],
        limits=(0, None),
    )
    blocks = [
        Rows(title=panel.title, rows=[*map(_rejected, panel.rows)])
        for panel in ingest_view.group_panels(document, GROUPS_DRAWN, PANELS_DRAWN)
    ]
    return rows_chart(blocks, [axis], row=0.27)


def _rejected(row: Row) -> chart.Row:
    look = Look("flagged", *ARM_STYLES[1]) if row["flagged"] else Look("group", filled=False)
    note = "no images" if row["listed"] == 0 else "withheld"
    if is_number(row["share"]):
        note = f"{number(row['rejected'], 'count')} of {number(row['listed'], 'count')}"
    mark = Mark(value=row["share"], look=look)
    return chart.Row(label=ingest_view.short_name(row), marks=[mark], note=note)

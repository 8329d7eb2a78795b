"""Findings of an audit document in the order in which a reader asks for them."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from debias.report.audit_groups_view import every_row
from debias.report.board import View
from debias.report.facts import how_described
from debias.report.ingest_view import shown
from debias.report.words import full_group_name, is_number, number

Document = Mapping[str, Any]
# What a verdict is about, and the section of the page that tells more.
KINDS = {
    "fidelity": ("The model", "how"),
    "who": ("Who is there", "groups"),
    "undeclared": ("Who is missing", "reference"),
    "shortfall": ("Against the reference", "reference"),
    "group": ("Annotated groups", "groups"),
    "thin": ("Thin regions", "regions"),
    "drift": ("Since the earlier version", "drift"),
    "coverage": ("Coverage", "coverage"),
    "caution": ("Caution", "limits"),
    "nothing": ("No finding", "limits"),
}
NO_NUMBER = (
    "How many images to collect cannot be said: that takes something to compare with. Give "
    "--reference FOLDER, a collection that looks as this one should, or --shares FILE, the share "
    "that each annotated group should have (in a recipe: reference, audit.shares)."
)
ALIKE = (
    "What counts as alike is what changes pixels most: light, background and framing as much as "
    "people. Only a look at the pictures tells which of these it is."
)
ALIKE_ELSEWHERE = (
    "What counts as alike was decided elsewhere, where the description was made: it may be people, "
    "but also light, background or framing. Only a look at the pictures tells which of these it is."
)
DOUBT = (
    "This rests on a model that draws nearly the same face for every image: do not rely on it "
    "before it has been trained for longer, see above."
)
NOTHING_SHORT = (
    "Nothing was found to fall short of what this collection was compared with. That is no proof "
    "that nobody is missing."
)


def verdicts(document: Document) -> list[View]:
    """What a reader must know, in the order of the document, with where to read on."""
    return [_verdict(found) for found in document["verdicts"]]


def first(found: list[View]) -> int:
    """How many verdicts stand before the picture: up to the first about who is missing."""
    ahead = [one["kind"] in ("fidelity", "who") for one in found]
    return next((place + 1 for place, is_ahead in enumerate(ahead) if not is_ahead), len(found))


def _verdict(found: Mapping[str, Any]) -> View:
    title, section = KINDS.get(found["kind"], ("Finding", "limits"))
    calm = found["kind"] in ("nothing", "coverage", "who", "undeclared")
    first, rest = opening(found["sentence"])
    return {**found, "first": first, "rest": rest, "title": title, "section": section, "calm": calm}


def opening(text: str) -> tuple[str, str]:
    """The first sentence, to be set off, and what follows it."""
    parts = re.split(r"(?<=[.!?])\s+(?=[A-Z])", text, maxsplit=1)
    return parts[0], parts[1] if len(parts) > 1 else ""


def collect(document: Document) -> list[View]:
    """What to collect and how many of it, most missing first; only what was found.

    Returns:
        Parts with a ``title``, ``total`` (images that fill all rows at once, None where it is not
        known) and ``rows`` of ``who`` (in words), ``missing``, ``low`` and ``high`` (None where
        there is no interval), ``together`` (what it takes where all rows are filled at once, None
        where it is not known), ``ids`` (images that show what is meant) and ``link`` (what tells
        more on the page).
    """
    total = document["reference"] and document["reference"]["missing_total"]
    parts = (
        ("To look like the reference", total, _of_regions(document)),
        ("To reach the declared shares", None, _of_groups(document)),
    )
    found = [
        {"title": title, "total": total, "rows": sorted(rows, key=lambda row: -row["missing"])}
        for title, total, rows in parts
    ]
    return [part for part in found if part["rows"]]


def _of_regions(document: Document) -> Iterator[View]:
    reference = document["reference"]
    for region in [] if reference is None else reference["regions"]:
        if region["found"] and is_number(region["missing"]) and region["missing"] > 0:
            yield {
                "who": f"images like those of region {region['number']}",
                "missing": region["missing"],
                "low": region["missing_low"],
                "high": region["missing_high"],
                "together": region.get("missing_together"),
                "ids": region["typical"],
                "link": f"reference-{region['number']}",
            }


def _of_groups(document: Document) -> Iterator[View]:
    for row in every_row(document):
        if row["verdict"] == "below" and is_number(row["missing"]) and row["missing"] > 0:
            yield {
                "who": f"images of {full_group_name(row['group'])}",
                "missing": row["missing"],
                "low": None,
                "high": None,
                "together": None,
                "ids": [],
                "link": "groups",
            }


def why_nothing_to_collect(document: Document) -> str:
    """The sentence that stands where there is no number of images to collect."""
    declared = any(row["declared"] is not None for row in every_row(document))
    return NOTHING_SHORT if declared or document["reference"] is not None else NO_NUMBER


def headline_figures(document: Document) -> list[View]:
    """Up to three large numbers: images, thin regions, images to collect."""
    regions, reference = document["regions"], document["reference"]
    thin = sum(row["found"] for row in regions["list"])
    figures = [
        ("images audited", document["data"]["images"], ""),
        ("thin regions found", thin, f"of {number(regions['looked_at'], 'count')} looked at"),
    ]
    if regions["verdict"] == "too_few":
        figures[1] = ("thin regions found", None, "too few images to look")
    if reference is not None:
        beside = "to look like the reference"
        figures.append(("images to collect", reference["missing_total"], beside))
    return [{"label": label, "value": value, "note": note} for label, value, note in figures]


def how_seen(document: Document) -> list[str]:
    """How the images came to be points in a space, for somebody who never heard of one."""
    facts = document["representation"]
    size = number(facts["latent_dim"], "count")
    active = number(facts["active_units"], "count")
    return [
        how_described(facts),
        f"Each image is described by {size} numbers, of which {active} carry information. Images "
        "that look alike have similar numbers, so the collection is like a landscape: where many "
        "images lie close together it is crowded, where few lie it is thin. This page asks where "
        "it is thin, and what would fill the gaps.",
        *_faithful(document),
        ALIKE_ELSEWHERE if facts["name"] in ("embeddings", "encoder") else ALIKE,
    ]


def _faithful(document: Document) -> list[str]:
    """What the model keeps of an image, with how that was measured."""
    found = document.get("fidelity")
    return [] if found is None else [found["sentence"]]


def doubt(document: Document) -> str | None:
    """What stands over every figure that rests on a model that draws one face for everybody."""
    found = document.get("fidelity")
    return DOUBT if found is not None and found["verdict"] == "blurred" else None


def unnamed(document: Document) -> str:
    """Why nothing is broken down by group."""
    known = ", ".join(document["data"].get("known") or ())
    if known:
        return f"The data hold annotated columns that were not named ({known})"
    return "No annotated column was named"


def provenance(document: Document) -> list[tuple[str, str]]:
    """Where the images came from and how they were audited."""
    data, run = document["data"], document["run"]
    splits = ", ".join(f"{number(n, 'count')} {split}" for split, n in data["splits"].items())
    spent = sum(value for value in run["seconds"].values() if is_number(value))
    attributes = ", ".join(shown(name) for name in data["attributes"])
    return [
        ("Read as", shown(data["name"])),
        ("Place", shown(data["place"], 400)),
        ("Images", splits or number(data["images"], "count")),
        ("Attributes", attributes or "none named"),
        ("Annotation", data["annotation"] if data["attributes"] else "not used"),
        ("Pixels", f"{number(data['image_size'], 'count')} a side"),
        ("Described by", _representation(document["representation"])),
        ("Machine", shown(run["device"])),
        ("Time", number(spent, "seconds") if run["seconds"] else "not recorded"),
        ("Folder", shown(run["folder"], 400)),
        ("MLflow", shown(run["mlflow"], 400) if run["mlflow"] else "not recorded"),
    ]


def _representation(facts: Mapping[str, Any]) -> str:
    made = "trained on these images" if facts["trained"] else "not trained on these images"
    return f"{shown(facts['name'])}, {made}"

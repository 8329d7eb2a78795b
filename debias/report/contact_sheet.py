"""Tiles: rejected items by reason, and duplicates side by side; faces only where they are given."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import UInt8

from debias.report.board import View
from debias.report.ingest_view import shown
from debias.report.panels import Row
from debias.report.pictures import shrink, webp
from debias.report.tables import paged
from debias.report.words import TIMES, words

Document = Mapping[str, Any]
FacePictures = Mapping[str, UInt8[np.ndarray, "_ _ 3"]]
TILES_A_REASON = 12
TILES_OPEN = 24  # on all sheets together; the others are folded away
PAIRS_OPEN = 12
KINDS = {
    "near": "near copy",
    "mirrored": "mirror image",
    "exact": "same content",
    "latent": "close in the latent space",
}


def rejects(document: Document, pictures: FacePictures) -> list[View]:
    """A sheet a reason, the commonest reason first."""
    rows = sorted(document["reasons"], key=lambda row: (-row["count"], row["reason"]))
    found, open_tiles = [], 0
    for row in rows:
        examples = row["examples"][:TILES_A_REASON]
        found.append(
            {
                "reason": row["reason"],
                "count": row["count"],
                "open": open_tiles < TILES_OPEN,
                "shown": len(examples),
                "tiles": [_reject(one, pictures) for one in examples],
            }
        )
        open_tiles += len(examples)
    return found


def _reject(item: Row, pictures: FacePictures) -> View:
    sizes = item["dimensions"]
    pixels = "" if not sizes else f"{sizes[0]:,} {TIMES} {sizes[1]:,}"
    return {
        **_tile(item["sample_id"], pictures),
        "path": shown(item["path"]),
        "whole": shown(item["path"], 5000),
        "detail": shown(item["detail"], 240),
        "about": ", ".join(part for part in (shown(item["format"]), pixels) if part),
    }


def _tile(sample_id: str, pictures: FacePictures) -> View:
    pixels = pictures.get(sample_id)
    return {
        "id": shown(sample_id),
        "picture": None if pixels is None else webp(shrink(pixels[None])[0]),
    }


def duplicates(document: Document, pictures: FacePictures) -> View:
    """Pairs side by side: those with conflicting labels first, the first dozen open."""
    pairs = sorted(document["duplicates"]["pairs"], key=lambda pair: not pair["conflict"])
    cards = [_pair(pair, pictures) for pair in pairs]
    counts = document["counts"]
    found = (counts[name] for name in ("exact_duplicates", "near_pairs", "mirrored_pairs"))
    return {
        "any": bool(cards) or any(found),
        "apart": "duplicates" in document["leaks"]["checked"] and bool(document["splits"]),
        "count": len(cards),
        "open": cards[:PAIRS_OPEN],
        "folded": list(paged(cards[PAIRS_OPEN:])),
        "rule": document["duplicates"]["rule"],
    }


def _pair(pair: Row, pictures: FacePictures) -> View:
    splits = [split or "not in the store" for split in pair["splits"]]
    sides = {split for split in pair["splits"] if split}
    return {
        "ends": [_tile(pair[end], pictures) for end in ("first", "second")],
        "kind": KINDS.get(pair["kind"], words(pair["kind"])),
        "bits": pair["bits"],
        "correlation": pair["correlation"],
        "conflict": words(pair["conflict"]),
        "splits": ", ".join(dict.fromkeys(splits)),
        "apart": len(sides) > 1,
    }

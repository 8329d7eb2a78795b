"""Sections of the audit document: what was found, as plain values with images by their ids.

``n`` images.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Shaped

from debias.auditing import words as wording
from debias.auditing.clusters import Clusters
from debias.auditing.coverage import Coverage
from debias.auditing.directions import Direction
from debias.auditing.latent_map import LatentMap
from debias.auditing.thin import ThinRegion, ThinRegions

SHOWN, ENDS = 24, 12  # images named for a region, and for a cluster or an end of a direction
HALF = 0.5
CANDIDATES = 6  # thin regions listed, if no more were found
NOTES = {
    "t-SNE": "Neighbours on the map are alike; distances between far places mean nothing.",
    "PCA": "The two directions in which the images differ most.",
}

Ids = Shaped[np.ndarray, " n"]
Members = Bool[np.ndarray, " n"]


def of_fidelity(found: dict[str, Any] | None) -> dict[str, Any] | None:
    """With what it means; None where it was not measured."""
    if found is None:
        return None
    sentence, action = wording.of_fidelity(found)
    return found | {"sentence": sentence, "action": action}


def of_coverage(found: Coverage) -> dict[str, Any]:
    sentence, action = wording.of_coverage(found)
    return {
        "cells": found.cells,
        "occupied": found.occupied,
        "effective_cells": found.effective_cells,
        "densest_tenth": found.densest_tenth,
        "bell": found.bell,
        "shares": list(found.shares),
        "sentence": sentence,
        "action": action,
    }


def of_regions(
    found: ThinRegions, ids: Ids, explained: Callable[[Members], list[dict[str, Any]]]
) -> dict[str, Any]:
    """``explained`` says what annotations tell about some of the images."""
    sentence, action = wording.of_regions(found)
    return {
        "verdict": found.verdict,
        "looked_at": found.looked_at,
        "level": found.level,
        "sentence": sentence,
        "action": action,
        "list": [
            _region(number, region, ids) | {"explains": explained(region.members)}
            for number, region in enumerate(listed(found), 1)
        ],
    }


def listed(found: ThinRegions) -> tuple[ThinRegion, ...]:
    """All that were found, then the most promising others up to six in all."""
    return found.regions[: max(CANDIDATES, len(found.found))]


def _region(number: int, region: ThinRegion, ids: Ids) -> dict[str, Any]:
    figures = {
        name: getattr(region, name)
        for name in ("view", "count", "share", "low", "high", "p", "p_adjusted", "found")
    }
    return {
        "number": number,
        **figures,
        "sentence": wording.of_region(region),
        "typical": ids[region.typical(SHOWN)].tolist(),
        "opposite": ids[region.opposite(SHOWN)].tolist(),
    }


def of_direction(one: Direction, ids: Ids) -> dict[str, Any]:
    return {
        "number": one.number,
        "variance_share": one.variance_share,
        "skewness": one.skewness,
        "low_share": one.low_share,
        "sentence": wording.of_direction(one),
        "low": ids[one.rows(ENDS, high=False)].tolist(),
        "high": ids[one.rows(ENDS, high=True)].tolist(),
    }


def of_clusters(
    found: Clusters, rarity: Float64[np.ndarray, " n"], ids: Ids
) -> list[dict[str, Any]]:
    """Smallest first; density beside that of the typical image, which is 1."""
    typical = float(np.median(rarity))
    rows = []
    for number, count in enumerate(found.counts.tolist()):
        low, high = found.limits(number)
        crowded = typical - float(np.median(rarity[found.of == number]))
        rows.append(
            {
                "number": number + 1,
                "count": count,
                "share": count / len(ids),
                "low": low,
                "high": high,
                "density": float(np.exp(np.clip(crowded, -50, 50))),
                "typical": ids[found.typical(number, ENDS)].tolist(),
            }
        )
    return rows


def of_map(found: LatentMap, size: int) -> dict[str, Any]:
    return {
        "method": found.method,
        "shown": len(found.rows),
        "of": size,
        "note": NOTES[found.method],
    }


def of_extremes(rarity: Float64[np.ndarray, " n"], ids: Ids) -> dict[str, list[str]]:
    """Images with the least and the most crowded surroundings."""
    order = np.argsort(-rarity, kind="stable")
    return {
        "least": ids[order[:SHOWN]].tolist(),
        "most": ids[order[::-1][:SHOWN]].tolist(),
    }


def explains(groups: pd.DataFrame, members: Members, told: Sequence[str]) -> list[dict[str, Any]]:
    """Share of every annotated group inside and outside of a region, most telling first.

    Args:
        groups: One row an image, text columns.
        members: (n,), inside.
        told: Attributes whose shares may be told; of others, only which group is the most of a
            region, if one is.
    """
    rows: list[dict[str, Any]] = []
    for attribute, column in groups.items():
        inside, outside = (
            column[which].value_counts(normalize=True) for which in (members, ~members)
        )
        for value in sorted(set(inside.index) | set(outside.index)):
            row: dict[str, Any] = {"group": f"{attribute}:{value}"}
            row |= {"inside": None, "outside": None}
            if attribute in told:
                row |= {"inside": inside.get(value, 0.0), "outside": outside.get(value, 0.0)}
            rows.append(row | {"most": bool(inside.get(value, 0.0) > HALF)})
    return sorted(rows, key=_least_telling)


def _least_telling(row: Mapping[str, Any]) -> tuple[bool, bool, float, str]:
    if row["inside"] is None:
        return True, not row["most"], 0.0, row["group"]
    return False, False, row["outside"] - row["inside"], row["group"]

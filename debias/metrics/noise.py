"""How much a gap depends on who was put into which group: the groups are shuffled a little.

``g`` cells, ``c`` classes, ``m`` measures, ``draws`` relabellings.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64, Real

from debias.statistics.counts import Measure, counted, ratio

FLIPPED = (0.05, 0.10)
DRAWS = 200


def label_noise(
    table: Real[np.ndarray, "g c c"],
    found: Sequence[Measure],
    *,
    minimum: int,
    generator: np.random.Generator,
    flipped: Sequence[float] = FLIPPED,
    draws: int = DRAWS,
) -> pd.DataFrame:
    """Range of every largest gap when a share of the group labels is wrong at random.

    Each image changes its group with the given probability, to any other group with equal chance.
    What was true and predicted of it stays, so the counts tell all: no image is touched.

    Args:
        table: (g, c, c) images of each group, by true and predicted class; means over trainings
            are rounded. Labels move between all g groups, so leave out those without images.
        found: The measures whose gaps are asked for.
        minimum: Groups with fewer images in a denominator, as annotated, are left out of that gap.
        generator: Source of the relabellings.
        flipped: Shares of wrong labels, each at most 1 - 1 / g.
        draws: Relabellings for each share.

    Returns:
        One row for each measure and share. Columns metric, flipped, gap (highest minus lowest rate
        as annotated), low and high (the smallest and the largest such gap over the draws); NaN
        with fewer than two groups of ``minimum`` images.
    """
    images = np.rint(table).astype(np.int64)
    estimated = counted(images, found)[1] >= minimum  # (g, m)
    gap = _gaps(images[None], found, estimated)[0]  # (m,)
    rows = []
    for share in flipped:
        relabelled = _gaps(_relabel(images, share, draws, generator), found, estimated)
        low, high = relabelled.min(axis=0), relabelled.max(axis=0)
        columns = {"gap": gap, "low": low, "high": high}
        rows.append(pd.DataFrame({"metric": [m.name for m in found], "flipped": share, **columns}))
    return pd.concat(rows).sort_values("flipped", kind="stable", ignore_index=True)


def _relabel(
    images: Int64[np.ndarray, "g c c"], share: float, draws: int, generator: np.random.Generator
) -> Int64[np.ndarray, "draws g c c"]:
    g = len(images)
    if g < 2:
        return np.repeat(images[None], draws, axis=0)
    # A move to another group with this chance is a fresh label, its own included, with a slightly
    # higher one. Fresh labels of all groups are alike, so they are dealt out together.
    moved = generator.binomial(images, share * g / (g - 1), size=(draws, *images.shape))
    dealt = generator.multinomial(moved.sum(axis=1), np.full(g, 1 / g))  # (draws, c, c, g)
    return images - moved + np.moveaxis(dealt, -1, 1)


def _gaps(
    images: Int64[np.ndarray, "draws g c c"],
    found: Sequence[Measure],
    estimated: Bool[np.ndarray, "g m"],
) -> Float64[np.ndarray, "draws m"]:
    """Highest minus lowest rate over the groups that are estimated."""
    rates = ratio(*counted(images.reshape(-1, *images.shape[2:]), found))
    rates = rates.reshape(*images.shape[:2], len(found))  # (draws, g, m)
    take_part = estimated & np.isfinite(rates)
    highest = np.where(take_part, rates, -np.inf).max(axis=1)
    lowest = np.where(take_part, rates, np.inf).min(axis=1)
    return np.where(take_part.sum(axis=1) > 1, highest - lowest, np.nan)

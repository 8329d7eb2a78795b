"""What an audit found, as one value, and the sections of its document: images by their ids.

``n`` images, ``k`` latent dimensions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Shaped

from debias.auditing import words as wording
from debias.auditing.coverage import Clusters, Direction, LatentMap
from debias.auditing.thin import ThinRegion, ThinRegions
from debias.shown import Shown
from debias.storage.sealed import write_json
from debias.types import Latents

SHOWN, ENDS = 24, 12  # images named for a region, and for a cluster or an end of a direction
HALF = 0.5
CANDIDATES = 6  # thin regions listed, if no more were found

Ids = Shaped[np.ndarray, " n"]
Members = Bool[np.ndarray, " n"]
Score = Float64[np.ndarray, " n"]
Section = dict[str, Any]


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditReport(Shown):
    """How representative a set of images is, and what that rests on.

    Attributes:
        document: Plain values, the same as in ``audit.json``: ``verdicts`` (worst first),
            ``fidelity`` (whether the model tells images apart, None where it was not measured),
            ``coverage``, ``regions``, ``directions``, ``clusters``, ``reference``, ``drift``,
            ``groups``, ``limits``.
        images: One row an audited image, in the order of the latents: ``sample_id, split, cluster,
            cell, region`` (0: none), ``rarity`` (log-rarity, larger is rarer), ``weight`` (mean 1,
            as for training), ``nats, log_ratio`` (wanted by the reference), ``x, y``; NaN where
            it was not asked for or not drawn.
        latents: Where the images lie; (k,) ``active`` dimensions say something about them.
        regions: Thin regions, most certain first.
        directions: Of the latent space, most unevenly populated first.
        groups: (n) annotated columns of the images, as text.
    """

    document: Mapping[str, Any]
    images: pd.DataFrame
    latents: Latents
    active: Bool[np.ndarray, " k"]
    regions: ThinRegions
    directions: Sequence[Direction]
    layout: LatentMap
    groups: pd.DataFrame
    image_size: int

    def __repr__(self) -> str:
        return f"AuditReport of {len(self.images):,} images: {self.verdicts[0]}"

    @property
    def verdicts(self) -> list[str]:
        """What a reader must know, worst first, one sentence each."""
        return [one["sentence"] for one in self.document["verdicts"]]

    def to_dict(self) -> dict[str, Any]:
        """The document as a new dictionary."""
        return dict(self.document)

    def to_json(self, path: str | Path) -> None:
        """Write the document; undefined numbers are null."""
        write_json(Path(path), self.document)


def of_fidelity(found: Section | None) -> Section | None:
    """With what it means; None where it was not measured."""
    return None if found is None else found | wording.of_fidelity(found)


def of_regions(found: ThinRegions, ids: Ids, explained: Callable[[Members], Any]) -> Section:
    """``explained`` says what annotations tell about some of the images."""
    names = ("p", "p_adjusted", "found")
    return {
        "verdict": found.verdict,
        "looked_at": found.looked_at,
        "level": found.level,
        **wording.of_regions(found),
        "list": [
            {
                "number": number,
                "view": region.view,
                "count": region.share.count,
                "share": region.share.value,
                "low": region.share.low,
                "high": region.share.high,
                **{name: getattr(region, name) for name in names},
                "sentence": wording.of_region(region),
                "typical": ids[region.typical(SHOWN)].tolist(),
                "opposite": ids[region.opposite(SHOWN)].tolist(),
                "explains": explained(region.members),
            }
            for number, region in enumerate(listed(found), 1)
        ],
    }


def listed(found: ThinRegions) -> tuple[ThinRegion, ...]:
    """All that were found, then the most promising others up to six in all."""
    return found.regions[: max(CANDIDATES, len(found.found))]


def of_direction(one: Direction, ids: Ids) -> Section:
    names = ("number", "variance_share", "skewness", "low_share")
    return {name: getattr(one, name) for name in names} | {
        "sentence": wording.of_direction(one),
        "low": ids[one.rows(ENDS, high=False)].tolist(),
        "high": ids[one.rows(ENDS, high=True)].tolist(),
    }


def of_clusters(found: Clusters, rarity: Score, ids: Ids) -> list[Section]:
    """Smallest first; density beside that of the typical image, which is 1."""
    typical = float(np.median(rarity))
    crowded = [typical - float(np.median(rarity[found.of == n])) for n in range(len(found.shares))]
    return [
        {
            "number": number + 1,
            "count": share.count,
            "share": share.value,
            "low": share.low,
            "high": share.high,
            "density": float(np.exp(np.clip(crowded[number], -50, 50))),
            "typical": ids[found.typical(number, ENDS)].tolist(),
        }
        for number, share in enumerate(found.shares)
    ]


def explains(groups: pd.DataFrame, members: Members, below: int) -> list[Section]:
    """Share of every annotated group inside and outside of a region, most telling first.

    Counts inside and outside of a region add up to those of a group, so one count of an attribute
    from 1 to ``below`` could be worked out from another region: then no share of that attribute is
    told, only which group is the most of a region; where a group is small as a whole, anywhere.
    """
    rows: list[Section] = []
    for attribute, column in groups.items():
        counts = pd.crosstab(column, members).reindex(columns=[True, False], fill_value=0)
        sums = counts.sum(axis=1), counts.sum(axis=0), [len(column)]
        every = np.concatenate([counts.to_numpy().ravel(), *sums])
        small = ((every > 0) & (every < below)).any()
        for value, here, there in (counts / counts.sum()).fillna(0.0).itertuples(name=None):
            inside, outside = (None, None) if small else (here, there)
            named = {"group": f"{attribute}:{value}", "inside": inside, "outside": outside}
            rows.append(named | {"most": bool(here > HALF)})
    return sorted(rows, key=_least_telling)


def _least_telling(row: Section) -> tuple[bool, bool, float, str]:
    if row["inside"] is None:
        return True, not row["most"], 0.0, row["group"]
    return False, False, row["outside"] - row["inside"], row["group"]

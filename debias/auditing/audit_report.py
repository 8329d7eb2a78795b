"""What an audit found, as one value."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool

from debias.auditing.directions import Direction
from debias.auditing.latent_map import LatentMap
from debias.auditing.thin import ThinRegions
from debias.shown import Shown
from debias.storage.sealed import write_json
from debias.types import Latents


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
        latents: Where the images lie.
        active: (k,), latent dimensions that say something about the images.
        regions: Thin regions, most certain first.
        directions: Of the latent space, most unevenly populated first.
        layout: The map.
        groups: (n) annotated columns of the images, as text.
        image_size: Side of the images, pixels.
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

"""What the latent pages are made of: the images, their latents, and the network between them."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64, UInt8

from debias.models import Decodes
from debias.models import galleries as generation
from debias.seeding import numpy_generator
from debias.training.device import Compute
from debias.types import FaceStore, Latents

COLUMNS = 8  # pictures beside each other


@dataclass(frozen=True, kw_only=True, eq=False)
class LatentPage:
    name: str
    title: str
    means: str
    do: str
    rows: list[str]
    picture: UInt8[np.ndarray, "rows columns H W 3"]

    def entry(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in ("name", "title", "means", "do", "rows")}


@dataclass(frozen=True, kw_only=True, eq=False)
class LatentSource:
    """What pages are made of; images are named by their position among the audited ones."""

    network: Decodes
    faces: FaceStore
    rows: Int64[np.ndarray, " n"]
    latents: Latents
    compute: Compute
    seed: int
    nats: Float64[np.ndarray, " n"] | None
    left_out: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.rows)

    def generator(self, page: str) -> np.random.Generator:
        return numpy_generator(self.seed, f"audit/latent_pages/{page}")

    def originals(self, chosen: Int64[np.ndarray, " m"]) -> UInt8[np.ndarray, "m H W 3"]:
        return self.faces.images[self.rows[chosen]]

    def reconstructions(self, chosen: Int64[np.ndarray, " m"]) -> UInt8[np.ndarray, "m H W 3"]:
        return generation.decode(self.network, self.latents.mean[chosen], self.compute)

    def pairs(self, chosen: Int64[np.ndarray, " m"]) -> UInt8[np.ndarray, "rows columns H W 3"]:
        """Rows of originals and, below each, of reconstructions."""
        both = np.stack([self.originals(chosen), self.reconstructions(chosen)])
        columns = min(COLUMNS, len(chosen))
        blocks = both.reshape(2, -1, columns, *both.shape[2:]).swapaxes(0, 1)
        return blocks.reshape(-1, *blocks.shape[2:])

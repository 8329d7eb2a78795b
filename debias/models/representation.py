"""What every representation says of itself, and files in which one may lie.

``B`` batch, ``n`` samples, ``k`` dimensions, ``C, H, W`` image.
"""

import hashlib
from pathlib import Path
from typing import Any, ClassVar, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor, nn

from debias.errors import DataError
from debias.plugins import Settings

Network = nn.Module


class Representation(Settings):
    """Settings that lead to something that places faces in a latent space.

    One that is ``trained`` builds a network, which is fitted to the training faces: it encodes
    images as :class:`Encodes` and has ``loss(batch)``, a dictionary of batch means with the key
    ``loss``. If it also ``decode``s, pictures are drawn; if it has ``nats(images)``, the (B,)
    negative ELBO, images are ranked by it; if it has ``figures(losses, mean)``, these are reported
    in place of its losses. Any other is opened as it is, and encodes images or, ``by_id``, finds
    samples as :class:`Finds`.
    """

    trained: ClassVar[bool] = True
    by_id: ClassVar[bool] = False

    name: str

    def identity(self) -> dict[str, Any]:
        """What decides the numbers: settings and contents of files, not where they lie."""
        return self.model_dump(mode="json")

    def build(self, image_size: int) -> Network:
        """The untrained network for square RGB images of the given side, pixels."""
        raise NotImplementedError(f"the representation {self.name!r} builds no network")

    def open(self, device: torch.device) -> "Encodes | Finds":
        """Read what exists already, ready for use."""
        raise NotImplementedError(f"the representation {self.name!r} opens no file")


@runtime_checkable
class Encodes(Protocol):
    """Places images by looking at them."""

    def encode(
        self, images: Float[Tensor, "B C H W"]
    ) -> tuple[Float[Tensor, "B k"], Float[Tensor, "B k"] | None]:
        """Mean and log-variance; no log-variance where images are points without a spread."""


@runtime_checkable
class Decodes(Encodes, Protocol):
    """Draws an image for every place as well."""

    def decode(self, z: Float[Tensor, "B k"]) -> Float[Tensor, "B C H W"]:
        """Expected intensities in [0, 1]."""


@runtime_checkable
class Explains(Protocol):
    """Says what each image costs it: the negative ELBO, larger for images it explains worse."""

    def nats(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]: ...


@runtime_checkable
class Finds(Protocol):
    """Knows where samples lie by their ids, without an image."""

    def find(self, samples: pd.DataFrame) -> Float[np.ndarray, "n k"]:
        """Points of the samples of a store, in their order."""


def require_file(file: Path, setting: str) -> None:
    """A DataError with the full path if there is no such file."""
    if not file.is_file():
        raise DataError(f"the file {file.absolute()} does not exist; correct {setting}")


def digest(file: Path, setting: str) -> str:
    """SHA-256 of the content of a file, which must be there."""
    require_file(file, setting)
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()

"""What every representation says of itself, and files in which one may lie.

``B`` batch, ``n`` samples, ``k`` dimensions, ``c`` values of a condition, ``C, H, W`` image.
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
    ``loss``. What else it can do is found by what it has, and nobody asks for its name:

    - a posterior: ``encode`` returns a log-variance;
    - :class:`Decodes`: pictures are drawn;
    - :class:`Samples`: it can be sampled from chance;
    - :class:`Generates`: the evidence of an image can be bounded;
    - :class:`Explains`: images are ranked by what they cost it;
    - :class:`debias.training.loop.Settles`: something is computed from the training images once
      the loop has ended, or in its place where there is no parameter to descend by;
    - ``figures(losses, mean)``: reported in place of its losses.

    One with a ``told_column`` is built with a :class:`debias.training.condition.Condition` as well,
    and its network takes the (B, c) condition of each image as the last argument of ``encode``,
    ``decode`` and ``nats`` (``batch.told``); ``decode`` may be asked without.

    Any other is opened as it is, and encodes images or, ``by_id``, finds samples as
    :class:`Finds`.
    """

    trained: ClassVar[bool] = True
    by_id: ClassVar[bool] = False

    name: str

    @property
    def draws(self) -> bool:
        """Whether it leads to something that decodes places to images."""
        return self.trained

    @property
    def told_column(self) -> str:
        """The label or attribute whose value its network is told with every image; often none."""
        return ""

    def require_places(self) -> None:
        """A ConfigError for what cannot say where an image lies."""

    def uses_groups(self, label: str) -> bool:
        """Whether it is told annotations beside the label."""
        return self.told_column not in ("", label)

    def require_size(self, image_size: int) -> None:
        """A ConfigError for a side of images, pixels, that it cannot take."""

    def identity(self) -> dict[str, Any]:
        """What decides the numbers: settings and contents of files, not where they lie."""
        return self.model_dump(mode="json")

    def build(self, image_size: int) -> Network:
        """The untrained network for square RGB images of the given side, pixels.

        Raises:
            ConfigError: It cannot be built for such images.
        """
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
class Samples(Decodes, Protocol):
    """Draws images from chance, a place being drawn from N(0, I)."""

    @property
    def latent_dim(self) -> int:
        """Values k of a place."""


@runtime_checkable
class Generates(Decodes, Protocol):
    """A model of how images arise: z from N(0, I), then an image from p(x|z).

    Attributes:
        values: Of an image that it explains: pixels times channels, one channel of a grey image.
        continuous: Whether p(x|z) is a density over intensities in [0, 1]; else probabilities.
    """

    @property
    def values(self) -> int: ...
    @property
    def continuous(self) -> bool: ...
    def reconstruction(
        self, images: Float[Tensor, "B C H W"], drawn: Float[Tensor, "B C H W"], /
    ) -> Float[Tensor, " B"]:
        """-log p(x|z) in nats, summed over pixels and channels; ``drawn`` is ``decode(z)``."""


@runtime_checkable
class Unfolds(Protocol):
    """Infers in steps, each of which knows what the steps before it drew."""

    def unfold(
        self, images: Float[Tensor, "B C H W"], noise: Float[Tensor, "B k"]
    ) -> tuple[Float[Tensor, "B k"], Float[Tensor, "B k"]]:
        """Mean and log-variance of each value given those before it, drawn with this noise."""


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

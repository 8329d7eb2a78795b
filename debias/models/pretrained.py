"""Representations that the user brings along: files say where faces lie, nothing is trained.

``B`` batch, ``n`` samples, ``k`` dimensions, ``C, H, W`` image.
"""

import hashlib
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from torch import Tensor

from debias.errors import DataError


@runtime_checkable
class ImageEncoder(Protocol):
    """Places images in the latent space by looking at them."""

    def encode(
        self, images: Float[Tensor, "B C H W"]
    ) -> tuple[Float[Tensor, "B k"], Float[Tensor, "B k"] | None]:
        """Mean and log-variance; no log-variance where images are points without a spread."""


@runtime_checkable
class SampleIndex(Protocol):
    """Knows where samples lie by their ids, without an image."""

    def find(self, samples: pd.DataFrame) -> Float[np.ndarray, "n k"]:
        """Points of the samples of a store, in their order."""


@runtime_checkable
class Pretrained(Protocol):
    """Settings of a representation that comes as a file."""

    @property
    def name(self) -> str: ...
    @property
    def file(self) -> Path: ...

    def identity(self) -> dict[str, object]:
        """Whatever decides the numbers: settings and contents of files, not where they lie."""

    def open(self, device: torch.device) -> ImageEncoder | SampleIndex:
        """Read the file, ready for use."""


def require_file(file: Path, setting: str) -> None:
    """Fail with the full path.

    Raises:
        DataError: There is no such file.
    """
    if not file.is_file():
        raise DataError(f"the file {file.absolute()} does not exist; correct {setting}")


def digest(file: Path, setting: str) -> str:
    """SHA-256 of the content of a file.

    Raises:
        DataError: There is no such file.
    """
    require_file(file, setting)
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()

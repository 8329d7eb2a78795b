"""A store that ``debias ingest`` made: decoded faces, checked, split and free of duplicates.

Images: uint8, one size, in memory-mapped shards.
Labels: every column of the data it was made from; who annotated them is kept in the store.
Splits: the store's own, disjoint by person and by duplicates, or drawn anew.
Source, citation, licence: those of the data that it was made from.
Known problems: images can be made smaller but not larger than they are in the store.
"""

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from PIL import Image, ImageOps
from pydantic import Field

from debias.datasets.listing import require_folder
from debias.errors import ArtifactCorruptError, DataError
from debias.plugins import Settings
from debias.storage.files import shown
from debias.types import SPLITS, Collection, ShardedImages


def fitted(images: UInt8[np.ndarray, "n H W 3"], size: int) -> UInt8[np.ndarray, "n size size 3"]:
    """The largest centred square of each image, resized (bicubic); no copy if nothing changes."""
    if images.shape[1:3] == (size, size):
        return images
    resized = np.empty((len(images), size, size, 3), dtype=np.uint8)
    for row, image in enumerate(images):
        picture = Image.fromarray(np.ascontiguousarray(image))
        square = ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC)
        resized[row] = np.asarray(square)
    return resized


UNSTATED = "The store does not say who annotated the attributes or how."
SOURCES = ("self-reported", "annotated", "inferred", "not stated", "drawn")
KEY = re.compile(r"[0-9a-f]{8,64}")


class Store(Settings):
    """A folder that ``debias ingest`` wrote: ``store.json`` and the faces that it names.

    Columns: those of the data it was made from, ``sha256`` and ``duplicate_cluster``.
    """

    name: Literal["store"] = "store"
    root: Path = Field(description="Folder that debias ingest wrote.")
    split: Literal["store", "drawn"] = Field(
        default="store",
        description="'store': the split that was drawn when the store was made; 'drawn': another, "
        "drawn by selection, by person and duplicate cluster.",
    )

    @property
    def annotation(self) -> str:
        return str(self._about().get("annotation") or UNSTATED)

    @property
    def source(self) -> str:
        stated = self._about().get("source")
        return stated if stated in SOURCES else "not stated"

    @property
    def groups(self) -> tuple[str, ...]:
        """Attributes by which the store was made to be broken down."""
        return tuple(map(str, self._about().get("attributes") or ()))

    def collect(self, seed: int) -> Collection:
        """One row per face of the store, once every file agrees with the store's manifest.

        Raises:
            FileNotFoundError: The folder does not exist.
            DataError: It is no store.
            ArtifactCorruptError: A file of the store is missing or differs from what was written.
        """
        from debias.storage.sealed import is_sealed, verify

        require_folder(self.root, "debias ingest")
        folder = self._faces()
        if not is_sealed(folder):
            raise DataError(
                f"{shown(self.root.absolute())} names faces that are not there ({shown(folder)}); "
                "make the store again with debias ingest"
            )
        try:
            verify(folder)
        except ArtifactCorruptError as error:
            remedy = (
                "delete the store and make it again with debias ingest, which no other command does"
            )
            raise ArtifactCorruptError(error.what, remedy) from error
        _, samples, _ = _opened(folder)
        samples = samples.drop(columns="label", errors="ignore")  # the number of a class
        samples = samples.rename(columns={"label_text": "label"})
        if self._about().get("near_duplicates") is False:  # nobody looked for them
            samples = samples.drop(columns="duplicate_cluster", errors="ignore")
        if self.split == "drawn":
            samples = samples.drop(columns="split", errors="ignore")
        elif "split" in samples and not samples["split"].isin(SPLITS).all():
            raise DataError(
                f"{shown(folder)}: a split is none of {SPLITS}; set data.split to 'drawn'"
            )
        return Collection(samples=samples, draw=_Faces(folder), fingerprint=folder.name)

    def _faces(self) -> Path:
        """The folder that the store points to."""
        pointer = self.root / "store.json"
        try:
            key = json.loads(pointer.read_text(encoding="utf-8"))["faces"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(
                f"{shown(self.root.absolute())} is no store: {pointer.name} cannot be read "
                f"({shown(str(error))}); make one with debias ingest SOURCE --out STORE"
            ) from error
        if not isinstance(key, str) or not KEY.fullmatch(key):
            raise DataError(f"{shown(pointer.absolute())} names no faces: {key!r:.60}")
        return self.root / "faces" / key

    def _about(self) -> dict[str, Any]:
        """What the store says of its data; nothing before there is one."""
        try:
            about = json.loads((self._faces() / "faces.json").read_text(encoding="utf-8"))
        except (DataError, OSError, ValueError):
            return {}
        return about if isinstance(about, dict) else {}


@dataclass(frozen=True)
class _Faces:
    """The images of a store, read by ``sample_id``."""

    folder: Path

    def __call__(self, samples: pd.DataFrame, size: int) -> UInt8[np.ndarray, "n size size 3"]:
        """Rows named by ``sample_id``, in this order, resized to ``size`` pixels a side.

        Raises:
            DataError: The store's images are smaller, or it does not hold a sample.
        """
        images, _, index = _opened(self.folder)
        side = images.shape[1]
        if size > side:
            raise DataError(
                f"image_size is {size}, but the images in {shown(self.folder)} have {side} pixels "
                f"a side and enlarging adds no detail; set image_size to {side} or less, or make "
                "the store again with a larger one"
            )
        rows = index.get_indexer(pd.Index(samples["sample_id"])).astype(np.int64)
        if (rows < 0).any():
            missing = samples["sample_id"].to_numpy()[rows < 0][0]
            raise DataError(f"the store {shown(self.folder)} holds no sample {shown(str(missing))}")
        return fitted(images[rows], size)


@lru_cache(maxsize=2)
def _opened(folder: Path) -> tuple[ShardedImages, pd.DataFrame, pd.Index]:
    """Memory-mapped shards, the table and its ids; the folder never changes under its name.

    Raises:
        ArtifactCorruptError: Images and table do not belong together.
    """
    shards = [np.load(path, mmap_mode="r") for path in sorted(folder.glob("images-*.npy"))]
    samples = pd.read_parquet(folder / "samples.parquet")
    if sum(map(len, shards)) != len(samples):
        raise ArtifactCorruptError(
            f"{shown(folder)} has {sum(map(len, shards))} images and {len(samples)} rows; delete "
            "the folder and run debias ingest again"
        )
    return ShardedImages(shards), samples, pd.Index(samples["sample_id"])

"""One .npz file of images and labels, as courses hand data sets round: MNIST and its like.

Images: an array called ``images`` or ``x``, uint8 (n, H, W), (n, H, W, 1) or (n, H, W, 3).
Labels: an array called ``labels`` or ``y``, (n,) or (n, 1), numbers or text; any other array of n
    values beside them becomes a column of its name.
Splits: names may begin or end with that of a split: ``train_images`` and ``test_images``,
    ``x_train`` and ``y_train``.
Source: the file's owner; MNIST in this form: storage.googleapis.com/tensorflow/tf-keras-datasets.
Citation: MNIST: LeCun, Bottou, Bengio, Haffner 1998, Gradient-Based Learning Applied to Document
    Recognition.
Licence: the owner's.
Known problems: a file says nothing of who is shown, nor who said so.
"""

import hashlib
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Shaped, UInt8
from pydantic import Field

from debias.datasets.listing import require_regular
from debias.datasets.owners_lists import (
    SPLIT_NAMES,
    STATED,
    LabelName,
    Stated,
    annotated_as,
    completed_split,
)
from debias.datasets.store import fitted
from debias.errors import DataError
from debias.plugins import Settings
from debias.storage.files import mistaken_for, shown
from debias.storage.tables import OURS
from debias.types import Collection

MOST_BYTES = 8 << 30  # in memory
IMAGES, LABELS = {"images", "image", "x"}, {"labels", "label", "y"}
Arrays = Mapping[str, Shaped[np.ndarray, "..."]]


class OfArrays(Settings):
    """Settings of a data set whose images are arrays."""

    label_name: LabelName = "class"
    classes: tuple[str, ...] = Field(
        default=(), description="What the labels 0, 1, ... mean; empty: the numbers themselves."
    )
    threshold: int | None = Field(
        default=None, ge=1, le=255,
        description="Intensities from here on become white, others black; empty: as they are.",
    )  # fmt: skip
    annotation: str = annotated_as(
        "The file does not say who annotated the labels or how.", "labels"
    )
    source: Stated = STATED

    def collection(
        self, parts: Mapping[str, Arrays], content: str, seed: int, unread: Sequence[str] = ()
    ) -> Collection:
        """One row an image of every split; ``""`` is the split of files that name none.

        Args:
            parts: By split, arrays by column, one of them ``images``; they are of equal length.
            content: Hash of the files.
            seed: Of the validation images, where there are only some for training and testing.
            unread: What else was found.

        Raises:
            DataError: Images or labels are not what is expected.
        """
        if "" in parts and len(parts) > 1:
            named = ", ".join(sorted(parts)).strip(", ")
            raise DataError(
                f"some images are of a split ({named}) and others of none; name one of all or none"
            )
        left = [*unread]
        tables = [self._table(split, arrays, left) for split, arrays in sorted(parts.items())]
        samples = pd.concat(tables, ignore_index=True)
        samples = samples.drop(columns="split") if "" in parts else samples
        pixels = _Pixels({name: arrays["images"] for name, arrays in parts.items()}, self.threshold)
        remark = f"Beside images and labels there is what is not read: {', '.join(left)}."
        # What changes the images belongs to what identifies them.
        found = Collection(
            samples=samples, draw=pixels, fingerprint=f"{content}-{self.threshold}",
            remarks=(remark,) if left else (),
        )  # fmt: skip
        return completed_split(found, seed)

    def _table(self, split: str, arrays: Arrays, left: list[str]) -> pd.DataFrame:
        """Ids and columns of one split; adds to ``left`` the names of what is no column."""
        _require_images(arrays["images"], split)
        count = len(arrays["images"])
        ids = [f"{split or 'row'}-{row:08d}" for row in range(count)]
        columns: dict[str, list[Any]] = {}
        for name, values in arrays.items():
            fits = values.shape in {(count,), (count, 1)}
            if name == self.label_name and not fits:
                raise DataError(
                    f"there are {count} images{_of(split)}, but labels of the shape "
                    f"{values.shape}; expected one label an image"
                )
            if fits and name not in OURS:
                columns[name] = self._column(name, values)
            elif name != "images":
                left.append(shown(name))
        return pd.DataFrame({"sample_id": ids, "split": split, **columns})

    def _column(self, name: str, values: Shaped[np.ndarray, "..."]) -> list[Any]:
        found: list[Any] = values.reshape(-1).tolist()
        if name != self.label_name or not self.classes:
            return found
        strange = sorted(set(found) - {*range(len(self.classes))})
        if strange:
            raise DataError(
                f"the label {strange[0]!r} has no name: data.classes names {len(self.classes)}, "
                f"0 to {len(self.classes) - 1}"
            )
        return [self.classes[int(label)] for label in found]


class ArrayFile(OfArrays):
    """A .npz file with images and labels, of one split or of several.

    Columns: ``class``, or as ``label_name`` says, and any other array of one value an image.
    """

    name: Literal["arrays"] = "arrays"
    file: Path = Field(description="A .npz file with arrays called images and labels, or x and y.")

    def collect(self, seed: int) -> Collection:
        """One row an image.

        Raises:
            FileNotFoundError: The file does not exist.
            DataError: It cannot be read, holds no images, or holds what does not fit them.
        """
        require_regular(self.file, "the owner of the data")
        with self.file.open("rb") as content:
            if other := mistaken_for(content.read(4096)):
                raise DataError(f"{shown(self.file)} is {other}")
            content.seek(0)
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        parts: dict[str, dict[str, Any]] = {}
        arrays = _read(self.file)
        for key, values in arrays.items():
            split, column = self._meaning(key)
            if column in parts.setdefault(split, {}):
                raise DataError(f"{shown(self.file)} holds {column} twice, once as {key!r}")
            parts[split][column] = values
        whole = {split: part for split, part in parts.items() if "images" in part}
        if not whole:
            raise DataError(
                f"{shown(self.file)} holds no array called images or x, only "
                f"{', '.join(map(repr, arrays))}: save it with np.savez(file, images=..., "
                "labels=...)"
            )
        unread = [shown(key) for key in arrays if self._meaning(key)[0] not in whole]
        return self.collection(whole, digest, seed, unread)

    def _meaning(self, key: str) -> tuple[str, str]:
        """Split and column of an array, by the words of its name."""
        words = re.split(r"[_\-. ]+", key.lower())
        split = next((SPLIT_NAMES[word] for word in words if word in SPLIT_NAMES), "")
        left = [word for word in words if word not in SPLIT_NAMES]
        if IMAGES & {*left}:
            return split, "images"
        return split, self.label_name if LABELS & {*left} else "_".join(left) or key


@dataclass(frozen=True, eq=False)
class _Pixels:
    """Images by split."""

    images: Mapping[str, UInt8[np.ndarray, "..."]]
    threshold: int | None

    def __call__(self, samples: pd.DataFrame, size: int) -> UInt8[np.ndarray, "n size size 3"]:
        """Rows named by ``sample_id``, in this order, RGB, resized to ``size`` pixels a side."""
        drawn = np.empty((len(samples), size, size, 3), dtype=np.uint8)
        split = samples["sample_id"].str.rpartition("-")
        rows, names = split[2].astype(np.int64).to_numpy(), split[0].replace("row", "").to_numpy()
        for name, images in self.images.items():
            here = names == name
            found = images[rows[here]]
            drawn[here] = fitted(_coloured(found), size)
        if self.threshold is None:
            return drawn
        return np.where(drawn >= self.threshold, 255, 0).astype(np.uint8)


def _coloured(images: UInt8[np.ndarray, "..."]) -> UInt8[np.ndarray, "n H W 3"]:
    channels = images if images.ndim == 4 else images[..., None]
    return np.ascontiguousarray(np.broadcast_to(channels, (*channels.shape[:3], 3)))


def _of(split: str) -> str:
    return f" of the split {split!r}" if split else ""


def _require_images(images: Shaped[np.ndarray, "..."], split: str) -> None:
    grey, colour = images.ndim == 3, images.ndim == 4 and images.shape[3] in (1, 3)
    if not (grey or colour) or 0 in images.shape:
        raise DataError(
            f"the images{_of(split)} have the shape {images.shape}; expected "
            "(n, height, width) for grey ones, or (n, height, width, 3)"
        )
    if images.dtype != np.uint8:
        raise DataError(
            f"the images{_of(split)} are {images.dtype}, from {images.min()} to {images.max()}; "
            "expected uint8, 0 to 255"
        )


def _read(file: Path) -> dict[str, Shaped[np.ndarray, "..."]]:
    """All arrays, none of which may be a pickled object."""
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > MOST_BYTES:
            raise DataError(
                f"{shown(file)} holds {size / 2**30:.1f} GiB of arrays, more than the "
                f"{MOST_BYTES >> 30} that are read into memory; write the images as files"
            )
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{shown(file)} is no .npz file of plain arrays ({shown(str(error))}); save it with "
            "np.savez(file, images=..., labels=...)"
        ) from error

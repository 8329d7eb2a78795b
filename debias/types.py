"""The values that pass between stages: frozen, NumPy and pandas only, checked when built.

Shape letters, used throughout the project: ``B`` batch, ``n`` samples, ``k`` latent dimensions,
``f`` density factors, ``g`` groups, ``C, H, W`` image. Everything joins by ``sample_id``.
"""

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64, Int64, Shaped, UInt8, UInt64

from debias.errors import DataError, EmptyDatasetError, NonFiniteLatentError

ROWS_AT_ONCE = 65_536
SPLITS = ("train", "validation", "test")
SEEDS_NEEDED = 2  # fewer seeds give numbers, but no verdict: single runs are noise
BASELINE = "uniform"  # the arm of plain training, which the others are compared with
# Columns of the square that is cut out of an upright image: centre, side (pixels), angle (degrees).
CROP = ("crop_x", "crop_y", "crop_side", "crop_angle")


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """Why one item was set aside, and what is known of it.

    Attributes:
        path: As text that can be written anywhere, whatever bytes the name is made of.
        reason: One of a few plain words, by which items are counted.
        detail: One sentence about this item.
        sha256: Of the content; empty where it could not be read.
        size: In bytes; None where there is no such file.
        format: What the content says it is (JPEG, PNG, ...), or nothing.
        dimensions: Width and height in pixels as the header says, or nothing.
    """

    sample_id: str
    path: str
    reason: str
    detail: str
    sha256: str = ""
    size: int | None = None
    format: str = ""
    dimensions: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Collection:
    """What a data set offers before any pixel is read.

    Attributes:
        samples: One row a sample with ``sample_id``, label and attribute columns, optionally
            ``path`` (file), ``offset`` and ``length`` (the bytes of the file that hold the image;
            without them, all), ``subject_id`` and ``split``.
        fetch: Hands over the bytes of every image in the order of rows of ``samples``, None where
            it is a file of its own; ``offset`` is then whatever it finds them by.
        draw: Renders rows of ``samples`` at a given size to ``uint8 (n, H, W, 3)``; None when
            the images are files named by ``path``; where it is given, that is only a name.
        fingerprint: Identifies the content when there are no files to hash.
        rejected: What the listing itself had to set aside.
        lost: What the data say of samples that are among ``rejected``: columns as in ``samples``,
            by ``sample_id``. Who was left out must be known to tell whether a group was.
        distinct: No two samples show the same, however alike they look: drawn faces.
        ignored: How many files of each kind (".txt") are no images and are not read, beside those
            among ``rejected`` that are no images either.
        notes: How many small files beside images were read for what they say of them.
        remarks: What else of the data is not used, or was read otherwise than it stands there: a
            sentence each.
    """

    samples: pd.DataFrame
    draw: Callable[[pd.DataFrame, int], UInt8[np.ndarray, "n H W 3"]] | None = None
    fetch: "Callable[[pd.DataFrame], ImageBytes] | None" = None
    fingerprint: str = ""
    rejected: tuple[Rejected, ...] = ()
    lost: pd.DataFrame | None = None
    distinct: bool = False
    ignored: Mapping[str, int] = field(default_factory=dict)
    notes: int = 0
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.samples.empty:
            raise EmptyDatasetError("the data set holds no sample; check its root and its filters")
        ids = self.samples["sample_id"]
        repeated = ids[ids.duplicated()]
        if len(repeated):
            first = ", ".join(repeated.head(10))
            raise DataError(
                f"{len(repeated)} images are listed more than once or have no path, first: {first}"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class ReadBlock:
    """What became of some consecutive samples when their pixels were read.

    Attributes:
        images: RGB of those that could be read, in order.
        found: One row an image: ``sample_id``, ``sha256`` of the content that was read, ``notes``
            (what was converted on the way, plain words joined by ", "; empty for nothing).
        perceptual: 256-bit perceptual hash of each image, most significant word first.
        rejected: Those that could not be read.
    """

    images: UInt8[np.ndarray, "m H W 3"]
    found: pd.DataFrame
    perceptual: UInt64[np.ndarray, "m 4"]
    rejected: tuple[Rejected, ...] = ()

    def __post_init__(self) -> None:
        sizes = len(self.images), len(self.found), len(self.perceptual)
        if len(set(sizes)) > 1:
            raise ValueError(f"images, found and perceptual have {sizes} rows; they must agree")


@dataclass(frozen=True, eq=False)
class ShardedImages:
    """Images in memory-mapped shards, read by row.

    Attributes:
        chosen: Rows of them; None for all.
        shrunk: Every block of so many pixels by so many becomes one, its mean.
    """

    shards: Sequence[UInt8[np.ndarray, "_ H W C"]]
    chosen: Int64[np.ndarray, " n"] | None = None
    shrunk: int = 1

    def __len__(self) -> int:
        return sum(map(len, self.shards)) if self.chosen is None else len(self.chosen)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        height, width, channels = self.shards[0].shape[1:]
        return (len(self), height // self.shrunk, width // self.shrunk, channels)

    def __getitem__(self, rows: Int64[np.ndarray, " B"]) -> UInt8[np.ndarray, "B h w C"]:
        images = self._whole(rows)
        return images if self.shrunk == 1 else block_means(images, self.shrunk)

    def _whole(self, rows: Int64[np.ndarray, " B"]) -> UInt8[np.ndarray, "B H W C"]:
        rows = rows if self.chosen is None else self.chosen[rows]
        if len(self.shards) == 1:
            return self.shards[0][rows]
        first = np.cumsum([0, *map(len, self.shards)])  # row at which each shard starts
        shard = np.searchsorted(first, rows, side="right") - 1
        images = np.empty((len(rows), *self.shards[0].shape[1:]), dtype=np.uint8)
        for number in np.unique(shard):
            here = shard == number
            images[here] = self.shards[number][rows[here] - first[number]]
        return images


def block_means(images: UInt8[np.ndarray, "B H W C"], block: int) -> UInt8[np.ndarray, "B h w C"]:
    """Mean of every ``block`` x ``block`` pixels, rounded; sides must be multiples of it."""
    total = np.zeros_like(images[:, ::block, ::block], dtype=np.uint32)
    for row in range(block):
        for column in range(block):
            total += images[:, row::block, column::block]
    return ((total + block**2 // 2) // block**2).astype(np.uint8)


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceStore:
    """Decoded faces and what is known about each.

    Attributes:
        images: ``uint8 (n, H, W, C)`` in [0, 255], RGB.
        samples: One row an image, in the order of ``images``: ``sample_id``, ``split``,
            ``label`` (index into ``classes``) and the attribute columns as text.
        classes: Names of the label values; the last one is the positive class of a binary task.
        attributes: Attribute columns by which results are disaggregated.
        label: Name of the label.
    """

    images: ShardedImages
    samples: pd.DataFrame
    classes: tuple[str, ...]
    attributes: tuple[str, ...]
    label: str

    def __post_init__(self) -> None:
        if len(self.images) != len(self.samples):
            sizes = len(self.images), len(self.samples)
            raise ValueError(f"images and samples have {sizes} rows; they must agree")

    def seen(self, side: int) -> "FaceStore":
        """The same with smaller images, ``side`` pixels a side, which must divide theirs."""
        return replace(self, images=replace(self.images, shrunk=self.images.shape[1] // side))

    def rows(self, split: str) -> Int64[np.ndarray, " n"]:
        """Row numbers of one split, ascending."""
        return np.flatnonzero(self.samples["split"].to_numpy() == split).astype(np.int64)

    def ids(self, rows: Int64[np.ndarray, " n"]) -> Shaped[np.ndarray, " n"]:
        return self.samples["sample_id"].to_numpy(dtype=str)[rows]

    def labels(self, rows: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
        return self.samples["label"].to_numpy(dtype=np.int64)[rows]

    def groups(self, rows: Int64[np.ndarray, " n"]) -> pd.DataFrame:
        """Attribute columns of the given rows, indexed by ``sample_id``."""
        return self.samples.iloc[rows].set_index("sample_id")[list(self.attributes)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Latents:
    """Where every encoded sample lies in the latent space.

    Attributes:
        mean: May be memory-mapped.
        log_var: Natural log of the posterior variance; None for points without a spread.
        encoder: Content key of the encoder that made them.
    """

    sample_ids: Shaped[np.ndarray, " n"]
    mean: Float[np.ndarray, "n k"]
    log_var: Float[np.ndarray, "n k"] | None = None
    encoder: str = ""

    def __post_init__(self) -> None:
        if self.mean.ndim != 2:
            raise DataError(f"latents must be a matrix (n, k), got shape {self.mean.shape}")
        if len(self.sample_ids) != len(self.mean):
            sizes = len(self.sample_ids), len(self.mean)
            raise DataError(f"sample_ids and latents have {sizes} rows; they must agree")
        for array in (self.mean, self.log_var):
            if array is not None:
                _require_finite(array, self.sample_ids)


def _require_finite(array: Float[np.ndarray, "n k"], ids: Shaped[np.ndarray, " n"]) -> None:
    """Look at the rows in pieces: the array may be larger than memory."""
    count, first = 0, None
    for start in range(0, len(array), ROWS_AT_ONCE):
        piece = array[start : start + ROWS_AT_ONCE]
        # The sum of a piece is finite only if every value is, short of an overflow.
        if np.isfinite(piece.sum(dtype=np.float64)):
            continue
        bad = np.flatnonzero(~np.isfinite(piece).all(axis=1))
        count += len(bad)
        if len(bad) and first is None:
            first = ids[start + bad[0]]
    if count:
        raise NonFiniteLatentError(
            f"{count} of {len(array)} latents are not finite, first sample id {first}"
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Rarity:
    """How thinly populated the surroundings of each sample are, beside others of its class.

    Attributes:
        score: Log-rarity in nats up to a constant: larger is rarer, or more wanted by the
            reference.
        about: What was found on the way: dropped dimensions, directions kept, values outside.
    """

    sample_ids: Shaped[np.ndarray, " n"]
    score: Float64[np.ndarray, " n"]
    about: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingTable:
    """What a weighting may look at.

    Attributes:
        labels: Class index.
        score: See :class:`Rarity`.
        groups: Text, empty where nobody said. Only given to a weighting that says that it needs
            them.
        membership: Probability of each known group, in sorted order. Needed where some groups are
            empty; of groups annotated elsewhere for a weighting that says that it needs these.
        latents: Where the samples lie.
    """

    sample_ids: Shaped[np.ndarray, " n"]
    labels: Int64[np.ndarray, " n"]
    score: Float64[np.ndarray, " n"] | None = None
    groups: Shaped[np.ndarray, " n"] | None = None
    membership: Float64[np.ndarray, "n g"] | None = None
    latents: Float[np.ndarray, "n k"] | None = None
    images: UInt8[np.ndarray, "n H W 3"] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """What one trained classifier says about one split.

    Attributes:
        y_true: Class index.
        score: Probability of the positive (last) class.
        threshold: Score at and above which the positive class is predicted.
        arm: Name of the weighting arm that was trained.
    """

    sample_ids: Shaped[np.ndarray, " n"]
    y_true: Int64[np.ndarray, " n"]
    score: Float64[np.ndarray, " n"]
    threshold: float
    arm: str
    seed: int
    split: str

    @property
    def y_pred(self) -> Int64[np.ndarray, " n"]:
        """1 where the score reaches the threshold."""
        return (self.score >= self.threshold).astype(np.int64)


ReadImages = Callable[[pd.DataFrame, int], Generator[ReadBlock]]
ImageBytes = Iterator[bytes | None]

"""The values that pass between stages: frozen, NumPy and pandas only, checked when built.

Shape letters, used throughout the project: ``B`` batch, ``n`` samples, ``k`` latent dimensions,
``f`` density factors, ``g`` groups, ``C, H, W`` image. Everything joins by ``sample_id``.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64, Int64, Shaped, UInt8

from debias.errors import DataError, EmptyDatasetError, NonFiniteLatentError, NonFiniteWeightError

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True, kw_only=True)
class Rejected:
    """Why one item was set aside."""

    sample_id: str
    path: str
    reason: str
    detail: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Collection:
    """What a data set offers before any pixel is read.

    Attributes:
        samples: One row a sample with ``sample_id``, label and attribute columns, optionally
            ``path`` (file), ``subject_id`` and ``split``.
        draw: Renders rows of ``samples`` at a given size to ``uint8 (n, H, W, 3)``; None when
            the images are files named by ``path``.
        fingerprint: Identifies the content when there are no files to hash.
        rejected: What the listing itself had to set aside.
    """

    samples: pd.DataFrame
    draw: Callable[[pd.DataFrame, int], UInt8[np.ndarray, "n H W 3"]] | None = None
    fingerprint: str = ""
    rejected: tuple[Rejected, ...] = ()

    def __post_init__(self) -> None:
        if self.samples.empty:
            raise EmptyDatasetError("the data set holds no sample; check its root and its filters")
        repeated = self.samples["sample_id"][self.samples["sample_id"].duplicated()]
        if len(repeated):
            first = ", ".join(repeated.head(10))
            raise DataError(
                f"{len(repeated)} images are listed more than once or have no path, first: {first}"
            )


@dataclass(frozen=True, eq=False)
class ShardedImages:
    """Images in memory-mapped shards, read by row.

    Attributes:
        shards: ``uint8 (rows, H, W, C)`` each; all but the last hold the same number of rows.
    """

    shards: Sequence[UInt8[np.ndarray, "_ H W C"]]

    def __len__(self) -> int:
        return sum(len(shard) for shard in self.shards)

    @property
    def shape(self) -> tuple[int, int, int, int]:
        return (len(self), *self.shards[0].shape[1:])

    def __getitem__(self, rows: Int64[np.ndarray, " B"]) -> UInt8[np.ndarray, "B H W C"]:
        """Copy the given rows, in the given order."""
        if len(self.shards) == 1:
            return self.shards[0][rows]
        shard, offset = np.divmod(rows, len(self.shards[0]))
        images = np.empty((len(rows), *self.shape[1:]), dtype=np.uint8)
        for number in np.unique(shard):
            here = shard == number
            images[here] = self.shards[number][offset[here]]
        return images


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
    """Posterior of every encoded sample.

    Attributes:
        sample_ids: (n,)
        mean: (n, k)
        log_var: (n, k), natural log of the posterior variance.
        encoder: Content key of the encoder that made them.
    """

    sample_ids: Shaped[np.ndarray, " n"]
    mean: Float[np.ndarray, "n k"]
    log_var: Float[np.ndarray, "n k"]
    encoder: str

    def __post_init__(self) -> None:
        finite = np.isfinite(self.mean).all(axis=1) & np.isfinite(self.log_var).all(axis=1)
        if not finite.all():
            bad = self.sample_ids[~finite]
            raise NonFiniteLatentError(
                f"{len(bad)} of {len(finite)} latents are not finite, first sample id {bad[0]}"
            )


@dataclass(frozen=True, kw_only=True, eq=False)
class LogFactors:
    """How densely populated the surroundings of each sample are, per density factor.

    Attributes:
        sample_ids: (n,)
        values: (n, f), natural log of the bin mass (or density) of each factor; f = k for one
            density per dimension, 1 for a joint one.
        dropped_dimensions: Latent dimensions left out as inactive.
        outside: Values that fell outside the range seen when the density was fitted.
    """

    sample_ids: Shaped[np.ndarray, " n"]
    values: Float64[np.ndarray, "n f"]
    dropped_dimensions: tuple[int, ...] = ()
    outside: int = 0


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingTable:
    """What a weighting may look at.

    Attributes:
        sample_ids: (n,)
        labels: (n,), class index.
        log_factors: (n, f) or None, see :class:`LogFactors`.
        groups: (n,) text or None; only given to a weighting that declares ``uses_groups``.
    """

    sample_ids: Shaped[np.ndarray, " n"]
    labels: Int64[np.ndarray, " n"]
    log_factors: Float64[np.ndarray, "n f"] | None = None
    groups: Shaped[np.ndarray, " n"] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class SamplingWeights:
    """Probability of drawing each training sample, with replacement.

    Attributes:
        sample_ids: (n,)
        probability: (n,), non-negative, sums to 1.
        origin: How they came about: rule, alpha, tau, dropped dimensions, capped samples.
    """

    sample_ids: Shaped[np.ndarray, " n"]
    probability: Float64[np.ndarray, " n"]
    origin: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.sample_ids) != len(self.probability):
            sizes = len(self.sample_ids), len(self.probability)
            raise ValueError(f"sample_ids and probability have {sizes} rows; they must agree")
        bad = ~np.isfinite(self.probability) | (self.probability < 0)
        if bad.any():
            first = self.sample_ids[bad][0]
            raise NonFiniteWeightError(
                f"{bad.sum()} of {len(bad)} weights are negative or not finite, first {first}"
            )
        total = float(self.probability.sum())
        if abs(total - 1.0) > 1e-9:
            raise ValueError(f"probability must sum to 1, got {total!r}")

    @property
    def effective_sample_size(self) -> float:
        """Kish's 1 / sum(p^2): n when uniform, 1 when one sample takes all."""
        return float(1.0 / np.square(self.probability).sum())

    @property
    def ess(self) -> float:
        """Effective sample size as a share of n, in (0, 1]."""
        return self.effective_sample_size / len(self.probability)


@dataclass(frozen=True, kw_only=True, eq=False)
class Predictions:
    """What one trained classifier says about one split.

    Attributes:
        sample_ids: (n,)
        y_true: (n,), class index.
        score: (n,) probability of the positive (last) class.
        threshold: Score at and above which the positive class is predicted.
        arm: Name of the weighting arm that was trained.
        seed: Seed of the training.
        split: Split that was predicted.
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
        """(n,), class index: 1 where the score reaches the threshold."""
        return (self.score >= self.threshold).astype(np.int64)


ImageOrRejected = UInt8[np.ndarray, "H W 3"] | Rejected
ReadImages = Callable[[pd.DataFrame, int], Iterator[ImageOrRejected]]

"""Images that were decoded before: found again by what they are, not by where they were."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Int64, Shaped, UInt64

from debias.types import CROP, ShardedImages


@dataclass(frozen=True, eq=False)
class Known:
    """Pixels by content of the file and the square that was cut out of it.

    Attributes:
        identity: Of every image, unique.
        sha256: (n,) contents.
        images: Their pixels.
        perceptual: (n, 4) perceptual hashes.
        notes: (n,) text.
    """

    identity: pd.Index
    sha256: Shaped[np.ndarray, " n"]
    images: ShardedImages
    perceptual: UInt64[np.ndarray, "n 4"]
    notes: Shaped[np.ndarray, " n"]

    def rows(self, samples: pd.DataFrame) -> Int64[np.ndarray, " m"]:
        """Row of each sample here, -1 for those that are not here."""
        rows = self.identity.get_indexer(pd.Index(identity(samples))).astype(np.int64)
        agree = self.sha256[rows] == samples["sha256"].to_numpy(dtype=object)
        return np.where(agree, rows, -1)


@dataclass(frozen=True, eq=False)
class Source:
    """One earlier store or part.

    Attributes:
        samples: ``sha256``, ``notes`` and, where a framing was used, the square.
        shards: Pixels of those rows.
        perceptual: (n, 4).
    """

    samples: pd.DataFrame
    shards: Sequence[np.ndarray]
    perceptual: UInt64[np.ndarray, "n 4"]


def known(sources: Sequence[Source]) -> Known | None:
    """Everything that earlier stores and parts hold; None without any."""
    filled = [source for source in sources if len(source.samples)]
    if not filled:
        return None
    samples = pd.concat([_identifying(source.samples) for source in filled], ignore_index=True)
    index = pd.Index(identity(samples))
    first = np.flatnonzero(~index.duplicated())
    return Known(
        identity=index[first],
        sha256=samples["sha256"].to_numpy(dtype=object)[first],
        images=ShardedImages([shard for source in filled for shard in source.shards], first),
        perceptual=np.concatenate([source.perceptual for source in filled])[first],
        notes=samples["notes"].to_numpy(dtype=object)[first],
    )


def identity(samples: pd.DataFrame) -> UInt64[np.ndarray, " n"]:
    """64 bits that tell contents and squares apart."""
    named = _identifying(samples)[["sha256", *CROP]]
    return pd.util.hash_pandas_object(named, index=False).to_numpy()


def _identifying(samples: pd.DataFrame) -> pd.DataFrame:
    columns: dict[str, object] = {"sha256": samples["sha256"].astype(object)}
    columns["notes"] = samples.get("notes", "")
    for name in CROP:
        columns[name] = samples[name].astype(np.float64) if name in samples else np.nan
    return pd.DataFrame(columns, index=samples.index)

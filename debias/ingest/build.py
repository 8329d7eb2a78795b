"""From a listed data set to a folder of image shards and a table."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from debias.errors import EmptyDatasetError, QuarantineLimitExceededError
from debias.types import ReadImages, Rejected

SHARD = 65_536  # images; a shard of 64 x 64 faces takes 805 MB on disk
MOST_REJECTED_SHARE = 0.01
FEW_REJECTED = 10


@dataclass(frozen=True, eq=False)
class Decoded:
    """What became of the samples: those kept, in shard order, and those set aside."""

    samples: pd.DataFrame
    rejected: list[Rejected]


def without_duplicates(samples: pd.DataFrame) -> tuple[pd.DataFrame, list[Rejected]]:
    """Keep the first of every set of files with equal content."""
    repeated = samples["sha256"].duplicated()
    kept, left = samples[~repeated], samples[repeated]
    first = dict(zip(kept["sha256"], kept["sample_id"], strict=True))
    rejected = [
        Rejected(
            sample_id=name,
            path=path,
            reason="exact duplicate",
            detail=f"same content as {first[digest]}",
        )
        for name, path, digest in zip(left["sample_id"], left["path"], left["sha256"], strict=True)
    ]
    return kept, rejected


def write_shards(folder: Path, samples: pd.DataFrame, read: ReadImages, size: int) -> Decoded:
    """Decode every sample into ``images-*.npy``, ``uint8 (rows, size, size, 3)`` each.

    Raises:
        EmptyDatasetError: No sample could be decoded.
        QuarantineLimitExceededError: More than 1 % of the samples (and more than 10) failed.
    """
    kept: list[int] = []
    rejected: list[Rejected] = []
    writer = _ShardWriter(folder, size)
    for row, image in enumerate(read(samples, size)):
        if isinstance(image, Rejected):
            rejected.append(image)
        else:
            writer.add(image)
            kept.append(row)
    writer.close()
    check_share(len(samples), rejected)
    return Decoded(samples=samples.iloc[kept].reset_index(drop=True), rejected=rejected)


def check_share(total: int, rejected: list[Rejected]) -> None:
    """Stop when what was set aside may have changed what the data represent.

    Raises:
        EmptyDatasetError: Nothing is left.
        QuarantineLimitExceededError: More than 1 % of the files (and more than 10) failed.
    """
    first = f"; first: {rejected[0].path}: {rejected[0].detail}" if rejected else ""
    if len(rejected) == total:
        raise EmptyDatasetError(f"none of {total} files could be read{first}")
    if len(rejected) > max(FEW_REJECTED, MOST_REJECTED_SHARE * total):
        raise QuarantineLimitExceededError(
            f"{len(rejected)} of {total} files could not be read, more than "
            f"{MOST_REJECTED_SHARE:.0%}: what is left may not represent the data{first}"
        )


class _ShardWriter:
    """Appends images to fixed-size shards; never holds more than one shard in memory."""

    def __init__(self, folder: Path, size: int) -> None:
        self.folder, self.size = folder, size
        self.images: list[UInt8[np.ndarray, "H W 3"]] = []
        self.count = 0

    def add(self, image: UInt8[np.ndarray, "H W 3"]) -> None:
        self.images.append(image)
        if len(self.images) == SHARD:
            self.close()

    def close(self) -> None:
        if self.images:
            np.save(self.folder / f"images-{self.count:05d}.npy", np.stack(self.images))
            self.count, self.images = self.count + 1, []

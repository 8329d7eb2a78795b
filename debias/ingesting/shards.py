"""From decoded parts to the shards of a store: only the chosen rows, in order."""

import os
import shutil
from pathlib import Path

import numpy as np
from jaxtyping import Int64

from debias.ingesting.parts import IMAGES, Decoded
from debias.storage.files import require_space
from debias.storage.sealed import read_manifest


def write_shards(folder: Path, decoded: Decoded, rows: Int64[np.ndarray, " m"]) -> dict[str, str]:
    """Write ``images-*.npy``, ``uint8 (rows, size, size, 3)`` each, and ``perceptual.npy``.

    Args:
        folder: To fill, on the file system of the parts.
        decoded: All images.
        rows: Those wanted, ascending.

    Returns:
        Fingerprints of the files that are links to a part: they need not be read again.
    """
    start, number, known = 0, 0, {}
    require_space(folder, _copied_bytes(decoded, rows))
    for part, shard in zip(decoded.parts, decoded.images.shards, strict=True):
        wanted = rows[(rows >= start) & (rows < start + len(shard))] - start
        start += len(shard)
        if not len(wanted):
            continue
        target = folder / f"images-{number:05d}.npy"
        if len(wanted) == len(shard):
            _link(part / IMAGES, target)
            known[target.name] = read_manifest(part)["files"][IMAGES]
        else:
            np.save(target, shard[wanted], allow_pickle=False)
        number += 1
    np.save(folder / "perceptual.npy", decoded.perceptual[rows], allow_pickle=False)
    return known


def _copied_bytes(decoded: Decoded, rows: Int64[np.ndarray, " m"]) -> int:
    """What has to be written because some rows of a part are not wanted."""
    ends = np.cumsum([len(shard) for shard in decoded.images.shards])
    wanted = np.diff(np.searchsorted(rows, [0, *ends]))
    shards = zip(decoded.images.shards, wanted, strict=True)
    return sum(int(count) * shard[:1].nbytes for shard, count in shards if 0 < count < len(shard))


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # some file systems have no links
        shutil.copyfile(source, target)

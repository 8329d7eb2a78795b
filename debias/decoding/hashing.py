"""The content of files without their pixels: has anything changed since the last time?"""

import hashlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd

from debias.decoding.chunks import COLUMNS, chunk_of, rejected_of
from debias.decoding.limits import Limits
from debias.decoding.protocol import Item, Refused
from debias.decoding.reading import read
from debias.decoding.reasons import RefusedError
from debias.types import Rejected

ROWS_AT_ONCE = 1024


def hash_files(
    samples: pd.DataFrame, limits: Limits | None = None
) -> tuple[pd.DataFrame, list[Rejected]]:
    """Add the column ``sha256`` of what would be decoded; set aside what cannot be read.

    Args:
        samples: As for :func:`debias.decoding.pool.read_files`.
        limits: What one file may cost.
    """
    most_bytes = (limits or Limits()).most_bytes
    columns = samples[[name for name in COLUMNS if name in samples]]
    digests: list[str] = []
    rejected: list[Rejected] = []
    with ThreadPoolExecutor() as threads:  # hashing leaves the interpreter lock alone
        for start in range(0, len(samples), ROWS_AT_ONCE):
            chunk = chunk_of(columns.iloc[start : start + ROWS_AT_ONCE])
            found = list(threads.map(lambda item: _digest(item, most_bytes), chunk.items))
            digests += [value if isinstance(value, str) else "" for value in found]
            rejected += [
                rejected_of(sample_id, path, value)
                for sample_id, path, value in zip(chunk.ids, chunk.paths, found, strict=True)
                if isinstance(value, Refused)
            ]
    readable = np.array([digest != "" for digest in digests], dtype=bool)
    return samples.assign(sha256=digests)[readable], rejected


def digest_of(item: Item, most_bytes: int) -> str:
    """SHA-256 of the content; empty where it cannot be read."""
    found = _digest(item, most_bytes)
    return found if isinstance(found, str) else ""


def _digest(item: Item, most_bytes: int) -> str | Refused:
    try:
        return hashlib.sha256(read(item.place, most_bytes)).hexdigest()
    except RefusedError as refused:
        return Refused(refused.reason, refused.detail, size=refused.size)

"""Rows of a table as places to read from, and what became of them as a block."""

import os
from typing import NamedTuple

import numpy as np
import pandas as pd

from debias.decoding.child import Answer
from debias.decoding.cropping import Square
from debias.decoding.perceptual import perceptual_hash
from debias.decoding.protocol import Item, Kept, Refused
from debias.decoding.reading import Place
from debias.types import CROP, ReadBlock, Rejected

COLUMNS = ("sample_id", "path", "offset", "length", *CROP)


class Chunk(NamedTuple):
    """Consecutive samples.

    Attributes:
        ids: ``sample_id`` of each.
        paths: As text; bytes that are no text stand as lone surrogates.
        items: What to read.
    """

    ids: list[str]
    paths: list[str]
    items: list[Item]


def chunk_of(samples: pd.DataFrame) -> Chunk:
    """Everything about some rows that a process needs to know."""
    paths = [os.fsdecode(path) for path in samples["path"].tolist()]
    starts, lengths = (_whole_numbers(samples, name) for name in ("offset", "length"))
    items = [
        Item(Place(_spelled(path), start or 0, length), crop)
        for path, start, length, crop in zip(paths, starts, lengths, _crops(samples), strict=True)
    ]
    return Chunk(samples["sample_id"].tolist(), paths, items)


def block_of(chunk: Chunk, answer: Answer) -> ReadBlock:
    """The answer about a chunk, by sample."""
    kept, rejected = [], []
    for sample_id, path, record in zip(chunk.ids, chunk.paths, answer.records, strict=True):
        if isinstance(record, Kept):
            kept.append((sample_id, *record))
        else:
            rejected.append(rejected_of(sample_id, path, record))
    ids, digests, notes = zip(*kept, strict=True) if kept else ((), (), ())
    return ReadBlock(
        images=answer.images,
        found=pd.DataFrame({"sample_id": ids, "sha256": digests, "notes": notes}, dtype=str),
        perceptual=perceptual_hash(answer.images),
        rejected=tuple(rejected),
    )


def rejected_of(sample_id: str, path: str, refused: Refused) -> Rejected:
    """With the path as text that can be written anywhere."""
    writable = path.encode("utf-8", "backslashreplace").decode()
    return Rejected(sample_id=sample_id, path=writable, **refused._asdict())


def _spelled(path: str) -> bytes:
    try:
        return os.fsencode(path)
    except UnicodeEncodeError:  # no file can have this name
        return b"\0"


def _whole_numbers(samples: pd.DataFrame, name: str) -> list[int | None]:
    if name not in samples:
        return [None] * len(samples)
    return [None if pd.isna(value) else int(value) for value in samples[name].tolist()]


def _crops(samples: pd.DataFrame) -> list[Square | None]:
    if CROP[0] not in samples:
        return [None] * len(samples)
    squares = samples[list(CROP)].to_numpy(dtype=np.float64)
    return [None if np.isnan(square).all() else Square(*square.tolist()) for square in squares]

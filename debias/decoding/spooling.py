"""Images within files of another kind: written out a hundred at a time, then read as files."""

import tempfile
from collections.abc import Callable, Generator, Iterator
from dataclasses import replace
from itertools import islice

import pandas as pd

from debias.decoding.pool import Pool, hash_files
from debias.decoding.rules import Limits
from debias.types import ImageBytes, ReadBlock

ROWS_AT_ONCE = 512
Fetch = Callable[[pd.DataFrame], ImageBytes]


def read_fetched(
    samples: pd.DataFrame, size: int, limits: Limits, fetch: Fetch, *, workers: int | None = None
) -> Generator[ReadBlock]:
    """As ``pool.read_files``, of images whose bytes ``fetch`` hands over; nothing parses them here.

    Raises:
        DecodingError: The decoding processes do not start.
        DataError: A file that holds images is damaged.
    """
    with Pool(size, limits, workers=workers) as pool:
        for named, chunk in _spooled(samples, fetch):
            for block in pool.read(chunk):
                told = [replace(one, path=named[one.sample_id]) for one in block.rejected]
                yield replace(block, rejected=tuple(told))


def hash_fetched(samples: pd.DataFrame, limits: Limits, fetch: Fetch) -> dict[str, str]:
    """SHA-256 by sample id of what would be decoded, without those that cannot be read."""
    found = (hash_files(chunk, limits)[0] for _, chunk in _spooled(samples, fetch))
    return {
        name: digest
        for table in found
        for name, digest in zip(table["sample_id"], table["sha256"], strict=True)
    }


def _spooled(samples: pd.DataFrame, fetch: Fetch) -> Iterator[tuple[dict[str, str], pd.DataFrame]]:
    """Some rows at a time: the path by id, and the rows with paths of what was written for them."""
    contents = fetch(samples)
    for start in range(0, len(samples), ROWS_AT_ONCE):
        chunk = samples.iloc[start : start + ROWS_AT_ONCE]
        with tempfile.NamedTemporaryFile(prefix=".debias-images-") as spool:
            places: list[tuple[str, int | None, int | None]] = []
            for path, content in zip(chunk["path"], islice(contents, len(chunk)), strict=True):
                if content is None:
                    places.append((path, None, None))
                else:
                    places.append((spool.name, spool.tell(), len(content)))
                    spool.write(content)
            spool.flush()
            named = dict(zip(chunk["sample_id"], chunk["path"], strict=True))
            path, offset, length = map(list, zip(*places, strict=True))
            yield named, chunk.assign(path=path, offset=offset, length=length)

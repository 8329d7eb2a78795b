"""Files to pixels on every core: every failure sets one item aside and never ends the run."""

import os
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from queue import SimpleQueue

import numpy as np
import pandas as pd

from debias.decoding.child import WORKER, Answer, Child, ChildDiedError
from debias.decoding.chunks import COLUMNS, Chunk, block_of, chunk_of
from debias.decoding.hashing import digest_of
from debias.decoding.limits import Limits
from debias.decoding.protocol import Item
from debias.types import ReadBlock

ITEMS_AT_ONCE = 256
BYTES_AT_ONCE = 8 * 2**20  # pixels of one answer


def read_files(
    samples: pd.DataFrame,
    size: int,
    limits: Limits | None = None,
    *,
    workers: int | None = None,
) -> Iterator[ReadBlock]:
    """Read images in the order of ``samples``.

    Reading runs ahead of the consumer by a few blocks and ends with the generator: when it is
    exhausted, closed or thrown away.

    Args:
        samples: Columns ``sample_id`` and ``path``; optionally ``offset`` and ``length`` (the bytes
            of the file that hold the image; NaN for all), and ``crop_x, crop_y, crop_side,
            crop_angle``, a square in pixels of the upright image, turned clockwise by degrees (NaN
            in all four for the largest centred square).
        size: Side of the images, pixels, at least 8.
        limits: What one file may cost.
        workers: Decoding processes; one for every core if not given.

    Raises:
        DecodingError: The decoding processes do not start.
    """
    with Pool(size, limits, workers=workers) as pool:
        yield from pool.read(samples)


class Pool:
    """Decoding processes, each with a thread that talks to it.

    Args:
        size: Side of the images, pixels.
        limits: What one file may cost.
        workers: Decoding processes; one for every core if not given.
        command: Starts one of them.
    """

    def __init__(
        self,
        size: int,
        limits: Limits | None = None,
        *,
        workers: int | None = None,
        command: Sequence[str] = WORKER,
    ) -> None:
        count = workers or len(os.sched_getaffinity(0))
        self.children = [Child(size, limits or Limits(), command) for _ in range(count)]
        self._at_once = max(1, min(ITEMS_AT_ONCE, BYTES_AT_ONCE // (3 * size * size)))
        self._free: SimpleQueue[Child] = SimpleQueue()
        for child in self.children:
            self._free.put(child)
        self._threads = ThreadPoolExecutor(count, thread_name_prefix="decoding")

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def restarts(self) -> int:
        """How often a process had to be replaced."""
        return sum(child.deaths for child in self.children)

    def read(self, samples: pd.DataFrame) -> Iterator[ReadBlock]:
        """See :func:`read_files`."""
        columns = samples[[name for name in COLUMNS if name in samples]]
        starts = range(0, len(columns), self._at_once)
        parts = (columns.iloc[start : start + self._at_once] for start in starts)
        # Two for every process: one that is read, one that waits, so that no process does.
        ahead = 2 * len(self.children)
        waiting: deque[Future[ReadBlock]] = deque()
        waiting.extend(self._threads.submit(self._block, part) for part in islice(parts, ahead))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(self._threads.submit(self._block, part) for part in islice(parts, 1))

    def close(self) -> None:
        """End all processes, whatever they are doing, and wait until they are gone."""
        for child in self.children:
            child.end()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for child in self.children:
            child.bury()

    def _block(self, samples: pd.DataFrame) -> ReadBlock:
        chunk = chunk_of(samples)
        child = self._free.get()
        try:
            answer = _answer(child, chunk)
        finally:
            self._free.put(child)
        return block_of(chunk, answer)


def _answer(child: Child, chunk: Chunk) -> Answer:
    """Ask about all at once; if that kills the process, about one at a time: the culprit pays."""
    try:
        return child.ask(chunk.items)
    except ChildDiedError:
        answers = [_alone(child, item) for item in chunk.items]
    return Answer(
        [record for answer in answers for record in answer.records],
        np.concatenate([answer.images for answer in answers]),
    )


def _alone(child: Child, item: Item) -> Answer:
    try:
        return child.ask([item])
    except ChildDiedError as death:
        # Reading it is safe; its content tells whether it is the same file another time.
        return child.nothing(death, digest_of(item, child.limits.most_bytes))

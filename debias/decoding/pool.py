"""Files to pixels on every core: every failure sets one item aside and never ends the run.

A pool holds one process a core, each with a thread that talks to it. A process is started when it
is first asked, and again after it died over a file.
"""

import hashlib
import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from queue import SimpleQueue
from subprocess import Popen
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import UInt8

import debias
from debias.decoding.cropping import Square
from debias.decoding.perceptual import perceptual_hash
from debias.decoding.protocol import (
    LENGTH,
    MOST_A_RECORD,
    READY,
    Item,
    Kept,
    NonsenseError,
    Refused,
    message,
    packed,
    records_of,
)
from debias.decoding.rules import DECODER_DIED, TOOK_TOO_LONG, Limits, Place, RefusedError, read
from debias.errors import DecodingError
from debias.types import CROP, ReadBlock, ReadImages, Rejected

# -P: a folder full of images may also hold a file called numpy.py.
WORKER = (sys.executable, "-P", "-m", "debias.decoding.worker")
SECONDS_TO_START = 60.0
SECONDS_TO_DIE = 1.0
# A process that parses hostile files gets no passwords: only what Python itself needs.
_INHERITED = ("LANG", "LC_", "LD_", "PATH", "PYTHONHOME", "PYTHONUTF8", "TZ")
COLUMNS = ("sample_id", "path", "offset", "length", *CROP)
ROWS_AT_ONCE = 1024  # hashed or drawn
ITEMS_AT_ONCE = 256
BYTES_AT_ONCE = 8 * 2**20  # pixels of one answer

Draw = Callable[[pd.DataFrame, int], UInt8[np.ndarray, "n H W 3"]]


class ChildDiedError(Exception):
    """The process is gone, or was ended because it went wrong; one of ``REASONS`` and why."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.refused = Refused(reason, detail)


class Answer(NamedTuple):
    """A record of each of some items, and RGB of those that were kept."""

    records: list[Kept | Refused]
    images: UInt8[np.ndarray, "m H W 3"]


class Child:
    """A decoding process as its parent sees it."""

    def __init__(self, size: int, limits: Limits, command: Sequence[str] = WORKER) -> None:
        self.size, self.limits, self.command = size, limits, tuple(command)
        self.deaths = 0  # how often it died
        self.process: Popen[bytes] | None = None
        self._input = self._output = -1  # file numbers of its pipes
        self._deadline = 0.0  # on the monotonic clock; nothing is waited for any longer
        self._ended = False
        self._starting = threading.Lock()  # ended by one thread while another starts it

    def ask(self, items: Sequence[Item]) -> Answer:
        """Have items read; a ChildDiedError says that the process died over one of them."""
        if self.process is None:
            self._start()
        # The process times every file itself; this is for one that can no longer do so.
        self._deadline = time.monotonic() + self.limits.seconds * (len(items) + 1)
        try:
            self._write(packed(items))
            records = records_of(self._read_json(MOST_A_RECORD * (len(items) + 1)), len(items))
            images = self._blank(sum(isinstance(record, Kept) for record in records))
            self._read_into(images.reshape(-1).data)
            return Answer(records, images)
        except (OSError, EOFError, NonsenseError) as error:
            raise self._death(error) from error

    def ask_alone(self, item: Item) -> Answer:
        """Have one item read; over one that kills the process, say so."""
        try:
            return self.ask([item])
        except ChildDiedError as death:
            # Reading it is safe; its content tells whether it is the same file another time.
            digest = _digest(item, self.limits.most_bytes)
            known = digest if isinstance(digest, str) else ""
            return Answer([death.refused._replace(sha256=known)], self._blank(0))

    def end(self) -> None:
        """End it for good, also while another thread waits for its answer."""
        with self._starting:
            self._ended = True
            if self.process:
                self.process.kill()

    def bury(self) -> int:
        """Wait for the process, which is about to end, so that no zombie stays; its exit code."""
        process, self.process = self.process, None
        if process is None:
            return 0
        with process:  # closes the pipes
            try:
                return process.wait(SECONDS_TO_DIE)
            except subprocess.TimeoutExpired:
                process.kill()
                return process.wait()

    def _blank(self, count: int) -> UInt8[np.ndarray, "m H W 3"]:
        return np.empty((count, self.size, self.size, 3), dtype=np.uint8)

    def _start(self) -> None:
        with self._starting:
            if self._ended:
                raise ChildDiedError(DECODER_DIED, "reading was stopped")
            self.process = process = _process(self.command)
        assert process.stdin is not None
        assert process.stdout is not None
        self._input, self._output = process.stdin.fileno(), process.stdout.fileno()
        os.set_blocking(self._input, False)
        os.set_blocking(self._output, False)
        self._deadline = time.monotonic() + SECONDS_TO_START
        try:
            self._write(message({"size": self.size, "limits": asdict(self.limits)}))
            if self._read_json(MOST_A_RECORD) != READY:
                raise NonsenseError("it says something else")
        except (OSError, EOFError, NonsenseError) as error:
            process.kill()
            raise DecodingError(
                f"the process that decodes images does not start (exit code {self.bury()}); "
                f"run it by hand to see why: {' '.join(self.command)}"
            ) from error

    def _write(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            self._wait(self._input, select.POLLOUT)
            left = left[os.write(self._input, left) :]

    def _read_into(self, target: memoryview) -> None:
        """Fill ``target``; an EOFError says that the process says nothing more."""
        while target:
            self._wait(self._output, select.POLLIN)
            count = os.readv(self._output, [target])
            if not count:
                raise EOFError
            target = target[count:]

    def _read_json(self, most: int) -> Any:  # noqa: ANN401 (JSON)
        """The next message of at most ``most`` bytes."""
        head = bytearray(LENGTH.size)
        self._read_into(memoryview(head))
        length = LENGTH.unpack(head)[0]
        if length > most:
            raise NonsenseError(f"a message of {length} bytes; at most {most} were expected")
        content = bytearray(length)
        self._read_into(memoryview(content))
        try:
            return json.loads(content)
        except (ValueError, RecursionError) as error:
            raise NonsenseError("a message that is no JSON") from error

    def _wait(self, handle: int, event: int) -> None:
        poll = select.poll()
        poll.register(handle, event)
        if not poll.poll(max(0.0, self._deadline - time.monotonic()) * 1000):
            raise TimeoutError

    def _death(self, error: Exception) -> ChildDiedError:
        self.deaths += 1
        late, senseless = isinstance(error, TimeoutError), isinstance(error, NonsenseError)
        if self.process and (late or senseless):
            self.process.kill()
        code = self.bury()
        if late or code == -signal.SIGALRM:
            return ChildDiedError(TOOK_TOO_LONG, f"no image after {self.limits.seconds:g} seconds")
        how = f"ended with exit code {code}"
        if senseless:
            how = "gave an answer without sense"
        elif code < 0:
            known = {int(each): each.name for each in signal.Signals}
            how = f"was ended by {known.get(-code, f'signal {-code}')}"
        return ChildDiedError(DECODER_DIED, f"the decoder {how}")


def _process(command: Sequence[str]) -> Popen[bytes]:
    package = str(Path(debias.__file__).parents[1])
    environment = {name: value for name, value in os.environ.items() if name.startswith(_INHERITED)}
    # One process a core: threads inside each would only wait for each other.
    environment |= {"PYTHONPATH": package, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    pipe, nowhere = subprocess.PIPE, subprocess.DEVNULL
    try:
        # A session of its own: Ctrl-C is for the parent, which ends its children itself.
        return Popen(
            command, stdin=pipe, stdout=pipe, stderr=nowhere, bufsize=0, env=environment,
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        raise DecodingError(f"the process that decodes images does not start: {error}") from error


class Pool:
    """Decoding processes, each with a thread that talks to it; see :func:`read_files`."""

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
        """End all processes, whatever they are doing, and wait until they are gone."""
        for child in self.children:
            child.end()
        self._threads.shutdown(wait=True, cancel_futures=True)
        for child in self.children:
            child.bury()

    def read(self, samples: pd.DataFrame) -> Iterator[ReadBlock]:
        """See :func:`read_files`."""
        parts = _chunks(samples, self._at_once)
        # Two for every process: one that is read, one that waits, so that no process does.
        ahead = 2 * len(self.children)
        waiting: deque[Future[ReadBlock]] = deque()
        waiting.extend(self._threads.submit(self._block, part) for part in islice(parts, ahead))
        while waiting:
            yield waiting.popleft().result()
            waiting.extend(self._threads.submit(self._block, part) for part in islice(parts, 1))

    def _block(self, chunk: "Chunk") -> ReadBlock:
        child = self._free.get()
        try:
            records, images = _answer(child, [item for _, _, item in chunk])
        finally:
            self._free.put(child)
        kept, rejected = [], []
        for (sample_id, path, _), record in zip(chunk, records, strict=True):
            if isinstance(record, Kept):
                kept.append((sample_id, *record))
            else:
                rejected.append(_rejected(sample_id, path, record))
        found = pd.DataFrame(kept, columns=["sample_id", "sha256", "notes"], dtype=str)
        hashes = perceptual_hash(images)
        return ReadBlock(images=images, found=found, perceptual=hashes, rejected=tuple(rejected))


def _answer(child: Child, items: list[Item]) -> Answer:
    """Ask about all at once; if that kills the process, about one at a time: the culprit pays."""
    try:
        return child.ask(items)
    except ChildDiedError:
        answers = [child.ask_alone(item) for item in items]
    records = [record for answer in answers for record in answer.records]
    return Answer(records, np.concatenate([answer.images for answer in answers]))


def read_files(
    samples: pd.DataFrame,
    size: int,
    limits: Limits | None = None,
    *,
    workers: int | None = None,
) -> Generator[ReadBlock]:
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


def read_drawn(draw: Draw) -> ReadImages:
    """Read a data set that renders its own images; ``sha256`` is that of the pixels."""

    def read(samples: pd.DataFrame, size: int) -> Generator[ReadBlock]:
        for start in range(0, len(samples), ROWS_AT_ONCE):
            rows = samples.iloc[start : start + ROWS_AT_ONCE]
            images = np.ascontiguousarray(draw(rows, size))
            digests = [hashlib.sha256(image).hexdigest() for image in images]
            found = pd.DataFrame({"sample_id": rows["sample_id"], "sha256": digests, "notes": ""})
            yield ReadBlock(images=images, found=found, perceptual=perceptual_hash(images))

    return read


def hash_files(
    samples: pd.DataFrame, limits: Limits | None = None
) -> tuple[pd.DataFrame, list[Rejected]]:
    """Add the column ``sha256`` of what would be decoded; set aside what cannot be read.

    Samples and limits are those of :func:`read_files`.
    """
    most_bytes = (limits or Limits()).most_bytes
    digests: list[str] = []
    rejected: list[Rejected] = []
    with ThreadPoolExecutor() as threads:  # hashing leaves the interpreter lock alone
        for chunk in _chunks(samples, ROWS_AT_ONCE):
            found = threads.map(lambda one: _digest(one[2], most_bytes), chunk)
            for (sample_id, path, _), value in zip(chunk, found, strict=True):
                digests.append(value if isinstance(value, str) else "")
                if isinstance(value, Refused):
                    rejected.append(_rejected(sample_id, path, value))
    readable = np.array([digest != "" for digest in digests], dtype=bool)
    return samples.assign(sha256=digests)[readable], rejected


def _digest(item: Item, most_bytes: int) -> str | Refused:
    try:
        return hashlib.sha256(read(item.place, most_bytes)).hexdigest()
    except RefusedError as refused:
        return Refused(refused.reason, refused.detail, size=refused.size)


Chunk = list[tuple[str, str, Item]]  # id and path of some samples, and what to read


def _chunks(samples: pd.DataFrame, rows: int) -> Iterator[Chunk]:
    """Everything about the samples that a process needs to know, some rows at a time.

    In paths as text, bytes that are no text stand as lone surrogates.
    """
    columns = samples[[name for name in COLUMNS if name in samples]]
    for start in range(0, len(columns), rows):
        part = columns.iloc[start : start + rows]
        paths = [os.fsdecode(path) for path in part["path"].tolist()]
        starts, lengths = (_whole_numbers(part, name) for name in ("offset", "length"))
        items = [
            Item(Place(_spelled(path), first or 0, length), crop)
            for path, first, length, crop in zip(paths, starts, lengths, _crops(part), strict=True)
        ]
        yield [*zip(part["sample_id"].tolist(), paths, items, strict=True)]


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


def _rejected(sample_id: str, path: str, refused: Refused) -> Rejected:
    """With the path as text that can be written anywhere."""
    writable = path.encode("utf-8", "backslashreplace").decode()
    return Rejected(sample_id=sample_id, path=writable, **refused._asdict())

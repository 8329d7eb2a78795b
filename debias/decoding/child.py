"""One decoding process as its parent sees it: started, asked, replaced when it dies."""

import json
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from subprocess import Popen
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import UInt8

import debias
from debias.decoding.protocol import (
    LENGTH,
    MOST_A_RECORD,
    READY,
    Item,
    Kept,
    NonsenseError,
    Record,
    Refused,
    message,
    packed,
    records_of,
)
from debias.decoding.rules import DECODER_DIED, TOOK_TOO_LONG, Limits
from debias.errors import DecodingError


class Pipes:
    """Standard input and output of a process.

    Attributes:
        deadline: On the monotonic clock; nothing is waited for any longer.
    """

    def __init__(self, process: Popen[bytes]) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self.input, self.output = process.stdin.fileno(), process.stdout.fileno()
        os.set_blocking(self.input, False)
        os.set_blocking(self.output, False)
        self.deadline = 0.0

    def write(self, data: bytes) -> None:
        """Say all of it.

        Raises:
            OSError: Nobody listens any more.
            TimeoutError: Not everything was taken in time.
        """
        left = memoryview(data)
        while left:
            self._wait(self.input, select.POLLOUT)
            left = left[os.write(self.input, left) :]

    def read_into(self, target: memoryview) -> None:
        """Fill ``target``.

        Raises:
            EOFError: The process says nothing more.
            TimeoutError: Not everything came in time.
        """
        while target:
            self._wait(self.output, select.POLLIN)
            count = os.readv(self.output, [target])
            if not count:
                raise EOFError
            target = target[count:]

    def read_json(self, most: int) -> Any:  # noqa: ANN401 (JSON)
        """The next message of at most ``most`` bytes.

        Raises:
            NonsenseError: It is longer, or no JSON.
        """
        length = LENGTH.unpack(self._read(LENGTH.size))[0]
        if length > most:
            raise NonsenseError(f"a message of {length} bytes; at most {most} were expected")
        try:
            return json.loads(self._read(length))
        except (ValueError, RecursionError) as error:
            raise NonsenseError("a message that is no JSON") from error

    def _read(self, count: int) -> bytearray:
        content = bytearray(count)
        self.read_into(memoryview(content))
        return content

    def _wait(self, handle: int, event: int) -> None:
        poll = select.poll()
        poll.register(handle, event)
        if not poll.poll(max(0.0, self.deadline - time.monotonic()) * 1000):
            raise TimeoutError


# -P: a folder full of images may also hold a file called numpy.py.
WORKER = (sys.executable, "-P", "-m", "debias.decoding.worker")
SECONDS_TO_START = 60.0
SECONDS_TO_DIE = 1.0
# A process that parses hostile files gets no passwords: only what Python itself needs.
_INHERITED = ("LANG", "LC_", "LD_", "PATH", "PYTHONHOME", "PYTHONUTF8", "TZ")


class ChildDiedError(Exception):
    """The process is gone, or was ended because it went wrong.

    Attributes:
        reason: "took too long" or "decoder died".
        detail: One sentence.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason, self.detail = reason, detail


class Answer(NamedTuple):
    """What became of some items.

    Attributes:
        records: One an item.
        images: RGB of those that were kept.
    """

    records: list[Record]
    images: UInt8[np.ndarray, "m H W 3"]


class Child:
    """A process that is started when it is first asked, and again after it died.

    Attributes:
        deaths: How often it died.
    """

    def __init__(self, size: int, limits: Limits, command: Sequence[str] = WORKER) -> None:
        self.size, self.limits, self.command = size, limits, tuple(command)
        self.deaths = 0
        self.process: subprocess.Popen[bytes] | None = None
        self._pipes: Pipes | None = None
        self._ended = False
        self._starting = threading.Lock()  # ended by one thread while another starts it

    def ask(self, items: Sequence[Item]) -> Answer:
        """Have items read.

        Raises:
            ChildDiedError: The process died over one of them.
            DecodingError: It does not even start.
        """
        pipes = self._pipes or self._start()
        # The process times every file itself; this is for one that can no longer do so.
        pipes.deadline = time.monotonic() + self.limits.seconds * (len(items) + 1)
        try:
            pipes.write(packed(items))
            return self._answer(pipes, len(items))
        except (OSError, EOFError, NonsenseError) as error:
            raise self._death(error) from error

    def nothing(self, death: ChildDiedError, sha256: str) -> Answer:
        """The answer about an item, of this content, that killed the process."""
        images = np.empty((0, self.size, self.size, 3), dtype=np.uint8)
        return Answer([Refused(death.reason, death.detail, sha256)], images)

    def end(self) -> None:
        """End it for good, also while another thread waits for its answer."""
        with self._starting:
            self._ended = True
            if self.process:
                self.process.kill()

    def bury(self) -> int:
        """Wait for the process, which is about to end, so that no zombie stays; its exit code."""
        process, self.process, self._pipes = self.process, None, None
        if process is None:
            return 0
        with process:  # closes the pipes
            try:
                return process.wait(SECONDS_TO_DIE)
            except subprocess.TimeoutExpired:
                process.kill()
                return process.wait()

    def _start(self) -> Pipes:
        with self._starting:
            if self._ended:
                raise ChildDiedError(DECODER_DIED, "reading was stopped")
            self.process = _process(self.command)
        pipes = Pipes(self.process)
        pipes.deadline = time.monotonic() + SECONDS_TO_START
        try:
            pipes.write(message({"size": self.size, "limits": asdict(self.limits)}))
            if pipes.read_json(MOST_A_RECORD) != READY:
                raise NonsenseError("it says something else")
        except (OSError, EOFError, NonsenseError) as error:
            self.process.kill()
            raise DecodingError(
                f"the process that decodes images does not start (exit code {self.bury()}); "
                f"run it by hand to see why: {' '.join(self.command)}"
            ) from error
        self._pipes = pipes
        return pipes

    def _answer(self, pipes: Pipes, count: int) -> Answer:
        records = records_of(pipes.read_json(MOST_A_RECORD * (count + 1)), count)
        kept = sum(isinstance(record, Kept) for record in records)
        images = np.empty((kept, self.size, self.size, 3), dtype=np.uint8)
        pipes.read_into(images.reshape(-1).data)
        return Answer(records, images)

    def _death(self, error: Exception) -> ChildDiedError:
        self.deaths += 1
        late, senseless = isinstance(error, TimeoutError), isinstance(error, NonsenseError)
        if self.process and (late or senseless):
            self.process.kill()
        code = self.bury()
        if late or code == -signal.SIGALRM:
            return ChildDiedError(TOOK_TOO_LONG, f"no image after {self.limits.seconds:g} seconds")
        if senseless:
            return ChildDiedError(DECODER_DIED, "the decoder gave an answer without sense")
        if code < 0:
            return ChildDiedError(DECODER_DIED, f"the decoder was ended by {_name(-code)}")
        return ChildDiedError(DECODER_DIED, f"the decoder ended with exit code {code}")


def _process(command: Sequence[str]) -> subprocess.Popen[bytes]:
    package = str(Path(debias.__file__).parents[1])
    environment = {name: value for name, value in os.environ.items() if name.startswith(_INHERITED)}
    # One process a core: threads inside each would only wait for each other.
    environment |= {"PYTHONPATH": package, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    try:
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the parent, which ends its children itself
        )
    except OSError as error:
        raise DecodingError(f"the process that decodes images does not start: {error}") from error


def _name(number: int) -> str:
    known = {int(each): each.name for each in signal.Signals}
    return known.get(number, f"signal {number}")

"""The two ends of a conversation with a process, never waited on for longer than agreed."""

import json
import os
import select
import time
from subprocess import Popen
from typing import Any

from debias.decoding.protocol import LENGTH, NonsenseError


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

"""Trainings that go on where they were interrupted, bit for bit on the same machine.

One file a step, ``RUN/<stage>/<key>.checkpoint``: a line that says what wrote it, then the states
of its trainings in order, the last of them perhaps in the midst. What changes in a training must
be in the ``state_dict`` of what it is made of, as parameters, buffers or extra state.
"""

import hashlib
import io
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from copy import deepcopy
from pathlib import Path
from pickle import UnpicklingError
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from debias import __version__, stopping
from debias.errors import CheckpointMismatchError
from debias.storage.files import replace_file, storage_error
from debias.storage.sealed import PRIVATE_FILE
from debias.training import parallel

EVERY = 20.0  # seconds from one checkpoint to the next
SHARE = 0.02  # of the time that writing may take; what takes long is written less often
RESULT = ("model", "on_epoch", "streams")  # all that is needed of a finished training
FORMAT = 1
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, UnpicklingError)

State = dict[str, Any]  # arrays (read back as tensors), numbers, texts, lists and dicts of them


@runtime_checkable
class Remembers(Protocol):
    """Has what changes in a training, by the convention of torch."""

    def state_dict(self) -> State: ...
    def load_state_dict(self, state: State) -> object: ...


Parts = Mapping[str, Remembers]


class Streams:
    """torch's own random numbers, from which noise and dropout are drawn."""

    def __init__(self, device: torch.device) -> None:
        own = {} if device.type == "cpu" else {device.type: torch.get_device_module(device)}
        self.sources: dict[str, Any] = {"cpu": torch, **own}

    def state_dict(self) -> State:
        return {name: source.get_rng_state() for name, source in self.sources.items()}

    def load_state_dict(self, state: State) -> None:
        for name, source in self.sources.items():
            source.set_rng_state(state[name])


class Checkpoints:
    """Of the trainings of one step. Without a path, nothing is kept.

    Args:
        path: Of the file.
        say: Is told, in a sentence, what was found and what went wrong.
    """

    def __init__(self, path: Path | None, say: Callable[[str], None] = lambda text: None) -> None:
        self.path, self.say = path, say
        self.finished: list[State] = []
        self.left = [] if path is None or not path.exists() else self._read(path)
        self.due = time.monotonic() + EVERY

    def resume(self, parts: Parts) -> bool:
        """Bring a training to where it was left, if it was; whether it was at its end.

        Raises:
            CheckpointMismatchError: The checkpoint is of other parts; it is deleted.
        """
        if not self.left:
            return False
        state = self.left.pop(0)
        try:
            for name in state:
                parts[name].load_state_dict(state[name])
        except (KeyError, ValueError, TypeError, RuntimeError) as error:
            if self.path is not None:  # else it was read by another process
                self.path.unlink(missing_ok=True)
            raise CheckpointMismatchError(
                f"{self.path} does not fit what is trained here ({error}), perhaps because code "
                "has changed; it is deleted: run the same command again to train from the start"
            ) from error
        return set(state) == set(RESULT) & set(parts)

    def look(self, parts: Parts) -> None:
        """Between two batches: save if it is time, and stop if somebody asked."""
        asked = parallel.stop_asked()
        if self.path is not None and (asked or time.monotonic() >= self.due):
            self._save(self.path, parts)
        if asked:
            stopping.check()

    def finish(self, parts: Parts) -> None:
        if self.path is not None:
            self.finished.append(
                {name: deepcopy(parts[name].state_dict()) for name in RESULT if name in parts}
            )

    def _save(self, path: Path, parts: Parts) -> None:
        """A disk that is full ends no training: it ends when the result cannot be written."""
        begun, content = time.monotonic(), io.BytesIO()
        now = {name: part.state_dict() for name, part in parts.items()}
        torch.save(_safe([*self.finished, now]), content)
        about = _written_by(path) | {"sha256": hashlib.sha256(content.getbuffer()).hexdigest()}

        def write(file: Path) -> None:
            with file.open("wb") as opened:
                opened.write(json.dumps(about).encode() + b"\n")
                opened.write(content.getbuffer())

        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_file(path, write, mode=PRIVATE_FILE)
        except OSError as error:
            self.say(f"No checkpoint: {storage_error(error, path.parent)}")
        took = time.monotonic() - begun
        self.due = time.monotonic() + max(EVERY, took / SHARE)

    def _read(self, path: Path) -> list[State]:
        """The states left by an interrupted process; none if they cannot be gone on with."""
        try:
            line, _, content = path.read_bytes().partition(b"\n")
            about = json.loads(line)
            digest = about.pop("sha256")
            if hashlib.sha256(content).hexdigest() != digest:
                raise ValueError("its content is not what was written")
            if changed := [k for k, v in _written_by(path).items() if about.get(k) != v]:
                raise ValueError(f"written with other {', '.join(changed)}")
            states: list[State] = torch.load(io.BytesIO(content), weights_only=True)
        except UNREADABLE as error:
            self.say(f"The checkpoint {path} is left aside ({error}): training begins anew.")
            return []
        self.say("An interrupted training goes on from its last checkpoint.")
        return states


def _safe(value: Any) -> Any:  # noqa: ANN401 (anything in a state)
    """With tensors for arrays, which are not read without running code."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(value)
    if type(value) is dict:  # that of a network is more than that, and holds tensors
        return {name: _safe(one) for name, one in value.items()}
    return [_safe(one) for one in value] if isinstance(value, list) else value


def _written_by(path: Path) -> dict[str, str | int]:
    """What the bits of a training depend on, beside the settings that its key stands for."""
    return {
        "format": FORMAT, "key": path.stem, "debias": __version__, "torch": torch.__version__,
        "threads": torch.get_num_threads(), "processor": torch.backends.cpu.get_cpu_capability(),
        "processes": parallel.processes(),
    }  # fmt: skip


_CURRENT: ContextVar[Checkpoints | None] = ContextVar("checkpoints", default=None)


@contextmanager
def checkpoints(
    path: Path | None, say: Callable[[str], None] = lambda text: None
) -> Iterator[None]:
    """Keep the trainings of a step in this file; see :class:`Checkpoints`.

    Of several processes, the first one has a path, and all go on from what it finds.
    """
    kept = Checkpoints(path, say)
    kept.left = parallel.same(lambda: kept.left)
    before = _CURRENT.set(kept)
    try:
        yield
    finally:
        _CURRENT.reset(before)


def current() -> Checkpoints:
    """Those of the step at work; none outside of one."""
    return _CURRENT.get() or Checkpoints(None)

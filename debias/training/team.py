"""The processes that ``torchrun`` has started, of which the first leads and the others help.

Whoever reaches them may run programs as their user, as with everything of torch.distributed: on one
machine they speak over its loopback; several belong in a network of one's own.
"""

import os
import pickle
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, distributed
from torch.distributed import PrefixStore, Store  # type: ignore[attr-defined]
from torch.distributed.rendezvous import rendezvous

from debias import stopping
from debias.errors import WorkerError

T = TypeVar("T")
POLL = 0.05  # seconds
LOOPBACK = "lo"
ENDED, SENT, STOPPED = "ended", "sent", "it was asked to end"


def join() -> "Team":
    """The team that the environment tells of, as ``torchrun`` sets it."""
    here = os.environ.get("LOCAL_WORLD_SIZE") == os.environ["WORLD_SIZE"]
    if here and Path("/sys/class/net", LOOPBACK).exists():
        os.environ.setdefault("GLOO_SOCKET_IFNAME", LOOPBACK)
    if torch.cuda.is_available():
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]) % torch.cuda.device_count())
    store, rank, size = next(iter(rendezvous("env://")))
    apart = PrefixStore("gradients", store)
    distributed.init_process_group("gloo", store=apart, rank=rank, world_size=size)
    return Team(PrefixStore("words", store), rank, size)


def leave() -> None:
    distributed.destroy_process_group()


@dataclass
class Team:
    """One process among those that train together.

    Attributes:
        store: Where short messages lie.
        rank: Of this process, in [0, size); 0 leads.
        size: Processes.
        pieces: Of work that were sent or received.
    """

    store: Store
    rank: int
    size: int
    pieces: int = 0

    def rows(self, total: int, rank: int | None = None) -> slice:
        """Which rows of a batch are of a process: runs of equal length, but for the last."""
        most = -(-total // self.size)
        start = most * (self.rank if rank is None else rank)
        return slice(min(start, total), min(start + most, total))

    def shares(self, total: int) -> bool:
        """Whether no process goes without a row; else each may do all of them."""
        return self.rows(total, self.size - 1).start < total

    def send(self, piece: object) -> None:
        """Give the helpers a piece of work, None for the last; to be called by who leads."""
        self.store.set(f"{SENT} {self.pieces}", pickle.dumps(piece))  # type: ignore[arg-type]
        self.pieces += 1

    def receive(self) -> Any:  # noqa: ANN401 (what was sent)
        """The next piece of work, waited for."""
        while not self.store.check([f"{SENT} {self.pieces}"]):
            time.sleep(POLL)
        self.pieces += 1
        return pickle.loads(self.store.get(f"{SENT} {self.pieces - 1}"))

    def tell(self, why: str) -> None:
        """Why this process ends before the work does."""
        with suppress(RuntimeError):  # where messages lay is gone as well
            self.store.set(ENDED, f"process {self.rank + 1} of {self.size}: {why}")

    def told(self) -> str:
        """Why a helper ended, as far as one has said so."""
        with suppress(RuntimeError):
            return self.store.get(ENDED).decode() if self.store.check([ENDED]) else ""
        return ""

    def add(self, tensor: Tensor) -> None:
        """In place of a tensor its sum over the processes, which is the same in all of them."""
        self._all(distributed.all_reduce, tensor)

    def gather(self, parts: list[Tensor], own: Tensor) -> None:
        self._all(distributed.all_gather, parts, own)

    def same(self, value: T) -> T:
        """What the leader has in place of this."""
        given = [value]
        self._all(distributed.broadcast_object_list, given)
        return given[0]

    def _all(self, do: Callable[..., object], *given: object) -> None:
        try:
            do(*given)
        except RuntimeError as error:
            raise self.lost() from error

    def lost(self) -> WorkerError:
        """What is to be raised where another process does not answer any more.

        ``torchrun`` asks all others to end then, which shall not hide why.

        Raises:
            Stopped: All were asked to end.
        """
        why = self.told()
        if why.endswith(STOPPED):
            stopping.check()
        stopping.ignore()
        return WorkerError(
            f"one of {self.size} processes that train together is gone ("
            f"{why or 'it said nothing, as one that is killed, often for want of memory'}); "
            "finished steps are kept, and so is a training up to its last checkpoint: run the same "
            "command again, with fewer processes if memory is short"
        )

"""When each step of a run worked, by whom, and how much memory all of it took."""

import threading
import time
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from debias.processes import resident
from debias.tracking.tracker import Advance, Progress

FIRST, MOST = 0.1, 1000  # seconds from one look at the memory to the next; looks that are kept


@runtime_checkable
class Seats(Protocol):
    """Somebody who watches, and asks who does the work."""

    def by(self, title: str, worker: str) -> None:
        """The step of this title, which has just begun, is done by this worker."""


@dataclass
class Span:
    """From the beginning of a step to the last that it told; seconds since the run began."""

    title: str
    begin: float
    end: float
    worker: str = ""
    reused: bool = False


@dataclass
class Profile:
    """Notes what is told of a run, and passes it on.

    Attributes:
        told: Who watches.
        spans: Of the steps, in the order in which they began.
        memory: Seconds, and the bytes that this process and those below it had then; empty where
            the system does not say.
        took: Seconds of all, once it is over.
    """

    told: Progress
    spans: list[Span] = field(default_factory=list)
    memory: list[tuple[float, int]] = field(default_factory=list)
    begun: float = field(default_factory=time.monotonic)
    took: float = 0.0
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> "Profile":
        self._watch = threading.Thread(target=self._look, daemon=True)
        self._watch.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.over.set()
        self._watch.join()
        self.took = self._now()

    def start(self, title: str, total: int) -> Advance:
        advance = self.told.start(title, total)
        now = self._now()
        span = Span(title, now, now)
        self.spans.append(span)

        def noted(note: str, steps: int = 1) -> None:
            span.end = self._now()
            advance(note, steps)

        return noted

    def by(self, title: str, worker: str) -> None:
        next(one for one in reversed(self.spans) if one.title == title).worker = worker

    def reused(self, title: str) -> None:
        now = self._now()
        self.spans.append(Span(title, now, now, reused=True))
        self.told.reused(title)

    def note(self, text: str) -> None:
        self.told.note(text)

    def _now(self) -> float:
        return time.monotonic() - self.begun

    def _look(self) -> None:
        """Often at first; in a long run as seldom as it takes to keep few numbers."""
        pause = FIRST
        while not self.over.wait(pause) and (now := resident()) is not None:
            self.memory.append((self._now(), now))
            if len(self.memory) >= MOST:
                self.memory, pause = self.memory[1::2], 2 * pause

"""Somebody who watches long work."""

import sys
from typing import Protocol, runtime_checkable


@runtime_checkable
class Advance(Protocol):
    """Tells that steps are done, with a short note."""

    def __call__(self, note: str, steps: int = 1) -> None: ...


@runtime_checkable
class Progress(Protocol):
    """Somebody who watches a run."""

    def start(self, title: str, total: int) -> Advance:
        """A stage with ``total`` steps begins; call the result as they are done."""

    def reused(self, title: str) -> None:
        """A stage was found finished."""

    def note(self, text: str) -> None:
        """Something a person should know before they wait for the rest, in a sentence."""


class Lines:
    """Tells which stage works in one line on standard error."""

    def start(self, title: str, total: int) -> Advance:
        sys.stderr.write(f"{title} ...\n")
        return silent

    def reused(self, title: str) -> None:
        sys.stderr.write(f"{title}: found finished\n")

    def note(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")


class Silence:
    """Nobody watches."""

    def start(self, title: str, total: int) -> Advance:
        return silent

    def reused(self, title: str) -> None: ...
    def note(self, text: str) -> None: ...


def silent(note: str, steps: int = 1) -> None:
    """Nobody counts."""

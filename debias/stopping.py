"""Ending when asked: Ctrl-C, SIGTERM and SIGHUP stop the work, and say so to whoever waits.

What is on disk is there whole or not at all, so every point is safe to stop at. A training first
ends its batch, to keep what it did since its last checkpoint.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PATIENCE = 5.0  # seconds that a batch may take to end


class Stopped(KeyboardInterrupt):
    """Somebody asked this process to end."""

    def __init__(self, number: int = signal.SIGINT) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


def end_now(code: int) -> NoReturn:
    """End the process now: all is closed, and tidying up the interpreter can take 10 s."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


class _Asked:
    number = 0  # of the signal; 0 while nobody has asked
    waits = 0  # blocks that look by themselves


@contextmanager
def stoppable() -> Iterator[None]:
    """Let the first signal raise :class:`Stopped` in the block; a second one ends the process.

    A signal that was ignored before stays ignored: of a command that shall outlive its terminal.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    heard = [one for one in SIGNALS if signal.getsignal(one) != signal.SIG_IGN]
    before = {one: signal.getsignal(one) for one in (*heard, signal.SIGALRM)}

    def ask(number: int, _: object) -> None:
        _Asked.number = number
        for one in heard:
            signal.signal(one, signal.SIG_DFL)  # by the system itself: also within long arithmetic
        if sys.stderr.isatty():
            os.write(sys.stderr.fileno(), b"\x1b[?25h")  # progress bars hide the cursor
        if not _Asked.waits:
            raise Stopped(number)
        signal.signal(signal.SIGALRM, lambda *_: check())
        signal.setitimer(signal.ITIMER_REAL, PATIENCE)

    for one in heard:
        signal.signal(one, ask)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        ignored = [one for one in before if signal.getsignal(one) == signal.SIG_IGN]
        for one in before.keys() - ignored:
            signal.signal(one, before[one])
        _Asked.number = 0


@contextmanager
def by_itself() -> Iterator[None]:
    """The block asks :func:`asked` often: it is interrupted only if it takes too long to do so."""
    _Asked.waits += 1
    try:
        yield
    finally:
        _Asked.waits -= 1


def ask() -> None:
    """Let the work that goes on in another thread of this process end, as a signal would."""
    _Asked.number = signal.SIGINT


def ignore() -> None:
    """Whoever asks from now on: this process ends anyway, and shall say why."""
    if threading.current_thread() is not threading.main_thread():
        return
    signal.setitimer(signal.ITIMER_REAL, 0)
    for one in SIGNALS:
        signal.signal(one, signal.SIG_IGN)


def forget() -> None:
    """That anybody asked: what was to end has ended."""
    _Asked.number = 0


def asked() -> bool:
    """Whether this process shall end."""
    return bool(_Asked.number)


def check() -> None:
    """Raise :class:`Stopped` if this process shall end."""
    if asked():
        signal.setitimer(signal.ITIMER_REAL, 0)  # what is closed now takes the time that it takes
        raise Stopped(_Asked.number)

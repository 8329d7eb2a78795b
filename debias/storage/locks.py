"""One writer at a time in a folder; readers never wait.

Not the package filelock: it works on without a lock where the file system has none.
"""

import errno
import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from debias.errors import StorageError
from debias.storage.files import storage_error

LOCK = ".lock"
POLL = 0.1  # seconds
UNSUPPORTED = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}


@contextmanager
def locked(
    folder: Path,
    patience: float = float("inf"),
    waiting: Callable[[str], None] = lambda owner: None,
) -> Iterator[None]:
    """Hold the folder's lock; the kernel gives it back when this process ends, however it ends.

    ``patience`` is in seconds; ``waiting`` is called once, with the other process's number.

    Raises:
        StorageError: It took longer, or the folder cannot be written or locked.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise storage_error(error, folder) from error
    try:
        _acquire(descriptor, folder, patience, waiting)
        yield
    finally:
        os.close(descriptor)


def _acquire(
    descriptor: int, folder: Path, patience: float, waiting: Callable[[str], None]
) -> None:
    """Wait for the lock, and leave this process's number for those who wait."""
    begun, told = time.monotonic(), False
    while not _try(descriptor, folder):
        owner = os.pread(descriptor, 20, 0).decode(errors="replace") or "unknown"
        if time.monotonic() - begun > patience:
            raise StorageError(
                f"process {owner} has been building in {folder.absolute()} for more than "
                f"{patience:.0f} s; wait for it or stop it, then run the same command again"
            )
        if not told:
            waiting(owner)
            told = True
        time.sleep(POLL)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    except OSError as error:
        raise storage_error(error, folder) from error


def _try(descriptor: int, folder: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        raise StorageError(
            f"the file system of {folder.absolute()} has no locks ({error}), so two builders "
            "could not be kept apart; choose a folder on a local disk with --out"
        ) from error
    return True

"""A rewritten artifact in the place of the old one; and an end to swaps that were killed.

At every moment either of the two stands under the artifact's name, so nobody who follows a name to
it finds nothing. Where a file system cannot exchange two folders in one go, what points to the
artifact is hidden meanwhile.
"""

import ctypes
import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from debias.storage.files import sync
from debias.storage.leftovers import HIDDEN, POINTER, SWAPPED, delete, interrupted_swaps
from debias.storage.sealed import MANIFEST, is_sealed

CURRENT_FOLDER, EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux
IMPOSSIBLE = {errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP}


def fresh_name(final: Path) -> Path:
    """Where the new artifact is written."""
    return final.with_name(f".purged-{final.name}.new")


def swap(fresh: Path, final: Path) -> None:
    """Put a sealed folder in the place of another one, and delete that one.

    Raises:
        OSError: The folder cannot be written.
    """
    if not _exchanged(fresh, final):
        with _hidden_pointer(final):
            final.rename(_aside(final))
            fresh.rename(final)
    sync(final.parent)
    delete([fresh, _aside(final)])


def discard(final: Path) -> None:
    """Delete an artifact, so that at no moment a part of it counts as one.

    Raises:
        OSError: The folder cannot be written.
    """
    aside = _aside(final)
    final.rename(aside)
    (aside / MANIFEST).unlink()
    delete([aside])


def finish_swaps(folder: Path) -> int:
    """Bring interrupted swaps to an end; returns how many folders and files they had left.

    An artifact that stands under no name gets it back, a complete new one before an old one; the
    rest is deleted. Whoever swaps holds the folder's lock meanwhile, and so must the caller.

    Raises:
        OSError: The folder cannot be written.
    """
    found = interrupted_swaps(folder)
    for path in found:  # the new one of an artifact sorts before the old one
        final = _final(path)
        if not final.exists() and (path.name == HIDDEN or is_sealed(path)):
            path.rename(final)
    delete(path for path in found if path.exists())
    return len(found)


def _final(path: Path) -> Path:
    match = SWAPPED.fullmatch(path.name)
    return path.with_name(match["key"] if match else POINTER)


def _aside(final: Path) -> Path:
    return final.with_name(f".purged-{final.name}.old")


def _exchanged(one: Path, other: Path) -> bool:
    """Exchange the names of two folders in one go; False where that cannot be done."""
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (AttributeError, OSError, TypeError):  # not Linux, or an old one
        return False
    places = (CURRENT_FOLDER, os.fsencode(one), CURRENT_FOLDER, os.fsencode(other))
    if rename(*places, EXCHANGE) == 0:
        return True
    number = ctypes.get_errno()
    if number in IMPOSSIBLE:
        return False
    raise OSError(number, os.strerror(number), str(other))


@contextmanager
def _hidden_pointer(final: Path) -> Iterator[None]:
    pointer = final.parent.parent / POINTER
    hidden = pointer.with_name(HIDDEN)
    if not pointer.exists():
        yield
        return
    pointer.rename(hidden)
    yield
    hidden.rename(pointer)  # after an error, too late: the next purge brings it back

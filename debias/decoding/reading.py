"""The bytes of one file, or of a slice of it, without ever waiting for a pipe or a device."""

import errno
import os
import stat
from dataclasses import dataclass

from debias.decoding.rules import (
    FILE_MISSING,
    FILE_TOO_LARGE,
    NOT_READABLE,
    NOT_REGULAR,
    RefusedError,
)

# O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

_MISSING = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})
_SPECIAL = {errno.ELOOP: "a symbolic link is not followed", errno.ENXIO: "a socket or a device"}


@dataclass(frozen=True)
class Place:
    """Where the bytes of an image lie.

    Attributes:
        path: As the file system spells it, whatever bytes it is made of.
        offset: First byte in the file.
        length: Number of bytes; None for all from ``offset``.
    """

    path: bytes
    offset: int = 0
    length: int | None = None


def read(place: Place, most_bytes: int) -> bytes:
    """Read a regular file; symbolic links are not followed.

    Raises:
        RefusedError: It is missing, not a regular file, not readable or too large.
    """
    try:
        handle = os.open(place.path, FLAGS)
    except ValueError:  # a NUL byte
        raise RefusedError(FILE_MISSING, "no file can have this name") from None
    except OSError as error:
        raise _refused(error) from None
    try:
        return _read(handle, place, most_bytes)
    except OSError as error:
        raise _refused(error) from None
    finally:
        os.close(handle)


def _read(handle: int, place: Place, most_bytes: int) -> bytes:
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        kind = "a folder" if stat.S_ISDIR(about.st_mode) else "a pipe, a socket or a device"
        raise RefusedError(NOT_REGULAR, f"this is {kind}")
    there = about.st_size
    length = there - place.offset if place.length is None else place.length
    if place.offset < 0 or length < 0 or place.offset + length > there:
        raise RefusedError(
            NOT_READABLE,
            f"bytes {place.offset} to {place.offset + length} are not in a file of {there}",
            there,
        )
    if length > most_bytes:
        raise RefusedError(FILE_TOO_LARGE, f"{length} bytes; at most {most_bytes} are read", length)
    content = os.pread(handle, length, place.offset)
    while len(content) < length:
        more = os.pread(handle, length - len(content), place.offset + len(content))
        if not more:
            raise RefusedError(NOT_READABLE, "the file became shorter while it was read", there)
        content += more
    return content


def _refused(error: OSError) -> RefusedError:
    code = error.errno or 0
    text = error.strerror or type(error).__name__
    if code in _MISSING:
        return RefusedError(FILE_MISSING, text)
    if code in _SPECIAL:
        return RefusedError(NOT_REGULAR, _SPECIAL[code])
    return RefusedError(NOT_READABLE, text)

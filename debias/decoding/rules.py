"""What a file may cost, what is done to it on its way to RGB, and why it yields no image.

And its bytes, or a slice of them, read without ever waiting for a pipe or a device.
"""

import errno
import os
import stat
from dataclasses import dataclass
from importlib.metadata import version
from typing import NamedTuple

GREYSCALE = "greyscale"
PALETTE = "palette"
CMYK = "cmyk"
OTHER_COLOURS = "other colour space"
TRANSPARENCY = "transparency on white"
SIXTEEN_BIT = "16 bit to 8"
PROFILE_IGNORED = "colour profile ignored"
ANIMATED = "animated: first frame"
SEVERAL = "several pictures: first one"
TURNED = "turned by exif"
BROKEN_METADATA = "broken metadata ignored"
ENLARGED = "enlarged"
BEYOND_EDGE = "black beyond the edge"

NOTES = frozenset((
    GREYSCALE, PALETTE, CMYK, OTHER_COLOURS, TRANSPARENCY, SIXTEEN_BIT, PROFILE_IGNORED, ANIMATED,
    SEVERAL, TURNED, BROKEN_METADATA, ENLARGED, BEYOND_EDGE,
))  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a file may cost before it is set aside."""

    most_bytes: int = 64 * 2**20  # of a file, or slice of a file, that is read
    most_pixels: int = 50_000_000  # of an image that is decoded, by its header
    seconds: float = 10.0  # wall-clock time for one file
    memory: int = 2 * 2**30  # address space of one decoding process, bytes


RULES = 1  # raised whenever the same file would become other pixels


def decoded_by() -> str:
    """Our rules and the major version of the library that reads the files."""
    return f"rules {RULES}, Pillow {version('pillow').partition('.')[0]}"


FILE_MISSING = "file missing"
NOT_REGULAR = "not a regular file"
NOT_READABLE = "not readable"
FILE_TOO_LARGE = "file too large"
IMAGE_TOO_LARGE = "image too large"
NOT_DECODABLE = "not decodable"
MODE_NOT_SUPPORTED = "colour mode not supported"
TOOK_TOO_LONG = "took too long"
DECODER_DIED = "decoder died"
OUT_OF_MEMORY = "out of memory"
OUTSIDE = "outside the image"

REASONS = frozenset((
    FILE_MISSING, NOT_REGULAR, NOT_READABLE, FILE_TOO_LARGE, IMAGE_TOO_LARGE, NOT_DECODABLE,
    MODE_NOT_SUPPORTED, TOOK_TOO_LONG, DECODER_DIED, OUT_OF_MEMORY, OUTSIDE,
))  # fmt: skip


class RefusedError(Exception):
    """One file yields no image: one of ``REASONS``, and a sentence about this file.

    Where known, with its size in bytes, and width and height in pixels as the header says.
    """

    def __init__(self, reason: str, detail: str, size: int | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.size = reason, detail, size
        self.dimensions: tuple[int, int] | None = None


# O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

_MISSING = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})
_SPECIAL = {errno.ELOOP: "a symbolic link is not followed", errno.ENXIO: "a socket or a device"}


class Place(NamedTuple):
    """Where the bytes of an image lie."""

    path: bytes  # as the file system spells it
    offset: int = 0  # of the first byte in the file
    length: int | None = None  # number of bytes; None for all from there


def read(place: Place, most_bytes: int) -> bytes:
    """Read a regular file; symbolic links are not followed.

    Raises:
        RefusedError: It is missing, not a regular file, not readable or too large.
    """
    try:
        handle = os.open(place.path, FLAGS)
        try:
            return _read(handle, place, most_bytes)
        finally:
            os.close(handle)
    except ValueError:  # a NUL byte
        raise RefusedError(FILE_MISSING, "no file can have this name") from None
    except OSError as error:
        raise _refused(error) from None


def _read(handle: int, place: Place, most_bytes: int) -> bytes:
    about = os.fstat(handle)
    if not stat.S_ISREG(about.st_mode):
        kind = "a folder" if stat.S_ISDIR(about.st_mode) else "a pipe, a socket or a device"
        raise RefusedError(NOT_REGULAR, f"this is {kind}")
    there = about.st_size
    length = there - place.offset if place.length is None else place.length
    if place.offset < 0 or length < 0 or place.offset + length > there:
        wanted = f"bytes {place.offset} to {place.offset + length}"
        raise RefusedError(NOT_READABLE, f"{wanted} are not in a file of {there}", there)
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
    code, text = error.errno or 0, error.strerror or type(error).__name__
    if code in _MISSING:
        return RefusedError(FILE_MISSING, text)
    if code in _SPECIAL:
        return RefusedError(NOT_REGULAR, _SPECIAL[code])
    return RefusedError(NOT_READABLE, text)

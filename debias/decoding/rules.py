"""What a file may cost, what is done to it on its way to RGB, and why it yields no image.

And of what kind it is, and its bytes, or a slice of them, read without ever waiting for a pipe or a
device.
"""

import errno
import os
import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
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
FORMAT_NOT_READ = "format not read"
MODE_NOT_SUPPORTED = "colour mode not supported"
TOOK_TOO_LONG = "took too long"
DECODER_DIED = "decoder died"
OUT_OF_MEMORY = "out of memory"
OUTSIDE = "outside the image"

REASONS = frozenset((
    FILE_MISSING, NOT_REGULAR, NOT_READABLE, FILE_TOO_LARGE, IMAGE_TOO_LARGE, NOT_DECODABLE,
    FORMAT_NOT_READ, MODE_NOT_SUPPORTED, TOOK_TOO_LONG, DECODER_DIED, OUT_OF_MEMORY, OUTSIDE,
))  # fmt: skip


class RefusedError(Exception):
    """One file yields no image: one of ``REASONS``, and a sentence about this file.

    Where known, with its size in bytes, and width and height in pixels as the header says.
    """

    def __init__(self, reason: str, detail: str, size: int | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.size = reason, detail, size
        self.dimensions: tuple[int, int] | None = None


# Names of photographs: of what is read, and of what is not. A file of any other name is one if its
# content says so.
SUFFIXES = (
    ".jpg", ".jpeg", ".jpe", ".jfif", ".jfi", ".jif", ".pjpeg", ".pjp", ".mpo", ".png", ".apng",
    ".webp", ".bmp", ".dib",
    ".tif", ".tiff", ".gif", ".heic", ".heif", ".hif", ".avif", ".jp2", ".j2k", ".jpf", ".jpx",
    ".jxl", ".jxr", ".pgm", ".ppm", ".pbm", ".pnm", ".pcx", ".tga", ".psd", ".raw", ".dng", ".cr2",
    ".cr3", ".crw", ".nef", ".nrw", ".arw", ".sr2", ".srf", ".srw", ".orf", ".rw2", ".raf", ".pef",
    ".x3f", ".3fr", ".iiq", ".rwl", ".mrw", ".erf", ".kdc", ".dcr",
)  # fmt: skip
_SIGNATURES = (  # (where, what stands there, kind)
    (0, b"\xff\xd8\xff", "JPEG"), (0, b"\x89PNG\r\n\x1a\n", "PNG"), (8, b"WEBP", "WEBP"),
    (0, b"BM", "BMP"), (0, b"GIF8", "GIF"), (0, b"II*\0", "TIFF"), (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"), (0, b"MM\0+", "TIFF"), (4, b"ftypavi", "AVIF"), (4, b"ftyphe", "HEIC"),
    (4, b"ftypmif1", "HEIC"), (4, b"ftypmsf1", "HEIC"), (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"\xff\x4f\xff\x51", "JPEG 2000"), (0, b"\0\0\0\x0cJXL ", "JPEG XL"),
    (0, b"\xff\x0a", "JPEG XL"), (0, b"II\xbc\x01", "JPEG XR"), (0, b"8BPS", "PSD"),
    (4, b"ftypcrx", "raw"), (0, b"IIRO", "raw"), (0, b"IIRS", "raw"), (0, b"IIU\0", "raw"),
    (0, b"FUJIFILM", "raw"), (0, b"FOVb", "raw"), (0, b"\0MRM", "raw"), (0, b"%PDF", "PDF"),
    (0, b"%!PS", "EPS"), (0, b"<!DOCTYPE html", "HTML"), (0, b"<!doctype html", "HTML"),
    (0, b"<html", "HTML"),
)  # fmt: skip
_PORTABLE = re.compile(rb"P[56]\s+[#\d]")  # the signature of PGM and PPM
DOCUMENTS = frozenset(("PDF", "EPS", "HTML"))
FORMATS = frozenset((*(kind for _, _, kind in _SIGNATURES), "PNM"))
HEAD = 64  # bytes that tell of what kind a file is


def format_of(content: bytes) -> str:
    """What the content, or its first ``HEAD`` bytes, says it is; empty where we know nothing."""
    for where, signature, kind in _SIGNATURES:
        if content.startswith(signature, where):
            return kind
    return "PNM" if _PORTABLE.match(content) else ""


def is_photograph(name: str, head: Callable[[], bytes]) -> bool:
    """Whether a file is one, by its name or else by its content, of which ``head`` is the start."""
    if name.lower().endswith(SUFFIXES):
        return True
    start = head()
    # Two letters tell too little: the size of what follows them in a BMP stands in four bytes.
    named = not start.startswith(b"BM") or start[15:18] == bytes(3)
    return named and format_of(start) not in DOCUMENTS | {""}


# O_NONBLOCK: opening a pipe that nobody writes to would wait for ever.
FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY

_MISSING = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG})
_SPECIAL = {errno.ELOOP: "a symbolic link is not followed", errno.ENXIO: "a socket or a device"}


class Place(NamedTuple):
    """Where the bytes of an image lie."""

    path: bytes  # as the file system spells it
    offset: int = 0  # of the first byte in the file
    length: int | None = None  # number of bytes; None for all from there


def head(path: Path) -> bytes:
    """The first ``HEAD`` bytes of a regular file; none of anything else, or where it is shut."""
    try:
        handle = os.open(path, FLAGS)
    except (OSError, ValueError):
        return b""
    try:
        return os.pread(handle, HEAD, 0) if stat.S_ISREG(os.fstat(handle).st_mode) else b""
    except OSError:
        return b""
    finally:
        os.close(handle)


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

"""What a file may cost, what is done to it on its way to RGB, and why it yields no image."""

from dataclasses import dataclass
from importlib.metadata import version

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

NOTES = frozenset(
    {
        GREYSCALE,
        PALETTE,
        CMYK,
        OTHER_COLOURS,
        TRANSPARENCY,
        SIXTEEN_BIT,
        PROFILE_IGNORED,
        ANIMATED,
        SEVERAL,
        TURNED,
        BROKEN_METADATA,
        ENLARGED,
        BEYOND_EDGE,
    }
)


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a file may cost before it is set aside.

    Attributes:
        most_bytes: Largest file, or slice of a file, that is read.
        most_pixels: Largest image that is decoded, by its header.
        seconds: Wall-clock time for one file.
        memory: Address space of one decoding process, bytes.
    """

    most_bytes: int = 64 * 2**20
    most_pixels: int = 50_000_000
    seconds: float = 10.0
    memory: int = 2 * 2**30


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

REASONS = frozenset(
    {
        FILE_MISSING,
        NOT_REGULAR,
        NOT_READABLE,
        FILE_TOO_LARGE,
        IMAGE_TOO_LARGE,
        NOT_DECODABLE,
        MODE_NOT_SUPPORTED,
        TOOK_TOO_LONG,
        DECODER_DIED,
        OUT_OF_MEMORY,
        OUTSIDE,
    }
)


class RefusedError(Exception):
    """One file yields no image.

    Attributes:
        reason: One of ``REASONS``.
        detail: One sentence about this file.
        size: Of the file in bytes, where known.
        dimensions: Width and height in pixels as the header says, where known.
    """

    def __init__(self, reason: str, detail: str, size: int | None = None) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail, self.size = reason, detail, size
        self.dimensions: tuple[int, int] | None = None

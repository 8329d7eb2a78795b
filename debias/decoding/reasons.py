"""Why a file yields no image: the words by which rejected files are counted."""

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

"""Which kind of file this is, by its first bytes; the name of a file says nothing."""

from collections.abc import Callable
from typing import IO

from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

# The only decoders that ever see a byte. They are called by name: Pillow's own choice would load
# some fifty others, and read the index of further pictures that some JPEG files carry.
READERS: dict[str, Callable[[IO[bytes]], ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
    "BMP": BmpImageFile,
}

_SIGNATURES = (  # (where, what stands there, kind)
    (0, b"\xff\xd8\xff", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (8, b"WEBP", "WEBP"),
    (0, b"BM", "BMP"),
    (0, b"GIF8", "GIF"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (4, b"ftypavi", "AVIF"),
    (4, b"ftyphe", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (0, b"\0\0\0\x0cjP  ", "JPEG 2000"),
    (0, b"8BPS", "PSD"),
    (0, b"%PDF", "PDF"),
    (0, b"%!PS", "EPS"),
    (0, b"<!DOCTYPE html", "HTML"),
    (0, b"<!doctype html", "HTML"),
    (0, b"<html", "HTML"),
)
FORMATS = frozenset(kind for _, _, kind in _SIGNATURES)


def format_of(content: bytes) -> str:
    """What the content says it is; empty where it is nothing we know."""
    for where, signature, kind in _SIGNATURES:
        if content.startswith(signature, where):
            return kind
    return ""

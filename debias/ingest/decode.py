"""Files to pixels: every failure sets one item aside and never ends the run."""

import hashlib
import io
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageOps

from debias.types import ImageOrRejected, Rejected

FORMATS = ("JPEG", "PNG", "WEBP", "BMP")
LARGEST_FILE = 64 * 2**20  # bytes
LARGEST_IMAGE = 50_000_000  # pixels, read from the header before anything is decoded
CHUNK = 1024


def read_files(samples: pd.DataFrame, size: int) -> Iterator[ImageOrRejected]:
    """Decode the files of ``samples`` in order, each to ``uint8 (size, size, 3)`` RGB.

    The file must have the content (``sha256``) it had when the data set was listed. EXIF
    orientation is applied and all metadata dropped; the largest centred square is resized.
    """
    rows = list(zip(samples["sample_id"], samples["path"], samples["sha256"], strict=True))
    with ThreadPoolExecutor() as pool:  # Pillow decodes and resizes outside the interpreter lock
        for start in range(0, len(rows), CHUNK):
            chunk = rows[start : start + CHUNK]
            yield from pool.map(_read, *zip(*chunk, strict=True), [size] * len(chunk))


def hash_files(samples: pd.DataFrame) -> tuple[pd.DataFrame, list[Rejected]]:
    """Add the column ``sha256`` of the file contents; set aside what cannot be read."""
    with ThreadPoolExecutor() as pool:
        digests = list(pool.map(_hash, samples["path"]))
    rejected = [
        Rejected(sample_id=name, path=path, reason="unreadable", detail=_text(digest))
        for name, path, digest in zip(samples["sample_id"], samples["path"], digests, strict=True)
        if isinstance(digest, Exception)
    ]
    readable = np.array([isinstance(digest, str) for digest in digests], dtype=bool)
    found = samples[readable].copy()
    found["sha256"] = [str(digest) for digest in digests if isinstance(digest, str)]
    return found, rejected


def _hash(path: str) -> str | Exception:
    try:
        return hashlib.sha256(_bytes(Path(path))).hexdigest()
    except (OSError, ValueError) as error:
        return error


def _bytes(path: Path) -> bytes:
    # A pipe or a device would block for ever, so only regular files are opened.
    if not path.is_file():
        raise FileNotFoundError("no such regular file")
    size = path.stat().st_size
    if size > LARGEST_FILE:
        raise ValueError(f"{size} bytes; at most {LARGEST_FILE} are read")
    return path.read_bytes()


def _read(sample_id: str, path: str, sha256: str, size: int) -> ImageOrRejected:
    try:
        content = _bytes(Path(path))
        if hashlib.sha256(content).hexdigest() != sha256:
            raise ValueError("the file changed while it was being read")
        return decode(content, size)
    except Exception as error:  # decoders fail in every way there is (reliability: 128 classes)
        return Rejected(sample_id=sample_id, path=path, reason="not decodable", detail=_text(error))


def decode(content: bytes, size: int) -> ImageOrRejected:
    """Pixels of one image file: ``uint8 (size, size, 3)`` RGB.

    Raises:
        Exception: Whatever the decoder raises on a broken file, and ValueError above the limits.
    """
    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        width, height = image.size
        if width * height > LARGEST_IMAGE:
            raise ValueError(f"{width} x {height} pixels; at most {LARGEST_IMAGE} are decoded")
        image.draft("RGB", (2 * size, 2 * size))  # lets JPEG skip detail nobody will see
        upright = ImageOps.exif_transpose(image).convert("RGB")
        square = ImageOps.fit(upright, (size, size), Image.Resampling.BICUBIC)
    return np.asarray(square, dtype=np.uint8)


def _text(error: Exception) -> str:
    # io.BytesIO addresses in Pillow's messages differ from run to run.
    text = f"{type(error).__name__}: {error}".split(" <_io.BytesIO")[0]
    return text[:200]

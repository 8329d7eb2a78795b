"""Image files made on the spot, in every mode and in every way of being wrong."""

import io
import struct
import zlib

import numpy as np
from PIL import Image, PngImagePlugin

ORIENTATIONS = range(1, 9)
UNDO = {  # what a camera does that notes this orientation: the inverse of what a viewer does
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def picture(width: int = 48, height: int = 40, seed: int = 0) -> Image.Image:
    """Smooth, colourful, and different from each of its mirror images."""
    y, x = np.mgrid[0:height, 0:width] / max(width, height)
    phase = np.random.default_rng(seed).uniform(0, 1, 3)
    red, green = 255 * x, 255 * y
    blue = 127 + 127 * np.sin(7 * (x * x + 0.5 * y + phase[0]))
    return Image.fromarray(np.stack([red, green, blue], axis=-1).astype(np.uint8))


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def exif(orientation: int, **texts: str) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    for number, text in texts.items():
        tags[int(number.removeprefix("tag"))] = text
    return tags.tobytes()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(
    width: int, height: int, depth: int, colour: int, rows: bytes, *extra: bytes, last: bytes = b""
) -> bytes:
    """A PNG byte by byte: ``rows`` hold the pixels, each row with a filter byte in front."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [b"\x89PNG\r\n\x1a\n", chunk(b"IHDR", header), *extra]
    return b"".join([*parts, chunk(b"IDAT", zlib.compress(rows)), last, chunk(b"IEND", b"")])


def bomb(side: int = 20_000) -> bytes:
    """A small file that would be ``side`` x ``side`` pixels."""
    squeeze = zlib.compressobj(9)
    row = bytes(1 + side // 8)
    data = b"".join([*(squeeze.compress(row) for _ in range(side)), squeeze.flush()])
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    parts = chunk(b"IHDR", header), chunk(b"IDAT", data), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def text_bomb() -> bytes:
    """64 MB of text in a small chunk."""
    text = b"Comment\0\0" + zlib.compress(bytes(64 * 2**20), 9)
    return png(1, 1, 8, 2, b"\0\x01\x02\x03", chunk(b"zTXt", text))


def many_frames(kind: str, count: int) -> bytes:
    """``count`` frames; the first is red, the others are blue."""
    frames = [Image.new("RGB", (16, 16), "red")]
    frames += [Image.new("RGB", (16, 16), (0, 0, 255 - i % 2)) for i in range(count - 1)]
    options = {"lossless": True, "method": 0} if kind == "WEBP" else {}
    return encoded(frames[0], kind, save_all=True, append_images=frames[1:], **options)


def with_text(image: Image.Image, words: str) -> bytes:
    info = PngImagePlugin.PngInfo()
    info.add_text("Comment", words)
    info.add_itxt("XML:com.adobe.xmp", words)
    return encoded(image, "PNG", pnginfo=info)

"""A square of an image, at any angle, at the wanted size; black where the image ends."""

import math
from typing import NamedTuple

from PIL import Image

from debias.decoding.rules import OUTSIDE, RefusedError

SMALLEST_SIDE = 2.0  # pixels
LARGEST_SIDE = 4.0  # times the longer side of the image
REDUCING_GAP = 3.0  # far too large images are first averaged in whole blocks, which is faster
ROUNDING = 1e-6  # pixels; a square that ends at the edge of the image does not leave it


class Square(NamedTuple):
    """Which part of an upright image is wanted.

    It is turned by ``angle`` degrees clockwise about its centre; its upper edge runs along
    (cos angle, sin angle), y downwards.
    """

    x: float  # centre, pixels from the left edge
    y: float  # centre, pixels from the upper edge
    side: float  # pixels
    angle: float = 0.0

    def scaled(self, by: float) -> "Square":
        return Square(self.x * by, self.y * by, self.side * by, self.angle)


def centred(width: int, height: int) -> Square:
    """The largest square in the middle."""
    return Square(width / 2, height / 2, float(min(width, height)))


def check(square: Square, width: int, height: int) -> None:
    """Refuse what cannot be cut out of an image of this size, before anything is allocated.

    Raises:
        RefusedError: Not finite, too small, too large, or beside the image.
    """
    if not all(map(math.isfinite, square)):
        shown = ", ".join(f"{number:g}" for number in square)
        raise RefusedError(OUTSIDE, f"the square (x, y, side, angle) = ({shown}) is not finite")
    most = LARGEST_SIDE * max(width, height)
    if not SMALLEST_SIDE <= square.side <= most:
        detail = f"pixels; {SMALLEST_SIDE:g} to {most:g} can be cut out of {width} x {height}"
        raise RefusedError(OUTSIDE, f"the square has a side of {square.side:g} {detail}")
    if not _overlaps(square, width, height):
        raise _outside(square, width, height)


def cut(image: Image.Image, square: Square, size: int) -> tuple[Image.Image, bool]:
    """Resample the square to ``size`` x ``size`` pixels (bicubic, averaged when it shrinks).

    Returns:
        The pixels, and whether some of them lie beyond the edge of the image.

    Raises:
        RefusedError: No pixel of the result lies inside the image.
    """
    if square.angle % 360:
        return _cut_turned(image, square, size)
    left, top = square.x - square.side / 2, square.y - square.side / 2
    first, last = _covered(left, square.side, image.width, size)
    upper, lower = _covered(top, square.side, image.height, size)
    if first >= last or upper >= lower:
        raise _outside(square, *image.size)
    box = (
        max(left + square.side * first / size, 0.0),
        max(top + square.side * upper / size, 0.0),
        min(left + square.side * last / size, float(image.width)),
        min(top + square.side * lower / size, float(image.height)),
    )
    piece = _resized(image, (last - first, lower - upper), box)
    if piece.size == (size, size):
        return piece, False
    canvas = Image.new("RGB", (size, size))
    canvas.paste(piece, (first, upper))
    return canvas, True


def _covered(start: float, side: float, length: int, size: int) -> tuple[int, int]:
    """Which of ``size`` pixels across ``side`` lie wholly in an image of this length."""
    scale = size / side
    first = math.ceil(-start * scale - ROUNDING)
    last = math.floor((length - start) * scale + ROUNDING)
    return max(first, 0), min(last, size)


def _cut_turned(image: Image.Image, square: Square, size: int) -> tuple[Image.Image, bool]:
    """Shrink the surroundings to their final scale first: turning itself does not average."""
    cos, sin = _direction(square)
    step = square.side / size  # image pixels a pixel of the result
    reach = _reach(square) + 2 * max(step, 1.0)  # two pixels more: bicubic looks around
    left, right = _clipped(square.x - reach, square.x + reach, image.width)
    top, bottom = _clipped(square.y - reach, square.y + reach, image.height)
    width = max(1, round((right - left) / max(step, 1.0)))
    height = max(1, round((bottom - top) / max(step, 1.0)))
    near = _resized(image, (width, height), (left, top, right, bottom))
    # From pixels of the result to pixels of the image, to pixels of the surroundings.
    across, down = width / (right - left), height / (bottom - top)
    start_x = square.x - (cos - sin) * square.side / 2 - left
    start_y = square.y - (sin + cos) * square.side / 2 - top
    rows = (
        *(cos * step * across, -sin * step * across, start_x * across),
        *(sin * step * down, cos * step * down, start_y * down),
    )
    kind, bicubic = Image.Transform.AFFINE, Image.Resampling.BICUBIC
    turned = near.transform((size, size), kind, rows, bicubic, fillcolor=0)
    edge, (most_x, most_y) = _reach(square), image.size
    within = edge <= square.x <= most_x - edge and edge <= square.y <= most_y - edge
    return turned, not within


def _resized(
    image: Image.Image, size: tuple[int, int], box: tuple[float, float, float, float]
) -> Image.Image:
    return image.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=REDUCING_GAP)


def _clipped(low: float, high: float, length: int) -> tuple[float, float]:
    return float(max(0, math.floor(low))), float(min(length, math.ceil(high)))


def _direction(square: Square) -> tuple[float, float]:
    angle = math.radians(square.angle)
    return math.cos(angle), math.sin(angle)


def _reach(square: Square) -> float:
    """From the centre to the farthest corner, along the axes of the image."""
    cos, sin = _direction(square)
    return square.side / 2 * (abs(cos) + abs(sin))


def _overlaps(square: Square, width: int, height: int) -> bool:
    """Two rectangles overlap unless they are apart along an axis of one of them."""
    cos, sin = _direction(square)
    reach, half = _reach(square), square.side / 2
    right, down = square.x - width / 2, square.y - height / 2  # from centre to centre
    along = abs(right * cos + down * sin) < half + (width * abs(cos) + height * abs(sin)) / 2
    beside = abs(down * cos - right * sin) < half + (height * abs(cos) + width * abs(sin)) / 2
    return abs(right) < reach + width / 2 and abs(down) < reach + height / 2 and along and beside


def _outside(square: Square, width: int, height: int) -> RefusedError:
    return RefusedError(
        OUTSIDE,
        f"the square around ({square.x:g}, {square.y:g}) with a side of {square.side:g} pixels "
        f"lies beside the {width} x {height} pixels of the image",
    )

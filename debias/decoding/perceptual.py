"""A short fingerprint of what an image looks like, so that lookalikes can be found without pixels.

``m`` images, ``H, W`` pixels.
"""

from functools import cache

import numpy as np
from jaxtyping import UInt8, UInt64

WAVES = 16  # along each axis; 16 x 16 = 256 bits
CHANNELS = (1, 2, 1)  # luminance as a whole number: red + 2 green + blue
STEPS = 64  # cosines are rounded to 1/64


def perceptual_hash(images: UInt8[np.ndarray, "m H W 3"]) -> UInt64[np.ndarray, "m 4"]:
    """Signs of the 256 slowest waves of the luminance, most significant word first.

    bit(u, v) = [sum over y, x of L(y, x) cos(pi v (2y + 1) / 2H) cos(pi u (2x + 1) / 2W) > 0]

    for u = 1, 3, .. 15, 2, 4, .. 16 across the image and, within each u, v = 1..16 down it.
    Brightness and contrast do not change a bit. A mirrored image has every wave of odd u negated:
    its hash is the hash with the first two words inverted.

    All sums are of whole numbers that floating point holds exactly, so that neither the block an
    image stands in nor the machine makes a difference.

    Args:
        images: (m, H, W, 3) RGB, at least 8 pixels high and wide.

    Reference:
        The frequencies are those of PDQ (Facebook, "The TMK+PDQF Video-Hashing Algorithm and the
        PDQ Image-Hashing Algorithm", 2019). Deviations: no blur and no resizing first, and a bit
        says whether its wave is positive, not whether it is above the median, which makes the
        hash of a mirrored image known; among real faces the two tell copies from others equally
        well.
    """
    waves = np.empty((len(images), WAVES, WAVES))  # (m, u, v)
    for image, found in zip(images, waves, strict=True):
        np.matmul(_across(image).T, _cosines(len(image)), out=found)
    bits = np.packbits((waves > 0).reshape(len(images), WAVES * WAVES), axis=1)
    return bits.view(">u8").astype(np.uint64)


def _across(image: np.ndarray) -> np.ndarray:
    """(H, waves): each row of the image as waves, those that mirroring negates first."""
    cosines = _row_cosines(image.shape[1])
    waves = image.reshape(len(image), -1).astype(cosines.dtype) @ cosines
    return waves.astype(np.float64)


@cache
def _row_cosines(width: int) -> np.ndarray:
    """(columns, waves): cosines along a row whose pixels have three channels, odd ones first."""
    cosines = _cosines(width)
    cosines = np.hstack([cosines[:, ::2], cosines[:, 1::2]])
    # Up to 256 pixels wide, the sums stay below 2^24, where single precision is exact.
    kind = np.float32 if width <= 256 else np.float64
    return np.kron(cosines, np.array(CHANNELS)[:, None]).astype(kind)


@cache
def _cosines(length: int) -> np.ndarray:
    """(length, waves): whole numbers in [-64, 64]; a column mirrored is itself, up to the sign."""
    place = (2 * np.arange(length) + 1) / (2 * length)
    return np.round(STEPS * np.cos(np.pi * np.outer(place, np.arange(1, WAVES + 1))))

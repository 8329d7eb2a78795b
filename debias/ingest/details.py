"""Small pictures of what an image shows apart from its light: its details.

``n`` images, ``H, W`` pixels.
"""

import numpy as np
from jaxtyping import Float32, Int8

from debias.types import ShardedImages

SIDE = 32
SHARP, SOFT = 0.85, 1.65  # standard deviations of the two blurs, in pixels of the picture
LIGHT = (0.5, 1.0, 0.5)  # luminance, in halves of a grey level
AT_ONCE = 64  # images


def read_details(images: ShardedImages) -> Int8[np.ndarray, "n side side"]:
    """Difference of two blurs of the luminance, in halves of a grey level.

    What varies slowly is gone, and with it most of what all faces share under equal light; what
    varies so fast that a shift by half a pixel would turn it into its opposite is gone, too.

    Returns:
        (n, 32, 32), 1 KB an image, clipped to [-127, 127].
    """
    from debias.kernels import in_threads

    height, width = images.shape[1:3]
    blurs = [(_blur(height, spread), _blur(width, spread).T) for spread in (SHARP, SOFT)]

    def read(start: int) -> Int8[np.ndarray, "m side side"]:
        rows = np.arange(start, min(start + AT_ONCE, len(images)))
        light = images[rows].astype(np.float32) @ np.array(LIGHT, dtype=np.float32)
        sharp, soft = (down @ light @ across for down, across in blurs)
        return np.clip(np.rint(sharp - soft), -127, 127).astype(np.int8)

    details = np.empty((len(images), SIDE, SIDE), dtype=np.int8)
    starts = range(0, len(images), AT_ONCE)
    for start, piece in zip(starts, in_threads(read, starts), strict=True):
        details[start : start + len(piece)] = piece
    return details


def _blur(length: int, spread: float) -> Float32[np.ndarray, "side length"]:
    """Weights of the pixels of a row in each of the 32 pixels that are made of it."""
    place = (np.arange(length) + 0.5) * SIDE / length
    distance = (np.arange(SIDE)[:, None] + 0.5 - place) / spread
    weight = np.exp(-0.5 * distance**2)
    return (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)

"""Plain descriptions of a photograph, beside the one that a network learns.

The latents of an autoencoder describe most what varies most in the pixels: light, background,
framing. Colour, structure and gradients of the middle of the image, each with the overall light
taken out, describe less of that and more of who is shown. Nothing is learned and no label is used.
"""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float32, Float64, Int64, UInt8

from debias.types import ShardedImages

VALUES_AT_ONCE = 2**23  # floats of a piece: 64 MiB
MARGIN = 8  # of the side: an eighth is cut off at every edge
COLOUR_CELLS, STRUCTURE_CELLS, GRADIENT_CELLS, TONE_CELLS = 6, 12, 8, 16
DIRECTIONS = 8  # of a gradient, over half a turn
DARKEST, FLATTEST = 0.05, 0.02  # of full intensity: what noise makes of a dark or a flat image
SOFTENING = 0.5  # of the typical gradient: cells without any stay near 0

CONDENSED, CONDENSED_FROM = 40, 8000  # components, and images that decide what they are

Pixels = UInt8[np.ndarray, "n H W 3"]


def colour(images: Pixels) -> Float32[np.ndarray, "n 72"]:
    """Red against green and yellow against blue, in 6 x 6 cells of the middle of the image.

    Differences of logarithms: more or less light of the same colour changes nothing.

    Reference:
        van de Sande, Gevers, Snoek 2010, Evaluating Color Descriptors for Object and Scene
        Recognition (opponent colours). Deviation: logarithms.
    """
    red, green, blue = np.moveaxis(np.log(_middle(images) + DARKEST), -1, 0)
    opponent = np.stack([red - green, (red + green) / 2 - blue], axis=-1)
    return _cells(opponent, COLOUR_CELLS)


def structure(images: Pixels) -> Float32[np.ndarray, "n 144"]:
    """Brightness in 12 x 12 cells of the middle, every image brought to mean 0 and contrast 1."""
    grey = _middle(images).mean(axis=-1)
    centred = grey - grey.mean(axis=(1, 2), keepdims=True)
    contrast = grey.std(axis=(1, 2), keepdims=True) + FLATTEST
    return _cells((centred / contrast)[..., None], STRUCTURE_CELLS)


def gradients(images: Pixels) -> Float32[np.ndarray, "n 512"]:
    """How strongly brightness changes in each of 8 directions, in 8 x 8 cells of the middle.

    Each cell is divided by its own strength, so faint and strong edges of one direction are alike.

    Reference:
        Dalal and Triggs 2005, Histograms of Oriented Gradients for Human Detection. Deviations:
        cells are normalised by themselves, not in overlapping blocks.
    """
    grey = _middle(images).mean(axis=-1)
    down, right = np.gradient(grey, axis=(1, 2))
    turn = np.mod(np.arctan2(down, right), np.pi) / np.pi * DIRECTIONS
    lower = np.floor(turn)
    upper_share = turn - lower
    strength = np.hypot(down, right)
    here = np.zeros((*grey.shape, DIRECTIONS))
    for direction in range(DIRECTIONS):
        own = np.where(lower % DIRECTIONS == direction, 1 - upper_share, 0)
        own += np.where((lower + 1) % DIRECTIONS == direction, upper_share, 0)
        here[..., direction] = strength * own
    cells = _cells(here, GRADIENT_CELLS).reshape(-1, GRADIENT_CELLS**2, DIRECTIONS)
    length = np.linalg.norm(cells, axis=-1, keepdims=True)
    typical = length.mean(axis=1, keepdims=True)
    found = cells / (length + SOFTENING * typical + np.finfo(np.float32).tiny)
    return found.reshape(len(images), -1)


def tones(images: Pixels) -> Float32[np.ndarray, "n 768"]:
    """Logarithms of red, green and blue in 16 x 16 cells of the whole image, as they are.

    Unlike the others this one keeps light and background, as an autoencoder does. In logarithms a
    darker exposure moves all cells alike.
    """
    return _cells(np.log(images / 255.0 + DARKEST), TONE_CELLS)


DESCRIPTORS: Mapping[str, Callable[[Pixels], np.ndarray]] = {
    "colour": colour,
    "structure": structure,
    "gradients": gradients,
}


VIEWS: Mapping[str, Callable[[Pixels], np.ndarray]] = {**DESCRIPTORS, "tones": tones}


def condensed(
    name: str,
    images: ShardedImages,
    rows: Int64[np.ndarray, " n"],
    *others: tuple[ShardedImages, Int64[np.ndarray, " _"]],
) -> list[Float32[np.ndarray, "_ d"]]:
    """At most 40 principal components of a description, so that any number of images fits.

    At most 8,000 of ``images`` (those of ascending ``rows``) decide what the components are; they
    come first in what is returned, one array each, then ``others``: images and rows.
    """
    from sklearn.decomposition import PCA

    some = rows[:: -(-len(rows) // CONDENSED_FROM)]
    seen = describe(name, images, some)
    width = min(CONDENSED, *seen.shape)
    fitted = PCA(width, svd_solver="randomized", random_state=0).fit(seen)
    return [
        np.concatenate(
            [
                fitted.transform(describe(name, whole, which[start : start + CONDENSED_FROM]))
                for start in range(0, len(which), CONDENSED_FROM)
            ]
        )
        for whole, which in ((images, rows), *others)
    ]


def describe(
    name: str, images: ShardedImages, rows: Int64[np.ndarray, " n"]
) -> Float32[np.ndarray, "n d"]:
    """One descriptor of the given rows, read piece by piece."""
    found = VIEWS[name]
    at_once = max(1, VALUES_AT_ONCE // int(np.prod(images.shape[1:])))
    starts = range(0, len(rows), at_once)
    return np.concatenate([found(images[rows[start : start + at_once]]) for start in starts])


def _middle(images: Pixels) -> Float64[np.ndarray, "n h w 3"]:
    """Intensities in [0, 1] without the margins."""
    top, left = images.shape[1] // MARGIN, images.shape[2] // MARGIN
    return images[:, top : images.shape[1] - top, left : images.shape[2] - left] / 255.0


def _cells(values: Float64[np.ndarray, "n h w c"], cells: int) -> Float32[np.ndarray, "n _"]:
    """Means over ``cells`` x ``cells`` parts of about equal size."""
    for axis in (1, 2):
        size = values.shape[axis]
        if size < cells:
            values = values.repeat(-(-cells // size), axis=axis)
            size = values.shape[axis]
        start = np.linspace(0, size, cells, endpoint=False).astype(int)
        length = np.diff(start, append=size)
        sums = np.add.reduceat(values, start, axis=axis)
        values = sums / np.expand_dims(length, tuple(i for i in range(4) if i != axis))
    return values.reshape(len(values), -1).astype(np.float32)

"""Takes the camera out of a comparison of two sets of photographs, as far as that goes.

A classifier between two collections sees every difference between them, lenses and compression as
well as people. What is evened out here: the mean and the contrast of every colour channel, image
by image, and the sharpness of the two sets. What remains are framing, pose, background and people.
"""

import numpy as np
from jaxtyping import Float, UInt8
from scipy.ndimage import uniform_filter

ENOUGH = 2048  # images
MEAN, SPREAD = 128.0, 56.0  # grey levels; about those of photographs of faces


def match_style(
    first: UInt8[np.ndarray, "n H W 3"], second: UInt8[np.ndarray, "m H W 3"]
) -> tuple[UInt8[np.ndarray, "n H W 3"], UInt8[np.ndarray, "m H W 3"]]:
    """Bring every image to common channel means and contrasts, and both sets to one sharpness.

    The sharper set is blurred; nothing can sharpen the other. Skin tone and light change an
    image's channel means alike, so some of what is taken out is about people: compare the result
    with the one without matching before trusting either.
    """
    sharp_one, sharp_two = (sharpness(_standardised(_some(images))) for images in (first, second))
    return _matched(first, sharp_one, sharp_two), _matched(second, sharp_two, sharp_one)


def _some(images: UInt8[np.ndarray, "n H W 3"]) -> UInt8[np.ndarray, "m H W 3"]:
    """Evenly spread images, enough for a median."""
    return images[:: -(-len(images) // ENOUGH)]


def _matched(
    images: UInt8[np.ndarray, "n H W 3"], own: float, other: float
) -> UInt8[np.ndarray, "n H W 3"]:
    """Slab by slab: floats take several times the memory of pixels."""
    found = np.empty_like(images)
    for start in range(0, len(images), ENOUGH):
        slab = slice(start, start + ENOUGH)
        found[slab] = _pixels(_softened(_standardised(images[slab]), own, other))
    return found


def sharpness(images: Float[np.ndarray, "n H W 3"]) -> float:
    """Typical grey levels between a pixel and the mean of its surroundings: median over images."""
    detail = np.square(images - _blurred(images)).mean(axis=(1, 2, 3))
    return float(np.sqrt(np.median(detail)))


def _standardised(images: UInt8[np.ndarray, "n H W 3"]) -> Float[np.ndarray, "n H W 3"]:
    levels = images.astype(np.float32)
    mean = levels.mean(axis=(1, 2), keepdims=True)
    spread = levels.std(axis=(1, 2), keepdims=True)
    # A channel without any contrast stays flat.
    return MEAN + SPREAD * (levels - mean) / np.maximum(spread, 1.0)


def _softened(
    images: Float[np.ndarray, "n H W 3"], own: float, other: float
) -> Float[np.ndarray, "n H W 3"]:
    """Shrink the difference from the blurred image until the sharpness is that of the other set."""
    if own <= other:
        return images
    soft = _blurred(images)
    return soft + (other / own) * (images - soft)


def _blurred(images: Float[np.ndarray, "n H W 3"]) -> Float[np.ndarray, "n H W 3"]:
    return uniform_filter(images, size=(1, 3, 3, 1), mode="nearest")


def _pixels(images: Float[np.ndarray, "n H W 3"]) -> UInt8[np.ndarray, "n H W 3"]:
    return np.clip(np.rint(images), 0, 255).astype(np.uint8)

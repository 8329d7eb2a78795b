"""Takes the camera out of a comparison of two sets of images, as far as that goes.

A classifier between two collections sees lenses, framing and compression as well as people. The set
that shows more is brought down to what the other shows: nothing can put detail or colour back.
"""

from collections.abc import Callable

import numpy as np
import torch
from jaxtyping import Float, UInt8
from scipy.ndimage import gaussian_filter, uniform_filter

from debias.training.styles import SHARP, through

ENOUGH = 2048  # images
FEW = 512
TINY = 1e-6  # grey levels
MEAN, SPREAD = 128.0, 56.0  # grey levels; about those of photographs of faces
ZOOMS = np.linspace(1.0, 1.5, 21).tolist()
WIDTHS = np.linspace(SHARP, 2.5, 23).tolist()  # pixels
WORTHWHILE = 0.05  # of correlation: mean faces differ a little where people do
Images = UInt8[np.ndarray, "_ H W 3"]
Levels = Float[np.ndarray, "n H W 3"]


def match_style(first: Images, second: Images) -> tuple[Images, Images]:
    """Bring both sets to one framing, colourfulness and sharpness, images to one mean and contrast.

    Skin tone and light change an image's channel means alike, so some of what is taken out is about
    people: compare the result with the one without matching before trusting either.
    """
    zooms = _framing(first, second)
    sets = [zoomed(images, zoom) for images, zoom in zip((first, second), zooms, strict=True)]
    some = [_standardised(_some(images)) for images in sets]
    colour = [colourfulness(levels) for levels in some]
    detail = min(sharpness(levels) for levels in some)
    return tuple(  # type: ignore[return-value]
        _matched(images, min(colour) / max(own, TINY), _width(levels, detail))
        for images, levels, own in zip(sets, some, colour, strict=True)
    )


def _some(images: Images) -> Images:
    return images[:: -(-len(images) // ENOUGH)]


def _width(levels: Levels, detail: float) -> float:
    """Of the blur that leaves so much detail."""
    few = levels[:: -(-len(levels) // FEW)]
    return next((one for one in WIDTHS if sharpness(_through(few, 1.0, one)) <= detail), WIDTHS[-1])


def _framing(first: Images, second: Images) -> tuple[float, float]:
    """By how much to zoom into either set so that their mean images lie on each other."""
    here, there = _some(first), _some(second)
    pairs = [*((zoom, 1.0) for zoom in ZOOMS), *((1.0, zoom) for zoom in ZOOMS[1:])]
    like = [_likeness(_outline(here, one), _outline(there, other)) for one, other in pairs]
    return pairs[int(np.argmax(like))] if max(like) > like[0] + WORTHWHILE else pairs[0]


def _outline(images: Images, zoom: float) -> Float[np.ndarray, "H W"]:
    """Mean of what is lighter and darker in each image; as zooming is linear, of the mean."""
    light = images.astype(np.float32).mean(axis=3)
    spread = np.maximum(light.std(axis=(1, 2), keepdims=True), 1.0)
    mean = ((light - light.mean(axis=(1, 2), keepdims=True)) / spread).mean(axis=0)
    return gaussian_filter(_through(mean[None, :, :, None], zoom)[0, :, :, 0], 1)


def _likeness(one: Float[np.ndarray, "H W"], other: Float[np.ndarray, "H W"]) -> float:
    spread = one.std() * other.std()
    return float(np.mean((one - one.mean()) * (other - other.mean())) / spread) if spread else 0.0


def zoomed(images: Images, zoom: float) -> Images:
    """The middle of each image, at the size of the whole."""
    return images if zoom == 1 else _in_slabs(images, lambda levels: _through(levels, zoom))


def _through(
    levels: Float[np.ndarray, "n H W c"], zoom: float, width: float = SHARP
) -> Float[np.ndarray, "n H W c"]:
    given = torch.from_numpy(levels).permute(0, 3, 1, 2)
    ratio, blur = torch.full((1, 1, 1), 1 / zoom), torch.full((1, 1, 1), width)
    return through(given, ratio, blur).permute(0, 2, 3, 1).numpy()


def _matched(images: Images, colour: float, width: float) -> Images:
    """Standardised, with so much of the colour kept, and blurred."""

    def change(levels: Levels) -> Levels:
        levels = _standardised(levels)
        grey = levels.mean(axis=3, keepdims=True)
        levels = grey + colour * (levels - grey)
        return _standardised(levels if width == SHARP else _through(levels, 1.0, width))

    return _in_slabs(images, change)


def _in_slabs(images: Images, change: Callable[[Levels], Levels]) -> Images:
    """As floats take several times the memory."""
    found = np.empty_like(images)
    for start in range(0, len(images), ENOUGH):
        levels = change(images[start : start + ENOUGH].astype(np.float32))
        found[start : start + ENOUGH] = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
    return found


def colourfulness(levels: Levels) -> float:
    """Typical grey levels between a channel and the mean of the three: median over images."""
    colour = np.square(levels - levels.mean(axis=3, keepdims=True)).mean(axis=(1, 2, 3))
    return float(np.sqrt(np.median(colour)))


def sharpness(levels: Levels) -> float:
    """Typical grey levels between a pixel and the mean of its surroundings: median over images."""
    detail = np.square(levels - _blurred(levels)).mean(axis=(1, 2, 3))
    return float(np.sqrt(np.median(detail)))


def _standardised(images: Images | Levels) -> Levels:
    levels = images.astype(np.float32)
    mean = levels.mean(axis=(1, 2), keepdims=True)
    spread = levels.std(axis=(1, 2), keepdims=True)
    # A channel without any contrast stays flat.
    return MEAN + SPREAD * (levels - mean) / np.maximum(spread, 1.0)


def _blurred(levels: Levels) -> Levels:
    return uniform_filter(levels, size=(1, 3, 3, 1), mode="nearest")

"""Images that are arrays already: brought to the size that is asked for."""

import numpy as np
from jaxtyping import UInt8
from PIL import Image, ImageOps


def fitted(images: UInt8[np.ndarray, "n H W 3"], size: int) -> UInt8[np.ndarray, "n size size 3"]:
    """The largest centred square of each image, resized (bicubic); no copy where the size agrees.

    Args:
        images: RGB.
        size: Side of the result in pixels.
    """
    if images.shape[1:3] == (size, size):
        return images
    resized = np.empty((len(images), size, size, 3), dtype=np.uint8)
    for row, image in enumerate(images):
        picture = Image.fromarray(np.ascontiguousarray(image))
        square = ImageOps.fit(picture, (size, size), Image.Resampling.BICUBIC)
        resized[row] = np.asarray(square)
    return resized

"""Images that a data set hands over as pixels: drawn faces, arrays, stores."""

import hashlib
from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from debias.decoding.perceptual import perceptual_hash
from debias.types import ReadBlock, ReadImages

Draw = Callable[[pd.DataFrame, int], UInt8[np.ndarray, "n H W 3"]]
ROWS = 1024


def read_drawn(draw: Draw) -> ReadImages:
    """Read a data set that renders its own images; ``sha256`` is that of the pixels."""

    def read(samples: pd.DataFrame, size: int) -> Iterator[ReadBlock]:
        for start in range(0, len(samples), ROWS):
            rows = samples.iloc[start : start + ROWS]
            images = np.ascontiguousarray(draw(rows, size))
            digests = [hashlib.sha256(image).hexdigest() for image in images]
            found = pd.DataFrame({"sample_id": rows["sample_id"], "sha256": digests, "notes": ""})
            yield ReadBlock(images=images, found=found, perceptual=perceptual_hash(images))

    return read

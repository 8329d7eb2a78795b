"""Cells of images that look about alike, so that lookalikes need not be looked for everywhere.

``n`` images, ``m`` of them, ``c`` cells, 169 features.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32, Int8, Int64

BORDER = 3  # of the details: what a shift brings in there, the other image does not have
BLANK = 1.0  # mean square of the details below which there is nothing to compare
FEATURES = 13  # along each axis
LENGTH = 256.0
SPREAD = 1.3  # standard deviation, in pixels of the details: a little moved is nearly the same
FEW = 100_000  # images of which every pair is looked at
CELLS = 512
LEARNED = 16_384  # images that the cells are learned from
ROUNDS = 8
NEAR = 32  # cells in which its lookalikes are looked for, and as many for those of its mirror image


@dataclass(frozen=True)
class Cells:
    """Middles (c, 169) of the cells, features as those of images.

    An inverted file: an image is listed in the two cells whose middles it resembles most, and its
    lookalikes are looked for in the 32 that it resembles most itself, and in as many for its mirror
    image. Up to 100,000 images there is one cell, and every pair is looked at.

    No exact index of the hashes would help. Two of a pair may differ in 80 of 256 bits, so that of
    16 pieces of 16 bits one differs in at most 5 (the pigeonhole principle of multi-index hashing,
    Norouzi, Punjani, Fleet 2014): 6,885 of 65,536 values in each of 16 tables, more than all pairs.

    Measured in ``benchmarks/lookalikes.py``; nothing guarantees that no pair is missed.

    Reference:
        Sivic and Zisserman 2003, Video Google; multiple assignment: Jegou, Douze, Schmid 2010,
        Improving Bag-of-Features for Large Scale Image Search, section 4.
    """

    middles: Float32[np.ndarray, "c 169"]

    @property
    def count(self) -> int:
        return len(self.middles)

    @staticmethod
    def among(details: Int8[np.ndarray, "n side side"]) -> "Cells":
        """Learned from evenly spaced images, by k-means on the sphere."""
        if len(details) <= FEW:
            return Cells(np.zeros((1, FEATURES**2), dtype=np.float32))
        some = features(details[_even(len(details), LEARNED)])
        middles = np.unique(some, axis=0)  # many may be of one image
        middles = middles[_even(len(middles), CELLS)]
        for _ in range(ROUNDS):
            nearest = np.argmax(some @ middles.T, axis=1)
            sums = np.zeros_like(middles)
            np.add.at(sums, nearest, some)
            middles = np.where(sums.any(axis=1, keepdims=True), _scaled(sums), middles)
        return Cells(np.unique(middles, axis=0))

    def homes(self, details: Int8[np.ndarray, "m side side"]) -> Int64[np.ndarray, "m 2"]:
        """The two cells that list each image, the better one first; one if there is only one."""
        likeness = features(details) @ self.middles.T
        first = np.argmax(likeness, axis=1)
        likeness[np.arange(len(first)), first] = -np.inf
        return np.stack([first, np.argmax(likeness, axis=1)][: self.count], axis=1)

    def near(self, details: Int8[np.ndarray, "m side side"]) -> Bool[np.ndarray, "m c"]:
        """Cells in which lookalikes of each image are looked for."""
        size, seen = self.count, features(details)
        near = np.zeros((len(details), size), dtype=bool)
        turned = seen.reshape(-1, FEATURES, FEATURES)[:, :, ::-1].reshape(seen.shape)
        for likeness in (seen @ self.middles.T, turned @ self.middles.T):
            best = np.argpartition(-likeness, min(NEAR, size) - 1, axis=1)[:, :NEAR]
            np.put_along_axis(near, best, True, axis=1)
            near[np.arange(len(near)), np.argmax(likeness, axis=1)] = True  # of ties the first
        return near


def features(details: Int8[np.ndarray, "m side side"]) -> Float32[np.ndarray, "m 169"]:
    """Blurred and centred details without their border; zeros for a blank image.

    Whole numbers of length about 256, whose products are exact: equal images have equal features
    and equal cells, whatever the machine.
    """
    inner = slice(BORDER, -BORDER)
    blank = details[:, inner, inner].var(axis=(1, 2), dtype=np.float32) < BLANK
    weights = _weights(details.shape[1])
    found = (weights @ details.astype(np.float32) @ weights.T).reshape(len(details), -1)
    found = _scaled(found - found.mean(axis=1, keepdims=True))
    found[blank] = 0.0
    return found


def _scaled(vectors: Float32[np.ndarray, "m 169"]) -> Float32[np.ndarray, "m 169"]:
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.rint(vectors * (LENGTH / np.where(length > 0, length, 1.0))).astype(np.float32)


def _weights(side: int) -> Float32[np.ndarray, "13 side"]:
    """Weights of the pixels of a row in each feature; the same seen from the other side."""
    middle = np.linspace(BORDER + 1, side - BORDER - 1, FEATURES)
    distance = (middle[:, None] - np.arange(side) - 0.5) / SPREAD
    weight = np.exp(-0.5 * distance**2)
    return (weight / weight.sum(axis=1, keepdims=True)).astype(np.float32)


def _even(size: int, wanted: int) -> Int64[np.ndarray, " some"]:
    some = min(size, wanted)
    return np.arange(some, dtype=np.int64) * size // some

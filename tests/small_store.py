"""A face store small enough to be made anew in every test."""

import numpy as np
import pandas as pd

from debias.types import FaceStore, ShardedImages


def make_store(size: int = 96, side: int = 32, seed: int = 0, attributes=("group",)) -> FaceStore:
    """Two classes that differ in brightness; every fourth image belongs to group b."""
    generator = np.random.default_rng(seed)
    label = np.arange(size) % 2
    noise = generator.integers(0, 60, (size, side, side, 3))
    images = (noise + 120 * label[:, None, None, None]).astype(np.uint8)
    split = np.where(np.arange(size) < size // 2, "train", "validation")
    split[3 * size // 4 :] = "test"
    samples = pd.DataFrame(
        {
            "sample_id": [f"s{row:04d}" for row in range(size)],
            "split": split,
            "label": label.astype(np.int64),
            "group": np.where(np.arange(size) % 4 < 3, "a", "b"),
        }
    )
    return FaceStore(
        images=ShardedImages([images]),
        samples=samples,
        classes=("dark", "bright"),
        attributes=attributes,
        label="brightness",
    )

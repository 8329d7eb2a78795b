"""Face stores and folders of images, small enough to be made anew in every test."""

from functools import cache

import numpy as np
import pandas as pd
from PIL import Image

from debias.types import FaceStore, ShardedImages


def noise(light, side=32, seed=0) -> np.ndarray:
    """Images of noise below 60, each the brighter by its value of ``light``."""
    pixels = np.random.default_rng(seed).integers(0, 60, (len(light), side, side, 3))
    return (pixels + np.asarray(light)[:, None, None, None]).astype(np.uint8)


@cache
def picture(seed, side=64) -> Image.Image:
    """A smooth picture unlike that of any other seed."""
    pixels = np.random.default_rng(seed).integers(0, 256, (7, 7, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)


def folder(root, images, **columns) -> pd.DataFrame:
    """Write ``000.png`` and so on, and ``table.csv`` beside them; returns the table."""
    root.mkdir(exist_ok=True)
    names = [f"{number:03d}.png" for number in range(len(images))]
    for name, image in zip(names, images, strict=True):
        (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(root / name)
    table = pd.DataFrame({"path": names, **columns})
    table.to_csv(root / "table.csv", index=False)
    return table


def make_store(size: int = 96, side: int = 32, seed: int = 0, attributes=("group",)) -> FaceStore:
    """Two classes that differ in brightness; every fourth image belongs to group b."""
    label = np.arange(size) % 2
    images = noise(120 * label, side, seed)
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

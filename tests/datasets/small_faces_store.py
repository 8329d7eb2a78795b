"""A store on disk as the command ``debias ingest`` leaves it, small enough to be made anew."""

import json

import numpy as np
import pandas as pd

from debias.storage.sealed import sealing

KEY = "0123456789abcdef0123"


def write_store(root, count=10, side=16, about=None, **columns):
    """Two shards of grey images; image ``n`` has the shade ``n``."""
    images = np.repeat(np.arange(count, dtype=np.uint8), side * side * 3)
    images = images.reshape(count, side, side, 3)
    samples = pd.DataFrame(
        {
            "sample_id": [f"face-{row:03d}" for row in range(count)],
            "split": np.where(np.arange(count) % 2, "test", "train"),
            "label": np.arange(count) % 2,
            "smiling": np.where(np.arange(count) % 2, "yes", "no"),
            "group": np.where(np.arange(count) % 3, "a", "b"),
            "subject_id": [f"person {row // 2}" for row in range(count)],
            "sha256": [f"{row:064x}" for row in range(count)],
            "duplicate_cluster": np.arange(count),
            "path": "/somewhere/else.jpg",
            **columns,
        }
    )
    with sealing(root / "faces" / KEY, {"stage": "faces"}) as folder:
        np.save(folder / "images-00000.npy", images[:6])
        np.save(folder / "images-00001.npy", images[6:])
        samples.to_parquet(folder / "samples.parquet", index=False)
        (folder / "faces.json").write_text(json.dumps(about or {}))
    (root / "store.json").write_text(json.dumps({"faces": KEY}))

"""Speed of ingest and of batches, against bare decoding and against torchvision's ImageFolder.

    .venv/bin/python benchmarks/ingest.py FOLDER [--turns 3]

FOLDER holds UTKFace or any other folder of images. Into the store: wall time of everything that
`debias ingest` does up to a sealed store with its account (listing, child processes and their
start, hashing, decoding with all limits, quarantine, exact duplicates, split, leakage check,
hashing and syncing what was written, reading it back), once without and once with the search for
near duplicates. Bare: the same files read, decoded and resized to the same size, nothing kept, by
one process a core that is warm before the clock starts: torchvision (`decode_jpeg`, `resize`),
Pillow (`convert`, `resize`) and Pillow with `draft`, which decodes JPEG at a smaller scale. The
ratio is to the fastest of the three in the same turn; another leaves draft out.

Batches: 128 random images as float tensors in [0, 1], from the store (one process) and from
torchvision's ImageFolder over the same images as files with a DataLoader (a worker a core), which
decodes and resizes what it loads; workers are running before the clock starts.
"""

import argparse
import json
import os
import platform
import statistics
import tempfile
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path

# As `debias run` sets it, for all sides, before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
import torchvision
from PIL import Image
from torch.utils.data import DataLoader
from torchvision import transforms
from torchvision.datasets import ImageFolder
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms.v2 import functional
from turns import ratio, take_turns

from debias.ingesting.build import ingest_faces
from debias.ingesting.rules import FacesRecipe
from debias.pipeline.recipe import load
from debias.storage.artifacts import Artifact, RunFolder, load_faces
from debias.training.batches import Batches

SIZE = 64
BATCH = 128
CORES = len(os.sched_getaffinity(0))


def by_torchvision(path: str) -> None:
    content = torch.frombuffer(bytearray(Path(path).read_bytes()), dtype=torch.uint8)
    functional.resize(decode_jpeg(content, mode=ImageReadMode.RGB), [SIZE, SIZE], antialias=True)


def by_pillow(path: str) -> None:
    with Image.open(path) as image:
        np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC))


def by_pillow_with_draft(path: str) -> None:
    with Image.open(path) as image:
        image.draft("RGB", (SIZE, SIZE))
        np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BICUBIC))


WAYS: dict[str, Callable[[str], None]] = {
    "torchvision": by_torchvision,
    "pillow": by_pillow,
    "pillow with draft": by_pillow_with_draft,
}


def bare(way: str, paths: list[str]) -> None:
    """Decode all of them in this process, on one thread."""
    torch.set_num_threads(1)
    for path in paths:
        WAYS[way](path)


def recipe(folder: Path, *, near: bool) -> FacesRecipe:
    data: dict[str, object] = {"name": "images", "root": str(folder)}
    return load(
        FacesRecipe,
        {"name": "bench", "data": data, "image_size": SIZE, "ingest": {"near_duplicates": near}},
    )


def store(folder: Path, *, near: bool) -> Artifact:
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as out:
        return ingest_faces(recipe(folder, near=near), RunFolder(Path(out)))


def into_the_store(folder: Path, turns: int) -> dict[str, object]:
    """Images per second, and ratios to the fastest bare way."""
    files = sorted(str(path) for path in folder.glob("*.jpg"))
    halves = [files[start::CORES] for start in range(CORES)]
    with ProcessPoolExecutor(CORES, mp_context=get_context("spawn")) as pool:

        def side(way: str) -> Callable[[], object]:
            return lambda: list(pool.map(bare, [way] * CORES, halves))

        ways = {way: side(way) for way in WAYS}
        for way in WAYS:  # every process has loaded everything and met every file
            ways[way]()
        sides: dict[str, Callable[[], object]] = dict(ways)
        sides["store"] = lambda: store(folder, near=False)
        sides["store, near duplicates"] = lambda: store(folder, near=True)
        sides["store"]()
        seconds = take_turns(sides, turns)
    fastest = [min(seconds[way][turn] for way in WAYS) for turn in range(turns)]
    plain = [min(seconds[way][turn] for way in ("torchvision", "pillow")) for turn in range(turns)]
    count = len(files)
    return {
        "images": count,
        "size": SIZE,
        "images_per_second": {
            name: round(count / statistics.median(found)) for name, found in seconds.items()
        },
        "ratio_to_fastest_bare": {
            name: round(statistics.median(np.array(fastest) / seconds[name]), 2)
            for name in ("store", "store, near duplicates")
        },
        "ratio_without_draft": {
            name: round(statistics.median(np.array(plain) / seconds[name]), 2)
            for name in ("store", "store, near duplicates")
        },
    }


def batches(folder: Path, turns: int) -> dict[str, object]:
    """Images per second as float tensors, and the ratio of the two ways."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as out:
        place = Path(out)
        faces = load_faces(ingest_faces(recipe(folder, near=False), RunFolder(place / "store")))
        (place / "files").mkdir()
        (place / "files" / "one").symlink_to(folder.absolute())
        count = len(faces.images) // BATCH * BATCH
        order = np.random.default_rng(0).permutation(len(faces.images))[:count]
        view = Batches(faces, BATCH, torch.device("cpu"))
        loader = DataLoader(
            ImageFolder(str(place / "files"), _as_tensor()),
            batch_size=BATCH, shuffle=True, drop_last=True, num_workers=CORES,
            persistent_workers=True,
        )  # fmt: skip
        images = {"store": lambda: drain(view.train(order, torch.Generator()))}
        sides = images | {"ImageFolder": lambda: drain(iter(loader))}
        for side in sides.values():
            side()
        seconds = take_turns(sides, turns)
    return {
        "images": count,
        "images_per_second": {
            name: round(count / statistics.median(found)) for name, found in seconds.items()
        },
        "ratio": ratio(seconds["ImageFolder"], seconds["store"]),
    }


def _as_tensor() -> transforms.Compose:
    size = transforms.Resize((SIZE, SIZE), antialias=True)
    return transforms.Compose([size, transforms.ToTensor()])


def drain(stream: object) -> None:
    for _ in stream:  # type: ignore[attr-defined]
        pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    found = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.processor() or platform.machine()}, {CORES} cores",
        "torchvision": torchvision.__version__,
        "into_the_store": into_the_store(options.folder, options.turns),
        "batches": batches(options.folder, options.turns),
    }
    text = json.dumps(found, indent=2) + "\n"
    print(text)
    Path(__file__).with_suffix(".json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

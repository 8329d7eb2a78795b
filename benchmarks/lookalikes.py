"""Near duplicates among a million images.

    .venv/bin/python benchmarks/lookalikes.py FOLDER [--rows 1000000] [--out FILE]

FOLDER holds photographs of faces, such as UTKFace. The images, 64 x 64 in one memory-mapped file,
are blends of three of them, of random shares: about as alike as aligned faces are. With
`--evenness 1`, where one of the three often dominates, many are lookalikes at the edge of the rule;
with 5 hardly any is. One in a hundred is instead a copy of an earlier one: encoded again at quality
70, mirrored, or shifted by one pixel with one of three kinds of edge and encoded again.

"seconds" is `near_pairs`: details read, pairs found. Each size runs in a process of
its own. "peak" is its memory, "anonymous" the part of it that is not the mapped file of images,
which the system drops when it needs the room.
"""

import argparse
import io
import json
import os
import platform
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from threading import Event, Thread

import numpy as np
from PIL import Image

from debias.decoding.perceptual import perceptual_hash
from debias.ingesting.duplicates import near_pairs
from debias.types import ShardedImages

SIZE = 64
SOME = 100_000
BLOCK = 10_000
COPIES = 100  # one image in so many


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((SIZE, SIZE), Image.Resampling.BOX))


def copied(image: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    kind = generator.integers(5)
    if kind == 0:
        return image[:, ::-1]
    if kind > 1:
        mode = ("edge", "constant", "wrap")[kind - 2]
        down, right = generator.permutation([0, generator.choice([-1, 1])]) + 1
        padded = np.pad(image, ((1, 1), (1, 1), (0, 0)), mode=mode)
        image = padded[down : down + SIZE, right : right + SIZE]
    content = io.BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=70)
    return np.asarray(Image.open(content).convert("RGB"))


def make(folder: Path, place: Path, rows: int, evenness: float) -> None:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in (".jpg", ".png"))
    faces = np.stack([read(path) for path in files]).reshape(len(files), -1)
    shape = (rows, SIZE, SIZE, 3)
    images = np.lib.format.open_memmap(place / "images.npy", "w+", np.uint8, shape)
    words = np.empty((rows, 4), dtype=np.uint64)
    generator = np.random.default_rng(0)
    for start in range(0, rows, BLOCK):
        block = images[start : start + BLOCK]
        share = generator.dirichlet(np.full(3, evenness), len(block)).astype(np.float32)
        of = generator.integers(0, len(faces), (len(block), 3))
        mixed = sum(share[:, k, None] * faces[of[:, k]] for k in range(3))
        block[:] = mixed.astype(np.uint8).reshape(block.shape)
        for row in np.flatnonzero(generator.random(len(block)) < 1 / COPIES):
            if start + row:
                block[row] = copied(images[generator.integers(0, start + row)], generator)
        words[start : start + BLOCK] = perceptual_hash(block)
    images.flush()
    np.save(place / "words.npy", words)


def memory() -> dict[str, float]:
    """Resident GiB of this process, and without mapped files."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    kib = {name: int(lines[name].split()[0]) for name in ("VmHWM", "RssAnon")}
    return {"peak": kib["VmHWM"] / 2**20, "anonymous": kib["RssAnon"] / 2**20}


def search(place: Path, rows: int) -> dict[str, float]:
    images = np.load(place / "images.npy", mmap_mode="r")[:rows]
    words = np.load(place / "words.npy")[:rows]
    near_pairs(ShardedImages([images[:100]]), words[:100])  # compile
    most, done = [0.0], Event()

    def watch() -> None:
        while not done.wait(0.2):
            most[0] = max(most[0], memory()["anonymous"])

    watcher = Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    pairs = near_pairs(ShardedImages([images]), words)
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    figures = {"rows": rows, "pairs": len(pairs), "seconds": round(seconds, 1)}
    figures |= {"peak_gib": round(memory()["peak"], 2), "anonymous_gib": round(most[0], 2)}
    return figures


def alone(place: Path, rows: int) -> dict[str, float]:
    with ProcessPoolExecutor(1, get_context("spawn")) as pool:
        return pool.submit(search, place, rows).result()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--evenness", type=float, default=5.0, help="Of Dirichlet's law.")
    parser.add_argument("--place", type=Path, help="Folder for the images (12 GB), kept.")
    parser.add_argument("--out", type=Path, help="Write the result as JSON.")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        place = arguments.place or Path(temporary)
        if not (place / "words.npy").exists():
            make(arguments.folder, place, arguments.rows, arguments.evenness)
        some, many = alone(place, SOME), alone(place, arguments.rows)
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "load_average_before": round(os.getloadavg()[0], 1),
        "some": some,
        "many": many,
        "growth": round(many["seconds"] / some["seconds"], 1),
    }
    print(json.dumps(result, indent=2))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

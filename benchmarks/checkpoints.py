"""What checkpoints cost: the training of a VAE with them over the same without.

    .venv/bin/python benchmarks/checkpoints.py [--seconds 60] [--out benchmarks/checkpoints.json]

The network, images and loop are those of train_vae.py. Both sides take turns; "ratio" is the median
of neighbouring turns, "share" the seconds that were spent on writing over all seconds of the side
that writes, which the load of the machine hardly touches.
"""

import argparse
import json
import os
import platform
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from train_vae import IMAGES, SIDE, pipeline
from turns import ratio, take_turns

from debias.training import checkpoint
from debias.training.checkpoint import Checkpoints, Parts
from debias.training.device import choose

TURNS = 3


class Timed(Checkpoints):
    """Notes how long every checkpoint takes, and how large it is."""

    seconds: list[float] = []  # noqa: RUF012 (of all turns)
    size = 0

    def _save(self, path: Path, parts: Parts) -> None:
        begun = time.perf_counter()
        super()._save(path, parts)
        self.seconds.append(time.perf_counter() - begun)
        Timed.size = path.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="Time for a turn, about.")
    parser.add_argument("--out", type=Path, help="Write the result as JSON.")
    arguments = parser.parse_args()
    compute = choose("cpu")
    pixels = np.random.default_rng(0).integers(256, size=(IMAGES, SIDE, SIDE, 3), dtype=np.uint8)
    (_, once) = take_turns({"epoch": pipeline(pixels, compute)}, 2)["epoch"]
    epochs = max(1, round(arguments.seconds / once))
    checkpoint.Checkpoints = Timed
    path = Path(tempfile.mkdtemp()) / "benchmark.checkpoint"

    def kept() -> None:
        path.unlink(missing_ok=True)
        with checkpoint.checkpoints(path, print):
            pipeline(pixels, compute, epochs)()

    sides = {"without": pipeline(pixels, compute, epochs), "with": kept}
    seconds = take_turns(sides, TURNS)
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "torch": torch.__version__,
        **compute.describe(),
        "turns": TURNS,
        "seconds": {name: [round(one, 1) for one in times] for name, times in seconds.items()},
        "checkpoints": len(Timed.seconds),
        "seconds_of_one": round(float(np.median(Timed.seconds)), 3),
        "megabytes": round(Timed.size / 1e6, 1),
        "share": round(sum(Timed.seconds) / sum(seconds["with"]), 4),
        "ratio": ratio(seconds["with"], seconds["without"]),
    }
    print(json.dumps(result, indent=2))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

"""Training speed of the VAE: the pipeline's way against a plain float32 loop, in one process.

    make bench          (or: .venv/bin/python benchmarks/train_vae.py [--seconds 20])

Both train the same network with the same optimiser on the same batches. "plain" is what one
writes first: contiguous float32 batches, the network as it is built. "pipeline" is what `debias
run` does: channels last, a fused optimiser, and bfloat16 where the processor multiplies it
itself. The two take short turns, so that a change in the machine's load meets both; the result is
the median of the ratios of neighbouring turns.
"""

import argparse
import json
import os
import platform
import statistics
import time
from datetime import UTC, datetime
from pathlib import Path

# As `debias run` sets it, for both sides, before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import torch

from debias.models import ConvVAE
from debias.models.vae import ConvVAENetwork
from debias.seeding import torch_stream
from debias.training.batches import Batch
from debias.training.device import Compute, choose

BATCH, SIDE, STEPS = 64, 64, 10


class Trainer:
    """One network with its optimiser, its precision and its memory layout."""

    def __init__(self, name: str, compute: Compute, *, channels_last: bool) -> None:
        self.name, self.compute = name, compute
        with torch_stream(0, "benchmark"):
            self.network: ConvVAENetwork = ConvVAE().build(SIDE)
            pixels = torch.rand(BATCH, SIDE, SIDE, 3, device=compute.device)
        image = pixels.permute(0, 3, 1, 2)
        if channels_last:
            compute.place(self.network)
        else:
            image = image.contiguous()
            self.network.to(compute.device)
        label = torch.zeros(BATCH, dtype=torch.int64, device=compute.device)
        self.batch = Batch(image=image, label=label, index=label)
        self.optimizer = torch.optim.AdamW(self.network.parameters(), 1e-3, fused=channels_last)
        self.rates: list[float] = []

    def steps(self, count: int) -> float:
        """Train; returns images per second."""
        start = time.perf_counter()
        for _ in range(count):
            with self.compute.autocast():
                loss = self.network.loss(self.batch)["loss"]
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            loss.item()
        return count * BATCH / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="Time for each of the two.")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--out", type=Path, help="Write the result as JSON.")
    arguments = parser.parse_args()
    chosen = choose(arguments.device)
    plain = Trainer("plain", Compute(chosen.device, torch.float32), channels_last=False)
    pipeline = Trainer("pipeline", chosen, channels_last=True)
    for trainer in (plain, pipeline):
        trainer.steps(5)
    end = time.perf_counter() + 2 * arguments.seconds
    while time.perf_counter() < end:
        for trainer in (plain, pipeline):
            trainer.rates.append(trainer.steps(STEPS))
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "torch": torch.__version__,
        **chosen.describe(),
        "images_per_second": {t.name: round(statistics.median(t.rates)) for t in (plain, pipeline)},
        "repetitions": len(plain.rates),
    }
    pairs = zip(pipeline.rates, plain.rates, strict=True)
    result["ratio"] = round(statistics.median(fast / slow for fast, slow in pairs), 2)
    print(json.dumps(result, indent=2))
    if arguments.out:
        arguments.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()

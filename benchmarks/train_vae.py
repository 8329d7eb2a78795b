"""Training speed of the VAE: the pipeline's way, a plain float32 loop, and pythae's trainer.

    make bench          (or: .venv/bin/python benchmarks/train_vae.py [--seconds 20])
    .venv/bin/python benchmarks/train_vae.py --pythae FOLDER --out benchmarks/train_vae.json

All train the same network, by Adam with weight decay, on the same images in batches of 64. "plain"
is what one writes first: contiguous float32 batches, ready in memory. "pythae" is an epoch of
`BaseTrainer` (0.1.2, installed into FOLDER by `pip install --target FOLDER --no-deps pythae`) on a
tensor of the images, as its own examples have it. "pipeline" is what `debias run` does from stored
pixels on: draws by weight, channels last, a fused optimiser, and bfloat16 where the processor
multiplies it itself; "pipeline float32" the same without that. The sides take short turns, so that
a change in the machine's load meets all; a ratio is the median of those of neighbouring turns.
"""

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

# As `debias run` sets it, for all sides, before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import pandas as pd
import torch
from turns import ratio, take_turns

from debias.models import ConvVAE
from debias.models.vae import ConvVAENetwork
from debias.seeding import torch_generator, torch_stream
from debias.training.batches import Batch, Batches, Draws
from debias.training.device import Compute, choose
from debias.training.loop import Training, fit
from debias.types import FaceStore, ShardedImages
from debias.weighting.sampling import WeightedSampler
from debias.weighting.weights import SamplingWeights

BATCH, SIDE, IMAGES = 64, 64, 640


def network() -> ConvVAENetwork:
    with torch_stream(0, "benchmark"):
        return ConvVAE().build(SIDE)


def plain(images: torch.Tensor) -> Callable[[], object]:
    model, label = network(), torch.zeros(BATCH, dtype=torch.int64)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)

    def epoch() -> None:
        for image in images.split(BATCH):
            loss = model.loss(Batch(image=image, label=label, index=label))["loss"]
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            loss.item()

    return epoch


def pipeline(pixels: np.ndarray, compute: Compute, epochs: int = 1) -> Callable[[], object]:
    """The loop of the pipeline, fed by weighted draws of a store."""
    model, count = compute.place(network()), len(pixels)
    ids = np.array([f"{row:04d}" for row in range(count)])
    samples = pd.DataFrame({"sample_id": ids, "label": np.zeros(count, np.int64), "split": "train"})
    store = FaceStore(
        images=ShardedImages([pixels]), samples=samples, classes=("0",), attributes=(),
        label="label",
    )  # fmt: skip
    weights = SamplingWeights(sample_ids=ids, probability=np.full(count, 1 / count))
    sampler = WeightedSampler(weights, count, seed=0)
    batches, views = Batches(store, BATCH, compute.device), torch_generator(0, "views")

    draws = Draws(batches, sampler.epoch_rows, views)
    recipe = Training(epochs=epochs, batch_size=BATCH)
    return lambda: fit(model, draws, recipe, count // BATCH, compute)


def pythae(images: torch.Tensor, folder: Path) -> Callable[[], object]:
    """One epoch of pythae's trainer on the network of this benchmark."""
    sys.path.append(str(folder))
    from pythae.data.datasets import BaseDataset
    from pythae.models import BaseAE, BaseAEConfig
    from pythae.models.base.base_utils import ModelOutput
    from pythae.trainers import BaseTrainer, BaseTrainerConfig

    class Wrapped(BaseAE):
        def __init__(self) -> None:
            super().__init__(BaseAEConfig(input_dim=(3, SIDE, SIDE), latent_dim=32))
            self.network = network()

        def forward(self, inputs: dict[str, torch.Tensor], **_: object) -> ModelOutput:
            label = inputs["labels"]
            batch = Batch(image=inputs["data"], label=label, index=label)
            return ModelOutput(loss=self.network.loss(batch)["loss"])

    config = BaseTrainerConfig(
        output_dir=tempfile.mkdtemp(), per_device_train_batch_size=BATCH, optimizer_cls="AdamW",
        learning_rate=1e-3, no_cuda=True,
    )  # fmt: skip
    data = BaseDataset(images, torch.zeros(len(images), dtype=torch.int64))
    trainer = BaseTrainer(Wrapped(), data, training_config=config)
    trainer.prepare_training()
    return lambda: trainer.train_step(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0, help="Time for each side, about.")
    parser.add_argument("--threads", type=int, help="Of torch, for all sides.")
    parser.add_argument("--pythae", type=Path, help="Folder with pythae installed into it.")
    parser.add_argument("--out", type=Path, help="Write the result as JSON.")
    arguments = parser.parse_args()
    if arguments.threads:
        torch.set_num_threads(arguments.threads)
    compute = choose("cpu")
    pixels = np.random.default_rng(0).integers(256, size=(IMAGES, SIDE, SIDE, 3), dtype=np.uint8)
    images = torch.from_numpy(pixels).permute(0, 3, 1, 2).float().div(255).contiguous()
    sides = {"pipeline": pipeline(pixels, compute), "plain": plain(images)}
    if compute.dtype != torch.float32:
        full = Compute(compute.device, torch.float32)
        sides["pipeline float32"] = pipeline(pixels, full)
    if arguments.pythae:
        sides["pythae"] = pythae(images, arguments.pythae)
    once = take_turns(sides, 2)  # warm
    turns = max(3, round(arguments.seconds / statistics.mean(times[1] for times in once.values())))
    seconds = take_turns(sides, turns)
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "torch": torch.__version__,
        **compute.describe(),
        "images_per_second": {
            name: round(IMAGES / statistics.median(times)) for name, times in seconds.items()
        },
        "turns": turns,
        "ratio": {
            f"{fast} over {slow}": ratio(seconds[slow], seconds[fast])
            for fast in seconds
            if fast.startswith("pipeline")
            for slow in ("plain", "pythae")
            if slow in seconds
        },
    }
    print(json.dumps(result, indent=2))
    if arguments.out:  # beside what other processors gave
        known = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
        known[str(result["precision"])] = result
        arguments.out.write_text(json.dumps(known, indent=2) + "\n")


if __name__ == "__main__":
    main()

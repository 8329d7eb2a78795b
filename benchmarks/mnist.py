"""MNIST binarised by threshold: how well a VAE explains it, and its manifold of two dimensions.

    .venv/bin/python benchmarks/mnist.py ../shared/data/mnist.npz --out benchmarks/mnist.json

Trains ``conv_vae`` with a Bernoulli likelihood on the 60,000 training images, with 20 dimensions
and with 2, by the loop of `debias run`. States the importance-weighted bound (Burda et al. 2016) on
test images, the accuracy of the nearest class mean in the latent space, and seconds; writes the
manifold of the two dimensions as a picture.
"""

import argparse
import json
import os
import platform
import time
from datetime import UTC, datetime
from pathlib import Path

# As `debias run` sets it, before torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import numpy as np
import torch
from PIL import Image

from debias.datasets.arrays import ArrayFile
from debias.models import ConvVAE, encoding, galleries
from debias.models.draw import DRAW
from debias.models.quality.bounds import bits_per_dimension, evidence, importance_weighted
from debias.models.vae import VAE
from debias.seeding import numpy_generator, torch_generator, torch_stream
from debias.training.batches import Batches
from debias.training.device import Compute, choose
from debias.training.loop import Training, fit
from debias.types import FaceStore, ShardedImages

SIDE, THRESHOLD, PLACES = 28, 128, 20
WIDTHS = {"conv_vae": 16, "small_vae": 8}  # the small one has about as many parameters as DRAW


def digits(file: Path) -> FaceStore:
    """All images, black and white; a tenth of the training images stays for validation."""
    found = ArrayFile(file=file, label_name="digit", threshold=THRESHOLD).collect(0)
    assert found.draw is not None
    images = found.draw(found.samples, SIDE)
    samples = found.samples.assign(label=found.samples["digit"].astype(np.int64))
    classes = tuple("0123456789")
    return FaceStore(
        images=ShardedImages([images]), samples=samples, classes=classes, attributes=(),
        label="digit",
    )  # fmt: skip


def model_of(kind: str, k: int) -> VAE:
    """A VAE with ``k`` dimensions; or DRAW, with and without attention, with ``k`` a step."""
    if kind in WIDTHS:
        return ConvVAE(latent_dim=k, width=WIDTHS[kind], grey=True, likelihood="bernoulli")
    hidden = 256 if kind == "draw" else 128  # about equally many parameters
    return DRAW(
        latent_dim=k, steps=10, hidden=hidden, attention=kind == "draw", read=5, write=5,
        grey=True, likelihood="bernoulli",
    )  # fmt: skip


def train(
    store: FaceStore, kind: str, k: int, recipe: Training, compute: Compute
) -> torch.nn.Module:
    """The network for ``k`` dimensions, trained on training and validation images."""
    model = model_of(kind, k)
    rows = np.flatnonzero(store.samples["split"] != "test")
    batches, views = Batches(store, recipe.batch_size, compute.device), torch_generator(0, "views")
    with torch_stream(0, f"mnist/{k}"):
        network = compute.place(model.build(SIDE))

        def epoch(number: int) -> object:
            order = numpy_generator(0, f"mnist/order/{number}")
            return batches.train(order.permutation(rows), views)

        def on_epoch(number: int, means: object) -> None:
            print(f"k = {k}, epoch {number + 1}: {means}", flush=True)

        fit(network, epoch, recipe, len(rows) // recipe.batch_size, compute, on_epoch)
    return network.eval()


def nearest_mean(store: FaceStore, network: torch.nn.Module, compute: Compute) -> float:
    """Share of the test images whose latents lie nearest to the mean of their own class."""
    places, labels = {}, {}
    for split in ("train", "test"):
        rows = store.rows(split)
        batches = Batches(store, 256, compute.device).evaluate(rows)
        places[split], _ = encoding.posterior(network, batches, compute)
        labels[split] = store.labels(rows)
    means = np.stack([places["train"][labels["train"] == one].mean(0) for one in range(10)])
    distance = np.square(places["test"][:, None] - means).sum(2)
    return float((distance.argmin(1) == labels["test"]).mean())


def judged(
    store: FaceStore, network: torch.nn.Module, compute: Compute, images: int, samples: int
) -> dict[str, float]:
    """Bounds in nats on the first test images, as means with standard errors over images."""
    rows = store.rows("test")[:images]

    def batches() -> object:
        return Batches(store, 50, compute.device).evaluate(rows)

    generator = torch_generator(0, "mnist/bound", compute.device)
    plain = evidence(network, batches(), generator, samples=10).bound
    weighted = importance_weighted(network, batches(), generator, samples=samples).bound
    return {
        "test_images": images,
        "samples": samples,
        "elbo": round(float(plain.mean()), 2),
        "importance_weighted_bound": round(float(weighted.mean()), 2),
        "standard_error": round(float(weighted.std() / np.sqrt(images)), 2),
        "bits_per_dimension": round(
            bits_per_dimension(-float(weighted.mean()), network.values, continuous=False), 4
        ),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="mnist.npz")
    parser.add_argument("--dimensions", type=int, nargs="+", default=[20, 2], help="One of each.")
    parser.add_argument("--model", default="conv_vae", choices=[*WIDTHS, "draw", "draw_whole"])
    parser.add_argument("--epochs", type=int, default=12, help="Of each training.")
    parser.add_argument("--images", type=int, default=1000, help="Test images of the bound.")
    parser.add_argument("--samples", type=int, default=500, help="Draws for each.")
    parser.add_argument("--picture", type=Path, help="Write the manifold of the last.")
    parser.add_argument("--out", type=Path, help="Write the result as JSON.")
    arguments = parser.parse_args()
    store, compute = digits(arguments.data), choose()
    recipe = Training(epochs=arguments.epochs, batch_size=128, learning_rate=2e-3)
    result = {
        "date": datetime.now(UTC).date().isoformat(),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "torch": torch.__version__,
        **compute.describe(),
        "model": arguments.model,
        "epochs": arguments.epochs,
    }
    for k in arguments.dimensions:
        start, spent = time.perf_counter(), time.process_time()
        network = train(store, arguments.model, k, recipe, compute)
        found = {
            "parameters": sum(one.numel() for one in network.parameters()),
            "seconds": round(time.perf_counter() - start),
            "processor_seconds": round(time.process_time() - spent),
        }
        found |= judged(store, network, compute, arguments.images, arguments.samples)
        found["nearest_class_mean"] = round(nearest_mean(store, network, compute), 3)
        result[f"k = {k}"] = found
        print(json.dumps(result, indent=2), flush=True)
        if arguments.out:
            arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    if arguments.picture:
        sheet = galleries.manifold(
            network, np.zeros((2, arguments.dimensions[-1])), PLACES, compute
        )
        rows = [np.concatenate(list(row), axis=1) for row in sheet]
        Image.fromarray(np.concatenate(rows)).save(arguments.picture)


if __name__ == "__main__":
    main()

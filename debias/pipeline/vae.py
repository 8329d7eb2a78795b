"""The variational autoencoder of stage 2: trained, checked, saved and published."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int64

from debias.density import active_dimensions
from debias.models import ConvVAE, ConvVAENetwork, encoding
from debias.models import galleries as generation
from debias.pipeline.job import Job
from debias.pipeline.step import HISTORY, example_batch, named
from debias.seeding import numpy_generator, torch_generator, torch_stream
from debias.storage.artifacts import (
    Artifact,
    load_array,
    load_network,
    save_arrays,
    save_latents,
    save_network,
)
from debias.storage.sealed import write_json
from debias.tracking.tracker import Tracker
from debias.training.batches import Batch, Batches
from debias.training.loop import EpochMetrics, fit
from debias.types import FaceStore, Latents
from debias.weighting.sampling import shuffled

STAGE = "representation"
SHOWN = 12  # faces per reconstruction sheet
SNAPSHOTS = 4  # reconstruction sheets over the course of training
AT_ONCE = 256  # faces encoded at once


def train_vae(run: Job, key: str, model: ConvVAE, faces: FaceStore, tracker: Tracker) -> Artifact:
    """Train on the training faces and place them in the latent space.

    Raises:
        TrainingError: Training diverged or the posterior collapsed.
    """
    start = time.monotonic()
    recipe, compute = run.config.representation, run.compute
    batches = Batches(faces, recipe.training.batch_size, compute.device, recipe.augmentation)
    train, validation = faces.rows("train"), faces.rows("validation")
    shown = next(iter(batches.evaluate(validation[:SHOWN]))).image
    advance = run.progress.start("Representation", recipe.training.epochs)
    history: list[dict[str, float]] = []
    snapshots: list[np.ndarray] = []
    every = max(1, recipe.training.epochs // SNAPSHOTS)

    def on_epoch(epoch: int, means: EpochMetrics) -> None:
        network.eval()
        held_out = encoding.mean_losses(network, batches.evaluate(validation), compute)
        history.append(named("train", means) | named("val", held_out))
        tracker.metrics(history[-1], epoch)
        if (epoch + 1) % every == 0 or epoch + 1 == recipe.training.epochs:
            snapshots.append(generation.reconstruct(network, shown, compute))
        advance(f"loss {means['loss']:.0f} nats")

    with torch_stream(run.config.seed, "representation/network"):
        network = model.build(run.config.image_size)
        compute.place(network)
        epochs = _epochs(run, batches, train)
        steps = len(train) // recipe.training.batch_size
        fit(network, epochs, recipe.training, steps, compute, on_epoch)
        network.eval()
        trained = _Trained(network, history, np.stack(snapshots))
        return _save(run, key, start, faces, trained)


def load_vae(run: Job, artifact: Artifact, model: ConvVAE) -> ConvVAENetwork:
    """The trained network on the run's device, in evaluation mode."""
    network = model.build(run.config.image_size)
    load_network(artifact, network)
    run.compute.place(network)
    return network


def publish_pictures(artifact: Artifact, faces: FaceStore, tracker: Tracker) -> None:
    """Reconstructions over the course of training, and what single dimensions move."""
    sheets = load_array(artifact, "reconstructions")  # (epochs, faces, H, W, 3); fewer if purged
    originals = faces.images[faces.rows("validation")[: sheets.shape[1]]]
    for step, sheet in enumerate(sheets):
        pair = np.concatenate([originals, sheet])
        tracker.image("reconstructions", _tiled(pair, 2), step)
    traversals = load_array(artifact, "traversals")
    tracker.image("traversals", _tiled(np.concatenate(traversals), len(traversals)), 0)


def publish_network(
    artifact: Artifact, network: ConvVAENetwork, faces: FaceStore, tracker: Tracker
) -> None:
    """The parameters, and the encoder as a model that loads again."""
    tracker.artifact(artifact.path / "network.safetensors", "network")
    tracker.model("encoder", network.to("cpu"), example_batch(faces))


def _epochs(
    run: Job, batches: Batches, train: Int64[np.ndarray, " n"]
) -> Callable[[int], Iterable[Batch]]:
    views = torch_generator(run.config.seed, "representation/augmentation", batches.device)

    def epoch(number: int) -> Iterable[Batch]:
        order = numpy_generator(run.config.seed, f"representation/order/{number}")
        return batches.train(train[shuffled(len(train), order)], views)

    return epoch


@dataclass(frozen=True)
class _Trained:
    network: ConvVAENetwork
    history: list[dict[str, float]]
    snapshots: np.ndarray


def _save(run: Job, key: str, start: float, faces: FaceStore, trained: _Trained) -> Artifact:
    network = trained.network
    compute = run.compute
    batches = Batches(faces, AT_ONCE, compute.device)
    train = faces.rows("train")
    mean, log_var = encoding.posterior(network, batches.evaluate(train), compute)
    latents = Latents(sample_ids=faces.ids(train), mean=mean, log_var=log_var, encoder=key)
    held_out = encoding.mean_losses(network, batches.evaluate(faces.rows("validation")), compute)
    continuous = network.settings.likelihood != "bernoulli"
    sigma = float(network.sigma2) ** 0.5 if continuous else None
    figures = encoding.vae_figures(held_out, mean, 3 * run.config.image_size**2, sigma)
    encoding.check_vae(figures)
    dimensions = _most_active(latents)
    with run.create(STAGE, key, start) as folder:
        save_network(folder, network)
        save_latents(folder, latents)
        write_json(folder / HISTORY, {"epochs": trained.history})
        write_json(folder / "figures.json", figures)
        save_arrays(
            folder,
            reconstructions=trained.snapshots,
            traversals=generation.traverse(network, mean, dimensions, compute),
            traversed=np.array(dimensions),
        )
    return run.finished(STAGE, key)


def _most_active(latents: Latents, most: int = 8) -> list[int]:
    """Active dimensions, the most informative (largest variance of the mean) first."""
    variance = latents.mean.var(axis=0) * active_dimensions(latents)
    order = np.argsort(-variance, kind="stable")[:most]
    return [int(dimension) for dimension in order if variance[dimension] > 0]


def _tiled(images: np.ndarray, rows: int) -> np.ndarray:
    """One picture of equal images, (m, H, W, C), row by row."""
    grid = images.reshape(rows, -1, *images.shape[1:])  # (rows, columns, H, W, C)
    return np.concatenate([np.concatenate(list(row), axis=1) for row in grid])

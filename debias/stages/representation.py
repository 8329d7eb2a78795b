"""Stage 2: learn the latent space and place every training face in it."""

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from debias import encoding
from debias.artifacts import (
    Artifact,
    load_array,
    load_faces,
    load_network,
    save_arrays,
    save_latents,
    save_network,
    write_json,
)
from debias.batches import Batch, Batches
from debias.density import active_dimensions
from debias.models import ConvVAENetwork
from debias.sampling import shuffled
from debias.seeding import numpy_generator, torch_generator, torch_stream
from debias.stages.history import epoch_record, example_batch, named, replay, save_history
from debias.stages.run import Run, dump
from debias.tracking import Tracker
from debias.training import EpochMetrics, fit
from debias.types import FaceStore, Latents

STAGE = "representation"
SHOWN = 12  # faces per reconstruction sheet
SNAPSHOTS = 4  # reconstruction sheets over the course of training


def build_representation(run: Run, faces: Artifact) -> Artifact:
    """Train the representation and encode the training faces, or find it trained.

    Raises:
        TrainingError: Training diverged or the posterior collapsed.
    """
    recipe = run.config.representation
    settings = dump(recipe) | {"seed": run.config.seed} | run.compute.identity()
    key, found = run.find(STAGE, settings, {"faces": faces.key})
    # Showing faces later publishes anew.
    name = "representation" if faces_may_be_shown(run) else "representation, no faces"
    if found is not None:
        run.progress.reused("Representation")
        if run.published(STAGE, key, name):
            return found
    with run.tracked(STAGE, key, name) as tracker:
        if found is None:
            found = _train(run, key, load_faces(faces), tracker)
        else:
            replay(found, tracker)
        _publish(run, found, load_faces(faces), tracker)
    return found


def load_representation(run: Run, artifact: Artifact, image_size: int) -> ConvVAENetwork:
    """The trained network on the run's device, in evaluation mode."""
    network = run.config.representation.model.build(image_size)
    load_network(artifact, network)
    run.compute.place(network)
    return network


def _train(run: Run, key: str, faces: FaceStore, tracker: Tracker) -> Artifact:
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
        history.append(epoch_record(means, held_out))
        tracker.metrics(history[-1], epoch)
        if (epoch + 1) % every == 0 or epoch + 1 == recipe.training.epochs:
            snapshots.append(encoding.reconstruct(network, shown, compute))
        advance(f"loss {means['loss']:.0f} nats")

    with torch_stream(run.config.seed, "representation/network"):
        network = recipe.model.build(run.config.image_size)
        compute.place(network)
        epochs = _epochs(run, batches, train)
        steps = len(train) // recipe.training.batch_size
        fit(network, epochs, recipe.training, steps, compute, on_epoch)
        network.eval()
        trained = _Trained(network, history, np.stack(snapshots))
        return _save(run, key, start, faces, trained)


def _epochs(run: Run, batches: Batches, train: np.ndarray) -> Callable[[int], Iterable[Batch]]:
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


def _save(run: Run, key: str, start: float, faces: FaceStore, trained: _Trained) -> Artifact:
    network = trained.network
    compute = run.compute
    batches = Batches(faces, 256, compute.device)
    train = faces.rows("train")
    mean, log_var = encoding.posterior(network, batches.evaluate(train), compute)
    held_out = encoding.mean_losses(network, batches.evaluate(faces.rows("validation")), compute)
    continuous = run.config.representation.model.likelihood != "bernoulli"
    sigma = float(network.sigma2) ** 0.5 if continuous else None
    figures = encoding.vae_figures(held_out, mean, 3 * run.config.image_size**2, sigma)
    encoding.check_vae(figures)
    dimensions = _most_active(mean)
    with run.create(STAGE, key, start) as folder:
        save_network(folder, network)
        latents = Latents(sample_ids=faces.ids(train), mean=mean, log_var=log_var, encoder=key)
        save_latents(folder, latents)
        save_history(folder, trained.history)
        write_json(folder / "figures.json", figures)
        save_arrays(
            folder,
            reconstructions=trained.snapshots,
            traversals=encoding.traverse(network, mean, dimensions, compute),
            traversed=np.array(dimensions),
        )
    return run.finished(STAGE, key)


def _most_active(mean: np.ndarray, most: int = 8) -> list[int]:
    """Active dimensions, the most informative (largest variance of the mean) first."""
    variance = mean.var(axis=0) * active_dimensions(mean)
    order = np.argsort(-variance, kind="stable")[:most]
    return [int(dimension) for dimension in order if variance[dimension] > 0]


def _publish(run: Run, artifact: Artifact, faces: FaceStore, tracker: Tracker) -> None:
    tracker.params(dump(run.config.representation))
    figures: dict[str, Any] = artifact.read_json("figures.json")
    tracker.metrics(named("representation", {k: v for k, v in figures.items() if v is not None}))
    tracker.artifact(artifact.path / "network.safetensors", "network")
    if faces_may_be_shown(run):
        originals = faces.images[faces.rows("validation")[:SHOWN]]
        for step, sheet in enumerate(load_array(artifact, "reconstructions")):
            pair = np.concatenate([originals, sheet[: len(originals)]])
            tracker.image("reconstructions", _tiled(pair, 2), step)
        traversals = load_array(artifact, "traversals")
        tracker.image("traversals", _tiled(np.concatenate(traversals), len(traversals)), 0)
    network = load_representation(run, artifact, run.config.image_size)
    tracker.model("encoder", network.to("cpu"), example_batch(faces))


def _tiled(images: np.ndarray, rows: int) -> np.ndarray:
    """One picture of equal images, (m, H, W, C), row by row."""
    grid = images.reshape(rows, -1, *images.shape[1:])  # (rows, columns, H, W, C)
    return np.concatenate([np.concatenate(list(row), axis=1) for row in grid])


def faces_may_be_shown(run: Run) -> bool:
    """Drawn faces always; real ones only when the config says so."""
    return run.config.data.name == "synthetic" or run.config.report.show_faces

"""Stage 2: learn the latent space, or take the one that is given; place every training face in it.

The VAE itself is in :mod:`debias.pipeline.vae`.
"""

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from jaxtyping import Float, Int64, Shaped

from debias.density import active_dimensions
from debias.errors import DataError
from debias.models import ConvVAE, ConvVAENetwork, ImageEncoder, Pretrained, SampleIndex, encoding
from debias.pipeline import vae
from debias.pipeline.job import Job
from debias.pipeline.step import named, replay
from debias.pipeline.vae import AT_ONCE, STAGE
from debias.plugins import dump
from debias.storage.artifacts import Artifact, load_faces, load_latents, save_latents
from debias.storage.sealed import write_json
from debias.tracking.progress import Advance, silent
from debias.tracking.tracker import Tracker
from debias.training.batches import Batch, Batches
from debias.types import FaceStore, Latents


def build_representation(run: Job, faces: Artifact) -> Artifact:
    """Place the training faces in the latent space, or find them placed.

    A VAE is trained first; an encoder or a file of embeddings is used as it is.

    Raises:
        TrainingError: Training diverged or the posterior collapsed.
        DataError: The encoder or the embeddings cannot be used.
    """
    key, found = run.find(STAGE, _settings(run), {"faces": faces.key})
    # Showing faces later publishes anew.
    name = "representation" if faces_may_be_shown(run) else "representation, no faces"
    if found is not None:
        run.progress.reused("Representation")
        if run.published(STAGE, key, name):
            return found
    with run.tracked(STAGE, key, name) as tracker:
        if found is None:
            found = _build(run, key, load_faces(faces), tracker)
        elif is_trained(run):
            replay(found, tracker)
        _publish(run, found, load_faces(faces), tracker)
    return found


def encode_store(
    run: Job,
    artifact: Artifact,
    faces: FaceStore,
    rows: Int64[np.ndarray, " n"],
    *,
    may_repeat: bool = False,
) -> Latents:
    """Place rows of a store in the latent space of this run: of its own store, or of a second one.

    Images must have the size of the run. A file of embeddings must hold the samples of every store
    that is asked for. ``may_repeat``: the other store may hold training faces once more, as an
    earlier version of the same data does.

    Raises:
        DataError: The encoder or the embeddings do not say where these faces lie.
    """
    opened = load_representation(run, artifact)
    mean, log_var = _placed(run, opened, faces, rows)
    if isinstance(opened, SampleIndex) and not may_repeat:
        others = faces.samples["split"].to_numpy()[rows] != "train"
        _require_own_rows(artifact, faces.ids(rows)[others], mean[others])
    return Latents(sample_ids=faces.ids(rows), mean=mean, log_var=log_var, encoder=artifact.key)


def _require_own_rows(
    artifact: Artifact, ids: Shaped[np.ndarray, " m"], mean: Float[np.ndarray, "m k"]
) -> None:
    """Faces of a second store that are named like training faces must not get their embeddings."""
    known = load_latents(artifact)
    shared, mine, theirs = np.intersect1d(ids, known.sample_ids, return_indices=True)
    taken = shared[(mean[mine] == known.mean[theirs]).all(axis=1)]
    if len(taken):
        raise DataError(
            f"{len(taken)} of {len(ids)} faces have the sample_id and the embedding of a training "
            f"face, first: {', '.join(taken[:5])}; a file of embeddings needs another id or path "
            "for every image of both data sets"
        )


def load_representation(
    run: Job, artifact: Artifact
) -> ConvVAENetwork | ImageEncoder | SampleIndex:
    """What places faces: the trained network on the run's device, or the user's file, opened."""
    model = run.config.representation.model
    if isinstance(model, Pretrained):
        return model.open(run.compute.device)
    return vae.load_vae(run, artifact, model)


def is_trained(run: Job) -> bool:
    """Whether the representation is learned here, so that it has curves and draws faces."""
    return isinstance(run.config.representation.model, ConvVAE)


def faces_may_be_shown(run: Job) -> bool:
    """Drawn faces always; real ones only when the config says so."""
    return run.config.data.name == "synthetic" or run.config.report.show_faces


def _settings(run: Job) -> dict[str, Any]:
    """What decides the latents, beside the faces."""
    recipe = run.config.representation
    if isinstance(recipe.model, Pretrained):
        return recipe.model.identity() | run.compute.identity()
    return dump(recipe) | {"seed": run.config.seed} | run.compute.identity()


def _build(run: Job, key: str, faces: FaceStore, tracker: Tracker) -> Artifact:
    model = run.config.representation.model
    if isinstance(model, Pretrained):
        return _take(run, key, model, faces)
    return vae.train_vae(run, key, model, faces, tracker)


def _take(run: Job, key: str, model: Pretrained, faces: FaceStore) -> Artifact:
    """Place the training faces with the file that the user gave."""
    start = time.monotonic()
    train = faces.rows("train")
    advance = run.progress.start("Representation", -(-len(train) // AT_ONCE))
    mean, log_var = _placed(run, model.open(run.compute.device), faces, train, advance)
    latents = Latents(sample_ids=faces.ids(train), mean=mean, log_var=log_var, encoder=key)
    active = int(active_dimensions(latents).sum())
    with run.create(STAGE, key, start) as folder:
        save_latents(folder, latents)
        write_json(folder / "figures.json", {"latent_dim": mean.shape[1], "active_units": active})
    return run.finished(STAGE, key)


def _placed(
    run: Job,
    opened: ImageEncoder | SampleIndex,
    faces: FaceStore,
    rows: Int64[np.ndarray, " n"],
    advance: Advance = silent,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean and, where there is a posterior, log-variance of every row, (n, k)."""
    if isinstance(opened, SampleIndex):
        found = opened.find(faces.samples.iloc[rows])
        for _ in range(0, len(rows), AT_ONCE):
            advance("")
        return found, None
    batches = Batches(faces, AT_ONCE, run.compute.device).evaluate(rows)
    return encoding.posterior(opened, _watched(batches, advance), run.compute)


def _watched(batches: Iterator[Batch], advance: Advance) -> Iterator[Batch]:
    for batch in batches:
        yield batch
        advance("")


def _publish(run: Job, artifact: Artifact, faces: FaceStore, tracker: Tracker) -> None:
    figures: dict[str, Any] = artifact.read_json("figures.json")
    defined = {name: float(value) for name, value in figures.items() if value is not None}
    tracker.metrics(named("representation", defined))
    recipe = dump(run.config.representation)
    model = run.config.representation.model
    if isinstance(model, Pretrained):
        tracker.params({"model": recipe["model"]})
        return
    tracker.params(recipe)
    if faces_may_be_shown(run):
        vae.publish_pictures(artifact, faces, tracker)
    vae.publish_network(artifact, vae.load_vae(run, artifact, model), faces, tracker)

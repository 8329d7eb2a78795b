"""Stage 2: learn the latent space, or take a given one; place every training face in it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Float, Int64, Shaped

from debias.auditing.audit_report import of_fidelity
from debias.auditing.fidelity import Encoded, fidelity
from debias.density import REMEDY, active_dimensions
from debias.errors import DataError
from debias.models import Decodes, Encodes, Finds, encoding
from debias.models import galleries as generation
from debias.models.encoder import Encoder
from debias.models.representation import Network
from debias.pipeline.job import Job
from debias.pipeline.step import (
    HISTORY,
    Shown,
    Step,
    Work,
    arrays,
    curves,
    example_batch,
    latents_files,
    named,
    take_up,
)
from debias.plugins import dump
from debias.report.documents import Fidelity
from debias.seeding import numpy_generator, stream_seed, torch_generator, torch_stream
from debias.storage.artifacts import Artifact, Files, load_array, load_latents, load_network
from debias.storage.files import shown
from debias.tracking.tracker import Advance, Tracker, silent
from debias.training.batches import Batch, Batches, Draws
from debias.training.condition import Condition
from debias.training.loop import EpochMetrics, fit, settle
from debias.types import FaceStore, Latents
from debias.weighting.sampling import shuffled

STAGE, CONDITION = "representation", "condition.json"
SHOWN = 12  # faces per reconstruction sheet
SNAPSHOTS = 4  # reconstruction sheets over the course of training
MOST_HELD_OUT, MOST_TRAINING = 500, 5000  # images looked at, to keep it within seconds
LONGER = 3  # times the epochs: what is advised where the model draws one face for everybody
AT_ONCE = 256  # faces encoded at once


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
    mean, log_var = _placed(run, load_representation(run, artifact), faces, rows)
    if run.config.representation.model.by_id and not may_repeat:
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


def load_representation(run: Job, artifact: Artifact) -> Encodes | Finds:
    """What places faces: the trained network on the run's device, or the user's file, opened."""
    model = run.config.encoder
    if not model.trained:
        return model.open(run.compute.device)
    told = _saved_condition(artifact) if model.told_column else ()
    placed = run.compute.place(load_network(artifact, model.build(run.config.seen_side, *told)))
    assert isinstance(placed, Encodes)  # as everything that is trained here
    return placed


def _saved_condition(artifact: Artifact) -> Iterator[Condition]:
    about = artifact.read_json(CONDITION)
    yield Condition(about["column"], tuple(about["values"]))


def batches_for(run: Job, network: object, faces: FaceStore) -> Batches:
    """Images of a store as a representation takes them, with what it is told."""
    condition = getattr(network, "condition", None)
    faces = faces.seen(run.config.seen_side)
    return Batches(faces, AT_ONCE, run.compute.device, condition=condition)


def is_trained(run: Job) -> bool:
    """Whether the representation is learned here, so that it has curves."""
    return run.config.representation.model.trained


def faces_may_be_shown(run: Job) -> bool:
    """Drawn faces always; real ones only when the config says so."""
    return run.config.data.name == "synthetic" or run.config.report.show_faces


def _settings(work: Work[Job]) -> dict[str, Any]:
    config, identity = work.job.config, work.job.compute.identity()
    recipe = config.representation
    if not recipe.model.trained:
        return config.encoder.identity() | identity
    return dump(recipe) | {"seed": config.seed} | identity


def _shown(work: Work[Job]) -> Shown:
    """Showing faces later publishes anew; one of several is shown with its name and seed."""
    title = ", seed ".join(work.which)
    return Shown(STAGE if faces_may_be_shown(work.job) else f"{STAGE}, no faces", title)


def _build(work: Work[Job], tracker: Tracker) -> Files:
    """A network is trained first; an encoder or a file of embeddings is used as it is.

    Raises:
        TrainingError: Training diverged.
        DataError: The encoder or the embeddings cannot be used.
    """
    return _train(work, tracker) if is_trained(work.job) else _take(work)


def _take(work: Work[Job]) -> Files:
    """Place the training faces with what the user gave."""
    run, faces, train = work.job, work.faces, work.faces.rows("train")
    advance = work.start(-(-len(train) // AT_ONCE))
    if isinstance(run.config.encoder, Encoder):
        run.progress.note(
            f"{shown(run.config.encoder.file)} is a program made elsewhere, and is run here: use "
            "one of people whom you trust."
        )
    opened = run.config.encoder.open(run.compute.device)
    if sentence := getattr(opened, "sentence", ""):
        run.progress.note(sentence)
    mean, log_var = _placed(run, opened, faces, train, advance)
    latents = Latents(sample_ids=faces.ids(train), mean=mean, log_var=log_var)
    return {**latents_files(latents), "figures.json": _size(latents)}


def _placed(
    run: Job,
    opened: Encodes | Finds,
    faces: FaceStore,
    rows: Int64[np.ndarray, " n"],
    advance: Advance = silent,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Mean and, where there is a posterior, log-variance of every row, (n, k)."""
    if isinstance(opened, Finds):
        found = opened.find(faces.samples.iloc[rows])
        for _ in range(0, len(rows), AT_ONCE):
            advance("")
        return found, None
    batches = batches_for(run, opened, faces).evaluate(rows)
    return encoding.posterior(opened, _watched(batches, advance), run.compute)


def _watched(batches: Iterator[Batch], advance: Advance) -> Iterator[Batch]:
    for batch in batches:
        yield batch
        advance("")


def _train(work: Work[Job], tracker: Tracker) -> Files:
    run, faces, recipe = work.job, work.faces, work.job.config.representation
    told = [Condition.among(faces, recipe.model.told_column)] if recipe.model.told_column else []
    with torch_stream(run.config.seed, "representation/network"):
        network = run.compute.build(lambda: recipe.model.build(run.config.seen_side, *told))
        size, augmentation = recipe.training.batch_size, recipe.augmentation
        batches = batches_for(run, network, faces)
        batches = replace(batches, batch_size=size, augmentation=augmentation)
        descends = any(True for _ in network.parameters())
        advance = work.start(recipe.training.epochs if descends else 1)
        course = _Course(run, network, batches, tracker, advance)
        if descends:
            train = faces.rows("train")
            streams = "representation/order", "representation/augmentation"
            draws = shuffled_epochs(batches, train, run.config.seed, *streams)
            fit(network, draws, recipe.training, len(train) // size, run.compute, course)
        _settle(run, faces, network)
        if not descends:
            course.look()
            advance("")
        files = {"network.safetensors": network, **_learned(run, faces, network)}
    files |= {HISTORY: {"epochs": course.history}} if descends else {}
    files |= arrays(reconstructions=np.stack(course.snapshots)) if course.snapshots else {}
    return files | ({CONDITION: asdict(told[0])} if told else {})


def _settle(run: Job, faces: FaceStore, network: Network) -> None:
    """What is computed from the training images as they are, in an order of its own."""
    batches, train, seed = batches_for(run, network, faces), faces.rows("train"), run.config.seed

    def epoch(number: int) -> Iterable[Batch]:
        order = numpy_generator(seed, f"representation/settled/{number}")
        return batches.evaluate(order.permutation(train))

    settle(network, epoch, stream_seed(seed, "representation/settled"), run.compute)


@dataclass(frozen=True)
class _Course:
    """Follows a training: losses of every epoch and, where faces are drawn, some sheets of them."""

    run: Job
    network: Network
    batches: Batches
    tracker: Tracker
    advance: Advance
    history: list[dict[str, float]] = field(default_factory=list)
    snapshots: list[np.ndarray] = field(default_factory=list)

    def __call__(self, epoch: int, means: EpochMetrics) -> None:
        self.network.eval()
        held_out = self.batches.evaluate(self._validation)
        losses = encoding.mean_losses(self.network, held_out, self.run.compute)
        self.history.append(named("train", means) | named("val", losses))
        self.tracker.metrics(self.history[-1], epoch)
        epochs = self.run.config.representation.training.epochs
        if (epoch + 1) % max(1, epochs // SNAPSHOTS) == 0 or epoch + 1 == epochs:
            self.look()
        self.advance(f"loss {means['loss']:.4g}")

    def state_dict(self) -> dict[str, Any]:
        return {"history": self.history, "snapshots": self.snapshots}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        take_up(self.history, state["history"], self.tracker, self.advance)
        self.snapshots[:] = [one.numpy() for one in state["snapshots"]]

    def look(self) -> None:
        """One more sheet, of a network that draws."""
        if isinstance(self.network, Decodes):
            shown = next(iter(self.batches.evaluate(self._validation[:SHOWN])))
            self.snapshots.append(generation.reconstruct(self.network, shown, self.run.compute))

    @property
    def _validation(self) -> Int64[np.ndarray, " n"]:
        return self.batches.store.rows("validation")


def shuffled_epochs(
    batches: Batches, train: Int64[np.ndarray, " n"], seed: int, order: str, views: str
) -> Draws:
    """Every image once an epoch; ``order`` and ``views`` name the random streams."""

    def rows(epoch: int) -> Int64[np.ndarray, " n"]:
        return train[shuffled(len(train), numpy_generator(seed, f"{order}/{epoch}"))]

    return Draws(batches, rows, torch_generator(seed, views, batches.device))


def _learned(run: Job, faces: FaceStore, network: Network) -> Files:
    """Where the training faces lie, what single dimensions move, and figures about the network."""
    batches, train = batches_for(run, network, faces), faces.rows("train")
    assert isinstance(network, Encodes)  # as everything that is trained here
    mean, log_var = encoding.posterior(network, batches.evaluate(train), run.compute)
    latents = Latents(sample_ids=faces.ids(train), mean=mean, log_var=log_var)
    validation = batches.evaluate(faces.rows("validation"))
    losses = encoding.mean_losses(network, validation, run.compute)
    own: Callable[..., dict[str, Any]] | None = getattr(network, "figures", None)
    size = _size(latents)
    figures = losses | size if own is None else own(losses, mean)
    if not size["active_units"]:  # plain training, and arms without latents, still have results
        run.progress.note(
            f"0 of {size['latent_dim']} latent dimensions are active: they say nothing about the "
            f"images. {REMEDY}"
        )
    files = {**latents_files(latents), "figures.json": figures}
    if isinstance(network, Decodes):
        shown = _most_active(latents)
        moved = generation.traverse(network, mean, shown, run.compute)
        files |= arrays(traversals=moved, traversed=np.array(shown))
    return files


def _size(latents: Latents) -> dict[str, int]:
    active = int(active_dimensions(latents).sum())
    return {"latent_dim": latents.mean.shape[1], "active_units": active}


def _most_active(latents: Latents, most: int = 8) -> list[int]:
    """Active dimensions, the most informative (largest variance of the mean) first; or any."""
    variance = latents.mean.var(axis=0) * active_dimensions(latents)
    order = np.argsort(-variance, kind="stable")[:most]
    return [int(dimension) for dimension in order if variance[dimension] > 0] or [0]


def _tell(work: Work[Job], artifact: Artifact, tracker: Tracker) -> None:
    """Figures and, of what was trained here, pictures and the encoder as a model that loads."""
    run, faces = work.job, work.faces
    figures: dict[str, Any] = artifact.read_json("figures.json")
    defined = {name: float(value) for name, value in figures.items() if value is not None}
    tracker.metrics(named("representation", defined))
    recipe = dump(run.config.representation)
    if not is_trained(run):
        tracker.params({"model": recipe["model"]})
        return
    tracker.params(recipe)
    if faces_may_be_shown(run) and drew(artifact):
        _publish_pictures(artifact, faces.seen(run.config.seen_side), tracker)
    tracker.artifact(artifact.path / "network.safetensors", "network")
    example = example_batch(faces.seen(run.config.seen_side))
    if not run.config.representation.model.told_column:  # a logged model takes images alone
        tracker.model("encoder", load_representation(run, artifact), example)


def drew(artifact: Artifact) -> bool:
    """Whether a network was trained that draws faces."""
    return (artifact.path / "reconstructions.npy").exists()


def fidelity_of(job: Job, artifact: Artifact, store: FaceStore) -> Fidelity | None:
    """Whether the model tells images apart: figures, a sentence, and how long to train instead.

    None where nothing that draws was trained here.
    """
    network = load_representation(job, artifact) if is_trained(job) else None
    if not isinstance(network, Decodes):
        return None
    known = load_latents(artifact)  # of the training images
    active = active_dimensions(known)
    held_out, training = store.rows("validation"), store.rows("train")
    some = spread(np.arange(len(training), dtype=np.int64), MOST_TRAINING)
    rows = spread(held_out, MOST_HELD_OUT)
    latents = encode_store(job, artifact, store, rows)
    store = store.seen(job.config.seen_side)
    found = fidelity(
        Encoded(images=store.images[rows], latents=latents.mean[:, active]),
        generation.redraw(network, latents.mean, store, rows, job.compute),
        Encoded(images=store.images[training[some]], latents=known.mean[some][:, active]),
    )
    if not curves(artifact):  # found in one go: nothing can be trained for longer
        return of_fidelity(found)
    epochs = job.config.representation.training.epochs
    return of_fidelity({**found, "epochs": epochs, "advised": LONGER * epochs})


def spread(rows: Int64[np.ndarray, " n"], most: int) -> Int64[np.ndarray, " m"]:
    """At most so many rows, evenly over all of them."""
    return rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.int64)]


def _publish_pictures(artifact: Artifact, faces: FaceStore, tracker: Tracker) -> None:
    """Reconstructions over the course of training, and what single dimensions move."""
    sheets = load_array(artifact, "reconstructions")  # (epochs, faces, H, W, 3); fewer if purged
    originals = faces.images[faces.rows("validation")[: sheets.shape[1]]]
    for step, sheet in enumerate(sheets):
        pair = np.concatenate([originals, sheet])
        tracker.image("reconstructions", _tiled(pair, 2), step)
    traversals = load_array(artifact, "traversals")
    tracker.image("traversals", _tiled(np.concatenate(traversals), len(traversals)), 0)


def _tiled(images: np.ndarray, rows: int) -> np.ndarray:
    """One picture of equal images, (m, H, W, C), row by row."""
    grid = images.reshape(rows, -1, *images.shape[1:])  # (rows, columns, H, W, C)
    return np.concatenate([np.concatenate(list(row), axis=1) for row in grid])


REPRESENTATION = Step(
    STAGE, settings=_settings, build=_build, tell=_tell, shown=_shown, trains=True
)

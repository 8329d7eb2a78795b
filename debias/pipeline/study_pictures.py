"""What a representation draws for a study's page, as arrays by name."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Bool, Float64

from debias.models import Decodes, galleries
from debias.models.quality import tasks
from debias.pipeline.representation import spread
from debias.pipeline.subject import Subject, annotation
from debias.types import FaceStore

SHOWN, STEPS, WALKS, MOVED = 8, 7, 4, 6
SAMPLES, SIDE, SHEET = 32, 8, 12  # pictures; side of the sheet of all places, of a plane's
ENOUGH = 30  # images on each side of a difference
STRENGTHS = (0.0, 0.5, 1.0, 1.5)


def tried(subject: Subject) -> dict[str, tasks.Trial]:
    """Every task that ends in pictures, and the bits of the compressed ones."""
    originals = subject.originals[: subject.job.config.looks.trials]
    places = subject.placed.mean[: len(originals)]
    return {
        "denoise": tasks.denoise(subject.redraw, originals, subject.generator("noise")),
        "fill_in": tasks.fill_in(subject.redraw, originals),
        "raise_resolution": tasks.raise_resolution(subject.redraw, originals),
        "compress": tasks.compress(
            subject.decode, np.asarray(subject.known.mean), places, originals
        ),
    }


def drawn(subject: Subject, trials: Mapping[str, tasks.Trial]) -> dict[str, np.ndarray]:
    """The map and, of what draws: pairs, samples, sheet, dimensions, walks, difference, tasks."""
    found = {"map": mapped(subject)}
    if columns := subject.job.config.columns:
        train = subject.store.rows("train")[mapped_rows(subject)]
        found["map_values"] = annotation(subject.store, columns[-1], train)
    network, compute, mean = subject.network, subject.job.compute, np.asarray(subject.known.mean)
    if not isinstance(network, Decodes):
        return found
    some = subject.originals[:SHOWN]
    found["reconstructions"] = np.stack([some, subject.redraw(some)])
    found["samples"] = subject.samples(SAMPLES)
    side = SHEET if mean.shape[1] <= 2 else SIDE
    found["manifold"] = galleries.manifold(network, mean, side, compute)
    if hasattr(network, "condition"):
        found["conditions"] = galleries.under_conditions(
            network, subject.placed.mean[:WALKS], compute
        )
    if hasattr(network, "course"):
        first = next(subject.batches(subject.originals[:WALKS]))
        found["course"] = galleries.course(network, first, compute)
    order = np.argsort(-mean.var(axis=0), kind="stable")[:MOVED]
    found["traversals"] = galleries.traverse(network, mean, order.tolist(), compute, STEPS)
    ends = subject.placed.mean[: 2 * WALKS].reshape(-1, 2, mean.shape[1])
    found["walks"] = np.stack([
        galleries.walk(network, start, end, STEPS, compute) for start, end in ends
    ])  # fmt: skip
    if (sides := _sides(subject)) is not None:
        vector = galleries.attribute_vector(mean, *sides)
        start = mean[np.flatnonzero(sides[1])[:WALKS]]
        found["arithmetic"] = galleries.shifted(network, start, vector, STRENGTHS, compute)
    for name, trial in trials.items():
        given = [] if trial.given is trial.originals else [trial.given]
        parts = trial.originals, *given, trial.drawn, trial.plain
        found[f"task_{name}"] = np.stack([part[:SHOWN] for part in parts])
    return found


def mapped(subject: Subject) -> Float64[np.ndarray, "m 2"]:
    """Where training images lie: as they are in two dimensions; else by t-SNE.

    Reference:
        van der Maaten & Hinton 2008, Visualizing Data using t-SNE.
    """
    mean = subject.known.mean[mapped_rows(subject)].astype(np.float64)
    if mean.shape[1] == 2:
        return mean
    if mean.shape[1] < 2 or not np.ptp(mean, axis=0).any():
        return np.column_stack([mean[:, 0], np.zeros(len(mean))])
    from sklearn.manifold import TSNE

    seed = subject.job.config.seed
    found: Float64[np.ndarray, "m 2"] = TSNE(random_state=seed).fit_transform(mean)
    return found.astype(np.float64)


def mapped_rows(subject: Subject) -> np.ndarray:
    """Training images on the map, by their place among the training images."""
    every = np.arange(len(subject.known.mean), dtype=np.int64)
    return spread(every, subject.job.config.looks.mapped)


def difference(store: FaceStore, columns: Sequence[str]) -> tuple[str, str] | None:
    """The column and its rarest value of which there are enough training images, and of others."""
    train = store.rows("train")
    for column in reversed(columns):
        values, counts = np.unique(annotation(store, column, train), return_counts=True)
        fitting = (counts >= ENOUGH) & (len(train) - counts >= ENOUGH)
        if fitting.any():
            return column, str(values[fitting][counts[fitting].argmin()])
    return None


def _sides(subject: Subject) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]] | None:
    """Who has the value, and who lacks it."""
    named = difference(subject.store, subject.job.config.columns)
    if named is None:
        return None
    has = annotation(subject.store, named[0], subject.store.rows("train")) == named[1]
    return has, ~has

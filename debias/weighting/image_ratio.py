"""How much more of an image's kind one set holds than another, learned from the images.

Small networks are trained to tell target sets (an unlabelled reference, or the annotated images of
each group) from the population; the log odds they give an image estimate log target(x) - log
population(x). Every image is scored only by networks that never saw it, and the scores are averaged
over repetitions of the folds: one network's odds are noisy.

Reference:
    Sugiyama, Suzuki, Kanamori 2012, Density Ratio Estimation in Machine Learning, chapter 4.
    Deviations: draws are balanced between the sets, so the prior odds drop out of the logits.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Annotated, Literal

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float64, Int64, UInt8
from pydantic import Field

from debias.errors import WeightError
from debias.models import CLASSIFIERS, Classifier, PooledClassifier
from debias.models.own import OwnClassifier
from debias.plugins import OneOf, Settings
from debias.seeding import numpy_generator, stream_seed, torch_generator, torch_stream
from debias.training.batches import Augmentation, Batch, Batches, Draws
from debias.training.device import Compute
from debias.training.loop import Training, fit
from debias.training.styles import restyled
from debias.types import FaceStore, ShardedImages
from debias.weighting.label_shift import Scores
from debias.weighting.sampling import WeightedSampler
from debias.weighting.weights import SamplingWeights

VALUES_AT_ONCE = 2**24  # floats of a piece
STYLES = 24  # cameras by which it is judged how far another one may lead astray
WIDE = 1.0  # of the widest range
Images = UInt8[np.ndarray, "_ H W 3"]


class DiscriminatorRecipe(Settings):
    """How small networks learn, from images, what one set has more of than another.

    Used by arms that set ``estimate_on: images``.
    """

    model: Annotated[PooledClassifier, OneOf("classifier", CLASSIFIERS, OwnClassifier.of)] = Field(
        default=PooledClassifier(), description="The network."
    )
    training: Training = Field(
        default=Training(epochs=12, weight_decay=0.01), description="Its optimisation."
    )
    augmentation: Augmentation = Field(
        default=Augmentation(flip=True, shift=0.05, scale=0.1, rotation=10, brightness=0.2),
        description="Random views.",
    )
    side: int = Field(
        default=32, ge=16, le=256, description="Side to which images are shrunk first, pixels."
    )
    folds: int = Field(default=4, ge=2, le=20, description="Parts of the cross-fitting.")
    repeats: int = Field(
        default=3,
        ge=1,
        le=50,
        description="Repetitions of the folds, averaged; groups annotated elsewhere take one.",
    )
    style: Literal["auto", "as_is", "matched", "augmented"] = Field(
        default="auto",
        description="'matched' evens out framing, colour, contrast and sharpness between the data "
        "and the reference first, for a reference from another camera; 'augmented' does so and "
        "then shows both in random styles; 'auto' does that where the two are told apart almost "
        "perfectly as they are.",
    )


def in_every_style(recipe: DiscriminatorRecipe) -> DiscriminatorRecipe:
    """With random views that no camera could be told by."""
    views = recipe.augmentation.model_copy(update={"style": 1.0})
    return recipe.model_copy(update={"augmentation": views})


@dataclass(frozen=True, kw_only=True, eq=False)
class Sets:
    """The population and what it is compared with.

    Attributes:
        population: ``uint8 (n, H, W, 3)``
        strata: (n,), class index; every fold gets its share of each.
        examples: ``uint8 (m, H, W, 3)``, images of the target sets.
        target: (m,), number of the target set of each example: 0, 1, ...
        twin: (m,), position of the same image in the population, -1 if it is not there: an image
            must not be scored by a network that saw it in its other role.
    """

    population: Images
    strata: Int64[np.ndarray, " n"]
    examples: Images
    target: Int64[np.ndarray, " m"]
    twin: Int64[np.ndarray, " m"]

    @property
    def targets(self) -> int:
        return int(self.target.max()) + 1


@dataclass(frozen=True, kw_only=True, eq=False)
class LogRatios:
    """log target_c(x) - log population(x), up to a constant per target."""

    population: Float64[np.ndarray, "n c"]
    examples: Float64[np.ndarray, "m c"]


def cross_fitted_log_ratios(
    sets: Sets,
    recipe: DiscriminatorRecipe,
    seed: int,
    compute: Compute,
    advance: Callable[[str], None],
) -> LogRatios:
    """Train ``folds * repeats`` networks and average what they say about images new to them.

    ``advance`` is called after every network.

    Raises:
        WeightError: A target has fewer examples than there are folds.
    """
    _require_enough(np.bincount(sets.target), recipe.folds)
    size = len(sets.population)
    labels = np.concatenate([np.zeros_like(sets.strata), 1 + sets.target])
    store = _store([sets.population, sets.examples], labels)
    # Half of the draws are population, the targets share the other half.
    shares = np.array([0.5, *[0.5 / sets.targets] * sets.targets])
    total = np.zeros((size + len(sets.examples), sets.targets))
    for repeat in range(recipe.repeats):
        for fold, held_out in enumerate(_folds(sets, recipe.folds, seed, repeat)):
            stream = seed, f"discriminator/{repeat}/{fold}"
            network = _train(store, np.flatnonzero(~held_out), shares, recipe, stream, compute)
            rows = np.flatnonzero(held_out)
            logits = _logits(network, Batches(store, 256, compute.device).evaluate(rows), compute)
            total[rows] += logits[:, 1:] - logits[:, :1]
            advance(f"network {repeat * recipe.folds + fold + 1}")
    mean = total / recipe.repeats
    return LogRatios(population=mean[:size], examples=mean[size:])


def cross_fitted_scores(
    sets: Sets,
    recipe: DiscriminatorRecipe,
    seed: int,
    compute: Compute,
    advance: Callable[[str], None],
) -> Scores:
    """Train ``folds`` networks to tell the targets apart; what they say of images new to them.

    Every network sees all targets equally often, and no image of the population. ``advance`` is
    called after every network.

    Raises:
        WeightError: A target has fewer examples than there are folds.
    """
    codes, groups, device = sets.target, sets.targets, compute.device
    _require_enough(np.bincount(codes), recipe.folds)
    generator = numpy_generator(seed, "discriminator/folds/elsewhere")
    fold, turn = (_dealt(one, recipe.folds, generator) for one in (codes, sets.strata))
    there, here = _store([sets.examples], codes), _store([sets.population], sets.strata)
    held_out = np.empty((1 + STYLES, len(codes), groups))
    single, total = (np.zeros((len(turn), groups)) for _ in range(2))
    even = np.full(groups, 1 / groups)
    for number in range(recipe.folds):
        stream = seed, f"discriminator/elsewhere/{number}"
        network = _train(there, np.flatnonzero(fold != number), even, recipe, stream, compute)
        rows = np.flatnonzero(fold == number)
        for style in range(1 + STYLES):
            batches = Batches(there, 256, device).evaluate(rows)
            seen = _in_another_style(batches, seed, style, device) if style else batches
            held_out[style, rows] = _logits(network, seen, compute)
        every = Batches(here, 256, device).evaluate(np.arange(len(turn)))
        logits = _logits(network, every, compute)
        single[turn == number] = logits[turn == number]
        total += logits
        advance(f"network {number + 1}")
    return Scores(held_out=held_out, codes=codes, single=single, averaged=total / recipe.folds)


def _in_another_style(
    batches: Iterable[Batch], seed: int, style: int, device: torch.device
) -> Iterator[Batch]:
    """All images as one camera that never was would show them."""
    for batch in batches:
        generator = torch_generator(seed, f"discriminator/style/{style}", device)
        yield replace(batch, image=restyled(batch.image, WIDE, generator, together=True))


def _store(parts: list[Images], labels: Int64[np.ndarray, " n"]) -> FaceStore:
    """Images of some sets one after another; the label says for what a row stands."""
    ids = [f"{row:09d}" for row in range(len(labels))]
    return FaceStore(
        images=ShardedImages(parts),
        samples=pd.DataFrame({"sample_id": ids, "split": "train", "label": labels}),
        classes=tuple(str(number) for number in range(int(labels.max()) + 1)),
        attributes=(),
        label="set",
    )


def _require_enough(counts: Int64[np.ndarray, " c"], folds: int) -> None:
    if counts.min() < folds:
        raise WeightError(
            f"a target set holds {counts.min()} images, fewer than the {folds} folds; annotate "
            "more images or lower discriminator.folds"
        )


def _folds(sets: Sets, folds: int, seed: int, repeat: int) -> Iterator[np.ndarray]:
    """Rows held out, one mask a fold; classes and targets are spread evenly over the folds."""
    generator = numpy_generator(seed, f"discriminator/folds/{repeat}")
    population = _dealt(sets.strata, folds, generator)
    examples = _dealt(sets.target, folds, generator)
    here = sets.twin >= 0
    population[sets.twin[here]] = examples[here]  # not the reverse: each fold has every target
    fold = np.concatenate([population, examples])
    for number in range(folds):
        yield fold == number


def _dealt(
    strata: Int64[np.ndarray, " n"], folds: int, generator: np.random.Generator
) -> Int64[np.ndarray, " n"]:
    """A fold for every row, dealt out like cards within each stratum."""
    fold = np.empty_like(strata)
    for value in np.unique(strata):
        rows = generator.permutation(np.flatnonzero(strata == value))
        fold[rows] = np.arange(len(rows)) % folds
    return fold


def _train(
    store: FaceStore,
    rows: Int64[np.ndarray, " r"],
    shares: Float64[np.ndarray, " c"],
    recipe: DiscriminatorRecipe,
    stream: tuple[int, str],
    compute: Compute,
) -> Classifier:
    """One network on some rows; each kind of row has its share of the draws."""
    seed, purpose = stream
    labels = store.labels(rows)
    count = np.bincount(labels, minlength=len(store.classes))
    probability = (shares / np.maximum(count, 1))[labels]
    weights = SamplingWeights(
        sample_ids=store.ids(rows), probability=probability / probability.sum()
    )
    sampler = WeightedSampler(weights, len(rows), seed=stream_seed(seed, f"{purpose}/order"))
    views = torch_generator(seed, f"{purpose}/augmentation", compute.device)
    size = min(recipe.training.batch_size, len(rows))
    batches = Batches(store, size, compute.device, recipe.augmentation)

    draws = Draws(batches, lambda number: rows[sampler.epoch_rows(number)], views)
    with torch_stream(seed, f"{purpose}/network"):
        network = recipe.model.build(len(store.classes))
        compute.place(network)
        fit(network, draws, recipe.training, len(rows) // size, compute)
    return network.eval()


def _logits(
    network: Classifier, batches: Iterable[Batch], compute: Compute
) -> Float64[np.ndarray, "r c"]:
    """Means over an image and its mirror."""
    parts = []
    with torch.inference_mode(), compute.autocast():
        for batch in batches:
            logits = network(batch.image) + network(batch.image.flip(-1))
            parts.append(0.5 * logits.double().cpu().numpy())
    return np.concatenate(parts)


def shrunk(images: ShardedImages, rows: Int64[np.ndarray, " n"], side: int) -> Images:
    """Copies of at most ``side`` pixels a side, area-averaged; small enough to stay in memory.

    At 32 pixels, 3 kB an image: a million take 3 GB.
    """
    parts = []
    at_once = max(1, VALUES_AT_ONCE // math.prod(images.shape[1:]))
    for start in range(0, len(rows), at_once):
        pixels = torch.from_numpy(images[rows[start : start + at_once]]).permute(0, 3, 1, 2)
        if pixels.shape[-1] > side:
            small = torch.nn.functional.adaptive_avg_pool2d(pixels.float(), side)
            pixels = small.round().to(torch.uint8)
        parts.append(pixels.permute(0, 2, 3, 1).numpy())
    return np.ascontiguousarray(np.concatenate(parts))

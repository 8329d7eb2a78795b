"""One training of a classifier, as an objective sees it."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor, nn

from debias.errors import AllDimensionsInactiveError, ConfigError, DataError, WeightError
from debias.models import Encodes, encoding
from debias.models.db_vae import DBVAENetwork
from debias.pipeline import film
from debias.pipeline.generated import SPLIT as GENERATED
from debias.pipeline.generated import enlarged
from debias.pipeline.job import Run
from debias.pipeline.recipe import RunConfig
from debias.pipeline.step import Work, named, take_up
from debias.seeding import numpy_generator, restart_stream, stream_seed, torch_generator
from debias.statistics.groupings import UNKNOWN
from debias.tracking.tracker import Advance, Tracker
from debias.training.batches import Batch, Batches, Draws
from debias.training.checkpoint import Remembers
from debias.training.loop import EpochMetrics, fit
from debias.training.objectives.db_vae import DBVAE
from debias.training.objectives.objective import Multiples, Objective, Split
from debias.types import FaceStore, Latents
from debias.weighting.sampling import WeightedSampler
from debias.weighting.weights import SamplingWeights


@dataclass(frozen=True)
class ClassifierTask:
    """The task of one arm and seed (see :class:`debias.training.objectives.objective.Task`).

    Network, order of the draws and augmentation depend on the seed alone, so weights and objective
    are the only difference between arms of one seed.
    """

    work: Work[Run]
    objective: Objective
    tracker: Tracker
    advance: Advance
    history: list[dict[str, float]] = field(default_factory=list)
    frames: list[film.Frame] = field(default_factory=list)

    @property
    def run(self) -> Run:
        return self.work.job

    @property
    def epochs(self) -> int:
        return self.run.config.classifier.training.epochs

    @property
    def classes(self) -> int:
        return len(self.work.faces.classes)

    @cached_property
    def rows(self) -> Int64[np.ndarray, " n"]:
        return self.work.faces.rows("train")

    def labels_of(self, split: Split) -> Int64[np.ndarray, " m"]:
        return self.work.faces.labels(self.work.faces.rows(split))

    def groups_of(self, split: Split) -> Int64[np.ndarray, " m"]:
        self._declared(split)
        return self._cells(split)

    def attributes_of(self, split: Split) -> pd.DataFrame:
        self._declared(split)
        faces = self.work.faces
        return faces.groups(faces.rows(split)).drop(columns=faces.label, errors="ignore")

    def _declared(self, split: Split) -> None:
        used = self.objective.uses_groups
        if used == "no" or (used == "selection" and split == "train"):
            name = self.objective.name
            raise ConfigError(f"objective {name!r} asks for groups, but declares {used!r}")

    def _cells(self, split: Split) -> Int64[np.ndarray, " m"]:
        faces = self.work.faces
        rows = faces.rows(split)
        cells = faces.groups(rows).assign(label=faces.labels(rows))
        number = cells.groupby(list(cells.columns), sort=True).ngroup().to_numpy(dtype=np.int64)
        return np.where((cells == UNKNOWN).any(axis=1), -1, number)

    def positions(self, batch: Batch) -> Int64[Tensor, " B"]:
        rows = torch.from_numpy(self.rows).to(batch.index.device)
        return torch.searchsorted(rows, batch.index)

    def network(self) -> nn.Module:
        config = self.run.config
        restart_stream(config.seed, f"classifier/{self.work.seed}/network")
        return self.run.compute.build(lambda: built(config, self.work.arm, self.classes))

    def fit(
        self,
        model: nn.Module,
        *,
        epochs: int | None = None,
        multiples: Multiples | Callable[[int], Multiples | None] | None = None,
        on_epoch: Callable[[nn.Module], None] | None = None,
    ) -> nn.Module:
        recipe, compute = self.run.config.classifier, self.run.compute
        after = _Epochs(self, cast(nn.Module, model.network), Kept(self._scorer()), on_epoch)
        training = recipe.training.model_copy(update={"epochs": epochs or self.epochs})
        steps = len(self.rows) // training.batch_size
        fit(compute.place(model), self._draws(multiples), training, steps, compute, after)
        return after.kept.give(after.network).eval()

    def probabilities(
        self, network: nn.Module, split: Split = "train"
    ) -> Float64[np.ndarray, "m classes"]:
        batches = self._plain.evaluate(self.work.faces.rows(split))
        return encoding.class_probabilities(network, batches, self.run.compute)

    def losses(self, network: nn.Module) -> dict[str, float]:
        """Means over the validation images."""
        rows = self.work.faces.rows("validation")
        return encoding.mean_losses(network, self._plain.evaluate(rows), self.run.compute)

    def features(self, network: nn.Module, split: Split = "train") -> Float[np.ndarray, "m d"]:
        batches = self._plain.evaluate(self.work.faces.rows(split))
        return encoding.features(network, batches, self.run.compute)

    def generator(self, purpose: str) -> np.random.Generator:
        return numpy_generator(self.run.config.seed, f"classifier/{self.work.seed}/{purpose}")

    def _scorer(self) -> Callable[[nn.Module], float]:
        """What the best epoch has most of, by the recipe: right answers in the worst cell."""
        labels, cells = self.labels_of("validation"), self._judged()

        def score(network: nn.Module) -> float:
            right = self.probabilities(network, "validation").argmax(1) == labels
            return min(float(right[cells == cell].mean()) for cell in np.unique(cells[cells >= 0]))

        return score

    def _judged(self) -> Int64[np.ndarray, " m"]:
        """Cell of every validation image, -1 for one that does not say which epoch is best."""
        keep, labels = self.run.config.classifier.keep, self.labels_of("validation")
        if keep in ("last", "mean"):
            return np.zeros_like(labels)
        cells = labels if keep == "worst_class" else self._cells("validation")
        if (cells < 0).all():
            raise DataError(
                f"classifier.keep is 'worst_group', and none of {len(cells):,} validation images "
                "has all its groups annotated: annotate some, or keep the 'worst_class'"
            )
        count = np.bincount(labels[cells >= 0], minlength=self.classes)
        if not count.all():
            faces, known = self.work.faces, " with known groups" * (keep == "worst_group")
            raise DataError(
                f"classifier.keep is {keep!r}, and of {count.sum():,} validation images{known} "
                f"none has {faces.label} = {faces.classes[int(count.argmin())]!r}: give images of "
                "it, raise selection.validation_fraction, or keep the 'last' epoch"
            )
        return cells

    @cached_property
    def _plain(self) -> Batches:
        size = self.run.config.classifier.training.batch_size
        return Batches(self.work.faces, size, self.run.compute.device)

    def weigh(self, network: nn.Module, among: Bool[np.ndarray, " n"]) -> Multiples:
        rows, faces, was_training = self.rows[among], self.work.faces, network.training
        network.eval()
        batches = self._plain.evaluate(rows)
        mean, log_var = encoding.posterior(cast(Encodes, network), batches, self.run.compute)
        network.train(was_training)  # else all that follows would be trained in evaluation mode
        latents = Latents(sample_ids=faces.ids(rows), mean=mean, log_var=log_var)
        multiples = np.ones(len(self.rows))
        multiples[among] = film.weigh(self.run, self.work.arm, faces, rows, latents).weight
        return multiples

    @property
    def _shown(self) -> tuple[FaceStore, Int64[np.ndarray, " m"], SamplingWeights]:
        """The store that is drawn from, its rows, and their weights; generated images included."""
        faces, made = self.work.faces, self.work.inputs.get("generated")
        if made is None:
            return faces, self.rows, self.work.weights
        faces = enlarged(faces, made)
        rows = np.concatenate([self.rows, faces.rows(GENERATED)])
        even = np.full(len(rows), 1 / len(rows))  # the arm's weights made the images
        return faces, rows, SamplingWeights(sample_ids=faces.ids(rows), probability=even)

    def _draws(self, multiples: Multiples | Callable[[int], Multiples | None] | None) -> Draws:
        recipe, seed, stream = self.run.config.classifier, self.run.config.seed, self.work.seed
        device = self.run.compute.device
        faces, shown, given = self._shown
        batches = Batches(faces, recipe.training.batch_size, device, recipe.augmentation)
        order = stream_seed(seed, f"classifier/{stream}/order")
        views = torch_generator(seed, f"classifier/{stream}/augmentation", device)

        def rows(epoch: int) -> Int64[np.ndarray, " n"]:
            weights = (
                self._anew(multiples, epoch)
                if callable(multiples)
                else _multiplied(given, multiples)
            )
            sampler = WeightedSampler(weights, len(self.rows), seed=order)
            return shown[sampler.epoch_rows(epoch)]

        return Draws(batches, rows, views)

    def _anew(self, multiples: Callable[[int], Multiples | None], epoch: int) -> SamplingWeights:
        """Weights of one epoch, kept for the film of them; even ones while no latent varies."""
        said: list[str] = []
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", UserWarning)
            try:
                given = multiples(epoch)
            except AllDimensionsInactiveError:
                given = None
                said.append("no latent dimension varied, so every image was drawn equally often")
            except WeightError as error:
                arm = self.work.arm
                raise type(error)(f"arm {arm!r}, weights of epoch {epoch + 1}: {error}") from error
        weights = _multiplied(self.work.weights, given)
        said += [str(one.message) for one in caught]
        self.frames.append(film.frame(weights, self.work.faces, said))
        return weights


def built(config: RunConfig, arm: str, classes: int) -> nn.Module:
    """The untrained network of an arm: that of the recipe, or that of its objective."""
    objective = config.objective(arm)
    if isinstance(objective, DBVAE):
        return DBVAENetwork(objective, classes, config.image_size)
    network: nn.Module = config.classifier.model.build(classes)
    return network


class Kept:
    """The parameters of the best epoch looked at, the latest of equals; if of none, the last."""

    def __init__(self, score: Callable[[nn.Module], float]) -> None:
        self.score, self.best = score, -np.inf
        self.parameters: dict[str, Tensor] = {}

    def look(self, network: nn.Module) -> None:
        score = self.score(network)
        if score >= self.best:
            self.best = score
            self.parameters = {k: v.clone() for k, v in network.state_dict().items()}

    def give(self, network: nn.Module) -> nn.Module:
        if self.parameters:
            network.load_state_dict(self.parameters)
        return network

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "parameters": self.parameters}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state)


@dataclass(frozen=True)
class _Epochs:
    """What is done after every epoch of one fit, and all that was gathered up to there."""

    task: ClassifierTask
    network: nn.Module
    kept: Kept
    on_epoch: Callable[[nn.Module], None] | None

    def __call__(self, epoch: int, means: EpochMetrics) -> None:
        task, network = self.task, self.network.eval()
        if self.on_epoch:
            self.on_epoch(network)
        held_out = task.losses(network)
        if task.run.config.classifier.keep != "last":
            self.kept.look(network)
        task.history.append(named("train", means) | named("val", held_out))
        task.tracker.metrics(task.history[-1], len(task.history) - 1)
        task.advance(f"validation accuracy {held_out['accuracy']:.1%}")

    def state_dict(self) -> dict[str, Any]:
        task, own = self.task, self.on_epoch
        gathered = own.state_dict() if isinstance(own, Remembers) else None
        return {
            "history": task.history, "frames": task.frames,
            "kept": self.kept.state_dict(), "on_epoch": gathered,
        }  # fmt: skip

    def load_state_dict(self, state: dict[str, Any]) -> None:
        task = self.task
        take_up(task.history, state["history"], task.tracker, task.advance)
        task.frames[:] = state["frames"]
        self.kept.load_state_dict(state["kept"])
        if isinstance(self.on_epoch, Remembers):
            self.on_epoch.load_state_dict(state["on_epoch"])


def _multiplied(weights: SamplingWeights, multiples: Multiples | None) -> SamplingWeights:
    if multiples is None:
        return weights
    probability = weights.probability * multiples
    return SamplingWeights(
        sample_ids=weights.sample_ids, probability=probability / probability.sum()
    )

"""What a classifier is trained for, and what an objective is given to do it with.

``n`` training images in the order of the store, ``B`` images in a batch.
"""

from collections.abc import Callable
from typing import ClassVar, Literal, Protocol, get_args, runtime_checkable

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Float64, Int64
from torch import Tensor, nn

from debias.plugins import Settings
from debias.training.batches import Batch

Split = Literal["train", "validation"]
GroupUse = Literal["no", "selection", "training"]
GROUP_USES: tuple[GroupUse, ...] = get_args(GroupUse)
Multiples = Float64[np.ndarray, " n"]  # how much more often than plainly each image is drawn
Criterion = Callable[[Tensor, Batch], Tensor]  # logits (B, classes) and their batch -> the loss


class Supervised(nn.Module):
    """A classifier and what its logits are trained for; without a criterion, its own loss."""

    def __init__(self, network: nn.Module, criterion: Criterion | None = None) -> None:
        super().__init__()
        self.network, self.criterion = network, criterion

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """The criterion, and accuracy as a mean over the batch."""
        if self.criterion is None:
            found: dict[str, Tensor] = self.network.loss(batch)  # type: ignore[operator]
            return found
        logits = self.network(batch.image).float()
        accuracy = (logits.argmax(1) == batch.label).float().mean()
        return {"loss": self.criterion(logits, batch), "accuracy": accuracy}


@runtime_checkable
class Task(Protocol):
    """One training of one arm and seed: its images, its network, its steps.

    Every network starts from the initial parameters of the seed, every fit draws the same images
    in the same order and views: what differs between objectives of one seed is the objective.
    """

    @property
    def epochs(self) -> int:
        """Of the recipe."""

    @property
    def classes(self) -> int: ...

    def labels_of(self, split: Split) -> Int64[np.ndarray, " m"]:
        """Class of every image of a split."""

    def groups_of(self, split: Split) -> Int64[np.ndarray, " m"]:
        """Cell of class and annotated groups of every image, -1 where one is unknown.

        Raises:
            ConfigError: The objective does not say that it uses them (``uses_groups``:
                ``selection`` opens those of validation images alone), or no attribute is named.
        """

    def attributes_of(self, split: Split) -> pd.DataFrame:
        """Those groups by attribute, one row an image, ``unknown`` where one is; without the label.

        Raises:
            ConfigError: As ``groups_of``.
        """

    def positions(self, batch: Batch) -> Int64[Tensor, " B"]:
        """Which of the training images stand in a batch, in [0, n)."""

    def network(self) -> nn.Module:
        """A classifier with the initial parameters of this seed: images to logits (B, classes)."""

    def fit(
        self,
        model: nn.Module,
        *,
        epochs: int | None = None,
        multiples: Multiples | Callable[[int], Multiples | None] | None = None,
        on_epoch: Callable[[nn.Module], None] | None = None,
    ) -> nn.Module:
        """Train ``model.loss``, as :class:`Supervised` has it; returns ``model.network``.

        Args:
            model: What is trained; its ``network`` classifies.
            epochs: By default those of the recipe.
            multiples: How much more often than the weighting says an image is drawn; or what says
                so before every epoch, counted from 0.
            on_epoch: Is given the network after each epoch, in evaluation mode.

        A training that was interrupted goes on in the midst, so what changes in it must be in the
        ``state_dict`` of ``model`` (a criterion with a state is a module), or in that of
        ``on_epoch``.
        """

    def weigh(self, network: nn.Module, among: Bool[np.ndarray, " n"]) -> Multiples:
        """What the arm's weighting makes of the places that a network has for some images.

        The others count 1. Of an objective that is ``joint``.

        Raises:
            WeightError: The weights cannot be built, or rest on too few samples.
        """

    def probabilities(
        self, network: nn.Module, split: Split = "train"
    ) -> Float64[np.ndarray, "m classes"]:
        """Of every image without augmentation, in evaluation mode."""

    def features(self, network: nn.Module, split: Split = "train") -> Float[np.ndarray, "m d"]:
        """What the last layer decides by, likewise."""

    def generator(self, purpose: str) -> np.random.Generator:
        """A random stream of this training."""


class Objective(Settings):
    """How a classifier is trained on the draws of an arm.

    ``uses_groups`` says whether annotated groups of training images decide (``training``), those
    of validation images alone (``selection``), or none; ``joint`` whether its network has a latent
    space of its own, of which the arm's weighting makes weights in training. One that is a loss of
    the logits says so in ``criterion``; one that trains in stages, in ``train`` and ``fitted``.
    """

    uses_groups: ClassVar[GroupUse] = "no"
    joint: ClassVar[bool] = False

    name: str

    def criterion(self, task: Task) -> Criterion | None:
        """The loss of a batch of logits; None for the classifier's own, cross-entropy."""
        return None

    def train(self, task: Task) -> nn.Module:
        """The trained classifier.

        Raises:
            TrainingError: Training diverged, or the data do not hold what the objective needs.
        """
        return task.fit(Supervised(task.network(), self.criterion(task)))

    def fitted(self, epochs: int) -> int:
        """Epochs trained in all stages, where the recipe names ``epochs``."""
        return epochs

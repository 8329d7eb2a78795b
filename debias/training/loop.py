"""One loop for every model."""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, Protocol, runtime_checkable

import torch
from pydantic import Field
from torch import Tensor, nn

from debias.errors import DivergedLossError, NonFiniteLossError
from debias.plugins import Settings
from debias.stopping import by_itself
from debias.training.batches import Batch
from debias.training.checkpoint import Checkpoints, Remembers, Streams, current
from debias.training.device import Compute
from debias.training.parallel import averaged


class Training(Settings):
    """How a network is optimised: Adam with decoupled weight decay, warm-up and cosine decay."""

    epochs: int = Field(default=10, ge=1, description="Passes over as many draws as images.")
    batch_size: int = Field(default=64, ge=2, description="Images per step.")
    learning_rate: float = Field(default=1e-3, gt=0, le=1, description="Peak learning rate.")
    weight_decay: float = Field(default=1e-4, ge=0, description="Decoupled weight decay.")


@runtime_checkable
class TrainableModel(Protocol):
    """A network that knows its own loss: a dict of batch means with the key ``loss``."""

    def loss(self, batch: Batch) -> dict[str, Tensor]: ...


@runtime_checkable
class Tuned(Protocol):
    """Wants an optimiser that differs from that of others.

    Who plays against himself needs no second one: a model masks, in its loss, the gradient of each
    side's part for the other side, and one without a gradient is left alone in that step.
    """

    def adam(self, training: Training) -> dict[str, Any]:
        """Arguments of AdamW in place of the usual ones."""


@runtime_checkable
class Settles(Protocol):
    """Has what is computed from the training images rather than descended to."""

    def settle(self, epoch: Callable[[int], Iterable[Batch]], seed: int) -> None:
        """Once, after the loop, in evaluation mode and without gradients.

        Args:
            epoch: The training images as they are, in a random order by number.
            seed: Of what else is drawn at random.
        """


EpochMetrics = Mapping[str, float]
OnEpoch = Callable[[int, EpochMetrics], None]


def ignore(epoch: int, metrics: EpochMetrics) -> None:
    """Listen to nothing."""


@dataclass
class LossGuard:
    """Stops a run whose loss is not finite, or finite and meaningless.

    A loss far above the first epoch's median (by 100 times its size) has diverged: with clamped
    log-variances it can stay finite for ever.
    """

    limit: float = 100.0
    first_epoch: list[float] = field(default_factory=list)
    median: float | None = None

    def check(self, step: int, loss: float, metrics: Mapping[str, float]) -> None:
        if not math.isfinite(loss):
            raise NonFiniteLossError(
                f"loss is {loss} at step {step} ({dict(metrics)}); "
                "check the images for invalid pixels, or lower the learning rate"
            )
        if self.median is None:
            self.first_epoch.append(loss)
        elif loss - self.median > self.limit * max(abs(self.median), 1.0):
            raise DivergedLossError(
                f"loss is {loss:.4g} at step {step}, but {self.median:.4g} in the first epoch; "
                "lower the learning rate"
            )

    def end_epoch(self) -> None:
        if self.median is None:
            self.median = median(self.first_epoch)


@dataclass
class Place:
    """How far a training is."""

    epoch: int = 0
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)  # of the batches of this epoch
    guard: LossGuard = field(default_factory=LossGuard)

    def take(self, metrics: Mapping[str, float]) -> None:
        self.guard.check(self.step, metrics["loss"], metrics)
        self.step += 1
        self.sums = {name: self.sums.get(name, 0.0) + value for name, value in metrics.items()}

    def end_epoch(self) -> None:
        self.guard.end_epoch()
        self.epoch, self.sums = self.epoch + 1, {}

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        vars(self).update(state | {"guard": LossGuard(**state["guard"])})


def fit(
    model: nn.Module,
    epoch_batches: Callable[[int], Iterable[Batch]],
    settings: Training,
    steps_per_epoch: int,
    compute: Compute,
    on_epoch: OnEpoch = ignore,
) -> None:
    """Minimise ``model.loss(batch)["loss"]``, one call of ``on_epoch`` after each epoch.

    Inside a step, a training whose draws remember where they are goes on where an interrupted one
    was left; what ``on_epoch`` gathers is brought back, if it remembers, too.

    Args:
        model: A :class:`TrainableModel` on ``compute.device``; trained in place.
        epoch_batches: Batches of a given epoch, counted from 0, such as
            :class:`debias.training.batches.Draws`.
        settings: Epochs and optimiser.
        steps_per_epoch: Batches per epoch, for the learning-rate schedule.
        compute: Device and precision.
        on_epoch: Receives the epoch and the means over its batches.

    Raises:
        NonFiniteLossError: The loss stopped being finite.
        DivergedLossError: The loss left the range of the first epoch.
        Stopped: Somebody asked this process to end.
    """
    usual = {"lr": settings.learning_rate, "weight_decay": settings.weight_decay}
    optimizer = torch.optim.AdamW(
        model.parameters(),
        fused=compute.device.type in {"cpu", "cuda"},
        **usual | (model.adam(settings) if isinstance(model, Tuned) else {}),
    )
    total = settings.epochs * steps_per_epoch
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate(step, total))
    place = Place()
    made_of: dict[str, object] = {
        "model": model, "optimizer": optimizer, "schedule": schedule, "place": place,
        "draws": epoch_batches, "on_epoch": on_epoch, "streams": Streams(compute.device),
    }  # fmt: skip
    parts = {name: part for name, part in made_of.items() if isinstance(part, Remembers)}
    kept = current() if "draws" in parts else Checkpoints(None)
    if kept.resume(parts):
        place.epoch = settings.epochs
    with by_itself():
        while place.epoch < settings.epochs:
            model.train()
            for batch in epoch_batches(place.epoch):
                place.take(_step(model, batch, optimizer, compute))
                schedule.step()
                kept.look(parts)
            means = {name: value / steps_per_epoch for name, value in place.sums.items()}
            on_epoch(place.epoch, means)
            place.end_epoch()
    kept.finish(parts)


def settle(
    model: nn.Module, epoch: Callable[[int], Iterable[Batch]], seed: int, compute: Compute
) -> None:
    """Let a model that :class:`Settles` do so; leaves every model in evaluation mode."""
    model.eval()
    if isinstance(model, Settles):
        with torch.no_grad(), compute.autocast():
            model.settle(epoch, seed)


def learning_rate(step: int, total: int) -> float:
    """Share of the peak rate: linear warm-up over the first twentieth, then half a cosine."""
    warm_up = max(1, total // 20)
    if step < warm_up:
        return (step + 1) / warm_up
    return 0.5 * (1 + math.cos(math.pi * (step - warm_up) / max(1, total - warm_up)))


def _step(
    model: nn.Module, batch: Batch, optimizer: torch.optim.Optimizer, compute: Compute
) -> dict[str, float]:
    with compute.autocast():
        losses: dict[str, Tensor] = model.loss(batch)  # type: ignore[operator]
    optimizer.zero_grad(set_to_none=True)
    losses["loss"].backward()  # type: ignore[no-untyped-call]
    values = torch.stack([value.detach().float() for value in losses.values()])
    values = averaged(model.parameters(), values)
    optimizer.step()
    # One transfer for all numbers: each .item() waits for the device.
    return dict(zip(losses, values.tolist(), strict=True))

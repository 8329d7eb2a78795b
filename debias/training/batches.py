"""From the memory-mapped store to float batches on the device."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from debias.plugins import Settings
from debias.training.condition import Condition
from debias.training.parallel import same
from debias.training.styles import restyled
from debias.types import FaceStore


def _is_nothing(strength: float) -> bool:
    return not strength


class Augmentation(Settings):
    """How far a training image may be moved, turned and brightened; zero switches a part off.

    Aligned faces need it: a network trained without it learns the alignment.
    """

    flip: bool = Field(default=False, description="Mirror half of the images.")
    shift: float = Field(
        default=0.0, ge=0, le=0.5, description="Largest shift, as a share of the image side."
    )
    scale: float = Field(default=0.0, ge=0, lt=1, description="Largest change of size, as a share.")
    rotation: float = Field(default=0.0, ge=0, le=180, description="Largest rotation, in degrees.")
    brightness: float = Field(
        default=0.0, ge=0, lt=1, description="Largest change of brightness, as a share."
    )
    style: float = Field(
        default=0.0,
        ge=0,
        le=1,
        exclude_if=_is_nothing,  # artifacts from before it was there are still found
        description="How far colour, gamma, contrast, sharpness, noise and compression may change, "
        "as another camera changes them: a share of the widest range (debias.training.styles).",
    )

    def apply(
        self, images: Float[Tensor, "B C H W"], generator: torch.Generator
    ) -> Float[Tensor, "B C H W"]:
        """Return one random view of each image, intensities kept in [0, 1]."""
        if self.style:
            images = restyled(images, self.style, generator)
        if self.flip or self.shift or self.scale or self.rotation:
            images = self._move(images, generator)
        if self.brightness:
            factor = 1 + self.brightness * _symmetric(len(images), generator)
            images = (images * factor[:, None, None, None]).clamp(0, 1)
        return images

    def _move(self, images: Tensor, generator: torch.Generator) -> Tensor:
        size = len(images)
        angle = math.radians(self.rotation) * _symmetric(size, generator)
        zoom = 1 + self.scale * _symmetric(size, generator)
        mirror = torch.ones(size, device=images.device)
        if self.flip:
            mirror = torch.sign(_symmetric(size, generator))
        theta = torch.zeros(size, 2, 3, device=images.device)  # (B, 2, 3)
        theta[:, 0, 0] = torch.cos(angle) * zoom * mirror
        theta[:, 0, 1] = -torch.sin(angle) * zoom
        theta[:, 1, 0] = torch.sin(angle) * zoom * mirror
        theta[:, 1, 1] = torch.cos(angle) * zoom
        # The grid spans [-1, 1], so a share of the side is twice as far.
        theta[:, 0, 2] = 2 * self.shift * _symmetric(size, generator)
        theta[:, 1, 2] = 2 * self.shift * _symmetric(size, generator)
        grid = functional.affine_grid(theta, list(images.shape), align_corners=False)
        # Border padding: black edges would tell the network how far the image was moved.
        moved = functional.grid_sample(images, grid, padding_mode="border", align_corners=False)
        return moved.contiguous(memory_format=torch.channels_last)


def _symmetric(size: int, generator: torch.Generator) -> Float[Tensor, " B"]:
    """Uniform draws from [-1, 1)."""
    return 2 * torch.rand(size, generator=generator, device=generator.device) - 1


@dataclass(frozen=True, eq=False)
class Batch:
    """What a model may see of the data: no attributes, but of one that is told a column that one.

    Attributes:
        image: (B, C, H, W) in [0, 1], channels last in memory.
        label: (B,), class index.
        index: (B,), row in the store.
        condition: (B, c), a one in the column of each image's value; None for who is told none.
    """

    image: Float[Tensor, "B C H W"]
    label: Int64[Tensor, " B"]
    index: Int64[Tensor, " B"]
    condition: Float[Tensor, "B c"] | None = None

    @property
    def told(self) -> tuple[Tensor, ...]:
        """What a network is told beside images or places, as further arguments: often nothing."""
        return () if self.condition is None else (self.condition,)


@dataclass(frozen=True, eq=False)
class Batches:
    """Cuts a stream of store rows into batches.

    Attributes:
        store: Faces and labels.
        batch_size: Images per batch; a shorter rest is dropped in training, kept in evaluation.
        device: Where the batches go.
        augmentation: Random views, or None to show the images as they are.
        condition: The column that the model is told; None for none.
    """

    store: FaceStore
    batch_size: int
    device: torch.device
    augmentation: Augmentation | None = None
    condition: Condition | None = None

    def train(self, rows: Int64[np.ndarray, " n"], generator: torch.Generator) -> Iterator[Batch]:
        """Full batches of augmented images, in the order of ``rows``."""
        for start in range(0, len(rows) - self.batch_size + 1, self.batch_size):
            batch = self._batch(rows[start : start + self.batch_size])
            if self.augmentation is None:
                yield batch
            else:
                yield replace(batch, image=self.augmentation.apply(batch.image, generator))

    def evaluate(self, rows: Int64[np.ndarray, " n"]) -> Iterator[Batch]:
        """Every row once, in order, without augmentation."""
        for start in range(0, len(rows), self.batch_size):
            yield self._batch(rows[start : start + self.batch_size])

    def _batch(self, rows: Int64[np.ndarray, " B"]) -> Batch:
        pixels = self._moved(torch.from_numpy(self.store.images[rows]))  # (B, H, W, C)
        # Permuting (B, H, W, C) gives (B, C, H, W) that is channels last already: no copy.
        image = pixels.permute(0, 3, 1, 2).float().div_(255)
        label = torch.from_numpy(self.store.labels(rows)).to(self.device)
        index = torch.from_numpy(rows).to(self.device)
        if self.condition is None:
            return Batch(image=image, label=label, index=index)
        told = torch.from_numpy(self.condition.of(self.store, rows)).to(self.device)
        return Batch(image=image, label=label, index=index, condition=told)

    def _moved(self, pixels: UInt8[Tensor, "B H W C"]) -> UInt8[Tensor, "B H W C"]:
        # Pinned memory is copied to a GPU while the GPU still works on the batch before.
        pinned = pixels.pin_memory() if self.device.type == "cuda" else pixels
        return pinned.to(self.device, non_blocking=True)


@dataclass(eq=False)
class Draws:
    """Training images, epoch by epoch, in an order that can be left and gone on with.

    Attributes:
        batches: What cuts them into batches.
        rows: Of the store, as drawn for an epoch by its number; asked once an epoch.
        views: Stream of the random views.
        order: Rows of the epoch at work, of which ``done`` batches were given.
    """

    batches: Batches
    rows: Callable[[int], Int64[np.ndarray, " n"]]
    views: torch.Generator
    order: Int64[np.ndarray, " n"] | None = None
    done: int = 0

    def __call__(self, epoch: int) -> Iterator[Batch]:
        """The batches of an epoch that were not given yet."""
        if self.order is None:
            self.order, self.done = same(lambda: self.rows(epoch)), 0
        left = self.order[self.done * self.batches.batch_size :]
        for batch in self.batches.train(left, self.views):
            self.done += 1
            yield batch
        self.order = None

    def state_dict(self) -> dict[str, Any]:
        return {"order": self.order, "done": self.done, "views": self.views.get_state()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        order, self.done = state["order"], state["done"]
        self.order = None if order is None else order.numpy()
        self.views.set_state(state["views"])


def of_pictures(
    pictures: UInt8[np.ndarray, "n H W C"],
    device: torch.device,
    told: Float[np.ndarray, "n c"] | None = None,
    size: int = 256,
) -> Iterator[Batch]:
    """Pictures that are in no store, in order; ``told`` is their condition, labels are all 0."""
    for start in range(0, len(pictures), size):
        part = torch.from_numpy(pictures[start : start + size]).to(device)
        rows = torch.arange(start, start + len(part), device=device)
        condition = None if told is None else torch.from_numpy(told[start : start + size])
        image = part.permute(0, 3, 1, 2).float().div_(255)
        given = None if condition is None else condition.to(device)
        yield Batch(image=image, label=torch.zeros_like(rows), index=rows, condition=given)

"""From the memory-mapped store to float batches on the device."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64, UInt8
from torch import Tensor

from debias.training.views import Augmentation
from debias.types import FaceStore


@dataclass(frozen=True, eq=False)
class Batch:
    """What a model may see of the data: no attributes among it.

    Attributes:
        image: (B, C, H, W) in [0, 1], channels last in memory.
        label: (B,), class index.
        index: (B,), row in the store.
    """

    image: Float[Tensor, "B C H W"]
    label: Int64[Tensor, " B"]
    index: Int64[Tensor, " B"]


@dataclass(frozen=True, eq=False)
class Batches:
    """Cuts a stream of store rows into batches.

    Attributes:
        store: Faces and labels.
        batch_size: Images per batch; a shorter rest is dropped in training, kept in evaluation.
        device: Where the batches go.
        augmentation: Random views, or None to show the images as they are.
    """

    store: FaceStore
    batch_size: int
    device: torch.device
    augmentation: Augmentation | None = None

    def train(self, rows: Int64[np.ndarray, " n"], generator: torch.Generator) -> Iterator[Batch]:
        """Full batches of augmented images, in the order of ``rows``."""
        for start in range(0, len(rows) - self.batch_size + 1, self.batch_size):
            batch = self._batch(rows[start : start + self.batch_size])
            if self.augmentation is None:
                yield batch
            else:
                view = self.augmentation.apply(batch.image, generator)
                yield Batch(image=view, label=batch.label, index=batch.index)

    def evaluate(self, rows: Int64[np.ndarray, " n"]) -> Iterator[Batch]:
        """Every row once, in order, without augmentation."""
        for start in range(0, len(rows), self.batch_size):
            yield self._batch(rows[start : start + self.batch_size])

    def _batch(self, rows: Int64[np.ndarray, " B"]) -> Batch:
        pixels = self._moved(torch.from_numpy(self.store.images[rows]))  # (B, H, W, C)
        # Permuting (B, H, W, C) gives (B, C, H, W) that is channels last already: no copy.
        image = pixels.permute(0, 3, 1, 2).float().div_(255)
        label = torch.from_numpy(self.store.labels(rows)).to(self.device)
        return Batch(image=image, label=label, index=torch.from_numpy(rows).to(self.device))

    def _moved(self, pixels: UInt8[Tensor, "B H W C"]) -> UInt8[Tensor, "B H W C"]:
        # Pinned memory is copied to a GPU while the GPU still works on the batch before.
        pinned = pixels.pin_memory() if self.device.type == "cuda" else pixels
        return pinned.to(self.device, non_blocking=True)

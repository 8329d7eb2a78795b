"""Random views of a batch of faces, drawn anew at every step."""

import math

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional

from debias.plugins import Settings


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

    def apply(
        self, images: Float[Tensor, "B C H W"], generator: torch.Generator
    ) -> Float[Tensor, "B C H W"]:
        """Return one random view of each image, intensities kept in [0, 1]."""
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

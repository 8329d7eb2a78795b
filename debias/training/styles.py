"""Cameras that never were: random changes of how a photograph looks and not of whom it shows.

``B`` images, ``H`` x ``W`` pixels.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

Images = Float[Tensor, "B 3 H W"]
BLOCK = 8  # pixels a side that JPEG compresses together
SHARP = 0.3  # pixels; a Gaussian of this width leaves an image as it is
# Light, and two differences of colour, as JPEG takes them apart (ITU-R BT.601).
LIGHT = ((0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081))


def restyled(
    images: Images, strength: float, generator: torch.Generator, *, together: bool = False
) -> Images:
    """Every image as another camera might have taken and stored it, intensities in [0, 1].

    Colours are mixed by a random matrix, drained (up to grey) or deepened; gamma, contrast and
    brightness are drawn, then framing, sharpness, noise and the loss of compression.

    Args:
        images: Intensities in [0, 1].
        generator: Of what is drawn.
        strength: In (0, 1], of every range. At 1, channels are mixed by up to 0.2, gamma is 0.5
            to 2, contrast 0.6 to 1.6, brightness off by up to 0.15, the size 0.74 to 1.35, blur up
            to 3 % of the side, noise up to 0.06.
        together: One camera for all images rather than one for each.
    """
    draw = _Draws(1 if together else len(images), strength, generator)
    images = _recoloured(images, draw)
    images = images.clamp(1e-4, 1) ** draw.factor(2.0)
    middle = images.mean(dim=(1, 2, 3), keepdim=True)
    images = middle + (images - middle) * draw.factor(1.6) + draw.around(0.15)
    images = _framed(images, draw)
    noise = torch.randn(images.shape, generator=generator, device=generator.device)
    images = images + draw.sometimes(0.06) * noise
    return _compressed(images.clamp(0, 1), draw).clamp(0, 1)


class _Draws:
    """Numbers for each of ``size`` images, (B, 1, 1, 1), further from no change the stronger."""

    def __init__(self, size: int, strength: float, generator: torch.Generator) -> None:
        self.size, self.strength, self.generator = size, strength, generator

    def around(self, most: float, shape: tuple[int, ...] = (1, 1, 1)) -> Tensor:
        """From [-most, most)."""
        return self.strength * most * (2 * self._uniform(shape) - 1)

    def factor(self, most: float) -> Tensor:
        """From [1 / most, most), halves and doubles equally likely."""
        return torch.exp(self.around(math.log(most)))

    def sometimes(self, most: float, often: float = 0.5) -> Tensor:
        """From [0, most), and nothing for the other images."""
        drawn, there = self._uniform((1, 1, 1)), self._uniform((1, 1, 1)) < often
        return self.strength * most * drawn * there

    def _uniform(self, shape: tuple[int, ...]) -> Tensor:
        device = self.generator.device
        return torch.rand(self.size, *shape, generator=self.generator, device=device)


def _recoloured(images: Images, draw: _Draws) -> Images:
    device = images.device
    mixing = torch.eye(3, device=device) + draw.around(0.2, (3, 3))
    images = torch.einsum("bij,bjhw->bihw", mixing, images)
    grey = torch.einsum("c,bchw->bhw", torch.tensor(LIGHT[0], device=device), images)[:, None]
    kept = 1 + draw.around(0.5) - draw.sometimes(1.0, often=0.4)
    return grey + (images - grey) * kept.clamp(min=0)


def _framed(images: Images, draw: _Draws) -> Images:
    """Cut or widened around the middle, and blurred, or sharpened by what a blur takes away."""
    side, zoom = images.shape[-1], draw.factor(1.35)[:, 0]  # (B, 1, 1)
    plain = through(images, zoom, torch.full_like(zoom, SHARP))
    soft = through(images, zoom, SHARP + draw.sometimes(0.03 * side, often=0.7)[:, 0])
    return plain + (1 - draw.sometimes(1.6, often=0.4)) * (soft - plain)


def through(
    images: Float[Tensor, "B c H W"], zoom: Tensor, width: Tensor
) -> Float[Tensor, "B c H W"]:
    """Every pixel the Gaussian mean, ``width`` pixels, of those around where it is taken from.

    ``zoom`` (B, 1, 1) is below 1 where the middle is made larger.
    """
    place = torch.arange(images.shape[-1], device=images.device, dtype=images.dtype)
    middle = place.mean()
    taken = (middle + (place[:, None] - middle) * zoom).clamp(0, 2 * float(middle))
    band = torch.softmax(-((taken - place) ** 2) / (2 * width**2), dim=2)[:, None]  # (B, 1, H, H)
    return band @ images @ band.transpose(2, 3)


def _compressed(images: Images, draw: _Draws) -> Images:
    """Rounded in the frequencies of small blocks, colour more coarsely than light, as in JPEG."""
    side = images.shape[-1] // BLOCK * BLOCK
    turn = torch.tensor(LIGHT, device=images.device)
    waves = _cosines().to(images.device)
    blocks = torch.einsum("ij,bjhw->bihw", turn, images[..., :side, :side])
    many = side // BLOCK
    blocks = blocks.reshape(*blocks.shape[:2], many, BLOCK, many, BLOCK).transpose(3, 4)
    step = draw.sometimes(0.03)[..., None, None].clamp(min=1e-4)  # (B, 1, 1, 1, 1, 1)
    frequency = torch.arange(1.0, BLOCK + 1, device=images.device)
    step = step * (frequency[:, None] + frequency - 1)
    step = step * torch.tensor([1.0, 2.0, 2.0], device=images.device)[:, None, None, None, None]
    rounded = torch.round(waves @ blocks @ waves.T / step) * step
    blocks = (waves.T @ rounded @ waves).transpose(3, 4).flatten(4, 5).flatten(2, 3)
    found = images.clone()
    found[..., :side, :side] = torch.einsum("ij,bjhw->bihw", torch.linalg.inv(turn), blocks)
    return found


def _cosines() -> Float[Tensor, "8 8"]:
    """The discrete cosine transform of a block's rows, orthonormal."""
    number = torch.arange(float(BLOCK))
    waves = torch.cos(math.pi * (2 * number + 1) * number[:, None] / (2 * BLOCK))
    waves[0] /= math.sqrt(2)
    return waves * math.sqrt(2 / BLOCK)

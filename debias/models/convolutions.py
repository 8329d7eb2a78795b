"""Convolutions down to a few pixels and back, and images of one channel or three.

``B`` batch, ``C, H, W`` image.
"""

from collections.abc import Iterable, Sequence
from itertools import pairwise

from jaxtyping import Float
from torch import Tensor, nn

from debias.errors import ConfigError
from debias.training.parallel import BatchNorm2d

MOST_HALVINGS = 4
WIDTHS = (1, 2, 4, 6)  # filters after each halving, in multiples of the first
DOWN, UP = (5, 5, 3, 3), (6, 6, 4, 4)  # kernels


def require_divisible(side: int, called: str) -> None:
    """A ConfigError for a side in pixels that cannot be halved twice."""
    if side % 4:
        near = sorted((side - side % 4, side + 4 - side % 4))
        raise ConfigError(
            f"{called} needs an image size divisible by 4, got {side}; set image_size to "
            f"{near[0]} or {near[1]}"
        )


class Pyramid:
    """Layers that halve a square image two to four times, as often as its side allows, and back.

    ``flat`` is the number of values in between. Kernels are named from the image on.
    """

    def __init__(
        self, width: int, side: int, down: Sequence[int] = DOWN, up: Sequence[int] = UP
    ) -> None:
        halvings = next(n for n in range(MOST_HALVINGS, 0, -1) if side % 2**n == 0)
        self.widths = [width * factor for factor in WIDTHS[:halvings]]
        self.side = side >> halvings
        self.flat = self.widths[-1] * self.side**2
        self.kernels = down[:halvings], up[:halvings]

    def down(self, channels: int) -> list[nn.Module]:
        """(B, channels, H, W) to (B, flat)."""
        steps = zip(pairwise([channels, *self.widths]), self.kernels[0], strict=True)
        return [*_chained(strided(*pair, kernel) for pair, kernel in steps), nn.Flatten()]

    def up(self, channels: int) -> list[nn.Module]:
        """(B, flat) to (B, channels, H, W), any real numbers."""
        widths = [*self.widths[::-1], channels]
        *steps, last = zip(pairwise(widths), self.kernels[1][::-1], strict=True)
        (inputs, outputs), kernel = last
        return [
            nn.Unflatten(1, (self.widths[-1], self.side, self.side)),
            *_chained(_expanded(*pair, kernel) for pair, kernel in steps),
            *_doubled(inputs, outputs, kernel, bias=True),
        ]


def to_places(pyramid: Pyramid, channels: int, hidden: int, outputs: int) -> nn.Sequential:
    """Images to (B, outputs) by a dense layer of ``hidden`` units."""
    return nn.Sequential(
        *pyramid.down(channels),
        nn.Linear(pyramid.flat, hidden),
        nn.ReLU(),
        nn.Linear(hidden, outputs),
    )


def to_images(pyramid: Pyramid, inputs: int, hidden: int, channels: int) -> nn.Sequential:
    """(B, inputs) back to intensities of images."""
    return nn.Sequential(
        nn.Linear(inputs, hidden),
        nn.ReLU(),
        nn.Linear(hidden, pyramid.flat),
        nn.ReLU(),
        *pyramid.up(channels),
        Intensities(),
    )


class Intensities(nn.Module):
    """Any real numbers to [0, 1], in float32: in half precision all near 1 would be 1."""

    def forward(self, values: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        return values.float().sigmoid()


def strided(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    """Halve the resolution: convolution with stride 2, batch norm, ReLU."""
    # Batch norm subtracts the mean, so a bias before it would do nothing.
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=2, padding=kernel // 2, bias=False)
    return [convolution, BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def in_channels(images: Float[Tensor, "B _ H W"], channels: int) -> Float[Tensor, "B C H W"]:
    """Grey as the mean of the colours, colours as equal shades of grey; or as they are."""
    if images.shape[1] == channels:
        return images
    return images.mean(1, keepdim=True) if channels == 1 else images.expand(-1, channels, -1, -1)


def _expanded(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    layers = _doubled(inputs, outputs, kernel, bias=False)
    return [*layers, BatchNorm2d(outputs), nn.ReLU(inplace=True)]


def _doubled(inputs: int, outputs: int, kernel: int, *, bias: bool) -> list[nn.Module]:
    """Twice the resolution: an even kernel transposed, an odd one before pixels are shuffled.

    An odd kernel transposed with stride 2 would cover neighbouring pixels unequally (checkerboard).
    One of 3 before shuffled pixels is one of 6 transposed, and much faster on a processor.

    Reference:
        Shi et al. 2016, Is the deconvolution layer the same as a convolutional layer?
    """
    if kernel % 2:
        convolution = nn.Conv2d(inputs, 4 * outputs, kernel, padding=kernel // 2, bias=bias)
        return [convolution, nn.PixelShuffle(2)]
    pad = kernel // 2 - 1
    return [nn.ConvTranspose2d(inputs, outputs, kernel, stride=2, padding=pad, bias=bias)]


def _chained(blocks: Iterable[Sequence[nn.Module]]) -> list[nn.Module]:
    return [layer for block in blocks for layer in block]

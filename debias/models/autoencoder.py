"""Deterministic autoencoders: images to points and back, by the squared error alone.

``B`` batch, ``k`` dimensions, ``C, H, W`` image.
"""

from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from debias.errors import ConfigError
from debias.models.convolutions import Pyramid, in_channels, require_divisible, to_images, to_places
from debias.models.representation import Representation
from debias.training.batches import Batch
from debias.training.parallel import by_row

LECTURE_SIDE = 28


class Autoencoder(Representation):
    """Convolutions to a point and back; the encoder and decoder of the convolutional VAE.

    Reference:
        Hinton & Salakhutdinov 2006, Reducing the Dimensionality of Data with Neural Networks.
    """

    name: Literal["autoencoder"] = "autoencoder"
    latent_dim: int = Field(default=32, ge=1, le=2048, description="Latent dimensions k.")
    width: int = Field(default=12, ge=2, description="Filters of the first convolution.")
    hidden: int = Field(default=512, ge=8, description="Units of the dense layer.")

    def require_size(self, image_size: int) -> None:
        """A ConfigError for a side that is not divisible by 4."""
        require_divisible(image_size, self.name)

    def build(self, image_size: int) -> "AutoencoderNetwork":
        """The untrained network for square RGB images of the given side, pixels."""
        self.require_size(image_size)
        pyramid = Pyramid(self.width, image_size)
        encoder = to_places(pyramid, 3, self.hidden, self.latent_dim)
        decoder = to_images(pyramid, self.latent_dim, self.hidden, 3)
        return AutoencoderNetwork(encoder, decoder)


class LectureAutoencoder(Representation):
    """The small network of lectures, for grey images of 28 x 28 pixels: 32 numbers each.

    Convolutions 1-16-8 with strides 3 and 2, each followed by max pooling; sides 10, 5, 3, 2.
    Transposed convolutions 8-16-8-1; sides 5, 15, 28; tanh. Lectures train it by Adam with a weight
    decay of 1e-5 (``representation.training.weight_decay``); here it is decoupled, as everywhere.

    Reference:
        github.com/L1aoXingyu/pytorch-beginner, 08-AutoEncoder/conv_autoencoder.py.
    """

    name: Literal["lecture_autoencoder"] = "lecture_autoencoder"

    def require_size(self, image_size: int) -> None:
        """A ConfigError for any side but 28."""
        if image_size != LECTURE_SIDE:
            raise ConfigError(
                f"{self.name} needs an image size of {LECTURE_SIDE}, got {image_size}; set "
                f"image_size to {LECTURE_SIDE}, or choose the representation autoencoder"
            )

    def build(self, image_size: int) -> "AutoencoderNetwork":
        """The untrained network."""
        self.require_size(image_size)
        encoder = nn.Sequential(
            Centred(1),
            nn.Conv2d(1, 16, 3, stride=3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, stride=2),
            nn.Conv2d(16, 8, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(2, stride=1),
            nn.Flatten(),
        )
        decoder = nn.Sequential(
            nn.Unflatten(1, (8, 2, 2)),
            nn.ConvTranspose2d(8, 16, 3, stride=2),
            nn.ReLU(),
            nn.ConvTranspose2d(16, 8, 5, stride=3, padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 1, 2, stride=2, padding=1),
            nn.Tanh(),
            Uncentred(),
        )
        return AutoencoderNetwork(encoder, decoder)


class LinearAutoencoder(Representation):
    """One dense layer there and one back, without a nonlinearity: the plane of the data.

    Trained to the end, it spans the principal subspace, but not by orthogonal directions.

    Reference:
        Bourlard & Kamp 1988; Baldi & Hornik 1989, Neural Networks and Principal Component Analysis.
    """

    name: Literal["linear_autoencoder"] = "linear_autoencoder"
    latent_dim: int = Field(default=32, ge=1, le=2048, description="Latent dimensions k.")

    def build(self, image_size: int) -> "AutoencoderNetwork":
        """The untrained network for square RGB images of the given side, pixels."""
        values = 3 * image_size**2
        encoder = nn.Sequential(Centred(3), nn.Flatten(), nn.Linear(values, self.latent_dim))
        decoder = nn.Sequential(
            nn.Linear(self.latent_dim, values),
            nn.Unflatten(1, (3, image_size, image_size)),
            Uncentred(),
        )
        return AutoencoderNetwork(encoder, decoder)


class AutoencoderNetwork(nn.Module):
    """An encoder to points, a decoder, and the squared error between images and their own."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def encode(self, images: Float[Tensor, "B C H W"]) -> tuple[Float[Tensor, "B k"], None]:
        """Points, without a spread."""
        return by_row(self.encoder, images).float(), None

    def decode(self, z: Float[Tensor, "B k"]) -> Float[Tensor, "B C H W"]:
        """Intensities, in [0, 1] up to what a linear decoder makes beyond."""
        return in_channels(by_row(self.decoder, z).float(), 3)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B k"]:
        """Points: what a deployed encoder returns."""
        return self.encode(images)[0]

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Squared error, summed over pixels and channels, mean over the batch."""
        drawn = self.decode(self.encode(batch.image)[0])
        return {"loss": squared_error(batch.image, drawn).mean()}


class Centred(nn.Module):
    """Intensities in [0, 1] to [-1, 1], of one channel or three."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B D H W"]:
        return 2 * in_channels(images, self.channels) - 1


class Uncentred(nn.Module):
    """[-1, 1] back to intensities in [0, 1]."""

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
        return (images + 1) / 2


def squared_error(
    images: Float[Tensor, "B C H W"], drawn: Float[Tensor, "B C H W"]
) -> Float[Tensor, " B"]:
    """Summed over pixels and channels, in squared intensities."""
    return torch.square(images - drawn).flatten(1).sum(1)

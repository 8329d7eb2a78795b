"""Generative adversarial networks: one network draws, another tells its pictures from images.

``B`` batch, ``k`` latent dimensions, ``f`` features, ``C, H, W`` image.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import softplus
from torch.nn.utils.parametrizations import spectral_norm

from debias.density import ACTIVE_VARIANCE
from debias.errors import ConfigError, DivergedLossError
from debias.models.convolutions import Pyramid, require_divisible, to_images, to_places
from debias.models.representation import Representation
from debias.models.vae import Posterior, as_posterior
from debias.training.batches import Batch
from debias.training.loop import Training

MOST_RIGHT = 0.999  # share told right by a discriminator that still teaches
LEAST_VARIETY = 0.05  # spread of samples, as a share of that of images
SLOPE = 0.2  # of what is below zero
LAZY = 8  # steps from one penalty of the slope to the next, so many times as large
MOMENTS = (0.5, 0.999)  # of Adam: Radford et al. 2016


class Adversarial(Representation):
    """What a generator and a discriminator may be told.

    Reference:
        Goodfellow et al. 2014, Generative Adversarial Nets; convolutions and Adam as in Radford,
        Metz, Chintala 2016; spectral normalisation: Miyato et al. 2018; R1: Mescheder, Geiger,
        Nowozin 2018, eq. 9, at every eighth step as Karras et al. 2020 have it. Deviation: both
        learn in one step and from the same samples, where the paper lets them take turns.
    """

    latent_dim: int = Field(default=32, ge=1, le=2048, description="Latent dimensions k.")
    width: int = Field(default=12, ge=2, description="Filters of the first convolution.")
    hidden: int = Field(default=256, ge=8, description="Units of the dense layer.")
    objective: Literal["minimax", "non_saturating"] = Field(
        default="non_saturating",
        description="The generator lowers log(1 - D) or, where that is flat, raises log D.",
    )
    steps: int = Field(
        default=1, ge=1, description="Steps k of the discriminator for one of the generator."
    )
    spectral_norm: bool = Field(
        default=False, description="Keep the gain of each of the discriminator's layers at 1."
    )
    r1: float = Field(
        default=1.0, ge=0, description="Penalty of the discriminator's slope at images; 0: none."
    )
    rate: float = Field(
        default=0.4, gt=0, le=1, description="Their part of the training's learning rate."
    )

    def require_size(self, image_size: int) -> None:
        """A ConfigError for a side that is not divisible by 4."""
        require_divisible(image_size, self.name)


class GAN(Adversarial):
    """Draws from chance, and places images only if an encoder is fitted to what it draws.

    Reference:
        Goodfellow et al. 2014. The encoder is fitted to samples, of which the places are known, as
        the sleep phase of Hinton et al. 1995; its gradient never reaches the generator.
    """

    name: Literal["gan"] = "gan"
    encoder: Literal["none", "inverted"] = Field(
        default="none", description="'inverted' fits one to the generator's pictures."
    )

    def require_places(self) -> None:
        """A ConfigError where it has no encoder."""
        if self.encoder == "none":
            raise ConfigError(
                f"{self.name} draws images and has no encoder, so it gives no latents: set "
                "representation.model.encoder to inverted, which fits one to what it draws"
            )

    def build(self, image_size: int) -> "GANNetwork":
        """The untrained networks for square RGB images of the given side, pixels."""
        return GANNetwork(self, *networks(self, image_size))


def networks(
    settings: Adversarial, image_size: int
) -> tuple[nn.Module, nn.Module, "Discriminator"]:
    """Encoder to mean and log-variance, decoder from places to images, discriminator."""
    settings.require_size(image_size)
    pyramid, k, hidden = Pyramid(settings.width, image_size), settings.latent_dim, settings.hidden
    encoder = to_places(pyramid, 3, hidden, 2 * k)
    decoder = to_images(pyramid, k, hidden, 3)
    return encoder, decoder, Discriminator(pyramid, normed=settings.spectral_norm)


class Discriminator(nn.Module):
    """Convolutions of stride 2 without batch norm, which would let images judge each other."""

    def __init__(self, pyramid: Pyramid, *, normed: bool) -> None:
        super().__init__()
        kept = spectral_norm if normed else nn.Identity()
        steps = zip(pairwise([3, *pyramid.widths]), pyramid.kernels[0], strict=True)
        layers = [
            (kept(nn.Conv2d(*pair, kernel, 2, kernel // 2)), nn.LeakyReLU(SLOPE))
            for pair, kernel in steps
        ]
        self.layers = nn.Sequential(*(one for pair in layers for one in pair), nn.Flatten())
        self.last = kept(nn.Linear(pyramid.flat, 1))

    def features(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B f"]:
        """What it decides by."""
        found: Tensor = self.layers(2 * images - 1)
        return found.float()

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
        """Logit of D: above 0 for what it takes for an image."""
        judged: Tensor = self.last(self.features(images))
        return judged.float().squeeze(1)


class Game(nn.Module):
    """Encoder, decoder and discriminator; a place is drawn from N(0, I)."""

    turns: Tensor

    def __init__(
        self, settings: Adversarial, encoder: nn.Module, decoder: nn.Module, judge: nn.Module
    ) -> None:
        super().__init__()
        self.settings = settings
        self.encoder, self.decoder, self.discriminator = encoder, decoder, judge
        self.register_buffer("turns", torch.tensor(0))  # steps of the discriminator

    @property
    def latent_dim(self) -> int:
        return self.settings.latent_dim

    def adam(self, training: Training) -> dict[str, Any]:
        """How its optimiser differs from that of others."""
        return {"lr": self.settings.rate * training.learning_rate, "betas": MOMENTS}

    def encode(self, images: Float[Tensor, "B C H W"]) -> Posterior:
        """Mean and log-variance of each image."""
        return as_posterior(self.encoder(images))

    def decode(self, z: Float[Tensor, "B k"]) -> Float[Tensor, "B C H W"]:
        """Intensities in [0, 1]."""
        drawn: Tensor = self.decoder(z)
        return drawn

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B k"]:
        """Mean: what a deployed encoder returns."""
        return self.encode(images).mean

    def chance(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B k"]:
        """As many places from the prior."""
        return torch.randn(len(images), self.latent_dim, device=images.device)

    def play(
        self, images: Float[Tensor, "B C H W"], drawn: Float[Tensor, "B C H W"]
    ) -> dict[str, Tensor]:
        """What either loses; neither gradient reaches the other.

        ``right``: share of images and samples that the discriminator tells; ``spread`` and
        ``spread_of_images``: standard deviation over the batch, mean over pixels.
        """
        on_images, on_drawn = self.discriminator(images), self.discriminator(drawn.detach())
        loses = discriminator_loss(on_images, on_drawn)
        self.turns += self.training
        if self.training and self.settings.r1 and self.turns % LAZY == 1:
            penalty = 0.5 * self.settings.r1 * slope(self.discriminator, images)
            loses = loses + LAZY * penalty
        turn = torch.is_grad_enabled() and int(self.turns) % self.settings.steps == 0
        with held(self.discriminator), torch.set_grad_enabled(turn):
            persuades = generator_loss(self.discriminator(drawn), self.settings.objective)
        right = torch.cat([on_images > 0, on_drawn < 0]).float().mean()
        spreads = [one.detach().std(0, correction=0).mean() for one in (drawn, images)]
        return {
            "discriminator": loses, "generator": persuades, "right": right, "spread": spreads[0],
            "spread_of_images": spreads[1],
        }  # fmt: skip

    def figures(
        self, losses: Mapping[str, float], mean: Float[np.ndarray, "n k"]
    ) -> dict[str, float]:
        """Losses and the share that is told right; refuses a game that is over."""
        check_game(losses)
        active = int((np.var(mean, axis=0, dtype=np.float64) > ACTIVE_VARIANCE).sum())
        return {**losses, "active_units": active, "latent_dim": self.latent_dim}


class GANNetwork(Game):
    """Generator and discriminator of :class:`GAN`, and perhaps an encoder."""

    settings: GAN

    def encode(self, images: Float[Tensor, "B C H W"]) -> Posterior:
        """Mean and log-variance of each image, as the fitted encoder has them.

        Raises:
            ConfigError: There is none.
        """
        self.settings.require_places()
        return super().encode(images)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """What both lose, and the encoder's -log q(z | G(z)) in nats."""
        z = self.chance(batch.image)
        drawn = self.decode(z)
        losses = self.play(batch.image, drawn)
        losses["loss"] = losses["discriminator"] + losses["generator"]
        if self.settings.encoder == "inverted":
            mean, log_var = self.encode(drawn.detach())
            off = 0.5 * ((z - mean).square() / log_var.exp() + log_var).sum(1).mean()
            losses |= {"inversion": off, "loss": losses["loss"] + off}
        return losses


def discriminator_loss(
    on_images: Float[Tensor, " _"], on_drawn: Float[Tensor, " _"]
) -> Float[Tensor, ""]:
    """-V = -E log D(x) - E log(1 - D(G(z))), of logits; 2 log 2 where nothing can be told."""
    return softplus(-on_images).mean() + softplus(on_drawn).mean()


def generator_loss(
    on_drawn: Float[Tensor, " _"], objective: Literal["minimax", "non_saturating"]
) -> Float[Tensor, ""]:
    """E log(1 - D(G(z))), or -E log D(G(z)): its gradient is (1 - D) / D times as large."""
    if objective == "minimax":
        return -softplus(on_drawn).mean()
    return softplus(-on_drawn).mean()


def slope(judge: nn.Module, images: Float[Tensor, "B C H W"]) -> Float[Tensor, ""]:
    """E |d logit / d x|^2 at images; with a graph, to be descended."""
    at = images.detach().requires_grad_()
    with torch.enable_grad():
        (found,) = torch.autograd.grad(judge(at).sum(), at, create_graph=True)
    return found.square().flatten(1).sum(1).mean()


@contextmanager
def held(network: nn.Module) -> Iterator[None]:
    """No gradient reaches the parameters by what is computed inside."""
    mine = [one for one in network.parameters() if one.requires_grad]
    for parameter in mine:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in mine:
            parameter.requires_grad_(True)


def check_game(losses: Mapping[str, float]) -> None:
    """Refuse a game in which one side has nothing left to learn.

    Raises:
        DivergedLossError: The discriminator is always right, or the samples are all alike.
    """
    if losses["spread"] < LEAST_VARIETY * losses["spread_of_images"]:
        share = losses["spread"] / losses["spread_of_images"]
        raise DivergedLossError(
            f"the samples vary by {share:.1%} of what images do (limit {LEAST_VARIETY:.0%}): the "
            "generator has collapsed onto a few pictures; use the objective non_saturating, raise "
            "r1, or set spectral_norm"
        )
    if losses["right"] > MOST_RIGHT:
        raise DivergedLossError(
            f"the discriminator tells {losses['right']:.1%} of images and samples apart (limit "
            f"{MOST_RIGHT:.1%}): the generator learns nothing from it; raise r1, set "
            "spectral_norm, or lower the learning rate"
        )

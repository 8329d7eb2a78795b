"""Convolutional variational autoencoder.

``B`` batch, ``k`` latent dimensions, ``C, H, W`` image.
"""

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from debias.density import ACTIVE_VARIANCE
from debias.errors import ConfigError, DivergedLossError
from debias.models.classifiers import strided
from debias.models.representation import Representation
from debias.training.batches import Batch

LOG_VAR_LIMIT = 15.0
MOST_SATURATED = 0.05
SMALLEST_VARIANCE = (0.5 / 255) ** 2  # half a grey level: finer differences are rounding


class Posterior(NamedTuple):
    """q(z|x) = N(mean, diag exp(log_var)), each (B, k)."""

    mean: Float[Tensor, "B k"]
    log_var: Float[Tensor, "B k"]

    def sample(self) -> Float[Tensor, "B k"]:
        """One draw by the reparameterisation z = mean + exp(log_var / 2) * eps."""
        return self.mean + torch.exp(0.5 * self.log_var) * torch.randn_like(self.mean)


class ConvVAE(Representation):
    """Settings of the convolutional VAE; the default size is that of the DB-VAE teaching lab.

    Reference:
        Kingma & Welling 2014, Auto-Encoding Variational Bayes; beta as in Higgins et al. 2017;
        learned sigma as in Rybkin, Daniilidis, Levine 2021. Network: MITDeepLearning/
        introtodeeplearning, lab 2. Deviation: the lab's class logit is not part of it.
    """

    name: Literal["conv_vae"] = "conv_vae"
    latent_dim: int = Field(default=32, ge=1, le=2048, description="Latent dimensions k.")
    width: int = Field(default=12, ge=2, description="Filters of the first convolution.")
    hidden: int = Field(default=512, ge=8, description="Units of the dense layer.")
    likelihood: Literal["gaussian", "gaussian_fixed", "bernoulli"] = Field(
        default="gaussian",
        description="p(x|z): Gaussian with one learned sigma, with a fixed one, or Bernoulli.",
    )
    sigma: float = Field(
        default=0.1,
        gt=0,
        description="Standard deviation of gaussian_fixed, intensities in [0, 1].",
    )
    beta: float = Field(default=1.0, ge=0, description="Weight of the KL divergence.")

    def build(self, image_size: int) -> "ConvVAENetwork":
        """The untrained network for square RGB images of the given side."""
        if image_size % 16:
            raise ConfigError(f"conv_vae needs an image size divisible by 16, got {image_size}")
        return ConvVAENetwork(self, image_size)


class ConvVAENetwork(nn.Module):
    """Encoder, decoder and objective of :class:`ConvVAE`."""

    sigma2: Tensor

    def __init__(self, settings: ConvVAE, image_size: int) -> None:
        super().__init__()
        self.settings, self.pixels = settings, 3 * image_size**2
        width, side = settings.width, image_size // 16
        flat = 6 * width * side * side
        self.encoder = nn.Sequential(
            *strided(3, width, 5),
            *strided(width, 2 * width, 5),
            *strided(2 * width, 4 * width, 3),
            *strided(4 * width, 6 * width, 3),
            nn.Flatten(),
            nn.Linear(flat, settings.hidden),
            nn.ReLU(),
            nn.Linear(settings.hidden, 2 * settings.latent_dim),
        )
        self.decoder = nn.Sequential(
            nn.Linear(settings.latent_dim, settings.hidden),
            nn.ReLU(),
            nn.Linear(settings.hidden, flat),
            nn.ReLU(),
            nn.Unflatten(1, (6 * width, side, side)),
            *_up(6 * width, 4 * width, 4),
            *_up(4 * width, 2 * width, 4),
            *_up(2 * width, width, 6),
            nn.ConvTranspose2d(width, 3, 6, stride=2, padding=2),
            nn.Sigmoid(),
        )
        start = settings.sigma**2 if settings.likelihood == "gaussian_fixed" else 1.0
        self.register_buffer("sigma2", torch.tensor(start))

    def encode(self, images: Float[Tensor, "B C H W"]) -> Posterior:
        """The posterior of each image; deterministic, the caller decides whether to sample."""
        mean, log_var = self.encoder(images).float().chunk(2, dim=1)
        # Bounded so that exp cannot overflow; how often the bound is met is reported and checked.
        return Posterior(mean, log_var.clamp(-LOG_VAR_LIMIT, LOG_VAR_LIMIT))

    def decode(self, z: Float[Tensor, "B k"]) -> Float[Tensor, "B C H W"]:
        """Expected intensities in [0, 1]."""
        return self.decoder(z).float()

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B k"]:
        """Posterior mean: what a deployed encoder returns."""
        return self.encode(images).mean

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Negative ELBO per image in nats, mean over the batch.

        loss = reconstruction + beta * KL, summed over pixels, channels and latent dimensions;
        ``saturated`` is the share of log-variances at their bound.
        """
        posterior = self.encode(batch.image)
        mean_image = self.decode(posterior.sample())
        reconstruction = self.reconstruction(batch.image, mean_image).mean()
        kl = kl_to_standard_normal(posterior).mean()
        saturated = (posterior.log_var.abs() >= LOG_VAR_LIMIT).float().mean()
        return {
            "loss": reconstruction + self.settings.beta * kl,
            "reconstruction": reconstruction,
            "kl": kl,
            "saturated": saturated,
        }

    def reconstruction(
        self, images: Float[Tensor, "B C H W"], mean_image: Float[Tensor, "B C H W"]
    ) -> Float[Tensor, " B"]:
        """-log p(x|z) in nats, summed over pixels and channels."""
        if self.settings.likelihood == "bernoulli":
            # Outside autocast: this loss refuses half precision.
            with torch.autocast(images.device.type, enabled=False):
                bits = nn.functional.binary_cross_entropy(mean_image, images, reduction="none")
            return bits.flatten(1).sum(1)
        squared = (images - mean_image).square().flatten(1)  # (B, C*H*W)
        if self.training and self.settings.likelihood == "gaussian":
            # Rybkin et al. 2021, eq. 5: sigma^2 is best at the mean squared error. Deviation: a
            # moving average over batches, so that training and evaluation use the same sigma.
            self.sigma2.lerp_(squared.detach().mean(), 0.1).clamp_(min=SMALLEST_VARIANCE)
        constant = 0.5 * torch.log(2 * math.pi * self.sigma2)
        return squared.sum(1) / (2 * self.sigma2) + constant * squared.shape[1]

    def nats(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, " B"]:
        """Negative ELBO of each image, with the expectation taken at the posterior mean."""
        posterior = self.encode(images)
        unexplained = self.reconstruction(images, self.decode(posterior.mean))
        return unexplained + kl_to_standard_normal(posterior)

    def figures(
        self, losses: Mapping[str, float], mean: Float[np.ndarray, "n k"]
    ) -> dict[str, float | int | None]:
        """See :func:`vae_figures`; refuses a network that diverged."""
        continuous = self.settings.likelihood != "bernoulli"
        sigma = float(self.sigma2) ** 0.5 if continuous else None
        found = vae_figures(losses, mean, self.pixels, sigma)
        check_vae(found)
        return found


def kl_to_standard_normal(posterior: Posterior) -> Float[Tensor, " B"]:
    """KL(q(z|x) || N(0, I)) in nats, summed over dimensions (Kingma & Welling 2014, app. B)."""
    mean, log_var = posterior
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(1)


def vae_figures(
    losses: Mapping[str, float], mean: Float[np.ndarray, "n k"], pixels: int, sigma: float | None
) -> dict[str, float | int | None]:
    """What is always reported of a VAE: nats per image, bits per dimension, active units.

    Bits per dimension count 256 grey levels, 8 bits between a density over [0, 1] and a level.
    """
    elbo = -(losses["reconstruction"] + losses["kl"])
    continuous = sigma is not None
    return {
        "elbo": elbo,
        "reconstruction": losses["reconstruction"],
        "kl": losses["kl"],
        "bits_per_dimension": -elbo / (pixels * np.log(2)) + (8 if continuous else 0),
        "active_units": int((np.var(mean, axis=0, dtype=np.float64) > ACTIVE_VARIANCE).sum()),
        "latent_dim": mean.shape[1],
        "saturated_log_var": losses["saturated"],
        "sigma": sigma,
    }


def check_vae(figures: Mapping[str, float | int | None]) -> None:
    """Refuse a network whose loss is finite but no longer means anything.

    Raises:
        DivergedLossError: More than 5 % of the log-variances stand at their bound.
    """
    saturated = figures["saturated_log_var"] or 0.0
    if saturated > MOST_SATURATED:
        raise DivergedLossError(
            f"{saturated:.1%} of the log-variances stand at their bound (limit "
            f"{MOST_SATURATED:.0%}): training has diverged; lower the learning rate"
        )


def _up(inputs: int, outputs: int, kernel: int) -> list[nn.Module]:
    # Even kernels: an odd one with stride 2 covers neighbouring pixels unequally (checkerboard).
    convolution = nn.ConvTranspose2d(
        inputs, outputs, kernel, stride=2, padding=kernel // 2 - 1, bias=False
    )
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]

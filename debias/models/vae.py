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
from debias.errors import DivergedLossError
from debias.models.convolutions import Pyramid, in_channels, require_divisible, to_images, to_places
from debias.models.quality.bounds import bits_per_dimension, kl_to_standard_normal
from debias.models.representation import Representation
from debias.training.batches import Batch
from debias.training.parallel import by_row

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


class VAE(Representation):
    """What every variational autoencoder may be told of p(x|z) and of its objective.

    Reference:
        Kingma & Welling 2014, Auto-Encoding Variational Bayes; beta as in Higgins et al. 2017;
        learned sigma as in Rybkin, Daniilidis, Levine 2021.
    """

    latent_dim: int = Field(default=32, ge=1, le=2048, description="Latent dimensions k.")
    grey: bool = Field(
        default=False, description="See and explain one channel, the mean of the three colours."
    )
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
    warm_up: int = Field(
        default=0, ge=0, description="Training steps over which that weight rises from 0."
    )
    objective: Literal["both", "reconstruction", "kl"] = Field(
        default="both", description="What is minimised: both parts of the bound, or one alone."
    )


class ConvVAE(VAE):
    """Settings of the convolutional VAE; the default size is that of the DB-VAE teaching lab.

    Reference:
        Network: MITDeepLearning/introtodeeplearning, lab 2. Deviation: the lab's class logit is not
        part of it.
    """

    name: Literal["conv_vae"] = "conv_vae"
    width: int = Field(default=12, ge=2, description="Filters of the first convolution.")
    hidden: int = Field(default=512, ge=8, description="Units of the dense layer.")

    def require_size(self, image_size: int) -> None:
        """A ConfigError for a side that is not divisible by 4."""
        require_divisible(image_size, self.name)

    def build(self, image_size: int) -> "ConvVAENetwork":
        """The untrained network for square RGB images of the given side, pixels."""
        self.require_size(image_size)
        return ConvVAENetwork(self, image_size)


class VAENetwork(nn.Module):
    """Likelihood, objective and figures of a VAE, whatever it encodes and decodes by."""

    sigma2: Tensor
    steps: Tensor

    def __init__(self, settings: VAE, image_size: int) -> None:
        super().__init__()
        self.settings, self.channels = settings, 1 if settings.grey else 3
        self.values = self.channels * image_size**2
        self.continuous = settings.likelihood != "bernoulli"
        start = settings.sigma**2 if settings.likelihood == "gaussian_fixed" else 1.0
        self.register_buffer("sigma2", torch.tensor(start))
        self.register_buffer("steps", torch.tensor(0))  # of training, for the warm-up

    @property
    def latent_dim(self) -> int:
        return self.settings.latent_dim

    def encode(self, images: Float[Tensor, "B C H W"], *told: Float[Tensor, "B c"]) -> Posterior:
        """The posterior of each image; deterministic, the caller decides whether to sample."""
        raise NotImplementedError

    def decode(
        self, z: Float[Tensor, "B k"], *told: Float[Tensor, "B c"]
    ) -> Float[Tensor, "B C H W"]:
        """Expected intensities in [0, 1]; of a grey network three equal channels."""
        raise NotImplementedError

    def inferred(
        self, images: Float[Tensor, "B C H W"], *told: Float[Tensor, "B c"]
    ) -> tuple[Posterior, Float[Tensor, "B C H W"]]:
        """The posterior of each image, and what is decoded from one draw of it."""
        posterior = self.encode(images, *told)
        return posterior, self.decode(posterior.sample(), *told)

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B k"]:
        """Posterior mean: what a deployed encoder returns."""
        return self.encode(images).mean

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Negative ELBO per image in nats, mean over the batch.

        loss = reconstruction + beta * KL, summed over pixels, channels and latent dimensions, or
        the part of it that is the objective; ``saturated`` is the share of log-variances at their
        bound.
        """
        posterior, drawn = self.inferred(batch.image, *batch.told)
        reconstruction = self.reconstruction(batch.image, drawn).mean()
        kl = kl_to_standard_normal(*posterior).mean()
        weighed = self._beta() * kl
        whole = {"both": reconstruction + weighed, "reconstruction": reconstruction, "kl": weighed}
        return {
            "loss": whole[self.settings.objective],
            "reconstruction": reconstruction,
            "kl": kl,
            "saturated": (posterior.log_var.abs() >= LOG_VAR_LIMIT).float().mean(),
        }

    def reconstruction(
        self, images: Float[Tensor, "B C H W"], drawn: Float[Tensor, "B C H W"]
    ) -> Float[Tensor, " B"]:
        """-log p(x|z) in nats, summed over pixels and channels; ``drawn`` is ``decode(z)``."""
        images, drawn = (in_channels(one, self.channels) for one in (images, drawn))
        if not self.continuous:
            # Outside autocast: this loss refuses half precision.
            with torch.autocast(images.device.type, enabled=False):
                bits = nn.functional.binary_cross_entropy(drawn, images, reduction="none")
            return bits.flatten(1).sum(1)
        moves = self.training and self.settings.likelihood == "gaussian"
        return gaussian_nats(images, drawn, self.sigma2, moves=moves)

    def nats(
        self, images: Float[Tensor, "B C H W"], *told: Float[Tensor, "B c"]
    ) -> Float[Tensor, " B"]:
        """Negative ELBO of each image, with the expectation taken at the posterior mean."""
        posterior = self.encode(images, *told)
        unexplained = self.reconstruction(images, self.decode(posterior.mean, *told))
        return unexplained + kl_to_standard_normal(*posterior)

    def figures(
        self, losses: Mapping[str, float], mean: Float[np.ndarray, "n k"]
    ) -> dict[str, float | int | None]:
        """See :func:`vae_figures`; refuses a network that diverged."""
        sigma = float(self.sigma2) ** 0.5 if self.continuous else None
        found = vae_figures(losses, mean, self.values, sigma)
        if self.settings.beta and self.settings.objective != "reconstruction":
            check_vae(found)  # else nothing holds the spread up, and it may shrink to the bound
        return found

    def _beta(self) -> Tensor:
        """Weight of the KL: rises linearly in training, whole in evaluation."""
        whole, warm_up = self.sigma2.new_tensor(self.settings.beta), self.settings.warm_up
        if not (self.training and warm_up):
            return whole
        self.steps += 1
        return whole * (self.steps / warm_up).clamp(max=1)


class ConvVAENetwork(VAENetwork):
    """Encoder and decoder of :class:`ConvVAE`.

    ``extra`` values join the input of the encoder, each as a plane, and the places of the decoder.
    """

    def __init__(self, settings: ConvVAE, image_size: int, extra: int = 0) -> None:
        super().__init__(settings, image_size)
        pyramid = Pyramid(settings.width, image_size)
        k, hidden = settings.latent_dim, settings.hidden
        self.encoder = to_places(pyramid, self.channels + extra, hidden, 2 * k)
        self.decoder = to_images(pyramid, k + extra, hidden, self.channels)

    def encode(self, images: Float[Tensor, "B C H W"], *told: Float[Tensor, "B c"]) -> Posterior:
        """The posterior of each image; deterministic, the caller decides whether to sample."""
        planes = [values[:, :, None, None].expand(-1, -1, *images.shape[2:]) for values in told]
        joined = torch.cat([in_channels(images, self.channels), *planes], dim=1)
        return as_posterior(by_row(self.encoder, joined))

    def decode(
        self, z: Float[Tensor, "B k"], *told: Float[Tensor, "B c"]
    ) -> Float[Tensor, "B C H W"]:
        """Expected intensities in [0, 1], in equal colours of a grey image."""
        return in_channels(by_row(self.decoder, torch.cat([z, *told], dim=1)), 3)


def as_posterior(outputs: Float[Tensor, "B _"]) -> Posterior:
    """The first half of what an encoder says is the mean, the second the log-variance.

    Bounded so that exp cannot overflow; how often the bound is met is reported and checked.
    """
    mean, log_var = outputs.float().chunk(2, dim=1)
    return Posterior(mean, log_var.clamp(-LOG_VAR_LIMIT, LOG_VAR_LIMIT))


def gaussian_nats(
    images: Float[Tensor, " B *_"],
    drawn: Float[Tensor, " B *_"],
    sigma2: Float[Tensor, ""],
    *,
    moves: bool,
) -> Float[Tensor, " B"]:
    """-log N(images; drawn, sigma2) in nats, summed over pixels and channels, or over features.

    In training sigma2 ``moves`` in place towards the mean squared error of the batch.
    """
    squared = (images - drawn).square().flatten(1)  # (B, C*H*W)
    if moves:
        # Rybkin et al. 2021, eq. 5: sigma^2 is best at the mean squared error. Deviation: a
        # moving average over batches, so that training and evaluation use the same sigma.
        sigma2.lerp_(squared.detach().mean(), 0.1).clamp_(min=SMALLEST_VARIANCE)
    constant = 0.5 * torch.log(2 * math.pi * sigma2)
    return squared.sum(1) / (2 * sigma2) + constant * squared.shape[1]


def vae_figures(
    losses: Mapping[str, float], mean: Float[np.ndarray, "n k"], values: int, sigma: float | None
) -> dict[str, float | int | None]:
    """What is always reported of a VAE: nats per image, bits per dimension, active units."""
    elbo = -(losses["reconstruction"] + losses["kl"])
    return {
        "elbo": elbo,
        "reconstruction": losses["reconstruction"],
        "kl": losses["kl"],
        "bits_per_dimension": bits_per_dimension(-elbo, values, continuous=sigma is not None),
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

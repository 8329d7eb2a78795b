"""A VAE whose pictures are compared with images by what a discriminator sees.

``B`` batch, ``k`` latent dimensions, ``C, H, W`` image.
"""

from typing import Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from debias.models.gan import Adversarial, Discriminator, Game, held, networks
from debias.models.quality.bounds import kl_to_standard_normal
from debias.models.vae import gaussian_nats
from debias.training.batches import Batch


class VAEGAN(Adversarial):
    """Encoder, decoder and discriminator; similar is what the discriminator takes for similar.

    Reference:
        Larsen, Sonderby, Larochelle, Winther 2016, Autoencoding beyond Pixels Using a Learned
        Similarity Metric, algorithm 1. Deviations: features are explained by a Gaussian with one
        learned sigma (Rybkin et al. 2021) in place of 1; the decoder is judged by its samples, and
        the discriminator by samples and reconstructions.
    """

    name: Literal["vae_gan"] = "vae_gan"
    beta: float = Field(default=1.0, ge=0, description="Weight of the KL divergence.")
    gamma: float = Field(
        default=0.1, gt=0, description="Weight of likeness, in nats, beside the game."
    )

    def build(self, image_size: int) -> "VAEGANNetwork":
        """The untrained networks for square RGB images of the given side, pixels."""
        return VAEGANNetwork(self, *networks(self, image_size))


class VAEGANNetwork(Game):
    """Networks of :class:`VAEGAN`. It has no density of pixels, and so no bound in nats."""

    settings: VAEGAN
    discriminator: Discriminator
    sigma2: Tensor

    def __init__(self, settings: VAEGAN, *parts: nn.Module) -> None:
        super().__init__(settings, *parts)
        self.register_buffer("sigma2", torch.tensor(1.0))  # of the features

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """Weight gamma times (likeness + beta KL) in nats, and what both players lose."""
        images, posterior = batch.image, self.encode(batch.image)
        again, drawn = self.decode(posterior.sample()), self.decode(self.chance(batch.image))
        losses = self.play(images, drawn)
        fooled = nn.functional.softplus(self.discriminator(again.detach())).mean()
        with held(self.discriminator):
            seen, redrawn = self.discriminator.features(images), self.discriminator.features(again)
        likeness = gaussian_nats(seen, redrawn, self.sigma2, moves=self.training).mean()
        kl = kl_to_standard_normal(*posterior).mean()
        nats = self.settings.gamma * (likeness + self.settings.beta * kl)
        whole = nats + losses["discriminator"] + fooled + losses["generator"]
        return {"loss": whole, "likeness": likeness, "kl": kl, **losses}

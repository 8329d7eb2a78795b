"""The network of the DB-VAE: one encoder that names the class and places the image.

``B`` batch, ``k`` latent dimensions, ``C, H, W`` image.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from debias.models.convolutions import Pyramid, require_divisible, to_images, to_places
from debias.models.quality.bounds import kl_to_standard_normal
from debias.models.vae import Posterior, as_posterior, gaussian_nats
from debias.training.batches import Batch
from debias.training.objectives.db_vae import DBVAE
from debias.training.parallel import by_row

DOWN, UP = (5, 5, 5, 5), (3, 3, 3, 3)  # kernels; a 3 before shuffled pixels spans 6 of them


class DBVAENetwork(nn.Module):
    """Four 5 x 5 convolutions of stride 2 and two dense layers to logits and posterior, and back.

    Reference:
        Amini et al. 2019, Uncovering and Mitigating Algorithmic Bias through Learned Latent
        Structure. Deviations: kernels of the decoder are 6 pixels wide, and the pixels are
        explained by a Gaussian with a learned sigma (Rybkin et al. 2021).
    """

    sigma2: Tensor

    def __init__(self, settings: DBVAE, classes: int, image_size: int) -> None:
        """ConfigError for a side that is not divisible by 4, or classes that do not suit."""
        super().__init__()
        settings.require_classes(classes)
        require_divisible(image_size, settings.name)
        self.settings, self.classes = settings, classes
        self.logits = 1 if classes == 2 else classes
        pyramid = Pyramid(settings.width, image_size, DOWN, UP)
        k, hidden = settings.latent_dim, settings.hidden
        self.encoder = to_places(pyramid, 3, hidden, self.logits + 2 * k)
        self.decoder = to_images(pyramid, k, hidden, 3)
        self.register_buffer("sigma2", torch.tensor(1.0))

    def forward(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B classes"]:
        """Logits; of two classes the first is 0, so that the second is the published one."""
        return self._read(images)[0]

    def features(self, images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B d"]:
        """What the last layer decides by."""
        return self.encoder[:-1](_centred(images))

    def encode(self, images: Float[Tensor, "B C H W"]) -> Posterior:
        """The posterior of each image; it means nothing for a class that is not explained."""
        return self._read(images)[1]

    def decode(self, z: Float[Tensor, "B k"]) -> Float[Tensor, "B C H W"]:
        """Expected intensities in [0, 1]."""
        return by_row(self.decoder, z)

    def loss(self, batch: Batch) -> dict[str, Tensor]:
        """c1 * cross-entropy + c2 * reconstruction + c3 * KL, in nats, and the accuracy.

        Each is a mean over all images of the batch of sums over pixels, channels and latent
        dimensions; the last two are 0 for an image that is not explained, whose gradient they
        never reach.
        """
        logits, posterior = self._read(batch.image)
        classification = nn.functional.cross_entropy(logits, batch.label)
        explained = self.settings.explained(batch.label)
        reconstruction, kl = self._bound(batch.image[explained], _of(posterior, explained))
        weights, share = self.settings, len(batch.label)
        reconstruction, kl = reconstruction.sum() / share, kl.sum() / share
        latent = weights.c2 * reconstruction + weights.c3 * kl
        return {
            "loss": weights.c1 * classification + latent,
            "accuracy": (logits.argmax(1) == batch.label).float().mean(),
            "reconstruction": reconstruction,
            "kl": kl,
        }

    def _read(
        self, images: Float[Tensor, "B C H W"]
    ) -> tuple[Float[Tensor, "B classes"], Posterior]:
        k = self.settings.latent_dim
        outputs = by_row(self.encoder, _centred(images)).float()
        logits, places = torch.split(outputs, [self.logits, 2 * k], dim=1)
        if self.logits == 1:
            logits = torch.cat([torch.zeros_like(logits), logits], dim=1)
        return logits, as_posterior(places)

    def _bound(
        self, images: Float[Tensor, "P C H W"], posterior: Posterior
    ) -> tuple[Float[Tensor, " P"], Float[Tensor, " P"]]:
        """-log p(x|z) for one draw of the posterior, and KL; of the explained images alone.

        So neither the decoder nor its batch norm nor sigma sees any other.
        """
        kl = kl_to_standard_normal(*posterior)
        if not len(images):  # batch norm takes no empty batch
            return kl, kl
        drawn = self.decode(posterior.sample())
        return gaussian_nats(images, drawn, self.sigma2, moves=self.training), kl


def _centred(images: Float[Tensor, "B C H W"]) -> Float[Tensor, "B C H W"]:
    return (images - 0.5) / 0.25  # as every classifier


def _of(posterior: Posterior, rows: Bool[Tensor, " B"]) -> Posterior:
    return Posterior(*(part[rows] for part in posterior))

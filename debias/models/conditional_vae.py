"""A variational autoencoder that is told something of every image.

``B`` batch, ``k`` latent dimensions, ``c`` values of the condition, ``C, H, W`` image.
"""

from collections.abc import Callable, Iterable
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from debias.models.vae import ConvVAE, ConvVAENetwork, Posterior
from debias.training.batches import Batch
from debias.training.condition import Condition


class ConditionalVAE(ConvVAE):
    """The convolutional VAE, told a column of the samples: the label, or an annotated attribute.

    The condition joins the input of the encoder, a plane a value, and the places of the decoder, so
    that these need not say it once more. What they say of it all the same, their mean under each
    value, is taken out when training has ended: then nobody is rare for the condition alone.

    Reference:
        Sohn, Lee, Yan 2015, Learning Structured Output Representation using Deep Conditional
        Generative Models. Deviation: a standard normal prior under every condition.
    """

    name: Literal["conditional_vae"] = "conditional_vae"  # type: ignore[assignment]
    condition: str = Field(
        min_length=1, description="Column that it is told: the label, or one of the attributes."
    )

    @property
    def told_column(self) -> str:
        return self.condition

    def build(  # type: ignore[override]  # who builds it has asked for told_column
        self, image_size: int, condition: Condition
    ) -> "ConditionalVAENetwork":
        """The untrained network, for the values of a condition."""
        self.require_size(image_size)
        return ConditionalVAENetwork(self, image_size, condition)


class ConditionalVAENetwork(ConvVAENetwork):
    """The network of :class:`ConditionalVAE`; places have mean 0 under every condition.

    Moving the places of each value by their mean, and back before decoding, leaves p(x|z, c) as it
    is and never raises the KL divergence, whose part that depends on the means, half the sum of
    their squares, is least about their own mean.
    """

    centres: Tensor
    seen: Tensor

    def __init__(self, settings: ConvVAE, image_size: int, condition: Condition) -> None:
        size = len(condition.values)
        super().__init__(settings, image_size, extra=size)
        self.condition = condition
        self.register_buffer("centres", torch.zeros(size, settings.latent_dim))  # (c, k)
        self.register_buffer("seen", torch.zeros(size))  # training images of each value

    def encode(self, images: Float[Tensor, "B C H W"], *told: Float[Tensor, "B c"]) -> Posterior:
        """The posterior given the condition, about the mean of its value."""
        mean, log_var = super().encode(images, *told)
        return Posterior(mean - self.centres[told[0].argmax(1)], log_var)

    def decode(
        self, z: Float[Tensor, "B k"], *told: Float[Tensor, "B c"]
    ) -> Float[Tensor, "B C H W"]:
        """Expected intensities under a condition; without one, that of most training images."""
        commonest = nn.functional.one_hot(self.seen.argmax(), len(self.seen))
        given = told[0] if told else commonest.to(z.dtype).expand(len(z), -1)
        return super().decode(z + self.centres[given.argmax(1)], given)

    def settle(self, epoch: Callable[[int], Iterable[Batch]], seed: int) -> None:
        """Count the training images of every value, and find the mean of their places."""
        sums = torch.zeros_like(self.centres)
        for batch in epoch(0):
            (told,) = batch.told
            sums.index_add_(0, told.argmax(1), self.encode(batch.image, told).mean)
            self.seen += told.sum(dim=0)
        self.centres += sums / self.seen.clamp(min=1)[:, None]

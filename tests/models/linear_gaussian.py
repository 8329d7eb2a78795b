"""A model of images whose posterior and log p(x) are known in closed form."""

import torch
from torch import nn
from torch.distributions import MultivariateNormal, Normal

from debias.training.batches import Batch

SHAPE, PIXELS, SIGMA = (1, 3, 4), 12, 0.5


class LinearGaussian(nn.Module):
    """x = W z + b + sigma e with orthogonal columns in W: posterior and log p(x) in closed form.

    The encoder gives the true posterior, or one ``off`` too far right and too wide by ``wide``.
    """

    values, continuous = PIXELS, True

    def __init__(self, off=0.0, wide=1.0):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        columns = torch.linalg.qr(torch.randn(PIXELS, 3, generator=generator)).Q
        self.w = columns * torch.tensor([2.0, 1.0, 0.5])
        self.b = torch.linspace(-1, 1, PIXELS)
        self.off, self.wide = off, wide

    def encode(self, images):
        precision = self.w.square().sum(0) / SIGMA**2 + 1
        mean = (images.flatten(1) - self.b) @ self.w / SIGMA**2 / precision
        return mean + self.off, (self.wide**2 / precision).log().expand_as(mean)

    def decode(self, z):
        return (z @ self.w.T + self.b).reshape(-1, *SHAPE)

    def reconstruction(self, images, drawn):
        return -Normal(drawn, SIGMA).log_prob(images).flatten(1).sum(1)

    def log_evidence(self, images):
        covariance = self.w @ self.w.T + SIGMA**2 * torch.eye(PIXELS)
        return MultivariateNormal(self.b, covariance).log_prob(images.flatten(1)).numpy()


def batch(count=6, shape=SHAPE):
    image = torch.randn(count, *shape, generator=torch.Generator().manual_seed(1))
    rows = torch.arange(count)
    return Batch(image=image, label=rows % 2, index=rows)

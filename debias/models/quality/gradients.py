"""How noisy the gradient of a bound is, by the score of the posterior and through its draws.

The gradient is that of E_q[log p(x|z)] with respect to the mean and the log-variance of q(z|x) of
each image, to which the chain rule adds the encoder. ``B`` batch, ``n`` images, ``s`` draws, ``k``
latent dimensions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from debias.models.encoding import require_eval
from debias.models.representation import Generates
from debias.training.batches import Batch

AT_ONCE = 512  # images decoded at once
Estimator = Literal["score", "score_with_baseline", "reparameterised"]


@dataclass(frozen=True, eq=False)
class Gradient:
    """An unbiased estimate and its noise, nats per unit of mean and log-variance.

    Attributes:
        mean: Over all draws, the means first, then the log-variances.
        variance: Of a single draw, summed over those; what an estimator costs.
    """

    mean: Float64[np.ndarray, "n _"]
    variance: Float64[np.ndarray, " n"]


def gradients(
    network: Generates, batches: Iterable[Batch], generator: torch.Generator, samples: int = 500
) -> dict[Estimator, Gradient]:
    """The same gradient at the same draws by every estimator.

    With f = log p(x|z) and z = mean + sd eps: ``score`` is f grad log q(z); ``score_with_baseline``
    (f - b) grad log q(z), b being the mean of f over the other draws; ``reparameterised`` is
    grad f(mean + sd eps).

    Raises:
        ValueError: A network in training mode, without a spread, or fewer than 2 samples.

    Reference:
        Williams 1992; Kingma & Welling 2014, section 2.3. Baseline: Mnih & Rezende 2016, eq. 7. Of
        a network that infers in steps, q is the product at the steps' means.
    """
    require_eval(network)
    if samples < 2:
        raise ValueError(f"a variance takes at least 2 samples, got {samples}")
    parts = [_of_batch(network, batch, generator, samples) for batch in batches]
    return {
        name: Gradient(*(np.concatenate(both) for both in zip(*found, strict=True)))
        for name, *found in zip(get_args(Estimator), *parts, strict=True)
    }


def _of_batch(
    network: Generates, batch: Batch, generator: torch.Generator, samples: int
) -> list[tuple[np.ndarray, np.ndarray]]:
    with torch.no_grad():
        mean, log_var = network.encode(batch.image, *batch.told)
    if log_var is None:
        raise ValueError("a gradient of q needs a posterior with a spread; these are points")
    noise = torch.randn(samples, *mean.shape, generator=generator, device=mean.device)
    spread = (0.5 * log_var).exp()
    most = max(1, AT_ONCE // len(mean))
    found = [_slopes(network, batch, mean + spread * part) for part in torch.split(noise, most)]
    f, slope = (torch.cat(part).double() for part in zip(*found, strict=True))  # (s, B), (s, B, k)
    f = f[..., None]
    others = (f.sum(0) - f) / (samples - 1)
    score = torch.cat([noise / spread, 0.5 * (noise.square() - 1)], dim=2)
    through = torch.cat([slope, 0.5 * slope * spread * noise], dim=2)
    every = f * score, (f - others) * score, through
    return [(one.mean(0).cpu().numpy(), one.var(0).sum(1).cpu().numpy()) for one in every]


def _slopes(
    network: Generates, batch: Batch, z: Float[Tensor, "s B k"]
) -> tuple[Float[Tensor, "s B"], Float[Tensor, "s B k"]]:
    """log p(x|z) and its gradient by z."""  # noqa: D403
    with torch.enable_grad():
        at = z.detach().requires_grad_()
        told = [given.repeat(len(z), 1) for given in batch.told]
        drawn = network.decode(at.flatten(0, 1), *told)
        f = -network.reconstruction(batch.image.repeat(len(z), 1, 1, 1), drawn)
        (slope,) = torch.autograd.grad(f.sum(), at)
    return f.detach().reshape(z.shape[:2]), slope

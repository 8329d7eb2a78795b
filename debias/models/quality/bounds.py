"""How well a model with a posterior explains images: lower bounds on log p(x), nats per image.

Everything is computed in float32 and added up in float64, whatever the network was trained in.
``B`` batch, ``n`` images, ``s`` samples of the posterior, ``k`` latent dimensions.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from debias.models.encoding import require_eval
from debias.models.representation import Generates, Unfolds
from debias.training.batches import Batch
from debias.types import Latents

AT_ONCE = 512  # images decoded at once
GREY_LEVELS = 8  # bits between a density over [0, 1] and one of 256 levels


@dataclass(frozen=True, eq=False)
class Evidence:
    """The evidence lower bound in its two parts, nats per image.

    Attributes:
        reconstruction: E_q[-log p(x|z)]; negative where a density is above 1.
        kl: KL(q(z|x) || N(0, I)), at least 0.
    """

    reconstruction: Float64[np.ndarray, " n"]
    kl: Float64[np.ndarray, " n"]

    @property
    def bound(self) -> Float64[np.ndarray, " n"]:
        """E_q[log p(x|z)] - KL(q(z|x) || p(z)) <= log p(x)."""
        return -(self.reconstruction + self.kl)


@dataclass(frozen=True, eq=False)
class Weighted:
    """The importance-weighted bound, nats per image.

    Attributes:
        bound: At most log p(x) in expectation.
        error: Standard error of the draws; NaN for one sample.
    """

    bound: Float64[np.ndarray, " n"]
    error: Float64[np.ndarray, " n"]


def evidence(
    network: Generates, batches: Iterable[Batch], generator: torch.Generator, samples: int = 1
) -> Evidence:
    """ELBO(x) = E_q[log p(x|z)] - KL(q(z|x) || N(0, I)), the expectation over ``samples`` draws.

    Reference:
        Kingma & Welling 2014, Auto-Encoding Variational Bayes, eq. 3; KL: appendix B.
    """
    require_eval(network)
    with torch.inference_mode():
        parts = [_parts_of(network, batch, generator, samples) for batch in batches]
    reconstruction, kl = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Evidence(reconstruction, kl)


def importance_weighted(
    network: Generates, batches: Iterable[Batch], generator: torch.Generator, samples: int = 5000
) -> Weighted:
    """log(1/s sum_i w_i) with w_i = p(x|z_i) p(z_i) / q(z_i|x), z_i drawn from q(z|x).

    It rises with ``samples`` and reaches log p(x) in the limit; one sample gives the evidence
    lower bound. Samples are decoded few at a time, so that any number fits into memory. The
    standard error is that of the logarithm of a mean, by the delta method.

    Reference:
        Burda, Grosse, Salakhutdinov 2016, Importance Weighted Autoencoders, eq. 8.
    """
    require_eval(network)
    with torch.inference_mode():
        parts = [_weighted(network, batch, generator, samples) for batch in batches]
    bound, error = (np.concatenate(part) for part in zip(*parts, strict=True))
    return Weighted(bound, error)


def bits_per_dimension(nats: float, pixels: int, *, continuous: bool) -> float:
    """Bits that one colour value of an image costs, given its -log p(x) in nats.

    Args:
        nats: Negative log-likelihood of an image, or a bound on it.
        pixels: C * H * W, how many values an image has.
        continuous: p(x|z) is a density over [0, 1]: then 256 grey levels are counted, 8 bits more.

    Reference:
        Theis, van den Oord, Bethge 2016, A note on the evaluation of generative models, section 3.
    """
    return nats / (pixels * np.log(2)) + GREY_LEVELS * continuous


def kl_to_standard_normal(
    mean: Float[Tensor, "B k"], log_var: Float[Tensor, "B k"]
) -> Float[Tensor, " B"]:
    """KL(N(mean, diag exp(log_var)) || N(0, I)) in nats, summed over dimensions.

    Reference:
        Kingma & Welling 2014, Auto-Encoding Variational Bayes, appendix B.
    """
    return 0.5 * (mean.square() + log_var.exp() - 1 - log_var).sum(1)


def nats_by_dimension(latents: Latents) -> Float64[np.ndarray, " k"] | None:
    """KL to the prior of each dimension, mean over the images; None without a spread.

    0.5 * (mean^2 + var - 1 - log var): what a dimension says about an image, in nats.
    """
    if latents.log_var is None:
        return None
    spread = latents.log_var.astype(np.float64)
    terms = np.square(latents.mean, dtype=np.float64) + np.exp(spread) - 1 - spread
    return 0.5 * terms.mean(axis=0)


def _parts_of(
    network: Generates, batch: Batch, generator: torch.Generator, samples: int
) -> tuple[np.ndarray, np.ndarray]:
    posterior = _posterior(network, batch)
    size = len(batch.image)
    total = torch.zeros(2, size, dtype=torch.float64, device=batch.image.device)
    for count in _pieces(samples, size):
        drawn = _drawn(network, batch, posterior, count, generator)
        total += torch.stack([drawn.reconstruction.sum(0), drawn.kl.sum(0)])
    reconstruction, kl = (total / samples).cpu().numpy()
    return reconstruction, kl


def _weighted(
    network: Generates, batch: Batch, generator: torch.Generator, samples: int
) -> tuple[np.ndarray, np.ndarray]:
    posterior = _posterior(network, batch)
    device = batch.image.device
    total = torch.full((len(batch.image),), -torch.inf, dtype=torch.float64, device=device)
    squares = total.clone()  # log of the sum of squared weights
    for count in _pieces(samples, len(batch.image)):
        drawn = _drawn(network, batch, posterior, count, generator)
        log_weight = drawn.ratio - drawn.reconstruction
        total = torch.logaddexp(total, log_weight.logsumexp(0))
        squares = torch.logaddexp(squares, (2 * log_weight).logsumexp(0))
    bound = total - np.log(samples)
    spread = samples * (squares - 2 * total).exp() - 1  # variance over squared mean, divisor s
    error = (spread.clamp(min=0) / (samples - 1)).sqrt() if samples > 1 else spread * torch.nan
    return bound.cpu().numpy(), error.cpu().numpy()


class _Draws(NamedTuple):
    """Of some draws of the posterior of each image, nats.

    Attributes:
        reconstruction: -log p(x|z).
        ratio: log p(z) - log q(z|x).
        kl: KL of the posterior; of one in steps, the sum of the steps' along this draw, whose
            expectation is the KL.
    """

    reconstruction: Float64[Tensor, "s B"]
    ratio: Float64[Tensor, "s B"]
    kl: Float64[Tensor, "s B"]


def _drawn(
    network: Generates,
    batch: Batch,
    posterior: tuple[Tensor, Tensor],
    count: int,
    generator: torch.Generator,
) -> _Draws:
    shape = count, *posterior[0].shape
    noise = torch.randn(shape, generator=generator, device=batch.image.device).flatten(0, 1)
    images = batch.image.repeat(count, 1, 1, 1)
    if isinstance(network, Unfolds):
        mean, log_var = network.unfold(images, noise)
    else:
        mean, log_var = (part.repeat(count, 1) for part in posterior)
    z = mean + (0.5 * log_var).exp() * noise  # (s * B, k)
    told = [given.repeat(count, 1) for given in batch.told]
    found = network.reconstruction(images, network.decode(z, *told)).double()
    # Of the two normal densities, the constants cancel.
    ratio = 0.5 * (noise.square() + log_var - z.square()).double().sum(1)
    kl = kl_to_standard_normal(mean, log_var).double()
    return _Draws(*(part.reshape(count, -1) for part in (found, ratio, kl)))


def _posterior(network: Generates, batch: Batch) -> tuple[Tensor, Tensor]:
    mean, log_var = network.encode(batch.image, *batch.told)
    if log_var is None:
        raise ValueError("a bound needs a posterior with a spread; this network encodes points")
    return mean, log_var


def _pieces(samples: int, images: int) -> Iterable[int]:
    """So many samples in turns of what is decoded at once."""
    if samples < 1:
        raise ValueError(f"a bound takes at least 1 sample, got {samples}")
    most = max(1, AT_ONCE // images)
    whole, rest = divmod(samples, most)
    return [most] * whole + [rest] * (rest > 0)

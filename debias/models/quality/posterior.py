"""The posterior of single images by Markov chains, as the yardstick of what an encoder says of it.

``B`` images, ``c`` chains of each, ``s`` draws of a chain, ``k`` latent dimensions. All is slow:
every step decodes an image. Logarithms are in nats.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from debias.models.encoding import require_eval
from debias.models.quality.bounds import Weighted, kl_to_standard_normal
from debias.models.representation import Generates
from debias.training.batches import Batch

WANTED = 0.234  # share of proposals accepted: Roberts, Gelman, Gilks 1997
MIXED = 1.05  # largest R-hat of chains that tell the same; Vehtari et al. 2021 ask for 1.01
Places = Float[Tensor, "c B k"]
LogDensity = Callable[[Places], Float64[Tensor, "c B"]]


@dataclass(frozen=True, eq=False)
class Chains:
    """Draws of the posterior of each image, and whether to believe them.

    Attributes:
        draws: After the warm-up.
        acceptance: Share of proposals taken, by image.
    """

    draws: Float64[np.ndarray, "s c B k"]
    acceptance: Float64[np.ndarray, " B"]

    @property
    def r_hat(self) -> Float64[np.ndarray, " B"]:
        """Of the worst dimension of each image; near 1 where all chains tell the same."""
        return self._worst(split_r_hat).max(axis=1)

    @property
    def effective_size(self) -> Float64[np.ndarray, " B"]:
        """Independent draws that the worst dimension is worth."""
        return self._worst(effective_size).min(axis=1)

    @property
    def mixed(self) -> Bool[np.ndarray, " B"]:
        """Whether the chains of an image agree; NaN does not."""
        return self.r_hat < MIXED

    def _worst(self, of: Callable[[np.ndarray], float]) -> Float64[np.ndarray, "B k"]:
        *_, images, k = self.draws.shape
        found = [[of(self.draws[:, :, b, d]) for d in range(k)] for b in range(images)]
        return np.array(found)


class Gaps(NamedTuple):
    """What an encoder loses at each image, nats.

    ``inference``: log p(x), by annealed importance sampling, less its bound. ``amortisation``: the
    part of it that the best normal distribution of this one image would not lose.
    """

    inference: Float64[np.ndarray, " B"]
    amortisation: Float64[np.ndarray, " B"]


def metropolis(
    network: Generates,
    batch: Batch,
    starts: Places,
    generator: torch.Generator,
    *,
    draws: int = 500,
    warm_up: int = 500,
) -> Chains:
    """Random walks from ``starts``, in steps as wide as the encoder's spread times a tuned factor.

    The factor of a chain is tuned in the warm-up alone, towards a quarter of proposals accepted.

    Reference:
        Metropolis et al. 1953; Hastings 1970; tuning: Robbins & Monro 1951.
    """
    require_eval(network)
    with torch.inference_mode():
        _, log_var = _posterior(network, batch)
        target, walk = _joint(network, batch), _Walk(starts, (0.5 * log_var).exp(), generator)
        for step in range(warm_up):
            walk.move(target)
            walk.tune(step)
        kept, accepted = [], torch.zeros_like(walk.taken)
        for _ in range(draws):
            walk.move(target)
            kept.append(walk.z.double().cpu())
            accepted += walk.taken
    share = accepted.mean(0) / max(draws, 1)
    return Chains(torch.stack(kept).numpy(), share.double().cpu().numpy())


def starts(
    network: Generates, batch: Batch, chains: int, generator: torch.Generator, *, wide: float = 0.0
) -> Places:
    """The encoder's answer, or draws from the prior ``wide`` times as wide: somewhere else."""
    with torch.inference_mode():
        mean, log_var = _posterior(network, batch)
        noise = torch.randn(chains, *mean.shape, generator=generator, device=mean.device)
        return wide * noise if wide else mean + (0.5 * log_var).exp() * noise


def annealed(
    network: Generates,
    batch: Batch,
    generator: torch.Generator,
    *,
    chains: int = 16,
    temperatures: int = 200,
    start: Literal["encoder", "prior"] | tuple[Tensor, Tensor] = "encoder",
) -> Weighted:
    """log p(x) by annealed importance sampling: a lower bound in expectation, tight at the end.

    Draws of the encoder's answer, or of the prior, are moved by Metropolis steps towards p(x, z)
    over q^(1-b) p^b, b rising in equal parts; from the prior, by fifth powers of them. ``start``
    may be another answer, mean and log-variance.

    Reference:
        Neal 2001, Annealed Importance Sampling; of decoders: Wu, Burda, Salakhutdinov, Grosse 2017.
        As there, steps are tuned on the way, which leaves a small bias. Powers: Friel & Pettitt
        2008.
    """  # noqa: D403
    require_eval(network)
    with torch.inference_mode():
        mean, log_var = _posterior(network, batch) if isinstance(start, str) else start
        if start == "prior":
            mean, log_var = torch.zeros_like(mean), torch.zeros_like(log_var)
        noise = torch.randn(chains, *mean.shape, generator=generator, device=mean.device)
        spread = (0.5 * log_var).exp()
        walk, joint = _Walk(mean + spread * noise, spread, generator), _joint(network, batch)

        def ratio(z: Places) -> Float64[Tensor, "c B"]:
            return joint(z) - _normal(z, mean, log_var)

        weight = torch.zeros(noise.shape[:2], dtype=torch.float64, device=mean.device)
        shares = np.linspace(0, 1, temperatures + 1) ** (5 if start == "prior" else 1)
        for step, (before, share) in enumerate(pairwise(shares)):
            weight += ratio(walk.z) * (share - before)
            walk.move(lambda z, share=share: _normal(z, mean, log_var) + share * ratio(z))  # type: ignore[misc]
            walk.tune(step)
    bound = weight.logsumexp(0) - np.log(chains)
    relative = (weight - bound).exp()
    error = relative.std(0) / chains**0.5
    return Weighted(bound.cpu().numpy(), error.cpu().numpy())


def gaps(network: Generates, batch: Batch, generator: torch.Generator, *, steps: int = 100) -> Gaps:
    """What the encoder loses at each image, and how much of it for being one for all.

    Reference:
        Cremer, Li, Duvenaud 2018, Inference Suboptimality in Variational Autoencoders.
    """
    with torch.no_grad():
        own = _posterior(network, batch)
    best = _fitted(network, batch, own, generator, steps)
    # From the best answer: from one far off, annealing as short as this would not arrive.
    truth = annealed(network, batch, generator, start=best)
    noise = torch.randn(200, *own[0].shape, generator=generator, device=own[0].device)
    with torch.inference_mode():  # the same draws for both, of which their difference rests
        bounds = [
            torch.stack(
                [_bound(network, batch, one, part) for part in torch.split(noise, 10)]
            ).mean(0)
            for one in (own, best)
        ]
    of_encoder, of_best = (one.double().cpu().numpy() for one in bounds)
    return Gaps(truth.bound - of_encoder, of_best - of_encoder)


def split_r_hat(draws: Float64[np.ndarray, "s c"]) -> float:
    """Root of the variance of all draws over that within half chains; NaN where none varies.

    Reference:
        Gelman et al. 2013, Bayesian Data Analysis, section 11.4.
    """
    half = len(draws) // 2
    parts = np.concatenate([draws[:half], draws[half : 2 * half]], axis=1)
    within = parts.var(axis=0, ddof=1).mean()
    between = parts.mean(axis=0).var(ddof=1)
    return float(np.sqrt((half - 1) / half + between / within)) if within else np.nan


def effective_size(draws: Float64[np.ndarray, "s c"]) -> float:
    """Draws over 1 + 2 sum of autocorrelations, as far as sums of neighbours are above 0.

    Reference:
        Geyer 1992, initial monotone sequence; of several chains: Vehtari et al. 2021, eqs. 10, 11.
    """
    size = len(draws)
    centred = draws - draws.mean(axis=0)
    power = np.abs(np.fft.rfft(centred, 2 * size, axis=0)) ** 2
    covariance = np.fft.irfft(power, axis=0)[:size].mean(axis=1) / size
    within = covariance[0] * size / (size - 1)
    both = within * (size - 1) / size
    if draws.shape[1] > 1:
        both += draws.mean(axis=0).var(ddof=1)
    if not both:
        return np.nan
    correlation = 1 - (within - covariance * size / (size - 1)) / both
    pairs = correlation[: size // 2 * 2].reshape(-1, 2).sum(axis=1)
    ends = np.flatnonzero(pairs < 0)
    pairs = np.minimum.accumulate(pairs[: ends[0] if len(ends) else None])
    return float(draws.size / max(2 * pairs.sum() - 1, 1 / np.log10(draws.size)))


class _Walk:
    """Chains that stand at ``z`` and move by what a target density makes of their proposals."""

    def __init__(self, z: Places, spread: Tensor, generator: torch.Generator) -> None:
        self.z, self.spread, self.generator = z, spread, generator
        # 2.38 / sqrt(k) is best for a normal target: Roberts, Gelman, Gilks 1997.
        size = np.log(2.38 / z.shape[2] ** 0.5)
        self.size = torch.full(z.shape[:2], size, dtype=z.dtype, device=z.device)
        self.taken = torch.zeros_like(self.size)

    def move(self, target: LogDensity) -> None:
        noise = torch.randn(self.z.shape, generator=self.generator, device=self.z.device)
        proposed = self.z + self.size.exp()[..., None] * self.spread * noise
        chance = torch.rand(self.size.shape, generator=self.generator, device=self.z.device)
        taken = chance.log() < target(proposed) - target(self.z)
        self.z = torch.where(taken[..., None], proposed, self.z)
        self.taken = taken.to(self.size.dtype)

    def tune(self, step: int) -> None:
        self.size = self.size + (self.taken - WANTED) / (step + 1) ** 0.5


def _joint(network: Generates, batch: Batch) -> LogDensity:
    """log p(x, z) of places."""  # noqa: D403

    def of(z: Places) -> Float64[Tensor, "c B"]:
        zero = torch.zeros_like(z[0])
        return _explained(network, batch, z).double() + _normal(z, zero, zero)

    return of


def _explained(network: Generates, batch: Batch, z: Places) -> Float[Tensor, "c B"]:
    """log p(x|z)."""  # noqa: D403
    told = [given.repeat(len(z), 1) for given in batch.told]
    drawn = network.decode(z.flatten(0, 1), *told)
    nats = network.reconstruction(batch.image.repeat(len(z), 1, 1, 1), drawn)
    return -nats.reshape(z.shape[:2])


def _normal(z: Places, mean: Tensor, log_var: Tensor) -> Float64[Tensor, "c B"]:
    off = (z - mean).square() / log_var.exp() + log_var + np.log(2 * np.pi)
    return -0.5 * off.double().sum(2)


def _posterior(network: Generates, batch: Batch) -> tuple[Tensor, Tensor]:
    mean, log_var = network.encode(batch.image, *batch.told)
    if log_var is None:
        raise ValueError("these images are points: an encoder with a posterior is needed")
    return mean, log_var


def _bound(
    network: Generates, batch: Batch, posterior: tuple[Tensor, Tensor], noise: Places
) -> Float[Tensor, " B"]:
    mean, log_var = posterior
    z = mean + (0.5 * log_var).exp() * noise
    return _explained(network, batch, z).mean(0) - kl_to_standard_normal(mean, log_var)


def _fitted(
    network: Generates,
    batch: Batch,
    own: tuple[Tensor, Tensor],
    generator: torch.Generator,
    steps: int,
) -> tuple[Tensor, Tensor]:
    """The normal distribution with the best bound for each image, by Adam from the encoder's."""
    free = [part.detach().clone().requires_grad_() for part in own]
    optimizer = torch.optim.Adam(free, lr=0.05)
    schedule = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.01, steps)
    with torch.enable_grad():
        for _ in range(steps):
            noise = torch.randn(4, *own[0].shape, generator=generator, device=own[0].device)
            loss = -_bound(network, batch, (free[0], free[1]), noise).sum()
            optimizer.zero_grad()
            (free[0].grad, free[1].grad) = torch.autograd.grad(loss, free)
            optimizer.step()
            schedule.step()
    return free[0].detach(), free[1].detach()

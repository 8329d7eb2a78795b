"""Trained model and faces to latents, predictions and figures; nothing here trains or draws."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from debias.density import ACTIVE_VARIANCE
from debias.errors import DivergedLossError, PosteriorCollapseError
from debias.models import ImageEncoder
from debias.models.classifiers import probabilities
from debias.training.batches import Batch
from debias.training.device import Compute

MOST_SATURATED = 0.05


def posterior(
    network: ImageEncoder, batches: Iterable[Batch], compute: Compute
) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "n k"] | None]:
    """Mean and log-variance of every image, float32; None where the network gives points only."""
    require_eval(network)
    with torch.inference_mode(), compute.autocast():
        parts = [network.encode(batch.image) for batch in batches]
    mean = torch.cat([mean for mean, _ in parts]).cpu().numpy()
    spreads = [log_var for _, log_var in parts if log_var is not None]
    return mean, torch.cat(spreads).cpu().numpy() if spreads else None


def scores(
    network: nn.Module, batches: Iterable[Batch], compute: Compute
) -> tuple[Int64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """Class indices and the probability of the last class."""
    require_eval(network)
    with torch.inference_mode(), compute.autocast():
        found = [(batch.label, probabilities(network(batch.image))[:, -1]) for batch in batches]
    labels, score = zip(*found, strict=True)
    return torch.cat(labels).cpu().numpy(), torch.cat(score).cpu().numpy()


def mean_losses(network: nn.Module, batches: Iterable[Batch], compute: Compute) -> dict[str, float]:
    """The model's own losses, averaged over images."""
    require_eval(network)
    total: dict[str, float] = {}
    count = 0
    with torch.inference_mode(), compute.autocast():
        for batch in batches:
            losses: Mapping[str, Tensor] = network.loss(batch)  # type: ignore[operator]
            size = len(batch.label)
            count += size
            for name, value in losses.items():
                total[name] = total.get(name, 0.0) + float(value) * size
    return {name: value / count for name, value in total.items()}


def vae_figures(
    losses: Mapping[str, float], mean: Float[np.ndarray, "n k"], pixels: int, sigma: float | None
) -> dict[str, float | int | None]:
    """What is always reported of a VAE: nats per image, bits per dimension, active units.

    Bits per dimension count 256 grey levels: a density over [0, 1] is log2(256) = 8 bits above
    the probability of a level.
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
    """Refuse a network whose loss is finite but which learned nothing.

    Raises:
        PosteriorCollapseError: No latent dimension is active.
        DivergedLossError: More than 5 % of the log-variances stand at their bound.
    """
    if not figures["active_units"]:
        raise PosteriorCollapseError(
            f"0 of {figures['latent_dim']} latent dimensions are active (variance of the mean "
            "above 0.01): the latents say nothing about the images; lower representation.model.beta"
            " or train longer"
        )
    saturated = figures["saturated_log_var"] or 0.0
    if saturated > MOST_SATURATED:
        raise DivergedLossError(
            f"{saturated:.1%} of the log-variances stand at their bound (limit "
            f"{MOST_SATURATED:.0%}): training has diverged; lower the learning rate"
        )


def require_eval(network: object) -> None:
    """Refuse a network whose batch norm and dropout would make one image depend on another.

    Raises:
        ValueError: It is in training mode.
    """
    if isinstance(network, nn.Module) and network.training:
        raise ValueError("the network is in training mode; call .eval() before encoding")

"""Trained model and faces to latents, predictions and figures; nothing here trains or draws."""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor, nn

from debias.models.classifiers import probabilities
from debias.models.representation import Encodes
from debias.training.batches import Batch
from debias.training.device import Compute


def posterior(
    network: Encodes, batches: Iterable[Batch], compute: Compute
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


def require_eval(network: object) -> None:
    """A ValueError for a network in training mode, where one image would depend on another."""
    if isinstance(network, nn.Module) and network.training:
        raise ValueError("the network is in training mode; call .eval() before encoding")

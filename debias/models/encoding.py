"""Trained model and faces to latents, predictions and figures; nothing here trains or draws."""

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import nn

from debias.models.classifiers import probabilities
from debias.models.representation import Encodes, Explains
from debias.training.batches import Batch
from debias.training.device import Compute

T = TypeVar("T")


def posterior(
    network: Encodes, batches: Iterable[Batch], compute: Compute
) -> tuple[Float[np.ndarray, "n k"], Float[np.ndarray, "n k"] | None]:
    """Mean and log-variance of every image, float32; None where the network gives points only."""
    parts = _each(network, batches, compute, lambda batch: network.encode(batch.image, *batch.told))
    mean = torch.cat([mean for mean, _ in parts]).cpu().numpy()
    spreads = [log_var for _, log_var in parts if log_var is not None]
    return mean, torch.cat(spreads).cpu().numpy() if spreads else None


def scores(
    network: nn.Module, batches: Iterable[Batch], compute: Compute
) -> tuple[Int64[np.ndarray, " n"], Float64[np.ndarray, " n"]]:
    """Class indices and the probability of the last class."""

    def of_batch(batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        return batch.label, probabilities(network(batch.image))[:, -1]

    labels, score = zip(*_each(network, batches, compute, of_batch), strict=True)
    return torch.cat(labels).cpu().numpy(), torch.cat(score).cpu().numpy()


def class_probabilities(
    network: nn.Module, batches: Iterable[Batch], compute: Compute
) -> Float64[np.ndarray, "n classes"]:
    parts = _each(network, batches, compute, lambda batch: probabilities(network(batch.image)))
    return torch.cat(parts).cpu().numpy()


def predicted(
    network: nn.Module, batches: Iterable[Batch], compute: Compute
) -> Int64[np.ndarray, " n"]:
    """The class that a classifier finds most probable."""
    parts = _each(network, batches, compute, lambda batch: network(batch.image).argmax(1))
    return torch.cat(parts).cpu().numpy()


def features(
    network: Any,  # noqa: ANN401 (a classifier that has features)
    batches: Iterable[Batch],
    compute: Compute,
) -> Float[np.ndarray, "n d"]:
    """What a classifier decides by, float32."""
    parts = _each(network, batches, compute, lambda batch: network.features(batch.image).float())
    return torch.cat(parts).cpu().numpy()


def mean_losses(network: Any, batches: Iterable[Batch], compute: Compute) -> dict[str, float]:  # noqa: ANN401 (a module with a loss)
    """The model's own losses, averaged over images."""
    found = _each(network, batches, compute, lambda batch: (len(batch.label), network.loss(batch)))
    count = sum(size for size, _ in found)
    return {
        name: sum(float(losses[name]) * size for size, losses in found) / count
        for name in found[0][1]
    }


def nats(
    network: Explains, batches: Iterable[Batch], compute: Compute
) -> Float64[np.ndarray, " n"]:
    """Negative ELBO of every image: larger is explained worse. May be negative for a Gaussian.

    -log p(x | mean) summed over pixels and channels, plus KL summed over dimensions, unweighted.
    Deviation: the expectation over the posterior is taken at its mean, so that an image has one
    value whatever stands beside it. That leaves out about half a nat per active dimension, where
    faces differ by thousands.
    """
    parts = _each(network, batches, compute, lambda batch: network.nats(batch.image, *batch.told))
    return torch.cat(parts).cpu().numpy().astype(np.float64)


def _each(
    network: object, batches: Iterable[Batch], compute: Compute, ask: Callable[[Batch], T]
) -> list[T]:
    require_eval(network)
    with torch.inference_mode(), compute.autocast():
        return [ask(batch) for batch in batches]


def require_eval(network: object) -> None:
    """A ValueError for a network in training mode, where one image would depend on another."""
    if isinstance(network, nn.Module) and network.training:
        raise ValueError("the network is in training mode; call .eval() before encoding")

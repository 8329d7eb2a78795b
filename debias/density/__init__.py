"""How densely each region of the latent space is populated.

A density is fitted to latent means and answers with log factors (n, f): f = k for one density per
dimension, f = 1 for a joint one, so that one weighting serves them all.
"""

from typing import Literal, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64

from debias.density.histogram import FittedHistogram, HistogramDensity
from debias.errors import AllDimensionsInactiveError
from debias.types import Latents, LogFactors

DENSITIES = {"histogram": HistogramDensity}
ACTIVE_VARIANCE = 0.01

__all__ = [
    "DENSITIES",
    "DensityEstimator",
    "FittedDensity",
    "FittedHistogram",
    "HistogramDensity",
    "active_dimensions",
    "estimate",
]


@runtime_checkable
class FittedDensity(Protocol):
    """A density that has seen its training data."""

    def log_factors(self, z: Float[np.ndarray, "n k"]) -> Float64[np.ndarray, "n f"]: ...
    def outside(self, z: Float[np.ndarray, "n k"]) -> int: ...


@runtime_checkable
class DensityEstimator(Protocol):
    """Settings that can be fitted; fitting returns a new object and changes nothing."""

    @property
    def name(self) -> str: ...
    def fit(self, z: Float[np.ndarray, "n k"]) -> FittedDensity: ...


def active_dimensions(mean: Float[np.ndarray, "n k"]) -> Bool[np.ndarray, " k"]:
    """Dimensions whose posterior mean varies over the data by more than 0.01.

    Reference:
        Burda, Grosse, Salakhutdinov 2016, Importance Weighted Autoencoders, section 5.2.
    """
    return np.var(mean, axis=0, dtype=np.float64) > ACTIVE_VARIANCE


def estimate(
    estimator: DensityEstimator,
    latents: Latents,
    labels: Int64[np.ndarray, " n"],
    across: Literal["class", "all"] = "class",
) -> LogFactors:
    """Fit the density to the active dimensions and evaluate it at the same samples.

    Args:
        estimator: Density settings.
        latents: Training latents.
        labels: (n,), class index.
        across: "class" fits one density to each class, "all" one to everything.

    Raises:
        AllDimensionsInactiveError: No latent dimension is active.
    """
    active = active_dimensions(latents.mean)
    if not active.any():
        raise AllDimensionsInactiveError(
            f"none of {len(active)} latent dimensions varies over the data (variance of the mean "
            f"above {ACTIVE_VARIANCE}): train the representation longer or lower beta"
        )
    z = latents.mean[:, active]
    parts = labels if across == "class" else np.zeros_like(labels)
    values, outside = None, 0
    for part in np.unique(parts):
        here = parts == part
        fitted = estimator.fit(z[here])
        factors = fitted.log_factors(z[here])
        values = np.empty((len(z), factors.shape[1])) if values is None else values
        values[here] = factors
        outside += fitted.outside(z[here])
    assert values is not None  # labels are never empty here
    return LogFactors(
        sample_ids=latents.sample_ids,
        values=values,
        dropped_dimensions=tuple(np.flatnonzero(~active).tolist()),
        outside=outside,
    )

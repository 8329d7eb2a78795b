"""From densities to log-rarity: masses are smoothed by alpha, then factors are combined.

``alpha`` is a *mass*: a bin that holds much less than this share of the samples counts as holding
about this share. A joint density has no bins; there it is a share of the typical density per
dimension, so that in both cases rescaling the space changes nothing.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float64


def of_factors(
    log_factors: Float64[np.ndarray, "n f"], alpha: float, combine: Literal["product", "max"]
) -> Float64[np.ndarray, " n"]:
    """s_i = -sum_j log(q_j(z_ij) + alpha), or the largest summand for "max".

    A sum of logarithms: the product over many dimensions leaves the range of floats.

    Reference:
        Amini et al. 2019, eq. 2, in log space; "max" is the rule of the authors' teaching code.
    """
    summands = -np.logaddexp(log_factors, np.log(alpha))
    return summands.sum(axis=1) if combine == "product" else summands.max(axis=1)


def of_joint(
    log_density: Float64[np.ndarray, " n"], typical: float, dimensions: int, alpha: float
) -> Float64[np.ndarray, " n"]:
    """s_i = -log((q(z_i) / typical)^(1 / dimensions) + alpha).

    Args:
        log_density: Natural log of a density.
        typical: Natural log of the density that counts as 1, for instance the median over the
            fitted samples.
        dimensions: Of the space in which the density lives; its root makes q a density per
            dimension, whose spread does not grow with the number of dimensions.
        alpha: Share of the typical density below which thinner regions count as equally rare.
    """
    return -np.logaddexp((log_density - typical) / dimensions, np.log(alpha))

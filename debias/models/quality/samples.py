"""How close drawn samples are to real images, in the features of an encoder.

Such scores depend on the encoder and on how many samples are looked at: they compare with each
other within one study and with nothing else. ``n`` real, ``m`` drawn, ``d`` features.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64
from scipy.spatial.distance import cdist
from scipy.special import ndtri

Real = Float[np.ndarray, "n d"]
Drawn = Float[np.ndarray, "m d"]
NEIGHBOURS = 5  # Naeem et al. 2020
RANGES = {  # within which a score can lie; the unbiased kernel distance may be anything
    "fid": (0, np.inf), "density": (0, np.inf), "precision": (0, 1), "recall": (0, 1),
    "coverage": (0, 1),
}  # fmt: skip
HALVES = 50  # half-samples behind an interval


class Score(NamedTuple):
    """A figure with a 95 % interval; NaN where it is not defined."""

    value: float
    low: float
    high: float


def frechet_distance(real: Real, drawn: Drawn) -> float:
    """|m - m'|^2 + tr(S + S' - 2 (S S')^(1/2)) of means and covariances, at least 0.

    In squared units of the features; 0 for equal moments. Biased upwards, the more the fewer
    samples: compare at equal numbers only.

    Reference:
        Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash
        Equilibrium, eq. 6. Deviation: features of any encoder in place of Inception's.
    """
    ours, theirs = np.cov(real, rowvar=False), np.cov(drawn, rowvar=False)
    ours, theirs = np.atleast_2d(ours), np.atleast_2d(theirs)
    values, axes = np.linalg.eigh(ours)
    root = (axes * np.sqrt(values.clip(min=0))) @ axes.T
    # S S' has the eigenvalues of the symmetric root(S) S' root(S).
    shared = np.sqrt(np.linalg.eigvalsh(root @ theirs @ root).clip(min=0)).sum()
    apart = np.square(real.mean(axis=0) - drawn.mean(axis=0)).sum()
    return max(0.0, float(apart + np.trace(ours) + np.trace(theirs) - 2 * shared))


def kernel_distance(real: Real, drawn: Drawn) -> float:
    """Squared maximum mean discrepancy under (x . y / d + 1)^3; unbiased, so it may be negative.

    Reference:
        Binkowski et al. 2018, Demystifying MMD GANs, eq. 4 and section 4. Deviations: all samples
        at once instead of blocks; features of any encoder.
    """
    d, n, m = real.shape[1], len(real), len(drawn)

    def kernel(one: np.ndarray, other: np.ndarray) -> Float64[np.ndarray, "_ _"]:
        return (one.astype(np.float64) @ other.T / d + 1) ** 3

    ours, theirs = kernel(real, real), kernel(drawn, drawn)
    within = (ours.sum() - np.trace(ours)) / (n * (n - 1))
    within += (theirs.sum() - np.trace(theirs)) / (m * (m - 1))
    return float(within - 2 * kernel(real, drawn).mean())


def neighbour_scores(real: Real, drawn: Drawn, k: int = NEIGHBOURS) -> dict[str, float]:
    """Precision, recall, density and coverage from balls that reach to the k-th neighbour.

    Precision, in [0, 1]: share of samples inside a ball of a real image. Recall, in [0, 1]: share
    of real images inside a ball of a sample. Density, at least 0, about 1 for equal sets: real
    balls around a sample, over k. Coverage, in [0, 1]: share of real balls that hold a sample.

    Raises:
        ValueError: Fewer than k + 1 real images or samples.

    Reference:
        Kynkaanniemi et al. 2019, Improved Precision and Recall Metric for Assessing Generative
        Models, eq. 2; Naeem et al. 2020, Reliable Fidelity and Diversity Metrics for Generative
        Models, eqs. 5 and 6. Deviation: k = 5 for the first two as well.
    """
    if min(len(real), len(drawn)) <= k:
        raise ValueError(f"{k} neighbours need more images, got {len(real)} and {len(drawn)}")
    across = cdist(real, drawn)  # (n, m)
    in_real = across <= _radii(real, k)[:, None]
    in_drawn = across <= _radii(drawn, k)
    return {
        "precision": float(in_real.any(axis=0).mean()),
        "recall": float(in_drawn.any(axis=1).mean()),
        "density": float(in_real.sum(axis=0).mean() / k),
        "coverage": float(in_real.any(axis=1).mean()),
    }


def all_scores(real: Real, drawn: Drawn) -> dict[str, float]:
    """FID, KID, precision, recall, density and coverage by name."""
    distances = {"fid": frechet_distance(real, drawn), "kid": kernel_distance(real, drawn)}
    return distances | neighbour_scores(real, drawn)


def with_intervals(
    scores: Callable[[np.ndarray, np.ndarray], Mapping[str, float]],
    real: Real,
    drawn: Drawn,
    generator: np.random.Generator,
    halves: int = HALVES,
) -> dict[str, Score]:
    """Each score with the 95 % interval: itself plus and minus 1.96 standard errors.

    The standard error is the standard deviation over random halves of both sets, which varies
    between halves as the score itself does between sets of this size. Drawing with replacement
    would not do: a sample that is there twice is its own nearest neighbour. The interval says how
    far a score at this number of samples would move with other samples, not what its bias is. It is
    cut at the ends of the range of a score, and NaN where all halves agree: then nothing tells.

    Reference:
        Shao & Wu 1989, A General Theory for Jackknife Variance Estimation, Annals of Statistics
        17: the delete-d jackknife, d half of the sample; a bootstrap without replacement.
    """

    def half(rows: np.ndarray) -> np.ndarray:
        return rows[generator.permutation(len(rows))[: len(rows) // 2]]

    drawn_halves = [scores(half(real), half(drawn)) for _ in range(halves)]
    found: dict[str, Score] = {}
    for name, value in scores(real, drawn).items():
        error = float(np.std([one[name] for one in drawn_halves], ddof=1))
        reach = float(ndtri(0.975)) * error if error else np.nan
        least, most = RANGES.get(name, (-np.inf, np.inf))
        found[name] = Score(value, max(value - reach, least), min(value + reach, most))
    return found


def _radii(points: Float[np.ndarray, "n d"], k: int) -> Float64[np.ndarray, " n"]:
    """Distance of each to its k-th neighbour among the others."""
    return np.partition(cdist(points, points), k, axis=1)[:, k]  # place 0 is the point itself

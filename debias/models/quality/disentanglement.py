"""Whether single latent dimensions follow single factors, where the factors are known.

``n`` samples, ``k`` latent dimensions, ``f`` factors. All factors are numbers; one with two values
is one, too. Every score lies in [0, 1], or is NaN where no latent dimension varies, or a factor is
the same for all.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float, Float64, Int64

Latent = Float[np.ndarray, "n k"]
Factors = Float[np.ndarray, "n f"]
PARTS = 10  # equal shares into which values are sorted before information is counted
TREES = 40


@dataclass(frozen=True)
class World:
    """Images whose factors can be set at will.

    Attributes:
        names: Factors that are asked about.
        sample: Draws so many sets of factors, one a row, independent of each other.
        encode: Latents (n, k) of the images that these factors make.
    """

    names: Sequence[str]
    sample: Callable[[int, np.random.Generator], pd.DataFrame]
    encode: Callable[[pd.DataFrame], Float[np.ndarray, "_ _"]]


def all_scores(
    world: World, generator: np.random.Generator, *, samples: int = 2000, votes: int = 400
) -> dict[str, float]:
    """Every score of this file by name.

    Args:
        world: What is known.
        generator: Of factors.
        samples: Images for the scores that look at all of them.
        votes: Batches of 32 images that share one factor, for the other two.
    """
    drawn = world.sample(samples, generator)
    latent, factors = _varying(world.encode(drawn)), drawn[list(world.names)].to_numpy(np.float64)
    if not latent.shape[1] or not np.ptp(factors, axis=0).all():
        names = ("mig", "sap", "disentanglement", "completeness", "informativeness")
        return dict.fromkeys((*names, "beta_vae", "factor_vae"), np.nan)
    return {
        "mig": mutual_information_gap(latent, factors),
        "sap": separated_predictability(latent, factors),
        **dci(latent, factors),
        **_by_votes(world, generator, votes),
    }


def mutual_information_gap(latent: Latent, factors: Factors) -> float:
    """Mean over factors of (I(z_1; v) - I(z_2; v)) / H(v), its two most informative dimensions.

    Reference:
        Chen et al. 2018, Isolating Sources of Disentanglement in VAEs, eq. 6. Deviation: plug-in
        estimates over tenths of the values, as the representation is a point.
    """
    from sklearn.metrics import mutual_info_score

    columns = [_sorted_into_parts(column) for column in latent.T]
    known = [_sorted_into_parts(column) for column in factors.T]
    shared = np.array([[mutual_info_score(v, z) for v in known] for z in columns])  # (k, f), nats
    entropy = np.array([mutual_info_score(v, v) for v in known])
    return float((_gap(shared) / entropy).mean())


def separated_predictability(latent: Latent, factors: Factors) -> float:
    """SAP: mean over factors of the gap of R^2 between the two dimensions that predict it best.

    Reference:
        Kumar, Sattigeri, Balakrishnan 2018, Variational Inference of Disentangled Latent Concepts
        from Unlabeled Observations, section 3. Deviation: factors of two values as numbers.
    """
    k = latent.shape[1]
    together = np.corrcoef(latent, factors, rowvar=False)[:k, k:]
    return float(_gap(np.square(together)).mean())


def dci(latent: Latent, factors: Factors) -> dict[str, float]:
    """Disentanglement, completeness and informativeness from the importances of random forests.

    Disentanglement: how few factors each dimension serves, 1 - entropy to the base f, weighted by
    how much it serves. Completeness: how few dimensions serve each factor, 1 - entropy to the base
    k. Informativeness: R^2 on the left-out half, at least 0, mean over factors.

    Reference:
        Eastwood & Williams 2018, A Framework for the Quantitative Evaluation of Disentangled
        Representations, section 2. Deviation: informativeness as R^2, where higher is better.
    """
    from sklearn.ensemble import RandomForestRegressor

    half = len(latent) // 2
    importance, explained = [], []
    for factor in factors.T:
        forest = RandomForestRegressor(TREES, min_samples_leaf=5, random_state=0)
        forest.fit(latent[:half], factor[:half])
        importance.append(forest.feature_importances_)
        explained.append(max(0.0, forest.score(latent[half:], factor[half:])))
    found = np.array(importance).T  # (k, f)
    weight = found.sum(axis=1) / found.sum()
    return {
        "disentanglement": float(weight @ (1 - _entropy(found))),
        "completeness": float((1 - _entropy(found.T)).mean()),
        "informativeness": float(np.mean(explained)),
    }


def beta_vae_score(
    differences: Float[np.ndarray, "votes k"], which: Int64[np.ndarray, " votes"]
) -> float:
    """Accuracy with which a linear classifier tells the shared factor, on the second half.

    NaN where the first half knows one factor only: nothing is to be told apart.

    Args:
        differences: Mean |z - z'| over pairs of images that share one factor.
        which: That factor. Chance is one over the number of factors.

    Reference:
        Higgins et al. 2017, beta-VAE, section 3. Deviation: the pairs of a vote share one value.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    half = len(which) // 2
    if len(set(which[:half])) < 2:
        return np.nan
    classifier = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500))
    classifier.fit(differences[:half], which[:half])
    return float(classifier.score(differences[half:], which[half:]))


def factor_vae_score(
    variances: Float[np.ndarray, "votes k"], which: Int64[np.ndarray, " votes"]
) -> float:
    """Accuracy of a majority vote, on the second half: which factor keeps which dimension still.

    NaN where the first half knows one factor only.

    Args:
        variances: Of every dimension over images that share one factor, as a share of that over
            all images.
        which: That factor. Chance is one over the number of factors.

    Reference:
        Kim & Mnih 2018, Disentangling by Factorising, section 4.
    """
    still, half = variances.argmin(axis=1), len(which) // 2
    if len(set(which[:half])) < 2:
        return np.nan
    votes = np.zeros((variances.shape[1], which.max() + 1), dtype=np.int64)
    np.add.at(votes, (still[:half], which[:half]), 1)
    return float((votes.argmax(axis=1)[still[half:]] == which[half:]).mean())


def _by_votes(
    world: World, generator: np.random.Generator, votes: int, size: int = 32
) -> dict[str, float]:
    which = generator.integers(len(world.names), size=votes)
    batches = [world.sample(size, generator) for _ in range(votes)]
    held = [
        batch.assign(**{world.names[factor]: batch[world.names[factor]].iloc[0]})
        for batch, factor in zip(batches, which, strict=True)
    ]
    latent = _varying(world.encode(pd.concat(held, ignore_index=True)))
    spread = latent.var(axis=0)
    batched = latent.reshape(votes, size, -1)
    pairs = np.abs(batched[:, ::2] - batched[:, 1::2]).mean(axis=1)
    return {
        "beta_vae": beta_vae_score(pairs, which),
        "factor_vae": factor_vae_score(batched.var(axis=1) / spread, which),
    }


def _varying(latent: Latent) -> Float64[np.ndarray, "n _"]:
    """Dimensions that are not the same for all."""
    return latent[:, np.ptp(latent, axis=0) > 0].astype(np.float64)


def _sorted_into_parts(values: Float64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """Number of the tenth in which each value lies; equal values share one."""
    edges = np.unique(np.quantile(values, np.linspace(0, 1, PARTS + 1)[1:-1]))
    return np.searchsorted(edges, values, side="left").astype(np.int64)


def _gap(found: Float64[np.ndarray, "k f"]) -> Float64[np.ndarray, " f"]:
    """The largest of each column less the second largest, which is 0 if there is none."""
    ordered = np.sort(np.vstack([np.zeros_like(found[:1]), found]), axis=0)
    return ordered[-1] - ordered[-2]


def _entropy(importance: Float64[np.ndarray, "r c"]) -> Float64[np.ndarray, " r"]:
    """Entropy of every row as shares, to the base of its length: 0 for one, 1 for all alike."""
    width = importance.shape[1]
    if width == 1:
        return np.zeros(len(importance))
    total, even = importance.sum(axis=1, keepdims=True), np.full_like(importance, 1 / width)
    share = np.divide(importance, total, out=even, where=total > 0)
    logs = np.log(share, out=np.zeros_like(share), where=share > 0)
    return -(share * logs).sum(axis=1) / np.log(width)

"""The latent space laid out in two dimensions, to look at.

``n`` images, ``m`` of them on the map, ``k`` latent dimensions.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Float64, Int64

FEWEST_EMBEDDED = 50  # t-SNE of fewer shows nothing that a plain projection does not


@dataclass(frozen=True, kw_only=True, eq=False)
class LatentMap:
    """Places on the map.

    Attributes:
        rows: (m,) images that are drawn, ascending.
        xy: (m, 2)
        method: How they were placed.
    """

    rows: Int64[np.ndarray, " m"]
    xy: Float64[np.ndarray, "m 2"]
    method: Literal["t-SNE", "PCA"]


def latent_map(
    points: Float[np.ndarray, "n k"], method: Literal["t-SNE", "PCA"], most: int, seed: int
) -> LatentMap:
    """Place at most ``most`` images, drawn at random.

    Reference:
        van der Maaten and Hinton 2008, Visualizing Data using t-SNE (scikit-learn).
    """
    from sklearn.decomposition import PCA
    from sklearn.manifold import TSNE

    generator = np.random.default_rng(seed)
    rows = np.sort(generator.permutation(len(points))[:most]).astype(np.int64)
    shown = np.asarray(points[rows], np.float64)
    if method == "PCA" or len(rows) < FEWEST_EMBEDDED or shown.shape[1] < 3:
        width = min(2, *shown.shape)
        flat = PCA(width, random_state=seed).fit_transform(shown)
        xy = np.pad(flat, ((0, 0), (0, 2 - width)))
        return LatentMap(rows=rows, xy=xy, method="PCA")
    perplexity = min(30, (len(rows) - 1) / 3)
    placed = TSNE(init="pca", perplexity=perplexity, random_state=seed).fit_transform(shown)
    return LatentMap(rows=rows, xy=placed.astype(np.float64), method="t-SNE")

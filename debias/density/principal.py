"""Leading principal components of latents, most informative direction first."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float, Float64

from debias.errors import WeightError

if TYPE_CHECKING:
    from sklearn.decomposition import PCA


@dataclass(frozen=True, eq=False)
class PrincipalComponents:
    """A fitted, whitened projection."""

    pca: "PCA"

    @staticmethod
    def fit(z: Float[np.ndarray, "n k"], components: int) -> "PrincipalComponents":
        """Fit to training latents.

        Raises:
            WeightError: There are fewer dimensions or samples than components.
        """
        from sklearn.decomposition import PCA  # seconds that a plain histogram does not need

        limit = min(z.shape)
        if components > limit:
            raise WeightError(
                f"density.components is {components}, but {z.shape[0]} samples with {z.shape[1]} "
                f"active dimensions have at most {limit}; lower it"
            )
        pca = PCA(components, whiten=True, svd_solver="full")
        return PrincipalComponents(pca.fit(np.asarray(z, dtype=np.float64)))

    def __call__(self, z: Float[np.ndarray, "n k"]) -> Float64[np.ndarray, "n f"]:
        return self.pca.transform(np.asarray(z, dtype=np.float64))

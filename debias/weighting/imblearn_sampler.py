"""The weights as an imbalanced-learn sampler; needs ``pip install 'debias[imblearn]'``."""

from typing import Any, ClassVar

import numpy as np
from scipy.sparse import issparse
from sklearn.utils import check_random_state

from debias.statistics.rows import in_one_order
from debias.weighting.estimators import Given
from debias.weighting.latent_weights import latent_weights

try:
    from imblearn.base import BaseSampler  # type: ignore[import-untyped]
except ImportError as error:
    raise ImportError(
        "LatentResampler needs imbalanced-learn; install it with: pip install 'debias[imblearn]'"
    ) from error


class LatentResampler(BaseSampler):  # type: ignore[misc]
    """Draws rows with replacement in proportion to their latent weights.

    Rows that are rare, or wanted by the target, come back several times, crowded ones less often
    or not at all. The share of each class is kept up to the luck of the draw. In an
    ``imblearn.pipeline.Pipeline`` it acts on training rows only.

    Args:
        n_samples: Rows to draw; None for as many as there are.
        density: This and the following as in :class:`debias.LatentWeights`.

    Attributes:
        sample_indices_: Row of ``X`` behind each drawn row.
        weights_: :class:`debias.SamplingWeights` of the rows of ``X``, with what was found.
        sampling_strategy_: Of imbalanced-learn; without a meaning here.
    """

    _sampling_type = "bypass"  # neither over- nor under-sampling: classes keep their shares
    _parameter_constraints: ClassVar[dict[str, Any]] = {}  # latent_weights checks the settings

    def __init__(  # noqa: PLR0913 (settings of one call)
        self,
        *,
        n_samples: Given = None,
        density: Given = "histogram",
        target: Given = "uniform",
        reference: Given = None,
        ess: Given = 0.5,
        alpha: Given = 0.01,
        cap: Given = 20.0,
        random_state: Given = None,
    ) -> None:
        super().__init__()
        self.n_samples = n_samples
        self.density = density
        self.target = target
        self.reference = reference
        self.ess = ess
        self.alpha = alpha
        self.cap = cap
        self.random_state = random_state

    def fit_resample(self, X: Given, y: Given, **params: Given) -> tuple[Given, Given]:
        """Draw the rows; pandas objects are joined by their index first."""
        rows = in_one_order(X=X, y=y, **params)
        found: tuple[Given, Given] = super().fit_resample(**rows)
        return found

    def _fit_resample(
        self, X: Given, y: np.ndarray, groups: Given = None
    ) -> tuple[Given, np.ndarray]:
        settings = self.get_params(deep=False)
        random = check_random_state(settings.pop("random_state"))
        size = settings.pop("n_samples")
        seed = random.randint(2**31 - 1)
        dense = X.toarray() if issparse(X) else X
        self.weights_ = latent_weights(dense, y, groups=groups, seed=seed, **settings)
        probability = self.weights_.probability
        self.sample_indices_ = random.choice(
            len(y), size=len(y) if size is None else size, p=probability
        )
        return X[self.sample_indices_], y[self.sample_indices_]

    def __sklearn_tags__(self) -> Any:  # noqa: ANN401 (a type of imbalanced-learn)
        tags = super().__sklearn_tags__()
        tags.sampler_tags.sample_indices = True
        return tags

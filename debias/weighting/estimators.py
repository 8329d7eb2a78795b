"""The weights as a scikit-learn estimator.

``n`` samples, ``k`` features.
"""

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from debias.statistics.rows import in_one_order
from debias.weighting.latent_weights import latent_weights
from debias.weighting.weights import SamplingWeights

Given = Any  # taken as it comes: scikit-learn wants wrong values refused by ``fit``, in its words


class LatentWeights(OneToOneFeatureMixin, TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Finds the weights of the rows it is fitted to; passes the features on unchanged.

    In a ``Pipeline`` it weighs what the steps before it made (scaled, reduced, ...). A pipeline
    hands features to the next step but never weights, so a classifier behind it learns from plain
    rows. To use the weights, give them to whoever takes ``sample_weight``::

        weigh = make_pipeline(PCA(16), LatentWeights()).fit(X, y)
        model.fit(X, y, sample_weight=weigh[-1].sample_weight_)

    or draw the rows with :class:`debias.LatentResampler`, which works inside a pipeline.

    Args:
        density: As for :func:`debias.latent_weights`, and so are the following.
        reference: (m, k), for target ``reference``, as this step would see it.
        random_state: Seed, generator or None; a seed makes fitting repeatable.

    Attributes:
        sample_weight_: (n,), mean 1: how much more often than plainly a row should count.
        weights_: The same as :class:`debias.SamplingWeights`, with what was found.
        n_features_in_: k
    """

    def __init__(  # noqa: PLR0913 (settings of one call)
        self,
        *,
        density: Given = "histogram",
        target: Given = "uniform",
        reference: Given = None,
        ess: Given = 0.5,
        alpha: Given = 0.01,
        cap: Given = 20.0,
        random_state: Given = 0,
    ) -> None:
        self.density = density
        self.target = target
        self.reference = reference
        self.ess = ess
        self.alpha = alpha
        self.cap = cap
        self.random_state = random_state

    def fit(self, X: Given, y: Given = None, groups: Given = None) -> "LatentWeights":
        """Weigh the rows of ``X`` (n, k) within the classes ``y`` (n,).

        pandas objects are joined by their index. ``groups`` (n,), for target ``groups``, may be
        partly unknown (None, NaN or ""); in a pipeline ask for it by
        ``set_fit_request(groups=True)`` with metadata routing.

        Raises:
            ValueError: ``X`` or ``y`` are not what scikit-learn accepts.
            PipelineError: A setting is wrong or nothing can be estimated; see ``debias.errors``.
        """
        X, y, groups = in_one_order(X=X, y=y, groups=groups).values()
        if y is None:
            rows = validate_data(self, X, ensure_min_samples=2)
        else:
            rows, y = validate_data(self, X, y, ensure_min_samples=2)
            check_classification_targets(y)
        self.weights_ = self._weigh(rows, y, groups)
        self.sample_weight_ = self.weights_.weight
        return self

    def _weigh(self, X: np.ndarray, y: np.ndarray | None, groups: Given) -> SamplingWeights:
        settings: dict[str, Any] = self.get_params(deep=False)
        random = check_random_state(settings.pop("random_state"))
        return latent_weights(X, y, groups=groups, seed=random.randint(2**31 - 1), **settings)

    def transform(self, X: Given) -> np.ndarray:
        """Return the features as they are, (n, k)."""
        check_is_fitted(self)
        return validate_data(self, X, reset=False)

"""Classifiers that never score a sample they have seen, with the penalty that predicts best.

``m`` samples, ``f`` features, ``c`` classes.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import Any, Literal

import numpy as np
from jaxtyping import Bool, Float, Float64, Int64
from scipy.special import expit

Method = Literal["decision_function", "predict_log_proba"]
# From an inverse penalty, and a generator for what is drawn, to a scikit-learn classifier.
Candidate = Callable[[float, np.random.Generator], Any]


@dataclass(frozen=True, eq=False)
class CrossFit:
    """One model a fold, and what each of them says of the fold that it did not see."""

    models: tuple[Any, ...]
    # (m,) log odds of the second of two classes; or (m, c) log-probabilities
    held_out: Float64[np.ndarray, "m ..."]

    def loss(self, codes: Int64[np.ndarray, " m"]) -> float:
        """Log loss on what was left out, in nats a sample."""
        from sklearn.metrics import log_loss

        if self.held_out.ndim == 1:
            return float(log_loss(codes, expit(self.held_out)))
        return -float(self.held_out[np.arange(len(codes)), codes].mean())


def cross_fitted(
    model: Any,  # noqa: ANN401 (any scikit-learn classifier)
    x: Float[np.ndarray, "m f"],
    codes: Int64[np.ndarray, " m"],
    *,
    folds: int,
    seed: int,
    method: Method = "decision_function",
) -> CrossFit:
    """Score every sample by a model of the other folds.

    A copy of the model is fitted for each of the ``folds`` of equal make-up, fewer where a class
    has fewer samples; every class from 0 on has at least two. ``method`` asks it for log odds of
    the second of two classes, or for log-probabilities.
    """
    from sklearn.base import clone
    from sklearn.model_selection import StratifiedKFold

    folds = min(folds, int(np.bincount(codes).min()))
    rows = list(StratifiedKFold(folds, shuffle=True, random_state=seed).split(x, codes))
    models = tuple(clone(model).fit(x[seen], codes[seen]) for seen, _ in rows)
    scores = [getattr(one, method)(x[out]) for one, (_, out) in zip(models, rows, strict=True)]
    order = np.argsort(np.concatenate([left_out for _, left_out in rows]))
    held_out = np.concatenate(scores)[order].astype(np.float64)
    if method == "predict_log_proba":
        # A probability of zero would make the loss infinite and a calibration undefined.
        held_out = np.maximum(held_out, np.log(np.finfo(float).tiny))
    return CrossFit(models, held_out)


def left_out_log_odds(  # noqa: PLR0913 (two sets, and how they are told apart)
    x: Float[np.ndarray, "m f"],
    wanted: Bool[np.ndarray, " m"],
    candidates: Sequence[Candidate],
    strengths: Sequence[float],
    *,
    folds: int,
    repeats: int,
    seed: int,
) -> Float64[np.ndarray, " m"]:
    """Log odds of every row for being ``wanted``, by models that did not see it.

    What predicts the rows left out best is chosen once, for all rows; its scores are then averaged
    over repetitions of the folds.

    Args:
        x: Finite.
        wanted: Whether a row belongs to the second of two sets, of at least two rows each.
        candidates: Kinds of classifier.
        strengths: Inverse penalties, flattest model first.
        folds: As in ``cross_fitted``.
        repeats: Repetitions of the folds.
        seed: Of the folds, and of what the candidates draw.
    """
    codes = wanted.astype(np.int64)

    def fit(candidate: Candidate, strength: float, repeat: int) -> CrossFit:
        generator = np.random.default_rng([seed, repeat])
        model = candidate(strength, generator)
        return cross_fitted(model, x, codes, folds=folds, seed=int(generator.integers(2**31)))

    tried: list[tuple[float, Candidate, float, CrossFit]] = []
    for candidate in candidates:
        lowest = np.inf
        for strength in strengths:
            found = fit(candidate, strength, 0)
            loss = found.loss(codes)
            if loss >= lowest:
                break  # fits ever more closely and ever more slowly from here on
            lowest = loss
            tried.append((loss, candidate, strength, found))
    _, candidate, strength, first = min(tried, key=itemgetter(0))
    rest = [fit(candidate, strength, repeat) for repeat in range(1, repeats)]
    return np.mean([one.held_out for one in (first, *rest)], axis=0)

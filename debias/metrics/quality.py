"""How well scores rank and how well they are calibrated, over any set of images."""

import numpy as np
from jaxtyping import Bool

from debias.metrics.outcomes import Outcomes
from debias.metrics.overall import calibration_error
from debias.statistics.areas import area_under_curve

QUALITIES = ("auroc", "expected_calibration_error", "calibration_bias")


def quality(outcomes: Outcomes, which: Bool[np.ndarray, " n"] | None = None) -> dict[str, float]:
    """Means over trainings; NaN where there is no score, or a single class.

    Args:
        outcomes: Predictions of one classifier.
        which: (n,) images to look at; None for all.

    Returns:
        ``auroc`` (two classes only), ``expected_calibration_error`` of the predicted class, and
        ``calibration_bias``, the share of positives minus the mean score (two classes only):
        positive where the scores are too low.
    """
    if outcomes.score is None:
        return dict.fromkeys(QUALITIES, float("nan"))
    rows = slice(None) if which is None else np.flatnonzero(which)
    y_true = outcomes.y_true[rows]
    if not len(y_true):
        return dict.fromkeys(QUALITIES, float("nan"))
    found = [
        _of_one(outcomes, y_true, y_pred[rows], score[rows])
        for y_pred, score in zip(outcomes.y_pred, outcomes.score, strict=True)
    ]
    return {name: float(np.mean([one[name] for one in found])) for name in QUALITIES}


def _of_one(
    outcomes: Outcomes, y_true: np.ndarray, y_pred: np.ndarray, score: np.ndarray
) -> dict[str, float]:
    confidence = np.take_along_axis(score, y_pred[:, None], axis=1)[:, 0]
    found = {"expected_calibration_error": calibration_error(y_true == y_pred, confidence)}
    if outcomes.positive is None:
        return found | {"auroc": float("nan"), "calibration_bias": float("nan")}
    column = outcomes.classes.index(outcomes.positive)
    positive = y_true == column
    area = area_under_curve(score[positive, column], score[~positive, column]).value
    bias = float(positive.mean() - score[:, column].mean())
    return found | {"auroc": area, "calibration_bias": bias}

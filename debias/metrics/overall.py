"""What a classifier does over all samples, whatever their group."""

import numpy as np
from jaxtyping import Bool, Float64, Int64

from debias.metrics.rates import RATES, confusion, measures
from debias.statistics.areas import area_under_curve
from debias.statistics.counts import counted, ratio

CALIBRATION_BINS = 15


def overall(
    y_true: Int64[np.ndarray, " n"],
    y_pred: Int64[np.ndarray, " n"],
    score: Float64[np.ndarray, " n"],
) -> dict[str, float]:
    """Every registered rate, the area under the ROC curve, the calibration error and n."""
    table = confusion(y_true, y_pred, np.zeros(len(y_true), dtype=np.int64), 1)
    rates = dict(zip(RATES, ratio(*counted(table, measures(("0", "1"), "1")))[0], strict=True))
    return {
        **{name: float(value) for name, value in rates.items()},
        "auroc": area_under_curve(score[y_true == 1], score[y_true == 0]).value,
        "expected_calibration_error": expected_calibration_error(y_true, y_pred, score),
        "n": float(len(y_true)),
    }


def expected_calibration_error(
    y_true: Int64[np.ndarray, " n"],
    y_pred: Int64[np.ndarray, " n"],
    score: Float64[np.ndarray, " n"],
    bins: int = CALIBRATION_BINS,
) -> float:
    """Mean distance between confidence and accuracy over bins, weighted by samples per bin.

    Confidence is the probability given to the predicted class: ``score`` where class 1 was
    predicted, else ``1 - score``. The bins divide [0, 1] equally, each closed on the right, the
    first on both sides; at a threshold of 0.5 only those above 0.5 are used.

    Args:
        y_true: (n,) in {0, 1}.
        y_pred: (n,) in {0, 1}.
        score: (n,) probability of class 1.
        bins: Number of bins over [0, 1].

    Returns:
        In [0, 1]; the sum over bins of ``|correct - summed confidence| / n``.

    Reference:
        Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3.
    """
    return calibration_error(y_true == y_pred, np.where(y_pred == 1, score, 1 - score), bins)


def calibration_error(
    correct: Bool[np.ndarray, " n"],
    confidence: Float64[np.ndarray, " n"],
    bins: int = CALIBRATION_BINS,
) -> float:
    """The same, of the probability given to the predicted class among any number of classes."""
    index = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    excess = np.bincount(index, weights=correct - confidence, minlength=bins)
    return float(np.abs(excess).sum() / len(confidence))

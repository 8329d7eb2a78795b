"""Measures how a classifier treats each group, with counts and intervals.

Grow it by one entry: a rate in ``RATES``, a summary over groups in ``DISPARITIES``.
"""

from debias.metrics.changes import QUANTITIES, SEEDS_NEEDED, Change, paired_change
from debias.metrics.dependence import Association, association
from debias.metrics.disaggregation import CROSS
from debias.metrics.disparities import DISPARITIES, Disparity
from debias.metrics.evaluation import FairnessReport, evaluate_predictions
from debias.metrics.intervals import clopper_pearson
from debias.metrics.overall import expected_calibration_error
from debias.metrics.rates import RATES, Rate
from debias.metrics.seeds import summarise
from debias.ranking import auc_by_group

__all__ = [
    "CROSS",
    "DISPARITIES",
    "QUANTITIES",
    "RATES",
    "SEEDS_NEEDED",
    "Association",
    "Change",
    "Disparity",
    "FairnessReport",
    "Rate",
    "association",
    "auc_by_group",
    "clopper_pearson",
    "evaluate_predictions",
    "expected_calibration_error",
    "paired_change",
    "summarise",
]

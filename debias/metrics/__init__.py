"""Measures how a classifier treats each group, and what may be said about it.

Where to look, in the order in which numbers travel:

- columns in: ``outcomes`` (checked), ``rules`` (what was decided beforehand)
- counts: ``rates``, ``cells``
- groups, intervals, people who repeat and what is withheld: the room ``statistics``
- one classifier: ``gaps``, ``spread`` and ``ratios``, ``noise``, ``scores``, ``verdicts``,
  ``words``, put together in ``evaluation`` as a ``fairness_report``
- before and after: ``pairing``, ``paired``, ``paired_intervals``, ``change_tables``,
  ``change_verdicts``, ``change_words``, ``trade``, put together in ``comparison``
- into files: ``documents``
- each training of an arm, and what retraining changes: ``trainings``, ``disparities``; ``skill``
  tells whether any of them is better than guessing

Grow it by one entry: a rate in ``RATES``, a summary over groups in ``DISPARITIES``.
"""

from debias.metrics.comparison import ComparisonReport, compare, compare_pairs
from debias.metrics.disparities import DISPARITIES, Disparity
from debias.metrics.evaluation import evaluate, report_on
from debias.metrics.fairness_report import FairnessReport
from debias.metrics.outcomes import Outcomes, outcomes_of_trainings
from debias.metrics.rates import RATES, Rate
from debias.metrics.rules import Rules
from debias.metrics.skill import Skill, skill_of
from debias.metrics.trainings import (
    QUANTITIES,
    Change,
    Training,
    each_training,
    paired_change,
    summarise,
)
from debias.statistics.areas import auc_by_group
from debias.statistics.dependence import Association, association
from debias.statistics.groupings import CROSS
from debias.statistics.intervals import bonferroni_level, clopper_pearson
from debias.statistics.power import detectable_gap, size_needed
from debias.statistics.withholding import hidden_counts
from debias.storage.documents import json_text

__all__ = [
    "CROSS",
    "DISPARITIES",
    "QUANTITIES",
    "RATES",
    "Association",
    "Change",
    "ComparisonReport",
    "Disparity",
    "FairnessReport",
    "Outcomes",
    "Rate",
    "Rules",
    "Skill",
    "Training",
    "association",
    "auc_by_group",
    "bonferroni_level",
    "clopper_pearson",
    "compare",
    "compare_pairs",
    "detectable_gap",
    "each_training",
    "evaluate",
    "hidden_counts",
    "json_text",
    "outcomes_of_trainings",
    "paired_change",
    "report_on",
    "size_needed",
    "skill_of",
    "summarise",
]

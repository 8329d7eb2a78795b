"""Measures how a classifier treats each group, and what may be said about it.

Where to look, in the order in which numbers travel:

- columns in: ``outcomes`` (checked), ``rules`` (what was decided beforehand)
- counts: ``rates``; what is withheld, intervals and people who repeat: the room ``statistics``
- one classifier: ``gaps`` (counts of each group, and differences), ``spread``, ``scores``, put
  together in ``evaluation`` as a ``fairness_report``
- before and after: ``primary`` (what is asked first), ``paired`` (arithmetic) and ``changes``
  (tables) of all groups, put together in ``comparison``
- what may be said of both: ``verdicts``, in English ``words``
- each training of an arm by itself: ``trainings``

Grow it by one entry: a rate in ``RATES``, a summary over groups in ``DISPARITIES``.
"""

from debias.metrics.comparison import ComparisonReport, compare, compare_pairs
from debias.metrics.evaluation import evaluate, report_on
from debias.metrics.fairness_report import FairnessReport
from debias.metrics.outcomes import Outcomes, outcomes_of_trainings
from debias.metrics.rates import DISPARITIES, RATES, Rate
from debias.metrics.rules import Rules
from debias.metrics.scores import skill_of
from debias.metrics.trainings import (
    Training,
    each_training,
    summarise,
)
from debias.statistics.intervals import detectable_gap, size_needed

__all__ = [
    "DISPARITIES",
    "RATES",
    "ComparisonReport",
    "FairnessReport",
    "Outcomes",
    "Rate",
    "Rules",
    "Training",
    "compare",
    "compare_pairs",
    "detectable_gap",
    "each_training",
    "evaluate",
    "outcomes_of_trainings",
    "report_on",
    "size_needed",
    "skill_of",
    "summarise",
]

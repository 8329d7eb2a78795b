"""The steps of a run, an audit and a study: each makes a value from finished ones, and says so.

A step that finds its content key among the finished artifacts does nothing. ``flows/`` makes a
task of every stop of a plan; ``mitigate``, ``examine`` and ``survey`` walk it.
"""

from debias.pipeline.job import Job, Run, Study, open_job, open_run, open_study
from debias.pipeline.plans import AUDIT, RUN, STUDY, Stop, examine, mitigate, plan_of, survey, walk
from debias.tracking.tracker import Progress, Silence

__all__ = [
    "AUDIT",
    "RUN",
    "STUDY",
    "Job",
    "Progress",
    "Run",
    "Silence",
    "Stop",
    "Study",
    "examine",
    "mitigate",
    "open_job",
    "open_run",
    "open_study",
    "plan_of",
    "survey",
    "walk",
]

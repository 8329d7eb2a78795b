"""The steps of a run and of an audit: each makes a value from finished ones, and says so.

A step that finds its content key among the finished artifacts does nothing. ``flows/`` makes a
task of every stop of a plan; ``mitigate`` and ``examine`` walk it.
"""

from debias.pipeline.job import Job, Run, open_job, open_run
from debias.pipeline.plans import AUDIT, RUN, Stop, examine, mitigate, walk
from debias.tracking.tracker import Progress, Silence

__all__ = [
    "AUDIT",
    "RUN",
    "Job",
    "Progress",
    "Run",
    "Silence",
    "Stop",
    "examine",
    "mitigate",
    "open_job",
    "open_run",
    "walk",
]

"""The stages of a run: each loads values, calls one room, saves and publishes what it made.

A stage that finds its content key among the finished artifacts does nothing. ``flows/`` wraps
these functions in tasks; ``mitigate`` calls them one after another.
"""

from debias.pipeline.audit import AuditParts, build_audit
from debias.pipeline.classifier import build_classifier
from debias.pipeline.comparison import build_report
from debias.pipeline.earlier import build_earlier
from debias.pipeline.faces import build_faces, build_reference
from debias.pipeline.parts import Stages
from debias.pipeline.plans import mitigate
from debias.pipeline.representation import build_representation
from debias.pipeline.representativeness import build_audited_faces, examine
from debias.pipeline.step import Job, Run, open_job, open_run
from debias.pipeline.weights import build_arm, build_weights, usable
from debias.tracking.progress import Progress, Silence

__all__ = [
    "AuditParts",
    "Job",
    "Progress",
    "Run",
    "Silence",
    "Stages",
    "build_arm",
    "build_audit",
    "build_audited_faces",
    "build_classifier",
    "build_earlier",
    "build_faces",
    "build_reference",
    "build_report",
    "build_representation",
    "build_weights",
    "examine",
    "mitigate",
    "open_job",
    "open_run",
    "usable",
]

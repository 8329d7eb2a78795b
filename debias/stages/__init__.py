"""The stages of a run: each loads values, calls one room, saves and publishes what it made.

A stage that finds its content key among the finished artifacts does nothing. ``flows/`` wraps
these functions in tasks; ``mitigate`` calls them one after another.
"""

from debias.progress import Progress, Silence
from debias.stages.audit import AuditParts, build_audit
from debias.stages.classifier import build_classifier
from debias.stages.earlier import build_earlier
from debias.stages.faces import build_faces
from debias.stages.mitigate import mitigate
from debias.stages.parts import Stages
from debias.stages.reference import build_reference
from debias.stages.report import build_report
from debias.stages.representation import build_representation
from debias.stages.representativeness import build_audited_faces, examine
from debias.stages.run import Job, Run, open_job, open_run
from debias.stages.weights import build_arm, build_weights, usable

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

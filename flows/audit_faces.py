"""An audit as a Prefect flow, with or without a server.

    python -m flows.audit_faces configs/utkface.yaml
    prefect deployment run audit-faces

Stages that are finished in the folder are found there by their content; see flows/debias_faces.py.
"""

import sys
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from debias import stages
from debias.artifacts import Artifact
from debias.audit_summary import as_markdown
from debias.config import SpaceRecipe, load_space, parse_space
from debias.source import AUDIT_DEMO
from debias.stages import AuditParts, Job
from flows.tasks import Log, connected, flow_tags, stage

DEMO = parse_space(AUDIT_DEMO)


@stage("faces")
def faces(config: SpaceRecipe, out: str) -> Artifact:
    return stages.build_audited_faces(opened(config, out))


@stage("reference")
def reference(config: SpaceRecipe, out: str, store: Artifact) -> Artifact | None:
    return stages.build_reference(opened(config, out), store)


@stage("earlier version")
def earlier(config: SpaceRecipe, out: str) -> Artifact | None:
    return stages.build_earlier(opened(config, out))


@stage("representation")
def representation(config: SpaceRecipe, out: str, store: Artifact) -> Artifact:
    return stages.build_representation(opened(config, out), store)


@stage("audit")
def audit(config: SpaceRecipe, out: str, parts: AuditParts) -> list[str]:
    document = stages.build_audit(opened(config, out), parts)
    create_markdown_artifact(as_markdown(document), key="audit-faces", description="Who is missing")
    return [verdict["sentence"] for verdict in document["verdicts"]]


@flow(name="audit-faces", persist_result=False)
def audit_faces(config: SpaceRecipe = DEMO, out: str = "") -> list[str]:
    """Say who is missing from a collection of faces; the page lies in the folder.

    Args:
        config: The recipe; by default drawn faces.
        out: Folder; by default runs/NAME below the working directory. In the folder of a run of
            the same recipe, its decoded faces and its autoencoder are used.
    """
    out = out or str(Path("runs") / config.name)
    store = faces(config, out)
    wanted = reference(config, out, store) if config.reference else None
    before = earlier(config, out) if config.earlier else None
    latents = representation(config, out, store)
    return audit(config, out, AuditParts(store, latents, wanted, before))


def opened(config: SpaceRecipe, out: str) -> Job:
    """The job, with the tracker told which flow run it belongs to."""
    job = stages.open_job(config, Path(out), progress=Log(), tags=flow_tags())
    return job.with_tracking(connected(config.tracking, Path(out).parent))


if __name__ == "__main__":
    audit_faces(load_space(Path(sys.argv[1])) if len(sys.argv) > 1 else DEMO)

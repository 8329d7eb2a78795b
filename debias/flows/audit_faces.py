"""An audit as a Prefect flow, with or without a server.

    python -m debias.flows.audit_faces my.yaml
    prefect deployment run audit-faces --param recipe=my.yaml

Stages that are finished in the folder are found there by their content; see debias_faces.py.
"""

import sys
from pathlib import Path

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from debias import pipeline as stages
from debias.flows.recipes import AuditedRecipe, audit_recipe, named
from debias.flows.summary import audit_as_markdown
from debias.flows.tasks import Log, artifact_key, connected, flow_tags, plainly, stage
from debias.pipeline import AuditParts, Job
from debias.pipeline.recipe import SpaceRecipe
from debias.storage.artifacts import Artifact


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
    key = artifact_key("audit-faces", config.name)
    create_markdown_artifact(audit_as_markdown(document), key=key, description="Who is missing")
    return [verdict["sentence"] for verdict in document["verdicts"]]


@flow(name="audit-faces", flow_run_name=named(audit_recipe, AuditedRecipe), persist_result=False)
@plainly
def audit_faces(
    recipe: str = "", changes: str = "", config: AuditedRecipe | None = None, out: str = ""
) -> list[str]:
    """Say who is missing from a collection of faces; the page lies in the folder.

    Args:
        recipe: Path of a recipe on the worker, of an audit or a run, read at every run; empty:
            drawn faces.
        changes: Settings to change, one `section.key=value` a line, such as `image_size=96`.
        config: A whole recipe instead of a file.
        out: Folder; empty: runs/NAME below the working directory of the worker. In the folder of
            a run of the same recipe, its decoded faces and its autoencoder are used.
    """
    chosen = audit_recipe(recipe, changes, config)
    return examined(chosen, out or str(Path("runs") / chosen.name))


def examined(config: SpaceRecipe, out: str) -> list[str]:
    """All tasks in their order; the sentences of the verdicts."""
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
    audit_faces(recipe="".join(sys.argv[1:2]))

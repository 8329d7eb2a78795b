"""The main job as a Prefect flow, with or without a server.

    python -m debias.flows.debias_faces my.yaml
    prefect deployment run debias-faces --param recipe=my.yaml

A stage that is finished in the run folder is found there by its content, so a retried or repeated
flow run continues where the last one stopped; Prefect's own result cache is off.
"""

import sys
from pathlib import Path
from typing import Any

from prefect import flow
from prefect.artifacts import create_markdown_artifact

from debias import pipeline as stages
from debias.flows.recipes import named, run_recipe
from debias.flows.summary import as_markdown
from debias.flows.tasks import Log, artifact_key, connected, flow_tags, plainly, stage
from debias.pipeline import Run, Stages
from debias.pipeline.recipe import RunConfig
from debias.storage.artifacts import Artifact


@stage("faces")
def faces(config: RunConfig, out: str) -> Artifact:
    return stages.build_faces(opened(config, out))


@stage("representation")
def representation(config: RunConfig, out: str, store: Artifact) -> Artifact:
    return stages.build_representation(opened(config, out), store)


@stage("reference")
def reference(config: RunConfig, out: str, store: Artifact) -> Artifact | None:
    return stages.build_reference(opened(config, out), store)


@stage("weights {arm}")
def weights(
    config: RunConfig,
    out: str,
    store: Artifact,
    latents: Artifact,
    wanted: Artifact | None,
    arm: str,
) -> Artifact | str:
    return stages.build_arm(opened(config, out), store, latents, wanted, arm)


@stage("classifier {arm} seed {seed}")
def classifier(
    config: RunConfig, out: str, store: Artifact, arm_weights: Artifact, arm: str, seed: int
) -> Artifact:
    return stages.build_classifier(opened(config, out), store, arm_weights, arm, seed)


@stage("report")
def report(config: RunConfig, out: str, finished: Stages) -> dict[str, Any]:
    document = stages.build_report(opened(config, out), finished)
    key = artifact_key("debias-faces", config.name)
    create_markdown_artifact(as_markdown(document), key=key, description="Comparison")
    return {arm: found["mean"]["accuracy"] for arm, found in document["arms"].items()}


@flow(name="debias-faces", flow_run_name=named(run_recipe, RunConfig), persist_result=False)
@plainly
def debias_faces(
    recipe: str = "", changes: str = "", config: RunConfig | None = None, out: str = ""
) -> dict[str, Any]:
    """Train, weigh, retrain and compare; the report lies in the run folder.

    Args:
        recipe: Path of a recipe on the worker, read at every run; empty: the built-in demo.
        changes: Settings to change, one `section.key=value` a line, such as `seeds=5`.
        config: A whole recipe instead of a file.
        out: Run folder; empty: runs/NAME below the working directory of the worker.
    """
    chosen = run_recipe(recipe, changes, config)
    return compared(chosen, out or str(Path("runs") / chosen.name))


def compared(config: RunConfig, out: str) -> dict[str, Any]:
    """All tasks in their order; accuracy by arm."""
    store = faces(config, out)
    wanted = reference(config, out, store) if config.reference else None
    latents = representation(config, out, store)
    made = {arm: weights(config, out, store, latents, wanted, arm) for arm in config.arms}
    arms, refused = stages.usable(made)
    classifiers = {
        arm: [classifier(config, out, store, found, arm, seed) for seed in range(config.seeds)]
        for arm, found in arms.items()
    }
    return report(config, out, Stages(store, latents, wanted, arms, classifiers, refused))


def opened(config: RunConfig, out: str) -> Run:
    """The run, with the tracker told which flow run it belongs to."""
    run = stages.open_run(config, Path(out), progress=Log(), tags=flow_tags())
    return run.with_tracking(connected(config.tracking, Path(out).parent))


if __name__ == "__main__":
    debias_faces(recipe="".join(sys.argv[1:2]))

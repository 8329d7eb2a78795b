"""The main job as a Prefect flow, with or without a server.

    python -m flows.debias_faces configs/demo.yaml
    prefect deployment run debias-faces

A stage that is finished in the run folder is found there by its content, so a retried or repeated
flow run continues where the last one stopped; Prefect's own result cache is off.
"""

import functools
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from prefect import flow, get_run_logger
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.runtime import flow_run
from prefect.tasks import Task

from debias import stages
from debias.artifacts import Artifact
from debias.config import RunConfig, load_config
from debias.errors import ArtifactCorruptError, ArtifactError
from debias.progress import Advance
from debias.recording import choose_tracking
from debias.stages import Run, Stages
from debias.summary import as_markdown

P = ParamSpec("P")
R = TypeVar("R")
DEMO = RunConfig()


def worth_a_retry(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Only what may pass by itself: storage and input/output, never bad data or bad settings."""
    error = state.result(raise_on_failure=False)
    lasting = FileNotFoundError | PermissionError | ArtifactCorruptError
    return isinstance(error, OSError | ArtifactError) and not isinstance(error, lasting)


def stage(name: str) -> Callable[[Callable[P, R]], Task[P, R]]:
    """A task without Prefect's own cache: the run folder knows what is finished.

    Arguments are a recipe, a folder and content keys: small, and safe to show in the server.
    """

    def wrap(function: Callable[P, R]) -> Task[P, R]:
        return Task(
            function,
            task_run_name=name,
            cache_policy=NO_CACHE,
            persist_result=False,
            retries=2,
            retry_delay_seconds=5,
            retry_condition_fn=worth_a_retry,
        )

    return wrap


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
) -> Artifact:
    return stages.build_weights(opened(config, out), store, latents, wanted, arm)


@stage("classifier {arm} seed {seed}")
def classifier(
    config: RunConfig, out: str, store: Artifact, arm_weights: Artifact, arm: str, seed: int
) -> Artifact:
    return stages.build_classifier(opened(config, out), store, arm_weights, arm, seed)


@stage("report")
def report(config: RunConfig, out: str, finished: Stages) -> dict[str, Any]:
    document = stages.build_report(opened(config, out), finished)
    create_markdown_artifact(as_markdown(document), key="debias-faces", description="Comparison")
    return {arm: found["mean"]["accuracy"] for arm, found in document["arms"].items()}


@flow(name="debias-faces", persist_result=False)
def debias_faces(config: RunConfig = DEMO, out: str = "") -> dict[str, Any]:
    """Train, weigh, retrain and compare; the report lies in the run folder.

    Args:
        config: The recipe; by default the built-in demo.
        out: Run folder; by default runs/NAME below the working directory.
    """
    out = out or str(Path("runs") / config.name)
    store = faces(config, out)
    wanted = reference(config, out, store) if config.reference else None
    latents = representation(config, out, store)
    arms = {arm: weights(config, out, store, latents, wanted, arm) for arm in config.arms}
    classifiers = {
        arm: [classifier(config, out, store, found, arm, seed) for seed in range(config.seeds)]
        for arm, found in arms.items()
    }
    return report(config, out, Stages(store, latents, wanted, arms, classifiers))


class Log:
    """Reports progress to the flow run's log."""

    def start(self, title: str, total: int) -> Advance:
        logger, left = get_run_logger(), [total]

        def advance(note: str, steps: int = 1) -> None:
            left[0] -= steps
            if left[0] == 0:
                logger.info("%s done. %s", title, note)

        return advance

    def reused(self, title: str) -> None:
        get_run_logger().info("%s reused: finished before with the same content", title)


def opened(config: RunConfig, out: str) -> Run:
    """The run, with the tracker told which flow run it belongs to."""
    tags = {"prefect.flow_run_id": str(flow_run.id), "prefect.flow_run_url": flow_run.ui_url or ""}
    run = stages.open_run(config, Path(out), progress=Log(), tags=tags)
    return run.with_tracking(connected(config.tracking, Path(out).parent))


# Connecting takes seconds, and every task of a flow run asks.
connected = functools.cache(choose_tracking)


if __name__ == "__main__":
    debias_faces(load_config(Path(sys.argv[1])) if len(sys.argv) > 1 else DEMO)

"""How a stage becomes a Prefect task, and what every task of a flow shares."""

import functools
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from prefect import get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.runtime import flow_run
from prefect.states import Failed
from prefect.tasks import Task

from debias.errors import ArtifactCorruptError, ArtifactError, PipelineError
from debias.pipeline import AUDIT, RUN, Job, Stop, open_job, open_run, walk
from debias.pipeline.plans import Made, Which
from debias.pipeline.recipe import RunConfig, SpaceRecipe
from debias.tracking.progress import Advance
from debias.tracking.tracker import choose_tracking

P = ParamSpec("P")
R = TypeVar("R")


def worth_a_retry(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Only what may pass by itself: storage and input/output, never bad data or bad settings."""
    error = state.result(raise_on_failure=False)
    lasting = FileNotFoundError | PermissionError | ArtifactCorruptError
    return isinstance(error, OSError | ArtifactError) and not isinstance(error, lasting)


def walked(plan: tuple[Stop, ...], config: SpaceRecipe, out: str) -> dict[str, Any]:
    """All stops of a plan in their order, each a task; what the last one made."""

    def do(stop: Stop, which: Which, inputs: Made) -> object:
        return piece(stop.title(which), plan.index(stop), config, out, which, inputs)

    document: dict[str, Any] = walk(plan, config, do)
    return document


# No cache of Prefect's own: the run folder knows what is finished. Arguments are a recipe, a folder
# and content keys: small, and safe to show in the server.
@task(
    task_run_name="{title}",
    cache_policy=NO_CACHE,
    persist_result=False,
    retries=2,
    retry_delay_seconds=5,
    retry_condition_fn=worth_a_retry,
)
def piece(
    title: str, place: int, config: SpaceRecipe, out: str, which: Which, inputs: Made
) -> object:
    """One piece of work of the stop at this place of the plan of a recipe."""
    plan = RUN if isinstance(config, RunConfig) else AUDIT
    return plan[place].make(opened(config, out), *which, **inputs)


def opened(config: SpaceRecipe, out: str) -> Job:
    """The job, with the tracker told which flow run it belongs to."""
    folder, log, tags = Path(out), Log(), flow_tags()
    job = (
        open_run(config, folder, progress=log, tags=tags)
        if isinstance(config, RunConfig)
        else open_job(config, folder, progress=log, tags=tags)
    )
    return job.with_tracking(connected(config.tracking, folder.parent))


def plainly(function: Callable[P, R]) -> Callable[P, R | State[Any]]:
    """A flow whose failed runs say in their state what was wrong, in the words of the error."""

    @functools.wraps(function)
    def run(*args: P.args, **settings: P.kwargs) -> R | State[Any]:
        try:
            return function(*args, **settings)
        except PipelineError as error:
            return Failed(message=f"{type(error).__name__}: {error}", data=error)

    return run


def artifact_key(flow: str, recipe: str) -> str:
    """Where Prefect's page collects the artifacts of one recipe; it allows a-z, 0-9 and dashes."""
    return f"{flow}-{re.sub('[^a-z0-9]+', '-', recipe.lower()).strip('-')}"


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

    def note(self, text: str) -> None:
        get_run_logger().warning(text)


def flow_tags() -> Mapping[str, str]:
    """Tags by which a tracked run leads back to its flow run."""
    return {"prefect.flow_run_id": str(flow_run.id), "prefect.flow_run_url": flow_run.ui_url or ""}


# Connecting takes seconds, and every task of a flow run asks.
connected = functools.cache(choose_tracking)

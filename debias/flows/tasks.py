"""What flows share: which recipe a run works on, and how a stage becomes a Prefect task."""

import functools
import os
import re
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ParamSpec, TypeVar, cast

from httpx import HTTPError
from prefect import get_run_logger, task
from prefect.artifacts import create_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State, TaskRun
from prefect.exceptions import PrefectHTTPStatusError
from prefect.futures import PrefectFuture
from prefect.runtime import deployment, flow_run
from prefect.settings import PREFECT_API_URL
from prefect.states import Crashed, Failed
from prefect.tasks import Task
from prefect.utilities.annotations import quote
from pydantic import ConfigDict, ValidationError, model_validator

from debias.errors import (
    ArtifactCorruptError,
    ArtifactError,
    ConfigError,
    PipelineError,
    memory_explained,
)
from debias.ingesting.rules import FacesRecipe
from debias.pipeline import Job, Stop, open_job, open_run, open_study, plan_of, source, walk
from debias.pipeline.plans import Made, Which, make_piece
from debias.pipeline.recipe import RunConfig, SpaceRecipe, load, part_of
from debias.pipeline.study_recipe import StudyConfig
from debias.pipeline.workers import Alone, Hands, Pool, hired
from debias.plugins import dump
from debias.tracking.servers import without_password
from debias.tracking.tracker import Advance, choose_tracking

P = ParamSpec("P")
R = TypeVar("R")
S = TypeVar("S", bound=SpaceRecipe)
UNANSWERED = (HTTPError, PrefectHTTPStatusError)  # by Prefect's server
OF_WORKER = "PREFECT__FLOW_RUN_ID"  # set by Prefect in what a worker starts
LOST_WORKER = (
    "The worker that started this run is gone, so nobody could watch or cancel it. Finished steps "
    "are kept, and so is a training up to its last checkpoint; run the deployment again to go on."
)
ONLY_RUNS = sorted(set(RunConfig.model_fields) - set(SpaceRecipe.model_fields))


class AuditedRecipe(SpaceRecipe):
    """The recipe of an audit, or of a run: what only a run needs is left alone."""

    # As a pattern, because the form shows every property that is listed.
    model_config = ConfigDict(
        json_schema_extra={"patternProperties": {f"^({'|'.join(ONLY_RUNS)})$": {}}}
    )

    @model_validator(mode="before")
    @classmethod
    def _part(cls, tree: Any) -> Any:  # noqa: ANN401 (raw configuration)
        return part_of(tree, SpaceRecipe) if isinstance(tree, Mapping) else tree


def run_recipe(recipe: str = "", changes: str = "", config: RunConfig | None = None) -> RunConfig:
    """The recipe of a run; without a file and a whole recipe, the built-in demo.

    A relative path of ``recipe`` counts from the working directory; ``changes`` are lines of
    ``section.key=value``, applied last.

    Raises:
        ConfigError: A file and a whole recipe are given, or a setting is wrong.
    """
    return _recipe(RunConfig, source.run_recipe, recipe, changes, config)


def audit_recipe(
    recipe: str = "", changes: str = "", config: SpaceRecipe | None = None
) -> SpaceRecipe:
    """Likewise for an audit, which takes the recipe of a run as well."""
    return _recipe(SpaceRecipe, source.audit_recipe, recipe, changes, config)


def study_recipe(
    recipe: str = "", changes: str = "", config: StudyConfig | None = None
) -> StudyConfig:
    """Likewise for a study, whose recipe must be given."""
    return _recipe(StudyConfig, source.study_recipe, recipe, changes, config)


def _recipe(
    kind: type[S],
    made: Callable[[source.Request], S],
    recipe: str,
    changes: str,
    config: SpaceRecipe | None,
) -> S:
    lines = [line.strip() for line in changes.splitlines() if line.strip()]
    if config is None:
        place = Path(recipe).absolute() if recipe else None
        return made(source.Request(source=place, overrides=lines))
    if recipe:
        raise ConfigError(
            f"both recipe ({recipe}) and config, a whole recipe, are given; leave one of them empty"
        )
    tree = dump(config) | {"workers": config.workers}
    return load(kind, tree, lines, called="the recipe in 'config'")


def named(chosen: Callable[..., FacesRecipe], kind: type[FacesRecipe]) -> Callable[[], str]:
    """What Prefect calls to name a flow run: the name in its recipe."""

    def name() -> str:
        given = {key: value for key, value in flow_run.parameters.items() if key != "out"}
        try:
            if given.get("config") is not None:  # Prefect asks before it has checked anything
                given["config"] = kind.model_validate(given["config"])
            return chosen(**given).name
        except (PipelineError, ValidationError):  # the run itself says what is wrong
            return Path(given.get("recipe") or str(flow_run.flow_name)).stem

    return name


def worth_a_retry(task: Task[..., Any], run: TaskRun, state: State[Any]) -> bool:
    """Only what may pass by itself: storage and input/output, never bad data or bad settings."""
    error = state.result(raise_on_failure=False)
    lasting = FileNotFoundError | PermissionError | ArtifactCorruptError
    return isinstance(error, OSError | ArtifactError) and not isinstance(error, lasting)


def walked(plan: tuple[Stop, ...], config: SpaceRecipe, out: str) -> Any:  # noqa: ANN401 (a document)
    """All stops of a plan, each a task; what the last one made."""
    with hired(opened(config, out)) as hands:

        def do(stop: Stop, which: Which, inputs: Made) -> object:
            begin = piece if stop.here or isinstance(hands, Alone) else piece.submit
            title, place = stop.title(which), plan.index(stop)
            lent = cast(Hands, quote(hands))  # handed on as it is, not searched for results
            return begin(title, place, which, inputs, lent, config, out)

        document = walk(plan, config, do, waited_for)
    if lost := opened(config, out).unpublished():
        get_run_logger().warning(lost)
    return document


def waited_for(made: Any) -> Any:  # noqa: ANN401 (an artifact, a document)
    return made.result() if isinstance(made, PrefectFuture) else made


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
def piece(  # noqa: PLR0913 (what a task of Prefect is shown with)
    title: str, place: int, which: Which, inputs: Made, hands: Hands, config: SpaceRecipe, out: str
) -> object:
    """One piece of work of the stop at this place of the plan of a recipe."""
    make = partial(make_piece, place, which)
    if isinstance(hands, Pool) and not plan_of(config)[place].here:
        return hands.alone(hands.do(make, title, inputs))
    return make(opened(config, out), **inputs)


def opened(config: SpaceRecipe, out: str) -> Job:
    folder, log, tags = Path(out), Log(), flow_tags()
    if isinstance(config, RunConfig):
        job: Job = replace(open_run(config, folder, progress=log, tags=tags), command=typed())
    elif isinstance(config, StudyConfig):
        job = replace(open_study(config, folder, progress=log, tags=tags), command=typed())
    else:
        job = open_job(config, folder, progress=log, tags=tags)
    return job.with_tracking(connected(config.tracking, folder.parent))


def plainly(function: Callable[P, R]) -> Callable[P, R | State[Any]]:
    """A flow whose failed runs say in their state what was wrong, in the words of the error.

    Started by a worker, it ends with it.
    """

    @functools.wraps(function)
    def run(*args: P.args, **settings: P.kwargs) -> R | State[Any]:
        worker = os.getppid() if OF_WORKER in os.environ else None
        if worker:
            threading.Thread(target=end_with, args=(worker,), daemon=True).start()
        try:
            with memory_explained():
                return function(*args, **settings)
        except PipelineError as error:
            return Failed(message=f"{type(error).__name__}: {error}", data=error)
        except SystemExit:  # what becomes of SIGTERM here
            if worker in (None, os.getppid()):
                raise
            return Crashed(message=LOST_WORKER)

    return run


def end_with(parent: int) -> None:
    """End this process, as SIGTERM does, once its parent is gone."""
    while os.getppid() == parent:
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)


def main(flow: Callable[..., object]) -> None:
    """Run a flow as it was typed; an expected problem becomes one paragraph and its exit code."""
    try:
        flow(recipe="".join(sys.argv[1:2]))
    except PipelineError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        sys.exit(error.exit_code)
    except (HTTPError, RuntimeError) as error:
        address = without_password(PREFECT_API_URL.value() or "")
        if not address or not (isinstance(error, HTTPError) or "reach API" in str(error)):
            raise
        sys.stderr.write(
            f"PipelineError: Prefect does not answer at {address}: start it there, or unset "
            "PREFECT_API_URL to run without a server\n"
        )
        sys.exit(PipelineError.exit_code)


def artifact_key(flow: str, recipe: str) -> str:
    """Where Prefect's page collects the artifacts of one recipe; it allows a-z, 0-9 and dashes."""
    return f"{flow}-{re.sub('[^a-z0-9]+', '-', recipe.lower()).strip('-')}"


def show(recipe: str, text: str, description: str) -> None:
    """Put a summary on Prefect's page, if the server is there: what was made lies in the folder."""
    key = artifact_key(str(flow_run.flow_name), recipe)
    try:
        create_markdown_artifact(text, key=key, description=description)
    except UNANSWERED as error:
        get_run_logger().warning("Prefect does not show the summary (%s).", error)


class Log:
    """Says what goes on in the log of the run in which it is made, from whichever thread."""

    def __init__(self) -> None:
        self.logger = get_run_logger()

    def start(self, title: str, total: int) -> Advance:
        logger, left = self.logger, [total]

        def advance(note: str, steps: int = 1) -> None:
            left[0] -= steps
            if left[0] == 0:
                logger.info("%s done. %s", title, note)

        return advance

    def reused(self, title: str) -> None:
        self.logger.info("%s reused: finished before with the same content", title)

    def note(self, text: str) -> None:
        self.logger.warning(text)


def typed() -> str:
    """The command that starts this deployment again; empty for a flow run without one."""
    if not deployment.name:
        return ""
    changes = str(flow_run.parameters.get("changes") or "").strip()
    given = ["--param", f"changes={changes}"] if changes else []
    name = f"{flow_run.flow_name}/{deployment.name}"
    return shlex.join(["prefect", "deployment", "run", name, *given])


def flow_tags() -> Mapping[str, str]:
    page = without_password(flow_run.ui_url or "")
    return {"prefect.flow_run_id": str(flow_run.id), "prefect.flow_run_url": page}


# Connecting takes seconds, and every task of a flow run asks.
connected = functools.cache(choose_tracking)

"""A recipe becomes a deployment: a flow that Prefect starts by name, or at fixed times."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from httpx import HTTPError
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.objects import (
    ConcurrencyLimitStrategy,
    ConcurrencyOptions,
    WorkerStatus,
)
from prefect.client.schemas.schedules import CronSchedule
from prefect.exceptions import ObjectAlreadyExists, PrefectHTTPStatusError
from prefect.flows import Flow
from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL
from prefect.utilities.callables import parameter_schema
from prefect.workers.process import ProcessWorker
from pydantic import ValidationError

from debias.errors import ConfigError, PipelineError
from debias.flows.audit_faces import audit_faces
from debias.flows.debias_faces import debias_faces
from debias.flows.tasks import audit_recipe, run_recipe
from debias.tracking.servers import without_password

ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin while they wait make a busy machine crawl
    "PREFECT_PLUGINS_ENABLED": "false",  # of no use to a run, and a traceback when it is cancelled
}
SET_FOLDER = "prefect.deployments.steps.set_working_directory"
POOL = "local"  # made when missing
START = (
    "start one with `debias ui --prefect` or `prefect server start`, leave it running, and set "
    "PREFECT_API_URL to its address, such as http://127.0.0.1:4200/api"
)


class Deployed(NamedTuple):
    """What the server now knows: ``flow/recipe``, its page, whether a worker is there to run it."""

    name: str
    page: str
    worker: bool


def schedule(
    recipe: Path, changes: Sequence[str], *, audit: bool, cron: str | None, timezone: str
) -> Deployed:
    """Make the deployment of a recipe, or bring it up to date: its old schedule is replaced.

    It runs in the current working directory, from which relative paths count, and reads the file at
    every run; ``cron`` None runs it whenever somebody asks.

    Raises:
        ConfigError: The recipe, the cron line or the timezone is wrong.
        PipelineError: No server is named, or it does not answer, or it refuses.
    """
    flow: Flow[..., Any] = audit_faces if audit else debias_faces
    given = {"recipe": os.path.abspath(recipe), "changes": "\n".join(changes)}
    name = (audit_recipe if audit else run_recipe)(given["recipe"], given["changes"]).name
    times = _times(cron, timezone)
    with _server() as client:
        _require_pool(client)
        found = client.create_deployment(
            client.create_flow_from_name(flow.name), name, parameters=given, schedules=times,
            description=f"{flow.description}\n\nRecipe: `{given['recipe']}`, read at every run.",
            work_pool_name=POOL, **_how_it_runs(flow),
        )  # fmt: skip
        workers = client.read_workers_for_work_pool(POOL)
    page = f"{without_password(PREFECT_UI_URL.value() or '')}/deployments/deployment/{found}"
    online = any(worker.status == WorkerStatus.ONLINE for worker in workers)
    return Deployed(f"{flow.name}/{name}", page, online)


def _how_it_runs(flow: Flow[..., Any]) -> dict[str, Any]:
    """What every deployment of a flow has in common, as in prefect.yaml."""
    queue = ConcurrencyOptions(collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
    return {
        "entrypoint": f"{flow.fn.__module__}.{flow.fn.__name__}",
        "parameter_openapi_schema": parameter_schema(flow).model_dump(exclude_unset=True),
        "enforce_parameter_schema": True,
        # Two runs would write into the same folder: the second one waits.
        "concurrency_limit": 1,
        "concurrency_options": queue,
        "job_variables": {"env": ENVIRONMENT},
        # Otherwise Prefect copies the folder, faces included, and works in the copy.
        "pull_steps": [{SET_FOLDER: {"directory": str(Path.cwd())}}],
        "tags": ["debias"],
    }


def _times(cron: str | None, timezone: str) -> list[DeploymentScheduleCreate]:
    if cron is None:
        return []
    try:
        times = CronSchedule(cron=cron, timezone=timezone)
    except ValidationError as error:
        reasons = "; ".join(str(one["msg"]).removeprefix("Value error, ") for one in error.errors())
        raise ConfigError(f"the schedule cannot be read: {reasons}") from error
    return [DeploymentScheduleCreate(schedule=times, slug="cron")]


@contextmanager
def _server() -> Iterator[SyncPrefectClient]:
    """The server at PREFECT_API_URL; what it refuses is told in its own words."""
    address = PREFECT_API_URL.value()
    if not address:
        raise PipelineError(f"no Prefect server is named, so nothing can be scheduled; {START}")
    try:
        with get_client(sync_client=True) as client:
            client.hello().raise_for_status()
            yield client
    except (HTTPError, PrefectHTTPStatusError) as error:
        raise PipelineError(
            f"the Prefect server at {without_password(address)} does not do its part "
            f"({without_password(str(error))[:300]}); {START}"
        ) from error


def _require_pool(client: SyncPrefectClient) -> None:
    template = ProcessWorker.get_default_base_job_template()
    with suppress(ObjectAlreadyExists):
        client.create_work_pool(
            WorkPoolCreate(name=POOL, type=ProcessWorker.type, base_job_template=template)
        )

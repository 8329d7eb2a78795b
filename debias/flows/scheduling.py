"""A recipe becomes a deployment: a flow that Prefect starts by name, or at fixed times."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from prefect.automations import AutomationCore
from prefect.client.orchestration import SyncPrefectClient, get_client
from prefect.client.schemas.actions import DeploymentScheduleCreate, WorkPoolCreate
from prefect.client.schemas.objects import (
    StateType,
    WorkerStatus,
)
from prefect.client.schemas.schedules import CronSchedule
from prefect.events.actions import ChangeFlowRunState
from prefect.events.schemas.automations import EventTrigger, Posture
from prefect.events.schemas.events import ResourceSpecification
from prefect.exceptions import ObjectAlreadyExists
from prefect.flows import Flow
from prefect.settings import PREFECT_API_URL, PREFECT_UI_URL, temporary_settings
from prefect.utilities.callables import parameter_schema
from prefect.workers.process import ProcessWorker
from pydantic import ValidationError

from debias.errors import ConfigError, PipelineError
from debias.flows.audit_faces import audit_faces
from debias.flows.debias_faces import debias_faces
from debias.flows.tasks import UNANSWERED, audit_recipe, run_recipe
from debias.tracking.servers import without_password

ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",  # threads that spin while they wait make a busy machine crawl
    "PREFECT_PLUGINS_ENABLED": "false",  # of no use to a run, and a traceback when it is cancelled
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30",  # seconds
    "PREFECT_CLIENT_MAX_RETRIES": "3",  # 14 s a call, not 62: a server that is gone is only a view
}
SET_FOLDER = "prefect.deployments.steps.set_working_directory"
POOL = "local"  # made when missing
TAG = "debias"
SILENCE = timedelta(seconds=180)  # without a heartbeat, after which a run counts as crashed
ENDED = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")}


class Planned(NamedTuple):
    """A recipe as it will be deployed."""

    flow: Flow[..., Any]
    name: str
    parameters: dict[str, str]
    times: list[DeploymentScheduleCreate]

    @property
    def full_name(self) -> str:
        return f"{self.flow.name}/{self.name}"


def planned(
    recipe: Path, changes: Sequence[str], *, audit: bool, cron: str | None, timezone: str
) -> Planned:
    """Read a recipe and a schedule; ``cron`` None runs it whenever somebody asks.

    Raises:
        ConfigError: The recipe, the cron line or the timezone is wrong.
    """
    flow: Flow[..., Any] = audit_faces if audit else debias_faces
    given = {"recipe": os.path.abspath(recipe), "changes": "\n".join(changes)}
    name = (audit_recipe if audit else run_recipe)(given["recipe"], given["changes"]).name
    return Planned(flow, name, given, _times(cron, timezone))


def address() -> str:
    """Of the server that the environment or Prefect's profile names; empty if neither does."""
    return PREFECT_API_URL.value() or ""


def worker_command() -> list[str]:
    python = [sys.executable, "-m", "prefect"]
    return [*python, "worker", "start", "--pool", POOL, "--type", "process", "--limit", "1"]


@contextmanager
def server(api: str) -> Iterator[SyncPrefectClient]:
    """Speak with the server at this address; PipelineError: it does not answer, or refuses."""
    try:
        with temporary_settings({PREFECT_API_URL: api}), get_client(sync_client=True) as client:
            client.hello().raise_for_status()
            yield client
    except UNANSWERED as error:
        raise PipelineError(
            f"the Prefect server at {without_password(api)} does not do its part "
            f"({without_password(str(error))[:300]})"
        ) from error


def prepare(client: SyncPrefectClient) -> None:
    """Make what every deployment needs, or bring it up to date: work pool and automation."""
    # Two runs would write into the same folder, so the second one waits. A limit of the deployment
    # would do the same, and end a run whose server is away for four minutes.
    pool = WorkPoolCreate(
        name=POOL, type=ProcessWorker.type, concurrency_limit=1,
        base_job_template=ProcessWorker.get_default_base_job_template(),
    )  # fmt: skip
    with suppress(ObjectAlreadyExists):
        client.create_work_pool(pool)
    wanted = crash_silent_runs()
    for known in client.read_automations_by_name(wanted.name):
        return client.update_automation(known.id, wanted)
    client.create_automation(wanted)


def crash_silent_runs() -> AutomationCore:
    """Ends runs of ours whose process is gone and whose worker could not say so."""
    beat = "prefect.flow-run.heartbeat"
    ours: dict[str, str | list[str]] = {
        "prefect.resource.role": "tag", "prefect.resource.id": f"prefect.tag.{TAG}"
    }  # fmt: skip
    trigger = EventTrigger(
        after={beat}, expect={beat, *ENDED}, for_each={"prefect.resource.id"},
        match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
        match_related=ResourceSpecification(ours),
        posture=Posture.Proactive, threshold=1, within=SILENCE,
    )  # fmt: skip
    said = (
        f"No heartbeat for {SILENCE.seconds} s: the process, its machine or the network is gone. "
        "What it finished is kept; run the deployment again to go on from there."
    )
    action = ChangeFlowRunState(state=StateType.CRASHED, name="Crashed", message=said, force=False)
    return AutomationCore(name="debias-crash-silent-runs", trigger=trigger, actions=[action])


def deploy(client: SyncPrefectClient, plan: Planned) -> str:
    """Make a deployment, or bring it up to date: its old schedule is replaced. Its page.

    It runs in the current working directory, from which relative paths count, and reads the recipe
    at every run.
    """
    about = f"{plan.flow.description}\n\nRecipe: `{plan.parameters['recipe']}`, read at every run."
    found = client.create_deployment(
        client.create_flow_from_name(plan.flow.name), plan.name, description=about,
        parameters=plan.parameters, schedules=plan.times, work_pool_name=POOL,
        **_how_it_runs(plan.flow),
    )  # fmt: skip
    return f"{without_password(PREFECT_UI_URL.value() or '')}/deployments/deployment/{found}"


def has_worker(client: SyncPrefectClient) -> bool:
    """Whether one was heard of lately."""
    workers = client.read_workers_for_work_pool(POOL)
    return any(worker.status == WorkerStatus.ONLINE for worker in workers)


def _how_it_runs(flow: Flow[..., Any]) -> dict[str, Any]:
    """What every deployment of a flow has in common, as in prefect.yaml."""
    return {
        "entrypoint": f"{flow.fn.__module__}.{flow.fn.__name__}",
        "parameter_openapi_schema": parameter_schema(flow).model_dump(exclude_unset=True),
        "enforce_parameter_schema": True,
        "job_variables": {"env": ENVIRONMENT},
        # Otherwise Prefect copies the folder, faces included, and works in the copy.
        "pull_steps": [{SET_FOLDER: {"directory": str(Path.cwd())}}],
        "tags": [TAG],
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

"""``debias schedule``."""

import shlex
import sys
from contextlib import ExitStack
from os.path import abspath
from pathlib import Path
from typing import TYPE_CHECKING

from debias.commands.options import Images, Options, argument, command, option
from debias.commands.screen import say
from debias.commands.ui import address, answers, keep, launch, prefect_server
from debias.errors import ConfigError
from debias.tracking import servers

if TYPE_CHECKING:
    from debias.flows.scheduling import Planned

LOGS = Path("runs")
UNIT = """\
# Save as ~/.config/systemd/user/{name}.service; then:
#     systemctl --user enable --now {name}
#     loginctl enable-linger          # goes on while nobody is logged in
[Unit]
Description=Prefect server and worker for {folder}

[Service]
WorkingDirectory={folder}
{server}ExecStart={command}
Restart=on-failure
TimeoutStopSec=60

[Install]
WantedBy=default.target
"""


class Schedule(Options):
    recipe: Path | None = argument(
        "Recipe of `debias run` or `debias audit`, read at every run; without one, only the server "
        "and the worker are started.",
        default=None,
    )
    cron: str | None = option(
        'When: "0 3 * * *" is every night at three. Without it the job runs when somebody asks.',
        '"MIN HOUR DAY MONTH WEEKDAY"',
    )
    timezone: str = option("In which the hours of --cron count.", "AREA/CITY", "UTC")
    audit: bool = option("Audit the data only, as `debias audit` does.", default=False)
    set_: list[str] | None = Images.set_
    prefect_port: int = option(
        "Where to start Prefect's server, unless PREFECT_API_URL names one.", default=4200
    )
    dry_run: bool = option("Say what would be done, and do nothing.", default=False)
    systemd: bool = option("Print a unit that does it at every start.", default=False)


@command
def schedule(given: Schedule) -> None:
    """Let Prefect run a recipe: at fixed times, or whenever somebody asks.

    Starts Prefect's server and a worker unless they run, and stays with what it started. The same
    recipe again replaces its old schedule.
    """
    if given.recipe and given.recipe.is_dir():
        raise ConfigError(
            f"{given.recipe} is a folder, and a schedule needs a recipe: a file that says what to "
            f"do with it; `debias init {given.recipe}` writes one"
        )
    from debias.flows import scheduling

    plan = None
    if given.recipe:
        plan = scheduling.planned(
            given.recipe, given.set_ or [],
            audit=given.audit, cron=given.cron, timezone=given.timezone,
        )  # fmt: skip
    api = scheduling.address() or f"{address(given.prefect_port)}/api"
    if given.systemd:
        say(unit(sys.argv[1:], scheduling.address()))
    elif given.dry_run:
        _foretell(given, plan, api)
    else:
        with servers.stopped_by_signals(), ExitStack() as stack:
            try:
                _do(given, plan, api, stack)
            except KeyboardInterrupt:
                say("Stopping what was started here ...")


def _do(given: Schedule, plan: "Planned | None", api: str, stack: ExitStack) -> None:
    from debias.flows import scheduling

    started = list(prefect_server(api, given.prefect_port, LOGS, stack))
    for one in started:
        one.wait()
    with scheduling.server(api) as client:
        scheduling.prepare(client)
        page = f"Page: {scheduling.deploy(client, plan)}" if plan else ""
        # One of a server that was started only now cannot run any more.
        worker = not started and scheduling.has_worker(client)
    if worker:
        say("Worker: one is running.")
    else:
        run, more = scheduling.worker_command(), {servers.PREFECT: api}
        started.append(launch("Worker", run, LOGS, stack, **more))
    shown = servers.without_password(api)
    if plan:
        say(f"Deployed {_described(given, plan)}.")
        say(f"Run now: {servers.PREFECT}={shown} prefect deployment run {plan.full_name}")
        say(f"Remove: {servers.PREFECT}={shown} prefect deployment delete {plan.full_name}")
    say(page or f"Page: {shown.removesuffix('/api')}/deployments")
    if started:
        keep(started)


def _described(given: Schedule, plan: "Planned") -> str:
    when = f"at {given.cron!r}, {given.timezone}" if given.cron else "whenever somebody asks"
    recipe = plan.parameters["recipe"]
    return f"{plan.full_name}, which runs {recipe} {when}, from {Path.cwd()}"


def _foretell(given: Schedule, plan: "Planned | None", api: str) -> None:
    shown = servers.without_password(api)
    there = "answers already" if answers(api) else "would be started"
    say(f"Prefect's server at {shown}: {there}.")
    say("Its work pool and its automation would be made, or brought up to date.")
    if plan:
        say(f"Would deploy {_described(given, plan)}.")
    say(f"A worker would be started unless one runs; logs in {abspath(LOGS)}.")
    say("Nothing was done.")


def unit(typed: list[str], api: str) -> str:
    """A systemd unit that gives this command, as it was typed, in this folder.

    Args:
        typed: What was typed behind the program.
        api: Of a server elsewhere; empty: it is started here.
    """
    words = [sys.executable, "-m", "debias", *(one for one in typed if one != "--systemd")]
    named = f'Environment="{servers.PREFECT}={servers.without_password(api)}"\n' if api else ""
    text = UNIT.format(
        name="debias", folder=Path.cwd(), server=named, command=shlex.join(words).replace("$", "$$")
    )
    return text.replace("%", "%%")  # which begins a specifier

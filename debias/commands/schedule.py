"""``debias schedule``."""

from os.path import abspath
from pathlib import Path

from debias.commands.options import Images, Options, argument, command, option
from debias.commands.screen import say
from debias.errors import ConfigError

COMMAND = "prefect worker start --pool local --limit 1"


class Schedule(Options):
    recipe: Path = argument("Recipe of `debias run` or `debias audit`; read at every run.")
    cron: str | None = option(
        'When: "0 3 * * *" is every night at three. Without it the job runs when somebody asks.',
        '"MIN HOUR DAY MONTH WEEKDAY"',
    )
    timezone: str = option("In which the hours of --cron count.", "AREA/CITY", "UTC")
    audit: bool = option("Audit the data only, as `debias audit` does.", default=False)
    set_: list[str] | None = Images.set_


@command
def schedule(given: Schedule) -> None:
    """Let Prefect run a recipe: at fixed times, or whenever somebody asks.

    Needs a Prefect server at PREFECT_API_URL. The same recipe again replaces its old schedule.
    """
    recipe, cron = given.recipe, given.cron
    if recipe.is_dir():
        raise ConfigError(
            f"{recipe} is a folder, and a schedule needs a recipe: a file that says what to do "
            f"with it; `debias init {recipe}` writes one"
        )
    from debias.flows import scheduling

    made = scheduling.schedule(
        recipe, given.set_ or [], audit=given.audit, cron=cron, timezone=given.timezone
    )
    when = (
        f"at {cron!r}, {given.timezone}" if cron else "whenever somebody asks (--cron fixes times)"
    )
    say(f"Deployed {made.name}, which runs {abspath(recipe)} {when}, from {Path.cwd()}.")
    state = "one is running" if made.worker else f"none is running yet. Keep one up: {COMMAND}"
    say(f"Worker: {state}")
    say(f"Run now: prefect deployment run {made.name}")
    say(f"Remove: prefect deployment delete {made.name}")
    say(f"Page: {made.page}")

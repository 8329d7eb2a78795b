"""What ``debias schedule`` takes and prints."""

from os.path import abspath
from pathlib import Path
from typing import Annotated

import typer

from debias.commands.screen import explained, say

COMMAND = "prefect worker start --pool local --limit 1"


def schedule(
    recipe: Annotated[
        Path, typer.Argument(help="Recipe of `debias run` or `debias audit`; read at every run.")
    ],
    cron: Annotated[
        str | None,
        typer.Option(
            metavar='"MIN HOUR DAY MONTH WEEKDAY"',
            help='When: "0 3 * * *" is every night '
            "at three. Without it the job runs when somebody asks.",
        ),
    ] = None,
    timezone: Annotated[
        str, typer.Option(metavar="AREA/CITY", help="In which the hours of --cron count.")
    ] = "UTC",
    audit: Annotated[
        bool, typer.Option("--audit", help="Audit the data only, as `debias audit` does.")
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one setting; repeat."),
    ] = None,
) -> None:
    """Let Prefect run a recipe: at fixed times, or whenever somebody asks.

    Needs a Prefect server at PREFECT_API_URL. The same recipe again replaces its old schedule.
    """
    with explained():
        from debias.errors import ConfigError

        if recipe.is_dir():
            raise ConfigError(
                f"{recipe} is a folder, and a schedule needs a recipe: a file that says what to do "
                f"with it; `debias init {recipe}` writes one"
            )
        from debias.flows import scheduling

        made = scheduling.schedule(
            scheduling.Wish(
                recipe=recipe, changes=set_ or [], audit=audit, cron=cron, timezone=timezone
            )
        )
        when = f"at {cron!r}, {timezone}" if cron else "whenever somebody asks (--cron fixes times)"
        say(f"Deployed {made.name}, which runs {abspath(recipe)} {when}, from {Path.cwd()}.")
        state = "one is running" if made.worker else f"none is running yet. Keep one up: {COMMAND}"
        say(f"Worker: {state}")
        say(f"Run now: prefect deployment run {made.name}")
        say(f"Remove: prefect deployment delete {made.name}")
        say(f"Page: {made.page}")

"""The ``debias`` command, one file a subcommand. Heavy libraries are imported where needed."""

from typing import Annotated

import typer

from debias import __version__
from debias.commands.audit import audit
from debias.commands.doctor import doctor
from debias.commands.evaluate import compare, evaluate
from debias.commands.export import export
from debias.commands.ingest import ingest
from debias.commands.options import Command, Group, renaming
from debias.commands.plan import plan
from debias.commands.publish import publish
from debias.commands.purge import purge
from debias.commands.run import init, run
from debias.commands.schedule import schedule
from debias.commands.screen import exit_codes
from debias.commands.study import study
from debias.commands.ui import ui
from debias.commands.weigh import weigh

app = typer.Typer(
    cls=Group,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""Find and mitigate representation bias in face data sets, without group labels.

Start with `debias run`: it draws its own faces, so it needs no data. Then point it at your own:
`debias run FOLDER --table TABLE --label COLUMN --attributes COLUMN,...`. `debias init FOLDER ...`
writes the same as a recipe to edit. `debias ui` opens the recorded runs.""",
    epilog=exit_codes(),
)
RENAMED = {
    ingest: renaming(data="layout"),
    weigh: renaming(labels="label", groups="attributes"),
    evaluate: renaming(groups="attributes", labels="label", reference="reference-group"),
    compare: renaming(reference="reference-group"),
    purge: renaming(sample="image"),
}
for command in (
    run, init, plan, ingest, audit, study, export, weigh, evaluate, compare, schedule, publish,
    purge, doctor, ui,
):  # fmt: skip
    app.command(cls=RENAMED.get(command, Command))(command)


def _tell_version(asked: bool | None) -> bool:
    if asked:
        typer.echo(f"debias {__version__}")
        raise typer.Exit
    return bool(asked)


@app.callback()
def main(
    version: Annotated[
        bool,
        typer.Option(
            "--version", "-V", is_eager=True, callback=_tell_version, help="Show the version."
        ),
    ] = False,
) -> None:
    """See the help of the app."""

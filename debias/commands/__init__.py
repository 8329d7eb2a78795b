"""The ``debias`` command, one file a subcommand. Heavy libraries are imported where needed."""

import typer

from debias.commands.audit import audit
from debias.commands.compare import compare
from debias.commands.doctor import doctor
from debias.commands.evaluate import evaluate
from debias.commands.export import export
from debias.commands.ingest import ingest
from debias.commands.purge import purge
from debias.commands.run import run
from debias.commands.schedule import schedule
from debias.commands.ui import ui
from debias.commands.weigh import weigh

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""Find and mitigate representation bias in face data sets, without group labels.

Start with `debias run`: it draws its own faces, so it needs no data. Then point a copy of
configs/folder.yaml at your own folder. `debias ui` opens the recorded runs.""",
)
for command in (
    run, ingest, audit, export, weigh, evaluate, compare, schedule, purge, doctor, ui
):  # fmt: skip
    app.command()(command)

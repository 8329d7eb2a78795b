"""What ``debias init`` takes and prints."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from debias.commands.options import (
    Attributes,
    Label,
    Layout,
    Overrides,
    Reference,
    Size,
    Subject,
    TableFile,
    asked,
    reading,
)
from debias.commands.screen import explained, say


def init(  # noqa: PLR0913 (the options of one command)
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="SOURCE",
            help="Images, as for `debias run`, or the name of a shipped recipe. Without one: the "
            "template for a folder with a table.",
        ),
    ] = None,
    label: Label = None,
    attributes: Attributes = None,
    table: TableFile = None,
    subject: Subject = None,
    layout: Layout = None,
    reference: Reference = None,
    size: Size = None,
    set_: Overrides = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Recipe to write. [default: NAME.yaml]")
    ] = None,
) -> None:
    """Write a commented recipe that runs as it is, to edit and to schedule."""
    with explained():
        from debias.pipeline.source import Request, write_new

        request = Request(
            source=source,
            data=reading(layout, table, subject),
            recipe=asked(label, attributes, size, reference),
            overrides=set_ or [],
        )
        written, ready = write_new(request, out)
        name = shlex.quote(str(written))
        say(f"Recipe: {name}")
        if not ready:
            say(f"Next: put your own paths and columns into {name}; then:")
        say(f"Run it: debias run {name}")
        say(f"Audit without labels: debias audit {name}")
        say(f'Schedule it: debias schedule {name} --cron "0 3 * * *"')

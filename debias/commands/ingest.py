"""What ``debias ingest`` takes and prints."""

import os
from pathlib import Path
from typing import Annotated

import typer

from debias.commands.options import (
    Attributes,
    Label,
    Layout,
    Overrides,
    Size,
    Subject,
    TableFile,
    asked,
    reading,
)
from debias.commands.screen import Bars, console, explained, say


def ingest(  # noqa: PLR0913 (the options of one command)
    source: Annotated[
        Path,
        typer.Argument(
            metavar="SOURCE",
            help="Folder of images, a public data set, .tar shards, an .h5 file, or a recipe.",
        ),
    ],
    label: Label = None,
    attributes: Attributes = None,
    table: TableFile = None,
    subject: Subject = None,
    layout: Layout = None,
    size: Size = None,
    set_: Overrides = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Store to make or continue. [default: stores/NAME]"),
    ] = None,
    retry: Annotated[
        bool,
        typer.Option("--retry", help="Read again what took too long or ran out of memory."),
    ] = False,
) -> None:
    """Decode a collection of faces once, safely, and account for everything left out.

    Stopped at any time, the same command goes on; after a change it decodes only what is new.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with explained():
        from debias.pipeline import ingest as ingesting
        from debias.report.ingest_terminal import ingest_lines

        request = ingesting.Request(
            source=source,
            data=reading(layout, table, subject),
            recipe=asked(label, attributes, size),
            overrides=set_ or [],
            out=out,
            retry=retry,
        )
        with Bars() as bars:
            found = ingesting.ingest(request, bars)
        say(f"{source} was read as data set {found.recipe.data.name!r} (--layout names another).")
        for line in ingest_lines(found.document):
            console.print(line, highlight=False, soft_wrap=isinstance(line, str))
        for note in found.notes:
            say(f"* {note}")
        say(f"\nPage: {found.folder / ingesting.PAGE}")
        say(f"Numbers: {found.folder / ingesting.NUMBERS}")
        say(f"Next: open the page; {ingesting.next_step(found)}")

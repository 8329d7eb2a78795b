"""What ``debias ingest`` takes and prints."""

import os
from pathlib import Path
from typing import Annotated

import typer

from debias.commands.screen import Bars, console, explained, listed, named, say


def ingest(  # noqa: PLR0913 (the options of one command)
    source: Annotated[
        Path,
        typer.Argument(
            help="Folder of images, a public data set, .tar shards, an .h5 file, or a recipe."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Store to make or continue. [default: stores/NAME]")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="CSV or Parquet file, one row per image, column `path`.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="NAME", help="Layout of SOURCE. [default: recognised]")
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="What a classifier is to predict.")
    ] = None,
    attributes: Annotated[
        str | None,
        typer.Option(metavar="COLUMN,...", help="Annotated groups: who was set aside, by group."),
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Who is shown (with --table); kept in one split."),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of the images, pixels.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one setting; repeat."),
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
        from debias import ingesting
        from debias.report.ingest_terminal import ingest_lines

        given = {"name": data, "table": table and str(table), "subject_column": subject}
        recipe = {
            "label": label, "attributes": listed(attributes) if attributes else None,
            "image_size": size,
        }  # fmt: skip
        request = ingesting.Request(
            source=source, data=named(given), recipe=named(recipe), overrides=set_ or [],
            out=out, retry=retry,
        )  # fmt: skip
        with Bars() as bars:
            found = ingesting.ingest(request, bars)
        say(f"{source} was read as data set {found.recipe.data.name!r} (--data names another).")
        for line in ingest_lines(found.document):
            console.print(line, highlight=False, soft_wrap=isinstance(line, str))
        say(f"\nPage: {found.folder / ingesting.PAGE}")
        say(f"Numbers: {found.folder / ingesting.NUMBERS}")
        say(f"Next: open the page; {ingesting.next_step(found)}")

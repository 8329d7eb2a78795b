"""What ``debias purge`` takes and prints."""

from pathlib import Path
from typing import Annotated

import typer

from debias.commands.screen import explained, say


def purge(
    subject: Annotated[str, typer.Argument(help="A subject_id, as the data set names people.")],
    folders: Annotated[list[Path], typer.Argument(help="Run folders, stores, or folders of them.")],
    image: Annotated[
        bool, typer.Option("--image", help="SUBJECT is a sample_id: only this image goes.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed; change nothing.")
    ] = False,
) -> None:
    """Take a person out of stores, latents, weights, predictions, pages and tracked runs."""
    with explained():
        from debias.pipeline.purging import purge as purge_person

        found = purge_person(subject, folders, sample=image, dry_run=dry_run)
        for line in found.lines():
            say(line)
        if not (found.complete or dry_run):
            raise typer.Exit(4)

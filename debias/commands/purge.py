"""``debias purge``."""

from pathlib import Path

import typer

from debias.commands.options import Options, argument, command, option
from debias.commands.screen import say
from debias.errors import ConfigError


class Purge(Options):
    subject: str = argument("A subject_id, as the data set names people.")
    folders: list[Path] = argument("Run folders, stores, or folders of them.")
    image: bool = option(
        "SUBJECT is a sample_id, path or file name: only this image goes.", default=False
    )
    dry_run: bool = option("Say what would be removed; change nothing.", default=False)
    forget: bool = option("Let later ingests read again who was purged.", default=False)


@command
def purge(given: Purge) -> None:
    """Take a person out of stores, latents, weights, predictions, pages and tracked runs.

    Later ingests into these folders hold them back, whatever the source holds.
    """
    from debias.pipeline import purging

    if given.forget:
        if given.dry_run:
            raise ConfigError("--forget and --dry-run do not go together")
        folders = purging.forget(given.subject, given.folders, sample=given.image)
        say(
            f"No longer held back in {', '.join(map(str, folders))}: the next ingest reads it anew."
        )
        return
    found = purging.purge(given.subject, given.folders, sample=given.image, dry_run=given.dry_run)
    for line in found.lines():
        say(line)
    if not (found.complete or given.dry_run):
        raise typer.Exit(4)

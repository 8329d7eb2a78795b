"""``debias ingest``."""

import os
from pathlib import Path

from debias.commands.options import Images, argument, command, option
from debias.commands.screen import Bars, say, show


class Ingest(Images):
    source: Path = argument(
        "Folder of images, a public data set, .tar shards, an .h5 file, or a recipe.", "SOURCE"
    )
    out: Path | None = option("Store to make or continue. [default: stores/NAME]", "FOLDER")
    retry: bool = option("Read again what took too long or ran out of memory.", default=False)


@command
def ingest(given: Ingest) -> None:
    """Decode a collection of faces once, safely, and account for everything left out.

    Stopped at any time, the same command goes on; after a change it decodes only what is new.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    from debias.pipeline.ingest import NUMBERS, PAGE, make_store, next_step
    from debias.pipeline.source import store_recipe
    from debias.report.ingest_page import summary
    from debias.report.terminal import lines

    recipe = store_recipe(given.request(given.source))
    with Bars() as bars:
        found = make_store(recipe, given.out, bars, retry=given.retry)
    say(f"{given.source} was read as data set {recipe.data.name!r} (--layout names another).")
    show(lines(summary(found.document)))
    for note in found.notes:
        say(f"* {note}")
    say(f"\nPage: {found.folder / PAGE}")
    say(f"Numbers: {found.folder / NUMBERS}")
    say(f"Next: open the page; {next_step(found)}")

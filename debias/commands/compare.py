"""What ``debias compare`` takes and prints."""

from pathlib import Path
from typing import Annotated

import typer

from debias.commands.options import Level, Margin, ReferenceGroups
from debias.commands.screen import console, explained, pairs, say


def compare(
    before: Annotated[
        str, typer.Argument(help="Folder of `debias evaluate`, or a run folder, or RUN:ARM.")
    ],
    after: Annotated[
        str | None,
        typer.Argument(help="Likewise. Without it: every arm of BEFORE with its plain training."),
    ] = None,
    reference_group: ReferenceGroups = None,
    margin: Margin = None,
    level: Level = 0.95,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the pages and the JSON. [default: NAMES-comparison]"),
    ] = None,
) -> None:
    """Before and after on the same images: what changed, for whom, and who was harmed."""
    with explained():
        from debias.pipeline.comparing import NUMBERS, compare_places, folder_name, write_comparison
        from debias.report.comparison_page import summary
        from debias.report.terminal import lines

        settings = {
            "reference": pairs("--reference-group", reference_group) or None,
            "margin": margin, "level": level,
        }  # fmt: skip
        found = compare_places(before, after, settings)
        folder = out or Path(folder_name(before, after))
        pages = write_comparison(found, folder)
        for name, one in found.items():
            for line in lines(summary(name, one.to_dict())):
                console.print(line, highlight=False, soft_wrap=isinstance(line, str))
        for page in pages:
            say(f"Page: {page}")
        say(f"Numbers: {folder / NUMBERS}")
        say("Next: open the page; it begins with the groups that were harmed, if there are any.")

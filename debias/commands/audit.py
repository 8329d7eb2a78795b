"""What ``debias audit`` takes and prints."""

import os
from pathlib import Path
from typing import Annotated

import typer

from debias.commands.screen import Bars, console, explained, listed, named, say


def audit(  # noqa: PLR0913 (the options of one command)
    config: Annotated[
        Path | None,
        typer.Argument(help="Recipe, one for `debias run` included. Without one: drawn faces."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder of images, or store, instead of a recipe."),
    ] = None,
    layout: Annotated[
        str | None, typer.Option(metavar="NAME", help="Layout of --data. [default: recognised]")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="CSV or Parquet file, one row per image, column `path`.")
    ] = None,
    attributes: Annotated[
        str | None, typer.Option(metavar="COLUMN,...", help="Annotated groups, if there are any.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Who is shown (with --table).")
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Images that say what the data should look like."),
    ] = None,
    earlier: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="An earlier version: what has changed.")
    ] = None,
    shares: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Declared shares: columns attribute, group, share."),
    ] = None,
    show_faces: Annotated[
        bool, typer.Option("--show-faces", help="Put photographs of real people on the page.")
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one setting; repeat."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder; by default runs/NAME. Continued if it exists.")
    ] = None,
) -> None:
    """Who is missing from a collection, how sure that is, and what to collect; no labels needed.

    Writes audit.html and audit.json. In the folder of a run it reuses what was trained there.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with explained():
        from debias import audit_command
        from debias.datasets.recognition import recognised
        from debias.recording import choose_tracking
        from debias.report.audit_terminal import audit_lines
        from debias.stages import examine, open_job

        given = {"name": layout, "table": table and str(table), "subject_column": subject}
        recipe = {
            "attributes": listed(attributes) if attributes else None,
            "reference.data": reference and recognised(reference, {}),
            "earlier.data": earlier and recognised(earlier, {}),
            "audit.shares": {} if shares else None, "audit.shares_file": shares and str(shares),
            "report.show_faces": show_faces or None,
        }  # fmt: skip
        request = audit_command.Request(
            config=config, folder=data, data=named(given), recipe=named(recipe),
            overrides=set_ or [],
        )  # fmt: skip
        asked = audit_command.recipe_of(request)
        folder = out or Path("runs") / asked.name
        with Bars() as bars:
            job = open_job(asked, folder, progress=bars)
            document = examine(job.with_tracking(choose_tracking(asked.tracking, folder.parent)))
        if bars.kept:
            say(f"Reused {len(bars.kept)} finished stages: {', '.join(bars.kept)}.")
        for line in audit_lines(document):
            console.print(line, highlight=False, soft_wrap=isinstance(line, str))
        say(f"\nPage: {folder / 'audit.html'}")
        say(f"Numbers: {folder / 'audit.json'}")
        say(f"Next: open the page; a rebalanced data set: debias export {folder} --as weights")

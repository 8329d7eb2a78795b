"""What ``debias doctor`` takes and prints."""

from pathlib import Path
from typing import Annotated

import typer

from debias.commands.screen import console, explained, say

STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


def doctor(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of runs or stores, whose files are verified.")
    ] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Load torch, too.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Delete what dead processes left behind in FOLDER.")
    ] = False,
    images: Annotated[
        int | None, typer.Option(min=1, help="Images that are to be put into a store.")
    ] = None,
    size: Annotated[int, typer.Option(min=1, help="Side of these images, pixels.")] = 64,
) -> None:
    """Examine versions, disk, permissions, servers, and a folder of runs or stores."""
    with explained():
        from debias.commands.examination import examine, exit_code

        found = examine(folder, deep=deep, repair=repair, images=images, size=size)
        for one in found:
            console.print(f"[{STYLES[one.state]}]{one.state:8}[/] {one.area}: ", end="")
            say(one.text + (f"\n         -> {one.advice}" if one.advice else ""))
        if exit_code(found):
            raise typer.Exit(exit_code(found))

"""What ``debias run`` takes and prints."""

import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from debias.commands.screen import Bars, console, explained


def run(
    config: Annotated[
        Path | None,
        typer.Argument(help="Recipe, for example configs/utkface.yaml. Without one: the demo."),
    ] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one setting; repeat."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Run folder; by default runs/NAME. Continued if it exists.")
    ] = None,
) -> None:
    """Train, weigh, retrain and compare; writes report.html and report.json.

    A second run of the same recipe into the same folder reuses every finished stage.
    """
    # Set before torch is loaded: threads that spin while they wait make a busy machine crawl.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with explained():
        from debias.config import load_config
        from debias.recording import choose_tracking
        from debias.stages import mitigate, open_run

        recipe = load_config(config, set_ or [])
        folder = out or Path("runs") / recipe.name
        with Bars() as bars:
            opened = open_run(recipe, folder, progress=bars)
            tracking = choose_tracking(recipe.tracking, folder.parent)
            typed = shlex.join(["debias", *sys.argv[1:]])
            document = mitigate(replace(opened, command=typed).with_tracking(tracking))
        _show(document, folder, bars.kept)


def _show(document: Mapping[str, Any], folder: Path, kept: list[str]) -> None:
    from debias.report.terminal import run_lines

    if kept:
        console.print(f"Reused {len(kept)} finished stages: {', '.join(kept)}.", highlight=False)
    set_aside = document["data"]["set_aside"]["count"]
    if set_aside:
        files = "1 file was" if set_aside == 1 else f"{set_aside} files were"
        console.print(f"{files} set aside; the report says why.", highlight=False)
    for line in run_lines(document):
        console.print(line, highlight=False, soft_wrap=isinstance(line, str))
    console.print(f"\nReport: {folder / 'report.html'}", highlight=False, soft_wrap=True)
    console.print(f"Numbers: {folder / 'report.json'}", highlight=False, soft_wrap=True)
    link = document["run"]["mlflow"]
    if link:
        experiment = document["run"]["config"]["tracking"]["experiment"]
        named = "" if experiment == "debias" else f" --experiment {experiment}"
        there = (
            link if link.startswith("http") else f"debias ui --folder {Path(link).parent}{named}"
        )
        console.print(f"MLflow: {there}", highlight=False, soft_wrap=True)

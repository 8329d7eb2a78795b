"""What ``debias run`` takes and prints."""

import dataclasses
import os
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from debias.commands.options import (
    Attributes,
    Label,
    Layout,
    Overrides,
    Reference,
    Replace,
    RunOut,
    Size,
    Subject,
    TableFile,
    asked,
    reading,
)
from debias.commands.screen import Bars, console, explained, say


def run(  # noqa: PLR0913 (the options of one command)
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="SOURCE",
            help="Recipe (.yaml), or your images: a folder, a store of `debias ingest`, a public "
            "data set, .tar shards or an .h5 file. Without one: the demo.",
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
    out: RunOut = None,
    replace: Replace = False,
) -> None:
    """Train, weigh, retrain and compare; writes report.html and report.json.

    A second run of the same recipe into the same folder reuses every finished stage. Of images,
    the recipe that was made for them is written to recipe.yaml in that folder.
    """
    # Set before torch is loaded: threads that spin while they wait make a busy machine crawl.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with explained():
        from debias.pipeline import mitigate, open_run
        from debias.pipeline.source import RECIPE, Request, recipe_text, run_recipe
        from debias.tracking.tracker import choose_tracking

        request = Request(
            source=source,
            data=reading(layout, table, subject),
            recipe=asked(label, attributes, size, reference),
            overrides=set_ or [],
        )
        recipe = run_recipe(request)
        folder = out or Path("runs") / recipe.name
        with Bars() as bars:
            opened = open_run(recipe, folder, progress=bars, replace=replace)
            if request.images is not None:
                (folder / RECIPE).write_text(recipe_text(recipe), encoding="utf-8")
            tracking = choose_tracking(recipe.tracking, folder.parent)
            typed = shlex.join(["debias", *sys.argv[1:]])
            document = mitigate(dataclasses.replace(opened, command=typed).with_tracking(tracking))
        _show(document, folder, bars.kept)
        if request.images is not None:
            say(f"Recipe: {folder / RECIPE} (edit it, and: debias run {folder / RECIPE})")
        say(f"Next: open the report; group by group: debias compare {folder}")


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

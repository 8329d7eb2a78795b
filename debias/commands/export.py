"""What ``debias export`` takes and prints."""

from pathlib import Path
from typing import Annotated

import typer

from debias.commands.screen import console, explained, listed, say


def export(
    folder: Annotated[Path, typer.Argument(help="Folder that debias audit wrote.")],
    as_: Annotated[
        str,
        typer.Option(
            "--as",
            metavar="KIND",
            help="weights: every image with its weight; resampled: images drawn by these weights, "
            "for training code without weights; subset: --size images that cover the latent space "
            "most evenly.",
        ),
    ] = "weights",
    size: Annotated[
        int | None,
        typer.Option(help="Images of a subset, or lines of a resampled file. [there: all]"),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of every random choice.")] = 0,
    splits: Annotated[
        str, typer.Option(metavar="SPLIT,...", help="Choose from these: train, validation.")
    ] = "train",
    out: Annotated[
        Path | None, typer.Option(help="File to write: .csv or .parquet. [default: KIND.csv]")
    ] = None,
) -> None:
    """Write an audited data set for any other training code, with an audit before and after.

    Test images never move: they are written to a second file, as they are.
    """
    with explained():
        from debias.pipeline.export import Request
        from debias.pipeline.export import export as write_export
        from debias.report.export_terminal import export_lines

        found = write_export(
            Request(
                folder=folder, kind=as_, size=size, seed=seed, splits=tuple(listed(splits)),
                out=out or Path(f"{as_}.csv"),
            )
        )  # fmt: skip
        for line in export_lines(found.document):
            console.print(line, highlight=False, soft_wrap=isinstance(line, str))
        say(f"\nManifest: {found.manifest}")
        if found.held_out is not None:
            say(f"Held out, for testing: {found.held_out}")
        say(f"Numbers: {found.numbers} (how it came about, before and after)")
        say("Next: train on the manifest, test on the held-out images (docs/audit.md).")

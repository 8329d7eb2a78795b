"""``debias export``."""

from pathlib import Path

from debias.commands.options import Options, argument, command, option
from debias.commands.screen import listed, say, show


class Export(Options):
    """What it takes."""

    folder: Path = argument("Folder that debias audit wrote.")
    as_: str = option(
        "weights: every image with its weight; resampled: images drawn by these weights, for "
        "training code without weights; subset: --size images that cover the latent space most "
        "evenly.", "KIND", "weights", "--as",
    )  # fmt: skip
    size: int | None = option("Images of a subset, or lines of a resampled file. [there: all]")
    seed: int = option("Seed of every random choice.", default=0, min=0)
    splits: str = option("Choose from these: train, validation.", "SPLIT,...", "train")
    out: Path | None = option("File to write: .csv or .parquet. [default: KIND.csv]")


@command
def export(given: Export) -> None:
    """Write an audited data set for any other training code, with an audit before and after.

    Test images never move: they are written to a second file, as they are.
    """
    from debias.pipeline.export import Request
    from debias.pipeline.export import export as write_export
    from debias.report.export_page import page
    from debias.report.terminal import lines

    found = write_export(
        Request(
            folder=given.folder, kind=given.as_, size=given.size, seed=given.seed,
            splits=tuple(listed(given.splits)), out=given.out or Path(f"{given.as_}.csv"),
        )
    )  # fmt: skip
    show(lines(page(found.document)))
    say(f"\nManifest: {found.manifest}")
    if found.held_out is not None:
        say(f"Held out, for testing: {found.held_out}")
    say(f"Numbers: {found.numbers} (how it came about, before and after)")
    say("Next: train on the manifest, test on the held-out images (docs/audit.md).")

"""``debias export``."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from debias.commands.options import Options, argument, command, option
from debias.commands.screen import listed, say, show

if TYPE_CHECKING:
    from debias.auditing.before_after import Row
    from debias.pipeline.export import Document
    from debias.report.blocks import Block


class Export(Options):
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
    from debias.report.terminal import lines

    found = write_export(
        Request(
            folder=given.folder, kind=given.as_, size=given.size, seed=given.seed,
            splits=tuple(listed(given.splits)), out=given.out or Path(f"{given.as_}.csv"),
        )
    )  # fmt: skip
    show(lines(summary(found.document)))
    say(f"\nManifest: {found.manifest}")
    if found.held_out is not None:
        say(f"Held out, for testing: {found.held_out}")
    say(f"Numbers: {found.numbers} (how it came about, before and after)")
    say("Next: train on the manifest, test on the held-out images (docs/audit.md).")


def summary(document: "Document") -> Iterator["Block"]:
    """The method, the findings, and the shares of the groups, those smallest before first."""
    from debias.report import blocks as b
    from debias.report.words import full_group_name

    def share(side: Mapping[str, int | float | None]) -> b.Text:
        return b.said("{share:percent} ({low..high:percent})", side)

    def smallest_first(row: "Row") -> float:
        return row["before"]["share"] or 0.0

    yield b.Sentence(document["method"], "verdict")
    yield b.Points(tuple(document["sentences"]))
    if rows := [row for row in document["groups"]["rows"] if row["state"] != "suppressed"]:
        columns: dict[str, b.Column] = {
            "group": lambda row: full_group_name(row["group"]),
            "before": lambda row: share(row["before"]),
            "after": lambda row: share(row["after"]),
        }
        title = "share of the images, before and after (95% interval)"
        yield b.table(sorted(rows, key=smallest_first), columns, title=title)

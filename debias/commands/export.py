"""``debias export``."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from debias.commands.options import Options, argument, command, option
from debias.commands.screen import listed, say, show
from debias.report.blocks import Block, Column, Points, Sentence, Text, said, table
from debias.report.words import full_group_name, is_number


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
    from debias.report.terminal import lines

    found = write_export(
        Request(
            folder=given.folder, kind=given.as_, size=given.size, seed=given.seed,
            splits=tuple(listed(given.splits)), out=given.out or Path(f"{given.as_}.csv"),
        )
    )  # fmt: skip
    show(lines(told(found.document)))
    say(f"\nManifest: {found.manifest}")
    if found.held_out is not None:
        say(f"Held out, for testing: {found.held_out}")
    say(f"Numbers: {found.numbers} (how it came about, before and after)")
    say("Next: train on the manifest, test on the held-out images (docs/audit.md).")


def told(document: Mapping[str, Any]) -> Iterator[Block]:
    """The method, the findings, and the shares of the groups, those smallest before first."""
    yield Sentence(document["method"], "verdict")
    yield Points(tuple(document["sentences"]))
    if rows := document["groups"]["rows"]:
        columns: dict[str, Column] = {
            "group": lambda row: full_group_name(row["group"]),
            "before": lambda row: _share(row["before"]),
            "after": lambda row: _share(row["after"]),
        }
        title = "share of the images, before and after (95% interval)"
        yield table(sorted(rows, key=_smallest_first), columns, title=title)


def _smallest_first(row: Mapping[str, Any]) -> tuple[bool, float]:
    """Withheld shares come last."""
    share = row["before"]["share"]
    return share is None, share if is_number(share) else 0.0


def _share(side: Mapping[str, Any]) -> Text:
    known = "{share:percent} ({low..high:percent})"
    return said(known if is_number(side["share"]) else "withheld", side)

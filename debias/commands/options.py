"""Options that mean the same in several commands, each written once."""

from pathlib import Path
from typing import Annotated, Any

import typer

from debias.commands.screen import listed, named

Layout = Annotated[
    str | None,
    typer.Option(
        "--layout", metavar="NAME", help="How SOURCE is to be read. [default: recognised]"
    ),
]
TableFile = Annotated[
    Path | None,
    typer.Option(
        "--table", metavar="FILE", help="CSV or Parquet, one row per image, column `path`."
    ),
]
Label = Annotated[
    str | None,
    typer.Option("--label", metavar="COLUMN", help="What a classifier predicts: two values."),
]
Attributes = Annotated[
    str | None,
    typer.Option(
        "--attributes",
        metavar="COLUMN,...",
        help="Annotated groups, by which results are broken down.",
    ),
]
Subject = Annotated[
    str | None,
    typer.Option("--subject", metavar="COLUMN", help="Who is shown (with --table): one split."),
]
Size = Annotated[
    int | None,
    typer.Option("--size", metavar="PIXELS", help="Side of the images, 16 to 512. [default: 64]"),
]
Reference = Annotated[
    Path | None,
    typer.Option(
        "--reference", metavar="FOLDER", help="Images that the data should look like; unlabelled."
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one setting; repeat."),
]
RunOut = Annotated[
    Path | None,
    typer.Option("--out", metavar="FOLDER", help="By default runs/NAME. Continued if it is there."),
]
Replace = Annotated[
    bool,
    typer.Option("--replace", help="Use the folder of another recipe; its report is deleted."),
]
ReferenceGroups = Annotated[
    list[str] | None,
    typer.Option(
        "--reference-group",
        metavar="COLUMN=VALUE",
        help="Group that the others are compared with; repeat. [default: all pairs]",
    ),
]
Margin = Annotated[
    float | None,
    typer.Option(
        "--margin",
        metavar="SHARE",
        help="Largest difference that does not matter, between 0 and 1; 0.05 is 5 points.",
    ),
]
Level = Annotated[
    float,
    typer.Option("--level", metavar="SHARE", help="Level of the intervals, between 0 and 1."),
]


def reading(layout: str | None, table: Path | None, subject: str | None) -> dict[str, Any]:
    """How images are to be read, as settings of the data set."""
    return named({"name": layout, "table": table and str(table), "subject_column": subject})


def asked(
    label: str | None, attributes: str | None, size: int | None, reference: Path | None = None
) -> dict[str, Any]:
    """What else the options say, as settings of a recipe by their full name."""
    settings = {
        "label": label,
        "attributes": listed(attributes) if attributes is not None else None,
        "image_size": size,
        "reference.data": images(reference),
    }
    return named(settings)


def images(place: Path | None) -> dict[str, Any] | None:
    """Settings of an unlabelled second set of images."""
    from debias.datasets.recognition import recognised

    return recognised(place, {}) if place else None

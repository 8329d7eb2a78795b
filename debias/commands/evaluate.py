"""What ``debias evaluate`` takes and prints."""

from pathlib import Path
from typing import Annotated, Any

import typer

from debias.commands.options import Level, Margin, ReferenceGroups
from debias.commands.screen import console, explained, listed, pairs, say


def evaluate(  # noqa: PLR0913 (the options of one command)
    predictions: Annotated[
        Path, typer.Argument(help="One row per image: .csv or .parquet, of any classifier.")
    ],
    label: Annotated[str, typer.Option(metavar="COLUMN", help="True class.")],
    prediction: Annotated[str, typer.Option(metavar="COLUMN", help="Predicted class.")],
    attributes: Annotated[
        str, typer.Option(metavar="COLUMN,...", help="Annotated groups; also crossed.")
    ],
    subject: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Who is shown: widens intervals where people repeat."),
    ] = None,
    score: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Probability of the positive class: calibration."),
    ] = None,
    sample: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Name of the image, by which tables are joined."),
    ] = None,
    positive: Annotated[
        str | None, typer.Option(help="Class that the rates are about. [default: the last]")
    ] = None,
    reference_group: ReferenceGroups = None,
    margin: Margin = None,
    level: Level = 0.95,
    metrics: Annotated[
        str | None, typer.Option(metavar="NAME,...", help="Rates to compare. [default: all]")
    ] = None,
    source: Annotated[
        str,
        typer.Option(help="Who says which group: self-reported, annotated, inferred, not stated."),
    ] = "not stated",
    declare: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=VALUE|VALUE",
            help="Allowed groups; one without images is shown; repeat.",
        ),
    ] = None,
    noise: Annotated[
        bool, typer.Option("--noise", help="Shuffle some group labels to test the gaps.")
    ] = False,
    minimum: Annotated[
        int, typer.Option(help="Fewer images, at least 1, take no part in a verdict.")
    ] = 30,
    suppress_below: Annotated[
        int, typer.Option(help="Counts from 1 to below this are withheld; 1: none.")
    ] = 11,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the page and the JSON. [default: NAME-evaluation]"),
    ] = None,
) -> None:
    """Measure how any classifier treats each group, from a table of its predictions."""
    with explained():
        from debias.pipeline.evaluating import Columns, Request, write_evaluation
        from debias.report.fairness_page import summary
        from debias.report.terminal import lines

        columns = Columns(
            label=label, prediction=prediction, groups=tuple(listed(attributes)), score=score,
            subject=subject, sample=sample,
        )  # fmt: skip
        settings: dict[str, Any] = {
            "margin": margin, "level": level, "noise": noise, "minimum": minimum,
            "suppress_below": suppress_below, "positive": positive,
            "reference": pairs("--reference-group", reference_group) or None,
            "metrics": listed(metrics) if metrics else None,
            "sources": dict.fromkeys(listed(attributes), source),
            "declared": {
                name: values.split("|") for name, values in pairs("--declare", declare).items()
            },
        }  # fmt: skip
        folder = out or Path(f"{predictions.stem}-evaluation")
        request = Request(table=predictions, columns=columns, settings=settings)
        found = write_evaluation(request, folder)
        for line in lines(summary(found.to_dict())):
            console.print(line, highlight=False, soft_wrap=isinstance(line, str))
        say(f"\nPage: {folder / 'evaluation.html'}")
        say(f"Numbers: {folder / 'evaluation.json'}")
        say(f"Next: open the page; compare a later version with: debias compare {folder} FOLDER")

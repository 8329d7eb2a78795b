"""What ``debias weigh`` takes and prints."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape
from rich.table import Table

from debias.commands.screen import console, explained, listed, say

if TYPE_CHECKING:
    import pandas as pd


def weigh(  # noqa: PLR0913 (the options of one command)
    embeddings: Annotated[
        Path, typer.Argument(help="One row per sample: .npy, .npz, .parquet or .csv.")
    ],
    label: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN|FILE",
            help="Class of each sample: weights are made within classes. A column of EMBEDDINGS, "
            "or a .csv, .parquet, .npy or .txt file; FILE:COLUMN where it has several.",
        ),
    ] = None,
    attributes: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN|FILE",
            help="Annotated groups, where known: shows whom the weights reach. Enters the weights "
            "only with --target groups.",
        ),
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(help="Embeddings, by the same encoder, that the data should look like."),
    ] = None,
    ids: Annotated[
        Path | None, typer.Option(help="One sample id a line, for embeddings without ids.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,...",
            help="Columns of a table that are the dimensions: names, e0-e31, 'e*'. [default: those "
            "that are numbered alike]",
        ),
    ] = None,
    target: Annotated[
        str | None,
        typer.Option(
            help="uniform, reference, or groups: those of --attributes. [default: uniform, or "
            "reference if given]"
        ),
    ] = None,
    density: Annotated[
        str | None,
        typer.Option(
            help="How crowdedness is measured: histogram, knn or mixture; or ratio, with a "
            "reference. [default: histogram, or ratio for a reference]"
        ),
    ] = None,
    ess: Annotated[
        str,
        typer.Option(
            metavar="SHARE",
            help="Effective sample size as a share of the samples, in (0, 1]; or 'published': as "
            "uneven as the published formula makes them.",
        ),
    ] = "0.5",
    alpha: Annotated[float, typer.Option(help="Smoothing of the density, above 0.")] = 0.01,
    cap: Annotated[
        float, typer.Option(help="Largest weight in multiples of the mean, above 1.")
    ] = 20.0,
    seed: Annotated[int, typer.Option(help="Seed of every random choice, 0 or more.")] = 0,
    out: Annotated[
        Path, typer.Option(help="Weights to write: .parquet or .csv; a picture goes beside it.")
    ] = Path("weights.parquet"),
) -> None:
    """Weigh embeddings that exist already, so that training sees more of what is rare."""
    with explained():
        from debias.pipeline.weigh import Request
        from debias.pipeline.weigh import weigh as weigh_file

        settings: dict[str, Any] = {"ess": _share(ess), "alpha": alpha, "cap": cap, "seed": seed}
        found = weigh_file(
            Request(
                embeddings=embeddings, labels=label, groups=attributes, reference=reference,
                ids=ids, dimensions=tuple(listed(columns or "")), target=target, density=density,
                settings=settings, out=out,
            )
        )  # fmt: skip
        if found.by_group is not None:
            console.print(_groups_table(found.by_group))
        for sentence in found.sentences:
            say("* " + sentence)
        say(f"\nWeights: {out} (sample_id, weight with mean 1, probability)")
        say(f"Picture: {found.picture}")
        say(
            "Next: look at the picture, then give 'weight' to a trainer that takes sample weights, "
            "or draw with debias.WeightedSampler (docs/weigh.md)."
        )


def _share(text: str) -> float | str:
    """A number as one; the settings judge it, and every other word."""
    try:
        return float(text)
    except ValueError:
        return text


def _groups_table(by_group: "pd.DataFrame") -> Table:
    table = Table(title="Share of each group among the samples and in the weight")
    for heading in ("group", "samples", "before", "after", "random weights", "AUC (95 %)"):
        table.add_column(heading, justify="left" if heading == "group" else "right")
    for row in by_group.to_dict("records"):
        area = f"{row['auc']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
        shares = [f"{row[name]:.1%}" for name in ("before", "after", "random_low", "random_high")]
        table.add_row(
            escape(row["group"]), f"{row['count']:,}", *shares[:2], " to ".join(shares[2:]),
            area if row["auc"] == row["auc"] else "undefined",
        )  # fmt: skip
    return table

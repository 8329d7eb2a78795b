"""``debias weigh``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.markup import escape
from rich.table import Table

from debias.commands.options import Joined, argument, command, option
from debias.commands.screen import console, listed, say
from debias.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

NOT_OF_SHARDS = (
    "label", "attributes", "reference", "elsewhere", "elsewhere_groups", "ids", "beside", "target",
)  # fmt: skip


class Weigh(Joined):
    embeddings: list[str] = argument(
        "One row per sample: .npy, .npz, .parquet, .csv, .tsv or .jsonl. Of an encoder with a "
        "posterior, such as a VAE, means and not draws. With --workers shards: .npy, .parquet or "
        ".zarr files, folders, patterns, s3://..."
    )
    label: str | None = option(
        "Class of each sample: weights are made within classes. A column of EMBEDDINGS, or a .csv, "
        ".parquet, .npy or .txt file; FILE:COLUMN where it has several.", "COLUMN|FILE",
    )  # fmt: skip
    attributes: str | None = option(
        "Annotated groups, where known: shows whom the weights reach. Enters the weights only with "
        "--target groups.", "COLUMN|FILE",
    )  # fmt: skip
    reference: Path | None = option(
        "Embeddings, by the same encoder, that the data should look like."
    )
    elsewhere: Path | None = option(
        "Embeddings, by the same encoder, of another collection whose groups are annotated "
        "(--elsewhere-groups): the groups here are estimated from them."
    )
    elsewhere_groups: str | None = option(
        "Groups of --elsewhere: a column of it, or a file as for --attributes.", "COLUMN|FILE"
    )
    ids: Path | None = option("One sample id a line, for embeddings without ids.")
    columns: str | None = option(
        "Columns of a table that are the dimensions: names, e0-e31, 'e*', or one of lists. "
        "[default: what looks like an embedding]", "NAME,...",
    )  # fmt: skip
    beside: str | None = option("Columns that are not, written likewise.", "NAME,...")
    allow_missing: float = option("Samples that may have no embedding.", "SHARE", 0.01)
    target: str | None = option(
        "uniform, reference, groups (those of --attributes) or elsewhere. [default: uniform, or "
        "reference or elsewhere if given]"
    )
    density: str | None = option(
        "How crowdedness is measured: histogram, knn or mixture; or ratio, with a reference. "
        "[default: histogram, or ratio for a reference]"
    )
    ess: str = option(
        "Effective sample size as a share of the samples, in (0, 1]; or 'published': as uneven as "
        "the published formula makes them.", "SHARE", "0.5",
    )  # fmt: skip
    alpha: float = option("Smoothing of the density, above 0.", default=0.01)
    cap: float = option("Largest weight in multiples of the mean, above 1.", default=20.0)
    seed: int = option("Seed of every random choice, 0 or more.", default=0)
    workers: str | None = option(
        "Weigh shards that no machine need hold: so many processes, or a Dask scheduler's address.",
        "N|ADDRESS",
    )  # fmt: skip
    out: Path | None = option(
        "Weights to write: .parquet or .csv; a picture goes beside it. Of shards a folder, with a "
        ".npy file for each. [default: weights.parquet, weights]"
    )


@command
def weigh(given: Weigh) -> None:
    """Weigh embeddings that exist already, so that training sees more of what is rare."""
    if given.workers is not None:
        _weigh_shards(given)
        return
    if len(given.embeddings) > 1:
        raise ConfigError(
            f"{len(given.embeddings)} files of embeddings are given; several are weighed by "
            "workers: add --workers N"
        )
    from debias.pipeline import weigh as weighing

    out = given.out or Path("weights.parquet")
    found = weighing.weigh(
        weighing.Request(
            embeddings=Path(given.embeddings[0]), labels=given.label, groups=given.attributes,
            reference=given.reference, elsewhere=given.elsewhere,
            elsewhere_groups=given.elsewhere_groups, ids=given.ids, target=given.target,
            density=given.density,
            dimensions=tuple(listed(given.columns or "")),
            beside=tuple(listed(given.beside or "")), by_order=given.by_order,
            allow_unjoined=given.allow_unjoined, allow_missing=given.allow_missing, out=out,
            settings={**_settings(given), "seed": given.seed},
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


def _weigh_shards(given: Weigh) -> None:
    from debias.pipeline.weigh_shards import weigh_shards

    asked = vars(given)
    if wrong := [f"--{name.replace('_', '-')}" for name in NOT_OF_SHARDS if asked[name]]:
        raise ConfigError(
            f"{', '.join(wrong)}: shards are weighed by their latents alone, towards all regions "
            "alike; leave that out, or give one file without --workers"
        )
    out = given.out or Path("weights")
    settings = {**_settings(given), "density": given.density or "histogram"}
    sentences = weigh_shards(
        given.embeddings, given.workers or "", out, tuple(listed(given.columns or "")), settings
    )
    for sentence in sentences:
        say("* " + sentence)
    say(f"\nWeights: {out} (NAME.npy beside manifest.json: weights with mean 1, row by row)")
    say(
        "Next: give each shard's weights to the trainer that reads it, or draw row numbers of all "
        "with debias.shard_weights(...).draw (docs/weigh.md)."
    )


def _settings(given: Weigh) -> dict[str, Any]:
    return {"ess": _share(given.ess), "alpha": given.alpha, "cap": given.cap}


def _share(text: str) -> float | str:
    """A number as one; the settings judge it, and every other word."""
    try:
        return float(text)
    except ValueError:
        return text


def _groups_table(by_group: "pd.DataFrame") -> Table:
    table = Table(title="Share of each group among the samples and in the weight")
    for heading in ("group", "samples", "before", "after", "random weights", "AUC (95%)"):
        table.add_column(heading, justify="left" if heading == "group" else "right")
    for row in by_group.to_dict("records"):
        area = f"{row['auc']:.2f} ({row['low']:.2f} to {row['high']:.2f})"
        shares = [f"{row[name]:.1%}" for name in ("before", "after", "random_low", "random_high")]
        table.add_row(
            escape(row["group"]), f"{row['count']:,}", *shares[:2], " to ".join(shares[2:]),
            area if row["auc"] == row["auc"] else "undefined",
        )  # fmt: skip
    return table

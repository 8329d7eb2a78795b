"""The ``debias`` command. Heavy libraries are imported by the command that needs them."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from debias.errors import PipelineError

if TYPE_CHECKING:
    import pandas as pd

    from debias.progress import Advance

app = typer.Typer(
    add_completion=False,
    no_args_is_help=True,
    rich_markup_mode="markdown",
    help="""Find and mitigate representation bias in face data sets, without group labels.

Start with `debias run`: it draws its own faces, so it needs no data. Then point a copy of
configs/folder.yaml at your own folder. `debias ui` opens the recorded runs.""",
)
# Names of files and groups are printed as they are: ":b:" is no picture.
console = Console(emoji=False)
errors = Console(stderr=True, emoji=False)


@app.callback()
def debias() -> None:
    """Keep `run` a subcommand while there are few of them."""


@app.command()
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
    with _explained():
        from debias.config import load_config
        from debias.recording import choose_tracking
        from debias.stages import mitigate, open_run

        recipe = load_config(config, set_ or [])
        folder = out or Path("runs") / recipe.name
        with Bars() as bars:
            opened = open_run(recipe, folder, progress=bars)
            tracking = choose_tracking(recipe.tracking, folder.parent)
            document = mitigate(opened.with_tracking(tracking))
        _show(document, folder, bars.kept)


@app.command()
def ingest(  # noqa: PLR0913 (the options of one command)
    source: Annotated[
        Path,
        typer.Argument(
            help="Folder of images, a public data set, .tar shards, an .h5 file, or a recipe."
        ),
    ],
    out: Annotated[
        Path | None, typer.Option(help="Store to make or continue. [default: stores/NAME]")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="CSV or Parquet file, one row per image, column `path`.")
    ] = None,
    data: Annotated[
        str | None, typer.Option(metavar="NAME", help="Layout of SOURCE. [default: recognised]")
    ] = None,
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="What a classifier is to predict.")
    ] = None,
    attributes: Annotated[
        str | None,
        typer.Option(metavar="COLUMN,...", help="Annotated groups: who was set aside, by group."),
    ] = None,
    subject: Annotated[
        str | None,
        typer.Option(metavar="COLUMN", help="Who is shown (with --table); kept in one split."),
    ] = None,
    size: Annotated[int | None, typer.Option(help="Side of the images, pixels.")] = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one setting; repeat."),
    ] = None,
    retry: Annotated[
        bool,
        typer.Option("--retry", help="Read again what took too long or ran out of memory."),
    ] = False,
) -> None:
    """Decode a collection of faces once, safely, and account for everything left out.

    Stopped at any time, the same command goes on; after a change it decodes only what is new.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with _explained():
        from debias import ingesting
        from debias.report.ingest_terminal import ingest_lines

        given = {"name": data, "table": table and str(table), "subject_column": subject}
        recipe = {
            "label": label, "attributes": _list(attributes) if attributes else None,
            "image_size": size,
        }  # fmt: skip
        request = ingesting.Request(
            source=source, data=_named(given), recipe=_named(recipe), overrides=set_ or [],
            out=out, retry=retry,
        )  # fmt: skip
        with Bars() as bars:
            found = ingesting.ingest(request, bars)
        _say(f"{source} was read as data set {found.recipe.data.name!r} (--data names another).")
        for line in ingest_lines(found.document):
            console.print(line, highlight=False, soft_wrap=isinstance(line, str))
        _say(f"\nPage: {found.folder / ingesting.PAGE}")
        _say(f"Numbers: {found.folder / ingesting.NUMBERS}")
        _say(f"Next: open the page; {ingesting.next_step(found)}")


@app.command()
def audit(  # noqa: PLR0913 (the options of one command)
    config: Annotated[
        Path | None,
        typer.Argument(help="Recipe, one for `debias run` included. Without one: drawn faces."),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Folder of images, or store, instead of a recipe."),
    ] = None,
    layout: Annotated[
        str | None, typer.Option(metavar="NAME", help="Layout of --data. [default: recognised]")
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="CSV or Parquet file, one row per image, column `path`.")
    ] = None,
    attributes: Annotated[
        str | None, typer.Option(metavar="COLUMN,...", help="Annotated groups, if there are any.")
    ] = None,
    subject: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="Who is shown (with --table).")
    ] = None,
    reference: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Images that say what the data should look like."),
    ] = None,
    earlier: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="An earlier version: what has changed.")
    ] = None,
    shares: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Declared shares: columns attribute, group, share."),
    ] = None,
    show_faces: Annotated[
        bool, typer.Option("--show-faces", help="Put photographs of real people on the page.")
    ] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Override one setting; repeat."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder; by default runs/NAME. Continued if it exists.")
    ] = None,
) -> None:
    """Who is missing from a collection, how sure that is, and what to collect; no labels needed.

    Writes audit.html and audit.json. In the folder of a run it reuses what was trained there.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with _explained():
        from debias import audit_command
        from debias.recording import choose_tracking
        from debias.report.audit_terminal import audit_lines
        from debias.stages import examine, open_job

        given = {"name": layout, "table": table and str(table), "subject_column": subject}
        recipe = {
            "attributes": _list(attributes) if attributes else None,
            "reference.data": reference and audit_command.source_of(reference),
            "earlier.data": earlier and audit_command.source_of(earlier),
            "audit.shares": {} if shares else None, "audit.shares_file": shares and str(shares),
            "report.show_faces": show_faces or None,
        }  # fmt: skip
        request = audit_command.Request(
            config=config, folder=data, data=_named(given), recipe=_named(recipe),
            overrides=set_ or [],
        )  # fmt: skip
        asked = audit_command.recipe_of(request)
        folder = out or Path("runs") / asked.name
        with Bars() as bars:
            job = open_job(asked, folder, progress=bars)
            document = examine(job.with_tracking(choose_tracking(asked.tracking, folder.parent)))
        if bars.kept:
            _say(f"Reused {len(bars.kept)} finished stages: {', '.join(bars.kept)}.")
        for line in audit_lines(document):
            console.print(line, highlight=False, soft_wrap=isinstance(line, str))
        _say(f"\nPage: {folder / 'audit.html'}")
        _say(f"Numbers: {folder / 'audit.json'}")
        _say(f"Next: open the page; a rebalanced data set: debias export {folder} --as weights")


@app.command()
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
    with _explained():
        from debias.exporting import Request
        from debias.exporting import export as write_export
        from debias.report.export_terminal import export_lines

        found = write_export(
            Request(
                folder=folder, kind=as_, size=size, seed=seed, splits=tuple(_list(splits)),
                out=out or Path(f"{as_}.csv"),
            )
        )  # fmt: skip
        for line in export_lines(found.document):
            console.print(line, highlight=False, soft_wrap=isinstance(line, str))
        _say(f"\nManifest: {found.manifest}")
        if found.held_out is not None:
            _say(f"Held out, for testing: {found.held_out}")
        _say(f"Numbers: {found.numbers} (how it came about, before and after)")
        _say("Next: train on the manifest, test on the held-out images: Export in the README.")


@app.command()
def weigh(  # noqa: PLR0913 (the options of one command)
    embeddings: Annotated[
        Path, typer.Argument(help="One row per sample: .npy, .npz, .parquet or .csv.")
    ],
    labels: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN|FILE",
            help="Class of each sample: weights are made within classes. A column of EMBEDDINGS, "
            "or a .csv, .parquet, .npy or .txt file; FILE:COLUMN where it has several.",
        ),
    ] = None,
    groups: Annotated[
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
    target: Annotated[
        str | None,
        typer.Option(
            help="uniform, reference or groups. [default: uniform, or reference if given]"
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
        float, typer.Option(help="Effective sample size as a share of the samples, in (0, 1].")
    ] = 0.5,
    alpha: Annotated[float, typer.Option(help="Smoothing of the density.")] = 0.01,
    cap: Annotated[float, typer.Option(help="Largest weight in multiples of the mean.")] = 20.0,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = 0,
    out: Annotated[
        Path, typer.Option(help="Weights to write: .parquet or .csv; a picture goes beside it.")
    ] = Path("weights.parquet"),
) -> None:
    """Weigh embeddings that exist already, so that training sees more of what is rare."""
    with _explained():
        from debias.weigh import Request
        from debias.weigh import weigh as weigh_file

        settings: dict[str, Any] = {"ess": ess, "alpha": alpha, "cap": cap, "seed": seed}
        found = weigh_file(
            Request(
                embeddings=embeddings, labels=labels, groups=groups, reference=reference, ids=ids,
                target=target, density=density, settings=settings, out=out,
            )
        )  # fmt: skip
        if found.by_group is not None:
            console.print(_groups_table(found.by_group))
        for sentence in found.sentences:
            _say("* " + sentence)
        _say(f"\nWeights: {out} (sample_id, weight with mean 1, probability)")
        _say(f"Picture: {found.picture}")
        _say(
            "Next: look at the picture, then give 'weight' to a trainer that takes sample weights, "
            "or draw with debias.WeightedSampler; see the README."
        )


@app.command()
def evaluate(  # noqa: PLR0913 (the options of one command)
    predictions: Annotated[
        Path, typer.Argument(help="One row per image: .csv or .parquet, of any classifier.")
    ],
    label: Annotated[str, typer.Option(metavar="COLUMN", help="True class.")],
    prediction: Annotated[str, typer.Option(metavar="COLUMN", help="Predicted class.")],
    groups: Annotated[
        str, typer.Option(metavar="COLUMN,...", help="Annotated attributes; also crossed.")
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
    reference: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=VALUE",
            help="Group that the others are compared with; repeat. [default: all pairs]",
        ),
    ] = None,
    margin: Annotated[
        float | None,
        typer.Option(help="Largest difference that does not matter; 0.05 is 5 points."),
    ] = None,
    level: Annotated[float, typer.Option(help="Level of the intervals.")] = 0.95,
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
    minimum: Annotated[int, typer.Option(help="Fewer images take no part in a verdict.")] = 30,
    suppress_below: Annotated[
        int, typer.Option(help="Counts from 1 to below this are withheld; 1: none.")
    ] = 11,
    out: Annotated[
        Path | None,
        typer.Option(help="Folder for the page and the JSON. [default: NAME-evaluation]"),
    ] = None,
) -> None:
    """Measure how any classifier treats each group, from a table of its predictions."""
    with _explained():
        from debias.evaluating import Columns, Request, write_evaluation
        from debias.report.terminal import evaluation_lines

        columns = Columns(
            label=label, prediction=prediction, groups=tuple(_list(groups)), score=score,
            subject=subject, sample=sample,
        )  # fmt: skip
        settings: dict[str, Any] = {
            "margin": margin, "level": level, "noise": noise, "minimum": minimum,
            "suppress_below": suppress_below, "positive": positive,
            "reference": _pairs("--reference", reference) or None,
            "metrics": _list(metrics) if metrics else None,
            "sources": dict.fromkeys(_list(groups), source),
            "declared": {
                name: values.split("|") for name, values in _pairs("--declare", declare).items()
            },
        }  # fmt: skip
        folder = out or Path(f"{predictions.stem}-evaluation")
        request = Request(table=predictions, columns=columns, settings=settings)
        found = write_evaluation(request, folder)
        for line in evaluation_lines(found.to_dict()):
            console.print(line, highlight=False, soft_wrap=isinstance(line, str))
        _say(f"\nPage: {folder / 'evaluation.html'}")
        _say(f"Numbers: {folder / 'evaluation.json'}")
        _say(f"Next: open the page; compare a later version with: debias compare {folder} FOLDER")


@app.command()
def compare(
    before: Annotated[
        str, typer.Argument(help="Folder of `debias evaluate`, or a run folder, or RUN:ARM.")
    ],
    after: Annotated[
        str | None,
        typer.Argument(help="Likewise. Without it: every arm of BEFORE with its plain training."),
    ] = None,
    reference: Annotated[
        list[str] | None,
        typer.Option(
            metavar="COLUMN=VALUE", help="Group that the others are compared with; repeat."
        ),
    ] = None,
    margin: Annotated[
        float | None, typer.Option(help="Largest change that does not matter; 0.05 is 5 points.")
    ] = None,
    level: Annotated[float, typer.Option(help="Level of the intervals.")] = 0.95,
    out: Annotated[Path, typer.Option(help="Folder for the pages and the JSON.")] = Path(
        "comparison"
    ),
) -> None:
    """Before and after on the same images: what changed, for whom, and who was harmed."""
    with _explained():
        from debias.comparing import NUMBERS, compare_places, write_comparison
        from debias.report.terminal import comparison_lines

        settings = {
            "reference": _pairs("--reference", reference) or None, "margin": margin, "level": level,
        }  # fmt: skip
        found = compare_places(before, after, settings)
        pages = write_comparison(found, out)
        for name, one in found.items():
            for line in comparison_lines(name, one.to_dict()):
                console.print(line, highlight=False, soft_wrap=isinstance(line, str))
        for page in pages:
            _say(f"Page: {page}")
        _say(f"Numbers: {out / NUMBERS}")
        _say("Next: open the page; it begins with the groups that were harmed, if there are any.")


@app.command()
def purge(
    subject: Annotated[str, typer.Argument(help="A subject_id, as the data set names people.")],
    folders: Annotated[list[Path], typer.Argument(help="Run folders, stores, or folders of them.")],
    sample: Annotated[
        bool, typer.Option("--sample", help="SUBJECT is a sample_id: only this image goes.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say what would be removed; change nothing.")
    ] = False,
) -> None:
    """Take a person out of stores, latents, weights, predictions, pages and tracked runs."""
    with _explained():
        from debias.purging import purge as purge_person

        found = purge_person(subject, folders, sample=sample, dry_run=dry_run)
        for line in found.lines():
            _say(line)
        if not (found.complete or dry_run):
            raise typer.Exit(4)


STYLES = {"ok": "green", "warning": "yellow", "problem": "bold red"}


@app.command()
def doctor(
    folder: Annotated[
        Path | None, typer.Argument(help="Folder of runs or stores, whose files are verified.")
    ] = None,
    deep: Annotated[bool, typer.Option("--deep", help="Load torch, too.")] = False,
    repair: Annotated[
        bool, typer.Option("--repair", help="Delete what dead processes left behind in FOLDER.")
    ] = False,
    images: Annotated[
        int | None, typer.Option(min=1, help="Images that are to be put into a store.")
    ] = None,
    size: Annotated[int, typer.Option(min=1, help="Side of these images, pixels.")] = 64,
) -> None:
    """Examine versions, disk, permissions, servers, and a folder of runs or stores."""
    with _explained():
        from debias.doctor import examine, exit_code

        found = examine(folder, deep=deep, repair=repair, images=images, size=size)
        for one in found:
            console.print(f"[{STYLES[one.state]}]{one.state:8}[/] {one.area}: ", end="")
            _say(one.text + (f"\n         -> {one.advice}" if one.advice else ""))
        if exit_code(found):
            raise typer.Exit(exit_code(found))


def _named(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Those that were given."""
    return {name: value for name, value in settings.items() if value is not None}


def _list(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _pairs(option: str, given: list[str] | None) -> dict[str, str]:
    """Read ``NAME=VALUE`` options."""
    from debias.errors import ConfigError

    broken = [text for text in given or [] if "=" not in text]
    if broken:
        raise ConfigError(f"{option} takes COLUMN=VALUE, got {broken[0]!r}")
    found = [text.partition("=") for text in given or []]
    names = [name for name, _, _ in found]
    repeated = [name for name in names if names.count(name) > 1]
    if repeated:
        raise ConfigError(f"{option} names {repeated[0]!r} twice; each column has one")
    return {name: value for name, _, value in found}


@app.command()
def ui(
    folder: Annotated[
        Path, typer.Option(help="Folder that holds mlflow.db, as `debias run` made it.")
    ] = Path("runs"),
    experiment: Annotated[str, typer.Option(help="MLflow experiment to link to.")] = "debias",
    port: Annotated[int, typer.Option(help="Port of the MLflow server.")] = 5055,
    prefect: Annotated[bool, typer.Option("--prefect", help="Start Prefect's server too.")] = False,
) -> None:
    """Start the local MLflow server and print the links that open the right pages."""
    with _explained():
        from debias.ui import serve

        serve(folder, experiment, port, _say, prefect=prefect)


class Bars:
    """Progress bars of a run, one per stage at work."""

    def __init__(self) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("[dim]{task.fields[note]}"),
        )
        self.bars = Progress(*columns, console=console)
        self.kept: list[str] = []

    def __enter__(self) -> "Bars":
        self.bars.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self.bars.stop()

    def start(self, title: str, total: int) -> "Advance":
        task = self.bars.add_task(title, total=total, note="")

        def advance(note: str, steps: int = 1) -> None:
            self.bars.update(task, advance=steps, note=note)

        return advance

    def reused(self, title: str) -> None:
        self.kept.append(title)


def _say(text: str) -> None:
    console.print(text, markup=False, highlight=False, soft_wrap=True)


@contextmanager
def _explained() -> Iterator[None]:
    """Turn an expected problem into one paragraph and its exit code."""
    try:
        yield
    except PipelineError as error:
        errors.print(f"[bold red]{type(error).__name__}[/]: ", end="")
        errors.print(str(error), markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt as error:
        errors.print("Interrupted. Finished stages are kept: run the same command to continue.")
        raise typer.Exit(130) from error


def _show(document: Mapping[str, Any], folder: Path, kept: list[str]) -> None:
    if kept:
        console.print(f"Reused {len(kept)} finished stages: {', '.join(kept)}.", highlight=False)
    set_aside = document["data"]["set_aside"]["count"]
    if set_aside:
        files = "1 file was" if set_aside == 1 else f"{set_aside} files were"
        console.print(f"{files} set aside; the report says why.", highlight=False)
    console.print(_arms_table(document))
    for sentence in document["concluded"]:
        _say("* " + sentence)
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
    _say(f"Next: open the report; group by group: debias compare {folder}")


def _arms_table(document: Mapping[str, Any]) -> Table:
    from debias.report.text import full_group_name

    seeds = document["run"]["seeds"]
    table = Table(title=f"{document['name']}: mean over {seeds} seed(s), sd in brackets")
    for heading in ("arm", "accuracy", "worst group", "gap"):
        table.add_column(heading, justify="left" if heading == "arm" else "right", no_wrap=True)
    table.add_column("weakest group", overflow="fold")
    for arm, found in document["arms"].items():
        mean, spread = found["mean"]["accuracy"], found["mean"]["sd"]["accuracy"]
        cells = [_cell(mean[name], spread[name]) for name in ("overall", "worst_group", "gap")]
        weakest = found["mean"]["extremes"].get("worst_group", "undefined")
        table.add_row(arm, *cells, escape(full_group_name(weakest)))
    return table


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


def _cell(mean: float | None, spread: float | None) -> str:
    if mean is None:
        return "undefined"
    return f"{mean:.1%}" + ("" if spread is None else f" ({spread:.1%})")


if __name__ == "__main__":
    app()

"""What the commands do, as functions: same names and defaults as their options, values back.

A source is what a command takes (a folder, store, archive or recipe file), or a recipe as a
mapping or as a value. Stages tell on standard error when they begin;
``debias.tracking.tracker.Silence()`` as ``progress`` keeps them quiet.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import yaml

from debias.datasets.recognition import source_name
from debias.errors import ConfigError, DataError
from debias.ingesting.rules import FacesRecipe
from debias.notebook.results import AuditResult, RunResult, StoredFaces, open_faces
from debias.own import plain
from debias.pipeline import examine, mitigate, open_job, open_run
from debias.pipeline import export as exporting
from debias.pipeline import source as sources
from debias.pipeline.export import Export
from debias.pipeline.faces import require_trainable
from debias.pipeline.ingest import make_store
from debias.pipeline.job import Job
from debias.pipeline.recipe import RunConfig, SpaceRecipe, load
from debias.pipeline.representation import REPRESENTATION, encode_store
from debias.pipeline.source import AUDIT_EPOCHS, Request, audit_recipe, run_recipe, store_recipe
from debias.plugins import dump
from debias.storage.artifacts import RunFolder
from debias.storage.sealed import read_checked
from debias.tracking.tracker import Lines, Progress, choose_tracking
from debias.training.device import choose
from debias.types import FaceStore, Latents

Source = str | Path | Mapping[str, Any] | FacesRecipe | StoredFaces
Changes = Mapping[str, Any]
R = TypeVar("R", bound=FacesRecipe)
MAKERS: dict[type[FacesRecipe], Callable[[Request], FacesRecipe]] = {
    RunConfig: run_recipe,
    SpaceRecipe: audit_recipe,
    FacesRecipe: store_recipe,
}


def run(  # noqa: PLR0913 (the options of the command)
    source: Source | None = None,
    *,
    label: str | None = None,
    attributes: str | Sequence[str] = (),
    subject: str | None = None,
    table: str | Path | None = None,
    folders: str | None = None,
    people: str | Path | None = None,
    layout: str | None = None,
    size: int | None = None,
    changes: Changes | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> RunResult:
    """Train, weigh, retrain and compare, as ``debias run``.

    Args:
        source: Images or a recipe; None for the demo on drawn faces.
        label: Column that a classifier predicts. This and the following say how images are read;
            a recipe says so itself.
        attributes: Annotated columns by which results are broken down; a list, or text with
            commas.
        subject: Column that says who is shown.
        folders: What the folders on the way to an image say: ``race/person``, ``split/person``.
        people: CSV or Parquet file, one row a person, joined by who is shown.
        table: CSV or Parquet file, one row an image, column ``path``.
        layout: How a folder is read; None for recognised.
        size: Side of the images, pixels.
        changes: Settings by their full name, such as ``{"seeds": 1}``, as ``--set``.
        out: Folder, continued if it exists; None for ``runs/NAME`` or ``stores/NAME``.
        progress: Who watches.

    Raises:
        PipelineError: The recipe, the data or the folder cannot be used.
    """
    options = {
        "label": label, "attributes": attributes or None, "subject": subject, "table": table,
        "folders": folders, "people": people, "layout": layout, "size": size,
    }  # fmt: skip
    recipe = _recipe(RunConfig, source, options, changes)
    folder = Path(out or Path("runs") / recipe.name)
    opened = open_run(recipe, folder, progress=progress or Lines())
    tracking = choose_tracking(recipe.tracking, folder.parent)
    return RunResult(folder=folder, report=mitigate(opened.with_tracking(tracking)))


def ingest(  # noqa: PLR0913, D417 (the options of the command, explained at run)
    source: Source,
    *,
    label: str | None = None,
    attributes: str | Sequence[str] = (),
    subject: str | None = None,
    table: str | Path | None = None,
    folders: str | None = None,
    people: str | Path | None = None,
    layout: str | None = None,
    size: int | None = None,
    changes: Changes | None = None,
    out: str | Path | None = None,
    retry: bool = False,
    progress: Progress | None = None,
) -> StoredFaces:
    """Decode a collection of faces once, safely, and account for what is left out.

    As ``debias ingest``; ``ingest.html`` in the ``folder`` of the store is the account.

    Args:
        source: Images or a recipe; the other arguments are those of :func:`run`.
        retry: Read again what took too long or ran out of memory.

    Raises:
        PipelineError: The recipe, the data or the folder cannot be used.
    """
    options = {
        "label": label, "attributes": attributes or None, "subject": subject, "table": table,
        "folders": folders, "people": people, "layout": layout, "size": size,
    }  # fmt: skip
    recipe = _recipe(FacesRecipe, source, options, changes)
    made = make_store(recipe, None if out is None else Path(out), progress or Lines(), retry=retry)
    return open_faces(made.folder)


def encode(
    store: FaceStore | str | Path,
    *,
    run: str | Path | None = None,
    changes: Changes | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> Latents:
    """Place every image of a store in a latent space.

    An autoencoder is trained on the store, or found trained; ``run``, or a run or audit folder as
    ``store``, takes the one that was trained there.

    Args:
        store: Of :func:`ingest`, or the folder of a store, of a finished run or audit; with
            ``run`` any store whose images have the size of the run.
        run: Folder of a finished run or audit.
        changes: Settings of a new training by their full name, such as
            ``{"representation.training.epochs": 20}``.
        out: Folder of a new training; None for ``runs/NAME-latents``. Continued if it exists.
        progress: Who watches.

    Returns:
        (n, k) latents in the order of the store.

    Raises:
        PipelineError: The store is too small to train on, or a folder is not what it should be.
    """
    faces = store if isinstance(store, FaceStore) else open_faces(Path(store))
    place = faces if run is None else open_faces(Path(run))
    if not isinstance(place, StoredFaces):
        raise ConfigError(
            "this store lies in no folder, so nothing can be kept beside it; name the folder of a "
            "finished run whose autoencoder is to place it: run=..."
        )
    there = (place.folder / "run.json").exists()
    if there and (changes or out):
        raise ConfigError(
            f"{place.folder} has a trained representation, which is used as it is; leave out "
            "changes and out, or encode the store of the faces"
        )
    job = _job_in(place.folder, progress) if there else _new_job(place, changes, out, progress)
    if not there:
        require_trainable(job, place)
    sides = [one.images.shape[1] for one in (faces, place)]
    if sides[0] != sides[1]:
        raise DataError(
            f"the store has images of {sides[0]} pixels, the run was trained on {sides[1]}; make a "
            f"store of that size: debias.ingest(..., size={sides[1]})"
        )
    trained = REPRESENTATION.make(job, faces=place.artifact)
    return encode_store(job, trained, faces, np.arange(len(faces.samples)))


def audit_folder(  # noqa: PLR0913, D417 (the options of the command, explained at run)
    source: Source | None = None,
    *,
    attributes: str | Sequence[str] = (),
    subject: str | None = None,
    table: str | Path | None = None,
    folders: str | None = None,
    people: str | Path | None = None,
    layout: str | None = None,
    reference: str | Path | None = None,
    earlier: str | Path | None = None,
    shares: str | Path | None = None,
    show_faces: bool = False,
    changes: Changes | None = None,
    out: str | Path | None = None,
    progress: Progress | None = None,
) -> AuditResult:
    """Say who is missing from a collection, as ``debias audit``; :func:`debias.export` takes it.

    Args:
        source: Images or a recipe; None for drawn faces. What is not named here is as in
            :func:`run`.
        reference: Folder of images that say what the data should look like.
        earlier: Folder of an earlier version: what has changed.
        shares: File of declared shares: columns attribute, group, share.
        show_faces: Put photographs of real people on the page.

    Raises:
        PipelineError: The recipe, the data or the folder cannot be used.
    """
    options = {
        "attributes": attributes or None, "subject": subject, "table": table, "folders": folders,
        "people": people,
    }  # fmt: skip
    more = {"reference": reference, "earlier": earlier, "shares": shares, "show_faces": show_faces}
    asked = sources.options(more)["recipe"] | dict(changes or {})
    recipe = _recipe(SpaceRecipe, source, options | {"layout": layout}, asked)
    folder = Path(out or Path("runs") / recipe.name)
    job = open_job(recipe, folder, progress=progress or Lines())
    tracking = choose_tracking(recipe.tracking, folder.parent)
    return AuditResult(folder=folder, document=examine(job.with_tracking(tracking)))


def export(
    audit: AuditResult | str | Path,
    *,
    as_: str = "weights",
    size: int | None = None,
    seed: int = 0,
    splits: str | Sequence[str] = ("train",),
    out: str | Path | None = None,
) -> Export:
    """Write an audited data set for any other training code, as ``debias export``.

    Args:
        audit: Of :func:`audit_folder`, or the folder that ``debias audit`` wrote.
        as_: ``weights``, ``resampled`` or ``subset``.
        size: Images of a subset, or lines of a resampled file.
        seed: Of every random choice.
        splits: Choose from these: train, validation.
        out: File to write, .csv or .parquet; None for ``KIND.csv``.

    Raises:
        PipelineError: A setting is not possible, it is no finished audit, or nothing can be
            written.
    """
    folder = audit.folder if isinstance(audit, AuditResult) else Path(audit)
    chosen, file = tuple(sources.names(splits)), Path(out or f"{as_}.csv")
    return exporting.export(
        exporting.Request(folder=folder, kind=as_, size=size, seed=seed, splits=chosen, out=file)
    )


def _recipe(
    kind: type[R],
    source: Source | None,
    options: Mapping[str, Any] | None = None,
    changes: Changes | None = None,
) -> R:
    said = sources.options(options or {})
    # As `--set` reads it; json would write 1e-05, which YAML takes for text.
    overrides = [
        f"{name}={yaml.safe_dump(plain(value), default_flow_style=True)}"
        for name, value in (changes or {}).items()
    ]
    source = source.folder if isinstance(source, StoredFaces) else source
    if source is None or isinstance(source, str | Path):
        place = None if source is None else Path(source)
        found = MAKERS[kind](Request(source=place, overrides=overrides, **said))
        assert isinstance(found, kind)
        return found
    given = [name for part in said.values() for name in part]
    if given:
        raise ConfigError(
            f"the recipe says itself what {', '.join(given)} are; change them there or with "
            "changes={...}"
        )
    return load(kind, dump(source) if isinstance(source, FacesRecipe) else plain(source), overrides)


def _job_in(folder: Path, progress: Progress | None) -> Job:
    """The job of a finished folder, whose ``run.json`` stays as it is."""
    about = read_checked(folder / "run.json")
    recipe = load(SpaceRecipe, about["config"])
    return Job(
        config=recipe,
        folder=RunFolder(folder),
        compute=choose(recipe.device, recipe.precision),
        id=about["id"],
        progress=progress or Lines(),
    )


def _new_job(
    store: StoredFaces, changes: Changes | None, out: str | Path | None, progress: Progress | None
) -> Job:
    name = source_name(store.folder)
    tree = {
        "name": f"{name}-latents",
        "data": {"name": "store", "root": str(store.folder)},
        "image_size": store.images.shape[1],
        "representation": {"training": {"epochs": AUDIT_EPOCHS}},
    }
    recipe = _recipe(SpaceRecipe, tree, changes=changes)
    return open_job(recipe, Path(out or Path("runs") / recipe.name), progress=progress or Lines())

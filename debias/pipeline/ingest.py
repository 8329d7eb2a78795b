"""From a recipe to a store, and a page that accounts for it."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, cast

import numpy as np
from jaxtyping import UInt8

from debias.ingesting.account import Account
from debias.ingesting.build import ACCOUNT, STAGE, ingest_faces
from debias.ingesting.rules import FacesRecipe
from debias.pipeline.faces import few_images
from debias.report.ingest_page import write_ingest_page
from debias.statistics.ranges import spelled
from debias.storage.artifacts import Artifact, RunFolder, load_faces
from debias.storage.sealed import read_manifest, sealed_in, write_json
from debias.tracking.tracker import Progress

PAGE, NUMBERS, POINTER = "ingest.html", "ingest.json", "store.json"


class Source(TypedDict):
    """Where the images come from, and who annotated them."""

    name: str
    place: str
    annotation: str
    source: str


class IngestDocument(Account):
    """``ingest.json``: the account of a store, and where it lies."""

    name: str
    source: Source
    store: str
    key: str
    created: str  # ISO 8601
    seconds: float
    image_size: int  # pixels a side
    reused: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Ingest:
    """A finished store, and the account of it; ``reused`` says whether it was there before.

    ``notes`` say what a training on it will have to cope with.
    """

    folder: Path
    recipe: FacesRecipe
    document: IngestDocument
    notes: Sequence[str] = ()


def make_store(
    recipe: FacesRecipe,
    out: Path | None = None,
    progress: Progress | None = None,
    *,
    retry: bool = False,
) -> Ingest:
    """Make a store, or find it finished, and write its page.

    ``out`` None is ``stores/NAME``; ``retry`` reads again what failed by bad luck.

    Raises:
        PipelineError: The recipe, the data or the folder cannot be used; nothing is half-written.
    """
    folder = out or Path("stores") / recipe.name
    before = {path.name for path in sealed_in(folder / STAGE)}
    artifact = ingest_faces(recipe, RunFolder(folder), progress, retry=retry)
    document = _document(recipe, artifact, folder, reused=artifact.key in before)
    write_json(folder / NUMBERS, document, mode=0o600)
    write_ingest_page(document, _pictures(recipe, artifact, document), folder / PAGE)
    # Last: who follows the pointer finds a store with its account.
    write_json(folder / POINTER, {"faces": artifact.key, "name": recipe.name})
    notes = few_images(load_faces(artifact)) if recipe.label else []
    return Ingest(folder=folder, recipe=recipe, document=document, notes=notes)


def _document(
    recipe: FacesRecipe, artifact: Artifact, folder: Path, *, reused: bool
) -> IngestDocument:
    manifest, account = read_manifest(artifact.path), cast("Account", artifact.read_json(ACCOUNT))
    return {
        **account,
        "name": recipe.name,
        "source": {
            "name": recipe.data.name,
            "place": str(getattr(recipe.data, "root", getattr(recipe.data, "file", ""))),
            "annotation": recipe.data.annotation,
            "source": recipe.data.source,
        },
        "store": str(folder),
        "key": artifact.key,
        "created": manifest["created"],
        "seconds": manifest["seconds"],
        "image_size": recipe.image_size,
        "reused": reused,
    }


def _pictures(
    recipe: FacesRecipe, artifact: Artifact, document: IngestDocument
) -> dict[str, UInt8[np.ndarray, "H W 3"]]:
    """Pixels of the pairs on the page, if the recipe allows faces; drawn ones always may."""
    if not (recipe.report.show_faces or recipe.data.name == "synthetic"):
        return {}
    faces = load_faces(artifact)
    pairs = document["duplicates"]["pairs"]
    wanted = {pair[side] for pair in pairs for side in ("first", "second")}
    rows = np.flatnonzero(faces.samples["sample_id"].isin(wanted).to_numpy()).astype(np.int64)
    return dict(zip(faces.ids(rows).tolist(), faces.images[rows], strict=True))


def next_step(found: Ingest) -> str:
    """What to do with the store, as a command that works as typed."""
    recipe, store = found.recipe, shlex.quote(str(found.folder))
    if recipe.label is None:
        return f"see who is missing: debias audit {store}"
    options = {"label": recipe.label, "attributes": spelled(recipe.attributes)}
    said = " ".join(f"--{name} {shlex.quote(value)}" for name, value in options.items() if value)
    if recipe.positive is not None:
        said += f" --set {shlex.quote(f'positive={json.dumps(recipe.positive)}')}"
    return f"train on it: debias run {store} {said}"

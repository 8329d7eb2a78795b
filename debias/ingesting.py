"""``debias ingest``: from whatever a user points at to a store, and a page that accounts for it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from debias.artifacts import Artifact, RunFolder, load_faces
from debias.config import FacesRecipe, load_faces_recipe, parse_faces
from debias.datasets.recognition import plain_name, recognised
from debias.errors import ConfigError
from debias.progress import Progress
from debias.report.ingest_page import write_ingest_page
from debias.sealed import read_manifest, sealed_in, write_json
from debias.stages.faces import ACCOUNT, STAGE, ingest_faces

PAGE, NUMBERS, POINTER = "ingest.html", "ingest.json", "store.json"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked for.

    Attributes:
        source: Recipe (``.yaml``), or a folder or file of images.
        data: Settings of the data set beyond its place: ``name``, ``table``, columns.
        recipe: Other settings of a store: ``label``, ``attributes``, ``image_size``.
        overrides: ``section.key=value``, applied last.
        out: Folder of the store; None for ``stores/NAME``.
        retry: Read again what failed by bad luck.
    """

    source: Path
    data: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    overrides: Sequence[str] = ()
    out: Path | None = None
    retry: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Ingest:
    """A finished store.

    Attributes:
        folder: Where it is.
        recipe: What was asked for.
        document: The account of it; ``reused`` says whether it was there before.
    """

    folder: Path
    recipe: FacesRecipe
    document: dict[str, Any]


def ingest(request: Request, progress: Progress | None = None) -> Ingest:
    """Make a store, or find it finished, and write its page.

    Raises:
        PipelineError: The recipe, the data or the folder cannot be used; nothing is half-written.
    """
    return make_store(recipe_of(request), request.out, progress, retry=request.retry)


def make_store(
    recipe: FacesRecipe,
    out: Path | None = None,
    progress: Progress | None = None,
    *,
    retry: bool = False,
) -> Ingest:
    """The same, of a recipe; ``out`` and ``retry`` as in :class:`Request`."""
    folder = out or Path("stores") / recipe.name
    before = {path.name for path in sealed_in(folder / STAGE)}
    artifact = ingest_faces(recipe, RunFolder(folder), progress, retry=retry)
    document = _document(recipe, artifact, folder) | {"reused": artifact.key in before}
    write_json(folder / NUMBERS, document, mode=0o600)
    write_ingest_page(document, _pictures(recipe, artifact, document), folder / PAGE)
    # Last: who follows the pointer finds a store with its account.
    write_json(folder / POINTER, {"faces": artifact.key, "name": recipe.name})
    return Ingest(folder=folder, recipe=recipe, document=document)


def recipe_of(request: Request) -> FacesRecipe:
    """The recipe that was named, or one for the layout that the source has.

    Raises:
        ConfigError: A setting is wrong.
        DataError: The source does not exist, or its layout is not known.
    """
    if request.source.suffix in {".yaml", ".yml"}:
        _require_plain(request)
        return load_faces_recipe(request.source, request.overrides)
    found = recognised(request.source, request.data)
    tree = {"name": plain_name(request.source), "data": found} | dict(request.recipe)
    return parse_faces(tree, request.overrides)


def _require_plain(request: Request) -> None:
    given = [*request.data, *request.recipe]
    if given:
        raise ConfigError(
            f"{request.source} is a recipe and says itself what {', '.join(given)} are; change "
            "them there or with --set"
        )


def _document(recipe: FacesRecipe, artifact: Artifact, folder: Path) -> dict[str, Any]:
    manifest = read_manifest(artifact.path)
    return {
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
    } | artifact.read_json(ACCOUNT)


def _pictures(
    recipe: FacesRecipe, artifact: Artifact, document: Mapping[str, Any]
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
    """What to do with the store."""
    use = f"--set 'data={{name: store, root: {found.folder}}}'"
    if found.recipe.label is None:
        return f"use it in a recipe of yours: debias run my.yaml {use}"
    groups = ", ".join(found.recipe.attributes)
    named = f"--set label={found.recipe.label} --set 'attributes=[{groups}]'"
    return f"train on it: debias run configs/folder.yaml {use} {named}"

"""From whatever a user points at to a recipe, and a recipe as a file to edit and schedule."""

import copy
import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import yaml

from debias.datasets.recognition import known_groups, recognised, source_name
from debias.errors import ConfigError, DataError, StorageError
from debias.ingesting.decoded import list_recipe
from debias.ingesting.labels import coded
from debias.ingesting.rules import FacesRecipe
from debias.pipeline.recipe import BUILT_IN, RunConfig, SpaceRecipe, demo, load, put, read_recipe
from debias.pipeline.study_recipe import StudyConfig
from debias.statistics.ranges import listed
from debias.storage.tables import OURS

R = TypeVar("R", bound=FacesRecipe)
OPTIONS = {
    "name": "--layout", "table": "--table", "subject_column": "--subject", "folders": "--folders",
    "people": "--people", "allow_unjoined": "--allow-unjoined",
}  # fmt: skip
SIDE = 64
# Epochs of the autoencoder and of the classifiers, from so many images on: what counts is the
# number of steps, and a pass over a small set has few.
EPOCHS = ((10_000, (15, 8)), (3_000, (30, 15)), (1_000, (60, 30)), (0, (100, 40)))
AUDIT_EPOCHS, LEAST_STEPS, BATCH = 12, 320, 64
TRAINED_ON = 0.85  # share of the images that trains the autoencoder of an audit
NEIGHBOURS = 60_000  # images beyond which nearest neighbours take too long
VIEWS = {"flip": True, "shift": 0.05, "scale": 0.1, "rotation": 10, "brightness": 0.2}
OTHERS = ("reference", "elsewhere", "earlier")  # sections with a data set of their own
AUDIT_DEMO = {  # few are dark-skinned, beside an even reference and declared shares
    "name": "audit-demo",
    "data": {"name": "synthetic", "population": {"dark_share": 0.05}},
    "attributes": ["skin_tone_group", "presentation", "glasses"],
    "reference": {"data": {"name": "synthetic", "n_train": 1200}},
    "audit": {"shares": {"skin_tone_group": {"dark": 0.5, "light": 0.5}}},
}
# All images of a folder are of interest, and hardly any is needed to watch the training.
EVERYTHING = {
    "selection": {"test_fraction": 0.05, "validation_fraction": 0.1, "leaks": "drop"},
    "audit": {"splits": ["train", "validation", "test"]},
}
RECIPE = "recipe.yaml"
TEMPLATE = "folder"  # the shipped recipe for images of one's own
PLACES = ("root", "file", "table", "people")  # settings of a data set that name a file or folder
COMMENTS = {
    "name": "Name of the run; by default its folder is runs/NAME.",
    "data": "Where the faces come from. `debias ingest --help` lists what is read.",
    "label": "Column that the classifier predicts: two values.",
    "positive": "The value that counts as positive.",
    "attributes": "Annotated columns by which the results are broken down; may be [].",
    "image_size": "Side of the images, pixels.",
    "selection": "Test images as a share of all, validation images as a share of the others.",
    "representation": "The autoencoder. Few images take more epochs: what counts is steps.",
    "density": "How crowded a place of the latent space is; beyond some 60,000 images:\n"
    "{name: histogram, components: auto}",
    "reference": "Images that the data should look like; no label of them is read.",
    "elsewhere": "Another collection in which groups are annotated that here are not.",
    "arms": "Trainings that are compared. 'uniform' is plain training: without it there is nothing "
    "to\ncompare with. An arm 'groups: group_balance' needs attributes.",
    "seeds": "Trainings of every arm; auto: until the primary questions are answered.",
    "classifier": "What every arm trains.",
    "report": "show_faces: true puts photographs of real people into report and tracker.",
}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked for.

    Attributes:
        source: Recipe (``.yaml``), or a folder or file of images; None for drawn faces.
        data: Settings of the data set beyond its place: ``name``, ``table``, columns.
        recipe: Other settings by their full name: ``label``, ``audit.shares_file`` and so on.
        overrides: ``section.key=value``, applied last.
    """

    source: Path | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    overrides: Sequence[str] = ()

    @property
    def images(self) -> Path | None:
        """The source, unless it is a recipe."""
        recipe = self.source is not None and self.source.suffix.lower() in {".yaml", ".yml"}
        return None if recipe else self.source


def options(given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """``data`` and ``recipe`` of a request, from what the options of the commands are called.

    Values by option, such as ``attributes`` (a list, or text with commas); None says nothing.
    """
    said = {name: value for name, value in given.items() if value is not None}
    table, shares = (str(said[name]) if said.get(name) else None for name in ("table", "shares"))
    recipe: dict[str, Any] = {
        "label": said.get("label"),
        "attributes": names(said["attributes"]) if "attributes" in said else None,
        "image_size": said.get("size"),
        "workers": said.get("workers"),
        "ingest.most_rejected": said.get("most_rejected"),
        "audit.shares": {} if shares else None,
        "audit.shares_file": shares,
        "report.show_faces": said.get("show_faces") or None,
    }
    for role in ("reference", "earlier"):
        recipe[f"{role}.data"] = recognised(Path(said[role]), {}) if said.get(role) else None
    data = {
        "name": said.get("layout"), "table": table, "subject_column": said.get("subject"),
        "folders": said.get("folders"), "people": str(said["people"]) if "people" in said else None,
        "allow_unjoined": said.get("allow_unjoined"),
    }  # fmt: skip
    return {
        part: {name: value for name, value in settings.items() if value is not None}
        for part, settings in (("data", data), ("recipe", recipe))
    }


def names(text: str | Iterable[str]) -> list[str]:
    parts = listed(text) if isinstance(text, str) else text
    return [part.strip() for part in parts if part.strip()]


def run_recipe(request: Request) -> RunConfig:
    """The recipe of a run: the one that was named, one made for the images, or the demo.

    Raises:
        ConfigError: A setting is wrong, or nobody said what the classifier is to predict.
        DataError: The images do not exist, or their layout is not known.
    """
    if request.images is None:
        return _written(RunConfig, request, demo())
    first = _made(RunConfig, request, _run_tree(request, request.images, 0))
    samples = list_recipe(first).samples
    if "label" not in first.model_fields_set:
        raise ConfigError(_no_label(request.images, samples))
    return _made(RunConfig, request, _run_tree(request, request.images, len(samples)))


def audit_recipe(request: Request) -> SpaceRecipe:
    """The recipe of an audit, as :func:`run_recipe`; no label is needed."""
    if request.images is None:
        return _written(SpaceRecipe, request, AUDIT_DEMO)
    tree = _basis(request, request.images) | EVERYTHING
    tree = _with(tree | {"name": f"audit-{tree['name']}"}, request.recipe)
    first = _made(SpaceRecipe, request, tree)
    count = len(list_recipe(first).samples)
    tree["representation"] = {"training": {"epochs": _audit_epochs(count)}}
    if "attributes" not in first.model_fields_set:
        tree["attributes"] = list(known_groups(first.data))
    return _made(SpaceRecipe, request, tree)


def study_recipe(request: Request) -> StudyConfig:
    """The recipe of a study, which must be named: it says what is compared."""
    if request.source is None or request.images is not None:
        raise ConfigError(
            f"a study needs a recipe with 'spaces', the representations to compare, got "
            f"{request.source or 'none'}; `debias init study-drawn` writes one to start from"
        )
    return _written(StudyConfig, request, {})


def store_recipe(request: Request) -> FacesRecipe:
    """The recipe of a store, as :func:`run_recipe`; no label is needed."""
    if request.images is None:
        return _written(FacesRecipe, request, {})
    tree = {"name": source_name(request.images), "data": recognised(request.images, request.data)}
    return _made(FacesRecipe, request, _with(tree, request.recipe))


def _made(kind: type[R], request: Request, tree: Mapping[str, Any]) -> R:
    return load(kind, tree, request.overrides, called=str(request.source))


def _written(kind: type[R], request: Request, default: Mapping[str, Any]) -> R:
    """The named recipe, or the default one, with what options say."""
    if request.data:
        given = ", ".join(OPTIONS.get(name, name) for name in request.data)
        known = f"{request.source} is a recipe and says so itself"
        raise ConfigError(
            f"{given} says how to read a folder or archive, but "
            f"{known if request.source else 'none is given'}; name one as SOURCE, or "
            "change the recipe, for example with --set data.KEY=VALUE"
        )
    tree = read_recipe(request.source, kind) if request.source else default
    return load(
        kind, _with(tree, request.recipe), request.overrides,
        called=str(request.source or BUILT_IN), defaults=request.source is None,
    )  # fmt: skip


def _run_tree(request: Request, images: Path, count: int) -> dict[str, Any]:
    """Settings that suit photographs, and so many of them."""
    representation, classifier = next(epochs for least, epochs in EPOCHS if count >= least)
    arms: dict[str, Any] = {
        "uniform": "uniform",
        "latent": {"name": "latent_rarity", "views": ["latents", "colour", "structure"]},
    }
    arms |= {"reference": "reference_ratio"} if "reference.data" in request.recipe else {}
    arms |= {"groups": "group_balance"} if request.recipe.get("attributes") else {}
    tree = _basis(request, images) | {
        "attributes": [],
        "selection": {"test_fraction": 0.2, "validation_fraction": 0.1},
        "representation": {
            "model": {"name": "conv_vae", "latent_dim": 32},
            "training": {"epochs": representation}, "augmentation": VIEWS,
        },
        "density": "knn" if count < NEIGHBOURS else {"name": "histogram", "components": "auto"},
        "arms": arms, "seeds": 5,
        "classifier": {
            "model": "conv", "training": {"epochs": classifier}, "augmentation": VIEWS,
        },
        "report": {"show_faces": False},
    }  # fmt: skip
    return _with(tree, request.recipe)


def _basis(request: Request, images: Path) -> dict[str, Any]:
    """Name, data and size; images are not made larger than they are in a store."""
    data = recognised(images, request.data)
    side = SIDE
    if data["name"] == "store":
        with suppress(OSError, ValueError, KeyError, TypeError):  # then reading it will say why
            known = json.loads((images / "ingest.json").read_text(encoding="utf-8"))
            side = min(SIDE, int(known["image_size"]) // 4 * 4)  # as the default model needs it
    return {"name": source_name(images), "data": data, "image_size": side}


def _with(tree: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(dict(tree))
    for name, value in settings.items():
        put(changed, name.split("."), value)
    return changed


def _audit_epochs(count: int) -> int:
    """Few images are looked at more often: fewer steps draw one blurred face for everybody."""
    return max(AUDIT_EPOCHS, math.ceil(LEAST_STEPS * BATCH / (TRAINED_ON * max(count, 1))))


def _no_label(images: Path, samples: pd.DataFrame) -> str:
    columns = [str(name) for name in samples if name not in OURS]
    two = ", ".join(name for name in columns if len(coded(samples[name])[1]) == 2)
    known = ", ".join(columns)
    if two:
        return (
            "nobody said what a classifier is to predict: give --label COLUMN. Columns of "
            f"{images} with two values: {two}; all columns: {known}"
        )
    return (
        f"nobody said what a classifier is to predict, and no column of {images} has two values "
        f"(columns: {known or 'none'}); give --table TABLE --label COLUMN, filter other values out "
        "with --set 'selection.filters={COLUMN: [A, B]}', or do without labels: debias audit "
        f"{images}"
    )


def recipe_text(recipe: RunConfig) -> str:
    """YAML with comments; what stands at its default is left out, and paths are absolute."""
    tree = recipe.model_dump(mode="json", exclude_unset=True, serialize_as_any=True)
    for part in (tree, *(tree.get(name) or {} for name in OTHERS)):
        part["data"] = _absolute(part["data"]) if part.get("data") else None
    written = {name: value for name, value in tree.items() if value not in (None, {"data": None})}
    return "".join(["# Recipe of `debias run` (docs/method.md).\n", *_sections(written)])


def _sections(tree: Mapping[str, Any]) -> Iterator[str]:
    for name, value in tree.items():
        for line in COMMENTS.get(name, "").splitlines():
            yield f"# {line}\n"
        flow = None if isinstance(value, dict | list) else False  # None: only what is innermost
        yield yaml.safe_dump(
            {name: value}, default_flow_style=flow, sort_keys=False, width=96, allow_unicode=True
        )


def _absolute(data: Mapping[str, Any]) -> dict[str, Any]:
    paths = {name: os.path.abspath(data[name]) for name in PLACES if data.get(name)}
    return {**data, **paths}


def shipped() -> dict[str, Traversable]:
    """Recipes that come with the package, by name, wherever it is installed."""
    folder = files("debias") / "configs"
    recipes = [one for one in folder.iterdir() if one.name.endswith(".yaml")]
    return {one.name.removesuffix(".yaml"): one for one in sorted(recipes, key=lambda o: o.name)}


def write_new(request: Request, out: Path | None) -> tuple[Path, bool]:
    """Write a recipe for images, or copy a shipped one (the template if none is named).

    Returns:
        The file, NAME.yaml unless ``out`` names it, and whether it runs as it is.

    Raises:
        ConfigError: The file exists, or options are given for a recipe that is copied.
        DataError: There are no such images.
        StorageError: The file cannot be written.
    """
    recipes = shipped()
    name = TEMPLATE if request.source is None else str(request.source)
    if name in recipes and not Path(name).exists():
        if request.data or request.recipe or request.overrides:
            raise ConfigError(
                f"the shipped recipe {name!r} is copied as it is; change it in the file, or name "
                "your images as SOURCE: debias init FOLDER --label COLUMN"
            )
        text, ready = (
            recipes[name].read_text(encoding="utf-8"),
            name.startswith(("demo", "study-drawn")),
        )
    else:
        recipe = _for_images(request, name, list(recipes))
        text, ready, name = recipe_text(recipe), True, recipe.name
    path = out or Path(f"{'my-faces' if name == TEMPLATE else name}.yaml")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise ConfigError(f"{path} exists already; name another file with --out") from error
    except OSError as error:
        raise StorageError(f"cannot write {path.absolute()} ({error}); choose --out") from error
    return path, ready


def _for_images(request: Request, name: str, recipes: list[str]) -> RunConfig:
    if request.images is None:
        raise ConfigError(f"{name} is a recipe already: debias run {name}")
    if not request.images.exists():
        raise DataError(
            f"{name} does not exist, and no shipped recipe is called so; give a folder, an "
            f"archive, or one of: {', '.join(recipes) or 'none is installed'}"
        )
    return run_recipe(request)

"""From whatever a user points at to the recipe of a run, a store or an audit."""

import copy
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from debias.datasets.recognition import known_groups, plain_name, recognised
from debias.errors import ConfigError
from debias.ingesting.decoded import list_recipe
from debias.ingesting.labels import coded
from debias.ingesting.rules import FacesRecipe
from debias.pipeline.recipe import (
    RunConfig,
    SpaceRecipe,
    demo,
    parse_config,
    parse_faces,
    parse_space,
    put,
    read_recipe,
)

OPTIONS = {"name": "--layout", "table": "--table", "subject_column": "--subject"}
SIDE = 64
# Epochs of the autoencoder and of the classifiers, from so many images on: what counts is the
# number of steps, and a pass over a small set has few.
EPOCHS = ((10_000, (15, 8)), (3_000, (30, 15)), (1_000, (60, 30)), (0, (100, 40)))
AUDIT_EPOCHS, LEAST_STEPS, BATCH = 12, 320, 64
TRAINED_ON = 0.85  # share of the images that trains the autoencoder of an audit
NEIGHBOURS = 60_000  # images beyond which nearest neighbours take too long
VIEWS = {"flip": True, "shift": 0.05, "scale": 0.1, "rotation": 10, "brightness": 0.2}
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


def run_recipe(request: Request) -> RunConfig:
    """The recipe of a run: the one that was named, one made for the images, or the demo.

    Raises:
        ConfigError: A setting is wrong, or nobody said what the classifier is to predict.
        DataError: The images do not exist, or their layout is not known.
    """
    if request.images is None:
        said = str(request.source or "the built-in configuration")
        tree = _given(request, demo(), RunConfig)
        return parse_config(tree, said, request.overrides, defaults=request.source is None)
    place = str(request.images)
    first = parse_config(_run_tree(request, 0), place, request.overrides)
    samples = list_recipe(first).samples
    if "label" not in first.model_fields_set:
        raise ConfigError(_no_label(request.images, samples))
    return parse_config(_run_tree(request, len(samples)), place, request.overrides)


def audit_recipe(request: Request) -> SpaceRecipe:
    """The recipe of an audit, as :func:`run_recipe`; no label is needed."""
    if request.images is None:
        tree = _given(request, AUDIT_DEMO, SpaceRecipe)
        return parse_space(tree, request.overrides, defaults=request.source is None)
    tree = _basis(request, request.images) | EVERYTHING
    tree = _with(tree | {"name": f"audit-{tree['name']}"}, request.recipe)
    first = parse_space(tree, request.overrides)
    count = len(list_recipe(first).samples)
    tree["representation"] = {"training": {"epochs": _audit_epochs(count)}}
    if "attributes" not in first.model_fields_set:
        tree["attributes"] = list(known_groups(first.data))
    return parse_space(tree, request.overrides)


def store_recipe(request: Request) -> FacesRecipe:
    """The recipe of a store, as :func:`run_recipe`; no label is needed."""
    if request.images is None:
        return parse_faces(_given(request, {}, FacesRecipe), request.overrides)
    tree = {"name": plain_name(request.images), "data": recognised(request.images, request.data)}
    return parse_faces(_with(tree, request.recipe), request.overrides)


def _run_tree(request: Request, count: int) -> dict[str, Any]:
    """Settings that suit photographs, and so many of them."""
    assert request.images is not None  # asked before
    representation, classifier = _epochs(count)
    arms: dict[str, Any] = {
        "uniform": "uniform",
        "latent": {"name": "latent_rarity", "views": ["latents", "colour", "structure"]},
    }
    arms |= {"reference": "reference_ratio"} if "reference.data" in request.recipe else {}
    arms |= {"groups": "group_balance"} if request.recipe.get("attributes") else {}
    tree = _basis(request, request.images) | {
        "attributes": [],
        "selection": {"test_fraction": 0.2, "validation_fraction": 0.1},
        "representation": {
            "model": {"name": "conv_vae", "latent_dim": 32},
            "training": {"epochs": representation},
            "augmentation": VIEWS,
        },
        "density": "knn" if count < NEIGHBOURS else {"name": "histogram", "components": "auto"},
        "arms": arms,
        "seeds": 5,
        "classifier": {
            "model": "conv",
            "training": {"epochs": classifier},
            "augmentation": VIEWS,
        },
        "report": {"show_faces": False},
    }
    return _with(tree, request.recipe)


def _basis(request: Request, images: Path) -> dict[str, Any]:
    """Name, data and size; images are not made larger than they are in a store."""
    data = recognised(images, request.data)
    side = SIDE
    if data["name"] == "store":
        with suppress(OSError, ValueError, KeyError, TypeError):  # then reading it will say why
            known = json.loads((images / "ingest.json").read_text(encoding="utf-8"))
            side = min(SIDE, int(known["image_size"]))
    return {"name": plain_name(images), "data": data, "image_size": side}


def _given(request: Request, default: Mapping[str, Any], part: type[FacesRecipe]) -> dict[str, Any]:
    """The tree of a recipe, or the default one, with what options say."""
    if request.data:
        given = ", ".join(OPTIONS.get(name, name) for name in request.data)
        known = (
            f"{request.source} is a recipe and says so itself"
            if request.source
            else "none is given"
        )
        raise ConfigError(
            f"{given} says how to read a folder or archive, but {known}; name one as SOURCE, or "
            "change the recipe, for example with --set data.KEY=VALUE"
        )
    return _with(read_recipe(request.source, part) if request.source else default, request.recipe)


def _with(tree: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    changed = copy.deepcopy(dict(tree))
    for name, value in settings.items():
        put(changed, name.split("."), value)
    return changed


def _epochs(count: int) -> tuple[int, int]:
    return next(epochs for least, epochs in EPOCHS if count >= least)


def _audit_epochs(count: int) -> int:
    """Few images are looked at more often: fewer steps draw one blurred face for everybody."""
    return max(AUDIT_EPOCHS, math.ceil(LEAST_STEPS * BATCH / (TRAINED_ON * max(count, 1))))


def _no_label(images: Path, samples: pd.DataFrame) -> str:
    from debias.storage.tables import OURS

    columns = [str(name) for name in samples if name not in OURS]
    two = [name for name in columns if len(coded(samples[name])[1]) == 2]
    if not two:
        return (
            f"nobody said what a classifier is to predict, and no column of {images} has two "
            f"values (columns: {', '.join(columns) or 'none'}); give --table TABLE --label COLUMN, "
            "filter other values out with --set 'selection.filters={COLUMN: [A, B]}', or do "
            f"without labels: debias audit {images}"
        )
    return (
        f"nobody said what a classifier is to predict: give --label COLUMN. Columns of {images} "
        f"with two values: {', '.join(two)}; all columns: {', '.join(columns)}"
    )

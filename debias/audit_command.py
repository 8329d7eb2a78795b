"""``debias audit``: from whatever a user points at to a page that says who is missing."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from debias.config import SpaceRecipe, load_space, parse_space
from debias.datasets.recognition import count_images, known_groups, plain_name, recognised
from debias.errors import ConfigError

# Of the autoencoder, where no recipe says how many: few images are looked at more often, because
# fewer steps than these draw one blurred face for everybody.
EPOCHS, LEAST_STEPS, BATCH = 12, 320, 64
TRAINED_ON = 0.85  # of the images
# All images of a folder are of interest, and hardly any is needed to watch the training.
EVERYTHING = {
    "selection": {"test_fraction": 0.05, "validation_fraction": 0.1, "leaks": "drop"},
    "audit": {"splits": ["train", "validation", "test"]},
}


OPTIONS = {"name": "--layout", "table": "--table", "subject_column": "--subject"}


@dataclass(frozen=True, kw_only=True)
class Request:
    """What was asked for.

    Attributes:
        config: Recipe; None for a folder, or for drawn faces.
        folder: Folder or file of images; None with a recipe, or for drawn faces.
        data: Settings of the data set beyond its place: ``name``, ``table``, columns.
        recipe: Other settings: ``attributes``, ``image_size``, ``reference``, ``earlier``,
            ``audit.shares_file`` and so on, by their full name.
        overrides: ``section.key=value``, applied last.
    """

    config: Path | None = None
    folder: Path | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    recipe: Mapping[str, Any] = field(default_factory=dict)
    overrides: Sequence[str] = ()


def recipe_of(request: Request) -> SpaceRecipe:
    """The recipe that was named, or one for the layout that the folder has, or the demo.

    Raises:
        ConfigError: A setting is wrong, or two things are asked for at once.
        DataError: A folder does not exist, or its layout is not known.
    """
    if request.config is not None and request.folder is not None:
        raise ConfigError(
            f"both a recipe ({request.config}) and --data {request.folder} are given; name one"
        )
    if request.data and request.folder is None:
        given = ", ".join(OPTIONS.get(name, name) for name in request.data)
        raise ConfigError(f"{given} says how to read a folder, but no --data is given")
    if request.config is not None:
        return load_space(request.config, [*_settings(request.recipe), *request.overrides])
    tree = demo() if request.folder is None else _tree(request.folder, request.data)
    settings = [*_settings(request.recipe), *request.overrides]
    recipe = parse_space(tree, settings)
    if "attributes" in recipe.model_fields_set:
        return recipe
    return parse_space(tree | {"attributes": list(known_groups(recipe.data))}, settings)


def demo() -> dict[str, Any]:
    """Drawn faces of which few are dark-skinned, beside an even reference and declared shares."""
    return {
        "name": "audit-demo",
        "data": {"name": "synthetic", "population": {"dark_share": 0.05}},
        "attributes": ["skin_tone_group", "presentation", "glasses"],
        "reference": {"data": {"name": "synthetic", "n_train": 1200}},
        "audit": {"shares": {"skin_tone_group": {"dark": 0.5, "light": 0.5}}},
    }


def _tree(folder: Path, data: Mapping[str, Any]) -> dict[str, Any]:
    training = {"representation": {"training": {"epochs": _epochs(folder)}}}
    about = {"name": f"audit-{plain_name(folder)}", "data": recognised(folder, data)}
    return about | EVERYTHING | training


def _epochs(folder: Path) -> int:
    enough = math.ceil(LEAST_STEPS * BATCH / (TRAINED_ON * EPOCHS))  # images
    count = count_images(folder, enough) or enough
    return max(EPOCHS, math.ceil(LEAST_STEPS * BATCH / (TRAINED_ON * count)))


def _settings(recipe: Mapping[str, Any]) -> list[str]:
    """As overrides: each replaces one setting and leaves its neighbours."""
    return [f"{name}={json.dumps(value)}" for name, value in recipe.items()]

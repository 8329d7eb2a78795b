"""A recipe as a file that a person can read, edit and schedule."""

import os
from collections.abc import Iterator, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import yaml

from debias.errors import ConfigError, DataError, StorageError
from debias.pipeline.recipe import RunConfig
from debias.pipeline.source import Request, run_recipe

RECIPE = "recipe.yaml"
TEMPLATE = "folder"  # the shipped recipe for images of one's own
PLACES = ("root", "file", "table")  # settings of a data set that name a file or folder
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
    "arms": "Trainings that are compared. 'uniform' is plain training: without it there is nothing "
    "to\ncompare with. An arm 'groups: group_balance' needs attributes.",
    "seeds": "Trainings of every arm; a verdict on a change takes 5.",
    "classifier": "What every arm trains.",
    "report": "show_faces: true puts photographs of real people into report and tracker.",
}


def recipe_text(recipe: RunConfig) -> str:
    """YAML with comments; what stands at its default is left out, and paths are absolute."""
    tree = recipe.model_dump(mode="json", exclude_unset=True, serialize_as_any=True)
    for part in (tree, *(tree.get(name) or {} for name in ("reference", "earlier"))):
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
    return {
        name: os.path.abspath(value) if name in PLACES and value else value
        for name, value in data.items()
    }


def shipped() -> dict[str, Traversable]:
    """Recipes that come with the package, by name, wherever it is installed."""
    folder = files("debias") / "configs"
    recipes = [one for one in folder.iterdir() if one.name.endswith(".yaml")]
    return {one.name.removesuffix(".yaml"): one for one in sorted(recipes, key=lambda o: o.name)}


def write_new(request: Request, out: Path | None) -> tuple[Path, bool]:
    """Write a recipe for images, or copy a shipped one; an existing file stays as it is.

    Args:
        request: Images and how to read them; or the name of a shipped recipe; or nothing, for the
            template.
        out: File to write; None for NAME.yaml.

    Returns:
        The file, and whether it runs as it is.

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
        text, ready = recipes[name].read_text(encoding="utf-8"), name.startswith("demo")
    else:
        recipe = _made(request, name, list(recipes))
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


def _made(request: Request, name: str, recipes: list[str]) -> RunConfig:
    if request.images is None:
        raise ConfigError(f"{name} is a recipe already: debias run {name}")
    if not request.images.exists():
        raise DataError(
            f"{name} does not exist, and no shipped recipe is called so; give a folder, an "
            f"archive, or one of: {', '.join(recipes) or 'none is installed'}"
        )
    return run_recipe(request)

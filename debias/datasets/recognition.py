"""Which data set a folder or file holds, told by names alone."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from debias.datasets import Dataset
from debias.datasets.listing import image_problem, require_folder, walk
from debias.datasets.utkface import NAME
from debias.decoding.rules import head, is_photograph
from debias.errors import DataError
from debias.storage.files import shown

LOOKED_AT = 200  # entries of a folder


def plain_name(source: Path) -> str:
    """A name for a store or an audit, from that of its source."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", source.resolve().stem).strip("-._")
    return name or "faces"


def recognised(source: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the data set at ``source``, a folder or file.

    Of the settings ``given`` by the user, ``name`` decides what they name, and a ``table`` says
    that there is one.

    Raises:
        DataError: Nothing is there, it is a file of no known kind, or archives lie beside images.
        EmptyDatasetError: The folder is empty.
    """
    if not source.exists():
        raise DataError(
            f"{shown(source.absolute())} does not exist; give a folder, an archive or a recipe"
        )
    name = given.get("name") or ("folder" if given.get("table") else _name(source))
    place = "file" if name == "hdf5" else "root"
    return {"name": name, place: str(source)} | dict(given) | {"name": name}


def known_groups(data: Dataset) -> tuple[str, ...]:
    """Categorical attributes that a data set is known to hold, whoever named any; often none."""
    found: tuple[str, ...] = getattr(data, "groups", ())
    return found


def _name(source: Path) -> str:
    if not source.is_file():
        require_folder(source, "the owner of the data")
        return next(name for name, holds in FOLDERS.items() if holds(source))
    kinds = {".h5": "hdf5", ".hdf5": "hdf5", ".tar": "tar"}
    if source.suffix.lower() not in kinds:
        raise DataError(
            f"{shown(source)} is a file of no known kind; known: a recipe (.yaml), "
            f"{', '.join(kinds)}, or a folder; images listed in a table are read with --table"
        )
    return kinds[source.suffix.lower()]


def _has(*patterns: str) -> Callable[[Path], bool]:
    return lambda folder: any(next(folder.glob(pattern), None) for pattern in patterns)


def _is_tar(folder: Path) -> bool:
    """Whether archives lie here; with images beside them, one that lies about must not decide."""
    archive = next(folder.glob("*.tar"), None)
    if archive is None:
        return False
    image = next((entry.name for entry in walk(folder) if not image_problem(entry)), None)
    if image is not None:
        raise DataError(
            f"{shown(folder.absolute())} holds archives ({shown(archive.name)}) and images "
            f"({shown(image)}): name the layout: tar for the archives; image_folder, images "
            "or another for the images"
        )
    return True


def _is_utkface(folder: Path) -> bool:
    found = (path.name for path in folder.iterdir())
    names = [*islice((name for name in found if is_photograph(name, bytes)), LOOKED_AT)]
    return sum(bool(NAME.match(name)) for name in names) > len(names) / 2


def _is_sorted(folder: Path) -> bool:
    """Whether the images lie in folders of their own and none beside them."""
    entries = list(islice(folder.iterdir(), LOOKED_AT))
    beside = any(is_photograph(entry.name, partial(head, entry)) for entry in entries)
    return not beside and any(entry.is_dir() and not entry.is_symlink() for entry in entries)


# In this order: the first that fits.
FOLDERS: dict[str, Callable[[Path], bool]] = {
    "store": _has("store.json"),
    "celeba": _has("list_attr_celeba.*"),
    "fairface": _has("fairface_label_train.csv", "*/fairface_label_train.csv"),
    "lfw": _has("peopleDevTrain.txt", "lfw/*/*_0001.jpg"),
    "tar": _is_tar,
    "utkface": _is_utkface,
    "image_folder": _is_sorted,
    "images": lambda folder: True,
}

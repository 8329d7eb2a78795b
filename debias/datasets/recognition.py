"""Which data set a folder or file holds, told by names; of public sets their loaders know them."""

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from debias.datasets import DATASETS, Dataset
from debias.datasets.celeba import CelebA
from debias.datasets.fairface import FairFace
from debias.datasets.hugging_face import holds_images
from debias.datasets.idx import idx_files
from debias.datasets.lfw import LFW
from debias.datasets.listing import image_problem, remedy, require_folder, walk
from debias.datasets.places import FEW, Place, tree
from debias.datasets.utkface import UTKFace
from debias.datasets.ways import SPLIT, only_numbers, other_way, sides_of, versions, wrapper
from debias.errors import DataError
from debias.storage.files import shown

Known = CelebA | FairFace | LFW | UTKFace
OF = {"table": "folder", "folders": "images"}  # settings that only one layout has


def source_name(source: Path) -> str:
    """A name for a store or an audit, from that of its source."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", source.resolve().stem).strip("-._")
    return name or "faces"


def recognised(source: Path, given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings of the data set at ``source``, a folder or file.

    Of the settings ``given`` by the user, ``name`` decides what they name, and a ``table`` says
    that there is one.

    Raises:
        DataError: Nothing is there, it is a file of no known kind, archives lie beside images, or
            the layout does not have one of the settings.
        EmptyDatasetError: The folder is empty.
    """
    if not source.exists():
        raise DataError(
            f"{shown(source.absolute())} does not exist; give a folder, an archive or a recipe"
        )
    said = {"name": given.get("name") or _name_by(given)}
    settings = said if said["name"] else _recognised(source)
    _require_taken(source, str(settings["name"]), given)
    place = "file" if settings["name"] in ("hdf5", "arrays") else "root"
    return settings | {place: str(source)} | dict(given)


def _name_by(given: Mapping[str, Any]) -> str | None:
    """The layout that a setting is of."""
    return next((name for key, name in OF.items() if given.get(key)), None)


def _require_taken(source: Path, name: str, given: Mapping[str, Any]) -> None:
    """Refuse a setting that the layout does not have; who has an unknown name hears of that."""
    for key in given if name in DATASETS else ():
        if key not in DATASETS[name].model_fields:
            others = [other for other, kind in DATASETS.own.items() if key in kind.model_fields]
            raise DataError(
                f"{shown(source)} is read as {name!r}, which has no setting data.{key}; "
                f"{', '.join(others)} have it: name one with --layout, or leave it out"
            )


def known_groups(data: Dataset) -> tuple[str, ...]:
    """Categorical attributes that a data set is known to hold, whoever named any; often none."""
    found: tuple[str, ...] = getattr(data, "groups", ())
    return found


def _recognised(source: Path) -> dict[str, Any]:
    """Name and settings of what lies at an existing ``source``."""
    if source.is_file():
        return {"name": _kind(source)}
    require_folder(source, "the owner of the data")
    for name, holds in FOLDERS.items():
        if holds(source):
            return {"name": name}
    return _known(source) or _unknown(source)


def _kind(source: Path) -> str:
    kinds = {
        ".h5": "hdf5", ".hdf5": "hdf5", ".npz": "arrays", ".tar": "tar",
        ".parquet": "hugging_face",
    }  # fmt: skip
    if source.suffix.lower() not in kinds:
        raise DataError(
            f"{shown(source)} is a file of no known kind{remedy([source.name])}; known: a "
            f"recipe (.yaml), {', '.join(kinds)}, or a folder; images listed in a table are read "
            "with --table"
        )
    return kinds[source.suffix.lower()]


def _known(source: Path) -> dict[str, Any] | None:
    """The public set that lies in a folder or below, which its loader finds.

    Raises:
        DataError: There are several, or one that cannot be read as what it is.
    """
    listings = tree(source)
    found = {name: place for name, kind in KNOWN.items() if (place := kind.find(listings))}
    if len(found) > 1:
        named = ", ".join(f"{name} in {_where(place)}" for name, place in found.items())
        raise DataError(
            f"{shown(source.absolute())} holds several data sets ({named}): name the folder of one"
        )
    if not any(_is_whole(place) for place in found.values()):
        kinds = {name: KNOWN[name] for name in found} or KNOWN
        _require_not_within(source, kinds, around=any(place.lacks for place in found.values()))
    for name, place in found.items():
        if not place.lacks:
            return {"name": name, **place.settings}
        raise DataError(
            f"{shown(source.absolute())} looks like {name}, but it lacks {place.lacks}; --layout "
            "images reads the images without what that would say"
        )
    return None


def _is_whole(place: Place) -> bool:
    return not (place.lacks or place.settings)


def _where(place: Place) -> str:
    at = place.images or next(iter(place.tables.values())).parent
    return shown(at)


def _require_not_within(source: Path, kinds: Mapping[str, type[Known]], *, around: bool) -> None:
    """Refuse images of sets whose tables lie one or two folders higher; or what is ``around``."""
    for folder in source.absolute().parents[:2]:
        listings = tree(folder, 2)
        for name, kind in kinds.items():
            place = kind.find(listings)
            tables = place.tables.values() if place else ()
            if place and place.images and _is_within(source, place.images, tables, around=around):
                raise DataError(
                    f"{shown(source.absolute())} holds images of {name}, whose tables lie higher: "
                    f"give {shown(folder)}, or --layout images to read the images without what "
                    "the tables say"
                )


def _is_within(source: Path, images: Path, tables: Iterable[Path], *, around: bool) -> bool:
    """Whether a folder is that of the images, ``around`` or in it, and not of all their tables.

    One that has some of the tables is a set by itself, whatever lies beside it.
    """
    real, inner = source.resolve(), images.resolve()
    folders = {table.resolve().parent for table in tables}
    own = {folder for folder in folders if folder.is_relative_to(real)}
    above = (folders - own).intersection(real.parents) if own else folders
    return bool(above) and (inner in (real, *real.parents) or (around and real in inner.parents))


def _unknown(source: Path) -> dict[str, Any]:
    """Folders of classes or of splits, or images of which no folder says anything.

    Raises:
        DataError: The folders hold the same photographs in several versions.
    """
    names = [entry.name for entry in walk(source) if not image_problem(entry)]
    above = wrapper(names)
    below = [name.removeprefix(above) for name in names]
    inner = [name for name in below if "/" in name]
    folders = {name.rpartition("/")[0] for name in inner}
    if len(folders) < 2 or len(below) - len(inner) > FEW * len(names) or only_numbers(below):
        return {"name": "images"}
    if twice := versions(inner):
        raise DataError(
            f"{shown(source.absolute())} seems to hold the same photographs more than once, and "
            f"not a class, in {', '.join(map(shown, twice))}: called like a version, or with the "
            "folders of those beside it. Name the folder of one version, or, if these are "
            "classes, --layout image_folder"
        )
    way = SPLIT if sides_of(folders).keys() == folders else other_way(inner)
    if way:
        return {"name": "images", "folders": "*/" * above.count("/") + way}
    return {"name": "image_folder"}


def _has(*patterns: str) -> Callable[[Path], bool]:
    return lambda folder: any(next(folder.glob(pattern), None) for pattern in patterns)


def _is_tar(folder: Path) -> bool:
    """Whether archives lie here or one folder deeper; beside images, one must not decide."""
    archive = next(folder.glob("*.tar"), None)
    if archive is None and next(folder.glob("*/*.tar"), None) is None:
        return False
    image = next((entry.name for entry in walk(folder) if not image_problem(entry)), None)
    if archive is None:
        return image is None
    if image is not None:
        raise DataError(
            f"{shown(folder.absolute())} holds archives ({shown(archive.name)}) and images "
            f"({shown(image)}): name the layout: tar for the archives; image_folder, images "
            "or another for the images"
        )
    return True


# In this order: the first that fits; then public sets, by what their loaders find.
FOLDERS: dict[str, Callable[[Path], object]] = {
    "store": _has("store.json"), "tar": _is_tar, "hugging_face": holds_images, "idx": idx_files,
}  # fmt: skip
KNOWN: dict[str, type[Known]] = {
    "celeba": CelebA, "fairface": FairFace, "lfw": LFW, "utkface": UTKFace,
}  # fmt: skip

"""Where the parts of a public set lie below a folder: asked by its loader and by the recogniser.

A set is found in its owners' sub-folders, or some folders deeper than a person points, by the names
of its tables and images.
"""

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

from debias.datasets.listing import (
    MASKS,
    all_set_aside,
    image_problem,
    namesake,
    unread_tables,
    walk,
)
from debias.types import Collection

MASK = re.compile(r"(?<![a-z])masks?(?![a-z])", re.IGNORECASE)  # a folder, as of CelebAMask-HQ
FEW = 0.01  # share of the images that may lie or be called otherwise
DEEPEST = 4  # folders below the one that a person named
SUBFOLDERS, FOLDERS = 100, 2000  # looked into, of one folder and in all


class Listing(NamedTuple):
    """What lies in a folder, by name, sorted; no links."""

    place: Path
    folders: list[str]
    files: list[str]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where a set lies, whole or in part.

    Attributes:
        images: Folder at which the paths in its tables begin; None where it is not there.
        tables: By what they are about.
        settings: What a recipe has to say of a set of which some part is not there.
        lacks: What it cannot be read without and is not there; empty for nothing.
    """

    images: Path | None = None
    tables: Mapping[str, Path] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    lacks: str = ""


def tree(root: Path, deepest: int = DEEPEST) -> list[Listing]:
    """The folder and those below it, the nearest first; what cannot be listed holds nothing."""
    level, found = [root], list[Listing]()
    for _ in range(deepest + 1):
        here = [_listed(folder) for folder in level[: FOLDERS - len(found)]]
        found += here
        level = [one.place / name for one in here for name in one.folders[:SUBFOLDERS]]
    return found


def _listed(folder: Path) -> Listing:
    try:
        with os.scandir(folder) as entries:
            kinds = [(one.name, one.is_dir(follow_symlinks=False)) for one in entries
                     if not one.name.startswith(".")]  # fmt: skip
    except OSError:
        kinds = []
    folders = sorted(name for name, is_folder in kinds if is_folder)
    return Listing(folder, folders, sorted(name for name, is_folder in kinds if not is_folder))


def files_like(listings: Iterable[Listing], pattern: str) -> Iterator[Path]:
    """Files whose whole name fits, capitals or not, the nearest first."""
    fits = re.compile(pattern, re.IGNORECASE).fullmatch
    return (one.place / name for one in listings for name in one.files if fits(name))


def tables_like(listings: Sequence[Listing], stems: Iterable[str]) -> dict[str, Path]:
    """Where the tables of some names lie, ``.txt`` before ``.csv``, the nearest of each."""
    found = {
        stem: path
        for end in ("csv", "txt")  # what comes later stays
        for stem in stems
        for path in [next(files_like(listings, rf"{re.escape(stem)}\.{end}"), None)]
        if path is not None
    }
    return found


def mostly(names: Sequence[str], fits: Callable[[str], object]) -> bool:
    """Whether more than half of some names fit; no name is not."""
    return sum(bool(fits(name)) for name in names) > len(names) / 2


def key(name: str, depth: int) -> str:
    """The last folders and the name of a file up to its first dot: the same in every version."""
    *folders, last = name.split("/")[-depth:]
    return "/".join([*folders, last.partition(".")[0]])


def accounted(found: Collection, root: Path, place: Place, names: Iterable[str]) -> Collection:
    """With a record of every file below ``root`` that was neither read nor told of.

    ``names`` are the images that the set consists of, as its tables write them.
    """
    told = [*found.samples["path"], *(item.path for item in found.rejected), *place.tables.values()]
    known = {os.path.abspath(path) for path in told}
    listed = list(names)
    depth = 1 + max((name.count("/") for name in listed), default=0)
    versions = dict.fromkeys((key(name, depth) for name in listed), "")
    versions |= {key(path, depth): path for path in found.samples["path"]}
    problems = {}
    for entry in sorted(walk(root)):
        path, problem = os.path.abspath(f"{root}/{entry.name}"), image_problem(entry)
        other = versions.get(key(entry.name, depth))
        if path not in known:
            beside = MASKS if MASK.search(entry.name.rpartition("/")[0]) else "not listed"
            beside = beside if problem or other is None else namesake(path, other)
            problems[entry.name] = problem or beside
    unlisted = {"not listed": "the owner's list does not name this file"}
    others = all_set_aside(root, problems, lambda _, why: unlisted.get(why, ""))
    remarks = (*found.remarks, *unread_tables(problems))
    return replace(found, rejected=(*found.rejected, *others), remarks=remarks)

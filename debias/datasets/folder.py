"""Any folder of images: described by a table, sorted into classes, or neither.

Images: JPEG, PNG, WebP or BMP below a root folder; whatever else lies there is set aside.
Source, citation, licence: those of the folder's owner, who also says who annotated it.
Known problems: where nothing says who is shown, one person can fall on both sides of a split.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import pandas as pd
from pydantic import Field

from debias.datasets.listing import (
    Entry,
    all_set_aside,
    hashed_ids,
    image_problem,
    path_problems,
    plain_paths,
    rejected_paths,
    require_folder,
    require_path,
    walk,
)
from debias.datasets.owners_lists import (
    OWNER_SPLIT,
    SPLIT_NAMES,
    STATED,
    SplitBy,
    Stated,
    annotated_as,
    completed_split,
)
from debias.errors import DataError, EmptyDatasetError
from debias.plugins import Settings
from debias.storage.files import shown
from debias.storage.tables import OURS, read_table, require_once
from debias.types import SPLITS, Collection

OWNER = "the owner of the data"


class Folder(Settings):
    """A folder of images and a table with one row per image.

    Labels and attributes: columns of a CSV or Parquet file, kept as text or numbers.
    Splits: a column that says train, validation or test, or none (then they are drawn).
    Known problems: the table is believed in all but its paths: a row whose path leaves the root is
    set aside. A column named ``sample_id``, ``sha256``, ``duplicate_cluster``, ``offset`` or
    ``length`` is left out, and so are ``subject_id`` and ``split`` unless a setting names them.
    """

    name: Literal["folder"] = "folder"
    root: Path = Field(description="Folder below which the images lie.")
    table: Path = Field(description="CSV or Parquet file with one row per image.")
    path_column: str = Field(default="path", description="Column with the path below root.")
    subject_column: str | None = Field(
        default=None, description="Column that says who is shown; keeps people in one split."
    )
    split_column: str | None = Field(
        default=None, description="Column that says train, validation or test."
    )
    annotation: str = annotated_as("The table does not say who annotated the attributes or how.")
    source: Stated = STATED

    def collect(self, seed: int) -> Collection:
        """One row per row of the table.

        Raises:
            FileNotFoundError: The folder or the table does not exist.
            UnsafePathError: Root or table is not a path that can be opened.
            DataError: A named column is missing or a split has an unknown name.
            DuplicateIdError: Two rows name one path.
            EmptyDatasetError: No row names a path below the root.
        """
        require_folder(self.root, OWNER)
        require_path(self.table)
        if not self.table.exists():
            raise FileNotFoundError(
                f"the table {shown(self.table.absolute())} does not exist; set data.table"
            )
        samples, unread = read_table(self.table)
        samples = self._named(samples)
        given = samples["path"].astype(object)
        names = plain_paths(given.where(given.notna(), "").astype(str))
        problems = path_problems(names, self.root)
        unsafe = rejected_paths(names, problems, self.table)
        if len(unsafe) == len(samples):
            first = f", first: {shown(Path(unsafe[0].path))}: {unsafe[0].detail}" if unsafe else ""
            raise EmptyDatasetError(
                f"none of {len(samples)} rows of {shown(self.table)} names an image below "
                f"{shown(self.root)}{first}"
            )
        kept = problems == ""
        lost = samples[~kept].drop(columns="path").reset_index(drop=True)
        lost["sample_id"] = [item.sample_id for item in unsafe]
        names = names[kept]
        require_once(
            names,
            lambda count: f"{count} images are listed more than once in {shown(self.table)}",
            "rows about one image may contradict each other, so none is chosen: repair the table",
        )
        samples = samples[kept].reset_index(drop=True)
        samples["sample_id"] = hashed_ids(names)
        samples["path"] = (f"{self.root}/" + names).to_numpy()
        rejected = (*unread, *unsafe)
        return Collection(samples=samples, rejected=rejected, lost=lost if unsafe else None)

    def _named(self, samples: pd.DataFrame) -> pd.DataFrame:
        """The table under our names for path, person and split."""
        asked = (
            ("path", self.path_column),
            ("subject_id", self.subject_column),
            ("split", self.split_column),
        )
        named = {role: column for role, column in asked if column is not None}
        for role, column in named.items():
            if column not in samples:
                raise DataError(
                    f"{shown(self.table)} has no column {column!r} (used as {role}); columns: "
                    f"{list(samples.columns)}{_hint(list(samples.columns), role)}"
                )
        columns = {role: samples[column] for role, column in named.items()}
        split = columns.get("split", pd.Series(dtype=str))
        unknown = sorted(set(split.dropna().astype(str)) - set(SPLITS))
        if unknown or split.isna().any():
            raise DataError(
                f"splits must be one of {SPLITS} in every row, got also {unknown or 'none'}"
            )
        used = {*OURS, *named.values()}.intersection(samples.columns)
        return samples.drop(columns=used).assign(**columns)


def _hint(columns: list[str], role: str) -> str:
    """What probably went wrong with a table that lacks a column."""
    used = next((mark for mark in (";", "\t", "|") if any(mark in name for name in columns)), None)
    if used is not None:
        return f"; its columns are separated by {used!r}: save it with commas"
    if role != "path":
        return ""
    likely = [name for name in columns if re.search("path|file|image|name", name, re.IGNORECASE)]
    named = likely[0] if likely else "COLUMN"
    return f"; name the column of file names with --set data.path_column={named}"


class ImageFolder(Settings):
    """A folder of folders, each with the images of one class, as torchvision's ImageFolder has it.

    ``root/CLASS/...`` or ``root/SPLIT/CLASS/...``. Columns: ``class``, the name of the folder.
    Splits: folders named train, val (valid, validation) and test, or none (then they are drawn).
    They are splits and no classes where there is train and another, or train holds no image itself,
    or there is nothing else.
    """

    name: Literal["image_folder"] = "image_folder"
    root: Path = Field(description="Folder that holds a folder per class, or per split.")
    split: SplitBy = Field(
        default="owner", description=f"'owner': folders named train, val and test{OWNER_SPLIT}"
    )
    annotation: str = annotated_as("The folders do not say who sorted the images or how.", "images")
    source: Stated = STATED

    def collect(self, seed: int) -> Collection:
        """One row per image below a class folder; everything else is set aside.

        Raises:
            FileNotFoundError: The folder does not exist.
            EmptyDatasetError: No class folder holds an image.
        """
        require_folder(self.root, OWNER)
        entries = sorted(walk(self.root))
        depth = 2 if _has_splits(entries) else 1
        problems = {entry.name: _class_problem(entry, depth) for entry in entries}
        names = [name for name, problem in problems.items() if not problem]
        if not names:
            raise EmptyDatasetError(
                f"{shown(self.root.absolute())} holds no image in a folder per class, like "
                "class/1.jpg or train/class/1.jpg"
            )
        samples = _images(self.root, names)
        samples["class"] = [name.split("/")[depth - 1] for name in names]
        if depth == 2 and self.split == "owner":
            samples["split"] = [SPLIT_NAMES[_top(name)] for name in names]
            samples = completed_split(samples, seed)

        def detail(name: str, reason: str) -> str:
            if reason != NO_CLASS or depth == 1 or _top(name) in {"", *SPLIT_NAMES}:
                return ""
            top = shown(name.partition("/")[0])
            return f"the folder '{top}' is no split: none of {', '.join(SPLIT_NAMES)}"

        return Collection(samples=samples, rejected=all_set_aside(self.root, problems, detail))


NO_CLASS = "in no class folder"


def _top(name: str) -> str:
    """The first folder of a path in lower case; empty for what lies in none."""
    return name.rpartition("/")[0].partition("/")[0].lower()


def wrapper(images: Sequence[str]) -> str:
    """Folders that only hold the one that holds everything, with a slash at the end, or nothing."""
    above = ""
    while True:
        first = {name.removeprefix(above).partition("/")[0] for name in images}
        deep = all(name.removeprefix(above).count("/") > 1 for name in images)
        if len(first) != 1 or not deep or first.pop().lower() in SPLIT_NAMES:
            return above
        above += f"{images[0].removeprefix(above).partition('/')[0]}/"


def of_folders(images: Sequence[str]) -> pd.DataFrame | None:
    """Class and split of each path, as :class:`ImageFolder` reads them.

    Without ``split`` where the first folders are none; None where an image lies in no class folder,
    or all in one.
    """
    above = wrapper(images)
    entries = [Entry(name.removeprefix(above), "") for name in images]
    depth = 2 if _has_splits(entries) else 1
    classes = [entry.name.split("/")[depth - 1] for entry in entries]
    if len(set(classes)) == 1 or any(_class_problem(entry, depth) for entry in entries):
        return None
    sides = [SPLIT_NAMES[_top(entry.name)] for entry in entries] if depth == 2 else None
    return pd.DataFrame({"class": classes} | ({"split": sides} if sides else {}))


def _has_splits(entries: Sequence[Entry]) -> bool:
    """Whether the first folders are splits, whatever else was unpacked beside them."""
    images = [entry.name for entry in entries if not image_problem(entry)]
    tops = {_top(name) for name in images if "/" in name}
    splits = tops.intersection(SPLIT_NAMES)
    only_folders = all(name.count("/") > 1 for name in images if _top(name) == "train")
    return "train" in splits and (len(splits) > 1 or splits == tops or only_folders)


def _class_problem(entry: Entry, depth: int) -> str:
    in_place = entry.name.count("/") >= depth and (depth == 1 or _top(entry.name) in SPLIT_NAMES)
    return image_problem(entry) or ("" if in_place else NO_CLASS)


class Images(Settings):
    """A folder of images, at any depth, about which nothing else is known.

    Columns: ``folder``, the place of an image below the root ("." for the root itself).
    """

    annotation: ClassVar[str] = "Nobody annotated these images: nothing is known of who is shown."
    source: ClassVar[str] = "not stated"
    name: Literal["images"] = "images"
    root: Path = Field(description="Folder below which the images lie.")

    def collect(self, seed: int) -> Collection:
        """One row per image; everything else that lies there is set aside.

        Raises:
            FileNotFoundError: The folder does not exist.
            EmptyDatasetError: There is no image in it.
        """
        require_folder(self.root, OWNER)
        problems = {entry.name: image_problem(entry) for entry in sorted(walk(self.root))}
        names = [name for name, problem in problems.items() if not problem]
        if not names:
            raise EmptyDatasetError(
                f"{shown(self.root.absolute())} holds {len(problems)} files, none of them an image"
            )
        samples = _images(self.root, names)
        samples["folder"] = [name.rpartition("/")[0] or "." for name in names]
        return Collection(samples=samples, rejected=all_set_aside(self.root, problems))


def _images(root: Path, names: list[str]) -> pd.DataFrame:
    paths = [f"{root}/{name}" for name in names]
    return pd.DataFrame({"sample_id": hashed_ids(names), "path": paths})

"""Any folder of images: described by a table, sorted into classes, or neither.

Images: JPEG, PNG, WebP or BMP below a root folder; whatever else lies there is set aside.
Source, citation, licence: those of the folder's owner, who also says who annotated it.
Known problems: where nothing says who is shown, one person can fall on both sides of a split.
"""

import re
from collections.abc import Mapping, Sequence
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
from debias.datasets.table_paths import (
    found_below,
    images_below,
    path_column,
    relative,
    split_names,
)
from debias.errors import DataError, EmptyDatasetError
from debias.plugins import Settings
from debias.storage.files import shown
from debias.storage.joining import Texts
from debias.storage.tables import OURS, Table, read_table, require_once
from debias.types import Collection

OWNER = "the owner of the data"
PATH = "path"


class Folder(Settings):
    """A folder of images and a table with one row per image.

    Labels and attributes: columns of a table of any kind that ``storage/tables.py`` reads, kept as
    text or numbers.
    Splits: a column that says train, validation or test, or none (then they are drawn).
    Known problems: the table is believed in all but its paths: a row whose path leaves the root is
    set aside. A column named ``sample_id``, ``sha256``, ``duplicate_cluster``, ``offset`` or
    ``length`` is left out, and so are ``subject_id`` and ``split`` unless a setting names them.
    """

    name: Literal["folder"] = "folder"
    root: Path = Field(description="Folder below which the images lie.")
    table: Path = Field(
        description="Table with one row per image: .csv, .tsv, .jsonl, .json or .parquet, or .gz."
    )
    path_column: str = Field(
        default=PATH,
        description="Column with the path below root; where there is no 'path', the one that names "
        "files, such as file_name, filename or image.",
    )
    subject_column: str | None = Field(
        default=None, description="Column that says who is shown; keeps people in one split."
    )
    split_column: str | None = Field(
        default=None,
        description="Column that says train, validation or test (or val, dev; or 0, 1, 2).",
    )
    annotation: str = annotated_as("The table does not say who annotated the attributes or how.")
    source: Stated = STATED

    def collect(self, seed: int) -> Collection:
        """One row per row of the table.

        Raises:
            FileNotFoundError: The folder or the table does not exist.
            UnsafePathError: Root or table is not a path that can be opened.
            DataError: A named column is missing, a split has an unknown name, or paths could mean
                several files.
            DuplicateIdError: Two rows name one path.
            EmptyDatasetError: No row names a path below the root.
        """
        require_folder(self.root, OWNER)
        require_path(self.table)
        if not self.table.exists():
            raise FileNotFoundError(
                f"the table {shown(self.table.absolute())} does not exist; set data.table"
            )
        table, files = read_table(self.table), images_below(self.root)
        samples, remarks = self._named(table, files)
        names = relative(samples["path"], self.root)
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
        names, way = found_below(names[kept], self.root, files)
        require_once(
            names,
            lambda count: f"{count} images are listed more than once in {shown(self.table)}",
            "it draws images several times: debias export --as weights lists each once"
            if "draw" in samples
            else "rows about one image may contradict each other, so none is chosen: repair the "
            "table",
        )
        samples = samples[kept].reset_index(drop=True)
        samples["sample_id"] = hashed_ids(names)
        samples["path"] = (f"{self.root}/" + names).to_numpy()
        remarks += _told_files(names, way, files, self)
        if "train" in set(samples.get("split", ())):
            samples, told = _completed(samples, seed)
            remarks += told
        rejected = (*table.rejected, *unsafe)
        return Collection(
            samples=samples, rejected=rejected, lost=lost if unsafe else None,
            remarks=tuple(remarks),
        )  # fmt: skip

    def _named(self, table: Table, files: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
        """The table under our names for path, person and split, and what is not used."""
        samples, path = table.rows, self.path_column
        if path == PATH and path not in samples:
            path = path_column(samples, self.root, files) or path
        asked = (("path", path), ("subject_id", self.subject_column), ("split", self.split_column))
        named = {role: column for role, column in asked if column is not None}
        for role, column in named.items():
            if column not in samples:
                raise DataError(
                    f"{shown(self.table)} has no column {column!r} (used as {role}); columns: "
                    f"{list(samples.columns)}{_hint(list(samples.columns), role)}"
                )
        columns = {role: samples[column] for role, column in named.items()}
        told = _told_columns(table, named)
        if "split" in columns:
            columns["split"], remark = split_names(columns["split"], self.table)
            told += [remark] if remark else []
        used = {*OURS, *named.values()}.intersection(samples.columns)
        return samples.drop(columns=used).assign(**columns), told


def _told_columns(table: Table, named: Mapping[str, str]) -> list[str]:
    """Every column of a table: what it is used as, or why it is not used."""
    used = [column if role == column else f"{column} as {role}" for role, column in named.items()]
    names = [str(name) for name in table.rows if name not in named.values()]
    kept = [name for name in names if name not in OURS]
    out = [f"{name} (a name of ours; rename it)" for name in names if name in OURS]
    out += [f"{name} (several values in a cell)" for name in table.odd]
    parts = {"used": used, "annotations": kept, "not used": out}
    told = [f"{what}: {', '.join(map(shown, some))}" for what, some in parts.items() if some]
    return [f"{len(table.rows.columns) + len(table.odd)} columns of the table; {'; '.join(told)}."]


def _told_files(names: Texts, way: str, files: Sequence[str], data: Folder) -> list[str]:
    rows, root, table = len(names), shown(data.root), shown(data.table.name)
    there = names.isin(files)
    told = [f"{int(there.sum()):,} of {rows:,} paths were found by {way}."] if way else []
    others = len(set(files).difference(names))
    if others:
        told.append(
            f"{others:,} images below {root} stand in no row of {table}: they are not used."
        )
    return told


def _completed(samples: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, list[str]]:
    """Train, validation and test where the table says less, and what was done about it."""
    done = completed_split(samples, seed)
    before, after = set(samples["split"]), done["split"].value_counts()
    told = []
    if "test" not in before and "validation" in before:
        told.append(
            f"No row says test, so the {after['test']:,} validation images are the test set."
        )
    if "validation" in after and (told or "validation" not in before):
        told.append(
            f"{after['validation']:,} of {(samples['split'] == 'train').sum():,} training images "
            "were drawn for validation, which the table does not name."
        )
    return done, told


def _hint(columns: list[str], role: str) -> str:
    """What probably went wrong with a table that lacks a column."""
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

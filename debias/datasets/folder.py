"""Any folder of images: described by a table, sorted into classes, a list such as PPB, or neither.

Images: JPEG, PNG, WebP or BMP below a root folder; whatever else lies there is set aside.
Source, citation, licence: those of the folder's owner, who also says who annotated it.
Known problems: where nothing says who is shown, one person can fall on both sides of a split.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

import pandas as pd
from pydantic import Field, model_validator

from debias.datasets.listing import (
    Entry,
    all_set_aside,
    hashed_ids,
    image_problem,
    path_problems,
    plain_paths,
    regular_files,
    rejected_paths,
    require_folder,
    require_path,
    require_paths,
    walk,
)
from debias.datasets.owners_lists import (
    SPLIT_NAMES,
    STATED,
    SplitBy,
    Stated,
    annotated_as,
    completed_split,
    matched,
)
from debias.errors import DataError, EmptyDatasetError
from debias.plugins import Settings
from debias.storage.files import shown
from debias.storage.tables import (
    OURS,
    marked,
    plain_name,
    read_csv,
    read_table,
    require_columns,
    require_once,
)
from debias.types import SPLITS, Collection

OWNER = "the owner of the data"
PPB = "the Algorithmic Justice League, https://www.ajl.org (by request; see gendershades.org)"
TYPES = {"I": "1", "II": "2", "III": "3", "IV": "4", "V": "5", "VI": "6"}
LIGHTER = ("1", "2", "3")
UNSTATED = "The list does not say who annotated the attributes or how."


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
        asked = {
            "path": self.path_column, "subject_id": self.subject_column, "split": self.split_column,
        }  # fmt: skip
        named = {role: column for role, column in asked.items() if column is not None}
        for role, column in named.items():
            if column not in samples:
                raise DataError(
                    f"{shown(self.table)} has no column {column!r} (used as {role}); columns: "
                    f"{list(samples.columns)}{_hint(list(samples.columns), role)}"
                )
        columns = {role: samples[column] for role, column in named.items()}
        samples = samples.drop(columns={*OURS, *named.values()}.intersection(samples.columns))
        if self.split_column:
            _check_splits(columns["split"])
        return samples.assign(**columns)


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
        default="owner",
        description="'owner': folders named train, val and test decide, where there are such; "
        "without test, val is the test set; without both val and test, a tenth of train is drawn "
        "for validation; 'drawn': a split drawn by selection.",
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
        samples = _images(self.root, problems)
        if samples.empty:
            raise EmptyDatasetError(
                f"{shown(self.root.absolute())} holds no image in a folder per class, like "
                "class/1.jpg or train/class/1.jpg"
            )
        names = samples.pop("name")
        samples["class"] = [name.split("/")[depth - 1] for name in names]
        if depth == 2 and self.split == "owner":
            samples["split"] = [SPLIT_NAMES[_top(name)] for name in names]
            samples = completed_split(samples, seed)
        rejected = all_set_aside(
            self.root, problems, lambda name, why: _no_class_detail(name, why, depth)
        )
        return Collection(samples=samples, rejected=tuple(rejected))


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
        samples = _images(self.root, problems)
        if samples.empty:
            raise EmptyDatasetError(
                f"{shown(self.root.absolute())} holds {len(problems)} files, none of them an image"
            )
        samples["folder"] = [name.rpartition("/")[0] or "." for name in samples.pop("name")]
        return Collection(samples=samples, rejected=tuple(all_set_aside(self.root, problems)))


class ListedFaces(Settings):
    """A CSV with one image a row: the Pilot Parliaments Benchmark (PPB) as it comes, and its like.

    Another list with a file name, a gender and a skin type a row is read by naming its columns.

    Columns: ``perceived_gender``, ``skin_type_fitzpatrick`` (1 to 6), ``skin_type_group`` (lighter
    for 1 to 3, darker for 4 to 6) and every other column of the list, in lower case.

    Images: 1,270 portraits of members of six national parliaments (Rwanda, Senegal, South Africa,
    Iceland, Finland, Sweden), in the folder ``imgs`` beside ``PPB-2017-metadata.csv``.
    Labels: perceived gender, from names, titles and appearance, by annotators; skin type on the
    six-point Fitzpatrick scale, labelled from the photograph by a dermatologist after annotators.
    Splits: none distributed; the set was made for testing and is small for training.
    Source: by request from the Algorithmic Justice League, www.ajl.org; see gendershades.org.
    Citation: Buolamwini, Gebru 2018, Gender Shades: Intersectional Accuracy Disparities in
    Commercial Gender Classification.
    Licence: terms of the Algorithmic Justice League, research use; the photographs belong to the
    parliaments that published them.
    Known problems: skin type read off a photograph depends on light and camera; gender is binary;
    the six countries were chosen for contrast, so country goes with skin type; faces only.
    """

    name: Literal["listed"] = "listed"
    root: Path = Field(description="Folder that holds the list and the images.")
    table: Path | None = Field(
        default=None, description="The list; empty: PPB-2017-metadata.csv in root."
    )
    images: str = Field(default="imgs", description="Folder of the images below root.")
    file_column: str = Field(default="filename", description="Column with the file name.")
    gender_column: str = Field(default="gender", description="Column with the perceived gender.")
    skin_type_column: str = Field(
        default="fitzpatrick skin type category",
        description="Column with the Fitzpatrick skin type, 1 to 6 or I to VI.",
    )
    group_column: str = Field(
        default="bi.fitz",
        description="Column that says lighter or darker; checked against the type where it exists.",
    )
    annotation: str = annotated_as(
        "Gender in the Pilot Parliaments Benchmark was labelled from names, titles and "
        "photographs, skin type from photographs by annotators and a dermatologist: they say how "
        "people are perceived, not how they describe themselves."
    )
    source: Stated = Field(default="annotated", description=STATED.description)

    @model_validator(mode="before")
    @classmethod
    def _of_another_list(cls, values: Any) -> Any:  # noqa: ANN401 (raw configuration)
        """What holds for PPB is not claimed of a list that somebody else wrote."""
        if isinstance(values, Mapping) and values.get("table") is not None:
            return {"annotation": UNSTATED, "source": "not stated", **values}
        return values

    def collect(self, seed: int) -> Collection:
        """One row per image that the list names and the folder holds.

        Raises:
            FileNotFoundError: The folder, the list or the image folder does not exist.
            DataError: The list lacks a column, names an image twice or contradicts itself.
            QuarantineLimitExceededError: Too many rows or images are unreadable or missing.
        """
        require_folder(self.root, PPB)
        table, images = self.table or self.root / "PPB-2017-metadata.csv", self.root / self.images
        require_paths([table, images], PPB)
        rows, rejected = read_csv(table)
        needed = (self.file_column, self.gender_column, self.skin_type_column)
        require_columns(rows, needed, table)
        return matched(self._labelled(rows, table), regular_files(images), images, rejected)

    def _labelled(self, rows: pd.DataFrame, table: Path) -> pd.DataFrame:
        given = rows[self.skin_type_column].str.upper().replace(TYPES)
        known = given.isin([*TYPES.values(), ""]).to_numpy()
        given = given.where(known, "")  # what is no type is no group either
        group = given.isin(LIGHTER).map({True: "lighter", False: "darker"}).where(given != "", "")
        if self.group_column in rows:
            self._require_agreement(rows, group, table)
        used = {
            self.file_column, self.gender_column, self.skin_type_column, self.group_column,
            "image_id",
        }  # fmt: skip
        others = rows.drop(columns=used.intersection(rows.columns)).rename(columns=plain_name)
        mistakable = others.columns.isin([*OURS, "file"]) | others.columns.duplicated()
        labelled = others.loc[:, ~mistakable].assign(
            file=rows[self.file_column],
            perceived_gender=rows[self.gender_column].str.lower(),
            skin_type_fitzpatrick=given,
            skin_type_group=group,
        )
        return marked(labelled, known, table, "skin type is not 1 to 6")

    def _require_agreement(self, rows: pd.DataFrame, group: "pd.Series[str]", table: Path) -> None:
        """Refuse a list whose groups are not those of its skin types."""
        stated = rows[self.group_column].str.lower()
        odd = (stated != group) & (stated != "") & (group != "")
        if odd.any():
            first = rows[self.file_column][odd].iloc[0]
            raise DataError(
                f"{shown(table)}: {odd.sum()} rows contradict themselves, first {shown(first)}: "
                f"{shown(self.group_column)} does not go with the skin type (lighter is 1 to 3, "
                "darker 4 to 6); repair the list"
            )


def _images(root: Path, problems: Mapping[str, str]) -> pd.DataFrame:
    """One row per file without a problem: ``sample_id``, ``path`` and ``name``."""
    names = [name for name, problem in problems.items() if not problem]
    paths = [f"{root}/{name}" for name in names]
    return pd.DataFrame({"sample_id": hashed_ids(names), "path": paths, "name": names})


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


def _check_splits(split: "pd.Series[str]") -> None:
    unknown = sorted(set(split.dropna().astype(str)) - set(SPLITS))
    if unknown or split.isna().any():
        raise DataError(
            f"splits must be one of {SPLITS} in every row, got also {unknown or 'none'}"
        )


def _top(name: str) -> str:
    """The first folder of a path in lower case; empty for what lies in none."""
    return name.rpartition("/")[0].partition("/")[0].lower()


def _has_splits(entries: Sequence[Entry]) -> bool:
    """Whether the first folders are splits, whatever else was unpacked beside them."""
    images = [entry.name for entry in entries if not image_problem(entry)]
    tops = {_top(name) for name in images if "/" in name}
    splits = tops.intersection(SPLIT_NAMES)
    only_folders = all(name.count("/") > 1 for name in images if _top(name) == "train")
    return "train" in splits and (len(splits) > 1 or splits == tops or only_folders)


def _class_problem(entry: Entry, depth: int) -> str:
    in_place = entry.name.count("/") >= depth and (depth == 1 or _top(entry.name) in SPLIT_NAMES)
    return image_problem(entry) or ("" if in_place else "in no class folder")


def _no_class_detail(name: str, reason: str, depth: int) -> str:
    """One sentence where the usual one does not say enough; else empty."""
    if reason != "in no class folder" or depth == 1 or _top(name) in {"", *SPLIT_NAMES}:
        return ""
    top = shown(name.partition("/")[0])
    return f"the folder '{top}' is no split: none of {', '.join(SPLIT_NAMES)}"

"""Any folder of images: described by a table, sorted into classes, or neither.

Images: JPEG, PNG, WebP or BMP below a root folder; whatever else lies there is set aside.
Source, citation, licence: those of the folder's owner, who also says who annotated it.
Known problems: where nothing says who is shown, one person can fall on both sides of a split; what
    may be said by names is asked about (``likely_people``).
"""

import os
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import Field, field_validator

from debias.datasets.likely_people import people_of
from debias.datasets.listing import (
    NO_IMAGE,
    all_set_aside,
    hashed_ids,
    image_problem,
    path_problems,
    rejected_paths,
    remedy,
    require_folder,
    require_path,
    unread_tables,
    walked,
)
from debias.datasets.notes import (
    LARGEST_SIDECAR,
    RENAME,
    USE,
    WHOLE,
    NoteColumns,
    Scalar,
    flat,
    says_nothing,
)
from debias.datasets.owners_lists import (
    OWNER_SPLIT,
    SPLIT_NAMES,
    STATED,
    SplitBy,
    Stated,
    annotated_as,
    completed_split,
    no_training,
)
from debias.datasets.people import OWNER, WithPeople, person_column, taken
from debias.datasets.table_paths import (
    SPLITS_WRITTEN,
    found_below,
    images_below,
    path_column,
    relative,
    split_names,
    unfit,
)
from debias.datasets.ways import (
    named,
    only_numbers,
    said,
    sorted_by_folders,
    steps,
    wrapper,
)
from debias.decoding.rules import Place, RefusedError, read
from debias.errors import DataError, EmptyDatasetError
from debias.storage.files import shown
from debias.storage.joining import ALLOW, Texts, above
from debias.storage.tables import OURS, Table, plain_column, read_table, require_once
from debias.types import Collection

PATH = "path"
TRAINED = "is_train", "train"  # columns that say of an image yes or no
MOST_SIDES = 12  # values of a column that may be a split


class Described(WithPeople):
    """Settings of a folder of which the way to an image may say something."""

    folders: str | None = Field(
        default=None,
        description="What the folders on the way from root to an image say, a word each: "
        "'race/person', 'split/person', '*/class'. 'person' is who is shown, 'split' train, val "
        "or test, '*' nothing, any other word a column. In braces a part of a name, that of the "
        "file included, beside '*' for anything and '#' for a number: '{person}_*', "
        "'*/#_{person}_#.*'.",
    )

    split_column: str | None = Field(
        default=None,
        description="Column that says train, validation or test (or val, dev; or 0, 1, 2).",
    )

    @field_validator("folders")
    @classmethod
    def _readable(cls, folders: str | None) -> str | None:
        if folders is not None:
            steps(folders)
        return folders


class Folder(Described):
    """A folder of images and a table with one row per image.

    Labels and attributes: columns of a table of any kind that ``storage/tables.py`` reads, kept as
    text or numbers.
    Splits: a column that says train, validation or test, or none (then they are drawn).
    Known problems: the table is believed in all but its paths: a row whose path leaves the root is
    set aside. A column named ``sample_id``, ``sha256``, ``duplicate_cluster``, ``offset`` or
    ``length`` is left out, and so is ``split`` unless a setting names it. A column called
    ``subject_id``, ``person`` and the like says who is shown where no setting does.
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
            DataError: More images than allowed stand on no row.
        """
        require_folder(self.root, OWNER)
        require_path(self.table)
        if not self.table.exists():
            raise FileNotFoundError(
                f"the table {shown(self.table.absolute())} does not exist; set data.table"
            )
        files = images_below(self.root)
        try:
            table = read_table(self.table)
            samples, (columns, *remarks) = self._named(table, files)
            placed = self._placed(samples, files)
        except DataError as error:
            if cause := unfit(self.table, files):
                raise DataError(cause) from error
            raise
        found = self._on_the_way(placed)
        rows, unlisted = len(table.rows) + len(table.rejected), sum(found.ignored.values())
        told = (
            f"{self.table.name}: {len(files) - unlisted:,} of {rows:,} rows joined with "
            f"{len(files) - unlisted:,} of {len(files):,} images; {columns}"
        )
        found = replace(
            found, rejected=(*table.rejected, *found.rejected),
            remarks=(told, *remarks, *found.remarks),
        )  # fmt: skip
        return completed_split(self.joined(found), seed)

    def _placed(self, samples: pd.DataFrame, files: Sequence[str]) -> Collection:
        """The rows with the files that their paths mean; what leaves the root is set aside."""
        names, way = found_below(relative(samples["path"], self.root), self.root, files)
        problems = path_problems(names, self.root)
        unsafe = rejected_paths(names, problems, self.table)
        if len(unsafe) == len(samples):
            first = f", first: {shown(Path(unsafe[0].path))}: {unsafe[0].detail}" if unsafe else ""
            raise EmptyDatasetError(
                f"none of {len(samples)} rows of {shown(self.table)} names an image below "
                f"{shown(self.root)}{first}; write paths from that folder on"
            )
        kept = problems == ""
        lost = samples[~kept].drop(columns="path").reset_index(drop=True)
        lost["sample_id"] = [item.sample_id for item in unsafe]
        every, names = names, names[kept]
        require_once(
            names,
            lambda count: f"{count} images are listed more than once in {shown(self.table)}",
            "it draws images several times: debias export --as weights lists each once"
            if "draw" in samples
            else "rows about one image may contradict each other, so none is chosen: repair the "
            "table",
        )
        unlisted = self._unlisted(files, every)
        samples = samples[kept].reset_index(drop=True)
        samples["sample_id"] = hashed_ids(names)
        samples["path"] = (f"{self.root}/" + names).to_numpy()
        there = int(names.isin(files).sum())
        told = f"{there:,} of {len(names):,} paths were found by {way}."
        return Collection(
            samples=samples, rejected=tuple(unsafe), lost=lost if unsafe else None,
            ignored={"images on no row": unlisted},
            remarks=(told,) if way else (),
        )  # fmt: skip

    def _unlisted(self, files: Sequence[str], names: Texts) -> int:
        """How many images no row names; DataError at more than are allowed."""
        listed = pd.Series(files, dtype=object)
        unlisted, strange = listed[~listed.isin(names)], names[~names.isin(files)]
        share = len(unlisted) / max(len(files), 1)
        if share > self.allow_unjoined:
            rows = (
                f" {len(strange):,} of {len(names):,} rows name none there, first "
                f"'{shown(strange.iloc[0])}'."
                if len(strange)
                else ""
            )
            raise DataError(
                f"{len(unlisted):,} of {len(files):,} images below {shown(self.root)} stand on no "
                f"row of {shown(self.table)} ({share:.1%}), first "
                f"'{shown(unlisted.iloc[0])}'.{rows} "
                f"Complete the table, or leave these images out with {ALLOW} {above(share)} "
                "(data.allow_unjoined)"
            )
        return len(unlisted)

    def _on_the_way(self, found: Collection) -> Collection:
        """With what the folders on the way to an image say, if they are asked; else what they may.

        Raises:
            DataError: They are not as named, or say what the table says, too.
        """
        names = found.samples["path"].str.removeprefix(f"{self.root}/").tolist()
        if self.folders is None:
            return replace(found, remarks=(*found.remarks, *_unread_split(found.samples, names)))
        told = [said(name, steps(self.folders)) for name in names]
        odd = [name for name, one in zip(names, told, strict=True) if one is None]
        if odd:
            raise DataError(
                f"the way to {len(odd):,} of {len(names):,} images is not like '{self.folders}', "
                f"first: {shown(odd[0])}; correct --folders"
            )
        columns = named(one for one in told if one is not None)
        both = sorted({*columns}.intersection(found.samples))
        if both:
            raise DataError(f"--folders and the table both say {', '.join(both)}: leave one out")
        return replace(found, samples=found.samples.join(columns))

    def _named(self, table: Table, files: Sequence[str]) -> tuple[pd.DataFrame, list[str]]:
        """The table under our names for path, person and split, and what is not used."""
        samples, path = table.rows, self.path_column
        if path == PATH and path not in samples:
            path = path_column(samples, self.root, files) or path
        person = self.subject_column or (None if self.folders else person_column(samples))
        asked = (("path", path), ("subject_id", person), ("split", self.split_column))
        named = {role: column for role, column in asked if column is not None}
        for role, column in named.items():
            if column not in samples:
                raise DataError(
                    f"{shown(self.table)} has no column {column!r} (used as {role}); columns: "
                    f"{list(samples.columns)}{_hint(table, role)}"
                )
        columns = {role: samples[column] for role, column in named.items()}
        told = _told_columns(table, named)
        if person is not None and self.subject_column is None:
            told.append(taken(person, samples[person].nunique()))
        if "split" in columns:
            columns["split"], remark = split_names(_of_training(columns["split"]), self.table)
            told += [remark] if remark else []
        used = {*OURS, *named.values()}.intersection(samples.columns)
        return samples.drop(columns=used).assign(**columns), told


def _unread_split(samples: pd.DataFrame, names: Sequence[str]) -> list[str]:
    """Sentences about what may be the owner's split, where nothing is used as one."""
    if "split" in samples:
        return []
    likely = [str(name) for name in samples if _is_likely_split(samples[name])]
    told = [f"Column {shown(name)!r} may be a split, and is not used as one: --set "
            f"data.split_column={name} uses it." for name in likely]  # fmt: skip
    sides = {place.side for place in sorted_by_folders(names).values()}
    if "train" in sides and len(sides) > 1 and "" not in sides:
        way = "*/" * wrapper(names).count("/") + "split"
        told.append(
            f"The folders are called {', '.join(sorted(sides))}, and no split is read from them: "
            f"--folders '{way}' reads it."
        )
    return told


def _is_likely_split(column: "pd.Series[Any]") -> bool:
    """Whether a column says train and the like, or is called after it and has few values."""
    values = {str(value).strip().lower() for value in column.dropna().unique()[:MOST_SIDES]}
    called = plain_column(str(column.name)) in (*TRAINED, "set", "subset", "partition", "fold")
    return 1 < len(values) < MOST_SIDES and (values <= set(SPLITS_WRITTEN) or called)


def _of_training(column: "pd.Series[Any]") -> "pd.Series[Any]":
    """Train and test, where a column such as is_train says yes and no; else as it is."""
    if plain_column(str(column.name)) not in TRAINED:
        return column
    text = column.astype("string").str.strip().str.lower().str.removesuffix(".0")
    return text.replace(dict.fromkeys(("1", "true", "yes"), "train")
                        | dict.fromkeys(("0", "false", "no"), "test"))  # fmt: skip


def _told_columns(table: Table, named: Mapping[str, str]) -> list[str]:
    """Every column of a table: what it is used as, or why it is not used."""
    used = [column if role == column else f"{column} as {role}" for role, column in named.items()]
    names = [str(name) for name in table.rows if name not in named.values()]
    kept = [name for name in names if name not in OURS]
    out = [f"{name} ({USE.get(name, RENAME)})" for name in names if name in OURS]
    out += [f"{name} (several values in a cell)" for name in table.odd]
    parts = {"used": used, "annotations": kept, "not used": out}
    told = [f"{what}: {', '.join(map(shown, some))}" for what, some in parts.items() if some]
    return [f"{len(table.rows.columns) + len(table.odd)} columns of the table; {'; '.join(told)}."]


def _hint(table: Table, role: str) -> str:
    """What probably went wrong with a table that lacks a column."""
    if role != "path":
        return ""
    held = next((name for name, kind in table.odd.items() if "bytes" in kind), None)
    if held is not None:
        return f"; {held!r} holds the images themselves: give this file as SOURCE, without --table"
    columns = [str(name) for name in table.rows]
    likely = [name for name in columns if re.search("path|file|image|name", name, re.IGNORECASE)]
    named = likely[0] if likely else "COLUMN"
    return f"; name the column of file names with --set data.path_column={named}"


class ImageFolder(WithPeople):
    """A folder of folders, each with the images of one class, as torchvision's ImageFolder has it.

    ``root/CLASS/...`` or ``root/SPLIT/CLASS/...``, or either some folders deeper. Columns:
    ``class``, the name of the folder.
    Splits: folders named train, val (valid, validation, dev) and test, or like set_train and
    set_test, or none (then they are drawn). They are splits and no classes where there is train and
    another, or train holds no image itself, or there is nothing else.
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
        entries = walked(self.root)
        problems = {entry.name: image_problem(entry) for entry in entries}
        places = sorted_by_folders([name for name, problem in problems.items() if not problem])
        problems |= {name: NO_CLASS for name, place in places.items() if not place.of}
        names = [name for name, problem in problems.items() if not problem]
        if not names:
            raise EmptyDatasetError(
                f"{shown(self.root.absolute())} holds no image in a folder per class, like "
                "class/1.jpg or train/class/1.jpg"
            )
        samples = _images(self.root, names)
        samples["class"] = [places[name].of for name in names]
        sides = sorted({places[name].side for name in names})
        if self.split == "owner" and "train" in sides:
            samples["split"] = [places[name].side for name in names]

        def detail(name: str, reason: str) -> str:
            top = places[name].top if reason == NO_CLASS else ""
            names = ", ".join(SPLIT_NAMES)
            return top and f"the folder '{shown(top)}' is no split: none of {names}"

        remarks = (*_odd_classes(samples["class"], names), *no_training(sides))
        return _finished(self, samples, problems, detail, remarks, seed)


NO_CLASS = "in no class folder"


def of_folders(images: Sequence[str]) -> pd.DataFrame | None:
    """Class and split of each path, as :class:`ImageFolder` reads them.

    Without ``split`` where the first folders are none; None where an image lies in no class folder,
    or all in one.
    """
    places = [*sorted_by_folders(images).values()]
    if not all(place.of for place in places) or len({place.of for place in places}) == 1:
        return None
    sides = {"split": [place.side for place in places]} if places[0].side else {}
    return pd.DataFrame({"class": [place.of for place in places]} | sides)


def _odd_classes(classes: "pd.Series[str]", names: Sequence[str]) -> tuple[str, ...]:
    """Whether folders that were taken for classes may be none."""
    if classes.nunique() == 1:
        why = "Every image is of one class: perhaps the folder lies a step too high or too low."
    elif only_numbers(names):
        why = "The classes are numbers of folders that may only keep folders small."
    else:
        return ()
    return (f"{why} --layout images reads the images without a class.",)


def _noted(
    samples: pd.DataFrame,
    root: Path,
    names: Sequence[str],
    problems: dict[str, str],
    asked: Sequence[str | None],
) -> tuple[pd.DataFrame, tuple[str, ...], int]:
    """With what ``KEY.json`` beside ``KEY.jpg`` says, and how many say something.

    Such files are no ``problems`` any more.
    """
    own = [f"{name.rpartition('.')[0]}.json" for name in names]
    if not any(problems.get(note) == NO_IMAGE for note in own):
        return samples, (), 0
    columns, count = NoteColumns(), len(problems)
    for note in own:
        said: tuple[dict[str, Scalar], list[tuple[str, str]]] = {}, []
        if problems.get(note) == NO_IMAGE:
            with suppress(ValueError, RefusedError):  # it stays without what that would say
                said = {}, [(WHOLE, "no JSON")]
                said = flat(read(Place(os.fsencode(root / note)), LARGEST_SIDECAR))
            if not says_nothing(said[1]):
                del problems[note]
        columns.take(*said)
    found = columns.frame()
    ours = {*OURS} - {*asked, person_column(found)}
    unread = sorted(ours.union(samples.columns).intersection(found.columns))
    why = ", ".join(f"{name} ({USE[name]})" if name in USE else name for name in unread)
    more = (f"Not read beside the images, for their names: {why}.",) if unread else ()
    told = (*columns.remarks(), *more)
    return samples.join(found.drop(columns=unread)), told, count - len(problems)


class Images(Described):
    """A folder of images, at any depth, of which the folders may say something.

    Columns: those that ``folders`` names; without it ``folder``, the place of an image below the
    root ("." for the root itself).
    """

    name: Literal["images"] = "images"
    root: Path = Field(description="Folder below which the images lie.")
    split: SplitBy = Field(
        default="owner", description=f"'owner': where the word is 'split', these{OWNER_SPLIT}"
    )
    annotation: str = annotated_as(
        "Nobody says who named the folders of these images or how; nothing else is annotated.",
        "images",
    )
    source: Stated = STATED

    def collect(self, seed: int) -> Collection:
        """One row per image; everything else that lies there is set aside.

        Raises:
            FileNotFoundError: The folder does not exist.
            EmptyDatasetError: There is no image in it, or none where ``folders`` says.
        """
        require_folder(self.root, OWNER)
        problems = {entry.name: image_problem(entry) for entry in walked(self.root)}
        way = steps(self.folders) if self.folders else []
        told = {name: said(name, way) for name, problem in problems.items() if not problem}
        problems |= {name: ODD_NAME for name, found in told.items() if found is None}
        names = [name for name, problem in problems.items() if not problem]
        if not names:
            of = f"the way to none of {len(told)} is like '{self.folders}'" if told else (
                f"{len(problems)} files, none of them an image{remedy(problems)}"
            )  # fmt: skip
            raise EmptyDatasetError(f"{shown(self.root.absolute())} holds {of}")
        samples = _images(self.root, names)
        if way:
            samples = samples.join(named(found for found in told.values() if found is not None))
        else:
            samples["folder"] = [name.rpartition("/")[0] or "." for name in names]
        if self.split == "drawn" or "train" not in set(samples.get("split", ())):
            samples = samples.drop(columns="split", errors="ignore")
        unfit = f"the way to it is not like '{self.folders}'"

        def detail(name: str, reason: str) -> str:
            return unfit if told.get(name, reason) is None else ""

        read = (f"The way to an image was read as {self.folders}.",) if way else ()
        return _finished(self, samples, problems, detail, read, seed)


ODD_NAME = "name not understood"


def _finished(
    data: ImageFolder | Images,
    samples: pd.DataFrame,
    problems: dict[str, str],
    detail: Callable[[str, str], str],
    remarks: Sequence[str],
    seed: int,
) -> Collection:
    """With notes, with people, told or found by what they are called, and the rest of a split."""
    folders, split = (getattr(data, name, None) for name in ("folders", "split_column"))
    names = [name for name, problem in problems.items() if not problem]
    samples, noted, notes = _noted(
        samples, data.root, names, problems, (data.subject_column, split)
    )
    if split is not None and split not in samples:
        raise DataError(f"nothing on the way to the images or beside them says {split!r}")
    if split is not None:
        samples = samples.assign(split=split_names(samples[split], data.root)[0])
    silent = data.subject_column is None and person_column(samples) is None
    people = people_of(names) if silent and not folders else None
    if people is not None and people.clear:
        samples, remarks = samples.assign(subject_id=people.names), (people.taken(), *remarks)
    found = Collection(
        samples=samples, rejected=all_set_aside(data.root, problems, detail), notes=notes,
        remarks=(*remarks, *noted, *unread_tables(problems)),
    )  # fmt: skip
    return completed_split(data.with_people(found, told=not (silent or folders)), seed)


def _images(root: Path, names: list[str]) -> pd.DataFrame:
    paths = [f"{root}/{name}" for name in names]
    return pd.DataFrame({"sample_id": hashed_ids(names), "path": paths})

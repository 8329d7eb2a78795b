"""Data sets as Hugging Face keeps them: images in Parquet shards, or beside a ``metadata`` file.

Images: JPEG, PNG, WebP or BMP. In Parquet a column holds the bytes of each (``struct<bytes,
    path>``); without bytes its path counts, from the folder of the table. ``metadata.csv``,
    ``.jsonl`` or ``.parquet`` names files in the column ``file_name``.
Labels and attributes: the other columns; numbers of classes become the names that the shard states
    (``ClassLabel``). Who annotated them is for their owner to say.
Splits: shards and folders named train, validation (val, valid, dev) and test.
Source, citation, licence: those of the owner of the data set, in its README.md. The layouts are
    those of the library datasets, huggingface.co/docs/datasets (image_load, repository_structure).
Known problems: of columns of lists and objects (boxes, captions) only the names are told; several
    configurations in one folder are refused; a README is not read, so classes that only stand there
    stay numbers.
"""

import re
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Shaped
from pydantic import Field

from debias.datasets.folder import of_folders
from debias.datasets.listing import (
    NO_IMAGE,
    all_set_aside,
    hashed_ids,
    image_problem,
    path_problems,
    plain_paths,
    rejected_paths,
    require_folder,
    walk,
    walked,
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
from debias.datasets.parquet_images import Contents, Shard
from debias.datasets.people import OWNER, WithPeople
from debias.datasets.places import files_like, tree
from debias.datasets.ways import side_of
from debias.errors import DataError, EmptyDatasetError
from debias.storage.files import shown
from debias.storage.tables import OURS, read_table, require_once
from debias.types import Collection, Rejected

METADATA = r"metadata\.(csv|jsonl|parquet)"
METADATA_NAME = re.compile(METADATA, re.IGNORECASE)
FILE_NAME = re.compile(r"(.+_)?file_name")
SIDE = re.compile(rf"({'|'.join(SPLIT_NAMES)})(?![a-z])", re.IGNORECASE)
PLAIN = re.compile(r"[A-Za-z0-9_-]+")
LOOKED_AT = 20  # tables, to recognise a data set


class HuggingFace(WithPeople):
    """A folder of Parquet shards or of images with ``metadata`` files, or one Parquet file.

    Columns: those of the tables but for the image.
    """

    name: Literal["hugging_face"] = "hugging_face"
    root: Path = Field(description="Folder of shards or of images and metadata, or one .parquet.")
    image_column: str = Field(
        default="", description="Column of the images; empty: the one that holds images."
    )
    split: SplitBy = Field(
        default="owner", description=f"'owner': names of train, val and test{OWNER_SPLIT}"
    )
    annotation: str = annotated_as("The data set does not say who annotated the attributes or how.")
    source: Stated = STATED

    def collect(self, seed: int) -> Collection:
        """One row per row of the tables; no image is read.

        Raises:
            FileNotFoundError: The folder or file does not exist.
            EmptyDatasetError: No table there tells of images.
            DataError: A table cannot be read, there are several configurations, or only some
                tables name a split.
            DuplicateIdError: Two rows name one file.
        """
        paths = _tables(self.root, self.image_column)
        tables = [_read(path, self.root, self.image_column) for path in paths]
        rows = pd.concat([table.rows for table in tables], ignore_index=True)
        rejected = [item for table in tables for item in table.rejected]
        if rows.empty:
            first = f", first: {rejected[0].path}: {rejected[0].detail}" if rejected else ""
            raise EmptyDatasetError(f"{shown(self.root)} holds no row with an image{first}")
        require_once(
            rows["sample_id"],
            lambda count: f"{count} images are named by more than one row below {shown(self.root)}",
            "rows about one image may contradict each other, so none is chosen: repair the tables",
        )
        lost = pd.concat([table.lost for table in tables], ignore_index=True)
        shards = {str(table.shard.path): table.shard for table in tables if table.shard}
        told = {*rows["path"], *map(str, paths), *(item.path for item in rejected)}
        rows, remark = _classed(rows, self.root)
        samples = self._divided(rows)
        lost = lost[[name for name in samples if name in lost]]
        found = Collection(
            samples=samples, rejected=(*rejected, *_others(self.root, told)),
            remarks=(*_unused(tables), *remark), fetch=Contents(shards) if shards else None,
            lost=lost if len(lost) else None,
        )  # fmt: skip
        return completed_split(self.with_people(found, told=True), seed)

    def _divided(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Without a split that is not wanted, or of which only one side or none is stated."""
        sides = set(rows["split"])
        if self.split == "drawn" or "train" not in sides or len(sides) == 1:
            return rows.drop(columns="split")
        silent = rows["path"][rows["split"] == ""]
        if len(silent):
            raise DataError(
                f"{shown(self.root.absolute())}: some files say by their names of which split they "
                f"are, {silent.nunique():,} do not, first: {shown(silent.iloc[0])}; rename or move "
                "them, or set data.split to 'drawn'"
            )
        return rows


def holds_images(folder: Path) -> bool:
    """Whether a table in a folder or below says of itself that it tells of images."""
    found = islice(files_like(tree(folder), rf"{METADATA}|.*\.parquet"), LOOKED_AT)
    return any(map(_seems_to, found))


def _seems_to(path: Path) -> bool:
    """As :func:`_tells`; a table that cannot be read may be no part of the data."""
    try:
        return path.is_file() and _tells(path, "")
    except DataError:
        return False


class _Table(NamedTuple):
    """What one table says: ``rows`` with ``sample_id``, ``path``, ``offset`` and ``split``."""

    rows: pd.DataFrame
    rejected: list[Rejected]
    lost: pd.DataFrame  # what is known of the rows that were rejected
    unused: set[str]  # columns
    shard: Shard | None  # which holds the bytes of images


def _tables(root: Path, wanted: str) -> list[Path]:
    """Every table that tells of images, sorted by path."""
    if root.is_file():
        found = [root] if _tells(root, wanted) else []
        columns = f" but {Shard(root).schema.names}" if not found else ""
    else:
        require_folder(root, OWNER)
        names = sorted(entry.name for entry in walked(root) if entry.problem in ("", NO_IMAGE))
        found = [root / name for name in names if _tells(root / name, wanted)]
        columns = ""
    if not found:
        raise EmptyDatasetError(
            f"{shown(root.absolute())} holds no column of images{columns}; a table of paths is "
            "named with --table beside the folder of the images"
        )
    _require_one_version(found, root)
    return found


def _tells(path: Path, wanted: str) -> bool:
    """Whether a table holds images or names their files."""
    if METADATA_NAME.fullmatch(path.name):
        return path.is_file() and _file_column(read_table(path).rows) is not None
    return path.suffix.lower() == ".parquet" and Shard(path, wanted).column is not None


def _require_one_version(paths: Sequence[Path], root: Path) -> None:
    """Shards of one name in two folders that are no splits are two versions of the data."""
    seen: dict[str, Path] = {}
    for path in paths:
        other = seen.setdefault(path.name, path)
        sides = {_side(one.relative_to(root).as_posix(), of_table=True) for one in (path, other)}
        if other != path and len(sides) == 1 and path.suffix.lower() == ".parquet":
            raise DataError(
                f"{shown(root.absolute())} holds several versions of the data, in "
                f"{shown(other.parent)} and {shown(path.parent)}: name the folder of one"
            )


def _side(name: str, *, of_table: bool = False) -> str:
    """Split that the nearest folder, or the name of a table, states; empty if none."""
    *folders, last = name.split("/")
    stated = SIDE.match(last) if of_table else None
    words = [stated[1] if stated else "", *reversed(folders)]
    return next(filter(None, map(side_of, words)), "")


def _file_column(rows: pd.DataFrame) -> str | None:
    fit = [str(name) for name in rows if FILE_NAME.fullmatch(str(name))]
    return "file_name" if "file_name" in fit else next(iter(fit), None)


def _read(path: Path, root: Path, wanted: str) -> _Table:
    """One table: rows that hold bytes, and rows that name a file."""
    if METADATA_NAME.fullmatch(path.name):
        rows, rejected, odd = read_table(path)
        names = rows.pop(str(_file_column(rows)))
        held, shard = np.zeros(len(rows), dtype=bool), None
    else:
        shard, rejected = Shard(path, wanted), []
        rows, odd = shard.read()
        names, held = pd.Series(shard.paths(), index=rows.index), shard.held()
    taken = set(OURS).difference({"subject_id"}).intersection(rows.columns)
    told = [SPLIT_NAMES.get(str(one).lower(), "") for one in rows.get("split", [""] * len(rows))]
    taken -= {"split"} if all(told) else set()  # used
    rows, folder = (
        rows.drop(columns=[*taken, "split"], errors="ignore"),
        root if root.is_dir() else path.parent,
    )
    files = _below(names.astype(object).where(names.notna(), "").astype(str), path, folder)
    problems = np.where(held, "", path_problems(files, folder))
    unsafe = rejected_paths(files, problems, path)
    within = path.relative_to(folder).as_posix()
    side = _side(within, of_table=shard is not None)
    placed = rows.assign(
        sample_id=np.where(held, _numbered(within, len(rows)), hashed_ids(files)),
        path=np.where(held, str(path), f"{folder}/" + files),
        offset=np.where(held, np.arange(len(rows)), np.nan),
        split=[
            side or _side(name) or own * all(told) for name, own in zip(files, told, strict=True)
        ],
    )
    fit = problems == ""
    lost = placed[~fit].assign(sample_id=[item.sample_id for item in unsafe])
    lost = lost.drop(columns=["path", "offset"])
    return _Table(placed[fit], [*rejected, *unsafe], lost, {*odd} | taken, shard)


def _below(names: "pd.Series[str]", table: Path, folder: Path) -> "pd.Series[str]":
    """The same paths from ``folder``: they are meant from that of the table, or else from there."""
    first, above = next((name for name in names if name), ""), table.parent.relative_to(folder)
    if (folder / first).is_file() and not (table.parent / first).is_file():
        above = Path()
    files = f"{above.as_posix()}/" + names if above.parts else names
    return plain_paths(files.where(names != "", ""))


def _numbered(table: str, count: int) -> Shaped[np.ndarray, " n"]:
    """Ids in the order of the rows, so that images are read one after the other."""
    plain = table.removesuffix(".parquet").replace("/", "-")
    prefix = plain if PLAIN.fullmatch(plain) else hashed_ids([table])[0]
    return np.array([f"{prefix}-{number:08d}" for number in range(count)], dtype=object)


def _others(root: Path, told: set[str]) -> list[Rejected]:
    """A record of every file that no table names."""
    if root.is_file():
        return []
    entries = {entry.name: image_problem(entry) or "not listed" for entry in sorted(walk(root))}
    rest = {name: why for name, why in entries.items() if f"{root}/{name}" not in told}
    unlisted = "no table of the data set names this file"
    return [*all_set_aside(root, rest, lambda _, why: unlisted if why == "not listed" else "")]


def _classed(rows: pd.DataFrame, root: Path) -> tuple[pd.DataFrame, list[str]]:
    """With the class that the folders of images state, where no column does; and a remark."""
    if rows["offset"].notna().any() or {"class", "label"}.intersection(rows):
        return rows, []
    found = of_folders(rows["path"].str.removeprefix(f"{root}/").tolist())
    if found is None or found["class"].nunique() == len(rows):
        return rows, []
    told = f"class: the {found['class'].nunique():,} folders in which the images lie."
    return rows.assign(**{"class": found["class"].to_numpy()}), [told]


def _unused(tables: Sequence[_Table]) -> tuple[str, ...]:
    names = sorted({name for table in tables for name in table.unused})
    if not names:
        return ()
    return (f"Columns not used (lists, objects, or names that samples need): {', '.join(names)}.",)

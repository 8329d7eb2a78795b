"""Paths and splits as other tools write them into tables, and the files below a folder they mean.

Nothing is opened here, and a path is only ever matched with a file that a listing of the folder
found: absolute, on this machine or another, with folders in front, with backslashes, without the
ending.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd

from debias.datasets.listing import ODD, image_problem, plain_paths, walk
from debias.datasets.owners_lists import SPLIT_NAMES
from debias.errors import DataError
from debias.storage.files import shown
from debias.storage.joining import Texts, matched, name_columns
from debias.storage.tables import BYTES_TRIED, RECORDS, TEXT, kind_of, read_bytes

SPLITS_WRITTEN = SPLIT_NAMES | {"publictest": "validation", "privatetest": "test"}  # FER2013's
NUMBERED = {"0": "train", "1": "validation", "2": "test"}  # as in CelebA's list
NESTED = re.compile(r'"annotations"\s*:\s*\[\s*\{')
RENAMED = {  # by the tool that renames what is uploaded: with the name before
    "Label Studio": re.compile(r"(?<![0-9a-z])[0-9a-f]{8}-([^\s,;|/\"]+)"),
    "Roboflow": re.compile(r"([^\s,;|/\"]+)_(?:png|jpe?g)\.rf\.\w+\.\w+"),
}
QUOTED, CELLS = re.compile(r'"[^"\n]*"'), re.compile(r"[,;\t|]")
LINES = 10  # of a table, that tell what is wrong with it
MOST = 0.5  # share of the rows that must name files for a column to be taken as the paths


def images_below(root: Path) -> list[str]:
    return sorted(entry.name for entry in walk(root) if not image_problem(entry))


def relative(column: "pd.Series[Any]", root: Path) -> Texts:
    """The paths from ``root`` on where they lead below it, the others as they are."""
    names = column.astype(object)
    names = names.where(names.notna(), "").astype(str)
    for place in {os.path.abspath(root), os.path.realpath(root)}:
        names = names.str.removeprefix(f"{place.rstrip(os.sep)}{os.sep}")
    return plain_paths(names)


def path_column(rows: pd.DataFrame, root: Path, files: Sequence[str]) -> str | None:
    """The column whose values name files below ``root``; None if there is none.

    Raises:
        DataError: Several do, and not the same files; or none does and one nearly.
    """
    found, doubts = {}, []
    for name in name_columns(rows):
        called = (f"column {name!r}", f"the files below {shown(root)}")
        result = matched(_given(relative(rows[name], root)), _listed(files), called)
        if isinstance(result, str):
            doubts += [result] if result else []
        elif len(result[0]) > MOST * min(len(rows), len(files)):
            found[name] = result[0]
    if doubts and not found:
        raise DataError(f"{doubts[0]}; paths count from {shown(root)} on")
    first = next(iter(found), None)
    for name, where in found.items():
        common = where.index.intersection(found[str(first)].index)
        if not where[common].equals(found[str(first)][common]):
            raise DataError(
                f"columns {first!r} and {name!r} both name files below {shown(root)}, but not the "
                f"same: say which counts with --set data.path_column={first}"
            )
    return first


def found_below(names: Texts, root: Path, files: Sequence[str]) -> tuple[Texts, str]:
    """Each path as the file below ``root`` that it means; what means none stays as it is.

    Returns:
        The paths by the index of ``names``, and how they were matched, "" where they are the files.

    Raises:
        DataError: Paths could mean several files, and none as it stands.
    """
    named = _given(names)
    named = named[~named.str.contains("\0", regex=False)]
    elsewhere = named.str.contains(ODD, regex=True)
    if named.isin(files).any():  # written from the root on, so that others do lie elsewhere
        named = named[~elsewhere]
    strange = named[~named.isin(files)]
    there = strange[~elsewhere[strange.index]].map(lambda name: os.path.isfile(root / name))
    if len(strange) == 0 or there.any() or not files:
        return names, ""
    called = (f"the files below {shown(root)}", "the table")
    result = matched(_listed(files), named, called)
    if isinstance(result, str):
        if result:
            raise DataError(f"{result}; paths count from {shown(root)} on")
        return names, ""
    where, way = result
    found = names.to_numpy(dtype=object, copy=True)
    found[where.to_numpy()] = np.array(files, dtype=object)[where.index]
    return pd.Series(found, index=names.index), way


def split_names(column: "pd.Series[Any]", table: Path) -> tuple["pd.Series[Any]", str]:
    """train, validation and test, however they are written, and what to say about it.

    Raises:
        DataError: A row has none, another word or a number that may mean either.
    """
    text = column.astype("string").str.strip().str.lower().str.removesuffix(".0")
    held = set(text.dropna())
    numbered = bool(held) and held <= set(NUMBERED)
    if numbered and held != set(NUMBERED):
        raise DataError(
            f"column {column.name!r} of {shown(table)} says {', '.join(sorted(held))}: whether 1 "
            "is validation or test cannot be told; write train, validation and test"
        )
    known = NUMBERED if numbered else SPLITS_WRITTEN
    unknown, empty = sorted(held - set(known)), int(text.isna().sum())
    if unknown or empty:
        wrong = [f"{empty} empty cells"] * bool(empty) + [f"{unknown[:10]}"] * bool(unknown)
        raise DataError(
            f"splits must be one of {', '.join(SPLITS_WRITTEN)}, or 0, 1 and 2, in every row; "
            f"column {column.name!r} has {' and '.join(wrong)}"
        )
    told = "split: 0, 1 and 2 were read as train, validation and test, as in CelebA's list."
    return text.map(known).astype(object), told if numbered else ""


def unfit(table: Path, files: Sequence[str]) -> str:
    """Why a table that names no file cannot be read, as its first lines tell; empty if unknown."""
    if kind_of(table) not in (*TEXT, *RECORDS):
        return ""
    text, named = read_bytes(table)[:BYTES_TRIED].decode(errors="replace"), shown(table)
    if NESTED.search(text) and kind_of(table) in RECORDS:
        return f"annotations in {named} are nested, as Label Studio's: export JSON-MIN or CSV"
    called = {PurePath(name).stem for name in files}
    for tool, renamed in RENAMED.items():
        for one in renamed.finditer(text):
            if PurePath(one[1]).stem in called:
                return (
                    f"names in {named} are those that {tool} gives to uploaded files "
                    f"('{shown(one[0])}' for '{shown(one[1])}'): write them as they were"
                )
    lines = [line for line in QUOTED.sub("Q", text).split("\n")[:LINES] if line.strip()]
    cells = [len([cell for cell in CELLS.split(line) if cell.strip()]) for line in lines]
    if kind_of(table) in RECORDS or not lines or cells[0] > 1:
        return ""
    if max(cells) > 1:
        return (
            f"the first line of {named}, '{shown(lines[0])}', is a title or a comment: delete what "
            "stands before the line with the names of the columns"
        )
    return (
        f"blanks separate the columns of {named}, and blanks are not read as separators: save it "
        "with commas (in R: write.csv with row.names = FALSE)"
    ) * (" " in lines[0].strip())


def _given(names: Texts) -> Texts:
    """By position, without empty ones."""
    names = names.reset_index(drop=True)
    return names[names != ""]


def _listed(files: Sequence[str]) -> Texts:
    return pd.Series(list(files), dtype=object)

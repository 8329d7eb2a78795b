"""Embeddings that somebody already has: one file, one row per sample.

==========  =====================================================================================
``.npy``    an array (n, k); memory-mapped. Ids, if any, come in a second file.
``.npz``    ``embeddings`` (n, k), or the only matrix there is; ``ids`` (n,) if there are any; other
            arrays (n,) are columns beside the embedding.
``.csv``    a header, ``sample_id`` or ``path`` if there are ids, and one column per dimension.
``.parquet``  the same, or all dimensions as one column of lists.
==========  =====================================================================================

In a table the dimensions are the columns that are numbered alike, such as ``e0`` to ``e31``, or
those that the caller names; what the numbers in them look like decides nothing. All other columns
are kept beside the embedding.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from debias.errors import DataError

ID_COLUMNS = ("sample_id", "path")  # the first that is there holds the ids
KINDS = (".npy", ".npz", ".parquet", ".csv")
TABLES = KINDS[2:]
NAMED = 5  # examples in a message
NUMBERED = re.compile(r"(.*?)(\d+)")
RANGE = re.compile(r"(.*?)(\d+)-(.*?)(\d+)")
CLEARLY = 4  # times as many columns as any other family has, and nobody asks which is meant
WAY_OUT = (
    "name the dimensions, as a list, e0-e31 or 'e*', with --columns, or with "
    "representation.model.columns in a recipe"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddingTable:
    """The content of one file of embeddings.

    Attributes:
        values: (n, k) float32 or float64; of a ``.npy`` file memory-mapped, nothing read yet.
            Finiteness is checked by whoever uses them.
        ids: (n,) text, each once; None when the file has none.
        columns: n rows; what stands beside the embedding, such as labels and groups.
        dimensions: (k,) names of the columns that the embedding was made of; empty for an array.
    """

    values: Float[np.ndarray, "n k"]
    ids: Shaped[np.ndarray, " n"] | None
    columns: pd.DataFrame
    dimensions: tuple[str, ...] = ()


def read_embeddings(
    path: Path,
    *,
    ids: Path | None = None,
    columns: Sequence[str] = (),
    dimensions: Sequence[str] = (),
) -> EmbeddingTable:
    """Read a file of embeddings.

    Args:
        path: A ``.npy``, ``.npz``, ``.parquet`` or ``.csv`` file.
        ids: A file with one id per row: text, one a line, or ``.npy``. It replaces ids in ``path``.
        columns: Columns of a table that are not part of the embedding although they hold numbers.
        dimensions: Columns of a table that are: names, ranges such as ``e0-e31`` and patterns such
            as ``e*``. By default those that are numbered alike.

    Raises:
        DataError: The file is missing, of another kind or unreadable; holds no matrix, no column
            of numbers or none that looks like a dimension; a named column is not there; ids are
            repeated or not one per row.
    """
    if not path.is_file():
        raise DataError(f"the embeddings {path.absolute()} do not exist; correct the path")
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise DataError(
            f"{path.name}: embeddings are read from {', '.join(KINDS)} files, not from "
            f"{path.suffix or 'a file without an ending'}"
        )
    if dimensions and kind not in TABLES:
        raise DataError(
            f"{path} holds an array, which has no columns to choose ({_listed(dimensions)} is "
            "asked for); leave the choice out, or save what you want"
        )
    try:
        if kind in TABLES:
            values, found, beside, chosen = _split(path, _table(path, columns), columns, dimensions)
        else:
            values, found, beside, chosen = _arrays(path)
        if ids is not None:
            is_text = ids.suffix.lower() != ".npy"
            lines = ids.read_text(encoding="utf-8").splitlines() if is_text else ()
            found = np.array(lines) if is_text else np.load(ids, allow_pickle=False)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise DataError(f"{path} cannot be read as embeddings: {error}") from error
    missing = [name for name in columns if name not in beside]
    if missing:
        raise DataError(f"{path} has no column {missing[0]!r}; columns: {_listed(beside.columns)}")
    values = _checked(path, values)
    texts = None if found is None else _checked_ids(ids or path, found, len(values))
    return EmbeddingTable(values=values, ids=texts, columns=beside, dimensions=tuple(chosen))


Parts = tuple[np.ndarray, np.ndarray | None, pd.DataFrame, list[str]]


def _arrays(path: Path) -> Parts:
    opened = np.load(path, mmap_mode="r", allow_pickle=False)
    if isinstance(opened, np.ndarray):
        return opened, None, pd.DataFrame(index=range(len(opened) if opened.ndim else 0)), []
    with opened as archive:
        arrays = {name: archive[name] for name in archive.files}
    matrices = [name for name, array in arrays.items() if array.ndim == 2]
    name = "embeddings" if "embeddings" in arrays or len(matrices) != 1 else matrices[0]
    if name not in arrays:
        raise DataError(
            f"{path} holds {_listed(arrays)}; it needs an array 'embeddings' (n, k), and 'ids' (n,)"
        )
    values, found = arrays.pop(name), arrays.pop("ids", None)
    beside = {n: a for n, a in arrays.items() if a.ndim == 1 and len(a) == len(values)}
    return values, found, pd.DataFrame(beside, index=range(len(values))), []


def _table(path: Path, columns: Sequence[str]) -> pd.DataFrame:
    if path.suffix.lower() == ".parquet":
        table = pd.read_parquet(path)
        return table if table.index.name is None else table.reset_index()
    text = dict.fromkeys([*ID_COLUMNS, *columns], str)  # an id 007 must not become 7
    table = pd.read_csv(path, dtype=text)
    # Numbers, but no plain counts: tables written without names have columns 0, 1, 2.
    names = pd.to_numeric(table.columns.to_series(), errors="coerce")
    if len(names) and names.notna().all() and not any(name.isdigit() for name in table.columns):
        raise DataError(
            f"the first line of {path} holds numbers where names of columns are expected; add a "
            "header line, or save the array as .npy"
        )
    return table


def _split(path: Path, table: pd.DataFrame, named: Sequence[str], asked: Sequence[str]) -> Parts:
    """Take the table apart into embedding, ids and what is beside them."""
    table.columns = table.columns.astype(str)
    id_column = next((name for name in ID_COLUMNS if name in table), None)
    found = None if id_column is None else table.pop(id_column).to_numpy()
    candidates = table.drop(columns=[n for n in (*named, *ID_COLUMNS) if n in table])
    lists = [
        str(name)
        for name, column in candidates.items()
        if len(column) and isinstance(column.iloc[0], list | np.ndarray)
    ]
    lists = [name for name in lists if name in asked or not asked]
    if len(lists) > 1:
        raise DataError(
            f"{path} has several columns of lists: {_listed(lists)}; keep one, or name it with "
            "--columns"
        )
    chosen = lists or _dimensions(path, candidates, asked)
    beside = table.drop(columns=chosen).reset_index(drop=True)
    if lists:
        return np.stack(table[lists[0]].tolist()), found, beside, []
    single = (table[chosen].dtypes == np.float32).all()
    values = table[chosen].to_numpy(np.float32 if single else np.float64, na_value=np.nan)
    return values, found, beside, chosen


def _dimensions(path: Path, table: pd.DataFrame, asked: Sequence[str]) -> list[str]:
    """Names of the columns that make up the embedding."""
    _refuse_mixed(path, table)
    names = [str(name) for name in table]
    numbers = [str(name) for name in table.select_dtypes(np.number)]
    if not numbers:
        raise DataError(
            f"{path} has no column of numbers to take as the embedding; columns: {_listed(names)}"
        )
    meant = [name for one in asked for name in _meant(path, one, names)]
    chosen = list(dict.fromkeys(meant)) if asked else _family(path, names, numbers)
    wrong = [name for name in chosen if name not in numbers]
    if wrong:
        raise DataError(
            f"{path}: column {wrong[0]!r} should be a dimension, but holds no numbers; correct it, "
            f"or {WAY_OUT}"
        )
    return chosen


def _meant(path: Path, one: str, names: Sequence[str]) -> list[str]:
    """Columns that a name, a range or a pattern stands for."""
    ends, found = RANGE.fullmatch(one), [one] if one in names else []
    if not found and ends and ends[1] == ends[3]:
        parts = {name: match for name in names if (match := NUMBERED.fullmatch(name))}
        between = range(int(ends[2]), int(ends[4]) + 1)
        found = [name for name, m in parts.items() if m[1] == ends[1] and int(m[2]) in between]
    elif not found and "*" in one:
        found = [name for name in names if fnmatchcase(name, one)]
    if not found:
        raise DataError(
            f"{path} has no column {one!r} to take as a dimension; columns: {_listed(names)}"
        )
    return found


def _family(path: Path, names: Sequence[str], numbers: Sequence[str]) -> list[str]:
    """The columns that are numbered alike, by their number."""
    families: dict[str, list[tuple[int, str]]] = {}
    for name in names:
        if match := NUMBERED.fullmatch(name):
            families.setdefault(match[1], []).append((int(match[2]), name))
    known = [[name for _, name in sorted(one)] for one in families.values()]
    known = [one for one in known if not set(numbers).isdisjoint(one)]
    largest, second = [*sorted(known, key=len, reverse=True), [], []][:2]
    if len(largest) < min(2, len(numbers)):
        raise DataError(
            f"{path} does not look like embeddings: its columns of numbers ({_listed(numbers)}) "
            f"are not numbered alike, as e0, e1, e2 are; if they are dimensions, {WAY_OUT}"
        )
    if len(largest) < CLEARLY * len(second):
        raise DataError(
            f"{path} has several sets of numbered columns: {_listed(largest)} and "
            f"{_listed(second)}; {WAY_OUT}"
        )
    return largest


def _refuse_mixed(path: Path, table: pd.DataFrame) -> None:
    """A stray word in a column of numbers must not silently cost a dimension."""
    for name in table.select_dtypes(exclude=["number", "bool"]):
        known = table[name].dropna()
        wrong = known[pd.to_numeric(known.astype(str), errors="coerce").isna()]
        if 0 < len(wrong) < len(known) / 2:
            raise DataError(
                f"{path}: {len(wrong)} of {len(table)} values of column {name!r} are not numbers, "
                f"first {wrong.iloc[0]!r} in row {wrong.index[0]}; correct them, or name {name!r} "
                "among the columns that are not part of the embedding"
            )


def _checked(path: Path, values: np.ndarray) -> Float[np.ndarray, "n k"]:
    """As floats: half precision overflows in a sum of squares, whole numbers have no fractions."""
    if values.ndim != 2 or not values.size:
        raise DataError(
            f"{path} holds an array of shape {values.shape}; embeddings are (samples, dimensions), "
            "at least one of each"
        )
    if values.dtype.kind not in "fiu":
        raise DataError(f"{path} holds values of type {values.dtype}; embeddings are real numbers")
    if values.dtype in (np.float32, np.float64):
        return values
    return values.astype(np.float32 if values.dtype == np.float16 else np.float64)


def _checked_ids(path: Path, ids: np.ndarray, rows: int) -> Shaped[np.ndarray, " n"]:
    if ids.shape != (rows,):
        raise DataError(f"{path} holds ids of shape {ids.shape} for {rows} rows of embeddings")
    empty = int((pd.isna(ids) | (ids == "")).sum())
    if empty:
        raise DataError(f"{path}: {empty} of {rows} rows have no id; give each row one")
    texts = pd.Series(ids).astype(str)
    repeated = texts[texts.duplicated()].unique()
    if len(repeated):
        raise DataError(
            f"{path}: {len(repeated)} ids stand for more than one row, first: {_listed(repeated)}; "
            "keep one row per sample"
        )
    return texts.to_numpy(dtype=str)


def _listed(names: Iterable[object]) -> str:
    texts = [str(name) for name in names]
    return ", ".join(texts[:NAMED]) + (", ..." if len(texts) > NAMED else "")

"""Embeddings that somebody already has: one file, one row per sample.

============  ===================================================================================
``.npy``      an array (n, k); memory-mapped. Ids, if any, come in a second file.
``.npz``      ``embeddings`` (n, k), or the matrix that is clearly the widest; ``ids`` (n,) if there
              are any; other arrays (n,) are columns beside the embedding.
``.csv`` ...  a header, a column of names (``sample_id``, ``path``, ...) if there are ids, and one
              column per dimension, or all dimensions as one column of lists, see
              :mod:`debias.storage.vectors`. Also ``.tsv``, ``.jsonl`` and ``.parquet``.
============  ===================================================================================

All other columns are kept beside the embedding. Nothing that is pickled is ever loaded.
"""

import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float, Shaped

from debias.errors import DataError
from debias.storage.joining import is_called, name_columns
from debias.storage.tables import kind_of, read_bytes, read_numbers
from debias.storage.vectors import (
    NUMBERED,
    Candidate,
    candidates,
    chosen,
    likeness,
    listed,
    matrix_candidate,
    meaning,
    named_candidate,
)

ID_COLUMNS = ("sample_id", "path")  # which must be unique where they are there
ARRAYS, TABLES = (".npy", ".npz"), (".parquet", ".csv", ".tsv", ".jsonl")
RANGE = re.compile(r"(.*?)(\d+)-(.*?)(\d+)")
SHOWN = 8  # columns in a sentence
WAY_OUT = (
    "name the dimensions, as a list, e0-e31 or 'e*', with --columns, or with "
    "representation.model.columns in a recipe"
)
PICKLED = (
    "holds pickled Python objects, which could run code when they are loaded and never are; write "
    "numbers, such as numpy.save(file, numpy.stack(vectors).astype('float32'))"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddingTable:
    """The content of one file of embeddings.

    Attributes:
        values: (n, k) float32 or float64; of a ``.npy`` file memory-mapped, nothing read yet.
            Finiteness is checked by whoever uses them.
        ids: (n,) text, each once; None when the file has none.
        columns: n rows; what stands beside the embedding, such as names, labels and groups.
        dimensions: Names of the columns that the embedding was made of, one if that holds lists;
            empty for an array.
        missing: (n,) rows without an embedding, such as a picture in which no face was found: all
            of their values are NaN.
        named_by: Column of the ids.
        sentence: Which columns became dimensions and which stand beside, nothing of an array; and
            what the numbers look like, if not like an embedding.
    """

    values: Float[np.ndarray, "n k"]
    ids: Shaped[np.ndarray, " n"] | None
    columns: pd.DataFrame
    dimensions: tuple[str, ...] = ()
    missing: Bool[np.ndarray, " n"]
    named_by: str = ID_COLUMNS[0]
    sentence: str = ""

    @property
    def names(self) -> Shaped[np.ndarray, " n"]:
        """The ids, or numbers of rows as text."""
        return np.arange(len(self.values)).astype(str) if self.ids is None else self.ids

    @property
    def is_wide(self) -> bool:
        """Whether every dimension has a column of its own."""
        return len(self.dimensions) == self.values.shape[1]

    def without_missing(self) -> "EmbeddingTable":
        """The rows that have an embedding."""
        if not self.missing.any():
            return self
        rows = ~self.missing
        return replace(
            self, values=self.values[rows], ids=self.names[rows],
            columns=self.columns[rows].reset_index(drop=True), missing=self.missing[rows],
        )  # fmt: skip


def read_embeddings(
    path: Path,
    *,
    ids: Path | None = None,
    columns: Sequence[str] = (),
    beside: Sequence[str] = (),
    annotated: Iterable[str] = (),
) -> EmbeddingTable:
    """Read a file of embeddings.

    Args:
        path: A ``.npy`` or ``.npz`` file, or a table.
        ids: A file with one id per row: text, one a line, or ``.npy``. It replaces ids in ``path``.
        columns: Columns of a table that are the dimensions: names, ranges such as ``e0-e31`` and
            patterns such as ``e*``, or one column of lists. By default what looks like one.
        beside: Columns that are not, such as labels, written likewise.
        annotated: Columns that are not, if they are there at all.

    Raises:
        DataError: The file is missing, of another kind or unreadable; holds nothing that looks like
            an embedding, or several; a named column is not there; ids are repeated or not one per
            row.
    """
    if not path.is_file():
        raise DataError(f"the embeddings {path.absolute()} do not exist; correct the path")
    kind = kind_of(path)
    if kind not in (*ARRAYS, *TABLES):
        raise DataError(
            f"{path.name}: embeddings are read from {', '.join((*ARRAYS, *TABLES))} files, not "
            f"from {path.suffix or 'a file without an ending'}"
        )
    try:
        table, found = _opened(path, kind)
        given = None if ids is None else _id_file(ids)
    except (OSError, ValueError, NotImplementedError, EOFError, BadZipFile) as error:
        raise DataError(f"{path} {unreadable(error)}") from error
    names = [*map(str, table), *(name for one in found or () for name in one.columns)]
    apart = [name for one in beside for name in named_columns(path, one, names)]
    apart += [name for name in annotated if name in names]
    if columns:
        asked = dict.fromkeys(name for one in columns for name in named_columns(path, one, names))
        found = [_asked(path, table, [*asked], apart, found)]
    one, others = _taken(path, table, found, apart)
    values = as_floats(path, one.values)
    left = table.drop(columns=[*one.columns], errors="ignore")
    if len(left) != len(values):  # what stands beside another array
        left = pd.DataFrame(index=range(len(values)))
    free = left.drop(columns=apart, errors="ignore")
    name = _name_column(free) if given is None else None
    own = given if name is None else left.pop(name).to_numpy()
    free = free.drop(columns=name or [])
    return EmbeddingTable(
        values=values,
        ids=None if own is None else _checked_ids(ids or path, own, len(values)),
        columns=left,
        dimensions=one.columns,
        missing=_without(values),
        named_by=name or ID_COLUMNS[0],
        sentence=(_told(one, free, others, asked=bool(columns)) + _likened(values, table)).strip(),
    )


def unreadable(error: Exception) -> str:
    """Why a file of arrays cannot be read."""
    pickled = "allow_pickle" in str(error) or "Python objects" in str(error)
    return PICKLED if pickled else f"cannot be read: {error}"


def is_table(path: Path) -> bool:
    return kind_of(path) in TABLES


def _opened(path: Path, kind: str) -> tuple[pd.DataFrame, list[Candidate] | None]:
    """The columns of a file and, of arrays, which of them are matrices."""
    if kind in TABLES:
        return _frame(path, kind), None
    opened = np.load(path, mmap_mode="r", allow_pickle=False)
    if isinstance(opened, np.ndarray) and opened.dtype.names:  # a table of records
        return pd.DataFrame({name: list(opened[name]) for name in opened.dtype.names}), None
    if isinstance(opened, np.ndarray):
        rows = len(opened) if opened.ndim else 0
        whole = Candidate(columns=(), width=rows, values=_flat(opened))
        return pd.DataFrame(index=range(rows)), [whole]
    arrays, pickled = {}, []
    with opened as archive:
        for name in archive.files:
            try:
                arrays[name] = archive[name]
            except ValueError:  # an array of Python objects
                pickled.append(name)
    matrices = {name: flat for name, array in arrays.items() if (flat := _flat(array)).ndim == 2}
    if not matrices and pickled:
        raise DataError(f"{path}: {listed(pickled)} {PICKLED}")
    found = [matrix_candidate(name, array) for name, array in matrices.items()]
    if "embeddings" in matrices:
        told = "an array beside 'embeddings'"
        found = [replace(x, other="" if x.columns == ("embeddings",) else told) for x in found]
    found.sort(key=lambda one: -one.width)
    told = "pickled objects, which are never loaded"
    found += [Candidate(columns=(name,), width=0, other=told) for name in pickled]
    # Of what looks like an embedding, or else of what can only be asked for.
    lengths = [(bool(one.other), len(matrices[one.columns[0]])) for one in found if one.width]
    rows = min(lengths, key=lambda one: one[0])[1] if lengths else 0
    columns = {name: one for name, one in arrays.items() if one.ndim == 1 and len(one) == rows}
    rest = (name for name in arrays if name not in columns and name not in matrices)
    found += [Candidate(columns=(name,), width=0, other="not one value a row") for name in rest]
    return pd.DataFrame(columns, index=range(rows)), found


def _flat(array: np.ndarray) -> np.ndarray:
    """Of (n, 1, k) or (n, k, 1, 1) the matrix (n, k); anything else as it is."""
    inner = [size for size in array.shape[1:] if size != 1]
    return array.reshape(len(array), -1) if array.ndim > 2 and len(inner) < 2 else array


def _frame(path: Path, kind: str) -> pd.DataFrame:
    if kind == ".jsonl":
        lines = io.BytesIO(read_bytes(path, errors="strict"))
        table = pd.read_json(lines, lines=True, dtype=False, convert_dates=False)
    elif kind == ".parquet":
        table = pd.read_parquet(path)
        if not isinstance(table.index, pd.RangeIndex):
            index = table.index.rename(table.index.name or ID_COLUMNS[0])
            table = table.set_axis(index).reset_index()
    else:
        table = read_numbers(path, is_called)
        table = _with_header(path, table.reset_index(drop=True))
    if not table.columns.is_unique:
        twice = table.columns[table.columns.duplicated()][0]
        raise DataError(f"{path} names the column {twice!r} more than once; leave one out")
    return table.set_axis(table.columns.astype(str), axis=1)


def _with_header(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    # Numbers, but no plain counts: tables written without names have columns 0, 1, 2.
    cells = [cell for name in table for cell in str(name).replace(";", " ").split()]
    counts = sorted(int(cell) for cell in cells if cell.isdecimal())
    numeric = pd.to_numeric(pd.Series(cells), errors="coerce").notna().sum()
    counted = counts in ([*range(len(counts))], [*range(1, len(counts) + 1)])
    if 2 * numeric > len(cells) and not (counted and counts):
        raise DataError(
            f"the first line of {path} holds numbers where names of columns are expected; add a "
            "header line, or save the array as .npy"
        )
    return table


def _id_file(path: Path) -> np.ndarray:
    if path.suffix.lower() == ".npy":
        return np.load(path, allow_pickle=False)
    return np.array(read_bytes(path, errors="strict").decode().splitlines())


def named_columns(path: Path, one: str, names: Sequence[str]) -> list[str]:
    """Columns that a name, a range or a pattern stands for."""
    if path.suffix.lower() == ".npy" and not names:
        raise DataError(
            f"{path} holds an array, which has no columns to choose ({one!r} is asked for); leave "
            "the choice out, or save what you want"
        )
    ends, found = RANGE.fullmatch(one), [one] if one in names else []
    if not found and ends and ends[1] == ends[3]:
        parts = {name: match for name in names if (match := NUMBERED.fullmatch(name))}
        between = range(int(ends[2]), int(ends[4]) + 1)
        found = [name for name, m in parts.items() if m[1] == ends[1] and int(m[2]) in between]
    elif not found and "*" in one:
        found = [name for name in names if fnmatchcase(name, one)]
    if not found:
        raise DataError(f"{path} has no column {one!r}; columns: {listed(names)}")
    return found


def _asked(
    path: Path, table: pd.DataFrame, names: Sequence[str], apart: Sequence[str],
    matrices: Sequence[Candidate] | None,
) -> Candidate:  # fmt: skip
    """What the caller takes for the embedding."""
    annotated = next((name for name in names if name in apart), None)
    if annotated is not None:
        raise DataError(
            f"{path}: column {annotated!r} cannot be a dimension and stand beside the embedding, "
            "as labels and annotated groups do; leave it out of one"
        )
    if matrices is None:
        return named_candidate(table, names)
    return replace(next(one for one in matrices if one.columns[0] in names), other="")


def _taken(
    path: Path, table: pd.DataFrame, found: Sequence[Candidate] | None, apart: Sequence[str]
) -> tuple[Candidate, dict[str, str]]:
    """The embedding, and what other columns that look like one seem to be."""
    free = table.drop(columns=[name for name in apart if name in table])
    every = candidates(free) if found is None else found
    every = [one for one in every if set(apart).isdisjoint(one.columns)]
    taken = chosen(path, every, [*map(str, free)], WAY_OUT)
    told = {name: one.other for one in every if one is not taken for name in one.columns}
    return taken, {name: other for name, other in told.items() if other}


def _name_column(table: pd.DataFrame) -> str | None:
    """The column that names the rows: one that must, or the first that does."""
    found = [name for name in (*ID_COLUMNS, "ids") if name in table]
    for name, (texts, _) in name_columns(table).items():
        found += [name] if len(texts) == len(table) and texts.is_unique else []
    return found[0] if found else None


def _without(values: Float[np.ndarray, "n k"]) -> Bool[np.ndarray, " n"]:
    """Rows of which every value is NaN; only where the first one is, the others are looked at."""
    missing = np.isnan(values[:, 0])
    missing[missing] = np.isnan(values[missing]).all(axis=1)
    return np.asarray(missing)


def _told(one: Candidate, beside: pd.DataFrame, others: Mapping[str, str], *, asked: bool) -> str:
    """Which columns became dimensions, which stand beside, and why."""
    if not one.columns:
        return ""
    single = len(one.columns) == 1 < one.width
    made = f"the {one.width:,} numbers in " if single else ""
    unlike = "no list" if single else "not numbered like them"
    kind = "not named by --columns" if asked else unlike
    why = {
        str(name): kind if pd.api.types.is_numeric_dtype(column.dtype) else _as_text(str(name))
        for name, column in beside.items()
    }
    why |= {name: told for name in why if (told := meaning(name))}
    why |= others
    left = [f"{name} ({told})" for name, told in why.items()]
    more = ", ..." if len(left) > SHOWN else ""
    ending = f" No dimensions: {', '.join(left[:SHOWN])}{more}." if left else ""
    count = len(one.columns) + len(left)
    ends = " to ".join(dict.fromkeys((one.columns[0], one.columns[-1])))
    return f"Dimensions: {made}{ends}, {len(one.columns):,} of {count:,} columns.{ending}"


def _as_text(name: str) -> str:
    return "a name" if is_called(name) else "no numbers"


def _likened(values: Float[np.ndarray, "n k"], table: pd.DataFrame) -> str:
    if not (what := likeness(values)):
        return ""
    others = " --columns names another column." if len(table.columns) else ""
    return f" {what}{others}"


def as_floats(path: Path, values: np.ndarray | None) -> Float[np.ndarray, "n k"]:
    """As floats: half precision overflows in a sum of squares, whole numbers have no fractions."""
    assert values is not None  # as of all that can be read
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
            f"{path}: an id stands for more than one row ({len(repeated)} of them: "
            f"{listed(repeated.tolist())}); keep one row per sample"
        )
    return texts.to_numpy(dtype=str)

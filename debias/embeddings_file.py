"""Embeddings that somebody already has: one file, one row per sample.

==========  =====================================================================================
``.npy``    an array (n, k); memory-mapped. Ids, if any, come in a second file.
``.npz``    ``embeddings`` (n, k), or the only matrix there is; ``ids`` (n,) if there are any; other
            arrays (n,) are columns beside the embedding.
``.csv``    a header, ``sample_id`` or ``path`` if there are ids, and one column per dimension.
``.parquet``  the same, or all dimensions as one column of lists.
==========  =====================================================================================

In a table every column of numbers is a dimension, with two exceptions: a column that the caller
names, and a column of whole numbers beside columns of fractions, which is a label, a count or a
year. Both are kept beside the embedding.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from debias.errors import DataError

ID_COLUMNS = ("sample_id", "path")  # the first that is there holds the ids
NAMED = 5  # examples in a message


@dataclass(frozen=True, kw_only=True, eq=False)
class EmbeddingTable:
    """The content of one file of embeddings.

    Attributes:
        values: (n, k) float32 or float64; of a ``.npy`` file memory-mapped, nothing read yet.
            Finiteness is checked by whoever uses them.
        ids: (n,) text, each once; None when the file has none.
        columns: n rows; what stands beside the embedding, such as labels and groups.
    """

    values: Float[np.ndarray, "n k"]
    ids: Shaped[np.ndarray, " n"] | None
    columns: pd.DataFrame


def read_embeddings(
    path: Path, *, ids: Path | None = None, columns: Sequence[str] = ()
) -> EmbeddingTable:
    """Read a file of embeddings.

    Args:
        path: A ``.npy``, ``.npz``, ``.parquet`` or ``.csv`` file.
        ids: A file with one id per row: text, one a line, or ``.npy``. It replaces ids in ``path``.
        columns: Columns of a table that are not part of the embedding although they hold numbers.

    Raises:
        DataError: The file is missing, of another kind or unreadable; holds no matrix or no column
            of numbers; a named column is not there; ids are repeated or not one per row.
    """
    if not path.is_file():
        raise DataError(f"the embeddings {path.absolute()} do not exist; correct the path")
    read = READERS.get(path.suffix.lower())
    if read is None:
        raise DataError(
            f"{path.name}: embeddings are read from {', '.join(READERS)} files, not from "
            f"{path.suffix or 'a file without an ending'}"
        )
    try:
        values, found, beside = read(path, columns)
        found = found if ids is None else _read_ids(ids)
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise DataError(f"{path} cannot be read as embeddings: {error}") from error
    missing = [name for name in columns if name not in beside]
    if missing:
        raise DataError(f"{path} has no column {missing[0]!r}; columns: {_listed(beside.columns)}")
    _check_shape(path, values)
    if found is not None:
        found = _checked_ids(ids or path, found, len(values))
    return EmbeddingTable(values=_as_floats(values), ids=found, columns=beside)


Parts = tuple[np.ndarray, np.ndarray | None, pd.DataFrame]


def _read_npy(path: Path, columns: Sequence[str]) -> Parts:
    values = np.load(path, mmap_mode="r", allow_pickle=False)
    return values, None, pd.DataFrame(index=range(len(values) if values.ndim else 0))


def _read_npz(path: Path, columns: Sequence[str]) -> Parts:
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    matrices = [name for name, array in arrays.items() if array.ndim == 2]
    name = "embeddings" if "embeddings" in arrays or len(matrices) != 1 else matrices[0]
    if name not in arrays:
        raise DataError(
            f"{path} holds {_listed(arrays)}; it needs an array 'embeddings' (n, k), and 'ids' (n,)"
        )
    values = arrays.pop(name)
    found = arrays.pop("ids", None)
    beside = {n: a for n, a in arrays.items() if a.ndim == 1 and len(a) == len(values)}
    return values, found, pd.DataFrame(beside, index=range(len(values)))


def _read_csv(path: Path, columns: Sequence[str]) -> Parts:
    text = dict.fromkeys([*ID_COLUMNS, *columns], str)  # an id 007 must not become 7
    table = pd.read_csv(path, dtype=text)
    if len(table.columns) and all(_looks_like_a_value(name) for name in table.columns):
        raise DataError(
            f"the first line of {path} holds numbers where names of columns are expected; add a "
            "header line, or save the array as .npy"
        )
    return _split(path, table, columns)


def _read_parquet(path: Path, columns: Sequence[str]) -> Parts:
    table = pd.read_parquet(path)
    return _split(path, table if table.index.name is None else table.reset_index(), columns)


READERS: dict[str, Callable[[Path, Sequence[str]], Parts]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".parquet": _read_parquet,
    ".csv": _read_csv,
}


def _looks_like_a_value(name: str) -> bool:
    """A number that is no plain count: tables written without names have columns 0, 1, 2."""
    try:
        float(name)
    except ValueError:
        return False
    return not name.isdigit()


def _split(path: Path, table: pd.DataFrame, named: Sequence[str]) -> Parts:
    """Take the table apart into embedding, ids and what is beside them."""
    table.columns = table.columns.astype(str)
    id_column = next((name for name in ID_COLUMNS if name in table), None)
    found = None if id_column is None else table.pop(id_column).to_numpy()
    candidates = table.drop(columns=[n for n in (*named, *ID_COLUMNS) if n in table])
    chosen = [str(name) for name in candidates if _holds_lists(candidates[name])]
    if len(chosen) > 1:
        raise DataError(f"{path} has several columns of lists: {_listed(chosen)}; keep one")
    if chosen:
        values = np.stack(table[chosen[0]].tolist())
    else:
        chosen = _dimensions(path, candidates)
        single = (table[chosen].dtypes == np.float32).all()
        values = table[chosen].to_numpy(np.float32 if single else np.float64, na_value=np.nan)
    return values, found, table.drop(columns=chosen).reset_index(drop=True)


def _holds_lists(column: "pd.Series[Any]") -> bool:
    return len(column) > 0 and isinstance(column.iloc[0], list | np.ndarray)


def _dimensions(path: Path, table: pd.DataFrame) -> list[str]:
    """Names of the columns that make up the embedding."""
    _refuse_mixed(path, table)
    numbers = [str(name) for name in table.select_dtypes(np.number)]
    fractions = [str(name) for name in table.select_dtypes(np.floating)]
    if not numbers:
        raise DataError(
            f"{path} has no column of numbers to take as the embedding; columns: "
            f"{_listed(table.columns)}"
        )
    return fractions or numbers


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


def _read_ids(path: Path) -> np.ndarray:
    if path.suffix.lower() == ".npy":
        return np.load(path, allow_pickle=False)
    return np.array(path.read_text(encoding="utf-8").splitlines())


def _check_shape(path: Path, values: np.ndarray) -> None:
    if values.ndim != 2 or not values.size:
        raise DataError(
            f"{path} holds an array of shape {values.shape}; embeddings are (samples, dimensions), "
            "at least one of each"
        )
    if values.dtype.kind not in "fiu":
        raise DataError(f"{path} holds values of type {values.dtype}; embeddings are real numbers")


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


def _as_floats(values: np.ndarray) -> Float[np.ndarray, "n k"]:
    """Half precision overflows in a sum of squares, whole numbers have no fractions."""
    if values.dtype in (np.float32, np.float64):
        return values
    return values.astype(np.float32 if values.dtype == np.float16 else np.float64)


def _listed(names: Iterable[object]) -> str:
    texts = [str(name) for name in names]
    return ", ".join(texts[:NAMED]) + (", ..." if len(texts) > NAMED else "")

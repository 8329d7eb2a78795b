"""Tables as people keep them: CSV, Parquet and columns of blanks, every cell as text.

Text stays text: a group called NO or 01 must not become False or 1. Rows that do not fit are set
aside with their line, the header being line 1, or with their row where blank lines or line breaks
within a cell came between; a table that cannot be understood is refused as a whole.
"""

import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.csv as pa_csv  # type: ignore[import-untyped]
from jaxtyping import Bool

from debias.errors import DataError, DuplicateIdError
from debias.storage.files import mistaken_for, safe_text, shown
from debias.types import Rejected

# A column that only happens to bear one of these names must not decide anything.
OURS = (
    "path", "offset", "length", "subject_id", "split", "sample_id", "sha256", "duplicate_cluster",
)  # fmt: skip
PROBLEM = "row problem"  # column with why a row cannot be used, empty where it can
Rows = tuple[pd.DataFrame, list[Rejected]]


def read_table(path: Path) -> Rows:
    """A CSV or Parquet file with a header; cells without a value are missing.

    Returns:
        The rows by their line in the file, or by their number from 1 (the index is named "line" or
        "row"); rows that were set aside.

    Raises:
        DataError: It is no table, is not UTF-8, names a column twice, or has a column that is no
            text, number, date or truth value.
    """
    if path.suffix.lower() == ".parquet":
        return _read_parquet(path), []
    content = read_bytes(path, errors="strict")
    names = _header(path, content)
    options = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), null_values=[""],
        strings_can_be_null=True, quoted_strings_can_be_null=True,
    )  # fmt: skip
    return _parsed(path, content, names, 1, options)


def read_csv(path: Path) -> Rows:
    """A table with a header, every cell as text without spaces around it, empty where it is."""
    content = read_bytes(path)
    rows, rejected = read_rows(path, content, _header(path, content), skip=1)
    return rows.apply(lambda column: column.astype(object).str.strip()), rejected


def read_bytes(path: Path, separator: str = ",", errors: str = "backslashreplace") -> bytes:
    """A text file with one kind of line ending and, in columns of blanks, one blank between two.

    Of bytes that are no UTF-8, "backslashreplace" keeps names that differ different; such
    a name matches no file.

    Raises:
        DataError: It is a pipe, a device or a folder, or not UTF-8 and ``errors`` is "strict".
    """
    if not path.is_file():
        raise DataError(f"{shown(path)} is not a regular file")
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    if other := mistaken_for(content):
        raise DataError(f"{shown(path)} is {other}")
    try:
        content.decode()
    except UnicodeDecodeError as error:
        if errors == "strict":
            line = content.count(b"\n", 0, error.start) + 1
            raise DataError(
                f"{shown(path)} is not UTF-8 (line {line}): save it as UTF-8"
            ) from error
        content = content.decode(errors=errors).encode()
    # The PPB list has the line endings of old Macintoshes.
    content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if separator == " ":
        content = content.replace(b"\t", b" ")
        while b"  " in content:
            content = content.replace(b"  ", b" ")
        content = content.replace(b" \n", b"\n").replace(b"\n ", b"\n").strip(b" ")
    return content


def first_lines(content: bytes, count: int) -> list[str]:
    lines = [line.decode().strip() for line in content.split(b"\n", count)[:count]]
    return lines + [""] * (count - len(lines))


def read_rows(
    path: Path, content: bytes, names: Sequence[str], separator: str = ",", skip: int = 0
) -> Rows:
    """Rows of a list as text, all but the first column as categories.

    Rows with another number of fields are set aside.

    Raises:
        DataError: The content is no table, or a column name stands there twice.
    """
    few = pa.dictionary(pa.int32(), pa.string())  # a million rows of few values fit in memory
    types = dict.fromkeys(names, few) | {names[0]: pa.string()}
    options = pa_csv.ConvertOptions(column_types=types, null_values=[])
    return _parsed(path, content, names, skip, options, separator)


def require_columns(rows: pd.DataFrame, names: Sequence[str], table: Path) -> None:
    missing = [name for name in names if name not in rows]
    if missing:
        raise DataError(f"{shown(table)} has no column {missing}; columns: {list(rows.columns)}")


def require_once(names: "pd.Series[str]", said: Callable[[int], str], advice: str) -> None:
    """Raise DuplicateIdError at names that stand there twice: how many, the first ten, advice."""
    repeated = names[names.duplicated()]
    if len(repeated):
        first = ", ".join(shown(str(name)) for name in repeated.unique()[:10])
        raise DuplicateIdError(f"{said(len(repeated))}, first: {first}; {advice}")


def require_unique(names: "pd.Series[str]", place: str) -> None:
    """Refuse a list that says two things about one image, even if they agree; as above."""
    advice = "duplicate rows may contradict each other, so none is chosen: repair the list"
    require_once(names, lambda count: f"{place} names {count} images more than once", advice)


def marked(
    rows: pd.DataFrame, usable: Bool[np.ndarray, " n"], table: Path, detail: str
) -> pd.DataFrame:
    """Note in the column ``PROBLEM`` which rows cannot be used; an earlier note stays.

    Such rows are not left out at once: other tables may still say who they are about.
    """
    problem = np.full(len(rows), "", dtype=object)
    if PROBLEM in rows:
        problem[:] = rows[PROBLEM]
    problem[~usable & (problem == "")] = f"{shown(table.name)}: {detail}"
    return rows.assign(**{PROBLEM: problem})


def plain_name(column: str) -> str:
    """A column name in lower case with underscores."""
    return re.sub(r"\W+", "_", column.strip().lower()).strip("_")


def _header(path: Path, content: bytes) -> list[str]:
    """Column names; those without one are numbered."""
    try:
        names = next(csv.reader(first_lines(content, 1), strict=True), [])
    except csv.Error as error:
        raise _unreadable(path, f"the header: {error}") from error
    return [name.strip() or f"unnamed_{place}" for place, name in enumerate(names)]


def _unreadable(path: Path, why: object) -> DataError:
    return DataError(f"{shown(path)} cannot be read as a table: {shown(str(why))}")


def _parsed(
    path: Path, content: bytes, names: Sequence[str], skip: int, options: pa_csv.ConvertOptions,
    separator: str = ",",
) -> Rows:  # fmt: skip
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise DataError(f"{shown(path)} names the columns {twice} more than once")
    bad: dict[int, tuple[int, int]] = {}  # by number of the row, blank lines not counted

    def put_aside(row: Any) -> str:  # noqa: ANN401 (an untyped library)
        bad[row.number] = row.actual_columns, row.expected_columns
        return "skip"

    is_comma = separator == ","
    reading = pa_csv.ReadOptions(column_names=list(names), skip_rows=skip, use_threads=False)
    parsing = pa_csv.ParseOptions(
        delimiter=separator, quote_char='"' if is_comma else False, newlines_in_values=is_comma,
        invalid_row_handler=put_aside,
    )  # fmt: skip
    try:
        table = pa_csv.read_csv(io.BytesIO(content), reading, parsing, options)
    except pa.ArrowInvalid as error:
        raise _unreadable(path, error) from error
    rows = table.to_pandas()
    total = skip + len(rows) + len(bad)
    whole = content.count(b"\n") + (not content.endswith(b"\n")) == total
    kind, header = ("line", 0) if whole else ("row", skip)
    rejected = [_unread(path, f"{kind} {number - header}", *bad[number]) for number in sorted(bad)]
    good = np.delete(np.arange(1, total + 1), [*range(skip), *(number - 1 for number in bad)])
    return rows.set_axis(pd.Index(good - header, name=kind)), rejected


def _unread(table: Path, place: str, found: int, expected: int) -> Rejected:
    return Rejected(
        sample_id=safe_text(f"{table.name}:{place}"), path=safe_text(str(table)),
        reason="row not understood", detail=f"{place}: {found} fields, not {expected}",
    )  # fmt: skip


def _read_parquet(path: Path) -> pd.DataFrame:
    from pyarrow import parquet

    if not path.is_file():
        raise DataError(f"{shown(path)} is not a regular file")
    try:
        # Whatever index or types pandas once noted in the file decides nothing here.
        table = parquet.ParquetFile(path).read(use_pandas_metadata=False)
        table.validate(full=True)
        columns = {name: _plain(table[name]) for name in table.column_names}
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error
    if len(columns) != table.num_columns:
        raise DataError(f"{shown(path)} names a column more than once: {table.column_names}")
    odd = {name: str(table[name].type) for name, column in columns.items() if column is None}
    if odd:
        raise DataError(
            f"{shown(path)} has columns that hold neither text, numbers, dates nor truth values: "
            f"{odd}; write them as text, or leave them out"
        )
    rows = pd.DataFrame({name: _series(column) for name, column in columns.items()})
    return rows.set_axis(pd.RangeIndex(1, len(rows) + 1, name="row"))


def _plain(column: Any) -> Any:  # noqa: ANN401 (an untyped library)
    """A column of text, numbers or truth values; None for anything else."""
    kind, types = column.type, pa.types
    if types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type))
    if types.is_integer(kind) or types.is_boolean(kind) or types.is_floating(kind):
        return column
    textual = (
        types.is_string, types.is_large_string, types.is_null, types.is_temporal, types.is_decimal
    )  # fmt: skip
    return column.cast(pa.string()) if any(holds(kind) for holds in textual) else None


def _series(column: Any) -> pd.Series:  # noqa: ANN401 (an untyped library)
    """Whole numbers stay whole where some are missing: as floats, long ids would merge."""
    kinds = {pa.types.is_integer: pd.Int64Dtype, pa.types.is_boolean: pd.BooleanDtype}
    for is_kind, dtype in kinds.items():
        if is_kind(column.type) and column.null_count:
            return column.to_pandas(types_mapper={column.type: dtype()}.get)
    return column.to_pandas()

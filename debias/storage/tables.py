"""Tables as people keep them: text with separators, JSON records, Parquet, columns of blanks.

Text stays text: a group called NO or 01 must not become False or 1. Rows that do not fit are set
aside with their line, the header being line 1, or with their row where blank lines or line breaks
within a cell came between; a table that cannot be understood is refused as a whole.
"""

import codecs
import csv
import gzip
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, NamedTuple

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
UNNAMED = "unnamed_{}"  # by its place, a column without a name
PROBLEM = "row problem"  # column with why a row cannot be used, empty where it can
# What tools write for a value that is not there, in lower case.
MISSING = frozenset({"", "nan", "none", "null", "na", "n/a", "#n/a", "<na>"})
TEXT, RECORDS = (".csv", ".tsv", ".txt"), (".jsonl", ".ndjson", ".json")
PARQUET, ARROW = ".parquet", ".arrow"
KINDS = (*TEXT, *RECORDS, PARQUET, ARROW)  # each also followed by .gz
SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}
ROWS_TRIED, BYTES_TRIED = 50, 65_536  # of the beginning, which tells the separator
COMMA, POINT = (re.compile(rf"[-+]?\d*{mark}\d+(?:[eE][-+]?\d+)?") for mark in (",", r"\."))
LARGEST = 2**32  # bytes of an unpacked table, which is read as a whole
ENCODINGS = {  # by the mark that begins such a file; the longer one first
    codecs.BOM_UTF32_LE: "utf-32", codecs.BOM_UTF32_BE: "utf-32", codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}  # fmt: skip
WORKBOOKS = (".xlsx", ".xls", ".ods")
WORKBOOK = "an Excel workbook or another packed file; save the sheet as CSV (UTF-8)"
OTHERS = {  # by the bytes that begin such a file -> what it is, and what to do
    b"PK\x03\x04": WORKBOOK, b"\xd0\xcf\x11\xe0": WORKBOOK,
    b"\x93NUMPY": "an array of NumPy, without names of columns; save a table",
    b"\x89HDF": "an HDF5 file; save the table as CSV or Parquet",
    b"SQLite format": "a database; save the table as CSV",
    b"PAR1": "a Parquet file; let its name end in .parquet",
    b"ARROW1": "an Arrow file; let its name end in .arrow", b"BZh9": "packed with bzip2; unpack it",
    b"\xfd7zXZ": "packed with xz; unpack it", b"\x28\xb5\x2f\xfd": "packed with zstd; unpack it",
}  # fmt: skip
Rows = tuple[pd.DataFrame, list[Rejected]]


class Table(NamedTuple):
    """A table that was read.

    Attributes:
        rows: Rows by their line in the file, or by their number from 1: the index is named "line"
            or "row".
        rejected: Rows that were set aside.
        odd: Kind of each column that holds several values in a cell, such as lists; not in rows.
    """

    rows: pd.DataFrame
    rejected: list[Rejected]
    odd: Mapping[str, str]


def kind_of(path: Path) -> str:
    """The ending in lower case, without .gz."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def read_table(path: Path) -> Table:
    """A table with a header; cells without a value are missing.

    Of ``KINDS``, packed with gzip or not; what has another ending is read as text. In text, comma,
    semicolon, tab or vertical bar separate, whichever divides the first rows as it does the header.

    Raises:
        DataError: It is no table, is neither UTF-8 nor marked as UTF-16, names a column twice, or
            two separators are equally likely.
    """
    kind = kind_of(path)
    if kind in (PARQUET, ARROW):
        return _read_columns(path, kind)
    content = read_bytes(path, errors="strict")
    if kind in RECORDS:
        return _read_records(path, content)
    return _Text.of(path, content).table(None)


def read_numbers(path: Path, texts: Callable[[str], bool]) -> pd.DataFrame:
    """A table of text of which no row may be missing, numbers as numbers.

    Args:
        path: A file of text with a header.
        texts: Whether a column of this name is read as text: names, which may be 007 or NA.

    Raises:
        DataError: As ``read_table``; or a row does not fit.
    """
    rows = _whole(path, _Text.of(path, read_bytes(path, errors="strict")).table(texts))
    for name in map(str, rows.select_dtypes(exclude="number")):
        known = ~is_missing(rows[name])
        numbers = pd.to_numeric(rows[name].where(known), errors="coerce")
        if not texts(name) and known.any() and numbers[known].notna().all():  # NA among them
            rows[name] = numbers
    return rows


class _Text(NamedTuple):
    """The text of a table, its columns, the lines before its rows, and what separates."""

    path: Path
    content: bytes
    names: list[str]
    skip: int
    separator: str

    @classmethod
    def of(cls, path: Path, content: bytes) -> "_Text":
        told = re.match(rb"sep=([,;\t|])\n", content)  # Excel's, before the header
        separator = told[1].decode() if told else _separator(path, content)
        names = _header(path, content[told.end() :] if told else content, separator)
        return cls(path, content, names, 2 if told else 1, separator)

    def table(self, texts: Callable[[str], bool] | None) -> Table:
        """All cells as text; where columns are named that are ``texts``, the others as they are."""
        rows, rejected = self._read(self.names, texts)
        if not (rejected and rows.empty):
            return Table(rows, rejected, {})
        return Table(self._one_wider(texts), [], {})

    def _read(self, names: Sequence[str], texts: Callable[[str], bool] | None) -> Rows:
        as_text = [name for name in names if texts is None or texts(name)]
        options = pa_csv.ConvertOptions(
            column_types=dict.fromkeys(as_text, pa.string()), null_values=[""],
            strings_can_be_null=True, quoted_strings_can_be_null=True, true_values=[],
            false_values=[], decimal_point="," if self._has_commas() else ".",
        )  # fmt: skip
        return _parsed(self.path, self.content, names, self.skip, options, self.separator)

    def _has_commas(self) -> bool:
        """Whether numbers are written with a decimal comma, as the first rows tell."""
        cells = [cell for row in _first_rows(self.content, self.separator) for cell in row]
        return any(map(COMMA.fullmatch, cells)) and not any(map(POINT.fullmatch, cells))

    def _one_wider(self, texts: Callable[[str], bool] | None) -> pd.DataFrame:
        """A table of rows that all have one field more than the header.

        R writes names of the rows before them, in quotes; others a separator behind them.
        """
        wide = [f"\0{place}" for place in range(len(self.names) + 1)]
        rows, rejected = self._read(wide, None)
        behind = rows[wide[-1]].isna().all()
        if rejected or not (behind or self._is_named(rows)):
            raise DataError(
                f"no row of {shown(self.path)} has as many fields as its header, which is "
                f"{len(self.names)}: give every column a name (in R: row.names = FALSE), and put "
                "cells that hold the separator, as a decimal comma may be one, in quotes"
            )
        names = [*self.names, wide[-1]] if behind else [UNNAMED.format(0), *self.names]
        return self._read(names, texts)[0].drop(columns=wide[-1], errors="ignore")

    def _is_named(self, rows: pd.DataFrame) -> bool:
        """Whether names stand before the rows; a comma within a cell would shift the columns."""
        first, *others = (rows[name] for name in rows)
        whole = [column.str.fullmatch(r"-?\d+").fillna(True).all() for column in others]
        decimal = self.separator == "," and any(map(all, pairwise(whole)))
        lines = self.content.split(b"\n", self.skip + 1)[self.skip - 1 : self.skip + 1]
        return first.is_unique and not decimal and all(line.startswith(b'"') for line in lines)


def read_whole(path: Path, needed: Sequence[str] = ()) -> pd.DataFrame:
    """A table of which no row may be missing, and of which some columns are needed.

    Raises:
        DataError: As ``read_table``; or a row does not fit, or a column is not there.
    """
    table = read_table(path)
    rows, odd = _whole(path, table), table.odd
    missing = next((name for name in needed if name not in rows), None)
    if missing is not None and missing in odd:
        raise DataError(f"column {missing!r} of {shown(path)} holds several values: {odd[missing]}")
    if missing is not None:
        names = [shown(str(name)) for name in rows]
        comma = any("," in name for name in names)
        advice = "; a name with a comma is written in quotes of its own" if comma else ""
        raise DataError(
            f"{shown(path)} has no column {missing!r}; it has: {', '.join(names)}{advice}"
        )
    return rows


def _whole(path: Path, table: Table) -> pd.DataFrame:
    if table.rejected:
        raise DataError(
            f"{len(table.rejected)} rows of {shown(path)} cannot be read, first "
            f"{table.rejected[0].detail}; correct them"
        )
    return table.rows


def is_missing(column: "pd.Series[Any]", kept: Collection[object] = ()) -> Bool[np.ndarray, " n"]:
    """Cells without a value, or with text by which tools say so, but for what is ``kept``."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column.isna().to_numpy(dtype=bool)
    try:
        codes, values = pd.factorize(column)
    except TypeError:  # lists, of which none is missing
        return column.isna().to_numpy(dtype=bool)
    words = MISSING.difference(str(one).lower() for one in kept)
    empty = [isinstance(one, str) and one.strip().lower() in words for one in values]
    return np.array([*empty, True])[codes]  # the last one is that of the code -1


def file_and_column(text: str, kinds: Sequence[str] = KINDS) -> tuple[Path | None, str | None]:
    """``FILE`` or ``FILE:COLUMN`` taken apart; no file where it must be the name of a column."""
    kinds = (*kinds, *WORKBOOKS)  # which are refused for what they are
    parts = text.split(":")
    heads = [":".join(parts[:count]) for count in range(1, len(parts) + 1)]
    head = next((head for head in heads if kind_of(Path(head)) in kinds), None)
    return (None, None) if head is None else (Path(head), text[len(head) + 1 :] or None)


def place_of(rows: "pd.DataFrame | pd.Series[Any]", position: int) -> str:
    """Where a row stands in its file: ``line 3``, or ``row 2`` where lines are not known."""
    return f"{rows.index.name or 'row'} {rows.index[position]}"


def read_csv(path: Path) -> Rows:
    """A table with a header, every cell as text without spaces around it, empty where it is."""
    content = read_bytes(path)
    rows, rejected = read_rows(path, content, _header(path, content, ","), skip=1)
    return rows.apply(lambda column: column.astype(object).str.strip()), rejected


def read_bytes(path: Path, separator: str = ",", errors: str = "backslashreplace") -> bytes:
    """A text file with one kind of line ending and, in columns of blanks, one blank between two.

    Of bytes that are no UTF-8, "backslashreplace" keeps names that differ different; such
    a name matches no file.

    Raises:
        DataError: There is no such file, it is a pipe, a device or a folder, is not packed as its
            name says, or is not UTF-8 and ``errors`` is "strict".
    """
    content = _unpacked(path).removeprefix(codecs.BOM_UTF8)
    if other := mistaken_for(content) or _other_kind(content):
        raise DataError(f"{shown(path)} is {other}")
    encoding = next((kind for mark, kind in ENCODINGS.items() if content.startswith(mark)), "utf-8")
    try:
        content = content.decode(encoding).encode()
    except UnicodeDecodeError as error:
        if errors == "strict" or encoding != "utf-8":
            line = content.count(b"\n", 0, error.start) + 1
            raise DataError(
                f"{shown(path)} is not {encoding.upper()} (line {line}): save it as UTF-8"
            ) from error
        content = content.decode(errors=errors).encode()
    if b"\0" in content[:4]:
        raise DataError(
            f"{shown(path)} holds zero bytes: if it is UTF-16 without its mark, save it as UTF-8"
        )
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


def plain_column(column: str) -> str:
    """A column name in lower case with underscores."""
    return re.sub(r"\W+", "_", column.strip().lower()).strip("_")


def _other_kind(content: bytes) -> str:
    """What a file is that is no text, with what to do; empty for all others."""
    if content[257:262] == b"ustar":
        return "an archive of files (tar); unpack it and name the table"
    return next((what for start, what in OTHERS.items() if content.startswith(start)), "")


def _unpacked(path: Path) -> bytes:
    _require_file(path)
    with path.open("rb") as raw:
        packed = raw.read(2) == b"\x1f\x8b" or path.suffix.lower() == ".gz"
    if not packed:
        return path.read_bytes()
    try:
        with gzip.open(path) as file:
            content = file.read(LARGEST + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise _unreadable(path, error) from error
    if len(content) > LARGEST:
        raise DataError(f"{shown(path)} unpacks to more than {LARGEST:,} bytes; divide it")
    return content


def _require_file(path: Path) -> None:
    if not path.exists():
        raise DataError(f"there is no file {shown(path.absolute())}; correct the path")
    if not path.is_file():
        raise DataError(f"{shown(path)} is not a regular file")


def _separator(path: Path, content: bytes) -> str:
    """The one that divides the first rows as it does the header; a comma where there is none."""
    fits = {mark: _fit(content, mark) for mark in SEPARATORS}
    likely = [mark for mark, fit in fits.items() if fit == max(fits.values())]
    if not fits[likely[0]]:
        return ","
    if len(likely) > 1 and kind_of(path) == ".tsv":
        likely = [mark for mark in likely if mark == "\t"] or likely
    if len(likely) > 1:
        either = " or by ".join(f"{SEPARATORS[mark]} ({mark!r})" for mark in likely)
        raise DataError(
            f"{shown(path)} could be separated by {either}: its header and first rows do not tell; "
            "put names and cells that hold one of them in quotes"
        )
    return likely[0]


def _first_rows(content: bytes, mark: str) -> list[list[str]]:
    """Fields of the header and the first rows; none where these are no text with separators."""
    text = content[:BYTES_TRIED].decode(errors="ignore")
    try:
        rows = [*islice(csv.reader(io.StringIO(text), delimiter=mark), ROWS_TRIED)]
    except csv.Error:
        return []
    if len(content) > BYTES_TRIED and 1 < len(rows) < ROWS_TRIED:
        rows.pop()  # it ends somewhere within
    return rows


def _fit(content: bytes, mark: str) -> float:
    """Share of header and first rows with as many fields as the header; 0 if that has only one."""
    rows = _first_rows(content, mark)
    width, rows = len(rows[0]) if rows else 0, [row for row in rows if row]
    return sum(len(row) == width for row in rows) / len(rows) if width > 1 else 0.0


def _header(path: Path, content: bytes, separator: str) -> list[str]:
    """Column names; those without one are numbered."""
    try:
        lines = csv.reader(first_lines(content, 1), delimiter=separator, strict=True)
        names = next(lines, [])
    except csv.Error as error:
        raise _unreadable(path, f"the header: {error}") from error
    return [name.strip() or UNNAMED.format(place) for place, name in enumerate(names)]


def _unreadable(path: Path, why: object) -> DataError:
    return DataError(f"{shown(path)} cannot be read as a table: {shown(str(why))}")


def _parsed(
    path: Path, content: bytes, names: Sequence[str], skip: int, options: pa_csv.ConvertOptions,
    separator: str = ",",
) -> Rows:  # fmt: skip
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise DataError(f"{shown(path)} names the columns {twice} more than once")
    bad: dict[int, tuple[int, int]] = {}  # by number of the row, blank lines not counted

    def put_aside(row: Any) -> str:  # noqa: ANN401 (an untyped library)
        bad[row.number] = row.actual_columns, row.expected_columns
        return "skip"

    is_quoted = separator != " "
    reading = pa_csv.ReadOptions(column_names=list(names), skip_rows=skip, use_threads=False)
    parsing = pa_csv.ParseOptions(
        delimiter=separator, quote_char='"' if is_quoted else False, newlines_in_values=is_quoted,
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
    rejected = [
        _unread(path, f"{kind} {number - header}", "{} fields, not {}".format(*bad[number]))
        for number in sorted(bad)
    ]
    good = np.delete(np.arange(1, total + 1), [*range(skip), *(number - 1 for number in bad)])
    return rows.set_axis(pd.Index(good - header, name=kind)), rejected


def _unread(table: Path, place: str, why: str) -> Rejected:
    return Rejected(
        sample_id=safe_text(f"{table.name}:{place}"), path=safe_text(str(table)),
        reason="row not understood", detail=f"{place}: {why}",
    )  # fmt: skip


def _read_records(path: Path, content: bytes) -> Table:
    """A list of JSON objects, or one object a line."""
    records, kind = _records(path, content)
    rows = {number: record for number, record in records if isinstance(record, dict)}
    bad = [number for number, record in records if not isinstance(record, dict)]
    if not rows:
        raise _unreadable(path, f"{kind} 1 is no JSON object")
    names = list(dict.fromkeys(name for row in rows.values() for name in row))
    columns = {name: _array([row.get(name) for row in rows.values()]) for name in names}
    rejected = [_unread(path, f"{kind} {number}", "no JSON object") for number in bad]
    return _table(columns, pd.Index(list(rows), name=kind), rejected)


def _records(path: Path, content: bytes) -> tuple[list[tuple[int, Any]], str]:
    """Each record with its number, and whether lines or rows are counted."""
    whole = _json(content) if kind_of(path) == ".json" else None
    if isinstance(whole, list):
        return list(enumerate(whole, 1)), "row"
    if whole is not None:
        raise DataError(
            f"{shown(path)} holds no list of records, like [{{'path': ...}}, ...]; pandas writes "
            "one with to_json(orient='records')"
        )
    lines = enumerate(content.split(b"\n"), 1)
    return [(number, _json(line)) for number, line in lines if line.strip()], "line"


def _json(text: bytes) -> Any:  # noqa: ANN401 (whatever stands there; None if nothing can be read)
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _array(values: Sequence[Any]) -> Any:  # noqa: ANN401 (an untyped library)
    """Values of one kind as they are, of several kinds as text."""
    if any(isinstance(value, list | dict) for value in values):
        return pa.nulls(len(values), pa.list_(pa.null()))
    try:
        return pa.array(values)
    except (pa.ArrowException, ValueError, OverflowError):
        text = (value if isinstance(value, str) else json.dumps(value) for value in values)
        none = [value is None for value in values]
        return pa.array([safe_text(value) for value in text], mask=np.array(none))


def _read_columns(path: Path, kind: str) -> Table:
    """Parquet, or Arrow as a file or as a stream."""
    from pyarrow import parquet

    _require_file(path)
    packed = io.BytesIO(_unpacked(path)) if path.suffix.lower() == ".gz" else path
    try:
        file = parquet.ParquetFile(packed) if kind == PARQUET else _arrow(packed)
        names = file.schema_arrow.names if kind == PARQUET else file.schema.names
        if len(set(names)) < len(names):
            raise DataError(f"{shown(path)} names a column more than once: {names}")
        # Whatever index or types pandas once noted in the file decides nothing here.
        table = file.read(use_pandas_metadata=False) if kind == PARQUET else file.read_all()
        table.validate(full=True)
        return table_of(table)
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


def _arrow(source: Path | io.BytesIO) -> Any:  # noqa: ANN401 (an untyped library)
    from pyarrow import ipc

    opened = pa.memory_map(str(source)) if isinstance(source, Path) else pa.PythonFile(source, "r")
    try:
        return ipc.open_file(opened)
    except pa.ArrowInvalid:  # a stream, as datasets.save_to_disk writes it
        opened.seek(0)
        return ipc.open_stream(opened)


def table_of(table: Any) -> Table:  # noqa: ANN401 (an untyped library)
    """What an Arrow table holds, by the number of the row from 1."""
    columns = {name: table[name] for name in table.column_names}
    return _table(columns, pd.RangeIndex(1, table.num_rows + 1, name="row"), [])


def _table(columns: Mapping[str, Any], index: pd.Index, rejected: list[Rejected]) -> Table:
    plain = {name: _plain(column) for name, column in columns.items()}
    odd = {name: str(columns[name].type) for name, column in plain.items() if column is None}
    kept = {name: _series(column) for name, column in plain.items() if column is not None}
    rows = pd.DataFrame(kept, index=range(len(index))).set_axis(index)
    return Table(rows, rejected, odd)


def _plain(column: Any) -> Any:  # noqa: ANN401 (an untyped library)
    """A column of text, numbers or truth values; None for anything else."""
    kind, types = column.type, pa.types
    if types.is_dictionary(kind):
        return _plain(column.cast(kind.value_type))
    if types.is_integer(kind) or types.is_boolean(kind) or types.is_floating(kind):
        return column
    if types.is_struct(kind) and kind.get_field_index("path") >= 0:
        return _path_alone(column)
    textual = (
        types.is_string, types.is_large_string, types.is_null, types.is_temporal, types.is_decimal
    )  # fmt: skip
    return column.cast(pa.string()) if any(holds(kind) for holds in textual) else None


def _path_alone(column: Any) -> Any:  # noqa: ANN401 (an untyped library)
    """Of images that are kept as files, as datasets notes them, the paths; None for all others."""
    from pyarrow import compute

    fields = {name: compute.struct_field(column, name) for name in column.type.names}
    path = _plain(fields.pop("path"))
    return None if any(len(one) > one.null_count for one in fields.values()) else path


def _series(column: Any) -> pd.Series:  # noqa: ANN401 (an untyped library)
    """Whole numbers stay whole where some are missing: as floats, long ids would merge."""
    kinds = {pa.types.is_integer: pd.Int64Dtype, pa.types.is_boolean: pd.BooleanDtype}
    for is_kind, dtype in kinds.items():
        if is_kind(column.type) and column.null_count:
            return column.to_pandas(types_mapper={column.type: dtype()}.get)
    return column.to_pandas()

"""Tables as people keep them: text with separators, JSON records, Parquet, columns of blanks.

Text stays text: a group called NO or 01 must not become False or 1. Rows that do not fit are set
aside with their line, the header being line 1, or with their row where blank lines or line breaks
within a cell came between; a table that cannot be understood is refused as a whole.
"""

import csv
import gzip
import io
import json
import re
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
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
TEXT, RECORDS, PARQUET = (".csv", ".tsv", ".txt"), (".jsonl", ".ndjson", ".json"), ".parquet"
KINDS = (*TEXT, *RECORDS, PARQUET)  # each also followed by .gz
SEPARATORS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a vertical bar"}
ROWS_TRIED, BYTES_TRIED = 50, 65_536  # of the beginning, which tells the separator
LARGEST = 2**32  # bytes of an unpacked table, which is read as a whole
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
        DataError: It is no table, is not UTF-8, names a column twice, or two separators are equally
            likely.
    """
    kind = kind_of(path)
    if kind == PARQUET:
        return _read_parquet(path)
    content = read_bytes(path, errors="strict")
    if kind in RECORDS:
        return _read_records(path, content)
    told = re.match(rb"sep=([,;\t|])\n", content)  # Excel's, before the header
    separator = told[1].decode() if told else _separator(path, content)
    names = _header(path, content[told.end() :] if told else content, separator)
    options = pa_csv.ConvertOptions(
        column_types=dict.fromkeys(names, pa.string()), null_values=[""],
        strings_can_be_null=True, quoted_strings_can_be_null=True,
    )  # fmt: skip
    skip = 2 if told else 1
    rows, rejected = _parsed(path, content, names, skip, options, separator)
    if rejected and rows.empty:
        rows, rejected = _one_wider(path, content, names, skip, options, separator), []
    return Table(rows, rejected, {})


def _one_wider(
    path: Path, content: bytes, names: Sequence[str], skip: int, options: pa_csv.ConvertOptions,
    separator: str,
) -> pd.DataFrame:  # fmt: skip
    """A table of rows that all have one field more than the header.

    R writes the numbers of the rows before them, others a separator behind them.
    """
    wide = [str(place) for place in range(len(names) + 1)]
    options.column_types = dict.fromkeys(wide, pa.string())
    rows, rejected = _parsed(path, content, wide, skip, options, separator)
    if not rejected and rows[wide[-1]].isna().all():
        return rows[wide[:-1]].set_axis(list(names), axis=1)
    first = rows[wide[0]]
    # Anything else in front may be a comma within a cell, which would shift the columns.
    if not rejected and first.is_unique and first.str.fullmatch(r"\d+").fillna(False).all():
        return rows.set_axis([UNNAMED.format(0), *names], axis=1)
    raise DataError(
        f"no row of {shown(path)} has as many fields as its header, which is {len(names)}: give "
        "every column a name, and put cells that hold the separator in quotes"
    )


def read_whole(path: Path, needed: Sequence[str] = ()) -> pd.DataFrame:
    """A table of which no row may be missing, and of which some columns are needed.

    Raises:
        DataError: As ``read_table``; or a row does not fit, or a column is not there.
    """
    rows, rejected, odd = read_table(path)
    if rejected:
        raise DataError(
            f"{len(rejected)} rows of {shown(path)} cannot be read, first {rejected[0].detail}; "
            "correct them"
        )
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


def file_and_column(text: str, kinds: Sequence[str] = KINDS) -> tuple[Path | None, str | None]:
    """``FILE`` or ``FILE:COLUMN`` taken apart; no file where it must be the name of a column."""
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
    content = _unpacked(path).removeprefix(b"\xef\xbb\xbf")
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


def _unpacked(path: Path) -> bytes:
    _require_file(path)
    if path.suffix.lower() != ".gz":
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


def _fit(content: bytes, mark: str) -> float:
    """Share of header and first rows with as many fields as the header; 0 if that has only one."""
    text = content[:BYTES_TRIED].decode(errors="ignore")
    try:
        rows = [*islice(csv.reader(io.StringIO(text), delimiter=mark), ROWS_TRIED)]
    except csv.Error:
        return 0.0
    if len(content) > BYTES_TRIED and 1 < len(rows) < ROWS_TRIED:
        rows.pop()  # it ends somewhere within
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


def _read_parquet(path: Path) -> Table:
    from pyarrow import parquet

    _require_file(path)
    try:
        file = parquet.ParquetFile(
            io.BytesIO(_unpacked(path)) if path.suffix.lower() == ".gz" else path
        )
        names = file.schema_arrow.names
        if len(set(names)) < len(names):
            raise DataError(f"{shown(path)} names a column more than once: {names}")
        # Whatever index or types pandas once noted in the file decides nothing here.
        table = file.read(use_pandas_metadata=False)
        table.validate(full=True)
        return table_of(table)
    except (pa.ArrowException, OSError, KeyError, UnicodeDecodeError) as error:
        raise _unreadable(path, error) from error


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

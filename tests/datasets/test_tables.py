"""Tables as people keep them."""

import datetime
import gzip
import json
import os
from decimal import Decimal
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from debias.errors import DataError
from debias.storage.tables import (
    file_and_column,
    is_missing,
    place_of,
    read_bytes,
    read_rows,
    read_table,
    read_whole,
)


def written(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_every_cell_is_text_and_empty_cells_are_missing(tmp_path):
    rows, bad, _ = read_table(
        written(tmp_path, '\ufeffa,"b, c"\r\n01,NO\r\nnan,""\r\n" x ",TRUE\r\n')
    )
    assert bad == []
    assert rows["a"].tolist() == ["01", "nan", " x "]
    assert rows["b, c"].isna().tolist() == [False, True, False]
    assert rows["b, c"].iloc[0] == "NO"


def test_cells_may_hold_commas_quotes_and_line_breaks(tmp_path):
    rows, *_ = read_table(written(tmp_path, 'a,b\n"x,\ny","say ""hi"""\n'))
    assert rows.iloc[0].tolist() == ["x,\ny", 'say "hi"']


def test_rows_of_another_length_are_set_aside_by_line(tmp_path):
    rows, bad, _ = read_table(written(tmp_path, "a,b\n1,2\n3\n4,5,6\n7,8\n"))
    assert rows["a"].tolist() == ["1", "7"]
    assert [item.reason for item in bad] == ["row not understood"] * 2
    assert [item.detail for item in bad] == [
        "line 3: 1 fields, not 2", "line 4: 3 fields, not 2",
    ]  # fmt: skip


def test_rows_that_all_have_one_field_more_than_the_header(tmp_path):
    """Numbers of rows in front, as R writes them, or a separator at every end."""
    rows, bad, _ = read_table(written(tmp_path, '"a","b"\n"7","x","NO"\n"9","y","01"\n'))
    assert (bad, rows["a"].tolist(), rows["b"].tolist()) == ([], ["x", "y"], ["NO", "01"])
    assert rows["unnamed_0"].tolist() == ["7", "9"]
    rows, bad, _ = read_table(written(tmp_path, "a;b\nx;1;\ny;;\n"))
    assert (bad, list(rows), rows["a"].tolist()) == ([], ["a", "b"], ["x", "y"])
    for text in (
        "a,b\nx,hello, you\ny,well, well\n", "id,b\n1,hello, you\n2,well, well\n",
        '"id","score"\n"1",0,5\n"2",0,7\n', "id,age\n1,30,5\n2,31,5\n",
    ):  # fmt: skip
        with pytest.raises(DataError, match=r"no row of .*as many fields as its header.* 2"):
            read_table(written(tmp_path, text))  # nothing is shifted
    assert len(read_table(written(tmp_path, "a,b\n1,2,3\n1,2\n1,2,3,4\n")).rejected) == 2


def test_where_blank_lines_or_breaks_come_between_rows_are_counted(tmp_path):
    rows, bad, _ = read_table(written(tmp_path, 'a,b\n\n"x\n\ny",2\n3\n\n4,5\n6\n7,8'))
    assert rows.index.tolist() == [1, 3, 5]
    assert rows.index.name == "row"
    assert [item.sample_id for item in bad] == ["t.csv:row 2", "t.csv:row 4"]
    path = tmp_path / "t.txt"
    path.write_text('2\nb c \n\nx"  1 2\ny 3\n\n  z 4\t5 \n')
    rows, bad = read_rows(path, read_bytes(path, " "), ["a", "b", "c"], " ", skip=2)
    assert rows["a"].to_dict() == {1: 'x"', 3: "z"}
    assert [item.detail for item in bad] == ["row 2: 2 fields, not 3"]


def test_columns_without_a_name_are_numbered(tmp_path):
    rows, *_ = read_table(written(tmp_path, ",path\n0,a.png\n"))
    assert list(rows) == ["unnamed_0", "path"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,a\n1,2\n", r"names the columns \['a'\] more than once"),
        (b"a,b\n1,Caf\xe9\n", r"not UTF-8 \(line 2\)"),
        ("a,b\n1,2\n".encode("utf-16-le"), "zero bytes: if it is UTF-16 without its mark"),
        (b"PK\x03\x04 xl/workbook", "an Excel workbook or .* save the sheet as CSV"),
        (b"\xd0\xcf\x11\xe0 old", "an Excel workbook"),
        (b"PAR1 rows PAR1", "a Parquet file; let its name end in .parquet"),
        # Without the time: processes that collect tests must give them the same names.
        (gzip.compress(b"t.csv" + bytes(252) + b"ustar", mtime=0), r"an archive of .* unpack"),
        (b'"a,b\n1,2\n', "the header"),
        (b"", "cannot be read as a table"),
    ],
)
def test_a_table_that_cannot_be_understood_is_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_table(written(tmp_path, content))


def test_text_is_read_by_the_mark_of_its_encoding_and_packed_whatever_its_name_is(tmp_path):
    for encoding in ("utf-16", "utf-32", "utf-8-sig"):
        rows, *_ = read_table(written(tmp_path, "a\tb\r\n01\tGröße\r\n".encode(encoding)))
        assert rows.to_dict("list") == {"a": ["01"], "b": ["Größe"]}
        assert rows.index.tolist() == [2]
    assert read_table(written(tmp_path, gzip.compress(b"a,b\n1,2\n"))).rows["b"].tolist() == ["2"]


def test_arrow_is_read_as_a_file_and_as_a_stream(tmp_path):
    """As datasets.save_to_disk writes; a column of images that are files is one of their paths."""
    images = [{"bytes": None, "path": f"{n}.png"} for n in "ab"]
    table = pa.table({"image": images, "code": ["01", "NO"], "boxes": [[1], [2]]})
    for name, opened in (("t.arrow", pa.ipc.new_file), ("s.arrow", pa.ipc.new_stream)):
        with opened(tmp_path / name, table.schema) as file:
            file.write_table(table)
        rows, bad, odd = read_table(tmp_path / name)
        assert rows.to_dict("list") == {"image": ["a.png", "b.png"], "code": ["01", "NO"]}
        assert (bad, list(odd), rows.index.tolist()) == ([], ["boxes"], [1, 2])
    held = pa.array([{"bytes": b"x", "path": "a.png"}])
    parquet.write_table(pa.table({"image": held}), tmp_path / "t.parquet")
    assert "bytes" in read_table(tmp_path / "t.parquet").odd["image"]
    (tmp_path / "t.arrow").write_bytes(b"ARROW1 nothing")
    with pytest.raises(DataError, match="cannot be read as a table"):
        read_table(tmp_path / "t.arrow")


def test_what_tools_write_for_nothing_is_missing_unless_it_is_kept():
    column = pd.Series(["NA", " nan", "None", "null", "#N/A", "", None, "Nan Lee", "no", "Unknown"])
    assert is_missing(column).tolist() == [True] * 7 + [False] * 3
    assert is_missing(column, ["none"]).sum() == 6
    assert is_missing(pd.Series([1.0, float("nan")])).tolist() == [False, True]
    assert is_missing(pd.Series([[1], None], dtype=object)).tolist() == [False, True]


def test_a_pipe_is_no_table(tmp_path):
    for name in ("t.csv", "t.parquet"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(DataError, match="is not a regular file"):
            read_table(tmp_path / name)


def as_parquet(tmp_path, **columns):
    parquet.write_table(pa.table(columns), tmp_path / "t.parquet")
    return read_table(tmp_path / "t.parquet")[0]


def test_parquet_columns_of_odd_types_become_text(tmp_path):
    rows = as_parquet(
        tmp_path,
        day=pa.array([datetime.date(2020, 1, 2), None]),
        time=pa.array([datetime.datetime(2020, 1, 2, 3, 4, 5), None]),
        price=pa.array([Decimal("1.10"), None]),
        kind=pa.array(["NO", None]).dictionary_encode(),
        nothing=pa.nulls(2),
    )
    assert rows["day"].tolist()[0] == "2020-01-02"
    assert rows["time"].iloc[0].startswith("2020-01-02 03:04:05")
    assert rows[["price", "kind"]].iloc[0].tolist() == ["1.10", "NO"]
    assert rows.iloc[1].isna().all()


def test_parquet_numbers_stay_numbers_and_long_ids_stay_apart(tmp_path):
    big = 2**60
    rows = as_parquet(
        tmp_path,
        person=pa.array([big, big + 1, None]),
        age=pa.array([1, 2, 3], pa.int8()),
        score=pa.array([0.5, None, float("nan")]),
        known=pa.array([True, None, False]),
    )
    assert rows["person"].nunique() == 2  # as floats they would be one person
    assert rows["person"].astype(object).iloc[1] == big + 1
    assert rows["age"].tolist() == [1, 2, 3]
    assert rows["score"].isna().tolist() == [False, True, True]
    assert rows["known"].astype(object).iloc[0] is True


@pytest.mark.parametrize(
    ("column", "kind"),
    [
        (pa.array([[1, 2], [3]]), "list<"),
        (pa.array([b"\xff", b""]), "binary"),
        (pa.array([{"a": 1}, {"a": 2}]), "struct<"),
    ],
)
def test_columns_of_several_values_are_named_apart(tmp_path, column, kind):
    parquet.write_table(pa.table({"path": ["a", "b"], "faces": column}), tmp_path / "t.parquet")
    rows, _, odd = read_table(tmp_path / "t.parquet")
    assert list(rows) == ["path"]
    assert odd["faces"].startswith(kind)
    with pytest.raises(DataError, match=f"column 'faces' of .* holds several values: {kind}"):
        read_whole(tmp_path / "t.parquet", ["faces"])


def test_a_parquet_file_that_is_none_or_holds_broken_text_is_refused(tmp_path):
    (tmp_path / "t.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(DataError, match="cannot be read as a table"):
        read_table(tmp_path / "t.parquet")
    broken = pa.StringArray.from_buffers(
        1, pa.py_buffer(b"\0\0\0\0\1\0\0\0"), pa.py_buffer(b"\xff")
    )
    with pytest.raises(DataError, match="cannot be read as a table"):
        as_parquet(tmp_path, path=broken)


def test_an_index_that_pandas_noted_decides_nothing(tmp_path):
    frame = pd.DataFrame({"path": ["a", "b"]}, index=[7, 7])
    frame.to_parquet(tmp_path / "t.parquet")
    rows, *_ = read_table(tmp_path / "t.parquet")
    assert (rows.index.name, rows.index.tolist()) == ("row", [1, 2])
    assert rows["path"].tolist() == ["a", "b"]


# Other separators and kinds ----------------------------------------------------------------------

FRAME = pd.DataFrame({"path": ["a.png", "b;c.png"], "code": ["01", "NO"], "note": ["x, y", "|"]})


@pytest.mark.parametrize("mark", [",", ";", "\t", "|"])
@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt", "t.csv.gz", "T.TSV.GZ"])
def test_the_separator_is_told_from_the_first_rows(tmp_path, mark, name):
    FRAME.to_csv(tmp_path / name, sep=mark, index=False, encoding="utf-8-sig")
    rows, bad, odd = read_table(tmp_path / name)
    assert (bad, odd) == ([], {})
    assert rows.to_dict("list") == FRAME.to_dict("list")
    assert rows.index.tolist() == [2, 3]


def test_a_first_line_that_names_the_separator_is_no_header(tmp_path):
    rows, bad, _ = read_table(written(tmp_path, "sep=;\na;b,c\n1;2\n3\n"))
    assert rows.to_dict("list") == {"a": ["1"], "b,c": ["2"]}
    assert place_of(rows, 0) == "line 3"
    assert bad[0].detail == "line 4: 1 fields, not 2"


def test_a_separator_that_only_some_rows_hold_does_not_count(tmp_path):
    text = "path,a;b\n" + "x.png,1\n" * 3 + "y;z.png,2\n"
    assert list(read_table(written(tmp_path, text)).rows) == ["path", "a;b"]
    decimals = "path;score\nx.png;0,5\ny.png;1\n"
    assert read_table(written(tmp_path, decimals)).rows["score"].tolist() == ["0,5", "1"]


def test_separators_that_fit_alike_are_refused_by_name(tmp_path):
    text = "a,b;c\n1,2;3\n"
    with pytest.raises(DataError, match=r"separated by a comma \(','\) or by a semicolon \(';'\)"):
        read_table(written(tmp_path, text))
    (tmp_path / "t.tsv").write_text(text.replace(";", "\t"))
    assert list(read_table(tmp_path / "t.tsv").rows) == ["a,b", "c"]


RECORDS = [{"path": "a", "n": 1, "ok": True, "mixed": 1, "late": None},
           {"path": "b", "n": None, "ok": False, "mixed": "x", "boxes": [1]}]  # fmt: skip


@pytest.mark.parametrize("name", ["t.jsonl", "t.ndjson", "t.json", "t.jsonl.gz", "lines.json"])
def test_records_are_rows(tmp_path, name):
    lines = name != "t.json"
    text = "\n".join(map(json.dumps, RECORDS)) if lines else json.dumps(RECORDS, indent=1)
    content = ("\ufeff" + text + "\n").encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    rows, bad, odd = read_table(tmp_path / name)
    assert (bad, list(odd)) == ([], ["boxes"])
    assert rows["path"].tolist() == ["a", "b"]
    assert rows["n"].tolist() == [1, pd.NA]
    assert rows["ok"].tolist() == [True, False]
    assert rows["mixed"].tolist() == ["1", "x"]
    assert rows["late"].isna().all()
    assert place_of(rows, 1) == ("line 2" if lines else "row 2")


def test_lines_that_are_no_record_are_set_aside(tmp_path):
    (tmp_path / "t.jsonl").write_text('{"a": "01"}\n\n[1]\n{"a": "NO"}\n{"a"')
    rows, bad, _ = read_table(tmp_path / "t.jsonl")
    assert rows["a"].to_dict() == {1: "01", 4: "NO"}
    assert [item.detail for item in bad] == [f"line {n}: no JSON object" for n in (3, 5)]
    with pytest.raises(DataError, match=r"2 rows of .* cannot be read, first line 3: no JSON"):
        read_whole(tmp_path / "t.jsonl")
    (tmp_path / "t.jsonl").write_text("path,smile\na,yes\n")
    with pytest.raises(DataError, match="line 1 is no JSON object"):
        read_table(tmp_path / "t.jsonl")
    (tmp_path / "t.json").write_text('{"path": {"0": "a"}}')
    with pytest.raises(DataError, match=r"no list of records.*orient='records'"):
        read_table(tmp_path / "t.json")


def test_packed_parquet_and_what_only_claims_to_be_packed(tmp_path):
    FRAME.to_parquet(tmp_path / "t.parquet")
    (tmp_path / "t.parquet.gz").write_bytes(gzip.compress((tmp_path / "t.parquet").read_bytes()))
    assert read_table(tmp_path / "t.parquet.gz").rows["code"].tolist() == ["01", "NO"]
    (tmp_path / "t.csv.gz").write_text("path\na\n")
    with pytest.raises(DataError, match="cannot be read as a table: Not a gzipped file"):
        read_table(tmp_path / "t.csv.gz")
    with pytest.raises(DataError, match=r"there is no file .*nowhere\.tsv"):
        read_table(tmp_path / "nowhere.tsv")


def test_a_column_that_is_not_there_is_named_with_those_that_are(tmp_path):
    path = written(tmp_path, 'path,"group, perceived"\na,b\n')
    assert list(read_whole(path, ["group, perceived"])) == ["path", "group, perceived"]
    with pytest.raises(
        DataError, match=r"no column 'group'; it has: path, group, perceived; a name w"
    ):
        read_whole(path, ["group"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("race", (None, None)),
        ("t.csv", (Path("t.csv"), None)),
        ("t.jsonl.gz:race", (Path("t.jsonl.gz"), "race")),
        ("a/t.TSV:race:white", (Path("a/t.TSV"), "race:white")),
        ("C:/t.csv:race", (Path("C:/t.csv"), "race")),
        ("age:0-17", (None, None)),
        ("t.xlsx:race", (Path("t.xlsx"), "race")),
    ],
)
def test_a_file_and_its_column_are_taken_apart(text, expected):
    assert file_and_column(text) == expected

"""Tables as people keep them."""

import datetime
import os
from decimal import Decimal

import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from debias.errors import DataError
from debias.storage.tables import read_bytes, read_rows, read_table


def written(tmp_path, content):
    path = tmp_path / "t.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_every_cell_is_text_and_empty_cells_are_missing(tmp_path):
    rows, bad = read_table(written(tmp_path, '\ufeffa,"b, c"\r\n01,NO\r\nnan,""\r\n" x ",TRUE\r\n'))
    assert bad == []
    assert rows["a"].tolist() == ["01", "nan", " x "]
    assert rows["b, c"].isna().tolist() == [False, True, False]
    assert rows["b, c"].iloc[0] == "NO"


def test_cells_may_hold_commas_quotes_and_line_breaks(tmp_path):
    rows, _ = read_table(written(tmp_path, 'a,b\n"x,\ny","say ""hi"""\n'))
    assert rows.iloc[0].tolist() == ["x,\ny", 'say "hi"']


def test_rows_of_another_length_are_set_aside_by_line(tmp_path):
    rows, bad = read_table(written(tmp_path, "a,b\n1,2\n3\n4,5,6\n7,8\n"))
    assert rows["a"].tolist() == ["1", "7"]
    assert [item.reason for item in bad] == ["row not understood"] * 2
    assert [item.detail for item in bad] == [
        "line 3: 1 fields, not 2", "line 4: 3 fields, not 2",
    ]  # fmt: skip


def test_where_blank_lines_or_breaks_come_between_rows_are_counted(tmp_path):
    rows, bad = read_table(written(tmp_path, 'a,b\n\n"x\n\ny",2\n3\n\n4,5\n6\n7,8'))
    assert rows.index.tolist() == [1, 3, 5]
    assert rows.index.name == "row"
    assert [item.sample_id for item in bad] == ["t.csv:row 2", "t.csv:row 4"]
    path = tmp_path / "t.txt"
    path.write_text('2\nb c \n\nx"  1 2\ny 3\n\n  z 4\t5 \n')
    rows, bad = read_rows(path, read_bytes(path, " "), ["a", "b", "c"], " ", skip=2)
    assert rows["a"].to_dict() == {1: 'x"', 3: "z"}
    assert [item.detail for item in bad] == ["row 2: 2 fields, not 3"]


def test_columns_without_a_name_are_numbered(tmp_path):
    rows, _ = read_table(written(tmp_path, ",path\n0,a.png\n"))
    assert list(rows) == ["unnamed_0", "path"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"a,a\n1,2\n", r"names the columns \['a'\] more than once"),
        (b"a,b\n1,Caf\xe9\n", r"not UTF-8 \(line 2\)"),
        (b'"a,b\n1,2\n', "the header"),
        (b"", "cannot be read as a table"),
    ],
)
def test_a_table_that_cannot_be_understood_is_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        read_table(written(tmp_path, content))


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
def test_parquet_columns_of_several_values_are_refused_by_name(tmp_path, column, kind):
    with pytest.raises(DataError, match=rf"neither text.*'faces': '{kind}"):
        as_parquet(tmp_path, path=pa.array(["a", "b"]), faces=column)


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
    rows, _ = read_table(tmp_path / "t.parquet")
    assert (rows.index.name, rows.index.tolist()) == ("row", [1, 2])
    assert rows["path"].tolist() == ["a", "b"]

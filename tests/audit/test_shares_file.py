"""Tables of declared shares: what is read, and what is refused."""

import pandas as pd
import pytest

from debias.auditing.shares_file import checked_shares, read_shares
from debias.errors import ConfigError, DataError

RACE = {"race": {"White": 0.6, "NO": 0.15, "01": 0.25}}
TEXT = "attribute,group,share\nrace,White,0.6\nrace,NO,0.15\nrace,01,0.25\n"


def write(folder, text, name="shares.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        "\ufeff" + TEXT.replace("\n", "\r\n"),
        " Share , GROUP,attribute\n0.6,White,race\n\n 0.15 , NO ,race\n0.25,01,race\n,,\n",
        "attribute,group,percent\nrace,White,60\nrace,NO,15\nrace,race:01,25\n",
        TEXT.replace(",", ";"),
        'note,attribute,group,share\n"of, all",race,White,6e-1\n,race,NO,.15\n,race,01,0.25\n',
    ],
)
def test_tables_as_people_keep_them(tmp_path, text):
    assert read_shares(write(tmp_path, text)) == RACE


def test_parquet_holds_the_same(tmp_path):
    path = tmp_path / "shares.parquet"
    table = pd.DataFrame({"attribute": "age", "group": [0, 1], "percent": [30, 70.0]})
    table.to_parquet(path)
    assert read_shares(path) == {"age": {"0": 0.3, "1": 0.7}}
    table.assign(group=["a", None]).to_parquet(path)
    with pytest.raises(DataError, match=r"row 2 of shares.parquet names no group"):
        read_shares(path)


def test_crossings_are_named_in_full(tmp_path):
    text = "attribute,group,share\na x b,a:1 x b:1,0.5\na x b,a:1 x b:2,0.5\n"
    expected = {"a x b": {"a:1 x b:1": 0.5, "a:1 x b:2": 0.5}}
    assert read_shares(write(tmp_path, text)) == expected
    assert checked_shares(expected) == expected


def test_rounded_shares_are_taken_as_they_are():
    thirds = {"race": {"A": 0.33, "B": 0.33, "C": 0.33}}
    assert checked_shares(thirds) == thirds


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "cannot be read as a table"),
        ("attribute,group,share\n", "declares no share"),
        ("attribute group share\na b 1\n", "no column 'attribute'; columns: attribute group share"),
        ("attribute,group\na,b\n", "has no column 'share'"),
        ("attribute,group,share,percent\na,b,1,100\n", "keep one attribute, one group, and one of"),
        ("attribute,group,group,share\na,b,b,1\n", r"names the columns \['group'\] more than"),
        ("attribute,group,Group,share\na,b,b,1\n", "keep one attribute, one group"),
        (
            "attribute,group,share\na,b,0,5\n",
            "no row of .* has as many fields as its header, which is 3",
        ),
        ("attribute,group,share\na,b\n", "no row of .* has as many fields as its header"),
        ("attribute,group,share\na,b,half\n", "line 2 of shares.csv has the share 'half', which"),
        ("attribute,group,share\na,b,\n", "has the share '', which is no number"),
        ("attribute,group,share\na,b,50%\n", "without a percent sign"),
        ("attribute,group,share\n,b,1\n", "line 2 of shares.csv names no attribute"),
        ("attribute,group,share\na,,1\n", "line 2 of shares.csv names no group"),
        ("attribute,group,share\na,b,.5\na, b,.5\n", "line 3 .* 'b' of 'a' a second time"),
        ("attribute,group,share\na,b,25\na,c,75\n", "has the share 25; .* name the column percent"),
        ("attribute,group,share\na,b,-.5\na,c,1\n", "has the share -0.5; it must lie between"),
        ("attribute,group,share\na,b,nan\n", "has the share nan; it must lie between"),
        ("attribute,group,share\na,b,inf\n", "has the share inf"),
        ("attribute,group,share\na,b,.5\na,c,.4\n", "of 'a' sum to 0.9, not to 1 within 0.01"),
        (
            "attribute,group,share\nfemale,gender,.5\nmale,gender,.5\n",
            "'female' looks like a group and 'gender' like its attribute",
        ),
        ("attribute,group,share\na,b,.9\na,unknown,.1\n", "without a label are no group"),
        ('attribute,group,share\na,"b,1\n', "cells that hold the separator, .*, in quotes"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read_shares(write(tmp_path, text))


def test_files_that_are_no_tables_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"there is no file .*missing\.csv; correct the path"):
        read_shares(tmp_path / "missing.csv")
    with pytest.raises(DataError, match="is not a regular file"):
        read_shares(tmp_path)
    with pytest.raises(DataError, match="cannot be read as a table"):
        read_shares(write(tmp_path, TEXT, "shares.parquet"))
    path = tmp_path / "latin.csv"
    path.write_bytes("attribute,group,share\na,\xe9,1\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"is not UTF-8 \(line 2\)"):
        read_shares(path)


@pytest.mark.parametrize(
    ("shares", "message"),
    [
        ({"race": {}}, "'race' has no groups"),
        ({"race": {"A": 0.5, "B": 0.4}}, "sum to 0.9"),
        ({"race": {"A": 1.5, "B": -0.5}}, "has the share 1.5; it must lie between 0 and 1"),
        ({"race": {"A": float("nan")}}, "has the share nan"),
        ({"race": {"A": 0.5, " A": 0.5}}, "'A' of 'race' a second time"),
        ({"race": {"": 1.0}}, "names no group"),
        ({"": {"A": 1.0}}, "names no attribute"),
        ({"a x b": {"a:unknown x b:1": 1.0}}, "without a label are no group"),
    ],
)
def test_shares_of_a_recipe_that_cannot_be_used_are_refused(shares, message):
    with pytest.raises(ConfigError, match=message):
        checked_shares(shares)

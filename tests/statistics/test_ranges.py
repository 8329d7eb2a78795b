"""Numbers as groups."""

import numpy as np
import pandas as pd
import pytest

from debias.errors import GroupSchemaError
from debias.statistics.ranges import listed, proposed, ranged, spelled, taken_apart


def test_ranges_stay_with_their_attribute():
    text = 'age:0-17,18-39, 60-,race,"group, perceived",t:-17,18-'
    parts = ["age:0-17", "18-39", "60-", "race", "group, perceived", "t:-17", "18-"]
    assert listed(text) == parts
    assert listed(spelled(parts)) == parts
    ranges = {"age": ("0-17", "18-39", "60-"), "t": ("-17", "18-")}
    names = ["age", "race", "group, perceived", "t"]
    assert taken_apart(parts) == (names, ranges)
    assert taken_apart(["age:0-17,18-39, 60-", *names[1:3], "t:-17,18-"]) == (names, ranges)
    assert taken_apart(["race:white", "18-39"]) == (["race:white", "18-39"], {})
    assert listed("a, b ,,c") == ["a", "b", "c"]
    assert listed("") == []


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ("age:0-17,x", "'x' is no range of 'age'"),
        ("age:9-5", "'9-5' of 'age' ends before it begins"),
        ("age:0-17,15-20", "'15-20' of 'age' ends before it begins, or begins before"),
        ("age:0-,18-20", "'18-20'"),
    ],
)
def test_ranges_that_are_none_are_refused(item, message):
    with pytest.raises(GroupSchemaError, match=message):
        taken_apart([item])


def test_every_number_is_in_one_range():
    column = pd.Series(["0", "17.5", "18", " 39 ", "60", "99", None, "", "unknown"], name="age")
    found = ranged(column, ["0-17", "18-39", "40-59", "60-"])
    assert found.tolist()[:6] == ["0-17", "0-17", "18-39", "18-39", "60-", "60-"]
    assert found.isna().tolist() == [False] * 6 + [True] * 3
    assert list(found.cat.categories) == ["0-17", "18-39", "40-59", "60-"]  # none is 40 to 59
    shared = ranged(pd.Series([0.5, 1.0, 1.5, -3], name="s"), ["-0", "0-1", "1-2"])
    assert shared.tolist() == ["0-1", "0-1", "1-2", "-0"]


def test_a_number_outside_or_none_is_refused():
    with pytest.raises(GroupSchemaError, match=r"1 of 2 values of 'age' lie in none of 10-, .*'5'"):
        ranged(pd.Series([5, 50], name="age"), ["10-"])
    with pytest.raises(
        GroupSchemaError, match="1 of 2 values of 'age' are no numbers, first 'old'"
    ):
        ranged(pd.Series(["50", "old"], name="age"), ["10-"])


def test_what_is_proposed_holds_every_value():
    whole = proposed("age", map(str, range(1, 90)))
    assert whole == "age:1-23,24-45,46-67,68-"
    shares = proposed("share", ["0.1", "0.25", "0.5", "0.77", "0.9"])
    for text, values in ((whole, np.arange(1, 90)), (shares, [0.1, 0.25, 0.5, 0.77, 0.9])):
        _, ranges = taken_apart(listed(text))
        ((name, chosen),) = ranges.items()
        assert ranged(pd.Series(values, name=name), chosen).notna().all()
    with pytest.raises(ValueError, match="could not convert"):
        proposed("a", ["x"])

"""Groups of samples, whatever asks for them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import debias
from debias.statistics.groupings import group_names, groupings, held_cells


def test_cells_that_hold_samples_are_numbered_as_they_appear():
    codes = [np.array([1, 0, 1, 0]), np.array([0, 2, 0, 0])]
    assert held_cells(codes, 4).tolist() == [0, 1, 0, 2]
    assert held_cells([], 3).tolist() == [0, 0, 0]


def test_many_columns_do_not_leave_the_integers():
    codes = [np.arange(1000)] * 40
    assert held_cells(codes, 1000).tolist() == list(range(1000))


def test_a_name_is_that_of_the_cell():
    groups = pd.DataFrame({"race": ["A"], "gender": ["f"]})
    assert groupings(groups)[-1].cells == ("race:A x gender:f",)


def test_a_value_that_looks_like_a_crossing_is_a_group():
    (found,) = groupings(pd.DataFrame({"race": ["A x b:unknown", "unknown"]}))
    assert found.unlabelled.tolist() == [False, True]


def test_names_of_any_kind():
    assert group_names([1, None, " x ", ""]).tolist() == ["1", "unknown", "x", "unknown"]


@pytest.mark.parametrize("line", ['CROSS = " x "', 'UNKNOWN = "unknown"', 'BASELINE = "uniform"'])
def test_a_constant_stands_once(line):
    files = Path(debias.__file__).parent.rglob("*.py")
    texts = (file.read_text(encoding="utf-8") for file in files)
    assert sum(f"\n{line}" in text for text in texts) == 1

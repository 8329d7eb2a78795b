"""The short audit of an export: what is withheld, and what a random draw would look like."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from debias.auditing.before_after import compare_coverage, compare_groups, sentences

BELOW = 11


def table(**counts: tuple[int, int, int]) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Of each group: audited elsewhere, left out, chosen."""
    parts = [
        (name, part) for name, sizes in counts.items()
        for part, size in enumerate(sizes) for _ in range(size)
    ]  # fmt: skip
    groups = pd.DataFrame({"skin": [name for name, _ in parts]})
    part = np.array([part for _, part in parts])
    able = np.flatnonzero(part > 0)
    return groups, able, (part[able] == 2).astype(np.float64)


def shown(document: dict, attribute: str = "skin") -> dict[str, dict]:
    rows = [row for row in document["rows"] if row["attribute"] == attribute]
    return {
        row["group"].partition(":")[2]: row for row in rows if row["before"]["share"] is not None
    }


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ({"a": (20, 20, 20), "b": (20, 20, 20), "c": (20, 20, 20)}, {"a", "b", "c"}),
        # The audit says 45 of a: 5 are in another split.
        ({"a": (5, 20, 20), "b": (20, 20, 20), "c": (30, 30, 30)}, {"c"}),
        # 5 are left out of the subset.
        ({"a": (20, 5, 20), "b": (20, 20, 20), "c": (30, 30, 30)}, {"c"}),
        # Nothing of a or b is in another split: all of c would be, and is not small.
        ({"a": (0, 20, 5), "b": (0, 20, 20), "c": (30, 30, 30)}, {"c"}),
        # What is withheld of a and b would still add up to a small number, so c joins.
        ({"a": (3, 20, 20), "b": (4, 30, 20), "c": (40, 40, 40), "d": (50, 50, 50)}, {"d"}),
        # Nobody of b is left out, so that the total would tell those of a.
        ({"a": (20, 5, 20), "b": (20, 0, 20), "c": (40, 40, 40), "d": (50, 50, 50)}, {"d"}),
        ({"a": (0, 0, 40), "b": (0, 0, 50)}, {"a", "b"}),
    ],
)
def test_groups_are_withheld_that_follow_by_subtraction(counts, expected):
    groups, able, weight = table(**counts)
    assert set(shown(compare_groups(groups, able, weight, BELOW))) == expected


def test_what_the_audit_withholds_stays_withheld():
    groups, able, weight = table(a=(20, 20, 20), b=(20, 20, 20), c=(30, 30, 30))
    found = compare_groups(groups, able, weight, BELOW, {"skin:a"})
    assert set(shown(found)) == {"c"}
    assert any("2 of 3 groups" in one for one in sentences(found, coverage()))


def test_a_limit_of_1_withholds_nothing():
    groups, able, weight = table(a=(1, 1, 1), b=(0, 2, 20))
    assert set(shown(compare_groups(groups, able, weight, 1))) == {"a", "b"}


def test_a_crossing_is_shown_whole_or_not_at_all():
    groups, able, weight = table(a=(40, 40, 40), b=(40, 40, 40))
    groups["sex"] = np.tile(["f", "m"], 120)
    assert len(shown(compare_groups(groups, able, weight, BELOW), "skin x sex")) == 4
    groups["sex"] = np.where(np.arange(240) < 5, "m", "f")  # 5 of a x m, all in another split
    found = compare_groups(groups, able, weight, BELOW)
    assert not shown(found, "skin x sex")
    assert set(shown(found)) == {"a", "b"}


sizes = st.tuples(*[st.integers(0, 40)] * 3)


@settings(max_examples=60, deadline=None)
@given(st.lists(sizes, min_size=1, max_size=5), st.integers(2, 15))
def test_no_part_of_a_shown_group_is_small_and_no_remainder_either(counts, below):
    groups, able, weight = table(**{f"g{place}": one for place, one in enumerate(counts)})
    if len(able) < 2 or not weight.any():
        return
    found = set(shown(compare_groups(groups, able, weight, below)))
    parts = np.array(counts)
    parts = np.column_stack([parts, parts[:, 1:].sum(1), parts.sum(1)])
    seen = np.array([f"g{place}" in found for place in range(len(counts))])
    # A group without an image to choose from has no row; its numbers are not the export's.
    assert not ((parts[seen] > 0) & (parts[seen] < below)).any()
    hidden = parts[~seen & (parts[:, 3] > 0)]
    rest = hidden[:, 1:4].sum(axis=0)
    if seen.any():
        assert not ((rest > 0) & (rest < below)).any()


def test_counts_are_counted_and_weights_are_added_up():
    groups, able, _ = table(a=(0, 0, 207), b=(0, 0, 93), c=(0, 0, 19))
    draws = np.ones(len(able))
    draws[0] = 3
    rows = shown(compare_groups(groups, able, draws, BELOW))
    counts = [(row["before"]["count"], row["after"]["count"]) for row in rows.values()]
    assert counts == [(207, 209), (93, 93), (19, 19)]
    assert all(type(count) is int for pair in counts for count in pair)
    rows = shown(compare_groups(groups, able, np.full(len(able), 0.5), BELOW))
    assert rows["a"]["after"]["count"] == 103.5


NOBODY = {"rows": [], "evenness": []}


def coverage(size: int = 64, weight: np.ndarray | None = None) -> dict:
    """Two images in each of 200 of 256 cells, ``size`` of them drawn at random."""
    cell = np.repeat(np.arange(200), 2)
    generator = np.random.default_rng(0)
    if weight is None:
        weight = np.zeros(len(cell))
        weight[generator.choice(len(cell), size, replace=False)] = 1
    return compare_coverage(cell, 256, weight, generator)


def test_a_random_draw_looks_less_even_than_all_images_but_not_than_chance():
    found = coverage()
    chance = found["random"]["effective_cells"]
    assert found["after"]["effective_cells"] < 0.4 * found["before"]["effective_cells"]
    assert chance["low"] <= found["after"]["effective_cells"] <= chance["high"]
    assert chance["low"] < chance["mean"] < chance["high"]
    said = sentences(NOBODY, found)
    assert len(said) == 1
    assert "is no more even than by chance" in said[0]
    assert f"{chance['mean']:.1f} on average" in said[0]


@pytest.mark.parametrize(("first", "than"), [(64, "more even than"), (32, "less even than")])
def test_what_is_evener_or_less_even_than_chance_is_said_so(first, than):
    weight = np.zeros(400)
    weight[: 2 * first : 2 if first == 64 else 1] = 1  # a cell each, or both of half as many
    found = coverage(weight=weight)
    said = sentences(NOBODY, found)[0]
    assert f"space is {than} by chance" in said


def test_uniform_weights_are_their_own_random_draw():
    found = coverage(weight=np.ones(400))
    assert found["random"]["effective_cells"]["low"] == found["after"]["effective_cells"]
    assert found["after"] == found["before"]

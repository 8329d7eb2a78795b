import numpy as np
import pandas as pd
import pytest

from debias.errors import SplitLeakageError
from debias.ingesting.splitting import leaks, require_no_leak


def table(**columns) -> pd.DataFrame:
    size = len(columns["split"])
    return pd.DataFrame({"sample_id": [f"s{row}" for row in range(size)], **columns})


def test_leaks_by_hand():
    samples = table(
        split=["train", "test", "train", "validation", "test", "train"],
        subject_id=["ann", "ann", "bob", None, "", "bob"],
        duplicate_cluster=[-1, 4, -1, 4, 4, -1],
        sha256=["x", "y", "x", "z", "w", "z"],
    )
    found = leaks(samples)
    assert found.to_dict("list") == {
        "kind": ["person", "duplicate cluster", "file content"],
        "unit": ["ann", "4", "z"],
        "splits": ["test, train", "test, validation", "train, validation"],
        "images": [2, 3, 2],
    }


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("subject_id", ["a", None, None, ""]),
        ("subject_id", [1.0, np.nan, np.nan, 2.0]),
        ("duplicate_cluster", [-1, -1, 3, 3]),
        ("duplicate_cluster", [np.nan, np.nan, 0.0, 0.0]),
        ("sha256", ["p", "q", "r", "r"]),
    ],
)
def test_what_nobody_knows_is_not_one_person(column, values):
    samples = table(split=["train", "test", "validation", "validation"], **{column: values})
    assert leaks(samples).empty
    require_no_leak(samples)


def test_a_table_without_people_or_duplicates_cannot_leak():
    require_no_leak(table(split=["train", "test"]))
    require_no_leak(table(split=["train"], subject_id=["a"]))


def test_the_message_counts_and_names_the_first_three_of_each_kind():
    people = [f"p{row // 2}" for row in range(10)]
    samples = table(
        split=["train", "test"] * 5, subject_id=people, sha256=["one"] * 2 + list("abcdefgh")
    )
    with pytest.raises(SplitLeakageError) as caught:
        require_no_leak(samples, "do this")
    assert str(caught.value) == (
        "5 people, 1 file content stand on more than one side of the split, first: person p0 "
        "(test, train), p1 (test, train), p2 (test, train); file content one (test, train); do this"
    )
    samples["path"] = [f"/x/{('train', 'val')[row % 2]}/{row}.jpg" for row in range(10)]
    with pytest.raises(
        SplitLeakageError, match=r" \(the first: test: /x/val/1\.jpg, train: /x/train/0\.jpg\); do"
    ):
        require_no_leak(samples, "do this")


def test_it_agrees_with_counting_row_by_row():
    generator = np.random.default_rng(0)
    for _ in range(50):
        size = int(generator.integers(1, 40))
        samples = table(
            split=generator.choice(["train", "validation", "test"], size),
            subject_id=generator.choice(["a", "b", "c", "d", "e", ""], size),
            duplicate_cluster=generator.integers(-1, 6, size),
        )
        expected = 0
        for column, nobody in [("subject_id", ""), ("duplicate_cluster", -1)]:
            for unit in set(samples[column]) - {nobody}:
                expected += samples["split"][samples[column] == unit].nunique() > 1
        assert len(leaks(samples)) == expected

"""Whom weights reach: every kind of group by hand."""

import numpy as np
import pandas as pd

from debias.weighting.reach import reach, readings


def table(rows) -> pd.DataFrame:
    columns = ["group", "count", "before", "after", "random_low", "random_high", "auc", "low"]
    return pd.DataFrame(rows, columns=columns)


def names(found) -> dict[str, list[str]]:
    kinds = ("reached", "lowered", "missed", "unclear")
    return {kind: list(getattr(found, kind)["group"]) for kind in kinds}


def test_each_group_falls_into_its_kind():
    found = reach(
        table(
            [
                ("common", 700, 0.70, 0.55, 0.68, 0.72, 0.40, 0.38),
                ("found", 100, 0.10, 0.25, 0.08, 0.12, 0.80, 0.75),
                ("harmed", 100, 0.10, 0.05, 0.08, 0.12, 0.30, 0.25),
                ("untouched", 50, 0.05, 0.06, 0.03, 0.07, 0.51, 0.45),
                ("odd", 50, 0.05, 0.09, 0.03, 0.07, 0.53, 0.48),
            ]
        )
    )
    assert names(found) == {
        "reached": ["found"], "lowered": ["harmed"], "missed": ["untouched"], "unclear": ["odd"],
    }  # fmt: skip
    sentences = readings(found)
    assert sentences[0] == "Harm: the weights lower the share of harmed (10.0% to 5.0%)."
    assert "raise the share of found (10.0% to 25.0%)" in sentences[1]
    assert (
        "no better than random weights of equal effective sample size for untouched"
        in (sentences[2])
    )
    assert "reach odd cannot be told" in sentences[3]
    assert len(sentences) == 4


def test_a_group_that_is_a_whole_class_is_left_out():
    even = (50, 0.5, 0.5, 0.5, 0.5)
    rows = [("m", *even, np.nan, np.nan), ("f", *even, None, None)]
    assert names(reach(table(rows))) == {
        "reached": [], "lowered": [], "missed": [], "unclear": [],
    }  # fmt: skip


def test_partial_annotation_cannot_tell_who_is_harmed():
    found = reach(
        table(
            [
                ("a", 20, 0.02, 0.01, 0.015, 0.025, 0.40, 0.30),
                ("unknown", 980, 0.98, 0.99, 0.975, 0.985, 0.60, 0.55),
            ]
        )
    )
    assert found.partly
    assert names(found) == {"reached": [], "lowered": [], "missed": [], "unclear": ["a"]}

"""The reports of a run's arms, read from its folder again, and what is kept out of them."""

import numpy as np
import pandas as pd
from small_store import make_store

from debias.pipeline.classifier import side_by_side
from debias.pipeline.fairness import (
    small_training_groups,
    without,
)
from debias.statistics.withholding import hidden_counts


def test_training_groups_of_a_few_images_are_found():
    store = make_store()
    attribute = store.attributes[0]
    sizes = store.groups(store.rows("train"))[attribute].value_counts()
    names = {f"{attribute}:{value}" for value in sizes.index}
    assert not small_training_groups(store, 1)
    assert names <= small_training_groups(store, int(sizes.max()) + 1)


def test_figures_lose_the_rows_that_would_tell():
    figures = {"ess": 0.5, "share_by_group": {"a": 1, "b": 2}, "auc_by_group": {"a": 3, "b": 4}}
    assert without(figures, frozenset({"a"})) == {
        "ess": 0.5, "share_by_group": {"b": 2}, "auc_by_group": {"b": 4}
    }  # fmt: skip


def test_runs_lie_side_by_side_by_rate_and_each_cell_says_how_sure():
    table = pd.DataFrame(
        {
            "attribute": "race",
            "group": ["race:A", "race:B", "race:C"],
            "metric": "accuracy",
            "value": [0.9, np.nan, 0.5],
            "low": [0.8, np.nan, 0.2],
            "high": [0.95, np.nan, 0.8],
            "denominator": [1200.0, np.nan, 12.0],
            "state": ["estimated", "suppressed", "too_small"],
        }
    )
    found = side_by_side(table)
    assert found.columns[:2].tolist() == ["rate", "measured"]
    assert found["rate"].tolist() == [f"accuracy of race:{name}" for name in "ABC"]
    assert found["measured"].tolist() == [
        "90.0% [80.0%, 95.0%], n = 1,200", "suppressed", "50.0% [20.0%, 80.0%], n = 12, too small"
    ]  # fmt: skip


def test_without_groups_there_is_a_table_without_rows():
    columns = ["attribute", "group", "metric", "value", "low", "high", "denominator", "state"]
    found = side_by_side(pd.DataFrame({name: [] for name in columns}))
    assert found.columns.tolist() == ["rate", "measured", *columns]
    assert len(found) == 0
    assert hidden_counts(pd.DataFrame(index=range(3)), 11) == {}

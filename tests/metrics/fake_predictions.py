"""Predictions without a classifier, and the answers a plain loop over masks gives for them."""

import numpy as np
import pandas as pd

from debias.metrics import Rules, each_training, outcomes_of_trainings
from debias.types import Predictions


def predictions_of(y_true, y_pred, *, score=None, ids=None, **about):
    """Predictions whose score leads to the given classes at a threshold of 0.5."""
    y_true, y_pred = np.asarray(y_true, dtype=np.int64), np.asarray(y_pred)
    ids = [f"id{i:05d}" for i in range(len(y_true))] if ids is None else ids
    return Predictions(
        sample_ids=np.array(ids, dtype=str),
        y_true=y_true,
        score=np.where(y_pred == 1, 0.9, 0.1) if score is None else score,
        threshold=0.5,
        **{"arm": "uniform", "seed": 0, "split": "test", **about},
    )


def groups_of(ids, **columns):
    return pd.DataFrame(columns, index=pd.Index(ids, name="sample_id"))


def random_case(n=1200, seed=3):
    """Samples in 3 x 2 cells, with scores that treat the cells differently."""
    generator = np.random.default_rng(seed)
    race = generator.choice(["White", "Black", "Asian"], n)
    gender = generator.choice(["Female", "Male"], n)
    y_true = generator.integers(0, 2, n)
    shift = 0.8 * (race == "White") - 0.5 * (gender == "Male")
    score = 1 / (1 + np.exp(-(2.2 * y_true - 1.1 + shift + generator.normal(size=n))))
    predictions = predictions_of(y_true, score >= 0.5, score=score)
    return predictions, groups_of(predictions.sample_ids, race=race, gender=gender)


def evaluate_predictions(predictions, groups, rules=None):
    """One training measured by itself."""
    outcomes = outcomes_of_trainings([predictions], groups, ("0", "1"))
    return each_training(outcomes, rules or Rules(), predictions.arm)[0]


def half_right(correct_a, correct_b, *, n=50, **fields):
    """Predictions on two groups of n, alternating classes, with so many correct in each."""
    y_true = np.tile([0, 1], n)
    right = np.concatenate([np.arange(n) < correct_a, np.arange(n) < correct_b])
    predictions = predictions_of(y_true, np.where(right, y_true, 1 - y_true), **fields)
    return predictions, groups_of(predictions.sample_ids, tone=["dark"] * n + ["light"] * n)


def two_groups(correct_a, correct_b, **options):
    """Report on them."""
    return evaluate_predictions(*half_right(correct_a, correct_b, **options))


def cell(report, group, metric="accuracy"):
    """The one row of a group and a metric."""
    table = report.by_group
    rows = table[(table["group"] == group) & (table["metric"] == metric)]
    assert len(rows) == 1
    return rows.iloc[0]

"""Columns whose rows stand in different orders: joined by their labels or refused, never mixed."""

import numpy as np
import pandas as pd
import pytest

import debias
from debias.errors import DataError, EvaluationError
from debias.statistics.rows import in_one_order, row_labels

ROWS = 60
TRUTH = pd.Series(np.arange(ROWS) % 2)
GROUPS = pd.DataFrame({"g": np.where(np.arange(ROWS) % 3, "B", "A")})
GUESS = TRUTH.where(GROUPS["g"] == "B", 1 - TRUTH)  # always wrong for A, always right for B
ORDER = np.random.default_rng(0).permutation(ROWS)
NAMES = [f"img{row}.jpg" for row in range(ROWS)]


def rates(*given, **named):
    table = debias.evaluate(*given, **named, suppress_below=1).by_group
    table = table[table["metric"] == "accuracy"]
    return dict(zip(table["group"], table["value"], strict=True))


@pytest.mark.parametrize(
    ("truth", "guess", "groups"),
    [
        (TRUTH, GUESS, GROUPS.loc[ORDER]),
        (TRUTH, GUESS.loc[ORDER], GROUPS),
        (TRUTH.loc[ORDER], GUESS, {"g": GROUPS["g"]}),
        (TRUTH.set_axis(NAMES), GUESS.set_axis(NAMES), GROUPS.set_axis(NAMES).loc[::-1, "g"]),
        (TRUTH.to_numpy(), GUESS.loc[ORDER].sort_index(), GROUPS.loc[ORDER]),
        (TRUTH.set_axis(NAMES), GUESS.to_numpy(), list(GROUPS["g"])),
        (TRUTH.set_axis([0] * ROWS), GUESS.set_axis([0] * ROWS), GROUPS["g"].to_numpy()),
    ],
)
def test_rates_do_not_depend_on_the_order_of_labelled_rows(truth, guess, groups):
    found = rates(truth, guess, groups=groups)
    assert list(found.values()) == [0.0, 1.0]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (GROUPS.set_axis(range(1000, 1000 + ROWS)), "0 of 60 labels in the index of groups"),
        (GROUPS.set_axis(range(1, 1 + ROWS)), "59 of 60 labels in .* that of y_true, 60 is not"),
        (GROUPS.iloc[:-1].set_axis(range(1, ROWS)), "give both the same index, or, if their rows"),
        ({"g": GROUPS["g"].loc[ORDER].set_axis([7] * ROWS)}, "a row more than once, first 7"),
    ],
)  # fmt: skip
def test_labels_that_agree_in_part_are_refused(groups, message):
    with pytest.raises(EvaluationError, match=message):
        rates(TRUTH, GUESS, groups=groups)


def test_two_reports_are_joined_by_the_index_that_names_their_rows():
    named, mixed = TRUTH.set_axis(NAMES), TRUTH.set_axis(NAMES).iloc[ORDER]
    shown = {"suppress_below": 1}
    before = debias.evaluate(named, GUESS.to_numpy(), groups=GROUPS["g"].to_numpy(), **shown)
    groups = GROUPS["g"].to_numpy()[ORDER]
    after = debias.evaluate(mixed, mixed.to_numpy(), groups=groups, **shown)
    changes = debias.compare(before, after).groups.query("metric == 'accuracy'")
    assert dict(zip(changes["group"], changes["change"], strict=True)) == {
        "group:A": 1.0, "group:B": 0.0,
    }  # fmt: skip


def test_weights_follow_the_labels_of_their_rows():
    z = pd.DataFrame(np.random.default_rng(1).normal(size=(ROWS, 3)), index=NAMES)
    labels, groups = TRUTH.set_axis(NAMES), GROUPS["g"].set_axis(NAMES)
    plain = debias.latent_weights(z, labels)
    assert list(plain.sample_ids) == NAMES
    mixed = debias.latent_weights(z, labels.iloc[ORDER])
    np.testing.assert_array_equal(mixed.probability, plain.probability)
    asked = {"target": "groups", "groups": groups.iloc[ORDER]}
    even = debias.latent_weights(z, labels, **asked)
    assert even.probability[groups == "A"].sum() == pytest.approx(0.5)
    with pytest.raises(DataError, match="which row of groups belongs to which of z"):
        debias.latent_weights(z, target="groups", groups=GROUPS["g"])
    shares = [one.describe(groups.iloc[order])["by_group"] for one in (plain, mixed)
              for order in (ORDER, slice(None))]  # fmt: skip
    for other in shares[1:]:
        pd.testing.assert_frame_equal(other, shares[0])
    rows = debias.latent_weights(z.to_numpy(), labels.to_numpy())  # no row has a name there
    assert list(rows.sample_ids) == list(range(ROWS))
    pd.testing.assert_frame_equal(rows.describe(groups)["by_group"], shares[0])
    pd.testing.assert_frame_equal(
        rows.describe(GROUPS["g"].loc[ORDER])["by_group"], shares[0]
    )  # fmt: skip
    found = debias.LatentWeights().fit(z, labels.iloc[ORDER]).sample_weight_
    np.testing.assert_array_equal(found, debias.LatentWeights().fit(z, labels).sample_weight_)
    sampler = debias.LatentResampler(random_state=0)
    _, classes = sampler.fit_resample(z, labels.iloc[ORDER])
    assert classes.tolist() == labels.iloc[sampler.sample_indices_].tolist()


def test_what_has_no_labels_is_left_as_it_is():
    given = {"a": [3, 1], "b": np.zeros(2), "c": None, "d": {}}
    assert in_one_order(**given) == given
    assert row_labels([1], np.ones(3), pd.Series([1, 2])) is None
    assert row_labels(pd.Series([1, 2], index=[5, 5])) is None
    assert list(row_labels(None, pd.Series([1, 2], index=["b", "a"]))) == ["b", "a"]

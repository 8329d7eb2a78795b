"""Laws that every weighting obeys, and what each rule is for."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from debias.density import HistogramDensity, estimate
from debias.errors import NonFiniteWeightError, WeightDegeneracyError, WeightError
from debias.types import Latents, SamplingWeights, TrainingTable
from debias.weighting import WEIGHTINGS, GroupBalance, LatentRarity, Uniform
from debias.weighting.figures import describe, expected_distinct, share_by_group, top_share


def table(log_factors, labels=None, groups=None) -> TrainingTable:
    size = len(log_factors)
    return TrainingTable(
        sample_ids=np.array([f"s{row}" for row in range(size)]),
        labels=np.zeros(size, dtype=np.int64) if labels is None else np.asarray(labels),
        log_factors=np.asarray(log_factors, dtype=float),
        groups=np.full(size, "a") if groups is None else np.asarray(groups),
    )


def rarity(**settings) -> LatentRarity:
    return LatentRarity(allow_degenerate=True, **settings)


def random_table(size=2000, factors=5, seed=0) -> TrainingTable:
    generator = np.random.default_rng(seed)
    return table(
        -generator.exponential(3, (size, factors)),
        generator.integers(0, 2, size),
        generator.choice(["a", "b"], size, p=[0.9, 0.1]),
    )


@pytest.mark.parametrize("rule", WEIGHTINGS.values(), ids=WEIGHTINGS)
class TestContract:
    def test_weights_are_probabilities_of_the_given_samples(self, rule):
        given_table = random_table()
        weights = rule(**allowed(rule)).weights(given_table)
        np.testing.assert_array_equal(weights.sample_ids, given_table.sample_ids)
        assert (weights.probability >= 0).all()
        assert weights.probability.sum() == pytest.approx(1, abs=1e-9)

    def test_row_order_does_not_matter(self, rule):
        one = random_table()
        order = np.random.default_rng(1).permutation(len(one.labels))
        other = TrainingTable(
            sample_ids=one.sample_ids[order],
            labels=one.labels[order],
            log_factors=one.log_factors[order],
            groups=one.groups[order],
        )
        expected = rule(**allowed(rule)).weights(one).probability[order]
        np.testing.assert_allclose(
            rule(**allowed(rule)).weights(other).probability, expected, rtol=1e-9
        )

    def test_the_share_of_each_class_is_kept(self, rule):
        given_table = random_table()
        weights = rule(**allowed(rule)).weights(given_table)
        share = np.bincount(given_table.labels, weights.probability)
        np.testing.assert_allclose(share, np.bincount(given_table.labels) / 2000)

    def test_input_is_left_alone(self, rule):
        given_table = random_table()
        before = given_table.log_factors.copy()
        rule(**allowed(rule)).weights(given_table)
        np.testing.assert_array_equal(given_table.log_factors, before)

    def test_settings_survive_a_round_trip(self, rule):
        assert rule.model_validate(rule().model_dump(mode="json")) == rule()


def allowed(rule) -> dict[str, bool]:
    return {"allow_degenerate": True} if "allow_degenerate" in rule.model_fields else {}


def test_published_formula_by_hand():
    # Masses 3/4, 3/4, 3/4, 1/4 without smoothing: weights 4/3, 4/3, 4/3, 4 of 8.
    weights = rarity(alpha=1e-300, ess="published").weights(table(np.log([[0.75]] * 3 + [[0.25]])))
    np.testing.assert_allclose(weights.probability, [1 / 6, 1 / 6, 1 / 6, 1 / 2])
    assert weights.origin["tau"] == 1


def test_product_and_max_by_hand():
    factors = np.log([[0.5, 0.5], [0.5, 0.1]])
    product = rarity(alpha=0.1, ess="published").weights(table(factors)).probability
    largest = rarity(alpha=0.1, ess="published", combine="max").weights(table(factors)).probability
    # 1/(.6*.6) against 1/(.6*.2), and 1/.6 against 1/.2: both 1 to 3.
    np.testing.assert_allclose(product, [0.25, 0.75])
    np.testing.assert_allclose(largest, [0.25, 0.75])
    one = table(factors[:, 1:])
    np.testing.assert_allclose(
        rarity(ess="published", combine="max").weights(one).probability,
        rarity(ess="published").weights(one).probability,
    )


@given(
    size=st.integers(50, 300),
    factors=st.sampled_from([1, 2, 30, 200, 2048]),
    ess=st.floats(0.05, 0.99),
    combine=st.sampled_from(["product", "max"]),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=60, deadline=None, derandomize=True)
def test_any_continuous_rarity_reaches_the_declared_effective_sample_size(
    size, factors, ess, combine, seed
):
    given_table = random_table(size, factors, seed)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("ignore", "the weights are uneven")
        weights = rarity(ess=ess, combine=combine, alpha=1e-9, cap=1e9).weights(given_table)
    assert np.isfinite(weights.probability).all()
    assert weights.ess == pytest.approx(ess, rel=0.01)


def test_no_weight_exceeds_the_cap():
    weights = rarity(ess=0.1, cap=5, alpha=1e-12).weights(random_table())
    assert weights.probability.max() * 2000 <= 5 * (1 + 1e-9)
    assert weights.origin["capped"] == (weights.probability * 2000 > 5 * (1 - 1e-9)).sum()
    assert weights.ess == pytest.approx(0.1, rel=0.01) or weights.ess > 0.1


def test_a_rarer_sample_never_gets_less():
    given_table = random_table()
    rule = rarity(ess=0.3)
    weights, score = rule.weights(given_table).probability, rule.log_rarity(given_table)
    for label in (0, 1):
        here = given_table.labels == label
        order = np.argsort(score[here])
        assert (np.diff(weights[here][order]) >= 0).all()


def test_large_alpha_and_constant_density_give_plain_sampling():
    uniform = np.full(2000, 1 / 2000)
    even = rarity(alpha=1e12, ess="published").weights(random_table()).probability
    np.testing.assert_allclose(even, uniform, rtol=1e-6)
    with pytest.warns(UserWarning, match="every sample is equally rare"):
        constant = rarity().weights(table(np.full((2000, 3), -2.0))).probability
    np.testing.assert_allclose(constant, uniform)


def test_ties_that_leave_nothing_closer_are_said():
    # One rare sample in 100: the effective sample size has little to choose from.
    factors = np.log(np.array([[0.99]] * 99 + [[0.01]]))
    with pytest.warns(UserWarning, match="effective sample size"):
        rarity(ess=0.5, cap=2).weights(table(factors))


def test_degenerate_weights_are_refused_unless_allowed_by_name():
    with pytest.raises(WeightDegeneracyError, match=r"250 of 500 .*distinct.*allow_degenerate"):
        LatentRarity().weights(random_table(500))
    assert rarity().weights(random_table(500)).ess == pytest.approx(0.5, rel=0.01)
    with pytest.raises(WeightDegeneracyError, match="at least 1% and 1000 samples"):
        LatentRarity(ess=0.005, cap=1e9).weights(random_table(200_000, 1))


def test_uneven_but_allowed_weights_warn():
    with pytest.warns(UserWarning, match=r"the weights are uneven.*15\.0%"):
        LatentRarity(ess=0.15).weights(random_table(10_000))


def test_what_cannot_be_weighed_says_why():
    with pytest.raises(WeightError, match="needs the density"):
        LatentRarity().weights(
            TrainingTable(sample_ids=np.array(["a"]), labels=np.zeros(1, dtype=np.int64))
        )
    with pytest.raises(NonFiniteWeightError, match="NaN"):
        rarity().weights(table([[np.nan], [0.0]]))
    with pytest.raises(WeightError, match="group_balance needs group annotations"):
        GroupBalance().weights(
            TrainingTable(sample_ids=np.array(["a"]), labels=np.zeros(1, dtype=np.int64))
        )


def test_group_balance_by_hand():
    # Class 0: a a a b, class 1: a b. Each group gets half of its class.
    given_table = table(
        np.zeros((6, 1)), np.array([0, 0, 0, 0, 1, 1]), np.array(["a", "a", "a", "b", "a", "b"])
    )
    weights = GroupBalance(allow_degenerate=True).weights(given_table).probability
    np.testing.assert_allclose(weights, [1 / 9, 1 / 9, 1 / 9, 1 / 3, 1 / 6, 1 / 6])
    across = GroupBalance(allow_degenerate=True, within_class=False).weights(given_table)
    np.testing.assert_allclose(across.probability, [1 / 8, 1 / 8, 1 / 8, 1 / 4, 1 / 8, 1 / 4])


def test_a_planted_minority_gains_weight_without_a_label():
    """The setting of the method's table: 5 % shifted by two sd in 3 of 100 dimensions."""
    generator = np.random.default_rng(0)
    z = generator.normal(size=(20_000, 100))
    minority = np.arange(20_000) < 1000
    z[minority, :3] += 2
    latents = Latents(
        sample_ids=np.array([f"s{row}" for row in range(20_000)]),
        mean=z,
        log_var=np.zeros_like(z),
        encoder="test",
    )
    labels = np.zeros(20_000, dtype=np.int64)
    shares = {}
    for components in (None, 1):
        factors = estimate(HistogramDensity(components=components), latents, labels)
        weights = LatentRarity(ess=0.5).weights(table(factors.values, labels))
        shares[components] = weights.probability[minority].sum()
    assert shares[None] > 0.07  # published here: product, tempered: 0.078
    assert shares[1] > 0.15  # first component: 0.184


def test_figures_of_plain_sampling_and_of_one_heavy_sample():
    size = 10_000
    ids = np.array([f"s{row}" for row in range(size)])
    plain = Uniform().weights(TrainingTable(sample_ids=ids, labels=np.zeros(size, dtype=np.int64)))
    figures = describe(plain)
    assert figures["ess"] == pytest.approx(1)
    assert figures["largest"] == pytest.approx(1)
    assert figures["top_1_percent"] == pytest.approx(0.01)
    assert figures["unique_per_epoch"] == pytest.approx(size * (1 - math.exp(-1)), rel=1e-3)
    assert expected_distinct(np.array([1.0, 0.0])) == 1
    assert top_share(np.array([0.7, 0.1, 0.1, 0.1]), 0.25) == pytest.approx(0.7)


def test_random_weights_of_equal_effective_size_stay_inside_their_own_control():
    """The control: dealt-out weights say nothing about a group; targeted ones stand out."""
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 4000)
    groups = np.where(np.arange(4000) < 200, "rare", "common")
    inside = 0
    for seed in range(20):
        draw = np.random.default_rng(seed).exponential(size=4000)
        weights = SamplingWeights(
            sample_ids=np.arange(4000).astype(str), probability=draw / draw.sum()
        )
        share = share_by_group(weights, groups, labels, generator)["rare"]
        inside += share["random_low"] <= share["after"] <= share["random_high"]
    assert inside >= 16
    targeted = np.where(groups == "rare", 3.0, 1.0)
    weights = SamplingWeights(
        sample_ids=np.arange(4000).astype(str), probability=targeted / targeted.sum()
    )
    share = share_by_group(weights, groups, labels, generator)["rare"]
    assert share["before"] == pytest.approx(0.05)
    assert share["after"] == pytest.approx(600 / 4400)
    assert share["after"] > share["random_high"]

"""Laws that every weighting obeys, and what each rule is for."""

import math

import numpy as np
import pytest

from debias.density import FittedHistogram, HistogramDensity, rarity
from debias.density.points import Limits
from debias.errors import DataError, NonFiniteWeightError, WeightDegeneracyError, WeightError
from debias.statistics import concentration
from debias.types import Latents, TrainingTable
from debias.weighting import WEIGHTINGS, GroupBalance, LatentRarity, ReferenceRatio, Uniform
from debias.weighting.weights import SamplingWeights


def table(score, labels=None, groups=None, membership=None) -> TrainingTable:
    size = len(score)
    return TrainingTable(
        sample_ids=np.array([f"s{row}" for row in range(size)]),
        labels=np.zeros(size, dtype=np.int64) if labels is None else np.asarray(labels),
        score=np.asarray(score, dtype=float),
        groups=np.full(size, "a") if groups is None else np.asarray(groups),
        membership=membership,
    )


def latent(**settings) -> LatentRarity:
    return LatentRarity(allow_degenerate=True, **settings)


def random_table(size=2000, seed=0) -> TrainingTable:
    generator = np.random.default_rng(seed)
    return table(
        generator.exponential(3, size),
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
            score=one.score[order],
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
        before = given_table.score.copy()
        rule(**allowed(rule)).weights(given_table)
        np.testing.assert_array_equal(given_table.score, before)

    def test_settings_survive_a_round_trip(self, rule):
        assert rule.model_validate(rule().model_dump(mode="json")) == rule()


def allowed(rule) -> dict[str, bool]:
    return {"allow_degenerate": True} if "allow_degenerate" in rule.model_fields else {}


def test_published_formula_by_hand():
    # Masses 3/4, 3/4, 3/4, 1/4 without smoothing: weights 4/3, 4/3, 4/3, 4 of 8.
    score = -np.log([0.75] * 3 + [0.25])
    weights = latent(alpha=1e-300, ess="published").weights(table(score))
    np.testing.assert_allclose(weights.probability, [1 / 6, 1 / 6, 1 / 6, 1 / 2])
    assert weights.origin["tau"] == 1


def test_product_and_max_by_hand():
    limits = Limits(low=np.zeros(2), high=np.ones(2))
    fitted = FittedHistogram(limits=limits, counts=(np.array([5, 5]), np.array([5, 1, 4])))
    z = np.array([[0.0, 0.0], [0.0, 0.5]])  # masses 1/2 and 1/2, 1/2 and 1/10
    for combine in ("product", "max"):
        score = fitted.log_rarity(z, alpha=0.1, combine=combine)
        found = latent(ess="published").weights(table(score)).probability
        # 1/(.6*.6) against 1/(.6*.2), and 1/.6 against 1/.2: both 1 to 3.
        np.testing.assert_allclose(found, [0.25, 0.75])


def test_large_alpha_and_constant_density_give_plain_sampling():
    uniform = np.full(2000, 1 / 2000)
    z = np.random.default_rng(0).exponential(3, (2000, 5))
    even = HistogramDensity().fit(z).log_rarity(z, alpha=1e12)
    found = latent(ess="published").weights(table(even)).probability
    np.testing.assert_allclose(found, uniform, rtol=1e-6)
    with pytest.warns(UserWarning, match="every sample is equally rare"):
        constant = latent().weights(table(np.full(2000, -2.0))).probability
    np.testing.assert_allclose(constant, uniform)


def test_degenerate_weights_are_refused_unless_allowed_by_name():
    with pytest.raises(WeightDegeneracyError, match=r"25 of 500 .*distinct.*allow_degenerate"):
        LatentRarity(ess=0.05, cap=1e9).weights(random_table(500))
    assert latent().weights(random_table(500)).ess == pytest.approx(0.5, rel=0.01)
    with pytest.raises(WeightDegeneracyError, match="at least 2000 are needed"):
        LatentRarity(ess=0.005, cap=1e9).weights(random_table(200_000))


def test_a_small_set_is_no_degenerate_one():
    assert LatentRarity().weights(random_table(436)).effective_sample_size == pytest.approx(
        218, rel=0.01
    )
    assert LatentRarity().weights(random_table(40)).ess == pytest.approx(0.5, rel=0.05)


def test_groups_are_not_told_to_raise_an_ess_that_they_do_not_have():
    size = 1000
    groups = np.where(np.arange(size) < 1, "b", "a")
    lone = TrainingTable(
        sample_ids=np.arange(size).astype(str), labels=np.zeros(size, dtype=np.int64), groups=groups
    )
    with pytest.raises(WeightDegeneracyError, match="balance fewer attributes") as refused:
        GroupBalance().weights(lone)
    assert "'ess'" not in str(refused.value)


def test_uneven_but_allowed_weights_warn():
    with pytest.warns(UserWarning, match=r"the weights are uneven.*15\.0%"):
        LatentRarity(ess=0.15).weights(random_table(10_000))


def test_what_cannot_be_weighed_says_why():
    bare = TrainingTable(sample_ids=np.array(["a"]), labels=np.zeros(1, dtype=np.int64))
    with pytest.raises(WeightError, match="latent_rarity needs a score"):
        LatentRarity().weights(bare)
    with pytest.raises(WeightError, match="reference_ratio needs a score"):
        ReferenceRatio().weights(bare)
    with pytest.raises(NonFiniteWeightError, match="1 samples are not finite, first s0"):
        latent().weights(table([np.nan, 0.0]))
    with pytest.raises(NonFiniteWeightError, match="first s1"):
        latent().weights(table([0.0, np.inf]))
    with pytest.raises(WeightError, match="group_balance needs group annotations"):
        GroupBalance().weights(bare)
    with pytest.raises(WeightError, match="every group is empty"):
        GroupBalance().weights(table([0.0, 0.0], groups=["", ""]))
    with pytest.raises(WeightError, match="1 of 2 groups are empty"):
        GroupBalance().weights(table([0.0, 0.0], groups=["a", ""]))
    with pytest.raises(WeightError, match=r"membership has shape \(2, 3\), expected \(2, 1\)"):
        GroupBalance().weights(table([0.0, 0.0], groups=["a", ""], membership=np.ones((2, 3))))


def test_group_balance_by_hand():
    # Class 0: a a a b, class 1: a b. Each group gets half of its class.
    given_table = table(
        np.zeros(6), np.array([0, 0, 0, 0, 1, 1]), np.array(["a", "a", "a", "b", "a", "b"])
    )
    weights = GroupBalance(allow_degenerate=True).weights(given_table).probability
    np.testing.assert_allclose(weights, [1 / 9, 1 / 9, 1 / 9, 1 / 3, 1 / 6, 1 / 6])
    across = GroupBalance(allow_degenerate=True, within_class=False).weights(given_table)
    np.testing.assert_allclose(across.probability, [1 / 8, 1 / 8, 1 / 8, 1 / 4, 1 / 8, 1 / 4])


def test_partly_annotated_groups_by_hand():
    # a, a, b annotated; the fourth is b with probability 0.8. Expected counts: a 2.2, b 1.8.
    groups = ["a", "a", "b", ""]
    membership = np.array([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.2, 0.8]])
    given_table = table(np.zeros(4), groups=groups, membership=membership)
    weights = GroupBalance(allow_degenerate=True).weights(given_table)
    fourth = 0.2 / 2.2 + 0.8 / 1.8
    np.testing.assert_allclose(
        weights.probability, np.array([1 / 2.2, 1 / 2.2, 1 / 1.8, fourth]) / 2
    )
    assert weights.origin["annotated"] == 3


def test_certain_membership_is_annotation():
    given_table = random_table()
    certain = (given_table.groups[:, None] == np.array(["a", "b"])).astype(float)
    hidden = np.where(np.arange(2000) < 300, given_table.groups, "")
    partial = table(given_table.score, given_table.labels, hidden, certain)
    rule = GroupBalance(allow_degenerate=True)
    np.testing.assert_allclose(
        rule.weights(partial).probability, rule.weights(given_table).probability
    )


def test_reference_ratio_with_a_true_ratio_gives_the_shares_of_the_target():
    # 5% of the samples and half of the target: ratios 0.5 / 0.05 and 0.5 / 0.95.
    rare = np.arange(2000) < 100
    score = np.where(rare, np.log(0.5 / 0.05), np.log(0.5 / 0.95))
    weights = ReferenceRatio(ess="published", allow_degenerate=True).weights(table(score))
    assert weights.probability[rare].sum() == pytest.approx(0.5)


def test_a_planted_minority_gains_weight_without_a_label():
    """The setting of the method's table: 5% shifted by two sd in 3 of 100 dimensions."""
    generator = np.random.default_rng(0)
    z = generator.normal(size=(20_000, 100))
    minority = np.arange(20_000) < 1000
    z[minority, :3] += 2
    latents = Latents(sample_ids=np.array([f"s{row}" for row in range(20_000)]), mean=z)
    labels = np.zeros(20_000, dtype=np.int64)
    shares = {}
    for components in (None, 1):
        found = rarity(HistogramDensity(components=components), latents, labels, alpha=0.01)
        weights = LatentRarity(ess=0.5).weights(table(found.score, labels))
        shares[components] = weights.probability[minority].sum()
    assert shares[None] > 0.07  # published here: product, tempered: 0.078
    assert shares[1] > 0.15  # first component: 0.184


def test_figures_of_plain_sampling_and_of_one_heavy_sample():
    size = 10_000
    ids = np.array([f"s{row}" for row in range(size)])
    plain = Uniform().weights(TrainingTable(sample_ids=ids, labels=np.zeros(size, dtype=np.int64)))
    figures = plain.describe()
    assert figures["ess"] == pytest.approx(1)
    assert figures["largest"] == pytest.approx(1)
    assert figures["top_1_percent"] == pytest.approx(0.01)
    assert figures["unique_per_epoch"] == pytest.approx(size * (1 - math.exp(-1)), rel=1e-3)
    assert concentration.expected_distinct(np.array([1.0, 0.0])) == 1
    assert concentration.top_share(np.array([0.7, 0.1, 0.1, 0.1]), 0.25) == pytest.approx(0.7)


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
        share = rare_share(weights, groups, labels)
        inside += share["random_low"] <= share["after"] <= share["random_high"]
    assert inside >= 16
    targeted = np.where(groups == "rare", 3.0, 1.0)
    weights = SamplingWeights(
        sample_ids=np.arange(4000).astype(str), probability=targeted / targeted.sum()
    )
    share = rare_share(weights, groups, labels)
    assert share["before"] == pytest.approx(0.05)
    assert share["after"] == pytest.approx(600 / 4400)
    assert share["after"] > share["random_high"]


def rare_share(weights, groups, labels):
    return weights.describe(groups, labels)["by_group"].set_index("group").loc["rare"]


def test_describe_says_whether_weights_find_a_group():
    generator = np.random.default_rng(0)
    groups = np.where(np.arange(4000) < 200, "rare", "common")
    draw = np.where(groups == "rare", 3.0, 1.0) * generator.uniform(0.5, 1.5, 4000)
    weights = SamplingWeights(sample_ids=np.arange(4000).astype(str), probability=draw / draw.sum())
    rows = weights.describe(groups)["by_group"].set_index("group")
    assert list(rows["count"]) == [3800, 200]
    assert rows.loc["rare", "low"] > 0.9 > 0.5 > rows.loc["common", "high"]
    assert rows["before"].sum() == pytest.approx(1)
    assert rows["after"].sum() == pytest.approx(1)
    with pytest.raises(DataError, match="they must agree"):
        weights.describe(groups[:10])

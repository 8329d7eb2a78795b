"""Histograms: by hand, against NumPy, in shards, at any size and scale; principal components."""

import tracemalloc
import warnings
from functools import reduce

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA

from debias.density import FittedHistogram, HistogramDensity, Points, rarity
from debias.density.histogram import AUTO_LIMIT
from debias.density.points import limits_of
from debias.density.principal import Moments, PrincipalComponents, noise_edge
from debias.errors import AllDimensionsInactiveError, EmptyDatasetError, WeightError
from debias.types import Latents, TrainingTable
from debias.weighting import LatentRarity

Z = np.random.default_rng(0).normal(size=(500, 5))
PLAIN = HistogramDensity(components=None)


def planted(size, width, seed=0):
    """Standard normal points of which the first 5% are shifted by 2 in three dimensions."""
    z = np.random.default_rng(seed).normal(size=(size, width))
    z[: size // 20, :3] += 2
    return z


def share_of_minority(z) -> float:
    latents = Latents(sample_ids=np.arange(len(z)), mean=z)
    labels = np.zeros(len(z), dtype=np.int64)
    score = rarity(HistogramDensity(), latents, labels, alpha=0.01).score
    table = TrainingTable(sample_ids=latents.sample_ids, labels=labels, score=score)
    weights = LatentRarity(ess=0.5, allow_degenerate=True).weights(table)
    assert weights.ess == pytest.approx(0.5, rel=0.01)
    return float(weights.probability[: len(z) // 20].sum())


class TestByHand:
    def test_four_values_in_two_bins(self):
        # Bins [0, 0.5) and [0.5, 1]: three values and one.
        z = np.array([[0.0], [0.1], [0.2], [1.0]])
        fitted = HistogramDensity(bins=2, components=None).fit(z)
        assert [counts.tolist() for counts in fitted.counts] == [[3, 1]]
        np.testing.assert_allclose(np.exp(fitted.log_factors(z))[:, 0], [0.75, 0.75, 0.75, 0.25])
        expected = -np.log([0.85, 0.85, 0.85, 0.35])
        np.testing.assert_allclose(fitted.log_rarity(z, alpha=0.1), expected)
        np.testing.assert_allclose(fitted.edges[0], [0, 0.5, 1])

    def test_an_edge_belongs_to_the_bin_above(self):
        fitted = HistogramDensity(bins=2, components=None).fit(np.array([[0.0], [0.5], [1.0]]))
        assert fitted.counts[0].tolist() == [1, 2]

    def test_product_and_largest_summand(self):
        z = np.array([[0.0, 0.0], [0.0, 1.0], [0.0, 1.0], [1.0, 1.0]])
        fitted = HistogramDensity(bins=2, components=None).fit(z)
        first, second = -np.log(np.array([[0.75, 0.25], [0.75, 0.75], [0.25, 0.75]]) + 0.1).T
        of = z[[0, 1, 3]]
        np.testing.assert_allclose(fitted.log_rarity(of, alpha=0.1), first + second)
        np.testing.assert_allclose(
            fitted.log_rarity(of, alpha=0.1, combine="max"), np.maximum(first, second)
        )

    def test_values_outside_count_into_the_outer_bins(self):
        fitted = HistogramDensity(bins=2, components=None).fit(
            np.array([[0.0], [0.1], [0.2], [1.0]])
        )
        outside = np.array([[-1e300], [9.0], [0.3]])
        np.testing.assert_allclose(np.exp(fitted.log_factors(outside))[:, 0], [0.75, 0.25, 0.75])
        assert fitted.outside(outside) == 2
        assert fitted.refit(outside).counts[0].tolist() == [2, 1]
        assert HistogramDensity().fit(Z).outside(Z) == 0

    def test_an_empty_bin_has_mass_zero(self):
        fitted = HistogramDensity(bins=3, components=None).fit(np.array([[0.0], [0.1], [1.0]]))
        assert fitted.log_factors(np.array([[0.5]])).item() == -np.inf
        np.testing.assert_allclose(fitted.log_rarity(np.array([[0.5]]), alpha=0.01), -np.log(0.01))

    def test_a_constant_column_says_nothing(self):
        z = np.column_stack([Z[:, 0], np.full(len(Z), 0.1)])
        fitted = PLAIN.fit(z)
        np.testing.assert_array_equal(fitted.log_factors(z)[:, 1], 0)
        np.testing.assert_array_equal(
            fitted.log_factors(z)[:, :1], PLAIN.fit(z[:, :1]).log_factors(z[:, :1])
        )

    @pytest.mark.parametrize("components", [None, "auto", 1])
    def test_all_constant_is_refused(self, components):
        with pytest.raises(AllDimensionsInactiveError, match="all 2 dimensions are constant"):
            HistogramDensity(components=components).fit(np.full((9, 2), 0.1))

    def test_no_sample_is_refused(self):
        for points in (Points(mean=Z[:0]), Points(mean=Z, weight=np.zeros(len(Z)))):
            with pytest.raises(EmptyDatasetError, match="there is no sample"):
                HistogramDensity().fit(points)


class TestAgainstNumPy:
    @pytest.mark.parametrize("bins", [2, 10, 37])
    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_counts(self, bins, dtype):
        z = Z.astype(dtype)
        fitted = HistogramDensity(bins=bins, components=None).fit(z)
        for column, counts in zip(z.T.astype(np.float64), fitted.counts, strict=True):
            np.testing.assert_array_equal(np.histogram(column, bins)[0], counts)

    @pytest.mark.parametrize("draw", ["normal", "exponential", "uniform", "standard_t"])
    @pytest.mark.parametrize("size", [50, 5000, 100_000])
    def test_automatic_bins(self, draw, size):
        generator = np.random.default_rng(size)
        z = (
            generator.standard_t(3, size)
            if draw == "standard_t"
            else getattr(generator, draw)(size=size)
        )
        found = len(HistogramDensity(bins="auto", components=None).fit(z[:, None]).counts[0])
        expected = min(len(np.histogram_bin_edges(z, "auto")) - 1, AUTO_LIMIT)
        assert found == pytest.approx(expected, rel=0.05, abs=1)

    def test_automatic_bins_stay_few_beside_a_far_value(self):
        z = np.append(np.random.default_rng(0).normal(size=9999), 1e9)[:, None]
        assert len(HistogramDensity(bins="auto", components=None).fit(z).counts[0]) == AUTO_LIMIT


@pytest.mark.parametrize("scale", [1e-310, 1e-12, 1e-6, 1.0, 1e6, 1e12, 1e300])
@pytest.mark.parametrize("components", [None, "auto", 3])
@pytest.mark.parametrize("bins", [10, "auto"])
def test_the_unit_of_a_dimension_does_not_matter(scale, components, bins):
    density = HistogramDensity(bins=bins, components=components)
    expected = density.fit(Z).log_rarity(Z, alpha=0.01)
    moved = Z.copy()
    moved[:, 1] = moved[:, 1] * scale + 3 * scale
    tolerance = 1e-3 if scale < 1e-300 else 1e-9  # denormal numbers have few digits
    same = np.isclose(density.fit(moved).log_rarity(moved, alpha=0.01), expected, rtol=tolerance)
    assert same.mean() > (0.98 if scale < 1e-300 else 0.999)


def test_whole_numbers_stay_in_their_bins_in_any_unit():
    # 0.3 / 0.1 is 2.9999999999999996.
    z = np.random.default_rng(0).integers(0, 11, size=(1000, 1)).astype(float)
    expected = PLAIN.fit(z).counts[0]
    for unit in (0.1, 1 / 3, 7e-9):
        np.testing.assert_array_equal(PLAIN.fit(z * unit + 5 * unit).counts[0], expected)
    np.testing.assert_array_equal(PLAIN.fit((z * 0.1).astype(np.float32)).counts[0], expected)


def test_an_offset_far_above_the_spread():
    z = 1e9 + np.round(Z * 1024) / 1024  # exact in both places
    assert (PLAIN.fit(z).log_factors(z) == PLAIN.fit(z - 1e9).log_factors(z - 1e9)).all()
    near, far = HistogramDensity().fit(z - 1e9), HistogramDensity().fit(z)
    np.testing.assert_allclose(far.log_factors(z), near.log_factors(z - 1e9))


class TestShards:
    @settings(max_examples=40, deadline=None)
    @given(cuts=st.lists(st.integers(0, 500), max_size=4), bins=st.sampled_from([10, "auto"]))
    def test_merged_counts_are_those_of_the_whole(self, cuts, bins):
        density = HistogramDensity(bins=bins, components=None)
        shards = [Points(mean=part) for part in np.split(Z, sorted(cuts))]
        empty = density.empty(shards)
        merged = reduce(FittedHistogram.merge, map(empty.partial_fit, shards))
        in_turn = reduce(FittedHistogram.partial_fit, shards, empty)
        for whole, *others in zip(
            density.fit(Z).counts, merged.counts, in_turn.counts, strict=True
        ):
            assert whole.dtype == np.int64
            for other in others:
                np.testing.assert_array_equal(whole, other)

    def test_components_of_shards_are_those_of_the_whole(self):
        z = planted(3000, 8)
        shards = [Points(mean=part) for part in np.array_split(z, 3)]
        whole, empty = HistogramDensity().fit(z), HistogramDensity().empty(shards)
        np.testing.assert_allclose(empty.projection(z), whole.projection(z), atol=1e-9)
        merged = reduce(FittedHistogram.merge, map(empty.partial_fit, shards))
        np.testing.assert_array_equal(merged.counts[0], whole.counts[0])

    def test_other_bins_are_refused(self):
        with pytest.raises(WeightError, match="different bins cannot be merged"):
            PLAIN.fit(Z).merge(PLAIN.fit(2 * Z))
        with pytest.raises(WeightError, match="different bins cannot be merged"):
            PLAIN.fit(Z).merge(HistogramDensity(bins=5, components=None).fit(Z))


@pytest.mark.parametrize("components", [None, "auto"])
def test_a_whole_weight_is_a_repetition_and_0_is_absence(components):
    weight = np.random.default_rng(1).integers(0, 4, len(Z))
    weight[np.abs(Z).argmax(axis=0)] = 0  # the range as well comes from those that count
    weighted = HistogramDensity(components=components).fit(
        Points(mean=Z, weight=weight.astype(float))
    )
    repeated = HistogramDensity(components=components).fit(np.repeat(Z, weight, axis=0))
    for left, right in zip(weighted.counts, repeated.counts, strict=True):
        np.testing.assert_array_equal(left, right)


def test_rows_and_columns_are_picked():
    rows, columns = np.arange(0, 500, 3), np.array([4, 1])
    picked = HistogramDensity(components=2).fit(Points(mean=Z, rows=rows, columns=columns))
    copied = HistogramDensity(components=2).fit(Z[rows][:, columns])
    np.testing.assert_array_equal(picked.counts, copied.counts)


@pytest.mark.parametrize("order", ["C", "F", "reversed"])
def test_the_layout_in_memory_does_not_matter(order):
    z = Z[:, ::-1].copy()[:, ::-1] if order == "reversed" else np.asarray(Z, order=order)
    expected = HistogramDensity().fit(Z)
    np.testing.assert_array_equal(HistogramDensity().fit(z).counts, expected.counts)


@pytest.mark.parametrize("components", [None, "auto"])
def test_an_array_on_disk_needs_little_memory(tmp_path, components):
    size, width = 400_000, 40  # 64 MB
    z = np.lib.format.open_memmap(tmp_path / "z.npy", "w+", np.float32, (size, width))
    generator = np.random.default_rng(0)
    for start in range(0, size, 50_000):
        z[start : start + 50_000] = generator.standard_normal((50_000, width), dtype=np.float32)
    z.flush()
    z = np.load(tmp_path / "z.npy", mmap_mode="r")
    density = HistogramDensity(components=components)
    density.fit(z[:1000]).log_rarity(z[:1000], alpha=0.01)  # compile
    tracemalloc.start()
    try:
        fitted = density.fit(z)
        score = fitted.log_rarity(z, alpha=0.01)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak - score.nbytes < 4e7 * (1 if components is None else 4)
    assert fitted.counts[0].sum() == size


class TestPlantedMinority:
    """Method: 5% of n = 20,000, shifted by 2 sd in 3 of 100 dimensions; one component 0.184."""

    def test_it_gains_weight_without_a_label(self):
        assert share_of_minority(planted(20_000, 100)) > 0.15

    def test_two_thousand_dimensions_are_no_trouble(self):
        z = planted(4000, 2000).astype(np.float32)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            share_of_minority(z)  # meets its effective sample size
            score = PLAIN.fit(z).log_rarity(z, alpha=0.01)
        assert np.isfinite(score).all()
        assert score[:200].mean() > score[200:].mean()


class TestPrincipalComponents:
    def test_scikit_learn_agrees(self):
        z = Z @ np.random.default_rng(1).normal(size=(5, 5))
        found = PrincipalComponents.fit(Points(mean=z, log_var=np.zeros_like(z)), 3)(z)
        expected = PCA(3, whiten=True).fit_transform(z) * np.sqrt(len(z) / (len(z) - 1))
        np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=1e-10)

    @pytest.mark.parametrize("shape", [(500, 5), (30, 50)])
    def test_components_are_whitened(self, shape):
        z = np.random.default_rng(2).normal(size=shape)
        found = PrincipalComponents.fit(Points(mean=z), 4)(z)
        np.testing.assert_allclose(found.mean(axis=0), 0, atol=1e-12)
        np.testing.assert_allclose(found.T @ found / len(z), np.eye(4), atol=1e-10)

    def test_few_points_take_a_shorter_way_to_the_same_place(self):
        z = np.random.default_rng(3).normal(size=(30, 50))
        few = PrincipalComponents.fit(Points(mean=z), 4)
        many = PrincipalComponents.of_moments(
            Moments.of(Points(mean=z), limits_of(Points(mean=z))), 4
        )
        np.testing.assert_allclose(few(z), many(z), atol=1e-9)

    def test_moments_merge(self):
        limits = limits_of(Points(mean=Z))
        whole = Moments.of(Points(mean=Z), limits)
        parts = [Moments.of(Points(mean=part), limits) for part in (Z[:7], Z[7:])]
        merged = parts[0].merge(parts[1])
        x = (Z - Z.min(axis=0)) / np.ptp(Z, axis=0)
        for found in (whole, merged):
            np.testing.assert_allclose(found.mean, x.mean(axis=0))
            np.testing.assert_allclose(found.scatter / 500, np.cov(x.T, bias=True))

    def test_noise_keeps_one_component_and_structure_all_of_its_own(self):
        noise = np.random.default_rng(4).normal(size=(2000, 50))
        assert HistogramDensity().fit(noise).about["factors"] == 1
        hidden = np.random.default_rng(5).normal(size=(2000, 3))
        loadings = np.linalg.qr(np.random.default_rng(6).normal(size=(50, 3)))[0]
        mixed = noise + 4 * hidden @ loadings.T
        assert HistogramDensity().fit(mixed).about["factors"] == 3

    def test_noise_stands_out_from_noise_in_one_of_a_hundred_cases(self):
        generator = np.random.default_rng(7)
        edge = noise_edge(300.0, 20)
        above = sum(
            np.linalg.eigvalsh(np.cov(generator.normal(size=(300, 20)).T))[-1] > edge
            for _ in range(1000)
        )
        assert 1 <= above <= 25

    def test_with_a_posterior_the_unit_is_the_prior(self):
        z = Z * [0.3, 1, 1, 1, 3]
        posterior = PrincipalComponents.fit(Points(mean=z, log_var=np.zeros_like(z)), "auto")
        assert posterior.directions.shape[1] == 1  # the one of variance 9
        leading = np.corrcoef(posterior(z)[:, 0], z[:, 4])[0, 1]
        assert abs(leading) > 0.99

    def test_more_components_than_directions_are_refused(self):
        with pytest.raises(WeightError, match=r"components is 6.*at most 5 directions"):
            HistogramDensity(components=6).fit(Z)
        doubled = np.column_stack([Z[:, 0], 2 * Z[:, 0] + 1, np.ones(500)])
        with pytest.raises(WeightError, match=r"components is 2.*2 active.*at most 1 directions"):
            HistogramDensity(components=2).fit(doubled)

    def test_the_sign_does_not_depend_on_the_order_of_the_rows(self):
        # Of two standardised dimensions both loadings are equally large.
        z = Z[:, :2]
        first = PrincipalComponents.fit(Points(mean=z), 2)
        again = PrincipalComponents.fit(Points(mean=z[::-1].copy()), 2)
        np.testing.assert_allclose(first.directions, again.directions, rtol=1e-9)

"""Every registered density obeys the same laws; the histogram is also computed by hand."""

import numpy as np
import pytest

from debias.density import DENSITIES, HistogramDensity, active_dimensions, estimate
from debias.errors import AllDimensionsInactiveError, WeightError
from debias.types import Latents

Z = np.random.default_rng(0).normal(size=(500, 5))


def latents(mean) -> Latents:
    mean = np.asarray(mean, dtype=float)
    ids = np.array([f"s{row}" for row in range(len(mean))])
    return Latents(sample_ids=ids, mean=mean, log_var=np.zeros_like(mean), encoder="test")


@pytest.mark.parametrize("density", DENSITIES.values(), ids=DENSITIES)
class TestContract:
    def test_one_finite_row_per_sample(self, density):
        factors = density().fit(Z).log_factors(Z)
        assert factors.shape[0] == len(Z)
        assert np.isfinite(factors).all()

    def test_row_order_does_not_matter(self, density):
        order = np.random.default_rng(1).permutation(len(Z))
        expected = density().fit(Z).log_factors(Z)[order]
        np.testing.assert_allclose(density().fit(Z[order]).log_factors(Z[order]), expected)

    def test_input_is_left_alone(self, density):
        before = Z.copy()
        density().fit(Z).log_factors(Z)
        np.testing.assert_array_equal(Z, before)

    def test_a_common_region_is_denser_than_a_far_one(self, density):
        fitted = density().fit(Z)
        near, far = np.zeros((1, 5)), np.full((1, 5), 6.0)
        assert fitted.log_factors(near).sum() > fitted.log_factors(far).sum()

    def test_settings_survive_a_round_trip(self, density):
        assert density.model_validate(density().model_dump(mode="json")) == density()


def test_four_values_in_two_bins_by_hand():
    # Bins [0, 0.5) and [0.5, 1]: three values and one.
    z = np.array([[0.0], [0.1], [0.2], [1.0]])
    factors = HistogramDensity(bins=2).fit(z).log_factors(z)
    np.testing.assert_allclose(np.exp(factors[:, 0]), [0.75, 0.75, 0.75, 0.25])


@pytest.mark.parametrize("bins", [2, 10, "auto"])
@pytest.mark.parametrize("components", [None, 3])
def test_masses_of_every_factor_sum_to_one(bins, components):
    fitted = HistogramDensity(bins=bins, components=components).fit(Z)
    assert len(fitted.mass) == (components or 5)
    for mass in fitted.mass:
        assert mass.sum() == pytest.approx(1)


@pytest.mark.parametrize("scale", [1e-12, 1e-6, 1.0, 1e6, 1e12])
def test_masses_do_not_change_with_scale_and_offset(scale):
    expected = HistogramDensity().fit(Z).log_factors(Z)
    moved = Z * scale + 3 * scale
    np.testing.assert_allclose(HistogramDensity().fit(moved).log_factors(moved), expected)


def test_numpy_agrees_on_the_counts():
    fitted = HistogramDensity(bins=10).fit(Z)
    for column, mass in zip(Z.T, fitted.mass, strict=True):
        np.testing.assert_allclose(np.histogram(column, 10)[0] / len(Z), mass)


def test_values_outside_count_into_the_outer_bin():
    fitted = HistogramDensity(bins=2).fit(np.array([[0.0], [0.1], [0.2], [1.0]]))
    outside = np.array([[-5.0], [9.0], [0.3]])
    np.testing.assert_allclose(np.exp(fitted.log_factors(outside))[:, 0], [0.75, 0.25, 0.75])
    assert fitted.outside(outside) == 2


def test_a_constant_column_says_nothing_and_all_constant_is_an_error():
    z = np.column_stack([Z[:, 0], np.full(len(Z), 3.0)])
    np.testing.assert_array_equal(HistogramDensity().fit(z).log_factors(z)[:, 1], 0)
    with pytest.raises(AllDimensionsInactiveError, match="all 2 dimensions are constant"):
        HistogramDensity().fit(np.ones((9, 2)))


def test_more_components_than_dimensions_are_refused():
    with pytest.raises(WeightError, match=r"components is 6.*at most 5"):
        HistogramDensity(components=6).fit(Z)


def test_inactive_dimensions_are_dropped_and_named():
    mean = Z * np.array([1, 0.05, 1, 0, 1])
    assert active_dimensions(mean).tolist() == [True, False, True, False, True]
    found = estimate(HistogramDensity(), latents(mean), np.zeros(len(Z), dtype=np.int64))
    assert found.dropped_dimensions == (1, 3)
    assert found.values.shape == (len(Z), 3)
    with pytest.raises(AllDimensionsInactiveError, match="none of 5 latent dimensions"):
        estimate(HistogramDensity(), latents(0 * Z), np.zeros(len(Z), dtype=np.int64))


def test_each_class_is_measured_by_itself():
    labels = (np.arange(len(Z)) % 2).astype(np.int64)
    mean = Z + 100 * labels[:, None]
    found = estimate(HistogramDensity(), latents(mean), labels, "class")
    for label in (0, 1):
        alone = HistogramDensity().fit(mean[labels == label]).log_factors(mean[labels == label])
        np.testing.assert_allclose(found.values[labels == label], alone)
    assert not np.allclose(
        estimate(HistogramDensity(), latents(mean), labels, "all").values, found.values
    )

"""The aggregated posterior, by hand, by simulation and against the histogram."""

from dataclasses import replace

import numpy as np
import pytest

from debias.density import AggregateDensity, HistogramDensity, Points
from debias.errors import AllDimensionsInactiveError, WeightError

Z = np.random.default_rng(0).normal(size=(400, 3))


def spread(z, deviation, **more) -> Points:
    z = np.asarray(z, dtype=float)
    return Points(mean=z, log_var=np.broadcast_to(2 * np.log(deviation), z.shape), **more)


def test_three_posteriors_in_two_bins_by_hand():
    # The edge at 0.5 lies one deviation above 0 and one below 1; Phi(1) = 0.841345.
    z = np.array([[0.0], [0.0], [1.0]])
    factors = AggregateDensity(bins=2).fit(spread(z, 0.5)).log_factors(z)
    below = (2 * 0.841345 + 0.158655) / 3
    np.testing.assert_allclose(np.exp(factors[:, 0]), [below, below, 1 - below], atol=1e-6)


@pytest.mark.parametrize("log_var", [-40.0, -2000.0])
@pytest.mark.parametrize("bins", [2, 7, "auto"])
@pytest.mark.parametrize("components", [None, 2])
def test_without_spread_it_is_the_histogram(log_var, bins, components):
    known = Points(mean=Z, log_var=np.full(Z.shape, log_var))
    found = AggregateDensity(bins=bins, components=components).fit(known).log_factors(Z)
    expected = HistogramDensity(bins=bins, components=components).fit(known).log_factors(Z)
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_a_mean_without_spread_on_an_edge_belongs_to_the_bin_above():
    z = np.array([[0.0], [1.0], [1.0], [2.0]])
    known = Points(mean=z, log_var=np.full(z.shape, -2000.0))
    factors = AggregateDensity(bins=2).fit(known).log_factors(z)
    np.testing.assert_allclose(np.exp(factors[:, 0]), [0.25, 0.75, 0.75, 0.75])


def test_it_is_where_draws_from_the_posteriors_fall():
    deviation = np.random.default_rng(1).uniform(0.05, 2, size=Z.shape)
    fitted = AggregateDensity(bins=6).fit(Points(mean=Z, log_var=2 * np.log(deviation)))
    draws = Z + deviation * np.random.default_rng(2).normal(size=(500, *Z.shape))
    low, high = Z[:, 0].min(), Z[:, 0].max()
    inside = np.clip(draws[..., 0].ravel(), low, high)
    share = np.histogram(inside, bins=6, range=(low, high))[0] / len(inside)
    middles = np.linspace(low, high, 13)[1::2]
    at = np.column_stack([middles, np.zeros((6, 2))])
    np.testing.assert_allclose(np.exp(fitted.log_factors(at)[:, 0]), share, atol=0.005)


def test_what_lies_outside_belongs_to_the_outer_bins():
    at = np.repeat(np.linspace(Z.min(axis=0), Z.max(axis=0), 9)[1::2], 1, axis=0)
    masses = np.exp(AggregateDensity(bins=4).fit(spread(Z, 1e6)).log_factors(at))
    np.testing.assert_allclose(masses[[0, -1]], 0.5, atol=1e-5)
    np.testing.assert_allclose(masses.sum(axis=0), 1)


@pytest.mark.parametrize("components", [None, 2])
def test_merged_shards_equal_the_whole(components):
    weight = np.random.default_rng(3).uniform(0, 2, size=len(Z))
    known = spread(Z, 0.3, weight=weight)
    whole = AggregateDensity(components=components).fit(known)
    shards = [known.of(np.arange(start, len(Z), 3)) for start in range(3)]
    empty = AggregateDensity(components=components).empty(shards)
    first, second, third = map(empty.partial_fit, shards)
    merged = first.merge(second).merge(third)
    np.testing.assert_allclose(merged.log_factors(Z), whole.log_factors(Z), rtol=1e-9)
    again = empty.partial_fit(shards[0]).partial_fit(shards[1]).partial_fit(shards[2])
    np.testing.assert_allclose(again.log_factors(Z), whole.log_factors(Z), rtol=1e-9)
    assert not np.allclose(first.log_factors(Z), whole.log_factors(Z))
    with pytest.raises(WeightError, match="different bins"):
        first.merge(AggregateDensity(bins=3, components=components).fit(known))


def test_the_spread_is_turned_with_the_directions():
    # Draws from the posteriors, projected, fall where the projected posteriors say.
    deviation = np.array([0.1, 0.8, 0.3])
    known = Points(mean=Z, log_var=np.broadcast_to(2 * np.log(deviation), Z.shape))
    fitted = AggregateDensity(bins=5, components=1).fit(known)
    draws = Z + deviation * np.random.default_rng(2).normal(size=(500, *Z.shape))
    points = replace(fitted, spread=False)
    drawn = points.refit(draws.reshape(-1, 3))
    np.testing.assert_allclose(fitted.mass[0], drawn.mass[0], atol=0.005)
    assert np.abs(fitted.mass[0] - points.refit(Z).mass[0]).max() > 0.02


def test_it_is_filled_piece_by_piece(monkeypatch):
    whole = AggregateDensity().fit(spread(Z, 0.3)).log_factors(Z)
    monkeypatch.setattr("debias.density.points.VALUES_AT_ONCE", 100)
    pieces = AggregateDensity().fit(spread(Z, 0.3)).log_factors(Z)
    np.testing.assert_allclose(pieces, whole, rtol=1e-12)


def test_a_wide_posterior_smooths_and_a_constant_column_says_nothing():
    z = np.column_stack([Z[:, 0], np.full(len(Z), 3.0)])
    narrow = AggregateDensity().fit(spread(z, 0.01)).log_factors(z)
    wide = AggregateDensity().fit(spread(z, 1.0)).log_factors(z)
    assert np.ptp(wide[:, 0]) < np.ptp(narrow[:, 0])
    np.testing.assert_array_equal(wide[:, 1], 0)


def test_points_without_a_posterior_and_constant_ones_are_refused():
    with pytest.raises(WeightError, match="needs the posterior variance"):
        AggregateDensity().fit(Z)
    with pytest.raises(WeightError, match="needs the posterior variance"):
        AggregateDensity().fit(spread(Z, 0.1)).refit(Z)
    with pytest.raises(AllDimensionsInactiveError):
        AggregateDensity().fit(spread(np.ones((9, 2)), 0.1))

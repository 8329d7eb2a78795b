"""Nearest neighbours and mixtures, by hand and against densities that are known."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal, spearmanr

from debias.density import ClusterDensity, MixtureDensity, NeighbourDensity, Points, sized
from debias.density.joint import canonical_order
from debias.errors import AllDimensionsInactiveError, WeightError
from debias.plugins import dump

GENERATOR = np.random.default_rng(0)
COVARIANCE = np.array([[1.0, 0.6], [0.6, 2.0]])
CLOUD = GENERATOR.multivariate_normal([3, -1], COVARIANCE, size=4000)
CLUSTERS = np.vstack([CLOUD[:3200], 0.5 * GENERATOR.normal(size=(800, 2)) + [12, 4]])
BOTH = [NeighbourDensity(components=2), MixtureDensity(components=2)]


def log_volume(fitted) -> float:
    """Natural log of the whitened volume of a unit cube of the latent space."""
    corner = fitted.projection(np.zeros((1, 2)))
    return float(np.linalg.slogdet(fitted.projection(np.eye(2)) - corner)[1])


def log_density(fitted, z) -> np.ndarray:
    return fitted.log_factors(z)[:, 0] + log_volume(fitted)


@pytest.mark.parametrize("estimator", BOTH, ids=lambda chosen: chosen.name)
@pytest.mark.parametrize("z", [CLOUD, CLUSTERS], ids=["cloud", "clusters"])
def test_it_integrates_to_about_one(estimator, z):
    fitted = estimator.fit(z)
    low, high = z.min(axis=0) - 2, z.max(axis=0) + 2
    (x, dx), (y, dy) = (
        np.linspace(*ends, 200, retstep=True) for ends in zip(low, high, strict=True)
    )
    total = np.exp(log_density(fitted, np.stack(np.meshgrid(x, y), -1).reshape(-1, 2))).sum()
    # The tails of nearest neighbours are too heavy: 1 / r^f never ends.
    assert total * dx * dy == pytest.approx(1, abs=0.25 if estimator.name == "knn" else 0.01)


@pytest.mark.parametrize(
    ("estimator", "error"),
    [(BOTH[0], 0.2), (BOTH[1], 0.05), (NeighbourDensity(neighbours=200, components=2), 0.2)],
)
def test_it_is_near_a_known_density(estimator, error):
    fitted = estimator.fit(CLOUD)
    fresh = np.random.default_rng(2).multivariate_normal([3, -1], COVARIANCE, size=500)
    known = multivariate_normal([3, -1], COVARIANCE).logpdf(fresh)
    common = known > np.quantile(known, 0.1)
    difference = log_density(fitted, fresh) - known
    assert np.sqrt(np.mean(difference[common] ** 2)) < error


def test_three_points_and_their_nearest_neighbours_by_hand():
    # Distances 1, 1 and 2: the last point lies in a region half as dense, which is 1/2 of typical.
    z = np.array([[0.0], [1.0], [3.0]])
    fitted = NeighbourDensity(neighbours=1, components=1).fit(z)
    np.testing.assert_allclose(
        fitted.log_rarity(z, alpha=0.25), -np.log([1.25, 1.25, 0.75]), atol=1e-9
    )
    # 1 / (2 others * ball of length 2 r), r in whitened units.
    r = np.diff(fitted.projection(z)[:2, 0])[0]
    np.testing.assert_allclose(np.exp(fitted.log_factors(z)[0, 0]), 1 / (2 * 2 * abs(r)))


def test_only_a_fitted_point_is_left_out_of_its_own_neighbours():
    z = np.array([[0.0], [1.0], [3.0]])
    fitted = NeighbourDensity(neighbours=1, components=1).fit(z)
    # Half-way between two points: 3 others, the nearest at 0.5; at a point: 2 others, 1 away.
    between, at = np.exp(fitted.log_factors(np.array([[0.5], [1.0]]))[:, 0])
    assert between / at == pytest.approx((1 / 3 / 0.5) / (1 / 2 / 1))


def test_copies_are_dense_but_not_infinitely_so():
    z = np.vstack([CLOUD[:300], np.repeat(CLOUD[:1], 60, axis=0)])
    fitted = NeighbourDensity(neighbours=5, components=2).fit(z)
    factors = fitted.log_factors(z)[:, 0]
    assert np.isfinite(factors).all()
    assert factors[-1] == factors[0] == factors.max()
    # A thousandth of the typical distance, in two dimensions.
    assert factors[0] - np.median(factors) == pytest.approx(2 * np.log(1000), abs=0.5)


@pytest.mark.parametrize(("z", "found"), [(CLOUD, 1), (CLUSTERS, 2)])
def test_the_number_of_gaussians_follows_from_the_samples(z, found):
    assert MixtureDensity(components=2).fit(z).about["gaussians"] == found
    assert MixtureDensity(components=2, gaussians=3).fit(z).about["gaussians"] == 3


def test_a_rare_cluster_is_rarer_for_the_mixture():
    fitted = MixtureDensity(components=2).fit(CLUSTERS)
    small = np.vstack([CLUSTERS[:3200], CLUSTERS[3200:3230]])
    middle = np.array([[12.0, 4.0]])
    moved = fitted.refit(small)
    assert moved.about["gaussians"] == 2
    assert moved.log_rarity(middle, alpha=0.01) > fitted.log_rarity(middle, alpha=0.01)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_seed_of_the_mixture_hardly_matters(seed):
    found = MixtureDensity(components=2, seed=seed).fit(CLUSTERS).log_factors(CLUSTERS)
    expected = MixtureDensity(components=2, seed=9).fit(CLUSTERS).log_factors(CLUSTERS)
    np.testing.assert_allclose(found, expected, atol=0.1)


def test_brute_force_in_many_directions_leaves_the_point_itself_out_too():
    z = np.random.default_rng(4).normal(size=(300, 8))
    fitted = NeighbourDensity(neighbours=1, components=8).fit(z)
    w = fitted.projection(z)
    apart = np.linalg.norm(w[:, None] - w, axis=2)
    nearest = np.sort(apart, axis=1)[:, 1]
    factors = fitted.log_factors(z)[:, 0]
    np.testing.assert_allclose(
        factors - factors[0], -8 * (np.log(nearest) - np.log(nearest[0])), atol=1e-6
    )


def test_neighbours_are_looked_up_piece_by_piece(monkeypatch):
    whole = NeighbourDensity(components=2).fit(CLOUD).log_factors(CLOUD)
    monkeypatch.setattr("debias.density.knn.VALUES_AT_ONCE", 20_000)
    pieces = NeighbourDensity(components=2).fit(CLOUD).log_factors(CLOUD)
    np.testing.assert_allclose(pieces, whole, rtol=1e-12)


def test_more_neighbours_than_others_are_lowered():
    assert NeighbourDensity(neighbours=50).fit(CLOUD[:10]).about["neighbours"] == 9
    assert NeighbourDensity().fit(CLOUD[:100]).about["neighbours"] == 10


@pytest.mark.parametrize("shape", ["one cloud", "clusters"])
def test_some_of_many_samples_stand_for_all(shape, monkeypatch):
    generator = np.random.default_rng(5)
    z = generator.normal(size=(6000, 8))
    if shape == "clusters":
        of = generator.integers(0, 10, 6000)
        z = generator.normal(size=(10, 8))[of] + z * np.linspace(0.2, 1, 10)[of, None]
    every = NeighbourDensity(neighbours=300, components=8)
    exact = every.fit(z)
    monkeypatch.setattr("debias.density.knn.ENOUGH", 2000)
    some = every.fit(z)
    assert exact.about["compared_with"] == 6000
    assert some.about == {"directions": 8, "neighbours": 300, "compared_with": 2000}
    found, expected = some.log_factors(z)[:, 0], exact.log_factors(z)[:, 0]
    assert spearmanr(found, expected).statistic > 0.99
    assert np.median(found - expected) == pytest.approx(0, abs=0.05)
    np.testing.assert_array_equal(every.fit(z).log_factors(z)[:, 0], found)


def test_fifty_of_the_neighbours_are_left_among_the_samples_compared_with(monkeypatch):
    monkeypatch.setattr("debias.density.knn.ENOUGH", 500)
    z = np.random.default_rng(6).normal(size=(3000, 8))

    def compared_with(**given):
        return NeighbourDensity(components=8, **given).fit(z).about["compared_with"]

    assert compared_with(neighbours=100) == 1500
    assert compared_with(neighbours=1000) == 500
    assert compared_with(neighbours=1000, among=2000) == 2000
    assert compared_with(neighbours=10) == 3000
    assert NeighbourDensity(components=5).fit(z).about["compared_with"] == 3000


def test_only_settings_for_many_samples_say_that_some_stand_for_all():
    few = {"name": "knn", "neighbours": "auto", "components": "auto"}
    assert dump(sized(NeighbourDensity(), 50_000)) == few
    assert dump(sized(NeighbourDensity(), 50_001)) == few | {"among": 50_000}
    assert dump(sized(NeighbourDensity(among=9), 50_001)) == few | {"among": 9}
    assert sized(MixtureDensity(), 50_001) == MixtureDensity()


@pytest.mark.parametrize("estimator", BOTH, ids=lambda chosen: chosen.name)
def test_a_query_far_away_is_finite_and_as_rare_as_alpha_allows(estimator):
    fitted = estimator.fit(CLOUD)
    found = fitted.log_rarity(np.array([[1e9, -1e9]]), alpha=0.01)
    np.testing.assert_allclose(found, -np.log(0.01), rtol=1e-3)


@pytest.mark.parametrize("estimator", BOTH, ids=lambda chosen: chosen.name)
def test_bad_input_is_named(estimator):
    with pytest.raises(WeightError, match="at least 2 samples, got 1"):
        estimator.fit(CLOUD[:1])
    with pytest.raises(AllDimensionsInactiveError, match="all 2 dimensions are constant"):
        estimator.fit(np.ones((9, 2)))
    with pytest.raises(WeightError, match="at least 2 samples, got 1"):
        estimator.fit(CLOUD).refit(CLOUD[:1])


def test_the_canonical_order_depends_on_neither_sorting_nor_scale():
    z = GENERATOR.normal(size=(1000, 40))
    shuffle = np.random.default_rng(1).permutation(len(z))
    scaled = 1e6 + z[shuffle] * 10.0 ** np.linspace(-3, 9, 40)
    first, second = (canonical_order(Points(mean=array)) for array in (z, scaled))
    np.testing.assert_array_equal(first, shuffle[second])


def test_the_share_of_a_cluster_by_hand():
    z = np.array([[0.0, 0.1], [0.1, 0.0], [0.05, 0.05], [9.0, 9.0]])
    fitted = ClusterDensity(clusters=2, components=1).fit(z)
    np.testing.assert_allclose(fitted.log_factors(z)[:, 0], np.log([0.75, 0.75, 0.75, 0.25]))
    # The typical share is that of the median sample, 3/4.
    found = fitted.log_rarity(z, alpha=0.5)
    np.testing.assert_allclose(found, -np.log([1.5, 1.5, 1.5, 1 / 3 + 0.5]))
    assert fitted.refit(z[[3, 3]]).log_factors(z)[:, 0].tolist() == [-np.inf] * 3 + [0.0]
    assert ClusterDensity().fit(z).about["clusters"] == 4  # no more than samples


def test_the_nearest_centre_is_the_smallest_distance():
    distances = np.array([[1.0, 5.0, 4.0], [2.0, 6.0, 9.0], [7.0, 8.0, 1.0], [0.5, 3.0, 2.0]])
    fitted = ClusterDensity(clusters="nearest").fit(distances)
    np.testing.assert_allclose(
        fitted.log_factors(distances)[:, 0], np.log([0.75, 0.75, 0.25, 0.75])
    )
    assert fitted.about == {"directions": 3, "clusters": 3}

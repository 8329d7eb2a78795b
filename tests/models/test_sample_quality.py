"""Distances between sets of features, on sets small enough to count by hand."""

import numpy as np
import pytest

from debias.models.quality.samples import (
    all_scores,
    frechet_distance,
    kernel_distance,
    neighbour_scores,
    with_intervals,
)


def column(*values):
    return np.array(values, dtype=np.float64)[:, None]


def normal(n, mean=0.0, spread=1.0, d=2, seed=0):
    return np.random.default_rng(seed).normal(mean, spread, (n, d))


def test_frechet_distance_of_one_feature_is_that_of_two_normals():
    # Means 1 and 5, standard deviations 1 and 3 (divisor n - 1): (1 - 5)^2 + (1 - 3)^2.
    assert frechet_distance(column(0, 1, 2), column(2, 5, 8)) == pytest.approx(20)
    assert frechet_distance(column(0, 1, 2), column(2, 1, 0)) == pytest.approx(0, abs=1e-12)


def test_frechet_distance_of_correlated_features():
    # Of covariances that commute: sum of (sqrt(l) - sqrt(m))^2 over eigenvalues on common axes.
    axes = np.array([[1.0, 1.0], [1.0, -1.0]]) / np.sqrt(2)
    points = np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]])  # covariance 2/3 in both directions
    one, other = points * [3, 1] @ axes, points * [2, 2] @ axes
    assert frechet_distance(one, other) == pytest.approx(2 / 3 * ((3 - 2) ** 2 + (1 - 2) ** 2))


def test_kernel_distance_by_hand():
    # d = 1: k(x, y) = (x y + 1)^3. Real 0, 1: k = 1. Drawn 1, 2: k = 27. Across: 1, 1, 8, 27.
    expected = 1 + 27 - 2 * (1 + 1 + 8 + 27) / 4
    assert kernel_distance(column(0, 1), column(1, 2)) == pytest.approx(expected)


def test_kernel_distance_is_unbiased_around_zero_for_equal_sets():
    found = [kernel_distance(normal(40, seed=s), normal(40, seed=99 + s)) for s in range(99)]
    assert min(found) < 0 < max(found)
    assert abs(np.mean(found)) < 3 * np.std(found) / np.sqrt(len(found))


@pytest.mark.parametrize("kept", [1, 4, 6, 8])
def test_every_mode_that_is_lost_lowers_coverage_by_its_share(kept):
    """Of eight that lie on a ring; whoever draws the others well has full precision."""
    angles = np.arange(8) * np.pi / 4
    centres = 2 * np.column_stack([np.cos(angles), np.sin(angles)])
    real = np.repeat(centres, 100, axis=0) + normal(800, spread=0.1)
    drawn = np.repeat(centres[:kept], 800 // kept, axis=0)
    drawn = drawn + normal(len(drawn), spread=0.1, seed=1)
    found = neighbour_scores(real, drawn)
    assert found["coverage"] == pytest.approx(kept / 8, abs=0.04)
    assert found["precision"] > 0.9


def test_neighbour_scores_counted_by_hand():
    # k = 1. Radii of the real ones: 1, 1, 2, 6; of the drawn ones: 1.5, 1.5, 98.
    real, drawn = column(0, 1, 3, 9), column(0.5, 2, 100)
    found = neighbour_scores(real, drawn, k=1)
    # 0.5 lies in the balls of 0 and 1; 2 in those of 1 and 3; 100 in none (9 reaches to 15).
    assert found["precision"] == pytest.approx(2 / 3)
    assert found["density"] == pytest.approx(4 / 3)
    # Balls of the drawn: 0.5 reaches -1 to 2, 2 reaches 0.5 to 3.5, 100 reaches 2 to 198.
    assert found["recall"] == 1
    # Nothing drawn lies within 6 of 9 (3 to 15).
    assert found["coverage"] == pytest.approx(3 / 4)


def test_equal_sets_score_best_and_a_collapsed_one_covers_nothing():
    real = normal(60)
    same = all_scores(real, real)
    assert same["precision"] == same["recall"] == same["coverage"] == 1
    assert same["fid"] == pytest.approx(0, abs=1e-9)
    collapsed = all_scores(real, normal(60, 0, 1e-3, seed=1))
    assert collapsed["precision"] == 1
    assert collapsed["recall"] < 0.1 > collapsed["coverage"]
    assert collapsed["fid"] > 0.5


def test_too_few_for_the_neighbours_asked_for():
    with pytest.raises(ValueError, match="5 neighbours need more images, got 5 and 9"):
        neighbour_scores(normal(5), normal(9))


def test_intervals_are_as_wide_as_scores_vary_between_sets():
    def score(seed):
        return all_scores(normal(120, seed=seed), normal(120, 0.5, seed=1000 + seed))

    repeated = [score(seed) for seed in range(80)]
    real, drawn = normal(120, seed=500), normal(120, 0.5, seed=501)
    found = with_intervals(all_scores, real, drawn, np.random.default_rng(0), halves=60)
    for name, one in found.items():
        varies = np.std([found[name] for found in repeated])
        assert (one.high - one.low) / (2 * 1.96) == pytest.approx(varies, rel=0.6), name
        assert one.low < one.value < one.high
    assert {"fid", "kid", "precision", "recall", "density", "coverage"} == set(found)


def test_intervals_stay_in_the_range_of_a_score_and_are_none_where_halves_agree():
    real = normal(60)
    apart = with_intervals(all_scores, real, normal(60, 99, seed=1), np.random.default_rng(0), 10)
    assert apart["precision"].value == 0
    assert np.isnan(apart["precision"].low)
    assert np.isnan(apart["precision"].high)
    near = with_intervals(all_scores, real, normal(60, 0.1, seed=2), np.random.default_rng(0), 10)
    for name in ("precision", "recall", "coverage"):
        assert 0 <= near[name].low < near[name].high <= 1
    assert near["fid"].low >= 0

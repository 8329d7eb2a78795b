"""Even subsets and draws by weight: counts by hand, laws on random ones, a planted minority."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from debias.auditing.subsets import even_shares, even_subset, far_apart, resample
from debias.errors import ConfigError


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def heap() -> np.ndarray:
    """900 points in one heap and 100 in another, far away."""
    points = rng().normal(size=(1000, 5)).astype(np.float32)
    points[900:] += 8
    return points


@pytest.mark.parametrize(
    ("counts", "size", "expected"),
    [
        ([5, 5, 5], 6, [2, 2, 2]),
        ([1, 10, 10], 9, [1, 4, 4]),
        ([1, 2, 100], 50, [1, 2, 47]),
        ([3, 0, 3], 6, [3, 0, 3]),
        ([0, 4, 8], 2, [0, 1, 1]),
    ],
)
def test_cells_share_what_is_asked_for_evenly(counts, size, expected):
    assert even_shares(np.array(counts), size, rng()).tolist() == expected


def test_what_cannot_be_divided_falls_on_different_cells():
    found = [even_shares(np.full(4, 9), 6, rng(seed)) for seed in range(60)]
    assert all(sorted(shares) == [1, 1, 2, 2] for shares in found)
    assert (np.mean(found, axis=0) > 1.2).all()  # every cell is lucky at times


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=30).filter(sum),
    st.floats(0, 1),
    st.integers(0, 9),
)
def test_no_cell_gives_more_than_it_has_nor_fewer_than_a_fuller_one(counts, part, seed):
    counts = np.array(counts)
    size = round(part * counts.sum())
    given_ = even_shares(counts, size, rng(seed))
    assert given_.sum() == size
    assert (given_ <= counts).all()
    held_back = given_ < counts
    if held_back.any():
        assert given_.max() <= given_[held_back].min() + 1


def test_centres_are_at_least_as_far_apart_as_any_point_is_from_them(heap):
    centres = far_apart(heap, 30, rng())
    between = cdist(centres, centres)[np.triu_indices(30, 1)].min()
    assert between >= cdist(heap, centres).min(axis=1).max()


def test_copies_are_one_centre():
    points = np.repeat(np.eye(3, dtype=np.float32), 20, axis=0)
    assert len(far_apart(points, 10, rng())) == 3
    assert np.bincount(even_subset(points, 12, rng()) // 20).tolist() == [4, 4, 4]


def test_rows_are_chosen_once_and_by_seed_and_the_points_stay(heap):
    before = heap.copy()
    rows = even_subset(heap, 200, rng(1))
    assert len(rows) == 200
    assert (np.diff(rows) > 0).all()
    np.testing.assert_array_equal(rows, even_subset(heap, 200, rng(1)))
    assert (rows != even_subset(heap, 200, rng(2))).any()
    np.testing.assert_array_equal(heap, before)


def test_a_far_minority_counts_more_and_all_images_are_all_images(heap):
    minority = (even_subset(heap, 100, rng()) >= 900).sum()
    assert minority > 25  # of 100; a random subset has 10
    np.testing.assert_array_equal(even_subset(heap, 1000, rng()), np.arange(1000))


def test_the_order_of_the_rows_hardly_matters(heap):
    order = rng(3).permutation(1000)
    plain = [(even_subset(heap, 100, rng(seed)) >= 900).mean() for seed in range(10)]
    mixed = [(order[even_subset(heap[order], 100, rng(seed))] >= 900).mean() for seed in range(10)]
    assert abs(np.mean(plain) - np.mean(mixed)) < 0.05


@pytest.mark.parametrize("size", [-1, 0, 1, 1001])
def test_impossible_sizes_are_refused_with_the_limits(heap, size):
    with pytest.raises(ConfigError, match=r"choose 2 to 1,000"):
        even_subset(heap, size, rng())


def test_whole_multiples_are_drawn_exactly():
    rows = resample(np.array([1.0, 0.0, 2.0, 5.0]), 16, rng())
    assert np.bincount(rows, minlength=4).tolist() == [2, 0, 4, 10]


def test_equal_weights_draw_every_row_once_in_random_order():
    rows = resample(np.full(100, 0.3), 100, rng())
    np.testing.assert_array_equal(np.sort(rows), np.arange(100))
    assert (rows != np.arange(100)).any()


@given(
    st.lists(st.floats(0, 50), min_size=1, max_size=40).filter(lambda w: sum(w) > 1e-3),
    st.integers(2, 200),
    st.integers(0, 9),
)
def test_counts_are_the_expected_ones_rounded_up_or_down(weights, size, seed):
    weight = np.array(weights)
    counts = np.bincount(resample(weight, size, rng(seed)), minlength=len(weight))
    assert counts.sum() == size
    assert (np.abs(counts - size * weight / weight.sum()) < 1 + 1e-6).all()
    assert not counts[weight == 0].any()


def test_the_mean_of_many_draws_is_the_weight():
    weight = rng().exponential(size=30)
    mean = np.mean([np.bincount(resample(weight, 20, rng(s)), minlength=30) for s in range(800)], 0)
    np.testing.assert_allclose(mean, 20 * weight / weight.sum(), atol=0.08)


def test_a_seed_decides():
    weight = rng().exponential(size=50)
    np.testing.assert_array_equal(resample(weight, 60, rng(4)), resample(weight, 60, rng(4)))


def test_one_draw_is_no_manifest():
    with pytest.raises(ConfigError, match="choose 2 or more"):
        resample(np.ones(3), 1, rng())

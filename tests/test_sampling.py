import numpy as np
import pytest
from scipy.stats import chisquare

from debias.sampling import WeightedSampler, draw
from debias.types import SamplingWeights


def weights(probability) -> SamplingWeights:
    probability = np.asarray(probability, dtype=float)
    ids = np.array([f"s{row}" for row in range(len(probability))])
    return SamplingWeights(sample_ids=ids, probability=probability)


def test_a_million_draws_follow_the_weights():
    probability = np.random.default_rng(0).dirichlet(np.ones(50))
    rows = draw(probability, 1_000_000, np.random.default_rng(1))
    assert chisquare(np.bincount(rows, minlength=50), probability * 1e6).pvalue > 1e-4


def test_draws_are_independent_of_their_position():
    rows = draw(np.full(10, 0.1), 100_000, np.random.default_rng(0))
    assert abs(np.corrcoef(rows[:-1], rows[1:])[0, 1]) < 0.02


def test_a_row_without_weight_is_never_drawn():
    rows = draw(np.array([0, 0.5, 0, 0.5, 0]), 10_000, np.random.default_rng(0))
    assert set(rows.tolist()) == {1, 3}


def test_more_rows_than_torch_can_draw_from():
    size = 2**24 + 1
    rows = draw(np.full(size, 1 / size), 1000, np.random.default_rng(0))
    assert rows.max() < size
    assert rows.max() > 0.98 * size


def test_ranks_share_out_the_draws_of_an_epoch():
    base = weights(np.full(10, 0.1))
    whole = WeightedSampler(base, 101, seed=3)
    parts = [WeightedSampler(base, 101, seed=3, rank=rank, world_size=4) for rank in range(4)]
    assert [len(part) for part in parts] == [26, 25, 25, 25]
    merged = np.empty(101, dtype=int)
    for rank, part in enumerate(parts):
        merged[rank::4] = list(part)
    np.testing.assert_array_equal(merged, list(whole))


def test_an_interrupted_epoch_continues_where_it_stopped():
    sampler = WeightedSampler(weights(np.full(7, 1 / 7)), 20, seed=0)
    first, rest = list(sampler), None
    stream = iter(sampler)
    begun = [next(stream) for _ in range(6)]
    resumed = WeightedSampler(weights(np.full(7, 1 / 7)), 20, seed=0)
    resumed.load_state_dict(sampler.state_dict())
    rest = list(resumed)
    again = WeightedSampler(weights(np.full(7, 1 / 7)), 20, seed=0)
    assert list(again) == first
    assert list(again) == begun + rest
    assert list(resumed) == list(again)  # the third epoch


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="num_samples must be at least 1, got 0"):
        WeightedSampler(weights([1.0]), 0, seed=0)
    with pytest.raises(ValueError, match=r"rank must lie in \[0, 2\), got 2"):
        WeightedSampler(weights([1.0]), 1, seed=0, rank=2, world_size=2)

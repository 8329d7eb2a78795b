import json
from itertools import chain

import numpy as np
import pytest
from scipy.stats import chisquare, kstest
from torch.utils.data import DataLoader

from debias.errors import ArtifactError
from debias.weighting.sampling import WeightedSampler, draw
from debias.weighting.weights import SamplingWeights


def weights(probability) -> SamplingWeights:
    probability = np.asarray(probability, dtype=float)
    ids = np.array([f"s{row}" for row in range(len(probability))])
    return SamplingWeights(sample_ids=ids, probability=probability)


EVEN = weights(np.full(10, 0.1))


class TestDraw:
    def test_a_million_draws_follow_the_weights(self):
        probability = np.random.default_rng(0).dirichlet(np.ones(50))
        rows = draw(probability, 1_000_000, np.random.default_rng(1))
        assert chisquare(np.bincount(rows, minlength=50), probability * 1e6).pvalue > 1e-3

    def test_every_place_has_the_same_distribution(self):
        # 300,000 draws fill all buckets; a place that prefers a row would show in its block.
        rows = draw(np.full(10, 0.1), 300_000, np.random.default_rng(2)).reshape(300, 1000)
        p = [chisquare(np.bincount(block, minlength=10)).pvalue for block in rows]
        assert kstest(p, "uniform").pvalue > 1e-3

    def test_neighbours_are_independent(self):
        rows = draw(np.full(10, 0.1), 100_000, np.random.default_rng(0))
        pairs = np.bincount(10 * rows[:-1:2] + rows[1::2], minlength=100)
        assert chisquare(pairs).pvalue > 1e-3

    def test_every_order_is_equally_likely(self):
        # Draws of one row of three each: all 27 outcomes, with the rows in any order.
        outcomes = np.zeros(27)
        generator = np.random.default_rng(3)
        for _ in range(5400):
            outcomes[draw(np.full(3, 1 / 3), 3, generator) @ [9, 3, 1]] += 1
        assert chisquare(outcomes).pvalue > 1e-3

    def test_a_row_without_weight_is_never_drawn(self):
        rows = draw(np.array([0, 0.5, 0, 0.5, 0]), 10_000, np.random.default_rng(0))
        assert set(rows.tolist()) == {1, 3}

    def test_one_row_takes_all(self):
        assert draw(np.array([1.0]), 5, np.random.default_rng(0)).tolist() == [0] * 5

    def test_more_rows_than_torch_can_draw_from(self):
        size = 2**24 + 1
        probability = np.full(size, 0.5 / (size - 1))
        probability[-1] = 0.5
        rows = draw(probability, 100_000, np.random.default_rng(0))
        assert abs((rows == size - 1).mean() - 0.5) < 0.01
        assert chisquare(np.bincount(rows[rows < size - 1] * 16 // (size - 1))).pvalue > 1e-3

    def test_the_seed_decides(self):
        first, again, other = (
            draw(EVEN.probability, 1000, np.random.default_rng(seed)) for seed in (0, 0, 1)
        )
        np.testing.assert_array_equal(first, again)
        assert (first != other).any()

    def test_weights_need_not_be_contiguous_and_are_left_alone(self):
        spread = np.arange(20.0)
        expected = draw(spread[::2].copy(), 100, np.random.default_rng(0))
        before = spread.copy()
        np.testing.assert_array_equal(draw(spread[::2], 100, np.random.default_rng(0)), expected)
        np.testing.assert_array_equal(spread, before)


@pytest.mark.parametrize("draws", [101, 3])
def test_ranks_share_out_the_draws_of_an_epoch(draws):
    whole = WeightedSampler(EVEN, draws, seed=3)
    parts = [WeightedSampler(EVEN, draws, seed=3, rank=rank, world_size=4) for rank in range(4)]
    for _ in range(2):
        merged = np.full(draws, -1)
        for rank, part in enumerate(parts):
            merged[rank::4] = list(part)
            assert len(part) == len(merged[rank::4])
        np.testing.assert_array_equal(merged, list(whole))


def test_an_epoch_differs_from_the_next():
    sampler = WeightedSampler(EVEN, 20, seed=0)
    assert list(sampler) != list(sampler)


@pytest.mark.parametrize("seen", [0, 6, 19, 20, 26])
def test_a_run_continues_at_the_row_where_it_stopped(seen):
    straight = WeightedSampler(EVEN, 20, seed=0)
    expected = [*straight, *straight, *straight]
    stopped = WeightedSampler(EVEN, 20, seed=0)
    begun = []
    while len(begun) < seen:
        for row in stopped:
            begun.append(row)
            if len(begun) == seen:
                break
    resumed = WeightedSampler(EVEN, 20, seed=0)
    resumed.load_state_dict(json.loads(json.dumps(stopped.state_dict())))
    rest = [*resumed, *resumed, *resumed]
    assert (begun + rest)[:60] == expected


def test_a_state_of_another_sampler_is_refused():
    state = WeightedSampler(EVEN, 20, seed=0).state_dict()
    uneven = weights([0.2, 0.0, *[0.1] * 8])
    for other, reason in (
        (WeightedSampler(EVEN, 20, seed=1), "seed 0, this one has 1"),
        (WeightedSampler(EVEN, 21, seed=0), "num_samples 20, this one has 21"),
        (WeightedSampler(EVEN, 20, seed=0, world_size=2), "world_size 1, this one has 2"),
        (WeightedSampler(uneven, 20, seed=0), "with weights"),
    ):
        with pytest.raises(ArtifactError, match=reason):
            other.load_state_dict(state)


def test_a_state_that_no_sampler_gave_is_refused():
    sampler = WeightedSampler(EVEN, 20, seed=0)
    with pytest.raises(ArtifactError, match=r"has epoch, num_samples.*this one nothing"):
        sampler.load_state_dict({})
    for wrong in ({"position": 21}, {"position": -1}, {"epoch": -1}):
        with pytest.raises(ArtifactError, match="it was altered"):
            sampler.load_state_dict(sampler.state_dict() | wrong)


def test_impossible_settings_are_refused():
    with pytest.raises(ValueError, match="num_samples must be at least 1, got 0"):
        WeightedSampler(weights([1.0]), 0, seed=0)
    with pytest.raises(ValueError, match=r"rank must lie in \[0, 2\), got 2"):
        WeightedSampler(weights([1.0]), 1, seed=0, rank=2, world_size=2)


@pytest.mark.parametrize("ranks", [2, 4])
def test_batches_of_all_ranks_are_those_of_one_process(ranks):
    def batches(size, **of):
        loader = DataLoader(range(10), size, sampler=WeightedSampler(EVEN, 64, seed=2, **of))
        return [sorted(batch.tolist()) for _ in range(2) for batch in loader]

    shares = [batches(8 // ranks, rank=rank, world_size=ranks) for rank in range(ranks)]
    together = [sorted(chain(*parts)) for parts in zip(*shares, strict=True)]
    assert together == batches(8)

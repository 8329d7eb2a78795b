"""Thin regions and second heaps: planted ones are found, others are not made up."""

import numpy as np
import pytest
from scipy.stats import binom

from debias.auditing.thin import (
    FEWEST,
    ThinRegion,
    Valley,
    _weighed,
    confirmed,
    deepest_valley,
    thin_regions,
)


def cloud(seed=0, size=1200, width=6):
    return np.random.default_rng(seed).standard_normal((size, width)).astype(np.float32)


def planted(seed=0, share=0.06, apart=7.0, size=1200):
    """A small heap in an oblique direction; returns points and who is in it."""
    points, generator = cloud(seed, size), np.random.default_rng(100 + seed)
    member = generator.random(size) < share
    direction = generator.standard_normal(points.shape[1])
    points[member] += apart * direction / np.linalg.norm(direction)
    return points, member


def test_a_planted_region_is_found_and_its_images_are_the_planted_ones():
    points, member = planted()
    result = thin_regions({"latents": points})
    first = result.regions[0]
    assert result.verdict == "found"
    assert first.found
    assert member[first.members].mean() > 0.95
    assert first.members[member].mean() > 0.95
    assert first.share.low < member.mean() < first.share.high
    assert member[first.typical(20)].all()
    assert not member[first.opposite(20)].any()


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_the_scale_of_a_view_and_the_order_of_its_columns_do_not_matter(scale):
    points, member = planted(1)
    first = thin_regions({"v": scale * points[:, ::-1] + scale}).regions[0]
    assert first.found
    assert member[first.members].mean() > 0.95


def test_a_region_seen_in_two_views_is_reported_once():
    points, _ = planted(2)
    result = thin_regions({"one": points, "other": 2 * points[:, :6]})
    assert len(result.found) == 1


def test_nothing_is_found_where_nothing_stands_apart():
    found = sum(bool(thin_regions({"v": cloud(seed, 600)}, seed=seed).found) for seed in range(20))
    assert found <= 3  # of 20 at level 0.05: more has a chance of 1.6 %


def test_what_may_be_spent_on_all_regions_is_the_level():
    regions = [planted_region(p) for p in (0.001, 0.5, 0.01)]
    tried = [(0.3, regions[0]), (0.1, regions[1]), (0.2, regions[2])]
    weighed = [(weight, region.p) for weight, region in _weighed(tried)]
    # The most promising one first: 1/2, 1/6 and 1/12 of the half that a half of the images has.
    assert weighed == [(0.25, 0.5), (pytest.approx(1 / 12), 0.01), (pytest.approx(1 / 24), 0.001)]
    assert 2 * sum(0.5 / (rank * (rank + 1)) for rank in range(1, 1000)) <= 1


def planted_region(p):
    return ThinRegion(view="v", position=np.zeros(3), cut=0.0, p=p)


def test_both_of_two_heaps_on_one_side_are_found():
    points = cloud(8, size=2400)
    first, second = np.arange(2400) < 120, np.arange(2400) >= 2300
    points[first, 0] += 6
    points[second, 0] += 12
    found = [region.members for region in thin_regions({"v": points}).found]
    for heap in (first, second):
        assert any(heap[one].mean() > 0.9 and one[heap].mean() > 0.9 for one in found) or any(
            (first | second)[one].mean() > 0.9 for one in found
        )


def test_two_even_halves_are_no_thin_region():
    points, _ = planted(4, share=0.5, apart=10.0)
    assert not thin_regions({"v": points}).found


def test_the_same_seed_gives_the_same_answer():
    points, _ = planted(5)
    first, again = (thin_regions({"v": points}, seed=7) for _ in range(2))
    assert [r.p for r in first.regions] == [r.p for r in again.regions]
    assert (first.regions[0].members == again.regions[0].members).all()


def test_too_few_images_are_said_to_be_too_few():
    result = thin_regions({"v": cloud(size=FEWEST - 1)})
    assert result.verdict == "too_few"
    assert result.regions == ()


@pytest.mark.parametrize("column", [0.0, 1.0])
def test_constant_columns_do_no_harm(column):
    points, member = planted(6)
    points = np.column_stack([points, np.full(len(points), column)])
    first = thin_regions({"v": points}).regions[0]
    assert member[first.members].mean() > 0.95


def test_a_view_without_any_variance_offers_nothing():
    assert thin_regions({"v": np.ones((400, 3))}).verdict == "none_found"


SINGLE = {
    "bell": lambda g: g.standard_normal(2000),
    "long tail": lambda g: g.exponential(size=2000),
    "heavy tails": lambda g: g.standard_t(3, 2000),
    "flat": lambda g: g.uniform(-1, 1, 2000),
}


def heaps(generator, size=2000, share=0.05, apart=6.0):
    """A bell, and a smaller one to its right."""
    values = generator.standard_normal(size)
    values[: int(share * size)] += apart
    return values


def test_a_valley_lies_between_two_heaps_and_the_smaller_is_behind_it():
    values = heaps(np.random.default_rng(0))
    valley = deepest_valley(values, 0.125)
    assert 2 < valley.cut < 5
    assert (values > valley.cut).mean() == pytest.approx(0.05, abs=0.005)
    assert 5 < valley.first < 6 < valley.third < 7


def test_a_heap_larger_than_allowed_is_no_thin_region():
    values = heaps(np.random.default_rng(0), share=0.3)
    valley = deepest_valley(values, 0.125)
    assert valley is None or valley.p > 1e-4
    assert deepest_valley(values, 0.5).p < 1e-6


def test_values_without_spread_have_no_valley():
    assert deepest_valley(np.zeros(500), 0.125) is None
    assert deepest_valley(np.repeat([0.0, 1.0], [490, 10]), 0.125) is None


def test_confirmation_counts_two_windows_and_pays_for_three_widths():
    # Quartile range 1 and centre 5: windows around 2 and 5 that are 2, 1 and a half wide.
    values = np.array([1.2, 1.6, 2.4, *np.linspace(4.6, 5.4, 9), 5.9, 0.0, 0.1, -0.1])
    valley = Valley(p=0.0, cut=2.0, first=4.5, third=5.5)
    twice = binom.sf(9, 13, 0.5)  # ten or more of thirteen
    once = binom.sf(8, 11, 0.5)  # nine and two
    half = binom.sf(4, 5, 0.5)  # five and none
    assert confirmed(values, valley) == pytest.approx(3 * min(twice, once, half))


def test_windows_that_would_overlap_are_left_out():
    values = np.array([1.9, *np.linspace(3.6, 4.4, 5)])
    valley = Valley(p=0.0, cut=2.0, first=3.0, third=5.0)  # 2 apart: widths 4 too wide, 2 and 1
    once = binom.sf(4, 6, 0.5)
    assert confirmed(values, valley) == pytest.approx(2 * once)


def test_nothing_near_the_valley_confirms_nothing():
    assert confirmed(np.zeros(100), Valley(p=0.0, cut=2.0, first=4.5, third=5.5)) == 1.0


@pytest.mark.parametrize("name", SINGLE)
def test_a_single_heap_is_confirmed_no_more_often_than_allowed(name):
    """The valley is chosen on one half, so the p of the other holds: at most 5% below 5%."""
    generator = np.random.default_rng(1)
    found, tried = 0, 400
    for _ in range(tried):
        values = SINGLE[name](generator)
        valley = deepest_valley(values[:1000], 0.125)
        found += valley is not None and confirmed(values[1000:], valley) < 0.05
    assert found <= binom.ppf(0.999, tried, 0.05)


def test_a_planted_heap_is_confirmed():
    generator = np.random.default_rng(2)
    for _ in range(20):
        first, second = heaps(generator), heaps(generator)
        assert confirmed(second, deepest_valley(first, 0.125)) < 0.01

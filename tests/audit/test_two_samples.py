import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import energy_distance, kstest

from debias.auditing import two_samples as module
from debias.auditing.two_samples import by_place, contrast, two_samples


def gaussian(seed: int, n: int, k: int = 4, shift: float = 0.0) -> np.ndarray:
    points = np.random.default_rng(seed).normal(size=(n, k))
    points[:, 0] += shift
    return points


@pytest.mark.parametrize(("n", "m", "expected"), [(20, 20, 3.9), (20, 30, 49 / 12)])
def test_two_points_apart_by_hand(n, m, expected):
    # 2 E|X - Y| = 2 d, the rest is 0; two of N points lie 2 n m d / (N (N - 1)) apart on average.
    found = two_samples(np.zeros((n, 1)), np.full((m, 1), 7.0))
    assert found.distance == pytest.approx(expected)
    assert found.p == 0.001
    assert found.verdict == "told_apart"


def test_distance_agrees_with_scipy_in_one_dimension():
    first, second = gaussian(0, 50, 1), gaussian(1, 70, 1, 0.4)
    unit = pdist(np.concatenate([first, second])).mean()
    expected = energy_distance(first[:, 0], second[:, 0]) ** 2 / unit
    assert two_samples(first, second).distance == pytest.approx(expected)


def test_p_values_are_even_when_both_sets_are_alike():
    p = [
        two_samples(gaussian(i, 30), gaussian(1000 + i, 40), permutations=99, seed=i).p
        for i in range(150)
    ]
    assert kstest(p, "uniform").pvalue > 0.01
    assert np.mean(np.array(p) <= 0.05) < 0.12


def test_a_shift_is_found_and_a_tiny_one_is_not():
    here = gaussian(0, 300)
    assert two_samples(here, gaussian(1, 300, shift=0.6)).verdict == "told_apart"
    near = two_samples(here, gaussian(1, 300, shift=0.01))
    assert near.verdict == "not_told_apart"
    low, median, high = near.null
    assert 0 < low < median < high
    assert near.distance < near.noticed


def test_a_difference_of_spread_alone_is_found():
    assert two_samples(gaussian(0, 200), 1.6 * gaussian(1, 200)).verdict == "told_apart"


def test_neither_order_nor_scale_matters():
    first, second = gaussian(0, 90), gaussian(1, 60, shift=0.3)
    order = np.random.default_rng(2).permutation(90)
    found = two_samples(first, second, most=50)
    assert two_samples(first[order], second[::-1], most=50) == found
    scaled = [points * [1, 1000, 1e-6, 3] for points in (first, second)]
    assert two_samples(*scaled).distance == pytest.approx(two_samples(first, second).distance)
    swapped = two_samples(second, first)
    assert swapped.distance == pytest.approx(two_samples(first, second).distance)


def test_blocks_change_nothing(monkeypatch):
    first, second = gaussian(0, 60), gaussian(1, 60, shift=0.3)
    whole = two_samples(first, second)
    monkeypatch.setattr(module, "ROWS", 7)
    monkeypatch.setattr(module, "ARRANGEMENTS", 100)
    pieces = two_samples(first, second)
    assert pieces.p == whole.p
    assert pieces.null == pytest.approx(whole.null)


def test_no_more_points_than_asked_for_are_compared():
    found = two_samples(gaussian(0, 200), gaussian(1, 30), most=40)
    assert (found.n, found.m) == (40, 30)


def test_identical_points_are_not_told_apart():
    same = np.ones((25, 3), dtype=np.float32)
    found = two_samples(same, same[:20])
    assert (found.distance, found.p, found.verdict) == (0.0, 1.0, "not_told_apart")
    copies = np.repeat(gaussian(0, 5), 10, axis=0)
    assert two_samples(copies, copies).verdict == "not_told_apart"


@pytest.mark.parametrize(("n", "m"), [(0, 100), (19, 100), (100, 19)])
def test_too_few_is_said_and_nothing_else(n, m):
    found = two_samples(gaussian(0, n), gaussian(1, m))
    assert found.verdict == "too_few"
    assert "at least 20" in found.sentence()
    assert np.isnan([found.distance, found.p, *found.null]).all()


def test_sentences_say_what_is_not_known():
    alike = two_samples(gaussian(0, 50), gaussian(1, 50)).sentence("v2", "v1")
    assert "does not tell v2 and v1 apart" in alike
    assert "They may differ all the same" in alike
    apart = two_samples(gaussian(0, 50), gaussian(1, 50, shift=3)).sentence()
    assert "p = 0.001" in apart


def test_by_place_puts_the_same_points_in_the_same_order():
    points = gaussian(0, 500).astype(np.float32)
    order = np.random.default_rng(1).permutation(500)
    assert (points[by_place(points)] == points[order][by_place(points[order])]).all()


def test_log_ratio_of_two_gaussians():
    # N(1, 1) to N(0, 1): log ratio x - 1/2, area Phi(1 / sqrt 2) = 0.760.
    data, reference = gaussian(0, 3000), gaussian(1, 1000, shift=1.0)
    found = contrast(data, reference)
    slope, offset = np.polyfit(data[:, 0], found.data, 1)
    assert slope == pytest.approx(1, abs=0.15)
    assert offset == pytest.approx(-0.5, abs=0.1)
    assert np.corrcoef(reference[:, 0], found.reference)[0, 1] > 0.98
    assert found.separability == pytest.approx(0.760, abs=0.03)
    assert not found.telltale


def test_no_image_is_scored_by_a_model_that_saw_it():
    # With more features than images, a model that saw them tells any two sets apart perfectly.
    areas = [contrast(gaussian(i, 60, 200), gaussian(i + 50, 40, 200)) for i in range(6)]
    assert np.mean([found.separability for found in areas]) == pytest.approx(0.5, abs=0.1)


def test_contrast_does_not_depend_on_the_order():
    data, reference = gaussian(0, 120), gaussian(1, 80, shift=0.5)
    order = np.random.default_rng(2).permutation(120)
    found, turned = contrast(data, reference), contrast(data[order], reference[::-1])
    assert (turned.data == found.data[order]).all()
    assert (turned.reference == found.reference[::-1]).all()


def test_sets_from_two_cameras_are_telltale():
    found = contrast(gaussian(0, 200), gaussian(1, 100, shift=6))
    assert found.telltale
    assert np.isfinite(found.data).all()
    assert found.reference.min() > 0 > found.data.max()


def test_features_that_say_nothing_give_no_ratio():
    found = contrast(np.ones((40, 2)), np.ones((30, 2)))
    assert found.data == pytest.approx(0, abs=1e-3)
    assert found.separability == 0.5


def test_swapped_turns_the_ratio_round():
    found = contrast(gaussian(0, 60), gaussian(1, 40, shift=1.0))
    other = found.swapped()
    assert (other.data == -found.reference).all()
    assert (other.reference == -found.data).all()
    assert other.separability == found.separability

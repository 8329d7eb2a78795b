"""The ratio to a reference, against ratios that are known."""

import numpy as np
import pytest

from debias.density import Points, RatioDensity
from debias.errors import AllDimensionsInactiveError, WeightError

GENERATOR = np.random.default_rng(0)
CLOUD = GENERATOR.normal(size=(3000, 4))


def log_ratio(points, reference, **chosen) -> np.ndarray:
    points, reference = (
        part if isinstance(part, Points) else Points(mean=part) for part in (points, reference)
    )
    return RatioDensity(**chosen).log_ratio(points, reference)


def test_a_shifted_gaussian():
    # log N(z; m, 1) - log N(z; 0, 1) = m . z - |m|^2 / 2
    shift = np.array([1.0, 0.5, 0, 0])
    reference = GENERATOR.normal(size=(1000, 4)) + shift
    known = CLOUD @ shift - shift @ shift / 2
    assert np.sqrt(np.mean((log_ratio(CLOUD, reference) - known) ** 2)) < 0.2


def test_a_narrower_gaussian():
    # Two columns of deviation 0.6: a sum of -z^2 (1 / 0.36 - 1) / 2 - log 0.6.
    reference = GENERATOR.normal(size=(1000, 4)) * [0.6, 0.6, 1, 1]
    known = (-0.5 * CLOUD[:, :2] ** 2 * (1 / 0.36 - 1) - np.log(0.6)).sum(axis=1)
    found = log_ratio(CLOUD, reference)
    assert np.sqrt(np.mean((found - known) ** 2)) < 0.3
    assert known.std() > 1.5


def test_opposite_corners_need_landmarks():
    # Neither a plane nor an axis-parallel quadric tells two corners of a square from the others.
    reference = np.sign(GENERATOR.normal(size=(600, 1))) + 0.5 * GENERATOR.normal(size=(600, 2))
    points = np.sign(GENERATOR.normal(size=(1500, 2))) + 0.5 * GENERATOR.normal(size=(1500, 2))
    wanted = np.prod(points, axis=1)
    flat = log_ratio(points, reference, features="squares")
    bent = log_ratio(points, reference)
    assert abs(np.corrcoef(flat, wanted)[0, 1]) < 0.3
    assert np.corrcoef(bent, wanted)[0, 1] > 0.7


@pytest.mark.parametrize("size", [100, 1000, 4000])
def test_the_sizes_of_the_sets_do_not_matter(size):
    reference = np.random.default_rng(1).normal(size=(size, 4))
    found = log_ratio(CLOUD[:1000], reference, repeats=1)
    assert abs(found.mean()) < 0.1


def test_no_sample_is_scored_by_a_model_that_saw_it():
    # In 200 dimensions 600 samples of noise can be told apart by heart: a model would give those
    # it saw strongly negative log ratios from either side.
    noise = np.random.default_rng(2).normal(size=(600, 200))
    chosen = {"features": "linear", "strength": 1.0, "repeats": 2}
    forth = log_ratio(noise[:300], noise[300:], **chosen)
    back = log_ratio(noise[300:], noise[:300], **chosen)
    assert np.std(forth) > 0.5
    assert abs(forth.mean() + back.mean()) < 0.6


def test_repetitions_make_the_folds_matter_less():
    reference = np.random.default_rng(3).normal(size=(100, 4)) + 0.5
    apart = {}
    for repeats in (1, 8):
        chosen = {"repeats": repeats, "features": "landmarks", "strength": 0.1}
        first, second = (log_ratio(CLOUD[:300], reference, seed=seed, **chosen) for seed in (0, 1))
        apart[repeats] = np.std(first - second)
    assert 0 < apart[8] < 0.6 * apart[1]


def test_a_tiny_reference_still_counts():
    found = log_ratio(CLOUD[:50], np.array([4 * [5.0], 4 * [5.1]]))
    assert np.isfinite(found).all()
    assert np.corrcoef(found, CLOUD[:50].sum(axis=1))[0, 1] > 0.5


def test_bad_input_is_named():
    with pytest.raises(WeightError, match="compares the samples with a reference set"):
        RatioDensity().fit(CLOUD)
    with pytest.raises(WeightError, match="at least 2 samples, got 1"):
        log_ratio(CLOUD, CLOUD[:1])
    with pytest.raises(AllDimensionsInactiveError, match="all 4 dimensions are constant"):
        log_ratio(np.ones((9, 4)), CLOUD)
    with pytest.raises(WeightError, match="counts every sample once"):
        log_ratio(Points(mean=CLOUD, weight=np.ones(len(CLOUD))), CLOUD)

"""Trainings and images together: by hand, against t-tests, and coverage by simulation."""

import numpy as np
import pytest
from scipy.stats import t as student
from scipy.stats import ttest_1samp

from debias.statistics.crossed import Crossed, crossed


def of(values, units=None, added=0.0):
    """Mean over the images of every training, values (s, n)."""
    means = values.mean(axis=1)
    return crossed(
        means,
        (values - means[:, None]) / values.shape[1],
        np.ones(values.shape[1], bool),
        units,
        added,
    )


def test_one_training_is_a_t_test_over_images():
    values = np.random.default_rng(0).normal(0.2, 1, (1, 40))
    found, expected = of(values), ttest_1samp(values[0], 0)
    low, high = found.limits(0.95)
    assert (low[0], high[0]) == pytest.approx(tuple(expected.confidence_interval(0.95)))
    assert found.p_value()[0] == pytest.approx(expected.pvalue)


def test_images_that_are_all_alike_leave_a_t_test_over_trainings():
    by_training = np.random.default_rng(1).normal(0.2, 1, 6)
    values = np.repeat(by_training[:, None], 30, axis=1)
    found, expected = of(values), ttest_1samp(by_training, 0)
    low, high = found.limits(0.9)
    assert (low[0], high[0]) == pytest.approx(tuple(expected.confidence_interval(0.9)))
    assert found.p_value()[0] == pytest.approx(expected.pvalue)


def test_trainings_that_are_all_alike_add_no_images():
    values = np.repeat(np.random.default_rng(2).normal(0.3, 1, (1, 50)), 5, axis=0)
    several, one = of(values), of(values[:1])
    assert several.of_trainings == pytest.approx([0])
    assert several.of_images == pytest.approx(one.of_images)


def test_what_differs_in_single_images_is_counted_once():
    """Independent noise alone: both parts together are its variance over all s n values."""
    values = np.random.default_rng(3).normal(0, 1, (400, 200))
    found = of(values)
    assert found.of_trainings[0] == pytest.approx(1 / (400 * 200), rel=0.2)
    assert found.of_images[0] < 0.2 / (400 * 200)


def test_people_with_many_images_are_units():
    people = np.repeat(np.arange(20), 5)
    values = np.repeat(np.random.default_rng(4).normal(0, 1, (1, 20)), 5, axis=1)
    found, alone = of(values, people), of(values[:, ::5])
    assert found.of_images == pytest.approx(alone.of_images)
    assert found.freedom == pytest.approx([19])
    assert of(values).of_images[0] < found.of_images[0] / 4


def test_the_p_value_is_where_the_limits_touch_zero():
    found = Crossed(np.array([0.1]), np.array([4e-4]), np.array([1e-3]), 4, np.array([60.0]))
    p = found.p_value()[0]
    low, _ = found.limits(1 - p)
    assert low[0] == pytest.approx(0, abs=1e-9)
    half = np.hypot(student.isf(p / 2, 3) * 0.02, student.isf(p / 2, 60) * np.sqrt(1e-3))
    assert half == pytest.approx(0.1)


def test_nothing_that_moved_still_has_an_interval():
    low, high = of(np.zeros((3, 100)), added=2 / 100**2).limits(0.95)
    assert low[0] < 0 < high[0] < 0.1


@pytest.mark.parametrize("trainings", [2, 3, 5])
@pytest.mark.parametrize("ratio", [0, 1, 10])
def test_coverage_over_images_and_trainings_and_that_of_fixed_trainings(trainings, ratio):
    """With trainings taken as fixed (the images alone) the interval falls far short."""
    generator, n, hits, fixed, trials = np.random.default_rng(trainings), 150, 0, 0, 600
    for _ in range(trials):
        image = generator.normal(0, 1, n)
        training = generator.normal(0, np.sqrt(ratio / n), (trainings, 1))
        values = image + training + generator.normal(0, 1, (trainings, n))
        found = of(values)
        low, high = found.limits(0.95)
        hits += low[0] <= 0 <= high[0]
        alone = values.mean(axis=0)
        fixed += abs(alone.mean()) <= student.ppf(0.975, n - 1) * alone.std(ddof=1) / np.sqrt(n)
    error = 3 * np.sqrt(0.94 * 0.06 / trials)
    assert hits / trials >= 0.94 - error
    if ratio == 10:
        assert fixed / trials < 0.8

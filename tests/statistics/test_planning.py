"""Planned power against answers that are drawn and judged, and against textbook power."""

import numpy as np
import pytest
from scipy.stats import nct, t

from debias.statistics.crossed import ADDED, crossed
from debias.statistics.planning import Parts, detectable, images_needed, parts_of, power

PARTS = Parts(trainings=0.02**2, images=0.04, both=0.28)  # about those of UTKFace


def drawn(parts, change, images, trainings, generator):
    """The change of an accuracy over trainings and images, judged as primary questions are."""
    shapes = ((trainings, 1), (1, images), (trainings, images))
    sds = np.sqrt([parts.trainings, parts.images, parts.both])
    moved = change + sum(
        generator.normal(0, sd, shape) for sd, shape in zip(sds, shapes, strict=True)
    )
    values = moved.mean(axis=1)
    influence = (moved - values[:, None]) / images
    return crossed(values, influence, np.ones(images, dtype=bool), added=ADDED / images**2)


@pytest.mark.parametrize(
    ("images", "trainings", "change"), [(200, 5, 0.08), (200, 3, 0.15), (500, 10, 0.045)]
)
def test_planned_power_is_how_often_a_change_is_found(images, trainings, change):
    generator, level = np.random.default_rng(0), 0.975
    found = 0
    for _ in range(600):
        low, high = drawn(PARTS, change, images, trainings, generator).limits(level)
        found += bool(low[0] > 0 or high[0] < 0)
    planned = power(PARTS, change, images, trainings, level)
    assert 0.3 < planned < 0.95
    assert found / 600 == pytest.approx(planned, abs=0.05)


def test_a_pilot_tells_the_parts():
    generator = np.random.default_rng(1)
    pilots = [parts_of(drawn(PARTS, 0.1, 400, 10, generator), 400) for _ in range(100)]
    for name, expected in vars(PARTS).items():
        assert np.mean([getattr(one, name) for one in pilots]) == pytest.approx(expected, rel=0.2)


def test_without_images_that_differ_it_is_the_power_of_a_t_test():
    """Noncentral t: one sample of 8 trainings that differ by 0.05."""
    planned = power(Parts(0.05**2, 0.0, 0.0), 0.06, 10**7, 8, 0.95)
    limit, far = t.ppf(0.975, 7), 0.06 / 0.05 * np.sqrt(8)
    assert planned == pytest.approx(nct.sf(limit, 7, far) + nct.cdf(-limit, 7, far), abs=0.002)


def test_what_is_needed_and_what_is_found_agree():
    needed = images_needed(PARTS, 0.05, 10, 0.975)
    assert power(PARTS, 0.05, needed, 10, 0.975) >= 0.8 > power(PARTS, 0.05, needed - 1, 10, 0.975)
    assert detectable(PARTS, needed, 10, 0.975) == pytest.approx(0.05, abs=1e-3)
    assert images_needed(PARTS, 0.05, 3, 0.975) is None
    assert detectable(Parts(1.0, 0.0, 0.0), 100, 2, 0.975) is None
    assert images_needed(PARTS, 0.9, 20, 0.975) == 30

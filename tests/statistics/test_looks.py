"""Looks: boundaries against published tables, and how often all of them together err."""

import numpy as np
import pytest
from scipy.stats import norm, t

from debias.statistics.looks import Looks, boundaries, spent


def test_five_looks_are_those_of_lan_and_demets():
    """Reboussin et al., "Computations for group sequential boundaries", 2000; R: ldbounds."""
    times = np.arange(1, 6) / 5
    limits = boundaries(times, spent(times, 0.05))
    assert limits == pytest.approx([4.8769, 3.3569, 2.6803, 2.2898, 2.0310], abs=2e-4)
    constant = boundaries(times, 0.05 * np.log(1 + (np.e - 1) * times))  # like Pocock's
    assert constant == pytest.approx([2.4380, 2.4268, 2.4101, 2.3966, 2.3859], abs=2e-4)


def test_a_single_look_spends_everything():
    assert boundaries(np.ones(1), np.array([0.05]))[0] == pytest.approx(norm.ppf(0.975))
    assert spent(np.array([0.25, 1.0]), 0.05) == pytest.approx(
        [4 * norm.sf(norm.isf(0.0125) * 2), 0.05]
    )


def test_levels_rise_with_trainings_and_with_what_is_allowed():
    looks = Looks(3, 10)
    levels = [looks.level(after, 0.05) for after in range(3, 11)]
    assert levels == sorted(levels)
    assert levels[0] < 1e-4 < 0.03 < levels[-1] < 0.05
    for error in (1e-6, 0.0125, 0.05, 0.3):
        p = np.array([looks.level(8, error)])
        assert looks.error(8, p) == pytest.approx([error])
        assert looks.error(8, p / 2)[0] < error
    assert np.isfinite(Looks(2, 30).level(2, 1e-12))


@pytest.mark.parametrize(("least", "most"), [(3, 10), (2, 4), (3, 6), (10, 20)])
def test_all_looks_together_keep_the_error_where_trainings_alone_vary(least, most):
    generator, paths, looks = np.random.default_rng(0), 40_000, Looks(least, most)
    trainings = generator.normal(size=(paths, most))
    for error in (0.05, 0.0125):
        wrong = np.zeros(paths, dtype=bool)
        for after in range(least, most + 1):
            some = trainings[:, :after]
            score = some.mean(axis=1) / some.std(axis=1, ddof=1) * np.sqrt(after)
            wrong |= 2 * t.sf(np.abs(score), after - 1) <= looks.level(after, error)
        assert wrong.mean() <= error + 3 * np.sqrt(error / paths)
        assert wrong.mean() >= 0.8 * error  # and waste little of it

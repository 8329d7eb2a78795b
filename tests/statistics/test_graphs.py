"""Priorities among questions: by hand, and against Holm and the fixed sequence."""

import numpy as np
import pytest

from debias.statistics.graphs import graphical
from debias.statistics.intervals import holm


def holm_graph(m):
    return np.full(m, 1 / m), (np.ones((m, m)) - np.eye(m)) / max(m - 1, 1)


@pytest.mark.parametrize("m", [1, 2, 5, 9])
def test_equal_weights_passed_on_equally_are_holm(m):
    generator = np.random.default_rng(m)
    for _ in range(50):
        p = generator.beta(0.3, 1, m)
        adjusted, _ = graphical(p, *holm_graph(m))
        assert adjusted == pytest.approx(holm(p))


def test_one_after_the_other_is_the_fixed_sequence():
    passed_on = np.eye(4, k=1)
    first = np.array([1.0, 0, 0, 0])
    adjusted, allowed = graphical(np.array([0.01, 0.04, 0.2, 0.001]), first, passed_on)
    assert adjusted == pytest.approx([0.01, 0.04, 0.2, 0.2])
    assert allowed == pytest.approx([1, 1, 1, 0])


def test_two_arms_with_two_questions_by_hand():
    """Half the level each; half of it to the own second question, half to the other arm."""
    # worst of a, accuracy of a, worst of b, accuracy of b
    weights = np.array([0.5, 0, 0.5, 0])
    passed_on = np.array(
        [[0, 0.5, 0.5, 0], [0, 0, 1, 0], [0.5, 0, 0, 0.5], [1, 0, 0, 0]], dtype=float
    )
    adjusted, allowed = graphical(np.array([0.01, 0.5, 0.03, 0.5]), weights, passed_on)
    # a: 0.01 / 0.5. It gives 0.25 to its accuracy and 0.25 to b: 0.03 / 0.75.
    assert adjusted[:3:2] == pytest.approx([0.02, 0.04])
    assert allowed[:3:2] == pytest.approx([0.5, 0.75])
    # The 0.75 of b: two thirds to its accuracy, and a third, by way of a, to that of a.
    assert allowed[[1, 3]] == pytest.approx([0.25 + 0.25, 0.5])
    assert adjusted[[1, 3]] == pytest.approx(1.0)


def test_nothing_is_rejected_without_weight():
    adjusted, allowed = graphical(np.array([0.5, 1e-9]), np.array([1.0, 0]), np.eye(2, k=1))
    assert adjusted == pytest.approx([0.5, 0.5])
    assert allowed == pytest.approx([1, 0])


def test_the_error_of_a_family_without_any_difference_is_at_most_the_level():
    generator, wrong = np.random.default_rng(1), 0
    weights = np.array([0.5, 0, 0.5, 0])
    passed_on = np.array([[0, 0.5, 0.5, 0], [0, 0, 1, 0], [0.5, 0, 0, 0.5], [1, 0, 0, 0]])
    for _ in range(4000):
        adjusted, _ = graphical(generator.random(4), weights, passed_on)
        wrong += (adjusted <= 0.05).any()
    assert wrong / 4000 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 4000)

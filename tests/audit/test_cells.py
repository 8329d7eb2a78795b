"""Coverage: Hill numbers by hand, and what bell-shaped clouds count."""

import numpy as np
import pytest

from debias.auditing.coverage import Cells, coverage, coverage_of


def test_effective_cells_and_densest_tenth_by_hand():
    # Ten cells: one with half of the images, two with a quarter each.
    cell = np.array([0] * 8 + [1] * 4 + [2] * 4)
    found = coverage_of(cell, 10)
    assert found.occupied == 3
    assert found.shares[:4] == (0.5, 0.25, 0.25, 0.0)
    assert found.effective_cells == pytest.approx(2**1.5)  # entropy of 1.5 bits
    assert found.densest_tenth == 0.5


def test_a_tenth_that_is_no_whole_number_of_cells_counts_part_of_one():
    found = coverage_of(np.repeat(np.arange(5), [4, 2, 2, 1, 1]), 5)
    assert found.densest_tenth == pytest.approx(0.5 * 0.4)


def test_weights_count_as_images():
    cell = np.array([0, 0, 1, 2])
    assert coverage_of(cell, 4, np.array([1.0, 1.0, 2.0, 2.0])).effective_cells == pytest.approx(3)


def test_all_in_one_cell_and_all_cells_alike():
    assert coverage_of(np.zeros(5, int), 8).effective_cells == pytest.approx(1)
    assert coverage_of(np.arange(8), 8).effective_cells == pytest.approx(8)


def test_a_bell_lies_in_its_band_and_a_flat_cloud_above_it():
    generator = np.random.default_rng(0)
    bell = coverage(generator.standard_normal((3000, 5)))
    low, high = bell.bell["effective_cells"]
    assert low - 1 < bell.effective_cells < high + 1
    flat = coverage(generator.uniform(size=(3000, 3)))
    assert flat.effective_cells > high


def test_a_set_that_is_mostly_the_same_lies_below_the_band():
    generator = np.random.default_rng(1)
    points = generator.standard_normal((3000, 3))
    points[:2700] *= 0.1
    found = coverage(points)
    assert found.effective_cells < found.bell["effective_cells"][0]
    assert found.densest_tenth > found.bell["densest_tenth"][1]


@pytest.mark.parametrize(("width", "cells"), [(1, 64), (2, 64), (5, 64)])
def test_every_point_has_a_cell_far_ones_too(width, cells):
    points = np.random.default_rng(2).standard_normal((500, width))
    grid = Cells.fit(points, cells)
    assert grid.count == cells
    found = grid.of(np.concatenate([points, 1e6 * np.ones((1, width))]))
    assert found.min() >= 0
    assert found.max() < cells

"""Coverage by hand and beside bell-shaped clouds; directions, clusters and the map."""

import numpy as np
import pytest

from debias.auditing.coverage import (
    Cells,
    clustered,
    coverage,
    coverage_of,
    latent_map,
    uneven_directions,
)


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


def test_an_uneven_direction_comes_first_and_its_halves_are_counted():
    generator = np.random.default_rng(0)
    points = generator.standard_normal((2000, 4)) * np.array([3.0, 0.5, 0.4, 0.3])
    points[:, 1] = 8 * (generator.random(2000) ** 6)  # most at one end
    found = uneven_directions(points)
    first = found[0]
    assert abs(first.vector[1]) > 0.9
    low, high = first.ends
    below = (first.position < (low + high) / 2).mean()
    assert first.low_share == pytest.approx(below)
    assert max(below, 1 - below) > 0.7
    assert sum(one.variance_share for one in found) == pytest.approx(1)
    assert {one.number for one in found} == {1, 2, 3, 4}


def test_images_at_an_end_lie_there():
    points = np.random.default_rng(1).standard_normal((500, 3))
    one = uneven_directions(points)[0]
    assert (
        one.position[one.rows(10, high=True)].min() > one.position[one.rows(10, high=False)].max()
    )


def test_clusters_are_counted_smallest_first_with_their_middle_in_front():
    generator = np.random.default_rng(2)
    sizes, places = (300, 50, 150), ((0, 0), (20, 0), (0, 20))
    points = np.concatenate(
        [generator.standard_normal((n, 2)) + p for n, p in zip(sizes, places, strict=True)]
    )
    found = clustered(points, 3, seed=0)
    assert [one.count for one in found.shares] == [50, 150, 300]
    assert set(found.of[300:350]) == {0}
    nearest = found.typical(0, 5)
    assert np.linalg.norm(points[nearest] - points[300:350].mean(0), axis=1).max() < 1
    assert found.shares[0].low < 0.1 < found.shares[0].high


def test_images_that_coincide_make_fewer_clusters():
    found = clustered(np.repeat([[0.0, 0.0], [1.0, 1.0]], 50, axis=0), 12, seed=0)
    assert [one.count for one in found.shares] == [50, 50]


def test_the_map_keeps_neighbours_together_and_draws_no_more_than_asked():
    generator = np.random.default_rng(3)
    points = generator.standard_normal((240, 8))
    points[:120] += 12
    found = latent_map(points, "t-SNE", 200, seed=0)
    assert found.method == "t-SNE"
    assert len(found.rows) == len(found.xy) == 200
    side = found.rows < 120
    apart = np.linalg.norm(found.xy[side].mean(0) - found.xy[~side].mean(0))
    assert apart > found.xy[side].std() / 2


@pytest.mark.parametrize("width", [1, 2])
def test_narrow_spaces_are_drawn_as_they_are(width):
    points = np.random.default_rng(4).standard_normal((80, width))
    found = latent_map(points, "t-SNE", 100, seed=0)
    assert found.method == "PCA"
    assert found.xy.shape == (80, 2)

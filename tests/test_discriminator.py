"""Cross-fitted log ratios on images whose ratio is known, and that nobody scores what it saw."""

import numpy as np
import pytest
import torch

from debias.errors import WeightError
from debias.models import PooledClassifier
from debias.statistics.areas import area_under_curve
from debias.training.batches import Augmentation
from debias.training.device import choose
from debias.training.loop import Training
from debias.types import ShardedImages
from debias.weighting.image_ratio import (
    DiscriminatorRecipe,
    Sets,
    _folds,
    cross_fitted_log_ratios,
    shrunk,
)

CPU = choose("cpu", "float32")


def recipe(**changes) -> DiscriminatorRecipe:
    quick = {
        "model": PooledClassifier(width=4, dropout=0.0),
        "training": Training(epochs=4, batch_size=16, learning_rate=3e-3),
        "augmentation": Augmentation(flip=True),
        "folds": 2,
        "repeats": 1,
    }
    return DiscriminatorRecipe(**(quick | changes))


def images(bright: np.ndarray, seed: int) -> np.ndarray:
    """Noise of 16 pixels a side; the bright ones are lighter throughout."""
    generator = np.random.default_rng(seed)
    noise = generator.integers(0, 120, (len(bright), 16, 16, 3))
    return (noise + 100 * bright[:, None, None, None]).astype(np.uint8)


def sets(population_share=0.1, reference_share=0.5, size=240, others=120):
    bright = np.arange(size) < population_share * size
    reference = np.arange(others) < reference_share * others
    return Sets(
        population=images(bright, 0),
        strata=(np.arange(size) % 2).astype(np.int64),
        examples=images(reference, 1),
        target=np.zeros(others, dtype=np.int64),
        twin=np.full(others, -1, dtype=np.int64),
    ), bright


def test_what_the_reference_has_more_of_scores_higher():
    given, bright = sets()
    ratios = cross_fitted_log_ratios(given, recipe(), 0, CPU, lambda note: None)
    score = ratios.population[:, 0]
    assert area_under_curve(score[bright], score[~bright]).value > 0.9
    # True log ratios: log(0.5 / 0.1) and log(0.5 / 0.9), two nats apart.
    assert 1 < np.median(score[bright]) - np.median(score[~bright]) < 4
    assert ratios.examples.shape == (120, 1)


def test_equal_sets_are_not_told_apart():
    given, _ = sets(0.5, 0.5)
    ratios = cross_fitted_log_ratios(given, recipe(), 0, CPU, lambda note: None)
    area = area_under_curve(ratios.examples[:, 0], ratios.population[:, 0]).value
    assert 0.35 < area < 0.65


def test_the_same_seed_gives_the_same_ratios_and_another_does_not():
    given, _ = sets(size=64, others=32)
    quick = recipe(training=Training(epochs=1, batch_size=16))
    one, again = (
        cross_fitted_log_ratios(given, quick, 3, CPU, lambda note: None) for _ in range(2)
    )
    other = cross_fitted_log_ratios(given, quick, 4, CPU, lambda note: None)
    np.testing.assert_array_equal(one.population, again.population)
    assert not np.array_equal(one.population, other.population)


def test_labels_of_one_fold_never_reach_its_own_scores():
    """Scores of a fold stay the same when the set membership of its own images is swapped."""
    given, _ = sets(size=64, others=32)
    quick = recipe(training=Training(epochs=1, batch_size=16))
    first = next(_folds(given, 2, 0, 0))
    held_examples = np.flatnonzero(first[64:])
    changed_images = given.examples.copy()
    changed_images[held_examples] = 255 - changed_images[held_examples]
    changed = Sets(
        population=given.population,
        strata=given.strata,
        examples=changed_images,
        target=given.target,
        twin=given.twin,
    )
    before, after = (
        cross_fitted_log_ratios(one, quick, 0, CPU, lambda note: None).population
        for one in (given, changed)
    )
    np.testing.assert_array_equal(before[first[:64]], after[first[:64]])
    assert not np.array_equal(before[~first[:64]], after[~first[:64]])


def test_an_image_in_two_roles_stays_in_one_fold():
    generator = np.random.default_rng(0)
    twin = generator.permutation(50)[:20].astype(np.int64)
    given = Sets(
        population=np.zeros((50, 4, 4, 3), dtype=np.uint8),
        strata=(np.arange(50) % 2).astype(np.int64),
        examples=np.zeros((20, 4, 4, 3), dtype=np.uint8),
        target=(np.arange(20) % 2).astype(np.int64),
        twin=twin,
    )
    masks = list(_folds(given, 5, 0, 0))
    assert (np.sum(masks, axis=0) == 1).all()
    for mask in masks:
        assert set(given.target[mask[50:]]) == {0, 1}  # and each fold holds every target
        np.testing.assert_array_equal(mask[50:], mask[twin])
        assert abs(mask[:50].sum() - 10) <= 2


def test_two_targets_are_told_apart():
    bright = np.arange(120) < 30
    population = images(bright, 0)
    known = np.concatenate([np.flatnonzero(bright)[:12], np.flatnonzero(~bright)[:12]])
    given = Sets(
        population=population,
        strata=(np.arange(120) % 2).astype(np.int64),
        examples=population[known],
        target=np.repeat([0, 1], 12).astype(np.int64),
        twin=known.astype(np.int64),
    )
    ratios = cross_fitted_log_ratios(
        given, recipe(training=Training(epochs=8, batch_size=16, learning_rate=3e-3)), 0, CPU,
        lambda note: None,
    )  # fmt: skip
    score = ratios.population[:, 0] - ratios.population[:, 1]
    assert area_under_curve(score[bright], score[~bright]).value > 0.9


def test_fewer_examples_than_folds_is_an_error():
    given, _ = sets(size=64, others=3)
    with pytest.raises(WeightError, match=r"holds 3 images, fewer than the 5 folds"):
        cross_fitted_log_ratios(given, recipe(folds=5), 0, CPU, lambda note: None)


def test_shrinking_averages_areas_and_keeps_small_images():
    pixels = np.zeros((2, 4, 4, 3), dtype=np.uint8)
    pixels[0, :2, :2] = 100
    stored = ShardedImages([pixels[:1], pixels[1:]])
    rows = np.array([1, 0])
    small = shrunk(stored, rows, 2)
    assert small.shape == (2, 2, 2, 3)
    np.testing.assert_array_equal(small[1, :, :, 0], [[100, 0], [0, 0]])
    np.testing.assert_array_equal(shrunk(stored, rows, 8), pixels[::-1])
    assert torch.from_numpy(small).is_contiguous()

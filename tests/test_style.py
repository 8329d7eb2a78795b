"""Style matching: what it evens out, and what it leaves alone."""

import numpy as np
import pytest

from debias.weighting.matching import match_style, sharpness


def photographs(size=40, seed=0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    coarse = generator.uniform(40, 215, (size, 8, 8, 3)).repeat(4, axis=1).repeat(4, axis=2)
    return np.clip(coarse + generator.normal(0, 12, coarse.shape), 0, 255).astype(np.uint8)


def test_another_camera_is_taken_out():
    """A darker, warmer, flatter copy of the same kind of photograph ends where the first does."""
    first, other = photographs(seed=0), photographs(seed=1)
    faded = (other * np.array([0.5, 0.4, 0.3]) + 20).astype(np.uint8)
    one, two = match_style(first, faded)
    for images in (one, two):
        np.testing.assert_allclose(images.mean(axis=(1, 2)), 128, atol=3)
        np.testing.assert_allclose(images.std(axis=(1, 2)), 56, atol=6)


def test_the_sharper_set_is_blurred_to_the_other():
    sharp = photographs(seed=0)
    soft = np.stack([np.roll(sharp, step, axis=2) for step in range(3)]).mean(axis=0)
    one, two = match_style(sharp, soft.astype(np.uint8))
    assert sharpness(sharp.astype(np.float32)) > 1.2 * sharpness(soft.astype(np.float32))
    assert sharpness(one.astype(np.float32)) == pytest.approx(
        sharpness(two.astype(np.float32)), rel=0.1
    )


def test_flat_images_stay_finite_and_input_is_left_alone():
    flat = np.full((3, 8, 8, 3), 7, dtype=np.uint8)
    before = flat.copy()
    one, two = match_style(flat, photographs(3)[:, :8, :8])
    assert (one == 128).all()
    assert two.shape == (3, 8, 8, 3)
    np.testing.assert_array_equal(flat, before)

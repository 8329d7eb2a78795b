"""Plain descriptors: what they see, and what they are blind to."""

import numpy as np

from debias.density.descriptors import DESCRIPTORS, colour, describe, gradients, structure
from debias.types import ShardedImages


def scenes(size=6, side=64, seed=0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    coarse = generator.uniform(60, 160, (size, 8, 8, 3))
    return coarse.repeat(side // 8, axis=1).repeat(side // 8, axis=2)


def pixels(levels) -> np.ndarray:
    return np.clip(np.rint(levels), 0, 255).astype(np.uint8)


def test_shapes_and_any_side():
    for side in (16, 20, 64, 100):
        images = np.random.default_rng(0).integers(0, 255, (3, side, side, 3)).astype(np.uint8)
        assert colour(images).shape == (3, 72)
        assert structure(images).shape == (3, 144)
        assert gradients(images).shape == (3, 512)
        assert np.isfinite(gradients(images)).all()
        assert np.isfinite(colour(images)).all()
        assert np.isfinite(structure(images)).all()


def test_a_flat_image_by_hand():
    flat = np.full((1, 64, 64, 3), (204, 102, 51), dtype=np.uint8)  # 0.8, 0.4, 0.2
    red, green, blue = np.log(np.array([0.8, 0.4, 0.2]) + 0.05)
    found = colour(flat).reshape(6, 6, 2)
    np.testing.assert_allclose(found[..., 0], red - green, rtol=1e-5)
    np.testing.assert_allclose(found[..., 1], (red + green) / 2 - blue, rtol=1e-5)
    np.testing.assert_allclose(structure(flat), 0, atol=1e-6)


def test_structure_is_blind_to_light_and_contrast_and_colour_nearly_to_light():
    scene = scenes()
    bright = pixels(1.4 * scene + 10)
    np.testing.assert_allclose(structure(bright), structure(pixels(scene)), atol=0.2)
    brighter = np.abs(colour(pixels(1.4 * scene)) - colour(pixels(scene))).mean()
    other = np.abs(colour(pixels(scenes(seed=1))) - colour(pixels(scene))).mean()
    assert brighter < 0.15 * other


def test_stripes_have_one_direction():
    """Upright stripes: brightness changes to the right, direction 0; half of a step each way."""
    upright = np.zeros((1, 64, 64, 3), dtype=np.uint8)
    upright[:, :, ::4] = upright[:, :, 1::4] = 200
    level = upright.transpose(0, 2, 1, 3)
    right, down = gradients(upright).reshape(64, 8), gradients(level).reshape(64, 8)
    assert (right.argmax(axis=1) == 0).all()
    assert (down.argmax(axis=1) == 4).all()
    np.testing.assert_allclose(right.sum(axis=1), right[:, 0], rtol=1e-5)
    np.testing.assert_allclose(right[:, 0], 1 / 1.5, rtol=0.06)  # one-sided at borders
    assert (gradients(np.full((1, 64, 64, 3), 90, dtype=np.uint8)) == 0).all()


def test_the_margins_are_not_looked_at():
    inside = pixels(scenes())
    framed = inside.copy()
    framed[:, :8] = 255
    framed[:, -8:] = 0
    framed[:, :, :8] = 255
    framed[:, :, -8:] = 0
    for descriptor in DESCRIPTORS.values():
        np.testing.assert_array_equal(descriptor(framed), descriptor(inside))


def test_rows_come_in_the_order_asked_for():
    images = pixels(scenes())
    store = ShardedImages([images[:2], images[2:]])
    rows = np.array([5, 0, 3])
    np.testing.assert_array_equal(describe("colour", store, rows), colour(images[rows]))

"""Distances between pictures, by hand."""

import numpy as np
import pytest

from debias.models.quality.pictures import psnr, squared_error, ssim


def flat(*levels, side=12):
    return np.stack([np.full((side, side, 3), level, np.uint8) for level in levels])


def test_psnr_of_pictures_a_known_step_apart():
    originals, drawn = flat(100, 100, 0), flat(110, 100, 255)
    assert squared_error(originals, drawn) == pytest.approx([(10 / 255) ** 2, 0, 1])
    found = psnr(originals, drawn)
    assert found[0] == pytest.approx(20 * np.log10(25.5))
    assert found[1] == np.inf  # equal pictures
    assert found[2] == pytest.approx(0)  # black for white


def test_ssim_of_flat_pictures_is_their_light_alone():
    c1 = (0.01 * 255) ** 2
    expected = (2 * 100 * 150 + c1) / (100**2 + 150**2 + c1)
    assert ssim(flat(100, 7), flat(150, 7)) == pytest.approx([expected, 1])


def test_ssim_in_one_window_is_the_formula_with_gaussian_weights():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (2, 1, 11, 11, 1), dtype=np.uint8)
    side = np.exp(-0.5 * (np.arange(-5, 6) / 1.5) ** 2)
    weight = np.outer(side, side) / side.sum() ** 2
    a, b = x[0, :, :, 0].astype(float), y[0, :, :, 0].astype(float)
    m, k = (weight * a).sum(), (weight * b).sum()
    s, t = (weight * (a - m) ** 2).sum(), (weight * (b - k) ** 2).sum()
    both = (weight * (a - m) * (b - k)).sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    expected = (2 * m * k + c1) * (2 * both + c2) / ((m * m + k * k + c1) * (s + t + c2))
    assert ssim(x, y) == pytest.approx([expected], rel=1e-9)


def test_ssim_of_a_negative_is_negative_and_symmetric():
    x = np.random.default_rng(1).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    assert (ssim(x, 255 - x) < 0).all()
    assert ssim(x, 255 - x) == pytest.approx(ssim(255 - x, x))


def test_pictures_that_are_no_pairs_or_too_small_are_refused():
    with pytest.raises(ValueError, match="must come in pairs"):
        psnr(flat(1), flat(1, 2))
    with pytest.raises(ValueError, match="at least 11 pixels"):
        ssim(flat(1, side=10), flat(1, side=10))

"""The tasks, with representations whose answers are known: one draws the truth, one grey."""

import numpy as np
import pytest

from debias.models.quality import tasks

RNG = np.random.default_rng(0)
WAVES = np.stack([
    128 + 80 * np.sin(np.arange(16)[:, None, None] / 3 + phase) * np.ones((1, 16, 3))
    for phase in (0, 1, 2, 3)
]).astype(np.uint8)  # fmt: skip


def grey(pictures):
    return np.full_like(pictures, 128)


def truth(pictures):
    return WAVES


def rng():
    return np.random.default_rng(1)


def test_who_knows_the_truth_beats_the_plain_method_and_who_draws_grey_does_not():
    for task in (
        lambda redraw: tasks.denoise(redraw, WAVES, rng()),
        lambda redraw: tasks.fill_in(redraw, WAVES),
        lambda redraw: tasks.raise_resolution(redraw, WAVES),
    ):
        known, ignorant = task(truth), task(grey)
        assert np.array_equal(known.drawn, WAVES)
        assert known.closer().value == 1
        assert known.figures()["psnr"] == np.inf
        assert ignorant.closer().count < 4
        found = ignorant.figures()
        assert found["plain_psnr"] == known.figures()["plain_psnr"]
        assert found["ssim"] < found["plain_ssim"] < 1


def test_noise_has_the_asked_for_size_and_a_median_takes_single_specks_away():
    flat = np.full((1, 64, 64, 3), 128, np.uint8)
    trial = tasks.denoise(grey, flat, rng(), level=0.1)
    assert trial.given.std() == pytest.approx(25.5, rel=0.02)
    assert trial.plain.std() < trial.given.std() / 2
    assert trial.figures()["psnr"] == np.inf
    assert trial.method == "median filter"


def test_only_the_middle_third_is_hidden_and_only_it_is_drawn():
    trial = tasks.fill_in(grey, WAVES[:, :15, :15])
    changed = (trial.given != WAVES[:, :15, :15]).any(axis=(0, 3))
    assert not changed[:5].any()
    assert not changed[:, 10:].any()
    assert (trial.drawn[:, 5:10, 5:10] == 128).all()
    assert np.array_equal(trial.drawn[:, :5], WAVES[:, :5, :15])
    around = np.delete(WAVES[0, :15, :15].reshape(225, 3), [
        row * 15 + column for row in range(5, 10) for column in range(5, 10)
    ], axis=0)  # fmt: skip
    assert trial.given[0, 7, 7] == pytest.approx(around.mean(axis=0), abs=0.5)


def test_the_biharmonic_fill_continues_a_slope_exactly_and_keeps_what_is_seen():
    slope = (10 * np.arange(13)[:, None, None] + 5 * np.arange(13)[None, :, None]) * np.ones(3)
    picture = slope.astype(np.uint8)[None]
    hidden = np.zeros((13, 13), bool)
    hidden[4:9, 4:9] = True
    broken = np.where(hidden[None, :, :, None], 0, picture).astype(np.uint8)
    assert np.array_equal(tasks.smoothed(broken, hidden), picture)


def test_a_picture_at_a_quarter_of_its_side_is_made_of_flat_squares():
    trial = tasks.raise_resolution(grey, WAVES)
    assert np.array_equal(trial.given[:, ::4, ::4], trial.given[:, 3::4, 3::4])
    expected = WAVES[0, :4, :4, 0].mean()
    assert trial.given[0, 0, 0, 0] == pytest.approx(expected, abs=0.51)


def test_bits_of_a_code_by_hand():
    # Seen: 0 three times, 1 once; one more of each possible code, 0 to 2: shares 4/7, 2/7, 1/7.
    found = tasks._code_length(np.array([0, 1, 2]), np.array([0, 0, 0, 1]))
    assert found == pytest.approx(-np.log2([4 / 7, 2 / 7, 1 / 7]))


def test_compression_rounds_places_and_pays_for_dimensions_that_vary_only():
    known = np.stack([np.tile([-1.0, 1.0], 500), np.full(1000, 7.0)], axis=1)
    places = np.array([[0.8, 7.0], [-1.2, 7.0], [0.9, 7.0], [-1.1, 7.0]])
    seen = []

    def decode(z):
        seen.append(z)
        return WAVES

    trial = tasks.compress(decode, known, places, WAVES, step=2.0)
    # Steps of 2 standard deviations of 1: the codes of -1 and 1 are 0 (halves go to even).
    assert seen[0].tolist() == [[0, 7], [-2, 7], [0, 7], [-2, 7]]
    assert trial.bits == pytest.approx(np.mean(-np.log2([1001 / 1002, 1 / 1002] * 2)))
    assert trial.figures()["bits"] == trial.bits
    assert trial.figures()["psnr"] == np.inf > trial.figures()["plain_psnr"]
    assert trial.method == "JPEG"


def test_a_jpeg_fits_in_its_bits_and_improves_with_them():
    picture = RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
    sizes, errors = [], []
    for bits in (200.0, 2000.0, 20000.0):
        found, size = tasks.jpeg_within(picture, bits)
        assert found.shape == picture.shape
        assert size <= bits
        sizes.append(size)
        errors.append(np.square(found.astype(float) - picture).mean())
    assert sizes == sorted(sizes)
    assert errors == sorted(errors, reverse=True)
    _, least = tasks.jpeg_within(picture, 0.0)
    assert 0 < least < 200  # none fits: the smallest there is


def test_anomalies_by_a_score_and_by_the_nearest_known_picture():
    usual, odd = WAVES, tasks.swapped_quarters(WAVES)
    found = tasks.spot_anomalies(lambda x: x.mean(axis=(1, 2, 3)), WAVES, usual, odd)
    assert found.plain.value == 1  # the usual ones are known, so their distance is 0
    assert found.own.value == pytest.approx(0.5)  # the mean does not notice
    assert np.array_equal(tasks.swapped_quarters(odd), WAVES)
    assert np.array_equal(odd[:, :8, :8], WAVES[:, 8:, 8:])

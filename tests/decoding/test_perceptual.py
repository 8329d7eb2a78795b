import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from debias.decoding.perceptual import perceptual_hash


def noise(count=3, height=40, width=33, seed=0):
    shape = (count, height, width, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def bits(images):
    """(m, u, v) in the order of the hash."""
    words = perceptual_hash(images).astype(">u8")
    return np.unpackbits(words.view(np.uint8), axis=1).reshape(len(images), 16, 16)


def wave(u, v, size=64, sign=1):
    place = np.pi * (2 * np.arange(size) + 1) / (2 * size)
    light = 128 + sign * 100 * np.outer(np.cos(v * place), np.cos(u * place))
    return np.repeat(light.round().astype(np.uint8)[None, :, :, None], 3, axis=3)


@pytest.mark.parametrize(("u", "v", "place"), [(1, 1, 0), (3, 1, 1), (15, 9, 7), (2, 4, 8)])
def test_a_wave_sets_its_own_bit_and_its_negative_does_not(u, v, place):
    assert bits(wave(u, v))[0, place, v - 1] == 1
    assert bits(wave(u, v, sign=-1))[0, place, v - 1] == 0


def test_the_slowest_wave_is_the_first_bit_of_the_first_word():
    assert perceptual_hash(wave(1, 1))[0, 0] >> np.uint64(63) == 1


def test_the_bits_are_the_signs_of_a_cosine_transform():
    from scipy.fft import dctn

    images = noise(count=20, height=64, width=64)
    light = images.astype(np.float64) @ np.array([1, 2, 1])
    found = dctn(light, axes=(1, 2))[:, 1:17, 1:17].transpose(0, 2, 1)  # (m, u, v)
    ordered = np.concatenate([found[:, ::2], found[:, 1::2]], axis=1)
    clear = np.abs(ordered) > 0.02 * np.abs(ordered).max()  # rounding may turn tiny ones
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(bits(images)[clear] == 1, ordered[clear] > 0)


@pytest.mark.parametrize("size", [32, 64, 100, 128, 300])
def test_a_mirrored_photograph_has_the_first_two_words_inverted(size):
    images = noise(height=size, width=size)
    turned = perceptual_hash(images[:, :, ::-1])
    np.testing.assert_array_equal(turned[:, :2], ~perceptual_hash(images)[:, :2])
    np.testing.assert_array_equal(turned[:, 2:], perceptual_hash(images)[:, 2:])


@pytest.mark.parametrize(("height", "width"), [(8, 8), (64, 64), (20, 300)])
def test_neither_the_block_nor_the_layout_in_memory_makes_a_difference(height, width):
    images = noise(count=5, height=height, width=width)
    alone = np.concatenate([perceptual_hash(images[i : i + 1]) for i in range(5)])
    np.testing.assert_array_equal(perceptual_hash(images), alone)
    np.testing.assert_array_equal(perceptual_hash(np.asfortranarray(images)), alone)


@settings(max_examples=30, deadline=None)
@given(brighter=st.integers(0, 40), contrast=st.sampled_from([1, 2, 3]))
def test_brightness_and_contrast_change_no_bit(brighter, contrast):
    images = noise(height=64, width=64) // 4
    changed = (images * contrast + brighter).astype(np.uint8)
    np.testing.assert_array_equal(perceptual_hash(changed), perceptual_hash(images))


def test_a_blank_image_has_no_bit_set_and_no_images_have_no_hash():
    blank = np.full((1, 64, 64, 3), 77, dtype=np.uint8)
    assert perceptual_hash(blank).tolist() == [[0, 0, 0, 0]]
    assert perceptual_hash(blank[:0]).shape == (0, 4)

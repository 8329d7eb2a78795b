"""Squares cut out of images: hand-computed pixels, edges, angles, and coordinates meant to hurt."""

import math
import tracemalloc

import numpy as np
import pytest
from encoded_images import encoded, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from debias.decoding.cropping import Square, centred, check, cut
from debias.decoding.decode import decode
from debias.decoding.rules import RefusedError

BLACK = "black beyond the edge"


def grid(width=6, height=4):
    """Pixel (x, y) has the colour (10 x, 10 y, 200)."""
    y, x = np.mgrid[0:height, 0:width]
    colours = np.stack([10 * x, 10 * y, np.full_like(x, 200)], axis=-1)
    return Image.fromarray(colours.astype(np.uint8))


def pixels(image, square, size):
    return np.asarray(cut(image, square, size)[0])


def test_a_square_of_whole_pixels_is_copied():
    found, beyond = cut(grid(), Square(3.0, 2.0, 2.0), 2)
    assert not beyond
    np.testing.assert_array_equal(np.asarray(found)[..., 0], [[20, 30], [20, 30]])
    np.testing.assert_array_equal(np.asarray(found)[..., 1], [[10, 10], [20, 20]])


def test_the_largest_centred_square():
    assert centred(6, 4) == Square(3.0, 2.0, 4.0, 0.0)
    assert centred(5, 8) == Square(2.5, 4.0, 5.0, 0.0)


@pytest.mark.parametrize("name", ["JPEG", "PNG"])
@pytest.mark.parametrize(("width", "height"), [(130, 70), (64, 200), (97, 97)])
def test_no_crop_is_the_crop_of_the_centred_square(name, width, height):
    content = encoded(picture(width, height), name)
    without = decode(content, 24)
    given = decode(content, 24, crop=centred(width, height))
    np.testing.assert_array_equal(without.pixels, given.pixels)
    assert given.notes == without.notes


def test_what_lies_beyond_the_edge_is_black():
    found, beyond = cut(grid(), Square(0.0, 0.0, 4.0), 4)
    assert beyond
    red = np.asarray(found)[..., 0]
    blue = np.asarray(found)[..., 2]
    np.testing.assert_array_equal(red[2:, 2:], [[0, 10], [0, 10]])
    np.testing.assert_array_equal(blue, np.pad(np.full((2, 2), 200), ((2, 0), (2, 0))))


def test_pixels_that_lie_partly_beyond_the_edge_are_black_and_the_others_stay_in_place():
    # Two image pixels a result pixel, the edge in the middle of the second one.
    found = pixels(grid(12, 12), Square(1.0, 6.0, 8.0), 4)
    blue = found[..., 2]
    np.testing.assert_array_equal(blue[0], [0, 0, 200, 200])
    whole = pixels(grid(12, 12), Square(5.0, 6.0, 8.0), 4)  # two pixels further right
    np.testing.assert_array_equal(found[:, 2:][:, 1], whole[:, 1])


@pytest.mark.parametrize(("angle", "turns"), [(90.0, 1), (180.0, 2), (270.0, 3), (-90.0, 3)])
def test_a_quarter_turn_clockwise_of_the_square_is_one_counterclockwise_of_its_content(
    angle, turns
):
    image = grid(12, 10)
    straight = pixels(image, Square(6.0, 5.0, 4.0), 4)
    turned = pixels(image, Square(6.0, 5.0, 4.0, angle), 4)
    np.testing.assert_allclose(turned, np.rot90(straight, turns), atol=1)


def test_a_full_turn_changes_nothing():
    straight = pixels(grid(), Square(3.0, 2.0, 3.0), 6)
    np.testing.assert_array_equal(pixels(grid(), Square(3.0, 2.0, 3.0, 720.0), 6), straight)


def test_a_square_along_a_slanted_line_of_eyes_makes_it_level():
    image = Image.new("RGB", (200, 200), "black")
    angle = 30.0
    along = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    for sign in (-1, 1):  # two bright eyes, 40 pixels either side of (100, 110)
        x, y = 100 + sign * 40 * along[0], 110 + sign * 40 * along[1]
        image.paste("white", (round(x) - 6, round(y) - 6, round(x) + 6, round(y) + 6))
    found = pixels(image, Square(100.0, 110.0, 120.0, angle), 60)[..., 0].astype(float)
    y, x = np.mgrid[0:60, 0:60] + 0.5
    for half, expected in ((x < 30, 10.0), (x > 30, 50.0)):
        weight = found * half
        assert (weight * x).sum() / weight.sum() == pytest.approx(expected, abs=0.5)
        assert (weight * y).sum() / weight.sum() == pytest.approx(30.0, abs=0.5)


def test_turning_averages_when_it_shrinks():
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3)).astype(np.uint8)
    turned = pixels(Image.fromarray(noise), Square(200.0, 200.0, 240.0, 33.0), 12)
    assert abs(turned.mean() - 127.5) < 5
    assert turned.std() < 15  # without averaging it would be 74


def test_a_turned_square_beyond_the_edge_has_black_corners():
    found, beyond = cut(Image.new("RGB", (40, 40), "white"), Square(20.0, 20.0, 40.0, 45.0), 40)
    red = np.asarray(found)[..., 0]
    assert beyond
    assert red[0, 0] == red[0, -1] == red[-1, 0] == red[-1, -1] == 0
    assert red[20, 20] == red[20, 2] == red[2, 20] == 255
    assert not cut(Image.new("RGB", (40, 40)), Square(20.0, 20.0, 20.0, 45.0), 40)[1]


HOSTILE = [
    Square(math.nan, 5.0, 4.0), Square(5.0, math.inf, 4.0), Square(5.0, 5.0, math.nan),
    Square(5.0, 5.0, 4.0, -math.inf), Square(5.0, 5.0, 1.99), Square(5.0, 5.0, -4.0),
    Square(5.0, 5.0, 0.0), Square(5.0, 5.0, 192.1), Square(5.0, 5.0, 1e9), Square(1e9, 5.0, 4.0),
    Square(5.0, -1e300, 4.0), Square(50.0, 5.0, 4.0), Square(5.0, -2.0, 4.0),
    Square(-6.0, -6.0, 12.0, 45.0), Square(5.0, 5.0, 4.0, math.nan), Square(1e308, 1e308, 100.0),
]  # fmt: skip


@pytest.mark.parametrize("square", HOSTILE, ids=str)
def test_a_square_that_cannot_be_cut_out_is_refused(square):
    with pytest.raises(RefusedError) as caught:
        decode(encoded(picture()), 16, crop=square)
    assert caught.value.reason == "outside the image"
    assert caught.value.detail.isprintable()
    assert len(caught.value.detail) <= 200
    assert caught.value.dimensions == (48, 40)


def test_a_square_of_which_no_whole_pixel_is_inside_is_refused():
    square = Square(-1.9, 20.0, 4.0)
    check(square, 48, 40)
    with pytest.raises(RefusedError, match="outside the image"):
        cut(grid(48, 40), square, 4)


@given(
    x=st.floats(allow_nan=True, allow_infinity=True),
    y=st.floats(-300, 300),
    side=st.floats(0, 300),
    angle=st.floats(-1e6, 1e6),
)
@settings(max_examples=200, deadline=None)
def test_any_square_gives_pixels_or_is_refused_and_allocates_little(x, y, side, angle):
    image = grid(48, 40)
    for left in (x, y):
        square = Square(left, y, side, angle)
        tracemalloc.start()
        try:
            check(square, *image.size)
            assert cut(image, square, 16)[0].size == (16, 16)
        except RefusedError:
            pass
        finally:
            assert tracemalloc.get_traced_memory()[1] < 1e6
            tracemalloc.stop()


@given(
    x=st.floats(-30, 80), y=st.floats(-30, 80), side=st.floats(4, 100), angle=st.floats(-180, 180)
)
@settings(max_examples=200, deadline=None)
def test_of_a_white_image_every_pixel_is_white_or_black_by_where_it_lies(x, y, side, angle):
    square, size = Square(x, y, side, angle), 16
    white = Image.new("RGB", (48, 40), "white")
    try:
        check(square, 48, 40)
        found = np.asarray(cut(white, square, size)[0])[..., 0]
    except RefusedError:
        return
    row, column = np.mgrid[0:size, 0:size] + 0.5
    right, down = (column / size - 0.5) * side, (row / size - 0.5) * side
    cos, sin = math.cos(math.radians(angle)), math.sin(math.radians(angle))
    at_x, at_y = x + right * cos - down * sin, y + right * sin + down * cos
    near = 1.5 * max(side / size, 1)  # pixels that the edge may touch
    inside = (at_x > near) & (at_x < 48 - near) & (at_y > near) & (at_y < 40 - near)
    outside = (at_x < -near) | (at_x > 48 + near) | (at_y < -near) | (at_y > 40 + near)
    assert (found[inside] == 255).all()
    assert (found[outside] == 0).all()

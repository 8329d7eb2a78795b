import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from debias.errors import DataError
from debias.ingesting.rules import Box, Centre, Eyes, framed
from debias.types import CROP


def table(**columns) -> pd.DataFrame:
    rows = len(next(iter(columns.values())))
    return pd.DataFrame({"sample_id": [f"s{row}" for row in range(rows)], **columns})


def eyes(left, right) -> pd.DataFrame:
    return table(
        lefteye_x=[left[0]], lefteye_y=[left[1]], righteye_x=[right[0]], righteye_y=[right[1]]
    )


def square(samples) -> list[float]:
    return samples[list(CROP)].iloc[0].tolist()


def test_the_centre_needs_no_column():
    samples = table(a=[1])
    found, rejected = framed(samples, Centre())
    pd.testing.assert_frame_equal(found, samples)
    assert rejected == []


@pytest.mark.parametrize("framing", [Centre(), Box()])
def test_columns_named_like_ours_decide_nothing(framing):
    boxes = {"box_x": ["10"], "box_y": ["20"], "box_width": ["40"], "box_height": ["60"]}
    theirs = table(crop_x=[1.0], crop_angle=[45.0], **boxes)
    plain = table(**boxes)
    found, _ = framed(theirs, framing)
    pd.testing.assert_frame_equal(found, framed(plain, framing)[0])


def test_a_box_becomes_a_square_with_a_margin():
    boxes = table(box_x=["10"], box_y=["20"], box_width=["40"], box_height=["60"])
    found, _ = framed(boxes, Box(margin=0.25))
    assert square(found) == [30, 50, 90, 0]


def test_level_eyes_stand_at_the_named_height_and_distance():
    found, _ = framed(eyes((40, 100), (80, 100)), Eyes(distance=0.4, height=0.3))
    # 40 pixels are 0.4 of the side; the eyes are 0.2 of it above the centre.
    np.testing.assert_allclose(square(found), [60, 120, 100, 0])


def test_a_face_lying_on_its_side_is_turned():
    found, _ = framed(eyes((50, 20), (50, 60)), Eyes(distance=0.4, height=0.3))
    # The line from one eye to the other points down: the chin is on the left of the image.
    np.testing.assert_allclose(square(found), [30, 40, 100, 90], atol=1e-9)


def test_it_does_not_matter_whose_left_eye_it_is():
    one, _ = framed(eyes((40, 90), (80, 110)), Eyes())
    other, _ = framed(eyes((80, 110), (40, 90)), Eyes())
    assert square(one) == square(other)


@pytest.mark.parametrize("bad", ["", "x", None, "nan", "inf"])
def test_a_face_without_a_position_is_set_aside_and_not_cut_at_the_middle(bad):
    boxes = table(box_x=["1", bad], box_y=["1", "1"], box_width=["9", "9"], box_height=["9", "9"])
    found, rejected = framed(boxes, Box())
    assert found["sample_id"].tolist() == ["s0"]
    assert [(item.sample_id, item.reason) for item in rejected] == [
        ("s1", "no position of the face")
    ]


def test_two_eyes_at_one_place_are_no_position():
    _, rejected = framed(eyes((5, 5), (5, 5)), Eyes())
    assert len(rejected) == 1


def test_an_empty_box_is_no_position():
    boxes = table(box_x=[1], box_y=[1], box_width=[0], box_height=[9])
    assert len(framed(boxes, Box())[1]) == 1


def test_a_missing_column_is_named():
    with pytest.raises(DataError, match=r"'box' needs the columns \['box_y'\].*ingest.framing"):
        framed(table(box_x=[1], box_width=[1], box_height=[1]), Box())


@given(
    st.floats(-500, 500), st.floats(-500, 500), st.floats(1, 300), st.floats(-180, 180),
    st.floats(0.1, 0.9), st.floats(0, 1),
)  # fmt: skip
def test_the_eyes_always_land_where_the_framing_says(x, y, apart, degrees, distance, height):
    turn = np.radians(degrees)
    half = apart / 2 * np.array([np.cos(turn), np.sin(turn)])
    centre = np.array([x, y])
    found, _ = framed(eyes(centre - half, centre + half), Eyes(distance=distance, height=height))
    crop_x, crop_y, side, angle = square(found)
    back = -np.radians(angle)
    rotate = np.array([[np.cos(back), -np.sin(back)], [np.sin(back), np.cos(back)]])
    seen = [
        rotate @ (eye - [crop_x, crop_y]) / side + 0.5 for eye in (centre - half, centre + half)
    ]
    seen.sort(key=lambda eye: eye[0])
    np.testing.assert_allclose(seen[0], [0.5 - distance / 2, height], atol=1e-6)
    np.testing.assert_allclose(seen[1], [0.5 + distance / 2, height], atol=1e-6)

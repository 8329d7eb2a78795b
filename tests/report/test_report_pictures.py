import base64
import io

import numpy as np
import pytest
from PIL import Image

from debias.datasets.synthetic import SyntheticFaces, render
from debias.report import Pictures
from debias.report.pictures import contact_sheet, paired_rows, sheets, shrink, webp


def tones(count, size=2):
    """One flat grey image per number: image i has the value i."""
    values = np.arange(count, dtype=np.uint8)[:, None, None, None]
    return np.broadcast_to(values, (count, size, size, 3)).copy()


def decoded(address):
    head, _, body = address.partition(",")
    assert head == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(body))))


def test_contact_sheet_lays_rows_out_with_transparent_gaps():
    sheet = contact_sheet(tones(3), columns=2, gap=1)
    assert sheet.shape == (5, 5, 4)
    assert sheet[0, 0].tolist() == [0, 0, 0, 255]
    assert sheet[0, 3].tolist() == [1, 1, 1, 255]
    assert sheet[3, 0].tolist() == [2, 2, 2, 255]
    assert sheet[2].sum() == 0  # the gap
    assert sheet[3:, 3:].sum() == 0  # the missing fourth image


def test_paired_rows_put_each_row_above_its_counterpart():
    order = paired_rows(tones(4), 100 + tones(4), columns=2)[:, 0, 0, 0]
    assert order.tolist() == [0, 1, 100, 101, 2, 3, 102, 103]


def test_paired_rows_of_fewer_than_a_row_keep_all():
    order = paired_rows(tones(2), 100 + tones(2), columns=6)[:, 0, 0, 0]
    assert order.tolist() == [0, 1, 100, 101]


def test_a_face_keeps_its_looks_in_a_fraction_of_the_bytes():
    faces = render(SyntheticFaces(n_train=12).collect(0).samples.iloc[:12], 64)
    sheet = contact_sheet(faces, columns=6)
    address = webp(sheet)
    read, shown = decoded(address), sheet[..., 3] > 0
    assert np.array_equal(read[..., 3], sheet[..., 3])  # the gaps let the page show
    error = read[shown].astype(float) - sheet[shown]
    assert np.sqrt(np.square(error).mean()) < 6
    lossless = io.BytesIO()
    Image.fromarray(sheet).save(lossless, format="PNG", optimize=True)
    assert len(address) < len(lossless.getvalue()) / 5


@pytest.mark.parametrize(("shape", "small"), [((200, 100), (96, 48)), ((64, 64), (64, 64))])
def test_shrink_keeps_the_ratio_and_small_images(shape, small):
    images = np.full((2, *shape, 3), 9, np.uint8)
    assert shrink(images).shape == (2, *small, 3)


def test_sheets_show_the_first_images_in_order():
    left, right = sheets(tones(30, 16), columns=6, parts=2, most=24)
    assert decoded(left)[0, 0, 0] == pytest.approx(0, abs=3)
    assert decoded(right)[0, 0, 0] == pytest.approx(12, abs=3)
    assert decoded(right)[-1, -1].tolist() == pytest.approx([23, 23, 23, 255], abs=3)


def test_pictures_refuse_traversals_without_their_numbers():
    with pytest.raises(ValueError, match="traversed_dimensions"):
        Pictures(traversals=np.zeros((2, 3, 4, 4, 3), np.uint8), traversed_dimensions=(1,))


def test_pictures_refuse_originals_without_reconstructions():
    with pytest.raises(ValueError, match="pairs"):
        Pictures(originals=tones(2))

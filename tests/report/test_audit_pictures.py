import numpy as np
import pytest

from debias.report.audit_faces import latent_page, sheet, strip, tiles
from debias.report.pictures_of_audits import AuditMap, AuditPictures

FACE = np.zeros((8, 8, 3), dtype=np.uint8)


def a_map(**parts):
    zeros = np.zeros(3, dtype=np.int64)
    whole = {"xy": np.zeros((3, 2)), "density": np.zeros(3), "cluster": zeros, "region": zeros}
    return AuditMap(**(whole | parts))


@pytest.mark.parametrize(
    ("parts", "said"),
    [
        ({"attributes": {"race": np.array(["a", "b"])}}, "xy has 3 rows and race 2"),
        ({"xy": np.full((3, 2), np.nan)}, "must be finite"),
        ({"density": np.array([0.0, np.inf, 0.0])}, "must be finite"),
        ({"thumbnails": FACE[None]}, "0 thumbnail_rows for 1 thumbnails"),
        ({"thumbnails": FACE[None], "thumbnail_rows": np.array([3])}, "rows of the 3 places"),
        ({"thumbnails": FACE[None], "thumbnail_rows": np.array([-1])}, "rows of the 3 places"),
    ],
)
def test_a_map_that_does_not_fit_together_is_refused(parts, said):
    a_map(thumbnails=FACE[None], thumbnail_rows=np.array([2]))
    with pytest.raises(ValueError, match=said):
        a_map(**parts)


def test_faces_of_several_sizes_are_refused():
    with pytest.raises(ValueError, match="must be of one size"):
        AuditPictures(faces={"a": FACE, "b": FACE[:4]})


def test_a_sheet_shows_those_that_are_given_and_names_all():
    found = sheet([f"id{place}\u202e" for place in range(20)], AuditPictures(), most=12)
    assert (found["image"], found["shown"], found["of"]) == (None, 12, 20)
    assert found["names"][0] == r"id0\u202e"
    given = AuditPictures(faces={"b": FACE})
    assert sheet(["a", "b"], given)["image"].startswith("data:image/webp")
    assert sheet([], AuditPictures(faces={"b": FACE}))["image"] is None


def test_tiles_keep_their_numbers_with_or_without_a_picture():
    found = tiles([{"sample_id": "a", "nats": 7.5}, {"sample_id": "b", "nats": 2.0}],
                  AuditPictures(faces={"b": FACE}))  # fmt: skip
    assert [(one["nats"], bool(one["image"])) for one in found] == [(7.5, False), (2.0, True)]


def test_a_latent_page_is_rows_with_labels_or_one_block():
    pictures = AuditPictures(pages={"p": np.stack([np.stack([FACE] * 4)] * 2)})
    page = {"name": "p", "title": "P", "means": "M.", "do": "D.", "rows": ["one", "two"]}
    labelled = latent_page(page, pictures)
    assert [row["label"] for row in labelled["strips"]] == ["one", "two"]
    assert labelled["block"] is None
    block = latent_page(page | {"rows": []}, pictures)
    assert block["strips"] == []
    assert block["block"]["image"].startswith("data:image/webp")
    missing = latent_page(page | {"name": "q"}, pictures)
    assert (missing["strips"], missing["block"]) == ([], None)


def test_a_strip_of_nothing_is_nothing():
    assert strip(None) is None
    assert strip(FACE[None][:0]) is None

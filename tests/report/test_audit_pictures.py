import numpy as np

from debias.report.audit_blocks import Audit, strip
from debias.report.audit_sections import latent_page
from debias.report.pictures import AuditPictures

FACE = np.zeros((8, 8, 3), dtype=np.uint8)


def test_a_sheet_shows_those_that_are_given_and_names_all_by_path_where_there_is_one():
    none = Audit({}, AuditPictures(paths={"id1": "a/b.png"}), {})
    (names,) = none.names("Names", [f"id{place}\u202e" for place in range(20)])
    assert names.blocks[0].text.startswith(r"id0\u202e · id1\u202e")
    assert names.blocks[0].text.endswith(" and 8 more")
    assert next(none.names("Names", ["id1"])).blocks[0].text == "a/b.png"
    assert list(none.shot(["id1"], "", "most")) == []
    given = Audit({}, AuditPictures(faces={"b": FACE}), {})
    (shown,) = given.shot(["a", "b"], "", "most")
    assert shown.images[0].startswith("data:image/webp")
    assert shown.alt == "The images with the most crowded surroundings."


def test_a_latent_page_is_rows_with_labels_or_one_block():
    drawn = np.stack([np.stack([FACE] * 4)] * 2)
    page = {"name": "p", "title": "P", "means": "M.", "do": "D.", "rows": ["one", "two"]}
    labelled = latent_page(page, drawn)
    assert labelled.labels == ("one", "two")
    assert len(labelled.images) == 2
    block = latent_page(page | {"rows": []}, drawn)
    assert (block.labels, len(block.images)) == ((), 1)
    missing = latent_page(page, None)
    assert "".join(map(str, missing.text)) == "M. What to do: D."


def test_a_strip_of_nothing_is_nothing():
    assert list(strip(None, "most")) == []
    assert list(strip(FACE[None][:0], "most")) == []

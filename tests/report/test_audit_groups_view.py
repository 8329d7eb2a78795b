"""What stands in the tables of annotated groups where a number is missing."""

import pytest
from test_audit_document import fake_audit, group

from debias.report.audit_findings import every_row, reading, why_no_number
from debias.report.audit_sets import _why_no_loss


def test_a_small_group_has_a_verdict_and_says_that_its_images_are_too_few_for_more():
    small = group("annotated_race:Indian", 25, declared=0.2, verdict="below", missing=3_069)
    nothing = dict.fromkeys(("auc", "auc_low", "auc_high", "weight_share", "raised"))
    row = small | nothing | {"set_aside_share": None}
    assert reading(row) == "below its declared share"
    assert (why_no_number(row), _why_no_loss(row)) == ("too few images", "too few images")


@pytest.mark.parametrize(
    ("row", "said"),
    [
        (group("a:x", None), "withheld"),
        (group("a:x", 0), "no images"),
        (group("a:x", 25), "too few images"),
        (group("a:x", 25) | {"share": 1.0}, "no other images"),
        (group("a:unknown", 25, state="unknown"), "not measured"),
    ],
)
def test_no_number_has_its_reason(row, said):
    assert why_no_number(row) == said


def test_every_row_knows_its_attribute():
    found = {row["group"]: row["attribute"] for row in every_row(fake_audit())}
    assert found["annotated_race:Indian"] == "annotated_race"
    crossing = next(name for name in found if " x " in name)
    assert found[crossing] == "annotated_race x perceived_gender"

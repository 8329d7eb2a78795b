import re

import pytest
from reading import FORBIDDEN, replaced
from test_audit_document import empty_audit, fake_audit
from test_report_page import HOSTILE

from debias.flows.summary import audit_as_markdown as as_markdown
from debias.report.markdown import ROWS


def rows(text):
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]


def test_verdicts_shortfalls_groups_and_links_are_there():
    document = fake_audit()
    text = as_markdown(document)
    for found in document["verdicts"]:
        assert re.sub(r"[\W_]", "", found["sentence"]) in re.sub(r"[\W_]", "", text)
    table = rows(text)
    region = "images like those of region"
    assert [f"{region} 1", "240", "168 to 336", "252", "2.5%", "8.0%"] in table
    assert all(row[0] != f"{region} 3" for row in table)  # it was not found
    indian = next(row for row in table if row[0] == "annotated race: Indian")
    assert indian[1:] == ["385", "3.1%", "2.8% to 3.4%", "20.0%", "below its declared share",
                          "3,621"]  # fmt: skip
    inuit = next(row for row in table if row[0].endswith("Inuit"))
    assert inuit[1:4] == ["withheld", "withheld", ""]
    assert "Audit: `/runs/audit-1/audit.html`" in text
    assert "`sqlite:////runs/mlflow.db`" in text
    assert FORBIDDEN.findall(text) == []


def test_the_worst_group_stands_first_and_long_tables_are_cut():
    document = fake_audit()
    document["groups"]["crossings"] = document["groups"]["crossings"] * 3
    text = as_markdown(document)
    names = [row[0] for row in rows(text)]
    assert names.index("annotated race: Indian") < names.index("annotated race: Asian")
    assert f"{ROWS} of 38 rows; the page has all." in text


def test_an_audit_of_nothing_is_a_summary_too():
    text = as_markdown(empty_audit())
    assert "12 images are too few to say anything." in text
    assert rows(text) == []
    assert "MLflow: not recorded" in text
    assert "None" not in text


def test_a_web_address_becomes_a_link():
    document = fake_audit()
    document["run"]["mlflow"] = "http://127.0.0.1:5000/#/experiments/1"
    text = as_markdown(document)
    assert "MLflow: [recorded run](http://127.0.0.1:5000/#/experiments/1)" in text


@pytest.mark.parametrize("name", [*HOSTILE, "a|b", "[x](http://x)", "line\nbreak", "**x**"])
def test_hostile_names_stay_text(name):
    document = fake_audit()
    for old in ("city-portraits", "Indian", "even-faces", "dark"):
        document = replaced(document, old, name)
    text = as_markdown(document)
    text.encode("utf-8")
    assert "<" not in text
    assert "](http" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    widths = {len(re.split(r"(?<!\\)\|", line)) for line in text.splitlines() if line[:2] == "| "}
    assert widths == {8, 9}  # no name adds a column

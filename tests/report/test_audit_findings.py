"""What an audit found, as a terminal prints it and as Markdown."""

import io
import re

import pytest
from reading import FORBIDDEN, replaced
from rich.console import Console
from test_audit_document import empty_audit, fake_audit, group
from test_report_page import HOSTILE

from debias.flows.summary import audit_as_markdown
from debias.report.audit_document import every_row
from debias.report.audit_findings import reading, summary, why_no_number
from debias.report.audit_sections import why_no_loss
from debias.report.terminal import ROWS, lines


def terminal(document):
    console = Console(file=io.StringIO(), width=200, color_system=None)
    for line in lines(summary(document)):
        console.print(line)
    return console.file.getvalue()


def rows(text):
    return [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]


def test_verdicts_come_first_then_what_to_collect_and_where_it_is_thin():
    document = fake_audit()
    said = terminal(document)
    places = [said.index(found["sentence"][:60]) for found in document["verdicts"]]
    tables = ("To look like the reference", "To reach the declared shares", "of 27 looked at",
              "annotated groups")  # fmt: skip
    places += [said.index(title) for title in tables]
    assert places == sorted(places)
    assert re.search(r"images like those of region 1\W+240\W+168 to 336\W+252", said)
    assert re.search(r"images of annotated race: Indian +│ +3,621 │ +│ +- │", said)
    assert "images, each alone" in said
    assert re.search(r"annotated race: Indian\W+385\W+3.1%", said)
    assert "everything in it is withheld: annotated race: Inuit, Inuit" in said
    assert "cannot tell" in said
    assert FORBIDDEN.findall(said) == []


def test_verdicts_shortfalls_groups_and_links_are_in_the_markdown():
    document = fake_audit()
    text = audit_as_markdown(document)
    for found in document["verdicts"]:
        assert re.sub(r"[\W_]", "", found["sentence"]) in re.sub(r"[\W_]", "", text)
    table = rows(text)
    region = "images like those of region"
    assert [f"{region} 1", "240", "168 to 336", "252", "2.5%", "8.0%"] in table
    assert all(row[0] != f"{region} 3" for row in table)  # it was not found
    indian = next(row for row in table if row[0] == "annotated race: Indian")
    assert indian[1:] == ["385", "3.1%", "2.8% to 3.4%", "20.0%", "below its declared share",
                          "3,621"]  # fmt: skip
    assert not [row for row in table if row[0].endswith("Inuit")]
    names = [row[0] for row in table]
    assert names.index("annotated race: Indian") < names.index("annotated race: Asian")
    assert "Audit: `/runs/audit-1/audit.html`" in text
    assert "`sqlite:////runs/mlflow.db`" in text
    document["run"]["mlflow"] = "http://127.0.0.1:5000/#/experiments/1"
    link = "MLflow: [recorded run](http://127.0.0.1:5000/#/experiments/1)"
    assert link in audit_as_markdown(document)
    assert FORBIDDEN.findall(text) == []


def test_an_audit_of_nothing_says_why_there_is_no_number():
    said, text = " ".join(terminal(empty_audit()).split()), audit_as_markdown(empty_audit())
    assert said.startswith("12 images, read as image_folder; no groups named. 12 images are")
    assert "takes something to compare with" in said
    assert "12 images are too few to say anything." in text
    assert rows(text) == []
    assert "MLflow: not recorded" in text
    assert "None" not in said + text


def test_it_says_what_was_recognised_and_which_annotated_columns_were_not_named():
    assert terminal(fake_audit()).startswith(
        "12,400 images, read as image_folder; groups by annotated_race, perceived_gender "
        "(annotated by other people)."
    )
    document = empty_audit()
    document["data"]["known"] = ["annotated_race"]
    assert "; annotated columns not named: annotated_race." in terminal(document)


@pytest.mark.parametrize(("state", "wording"), [("estimated", "below its declared share"),
                         ("too_small", "too small to judge")])  # fmt: skip
def test_a_group_is_too_small_only_without_a_verdict(state, wording):
    document = fake_audit()
    row = document["groups"]["attributes"][0]["rows"][0]
    row |= {"count": 25, "state": state, "verdict": "below" if state == "estimated" else None}
    row |= dict.fromkeys(("auc", "auc_low", "auc_high", "weight_share", "raised"))
    (line,) = (one for one in terminal(document).splitlines() if "race: Indian  " in one and
               "images of" not in one)  # fmt: skip
    assert wording in line
    assert ("too small" in line) == (state == "too_small")


def test_long_tables_are_cut_and_say_so():
    document = fake_audit()
    document["groups"]["attributes"][0]["rows"] *= 10
    assert f"{ROWS} of 60; the page has all" in terminal(document)
    document = fake_audit()
    document["groups"]["crossings"] *= 3
    assert re.search(r"\d+ of 31 rows; the page has all.", audit_as_markdown(document))


@pytest.mark.parametrize(
    "name",
    [*HOSTILE, "[bold]red[/] \x1b[31m", "[/]", "a|b", "[x](http://x)", "line\nbreak", "**x**"],
)
def test_hostile_names_stay_text(name):
    document = fake_audit()
    for old in ("city-portraits", "Indian", "perceived_gender", "even-faces", "dark"):
        document = replaced(document, old, name)
    said, text = terminal(document), audit_as_markdown(document)
    assert "\x1b" not in said
    (said + text).encode("utf-8")
    assert "<" not in text
    assert "](http" not in text
    assert "\x07" not in text
    assert "\u202e" not in text
    widths = {len(re.split(r"(?<!\\)\|", line)) for line in text.splitlines() if line[:2] == "| "}
    assert widths == {7, 8, 9}  # no name adds a column


def test_a_small_group_has_a_verdict_and_says_that_its_images_are_too_few_for_more():
    small = group("annotated_race:Indian", 25, declared=0.2, verdict="below", missing=3_069)
    nothing = dict.fromkeys(("auc", "auc_low", "auc_high", "weight_share", "raised"))
    row = small | nothing | {"set_aside_share": None}
    assert reading(row) == "below its declared share"
    assert (why_no_number(row), why_no_loss(row)) == ("too few images", "too few images")


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
    found = {row["group"]: row["attribute"] for row in every_row(fake_audit()["groups"])}
    assert found["annotated_race:Indian"] == "annotated_race"
    crossing = next(name for name in found if " x " in name)
    assert found[crossing] == "annotated_race x perceived_gender"

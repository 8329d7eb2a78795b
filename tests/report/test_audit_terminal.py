import io
import re

import pytest
from reading import FORBIDDEN, replaced
from rich.console import Console
from test_audit_document import empty_audit, fake_audit
from test_report_page import HOSTILE

from debias.report.audit_findings import summary
from debias.report.terminal import ROWS, lines


def terminal(document):
    console = Console(file=io.StringIO(), width=200, color_system=None)
    for line in lines(summary(document)):
        console.print(line)
    return console.file.getvalue()


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
    assert re.search(r"annotated race: Inuit\W+withheld\W+withheld", said)
    assert "cannot tell" in said
    assert FORBIDDEN.findall(said) == []


def test_an_audit_of_nothing_says_why_there_is_no_number():
    said = " ".join(terminal(empty_audit()).split())
    assert said.startswith("12 images, read as image_folder; no groups named. 12 images are")
    assert "that takes something to compare with" in said
    assert "None" not in said


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
    rows = document["groups"]["attributes"][0]["rows"]
    document["groups"]["attributes"][0]["rows"] = rows * 10
    assert f"{ROWS} of 72; the page has all" in terminal(document)


@pytest.mark.parametrize("name", [*HOSTILE, "[bold]red[/] \x1b[31m", "[/]"])
def test_hostile_names_cannot_steer_a_terminal(name):
    document = fake_audit()
    for old in ("Indian", "perceived_gender", "even-faces", "dark"):
        document = replaced(document, old, name)
    said = terminal(document)
    assert "\x1b" not in said
    said.encode("utf-8")

import pytest
from fake_run import fake_document
from reading import Page, replaced

from debias.report.for_whom import arm_title, note, page, rates

PLAIN = "Plain training (uniform)"


def test_a_note_begins_with_the_ways_in(document):
    first, _, *found = note(document).splitlines()
    assert (
        first == "## [Open the report](artifact:report.html) · [For whom](artifact:for_whom.html)"
    )
    assert len(found) == min(7, len(document["concluded"]))


def test_every_group_is_told_before_and_after_with_intervals_the_worst_first(document):
    rows = rates(document, "accuracy")
    assert list(rows[0]) == [
        "rate", "group", "images", PLAIN, "Latent weights (latent)", "Group weights (groups)",
    ]  # fmt: skip
    shown = [row for row in document["fairness"]["uniform"]["by_group"] if _sure(row)]
    worst = min(shown, key=lambda row: row["value"])
    assert rows[0]["group"].endswith(worst["group"].rpartition(":")[2])
    assert rows[0][PLAIN].startswith(f"{100 * worst['value']:.1f}% [{100 * worst['low']:.1f}, ")
    assert "\n" in rows[0]["Latent weights (latent)"]


def _sure(row) -> bool:
    return row["metric"] == "accuracy" and row["state"] == "estimated"


def test_a_harmed_group_is_marked(document):
    harmed = [
        row["group"]
        for one in document["comparisons"].values()
        for row in one["groups"]
        if row["metric"] == "accuracy" and row["harm"]
    ]
    marked = [
        cell for row in rates(document, "accuracy") for cell in row.values() if "HARM" in cell
    ]
    assert len(marked) == len(harmed) > 0


def test_what_is_withheld_stays_so():
    document = fake_document()
    hidden = {"value": None, "low": None, "high": None, "denominator": None, "numerator": None}
    for one in document["fairness"].values():
        for row in one["by_group"]:
            row.update(hidden, state="suppressed")
    (first, *_) = rates(document, "accuracy")
    assert first["images"].startswith("withheld")
    assert first[PLAIN].startswith("withheld")


def test_the_page_holds_a_table_for_each_measure(document):
    read = Page(page(document))
    assert len(read.tables) == len(document["fairness"]["uniform"]["metrics"])
    assert PLAIN in page(document)


@pytest.mark.parametrize("name", ["<img src=x>", "[x](artifact:y)", "two\nlines"])
def test_a_foreign_name_makes_no_tag_and_no_link(document, name):
    hostile = replaced(document, "dark", name)
    assert "<img" not in note(hostile) + page(hostile)
    assert note(hostile).count("](artifact:") == 2
    assert len(note(hostile).splitlines()) == len(note(document).splitlines())


def test_a_run_of_plain_training_alone_is_told():
    assert PLAIN in page(fake_document(arms=("uniform",)))


def test_without_annotation_there_is_no_table():
    assert "<table" not in page(fake_document(attributes=()))


def test_an_unknown_arm_keeps_its_name():
    assert [arm_title(arm) for arm in ("groups", "mine")] == ["Group weights (groups)", "mine"]

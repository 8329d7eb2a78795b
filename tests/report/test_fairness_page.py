import os
import re
from itertools import chain

import pytest
from fake_fairness import TONE, fake_comparison, fake_fairness, small
from fake_run import fake_document
from reading import (
    FORBIDDEN,
    Page,
    render,
    render_comparison,
    render_fairness,
    replaced,
    without_pictures,
)
from test_report_page import HOSTILE, NO_PICTURES, OUR_TAGS

from debias.report import write_comparison, write_fairness, write_report
from debias.report.fairness_page import ROWS_SHOWN, tally_text
from debias.report.readings import harm_first
from debias.report.words import clean

DOCUMENTS = {
    "full": fake_fairness(),
    "single classifier": small(fake_fairness("", seeds=(), people=False)),
    "no margin, no scores": small(fake_fairness(margin=None, scores=False)),
    "three classes": fake_fairness(classes=("angry", "happy", "sad"), reference=f"{TONE}:light"),
}
COMPARISONS = {
    "harm": fake_comparison(),
    "no harm, single run": small(fake_comparison(harm=False, seeds=(), people=False)),
    "other sizes": small(fake_comparison(sizes_changed=True)),
}
QUESTIONS = ("Which groups?", "How many?", "How different", "How sure?", "What changed")


@pytest.fixture(scope="module")
def pages(sketch):
    one = {name: sketch(render_fairness, found) for name, found in DOCUMENTS.items()}
    two = {name: sketch(render_comparison, found) for name, found in COMPARISONS.items()}
    return {name: Page(source) for name, source in (one | two).items()}


@pytest.fixture(scope="module")
def run():
    return fake_document(arms=("uniform", "latent"))


@pytest.fixture(scope="module")
def run_page(run, sketch):
    return Page(sketch(render, run, NO_PICTURES))


def numbers(value):
    """Every number of a document."""
    if isinstance(value, dict):
        return set(chain.from_iterable(map(numbers, value.values())))
    if isinstance(value, list):
        return set(chain.from_iterable(map(numbers, value)))
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return {value} if is_number else set()


def cells(page, kind):
    """Numbers of each row of a class of rows."""
    return [[n for cell in row for n in cell["numbers"]] for name, row in page.rows if name == kind]


def rates_read(page):
    """(group, column) to the numbers of its cell in the complete tables."""
    found = {}
    for kind, rows in page.tables:
        if kind == "wide":
            for row in rows[1:]:
                for heading, cell in zip(rows[0][1:], row[1:], strict=True):
                    found[row[0]["title"], heading["text"]] = cell
    return found


def heading(metric):
    rate, _, about = metric.replace("_", " ").partition("[")
    return f"{rate} of “{about[:-1]}”" if about else rate


@pytest.mark.parametrize("name", [*DOCUMENTS, *COMPARISONS])
def test_pages_are_whole_and_hold_only_our_tags(name, pages):
    read = pages[name]
    assert read.open == []
    assert {tag for tag, _ in read.tags} <= OUR_TAGS
    assert sum(tag == "h1" for tag, _ in read.tags) == 1
    targets = {a.get("id") for _, a in read.tags}
    assert {a["href"][1:] for _, a in read.tags if "href" in a} <= targets
    assert "http" not in without_pictures(pages[name].source).replace("http-equiv", "")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_rates_on_the_page_equal_those_of_the_document(name, pages):
    document, read = DOCUMENTS[name], rates_read(pages[name])
    fields = ("value", "numerator", "denominator", "identities", "low", "high")
    told = {row["group"] for row in document["by_group"] if row["state"] != "suppressed"}
    assert {group for group, _ in read} == told
    for row in (row for row in document["by_group"] if row["group"] in told):
        cell = read[row["group"], heading(row["metric"])]
        expected = (
            [row[f] for f in fields if row[f] is not None] if row["value"] is not None else []
        )
        assert cell["numbers"] == expected, row
        if row["state"] == "suppressed":
            assert cell["text"].strip() == "withheld (counts < 11)"
        if row["state"] == "not_estimable":
            assert cell["text"].strip().startswith("no ")


@pytest.mark.parametrize("name", DOCUMENTS)
def test_differences_on_the_page_equal_those_of_the_document(name, pages):
    document = DOCUMENTS[name]
    values = {(r["group"], r["metric"]): r for r in document["by_group"]}
    expected = []
    for gap in (gap for gap in document["gaps"] if gap["reason"] != "suppressed"):
        ends = [values[gap[end], gap["metric"]] for end in ("group", "other")]
        row = [one[field] for one in ends for field in ("value", "denominator")]
        row += [gap[field] for field in ("difference", "low", "high", "detectable", "p_adjusted")]
        expected.append([number for number in row if number is not None])
    read = cells(pages[name], "gap")
    assert len(read) == min(len(expected), ROWS_SHOWN)
    assert sorted(read) == sorted(expected)


@pytest.mark.parametrize("name", COMPARISONS)
def test_changes_on_the_page_equal_those_of_the_document(name, pages):
    document = COMPARISONS[name]
    exact = {number for number, _ in pages[name].numbers}
    fields = ("before", "after", "change", "low", "high", "wide_low", "wide_high", "p_adjusted")
    parts = (sorted(document[part], key=harm_first) for part in ("groups", "gaps"))
    shown = [row for rows in parts for row in rows[:ROWS_SHOWN]]
    for row in shown:
        assert {row[f] for f in fields if row[f] is not None} <= exact


@pytest.mark.parametrize("name", [*DOCUMENTS, *COMPARISONS])
def test_no_number_on_the_page_is_made_up(name, pages):
    document = (DOCUMENTS | COMPARISONS)[name]
    parts = [document["by_group"], document["gaps"]] if name in DOCUMENTS else []
    tallies = set(range(max([len(p) for p in parts], default=0) + 1)) | {len(document["seeds"])}
    exact = {number for number, _ in pages[name].numbers}
    assert not exact - numbers(document) - (tallies if name in DOCUMENTS else set(range(1000)))


def test_printed_numbers_are_the_rounded_exact_ones(pages):
    for page in pages.values():
        percents = [(exact, text) for exact, text in page.numbers if text.endswith("%")]
        assert len(percents) > 20
        for exact, text in percents:
            printed = float(text[:-1].replace("\N{MINUS SIGN}", "-"))
            assert printed == pytest.approx(100 * exact, abs=0.0501)


@pytest.mark.parametrize(
    ("verdict", "reason", "said"),
    [
        ("difference_ruled_out", "", "difference ruled out beyond the margin of 5.0 pp"),
        ("cannot_tell", "insufficient_evidence", "cannot tell (insufficient evidence)"),
        ("difference_found", "", "difference found"),
    ],
)
@pytest.mark.parametrize("difference", [0.0496, 0.0504])
def test_verdicts_come_from_the_document_and_stand_beside_unrounded_numbers(
    difference, verdict, reason, said, sketch
):
    document = small(fake_fairness(margin=0.05))
    gap = next(g for g in document["gaps"] if g["verdict"] == "difference_ruled_out")
    gap |= {"difference": difference, "verdict": verdict, "reason": reason}
    read = Page(sketch(render_fairness, document))
    row = next(
        row for kind, row in read.rows
        if kind == "gap" and difference in [n for cell in row for n in cell["numbers"]]
    )  # fmt: skip
    texts = [" ".join(cell["text"].split()) for cell in row]
    assert said in texts
    assert f"+{100 * difference:.1f}" in texts


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_questions_are_asked_in_order(name, pages):
    text = pages[name].visible
    body = text[text.index("Which groups?") :]
    places = [body.index(question) for question in QUESTIONS]
    assert places == sorted(places)
    assert "who was harmed?" in body


def test_a_comparison_begins_with_the_harm(pages):
    document, text = COMPARISONS["harm"], pages["harm"].visible
    first = text.index(document["verdict"]["harms"][0])
    assert first < text.index(document["verdict"]["sentence"])
    assert first < text.index("Which groups?", text.index("than before"))
    body = text[first:]
    places = [body.index(question) for question in (*QUESTIONS, "Who was harmed?")]
    assert places == sorted(places)


def test_a_verdict_that_begins_with_the_harms_is_not_said_twice_at_the_top(sketch):
    document = small(fake_comparison("", ""))
    harms = [f"recall of group {place} fell." for place in range(9)]
    document["verdict"] |= {"harms": harms, "sentence": f"Harm: {'; '.join(harms)}"}
    text = Page(sketch(render_comparison, document)).visible
    assert "before: the first classifier" in text
    top = text[: text.index("Which groups?", text.index("than before"))]
    assert top.count(harms[0]) == 1
    assert "and 6 more" in top
    assert text[len(top) :].count(harms[8]) == 2  # how sure, who was harmed


def test_harmed_rows_are_marked_in_words_and_all_of_them_are_listed(pages):
    document = COMPARISONS["harm"]
    harmed = [row for part in ("groups", "gaps") for row in document[part] if row["harm"]]
    rows = [row for kind, row in pages["harm"].rows if kind == "harmed"]
    assert len(rows) >= len(harmed) > 5
    assert all("HARM: became worse" in " ".join(c["text"] for c in row) for row in rows)
    assert not [kind for kind, _ in pages["no harm, single run"].rows if kind == "harmed"]
    title = (
        r"Of 100 images of skin tone group dark, \d+ instead of \d+ are answered rightly; harm was "
    )
    title += rf"found in none of {COMPARISONS['no harm, single run']['comparisons']} comparisons"
    assert re.search(title, pages["no harm, single run"].visible)


def test_gains_stand_as_plainly_as_harms(pages, run_page):
    gain = "accuracy of skin_tone_group:dark rose from 79.0% to 91.0%."
    for page in (pages["harm"], pages["no harm, single run"]):
        top = page.visible[: page.visible.index("Which groups?", page.visible.index("Gain"))]
        assert gain in top
        assert ("div", {"class": "card gain"}) in page.tags
    assert gain in run_page.visible
    assert ("div", {"class": "card gain"}) not in run_page.tags


def test_changed_sizes_are_the_first_section(pages):
    text = pages["other sizes"].visible
    text = text[text.index("are answered rightly") :]
    assert text.index("not the same size any more") < text.index("Which groups?")
    assert "not the same size" not in pages["harm"].visible


@pytest.mark.parametrize("name", [*DOCUMENTS, *COMPARISONS])
def test_verdict_scope_and_notes_are_on_the_page(name, pages):
    document, text = (DOCUMENTS | COMPARISONS)[name], pages[name].visible
    assert document["verdict"]["sentence"] in text
    for sentence in (*document["scope"], *document["notes"]):
        assert sentence in text
    banners = [text.index(note) for note in document["notes"]]
    assert all(place < text.index("How many?", text.rindex("Which groups?")) for place in banners)


def test_sizes_say_who_is_withheld_or_too_small_and_how_many_are_needed(pages):
    text = pages["full"].visible
    assert "too small: 30 needed" in text
    assert "2,951 images of 984 people" in text
    assert "guessed by a machine" in text
    assert "nobody says how many people" in pages["single classifier"].visible


def test_ranges_over_groups_carry_their_share_of_chance(pages):
    text = pages["full"].visible
    assert text.count("equal groups of these sizes would show") == len(
        [row for row in DOCUMENTS["full"]["spread"] if row["expected_if_equal"] is not None]
    )
    assert "n = 62" in text.replace("\xa0", " ")
    assert "rule of thumb" in text
    assert "with a probability of 21.4%" in text


def test_a_long_table_says_what_it_leaves_out(sketch):
    document = small(fake_fairness())
    document["gaps"] = document["gaps"] * 30
    read = Page(sketch(render_fairness, document))
    assert len(cells(read, "gap")) == ROWS_SHOWN
    hidden = sum(gap["reason"] == "suppressed" for gap in document["gaps"])
    left = len(document["gaps"]) - hidden - ROWS_SHOWN
    assert f"the JSON file holds {left} more" in read.visible
    assert f"Left out, as they are withheld: {hidden:,}." in read.visible


def test_without_groups_the_pages_say_so(sketch):
    parts = (
        "by_group", "gaps", "spread", "ratios", "noise", "attributes", "confusion", "calibration",
        "scores",
    )  # fmt: skip
    nothing = {part: [] for part in parts} | {"comparisons": 0, "adjusted_level": None}
    text = Page(sketch(render_fairness, fake_fairness() | nothing)).visible
    assert "No group is annotated" in text
    assert "No difference between two groups carries an interval." in text
    empty = {part: [] for part in ("groups", "gaps", "trade", "sizes")}
    assert "No rate could be compared." in Page(
        sketch(render_comparison, fake_comparison() | empty)
    ).visible  # fmt: skip


@pytest.mark.parametrize(
    ("p_values", "said"),
    [
        ([0.01], "1 found in 1 comparison"),
        ([0.01, 0.2, None], "2 found in 2 comparisons; 1 could not be made"),
        ([None, None], "none of 2 comparisons could be made"),
    ],
)
def test_comparisons_that_could_not_be_made_are_counted_apart(p_values, said):
    verdicts = {True: "cannot_tell", False: "difference_found"}
    rows = [{"p_value": p, "verdict": verdicts[p is None]} for p in p_values]
    assert tally_text(rows) == said


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_stay_text(name, sketch):
    for render_one, document in (
        (render_fairness, small(fake_fairness())), (render_comparison, small(fake_comparison())),
    ):  # fmt: skip
        for old in ("dark", "uniform", "difference was"):
            document = replaced(document, old, name)
        read = Page(sketch(render_one, document))
        assert {tag for tag, _ in read.tags} <= OUR_TAGS
        assert not any(key.startswith("on") for _, found in read.tags for key in found)
        assert " ".join(clean(name).split()) in read.visible


def test_files_are_written_whole_and_for_their_owner_alone(tmp_path, sketch, monkeypatch):
    drawn = sketch(write_fairness, tmp_path / "a.html", DOCUMENTS["no margin, no scores"])
    assert {"intervals_by_group", "detectable", "confusion"} <= set(drawn)
    assert set(sketch(write_comparison, tmp_path / "b.html", COMPARISONS["other sizes"])) >= {
        "change_by_group", "gap_change",
    }  # fmt: skip
    for path in tmp_path.iterdir():
        assert path.stat().st_mode & 0o777 == 0o600

    def fail(*_):
        raise OSError("no space left")

    before = (tmp_path / "a.html").read_bytes()
    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        sketch(write_fairness, tmp_path / "a.html", DOCUMENTS["single classifier"])
    assert (tmp_path / "a.html").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 2


def test_a_run_answers_in_order_after_its_harms(run, run_page):
    document, text = run, run_page.visible
    body = text[text.index("Harm under latent") :]
    assert body.index("fell.") < body.index(document["fairness"]["uniform"]["verdict"]["sentence"])
    places = [body.index(question) for question in (*QUESTIONS, "Who was harmed?")]
    assert places == sorted(places)
    assert places[-1] < body.index("What was run")
    for note in document["fairness"]["uniform"]["notes"]:
        assert note in text[: text.index("Which groups?", text.index("Means over"))]


def test_a_run_tells_nothing_twice(run_page):
    targets = [a.get("id") for _, a in run_page.tags]
    assert "accuracy" not in targets
    assert targets.count("change") == 1
    assert "Disparities" not in run_page.visible


def test_the_lead_is_the_opening_and_what_to_do_next(run, run_page):
    top = run_page.visible
    top = top[: top.index("Means over")]
    assert run["opening"]["headline"] in top
    assert all(sentence.rstrip(".") in top for sentence in run["opening"]["sentences"])
    assert all(step["command"] in top for step in run["opening"]["next"])
    assert run["comparisons"]["latent"]["verdict"]["sentence"] not in top


def test_scope_and_words_of_a_run_are_explained(run, run_page):
    for sentence in run["fairness"]["uniform"]["scope"]:
        assert sentence in run_page.visible
    assert "It does not mean that there is no difference." in run_page.visible


def test_gains_and_intervals_of_summary_figures_are_on_the_page(run, run_page):
    for gain in run["comparisons"]["latent"]["verdict"]["gains"]:
        assert gain in run_page.visible
    exact = {number for number, _ in run_page.numbers}
    primary = [one for found in run["comparisons"].values() for one in found["primary"]]
    assert primary
    assert {one[end] for one in primary for end in ("low", "high")} <= exact


def test_charts_of_a_run_are_returned_by_name(tmp_path, run, sketch):
    drawn = sketch(write_report, tmp_path / "report.html", run, NO_PICTURES)
    assert {"intervals_by_group", "change_by_group_latent", "detectable"} <= set(drawn)


def test_no_page_promises_anything(pages, run_page):
    for page in (*pages.values(), run_page):
        assert FORBIDDEN.findall(without_pictures(page.source)) == []

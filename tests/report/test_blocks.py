"""Blocks as a page, on a terminal and as Markdown: nothing foreign becomes markup of any."""

import io
import re

import pytest
from reading import Page as Read
from rich.console import Console
from test_report_page import HOSTILE, OUR_TAGS

from debias.report import blocks as b
from debias.report.html import render
from debias.report.markdown import markdown
from debias.report.terminal import lines
from debias.report.words import clean


def every_block(name):
    """One block of each kind, with a foreign name wherever there is room for one."""
    table = b.Table((name, "n"), (b.Row((b.Cell(name, name, name, 0.5), b.Value(0.5, "percent"))),))
    inside = (b.Sentence(name), table)
    return (
        b.Sentence((b.Strong(name), b.Code(name), b.Link(name, "#place"), b.Marked(name, "#fff"))),
        b.to_do(name), b.Step(name, name), b.Heading(name, name), b.Points((name, name)),
        b.Facts(((name, name),)), b.Numbers((b.Number(name, b.Value(None), (name,)),), name, name),
        b.Chart(b"<svg/>", name, name), b.Faces((), name, name, name), b.Preformatted(name),
        b.Fold(name, inside, name), b.Card(inside, "harm", "place"), b.Grid((inside, inside)),
    )  # fmt: skip


def page(*blocks):
    section = b.Section("which", "Which?", blocks)
    return b.Page(title="t", kicker="", heading="h", opening=(), sections=(section,), footer="f")


def on_terminal(*blocks):
    console = Console(width=120, record=True, file=io.StringIO())
    for line in lines(blocks):
        console.print(line)
    return console.export_text()


@pytest.mark.parametrize("name", [*HOSTILE, "[red]x[/]", "a | b", "[x](artifact:y)", "two\nlines"])
def test_hostile_names_stay_text_everywhere(name):
    read = Read(render(page(*every_block(name))))
    assert {tag for tag, _ in read.tags} <= OUR_TAGS
    assert not any(key.startswith("on") for _, found in read.tags for key in found)
    assert " ".join(clean(name).split()) in read.visible
    said = re.sub(r"(`+).*?\1", "", markdown(every_block(name)))  # code shows all as it is
    assert said.count("](#place)") == 1
    assert "](artifact:" not in said
    assert "\x07" not in on_terminal(*every_block(name))


def test_a_number_is_printed_beside_the_exact_one_and_a_missing_one_is_never_zero():
    known, gone = b.Value(0.82349, "percent"), b.Value(float("nan"), missing="withheld")
    read = Read(render(page(b.Sentence((known, gone)))))
    assert read.numbers == [[0.82349, "82.3%"]]
    assert "withheld" in read.visible
    assert markdown([b.Sentence(("it is ", known, ", ", gone))]) == "it is 82.3%, withheld"
    assert str(b.between(None, 1.0, "percent")) == "undefined"


def test_a_long_table_is_cut_in_parts_on_a_page_and_to_a_screen_elsewhere():
    table = b.Table(
        ("group", "n"), tuple(b.Row((f"g{place}", "1")) for place in range(70)), "groups"
    )
    read = Read(render(page(table)))
    assert [len(rows) for _, rows in read.tables] == [61, 11]
    assert "20 of 70; the page has all" in " ".join(on_terminal(table).split())
    assert "24 of 70 rows" in markdown([table])

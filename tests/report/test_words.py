"""All text that a reader may meet: no promise that a measurement cannot keep."""

import ast
import re
from pathlib import Path

import pytest
from fake_fairness import fake_comparison, fake_fairness, small
from fake_run import fake_document
from reading import FORBIDDEN, Page, render, render_comparison, render_fairness

import debias
from debias.report import Pictures

ROOT = Path(debias.__file__).parent
PASSED = re.compile(r"\bPASS(?:ED)?\b")
SPOKEN = ("report/*.py", "metrics/*.py", "auditing/*.py", "pipeline/*.py", "commands/*.py")
SOURCES = sorted(file for pattern in SPOKEN for file in ROOT.glob(pattern))
TEMPLATES = sorted([*ROOT.glob("report/*.html"), *ROOT.glob("report/*.toml")])


def sentences(source):
    """Strings with a space that are not docstrings: names of code and of keys hold none."""
    tree = ast.parse(source)
    documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and ast.get_docstring(node, clean=False) is not None
    }
    return [
        node.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
        and " " in node.value and id(node) not in docstrings
    ]  # fmt: skip


def template_text(source):
    """A template without its tags, names and expressions, but with the texts inside them."""
    code = re.findall(r"{[{%].*?[%}]}", source, flags=re.DOTALL)
    quoted = [text for part in code for text in re.findall(r"'([^']* [^']*)'", part)]
    return " ".join([re.sub(r"{[{%].*?[%}]}", " ", source, flags=re.DOTALL), *quoted])


def promises(text):
    return FORBIDDEN.findall(text) + PASSED.findall(text)


def test_the_check_sees_what_it_must_and_nothing_else():
    code = (
        '"""A fair doc."""\nX = "fair"\nY = f"is {X} unfair here"\nfairness = "FairnessReport of"'
    )
    assert [word for text in sentences(code) for word in promises(text)] == ["unfair"]
    assert promises(template_text("{{ fair }} a {{ 'quite fairly so' }} Solved")) == [
        "Solved", "fairly",
    ]  # fmt: skip
    assert promises("PASS, not passing") == ["PASS"]


@pytest.mark.parametrize("file", SOURCES, ids=lambda file: f"{file.parent.name}/{file.name}")
def test_sentences_of_the_code_promise_nothing(file):
    found = sentences(file.read_text(encoding="utf-8"))
    assert [text for text in found if promises(text)] == []


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_templates_promise_nothing(file):
    assert promises(template_text(file.read_text(encoding="utf-8"))) == []


def test_rendered_pages_promise_nothing(sketch):
    pages = [
        sketch(render_fairness, small(fake_fairness())),
        sketch(render_comparison, small(fake_comparison())),
        sketch(render_comparison, small(fake_comparison(harm=False, seeds=()))),
        sketch(render, fake_document(), Pictures()),
    ]
    for page in pages:
        read = Page(page)
        spoken = [value for _, found in read.tags for name, value in found.items()
                  if name in ("alt", "title", "aria-label") and value]  # fmt: skip
        assert len(read.visible) > 1000
        assert promises(" ".join([read.visible, *spoken])) == []

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from debias.report.words import (
    clean,
    day,
    escape_label,
    full_group_name,
    group_name,
    number,
)


@pytest.mark.parametrize(
    ("value", "kind", "printed"),
    [
        (0.8234567, "percent", "82.3%"),
        (0.0, "percent", "0.0%"),
        (0.0978, "points", "9.8"),
        (-0.0978, "change", "\N{MINUS SIGN}9.8"),
        (0.0031, "change", "+0.3"),
        (1234567, "count", "1,234,567"),
        (391.333, "count", "391"),
        (2.333, "count", "2.3"),
        (9.13, "times", "9.13\N{MULTIPLICATION SIGN}"),
        (0.000123456, "plain", "0.0001235"),
        (42.04, "seconds", "42.0 s"),
        (172, "seconds", "2 min 52 s"),
        (3720, "seconds", "1 h 2 min"),
        (0.926, "auc", "0.93"),
    ],
)
def test_number_prints_in_fixed_notation(value, kind, printed):
    assert number(value, kind) == printed


@pytest.mark.parametrize("value", [None, math.nan, math.inf, "0.5", True])
@pytest.mark.parametrize("kind", ["percent", "change", "count", "plain", "seconds"])
def test_number_without_a_number_is_undefined_and_never_zero(value, kind):
    assert number(value, kind) == "undefined"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("$x^$", r"\$x^\$"),
        ("_hidden", " _hidden"),
        ("a\x00b\x1b[31mc", "ab[31mc"),
        ("two\nlines", "two lines"),
        ("\u202edesrever", "desrever"),
        ("bad\ud800end", "bad\ufffdend"),
        ("x" * 300, "x" * 79 + "…"),
        ("$" * 300, r"\$" * 39 + "…"),
        (7, "7"),
    ],
)
def test_escape_label(name, label):
    assert escape_label(name) == label


@given(st.text(st.characters(exclude_categories=()), max_size=200))
def test_escape_label_is_always_short_encodable_and_without_mathematics(name):
    label = escape_label(name)
    label.encode()
    assert len(label) <= 80
    assert not label.startswith("_")
    assert label.count("$") == label.count(r"\$")
    assert not any(ord(character) < 32 for character in label)


def test_clean_keeps_letters_of_every_script():
    assert clean("Größe 日本 עברית") == "Größe 日本 עברית"


@pytest.mark.parametrize(
    ("attribute", "group", "name"),
    [
        ("tone", "tone:dark", "dark"),
        ("tone x sex", "tone:dark x sex:f", "dark \N{MULTIPLICATION SIGN} f"),
        ("tone", "tone:a x b", "a x b"),
        ("tone", "something else", "something else"),
        ("tone", "tone:unknown", "no group label"),
        ("tone x sex", "tone:dark x sex:unknown", "dark \N{MULTIPLICATION SIGN} no group label"),
        ("a.c", "abc:x", "abc:x"),
    ],
)
def test_group_name_drops_only_its_own_attributes(attribute, group, name):
    assert group_name(attribute, group) == name


def test_full_group_name_keeps_the_attributes():
    assert full_group_name("skin_tone:unknown") == "skin tone: no group label"
    name = full_group_name("skin_tone:dark x sex:f")
    assert name == "skin tone: dark \N{MULTIPLICATION SIGN} sex: f"


def test_day_prints_a_date_and_leaves_the_rest():
    assert day("2026-01-31T12:00:00+00:00") == "31 January 2026, 12:00 UTC"
    assert day("yesterday") == "yesterday"

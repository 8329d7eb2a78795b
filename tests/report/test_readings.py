import pytest

from debias.report.readings import (
    change_said,
    counted,
    metric_meaning,
    metric_name,
    no_difference,
    opened,
    reading_of,
    sign_of,
    size,
    source_name,
    verdict_name,
)
from debias.report.words import number


@pytest.mark.parametrize(
    ("metric", "name", "what"),
    [
        ("accuracy", "accuracy", "images"),
        ("precision", "precision", "predicted positives"),
        ("true_positive_rate[cat]", "true positive rate of “cat”", "positives of “cat”"),
        ("selection_rate[a]b]", "selection rate of “a]b”", "images"),
    ],
)
def test_measures_in_words(metric, name, what):
    assert metric_name(metric) == name
    assert counted(metric) == what


def test_meanings_name_the_class():
    assert "“Female”" in metric_meaning("true_positive_rate", "Female")
    assert "“cat”" in metric_meaning("precision[cat]", None)
    assert "the positive class" in metric_meaning("precision", None)
    assert metric_meaning("home made", "x") == ""


def test_only_false_alarms_are_worse_when_high():
    metrics = ("false_positive_rate[cat]", "true_positive_rate", "selection_rate[cat]", "precision")
    assert [sign_of(metric) for metric in metrics] == [-1, 1, 0, 1]


@pytest.mark.parametrize(
    ("state", "n", "said"),
    [
        ("estimated", 1200, "n = 1,200"),
        ("estimated", 497.3, "n = 497"),
        ("estimated", 2.4, "n = 2.4"),
        ("too_small", 12, "n = 12, too small"),
        ("unknown", 40, "n = 40, in no verdict"),
        ("not_estimable", 0, "no positives"),
        ("suppressed", None, "withheld (counts < 11)"),
        ("not_estimable", None, "not estimable"),
    ],
)
def test_what_stands_beside_a_row(state, n, said):
    assert size({"metric": "true_positive_rate", "state": state, "denominator": n}, 11) == said


def test_a_difference_without_value_is_withheld_or_undefined():
    assert no_difference({"reason": "suppressed"}, 11) == "withheld (counts < 11)"
    assert no_difference({"reason": "not_estimable"}, 11) == "undefined"


@pytest.mark.parametrize(
    ("verdict", "reason", "margin", "said"),
    [
        ("difference_found", "", None, "difference found"),
        ("difference_ruled_out", "", 0.05, "difference ruled out beyond the margin of 5.0 pp"),
        ("difference_ruled_out", "", 0.025, "difference ruled out beyond the margin of 2.5 pp"),
        ("cannot_tell", "insufficient_evidence", 0.05, "cannot tell (insufficient evidence)"),
        ("cannot_tell", "single_run", None, "cannot tell (single run)"),
        ("cannot_tell", "suppressed", None, "cannot tell (withheld)"),
        ("cannot_tell", "unknown", None, "cannot tell (no group label)"),
    ],
)
def test_verdicts_in_the_fixed_vocabulary(verdict, reason, margin, said):
    assert verdict_name(verdict, reason, margin) == said


def test_an_incomplete_verdict_says_so():
    found = {"reading": "difference_found", "reason": "", "incomplete": True}
    assert reading_of(found, None) == "difference found, incomplete"


@pytest.mark.parametrize(
    ("sentence", "parts"),
    [
        ("Difference found in 3 of 9.", ("Difference found", " in 3 of 9.")),
        ("Harm: recall fell.", ("Harm", ": recall fell.")),
        ("Recall differs.", ("difference found, incomplete.", " Recall differs.")),
    ],
)
def test_a_sentence_that_says_the_verdict_is_not_doubled(sentence, parts):
    found = {"reading": "difference_found", "reason": "", "incomplete": True, "sentence": sentence}
    assert opened(found, None) == parts


def test_sources_in_words():
    assert source_name("inferred") == "guessed by a machine"
    assert source_name("a_census") == "a census"


@pytest.mark.parametrize(
    ("value", "kind", "printed"),
    [
        (-0.0855, "change", "\N{MINUS SIGN}8.6"),
        (0.0504, "change", "+5.0"),
        (0.0, "change", "0.0"),
        (-0.00042, "change", "\N{MINUS SIGN}0.04"),
        (0.00042, "points", "0.04"),
        (0.999107, "level", "99.9107%"),
        (0.0004, "p", "< 0.001"),
        (-0.0000567, "variance", "\N{MINUS SIGN}0.00006"),
        (0.0312, "p", "0.031"),
        (None, "change", "undefined"),
    ],
)
def test_numbers_of_differences(value, kind, printed):
    assert number(value, kind) == printed


def test_a_change_whose_interval_alone_leaves_out_zero_is_not_beyond_chance():
    row = {"low": 0.01, "high": 0.09, "harm": False, "verdict": "cannot_tell",
           "reason": "no_margin"}  # fmt: skip
    document = {"comparisons": 60, "margin": None}
    wanted = "cannot tell (not beyond chance after 60 comparisons)"
    assert change_said(row, document) == wanted
    assert change_said({**row, "low": -0.01}, document) == "cannot tell (no margin)"

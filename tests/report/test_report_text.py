

from debias.report.text import (
    day,
    is_share,
    reading_name,
)


def test_reading_name_prints_insufficient_evidence_in_capitals():
    assert reading_name("cannot_tell", "too_few_seeds") == "cannot tell (too few seeds)"
    loud = reading_name("cannot_tell", "insufficient_evidence")
    assert loud == "cannot tell (INSUFFICIENT EVIDENCE)"
    assert reading_name("difference_found", "") == "difference found"


def test_is_share_tells_rates_from_variances():
    assert is_share("accuracy_gap")
    assert is_share("equalized_odds_difference")
    assert not is_share("accuracy_variance")


def test_day_prints_a_date_and_leaves_the_rest():
    assert day("2026-01-31T12:00:00+00:00") == "31 January 2026, 12:00 UTC"
    assert day("yesterday") == "yesterday"

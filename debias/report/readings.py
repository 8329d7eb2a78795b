"""Measures, states and verdicts of a fairness document in words."""

from collections.abc import Mapping
from typing import Any

from debias.metrics.rates import RATES, rate_of
from debias.report.words import is_number, number, reading_name, words

Row = Mapping[str, Any]
SMALL = ", too small"

_SOURCES = {
    "annotated": "annotated by other people",
    "self-reported": "reported by the people shown",
    "inferred": "guessed by a machine",
    "drawn": "known, because the faces were drawn from it",
    "not stated": "source not stated",
}
_REASONS = {"suppressed": "withheld", "unknown": "no group label"}


def metric_name(metric: str) -> str:
    """Turn ``true_positive_rate[cat]`` into words."""
    about = rate_of(metric)[1]
    name = words(metric.partition("[")[0])
    return f"{name} of “{about}”" if about else name


def metric_meaning(metric: str, positive: str | None) -> str:
    """Say what a rate counts; empty for a rate that is not known here.

    Args:
        metric: Name in the document.
        positive: The class that the rates are about; None where each names its own or where the
            document does not say.
    """
    rate, about = rate_of(metric)
    named = about or positive
    meaning = rate.meaning if rate else ""
    return meaning.replace("{}", f"“{named}”" if named else "the positive class")


def counted(metric: str) -> str:
    """What the denominator of a rate counts."""
    rate, about = rate_of(metric)
    plural = rate.counted if rate else "images"
    return f"{plural} of “{about}”" if about and plural != "images" else plural


def is_worse_high(metric: str) -> bool:
    """Whether a high value is the bad one."""
    rate, _ = rate_of(metric)
    return rate is not None and rate.better < 0


def is_neutral(metric: str) -> bool:
    """Whether neither a high nor a low value is bad in itself."""
    rate, _ = rate_of(metric)
    return rate is not None and rate.better == 0


def usual_place(metric: str) -> int:
    """Place of a measure in a row of them; unknown ones come last."""
    known, name = list(RATES), metric.partition("[")[0]
    return known.index(name) if name in known else len(known)


def source_name(source: str) -> str:
    """Say who assigned the groups."""
    return _SOURCES.get(source, words(source))


def withheld(below: object) -> str:
    """What stands in the place of a number that is withheld."""
    return f"withheld (counts < {number(below, 'count')})" if is_number(below) else "withheld"


def why_no_number(metric: str, row: Row, below: object) -> str:
    """What to print in place of a value: never 0, and the reason where it is known."""
    if row.get("state") == "suppressed":
        return withheld(below)
    missing = row.get("denominator", row.get("n"))
    return f"no {counted(metric)}" if missing == 0 else "not estimable"


def size(metric: str, row: Row, below: object) -> str:
    """What stands beside a mark: how many images it rests on, or why there is none."""
    n = row.get("denominator", row.get("n"))
    if row.get("state") in ("suppressed", "not_estimable") or not is_number(n):
        return why_no_number(metric, row, below)
    return f"n = {number(n, 'count')}{remark(row)}"


def remark(row: Row) -> str:
    """Why a number takes no part in a verdict, to stand behind its size; empty if it does."""
    return {"too_small": SMALL, "unknown": ", in no verdict"}.get(row.get("state", ""), "")


def no_difference(reason: str, below: object) -> str:
    """What stands in the place of a difference that has no value."""
    return withheld(below) if reason == "suppressed" else "undefined"


def verdict_name(verdict: str, reason: str | None, margin: object) -> str:
    """Print a verdict of the document with its margin or its reason."""
    if verdict == "difference_ruled_out" and is_number(margin):
        return f"difference ruled out beyond the margin of {number(margin, 'margin')} pp"
    if verdict == "difference_found" or not reason:
        return reading_name(verdict, "")
    return reading_name(verdict, _REASONS.get(reason, reason))


def reading_of(verdict: Mapping[str, Any], margin: object) -> str:
    """Print the verdict of a report or of an attribute, with what it leaves out."""
    said = verdict_name(verdict["reading"], verdict.get("reason"), margin)
    return f"{said}, incomplete" if verdict.get("incomplete") else said


def opened(verdict: Mapping[str, Any], margin: object) -> tuple[str, str]:
    """The verdict in two parts, the first to be set off; a sentence that says it is not doubled."""
    said = verdict_name(verdict["reading"], verdict.get("reason"), margin)
    sentence = str(verdict["sentence"])
    for start in (said, "harm", "gain"):
        if sentence.lower().startswith(start.lower()):
            return sentence[: len(start)], sentence[len(start) :]
    return f"{reading_of(verdict, margin)}.", f" {sentence}"

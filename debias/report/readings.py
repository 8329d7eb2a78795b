"""Measures, states and verdicts of a fairness document in words."""

from collections.abc import Mapping
from typing import Any

from debias.report.words import is_number, number, reading_name, words

Row = Mapping[str, Any]
SMALL = ", too small"

_MEANINGS = {
    "accuracy": "share of the images that are classified correctly",
    "true_positive_rate": "share of the images of {} that are recognised as such",
    "false_positive_rate": "share of the other images that are taken for {}; lower is better",
    "selection_rate": "share of all images that are called {}, rightly or wrongly; neither high "
    "nor low is better in itself",
    "precision": "share of the images called {} that really are",
}
_COUNTED = {
    "accuracy": "images",
    "true_positive_rate": "positives",
    "false_positive_rate": "negatives",
    "selection_rate": "images",
    "precision": "predicted positives",
}
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
    rate, about = _parts(metric)
    return f"{words(rate)} of “{about}”" if about else words(rate)


def metric_meaning(metric: str, positive: str | None) -> str:
    """Say what a rate counts; empty for a rate that is not known here.

    Args:
        metric: Name in the document.
        positive: The class that the rates are about; None where each names its own or where the
            document does not say.
    """
    rate, about = _parts(metric)
    named = about or positive
    return _MEANINGS.get(rate, "").replace("{}", f"“{named}”" if named else "the positive class")


def counted(metric: str) -> str:
    """What the denominator of a rate counts."""
    rate, about = _parts(metric)
    plural = _COUNTED.get(rate, "images")
    return f"{plural} of “{about}”" if about and plural != "images" else plural


def is_worse_high(metric: str) -> bool:
    """Whether a high value is the bad one."""
    return _parts(metric)[0] == "false_positive_rate"


def is_neutral(metric: str) -> bool:
    """Whether neither a high nor a low value is bad in itself."""
    return _parts(metric)[0] == "selection_rate"


def usual_place(metric: str) -> int:
    """Place of a measure in a row of them; unknown ones come last."""
    rate, _ = _parts(metric)
    return list(_COUNTED).index(rate) if rate in _COUNTED else len(_COUNTED)


def _parts(metric: str) -> tuple[str, str]:
    rate, bracket, about = metric.partition("[")
    return (rate, about.removesuffix("]")) if bracket else (rate, "")


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

"""Rows of a fairness or comparison document: what they are called, and their order."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from debias.metrics.rates import RATES, rate_of
from debias.report.charts.rows import Label
from debias.report.charts.style import GROUPS_DRAWN, PANELS_DRAWN
from debias.report.words import attribute_name, group_name, is_number, number, reading_name, words
from debias.types import BASELINE

Document = Mapping[str, Any]
Row = Mapping[str, Any]
Key = Callable[[Row], tuple[Any, ...]]
SMALL = ", too small"
STATES = ("estimated", "too_small", "unknown", "not_estimable", "suppressed")
UNJUDGED = STATES[1:]
GAPS_DRAWN = 12  # pairs grow with the square of the groups

_SOURCES = {
    "annotated": "annotated by other people",
    "self-reported": "reported by the people shown",
    "inferred": "guessed by a machine",
    "drawn": "known, because the faces were drawn from it",
    "not stated": "source not stated",
}
# The other side of a measure: what rises and falls with it where a classifier says yes more often.
_BESIDE = {"true_positive_rate": "false_positive_rate", "false_positive_rate": "true_positive_rate"}
_REASONS = {"suppressed": "withheld", "unknown": "no group label"}


def arms_of(document: Document) -> list[str]:
    """Arms of a run, the one that the others stand beside first: plain training, if any."""
    return sorted(document["arms"], key=lambda arm: arm != BASELINE)


def fairness_of(document: Document) -> dict[str, Document]:
    """Arm to its fairness document, in the order of :func:`arms_of`."""
    return {arm: document["fairness"][arm] for arm in arms_of(document)}


def comparisons_of(document: Document) -> dict[str, Document]:
    """Arm to its comparison with plain training; empty in a run without plain training."""
    return dict(document["comparisons"])


def of(document: Document, part: str, metric: str) -> list[Row]:
    """Rows of one measure."""
    return [row for row in document[part] if row["metric"] == metric]


def key_of(row: Row) -> tuple[str, str, str]:
    """What a rate is of."""
    return row["attribute"], row["group"], row["metric"]


def name(row: Row, end: str = "group") -> str:
    """A group of a row, without its attribute."""
    return group_name(row["attribute"], row[end])


def metric_name(metric: str) -> str:
    """Turn ``true_positive_rate[cat]`` into words."""
    about = rate_of(metric)[1]
    name = words(metric.partition("[")[0])
    return f"{name} of “{about}”" if about else name


def metric_meaning(metric: str, positive: str | None) -> str:
    """Say what a rate counts; empty for a rate that is not known here.

    ``positive`` is the class that the rates are about; None where each names its own or where the
    document does not say.
    """
    rate, about = rate_of(metric)
    named = about or positive
    return (rate.meaning if rate else "").replace(
        "{}", f"“{named}”" if named else "the positive class"
    )


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


def is_better(change: Row) -> bool:
    """Whether a rate went the good way."""
    return bool((change["change"] < 0) == is_worse_high(change["metric"]))


def change_of(rows: Iterable[Row], metric: str, like: Row) -> Row | None:
    """The change of a measure of the same group, if it is known."""
    wanted = like["attribute"], like["group"], metric
    found = next((row for row in rows if key_of(row) == wanted), None)
    return found if found is not None and is_number(found["change"]) else None


def paid(change: Row, rows: Iterable[Row]) -> str:
    """What a group paid for a better rate: more of one answer makes more of both kinds of it."""
    other = _BESIDE.get(change["metric"])
    beside = change_of(rows, other, change) if other and is_better(change) else None
    if other is None or beside is None or is_better(beside) or not beside["change"]:
        return ""
    before, after = (number(beside[end], "percent") for end in ("before", "after"))
    verb = "rose" if beside["change"] > 0 else "fell"
    return f", but its {words(other)} {verb} from {before} to {after}"


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


def why_no_number(row: Row, below: object) -> str:
    """What to print in place of a value: never 0, and the reason where it is known."""
    if row.get("state") == "suppressed":
        return withheld(below)
    missing = row.get("denominator", row.get("n"))
    return f"no {counted(row['metric'])}" if missing == 0 else "not estimable"


def size(row: Row, below: object) -> str:
    """What stands beside a mark: how many images it rests on, or why there is none."""
    n = row.get("denominator", row.get("n"))
    if row.get("state") in ("suppressed", "not_estimable") or not is_number(n):
        return why_no_number(row, below)
    return f"n = {number(n, 'count')}{remark(row)}"


def remark(row: Row) -> str:
    """Why a number takes no part in a verdict, to stand behind its size; empty if it does."""
    return {"too_small": SMALL, "unknown": ", in no verdict"}.get(row.get("state", ""), "")


def no_difference(row: Row, below: object) -> str:
    """What stands in the place of a difference that has no value."""
    return withheld(below) if row["reason"] == "suppressed" else "undefined"


def verdict_name(verdict: str, reason: str | None, margin: object) -> str:
    """Print a verdict of the document with its margin or its reason."""
    if verdict == "difference_ruled_out" and is_number(margin):
        return f"difference ruled out beyond the margin of {number(margin, 'margin')} pp"
    if verdict == "difference_found" or not reason:
        return reading_name(verdict, "")
    return reading_name(verdict, _REASONS.get(reason, reason))


def said_of(row: Row, margin: object) -> str:
    """The verdict on a difference or a change."""
    if row.get("harm"):
        return "HARM: became worse"
    return verdict_name(row["verdict"], row["reason"], margin)


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


@dataclass(frozen=True, kw_only=True)
class Panel:
    """Rows of one attribute or crossing, in their order.

    Attributes:
        attribute: Name in the document; ``title`` as printed.
        labels: What stands to the left of each row.
    """

    attribute: str
    title: str
    labels: tuple[Label, ...]
    rows: tuple[Row, ...]


def panels(
    rows: Iterable[Row],
    key: Key,
    most: int | None = GROUPS_DRAWN,
    panels_drawn: int | None = PANELS_DRAWN,
) -> list[Panel]:
    """Gather rows by attribute, single attributes before crossings, each in the order of ``key``.

    ``most`` rows of an attribute are kept, and ``panels_drawn`` attributes; None keeps all.
    """
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(row["attribute"], []).append(row)
    kept = {
        name: tuple(sorted(found[name], key=key)[:most])
        for name in sorted(found, key=lambda name: " x " in name)[:panels_drawn]
    }
    return [
        Panel(attribute=name, title=attribute_name(name), labels=tuple(map(label, own)), rows=own)
        for name, own in kept.items()
    ]


def label(row: Row) -> Label:
    """Group, or the two groups of a gap, without the attribute."""
    one = group_name(row["attribute"], row["group"])
    return (one, f"minus {group_name(row['attribute'], row['other'])}") if "other" in row else one


def worst_rate_first(row: Row) -> tuple[Any, ...]:
    """Worst group first, then what is too small, has no label, is not estimable or withheld."""
    return STATES.index(row["state"]), by_rate(row)[1]


def by_rate(row: Row) -> tuple[bool, float]:
    """Worst rate first, whatever its group's size; without a number last."""
    value = row["value"]
    if not is_number(value):
        return True, 0.0
    return False, -value if is_worse_high(row["metric"]) else value


def largest_gap_first(row: Row) -> tuple[Any, ...]:
    """What was found first, then by size; pairs without a number last."""
    difference = row["difference"]
    if not is_number(difference):
        return 3, 0.0
    order = {"difference_found": 0, "cannot_tell": 1, "difference_ruled_out": 2}
    return 2 if row["reason"] in UNJUDGED else order.get(row["verdict"], 1), -abs(difference)


def harm_first(row: Row) -> tuple[Any, ...]:
    """Harmed groups first, then other changes that were found, then the largest loss."""
    change = row["change"]
    if not is_number(change):
        return 4, 0.0
    if row["reason"] in UNJUDGED:
        return 3, -abs(change)
    gain = -change if is_worse_high(row["metric"]) else change
    if "direction" in row:  # a gap: no sign of its change is good in itself
        gain = -abs(change)
    elif is_neutral(row["metric"]):
        gain = 0.0
    return 0 if row["harm"] else 1 + (row["verdict"] != "difference_found"), gain

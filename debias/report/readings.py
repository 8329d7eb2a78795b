"""Rows of a fairness or comparison document: what they are called, and their order."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from debias.metrics import documents as d
from debias.metrics.rates import RATES, beside_of, rate_of
from debias.report.charts.rows import Label
from debias.report.charts.style import GROUPS_DRAWN, PANELS_DRAWN
from debias.report.documents import EpochOfWeights, Fidelity, Findings
from debias.report.words import arm_name, attribute_name, group_name, is_number, number, words
from debias.types import BASELINE, SEEDS_NEEDED

Row = TypeVar("Row", bound=Mapping[str, object])
Measured = TypeVar("Measured", bound=d.OfMeasure)
Sized = d.RateRow | d.GroupChange  # rows that may say how many images they rest on
SMALL = ", too small"
STATES = ("estimated", "too_small", "unknown", "not_estimable", "suppressed")
UNJUDGED = STATES[1:]
NAMED = 60  # groups in one sentence
GAPS_DRAWN = 12  # pairs grow with the square of the groups

_SOURCES = {
    "annotated": "annotated by other people",
    "self-reported": "reported by the people shown",
    "inferred": "guessed by a machine",
    "drawn": "known, because the faces were drawn from it",
    "not stated": "source not stated",
}
_REASONS = {"suppressed": "withheld", "unknown": "no group label"}


def arms_of(document: Findings) -> list[str]:
    """Arms of a run, the one that the others stand beside first: plain training, if any."""
    return sorted(document["arms"], key=lambda arm: arm != BASELINE)


def fairness_of(document: Findings) -> dict[str, d.FairnessDocument]:
    """Arm to its fairness document, in the order of :func:`arms_of`."""
    return {arm: document["fairness"][arm] for arm in arms_of(document)}


def weights_by_epoch(document: Findings) -> dict[str, dict[str, list[float]]]:
    """Arm to curve name to one value an epoch, for arms that weigh anew before every epoch."""
    films = {arm: document["weights"].get(arm, {}).get("by_epoch") for arm in arms_of(document)}
    return {arm_name(arm): _film(epochs) for arm, epochs in films.items() if epochs}


def _film(epochs: Sequence[EpochOfWeights]) -> dict[str, list[float]]:
    """``group/attribute``, rarest first: its share of the draws in multiples of that of the images.

    And the effective sample size.
    """
    first, curves = epochs[0]["share_by_group"], {}
    for group in sorted(first, key=lambda group: first[group]):
        attribute = group.partition(":")[0]
        name = f"{group_name(attribute, group)}/{words(attribute)}"
        curves[name] = [epoch["share_by_group"][group] / first[group] for epoch in epochs]
    return curves | {"/effective sample size": [epoch["ess"] for epoch in epochs]}


def is_blurred(found: Fidelity | None) -> bool:
    """Whether a model draws one face for everybody, so that nothing can rest on it."""
    return found is not None and found["verdict"] == "blurred"


def of(rows: Iterable[Measured], metric: str) -> list[Measured]:
    """Rows of one measure."""
    return [row for row in rows if row["metric"] == metric]


def key_of(row: d.OfMeasure) -> tuple[str, str, str]:
    """What a rate is of."""
    return row["attribute"], row["group"], row["metric"]


def by_key(rows: Iterable[Measured]) -> dict[tuple[str, str, str], Measured]:
    return {key_of(row): row for row in rows}


def name(row: d.OfGroup) -> str:
    """A group of a row, without its attribute."""
    return group_name(row["attribute"], row["group"])


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


def sign_of(metric: str) -> int:
    """1 where more of it is better for a group, -1 where less is, 0 where neither is."""
    rate, _ = rate_of(metric)
    return rate.better if rate else 0


def is_better(change: d.ChangeRow) -> bool:
    """Whether a rate went the good way."""
    return bool((change["change"] < 0) == (sign_of(change["metric"]) < 0))


def change_of(rows: Iterable[d.GroupChange], metric: str, like: d.OfGroup) -> d.GroupChange | None:
    """The change of a measure of the same group, if it is known."""
    wanted = like["attribute"], like["group"], metric
    found = next((row for row in rows if key_of(row) == wanted), None)
    return found if found is not None and is_number(found["change"]) else None


def is_seen(change: d.ChangeRow, level: float) -> bool:
    """Whether a change is beyond chance in these trainings, allowing for all that were tested."""
    return is_number(change["p_adjusted"]) and change["p_adjusted"] <= 1 - level


def paid(
    change: d.GroupChange, rows: Iterable[d.GroupChange], level: float
) -> d.GroupChange | None:
    """What a group paid for a better rate: less of one answer makes less of both kinds of it."""
    metric = beside_of(change["metric"])
    if not metric or not is_seen(change, level) or not is_better(change):
        return None
    beside = change_of(rows, metric, change)
    return beside if beside and beside["change"] and not is_better(beside) else None


def usual_place(metric: str) -> int:
    """Place of a measure in a row of them; unknown ones come last."""
    known, name = list(RATES), metric.partition("[")[0]
    return known.index(name) if name in known else len(known)


def compared_metrics(document: d.ComparisonDocument) -> list[str]:
    """Measures of a comparison in their usual order: its rows begin with the harms."""
    return sorted(dict.fromkeys(row["metric"] for row in document["groups"]), key=usual_place)


def source_name(source: str) -> str:
    """Say who assigned the groups."""
    return _SOURCES.get(source, words(source))


def is_withheld(row: Mapping[str, object]) -> bool:
    """Whether a row of groups, gaps or changes has no number because it must not be shown."""
    return "suppressed" in (row.get("state"), row.get("reason"))


def all_withheld(names: Iterable[str], below: int) -> str:
    """What stands in the place of rows in which everything is withheld; empty: there are none."""
    every = list(names)
    more = f" and {len(every) - NAMED:,} more" if len(every) > NAMED else ""
    listed = f"{', '.join(every[:NAMED])}{more}"
    why = withheld(below) if below > 1 else "withheld"
    return f"Left out, as everything in it is {why}: {listed}." if every else ""


def withheld(below: int) -> str:
    """What stands in the place of a number that is withheld."""
    return f"withheld (counts < {number(below, 'count')})"


def images(row: Sized) -> float:
    """What a rate was counted from; it may be withheld."""
    return row["denominator"] if "denominator" in row else row["n"]


def why_no_number(row: Sized, below: int) -> str:
    """What to print in place of a value: never 0, and the reason where it is known."""
    if row["state"] == "suppressed":
        return withheld(below)
    return f"no {counted(row['metric'])}" if images(row) == 0 else "not estimable"


def size(row: Sized, below: int) -> str:
    """What stands beside a mark: how many images it rests on, or why there is none."""
    if row["state"] in ("suppressed", "not_estimable") or not is_number(images(row)):
        return why_no_number(row, below)
    return f"n = {number(images(row), 'count')}{remark(row)}"


def remark(row: Sized) -> str:
    """Why a number takes no part in a verdict, to stand behind its size; empty if it does."""
    return {"too_small": SMALL, "unknown": ", in no verdict"}.get(row["state"], "")


def no_difference(row: d.Judged, below: int) -> str:
    """What stands in the place of a difference that has no value."""
    return withheld(below) if row["reason"] == "suppressed" else "undefined"


def verdict_name(verdict: str, reason: str, margin: float | None) -> str:
    """Print a verdict of the document with its margin or its reason."""
    if verdict == "difference_ruled_out" and is_number(margin):
        return f"difference ruled out beyond the margin of {number(margin, 'points')} pp"
    if verdict == "difference_found" or not reason:
        return words(verdict)
    return f"{words(verdict)} ({words(_REASONS.get(reason, reason))})"


def said_of(row: d.GapRow | d.ChangeRow, margin: float | None) -> str:
    """The verdict on a difference or a change."""
    if row.get("harm"):
        return "HARM: became worse"
    return verdict_name(row["verdict"], row["reason"], margin)


def change_said(row: d.ChangeRow, document: d.ComparisonDocument) -> str:
    """The verdict on a change; where the number of comparisons alone stands against it, that."""
    low, high = row["low"], row["high"]
    by_itself = is_number(low) and is_number(high) and (low > 0 or high < 0)
    if by_itself and not row["harm"] and row["reason"] == "no_margin":
        made = number(document["comparisons"], "count")
        return f"cannot tell (not beyond chance after {made} comparisons)"
    return said_of(row, document["margin"])


def is_young(document: d.ComparisonDocument) -> bool:
    """Whether there are too few trainings for a verdict, so that gains are perhaps chance."""
    return 0 < len(document["seeds"]) < SEEDS_NEEDED


def reading_of(verdict: d.Verdict | d.ChangeVerdict, margin: float | None) -> str:
    """Print the verdict of a report or of an attribute, with what it leaves out."""
    said = verdict_name(verdict["reading"], verdict["reason"], margin)
    return f"{said}, incomplete" if verdict.get("incomplete") else said


def opened(verdict: d.Verdict | d.ChangeVerdict, margin: float | None) -> tuple[str, str]:
    """The verdict in two parts, the first to be set off; a sentence that says it is not doubled."""
    said = verdict_name(verdict["reading"], verdict["reason"], margin)
    sentence = verdict["sentence"]
    for start in (said, "harm", "gain", "trade", "seen"):
        if sentence.lower().startswith(start.lower()):
            return sentence[: len(start)], sentence[len(start) :]
    return f"{reading_of(verdict, margin)}.", f" {sentence}"


@dataclass(frozen=True, kw_only=True)
class Panel(Generic[Row]):
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
    key: Callable[[Row], tuple[Any, ...]],
    most: int | None = GROUPS_DRAWN,
    panels_drawn: int | None = PANELS_DRAWN,
) -> list[Panel[Row]]:
    """Gather rows by attribute, single attributes before crossings, each in the order of ``key``.

    ``most`` rows of an attribute are kept, and ``panels_drawn`` attributes; None keeps all.
    """
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(str(row["attribute"]), []).append(row)
    kept = {
        name: tuple(sorted(found[name], key=key)[:most])
        for name in sorted(found, key=lambda name: " x " in name)[:panels_drawn]
    }
    return [
        Panel(attribute=name, title=attribute_name(name), labels=tuple(map(label, own)), rows=own)
        for name, own in kept.items()
    ]


def label(row: Mapping[str, object]) -> Label:
    """Group, or the two groups of a gap, without the attribute."""
    one, *other = (
        group_name(str(row["attribute"]), str(row[end])) for end in ("group", "other") if end in row
    )
    return (one, f"minus {other[0]}") if other else one


def other_of(row: d.GapRow | d.GapChange) -> str:
    """The group of a difference that is taken away, without its attribute."""
    return group_name(row["attribute"], row["other"])


def worst_rate_first(row: d.RateRow) -> tuple[Any, ...]:
    """Worst group first, then what is too small, has no label, is not estimable or withheld."""
    return STATES.index(row["state"]), by_rate(row)[1]


def by_rate(row: d.RateRow) -> tuple[bool, float]:
    """Worst rate first, whatever its group's size; without a number last."""
    value = row["value"]
    if not is_number(value):
        return True, 0.0
    return False, -value if sign_of(row["metric"]) < 0 else value


def largest_gap_first(row: d.GapRow) -> tuple[Any, ...]:
    """What was found first, then by size; pairs without a number last."""
    difference = row["difference"]
    if not is_number(difference):
        return 3, 0.0
    order = {"difference_found": 0, "cannot_tell": 1, "difference_ruled_out": 2}
    return 2 if row["reason"] in UNJUDGED else order.get(row["verdict"], 1), -abs(difference)


def harm_first(row: d.ChangeRow) -> tuple[Any, ...]:
    """Harmed groups first, then other changes that were found, then the largest loss."""
    change, sign = row["change"], sign_of(row["metric"])
    if not is_number(change):
        return 4, 0.0
    if row["reason"] in UNJUDGED:
        return 3, -abs(change)
    # Of a gap no sign of the change is good in itself; of a selection rate neither.
    gain = -abs(change) if "direction" in row else sign * change
    return 0 if row["harm"] else 1 + (row["verdict"] != "difference_found"), gain

"""The first thing that is said of a classifier or a run: who is served worse, and what changed.

The pages, the terminal and Prefect's summary all begin with it.
"""

import math
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from debias.metrics.rates import RATES
from debias.report.arms import arms_of, comparisons_of, fairness_of
from debias.report.panels import UNJUDGED, Row
from debias.report.readings import is_worse_high
from debias.report.words import arm_name, group_name, is_number, number, words
from debias.types import SEEDS_NEEDED

Document = Mapping[str, Any]

LONGER = 4  # times as many epochs for a classifier that learned nothing
MORE = 2  # times as many test images where there are too few
_OPEN = "cannot tell"
_SPOKEN = {name: rate.said for name, rate in RATES.items() if rate.said}
# The other side of a measure: what rises and falls with it where a classifier says yes more often.
_BESIDE = {
    "true_positive_rate": "false_positive_rate",
    "false_positive_rate": "true_positive_rate",
}


def opening(document: Document) -> dict[str, Any]:
    """Headline, sentences and next steps.

    Args:
        document: A run, with ``skill`` (arm to what it learned, or None).

    Returns:
        ``headline``, ``sentences`` and ``next``: steps with ``why``, the ``setting`` to change,
        if any, and the ``command``, None where nobody typed one.
    """
    arm, fairness = next(iter(fairness_of(document).items()))
    failed = [said for one in arms_of(document) if (said := _failed(document, one))]
    task = _task(document)
    if not learned(document, arm):
        others = [_arm(one) for one in arms_of(document)[1:] if not learned(document, one)]
        same = [f"Nor did {' and '.join(others)}."] if others else []
        after = "What the groups differ in are differences between guesses, and no finding."
        first, sentences = f"{arm_name(arm)} learned nothing", [failed[0], *same, after]
    else:
        row = _largest(fairness)
        changes = _changes(document, row) if row is not None else []
        first, sentences = headline(fairness), [told(fairness), *changes, *failed]
    return {
        "headline": first,
        "sentences": [task, *sentences],
        "next": list(_next(document, fairness)),
    }


def learned(document: Document, arm: str) -> bool:
    """Whether the trainings of an arm are better than guessing, as far as that is known."""
    skill = document["skill"].get(arm)
    return skill is None or bool(skill["learned"])


def headline(fairness: Document) -> str:
    """Who is served worse, in what; the verdict where nothing was found.

    Args:
        fairness: One classifier.
    """
    who = arm_name(fairness["name"]) or "The classifier"
    row = _largest(fairness)
    if not fairness["attributes"]:
        return f"{who}: no group is annotated"
    if row is None or row["verdict"] != "difference_found":
        return f"{who}: {words(fairness['verdict']['reading'])}"
    group, other = (_spoken(row["attribute"], row[end]) for end in ("group", "other"))
    positive = _classes(fairness)[0]
    return _SPOKEN[row["metric"]][2].format(who=who, group=group, other=other, positive=positive)


def first_metric(fairness: Document) -> str:
    """The measure that the headline and the first picture are about."""
    row = _largest(fairness)
    return str(row["metric"] if row else fairness["metrics"][0])


def told(fairness: Document) -> str:
    """By how much and how sure, in numbers of a hundred.

    Args:
        fairness: One classifier.
    """
    if not fairness["attributes"]:
        return "No group is annotated: only figures over all images can be given."
    row = _largest(fairness)
    sentence = str(fairness["verdict"]["sentence"])
    if row is None:
        return sentence
    said = _difference(fairness, row)
    return said if row["verdict"] == "difference_found" else f"{said} {sentence}"


def _task(document: Document) -> str:
    classes = " or ".join(f"“{name}”" for name in document["data"]["classes"])
    return f"The classifier guesses {words(document['data']['label'])}: {classes}."


def _failed(document: Document, arm: str) -> str:
    skill = document["skill"].get(arm)
    return "" if skill is None else str(skill["sentence"])


def _largest(fairness: Document) -> Row | None:
    """The largest difference, the group that is served worse first; found ones, if there are any.

    Differences within one attribute come before those of a crossing, which are harder to say.
    """
    rows = [
        _turned(row)
        for row in fairness["gaps"]
        if row["metric"] in _SPOKEN and is_number(row["difference"])
        and row["reason"] not in UNJUDGED
    ]  # fmt: skip
    return min(rows, key=_first, default=None)


def _first(row: Row) -> tuple[bool, bool, float]:
    return row["verdict"] != "difference_found", " x " in row["attribute"], -abs(row["difference"])


def _turned(row: Row) -> Row:
    """The same with the group that is served worse first."""
    if (row["difference"] > 0) == is_worse_high(row["metric"]):
        return row
    limits = {"low": -row["high"], "high": -row["low"]}
    return {**row, **limits, "difference": -row["difference"],
            "group": row["other"], "other": row["group"]}  # fmt: skip


def _classes(fairness: Document) -> tuple[str, str]:
    """The positive class and the other one."""
    classes = list(fairness["classes"])
    positive = fairness["positive"] or classes[-1]
    return positive, next(name for name in classes if name != positive)


def _difference(fairness: Document, row: Row) -> str:
    """How many of a hundred in the one group and the other, and how sure that is."""
    ends = [
        _rate(fairness, row["metric"], row["attribute"], row[end]) for end in ("group", "other")
    ]
    one, other = (float(end["value"]) for end in ends)
    n, n_other = (f"n = {number(end['denominator'], 'count')}" for end in ends)
    positive, negative = _classes(fairness)
    of, called, _ = _SPOKEN[row["metric"]]
    who = of.format(
        group=_spoken(row["attribute"], row["group"]), positive=positive, negative=negative
    )
    scale = _scale(one, other)
    worse = math.copysign(1, row["difference"])
    low, high = sorted(worse * limit for limit in (row["low"], row["high"]))
    found = row["verdict"] == "difference_found"
    return (
        f"Of {scale:,} {who}, {_of(one, scale)} {called.format(positive=positive)} "
        f"({n}); "
        f"of {group_name(row['attribute'], row['other'])}, {_of(other, scale)} ({n_other}). "
        f"{'Difference found' if found else 'Difference seen'}: "
        f"{number(abs(row['difference']), 'points')} percentage points "
        f"({number(low, 'points')} to {number(high, 'points')})."
    )


def _rate(fairness: Document, metric: str, attribute: str, group: str) -> Row:
    key = metric, attribute, group
    rows: Sequence[Row] = fairness["by_group"]
    return next(one for one in rows if (one["metric"], one["attribute"], one["group"]) == key)


def _scale(one: float, other: float) -> int:
    """Of how many one counts: a hundred, or more where a hundred would show no difference."""
    return next((n for n in (100, 1000) if round(one * n) != round(other * n)), 10_000)


def _of(value: float, scale: int) -> str:
    """A rate as a count; none and all are said only of exactly none and all."""
    count = round(value * scale)
    if count == 0 and value > 0:
        return "fewer than 1"
    return f"more than {scale - 1:,}" if count == scale and value < 1 else f"{count:,}"


def _spoken(attribute: str, group: str) -> str:
    return f"{words(attribute)} {group_name(attribute, group)}"


def _changes(document: Document, row: Row) -> list[str]:
    """What every other arm made of the rate of the group that is served worse."""
    found = {
        _arm(arm): (change, comparison)
        for arm, comparison in comparisons_of(document).items()
        if learned(document, arm) and (change := _change(comparison, row, row["metric"]))
    }
    if not found:
        return []
    before = next(iter(found.values()))[0]["before"]
    scale = max(_scale(before, change["after"]) for change, _ in found.values())
    is_open = all(_sure(change) == _OPEN for change, _ in found.values())
    counts = [
        f"{name} {_of(change['after'], scale)}"
        f"{'' if is_open else f' ({_sure(change)}{_paid(comparison, change)})'}"
        for name, (change, comparison) in found.items()
    ]
    return [f"Instead of {_of(before, scale)}: {', '.join(counts)}.{_doubt(document) * is_open}"]


def _arm(arm: str) -> str:
    """A name of ours inside a sentence; one that the user chose stays as it is."""
    return arm if arm_name(arm) == arm else arm_name(arm).lower()


def _doubt(document: Document) -> str:
    seeds = document["run"]["seeds"]
    few = f" from {seeds} training{'s' * (seeds > 1)}" if seeds < SEEDS_NEEDED else ""
    return f" Whether that is more than chance cannot be told{few}."


def _change(comparison: Document, row: Row, metric: str) -> Row | None:
    key = metric, row["attribute"], row["group"]
    for change in comparison["groups"]:
        if (change["metric"], change["attribute"], change["group"]) == key:
            return change if is_number(change["change"]) else None
    return None


def _sure(change: Row) -> str:
    if change["harm"]:
        return "harm"
    if change["verdict"] != "difference_found":
        return _OPEN if change["verdict"] == "cannot_tell" else "difference ruled out"
    return f"{'gain' if _is_better(change) else 'loss'}, difference found"


def _is_better(change: Row) -> bool:
    return bool((change["change"] < 0) == is_worse_high(change["metric"]))


def _paid(comparison: Document, change: Row) -> str:
    """What the same group paid for a better rate: more of one answer makes more of both kinds."""
    other = _BESIDE.get(change["metric"])
    beside = _change(comparison, change, other) if other and _is_better(change) else None
    if other is None or beside is None or _is_better(beside) or not beside["change"]:
        return ""
    before, after = (number(beside[end], "percent") for end in ("before", "after"))
    verb = "rose" if beside["change"] > 0 else "fell"
    return f", but its {words(other)} {verb} from {before} to {after}"


def _next(document: Document, fairness: Document) -> Iterator[dict[str, Any]]:
    """What would settle a question that is open, then where to look further."""
    config, seeds = document["run"]["config"], document["run"]["seeds"]
    failed = [arm for arm in arms_of(document) if not learned(document, arm)]
    compared = comparisons_of(document)
    if failed:
        epochs = LONGER * config["classifier"]["training"]["epochs"]
        yield _step(
            document, f"classifier.training.epochs={epochs}",
            f"Train longer: {', '.join(map(arm_name, failed))} learned nothing.",
        )  # fmt: skip
    elif _lacks_images(fairness, compared):
        yield from _more_images(document)
    elif compared and seeds < SEEDS_NEEDED:
        yield _step(
            document, f"seeds={SEEDS_NEEDED}",
            f"A verdict on changes takes {SEEDS_NEEDED} trainings of every arm; the {seeds} "
            f"finished one{'s are' if seeds > 1 else ' is'} used again.",
        )  # fmt: skip
    elif open_ := sum(map(_ask_for_seeds, compared.values())):
        yield _step(
            document, f"seeds={2 * seeds}",
            f"{open_} change{'s were' if open_ > 1 else ' was'} seen that other trainings could "
            "turn around; more of them would tell.",
        )  # fmt: skip
    if compared:
        yield {
            "why": "Group by group, every arm on a page of its own.", "setting": "",
            "command": shlex.join(["debias", "compare", str(document["run"]["folder"])]),
        }  # fmt: skip


def _lacks_images(fairness: Document, compared: Mapping[str, Document]) -> bool:
    """Whether no group has enough test images to be judged, or to show a change beyond chance."""
    if fairness["attributes"] and fairness["gaps"] and _largest(fairness) is None:
        return True
    changes = [
        row["p_adjusted"] <= 1 - one["level"]
        for one in compared.values()
        for row in one["groups"]
        if row["reason"] not in UNJUDGED and is_number(row.get("p_adjusted"))
    ]
    is_open = fairness["verdict"]["reading"] == "cannot_tell"
    return is_open and bool(compared) and not any(changes)


def _more_images(document: Document) -> Iterator[dict[str, Any]]:
    """The setting that brings more test images, of the recipe that was run."""
    config = document["run"]["config"]
    n = config.get("data", {}).get("n_test")
    share = config.get("selection", {}).get("test_fraction")
    if is_number(n):
        setting = f"data.n_test={round(MORE * n)}"
    elif is_number(share):
        setting = f"selection.test_fraction={min(MORE * share, 0.5):g}"
    else:
        return
    yield _step(
        document, setting,
        "The groups have too few test images for a verdict; more trainings would not help.",
    )  # fmt: skip


def _ask_for_seeds(comparison: Document) -> int:
    """Changes of groups beyond chance on these images, whose interval over trainings holds 0."""
    return sum(
        row["p_adjusted"] <= 1 - comparison["level"] and row["seed_low"] <= 0 <= row["seed_high"]
        for row in comparison["groups"]
        if row["reason"] == "insufficient_evidence" and is_number(row["seed_low"])
    )


def _step(document: Document, setting: str, why: str) -> dict[str, Any]:
    typed = document["run"].get("command")
    return {"why": why, "setting": setting, "command": changed(typed, setting) if typed else None}


def changed(command: str, setting: str) -> str:
    """The command with one more ``--set``; an earlier one of the same key is dropped."""
    key, said, kept = setting.partition("=")[0], shlex.split(command), []
    while said:
        word = said.pop(0)
        if word == "--set" and said and said[0].partition("=")[0].strip() == key:
            said.pop(0)
        elif not word.startswith(f"--set={key}="):
            kept.append(word)
    return shlex.join([*kept, "--set", setting])

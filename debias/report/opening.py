"""The first thing that is said of a run: what is guessed, who is served worse, what changed.

The page, the terminal and Prefect's summary all begin with it.
"""

import math
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from debias.metrics.rates import RATES
from debias.report.arms import arms_of, comparisons_of, fairness_of
from debias.report.panels import UNJUDGED, Row
from debias.report.readings import is_worse_high
from debias.report.words import arm_name, group_name, is_number, number, words
from debias.types import SEEDS_NEEDED

Document = Mapping[str, Any]

LONGER = 4  # times as many epochs for a classifier that learned nothing
_OPEN = "cannot tell"
_SPOKEN = {name: rate.said for name, rate in RATES.items() if rate.said}


def opening(document: Document) -> dict[str, Any]:
    """Headline, sentences and next steps.

    Args:
        document: A run, with ``skill`` (arm to what it learned, or None).

    Returns:
        ``headline``, ``sentences`` and ``next``: steps with ``why``, the ``setting`` to change,
        if any, and the ``command``, None where nobody typed one.
    """
    arm, fairness = next(iter(fairness_of(document).items()))
    headline, sentences = _told(document, arm, fairness)
    return {
        "headline": headline,
        "sentences": [_task(document), *sentences],
        "next": list(_next(document)),
    }


def learned(document: Document, arm: str) -> bool:
    """Whether the trainings of an arm are better than guessing, as far as that is known."""
    skill = document["skill"].get(arm)
    return skill is None or bool(skill["learned"])


def _task(document: Document) -> str:
    classes = " or ".join(f"“{name}”" for name in document["data"]["classes"])
    return f"The classifier guesses {words(document['data']['label'])}: {classes}."


def _told(document: Document, arm: str, fairness: Document) -> tuple[str, list[str]]:
    name = arm_name(arm)
    failed = [said for one in arms_of(document) if (said := _failed(document, one))]
    if not learned(document, arm):
        others = [_arm(one) for one in arms_of(document)[1:] if not learned(document, one)]
        same = [f"Neither did: {', '.join(others)}."] if others else []
        after = "What the groups differ in are differences between guesses, and no finding."
        return f"{name} learned nothing", [failed[0], *same, after]
    if not fairness["attributes"]:
        said = "No group is annotated: only figures over all images can be given."
        return f"{name}: no group is annotated", [said, *failed]
    row = _largest(fairness)
    if row is None:
        return f"{name}: {_reading(fairness)}", [fairness["verdict"]["sentence"], *failed]
    group, other = (_spoken(row["attribute"], row[end]) for end in ("group", "other"))
    sentences = [_difference(document, fairness, row), *_changes(document, row), *failed]
    if row["verdict"] == "difference_found":
        return f"{name} serves {group} worse than {other}", sentences
    return f"{name}: {_reading(fairness)}", [*sentences, fairness["verdict"]["sentence"]]


def _failed(document: Document, arm: str) -> str:
    skill = document["skill"].get(arm)
    return "" if skill is None else str(skill["sentence"])


def _reading(fairness: Document) -> str:
    """The verdict on all groups without its reason, which the sentences below it tell."""
    return words(fairness["verdict"]["reading"])


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


def _difference(document: Document, fairness: Document, row: Row) -> str:
    """How many of a hundred in the one group and the other, and how sure that is."""
    one, other = (_value(fairness, row, row[end]) for end in ("group", "other"))
    classes = document["data"]["classes"]
    positive = fairness["positive"] or classes[-1]
    negative = next(name for name in classes if name != positive)
    of, called = (part.format(group="{}", positive=positive, negative=negative)
                  for part in _SPOKEN[row["metric"]])  # fmt: skip
    scale = _scale(one, other)
    worse = math.copysign(1, row["difference"])
    low, high = sorted(worse * limit for limit in (row["low"], row["high"]))
    found = row["verdict"] == "difference_found"
    return (
        f"{arm_name(arms_of(document)[0])}: of {scale:,} images of "
        f"{of.format(_spoken(row['attribute'], row['group']))}, {_of(one, scale)} {called}; of "
        f"{group_name(row['attribute'], row['other'])}, {_of(other, scale)}. "
        f"{'Difference found' if found else 'Difference seen'}: "
        f"{number(abs(row['difference']), 'points')} percentage points "
        f"({number(low, 'points')} to {number(high, 'points')})."
    )


def _value(fairness: Document, row: Row, group: str) -> float:
    key = row["metric"], row["attribute"], group
    return next(
        float(found["value"])
        for found in fairness["by_group"]
        if (found["metric"], found["attribute"], found["group"]) == key
    )


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
        _arm(arm): change
        for arm, comparison in comparisons_of(document).items()
        if learned(document, arm) and (change := _change(comparison, row)) is not None
    }
    if not found:
        return []
    before = next(iter(found.values()))["before"]
    scale = max(_scale(before, change["after"]) for change in found.values())
    is_open = all(_sure(change) == _OPEN for change in found.values())
    counts = [
        f"{name} {_of(change['after'], scale)}{'' if is_open else f' ({_sure(change)})'}"
        for name, change in found.items()
    ]
    return [f"Instead of {_of(before, scale)}: {', '.join(counts)}.{_doubt(document) * is_open}"]


def _arm(arm: str) -> str:
    """A name of ours inside a sentence; one that the user chose stays as it is."""
    return arm if arm_name(arm) == arm else arm_name(arm).lower()


def _doubt(document: Document) -> str:
    seeds = document["run"]["seeds"]
    few = f" from {seeds} training{'s' * (seeds > 1)}" if seeds < SEEDS_NEEDED else ""
    return f" Whether that is more than chance cannot be told{few}."


def _change(comparison: Document, row: Row) -> Row | None:
    key = row["metric"], row["attribute"], row["group"]
    for change in comparison["groups"]:
        if (change["metric"], change["attribute"], change["group"]) == key:
            return change if is_number(change["change"]) else None
    return None


def _sure(change: Row) -> str:
    if change["harm"]:
        return "harm"
    if change["verdict"] != "difference_found":
        return _OPEN if change["verdict"] == "cannot_tell" else "difference ruled out"
    better = (change["change"] < 0) == is_worse_high(change["metric"])
    return f"{'gain' if better else 'loss'}, difference found"


def _next(document: Document) -> Iterator[dict[str, Any]]:
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

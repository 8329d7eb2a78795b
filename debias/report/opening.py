"""The first thing that is said of a classifier or a run: who is served worse, and what changed.

The pages, the terminal and Prefect's summary all begin with it.
"""

import math
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from debias.metrics.rates import RATES
from debias.report import readings as r
from debias.report.readings import Document, Row
from debias.report.words import amount, arm_name, group_name, is_number, number, words
from debias.types import SEEDS_NEEDED

LONGER = 4  # times as many epochs for a classifier that learned nothing
MORE = 2  # times as many test images where there are too few
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
    arm, fairness = next(iter(r.fairness_of(document).items()))
    label, classes = document["data"]["label"], document["data"]["classes"]
    task = f"The classifier guesses {words(label)}: {' or '.join(f'“{one}”' for one in classes)}."
    failed = [one for one in r.arms_of(document) if not learned(document, one)]
    skill = filter(None, map(document["skill"].get, r.arms_of(document)))
    said = [str(found["sentence"]) for found in skill if found["sentence"]]
    if arm in failed:
        others = [_arm(one) for one in failed if one != arm]
        same = [f"Nor did {' and '.join(others)}."] if others else []
        after = "What the groups differ in are differences between guesses, and no finding."
        first, sentences = f"{arm_name(arm)} learned nothing", [said[0], *same, after]
    else:
        row = _largest(fairness)
        changes = _changes(document, row) if row is not None else []
        first, sentences = headline(fairness), [told(fairness), *changes, *said]
    steps = list(_next(document, fairness, failed))
    return {"headline": first, "sentences": [task, *sentences], "next": steps}


def learned(document: Document, arm: str) -> bool:
    """Whether the trainings of an arm are better than guessing, as far as that is known."""
    skill = document["skill"].get(arm)
    return skill is None or bool(skill["learned"])


def headline(fairness: Document) -> str:
    """Who is served worse by one classifier, in what; the verdict where nothing was found."""
    who, row = arm_name(fairness["name"]) or "The classifier", _largest(fairness)
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
    """By how much one classifier differs and how sure that is, in numbers of a hundred."""
    if not fairness["attributes"]:
        return "No group is annotated: only figures over all images can be given."
    row, sentence = _largest(fairness), str(fairness["verdict"]["sentence"])
    if row is None:
        return sentence
    said = _difference(fairness, row)
    return said if row["verdict"] == "difference_found" else f"{said} {sentence}"


def _largest(fairness: Document) -> Row | None:
    """The largest difference, the group that is served worse first; found ones, if there are any.

    Differences within one attribute come before those of a crossing, which are harder to say.
    """

    def first(row: Row) -> tuple[bool, bool, float]:
        found = row["verdict"] == "difference_found"
        return not found, " x " in row["attribute"], -abs(row["difference"])

    rows = (
        _turned(row) for row in fairness["gaps"]
        if row["metric"] in _SPOKEN and is_number(row["difference"])
        and row["reason"] not in r.UNJUDGED
    )  # fmt: skip
    return min(rows, key=first, default=None)


def _turned(row: Row) -> Row:
    """The same with the group that is served worse first."""
    if (row["difference"] > 0) == r.is_worse_high(row["metric"]):
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
    rates = {r.key_of(one): one for one in fairness["by_group"]}
    ends = [rates[row["attribute"], row[end], row["metric"]] for end in ("group", "other")]
    one, other = (float(end["value"]) for end in ends)
    n, n_other = (f"n = {number(end['denominator'], 'count')}" for end in ends)
    positive, negative = _classes(fairness)
    of, called, _ = _SPOKEN[row["metric"]]
    who = of.format(
        group=_spoken(row["attribute"], row["group"]), positive=positive, negative=negative
    )
    scale, worse = _scale(one, other), math.copysign(1, row["difference"])
    low, high = sorted(worse * limit for limit in (row["low"], row["high"]))
    verb = "found" if row["verdict"] == "difference_found" else "seen"
    return (
        f"Of {scale:,} {who}, {_of(one, scale)} {called.format(positive=positive)} ({n}); "
        f"of {group_name(row['attribute'], row['other'])}, {_of(other, scale)} ({n_other}). "
        f"Difference {verb}: {number(abs(row['difference']), 'points')} percentage points "
        f"({number(low, 'points')} to {number(high, 'points')})."
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


def _arm(arm: str) -> str:
    """A name of ours inside a sentence; one that the user chose stays as it is."""
    return arm if arm_name(arm) == arm else arm_name(arm).lower()


def _changes(document: Document, row: Row) -> list[str]:
    """What every other arm made of the rate of the group that is served worse."""
    found = {
        _arm(arm): (change, comparison["groups"])
        for arm, comparison in r.comparisons_of(document).items()
        if learned(document, arm)
        and (change := r.change_of(comparison["groups"], row["metric"], row))
    }
    if not found:
        return []
    before = next(iter(found.values()))[0]["before"]
    scale = max(_scale(before, change["after"]) for change, _ in found.values())
    doubt, seeds = "", document["run"]["seeds"]
    if is_open := all(_sure(change) == _OPEN for change, _ in found.values()):
        few = f" from {amount(seeds, 'training')}" if seeds < SEEDS_NEEDED else ""
        doubt = f" Whether that is more than chance cannot be told{few}."
    counts = [
        f"{name} {_of(change['after'], scale)}"
        f"{'' if is_open else f' ({_sure(change)}{r.paid(change, rows)})'}"
        for name, (change, rows) in found.items()
    ]
    return [f"Instead of {_of(before, scale)}: {', '.join(counts)}.{doubt}"]


def _sure(change: Row) -> str:
    if change["harm"]:
        return "harm"
    if change["verdict"] != "difference_found":
        return _OPEN if change["verdict"] == "cannot_tell" else "difference ruled out"
    return f"{'gain' if r.is_better(change) else 'loss'}, difference found"


def _next(document: Document, fairness: Document, failed: list[str]) -> Iterator[dict[str, Any]]:
    """What would settle a question that is open, then where to look further."""
    run, compared = document["run"], r.comparisons_of(document)
    seeds, setting, why = run["seeds"], "", ""
    if failed:
        epochs = LONGER * run["config"]["classifier"]["training"]["epochs"]
        setting = f"classifier.training.epochs={epochs}"
        why = f"Train longer: {', '.join(map(arm_name, failed))} learned nothing."
    elif _lacks_images(fairness, compared):
        setting = _more_images(run["config"])
        why = "The groups have too few test images for a verdict; more trainings would not help."
    elif compared and seeds < SEEDS_NEEDED:
        setting = f"seeds={SEEDS_NEEDED}"
        why = (
            f"A verdict on changes takes {SEEDS_NEEDED} trainings of every arm; the {seeds} "
            f"finished one{'s are' if seeds > 1 else ' is'} used again."
        )
    elif open_ := sum(map(_ask_for_seeds, compared.values())):
        setting = f"seeds={2 * seeds}"
        why = (
            f"{open_} change{'s were' if open_ > 1 else ' was'} seen that other trainings could "
            "turn around; more of them would tell."
        )
    if setting:
        typed = run.get("command")
        command = changed(typed, setting) if typed else None
        yield {"why": why, "setting": setting, "command": command}
    if compared:
        command = shlex.join(["debias", "compare", str(run["folder"])])
        why = "Group by group, every arm on a page of its own."
        yield {"why": why, "setting": "", "command": command}


def _lacks_images(fairness: Document, compared: Mapping[str, Document]) -> bool:
    """Whether no group has enough test images to be judged, or to show a change beyond chance."""
    if fairness["attributes"] and fairness["gaps"] and _largest(fairness) is None:
        return True
    changes = (
        row["p_adjusted"] <= 1 - one["level"]
        for one in compared.values()
        for row in one["groups"]
        if row["reason"] not in r.UNJUDGED and is_number(row.get("p_adjusted"))
    )
    return fairness["verdict"]["reading"] == "cannot_tell" and bool(compared) and not any(changes)


def _more_images(config: Mapping[str, Any]) -> str:
    """The setting that brings more test images, of the recipe that was run; empty: none does."""
    n, share = (
        config.get(part, {}).get(name)
        for part, name in (("data", "n_test"), ("selection", "test_fraction"))
    )
    if is_number(n):
        return f"data.n_test={round(MORE * n)}"
    return f"selection.test_fraction={min(MORE * share, 0.5):g}" if is_number(share) else ""


def _ask_for_seeds(comparison: Document) -> int:
    """Changes of groups beyond chance on these images, whose interval over trainings holds 0."""
    return sum(
        row["p_adjusted"] <= 1 - comparison["level"] and row["seed_low"] <= 0 <= row["seed_high"]
        for row in comparison["groups"]
        if row["reason"] == "insufficient_evidence" and is_number(row["seed_low"])
    )


def changed(command: str, setting: str) -> str:
    """The command with one more setting; an earlier one of the same key is dropped.

    A deployment of Prefect takes all settings as one parameter, a line each.
    """

    def is_other(said: str) -> bool:
        return said.partition("=")[0].strip() != setting.partition("=")[0]

    words = shlex.split(command)
    if words[:1] == ["prefect"]:
        place = words.index("--param") if "--param" in words else len(words)
        given = "".join(words[place + 1 :]).removeprefix("changes=").splitlines()
        lines = "\n".join([*filter(is_other, given), setting])
        return shlex.join([*words[:place], "--param", f"changes={lines}"])
    kept: list[str] = []
    while words:
        word = words.pop(0)
        if word == "--set" and words and not is_other(words[0]):
            words.pop(0)
        elif not word.startswith("--set=") or is_other(word.removeprefix("--set=")):
            kept.append(word)
    return shlex.join([*kept, "--set", setting])

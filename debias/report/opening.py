"""The first thing that is said of a classifier or a run: who is served worse, and what changed.

The pages, the terminal and Prefect's summary all begin with it.
"""

import math
import shlex
from collections.abc import Iterator, Mapping

from debias.metrics import documents as d
from debias.metrics.primary import AUROC
from debias.metrics.rates import WORST, rate_of
from debias.report import readings as r
from debias.report.documents import Fidelity, Findings, NextStep, Opening, Weights
from debias.report.words import (
    arm_name,
    full_group_name,
    is_number,
    number,
    quantity_name,
    words,
)
from debias.types import SEEDS_NEEDED

BLURRED = "The model draws nearly the same face for every image"
LONGER = 4  # times as many epochs for a classifier that learned nothing
SEEDS_ADVISED = 5
MOST = 30  # trainings that may be added by answers
MORE = 2  # times as many test images where there are too few
# What an arm did, by the rule of its weights.
_DEEDS = {
    "latent_rarity": "Drawing unusual faces more often",
    "generated": "Adding generated faces between unusual ones",
    "reference_ratio": "Drawing faces like the reference more often",
    "elsewhere": "Balancing groups learned from another collection",
    "group_balance": "Drawing every group equally often",
}


def opening(document: Findings) -> Opening:
    """Headline, sentences and next steps of a run."""
    arms = r.arms_of(document)
    arm, fairness = arms[0], document["fairness"][arms[0]]
    label, classes = document["data"]["label"], document["data"]["classes"]
    task = f"The classifier guesses {words(label)}: {' or '.join(f'“{one}”' for one in classes)}."
    failed = [one for one in arms if not learned(document, one)]
    said = [found["sentence"] for one in arms if (found := document["skill"][one])]
    said = [sentence for sentence in said if sentence]
    if arm in failed:
        others = [_inside(one) for one in failed if one != arm]
        same = [f"Nor did {' and '.join(others)}."] if others else []
        after = "What the groups differ in are differences between guesses, and no finding."
        first, sentences = f"{arm_name(arm)} learned nothing", [said[0], *same, after]
    else:
        first = headline(fairness) + _helped(document)
        sentences = [told(fairness), *_changes(document), *said]
    sentences += filter(None, (less_often(arm, document["weights"].get(arm, {})) for arm in arms))
    if doubted := _doubted(document):
        sentences.append(f"{BLURRED}: {doubted} cannot be relied on.")
    steps = list(_next(document, fairness, failed))
    return {"headline": first, "sentences": [task, *sentences], "next": steps}


def less_often(arm: str, weights: Weights) -> str:
    """Harm by the weights of an arm: small groups that they show less often; empty: none."""
    shares = ", ".join(
        f"{full_group_name(row['group'])} ({number(row['before'], 'percent')} to "
        f"{number(row['after'], 'percent')})"
        for row in weights.get("lowered", ())
    )
    return f"Harm: {_inside(arm)} draw less often: {shares}." if shares else ""


def _doubted(document: Findings) -> str:
    """The weights that rest on a model that draws one face for everybody; empty: none."""
    resting = [arm for arm, one in document["weights"].items() if one.get("uses_latents")]
    return " and ".join(map(_inside, resting)) if r.is_blurred(document.get("fidelity")) else ""


def learned(document: Findings, arm: str) -> bool:
    """Whether the trainings of an arm are better than guessing, as far as that is known."""
    skill = document["skill"][arm]
    return skill is None or skill["learned"]


def headline(fairness: d.FairnessDocument) -> str:
    """Who is served worse by one classifier, in what; the verdict where nothing was found."""
    who, row = named(fairness["name"], "The classifier"), _largest(fairness)
    if not fairness["attributes"]:
        return f"{who}: no group is annotated"
    if row is None or row["verdict"] != "difference_found":
        reading = fairness["verdict"]["reading"]
        worse = " whether a group is served worse" * (reading == "cannot_tell")
        return f"{who}: {words(reading)}{worse}"
    group, other = _spoken(row), r.other_of(row)
    *_, said = _speech(row["metric"])
    return said.format(who=who, group=group, other=other, **_classes(fairness, row["metric"]))


def named(name: str, nameless: str) -> str:
    """A classifier in a sentence: ours by its name, any other as one of that name."""
    known = arm_name(name)
    return known if known != name else f"The classifier “{name}”" if name else nameless


def moved(document: d.ComparisonDocument, *, better: bool) -> str:
    """How a group is served worse, or better, than before; of several the largest change.

    Changes of one attribute's groups come before those of a crossing, which are harder to say.
    """
    rows = [
        row for row in document["groups"]
        if any(_speech(row["metric"])) and r.is_seen(row, document["level"])
        and (_is_gain(row, document) if better else row["harm"])
    ]  # fmt: skip
    if not rows:  # a gap alone, or a measure that is neither good nor bad
        return f"Somebody is served {'better' if better else 'worse'} than before"
    return f"Of {_went(min(rows, key=_largest_change), document)}"


def _largest_change(row: d.GroupChange) -> tuple[bool, float]:
    return " x " in row["attribute"], -abs(row["change"])


def _went(
    row: d.GroupChange, document: d.FairnessDocument | d.ComparisonDocument, where: str = ""
) -> str:
    """Of how many images of a group, or of ``where``, how many are answered so, and were before."""
    (whose, called, _), about = _speech(row["metric"]), _classes(document, row["metric"])
    scale = _scale(row["before"], row["after"])
    before, after = (_of(value, scale) for value in (row["before"], row["after"]))
    return (
        f"{scale:,} {whose.format(**about)} {where or f'of {_spoken(row)}'}, {after} instead of "
        f"{before} {called.format(**about)}"
    )


def worst_seen(document: d.ComparisonDocument) -> str:
    """The largest loss of a group though it may be chance, with its interval; empty: none."""
    losses = [
        row for row in document["groups"]
        if any(_speech(row["metric"])) and is_number(row["change"]) and row["change"]
        and row["reason"] not in r.UNJUDGED and not r.is_better(row)
    ]  # fmt: skip
    if not losses:
        return ""
    row = min(losses, key=_largest_change)
    low, high = (number(row[end], "change") for end in ("low", "high"))
    return f"Largest loss seen: of {_went(row, document)} ({low} to {high} points)."


def _is_gain(row: d.GroupChange, document: d.ComparisonDocument) -> bool:
    return r.is_better(row) and r.paid(row, document["groups"], document["level"]) is None


def first_metric(fairness: d.FairnessDocument) -> str:
    """The measure that the headline and the first picture are about."""
    row = _largest(fairness)
    return row["metric"] if row else fairness["metrics"][0]


def told(fairness: d.FairnessDocument) -> str:
    """By how much one classifier differs and how sure that is, in numbers of a hundred."""
    if not fairness["attributes"]:
        return "No group is annotated: only figures over all images can be given."
    row, sentence = _largest(fairness), fairness["verdict"]["sentence"]
    if row is None:
        return sentence
    said = _difference(fairness, row)
    return said if row["verdict"] == "difference_found" else f"{said} {sentence}"


def _speech(metric: str) -> tuple[str, str, str]:
    """How a measure is spoken of; nothing for one that stays out of summaries."""
    rate, _ = rate_of(metric)
    return rate.said if rate and rate.said else ("", "", "")


def _largest(fairness: d.FairnessDocument) -> d.GapRow | None:
    """The largest difference, the group that is served worse first; found ones, if there are any.

    Differences within one attribute come before those of a crossing, which are harder to say.
    """

    def first(row: d.GapRow) -> tuple[bool, bool, float]:
        found = row["verdict"] == "difference_found"
        return not found, " x " in row["attribute"], -abs(row["difference"])

    rows = (
        _turned(row) for row in fairness["gaps"]
        if any(_speech(row["metric"])) and is_number(row["difference"])
        and row["reason"] not in r.UNJUDGED
    )  # fmt: skip
    return min(rows, key=first, default=None)


def _turned(row: d.GapRow) -> d.GapRow:
    """The same with the group that is served worse first."""
    if (row["difference"] > 0) == (r.sign_of(row["metric"]) < 0):
        return row
    return {**row, "low": -row["high"], "high": -row["low"], "difference": -row["difference"],
            "group": row["other"], "other": row["group"]}  # fmt: skip


def _classes(document: d.FairnessDocument | d.ComparisonDocument, metric: str) -> dict[str, str]:
    """The class that a measure is about, and what is not of it, as they are spoken of."""
    classes, (_, about) = document["classes"], rate_of(metric)
    positive = about or document["positive"] or classes[-1]
    others = [name for name in classes if name != positive]
    return {"positive": positive, "negative": f"“{others[0]}”" if len(others) == 1 else "other"}


def _difference(fairness: d.FairnessDocument, row: d.GapRow) -> str:
    """How many of a hundred in the one group and the other, and how sure that is."""
    rates = r.by_key(fairness["by_group"])
    one, other = (
        rates[row["attribute"], group, row["metric"]]["value"]
        for group in (row["group"], row["other"])
    )
    scale, worse = _scale(one, other), math.copysign(1, row["difference"])
    low, high = sorted(worse * limit for limit in (row["low"], row["high"]))
    verb = "found" if row["verdict"] == "difference_found" else "seen"
    whose, called, _ = _speech(row["metric"])
    about = _classes(fairness, row["metric"])
    return (
        f"Of {scale:,} {whose.format(**about)} of {_spoken(row)}, {_of(one, scale)} "
        f"{called.format(**about)}; of {r.other_of(row)}, {_of(other, scale)}. Difference {verb}: "
        f"{number(abs(row['difference']), 'points')} percentage points "
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


def _spoken(row: d.OfGroup) -> str:
    return f"{words(row['attribute'])} {r.name(row)}"


def _inside(arm: str) -> str:
    """A name of ours inside a sentence; one that the user chose stays as it is."""
    return arm if arm_name(arm) == arm else arm_name(arm).lower()


def _moves(document: Findings) -> Iterator[tuple[str, str, d.GroupChange, d.ComparisonDocument]]:
    """Every other arm, what it did, and the change of the group that is served worse."""
    row = _largest(document["fairness"][r.arms_of(document)[0]])
    for arm, compared in document["comparisons"].items() if row else ():
        change = row and r.change_of(compared["groups"], row["metric"], row)
        if change and learned(document, arm):
            rule = document["weights"].get(arm, {}).get("rule", "")
            yield arm, _DEEDS.get(rule, f"Training with {_inside(arm)}"), change, compared


def _helped(document: Findings) -> str:
    """What the first arm did, and whether it helped, to stand behind a difference found."""
    row, moves = _largest(document["fairness"][r.arms_of(document)[0]]), list(_moves(document))
    if not moves or row is None or row["verdict"] != "difference_found":
        return ""
    answered = (move for move in moves if _answered(move[3]))
    _, deed, change, compared = next(answered, moves[0])
    is_found = change["verdict"] == "difference_found"
    if answer := None if is_found else _answered(compared):
        verb = "raises" if answer["change"] > 0 else "lowers"
        said = f"{verb} {quantity_name(answer['quantity'])}"
    elif r.paid(change, compared["groups"], compared["level"]):
        said = "trades it for another error"
    elif not (is_found or r.is_seen(change, compared["level"])):
        said = "makes no sure difference"
    elif r.is_better(change):
        said = "helps" if is_found else "seems to help"
    else:
        said = "makes it worse" if is_found else "seems to make it worse"
    return f"; {deed[0].lower()}{deed[1:]} {said}"


def _changes(document: Findings) -> Iterator[str]:
    """What every other arm made of the rate of the group that is served worse."""
    fairness = document["fairness"][r.arms_of(document)[0]]
    for arm, deed, change, compared in _moves(document):
        who = deed if _inside(arm) in deed else f"{deed} ({_inside(arm)})"
        sure, paid = _sure(change, compared), _paid(change, compared, fairness)
        yield f"{who}: {_instead(change)}, {sure}{paid}."


def _instead(change: d.GroupChange) -> str:
    """A rate after and before, as counts of the same number."""
    scale = _scale(change["before"], change["after"])
    after, before = (_of(value, scale) for value in (change["after"], change["before"]))
    return f"{after} instead of {before}{'' if scale == 100 else f' of {scale:,}'}"


def _sure(change: d.GroupChange, compared: d.ComparisonDocument) -> str:
    """Whether a change is for the better, and how sure that is."""
    if change["verdict"] == "difference_ruled_out":
        return "no more than your margin"
    is_found = change["verdict"] == "difference_found"
    if not (is_found or r.is_seen(change, compared["level"])):
        return "perhaps chance"
    answer, better = _answered(compared), r.is_better(change)
    if is_found:
        doubt = ""
    elif answer and better:
        doubt = f" ({quantity_name(answer['quantity'])}: difference found)"
    else:
        young = r.is_young(compared)
        doubt = ", unsure after 1 training" if young else ", though other trainings could undo it"
    return f"{'better' if better else 'worse'}{doubt}"


def _answered(compared: d.ComparisonDocument) -> d.PrimaryChange | None:
    """The answer to what was asked first, where a difference for the better was found."""
    row = next(iter(compared["primary"]), None)
    if row is None or row["reading"] != "difference_found":
        return None
    figure = row["quantity"].partition("/")[0].removeprefix(WORST)
    is_better = (row["change"] > 0) == (figure == AUROC or r.sign_of(figure) > 0)
    return row if is_better else None


def _paid(
    change: d.GroupChange, compared: d.ComparisonDocument, fairness: d.FairnessDocument
) -> str:
    """What the same group lost where it gained: more of one answer is less of the other."""
    beside = r.paid(change, compared["groups"], compared["level"])
    if beside is None:
        return ""
    return f", but of {_went(beside, fairness, 'there')}"


def _next(
    document: Findings, fairness: d.FairnessDocument, failed: list[str]
) -> Iterator[NextStep]:
    """What would settle a question that is open, then where to look further."""
    run, compared = document["run"], document["comparisons"]
    seeds, setting, why = run["seeds"], "", ""
    if failed:
        key = "classifier.training.epochs"
        setting = f"{key}={LONGER * _set(run['config'], key):g}"
        why = f"Train longer: {', '.join(map(arm_name, failed))} learned nothing."
    elif (found := document.get("fidelity")) and _doubted(document):
        setting, do = _better_model(run["config"], found)
        why = f"{do}, or bring more images or embeddings: it draws one face."
    elif _lacks_images(fairness, compared):
        setting = _more_images(run["config"])
        why = "The groups have too few test images for a verdict; more trainings would not help."
    else:
        setting, why = _for_a_verdict(run["config"], compared, seeds)
    if setting:
        command = changed(run["command"], setting) if run["command"] else None
        yield {"why": why, "setting": setting, "command": command}
    if compared:
        command = shlex.join(["debias", "compare", str(run["folder"])])
        why = "Group by group, every arm on a page of its own."
        yield {"why": why, "setting": "", "command": command}


def _lacks_images(
    fairness: d.FairnessDocument, compared: Mapping[str, d.ComparisonDocument]
) -> bool:
    """Whether no group has enough test images to be judged, or to show a change beyond chance."""
    if fairness["attributes"] and fairness["gaps"] and _largest(fairness) is None:
        return True
    changes = any(
        r.is_seen(row, one["level"]) for one in compared.values() for row in one["groups"]
    )
    return fairness["verdict"]["reading"] == "cannot_tell" and bool(compared) and not changes


def _more_images(config: Mapping[str, object]) -> str:
    """The setting that brings more test images, of the recipe that was run; empty: none does."""
    n, share = _set(config, "data.n_test"), _set(config, "selection.test_fraction")
    if is_number(n):
        return f"data.n_test={round(MORE * n)}"
    return f"selection.test_fraction={min(MORE * share, 0.5):g}" if is_number(share) else ""


def _better_model(config: Mapping[str, object], found: Fidelity) -> tuple[str, str]:
    """A setting with which the model may tell more, and what that does."""
    if "advised" in found:
        return f"representation.training.epochs={found['advised']}", "Train the model longer"
    key = "representation.model.latent_dim"
    return f"{key}={2 * _set(config, key):g}", "Let the model keep more dimensions"


def _set(config: Mapping[str, object], key: str) -> float:
    """A setting of the recipe that was run, by its name after ``--set``; NaN where it has none."""
    found: object = config
    for part in key.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return float(found) if is_number(found) else math.nan


def _for_a_verdict(
    config: Mapping[str, object], compared: Mapping[str, d.ComparisonDocument], seeds: int
) -> tuple[str, str]:
    """A setting that may answer a primary question which is open, and why; empty: none is."""
    if compared and seeds < SEEDS_NEEDED:
        return f"seeds={SEEDS_ADVISED}", (
            f"A verdict on changes takes {SEEDS_NEEDED} trainings of every arm or more; the one "
            "that is finished is used again."
        )
    rows = (row for one in compared.values() for row in one["primary"])
    row = next((row for row in rows if row["reason"] == "insufficient_evidence"), None)
    if row is None:
        return "", ""
    few, many, setting = "trainings", "test images", _more_trainings(config, seeds)
    if row["se_images"] > row["se_trainings"]:
        few, many, setting = many, few, _more_images(config)
    return setting, (
        f"Whether {quantity_name(row['quantity'])} changes under {_inside(row['arm'])} stays open, "
        f"for want of {few} more than of {many}."
    )


def _more_trainings(config: Mapping[str, object], seeds: int) -> str:
    most = _set(config, "seeds.most")
    return f"seeds.most={min(2 * most, MOST):g}" if is_number(most) else f"seeds={2 * seeds}"


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

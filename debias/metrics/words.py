"""What a reader must know before reading a number, and what was not measured, in words."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from debias.metrics.fairness_report import FairnessReport
from debias.metrics.verdicts import (
    UNTESTED,
    Question,
    benefit,
    decimals_of,
    is_seen,
    overall_reading,
    points,
    spoken,
    too_few,
)
from debias.statistics.groupings import is_unknown
from debias.types import SEEDS_NEEDED

_NAMED = 3  # harms, and gains, named in the verdict's own sentence
_UNLABELLED = "are of images without a group label"


def notes(report: FairnessReport) -> list[str]:
    """Banners, the gravest first."""
    return [*_of_groups(report), *_of_people(report), *_of_trainings(report), *_of_sizes(report)]


def scope(report: FairnessReport) -> list[str]:
    """What was measured on whom, and what was not."""
    compared = [one["reference"] for one in report.attributes if one["reference"]]
    against = f"against {', '.join(compared)}" if compared else "pair by pair"
    about = "" if report.positive is None else f" Rates are about class {report.positive!r}."
    return [
        f"Measured: {', '.join(name.replace('_', ' ') for name in report.metrics)} of "
        f"{report.name or 'one classifier'} on {report.n:,} images"
        f"{f' of the {report.split} split' if report.split else ''}, classes "
        f"{', '.join(report.classes)}.{about}",
        f"Groups: {_groups(report)}.",
        f"Compared {against}: {report.comparisons:,} comparisons. Each interval of a gap is "
        f"widened to {100 * report.adjusted_level:.5g} % (Bonferroni), so that all of them hold "
        f"together with {100 * report.level:g} %.",
        f"Rates with a denominator below {report.minimum} take no part in a verdict; "
        + _withholding(report),
        "Images are counted as they are, unweighted.",
        "Not measured: groups that are not annotated, other images than these, errors in the true "
        "labels, and what a wrong answer costs a person. The annotations say how people were "
        "labelled, not who they are.",
    ]


def _withholding(report: FairnessReport) -> str:
    if report.suppress_below <= 1:
        return "nothing is withheld."
    return (
        f"counts of images from 1 to {report.suppress_below - 1} in a group are withheld, with "
        "what they follow from. Figures over all images are shown."
    )


def _groups(report: FairnessReport) -> str:
    named = [
        f"{one['attribute']} ({one['source']}, {len(one['groups'])} groups)"
        for one in report.attributes
    ]
    return "; ".join(named) or "none annotated"


def _of_groups(report: FairnessReport) -> list[str]:
    guessed = [one["attribute"] for one in report.attributes if one["source"] == "inferred"]
    labels = [one["attribute"] for one in report.attributes if one["metrics"] == ["accuracy"]]
    found = []
    if guessed:
        found.append(
            f"Groups are machine guesses ({', '.join(guessed)}): a gap may be one of the guesses "
            "rather than of the classifier."
        )
    if labels and report.metrics != ("accuracy",):
        found.append(
            f"Groups of {', '.join(labels)} hold one true class each: only accuracy is compared "
            "between them, because other rates differ where labels do."
        )
    compared = set(report.gaps["attribute"])
    for one in report.attributes:
        count = sum(not is_unknown(group) for group in one["groups"]) - len(one["empty"])
        if count > 1 and one["attribute"] not in compared:
            found.append(
                f"The {count:,} groups of {one['attribute']} were not compared with each other: "
                "pairs would be too many. Name a reference."
            )
    return found


def _of_people(report: FairnessReport) -> list[str]:
    if report.identities is None:
        return [
            "Nobody says who is shown: images are treated as independent, and the intervals are "
            "too narrow if people repeat. Give the identities, if there are any."
        ]
    unnamed = 0 if report.outcomes is None else report.outcomes.unnamed
    without = (
        f" {unnamed:,} images without identity count as people of their own." if unnamed else ""
    )
    return [
        f"{report.n:,} images show {report.identities:,} people; intervals allow for images of one "
        f"person being alike.{without}"
    ]


def _of_trainings(report: FairnessReport) -> list[str]:
    count = max(1, len(report.seeds))
    if count >= SEEDS_NEEDED:
        return [
            f"Rates are means over {count} trainings. The intervals are about other images, not "
            "about further trainings."
        ]
    if count == 1:
        return ["Single run: says nothing about how much a retraining would change the figures."]
    return [f"{count} trainings: too few to say how much a retraining would change the figures."]


def _of_sizes(report: FairnessReport) -> list[str]:
    if not len(report.by_group):
        return ["No group is annotated: only figures over all images can be given."]
    words = {
        "suppressed": f"are withheld because a count from 1 to {report.suppress_below - 1} could "
        "be read from them",
        "too_small": f"rest on fewer than {report.minimum} images and take no part in a verdict",
        "unknown": _UNLABELLED,
    }
    return _listed_states(report.by_group["state"], "rates by group", words)


def _listed_states(states: pd.Series, what: str, words: Mapping[str, str]) -> list[str]:
    """How many rows are in each of some states, in one sentence; none if there are none."""
    counts = states.value_counts()
    listed = [f"{counts[state]} {text}" for state, text in words.items() if state in counts]
    return [f"Of {len(states)} {what}, {'; '.join(listed)}."] if listed else []


def conclude(
    groups: pd.DataFrame, gaps: pd.DataFrame, seeds: Sequence[int], question: Question
) -> dict[str, Any]:
    """The verdict on all groups and gaps together, harms first, then gains.

    Returns:
        ``reading, reason, sentence, harms, gains``; the last two hold a sentence a change.
    """
    reading, reason = overall_reading(groups, gaps, seeds, question.margin)
    tables = groups.assign(benefit=benefit(groups)), gaps.assign(benefit=benefit(gaps))
    seen = [table[is_seen(table, question.level)] for table in tables]
    harms = _told([table[table["benefit"] < 0] for table in seen], seeds)
    gains = _told([table[table["benefit"] > 0] for table in seen], seeds)
    sentence = _sentence(reading, reason, pd.concat([groups, gaps]), seeds, question)
    for word, told in (("Gain", gains), ("Harm", harms)):  # so that harm stands first
        if told:
            more = f"; and {len(told) - _NAMED} more" if len(told) > _NAMED else ""
            sentence = f"{word}: {'; '.join(told[:_NAMED])}{more}. {sentence}"
    return {
        "reading": reading, "reason": reason, "sentence": sentence, "harms": harms, "gains": gains,
    }  # fmt: skip


def _sentence(
    reading: str, reason: str, rows: pd.DataFrame, seeds: Sequence[int], question: Question
) -> str:
    tested = int(rows["p_value"].notna().sum())
    if reading == "difference_found":
        found = int((rows["verdict"] == "difference_found").sum())
        text = f"Difference found in {found} of {tested} comparisons"
    elif reading == "difference_ruled_out":
        text = f"Difference ruled out beyond the margin of {points(question.margin or 0.0)}"
    else:
        text = f"Cannot tell ({spoken(reason)}): {_why(reason, tested, len(seeds))}"
    untested = rows["reason"].isin(UNTESTED).any()
    return f"{text}.{' Incomplete: some groups could not be tested.' if untested else ''}"


def _why(reason: str, tested: int, seeds: int) -> str:
    if not tested:
        return "no group has enough images to be compared"
    if reason == "no_margin":
        return (
            f"none of {tested} comparisons shows a change, which is not evidence that there is "
            "none; no margin was set beforehand"
        )
    if reason == "single_run":
        return (
            "one training says nothing about retraining; at least "
            f"{SEEDS_NEEDED} paired seeds are needed"
        )
    if reason == "too_few_seeds":
        return f"{seeds} paired seeds; at least {SEEDS_NEEDED} are needed"
    return f"{tested} comparisons neither show a change nor rule one out"


def _told(tables: Sequence[pd.DataFrame], seeds: Sequence[int]) -> list[str]:
    """One sentence a row, groups before gaps, the largest change first."""
    sentences = []
    for table, told in zip(tables, (_of_group, _of_gap), strict=True):
        order = table["change"].abs().sort_values(ascending=False, kind="stable").index
        for row in table.loc[order].to_dict("records"):
            limited = bool(seeds) and row["verdict"] != "difference_found"
            sentences.append(told(row) + (", in these trainings" if limited else ""))
    return sentences


def _of_group(row: Mapping[Hashable, Any]) -> str:
    verb = "rose" if row["change"] > 0 else "fell"
    return (
        f"{spoken(row['metric'])} of {spoken(row['group'])} {verb} by "
        f"{points(abs(row['change']))}, "
        f"{_percent(row['before'])} to {_percent(row['after'])} {_limits(row)}, n = {row['n']:,.0f}"
    )


def _of_gap(row: Mapping[Hashable, Any]) -> str:
    verb = {"wider": "widened", "narrower": "narrowed"}.get(row["direction"], row["direction"])
    return (
        f"gap in {spoken(row['metric'])} of {spoken(row['group'])} to {spoken(row['other'])} "
        f"{verb} from "
        f"{100 * row['before']:+.1f} to {100 * row['after']:+.1f} percentage points {_limits(row)}"
    )


def _limits(row: Mapping[Hashable, Any]) -> str:
    decimals = max(decimals_of(row["low"]), decimals_of(row["high"]))
    return f"[change {100 * row['low']:+.{decimals}f} to {100 * row['high']:+.{decimals}f}]"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def change_notes(
    reports: tuple[FairnessReport, FairnessReport],
    seeds: Sequence[int],
    groups: pd.DataFrame,
    trade: pd.DataFrame,
) -> list[str]:
    """Banners, the gravest first."""
    report = reports[0]
    every = [one for found in reports for one in found.attributes]
    guessed = list(dict.fromkeys(one["attribute"] for one in every if one["source"] == "inferred"))
    named = f"Groups are machine guesses ({', '.join(guessed)})." if guessed else ""
    found = [_about_trainings(seeds), named, _about_people(report), paid_for(trade)]
    return [note for note in [*found, _about_sizes(reports, groups)] if note]


def _about_trainings(seeds: Sequence[int]) -> str:
    if not seeds:
        return (
            "Single run: says nothing about retraining. The verdict is about these two "
            "classifiers, not about the methods behind them."
        )
    if too_few(seeds) == "single_run":
        return (
            "Single run: says nothing about retraining. No verdict; harms and gains are told of "
            "these trainings."
        )
    if too_few(seeds):
        return (
            f"{len(seeds)} paired seeds: numbers, but no verdict, which needs {SEEDS_NEEDED}. "
            "Harms and gains are told of these trainings."
        )
    return (
        f"Paired over {len(seeds)} seeds. Intervals of groups and gaps are about other images, "
        "those over seeds about other trainings; a difference is found only where both leave out 0."
    )


def _about_people(report: FairnessReport) -> str:
    if report.identities is None:
        return (
            "Nobody says who is shown: images are treated as independent, and the intervals are "
            "too narrow if people repeat."
        )
    return (
        f"{report.n:,} images show {report.identities:,} people; tests and intervals allow for "
        "images of one person changing alike."
    )


def _about_sizes(reports: tuple[FairnessReport, FairnessReport], groups: pd.DataFrame) -> str:
    minimum = max(report.minimum for report in reports)
    words = {
        "suppressed": "are withheld",
        "too_small": f"rest on fewer than {minimum} images and take no part in the verdict",
        "not_estimable": "are not estimable",
        "unknown": _UNLABELLED,
    }
    return "".join(_listed_states(groups["state"], "changes of groups", words))


def change_scope(
    reports: tuple[FairnessReport, FairnessReport],
    metrics: Sequence[str],
    family: tuple[int, int],
    adjusted_level: float,
    question: Question,
) -> list[str]:
    """What was compared on whom, and what was not; ``family``: comparisons, and their arms."""
    before, after = reports
    groups = "; ".join(f"{one['attribute']} ({one['source']})" for one in before.attributes)
    arms = f" of {family[1]} arms together" if family[1] > 1 else ""
    margin = "none" if question.margin is None else points(question.margin)
    return [
        f"Compared: {after.name or 'after'} with {before.name or 'before'}, on the same "
        f"{before.n:,} images{f' of the {before.split} split' if before.split else ''}.",
        f"Groups: {groups or 'none annotated'}.",
        f"Tested: {', '.join(map(spoken, metrics))}; {family[0]:,} comparisons{arms}, p-values by "
        f"Holm, intervals of gaps at {100 * adjusted_level:.5g} %, so that all hold together with "
        f"{100 * question.level:g} %. Margin: {margin}.",
        "Shown without test: precision, the quality of scores, and all figures over all images.",
        "Not measured: groups that are not annotated, other images than these, errors in the true "
        "labels, and what a wrong answer costs a person.",
    ]


def paid_for(trade: pd.DataFrame) -> str:
    """Whether recall was bought with precision, or the reverse, over all images; else empty."""
    rows = trade[trade["attribute"] == ""].set_index("metric")
    if not {"true_positive_rate", "precision"} <= set(rows.index):
        return ""
    change = rows["change"]
    if not change["true_positive_rate"] * change["precision"] < 0:
        return ""
    rates = ["true_positive_rate", "precision"]
    rose, fell = rates if change["true_positive_rate"] > 0 else rates[::-1]
    names = {"true_positive_rate": "recall", "precision": "precision"}
    told = {
        name: f"{100 * rows['before'][name]:.1f} % to {100 * rows['after'][name]:.1f} %"
        for name in rates
    }
    return (
        f"Over all images {names[rose]} rose by {100 * change[rose]:.2g} percentage points "
        f"({told[rose]}) while {names[fell]} fell by {-100 * change[fell]:.2g} ({told[fell]})."
    )

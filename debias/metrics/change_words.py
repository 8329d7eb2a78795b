"""Changes -> sentences: harm first, then what was found, what a reader must know, and the scope."""

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import pandas as pd

from debias.metrics.change_verdicts import (
    UNTESTED,
    Question,
    benefit,
    is_seen,
    overall_reading,
    too_few,
)
from debias.metrics.fairness_report import FairnessReport
from debias.metrics.trade import paid_for
from debias.metrics.verdicts import decimals_of, points, spoken
from debias.types import SEEDS_NEEDED

_NAMED = 3  # harms, and gains, named in the verdict's own sentence


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


def notes(
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
        "unknown": "are of images without a group label",
    }
    counts = {state: int((groups["state"] == state).sum()) for state in words}
    listed = [f"{counts[state]} {text}" for state, text in words.items() if counts[state]]
    return f"Of {len(groups)} changes of groups, {'; '.join(listed)}." if listed else ""


def scope(
    reports: tuple[FairnessReport, FairnessReport],
    metrics: Sequence[str],
    family: tuple[int, int],
    adjusted_level: float,
    question: Question,
) -> list[str]:
    """What was compared on whom, and what was not.

    Args:
        reports: Before and after.
        metrics: Names of the measures that were tested.
        family: Comparisons, and arms that they belong to.
        adjusted_level: Of a single comparison.
        question: Level and margin.
    """
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

"""Figures in English: verdicts, what a reader must know before a number, what was not measured."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from debias.metrics.documents import (
    Attribute,
    ChangeVerdict,
    GapChange,
    GapRow,
    GroupChange,
    PrimaryChange,
    PrimaryGap,
)
from debias.metrics.fairness_report import FairnessReport
from debias.metrics.rates import GAP, WORST, beside_of
from debias.metrics.rules import Rules
from debias.metrics.verdicts import (
    UNTESTED,
    Verdict,
    benefit,
    is_seen,
    overall_reading,
    reading_of,
    sign_of,
    too_few,
)
from debias.statistics.groupings import is_unknown

Both = tuple[FairnessReport, FairnessReport]

_BACKWARDS = 0.4  # area under the curve below which a score is of the other class, not a weak one
_NAMED = 3  # differences, harms and gains named in the verdict's own sentence
_HERE = ", in these trainings"
_UNLABELLED = "are of images without a group label"
DESCRIBES = "they only describe, because not every primary question found a difference"
_NO_PROOF = "which is not evidence that there is none; no margin was set beforehand"
_UNMEASURED = (
    "Not measured: groups that are not annotated, other images than these, errors in the true "
    "labels, and what a wrong answer costs a person."
)


def spoken(name: str) -> str:
    """Name of a measure or a group as a reader says it: ``annotated race Black``."""
    return name.replace("_", " ").replace(":", " ")


def points(share: float) -> str:
    """Percentage points; enough decimals that no difference shows as zero."""
    return f"{100 * share:.{decimals(share)}f} percentage points"


def decimals(*shares: float) -> int:
    """Decimals of percentage points at which no share but 0 shows as zero, one at least."""
    known = [100 * one for one in shares if one]
    return next((d for d in range(1, 6) if all(round(one, d) for one in known)), 6)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"


def _first_few(told: Sequence[str], count: int) -> str:
    """The first of ``count`` clauses, and how many more there are."""
    more = f"; and {count - _NAMED} more" if count > _NAMED else ""
    return "; ".join(told[:_NAMED]) + more


def _largest_first(table: pd.DataFrame, column: str) -> list[Any]:
    order = table[column].abs().sort_values(ascending=False, kind="stable").index
    return table.loc[order].to_dict("records")


def _worst_first(table: pd.DataFrame) -> list[Any]:
    """Rows of groups by how well they were served before; gaps the largest change first."""
    if "other" in table:
        return _largest_first(table, "change")
    served = sign_of(table["metric"]) * table["before"].to_numpy(dtype=float)
    return table.iloc[np.argsort(served, kind="stable")].to_dict("records")


def _sentence(reading: str, reason: str, told: str, margin: float | None, incomplete: bool) -> str:
    text = f"Cannot tell ({spoken(reason)}): {told}"
    if reading == "difference_found":
        text = f"Difference found{told}"
    elif reading == "difference_ruled_out":
        text = f"Difference ruled out beyond the margin of {points(margin or 0.0)}"
    return f"{text}.{' Incomplete: some groups could not be tested.' if incomplete else ''}"


def conclude(
    by_group: pd.DataFrame,
    gaps: pd.DataFrame,
    attributes: Sequence[Attribute],
    margin: float | None,
    primary: Sequence[PrimaryGap] = (),
) -> Verdict:
    """The verdict on each attribute, and on all of them; primary questions come first.

    A group that could not be tested leaves a difference found between others standing, marked
    incomplete.
    """
    parts = tuple(_of_attribute(one, by_group, gaps, margin) for one in attributes)
    lacking = not parts or any(part.reason == "insufficient_evidence" for part in parts)
    asked = [one["reading"] for one in primary if one["reading"] == "difference_found"]
    reading, reason = reading_of([*asked, *(part.reading for part in parts)], lacking, margin)
    incomplete = any(part.incomplete for part in parts)
    told = _told_gaps(reading, reason, gaps) if parts else "no group is annotated"
    if asked and not (gaps["verdict"] == "difference_found").any():
        told = f": {'; '.join(primary_gap_sentence(one) for one in primary[: len(asked)])}"
    sentence = _sentence(reading, reason, told, margin, incomplete)
    return Verdict(
        reading=reading, reason=reason, incomplete=incomplete, sentence=sentence, by_attribute=parts
    )


def _of_attribute(
    one: Attribute, by_group: pd.DataFrame, every: pd.DataFrame, margin: float | None
) -> Verdict:
    name = one["attribute"]
    # Images without a label are no group, and an undeclared cell of a crossing is none.
    is_group = ~by_group["group"].isin(one["empty"]) & ~by_group["group"].map(is_unknown)
    asked = (by_group["attribute"] == name) & by_group["metric"].isin(one["metrics"])
    gaps = every[every["attribute"] == name]
    untested = by_group.loc[asked & is_group, "state"].isin(UNTESTED).any()
    incomplete = bool(untested) or len(gaps) == 0
    silent = bool((gaps["reason"] == "only_describes").any())
    reading, reason = reading_of(gaps["verdict"].tolist(), incomplete or silent, margin)
    return Verdict(
        reading=reading,
        reason=reason,
        incomplete=incomplete,
        sentence=_sentence(reading, reason, _told_gaps(reading, reason, gaps), margin, incomplete),
        attribute=name,
    )


def _told_gaps(reading: str, reason: str, gaps: pd.DataFrame) -> str:
    tested = int(gaps["p_value"].notna().sum())
    if reading == "difference_found":
        found = gaps[gaps["verdict"] == "difference_found"]
        told = [_of_difference(row) for row in _largest_first(found, "difference")[:_NAMED]]
        return f" in {len(found)} of {tested} comparisons: {_first_few(told, len(found))}"
    if silent := int((gaps["reason"] == "only_describes").sum()):
        return (
            f"what was asked first found no difference; what {silent} of {tested} comparisons show "
            "only describes"
        )
    if reason == "no_margin":
        return f"none of {tested} comparisons shows a difference, {_NO_PROOF}"
    if not len(gaps):
        return (
            "no two groups were compared; there is a single one, or there are too many for all "
            "pairs and no reference"
        )
    if not tested:
        return "no pair of groups has enough images to be compared"
    if tested < len(gaps):
        return f"{tested} of {len(gaps)} comparisons could be made, and none shows a difference"
    return f"none of {tested} comparisons shows a difference, or rules one out"


def primary_gap_sentence(one: PrimaryGap) -> str:
    """The answer to a primary question about a rate, without its reading."""
    row: Any = one
    return f"{spoken(one['metric'])} differs between groups; clearest: {_of_difference(row)}"


def _of_difference(row: GapRow) -> str:
    low, high = sorted((abs(row["low"]), abs(row["high"])))
    places = decimals(low, high)
    return (
        f"{spoken(row['metric'])} of {spoken(row['group'])} is {points(abs(row['difference']))} "
        f"{'below' if row['difference'] < 0 else 'above'} {spoken(row['other'])} "
        f"[{100 * low:.{places}f} to {100 * high:.{places}f}]"
    )


def scope(report: FairnessReport) -> list[str]:
    """What was measured on whom, and what was not."""
    compared = [one["reference"] for one in report.attributes if one["reference"]]
    against = f"against {', '.join(compared)}" if compared else "pair by pair"
    about = "" if report.positive is None else f" Rates are about class {report.positive!r}."
    split = f" of the {report.split} split" if report.split else ""
    groups = [
        f"{one['attribute']} ({one['source']}, {len(one['groups'])} groups)"
        for one in report.attributes
    ]
    withheld = "nothing is withheld."
    if report.suppress_below > 1:
        withheld = (
            f"group sizes and true classes of 1 to {report.suppress_below - 1} images are "
            "withheld, with what they follow from; small counts of wrong answers are not. "
            "Figures over all images are shown."
        )
    first = ", then ".join(
        f"whether {spoken(one['metric'])} differs between groups ({one['comparisons']:,} gaps)"
        for one in report.primary
    )
    return [
        f"Measured: {', '.join(name.replace('_', ' ') for name in report.metrics)} of "
        f"{report.name or 'one classifier'} on {report.n:,} images{split}, classes "
        f"{', '.join(report.classes)}.{about}",
        f"Groups: {'; '.join(groups) or 'none annotated'}.",
        f"Compared {against}: {report.comparisons:,} comparisons. Each interval of a gap is "
        f"widened to {100 * report.adjusted_level:.5g}% (Bonferroni), so that all of them hold "
        f"together with {100 * report.level:g}%.",
        *(
            [f"Asked first: {first}; unless it does, all other gaps only describe."]
            if first
            else []
        ),
        f"Rates with a denominator below {report.minimum} take no part in a verdict; {withheld}",
        "Images are counted as they are, unweighted.",
        f"{_UNMEASURED} The annotations say how people were labelled, not who they are.",
    ]


def notes(report: FairnessReport) -> list[str]:
    """Banners, the gravest first."""
    found = []
    labels = [one["attribute"] for one in report.attributes if one["metrics"] == ["accuracy"]]
    if guessed := _guessed(report):
        found.append(
            f"Groups are machine guesses ({guessed}): a gap may be one of the guesses "
            "rather than of the classifier."
        )
    if labels and report.metrics != ("accuracy",):
        found.append(
            f"Groups of {', '.join(labels)} hold one true class each: only accuracy is compared "
            "between them, because other rates differ where labels do."
        )
    auroc = report.quality.get("auroc", 1.0)
    if auroc < _BACKWARDS and not report.seeds:
        others = " or ".join(repr(one) for one in report.classes if one != report.positive)
        found.append(
            f"The score ranks backwards (AUC {auroc:.3f} for class {report.positive!r}): it looks "
            f"like the probability of {others}. If it is, name that class with --positive, or give "
            "1 - score."
        )
    for one in report.attributes:
        count = sum(not is_unknown(group) for group in one["groups"]) - len(one["empty"])
        if count > 1 and one["attribute"] not in set(report.gaps["attribute"]):
            found.append(
                f"The {count:,} groups of {one['attribute']} were not compared with each other: "
                "pairs would be too many. Name a reference."
            )
    unnamed = report.outcomes.unnamed
    people = _people(
        report,
        " Give the identities, if there are any.",
        "intervals allow for images of one person being alike",
    )
    if report.identities is not None and unnamed:
        people += f" {unnamed:,} images without identity count as people of their own."
    return [*found, people, _of_trainings(max(1, len(report.seeds))), *_of_sizes(report)]


def _guessed(*reports: FairnessReport) -> str:
    every = [one for report in reports for one in report.attributes]
    return ", ".join(
        dict.fromkeys(one["attribute"] for one in every if one["source"] == "inferred")
    )


def _people(report: FairnessReport, ask: str, allowed: str) -> str:
    if report.identities is None:
        return (
            "Nobody says who is shown: images are treated as independent, and the intervals are "
            f"too narrow if people repeat.{ask}"
        )
    return f"{report.n:,} images show {report.identities:,} people; {allowed}."


def _of_trainings(count: int) -> str:
    if count == 1:
        return "Single run: says nothing about how much a retraining would change the figures."
    return (
        f"Rates are means over {count} trainings. The intervals are about other images, not about "
        "further trainings."
    )


def _of_sizes(report: FairnessReport) -> list[str]:
    if not len(report.by_group):
        return ["No group is annotated: only figures over all images can be given."]
    words = {
        "suppressed": "are withheld because group sizes or true classes of 1 to "
        f"{report.suppress_below - 1} images could be read from them",
        "too_small": f"rest on fewer than {report.minimum} images and take no part in a verdict",
        "unknown": _UNLABELLED,
    }
    return _listed_states(report.by_group["state"], "rates by group", words)


def _listed_states(states: pd.Series, what: str, words: Mapping[str, str]) -> list[str]:
    """How many rows are in each of some states, in one sentence; none if there are none."""
    counts = states.value_counts()
    listed = [f"{counts[state]} {text}" for state, text in words.items() if state in counts]
    return [f"Of {len(states)} {what}, {'; '.join(listed)}."] if listed else []


def conclude_changes(
    primary: Sequence[PrimaryChange],
    groups: pd.DataFrame,
    gaps: pd.DataFrame,
    seeds: Sequence[int],
    rules: Rules,
) -> ChangeVerdict:
    """The verdict on the primary questions, and on groups and gaps as far as these allow it.

    Returns:
        With a sentence for each harm and gain, of the group that was served worst before first.
    """
    rows = pd.concat([groups, gaps])
    reading, reason = overall_reading(primary, rows, seeds, rules.margin)
    tested = int(rows["p_value"].notna().sum()) + len(primary)
    seen = [table[is_seen(table, rules.level)] for table in (groups, gaps)]
    told = _why(reason, tested)
    if reading == "difference_found":
        found = [one for one in primary if one["reading"] == reading]
        told = f": {'; '.join(map(primary_sentence, found))}"
    elif any(map(len, seen)) and not too_few(seeds):
        asked = " and ".join(quantity_spoken(one["quantity"]) for one in primary)
        told = f"whether {asked} changed; what groups show only describes"
    incomplete = bool(rows["reason"].isin(UNTESTED).any())
    sentence = _sentence(reading, reason, told, rules.margin, incomplete)
    paid = _paid(seen[0], groups)
    better = [table[benefit(table) > 0] for table in (seen[0][~paid], seen[1])]
    harms = _told_changes([table[benefit(table) < 0] for table in seen], seeds)
    gains = _told_changes(better, seeds)
    trades = _told_changes([seen[0][paid]], seeds)
    told_as = {"Harm": harms, "Gain": gains, "Trade": trades}  # so that harm stands first
    if too_few(seeds):
        # Said once, of all alike.
        told_as = {
            f"{word} seen in this training": [one.removesuffix(_HERE) for one in every]
            for word, every in told_as.items()
        }
    said = [f"{word}: {_first_few(all_, len(all_))}." for word, all_ in told_as.items() if all_]
    return {
        "reading": reading, "reason": reason, "sentence": " ".join([*said, sentence]),
        "harms": harms, "gains": gains, "trades": trades,
    }  # fmt: skip


def _paid(seen: pd.DataFrame, groups: pd.DataFrame) -> pd.Series:
    """Rows for the better, of groups whose other kind of error grew: both rates moved alike."""
    keys = ["attribute", "group", "metric"]
    changes = groups.set_index(keys)["change"]
    beside = pd.MultiIndex.from_frame(seen[keys].assign(metric=seen["metric"].map(beside_of)))
    alike = seen["change"].to_numpy(dtype=float) * changes.reindex(beside).to_numpy(dtype=float) > 0
    return pd.Series(alike & (benefit(seen) > 0), index=seen.index, dtype=bool)


def _why(reason: str, tested: int) -> str:
    if not tested:
        return "no group has enough images to be compared"
    words = {
        "no_margin": f"none of {tested} comparisons shows a change, {_NO_PROOF}",
        "single_run": "one training says nothing about retraining; two paired seeds or more are "
        "needed",
    }
    return words.get(reason, f"{tested} comparisons neither show a change nor rule one out")


def primary_sentence(one: PrimaryChange) -> str:
    """The answer to one primary question, without its reading."""
    places = decimals(one["low"], one["high"])
    change = f"[change {100 * one['low']:+.{places}f} to {100 * one['high']:+.{places}f}]"
    how = "rose" if one["change"] > 0 else "fell" if one["change"] < 0 else "changed"
    return (
        f"{quantity_spoken(one['quantity'])} {how} by {points(abs(one['change']))}, "
        f"{_percent(one['before'])} to {_percent(one['after'])} {change}"
    )


def quantity_spoken(quantity: str) -> str:
    """A primary question as it is spoken of."""
    figure, _, group = quantity.partition("/")
    what = (
        "worst-group " + spoken(figure.removeprefix(WORST))
        if figure.startswith(WORST)
        else (
            f"gap in {spoken(figure.removesuffix(GAP))}" if figure.endswith(GAP) else spoken(figure)
        )
    )
    return f"{what} of {spoken(group)}" if group else what


def _told_changes(tables: Sequence[pd.DataFrame], seeds: Sequence[int]) -> list[str]:
    """One sentence a row, groups before gaps, who was served worst before first."""
    sentences = []
    for row in (row for table in tables for row in _worst_first(table)):
        limited = bool(seeds) and row["verdict"] != "difference_found"
        sentences.append(_of_change(row) + (_HERE if limited else ""))
    return sentences


def _of_change(row: GroupChange | GapChange) -> str:
    places = decimals(row["low"], row["high"])
    limits = f"[change {100 * row['low']:+.{places}f} to {100 * row['high']:+.{places}f}]"
    what = f"{spoken(row['metric'])} of {spoken(row['group'])}"
    if "other" in row:
        verb = {"wider": "widened", "narrower": "narrowed"}.get(row["direction"], row["direction"])
        return (
            f"gap in {what} to {spoken(row['other'])} {verb} from {100 * row['before']:+.1f} to "
            f"{100 * row['after']:+.1f} percentage points {limits}"
        )
    return (
        f"{what} {'rose' if row['change'] > 0 else 'fell'} by {points(abs(row['change']))}, "
        f"{_percent(row['before'])} to {_percent(row['after'])} {limits}, n = {row['n']:,.0f}"
    )


def change_notes(
    reports: Both, seeds: Sequence[int], groups: pd.DataFrame, trade: pd.DataFrame
) -> list[str]:
    """Banners, the gravest first."""
    guessed = _guessed(*reports)
    minimum = max(report.minimum for report in reports)
    words = {
        "suppressed": "are withheld because group sizes or true classes could be read from them",
        "too_small": f"rest on fewer than {minimum} images and take no part in the verdict",
        "not_estimable": "are not estimable",
        "unknown": _UNLABELLED,
    }
    found = [
        _of_seeds(seeds),
        f"Groups are machine guesses ({guessed})." if guessed else "",
        _people(
            reports[0], "", "tests and intervals allow for images of one person changing alike"
        ),
        paid_for(trade),
        *_listed_states(groups["state"], "changes of groups", words),
    ]
    return [note for note in found if note]


def _of_seeds(seeds: Sequence[int]) -> str:
    if not seeds:
        return (
            "Single run: says nothing about retraining. The verdict is about these two "
            "classifiers, not about the methods behind them."
        )
    if too_few(seeds):
        return (
            "Single run: says nothing about retraining. No verdict; harms and gains are told of "
            "this training."
        )
    return (
        f"Paired over {len(seeds)} seeds. A difference is found over other images and other "
        "trainings together; intervals of groups and gaps are about other images alone."
    )


def change_scope(
    reports: Both,
    metrics: Sequence[str],
    family: tuple[int, int],
    adjusted_level: float,
    rules: Rules,
) -> list[str]:
    """What was compared on whom, and what was not; ``family``: comparisons, and their arms."""
    before, after = reports
    groups = "; ".join(f"{one['attribute']} ({one['source']})" for one in before.attributes)
    arms = f" of {family[1]} arms together" if family[1] > 1 else ""
    margin = "none" if rules.margin is None else points(rules.margin)
    return [
        f"Compared: {after.name or 'after'} with {before.name or 'before'}, on the same "
        f"{before.n:,} images{f' of the {before.split} split' if before.split else ''}.",
        f"Groups: {groups or 'none annotated'}.",
        f"Tested: {', '.join(map(spoken, metrics))}; {family[0]:,} comparisons{arms}, p-values by "
        f"Holm, intervals of gaps at {100 * adjusted_level:.5g}%, so that all hold together with "
        f"{100 * rules.level:g}%. Margin: {margin}.",
        "Shown without test: precision, the quality of scores, and all figures over all images.",
        _UNMEASURED,
    ]


def paid_for(trade: pd.DataFrame) -> str:
    """Whether recall was bought with precision, or the reverse, over all images; else empty."""
    rows = trade[trade["attribute"] == ""].set_index("metric").to_dict("index")
    names = {"true_positive_rate": "recall", "precision": "precision"}
    if not names.keys() <= rows.keys():
        return ""
    rose, fell = sorted(names, key=lambda name: -rows[name]["change"])
    if not rows[rose]["change"] * rows[fell]["change"] < 0:
        return ""
    told = {
        name: f"({_percent(rows[name]['before'])} to {_percent(rows[name]['after'])})"
        for name in names
    }
    return (
        f"Over all images {names[rose]} rose by {points(rows[rose]['change'])} {told[rose]} while "
        f"{names[fell]} fell by {points(-rows[fell]['change'])} {told[fell]}."
    )

"""The few questions that a comparison is made for: named before it, answered first.

``n`` images, ``s`` trainings of each of two classifiers, ``m`` questions of all arms together.

A question names a figure: a rate over all images (``accuracy``), the rate of one group
(``accuracy/race:Black``), ``auroc``, or a summary over the groups of the crossing, or of the only
attribute (``worst_group_accuracy``, ``accuracy_gap``, ...). Its change from one classifier to the
other is tested over images and trainings together (``statistics.crossed``); all questions of all
arms share the error by a graph (``statistics.graphs``): what one question was allowed goes on to
the next question of its arm and to the same question of the other arms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64

from debias.errors import EvaluationError
from debias.metrics.documents import PrimaryChange, Reading
from debias.metrics.fairness_report import FairnessReport
from debias.metrics.outcomes import Outcomes
from debias.metrics.rates import DISPARITIES, GAP, RATES, WORST, measures, rate_of
from debias.metrics.rules import Rules
from debias.metrics.verdicts import too_few
from debias.statistics.areas import placements
from debias.statistics.crossed import ADDED, Crossed, crossed
from debias.statistics.graphs import graphical
from debias.statistics.intervals import Measure, cut, spread
from debias.statistics.looks import Looks

AUROC = "auroc"
# Of several rates the largest gap.
GAPS = {name: rates for name, (rates, summary) in DISPARITIES.items() if summary is np.ptp}
Usable = frozenset[tuple[str, str]]  # measure and group (empty: all images) that may be judged
Pair = tuple[Outcomes, Outcomes]


@dataclass(frozen=True, eq=False)
class Figure:
    """One figure of every training, and by how much each image moves it."""

    values: Float64[np.ndarray, " s"]
    influence: Float64[np.ndarray, "s n"]
    counted: Bool[np.ndarray, " n"]  # images that it is about, in any training
    added: float  # variance beside, where nothing moved


@dataclass(frozen=True, eq=False)
class Answer:
    """What is known of one question about one arm, before others are considered."""

    quantity: str
    names: tuple[str, str]  # of the two classifiers
    seeds: tuple[int, ...]  # of the trainings; empty for two classifiers of unknown training
    before: Figure
    after: Figure
    change: Crossed


def answers(
    reports: tuple[FairnessReport, FairnessReport], pair: Pair, rules: Rules
) -> list[Answer]:
    """Every primary question that these images can answer, in order of priority.

    Raises:
        EvaluationError: A question names no figure, or a group that there is not.
    """
    usable, names = _usable(reports), (reports[0].name, reports[1].name)
    seeds, found = pair[0].seeds if pair[1].seeds else (), []
    for quantity in rules.primary or _usual(reports):
        first, second = (_Figures(one, usable, reports[0].minimum).of(quantity) for one in pair)
        if first is None or second is None:
            continue
        change = crossed(
            second.values - first.values,
            second.influence - first.influence,
            first.counted | second.counted,
            pair[0].subjects,
            max(first.added, second.added),
        )
        found.append(Answer(quantity, names, seeds, first, second, change))
    return found


def _usual(reports: tuple[FairnessReport, FairnessReport]) -> tuple[str, ...]:
    """The group that is served worst, then everybody; by the first measure of both reports."""
    name = next(one for one in reports[0].metrics if one in reports[1].metrics)
    rate, _ = rate_of(name)
    return (f"{WORST}{name}" if rate and rate.better else f"{name}{GAP}", name)


def _usable(reports: tuple[FairnessReport, FairnessReport]) -> Usable:
    """What both reports may judge: no number that is withheld, too small or without a label."""
    tables = [
        pd.concat([one.overall.assign(group=""), one.by_group])[["metric", "group", "state"]]
        for one in reports
    ]
    first, second = (
        set(
            table.loc[table["state"] == "estimated", ["metric", "group"]].itertuples(
                index=False, name=None
            )
        )
        for table in tables
    )
    return frozenset(first & second)


@dataclass(frozen=True, eq=False)
class _Figures:
    """Figures of one classifier by name; None where these images do not tell one."""

    outcomes: Outcomes
    usable: Usable
    minimum: int

    def of(self, quantity: str) -> Figure | None:
        name, _, group = quantity.partition("/")
        if not group and name in GAPS:
            return _largest([self._gap(rate) for rate in GAPS[name]])
        if not group and name.startswith(WORST):
            return self._worst(name.removeprefix(WORST))
        if not group and name.endswith(GAP):
            return self._gap(name.removesuffix(GAP))
        inside = self._members(group, quantity)
        return self._area(group, inside) if name == AUROC else self._rate(name, group, inside)

    def _members(self, group: str, quantity: str) -> Bool[np.ndarray, " n"]:
        if not group:
            return np.ones(len(self.outcomes.y_true), dtype=bool)
        for grouping in self.outcomes.groupings:
            if group in grouping.cells:
                return grouping.codes == grouping.cells.index(group)
        single = (one for one in self.outcomes.groupings if not one.is_crossing)
        known = ", ".join(cell for one in single for cell in one.cells)
        raise EvaluationError(
            f"primary question {quantity!r}: there is no group {group!r}; known: {known or 'none'}"
        )

    def _rate(self, name: str, group: str, inside: Bool[np.ndarray, " n"]) -> Figure | None:
        one = self.outcomes
        measure = _measure(name, one)
        if measure is None or (name, group) not in self.usable:
            return None
        above, below = (
            part[one.y_true, one.y_pred] * inside
            for part in (measure.numerator, measure.denominator)
        )
        counts = below.sum(axis=1, keepdims=True)
        if counts.min() < self.minimum:
            return None
        values = above.sum(axis=1, keepdims=True) / counts
        influence = (above - values * below) / counts
        return Figure(values[:, 0], influence, below.any(axis=0), ADDED / float(counts.min()) ** 2)

    def _groups(self, name: str) -> list[Figure]:
        """Of every group of the crossing, or of the only attribute, that may be judged."""
        _measure(name, self.outcomes)
        if not self.outcomes.groupings:
            return []
        finest = self.outcomes.groupings[-1]
        named = enumerate(finest.cells)
        every = [self._rate(name, group, finest.codes == code) for code, group in named]
        found = [one for one in every if one is not None]
        return found if len(found) > 1 else []

    def _worst(self, name: str) -> Figure | None:
        """Of each training its own worst group, as everywhere in a report."""
        found, (rate, _) = self._groups(name), rate_of(name)
        return _picked(found, highest=rate is not None and rate.better < 0) if found else None

    def _gap(self, name: str) -> Figure | None:
        found = self._groups(name)
        if not found:
            return None
        low, high = _picked(found, highest=False), _picked(found, highest=True)
        apart = high.influence - low.influence
        counted = high.counted | low.counted
        return Figure(high.values - low.values, apart, counted, high.added + low.added)

    def _area(self, group: str, inside: Bool[np.ndarray, " n"]) -> Figure | None:
        """Area under the ROC curve; influence by DeLong, DeLong and Clarke-Pearson 1988."""
        one = self.outcomes
        shown = {name for _, name in self.usable}
        if one.score is None or one.positive is None or group not in shown:
            return None
        column = one.classes.index(one.positive)
        positive, negative = (inside & ((one.y_true == column) == yes) for yes in (True, False))
        p, q = int(positive.sum()), int(negative.sum())
        if min(p, q) < self.minimum:
            return None
        values, influence = np.zeros(len(one.score)), np.zeros((len(one.score), len(inside)))
        for s, score in enumerate(one.score[:, :, column]):
            first, second = placements(score[positive], score[negative])
            values[s] = first.mean()
            influence[s, positive] = (first - values[s]) / p
            influence[s, negative] = (second - values[s]) / q
        return Figure(values, influence, inside, 0.0)


def _measure(name: str, outcomes: Outcomes) -> Measure | None:
    """None for a class that there is not."""
    plain = name.partition("[")[0]
    if plain not in RATES:
        raise EvaluationError(
            f"primary question: {name!r} is no figure; known: {', '.join(RATES)}, {AUROC}, each "
            f"also of one group (accuracy/race:Black), as {WORST}accuracy or as accuracy{GAP}, "
            f"and {', '.join(GAPS)}"
        )
    every = measures(outcomes.classes, outcomes.positive, [plain])
    return next((one for one in every if one.name == name), None)


def _picked(figures: Sequence[Figure], *, highest: bool) -> Figure:
    """Of each training the figure that is lowest, or highest, in it."""
    values = np.stack([one.values for one in figures])
    which = values.argmax(axis=0) if highest else values.argmin(axis=0)
    rows = list(enumerate(which))
    return Figure(
        np.array([figures[k].values[s] for s, k in rows]),
        np.stack([figures[k].influence[s] for s, k in rows]),
        np.any([figures[k].counted for k in which], axis=0),
        max(figures[k].added for k in which),
    )


def _largest(figures: Sequence[Figure | None]) -> Figure | None:
    known = [one for one in figures if one is not None]
    return _picked(known, highest=True) if len(known) == len(figures) else None


def answered(
    found: Mapping[str, list[Answer]], rules: Rules, looks: Looks | None = None
) -> dict[str, list[PrimaryChange]]:
    """Answers of every arm, all of them together wrong with at most the error of ``rules``.

    So are, with ``looks``, those after each number of trainings together.
    """
    places = [(arm, one) for arm, every in found.items() for one in every]
    p = np.array([one.change.p_value()[0] for _, one in places])
    errors = np.array(
        [
            looks.error(one.change.trainings, p[k]) if looks else p[k]
            for k, (_, one) in enumerate(places)
        ]
    )
    order = list(dict.fromkeys(one.quantity for _, one in places))
    weights, passed_on = _graph([(arm, order.index(one.quantity)) for arm, one in places])
    adjusted, allowed = graphical(errors, weights, passed_on, 1 - rules.level)
    told: dict[str, list[PrimaryChange]] = {arm: [] for arm in found}
    for (arm, one), alone, together, share in zip(places, p, adjusted, allowed, strict=True):
        error = (1 - rules.level) * (float(share) or 1.0)
        level = 1 - (looks.level(one.change.trainings, error) if looks else error)
        told[arm].append(_told(one, float(alone), float(together), level, rules))
    return told


def _graph(asked: Sequence[tuple[str, int]]) -> tuple[np.ndarray, np.ndarray]:
    """Weights and what is passed on, of questions given by arm and priority.

    The first question of every arm is allowed an equal share. Half of what a question was allowed
    goes to the next one of its arm, the rest in equal parts to the same question of the other arms;
    all of it, where there is only one of the two.
    """
    m = len(asked)
    first = {arm: min(k for name, k in asked if name == arm) for arm, _ in asked}
    weights = np.array([k == first[arm] for arm, k in asked]) / max(len(first), 1)
    passed_on = np.zeros((m, m))
    for i, (arm, k) in enumerate(asked):
        later = [j for j, (name, other) in enumerate(asked) if name == arm and other > k][:1]
        alike = [j for j, (name, other) in enumerate(asked) if name != arm and other == k]
        half = 0.5 if later and alike else 1.0
        for j in later:
            passed_on[i, j] = half
        for j in alike:
            passed_on[i, j] = half / len(alike)
    return weights, passed_on


def _told(answer: Answer, p: float, adjusted: float, level: float, rules: Rules) -> PrimaryChange:
    before = answer.before.values.mean(keepdims=True)
    low, high = (float(end[0]) for end in cut(answer.change.limits(level), before))
    reading, reason = _reading(adjusted, (low, high), answer.seeds, rules)
    differences = answer.after.values - answer.before.values
    return {
        "quantity": answer.quantity,
        "baseline": answer.names[0],
        "arm": answer.names[1],
        "before": float(before[0]),
        "after": float(answer.after.values.mean()),
        "change": float(answer.change.value[0]),
        "low": low,
        "high": high,
        "level": level,
        "p_value": p,
        "p_adjusted": adjusted,
        "seeds": list(answer.seeds),
        "differences": differences.tolist(),
        "sd": float(spread(differences[:, None])[0]),
        "se_trainings": float(np.sqrt(answer.change.of_trainings[0])),
        "se_images": float(np.sqrt(answer.change.of_images[0])),
        "reading": reading,
        "reason": reason,
    }


def _reading(
    adjusted: float, limits: tuple[float, float], seeds: Sequence[int], rules: Rules
) -> tuple[Reading, str]:
    """Of a single training nothing is said that another could turn around."""
    if few := too_few(seeds):
        return "cannot_tell", few
    if adjusted <= 1 - rules.level:
        return "difference_found", ""
    if rules.margin is not None and -rules.margin < limits[0] and limits[1] < rules.margin:
        return "difference_ruled_out", ""
    return "cannot_tell", "insufficient_evidence"

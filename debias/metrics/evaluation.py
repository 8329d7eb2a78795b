"""Predictions and groups -> what may be said about how a classifier treats each group.

``n`` images, ``g`` cells, ``m`` measures.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64
from numpy.typing import ArrayLike

from debias.errors import EvaluationError
from debias.metrics.cells import Cells, cells_of, hidden_cells, is_unknown, states
from debias.metrics.curves import calibration_table, confusion_table, score_table
from debias.metrics.disaggregation import Grouping
from debias.metrics.gaps import Pairs, compared_metrics, gap_table, pairs, references
from debias.metrics.multiplicity import bonferroni_level
from debias.metrics.noise import label_noise
from debias.metrics.outcomes import Outcomes, Task, read_outcomes
from debias.metrics.quality import quality
from debias.metrics.rates import Measure, measures
from debias.metrics.rules import MINIMUM, SUPPRESS_BELOW, Rules, decided
from debias.metrics.scope import notes, scope
from debias.metrics.spread import ratio_table, spread_table
from debias.metrics.trainings import plain, table_of
from debias.metrics.verdicts import Verdict, conclude

Rows = list[dict[str, Any]]
_TABLES = ("overall", "by_group", "gaps", "spread", "ratios", "noise")


@dataclass(frozen=True, kw_only=True, eq=False)
class FairnessReport:
    """How a classifier treats each group, and what may be concluded from it.

    Numbers are unrounded; NaN (None in JSON) is undefined or withheld, never zero.

    Attributes:
        name: Arm, file or model; may be empty.
        split: Split that was predicted; may be empty.
        seeds: Of the trainings; empty for one classifier of unknown training.
        n: Images.
        identities: People; None where nobody says who is shown.
        classes: Names of the classes.
        positive: The class that the rates are about; None with more than two.
        metrics: Names of the measures.
        level: Of the intervals of groups, and of all gaps together.
        comparisons: Gaps that carry an interval.
        adjusted_level: Of the interval of a single gap.
        margin: Largest difference that does not matter, or None.
        minimum: Denominators below this take no part in a verdict.
        suppress_below: Denominators from 1 to below this are withheld.
        attributes: One entry an attribute: ``attribute, source, groups, reference`` and
            ``metrics``, in which its groups are compared: accuracy alone where groups say what
            the label says. ``empty`` lists the cells of a crossing without images.
        overall: One row a measure: ``metric, value, numerator, denominator, identities,
            effective, low, high, state``.
        quality: ``auroc``, ``expected_calibration_error`` and ``calibration_bias`` (share of
            positives minus mean score) over all images; NaN where undefined.
        by_group: The columns of ``overall`` with ``attribute`` and ``group``. ``state`` is
            ``estimated``, ``not_estimable``, ``too_small``, ``suppressed`` or ``unknown``.
            ``effective`` is the number of independent images that the denominator is worth.
        gaps: ``metric, attribute, group, other, difference, low, high, p_value, p_adjusted,
            detectable, verdict, reason``: group minus other.
        spread: Highest minus lowest rate, which is biased upwards, with what equal groups would
            show: ``metric, attribute, groups, gap, expected_if_equal, variance``.
        ratios: Lowest over highest rate, a rule of thumb, with its interval.
        noise: Range of the largest gap when some group labels are wrong; empty unless asked for.
        verdict: On each attribute and on all of them.
        notes: What a reader must know before reading any number.
        scope: What was measured on whom, and what was not.
        confusion: Counts by group, for groups of which nothing is withheld.
        calibration: Observed share of positives by score, likewise.
        scores: Quantiles of the score by true class, likewise.
        outcomes: The images behind it, for comparisons; None when read from a file.
    """

    name: str
    split: str
    seeds: tuple[int, ...]
    n: int
    identities: int | None
    classes: tuple[str, ...]
    positive: str | None
    metrics: tuple[str, ...]
    level: float
    comparisons: int
    adjusted_level: float
    margin: float | None
    minimum: int
    suppress_below: int
    attributes: Rows
    overall: pd.DataFrame
    quality: Mapping[str, float]
    by_group: pd.DataFrame
    gaps: pd.DataFrame
    spread: pd.DataFrame
    ratios: pd.DataFrame
    noise: pd.DataFrame
    verdict: Verdict
    notes: tuple[str, ...]
    scope: tuple[str, ...]
    confusion: Rows
    calibration: Rows
    scores: Rows
    outcomes: Outcomes | None = field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, None where undefined or withheld; no image is listed."""
        values: dict[str, Any] = {"kind": "fairness", "schema": 2}
        for one in fields(self):
            values[one.name] = _plain_field(getattr(self, one.name))
        del values["outcomes"]
        return values

    def to_json(self) -> str:
        """The report as JSON text."""
        return json.dumps(self.to_dict(), indent=1, allow_nan=False, ensure_ascii=False)

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "FairnessReport":
        """Read back what ``to_dict`` wrote; the images behind it are not in it.

        Raises:
            EvaluationError: It is no such document.
        """
        if values.get("kind") != "fairness" or values.get("schema") != 2:
            raise EvaluationError("this is no evaluation of this version of debias")
        known = {one.name: values[one.name] for one in fields(FairnessReport) if one.name in values}
        tables = {name: table_of(known[name]) for name in _TABLES}
        listed = {name: tuple(known[name]) for name in ("classes", "metrics", "notes", "scope")}
        numbers = {k: np.nan if v is None else v for k, v in known["quality"].items()}
        verdict = Verdict.from_dict(known["verdict"])
        own = {"seeds": tuple(known["seeds"]), "quality": numbers, "verdict": verdict}
        return FairnessReport(**{**known, **tables, **listed, **own})

    @staticmethod
    def from_json(text: str) -> "FairnessReport":
        """Read back what ``to_json`` wrote."""
        return FairnessReport.from_dict(json.loads(text))


def evaluate(  # noqa: PLR0913 (the columns of one table, and what was decided beforehand)
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    score: ArrayLike | None = None,
    groups: object,
    subject_id: ArrayLike | None = None,
    reference: str | Mapping[str, str] | Sequence[str] | None = None,
    margin: float | None = None,
    level: float = 0.95,
    metrics: Sequence[str] | None = None,
    classes: Sequence[object] | None = None,
    positive: object | None = None,
    sample_id: ArrayLike | None = None,
    sources: Mapping[str, str] | None = None,
    declared: Mapping[str, Sequence[str]] | None = None,
    minimum: int = MINIMUM,
    suppress_below: int = SUPPRESS_BELOW,
    noise: bool = False,
    seed: int = 0,
    name: str = "",
) -> FairnessReport:
    """Measure how any classifier treats each group, with intervals that may be defended.

    Args:
        y_true: (n,) class of each image: whole numbers or text.
        y_pred: (n,) predicted class; probabilities belong to ``score``.
        score: (n,) probability of the positive of two classes, or (n, c).
        groups: Table, mapping of columns or one column of text, one row an image. Missing values
            become a group of their own; the categories of a categorical column are its declared
            values. Several attributes are also crossed.
        subject_id: (n,) who is shown. Without it images count as independent, and intervals are
            too narrow if people repeat.
        reference: Group that the others are compared with, such as ``race:White``, or several,
            or a mapping of attribute to value; by default all pairs are compared.
        margin: Largest difference that does not matter, in (0, 1). Without one, a difference can
            never be ruled out.
        level: Of the intervals of groups, and of all gaps together.
        metrics: Of ``accuracy, true_positive_rate, false_positive_rate, selection_rate,
            precision``; every one adds comparisons. With more than two classes all but accuracy
            are formed for each class against the rest.
        classes: All classes, if some may be absent from ``y_true``.
        positive: Class that the rates are about; by default the last of two.
        sample_id: (n,) names of the images, by which two reports are joined; positions by default.
        sources: ``self-reported``, ``annotated``, ``inferred`` or ``not stated``, by attribute.
        declared: Allowed values by attribute; one without images stays visible.
        minimum: Denominators below this take no part in a verdict.
        suppress_below: Denominators from 1 to below this are withheld, and everything that they
            follow from; 1 withholds nothing.
        noise: Shuffle 5 % and 10 % of the group labels to see what the gaps depend on.
        seed: Of the bootstrap over people and of the shuffling.
        name: Of the classifier.

    Raises:
        EvaluationError: Input that would give plausible but wrong numbers.
        GroupSchemaError: A group that was not declared.
    """
    rules = decided(
        reference=reference, margin=margin, level=level, metrics=metrics, minimum=minimum,
        suppress_below=suppress_below, noise=noise, seed=seed,
    )  # fmt: skip
    task = Task(classes=classes, positive=positive, sources=sources, declared=declared)
    outcomes = read_outcomes(y_true, y_pred, score, groups, subject_id, sample_id, task)
    return report_on(outcomes, rules, name=name)


def report_on(
    outcomes: Outcomes, rules: Rules, *, name: str = "", split: str = ""
) -> FairnessReport:
    """The report on checked outcomes."""
    found = measures(outcomes.classes, outcomes.positive, rules.metrics)
    chosen = references(rules.reference, outcomes.groupings)
    every = _all_cells(outcomes, found, rules)
    compared = [(cells, _pairs(cells, chosen)) for cells in every]
    gaps, comparisons = gap_table(compared, found, rules.level, rules.margin)
    by_group = _tables([_table(cells, found, rules.level, rules.suppress_below) for cells in every])
    attributes = _attributes(every, found, chosen)
    report = FairnessReport(
        name=name,
        split=split,
        seeds=outcomes.seeds,
        n=len(outcomes.y_true),
        identities=_people(outcomes),
        classes=outcomes.classes,
        positive=outcomes.positive,
        metrics=tuple(one.name for one in found),
        level=rules.level,
        comparisons=comparisons,
        adjusted_level=bonferroni_level(rules.level, comparisons),
        margin=rules.margin,
        minimum=rules.minimum,
        suppress_below=rules.suppress_below,
        attributes=attributes,
        overall=_overall(outcomes, found, rules),
        quality=quality(outcomes),
        by_group=by_group,
        gaps=gaps,
        spread=spread_table(every, found, rules.level),
        ratios=ratio_table(every, found, rules.level),
        noise=_noise(every, found, rules),
        verdict=conclude(by_group, gaps, attributes, rules.margin),
        notes=(),
        scope=(),
        confusion=_curves(confusion_table, outcomes, every),
        calibration=_curves(calibration_table, outcomes, every),
        scores=_curves(score_table, outcomes, every),
        outcomes=outcomes,
    )
    return replace(report, notes=tuple(notes(report)), scope=tuple(scope(report)))


def _people(outcomes: Outcomes) -> int | None:
    return None if outcomes.subjects is None else len(np.unique(outcomes.subjects))


def _all_cells(outcomes: Outcomes, found: Sequence[Measure], rules: Rules) -> list[Cells]:
    """Counts of every grouping, with what must be withheld, and the state of each number."""
    generator = np.random.default_rng(rules.seed)
    every = [
        cells_of(outcomes, grouping, found, rules.level, generator)
        for grouping in outcomes.groupings
    ]
    if not every:
        return []
    # Over all rates, whichever are asked for: two reports must not give away what one withholds.
    full = measures(outcomes.classes, outcomes.positive)
    columns = [[one.name for one in full].index(one.name) for one in found]
    tables = [cells.table for cells in every]
    hidden = [mask[:, columns] for mask in hidden_cells(tables, full, rules.suppress_below)]
    return [
        replace(cells, hidden=mask, state=states(cells, mask, rules.minimum, rules.level))
        for cells, mask in zip(every, hidden, strict=True)
    ]


def _pairs(cells: Cells, chosen: Mapping[str, str]) -> Pairs:
    unknown = np.array([is_unknown(name) for name in cells.grouping.cells], dtype=bool)
    return pairs(cells.grouping, chosen.get(cells.grouping.attribute), unknown)


def _table(cells: Cells, found: Sequence[Measure], level: float, below: int) -> pd.DataFrame:
    """One row a cell and measure, cells in order; what is withheld is NaN."""
    low, high = cells.limits(level)
    people = cells.below if cells.clusters is None else cells.clusters.people
    identities = np.full(people.shape, np.nan)
    if cells.clusters is not None:
        identities = np.where(_few_people(people, below), np.nan, people)
    numbers = {
        "value": cells.value,
        "numerator": cells.above,
        "denominator": cells.below,
        "identities": identities,
        "effective": np.where(cells.below > 0, cells.effective(level), 0.0),
        "low": low,
        "high": high,
    }
    shown = {name: np.where(cells.hidden, np.nan, v).ravel() for name, v in numbers.items()}
    names = np.array(cells.grouping.cells, dtype=object)
    return pd.DataFrame(
        {
            "metric": [one.name for one in found] * len(names),
            "attribute": cells.grouping.attribute,
            "group": np.repeat(names, len(found)),
            **shown,
            "state": cells.state.ravel(),
        }
    )


def _few_people(people: Float64[np.ndarray, "g m"], below: int) -> Bool[np.ndarray, "g m"]:
    """Numbers of people that are withheld: small ones, and with a single one the next larger."""
    hidden = (people > 0) & (people < below)
    rest = np.where(hidden | (people == 0), np.inf, people)
    alone = (hidden.sum(axis=0) == 1) & np.isfinite(rest).any(axis=0)
    hidden[np.argmin(rest, axis=0)[alone], np.flatnonzero(alone)] = True
    return hidden


def _tables(parts: Sequence[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _overall(outcomes: Outcomes, found: Sequence[Measure], rules: Rules) -> pd.DataFrame:
    """All images as one cell."""
    codes = np.zeros(len(outcomes.y_true), dtype=np.int64)
    everyone = Grouping(attribute="", cells=("all",), codes=codes)
    generator = np.random.default_rng([rules.seed, 1])
    cells = cells_of(outcomes, everyone, found, rules.level, generator)
    cells = replace(cells, state=states(cells, cells.hidden, rules.minimum, rules.level))
    table = _table(cells, found, rules.level, rules.suppress_below)
    return table.drop(columns=["attribute", "group"])


def _attributes(
    every: Sequence[Cells], found: Sequence[Measure], chosen: Mapping[str, str]
) -> Rows:
    return [
        {
            "attribute": cells.grouping.attribute,
            "source": cells.grouping.source,
            "groups": list(cells.grouping.cells),
            "reference": chosen.get(cells.grouping.attribute),
            "metrics": compared_metrics(cells, found),
            "empty": _empty(cells.grouping),
        }
        for cells in every
    ]


def _empty(grouping: Grouping) -> list[str]:
    """Cells of a crossing that nobody declared and no image falls into."""
    if not grouping.is_crossing:
        return []
    return [name for name, n in zip(grouping.cells, grouping.sizes, strict=True) if n == 0]


def _noise(every: Sequence[Cells], found: Sequence[Measure], rules: Rules) -> pd.DataFrame:
    columns = ["metric", "attribute", "flipped", "gap", "low", "high"]
    if not rules.noise:
        return pd.DataFrame(columns=columns)
    generator = np.random.default_rng([rules.seed, 2])
    parts = []
    for cells in every:
        readable = (cells.grouping.sizes > 0) & ~cells.hidden.any(axis=1)
        if readable.sum() > 1:
            names = compared_metrics(cells, found)
            asked = [one for one in found if one.name in names]
            table = label_noise(
                cells.table[readable], asked, minimum=rules.minimum, generator=generator
            )
            parts.append(table.assign(attribute=cells.grouping.attribute))
    return _tables(parts)[columns] if parts else pd.DataFrame(columns=columns)


def _curves(draw: Any, outcomes: Outcomes, every: Sequence[Cells]) -> Rows:  # noqa: ANN401
    """Rows of a table of curves, for the groups of which nothing is withheld."""
    tables = [draw(outcomes, cells.grouping, ~cells.hidden.any(axis=1)) for cells in every]
    return [plain(row) for table in tables for row in table.to_dict("records")]


def _plain_field(value: Any) -> Any:  # noqa: ANN401 (any field of a report)
    if isinstance(value, pd.DataFrame):
        return [plain(row) for row in value.to_dict("records")]
    if isinstance(value, Verdict):
        return plain(value.to_dict())
    return plain(value)

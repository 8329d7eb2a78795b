"""The report on one classifier: what was measured by group, and what may be concluded."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, get_origin

import numpy as np
import pandas as pd

from debias.errors import EvaluationError
from debias.metrics.outcomes import Outcomes
from debias.metrics.verdicts import Verdict
from debias.plugins import unknown
from debias.shown import Shown
from debias.storage.documents import json_text, plain, table_of

Rows = list[dict[str, Any]]


class Report(Shown):
    """A frozen dataclass that is written as a document, and read back by the types of its fields.

    Attributes:
        KIND: What the document is, and in a message WORD.
        SCHEMA: Version of its fields.
        COLUMNS: Of tables that may have no row, by field.
    """

    KIND: ClassVar[str]
    WORD: ClassVar[str]
    SCHEMA: ClassVar[int]
    COLUMNS: ClassVar[Mapping[str, Sequence[str]]] = {}

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, None where undefined or withheld; no image is listed."""
        names = [one.name for one in fields(self) if one.name != "outcomes"]  # type: ignore[arg-type]
        values = {name: plain(getattr(self, name)) for name in names}
        return {"kind": self.KIND, "schema": self.SCHEMA, **values}

    def to_json(self) -> str:
        """The report as JSON text."""
        return json_text(self.to_dict())

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Any:  # noqa: ANN401 (the report that it is called on)
        """Read back what ``to_dict`` wrote; the images behind it are not in it.

        Raises:
            EvaluationError: It is no such document.
        """
        if values.get("kind") != cls.KIND or values.get("schema") != cls.SCHEMA:
            raise EvaluationError(f"this is no {cls.WORD} of this version of debias")
        known = {one.name: one.type for one in fields(cls) if one.name in values}  # type: ignore[arg-type]
        return cls(**{name: cls._read(name, kind, values[name]) for name, kind in known.items()})

    @classmethod
    def _read(cls, name: str, kind: Any, value: Any) -> Any:  # noqa: ANN401 (any field)
        if kind is pd.DataFrame:
            return (
                table_of(value) if value else pd.DataFrame(columns=list(cls.COLUMNS.get(name, ())))
            )
        if kind is Verdict:
            return Verdict.from_dict(value)
        if kind == Mapping[str, float]:
            return {key: np.nan if number is None else number for key, number in value.items()}
        return tuple(value) if get_origin(kind) is tuple else value

    @classmethod
    def from_json(cls, text: str) -> Any:  # noqa: ANN401
        """Read back what ``to_json`` wrote."""
        return cls.from_dict(json.loads(text))


@dataclass(frozen=True, kw_only=True, eq=False)
class FairnessReport(Report):
    """How a classifier treats each group, and what may be concluded from it.

    Numbers are unrounded; NaN (None in JSON) is undefined or withheld, never zero.

    Attributes:
        attributes: One entry an attribute: ``attribute, source, groups, reference`` and
            ``metrics``, in which its groups are compared: accuracy alone where groups say what
            the label says. ``empty`` lists the cells of a crossing without images.
        overall: One row a measure: ``metric, value, numerator, denominator, identities,
            effective, low, high, state``.
        by_group: The same with ``attribute`` and ``group``. ``state`` is ``estimated``,
            ``not_estimable``, ``too_small``, ``suppressed`` or ``unknown``; ``effective`` is the
            number of independent images that the denominator is worth.
        gaps: ``metric, attribute, group, other, difference, low, high, p_value, p_adjusted,
            detectable, verdict, reason``: group minus other.
        spread: Highest minus lowest rate, which is biased upwards, with what equal groups would
            show: ``metric, attribute, groups, gap, expected_if_equal, variance``.
    """

    KIND, WORD, SCHEMA = "fairness", "evaluation", 2

    name: str  # arm, file or model; may be empty
    split: str
    seeds: tuple[int, ...]  # of the trainings; empty for one classifier of unknown training
    n: int  # images
    identities: int | None  # people whom they show; None where nobody says
    classes: tuple[str, ...]
    positive: str | None  # the class that the rates are about; None with more than two
    metrics: tuple[str, ...]
    level: float  # of the intervals of groups, and of all gaps together
    comparisons: int  # gaps that carry an interval
    adjusted_level: float  # of the interval of a single gap
    margin: float | None  # largest difference that does not matter
    minimum: int  # denominators below this take no part in a verdict
    suppress_below: int  # denominators from 1 to below this are withheld
    attributes: Rows
    overall: pd.DataFrame
    quality: Mapping[str, float]  # of the scores over all images, as in ``scores.quality``
    by_group: pd.DataFrame
    gaps: pd.DataFrame
    spread: pd.DataFrame
    ratios: pd.DataFrame  # lowest over highest rate, a rule of thumb, with its interval
    noise: pd.DataFrame  # range of the largest gap when some group labels are wrong, if asked for
    verdict: Verdict  # on each attribute and on all of them
    notes: tuple[str, ...]  # what a reader must know before reading any number
    scope: tuple[str, ...]  # what was measured on whom, and what was not
    confusion: Rows  # counts by group, for groups of which nothing is withheld
    calibration: Rows  # observed share of positives by score, likewise
    scores: Rows  # quantiles of the score by true class, likewise
    # The images behind it, for comparisons; None when read from a file.
    outcomes: Outcomes | None = field(default=None, repr=False)

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        trained = f", mean of {len(self.seeds)} trainings" if len(self.seeds) > 1 else ""
        return f"FairnessReport{name} on {self.n:,} images{trained}: {self.verdict.sentence}"

    def table(self, metric: str | None = None) -> pd.DataFrame:
        """One measure of every group, the lowest rate of an attribute first.

        Args:
            metric: One of ``metrics``; None for the first.

        Returns:
            ``attribute``, ``group`` (without the attribute, but for crossings), ``n`` (images
            that the rate is about; NaN where withheld), ``rate``, ``low`` and
            ``high`` in [0, 1], and ``state``, as in ``by_group``.

        Raises:
            EvaluationError: That was not measured.
        """
        rows = rows_of_metric(self.by_group, metric, self.metrics)
        rows = rows.sort_values(["attribute", "value"], kind="stable")
        rows = rows.rename(columns={"value": "rate", "denominator": "n"})
        return rows[["attribute", "group", "n", "rate", "low", "high", "state"]].reset_index(
            drop=True
        )


def rows_of_metric(table: pd.DataFrame, metric: str | None, known: Sequence[str]) -> pd.DataFrame:
    """Rows of one measure, by default the first, a group named as within its attribute.

    Raises:
        EvaluationError: It was not measured.
    """
    name = next(iter(known), None) if metric is None else metric
    if name is None or name not in known:
        raise EvaluationError(unknown("measure", name, known))
    rows = table[table["metric"] == name]
    names = zip(rows["attribute"], rows["group"], strict=True)
    return rows.assign(group=[group.removeprefix(f"{attribute}:") for attribute, group in names])

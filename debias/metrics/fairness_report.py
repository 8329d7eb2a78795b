"""The report on one classifier: what was measured by group, and what may be concluded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar, Generic, TypeVar

import pandas as pd

from debias.errors import EvaluationError
from debias.metrics.documents import (
    Attribute,
    CalibrationRow,
    ConfusionRow,
    FairnessDocument,
    PrimaryGap,
    ScoreRow,
)
from debias.metrics.outcomes import Outcomes
from debias.metrics.rates import RATES
from debias.metrics.verdicts import Verdict
from debias.plugins import unknown
from debias.shown import Shown
from debias.storage.documents import json_text, plain

Document = TypeVar("Document")


class Report(Shown, Generic[Document]):
    """A frozen dataclass that is written as a document of the same fields."""

    KIND: ClassVar[str]  # what the document is
    SCHEMA: ClassVar[int]  # version of its fields

    def to_dict(self) -> Document:
        """Plain values for JSON, None where undefined or withheld; no image is listed."""
        names = [one.name for one in fields(self) if one.name != "outcomes"]  # type: ignore[arg-type]
        found: Any = {name: plain(getattr(self, name)) for name in names}
        return found | {"kind": self.KIND, "schema": self.SCHEMA}

    def to_json(self) -> str:
        """The report as JSON text."""
        found: Any = self.to_dict()
        return json_text(found)


@dataclass(frozen=True, kw_only=True, eq=False)
class FairnessReport(Report[FairnessDocument]):
    """How a classifier treats each group, and what may be concluded from it.

    Numbers are unrounded; NaN (None in JSON) is undefined or withheld, never zero.

    Attributes:
        by_group: One row a group and measure, columns of ``RateRow``; ``overall`` is of all images.
        gaps: Columns of ``GapRow``: group minus other.
        spread: Columns of ``SpreadRow``; ``ratios`` of ``RatioRow``, ``noise`` of ``NoiseRow``.
    """

    KIND, SCHEMA = "fairness", 2

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
    attributes: list[Attribute]
    overall: pd.DataFrame
    quality: Mapping[str, float]  # of the scores over all images, as in ``scores.quality``
    by_group: pd.DataFrame
    primary: list[PrimaryGap]  # what was asked first, in order of priority
    describes: bool  # other gaps only describe: not every primary question found a difference
    gaps: pd.DataFrame
    spread: pd.DataFrame
    ratios: pd.DataFrame  # lowest over highest rate, a rule of thumb, with its interval
    noise: pd.DataFrame  # range of the largest gap when some group labels are wrong, if asked for
    verdict: Verdict  # on each attribute and on all of them
    notes: tuple[str, ...]  # what a reader must know before reading any number
    scope: tuple[str, ...]  # what was measured on whom, and what was not
    confusion: list[ConfusionRow]  # counts by group, for groups of which nothing is withheld
    calibration: list[CalibrationRow]  # observed share of positives by score, likewise
    scores: list[ScoreRow]  # quantiles of the score by true class, likewise
    outcomes: Outcomes = field(repr=False)  # the images behind it, for comparisons

    def __repr__(self) -> str:
        name = f" {self.name!r}" if self.name else ""
        trained = f", mean of {len(self.seeds)} trainings" if len(self.seeds) > 1 else ""
        return f"FairnessReport{name} on {self.n:,} images{trained}: {self.verdict.sentence}"

    @property
    def unsized(self) -> frozenset[str]:
        """Groups and crossings whose number of images is withheld, whoever tells of it.

        Taken from the rates over all images of a group rather than decided again: two patterns of
        what is withheld could give away together what each of them keeps. Without such a rate any
        that is withheld counts. The same for every classifier of the same images.
        """
        table, names = self.by_group, self.by_group["metric"].str.split("[").str[0]
        whole = names.isin([name for name, rate in RATES.items() if rate.counted == "images"])
        asked = table[whole] if whole.any() else table
        is_hidden = asked["state"] == "suppressed"
        hidden, shown = (frozenset(asked.loc[one, "group"]) for one in (is_hidden, ~is_hidden))
        return hidden - shown if whole.any() else hidden

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

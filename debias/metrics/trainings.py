"""Each training of an arm by itself, mean and spread over seeds, and what changed between arms.

What may be claimed about an arm is in ``evaluation`` and ``comparison``. Here images count as
independent, and images without a group label are a group like others. ``s`` seeds; all of them are
evaluated on the same images, so a seed adds no image.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd
from jaxtyping import Float64

from debias.errors import EvaluationError
from debias.metrics.evaluation import group_rates, overall_rates
from debias.metrics.outcomes import Outcomes
from debias.metrics.rates import RATES, measures
from debias.metrics.rules import Rules
from debias.metrics.scores import quality
from debias.statistics.intervals import seed_limits, spread
from debias.storage.documents import plain
from debias.types import SEEDS_NEEDED


@dataclass(frozen=True, kw_only=True)
class Disparity:
    """One summary over the rates (g,) of at least two cells; of several rates, the largest one."""

    rates: tuple[str, ...]
    summary: Callable[[Float64[np.ndarray, " g"]], float]


def _range(values: Float64[np.ndarray, " g"]) -> float:
    return float(values.max() - values.min())


def _variance(values: Float64[np.ndarray, " g"]) -> float:
    """Sum of squared deviations from the unweighted mean over cells, divided by g - 1."""
    return float(values.var(ddof=1))


# The three named differences follow fairlearn 0.15 (between groups, aggregated by worst case),
# except that fairlearn takes a rate without a denominator for 0. Variances are of plain rates in
# [0, 1], so in squared rates: 0.0001 is (1 percentage point) squared.
DISPARITIES = {
    "worst_group_accuracy": Disparity(rates=("accuracy",), summary=np.min),
    "accuracy_gap": Disparity(rates=("accuracy",), summary=_range),
    "accuracy_variance": Disparity(rates=("accuracy",), summary=_variance),
    "true_positive_rate_variance": Disparity(rates=("true_positive_rate",), summary=_variance),
    "demographic_parity_difference": Disparity(rates=("selection_rate",), summary=_range),
    "equal_opportunity_difference": Disparity(rates=("true_positive_rate",), summary=_range),
    "equalized_odds_difference": Disparity(
        rates=("true_positive_rate", "false_positive_rate"), summary=_range
    ),
}


def disparities(table: pd.DataFrame) -> tuple[dict[str, float], dict[str, str]]:
    """Every registered summary over the cells of one grouping.

    A cell takes part in a rate when that rate is ``estimated`` there. A cell that holds images but
    none in the denominator of a rate makes every summary of that rate undefined, as do fewer than
    two cells that take part. A ``too_small`` cell, and a cell of a crossing that holds no image at
    all, is left out.

    Returns:
        The values by name, NaN where undefined, and the reason of each undefined one by name.
    """
    rows = {rate: _rows(table, rate) for rate in RATES}
    images = rows["accuracy"]["denominator"]
    obstacles = {rate: _obstacle(rate, rows[rate], images) for rate in RATES}
    values, reasons = dict.fromkeys(DISPARITIES, float("nan")), {}
    for name, disparity in DISPARITIES.items():
        reason = next((obstacles[rate] for rate in disparity.rates if obstacles[rate]), "")
        if reason:
            reasons[name] = reason
        else:
            found = [disparity.summary(_estimated(rows[rate])) for rate in disparity.rates]
            values[name] = float(max(found))
    return values, reasons


def extremes(table: pd.DataFrame) -> dict[str, str]:
    """Name the cells of lowest and highest accuracy; empty when fewer than two are estimated.

    Of several equal ones the first in the table is named.
    """
    rows = _rows(table, "accuracy").set_index("group")
    accuracy = rows.loc[rows["state"] == "estimated", "value"]
    if len(accuracy) < 2:
        return {}
    return {"worst_group": str(accuracy.idxmin()), "best_group": str(accuracy.idxmax())}


def _rows(table: pd.DataFrame, rate: str) -> pd.DataFrame:
    return table[table["metric"] == rate].reset_index(drop=True)


def _obstacle(rate: str, rows: pd.DataFrame, images: pd.Series) -> str:
    """Why the summaries of a rate are undefined; empty when they are not."""
    undefined = rows.loc[(rows["denominator"] == 0) & (images > 0), "group"]
    if len(undefined):
        counted = RATES[rate].counted
        return f"no {counted} in {len(undefined)} of {len(rows)} groups, first {undefined.iloc[0]}"
    estimated = int((rows["state"] == "estimated").sum())
    if estimated < 2:
        return f"{rate} is estimated in {estimated} of {len(rows)} groups; two are needed"
    return ""


def _estimated(rows: pd.DataFrame) -> Float64[np.ndarray, " g"]:
    return rows.loc[rows["state"] == "estimated", "value"].to_numpy(dtype=np.float64)


COLUMNS = (
    "attribute", "group", "metric", "value", "numerator", "denominator", "low", "high", "state",
)  # fmt: skip
QUANTITIES = ("accuracy", "worst_group_accuracy", "accuracy_gap", "equalized_odds_difference")
Reading = Literal["difference_found", "cannot_tell"]
Reason = Literal["", "not_estimable", "single_run", "too_few_seeds", "insufficient_evidence"]
OverSeeds = Callable[[Float64[np.ndarray, " s"]], float]


@dataclass(frozen=True, kw_only=True, eq=False)
class Training:
    """The rates of one trained classifier in each group of one split.

    Attributes:
        n: Images.
        by_group: One row per cell and rate, columns ``COLUMNS``; ``low`` and ``high``
            (Clopper-Pearson); ``state`` is ``estimated``, ``too_small``, ``not_estimable``, or
            ``suppressed`` with NaN. Single attributes first, then their full crossing with the
            cells that hold no image.
        overall: Rates over all images, ``auroc``, ``expected_calibration_error``, ``n``.
        disparities: Summaries over the finest cells: the crossing, or the only attribute. NaN
            where undefined. Rates lie in [0, 1]; variances are in squared rates.
        disparities_by_attribute: The same over the values of each attribute alone.
        extremes: ``worst_group`` and ``best_group`` by accuracy among the finest cells; empty when
            fewer than two are estimated.
        reasons: Why a summary is undefined, by ``name`` or ``attribute/name``.
    """

    arm: str
    seed: int
    n: int
    level: float
    by_group: pd.DataFrame
    overall: Mapping[str, float]
    disparities: Mapping[str, float]
    disparities_by_attribute: Mapping[str, Mapping[str, float]]
    extremes: Mapping[str, str]
    reasons: Mapping[str, str]

    def scalars(self) -> dict[str, Any]:
        """Every single number, nested as in :meth:`to_dict`; NaN where undefined."""
        return {
            "accuracy": {
                "overall": self.overall["accuracy"],
                "worst_group": self.disparities["worst_group_accuracy"],
                "gap": self.disparities["accuracy_gap"],
                "variance": self.disparities["accuracy_variance"],
            },
            **{name: v for name, v in self.overall.items() if name not in ("accuracy", "n")},
            "disparities": dict(self.disparities),
            "disparities_by_attribute": dict(self.disparities_by_attribute),
        }

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, None where undefined; rates by group are not among them."""
        own = {"seed": self.seed, "n": self.n, "level": self.level}
        why = {"extremes": self.extremes, "reasons": self.reasons}
        return dict(plain({**own, **self.scalars(), **why}))


def each_training(outcomes: Outcomes, rules: Rules, arm: str = "") -> list[Training]:
    """Measure every training of an arm on two classes, overall and by group.

    A rate below ``rules.minimum`` is ``too_small``: shown with its interval, but outside of every
    disparity and never the worst group.
    """
    return [_measured(_alone(outcomes, row), rules, arm) for row in range(len(outcomes.y_pred))]


def _alone(outcomes: Outcomes, row: int) -> Outcomes:
    one = slice(row, row + 1)
    score = None if outcomes.score is None else outcomes.score[one]
    y_pred, seeds = outcomes.y_pred[one], outcomes.seeds[one]
    return replace(outcomes, y_pred=y_pred, score=score, seeds=seeds, subjects=None)


def _measured(outcomes: Outcomes, rules: Rules, arm: str) -> Training:
    found = measures(outcomes.classes, outcomes.positive)
    table = group_rates(outcomes, found, rules)
    few = np.where(table["denominator"] < rules.minimum, "too_small", "estimated")
    table = table.assign(state=table["state"].mask(table["state"] == "unknown", few))
    single = [one.attribute for one in outcomes.groupings if not one.is_crossing]
    alone = {name: disparities(table[table["attribute"] == name]) for name in single}
    finest = table[table["attribute"] == _finest(table)]
    values, reasons = disparities(finest)
    whole = overall_rates(outcomes, found, rules).set_index("metric")["value"]
    scores = quality(outcomes)
    return Training(
        arm=arm,
        seed=next(iter(outcomes.seeds), 0),
        n=len(outcomes.y_true),
        level=rules.level,
        by_group=table[list(COLUMNS)],
        overall={
            **{str(name): float(value) for name, value in whole.items()},
            **{name: scores[name] for name in ("auroc", "expected_calibration_error")},
            "n": float(len(outcomes.y_true)),
        },
        disparities=values,
        disparities_by_attribute={name: part for name, (part, _) in alone.items()},
        extremes=extremes(finest),
        reasons=reasons
        | {f"{a}/{name}": why for a, (_, w) in alone.items() for name, why in w.items()},
    )


def _finest(by_group: pd.DataFrame) -> str:
    """Attribute, or crossing, whose cells the disparities compare; empty without groups."""
    return str(by_group["attribute"].iloc[-1]) if len(by_group) else ""


def summarise(trainings: Sequence[Training]) -> dict[str, Any]:
    """Mean and spread of one arm over its seeds, as plain values for JSON.

    Returns:
        The layout of ``Training.to_dict`` with ``seeds`` in place of ``seed``, means in place of
        values, and ``sd``: the same nesting of standard deviations (divisor s - 1; None for one
        seed). What is undefined in a seed is undefined (None). ``accuracy.worst_group`` and every
        gap are means of the seeds' own worst groups and gaps, which may be different groups;
        ``extremes`` names the worst and best group by mean accuracy. Rows of ``by_group`` hold the
        mean ``value`` of each rate and its ``sd``; the report on the arm has its interval.

    Raises:
        EvaluationError: No training, or a seed twice.
    """
    if not trainings:
        raise EvaluationError("there is no training to summarise")
    ordered = sorted(trainings, key=lambda one: one.seed)
    nested = [one.scalars() for one in ordered]
    first, values = ordered[0], np.stack([one.by_group["value"].to_numpy(float) for one in ordered])
    withheld = np.any([one.by_group["state"] == "suppressed" for one in ordered], axis=0)
    by_group = first.by_group.assign(value=values.mean(axis=0), sd=spread(values))
    by_group = by_group.assign(state=np.where(withheld, "suppressed", by_group["state"]))
    summary = {
        "seeds": _seeds(ordered),
        "n": first.n,
        "level": first.level,
        **_leafwise(lambda values: float(values.mean()), nested),
        "sd": _leafwise(lambda values: float(spread(values[:, None])[0]), nested),
        "extremes": extremes(by_group[by_group["attribute"] == _finest(by_group)]),
        "reasons": first.reasons,
        "by_group": by_group[["attribute", "group", "metric", "value", "sd"]].to_dict("records"),
    }
    return dict(plain(summary))


def _seeds(trainings: Sequence[Training]) -> list[int]:
    seeds = sorted(one.seed for one in trainings)
    if len(set(seeds)) < len(seeds):
        raise EvaluationError(f"each seed may occur once, got {seeds}")
    return seeds


def _leafwise(function: OverSeeds, trees: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Apply a function to each number of equally nested mappings, across the mappings."""
    return {key: _leaf(function, [tree[key] for tree in trees]) for key in trees[0]}


def _leaf(function: OverSeeds, items: list[Any]) -> dict[str, Any] | float:
    if isinstance(items[0], Mapping):
        return _leafwise(function, items)
    return function(np.array(items, dtype=np.float64))


@dataclass(frozen=True, kw_only=True)
class Change:
    """Change of one quantity from one arm to another, over seeds.

    The interval is about retraining with other seeds on these test images; it says nothing about
    other images. Whoever looks at several changes passes an adjusted level.

    Attributes:
        quantity: One of ``QUANTITIES``.
        baseline_mean: Mean over seeds, in [0, 1]; NaN when undefined in a seed. ``arm_mean`` too.
        seeds: (s,) ascending.
        differences: (s,) arm minus baseline, by seed; with ``mean`` and ``sd`` (divisor s - 1).
        low: Of the t-interval of the mean difference at ``level``, to ``high``; ``seed_limits``.
        reading: ``difference_found`` only with five seeds or more and an interval without 0.
        reason: Why it cannot be told; empty when a difference was found.
    """

    quantity: str
    baseline: str
    arm: str
    baseline_mean: float
    arm_mean: float
    seeds: tuple[int, ...]
    differences: tuple[float, ...]
    mean: float
    sd: float
    low: float
    high: float
    level: float
    n_seeds: int
    reading: Reading
    reason: Reason

    def sentence(self) -> str:
        """The change in plain English; enough decimals that no non-zero number shows as zero."""
        name = self.quantity.replace("_", " ")
        seeds = f"{self.n_seeds} seed" + ("s" if self.n_seeds > 1 else "")
        if not np.isfinite(self.mean):
            return f"{name}: undefined, over {seeds}: {self._verdict()}"
        decimals = _decimals(self.mean, self.low, self.high)
        change = f"change {self.mean:+.{decimals}f}"
        if np.isfinite(self.low):
            change += f" [{self.low:+.{decimals}f}, {self.high:+.{decimals}f}]"
        levels = f"{self.baseline_mean:.{decimals}f} -> {self.arm_mean:.{decimals}f}"
        return f"{name}: {levels}, {change} over {seeds}: {self._verdict()}"

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, None where undefined, with the sentence."""
        return dict(plain({**asdict(self), "sentence": self.sentence()}))

    def _verdict(self) -> str:
        because = {
            "not_estimable": "not estimable in every seed",
            "single_run": f"single run; at least {SEEDS_NEEDED} seeds are needed",
            "too_few_seeds": f"{self.n_seeds} seeds; at least {SEEDS_NEEDED} are needed",
            "insufficient_evidence": "insufficient evidence",
        }
        return f"cannot tell ({because[self.reason]})" if self.reason else "difference found"


def paired_change(
    baseline: Sequence[Training], arm: Sequence[Training], quantity: str, level: float = 0.95
) -> Change:
    """Compare two arms by the mean of their differences, seed by seed.

    Raises:
        EvaluationError: An unknown quantity, seeds or numbers of images that differ.
        ValueError: The level is outside (0, 1).
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1), got {level}")
    seeds = _common_seeds(baseline, arm)
    before, after = _by_seed(baseline, quantity), _by_seed(arm, quantity)
    differences = after - before
    sd, low, high = (float(part[0]) for part in seed_limits(differences[:, None], level))
    reason = _reason(differences, low, high)
    return Change(
        quantity=quantity,
        baseline=baseline[0].arm,
        arm=arm[0].arm,
        baseline_mean=float(before.mean()),
        arm_mean=float(after.mean()),
        seeds=seeds,
        differences=tuple(differences.tolist()),
        mean=float(differences.mean()),
        sd=sd,
        low=low,
        high=high,
        level=level,
        n_seeds=len(seeds),
        reading="cannot_tell" if reason else "difference_found",
        reason=reason,
    )


def _common_seeds(baseline: Sequence[Training], arm: Sequence[Training]) -> tuple[int, ...]:
    before, after = _seeds(baseline), _seeds(arm)
    if before != after:
        raise EvaluationError(
            f"both arms need the same seeds to be paired, got {before} and {after}"
        )
    sizes = sorted({one.n for one in [*baseline, *arm]})
    if len(sizes) > 1:
        raise EvaluationError(f"trainings were evaluated on other images: {sizes} of them")
    return tuple(before)


def _by_seed(trainings: Sequence[Training], quantity: str) -> Float64[np.ndarray, " s"]:
    if quantity not in QUANTITIES:
        known = ", ".join(QUANTITIES)
        raise EvaluationError(f"unknown quantity {quantity!r}; known: {known}")
    ordered = sorted(trainings, key=lambda one: one.seed)
    found = [{"accuracy": one.overall["accuracy"], **one.disparities} for one in ordered]
    return np.array([one[quantity] for one in found], dtype=np.float64)


def _reason(differences: Float64[np.ndarray, " s"], low: float, high: float) -> Reason:
    if not np.isfinite(differences).all():
        return "not_estimable"
    if len(differences) == 1:
        return "single_run"
    if len(differences) < SEEDS_NEEDED:
        return "too_few_seeds"
    return "" if low > 0 or high < 0 else "insufficient_evidence"


def _decimals(*numbers: float) -> int:
    """Three, or as many more (up to nine) as it takes to show the sign of each number."""
    shown = [number for number in numbers if np.isfinite(number) and number != 0]
    enough = (d for d in range(3, 9) if all(round(number, d) != 0 for number in shown))
    return next(enough, 9)

"""Several seeds of one arm -> mean and spread.

``s`` seeds. All seeds of an arm are evaluated on the same images, so a seed adds no image.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64

from debias.errors import EvaluationError
from debias.metrics.disparities import extremes
from debias.metrics.rates import measures
from debias.metrics.trainings import TrainingReport
from debias.statistics.intervals import clopper_pearson
from debias.storage.documents import plain

_FIXED = [one.name for one in measures(("0", "1"), "1") if one.is_paired]
OverSeeds = Callable[[Float64[np.ndarray, " s"]], float]


def summarise(reports: Sequence[TrainingReport]) -> dict[str, Any]:
    """Mean and spread of one arm over its seeds, as plain values for JSON.

    Args:
        reports: One per seed, of one arm and the same images.

    Returns:
        The layout of ``TrainingReport.to_dict`` with ``seeds`` in place of ``seed``, means in
        place of values, and ``sd``: the same nesting of standard deviations (divisor s - 1; None
        for one seed). What is undefined in a seed is undefined (None). ``accuracy.worst_group``
        and every gap are means of the seeds' own worst groups and gaps, which may be different
        groups; ``extremes`` names the worst and best group by mean accuracy. Rows of ``by_group``
        hold the mean ``value``, its ``sd`` over seeds, the mean ``numerator``, and the
        Clopper-Pearson interval of that mean among ``denominator`` images: for the images, not
        for the spread over seeds, and not narrowed by the number of seeds.

    Raises:
        EvaluationError: No report, several arms or splits, a seed twice, different images.
    """
    ordered = sorted(reports, key=lambda report: report.seed)
    check_one_arm(ordered)
    nested = [report.scalars() for report in ordered]
    by_group = _by_group(ordered)
    first = ordered[0]
    finest = by_group[by_group["attribute"] == first.finest]
    summary = {
        "seeds": [report.seed for report in ordered],
        "n": first.n,
        "level": first.level,
        **_leafwise(_mean, nested),
        "sd": _leafwise(_sd, nested),
        "extremes": extremes(finest),
        "reasons": dict(first.reasons),
        "by_group": by_group.to_dict("records"),
    }
    return {key: plain(value) for key, value in summary.items()}


def spread(values: Float64[np.ndarray, "s rows"]) -> Float64[np.ndarray, " rows"]:
    """Standard deviation over seeds, divisor s - 1; NaN for one seed, exactly 0 for equal ones."""
    if len(values) < 2:
        return np.full(values.shape[1], np.nan)
    # Less the first row, because the mean of equal floats may be off by a rounding.
    return (values - values[0]).std(axis=0, ddof=1)


def check_one_arm(reports: Sequence[TrainingReport]) -> None:
    """Refuse reports that are not one arm's seeds on the same images.

    Raises:
        EvaluationError: No report, several arms or splits, a seed twice, different images.
    """
    if not reports:
        raise EvaluationError("there is no report to summarise")
    kinds = sorted({f"{report.arm} on {report.split}" for report in reports})
    if len(kinds) > 1:
        raise EvaluationError(f"seeds of one arm and split are needed, got {', '.join(kinds)}")
    seeds = [report.seed for report in reports]
    if len(set(seeds)) < len(seeds):
        raise EvaluationError(f"each seed may occur once, got {seeds}")
    check_same_images(reports)


def check_same_images(reports: Sequence[TrainingReport]) -> None:
    """Refuse reports whose groups or denominators differ: they cannot be of the same images.

    Raises:
        EvaluationError: They differ.
    """
    first = _cells(reports[0])
    for report in reports:
        found = _cells(report)
        same = report.n == reports[0].n and found.keys() == first.keys()
        # What is withheld in one of them cannot be compared.
        if not (same and all(np.isnan(v) or np.isnan(first[k]) or v == first[k]
                             for k, v in found.items())):  # fmt: skip
            raise EvaluationError(
                f"arm {report.arm!r} seed {report.seed} was evaluated on other images than arm "
                f"{reports[0].arm!r} seed {reports[0].seed}: their groups or sizes differ"
            )


def _cells(report: TrainingReport) -> dict[tuple[str, str], float]:
    """What depends on the images alone: the denominators of precision depend on predictions."""
    fixed = report.by_group[report.by_group["metric"].isin(_FIXED)]
    keys = zip(fixed["group"].tolist(), fixed["metric"].tolist(), strict=True)
    return dict(zip(keys, fixed["denominator"].astype(float).tolist(), strict=True))


def _by_group(reports: Sequence[TrainingReport]) -> pd.DataFrame:
    first = reports[0].by_group
    numerator = np.stack([report.by_group["numerator"].to_numpy(float) for report in reports])
    values = np.stack([report.by_group["value"].to_numpy(float) for report in reports])  # (s, rows)
    denominators = np.stack([report.by_group["denominator"].to_numpy(float) for report in reports])
    mean, denominator = numerator.mean(axis=0), denominators.mean(axis=0)
    hidden = np.isnan(mean)
    low, high = clopper_pearson(np.nan_to_num(mean), np.nan_to_num(denominator), reports[0].level)
    return first.assign(
        value=values.mean(axis=0), sd=spread(values), numerator=mean, denominator=denominator,
        low=low, high=high, state=np.where(hidden, "suppressed", first["state"]),
    )  # fmt: skip


def _mean(values: Float64[np.ndarray, " s"]) -> float:
    return float(values.mean())


def _sd(values: Float64[np.ndarray, " s"]) -> float:
    return float(spread(values[:, None])[0])


def _leafwise(function: OverSeeds, trees: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Apply a function to each number of equally nested mappings, across the mappings."""
    return {key: _leaf(function, [tree[key] for tree in trees]) for key in trees[0]}


def _leaf(function: OverSeeds, items: list[Any]) -> dict[str, Any] | float:
    if isinstance(items[0], Mapping):
        return _leafwise(function, items)
    return function(np.array(items, dtype=np.float64))

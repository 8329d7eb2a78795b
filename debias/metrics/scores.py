"""What lies behind the rates: which classes are mixed up, how scores lie, rank and are calibrated.

All tables take the cells that may be shown; the others leave no row. Scores of several trainings
enter by their mean for each image.

``n`` images, ``g`` cells, ``s`` trainings.
"""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Shaped
from scipy.special import ndtri

from debias.metrics.documents import SkillDocument
from debias.metrics.gaps import confusion_of
from debias.metrics.outcomes import Outcomes
from debias.statistics.areas import area_under_curve
from debias.statistics.groupings import Grouping
from debias.statistics.intervals import clopper_pearson
from debias.storage.documents import plain

Which = Bool[np.ndarray, " g"]

FEWEST = 30  # fewer images draw a curve of noise
MOST_BINS = 10
CALIBRATION_BINS = 15
QUALITIES = ("auroc", "expected_calibration_error", "calibration_bias")
QUANTILES = {"q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95}


def confusion_table(outcomes: Outcomes, grouping: Grouping, shown: Which) -> pd.DataFrame:
    """Images by true and predicted class in every cell, as a mean over trainings.

    Returns:
        ``attribute, group, true, predicted, count``; counts of 0 included.
    """
    cells = np.array(grouping.cells, dtype=object)[shown]
    names = ["group", "true", "predicted"]
    rows = pd.MultiIndex.from_product([cells, outcomes.classes, outcomes.classes], names=names)
    table = rows.to_frame(index=False)
    table.insert(0, "attribute", grouping.attribute)
    return table.assign(count=confusion_of(outcomes, grouping)[shown].ravel())


def calibration_table(
    outcomes: Outcomes, grouping: Grouping, shown: Which, level: float = 0.95
) -> pd.DataFrame:
    """Share of positives among images of similar score, in bins of equal counts.

    A cell of m images has min(10, m // 30) bins, so none with fewer than 30; below 30 images it
    has no row. Images of one score that meet a boundary are shared out in the mix of classes that
    this score has, because their order says nothing.

    Returns:
        ``attribute, group, n, mean_score, observed`` (share of positives), ``low, high``
        (Clopper-Pearson), one row a bin, scores ascending; none without scores or with more than
        two classes. One person's images have one class, so with identities the interval rests on
        (sum m)^2 / sum m^2 independent images, for m images of each person in the bin.
    """
    images = _scored(outcomes, grouping, shown & (grouping.sizes >= FEWEST))
    images = images.sort_values(["cell", "score"], kind="stable")
    cells = images.groupby("cell")["score"]
    size = cells.transform("size")
    images["bin"] = cells.cumcount() * (size // FEWEST).clip(upper=MOST_BINS) // size
    images["observed"] = images.groupby(["cell", "score"])["positive"].transform("mean")
    bins = images.groupby(["cell", "bin"])
    table = bins.agg(
        n=("score", "size"), mean_score=("score", "mean"), observed=("observed", "mean")
    )
    worth = table["n"].astype(np.float64)
    if outcomes.subjects is not None:
        of_person = images.groupby(["cell", "bin", "person"]).size()
        worth = worth**2 / (of_person**2).groupby(["cell", "bin"]).sum()
    right = table["observed"].clip(upper=1) * worth
    low, high = clopper_pearson(right.to_numpy(), worth.to_numpy(), level)
    return _named(table.assign(low=low, high=high).reset_index().drop(columns="bin"), grouping)


def score_table(outcomes: Outcomes, grouping: Grouping, shown: Which) -> pd.DataFrame:
    """Quantiles of the positive class's probability, by cell and true class.

    Returns:
        ``attribute, group, true, n, q05, q25, median, q75, q95`` (linear between order statistics),
        where there are at least 30 images; none without scores or with more than two classes.
    """
    parts = _scored(outcomes, grouping, shown).groupby(["cell", "true"])["score"]
    quantiles = {name: parts.quantile(q) for name, q in QUANTILES.items()}
    table = pd.DataFrame({"n": parts.size(), **quantiles}).reset_index()
    names = np.array(outcomes.classes, dtype=object)[table["true"].to_numpy(dtype=np.int64)]
    return _named(table.assign(true=names)[table["n"] >= FEWEST], grouping)


def _scored(outcomes: Outcomes, grouping: Grouping, shown: Which) -> pd.DataFrame:
    """Images of the shown cells with the positive's mean score; none where scores mean nothing."""
    if outcomes.score is None or outcomes.positive is None:
        columns = ["cell", "true", "positive", "person", "score"]
        return pd.DataFrame(columns=columns, dtype=np.float64)
    column = outcomes.classes.index(outcomes.positive)
    images = {
        "cell": grouping.codes,
        "true": outcomes.y_true,
        "positive": (outcomes.y_true == column).astype(np.float64),
        "person": 0 if outcomes.subjects is None else outcomes.subjects,
        "score": outcomes.score[:, :, column].mean(axis=0),
    }
    return pd.DataFrame(images)[shown[grouping.codes]]


def _named(table: pd.DataFrame, grouping: Grouping) -> pd.DataFrame:
    """Rows of cells under the names of their attribute and group."""
    names = np.array(grouping.cells, dtype=object)[table["cell"].to_numpy(dtype=np.int64)]
    table = table.rename(columns={"cell": "group"}).assign(group=names).reset_index(drop=True)
    table.insert(0, "attribute", grouping.attribute)
    return table


def quality(outcomes: Outcomes, which: Bool[np.ndarray, " n"] | None = None) -> dict[str, float]:
    """Means over trainings, of all images or of some; NaN without a score, or of a single class.

    Returns:
        ``auroc`` (two classes only), ``expected_calibration_error`` of the predicted class, and
        ``calibration_bias``, the share of positives minus the mean score (two classes only):
        positive where the scores are too low.
    """
    rows = slice(None) if which is None else np.flatnonzero(which)
    y_true = outcomes.y_true[rows]
    if outcomes.score is None or not len(y_true):
        return dict.fromkeys(QUALITIES, float("nan"))
    found = [
        _of_one(outcomes, y_true, y_pred[rows], score[rows])
        for y_pred, score in zip(outcomes.y_pred, outcomes.score, strict=True)
    ]
    return {name: float(np.mean([one[name] for one in found])) for name in QUALITIES}


def _of_one(
    outcomes: Outcomes, y_true: np.ndarray, y_pred: np.ndarray, score: np.ndarray
) -> dict[str, float]:
    confidence = np.take_along_axis(score, y_pred[:, None], axis=1)[:, 0]
    found = {"expected_calibration_error": calibration_error(y_true == y_pred, confidence)}
    if outcomes.positive is None:
        return found | {"auroc": float("nan"), "calibration_bias": float("nan")}
    column = outcomes.classes.index(outcomes.positive)
    positive = y_true == column
    area = area_under_curve(score[positive, column], score[~positive, column]).value
    bias = float(positive.mean() - score[:, column].mean())
    return found | {"auroc": area, "calibration_bias": bias}


def calibration_error(
    correct: Bool[np.ndarray, " n"],
    confidence: Float64[np.ndarray, " n"],
    bins: int = CALIBRATION_BINS,
) -> float:
    """Mean distance between confidence and accuracy over bins, weighted by samples per bin.

    The bins divide [0, 1] equally, each closed on the right, the first on both sides.

    Confidence is the probability given to the predicted class, in [0, 1]; the error is the sum
    over bins of ``|correct - summed confidence| / n``.

    Reference:
        Guo et al., "On Calibration of Modern Neural Networks", 2017, equation 3.
    """
    index = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    excess = np.bincount(index, weights=correct - confidence, minlength=bins)
    return float(np.abs(excess).sum() / len(confidence))


def skill_of(outcomes: Outcomes, name: str = "", level: float = 0.95) -> SkillDocument | None:
    """Compare every training with guessing; every interval takes images as independent.

    A training is at chance unless two intervals lie above 0.5: that of the area under the curve of
    its scores, and that of its answers, which is the mean of the shares of both classes that are
    answered rightly. On two even classes the latter says that more answers are right than by
    always naming one class; on uneven ones it does not take a rare class for a failure.

    Returns:
        With a sentence about ``name``; None with more than two classes, or fewer than two images
        of a class.
    """
    y_true, n = outcomes.y_true, len(outcomes.y_true)
    counts = np.bincount(y_true, minlength=len(outcomes.classes))
    if outcomes.positive is None or counts.min() < 2:
        return None
    column = outcomes.classes.index(outcomes.positive)
    positive = y_true == column
    answers = _areas(outcomes.y_pred == column, positive, level)
    scores = np.full_like(answers, np.nan)
    if outcomes.score is not None:
        scores = _areas(outcomes.score[:, :, column], positive, level)
    above = (answers[:, 1] > 0.5) & ~(scores[:, 1] <= 0.5)  # without scores, answers alone count
    right = np.array((outcomes.y_pred == y_true).sum(axis=1).mean())
    low, high = clopper_pearson(right, np.array(n), level)
    auroc, auroc_low, auroc_high = scores.mean(axis=0).tolist()
    found: SkillDocument = {
        "n": n,
        "trainings": len(answers),
        "at_chance": int((~above).sum()),
        "accuracy": float(right) / n,
        "low": float(low),
        "high": float(high),
        "guess": outcomes.classes[int(counts.argmax())],
        "guessed": float(counts.max()) / n,
        "auroc": auroc,
        "auroc_low": auroc_low,
        "auroc_high": auroc_high,
        "learned": bool(2 * above.sum() >= len(answers)),
        "sentence": "",
    }
    found = plain({**found, "sentence": _not_learned(found, name)})
    return found


def _not_learned(found: SkillDocument, name: str) -> str:
    """What was not learned, in plain English; empty where every training is above chance."""
    if not found["at_chance"]:
        return ""
    where = f"{found['at_chance']} of {found['trainings']} training{'s' * (found['trainings'] > 1)}"
    if found["learned"]:
        return f"{name}: in {where} no better than guessing; every mean holds these, too."
    scores = (
        f"; the area under the curve of its scores is {found['auroc']:.2f} "
        f"[{found['auroc_low']:.2f} to {found['auroc_high']:.2f}], and guessing gives 0.50"
    )
    return (
        f"{name} learned nothing, as far as {found['n']:,} images tell: in {where} it is no better "
        f"than guessing. {found['accuracy']:.1%} of its answers are right [{found['low']:.1%} to "
        f"{found['high']:.1%}], and always answering “{found['guess']}” would be right in "
        f"{found['guessed']:.1%}{scores if np.isfinite(found['auroc']) else ''}."
    )


def _areas(
    scores: Shaped[np.ndarray, "s n"], positive: Bool[np.ndarray, " n"], level: float
) -> Float64[np.ndarray, "s 3"]:
    """Area under the curve of each training, and its limits by DeLong's variance."""
    areas = [area_under_curve(one[positive], one[~positive]) for one in scores.astype(np.float64)]
    value, variance = np.array([(area.value, area.variance) for area in areas]).T
    half = ndtri((1 + level) / 2) * np.sqrt(variance)
    return np.stack([value, (value - half).clip(min=0), (value + half).clip(max=1)], axis=1)

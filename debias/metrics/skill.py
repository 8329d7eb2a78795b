"""What a classifier said about images -> whether it learned anything at all."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Real
from scipy.special import ndtri

from debias.metrics.outcomes import Outcomes
from debias.statistics.areas import area_under_curve
from debias.statistics.intervals import clopper_pearson
from debias.storage.documents import plain


@dataclass(frozen=True, kw_only=True)
class Skill:
    """How far one classifier is above guessing, over its trainings.

    A training is at chance unless two intervals lie above 0.5: that of the area under the curve of
    its scores, and that of its answers, which is the mean of the shares of both classes that are
    answered rightly. On two even classes the latter says that more answers are right than by
    always naming one class; on uneven ones it does not take a rare class for a failure.

    Attributes:
        n: Images.
        trainings: How many there are, 1 or more.
        at_chance: How many of them are no better than guessing.
        accuracy: Share of answers that are right, mean over trainings, in [0, 1].
        low: Lower limit of it, for other images.
        high: Upper limit.
        guess: The most common class among these images.
        guessed: Share of answers that are right when it is always named.
        auroc: Area under the curve of the scores, mean over trainings; NaN without scores.
        auroc_low: Mean of the lower limits.
        auroc_high: Mean of the upper limits.
    """

    n: int
    trainings: int
    at_chance: int
    accuracy: float
    low: float
    high: float
    guess: str
    guessed: float
    auroc: float
    auroc_low: float
    auroc_high: float

    @property
    def learned(self) -> bool:
        """Whether at least half of the trainings are better than guessing."""
        return 2 * self.at_chance <= self.trainings

    def sentence(self, name: str) -> str:
        """What was not learned, in plain English; empty where every training is above chance."""
        if not self.at_chance:
            return ""
        where = f"{self.at_chance} of {self.trainings} training{'s' * (self.trainings > 1)}"
        if self.learned:
            return f"{name}: in {where} no better than guessing; every mean holds these, too."
        scores = (
            f"; the area under the curve of its scores is {self.auroc:.2f} "
            f"[{self.auroc_low:.2f} to {self.auroc_high:.2f}], and guessing gives 0.50"
        )
        return (
            f"{name} learned nothing, as far as {self.n:,} images tell: in {where} it is no better "
            f"than guessing. {self.accuracy:.1%} of its answers are right [{self.low:.1%} to "
            f"{self.high:.1%}], and always answering “{self.guess}” would be right in "
            f"{self.guessed:.1%}{scores if np.isfinite(self.auroc) else ''}."
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON, None where undefined."""
        values: Mapping[str, Any] = {**asdict(self), "learned": self.learned}
        return {name: plain(value) for name, value in values.items()}


def skill_of(outcomes: Outcomes, level: float = 0.95) -> Skill | None:
    """Compare every training with guessing.

    Args:
        outcomes: Of one classifier.
        level: Of every interval, which takes images as independent.

    Returns:
        None with more than two classes, or fewer than two images of a class.
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
    area, area_low, area_high = scores.mean(axis=0).tolist()
    return Skill(
        n=n,
        trainings=len(answers),
        at_chance=int((~above).sum()),
        accuracy=float(right) / n,
        low=float(low),
        high=float(high),
        guess=outcomes.classes[int(counts.argmax())],
        guessed=float(counts.max()) / n,
        auroc=area,
        auroc_low=area_low,
        auroc_high=area_high,
    )


def _areas(
    scores: Real[np.ndarray, "s n"] | Bool[np.ndarray, "s n"],
    positive: Bool[np.ndarray, " n"],
    level: float,
) -> Float64[np.ndarray, "s 3"]:
    """Area under the curve of each training, and its limits by DeLong's variance."""
    areas = [area_under_curve(one[positive], one[~positive]) for one in scores.astype(np.float64)]
    value, variance = np.array([(area.value, area.variance) for area in areas]).T
    half = ndtri((1 + level) / 2) * np.sqrt(variance)
    return np.stack([value, (value - half).clip(min=0), (value + half).clip(max=1)], axis=1)

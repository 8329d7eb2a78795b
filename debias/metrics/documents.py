"""Reports as plain values: every field of an evaluation and of a comparison on disk.

Numbers are unrounded. Rates and shares lie in [0, 1].
"""

from typing import Literal, TypedDict, final

# Undefined or withheld, never zero, where it is None in JSON and NaN in a table: whoever computes
# asks ``is_number`` first.
Number = float
Reading = Literal["difference_found", "difference_ruled_out", "cannot_tell"]


class OfGroup(TypedDict):
    attribute: str  # or crossing
    group: str


class OfMeasure(OfGroup):
    metric: str


class OfAttribute(TypedDict):
    """One measure over all groups of an attribute, or crossing."""

    metric: str
    attribute: str


class Judged(TypedDict):
    verdict: str  # a ``Reading``
    reason: str  # why it cannot be told; empty otherwise


class Tested(Judged):
    metric: str
    p_value: Number  # None: not tested
    p_adjusted: Number  # by Holm


class Figure(TypedDict):
    """One measure of some images, and what it was counted from."""

    metric: str
    value: Number
    numerator: Number
    denominator: Number
    identities: Number  # people shown; None where nobody says
    effective: Number  # independent images that the denominator is worth
    low: Number
    high: Number
    state: str  # estimated, not_estimable, too_small, suppressed or unknown


@final
class RateRow(Figure):
    attribute: str
    group: str


@final
class GapRow(Tested, OfGroup):
    """A difference: ``group`` minus ``other``."""

    other: str
    difference: Number
    low: Number
    high: Number
    detectable: Number  # smallest difference that these sizes would probably show


class PrimaryGap(OfMeasure):
    """Answer to a primary question: whether a rate differs between groups; its clearest pair."""

    other: str
    difference: Number  # ``group`` minus ``other``
    low: Number  # at ``level``
    high: Number
    level: float  # of one interval, so that all of this rate hold together
    comparisons: int  # gaps in this rate
    p_value: Number  # that none of them is a difference
    reading: Reading
    reason: str  # why it cannot be told; empty otherwise


class SpreadRow(OfAttribute):
    """Highest minus lowest rate, which is biased upwards, with what equal groups would show."""

    groups: int
    gap: Number
    expected_if_equal: Number
    variance: Number  # between groups, that of sampling taken out


class RatioRow(OfMeasure):
    """Lowest rate (of ``group``) over the highest (of ``other``)."""

    other: str
    ratio: Number
    low: Number
    high: Number
    n_group: float
    n_other: float
    chance_if_equal: Number  # of a ratio below four fifths


class NoiseRow(OfAttribute):
    """Range of the largest gap when a share of the group labels is wrong."""

    flipped: float
    gap: Number
    low: Number
    high: Number


class ConfusionRow(OfGroup):
    true: str
    predicted: str
    count: float


class CalibrationRow(OfGroup):
    n: int
    mean_score: float
    observed: float  # share of positives
    low: float
    high: float


class ScoreRow(OfGroup):
    """Quantiles of the positive class's probability among images of one true class."""

    true: str
    n: int
    q05: float
    q25: float
    median: float
    q75: float
    q95: float


class Attribute(TypedDict):
    attribute: str
    source: str  # who assigned the groups
    groups: list[str]
    reference: str | None
    metrics: list[str]  # in which its groups are compared: accuracy alone where they say the label
    empty: list[str]  # cells of a crossing without images


class Verdict(TypedDict):
    reading: Reading
    reason: str
    incomplete: bool  # whether some declared group could not be tested
    sentence: str


class AttributeVerdict(Verdict):
    attribute: str


class FairnessVerdict(Verdict):
    by_attribute: list[AttributeVerdict]


class FairnessDocument(TypedDict):
    """``FairnessReport``, field by field."""

    kind: str
    schema: int
    name: str
    split: str
    seeds: list[int]
    n: int
    identities: int | None
    classes: list[str]
    positive: str | None
    metrics: list[str]
    level: float
    comparisons: int
    adjusted_level: float
    margin: float | None
    minimum: int
    suppress_below: int
    attributes: list[Attribute]
    overall: list[Figure]
    quality: dict[str, Number]
    by_group: list[RateRow]
    primary: list[PrimaryGap]  # in order of priority
    describes: bool  # other gaps only describe: not every primary question found a difference
    gaps: list[GapRow]
    spread: list[SpreadRow]
    ratios: list[RatioRow]
    noise: list[NoiseRow]
    verdict: FairnessVerdict
    notes: list[str]
    scope: list[str]
    confusion: list[ConfusionRow]
    calibration: list[CalibrationRow]
    scores: list[ScoreRow]


class ChangeRow(Tested, OfGroup):
    before: Number
    after: Number
    change: Number
    low: Number  # for other images under these trainings
    high: Number
    wide_low: Number  # for other images and other trainings
    wide_high: Number
    p_wide: Number  # likewise, by Holm
    harm: bool


@final
class GroupChange(ChangeRow):
    n: Number
    identities: Number
    fixed: Number  # images that were wrong and became right
    broken: Number
    state: str


@final
class GapChange(ChangeRow):
    other: str
    direction: str  # narrower, wider, reversed or unchanged


class TradeRow(OfMeasure):
    """A measure before and after, without a verdict; attribute and group empty for all images."""

    before: Number
    after: Number
    change: Number


class SizeRow(OfGroup):
    before: Number  # images
    after: Number


class PrimaryChange(TypedDict):
    """Answer to one primary question: the change of one figure from one classifier to the other."""

    quantity: str  # as the recipe names it
    baseline: str
    arm: str
    before: Number  # means over trainings
    after: Number
    change: Number
    low: Number  # at ``level``, for other images and, of several trainings, other trainings
    high: Number
    level: float  # 1 less the error that this question was allowed, at the last look if several
    p_value: Number
    p_adjusted: Number  # allowing for all primary questions of all arms, and for all looks
    seeds: list[int]  # (s,) ascending; empty for two classifiers of unknown training
    differences: list[Number]  # by training
    sd: Number  # of them, divisor s - 1
    se_trainings: Number  # standard errors of the change: by other trainings
    se_images: Number  # by other images
    reading: Reading
    reason: str  # why it cannot be told; empty otherwise


class ChangeVerdict(TypedDict):
    reading: Reading
    reason: str
    sentence: str
    harms: list[str]
    gains: list[str]
    trades: list[str]  # gains that the same group paid for in the other kind of error


class ComparisonDocument(TypedDict):
    """``ComparisonReport``, field by field."""

    kind: str
    schema: int
    before: str
    after: str
    n: int
    identities: int | None
    seeds: list[int]
    level: float
    comparisons: int
    adjusted_level: float
    margin: float | None
    classes: list[str]
    positive: str | None
    suppress_below: int
    groups: list[GroupChange]
    gaps: list[GapChange]
    trade: list[TradeRow]
    primary: list[PrimaryChange]  # in order of priority
    describes: bool  # groups and gaps only describe: not every primary question was answered
    verdict: ChangeVerdict
    notes: list[str]
    scope: list[str]
    sizes: list[SizeRow]


class SkillDocument(TypedDict):
    """How far one classifier is above guessing, over its trainings."""

    n: int  # images
    trainings: int
    at_chance: int  # trainings that are no better than guessing
    accuracy: float  # share of answers that are right, mean over trainings
    low: float  # its limits for other images
    high: float
    guess: str  # the most common class among these images
    guessed: float  # share of answers that are right when it is always named
    auroc: Number  # area under the curve of the scores, mean over trainings
    auroc_low: Number  # the means of its limits
    auroc_high: Number
    learned: bool  # whether at least half of the trainings are better than guessing
    sentence: str  # what was not learned; may be empty


class Accuracy(TypedDict):
    overall: Number
    worst_group: Number
    gap: Number
    variance: Number


class Scalars(TypedDict):
    """Every single number of one training, or its mean or spread over trainings."""

    accuracy: Accuracy
    true_positive_rate: Number
    false_positive_rate: Number
    selection_rate: Number
    precision: Number
    auroc: Number
    expected_calibration_error: Number
    disparities: dict[str, Number]
    disparities_by_attribute: dict[str, dict[str, Number]]


class Found(Scalars):
    n: int
    level: float
    extremes: dict[str, str]  # worst_group and best_group by accuracy, of two or more
    reasons: dict[str, str]  # why a summary is undefined, by ``name`` or ``attribute/name``


class TrainingDocument(Found):
    seed: int


class MeanRate(OfMeasure):
    value: Number  # mean over trainings
    sd: Number  # None for one training


class SummaryDocument(Found):
    """Means of one arm over its trainings; ``sd`` nests their standard deviations likewise."""

    seeds: list[int]
    sd: Scalars
    by_group: list[MeanRate]

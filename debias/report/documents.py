"""``report.json``: every field of the document that a run's page, terminal and summary read."""

from collections.abc import Mapping
from typing import NotRequired, TypedDict

from debias.metrics.documents import (
    ComparisonDocument,
    FairnessDocument,
    Number,
    SkillDocument,
    SummaryDocument,
    TrainingDocument,
)


class Artifacts(TypedDict):
    """Keys of the parts of a run."""

    faces: str
    representation: str
    reference: str | None
    elsewhere: str | None
    weights: dict[str, str]
    generated: dict[str, str]
    classifiers: dict[str, list[str]]


class Stopping(TypedDict):
    """Why so many trainings were made, where their number was left to the answers."""

    least: int  # trainings of every arm before the first look
    most: int
    trainings: int  # that were made
    answered: bool  # every primary question
    level: float  # up to which a p-value counts after the last, if it may err as all looks may
    sentence: str


class About(TypedDict):
    config: Mapping[str, object]  # the recipe as it was read
    device: str
    precision: str
    threads: int
    processor: str  # vector instructions that torch uses
    torch: str  # its version
    seconds: dict[str, float]  # by stage
    artifacts: Artifacts
    seeds: int  # trainings of every arm
    stopping: Stopping | None
    folder: str
    command: str
    mlflow: str | None
    unpublished: NotRequired[str]  # what the tracker lacks, and how it gets it


class GroupCounts(TypedDict):
    attribute: str
    group: str
    train: int | None  # images; None: withheld
    train_share: float | None
    test: int | None


class Reason(TypedDict):
    reason: str
    count: int


class SetAside(TypedDict):
    count: int
    reasons: list[Reason]
    seen: str  # what was read, in a sentence; empty for a store that does not say
    list: str  # where each is named


class Data(TypedDict):
    name: str
    planted: str  # what was tied to the label on purpose, in a sentence; empty for nothing
    label: str
    classes: list[str]
    attributes: list[str]
    image_size: int
    n: dict[str, int]  # images by split
    annotation: str
    source: str
    groups: list[GroupCounts]
    set_aside: SetAside


class Told(TypedDict):
    """What was found, in words, and what to do about it."""

    sentence: str
    action: str | None


class Kept(TypedDict):
    """Whether a model tells images apart: ``tells_apart``, ``blurred`` or ``too_few``."""

    images: int
    explained: float | None
    explained_detail: float | None
    neighbours_kept: float
    neighbours_by_chance: float
    verdict: str
    definition: str
    epochs: NotRequired[int]
    advised: NotRequired[int]


class Fidelity(Kept, Told):
    pass


class Representation(TypedDict, total=False):
    name: str
    trained: bool
    file: str  # of an encoder or of embeddings
    told: str  # the column whose value the model was told with every image
    epochs: int
    loss: float
    elbo: float
    reconstruction: float
    kl: float
    bits_per_dimension: float
    sigma: float
    saturated_log_var: float
    active_units: int
    latent_dim: int


class Share(TypedDict):
    before: Number  # of the images
    after: Number  # of the draws
    random_low: Number  # of equally uneven random draws
    random_high: Number


class Area(TypedDict):
    """How well the weight alone tells who belongs to a group."""

    auc: Number
    low: Number
    high: Number
    n: int


class ReferenceRatio(TypedDict):
    style: str
    telltale: bool
    separability: float
    separability_other_style: Number
    style_agreement: Number


class EstimatedShare(TypedDict):
    share: float
    low: float
    high: float
    check: float  # a second estimate


class ForeignGroups(TypedDict):
    """Shares of groups that are annotated in another collection, estimated here."""

    column: str
    images: int  # annotated ones, there
    shares: dict[str, EstimatedShare]
    doubts: list[str]  # why they may not be believed


class Lowered(TypedDict):
    """A group whose share of what is drawn is below its share of the training images."""

    group: str
    before: float
    after: float


class EpochOfWeights(TypedDict):
    """Draws of one epoch, means over the trainings of an arm."""

    ess: float
    share_by_group: dict[str, float]  # of the draws


class Legible(TypedDict):
    """How often plain training names the class of images, shares in [0, 1] over trainings."""

    right: float  # of generated images
    low: float | None
    high: float | None
    parents: float  # of their first parents


class Generated(TypedDict):
    """Images that an arm's training set is filled with; no real one, and none is evaluated."""

    images: int
    share: float  # of the training set
    neighbours: int  # of which the second parent is one
    legible: NotRequired[Legible | None]  # None: without plain training


class Weights(TypedDict, total=False):
    """Figures of one arm's weights; what a rule does not have is absent."""

    rule: str
    uses_groups: bool
    objective: str  # what its classifiers are trained for
    group_labels: str  # where annotated groups decide: no, selection, training
    uses_latents: bool  # so that they are worth what the model is
    estimated: bool
    annotated: int
    ess: float
    effective_samples: float
    unique_per_epoch: float
    top_1_percent: float
    largest: float
    tau: float
    alpha: float
    capped: int
    dropped_dimensions: list[int]
    share_by_group: dict[str, Share]
    auc_by_group: dict[str, Area]
    lowered: list[Lowered]  # small groups drawn less often than by chance
    ratio: ReferenceRatio
    elsewhere: ForeignGroups
    generated: Generated
    by_epoch: list[EpochOfWeights]  # of an arm that weighs anew before every epoch
    warnings: list[str]


class Arm(TypedDict):
    seeds: list[TrainingDocument]
    mean: SummaryDocument


class Prevalence(TypedDict):
    """How common a group is: the mean over classes of its share, with its limits."""

    group: str
    share: float | None  # None: withheld, as the other two
    low: float | None
    high: float | None
    rare: bool | None  # under half an even share; None: these images cannot tell


class Remedy(TypedDict):
    """What others found to help against what was found, and what it did here."""

    method: str  # a weighting or an objective
    against: str  # rarity or correlation
    source: str  # author and year
    group_labels: str  # whether it reads annotated groups: no, selection or training
    arm: str | None  # of this run
    here: str  # what that arm did for the groups of this column; empty without one


class Errors(TypedDict):
    """Where a plain model errs, by clusters of the latents; shares in [0, 1]."""

    rate: float  # of its answers that are wrong
    images: float  # in the clusters that err most
    share: float  # of the errors that these hold, and its limits
    low: float
    high: float
    chance: float  # of the errors that chance puts there
    against: float | None  # of these errors on images of a class uncommon where they lie
    told: float | None  # of the labels, by latents, among such images and as many of their likes
    told_high: float | None


class Diagnosis(TypedDict):
    """Which kind of trouble one column shows; without annotation ``attribute`` is empty."""

    attribute: str
    reading: str  # rarity, correlation, both, neither or cannot_tell
    reason: str  # why it cannot be told, or which question is open beside the reading
    sentence: str
    groups: list[Prevalence]  # the rarest first
    cramers_v: float | None  # of label and column with groups of equal size, and its limits
    low: float | None
    high: float | None
    errors: Errors | None  # of latents alone
    remedies: list[Remedy]


class Method(TypedDict):
    """An arm as the literature lists it; figures are means over its trainings."""

    arm: str
    method: str  # weighting and objective
    group_labels: str  # where annotated groups decide: no, selection, training
    accuracy: Number
    worst_group: Number  # of each training
    gap: Number
    verdict: str  # on the change from plain training
    seconds: float  # of one training
    relative_seconds: float | None  # to those of plain training; None without it


class NextStep(TypedDict):
    why: str
    setting: str  # to change; may be empty
    command: str | None  # None where nobody typed one


class Opening(TypedDict):
    headline: str
    sentences: list[str]
    next: list[NextStep]


class Findings(TypedDict):
    """All of a run but what is read from it: the opening, and the arms as methods."""

    key: str
    schema: int
    name: str
    created: str
    version: str
    run: About
    data: Data
    representation: Representation
    fidelity: NotRequired[Fidelity | None]  # None: nothing that was trained here and draws
    weights: dict[str, Weights]
    refused: dict[str, str]  # arms left out, and why
    diagnoses: list[Diagnosis]  # of every annotated column, then without annotation
    arms: dict[str, Arm]
    skill: dict[str, SkillDocument | None]
    fairness: dict[str, FairnessDocument]
    comparisons: dict[str, ComparisonDocument]
    concluded: list[str]
    not_concluded: list[str]


class RunDocument(Findings):
    opening: Opening
    methods: list[Method]


class PlanRow(TypedDict):
    """With so many trainings."""

    trainings: int
    level: float  # at which a question is judged
    needed: int | None  # test images that find the change; None: the most do not
    found: list[float | None]  # smallest change that is found, by ``images`` of the document
    curve: list[float | None]  # likewise, by ``curve_images``


class Planned(TypedDict):
    """What one question takes to be answered, and the variances that this is worked out from."""

    arm: str  # empty: any
    quantity: str
    images: int | None  # of the pilot, that the question is about
    trainings: int | None  # of the pilot
    sd_trainings: float  # of the change, from one training to the next, for all images alike
    variance_images: float  # from one image to the next, in all trainings alike
    variance_both: float  # of single images in single trainings
    rows: list[PlanRow]


class PlanDocument(TypedDict):
    """``plan.json``. Changes and shares lie in [0, 1]."""

    kind: str
    schema: int
    version: str
    name: str
    pilot: str | None  # folder of the run that variances were estimated from
    change: float
    power: float
    error: float
    arms: int  # that share the error
    looks: bool  # whether trainings are added until questions are answered
    most_images: int
    images: list[int]
    curve_images: list[int]
    planned: list[Planned]

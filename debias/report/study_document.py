"""``study.json``: every field of the document that the page of a study reads."""

from collections.abc import Mapping
from typing import NotRequired, TypedDict

Number = float | None  # None: not defined, or withheld


class Figure(TypedDict):
    """A value with a 95 % interval: over images of one training, or over trainings of several."""

    value: Number
    low: Number
    high: Number


class Found(TypedDict):
    """Area under the ROC curve of rarity against membership of a group."""

    space: str
    density: str
    attribute: str
    group: str
    n: Number  # training images of the group
    rare: bool  # less than half of an even share
    auc: Number
    low: Number
    high: Number


class Served(TypedDict):
    """Mean of a measure over a group, and how often its members are served worse than others."""

    space: str
    measure: str
    attribute: str
    group: str
    n: Number  # held-out images of the group
    mean: Number
    mean_low: Number
    mean_high: Number
    worse: Number
    worse_low: Number
    worse_high: Number


class Share(TypedDict):
    """Share of a group among samples, as the judge of its column sees them."""

    space: str
    attribute: str
    group: str
    share: Number
    low: Number
    high: Number


class Judge(TypedDict):
    column: str
    classes: list[str]
    images: int  # held out
    accuracy: float
    right: list[Number]  # share of each class that it names
    share: list[float]  # of each class among validation images
    judged: list[float]  # what it says of them


class Space(TypedDict):
    """One representation, means over its trainings."""

    name: str
    model: Mapping[str, object]  # settings
    latent_dim: int
    draws: bool
    drawn_from: str  # what samples are made of; empty if it draws none
    figures: dict[str, Figure]  # by the names of study.toml
    left_out: list[str]  # sentences


class Data(TypedDict):
    name: str
    annotation: str
    images: dict[str, int]  # by split
    image_size: int
    columns: list[str]
    difference: tuple[str, str] | None  # column and value of the arithmetic


class Run(TypedDict):
    folder: str
    config: Mapping[str, object]
    device: str
    precision: str
    seeds: int
    mlflow: str | None
    unpublished: NotRequired[str]  # what the tracker lacks, and how it gets it
    command: str


class Study(TypedDict):
    schema: int
    name: str
    version: str
    created: str
    data: Data
    spaces: list[Space]
    found: list[Found]
    served: list[Served]
    shares: list[Share]
    judges: list[Judge]
    features: str  # in which samples are compared; empty: they are not
    run: Run

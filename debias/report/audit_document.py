"""The document of an audit, field by field, as ``audit.json`` holds it.

``auditing`` and ``pipeline`` fill it, pages read it. Shares lie in [0, 1]; what is undefined or
withheld is None, never 0. Images are named by their ids.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NotRequired, TypedDict

from debias.report.documents import Fidelity, Representation, SetAside, Told

Ids = list[str]
Number = float | None


class News(TypedDict):
    kind: str
    sentence: str


class Verdict(Told, News):
    pass


class Coverage(Told):
    """``bell``: 2.5 % and 97.5 % of both figures for single bell-shaped clouds."""

    cells: int
    occupied: int
    effective_cells: Number
    densest_tenth: Number
    shares: list[float]
    bell: dict[str, list[float]]


class Explained(TypedDict):
    """Share of a group inside and outside of a region; ``most``: more than half inside."""

    group: str
    inside: Number
    outside: Number
    most: NotRequired[bool]


class Part(TypedDict):
    """A numbered part of the images, with the interval of its share."""

    number: int
    count: int
    share: float
    low: float
    high: float


class ThinRegion(Part):
    view: str
    p: float
    p_adjusted: float
    found: bool
    sentence: str
    typical: Ids
    opposite: Ids
    explains: list[Explained]


class ThinRegions(Told):
    """``found``, ``none_found`` or ``too_few``."""

    verdict: str
    looked_at: int
    level: float
    list: Sequence[ThinRegion]


class Direction(TypedDict):
    number: int
    variance_share: float
    skewness: float
    low_share: float
    sentence: str
    low: Ids
    high: Ids


class Cluster(Part):
    """``density`` beside that of the typical image, which is 1."""

    density: float
    typical: Ids


class LatentMap(TypedDict):
    method: str
    shown: int
    of: int
    note: str


class Extremes(TypedDict):
    least: Ids
    most: Ids


class Oddest(TypedDict):
    sample_id: str
    nats: float


class Anomalies(TypedDict):
    median: float
    worst: list[Oddest]
    sentence: str


class Sheet(TypedDict):
    """What a trained model draws; ``rows`` label the rows of the picture."""

    name: str
    title: str
    means: str
    do: str
    rows: list[str]


class LatentPages(TypedDict):
    pages: list[Sheet]


class Region(TypedDict):
    """Images of a kind, here and in another set; ``missing`` while all others stay as they are."""

    number: int
    count: int
    reference_count: int
    share: float
    share_low: float
    share_high: float
    reference_share: float
    reference_low: float
    reference_high: float
    missing: int | None
    missing_low: int | None
    missing_high: int | None
    missing_together: NotRequired[int | None]
    p: float
    p_adjusted: float
    found: bool
    sentence: str
    typical: Ids
    nearest: Ids
    explains: NotRequired[list[Explained]]


class Comparison(Told):
    """Against another set: ``told_apart``, ``not_told_apart`` or ``too_few``."""

    name: str
    images: int
    against: int
    compared: NotRequired[list[int]]
    distance: Number
    null: list[float] | None
    p: Number
    level: float
    verdict: str
    separability: Number
    telltale: bool
    missing_total: int | None
    looked_at: int
    regions: list[Region]
    wanted: Ids
    unwanted: Ids
    keys_on: str | None


class Drift(Comparison):
    """Against an earlier version of the same set."""

    added: int
    removed: int
    kept: int


class Group(TypedDict):
    """An annotated group, see :func:`debias.auditing.groups.audit_groups`."""

    group: str
    state: str
    count: int | None
    share: Number
    low: Number
    high: Number
    declared: Number
    missing: int | None
    verdict: str | None
    p_adjusted: Number
    auc: Number
    auc_low: Number
    auc_high: Number
    weight_share: Number
    raised: bool | None
    set_aside: int | None
    set_aside_share: Number


class NamedGroup(Group):
    attribute: str


class Attribute(TypedDict):
    attribute: str
    declared: bool
    rows: list[Group]


class Groups(TypedDict):
    source: str
    attributes: list[Attribute]
    crossings: list[Group]
    sentences: list[str]
    comparisons: int
    news: list[News]


class Findings(TypedDict):
    """What an audit of values finds; the worst verdict first."""

    fidelity: NotRequired[Fidelity | None]
    coverage: Coverage
    regions: ThinRegions
    directions: list[Direction]
    clusters: list[Cluster]
    map: LatentMap
    extremes: Extremes
    anomalies: Anomalies | None
    latent_pages: LatentPages | None
    reference: Comparison | None
    drift: Drift | None
    groups: Groups | None
    verdicts: list[Verdict]
    limits: list[str]


class Data(TypedDict):
    name: str
    place: str
    annotation: str
    source: NotRequired[str]
    images: int
    splits: dict[str, int]
    image_size: int
    attributes: list[str]
    known: NotRequired[list[str]]
    suppress_below: NotRequired[int]
    set_aside: SetAside


class Run(TypedDict):
    folder: str
    artifacts: NotRequired[dict[str, str]]
    seconds: dict[str, float]
    device: str
    precision: NotRequired[str]
    threads: NotRequired[int]
    config: dict[str, object]
    mlflow: str | None
    unpublished: NotRequired[str]  # what the tracker lacks, and how it gets it


class About(TypedDict):
    """What was audited, and how."""

    schema: int
    name: str
    version: str
    data: Data
    representation: Representation
    density: Mapping[str, object]


class Document(Findings, About):
    created: str
    run: Run


class Wanted(TypedDict):
    """What to collect: ``goal`` is the share aimed at, ``link`` tells more on the page.

    ``missing`` while all others stay as they are, ``together`` where all are filled at once.
    """

    who: str
    missing: int
    low: int | None
    high: int | None
    together: int | None
    share: Number
    goal: Number
    p_adjusted: Number
    ids: Ids
    link: str


def every_row(groups: Groups | None, *, crossed: bool = True) -> Iterator[NamedGroup]:
    """Rows of single attributes, then of crossings, worst first, each with its ``attribute``."""
    if groups is None:
        return
    for attribute in groups["attributes"]:
        for row in attribute["rows"]:
            yield {**row, "attribute": attribute["attribute"]}
    for row in groups["crossings"] if crossed else ():
        parts = (part.partition(":")[0] for part in row["group"].split(" x "))
        yield {**row, "attribute": " x ".join(parts)}


def by_attribute(groups: Groups | None) -> dict[str, list[NamedGroup]]:
    """The same rows, of each attribute and of the crossing."""
    found: dict[str, list[NamedGroup]] = {}
    for row in every_row(groups):
        found.setdefault(row["attribute"], []).append(row)
    return found

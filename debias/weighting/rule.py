"""What a weighting says it needs, what it may ask for, and what it is given.

``n`` training faces, ``c`` target sets, ``m`` faces of a reference.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, Literal, TypeVar, get_args

import numpy as np
from jaxtyping import Float64, Int64, Shaped

from debias import density
from debias.density import DensityEstimator
from debias.plugins import Settings, dump
from debias.statistics.groupings import CROSS, UNKNOWN
from debias.types import FaceStore, Latents, Rarity, TrainingTable
from debias.weighting.weights import SamplingWeights

Need = Literal["density", "reference", "groups", "latents", "images"]
NEEDS = get_args(Need)
Table = tuple[TrainingTable, dict[str, Any]]
T = TypeVar("T")


@dataclass(frozen=True)
class Found(Generic[T]):
    """Something finished: the content key of what it is, and how to load it."""

    key: str
    load: Callable[[], T]


@dataclass(frozen=True)
class Reference:
    """The unlabelled faces that say what the data should look like, and where they lie."""

    faces: FaceStore
    latents: Callable[[], Latents]


@dataclass(frozen=True)
class Ratio:
    """Log ratio of each target set to the training faces, (n, c), and figures about it."""

    population: Float64[np.ndarray, "n c"]
    figures: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Context:
    """The training faces of a run, and what can be found out about them.

    Attributes:
        faces: The store; its split ``train`` is weighed.
        seed: Of the run.
        density: Of the recipe, drawing by the seed of the run where it draws.
        latents: Of the training faces.
        reference: The second data set; a ConfigError without one.
        reference_ratio: Of the reference, by networks trained on images.
        group_ratio: Likewise of every annotated group, in sorted order; takes (n,) groups.
    """

    faces: FaceStore
    seed: int
    density: DensityEstimator
    latents: Found[Latents]
    reference: Callable[[], Found[Reference]]
    reference_ratio: Callable[[], Found[Ratio]]
    group_ratio: Callable[[Shaped[np.ndarray, " n"]], Found[Ratio]]

    @property
    def rows(self) -> Int64[np.ndarray, " n"]:
        return self.faces.rows("train")

    @property
    def labels(self) -> Int64[np.ndarray, " n"]:
        return self.faces.labels(self.rows)

    def table(self, **known: Any) -> TrainingTable:  # noqa: ANN401 (fields of the table)
        ids = self.faces.ids(self.rows)
        return TrainingTable(sample_ids=ids, labels=self.labels, **known)


@dataclass(frozen=True)
class Given:
    """What a weighting is given, not computed before it is asked for.

    Attributes:
        table: Makes the table, and plain values about how it came about.
        settings: What the table depends on beside the rule.
        inputs: Content keys of the artifacts that it depends on, beside the faces.
    """

    table: Callable[[], Table]
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


class Rule(Settings):
    """A weighting: says what it needs, and makes weights of what it is given.

    ``needs`` opens the table's fields: ``density`` the score (how rare a face is), ``reference``
    the score too (how much more the reference has of its kind), ``groups``, ``latents`` and
    ``images``. Sample ids and labels are always there. A rule with wishes of its own says in
    ``score`` how the table is made.
    """

    needs: ClassVar[frozenset[Need]] = frozenset()

    name: str

    def score(self, context: Context) -> Given:
        """The table of this rule, with what decides it.

        Raises:
            PipelineError: Something that it needs is not there.
        """
        scored = bool(self.needs & {"density", "reference"})
        settings = {"density": dump(context.density)} if scored else {}
        inputs = {"latents": context.latents.key} if scored or "latents" in self.needs else {}
        if "reference" in self.needs:
            inputs["reference"] = context.reference().key
        return Given(lambda: self._table(context), settings, inputs)

    def _table(self, context: Context) -> Table:
        known: dict[str, Any] = {}
        about: dict[str, Any] = {}
        if "groups" in self.needs and context.faces.attributes:
            known["groups"] = crossed(context.faces)
        if "latents" in self.needs:
            known["latents"] = context.latents.load().mean
        if "images" in self.needs:
            known["images"] = context.faces.images[context.rows]
        if self.needs & {"density", "reference"}:
            found = self._score(context)
            known["score"], about = found.score, dict(found.about)
        return context.table(**known), about

    def _score(self, context: Context) -> Rarity:
        own = context.latents.load()
        if "density" in self.needs:
            return density.rarity(context.density, own, context.labels, alpha=0.01)
        wanted = context.reference().load().latents()
        return density.log_ratio(context.density, own, wanted, context.labels, alpha=0.01)

    def weights(self, table: TrainingTable) -> SamplingWeights:
        """How often each row of the table is drawn.

        Raises:
            WeightError: The weights cannot be built or rest on too few samples.
        """
        raise NotImplementedError(f"the weighting {self.name!r} has no method 'weights'")


class Uniform(Rule):
    """Every sample equally likely: plain training, what every other rule is compared with."""

    name: Literal["uniform"] = "uniform"

    def weights(self, table: TrainingTable) -> SamplingWeights:
        even = np.full(len(table.sample_ids), 1 / len(table.sample_ids))
        return SamplingWeights(
            sample_ids=table.sample_ids, probability=even, origin={"rule": self.name}
        )


def crossed(faces: FaceStore, columns: tuple[str, ...] = ()) -> Shaped[np.ndarray, " n"]:
    """Group of every training face: its attribute values, crossed; empty where one is unknown."""
    groups = faces.groups(faces.rows("train"))
    groups = groups[list(columns or groups.columns)]
    if groups.empty:
        return np.full(len(groups), "all")
    text = groups.agg(CROSS.join, axis=1).to_numpy(dtype=str)
    return np.where((groups == UNKNOWN).any(axis=1), "", text)

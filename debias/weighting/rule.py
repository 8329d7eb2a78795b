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
from debias.own import Own, require
from debias.plugins import Settings, dump
from debias.statistics.groupings import CROSS, UNKNOWN
from debias.types import FaceStore, Latents, Rarity, TrainingTable
from debias.weighting.membership import restated
from debias.weighting.weights import SamplingWeights, check

Need = Literal["density", "reference", "groups", "elsewhere", "latents", "images"]
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


@dataclass(frozen=True)
class Foreign:
    """Chance (n, g) of groups annotated elsewhere if all were equally common, and figures."""

    even: Float64[np.ndarray, "n g"]
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
        elsewhere: The groups annotated in another data set; a ConfigError without one.
    """

    faces: FaceStore
    seed: int
    density: DensityEstimator
    latents: Found[Latents]
    reference: Callable[[], Found[Reference]]
    reference_ratio: Callable[[], Found[Ratio]]
    group_ratio: Callable[[Shaped[np.ndarray, " n"]], Found[Ratio]]
    elsewhere: Callable[[], Found[Foreign]]

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
    """What a weighting is given.

    ``table`` makes the table, and plain values about how it came about; ``settings`` are what it
    depends on beside the rule, ``inputs`` keys of the artifacts it depends on beside the faces.
    """

    table: Callable[[], Table]
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


class Rule(Settings):
    """A weighting: says what it needs, and makes weights of what it is given.

    ``needs`` opens the table's fields: ``density`` the score (how rare a face is), ``reference``
    the score too (how much more the reference has of its kind), ``groups``, ``elsewhere`` the
    membership in groups annotated in another data set, ``latents`` and ``images``. Sample ids and
    labels are always there. A rule with wishes of its own says in ``estimator`` and ``scored`` how
    the score is made, or in ``score`` how the whole table is.
    """

    needs: ClassVar[frozenset[Need]] = frozenset()

    name: str

    @property
    def blind(self) -> bool:
        """Whether it never looks at latents, so that its arm need not wait for any."""
        looks = self.needs & {"density", "reference", "latents"}
        return not looks and type(self).score is Rule.score

    def score(self, context: Context) -> Given:
        """The table of this rule, with what decides it.

        Raises:
            PipelineError: Something that it needs is not there.
        """
        scored = bool(self.needs & {"density", "reference"})
        settings = {"density": dump(self.estimator(context))} if scored else {}
        inputs = {"latents": context.latents.key} if scored or "latents" in self.needs else {}
        if "reference" in self.needs:
            inputs["reference"] = context.reference().key
        if "elsewhere" in self.needs:
            inputs["elsewhere"] = context.elsewhere().key
        return Given(lambda: self._table(context), settings, inputs)

    def _table(self, context: Context) -> Table:
        known: dict[str, Any] = {}
        about: dict[str, Any] = {}
        if "groups" in self.needs and context.faces.attributes:
            known["groups"] = crossed(context.faces)
        if "elsewhere" in self.needs:
            foreign = context.elsewhere().load()
            known["membership"] = restated(foreign.even, context.labels)
            about["elsewhere"] = dict(foreign.figures)
        if "latents" in self.needs:
            known["latents"] = context.latents.load().mean
        if "images" in self.needs:
            known["images"] = context.faces.images[context.rows]
        if self.needs & {"density", "reference"}:
            found = self.scored(context, self.estimator(context))
            known["score"], about = found.score, about | dict(found.about)
        return context.table(**known), about

    def estimator(self, context: Context) -> DensityEstimator:
        """What the score is made with."""
        return context.density

    def scored(self, context: Context, estimator: DensityEstimator) -> Rarity:
        """How rare each face is; of a reference, how much more it has of each."""
        own = context.latents.load()
        if "density" in self.needs:
            return density.rarity(estimator, own, context.labels, alpha=0.01)
        wanted = context.reference().load().latents()
        return density.log_ratio(estimator, own, wanted, context.labels, alpha=0.01)

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


class OwnWeighting(Own, Rule):  # type: ignore[misc]
    """A function of :class:`debias.types.TrainingTable` that returns (n,) weights, any total.

    What the table holds beside ``sample_ids`` and ``labels`` the function asks for by an attribute:
    ``rule.needs = {"density"}``, see :class:`Rule`.
    """

    @property
    def needs(self) -> frozenset[Need]:  # type: ignore[override]
        asked = frozenset(getattr(self.given, "needs", ()))
        strange = sorted(map(str, asked - set(NEEDS)))
        require(not strange, self.called, f"its needs {strange} are unknown; known: {list(NEEDS)}")
        return asked

    def weights(self, table: TrainingTable) -> SamplingWeights:
        """What the function returns, brought to sum 1.

        Raises:
            ConfigError: It returned something else than (n,) weights, or only zeros.
            WeightError: A weight is negative or not finite, or they rest on too few samples.
        """
        found = np.asarray(self.given(table), dtype=np.float64)
        size = (len(table.sample_ids),)
        require(found.shape == size, self.called, f"weights of shape {size}, got {found.shape}")
        total = found.sum()
        require(bool(total), self.called, "its weights sum to 0")
        origin = {"rule": self.name, "called": self.called}
        weights = SamplingWeights(
            sample_ids=table.sample_ids, probability=found / total, origin=origin
        )
        return check(weights, allow_degenerate=False, remedy="make them more even")


def crossed(faces: FaceStore, columns: tuple[str, ...] = ()) -> Shaped[np.ndarray, " n"]:
    """Group of every training face: its attribute values, crossed; empty where one is unknown."""
    groups = faces.groups(faces.rows("train"))
    groups = groups[list(columns or groups.columns)]
    if groups.empty:
        return np.full(len(groups), "all")
    text = groups.agg(CROSS.join, axis=1).to_numpy(dtype=str)
    return np.where((groups == UNKNOWN).any(axis=1), "", text)

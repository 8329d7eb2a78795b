"""The recipe of a run: one frozen tree, read from one YAML file, unknown keys refused."""

import copy
import re
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, Self, TypeVar, get_args

import pandas as pd
from pydantic import (
    AfterValidator,
    Field,
    TypeAdapter,
    ValidationError,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from debias.auditing.rules import AuditRules
from debias.datasets import DATASETS, Dataset, Population, SyntheticFaces
from debias.density import DENSITIES, DensityEstimator, HistogramDensity, compares
from debias.errors import ConfigError
from debias.ingesting.rules import FacesRecipe
from debias.ingesting.selection import Filters
from debias.metrics import Rules
from debias.models import (
    CLASSIFIERS,
    REPRESENTATIONS,
    ConvClassifier,
    Embeddings,
    Representation,
)
from debias.models.own import OwnClassifier, OwnRepresentation
from debias.plugins import OneOf, Settings, dump, members
from debias.statistics.looks import Looks
from debias.storage.documents import read_yaml
from debias.tracking.tracker import TrackingOptions
from debias.training.batches import Augmentation
from debias.training.device import Device, Precision
from debias.training.loop import Training
from debias.training.objectives import OBJECTIVES, Objective
from debias.training.objectives.erm import ERM
from debias.training.objectives.objective import GROUP_USES, GroupUse
from debias.types import BASELINE, Rejected
from debias.weighting import WEIGHTINGS, Generated, Weighting
from debias.weighting.image_ratio import DiscriminatorRecipe
from debias.weighting.rule import OwnWeighting

R = TypeVar("R", bound=Settings)
Place = tuple[str, ...]
BUILT_IN = "the built-in configuration"
SUGGESTED = 3  # places named at most
Keep = Literal["last", "mean", "worst_class", "worst_group"]
DEMO_ARMS = {"uniform": "uniform", "latent": "latent_rarity", "groups": "group_balance"}


class RepresentationRecipe(Settings):
    """How the latent space is learned."""

    model: Annotated[
        Representation, OneOf("representation", REPRESENTATIONS, OwnRepresentation.of)
    ] = Field(
        default=REPRESENTATIONS["conv_vae"](latent_dim=16),
        description="A network to train, or an encoder or embeddings that exist already.",
    )
    training: Training = Field(default=Training(epochs=8), description="Its optimisation.")
    augmentation: Augmentation = Field(default=Augmentation(), description="Random views.")
    side: int | None = Field(
        default=None,
        ge=8,
        exclude_if=lambda side: side is None,  # artifacts from before it was there are still found
        description="Side of the images as it sees them: blocks of pixels are averaged as long as "
        "so many are left. Fewer take less time, and what tells people apart is often larger than "
        "a pixel. Empty: image_size.",
    )

    @model_validator(mode="after")
    def _places(self) -> "RepresentationRecipe":
        self.model.require_places()
        return self


class ClassifierRecipe(Settings):
    """How every arm's classifier is trained; the same for all arms."""

    model: Annotated[ConvClassifier, OneOf("classifier", CLASSIFIERS, OwnClassifier.of)] = Field(
        default=ConvClassifier(width=8), description="The network."
    )
    training: Training = Field(
        default=Training(epochs=3, learning_rate=3e-3), description="Its optimisation."
    )
    augmentation: Augmentation = Field(default=Augmentation(flip=True), description="Random views.")
    keep: Keep = Field(
        default="last",
        description="Which epoch's network is kept: the 'last', or that with the best accuracy on "
        "validation images: the 'mean', of the 'worst_class', or of the 'worst_group' of class and "
        "annotated attributes, which then decide.",
    )


class OtherFaces(Settings):
    """Faces of a second data set.

    Those that are also in the main data set (any split) are left out, by content.
    """

    data: Annotated[Dataset, OneOf("data set", DATASETS)] = Field(
        description="Where the other faces come from; labels are not read."
    )
    filters: Filters = Field(
        default={}, description="Column: list of values to keep, or {min, max}."
    )
    even_over: tuple[str, ...] = Field(
        default=(),
        description="Columns in whose crossed cells equally many faces are drawn; empty: any.",
    )
    most: int | None = Field(
        default=None, ge=20, description="Faces drawn, evenly over those cells; empty: all."
    )


class ReferenceRecipe(OtherFaces):
    """An unlabelled set of faces that says what the training set should look like."""


class ElsewhereRecipe(OtherFaces):
    """Another collection, in which the groups are annotated that here nobody annotated."""

    groups: str = Field(description="Column that holds the group of each face there.")


class EarlierRecipe(Settings):
    """An earlier version of the data, such as a store that was made last year.

    The images that both versions hold are told by their content. Only an audit looks at it.
    """

    data: Annotated[Dataset, OneOf("data set", DATASETS)] = Field(
        description="Where the earlier faces come from; their labels are never read."
    )
    filters: Filters | None = Field(
        default=None,
        description="Column: list of values to keep, or {min, max}; empty: those of the data.",
    )


class AutoSeeds(Settings):
    """Trainings are added until every primary question is answered, or there are the most.

    Every number of trainings from the least to the most is a look; together they err no more often
    than a single one would (see :mod:`debias.statistics.looks`).
    """

    name: Literal["auto"] = "auto"
    least: int = Field(default=3, ge=2, description="Trainings of every arm before the first look.")
    most: int = Field(default=10, ge=3, le=30, description="Trainings of every arm at most.")

    @model_validator(mode="after")
    def _room_between(self) -> Self:
        if self.least >= self.most:
            raise ValueError(
                f"the least number of trainings, {self.least}, must be below the most, {self.most}"
            )
        return self

    @property
    def looks(self) -> Looks:
        return Looks(self.least, self.most)


_NUMBER = TypeAdapter(Annotated[int, Field(ge=1, le=100)])
# A number of trainings, `auto`, or `{name: auto, least: 3, most: 10}`.
Seeds = Annotated[
    int | AutoSeeds,
    OneOf("way to choose seeds", {"auto": AutoSeeds}, _NUMBER.validate_python),
    WithJsonSchema(
        {
            "anyOf": [
                _NUMBER.json_schema(),
                {"type": "string", "enum": ["auto"]},
                AutoSeeds.model_json_schema(),
            ]
        }
    ),
]


def _at_work(value: int | str) -> int | str:
    if str(value).isdecimal() and 1 <= int(value) <= MOST_WORKERS:
        return int(value)
    if isinstance(value, str) and _SCHEDULER.fullmatch(value):
        return value
    raise ValueError(
        f"a number of workers, 1 to {MOST_WORKERS}, or the address of a Dask scheduler, as "
        f"tcp://host:8786, is needed, got {value!r}"
    )


MOST_WORKERS = 256
_SCHEDULER = re.compile(r"(tcp|tls|ws|wss)://(\[[0-9A-Fa-f:.]+\]|[^\s/:]+)(:\d{1,5})?")
Workers = Annotated[int | str, AfterValidator(_at_work)]


class SpaceRecipe(FacesRecipe):
    """From a store of faces to its latent space: what a run and an audit share."""

    device: Device = Field(default="auto", description="Where to compute.")
    precision: Precision = Field(default="auto", description="How networks multiply.")
    workers: Workers = Field(
        default=1,
        exclude=True,  # it decides no result, so it stands in no key
        description="Pieces of work done at the same time: 1 in this process, more by so many "
        "processes, or the address of a Dask scheduler whose workers see the same folders.",
    )
    representation: RepresentationRecipe = RepresentationRecipe()
    density: Annotated[DensityEstimator, OneOf("density", DENSITIES)] = Field(
        default=HistogramDensity(), description="How the latent space is measured."
    )
    reference: ReferenceRecipe | None = Field(
        default=None, description="Unlabelled set that says what the data should look like."
    )
    earlier: EarlierRecipe | None = Field(
        default=None, description="An earlier version of the data: what has changed since."
    )
    audit: AuditRules = AuditRules()
    tracking: TrackingOptions = TrackingOptions()

    @model_validator(mode="after")
    def _model_suits(self) -> Self:
        """Said before an image is read, not once all are."""
        model, known = self.representation.model, [self.label, *self.attributes]
        try:
            model.require_size(self.seen_side)
        except ConfigError as error:
            raise ValueError(str(error)) from error
        if model.told_column and model.told_column not in known:
            raise ValueError(
                f"representation.model.condition is {model.told_column!r}, which is neither the "
                f"label nor one of the attributes: name one of {list(filter(None, known))}, or add "
                "it to attributes"
            )
        return self

    @property
    def seen_side(self) -> int:
        """Pixels a side of the images as the representation sees them."""
        whole = self.image_size
        least = self.representation.side or whole
        return next((side for side in range(least, whole) if whole % side == 0), whole)

    @property
    def encoder(self) -> Representation:
        """The representation; annotations make none, not even by standing in a file of it."""
        model, labels = self.representation.model, [self.label] if self.label else []
        if not isinstance(model, Embeddings):
            return model
        return model.blind_to([*labels, *self.attributes])

    @property
    def placed(self) -> tuple[str, ...]:
        """Splits whose images are placed in the latent space."""
        return self.audit.splits

    def unplaced(self, samples: pd.DataFrame) -> list[Rejected]:
        if not isinstance(self.encoder, Embeddings):
            return []
        placed = samples["split"].isin(self.placed) if "split" in samples else slice(None)
        return self.encoder.lacking(samples[placed])


class RunConfig(SpaceRecipe):
    """Everything that decides the result of a run. The defaults are the demo."""

    name: str = Field(
        default="demo", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Name of the run."
    )
    data: Annotated[Dataset, OneOf("data set", DATASETS)] = Field(
        default=SyntheticFaces(population=Population(dark_share=0.05)),
        description="Where the faces come from.",
    )
    representation: RepresentationRecipe = RepresentationRecipe(
        side=32, training=Training(epochs=5)
    )
    label: str = Field(default="smiling", description="Column that the classifier predicts.")
    attributes: tuple[str, ...] = Field(
        default=("skin_tone_group",),
        description="Annotated columns by which results are broken down; a model sees none, "
        "but one whose condition names it.",
    )
    arms: dict[str, Annotated[Weighting, OneOf("weighting", WEIGHTINGS, OwnWeighting.of)]] = Field(
        default={arm: WEIGHTINGS[name]() for arm, name in DEMO_ARMS.items()},
        min_length=1,
        description="Weightings to compare, by name; 'uniform' is the baseline.",
    )
    objectives: dict[str, Annotated[Objective, OneOf("objective", OBJECTIVES)]] = Field(
        default={},
        description="What arms are trained for, by name of the arm; others by plain training. One "
        "that is no arm yet draws every image equally often.",
    )
    elsewhere: ElsewhereRecipe | None = Field(
        default=None,
        description="Another collection in which groups are annotated, for arms 'elsewhere'.",
    )
    seeds: Seeds = Field(
        default=8,
        description="Trainings of every arm, 1 to 100; 'auto' adds some until every primary "
        "question is answered.",
    )
    classifier: ClassifierRecipe = ClassifierRecipe()
    discriminator: DiscriminatorRecipe = DiscriminatorRecipe()
    evaluation: Rules = Rules()

    @property
    def placed(self) -> tuple[str, ...]:
        return ("train",)

    @property
    def looks(self) -> Looks | None:
        """After which trainings questions may be judged; None where their number is fixed."""
        return self.seeds.looks if isinstance(self.seeds, AutoSeeds) else None

    def objective(self, arm: str) -> Objective:
        return self.objectives.get(arm, ERM())

    def drawn(self, arm: str) -> Weighting:
        """By what the images of an arm are drawn until its network says otherwise."""
        return WEIGHTINGS[BASELINE]() if self.objective(arm).joint else self.arms[arm]

    @property
    def generating(self) -> dict[str, Generated]:
        """The arms whose training sets are filled with generated images."""
        return {arm: rule for arm, rule in self.arms.items() if isinstance(rule, Generated)}

    def group_labels(self, arm: str) -> GroupUse:
        """Where annotated groups decide on the network of an arm: by weights, objective, choice."""
        weighed: GroupUse = "training" if "groups" in self.arms[arm].needs else "no"
        return max(weighed, self._trained_by_groups(arm), key=GROUP_USES.index)

    def _trained_by_groups(self, arm: str) -> GroupUse:
        chosen: GroupUse = "selection" if self.classifier.keep == "worst_group" else "no"
        return max(self.objective(arm).uses_groups, chosen, key=GROUP_USES.index)

    @model_validator(mode="before")
    @classmethod
    def _arms_of_objectives(cls, given: object) -> object:
        if not isinstance(given, Mapping) or not isinstance(given.get("objectives"), Mapping):
            return given
        arms = given.get("arms", cls.model_fields["arms"].default)
        if not isinstance(arms, Mapping):
            return given
        more = {
            arm: _usual_weighting(one)
            for arm, one in given["objectives"].items()
            if arm not in arms
        }
        return {**given, "arms": {**arms, **more}}

    @model_validator(mode="after")
    def _baseline_is_plain(self) -> "RunConfig":
        if self.objective(BASELINE) != ERM():
            raise ValueError(
                f"arm {BASELINE!r} is plain training, with which the others are compared, and "
                f"objectives.{BASELINE} names {self.objective(BASELINE).name!r}: name that by "
                "another arm"
            )
        return self

    @model_validator(mode="after")
    def _groups_named(self) -> "RunConfig":
        asking = [arm for arm in self.arms if self._trained_by_groups(arm) != "no"]
        if asking and not self.attributes:
            raise ValueError(
                f"arm {asking[0]!r} reads annotated groups (objective "
                f"{self.objective(asking[0]).name!r}, classifier.keep {self.classifier.keep!r}), "
                "and attributes names no column: name one, or choose an objective without groups"
            )
        return self

    @model_validator(mode="after")
    def _weighed_by_latents(self) -> "RunConfig":
        for arm, rule in self.arms.items():
            if self.objective(arm).joint and not rule.needs <= {"density", "latents"}:
                asked = ", ".join(sorted(rule.needs))
                raise ValueError(
                    f"arm {arm!r} is trained by {self.objective(arm).name!r}, whose weights are "
                    f"made of its own latents, and {rule.name!r} asks for {asked}: name a "
                    "weighting that asks for the density alone, such as latent_rarity"
                )
        return self

    @model_validator(mode="after")
    def _images_generated(self) -> "RunConfig":
        model = self.representation.model
        for arm in self.generating:
            if not model.draws:
                raise ValueError(
                    f"arm {arm!r} fills its training set with images that the representation "
                    f"draws, and {model.name!r} draws none: set representation.model to one with a "
                    "decoder, such as conv_vae, conditional_vae, vae_gan, or gan with encoder "
                    "inverted"
                )
            if self.objective(arm) != ERM():
                raise ValueError(
                    f"arm {arm!r} trains with generated images, which only plain training takes, "
                    f"and objectives.{arm} names {self.objective(arm).name!r}: name that by "
                    "another arm"
                )
        return self

    @model_validator(mode="after")
    def _second_sets_given(self) -> "RunConfig":
        for part in ("reference", "elsewhere"):
            missing = [name for name, rule in self.arms.items() if part in rule.needs]
            if missing and getattr(self, part) is None:
                raise ValueError(f"arm {missing[0]!r} needs a second data set under {part!r}")
        unknown = [
            (name, column)
            for name, rule in self.arms.items()
            for column in getattr(rule, "by", ())
            if column not in self.attributes
        ]
        if unknown:
            name, column = unknown[0]
            raise ValueError(
                f"arm {name!r} balances by {column!r}, which is not one of the attributes "
                f"{list(self.attributes)}"
            )
        return self

    @model_validator(mode="after")
    def _density_suits(self) -> "RunConfig":
        rarity = [name for name, rule in self.arms.items() if "density" in rule.needs]
        if rarity and compares(self.density):
            raise ValueError(
                f"density {self.density.name!r} compares with a reference, but arm {rarity[0]!r} "
                "asks for rarity; choose another density, or the weighting reference_ratio"
            )
        views = {view for name in rarity for view in getattr(self.arms[name], "views", ())}
        if getattr(self.density, "needs_spread", False) and views - {"latents"}:
            raise ValueError(
                f"density {self.density.name!r} needs the posterior variance of every sample, "
                f"which the views {sorted(views - {'latents'})} do not have; choose another density"
            )
        return self

    @field_validator("arms")
    @classmethod
    def _named_plainly(cls, arms: dict[str, Weighting]) -> dict[str, Weighting]:
        bad = [name for name in arms if not name.replace("_", "").replace("-", "").isalnum()]
        if bad:
            raise ValueError(f"arm names hold letters, digits, '-' and '_' only, got {bad}")
        return arms


def _usual_weighting(objective: object) -> str:
    """Of an arm for which a recipe names an objective and no weighting."""
    name = objective.get("name") if isinstance(objective, Mapping) else objective
    kind = OBJECTIVES.own.get(str(getattr(objective, "name", name)))
    return "latent_rarity" if kind is not None and kind.joint else BASELINE


def load(
    kind: type[R],
    source: Path | Mapping[str, Any] | None = None,
    overrides: Sequence[str] = (),
    *,
    called: str = "the recipe",
    defaults: bool = False,
) -> R:
    """A recipe, with ``section.key=value`` applied; relative paths count from the current folder.

    Args:
        kind: Of a run, an audit or a store; what only a run has is left alone by the others.
        source: YAML file, or plain values; None for the built-in demo.
        overrides: Settings that a person gave.
        called: How messages call plain values.
        defaults: Nobody wrote the values: where an override names another plug-in, the settings of
            the one in its place go with it.

    Raises:
        ConfigError: The file is missing or no YAML mapping; or every setting that is wrong, with
            its place and what would be valid.
    """
    if source is None:
        source, called, defaults = demo(), BUILT_IN, True
    elif isinstance(source, Path):
        source, called = read_recipe(source, kind), str(source)
    tree = copy.deepcopy(part_of(source, kind))
    given = [_override(text) for text in overrides]
    for keys, value in given:
        if defaults and keys[1:] and keys[-1] == "name":
            put(tree, keys[:-1], _switched(tree, keys[:-1], value))
    named = [keys[:-1] for keys, _ in given if keys[-1] == "name"]
    for keys, value in given:
        put(tree, keys, value, {} if keys[:-1] in named else defaults_of(kind))
    try:
        return kind.model_validate(tree)
    except ValidationError as error:
        typed = {tuple(keys) for keys, _ in given}
        told: dict[str, list[str]] = {}
        for detail in error.errors():
            own = _written(detail["loc"], tree) in typed  # said in the terminal, not in the source
            told.setdefault("--set" if own else called, []).append(_problem(kind, tree, detail))
        said = (f"{place}: {'; '.join(problems)}" for place, problems in told.items())
        raise ConfigError("; ".join(said)) from error


def demo() -> dict[str, Any]:
    return dump(RunConfig())


def read_recipe(path: Path, kind: type[Settings] = RunConfig) -> dict[str, Any]:
    """The tree in a YAML file, named like it unless of a run; ConfigError if it is no mapping."""
    try:
        tree = read_yaml(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the config {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{path} holds bytes that are no text (at byte {error.start}); a recipe is a text "
            "file, as debias init writes one"
        ) from error
    except ValueError as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must hold a mapping of settings, got {type(tree).__name__}")
    return tree if kind is RunConfig else {"name": path.stem} | part_of(tree, kind)


def part_of(tree: Mapping[str, Any], kind: type[Settings]) -> dict[str, Any]:
    """What a recipe says beside what only a run has; a misspelt key stays, to be told."""
    others = set(RunConfig.model_fields) - set(kind.model_fields)
    return {key: value for key, value in tree.items() if key not in others}


def _override(text: str) -> tuple[list[str], Any]:
    place, separator, value = text.partition("=")
    keys = place.strip().split(".")
    if not separator or not all(keys):
        raise ConfigError(f"--set needs section.key=value, got {text!r}")
    try:
        return keys, read_yaml(value)
    except ValueError as error:
        raise ConfigError(
            f"--set {place}: {value!r} is not a valid YAML value ({error})"
        ) from error


def defaults_of(kind: type[Settings]) -> dict[str, Any]:
    """What counts where a recipe says nothing, section by section."""
    values = {name: field.get_default() for name, field in kind.model_fields.items()}
    parts = {name: value for name, value in values.items() if isinstance(value, Settings | dict)}
    return {
        name: dump(part) if isinstance(part, Settings) else {k: dump(v) for k, v in part.items()}
        for name, part in parts.items()
    }


def put(
    tree: dict[str, Any], keys: Sequence[str], value: object, default: object = MappingProxyType({})
) -> None:
    """Change one setting of a tree, in a section that is missing beside its defaults.

    ConfigError where a value stands in place of a section.
    """
    node = tree
    for key in keys[:-1]:
        default = default.get(key) if isinstance(default, Mapping) else None
        child = node.setdefault(key, copy.deepcopy(default) if isinstance(default, dict) else {})
        if child is None or isinstance(child, str):  # the short form `density: histogram`
            child = node[key] = {} if child is None else {"name": child}
        if not isinstance(child, dict):
            raise ConfigError(f"--set {'.'.join(keys)}: {key!r} holds a value, not a section")
        node = child
    node[keys[-1]] = value


def _switched(tree: Mapping[str, Any], place: Sequence[str], name: object) -> object:
    """A section whose ``name`` changes: what its old name meant is gone."""
    section = _at(tree, place)
    switched = isinstance(section, Mapping) and section.get("name") != name
    return {"name": name} if switched else section


def _at(tree: object, place: Sequence[str]) -> object:
    """What stands at a place; None if nothing does."""
    for key in place:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree


def _problem(kind: type[Settings], tree: Mapping[str, Any], detail: ErrorDetails) -> str:
    """One problem that pydantic found in ``tree``, with the key that was probably meant."""
    place = _written(detail["loc"], tree)
    name = ".".join(place)
    if detail["type"] == "extra_forbidden":
        return f"{name}: unknown key{_guess(place, list(_places(kind, tree)))}"
    given, beside = detail["input"], _at(tree, place[:-1])
    nameless = isinstance(given, Mapping) and "name" not in given
    if detail["type"] == "unknown_name" and nameless and isinstance(beside, Mapping):
        name += _guess(place, [(*place[:-1], str(key)) for key in beside])
    if detail["type"] == "string_type" and isinstance(given, bool):
        return f"{name}: text is wanted here, so put it in quotes: '{str(given).lower()}'"
    if detail["type"] in {"list_type", "tuple_type"} and isinstance(given, str | float | int):
        parts = ", ".join(part.strip() for part in str(given).split(","))
        return f"{name}: a list is wanted here, so put it in brackets: [{parts}]"
    message = detail["msg"].removeprefix("Value error, ")
    shown = detail["type"] not in {"unknown_name", "missing", "value_error"}
    called = f"{name}: " if name else ""  # of a whole recipe, the message names the settings
    return called + message + (f", got {given!r}" if shown else "")


def _written(loc: Sequence[str | int], tree: object) -> Place:
    """A place as a person writes it: pydantic adds the name of each plug-in."""
    found: list[str] = []
    for number, part in enumerate(loc):
        inside = isinstance(tree, Mapping) and part in tree
        if inside or isinstance(part, int) or number == len(loc) - 1:
            found.append(str(part))
            tree = tree[part] if inside else None  # type: ignore[index]
    return tuple(found)


def _guess(place: Place, known: Sequence[Place]) -> str:
    """The keys that come closest, those beside it first; nothing if none does."""
    *above, key = place
    beside = [one[-1] for one in known if list(one[:-1]) == above and one != place]
    close = [(*above, name) for name in get_close_matches(key, beside, n=1)]
    if not close:
        names = get_close_matches(key, dict.fromkeys(one[-1] for one in known), n=1, cutoff=0.75)
        close = [one for one in known if one[-1] in names and one != place]
    found = [".".join(one) for one in dict.fromkeys(close)][:SUGGESTED]
    return f" (did you mean {' or '.join(map(repr, found))}?)" if found else ""


def _places(kind: type[Settings], tree: object, above: Place = ()) -> Iterator[Place]:
    """Every key that a recipe may have, given the plug-ins that it names."""
    for name, field in kind.model_fields.items():
        place = (*above, name)
        yield place
        value = tree.get(name) if isinstance(tree, Mapping) else None
        for key, kinds, inside in _inside(field, value):
            yield from [(*place, *key)] if key else []
            for one in kinds:
                yield from _places(one, inside, (*place, *key))


def _inside(
    field: FieldInfo, value: object
) -> Iterator[tuple[Place, list[type[Settings]], object]]:
    """Sections that a field may hold: key below the field if it has one, kinds, what is there."""
    registry = next((one for one in field.metadata if isinstance(one, OneOf)), None)
    parts = get_args(field.annotation)
    of_values = [one for part in parts for one in get_args(part) if isinstance(one, OneOf)]
    if registry is not None:
        yield (), _members(registry, value), value
    elif of_values:  # of dict[str, Annotated[..., OneOf]]
        for key, one in value.items() if isinstance(value, Mapping) else ():
            yield (str(key),), _members(of_values[0], one), one
    else:
        kinds = [one for one in (field.annotation, *parts) if isinstance(one, type)]
        yield (), [one for one in kinds if issubclass(one, Settings)], value


def _members(registry: OneOf, value: object) -> list[type[Settings]]:
    """The plug-in that is named there; every one if none is."""
    name = value.get("name") if isinstance(value, Mapping) else value
    known = members(registry.registry)
    chosen = known.get(name) if isinstance(name, str) else None
    return [chosen] if chosen else list(known.values())

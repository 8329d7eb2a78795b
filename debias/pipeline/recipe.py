"""The recipe of a run: one frozen tree, read from one YAML file, unknown keys refused."""

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from debias.auditing.rules import AuditRules
from debias.datasets import DATASETS, Dataset, Population, SyntheticFaces
from debias.density import DENSITIES, DensityEstimator, HistogramDensity
from debias.errors import ConfigError
from debias.ingesting.rules import FacesRecipe
from debias.ingesting.selection import Filters
from debias.metrics import Rules
from debias.models import (
    CLASSIFIERS,
    REPRESENTATIONS,
    ConvClassifier,
    ConvVAE,
    PooledClassifier,
    Pretrained,
)
from debias.pipeline.misspelt import problem
from debias.plugins import OneOf, Settings
from debias.tracking.tracker import TrackingOptions
from debias.training.device import Device, Precision
from debias.training.loop import Training
from debias.training.views import Augmentation
from debias.weighting import WEIGHTINGS, GroupBalance, LatentRarity, Uniform, Weighting

R = TypeVar("R", bound=Settings)


class RepresentationRecipe(Settings):
    """How the latent space is learned."""

    model: Annotated[ConvVAE | Pretrained, OneOf("representation", REPRESENTATIONS)] = Field(
        default=ConvVAE(latent_dim=16),
        description="A network to train, or an encoder or embeddings that exist already.",
    )
    training: Training = Field(default=Training(epochs=8), description="Its optimisation.")
    augmentation: Augmentation = Field(default=Augmentation(), description="Random views.")


class ClassifierRecipe(Settings):
    """How every arm's classifier is trained; the same for all arms."""

    model: Annotated[ConvClassifier, OneOf("classifier", CLASSIFIERS)] = Field(
        default=ConvClassifier(width=8), description="The network."
    )
    training: Training = Field(
        default=Training(epochs=3, learning_rate=3e-3), description="Its optimisation."
    )
    augmentation: Augmentation = Field(default=Augmentation(flip=True), description="Random views.")


class ReferenceRecipe(Settings):
    """An unlabelled set of faces that says what the training set should look like.

    Faces that are also in the main data set (any split) are left out, by content.
    """

    data: Annotated[Dataset, OneOf("data set", DATASETS)] = Field(
        description="Where the reference faces come from; their labels are never read."
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


class DiscriminatorRecipe(Settings):
    """How small networks learn, from images, what one set has more of than another.

    Used by arms that set ``estimate_on: images``.
    """

    model: Annotated[PooledClassifier, OneOf("classifier", CLASSIFIERS)] = Field(
        default=PooledClassifier(), description="The network."
    )
    training: Training = Field(
        default=Training(epochs=12, weight_decay=0.01), description="Its optimisation."
    )
    augmentation: Augmentation = Field(
        default=Augmentation(flip=True, shift=0.05, scale=0.1, rotation=10, brightness=0.2),
        description="Random views.",
    )
    side: int = Field(
        default=32, ge=16, le=256, description="Side to which images are shrunk first, pixels."
    )
    folds: int = Field(default=4, ge=2, le=20, description="Parts of the cross-fitting.")
    repeats: int = Field(default=3, ge=1, le=50, description="Repetitions of the folds, averaged.")
    style: Literal["as_is", "matched"] = Field(
        default="as_is",
        description="'matched' evens out colour, contrast and sharpness between the data and the "
        "reference first, for a reference from another camera.",
    )


class SpaceRecipe(FacesRecipe):
    """From a store of faces to its latent space: what a run and an audit share."""

    device: Device = Field(default="auto", description="Where to compute.")
    precision: Precision = Field(default="auto", description="How networks multiply.")
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


class RunConfig(SpaceRecipe):
    """Everything that decides the result of a run. The defaults are the demo."""

    name: str = Field(
        default="demo", pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="Name of the run."
    )
    data: Annotated[Dataset, OneOf("data set", DATASETS)] = Field(
        default=SyntheticFaces(population=Population(dark_share=0.05)),
        description="Where the faces come from.",
    )
    label: str = Field(default="smiling", description="Column that the classifier predicts.")
    attributes: tuple[str, ...] = Field(
        default=("skin_tone_group",),
        description="Annotated columns by which results are broken down; never seen by a model.",
    )
    arms: dict[str, Annotated[Weighting, OneOf("weighting", WEIGHTINGS)]] = Field(
        default={"uniform": Uniform(), "latent": LatentRarity(), "groups": GroupBalance()},
        min_length=1,
        description="Weightings to compare, by name; 'uniform' is the baseline.",
    )
    seeds: int = Field(default=5, ge=1, le=100, description="Trainings of every arm.")
    classifier: ClassifierRecipe = ClassifierRecipe()
    discriminator: DiscriminatorRecipe = DiscriminatorRecipe()
    evaluation: Rules = Rules()

    @model_validator(mode="after")
    def _reference_given(self) -> "RunConfig":
        missing = [name for name, rule in self.arms.items() if rule.needs_reference]
        if missing and self.reference is None:
            raise ValueError(f"arm {missing[0]!r} needs a second data set under 'reference'")
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
        rarity = [name for name, rule in self.arms.items() if rule.needs_density]
        if rarity and self.density.name == "ratio":
            raise ValueError(
                f"density 'ratio' compares with a reference, but arm {rarity[0]!r} asks for "
                "rarity; choose another density, or the weighting reference_ratio"
            )
        views = {view for name in rarity for view in getattr(self.arms[name], "views", ())}
        if self.density.name == "aggregate" and views - {"latents"}:
            raise ValueError(
                "density 'aggregate' needs the posterior variance of every sample, which the views "
                f"{sorted(views - {'latents'})} do not have; choose another density"
            )
        return self

    @field_validator("arms")
    @classmethod
    def _named_plainly(cls, arms: dict[str, Weighting]) -> dict[str, Weighting]:
        bad = [name for name in arms if not name.replace("_", "").replace("-", "").isalnum()]
        if bad:
            raise ValueError(f"arm names hold letters, digits, '-' and '_' only, got {bad}")
        return arms


def load_config(path: Path | None = None, overrides: Sequence[str] = ()) -> RunConfig:
    """Read a YAML recipe (without one: the demo) and apply ``section.key=value`` overrides.

    Relative paths inside ``data`` count from the current directory.

    Raises:
        ConfigError: The file is missing or no YAML mapping, or a setting is wrong.
    """
    if path is None:
        return parse_config(demo(), "the built-in configuration", overrides, defaults=True)
    return parse_config(read_recipe(path), str(path), overrides)


def load_space(path: Path, overrides: Sequence[str] = ()) -> SpaceRecipe:
    """The part of a YAML recipe that an audit needs; what only a run needs is left alone.

    Raises:
        ConfigError: The file is missing or no YAML mapping, or a setting is wrong.
    """
    return parse_space(read_recipe(path, SpaceRecipe), overrides)


def parse_config(
    tree: Mapping[str, Any], source: str, overrides: Sequence[str] = (), *, defaults: bool = False
) -> RunConfig:
    """Validate the recipe of a run, with ``section.key=value`` applied first.

    Args:
        tree: Plain values.
        source: What the messages call it.
        overrides: Settings that a person gave.
        defaults: Nobody wrote the tree itself: where an override names another plug-in, the
            settings of the one in its place go with it.

    Raises:
        ConfigError: Listing every problem with its place and what would be valid.
    """
    return _parsed(RunConfig, tree, overrides, source, defaults=defaults)


def parse_space(
    tree: Mapping[str, Any], overrides: Sequence[str] = (), *, defaults: bool = False
) -> SpaceRecipe:
    """Likewise, for the recipe of an audit."""
    return _parsed(SpaceRecipe, tree, overrides, "the settings of the audit", defaults=defaults)


def parse_faces(tree: Mapping[str, Any], overrides: Sequence[str] = ()) -> FacesRecipe:
    """Likewise, for the recipe of a store."""
    return _parsed(FacesRecipe, tree, overrides, "the settings of the store")


def demo() -> dict[str, Any]:
    """The built-in recipe as a tree of plain values."""
    return RunConfig().model_dump(mode="json", serialize_as_any=True)


def read_recipe(path: Path, part: type[Settings] = RunConfig) -> dict[str, Any]:
    """The tree in a YAML file; of a ``part``, without what only a run has, named like the file.

    Raises:
        ConfigError: The file is missing or no YAML mapping.
    """
    tree = _read(path)
    return tree if part is RunConfig else {"name": path.stem} | part_of(tree, part)


def part_of(tree: Mapping[str, Any], part: type[Settings]) -> dict[str, Any]:
    """What a recipe says beside what only a run has; a misspelt key stays, to be told."""
    others = set(RunConfig.model_fields) - set(part.model_fields)
    return {key: value for key, value in tree.items() if key not in others}


def _read(path: Path) -> dict[str, Any]:
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read the config {path}: {error.strerror}") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(tree, dict):
        raise ConfigError(f"{path} must hold a mapping of settings, got {type(tree).__name__}")
    return tree


def _parsed(
    kind: type[R],
    tree: Mapping[str, Any],
    overrides: Sequence[str],
    source: str,
    *,
    defaults: bool = False,
) -> R:
    changed = copy.deepcopy(dict(tree))
    given = [read_override(override) for override in overrides]
    for keys, value in given:
        if defaults and keys[1:] and keys[-1] == "name":
            put(changed, keys[:-1], _switched(changed, keys, value))
    for keys, value in given:
        put(changed, keys, value)
    try:
        return kind.model_validate(changed)
    except ValidationError as error:
        problems = "; ".join(problem(kind, changed, detail) for detail in error.errors())
        raise ConfigError(f"{source}: {problems}") from error


def read_override(text: str) -> tuple[list[str], Any]:
    """Keys and value of ``section.key=value``.

    Raises:
        ConfigError: It has another form, or the value is no YAML.
    """
    place, separator, value = text.partition("=")
    keys = place.strip().split(".")
    if not separator or not all(keys):
        raise ConfigError(f"--set needs section.key=value, got {text!r}")
    try:
        return keys, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise ConfigError(f"--set {place}: {value!r} is not a valid YAML value") from error


def put(tree: dict[str, Any], keys: Sequence[str], value: object) -> None:
    """Change one setting of a tree and leave its neighbours.

    Raises:
        ConfigError: On the way there is a value instead of a section.
    """
    node = tree
    for key in keys[:-1]:
        child = node.setdefault(key, {})
        if child is None or isinstance(child, str):  # the short form `density: histogram`
            child = node[key] = {} if child is None else {"name": child}
        if not isinstance(child, dict):
            raise ConfigError(f"--set {'.'.join(keys)}: {key!r} holds a value, not a section")
        node = child
    node[keys[-1]] = value


def _switched(tree: Mapping[str, Any], keys: Sequence[str], name: object) -> object:
    """A section whose ``name`` changes: what its old name meant is gone."""
    node: Any = tree
    for key in keys[:-1]:
        node = node.get(key) if isinstance(node, Mapping) else None
    return {"name": name} if isinstance(node, Mapping) and node.get("name") != name else node

"""Which recipe a flow run works on: a file on the worker, a whole recipe, or the demo."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from prefect.runtime import flow_run
from pydantic import ConfigDict, ValidationError, model_validator

from debias.errors import ConfigError, PipelineError
from debias.ingesting.rules import FacesRecipe
from debias.pipeline import source
from debias.pipeline.recipe import RunConfig, SpaceRecipe, load, part_of
from debias.plugins import dump

R = TypeVar("R", bound=SpaceRecipe)
ONLY_RUNS = sorted(set(RunConfig.model_fields) - set(SpaceRecipe.model_fields))


class AuditedRecipe(SpaceRecipe):
    """The recipe of an audit, or of a run: what only a run needs is left alone."""

    # As a pattern, because the form shows every property that is listed.
    model_config = ConfigDict(
        json_schema_extra={"patternProperties": {f"^({'|'.join(ONLY_RUNS)})$": {}}}
    )

    @model_validator(mode="before")
    @classmethod
    def _part(cls, tree: Any) -> Any:  # noqa: ANN401 (raw configuration)
        return part_of(tree, SpaceRecipe) if isinstance(tree, Mapping) else tree


def run_recipe(recipe: str = "", changes: str = "", config: RunConfig | None = None) -> RunConfig:
    """The recipe of a run; without a file and a whole recipe, the built-in demo.

    Args:
        recipe: File on this machine; a relative path counts from the working directory.
        changes: Lines of ``section.key=value``, applied last.
        config: A whole recipe instead of a file.

    Raises:
        ConfigError: A file and a whole recipe are given, or a setting is wrong.
    """
    return _recipe(RunConfig, source.run_recipe, recipe, changes, config)


def audit_recipe(
    recipe: str = "", changes: str = "", config: SpaceRecipe | None = None
) -> SpaceRecipe:
    """Likewise for an audit, which takes the recipe of a run as well."""
    return _recipe(SpaceRecipe, source.audit_recipe, recipe, changes, config)


def _recipe(
    kind: type[R],
    made: Callable[[source.Request], R],
    recipe: str,
    changes: str,
    config: SpaceRecipe | None,
) -> R:
    lines = [line.strip() for line in changes.splitlines() if line.strip()]
    if config is None:
        place = Path(recipe).absolute() if recipe else None
        return made(source.Request(source=place, overrides=lines))
    if recipe:
        raise ConfigError(
            f"both recipe ({recipe}) and config, a whole recipe, are given; leave one of them empty"
        )
    return load(kind, dump(config), lines, called="the recipe in 'config'")


def named(chosen: Callable[..., FacesRecipe], kind: type[FacesRecipe]) -> Callable[[], str]:
    """What Prefect calls to name a flow run: the name in its recipe."""

    def name() -> str:
        given = {key: value for key, value in flow_run.parameters.items() if key != "out"}
        try:
            if given.get("config") is not None:  # Prefect asks before it has checked anything
                given["config"] = kind.model_validate(given["config"])
            return chosen(**given).name
        except (PipelineError, ValidationError):  # the run itself says what is wrong
            return Path(given.get("recipe") or str(flow_run.flow_name)).stem

    return name

"""A name in a config becomes the settings class that a room or another package registered."""

import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from importlib.metadata import entry_points
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from debias.errors import ConfigError


class Settings(BaseModel):
    """Values that a person chooses; checked when built, never changed afterwards."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", protected_namespaces=(), coerce_numbers_to_str=True,
        allow_inf_nan=False,
    )  # fmt: skip


@runtime_checkable
class EntryPoint(Protocol):
    """One of `importlib.metadata`, or of importlib_metadata (9.1) in its place.

    That package answers for the standard library in every process that imports it, and so does
    MLflow: `importlib.metadata.entry_points` then returns entry points of the other class.
    """

    @property
    def name(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def group(self) -> str: ...
    @property
    def dist(self) -> Any: ...  # noqa: ANN401 (a distribution of one of the two)
    def load(self) -> Any: ...  # noqa: ANN401 (whatever it leads to)


class Registry(Mapping[str, type[Any]]):
    """The parts of one kind by name: those of a room, and those that other packages add.

    Another package adds a part by an entry point of ``group``: its name is what a recipe writes,
    and it leads to a frozen :class:`Settings` class whose field ``name`` has that name as default.
    Entry points are listed when a name is asked for that the room does not have, and loaded one by
    one when they are asked for themselves: a broken one costs nobody else anything.

    Args:
        kind: What messages call one.
        own: Those of the room.
        group: Of entry points.
        asks: Attributes that every part has.
    """

    def __init__(
        self, kind: str, own: Mapping[str, type[Any]], *, group: str, asks: Iterable[str]
    ) -> None:
        self.kind, self.own, self.group, self.asks = kind, dict(own), group, tuple(asks)
        self._loaded: dict[str, type[Any]] = {}

    @cached_property
    def others(self) -> dict[str, list[EntryPoint]]:
        """Entry points of other packages by name; one of the room's own names is refused."""
        found: dict[str, list[EntryPoint]] = {}
        for point in entry_points(group=self.group):
            if point.name in self.own:
                warnings.warn(
                    f"{_whose(point)} is ignored: debias has a {self.kind} of that name itself; "
                    "its author must choose another name",
                    stacklevel=2,
                )
            else:
                found.setdefault(point.name, []).append(point)
        return found

    def __getitem__(self, name: str) -> type[Any]:
        """The class of that name.

        Raises:
            KeyError: There is none.
            ConfigError: Another package offers it, and it cannot be used.
        """
        if name in self.own:
            return self.own[name]
        if name not in self._loaded:
            self._loaded[name] = self._load(name, self.others[name])
        return self._loaded[name]

    def __contains__(self, name: object) -> bool:
        return name in self.own or name in self.others

    def __iter__(self) -> Iterator[str]:
        yield from self.own
        yield from self.others

    def __len__(self) -> int:
        return len(self.own) + len(self.others)

    def usable(self) -> dict[str, type[Any]]:
        """Every part but those of other packages that cannot be used."""
        found = dict(self.own)
        for name in self.others:
            with suppress(ConfigError):
                found[name] = self[name]
        return found

    def _load(self, name: str, points: Sequence[EntryPoint]) -> type[Any]:
        first = points[0]
        if len(points) > 1:
            both = " and ".join(sorted(map(_whose, points)))
            raise ConfigError(f"{both} claim the same {self.kind}; uninstall one of them")
        try:
            part: Any = first.load()
        except Exception as error:  # whatever the code of a stranger brings about
            raise ConfigError(
                f"{_whose(first)} cannot be loaded ({type(error).__name__}: {error}); mend or "
                "uninstall the package"
            ) from error
        wrong = self._wrong(name, part)
        if wrong:
            raise ConfigError(f"{_whose(first)} is no {self.kind}: {wrong}")
        found: type[Any] = part
        return found

    def _wrong(self, name: str, part: object) -> str:
        """Why an object cannot be used as a part of this kind; empty if it can."""
        if not (isinstance(part, type) and issubclass(part, Settings)):
            return f"expected a class derived from debias.plugins.Settings, got {part!r}"
        field = part.model_fields.get("name")
        if field is None or field.default != name:
            return f"its field 'name' must have the default {name!r}"
        lacking = [asked for asked in self.asks if not hasattr(part, asked)]
        return f"it has no {' and no '.join(lacking)}" if lacking else ""


def _whose(point: EntryPoint) -> str:
    package = f"package {point.dist.name!r}" if point.dist else "an unknown package"
    return f"entry point {point.name!r} ({point.group}: {point.value}) of {package}"


@dataclass(frozen=True)
class OneOf:
    """Annotation for a config field that holds one member of a registry, chosen by ``name``.

    ``density: {name: histogram, bins: 10}`` and the short form ``density: histogram`` both
    validate to ``HistogramDensity``; an unknown name is refused with the known ones. ``own`` takes
    an object that stands in place of a name, see :mod:`debias.own`.
    """

    kind: str
    registry: Mapping[str, type[Any]]
    own: Callable[[Any], Settings] | None = None

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._member)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Both forms; the short one only of members that need nothing but their name."""
        known = members(self.registry)
        tagged = core_schema.tagged_union_schema(
            {name: cls.__pydantic_core_schema__ for name, cls in known.items()},
            discriminator="name",
        )
        short = sorted(name for name, cls in known.items() if not _needs_more(cls))
        return {"anyOf": [handler(tagged), {"type": "string", "enum": short}]}

    def _member(self, value: Any) -> Any:  # noqa: ANN401 (raw configuration)
        if isinstance(value, str):
            value = {"name": value}
        name = value.get("name") if isinstance(value, Mapping) else getattr(value, "name", None)
        if self.own and (name == "own" or not isinstance(value, str | Mapping | Settings)):
            return self.own(value)
        if not isinstance(name, str) or name not in self.registry:
            raise _refused(self._unknown(name))
        try:
            member = self.registry[name]
        except ConfigError as error:
            raise _refused(str(error)) from error
        return member.model_validate(value)

    def _unknown(self, name: object) -> str:
        if name is None:
            return f"{self.kind} needs a name; known: {', '.join(sorted(self.registry))}"
        return unknown(self.kind, name, self.registry)


def members(registry: Mapping[str, type[Any]]) -> dict[str, type[Any]]:
    """Every part of a registry that can be used."""
    return registry.usable() if isinstance(registry, Registry) else dict(registry)


def _refused(reason: str) -> PydanticCustomError:
    return PydanticCustomError("unknown_name", "{reason}", {"reason": reason})


def _needs_more(cls: type[Settings]) -> bool:
    return any(field.is_required() for field in cls.model_fields.values())


def unknown(kind: str, name: object, known: Iterable[str]) -> str:
    """Say that a name is not known, which one comes closest, and which there are."""
    names = sorted(known)
    close = get_close_matches(str(name), names, n=1)
    guess = f" (did you mean {close[0]!r}?)" if close else ""
    return f"unknown {kind} {name!r}{guess}; known: {', '.join(names)}"


def dump(settings: object) -> dict[str, Any]:
    """Plain values of a settings tree; plug-ins keep all their own fields."""
    assert isinstance(settings, Settings)  # every registered plug-in is one
    return settings.model_dump(mode="json", serialize_as_any=True)

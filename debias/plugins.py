"""A name in a config becomes the settings class that a room registered under it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema


class Settings(BaseModel):
    """Values that a person chooses; checked when built, never changed afterwards."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())


@dataclass(frozen=True)
class OneOf:
    """Annotation for a config field that holds one member of a registry, chosen by ``name``.

    ``density: {name: histogram, bins: 10}`` and the short form ``density: histogram`` both
    validate to ``HistogramDensity``; an unknown name is refused with the known ones.
    """

    kind: str
    registry: Mapping[str, type[Settings]]

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        choices = {name: handler.generate_schema(cls) for name, cls in self.registry.items()}
        tagged = core_schema.tagged_union_schema(choices, discriminator="name")
        return core_schema.no_info_before_validator_function(self._named, tagged)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Both forms; the short one only of members that need nothing but their name."""
        short = sorted(name for name, cls in self.registry.items() if not _needs_more(cls))
        return {"anyOf": [handler(schema), {"type": "string", "enum": short}]}

    def _named(self, value: Any) -> Any:  # noqa: ANN401 (raw configuration)
        if isinstance(value, str):
            value = {"name": value}
        name = value.get("name") if isinstance(value, Mapping) else getattr(value, "name", None)
        if name not in self.registry:
            raise PydanticCustomError("unknown_name", "{reason}", {"reason": self._unknown(name)})
        return value

    def _unknown(self, name: object) -> str:
        if name is None:
            return f"{self.kind} needs a name; known: {', '.join(sorted(self.registry))}"
        return unknown(self.kind, name, self.registry)


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

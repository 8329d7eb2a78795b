"""What is wrong with a recipe, with the place and the key that was probably meant."""

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from debias.plugins import OneOf, Settings

SUGGESTED = 3  # places named at most
Place = tuple[str, ...]


def problem(kind: type[Settings], tree: Mapping[str, Any], detail: Mapping[str, Any]) -> str:
    """One problem that pydantic found in ``tree``, in words.

    Args:
        kind: Of the recipe.
        tree: Plain values that were validated.
        detail: One of ``ValidationError.errors()``.
    """
    place = _written(detail["loc"], tree)
    name = ".".join(place)
    if detail["type"] == "extra_forbidden":
        return f"{name}: unknown key{_guess(place, list(places(kind, tree)))}"
    if detail["type"] == "unknown_name" and _nameless(detail["input"]):
        name += _guess(place, [(*place[:-1], str(key)) for key in _section(place[:-1], tree)])
    message = str(detail["msg"]).removeprefix("Value error, ")
    shown = detail["type"] not in {"unknown_name", "missing", "value_error"}
    return f"{name}: {message}" + (f", got {detail['input']!r}" if shown else "")


def places(kind: type[Settings], tree: object, above: Place = ()) -> Iterator[Place]:
    """Every key that a recipe may have, given the plug-ins that it names."""
    for name, field in kind.model_fields.items():
        place = (*above, name)
        yield place
        value = tree.get(name) if isinstance(tree, Mapping) else None
        registry = next((one for one in field.metadata if isinstance(one, OneOf)), None)
        if registry is not None:
            for member in _members(registry, value):
                yield from places(member, value, place)
        elif registries := _of_values(field.annotation):
            for key, one in (value or {}).items() if isinstance(value, Mapping) else ():
                yield (*place, str(key))
                for member in _members(registries[0], one):
                    yield from places(member, one, (*place, str(key)))
        else:
            for section in _settings_in(field.annotation):
                yield from places(section, value, place)


def _members(registry: OneOf, value: object) -> list[type[Settings]]:
    """The plug-in that is named there; every one if none is."""
    name = value.get("name") if isinstance(value, Mapping) else value
    chosen = registry.registry.get(name) if isinstance(name, str) else None
    return [chosen] if chosen else list(registry.registry.values())


def _of_values(annotation: object) -> list[OneOf]:
    """The registry of the values of ``dict[str, Annotated[..., OneOf]]``."""
    return [one for part in get_args(annotation) for one in get_args(part) if type(one) is OneOf]


def _settings_in(annotation: object) -> list[type[Settings]]:
    parts = (annotation, *get_args(annotation))
    return [part for part in parts if isinstance(part, type) and issubclass(part, Settings)]


def _written(loc: Sequence[str | int], tree: object) -> Place:
    """A place as a person writes it: pydantic adds the name of each plug-in."""
    found: list[str] = []
    for number, part in enumerate(loc):
        inside = isinstance(tree, Mapping) and part in tree
        if inside or isinstance(part, int) or number == len(loc) - 1:
            found.append(str(part))
            tree = tree[part] if inside else None  # type: ignore[index]
    return tuple(found)


def _section(place: Place, tree: object) -> Mapping[str, Any]:
    for key in place:
        tree = tree.get(key) if isinstance(tree, Mapping) else None
    return tree if isinstance(tree, Mapping) else {}


def _nameless(value: object) -> bool:
    return isinstance(value, Mapping) and "name" not in value


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

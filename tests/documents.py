"""Whether a document on disk is what its type says."""

from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints, is_typeddict


def misfits(value, kind, place="") -> list[str]:
    """Where a value is not of a type: fields that are missing, undeclared or of another type."""
    if is_typeddict(kind):
        if not isinstance(value, dict):
            return [f"{place}: {value!r}"]
        hints = get_type_hints(kind)
        alone = sorted(set(value) ^ set(hints)) if kind.__total__ else []  # others may stand there
        found = [f"{place}: {name}" for name in alone]
        known = {name: one for name, one in hints.items() if name in value}
        return found + [
            text
            for name, one in known.items()
            for text in misfits(value[name], one, f"{place}.{name}")
        ]
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is list:
        return [text for one in value for text in misfits(one, arguments[0], f"{place}[]")]
    if origin is dict:
        return [
            text for one in value.values() for text in misfits(one, arguments[1], f"{place}{{}}")
        ]
    if origin is UnionType:
        return min((misfits(value, one, place) for one in arguments), key=len)
    if origin is Literal:
        return [] if value in arguments else [f"{place}: {value!r}"]
    fits = {float: int | float | NoneType}.get(kind, Any if origin else kind)
    return [] if fits is Any or isinstance(value, fits) else [f"{place}: {value!r}"]

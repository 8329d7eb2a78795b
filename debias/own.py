"""An object from Python in place of a name in a recipe, known by what it is made of.

A recipe is plain values, so it names the object by a digest: SHA-256 over the source code of its
class or function and of everything of the user's that this code names, and over its parameters and
attributes; of installed packages, over their names and versions. Work that is finished is found
again as long as the digest is the same. Where code has no source to read (typed at a bare prompt,
made by ``exec``), the digest is random: then nothing is ever found again.
"""

import copy
import functools
import hashlib
import inspect
import sys
import sysconfig
import types
import uuid
import warnings
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
from pydantic import field_validator

from debias.errors import ConfigError
from debias.plugins import Settings

INSTALLED = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib")})
KNOWN = {"debias", *sys.stdlib_module_names} - {"__main__"}
HEAP = 1 << 9  # flag of a class that Python code made
PLAIN = (str, bytes, int, float, complex, bool, type(None), type(Ellipsis))
CODE = (
    type, types.FunctionType, types.BuiltinFunctionType, types.MethodType, functools.partial,
    staticmethod, classmethod, property,
)  # fmt: skip
_given: dict[str, Any] = {}  # in this process, by digest


class Own(Settings):
    """Stands for an object that was given in this process."""

    name: Literal["own"] = "own"
    called: str
    digest: str

    @field_validator("digest")
    @classmethod
    def _known(cls, digest: str) -> str:
        if digest not in _given:
            raise ValueError(
                "this part was an object from Python, which no recipe can hold; give the object "
                "itself again, as in debias.run(..., changes={...})"
            )
        return digest

    @classmethod
    def of(cls, value: object) -> "Own":
        """Of the object, or of the values that stand for it."""
        stands = isinstance(value, Settings | Mapping)
        return cls.model_validate(value if stands else adopted(value))

    @property
    def given(self) -> Any:  # noqa: ANN401 (whatever was given)
        return _given[self.digest]

    def fresh(self) -> Any:  # noqa: ANN401 (whatever it makes)
        """A copy of an object with parameters; of a class or function, what it makes."""
        given = self.given
        return (
            copy.deepcopy(given) if hasattr(given, "state_dict") and not _code(given) else given()
        )


def adopted(value: object) -> dict[str, str]:
    """Keep an object for this process; returns the plain values that stand for it."""
    about = value if _code(value) else type(value)
    called = str(getattr(about, "__qualname__", about))
    try:
        digest = _digest(value)
    except (OSError, TypeError, RuntimeError) as error:
        digest = f"unknown-{uuid.uuid4().hex}"
        warnings.warn(
            f"what {called!r} is made of cannot be read ({error}), so nothing that is made with it "
            "will be found again; define it in a file",
            stacklevel=2,
        )
    if digest not in _given:
        _given[digest] = copy.deepcopy(value)  # the user may go on training it
    return {"name": "own", "called": called, "digest": digest}


def _code(value: object) -> bool:
    return isinstance(value, CODE)


def _digest(value: object) -> str:
    """SHA-256 of what an object is made of.

    Raises:
        OSError: Some code has no source.
        TypeError: Something cannot be looked into.
    """
    found = hashlib.sha256()
    for part in _parts(value, set()):
        found.update(len(part).to_bytes(8) + part)
    return found.hexdigest()


def _parts(value: Any, seen: set[int]) -> Iterator[bytes]:  # noqa: ANN401 (whatever was given)
    """Everything that decides what an object does, in a fixed order."""
    if isinstance(value, PLAIN):
        yield repr((type(value).__name__, value)).encode()
    elif id(value) not in seen:
        seen.add(id(value))
        yield type(value).__name__.encode()
        for inner in _inside(value):
            # Bytes are the parts themselves: source code, names, numbers.
            yield from (inner,) if isinstance(inner, bytes) else _parts(inner, seen)


def _inside(value: Any) -> Iterator[Any]:  # noqa: ANN401, C901 (a table of kinds)
    if isinstance(value, functools.partial):
        yield from (value.func, value.args, value.keywords)
    elif isinstance(value, types.MethodType):
        yield from (value.__func__, value.__self__)
    elif isinstance(value, staticmethod | classmethod):
        yield value.__func__
    elif isinstance(value, property):
        yield from (value.fget, value.fset, value.fdel)
    elif isinstance(value, types.ModuleType) or _code(value):
        yield from _of_code(value)
    elif isinstance(value, Mapping):
        yield from (part for item in value.items() for part in item)
    elif isinstance(value, list | tuple):
        yield from value
    elif isinstance(value, set | frozenset):
        yield from sorted(value, key=repr)
    elif isinstance(value, np.ndarray) or hasattr(value, "detach"):
        yield from _numbers(value)
    elif hasattr(value, "__dict__"):
        yield from (type(value), getattr(value, "__name__", None), vars(value))
    else:
        raise TypeError(f"it holds a {type(value).__name__}")


def _numbers(value: Any) -> Iterator[bytes]:  # noqa: ANN401 (an array or a tensor)
    yield repr((str(value.dtype), tuple(value.shape))).encode()
    array = value.detach().cpu().double().numpy() if hasattr(value, "detach") else value
    if array.dtype.hasobject:
        raise TypeError("it holds an array of objects")
    yield np.ascontiguousarray(array).tobytes()


def _of_code(value: Any) -> Iterator[Any]:  # noqa: ANN401 (a module, class or function)
    """Name and version of what is installed; the source of the rest, and of what it names."""
    whole = isinstance(value, types.ModuleType)
    module = value.__name__ if whole else value.__module__ or "builtins"
    if _is_installed(module) and not _is_made_here(value):
        version = getattr(sys.modules.get(module.partition(".")[0]), "__version__", "")
        yield f"{module}.{'' if whole else value.__qualname__} {version}".encode()
        return
    yield inspect.getsource(value).encode()
    if whole:
        named = vars(value).values()
        yield from (one for one in named if _code(one) or isinstance(one, types.ModuleType))
    elif isinstance(value, type):
        yield value.__bases__
        for name, member in sorted(vars(value).items()):
            if _code(member) or not name.startswith("__"):
                yield from (name, member)
    else:
        yield from (value.__defaults__, value.__kwdefaults__, vars(value))
        yield from (cell.cell_contents for cell in value.__closure__ or ())
        for name in sorted(set(_names(value.__code__)) & set(value.__globals__)):
            yield from (name, value.__globals__[name])


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _is_installed(module: str) -> bool:
    file = getattr(sys.modules.get(module), "__file__", None)
    return module.partition(".")[0] in KNOWN or str(file).startswith(INSTALLED)


def _is_made_here(value: Any) -> bool:  # noqa: ANN401 (what _code accepts)
    """Whether ``exec`` made it, outside a module: then it seems to be built in."""
    if isinstance(value, type):
        return value.__module__ == "builtins" and bool(value.__flags__ & HEAP)
    return isinstance(value, types.FunctionType) and value.__module__ is None


def plain(values: Any) -> Any:  # noqa: ANN401 (a tree of settings)
    """The same settings, with plain values in place of objects that were given among them."""
    if isinstance(values, Mapping):
        return {key: plain(value) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [plain(value) for value in values]
    return adopted(values) if callable(values) else values


def require(holds: bool, called: str, problem: str) -> None:
    """Refuse what a user's object gave.

    Raises:
        ConfigError: It is not as it must be.
    """
    if not holds:
        raise ConfigError(f"{called!r} cannot be used: {problem}")

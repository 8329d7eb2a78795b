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
        for inner in _of_code(value) if _code(value) else _of_value(value):
            # Bytes are the parts themselves: source code, names, numbers.
            yield from (inner,) if isinstance(inner, bytes) else _parts(inner, seen)


def _of_value(value: Any) -> Iterator[Any]:  # noqa: ANN401 (whatever was given)
    if isinstance(value, types.ModuleType) and _is_installed(value.__name__):
        yield _installed_name(value.__name__, "")
    elif isinstance(value, types.ModuleType):
        yield inspect.getsource(value).encode()
        yield from (one for one in vars(value).values() if _code(one) or inspect.ismodule(one))
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


def _of_code(value: Any) -> Iterator[Any]:  # noqa: ANN401 (what _code accepts)
    if isinstance(value, functools.partial):
        yield from (value.func, value.args, value.keywords)
    elif isinstance(value, types.MethodType):
        yield from (value.__func__, value.__self__)
    elif isinstance(value, staticmethod | classmethod):
        yield value.__func__
    elif isinstance(value, property):
        yield from (value.fget, value.fset, value.fdel)
    elif _is_installed(value.__module__ or "builtins") and not _is_made_here(value):
        yield _installed_name(value.__module__ or "builtins", value.__qualname__)
    else:
        yield inspect.getsource(value).encode()
        yield from _members(value) if isinstance(value, type) else _named(value)


def _members(cls: type) -> Iterator[Any]:
    yield cls.__bases__
    for name, value in sorted(vars(cls).items()):
        if isinstance(value, types.FunctionType | staticmethod | classmethod | property):
            yield value
        elif not name.startswith("__"):
            yield from (name, value)


def _named(function: Any) -> Iterator[Any]:  # noqa: ANN401 (a function)
    """Defaults, what it closes over, attributes, and the globals that it names."""
    yield from (function.__defaults__, function.__kwdefaults__, vars(function))
    for cell in function.__closure__ or ():
        yield cell.cell_contents
    for name in sorted(set(_names(function.__code__)) & set(function.__globals__)):
        yield from (name, function.__globals__[name])


def _names(code: types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def _is_installed(module: str) -> bool:
    root = module.partition(".")[0]
    file = getattr(sys.modules.get(module), "__file__", None)
    return root in KNOWN or str(file).startswith(INSTALLED)


def _is_made_here(value: Any) -> bool:  # noqa: ANN401 (what _code accepts)
    """Whether ``exec`` made it, outside a module: then it seems to be built in."""
    if isinstance(value, type):
        return value.__module__ == "builtins" and bool(value.__flags__ & HEAP)
    return isinstance(value, types.FunctionType) and value.__module__ is None


def _installed_name(module: str, name: str) -> bytes:
    root = module.partition(".")[0]
    version = getattr(sys.modules.get(root), "__version__", "")
    return f"{module}.{name} {version}".encode()


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

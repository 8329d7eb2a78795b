"""Documents as plain values and as text, JSON or YAML, and back."""

import json
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import yaml


def json_text(document: Mapping[str, Any]) -> str:
    """A document of plain values as text for people and programs; NaN is refused."""
    return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=False)


def plain(value: Any) -> Any:  # noqa: ANN401 (any nesting of plain values)
    """Copy a nesting of mappings, sequences and tables with None in place of NaN, as JSON needs."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, pd.DataFrame):
        return plain(value.to_dict("records"))
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if isinstance(value, float):
        return None if math.isnan(value) else float(value)
    return value


def table_of(rows: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Rows that ``plain`` wrote as a table again; a column of None alone is one of NaN."""
    table = pd.DataFrame(rows)
    return table.astype({name: float for name in table if table[name].isna().all()})


class _Written:
    """A number that knows how it was written: where text is wanted, 007 stays 007."""

    written = ""

    def __str__(self) -> str:
        return self.written


class _Whole(_Written, int): ...


class _Real(_Written, float): ...


class _YAMLError(yaml.MarkedYAMLError):
    def __init__(self, problem: str, mark: yaml.Mark | None = None) -> None:
        super().__init__(problem=problem, problem_mark=mark)


DEEPEST = 50  # no recipe comes near, and whoever copies or checks one goes down as deep
YAML = "tag:yaml.org,2002:"  # begins the tag of every kind of value


class _Loader(yaml.SafeLoader):
    """YAML 1.2: yes, no, on, off and dates are text. A key is text, and stands there once."""

    yaml_implicit_resolvers: dict[Any, Any] = {}  # noqa: RUF012 (declared so by its base)

    depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:  # noqa: ANN401 (untyped)
        self.depth += 1
        if self.depth > DEEPEST:
            raise _YAMLError("it is nested too deeply")
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # noqa: ANN401 (untyped)
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        first: dict[str, int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                raise _YAMLError("a key must be text", key.start_mark)
            if key.value in first:
                raise _YAMLError(
                    f"{key.value!r} stands there twice, first in line {first[key.value]}; keep one",
                    key.start_mark,
                )
            first[key.value] = key.start_mark.line + 1
            if key.tag != f"{YAML}merge":
                key.tag = f"{YAML}str"
        return node

    def number(self, node: yaml.ScalarNode) -> int | float:
        plain, written = (int, _Whole) if node.tag.endswith("int") else (float, _Real)
        text = node.value.lower().replace(".inf", "inf").replace(".nan", "nan")
        value = plain(text)
        if str(value) == node.value:
            return value
        number = written(value)
        number.written = node.value
        return number


SCALARS = {
    "null": r"~|null|Null|NULL|",
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]{1,18}",  # more digits than these are no number of anything
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.inf|\.nan",
    "merge": "<<",
}
for _kind, _pattern in SCALARS.items():
    _Loader.add_implicit_resolver(f"{YAML}{_kind}", re.compile(f"(?:{_pattern})$"), None)
for _kind in ("int", "float"):
    _Loader.add_constructor(f"{YAML}{_kind}", _Loader.number)


def read_yaml(text: str) -> Any:  # noqa: ANN401 (any nesting of plain values)
    """What a YAML text holds; a number turned into text again is as it was written.

    Raises:
        ValueError: In one sentence with its line, why it is no YAML.
    """
    try:
        return yaml.load(text, _Loader)  # a safe one
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise ValueError(f"{line}{error.problem}") from error
    except yaml.YAMLError as error:
        raise ValueError(str(error).splitlines()[0]) from error
    except (ValueError, KeyError, AttributeError) as error:
        raise ValueError(f"a value does not suit its tag ({error})") from error

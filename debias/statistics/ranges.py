"""Numbers as groups: ``age:0-17,18-39,40-59,60-`` is one attribute of four groups.

Both ends count, and 17.5 is in 0-17 where the next range begins at 18; a range may be open at one
end. Text without ranges is a list of columns, a name with a comma in quotes of its own, as in a
table.
"""

import csv
import re
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from debias.errors import GroupSchemaError

NUMBER = r"-?\d+(?:\.\d+)?"
RANGE = re.compile(rf"(?P<low>{NUMBER})-(?P<high>{NUMBER})?|-(?P<most>{NUMBER})")
RANGED = re.compile(rf"(.+?):((?:{NUMBER}-(?:{NUMBER})?|-{NUMBER})(?:,.*)?)", re.DOTALL)
PARTS = 4  # ranges that are proposed


def listed(text: str) -> list[str]:
    """What commas separate."""
    parts = next(csv.reader([text], skipinitialspace=True), [])
    return [part.strip() for part in parts if part.strip()]


def spelled(names: Iterable[str]) -> str:
    """The text that ``listed`` takes apart again."""
    return ",".join(f'"{name}"' if "," in name else name for name in names)


def taken_apart(given: Iterable[str]) -> tuple[list[str], dict[str, tuple[str, ...]]]:
    """Attributes by name, and the ranges of those that have some.

    A range that follows an attribute with ranges is one more of it.

    Raises:
        GroupSchemaError: What follows the name is no range, ends before it begins, or begins before
            the one before it ends.
    """
    names: list[str] = []
    ranges: dict[str, tuple[str, ...]] = {}
    for one in given:
        if names and names[-1] in ranges and RANGE.fullmatch(one):
            ranges[names[-1]] += (one,)
        elif found := RANGED.fullmatch(one):
            names.append(found[1].strip())
            ranges[names[-1]] = tuple(part.strip() for part in found[2].split(","))
        else:
            names.append(one)
    for name, parts in ranges.items():
        _limits(name, parts)
    return names, ranges


def ranged(column: pd.Series, ranges: Sequence[str]) -> pd.Series:
    """The range of each value, as categories in their order; missing where there is no value.

    Raises:
        GroupSchemaError: A value is no number, or lies in none of the ranges.
    """
    name = str(column.name)
    text = column.astype(object).where(column.notna(), "").astype(str).str.strip()
    empty = text.isin(["", "unknown"]).to_numpy()
    numbers = pd.to_numeric(text, errors="coerce").to_numpy(dtype=np.float64)
    code = np.full(len(column), -1, dtype=np.int64)
    limits = _limits(name, ranges)
    for number, (low, high) in enumerate(limits):
        shared = number + 1 < len(limits) and limits[number + 1][0] == high
        # A whole number as an end holds what lies beyond its point, unless the next begins there.
        whole = high == np.round(high) and not shared
        within = (numbers >= low) & ((np.floor(numbers) if whole else numbers) <= high)
        code[within & (code < 0)] = number
    for wrong, what in (
        (np.isnan(numbers), "are no numbers"), (code < 0, f"lie in none of {', '.join(ranges)}"),
    ):  # fmt: skip
        wrong &= ~empty
        if wrong.any():
            raise GroupSchemaError(
                f"{int(wrong.sum()):,} of {len(column):,} values of {name!r} {what}, first "
                f"{text[wrong].iloc[0]!r}; change the ranges, or leave these rows out"
            )
    values = pd.Categorical.from_codes(code, categories=pd.Index(ranges))
    return pd.Series(values, index=column.index, name=column.name)


def proposed(name: str, values: Iterable[str]) -> str:
    """The spelling for numbers like these, with ranges of about as many values each.

    Raises:
        ValueError: A value is no number.
    """
    numbers = np.unique([float(value) for value in values])
    cuts = np.quantile(numbers, np.arange(1, PARTS) / PARTS)
    whole = (numbers == np.round(numbers)).all()
    if whole:
        ends = np.unique(np.floor(cuts)).astype(int)
        starts: list[object] = [int(numbers[0]), *(ends + 1)]
    else:
        ends = np.unique([float(f"{cut:.2g}") for cut in cuts])
        starts = ["", *ends]
    parts = [f"{low}-{high}" for low, high in zip([*starts], [*ends, ""], strict=True)]
    return f"{name}:{','.join(parts)}"


def _limits(name: str, ranges: Sequence[str]) -> list[tuple[float, float]]:
    found: list[tuple[float, float]] = []
    for text in ranges:
        match = RANGE.fullmatch(text)
        if match is None:
            raise GroupSchemaError(
                f"{text!r} is no range of {name!r}; write 18-39, 60- or -17, as in "
                f"{name}:0-17,18-39,40-59,60-"
            )
        low = -np.inf if match["most"] else float(match["low"])
        high = float(match["most"] or match["high"] or np.inf)
        if high < low or (found and low < found[-1][1]):
            raise GroupSchemaError(
                f"range {text!r} of {name!r} ends before it begins, or begins before the one "
                "before it ends; write ranges that rise and do not overlap"
            )
        found.append((low, high))
    return found

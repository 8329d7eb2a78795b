"""Which samples are used: filters, settings of the split, even draws."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64
from pydantic import Field, NonNegativeInt

from debias.errors import DataError, EmptyDatasetError
from debias.ingesting.labels import (
    cell_name,
    clean_text,
    coded,
    crossed,
    place_in_cell,
    require_column,
)
from debias.plugins import Settings


class Range(Settings):
    """Numbers from min to max, both included."""

    min: float | None = Field(default=None, description="Smallest value kept.")
    max: float | None = Field(default=None, description="Largest value kept.")


Filters = dict[str, list[str] | Range]


class Caps(Settings):
    """Most training images per value of one column; plants or evens out an imbalance."""

    column: str = Field(description="Attribute column.")
    most: dict[str, NonNegativeInt] = Field(
        description="Value: most training images; others are not capped."
    )


class Selection(Settings):
    """Filters, then a test set, then caps on what is left for training."""

    filters: Filters = Field(
        default={}, description="Column: list of values to keep, or {min, max}."
    )
    test_per_group: int | None = Field(
        default=None,
        ge=1,
        description="Test images in every cell of the crossed attributes; empty: test_fraction.",
    )
    test_fraction: float = Field(
        default=0.2, gt=0, lt=1, description="Share of the images used for the test."
    )
    validation_fraction: float = Field(
        default=0.1, gt=0, lt=1, description="Validation images, as a share of the training images."
    )
    even_over: tuple[str, ...] = Field(
        default=(),
        description="Annotated columns of which every value gets its share of each split; empty: "
        "the label alone steers it.",
    )
    caps: Caps | None = Field(default=None, description="Most training images per group.")
    leaks: Literal["refuse", "drop"] = Field(
        default="refuse",
        description="When the data bring their own split and one person or photograph stands on "
        "two sides: 'refuse' the run, or 'drop' the training and validation images concerned.",
    )


def keep(samples: pd.DataFrame, filters: Filters) -> pd.DataFrame:
    """Rows that pass every filter; an empty cell passes none.

    Raises:
        GroupSchemaError: A filtered column does not exist.
        EmptyDatasetError: No row passes.
    """
    mask = np.ones(len(samples), dtype=bool)
    for column, rule in filters.items():
        require_column(samples, column, "selection.filters")
        mask &= _passes(samples[column], rule)
    if not mask.any():
        raise EmptyDatasetError(f"no sample of {len(samples)} passes the filters {filters}")
    return samples[mask]


def _passes(column: pd.Series, rule: list[str] | Range) -> Bool[np.ndarray, " n"]:
    if isinstance(rule, Range):
        numbers, low, high = _numbers(column), rule.min, rule.max
        above = numbers >= (-np.inf if low is None else low)
        return above & (numbers <= (np.inf if high is None else high))
    codes, names = coded(column)
    wanted = {clean_text(value) for value in rule}
    # The code -1 of an empty cell finds the last entry.
    return np.array([*(name in wanted for name in names), False])[codes]


def _numbers(column: pd.Series) -> Float64[np.ndarray, " n"]:
    """(n,) with NaN for what is no number."""
    if pd.api.types.is_numeric_dtype(column):
        return column.to_numpy(dtype=np.float64, na_value=np.nan)
    codes, names = coded(column)
    parsed = pd.to_numeric(pd.Series(names, dtype=object), errors="coerce")
    return np.append(parsed.to_numpy(dtype=np.float64), np.nan)[codes]


def drawn_evenly(
    samples: pd.DataFrame,
    columns: Sequence[str],
    most: int | None,
    generator: np.random.Generator,
) -> pd.DataFrame:
    """At most ``most`` rows, equally many from every crossed cell of ``columns``.

    Without ``most``, as many from every cell as the smallest one has, or all without columns.

    Raises:
        GroupSchemaError: A column does not exist.
        DataError: A cell holds fewer rows than its even share, or the share is none.
    """
    for column in columns:
        require_column(samples, column, "reference.even_over")
    shuffled = samples.iloc[generator.permutation(len(samples))]
    cells = crossed(shuffled, columns)
    sizes = np.bincount(cells)
    share = int(sizes.min()) if most is None else most // len(sizes)
    if not share:
        raise DataError(f"reference.most is {most}, fewer than the {len(sizes)} cells; raise it")
    if sizes.min() < share and columns:
        smallest = cell_name(shuffled, columns, int(np.argmax(cells == sizes.argmin())))
        raise DataError(
            f"reference.most is {most}, {share} for each of {len(sizes)} cells, but "
            f"{smallest} has only {sizes.min()} faces; lower it or filter that cell out"
        )
    chosen = shuffled[place_in_cell(cells) < share]
    return chosen.sort_values("sample_id", kind="stable")

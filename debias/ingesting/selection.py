"""Which samples are used: filters, settings of the split and of a planted tie, even draws."""

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64
from pydantic import Field, NonNegativeInt, model_validator

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


Rule = list[Range] | list[str] | Range
Filters = dict[str, Rule]


class Caps(Settings):
    """Most training images per value of one column; plants or evens out an imbalance."""

    column: str = Field(description="Attribute column.")
    most: dict[str, NonNegativeInt] = Field(
        description="Value: most training images; others are not capped."
    )


class Tie(Settings):
    """Ties the label to one column in training: a correlation that is planted on purpose."""

    column: str = Field(description="Annotated column that the label is tied to.")
    sides: Filters = Field(
        min_length=2,
        max_length=2,
        description="Label value: the values of the column, or {min, max}, that go with it; images "
        "on neither side are left out.",
    )
    share: float = Field(
        gt=0.5,
        lt=1,
        description="Share of the training images of each label value that are on its side; the "
        "others are on the other side.",
    )
    within: Literal["label", "column"] = Field(
        default="label",
        description="Whether the share holds of each label value, or of each side of the column.",
    )
    most: int | None = Field(
        default=None,
        ge=2,
        description="Most images of each label value (or side) in training, and in validation; "
        "empty: any.",
    )


class Selection(Settings):
    """Filters, then a test set, then caps or a tie on what is left for training."""

    filters: Filters = Field(
        default={}, description="Column: list of values to keep, {min, max}, or a list of these."
    )
    test_per_group: int | None = Field(
        default=None,
        ge=1,
        description="Test images in every cell of the crossed attributes, or of label and tie; "
        "empty: test_fraction.",
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
    tie: Tie | None = Field(
        default=None,
        description="A planted correlation of label and column; the attribute 'tie' says which "
        "images are aligned with it and which conflict, and the test holds as many of both.",
    )
    leaks: Literal["refuse", "drop"] = Field(
        default="refuse",
        description="When the data bring their own split and one person or photograph stands on "
        "two sides: 'refuse' the run, or 'drop' the training and validation images concerned.",
    )

    @model_validator(mode="after")
    def _one_plan(self) -> Self:
        if self.tie and self.caps:
            raise ValueError(
                "selection.caps and selection.tie both say how many training images of a group are "
                "used; leave one out (selection.tie.most caps each label value)"
            )
        return self


def keep(samples: pd.DataFrame, filters: Filters) -> pd.DataFrame:
    """Rows that pass every filter; an empty cell passes none.

    Raises:
        GroupSchemaError: A filtered column does not exist.
        EmptyDatasetError: No row passes.
    """
    mask = np.ones(len(samples), dtype=bool)
    for column, rule in filters.items():
        require_column(samples, column, "selection.filters")
        mask &= passes(samples[column], rule)
    if not mask.any():
        raise EmptyDatasetError(f"no sample of {len(samples)} passes the filters {filters}")
    return samples[mask]


def passes(column: pd.Series, rule: Rule) -> Bool[np.ndarray, " n"]:
    """(n,) whether each value is one of a list, or a number in a range; an empty cell is not."""
    if isinstance(rule, list) and any(isinstance(one, Range) for one in rule):
        return np.any([passes(column, one) for one in rule if isinstance(one, Range)], axis=0)
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
    place: str = "reference",
) -> pd.DataFrame:
    """At most ``most`` rows, equally many from every crossed cell of ``columns``.

    Without ``most``, as many from every cell as the smallest one has, or all without columns.
    ``place``: section of the recipe that errors name.

    Raises:
        GroupSchemaError: A column does not exist.
        DataError: A cell holds fewer rows than its even share, or the share is none.
    """
    for column in columns:
        require_column(samples, column, f"{place}.even_over")
    shuffled = samples.iloc[generator.permutation(len(samples))]
    cells = crossed(shuffled, columns)
    sizes = np.bincount(cells)
    share = int(sizes.min()) if most is None else most // len(sizes)
    if not share:
        raise DataError(f"{place}.most is {most}, fewer than the {len(sizes)} cells; raise it")
    if sizes.min() < share and columns:
        smallest = cell_name(shuffled, columns, int(np.argmax(cells == sizes.argmin())))
        raise DataError(
            f"{place}.most is {most}, {share} for each of {len(sizes)} cells, but "
            f"{smallest} has only {sizes.min()} faces; lower it or filter that cell out"
        )
    chosen = shuffled[place_in_cell(cells) < share]
    return chosen.sort_values("sample_id", kind="stable")

"""Which samples are used, and for what: filters, splits and caps."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64
from pydantic import Field

from debias.errors import DataError, EmptyDatasetError, GroupSchemaError, SplitLeakageError
from debias.settings import Settings


class Range(Settings):
    """Numbers from min to max, both included."""

    min: float | None = Field(default=None, description="Smallest value kept.")
    max: float | None = Field(default=None, description="Largest value kept.")


Filters = dict[str, list[str] | Range]


class Caps(Settings):
    """Most training images per value of one column; plants or evens out an imbalance."""

    column: str = Field(description="Attribute column.")
    most: dict[str, int] = Field(description="Value: most training images; others are not capped.")


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
    caps: Caps | None = Field(default=None, description="Most training images per group.")


def keep(samples: pd.DataFrame, filters: Filters) -> pd.DataFrame:
    """Rows that pass every filter.

    Raises:
        GroupSchemaError: A filtered column does not exist.
        EmptyDatasetError: No row passes.
    """
    mask = np.ones(len(samples), dtype=bool)
    for column, rule in filters.items():
        require_column(samples, column, "selection.filters")
        values = samples[column]
        if isinstance(rule, Range):
            numbers = pd.to_numeric(values, errors="coerce")
            low = -np.inf if rule.min is None else rule.min
            high = np.inf if rule.max is None else rule.max
            mask &= numbers.between(low, high).to_numpy()
        else:
            mask &= values.astype(str).isin(rule).to_numpy()
    if not mask.any():
        raise EmptyDatasetError(f"no sample of {len(samples)} passes the filters {filters}")
    return samples[mask]


def split(
    samples: pd.DataFrame,
    selection: Selection,
    attributes: Sequence[str],
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Add the column ``split``; rows that belong to no split are left out.

    A sample of a person (``subject_id``) who is already in the test set never enters training or
    validation, nor one of a person in training the validation set.

    Raises:
        DataError: A cell holds fewer images than ``test_per_group``, or a given split puts one
            person on two sides or stands beside settings that draw one.
    """
    if "split" in samples:
        _check_given(samples, selection)
        return samples
    samples = samples.iloc[_random_order(samples, generator)]
    test = _test_rows(samples, selection, attributes)
    rest = ~test & ~_shares_person(samples, test)
    train, validation = _capped(samples, rest, selection)
    validation &= ~_shares_person(samples, train)
    names = np.select([test, train, validation], ["test", "train", "validation"], default="")
    chosen = samples.assign(split=names)[names != ""]
    return chosen.sort_values("sample_id", kind="stable")


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
    cells = pd.Series("all", index=shuffled.index)
    if columns:
        cells = shuffled[list(columns)].astype(str).agg(" x ".join, axis=1)
    sizes = cells.value_counts()
    share = sizes.min() if most is None else most // len(sizes)
    if not share:
        raise DataError(f"reference.most is {most}, fewer than the {len(sizes)} cells; raise it")
    if sizes.min() < share and columns:
        raise DataError(
            f"reference.most is {most}, {share} for each of {len(sizes)} cells, but "
            f"{sizes.idxmin()} has only {sizes.min()} faces; lower it or filter that cell out"
        )
    chosen = shuffled[(cells.groupby(cells, sort=False).cumcount() < share).to_numpy()]
    return chosen.sort_values("sample_id", kind="stable")


def require_column(samples: pd.DataFrame, column: str, setting: str) -> None:
    """Fail with the columns that exist.

    Raises:
        GroupSchemaError: ``column`` is not one of them.
    """
    if column not in samples:
        raise GroupSchemaError(no_column(samples, column, setting))


def no_column(samples: pd.DataFrame, column: str, setting: str) -> str:
    """The message about a column that does not exist, with those that do."""
    known = ", ".join(name for name in samples.columns if name not in {"sample_id", "path"})
    return f"{setting}: there is no column {column!r}; columns: {known}"


def _check_given(samples: pd.DataFrame, selection: Selection) -> None:
    if selection.caps or selection.test_per_group:
        raise DataError(
            "the data bring their own split, so selection.caps and selection.test_per_group have "
            "no effect; drop them, or leave out data.split_column (data.split: drawn for a public "
            "set)"
        )
    if "subject_id" in samples:
        sides = samples.groupby("subject_id")["split"].nunique()
        both = sides[sides > 1].index
        if len(both):
            raise SplitLeakageError(
                f"{len(both)} people stand on more than one side of the split, first: {both[0]}; "
                "repair the table, or leave out data.split_column (data.split: drawn for a public "
                "set) to have the split drawn"
            )


def _random_order(samples: pd.DataFrame, generator: np.random.Generator) -> Int64[np.ndarray, " n"]:
    """Random order of the rows, or of people with all their images side by side.

    Splits cut this order, so at most one person stands across a cut and loses images by it.
    """
    if "subject_id" not in samples:
        return generator.permutation(len(samples))
    alone = samples["subject_id"].isna()  # images of nobody in particular
    person = samples["subject_id"].astype(str).where(~alone, samples["sample_id"])
    code, people = pd.factorize(person)
    return np.argsort(generator.permutation(len(people))[code], kind="stable")


def _test_rows(
    samples: pd.DataFrame, selection: Selection, attributes: Sequence[str]
) -> Bool[np.ndarray, " n"]:
    if selection.test_per_group is None:
        count = round(selection.test_fraction * len(samples))
        return np.arange(len(samples)) < count
    wanted = selection.test_per_group
    cells = samples[list(attributes)].astype(str).agg(" x ".join, axis=1)
    sizes = cells.value_counts()
    if sizes.min() < wanted:
        raise DataError(
            f"selection.test_per_group is {wanted}, but {sizes.idxmin()} has only {sizes.min()} "
            "images; lower it or filter that group out"
        )
    return (cells.groupby(cells, sort=False).cumcount() < wanted).to_numpy()


def _shares_person(samples: pd.DataFrame, mask: Bool[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
    if "subject_id" not in samples:
        return np.zeros(len(samples), dtype=bool)
    people = samples["subject_id"][mask].dropna()
    return samples["subject_id"].isin(people).to_numpy() & ~mask


def _capped(
    samples: pd.DataFrame, rest: Bool[np.ndarray, " n"], selection: Selection
) -> tuple[Bool[np.ndarray, " n"], Bool[np.ndarray, " n"]]:
    """Training rows under the caps, and validation rows in the same proportions."""
    share, caps = selection.validation_fraction, selection.caps
    if caps:
        require_column(samples, caps.column, "selection.caps")
        values = samples[caps.column].astype(str).to_numpy()
    else:
        values = np.full(len(samples), "")
    train, validation = np.zeros((2, len(samples)), dtype=bool)
    for value in np.unique(values[rest]):
        rows = np.flatnonzero(rest & (values == value))
        most = round(len(rows) / (1 + share))
        most = min(most, caps.most.get(value, most)) if caps else most
        train[rows[:most]] = True
        validation[rows[most : most + round(share * most)]] = True
    return train, validation

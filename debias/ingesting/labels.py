"""From the columns of a table to class indices and attribute texts."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64

from debias.errors import GroupSchemaError, LabelError, SingleClassError
from debias.ingesting.columns import clean_text, cleaned, coded
from debias.ingesting.selection import columns_of, no_column, require_column

RESERVED = (
    "label", "sample_id", "split", "path", "sha256", "subject_id", "duplicate_cluster",
)  # fmt: skip
KINDS = ("string", "integer", "floating", "boolean", "empty")
SHOWN = 10  # rows or values named in a message


def classes_of(samples: pd.DataFrame, label: str, positive: str | None) -> tuple[str, ...]:
    """The two label values as clean text, the positive one last.

    Raises:
        LabelError: The column is missing, has empty cells, mixes kinds of values (1 and "1", False
            and "NO"), holds fractions, or more than two values. All that is wrong is said at once.
        SingleClassError: It has one value only.
    """
    codes, values = _label_codes(samples, label)
    values = sorted(values)
    problems = [_missing(samples, label, codes < 0)] if (codes < 0).any() else []
    if len(values) > 2:
        shown = ", ".join(values[:SHOWN])
        problems.append(
            f"label {label!r} has {len(values)} values ({shown}); two are compared: filter the "
            "others out with selection.filters or choose another column; columns: "
            f"{columns_of(samples)}"
        )
    if positive is not None and clean_text(positive) not in values:
        problems.append(f"positive is {positive!r}, but {label} holds {values[:SHOWN]}")
    if problems:
        raise LabelError("; ".join(problems))
    if len(values) == 1:
        raise SingleClassError(
            f"every one of {len(samples)} samples has {label} = {values[0]!r}: "
            "a classifier needs two classes"
        )
    last = values[1] if positive is None else clean_text(positive)
    return (next(value for value in values if value != last), last)


def encoded(
    samples: pd.DataFrame, label: str, classes: tuple[str, ...], attributes: Sequence[str]
) -> pd.DataFrame:
    """Add ``label`` (class index) and make every attribute a text; empty cells say "unknown".

    Raises:
        LabelError: A label is empty or none of ``classes``, with the rows; or as
            :func:`classes_of`.
        GroupSchemaError: As :func:`attribute_texts`.
    """
    codes, values = _label_codes(samples, label)
    number = {name: place for place, name in enumerate(classes)}
    # The code -1 of an empty cell finds the last entry.
    index = np.array([*(number.get(value, -2) for value in values), -1], dtype=np.int64)[codes]
    problems = [_missing(samples, label, index == -1)] if (index == -1).any() else []
    if (index == -2).any():
        strange = [value for value in values if value not in number]
        problems.append(
            f"{np.count_nonzero(index == -2)} samples have a {label!r} that is none of "
            f"{list(classes)}, first: {_rows(samples, index == -2)}; values: {strange[:SHOWN]}"
        )
    if problems:
        raise LabelError("; ".join(problems))
    texts = attribute_texts(samples, attributes)
    done = samples.copy(deep=False)
    done["label"] = index
    for attribute in attributes:
        done[attribute] = texts[attribute]
    return done


def attribute_texts(samples: pd.DataFrame, attributes: Sequence[str]) -> pd.DataFrame:
    """The attribute columns as clean text (:func:`~debias.ingesting.columns.clean_text`).

    Values that become equal by cleaning are one group; empty and blank cells say "unknown".

    Raises:
        GroupSchemaError: A column is missing, has a name that the store needs for itself, or mixes
            kinds of values; all such columns are named at once.
    """
    problems = []
    for attribute in attributes:
        try:
            if attribute in RESERVED:
                raise GroupSchemaError(
                    f"attributes: {attribute!r} is a name the store needs for itself "
                    f"({', '.join(RESERVED)}); rename the column"
                )
            require_column(samples, attribute, "attributes")
            _require_one_kind(samples[attribute])
        except GroupSchemaError as error:
            problems.append(str(error))
    if problems:
        raise GroupSchemaError("; ".join(problems))
    return pd.DataFrame({name: cleaned(samples[name]) for name in attributes}, index=samples.index)


def _require_one_kind(column: pd.Series) -> None:
    """Refuse a column in which 1 and "1" would be one group, or NO the group "False".

    Raises:
        GroupSchemaError: It holds values of several kinds, or of one that makes no groups.
    """
    values = column.cat.categories if isinstance(column.dtype, pd.CategoricalDtype) else column
    kind = pd.api.types.infer_dtype(values, skipna=True)
    if kind not in KINDS:
        first: dict[type, str] = {}
        for value in column.dropna():
            first.setdefault(type(value), repr(value)[:40])
        shown = " and ".join([*first.values()][:3])
        raise GroupSchemaError(
            f"column {column.name!r} holds {kind} values, such as {shown}; make them all text, "
            f"for example table[{column.name!r}].map({{0: 'no', 1: 'yes'}})"
        )


def _label_codes(samples: pd.DataFrame, label: str) -> tuple[Int64[np.ndarray, " n"], list[str]]:
    if label not in samples:
        raise LabelError(no_column(samples, label, "label"))
    column = samples[label]
    try:
        _require_one_kind(column)
    except GroupSchemaError as error:
        raise LabelError(f"label: {error}") from error
    codes, values = coded(column)
    if pd.api.types.infer_dtype(column, skipna=True) == "floating":
        fractions = [value for value in values if not value.lstrip("-").isdigit()]
        if fractions:
            raise LabelError(
                f"label {label!r} holds the fractions {', '.join(fractions[:SHOWN])}; a class is a "
                "text, a whole number or true and false: round them, or make them text"
            )
    return codes, values


def _missing(samples: pd.DataFrame, label: str, rows: Bool[np.ndarray, " n"]) -> str:
    return f"{np.count_nonzero(rows)} samples have no {label!r}, first: {_rows(samples, rows)}"


def _rows(samples: pd.DataFrame, rows: Bool[np.ndarray, " n"]) -> str:
    """The first ids with their rows, counted from 0 in the list of the data set."""
    first = samples.loc[rows, "sample_id"].head(SHOWN)
    return ", ".join(f"{name} (row {row})" for row, name in first.items())

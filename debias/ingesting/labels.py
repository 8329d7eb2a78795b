"""From the columns of a table to class indices and attribute texts; values as clean text.

``n`` samples.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from contextlib import suppress
from difflib import get_close_matches

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64

from debias.errors import DataError, GroupSchemaError, LabelError, SingleClassError
from debias.statistics.groupings import CROSS, MOST_VALUES, UNKNOWN, held_cells
from debias.statistics.ranges import proposed, ranged
from debias.storage.files import shown
from debias.storage.tables import OURS, is_missing

RESERVED = (
    "label", "sample_id", "split", "path", "sha256", "subject_id", "duplicate_cluster",
)  # fmt: skip
KINDS = ("string", "integer", "floating", "boolean", "empty")
SHOWN = 10  # rows or values named in a message
PLACES = {"folder", "class", "split"}  # columns that a folder of images has without a table


def clean_text(value: object) -> str:
    """One value as text that every writer can write.

    Blanks around it are dropped, letters are composed (NFC), and control characters and lone
    surrogates are written as backslash escapes. A whole number is written without a point: pandas
    makes fractions of whole numbers as soon as one cell of their column is empty.
    """
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = str(value).strip()
    if text.isascii() and text.isprintable():
        return text
    composed = unicodedata.normalize("NFC", text)
    odd = {mark for mark in set(composed) if unicodedata.category(mark) in ("Cc", "Cs")}
    return composed.translate({ord(mark): mark.encode("unicode_escape").decode() for mark in odd})


def coded(column: pd.Series, empty: str = "") -> tuple[Int64[np.ndarray, " n"], list[str]]:
    """Number the values of a column and name each in clean text, every distinct value once.

    Empty and blank cells are named ``empty``; without such a name they have no number, -1.

    Raises:
        DataError: The column holds lists or the like, which cannot be compared.
    """
    try:
        codes, values = pd.factorize(column.array)
    except TypeError as error:
        raise DataError(f"column {column.name!r} holds values that are no text: {error}") from error
    found = [clean_text(value) or empty for value in values.tolist()]
    found.append(empty if (codes < 0).any() else "")  # where the code -1 looks
    names = list(dict.fromkeys(name for name in found if name))
    number = {name: position for position, name in enumerate(names)}
    merged = np.array([number.get(name, -1) for name in found], dtype=np.int64)
    return merged[codes], names


def cleaned(column: pd.Series) -> pd.Series:
    """The column as clean text; empty and blank cells say "unknown"."""
    codes, names = coded(column, UNKNOWN)
    return pd.Series(pd.Index(names).take(codes), index=column.index, name=column.name)


def without_words(samples: pd.DataFrame) -> tuple[pd.DataFrame, str]:
    """With nothing where a text says that there is nothing, and the columns that held such words.

    As R and pandas write it into files; each would be a group, or one person.
    """
    found, ours = {}, {*OURS} - {"subject_id"}
    for name in [str(name) for name in samples if name not in ours]:
        empty = is_missing(samples[name]) & samples[name].notna().to_numpy()
        if (samples[name][empty].astype(str).str.strip() != "").any():
            found[name] = samples[name].mask(empty)
    return samples.assign(**found), ", ".join(map(shown, found))


def in_ranges(samples: pd.DataFrame, ranges: Mapping[str, Sequence[str]]) -> pd.DataFrame:
    """The table with a range in place of each number of some columns, missing where none is.

    Raises:
        GroupSchemaError: A column is missing, or a value is no number or lies in no range.
    """
    for name in ranges:
        require_column(samples, name, "attributes")
    return samples.assign(
        **{name: ranged(samples[name], parts).astype(object) for name, parts in ranges.items()}
    )


def crossed(samples: pd.DataFrame, columns: Sequence[str]) -> Int64[np.ndarray, " n"]:
    """(n,) cell of each row in the crossing of some columns, in the order of first appearance."""
    return held_cells([coded(samples[column], UNKNOWN)[0] for column in columns], len(samples))


def cell_name(samples: pd.DataFrame, columns: Sequence[str], row: int) -> str:
    """What the cell of one row is called."""
    one = samples.iloc[[row]]
    return CROSS.join(coded(one[column], UNKNOWN)[1][0] for column in columns)


def place_in_cell(cells: Int64[np.ndarray, " n"]) -> Int64[np.ndarray, " n"]:
    """How many earlier rows share the cell of each row."""
    return pd.Series(cells).groupby(cells, sort=False).cumcount().to_numpy(dtype=np.int64)


def require_column(
    samples: pd.DataFrame, column: str, setting: str, error: type[DataError] = GroupSchemaError
) -> None:
    """Fail with the columns that a person may name, and the likeliest of them.

    Raises:
        GroupSchemaError: ``column`` is not one of them; or the ``error`` given.
    """
    if column in samples:
        return
    names = _columns(samples)
    advice = f"; did you mean {like[0]!r}?" if (like := get_close_matches(column, names)) else ""
    if names and not like and PLACES.issuperset(names):
        advice = (
            "; image files alone say no more: annotations are columns of a table with one row an "
            "image and its path in the column 'path', named with --table TABLE (data.table)"
        )
    raise error(
        f"{setting}: there is no column {column!r}; columns: {', '.join(names) or 'none'}{advice}"
    )


def _columns(samples: pd.DataFrame) -> list[str]:
    hidden = {"sample_id", "path", "offset", "length"}
    return [str(name) for name in samples.columns if name not in hidden]


def classes_of(samples: pd.DataFrame, label: str, positive: str | None) -> tuple[str, ...]:
    """The two label values as clean text, the positive one last.

    Raises:
        LabelError: The column is missing, has empty cells, mixes kinds of values (1 and "1", False
            and "NO"), holds fractions, or more than two values. All that is wrong is said at once.
        SingleClassError: It has one value only.
    """
    codes, values = _label_codes(samples, label)
    values, last = sorted(values), None if positive is None else clean_text(positive)
    problems = _missing(samples, label, codes < 0)
    if len(values) > 2:
        shown = ", ".join(values[:SHOWN])
        problems.append(
            f"label {label!r} has {len(values)} values ({shown}); two are compared: filter the "
            "others out with selection.filters or choose another column; columns: "
            f"{', '.join(_columns(samples))}"
        )
    if last is not None and last not in values:
        problems.append(f"positive is {positive!r}, but {label} holds {values[:SHOWN]}")
    if problems:
        raise LabelError("; ".join(problems))
    if len(values) == 1:
        raise SingleClassError(
            f"every one of {len(samples)} samples has {label} = {values[0]!r}: "
            "a classifier needs two classes"
        )
    last = last or values[1]
    return (next(value for value in values if value != last), last)


def encoded(
    samples: pd.DataFrame, label: str | None, classes: tuple[str, ...], attributes: Sequence[str]
) -> pd.DataFrame:
    """Add ``label`` (class index) and make every attribute a text; empty cells say "unknown".

    Values that become equal by cleaning are one group.

    Without a label all samples share one class.

    Raises:
        LabelError: A label is empty or none of ``classes``, with the rows; or as
            :func:`classes_of`.
        GroupSchemaError: An attribute is missing, has a name that the store needs for itself, or
            mixes kinds of values; all such columns are named at once.
    """
    index = np.int64(0) if label is None else _class_index(samples, label, classes)
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
            _require_groups(samples[attribute])
        except GroupSchemaError as error:
            problems.append(str(error))
    if problems:
        raise GroupSchemaError("; ".join(problems))
    done = samples.copy(deep=False)
    done["label"] = index
    for attribute in attributes:  # whatever a column is called
        done[attribute] = cleaned(samples[attribute])
    return done


def _class_index(
    samples: pd.DataFrame, label: str, classes: tuple[str, ...]
) -> Int64[np.ndarray, " n"]:
    codes, values = _label_codes(samples, label)
    number = {name: place for place, name in enumerate(classes)}
    # The code -1 of an empty cell finds the last entry.
    index = np.array([*(number.get(value, -2) for value in values), -1], dtype=np.int64)[codes]
    problems = _missing(samples, label, index == -1)
    if (index == -2).any():
        strange = [value for value in values if value not in number]
        problems.append(
            f"{np.count_nonzero(index == -2)} samples have a {label!r} that is none of "
            f"{list(classes)}, first: {_rows(samples, index == -2)}; values: {strange[:SHOWN]}"
        )
    if problems:
        raise LabelError("; ".join(problems))
    return index


def _require_one_kind(column: pd.Series) -> None:
    """Refuse a column in which 1 and "1" would be one group, or NO the group "False"."""
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


def _require_groups(column: pd.Series) -> None:
    """Refuse numbers of which each would be a group."""
    _, values = coded(column)
    if len(values) <= MOST_VALUES:
        return
    with suppress(ValueError):
        ranges = proposed(str(column.name), [value for value in values if value != UNKNOWN])
        raise GroupSchemaError(
            f"attribute {column.name!r} has {len(values):,} values ({', '.join(values[:3])}, ...): "
            f"it looks like a number; give ranges, such as {ranges} in place of {column.name}"
        )


def _label_codes(samples: pd.DataFrame, label: str) -> tuple[Int64[np.ndarray, " n"], list[str]]:
    require_column(samples, label, "label", LabelError)
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


def _missing(samples: pd.DataFrame, label: str, rows: Bool[np.ndarray, " n"]) -> list[str]:
    if not rows.any():
        return []
    return [
        f"{np.count_nonzero(rows)} samples have no {label!r}, first: {_rows(samples, rows)}; give "
        "them one or leave them out; where NA, none and the like are a class, write it otherwise"
    ]


def _rows(samples: pd.DataFrame, rows: Bool[np.ndarray, " n"]) -> str:
    """The first, by the ends of their paths; by id and row of the list where there are none."""
    found = samples.loc[rows]
    if "path" in found and "offset" not in found:
        ends = sorted("/".join(path.split("/")[-2:]) for path in found["path"])
        return ", ".join(map(shown, ends[:SHOWN]))
    first = found.head(SHOWN)
    return ", ".join(f"{name} (row {row})" for row, name in first["sample_id"].items())

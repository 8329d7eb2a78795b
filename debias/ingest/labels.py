"""From the columns of a table to class indices and attribute texts."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from debias.errors import GroupSchemaError, LabelError, SingleClassError
from debias.ingest.selection import no_column, require_column

UNKNOWN = "unknown"
RESERVED = ("label", "sample_id", "split", "path", "sha256", "subject_id")


def classes_of(samples: pd.DataFrame, label: str, positive: str | None) -> tuple[str, ...]:
    """The two label values, the positive one last.

    Raises:
        LabelError: The column is missing, has empty cells, or more than two values.
        SingleClassError: It has one value only.
    """
    if label not in samples:
        raise LabelError(no_column(samples, label, "label"))
    missing = samples["sample_id"][samples[label].isna()]
    if len(missing):
        first = ", ".join(missing.head(5))
        raise LabelError(f"{len(missing)} samples have no {label!r}, first: {first}")
    values = sorted(samples[label].astype(str).unique())
    if len(values) == 1:
        raise SingleClassError(
            f"every one of {len(samples)} samples has {label} = {values[0]!r}: "
            "a classifier needs two classes"
        )
    if len(values) > 2:
        shown = ", ".join(values[:10])
        raise LabelError(
            f"label {label!r} has {len(values)} values ({shown}); two are compared: filter the "
            "others out with selection.filters or choose another column"
        )
    if positive is not None and positive not in values:
        raise LabelError(f"positive is {positive!r}, but {label} holds {values}")
    last = positive or values[1]
    return (next(value for value in values if value != last), last)


def encoded(
    samples: pd.DataFrame, label: str, classes: tuple[str, ...], attributes: Sequence[str]
) -> pd.DataFrame:
    """Add ``label`` (class index) and make every attribute a text; empty cells say "unknown"."""
    codes = np.array([classes.index(value) for value in samples[label].astype(str)])
    texts = {}
    for attribute in attributes:
        if attribute in RESERVED:
            raise GroupSchemaError(
                f"attributes: {attribute!r} is a name the store needs for itself "
                f"({', '.join(RESERVED)}); rename the column"
            )
        require_column(samples, attribute, "attributes")
        text = samples[attribute].astype("object").fillna(UNKNOWN).astype(str).str.strip()
        texts[attribute] = text.where(text != "", UNKNOWN)
    return samples.assign(label=codes.astype(np.int64), **texts)

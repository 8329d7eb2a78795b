"""Reports as plain values and as JSON text, and back."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd


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

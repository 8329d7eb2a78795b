"""Groups and numbers as sentences about groups write them."""

from collections.abc import Iterable
from typing import Any

import pandas as pd

NAMED = 8  # groups in one sentence


def percent(share: float) -> str:
    """A share in [0, 1] as a percentage: 0.031 -> 3.1 %, 0.25 -> 25 %."""
    value = 100 * share
    if 0 < value < 0.01:
        return "under 0.01 %"
    if 99.95 <= value < 100:
        return "over 99.9 %"
    return f"{value:.2f} %" if 0 < value < 1 else f"{value:.1f}".removesuffix(".0") + " %"


def interval(row: Any) -> str:  # noqa: ANN401 (a row of a table)
    return f"{percent(row.share)} ({percent(row.low)} to {percent(row.high)})"


def moved(rows: pd.DataFrame) -> str:
    return listed(
        f"{short_name(row)} ({percent(row.before)} to {percent(row.weight_share)})"
        for row in records(rows)
    )


def images(count: float) -> str:
    return "image" if count == 1 else "images"


def called(row: Any) -> str:  # noqa: ANN401 (a row of a table)
    return str(row.group) if row.is_crossing else f"{row.attribute}: {short_name(row)}"


def short_name(row: Any) -> str:  # noqa: ANN401 (a row of a table)
    """The value alone; of a crossing, the name."""
    return str(row.group) if row.is_crossing else str(row.group).removeprefix(f"{row.attribute}:")


def names(rows: pd.DataFrame) -> str:
    return listed(map(short_name, records(rows)))


def listed(names: Iterable[str]) -> str:
    texts = list(names)
    more = f" and {len(texts) - NAMED} more" if len(texts) > NAMED else ""
    return ", ".join(texts[:NAMED]) + more


def records(table: pd.DataFrame) -> Iterable[Any]:
    return table.itertuples(index=False)


def by_attribute(table: pd.DataFrame) -> Iterable[tuple[str, pd.DataFrame]]:
    """The rows of each attribute or crossing, in the order of the table."""
    for attribute, rows in table.groupby("attribute", sort=False):
        yield str(attribute), rows

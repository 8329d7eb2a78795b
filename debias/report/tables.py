"""Long tables in parts."""

from collections.abc import Iterator, Sequence
from typing import Any

GROUPS_ON_A_PAGE = 60


def paged(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    """Cut a long table into pages that a browser can fold away."""
    for start in range(0, len(rows), GROUPS_ON_A_PAGE):
        yield rows[start : start + GROUPS_ON_A_PAGE]

"""Images that could not be used, group by group, and whether some groups lost more than others."""

import numpy as np
import pandas as pd
from jaxtyping import Float64

from debias.errors import DataError
from debias.statistics.intervals import holm

NEEDED = ("attribute", "group", "listed", "rejected")
LOSSES = ("set_aside", "set_aside_share", "set_aside_overall", "more_set_aside")


def losses(
    account: pd.DataFrame | None,
    hidden: frozenset[str],
    *,
    below: int,
    minimum: int,
    level: float,
) -> pd.DataFrame:
    """Set aside by group.

    Args:
        account: One row a group with ``attribute``, ``group`` (``race:Black``), ``listed`` and
            ``rejected`` images; None where nothing is known.
        hidden: Names of groups whose numbers are withheld.
        below: Groups of which 1 to below this images were listed are withheld too.
        minimum: Listed images below which a group has no share and no answer.
        level: Of a false alarm among all groups.

    Returns:
        By group: ``set_aside`` (images), ``set_aside_share`` (of those listed),
        ``set_aside_overall`` (the same over all groups), ``more_set_aside`` (whether chance alone
        would hardly show so many more: Fisher's exact test, one-sided, Holm over all groups). NaN
        where withheld.

    Raises:
        DataError: A column is missing, or a group stands there twice.
    """
    if account is None:
        return pd.DataFrame(columns=LOSSES)
    lacking = [name for name in NEEDED if name not in account]
    if lacking:
        raise DataError(f"the account of what was set aside has no column {lacking[0]!r}")
    repeated = account["group"][account["group"].duplicated()]
    if len(repeated):
        raise DataError(f"the account of what was set aside names {repeated.iloc[0]!r} twice")
    table = account.set_index("group")
    whole = table.groupby("attribute")[["listed", "rejected"]].transform("sum")
    withheld = table["listed"].between(1, below - 1) | table.index.isin(list(hidden))
    # What is withheld must not move the p-values of the others.
    few = table["listed"] < minimum
    p = np.where(withheld | few, 1.0, _so_many(table, whole))
    found = {
        "set_aside": table["rejected"].astype(float),
        "set_aside_share": table["rejected"] / table["listed"].where(~few),
        "set_aside_overall": whole["rejected"] / whole["listed"].where(whole["listed"] > 0),
        "more_set_aside": pd.Series(holm(p) < level, index=table.index).astype(object),
    }
    return pd.DataFrame(found).mask(withheld)


def _so_many(table: pd.DataFrame, whole: pd.DataFrame) -> Float64[np.ndarray, " g"]:
    """Chance of at least as many in a group if the same number fell on listed images at random."""
    from scipy.stats import hypergeom

    return hypergeom.sf(
        table["rejected"] - 1, whole["listed"], whole["rejected"], table["listed"]
    ).astype(np.float64)

"""How well a score tells the images of each group from all others, and whom weights reach.

``n`` images, ``g`` cells.
"""

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64
from scipy.special import ndtri, stdtrit

from debias.concentration import share_by_group
from debias.ranking import UNKNOWN, auc_by_group
from debias.reach import SLACK, reach


def areas(
    score: Float64[np.ndarray, " n"],
    codes: Int64[np.ndarray, " n"],
    people: Int64[np.ndarray, " n"] | None,
    *,
    level: float,
) -> pd.DataFrame:
    """Area under the ROC curve of a score against membership of each cell.

    Where people repeat, intervals grow by how much more the area varies between people than
    between independent images.

    Args:
        score: (n,), finite; higher is expected for members.
        codes: (n,) cell, -1 for images that are nobody's members but others to everybody.
        people: (n,) who is shown, numbered from 0; None where nobody says.
        level: One minus that of the intervals.

    Returns:
        Columns ``auc``, ``auc_low``, ``auc_high`` by cell; cells without images have no row. NaN
        where everyone is a member.
    """
    table = auc_by_group(score, np.zeros(len(score), dtype=np.int64), codes, level=1 - level)
    table = table.drop(columns="n").set_index("group").drop(index=-1, errors="ignore")
    table = table.rename(columns={"low": "auc_low", "high": "auc_high"}).astype(np.float64)
    if people is None:
        return table
    wider = np.array([_widening(score, codes == code, people, level) for code in table.index])
    return table.assign(
        auc_low=(table["auc"] - wider * (table["auc"] - table["auc_low"])).clip(lower=0),
        auc_high=(table["auc"] + wider * (table["auc_high"] - table["auc"])).clip(upper=1),
    )


def _widening(
    score: Float64[np.ndarray, " n"],
    members: Bool[np.ndarray, " n"],
    people: Int64[np.ndarray, " n"],
    level: float,
) -> float:
    """Half a width for people that repeat over that for independent images, at least 1.

    With e what the images of one person add to the error of the area, the quotient of the
    variances is sum(e^2) over people by that over images; Student's t has sum(e^2)^2 / sum(e^4)
    - 1 degrees of freedom, so that it matters if few people make up a group, or most images.

    Reference:
        Obuchowski, "Nonparametric analysis of clustered ROC curve data", Biometrics 53, 1997.
        Deviations: relative to independent images; Student's t, degrees of freedom estimated.
    """
    from scipy.stats import rankdata

    if members.all() or not members.any():
        return 1.0
    ranks, influence = rankdata(score), np.empty(len(score))
    for side, sign in ((members, 1), (~members, -1)):
        beaten = ranks[side] - rankdata(score[side])  # images of the other side
        influence[side] = sign * (beaten - beaten.mean())  # a common factor cancels
    by_person = np.bincount(people, weights=influence)
    alone, together = np.square(influence).sum(), np.square(by_person).sum()
    if alone == 0:
        return 1.0
    freedom = max(1.0, together**2 / (by_person**4).sum() - 1)
    student = stdtrit(freedom, 1 - level / 2) / ndtri(1 - level / 2)
    return float(student * max(1.0, np.sqrt(together / alone)))


def reached_by(
    weight: Float64[np.ndarray, " n"],
    names: list[str],
    codes: Int64[np.ndarray, " n"],
    area: pd.DataFrame,
    seed: int,
) -> pd.DataFrame:
    """Which groups weights raise, beside equally uneven weights dealt out at random.

    Args:
        weight: (n,), at least 0, with a sum above 0.
        names: Of the cells; ``unknown`` for those that are no group.
        codes: (n,) cell of each image.
        area: Of the weight, as :func:`areas` makes it, of the cells that may be shown.
        seed: Of the random control.

    Returns:
        By cell: ``before``, ``weight_share`` (share of the weight), ``raised`` (True, False, or
        None where it cannot be told) and ``reach`` (``reached``, ``lowered``, ``missed`` or
        ``unclear`` as in :class:`debias.reach.Reach`, or nothing).
    """
    generator = np.random.default_rng(seed)
    one_class = np.zeros(len(codes), dtype=np.int64)
    table = share_by_group(weight / weight.sum(), codes, one_class, generator)
    table = table.set_index(table["group"].astype(int)).drop(columns="group")
    table = table.join(area.rename(columns={"auc_low": "low", "auc_high": "high"}))
    table = table.assign(group=[names[code] for code in table.index])
    found, kind = reach(table), pd.Series("", index=table.index, dtype=object)
    for name in ("reached", "lowered", "missed", "unclear"):
        kind[getattr(found, name).index] = name
    # No answer where a share grew beyond chance but single images do not show it.
    unsure = table["auc"].isna() | (table["after"] > table["random_high"] + SLACK)
    raised = (kind == "reached").astype(object).where((kind == "reached") | ~unsure, None)
    return pd.DataFrame(
        {
            "before": table["before"],
            "weight_share": table["after"].clip(upper=1.0),  # rounding
            "raised": raised.where(table["group"] != UNKNOWN, None),
            "reach": kind,
        }
    )

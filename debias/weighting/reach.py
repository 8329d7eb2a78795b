"""Whom weights reach: what shares and areas of the groups of one attribute say, with chance beside.

``readings`` puts it into sentences, the same for a run and for the command ``debias weigh``.
"""

from dataclasses import dataclass

import pandas as pd

from debias.statistics.concentration import SLACK
from debias.statistics.groupings import UNKNOWN


@dataclass(frozen=True, kw_only=True)
class Reach:
    """Groups of one attribute, by what the weights do to them.

    Attributes:
        reached: Share beyond what equally uneven random weights give in 95 % of cases, and the
            interval of the area under the curve above one half.
        lowered: Share below the random range although the group is smaller than an even share.
        missed: Share inside the random range.
        unclear: Rare groups of which none of this can be said.
        partly: Whether some samples have no group; shares of the others tell less then.
    """

    reached: pd.DataFrame
    lowered: pd.DataFrame
    missed: pd.DataFrame
    unclear: pd.DataFrame
    partly: bool


def reach(by_group: pd.DataFrame) -> Reach:
    """Sort the groups of one attribute, as :meth:`SamplingWeights.describe` tells them.

    A group that is a whole class has no area: its share is kept by design, and it is left out.
    """
    known = by_group[by_group["group"] != UNKNOWN]
    partly = len(known) < len(by_group)
    table = known[known["auc"].notna()].astype({"auc": float, "low": float})
    small = table["before"] < 1 / max(len(known), 1)
    above = table["after"] > table["random_high"] + SLACK
    below = table["after"] < table["random_low"] - SLACK
    reached = above & (table["low"] > 0.5)
    lowered = below & small & (not partly)  # who is small, partial annotation cannot tell
    missed = ~above & ~below
    return Reach(
        reached=table[reached],
        lowered=table[lowered],
        missed=table[missed],
        unclear=table[small & ~reached & ~lowered & ~missed],
        partly=partly,
    )


def readings(found: Reach, whose: str = "the weights", source: str = "") -> list[str]:
    """What that means, in sentences, harm first; ``source`` ends the one about groups reached."""
    upper, lower = whose[0].upper() + whose[1:], whose[0].lower() + whose[1:]
    said = (
        (found.lowered, f"Harm: {lower} lower the share of {_moved(found.lowered)}."),
        (
            found.reached,
            f"{upper} raise the share of {_moved(found.reached)}, more than equally uneven random "
            f"weights would{source}.",
        ),
        (
            found.missed,
            f"{upper} do no better than random weights of equal effective sample size for "
            f"{', '.join(found.missed['group'])}: they do not target these groups.",
        ),
        (
            found.unclear,
            f"Whether {lower} reach {', '.join(found.unclear['group'])} cannot be told: the "
            "interval of the area under the curve holds one half, or shares mean little beside "
            "samples without a group.",
        ),
    )
    return [sentence for groups, sentence in said if len(groups)]


def _moved(table: pd.DataFrame) -> str:
    rows = table[["group", "before", "after"]].itertuples(index=False)
    return ", ".join(f"{group} ({before:.1%} to {after:.1%})" for group, before, after in rows)

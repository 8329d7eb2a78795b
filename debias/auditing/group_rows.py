"""The rows of an audit by group, as values that can be written anywhere."""

from dataclasses import asdict, dataclass, fields
from typing import Any

import pandas as pd

WHOLE = ("count", "missing", "set_aside")


@dataclass(frozen=True, kw_only=True)
class GroupRow:
    """One group or crossing; None is undefined, or withheld where the state is ``suppressed``.

    Attributes:
        group: ``race:Black``, or ``race:Black x gender:Female``.
        state: ``estimated``; ``not_estimable``, no images; ``too_small``, one of too few labelled
            images to judge its share; ``suppressed``; ``unknown``, images without a label.
        count: Images.
        share: Of the images with a label; of all images in the row of those without one.
        low: Lower limit of the share.
        high: Upper limit.
        declared: Share that the group should have.
        missing: Images to add to this group alone until it has the declared share.
        verdict: ``below``, ``above`` or ``cannot_tell``; None without a comparison.
        p_adjusted: Of the declared share, by Holm over all groups and crossings compared.
        auc: Area under the ROC curve of rarity against membership; None, as everything about
            weights, in a group of too few images.
        auc_low: Its lower limit.
        auc_high: Its upper limit.
        weight_share: Share of the weight.
        raised: Whether the weights raise the share beyond chance; None if that cannot be told.
        set_aside: Listed images that could not be used.
        set_aside_share: Of those listed; None where these are too few.
    """

    group: str
    state: str
    count: int | None
    share: float | None
    low: float | None
    high: float | None
    declared: float | None
    missing: int | None
    verdict: str | None
    p_adjusted: float | None
    auc: float | None
    auc_low: float | None
    auc_high: float | None
    weight_share: float | None
    raised: bool | None
    set_aside: int | None
    set_aside_share: float | None


@dataclass(frozen=True, kw_only=True)
class GroupAudit:
    """What annotations say about a data set.

    Attributes:
        source: Who says to which group a face belongs.
        attributes: Rows of each attribute, the worst first.
        declared: Attributes whose shares are declared.
        crossings: Rows of the crossing of all attributes, the worst first.
        sentences: What it means, the worst first.
        comparisons: Groups and crossings with a declared share, over which p-values are adjusted.
        news: The sentences that a reader must not miss, each with its kind: ``below`` its declared
            share, ``lowered`` by weights, ``lost`` more of its images on the way.
    """

    source: str
    attributes: dict[str, tuple[GroupRow, ...]]
    declared: frozenset[str]
    crossings: tuple[GroupRow, ...]
    sentences: tuple[str, ...]
    comparisons: int
    news: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as the audit document holds them."""
        return {
            "source": self.source,
            "attributes": [
                {
                    "attribute": name,
                    "declared": name in self.declared,
                    "rows": [asdict(row) for row in rows],
                }
                for name, rows in self.attributes.items()
            ],
            "crossings": [asdict(row) for row in self.crossings],
            "sentences": list(self.sentences),
            "comparisons": self.comparisons,
            "news": [{"kind": kind, "sentence": sentence} for kind, sentence in self.news],
        }


def rows_of(table: pd.DataFrame) -> tuple[GroupRow, ...]:
    """Rows of a table with columns named as the fields, the worst first.

    Those that miss most images come first, then the smallest; withheld ones by name, which tells
    nothing of their size, and images without a label last.
    """
    below = (table["verdict"] == "below") * table["missing"].fillna(0).astype(float)
    keys = {
        "last": table["state"].map({"suppressed": 1, "unknown": 2}).fillna(0),
        "below": -below,
        "share": table["share"],
        "group": table["group"],
    }
    ordered = table.loc[pd.DataFrame(keys).sort_values([*keys]).index]
    names = [field.name for field in fields(GroupRow)]
    return tuple(
        GroupRow(**{name: _plain(name, value) for name, value in zip(names, values, strict=True)})
        for values in ordered[names].itertuples(index=False)
    )


def _plain(name: str, value: Any) -> Any:  # noqa: ANN401 (a cell of any column)
    if value is None or pd.isna(value):
        return None
    if name in WHOLE:
        return int(value)
    return bool(value) if name == "raised" else value

"""Training groups of a few images: their counts stay out of every report and tracker."""

from collections.abc import Mapping
from typing import Any

from debias.metrics import FairnessReport, hidden_counts
from debias.types import FaceStore

TABLES = ("share_by_group", "auc_by_group")


def small_training_groups(faces: FaceStore, below: int) -> frozenset[str]:
    """Names of the groups and crossings whose number of training images is withheld."""
    hidden = hidden_counts(faces.groups(faces.rows("train")), below)
    return frozenset(name for name, withheld in hidden.items() if withheld)


def small_test_groups(fairness: Mapping[str, FairnessReport]) -> frozenset[str]:
    """Names of the groups and crossings of which an evaluation withholds the number of images.

    Taken from the evaluations rather than decided again: two patterns of what is withheld could
    give away together what each of them keeps. Where no rate is over all images of a group, any
    rate counts but precision, whose denominator is a number of predictions.
    """
    hidden: set[str] = set()
    for table in (report.by_group for report in fairness.values()):
        whole = table["metric"].isin(["accuracy"])
        asked = whole if whole.any() else ~table["metric"].str.startswith("precision")
        hidden |= set(table.loc[asked & (table["state"] == "suppressed"), "group"])
    return frozenset(hidden)


def without(figures: Mapping[str, Any], hidden: frozenset[str]) -> dict[str, Any]:
    """Figures of weights without the groups whose counts could be read from them."""
    tables = {
        name: {group: row for group, row in figures[name].items() if group not in hidden}
        for name in TABLES
        if name in figures
    }
    return {**figures, **tables}


def count_or_none(count: int, below: int) -> int | None:
    """A count that may be shown; None for 1 to below."""
    return None if 0 < count < below else count

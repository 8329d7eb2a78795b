"""The arms of a run and what was measured of each, plain training first."""

from collections.abc import Mapping
from typing import Any

from debias.types import BASELINE

Document = Mapping[str, Any]


def arms_of(document: Document) -> list[str]:
    """Names of the arms, the one that the others stand beside first: plain training, if any."""
    return sorted(document["arms"], key=lambda arm: arm != BASELINE)


def fairness_of(document: Document) -> dict[str, Document]:
    """Arm to its fairness document, in the order of :func:`arms_of`."""
    return {arm: document["fairness"][arm] for arm in arms_of(document)}


def comparisons_of(document: Document) -> dict[str, Document]:
    """Arm to its comparison with plain training; empty in a run without plain training."""
    return dict(document["comparisons"])

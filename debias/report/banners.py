"""What a reader of a run must know before any number, each thing said once."""

import re
from collections.abc import Mapping
from typing import Any

from debias.types import BASELINE

Document = Mapping[str, Any]
# How notes begin that hold figures of one arm rather than a warning about all of them.
_FIGURES = ("Over all images", "Of ")


def banners(fairness: Mapping[str, Document], comparisons: Mapping[str, Document]) -> list[str]:
    """Notes on the first arm, then what every comparison adds to them.

    Args:
        fairness: Arm to its fairness document, the baseline first.
        comparisons: Arm to its comparison with the baseline; may be empty.
    """
    first = list(next(iter(fairness.values()))["notes"])
    added = [note for note in _shared(comparisons) if _is_new(note, first)]
    return [*_about_arms(list(fairness)), *first, *added]


def arm_notes(
    arm: str, fairness: Mapping[str, Document], comparisons: Mapping[str, Document]
) -> list[str]:
    """Notes on the comparison of one arm that no banner tells."""
    told = [*next(iter(fairness.values()))["notes"], *_shared(comparisons)]
    return [note for note in comparisons[arm]["notes"] if _is_new(note, told)]


def _about_arms(arms: list[str]) -> list[str]:
    if len(arms) == 1:
        return ["Only one classifier was trained: there is nothing to compare it with."]
    if BASELINE not in arms:
        return ["Plain training is not part of this run, so nothing was compared with it."]
    return []


def _shared(comparisons: Mapping[str, Document]) -> list[str]:
    """Warnings that all comparisons give in the same words."""
    every = [document["notes"] for document in comparisons.values()]
    common = [note for note in every[0] if all(note in notes for notes in every)] if every else []
    return [note for note in common if not note.startswith(_FIGURES)]


def _is_new(note: str, told: list[str]) -> bool:
    """Two notes that open alike say the same, of rates and of their changes."""
    return _opening(note) not in map(_opening, told)


def _opening(note: str) -> str:
    return re.split(r"[:;.(]", note)[0].strip().lower()

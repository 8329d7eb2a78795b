"""Which of two situations a user is in: a group is rare, or a label goes with a group.

Latent rarity answers the first if the rare group looks different; it does not answer the second.
"""

from collections.abc import Mapping
from typing import Any

from debias.metrics import CROSS, association
from debias.stages.targets import crossed
from debias.types import FaceStore

TIED = 0.1  # Cramér's V from which a label counts as going with a group ("small" for two values)
SIGNIFICANT = 0.01


def situations(faces: FaceStore, weights: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One entry per annotated attribute: rare groups, tie to the label, and what that means.

    Args:
        faces: The store; only its training faces are looked at.
        weights: Figures of every arm's weights.
    """
    return [_of_attribute(faces, attribute, weights) for attribute in faces.attributes]


def _of_attribute(
    faces: FaceStore, attribute: str, weights: Mapping[str, Mapping[str, Any]]
) -> dict[str, Any]:
    groups = crossed(faces, (attribute,))
    known = groups != ""
    labels = faces.labels(faces.rows("train"))
    found = association(labels[known], groups[known]) if known.any() else None
    shares = _shares(attribute, weights)
    rare = [group for group, share in shares.items() if share < 0.5 / len(shares)]
    reached = _reached(rare, weights)
    # A group that is a whole class has no V below 1, and rarity within a class says nothing of it.
    tied = found is not None and found.cramers_v >= TIED and found.p_value < SIGNIFICANT
    entry: dict[str, Any] = {
        "attribute": attribute,
        "rare": rare,
        "reached": reached,
        "cramers_v": None if found is None else _defined(found.cramers_v),
        "kind": _kind(tied=tied, rare=rare, reached=reached),
    }
    if found is not None:
        label, group = found.rarest_cell
        entry |= {
            "rarest_cell": f"{faces.label}:{faces.classes[int(label)]}{CROSS}{attribute}:{group}",
            "rarest_count": found.rarest_count,
            "expected_count": found.expected_count,
        }
    return entry


def _kind(*, tied: bool, rare: list[str], reached: list[str] | None) -> str:
    if tied:
        return "correlation"
    if not rare:
        return "even"
    if reached is None:
        return "rare_unmeasured"
    return "rare_reached" if set(reached) == set(rare) else "rare_missed"


def _shares(attribute: str, weights: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Share of the training faces of each group of one attribute, whichever arm tells it."""
    every = next(iter(weights.values()))["share_by_group"]
    prefix = f"{attribute}:"
    return {
        group: share["before"]
        for group, share in every.items()
        if group.startswith(prefix) and CROSS not in group
    }


def _reached(rare: list[str], weights: Mapping[str, Mapping[str, Any]]) -> list[str] | None:
    """Rare groups that the latent weights raise beyond chance; None without such weights."""
    latent = [figures for figures in weights.values() if figures["rule"] == "latent_rarity"]
    if not latent:
        return None
    shares, areas = latent[0]["share_by_group"], latent[0]["auc_by_group"]
    return [
        group
        for group in rare
        if shares[group]["after"] > shares[group]["random_high"]
        and (areas[group]["low"] or 0) > 0.5
    ]


def _defined(value: float) -> float | None:
    return value if value == value else None


def sentence(entry: Mapping[str, Any]) -> str:
    """What the situation means, and what to do."""
    attribute, rare = entry["attribute"], ", ".join(entry["rare"])
    if entry["kind"] == "correlation":
        return (
            f"Correlation: the label goes with {attribute} (Cramér's V "
            f"{entry['cramers_v']:.2f}). What is missing is a combination, {entry['rarest_cell']} "
            f"({entry['rarest_count']} images, {entry['expected_count']:.0f} if they were "
            "independent). A correlation is not a rarity: use a reference set or annotate some "
            "images, and do not expect latent rarity to find it."
        )
    if entry["kind"] == "even":
        return f"Neither: no group of {attribute} is rare, and the label does not go with it."
    if entry["kind"] == "rare_reached":
        return f"Rarity: {rare} is rare and looks different enough for latent rarity to find it."
    if entry["kind"] == "rare_missed":
        missed = ", ".join(group for group in entry["rare"] if group not in entry["reached"])
        return (
            f"Rarity that latent weights miss: {missed} is rare, but the latent space does not set "
            "it apart. Use a reference set, annotate some images, or bring embeddings that show it."
        )
    return f"Rarity: {rare} is rare; no arm of this run measures whether latent rarity finds it."

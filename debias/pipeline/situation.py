"""Which of two situations a user is in: a group is rare, or a label goes with a group.

Latent rarity answers the first if the rare group looks different; it does not answer the second.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from jaxtyping import Shaped

from debias.metrics import CROSS, association
from debias.pipeline.findings import tables_by_attribute
from debias.pipeline.withholding import count_or_none
from debias.types import FaceStore
from debias.weighting.reach import reach
from debias.weighting.rule import crossed


def situations(
    faces: FaceStore, weights: Mapping[str, Mapping[str, Any]], below: int = 1
) -> list[dict[str, Any]]:
    """One entry per annotated attribute: rare groups, tie to the label, and what that means.

    Args:
        faces: The store; only its training faces are looked at.
        weights: Figures of every arm's weights.
        below: Counts from 1 to below this are withheld.
    """
    return [_of_attribute(faces, attribute, weights, below) for attribute in faces.attributes]


def _of_attribute(
    faces: FaceStore, attribute: str, weights: Mapping[str, Mapping[str, Any]], below: int
) -> dict[str, Any]:
    groups = crossed(faces, (attribute,))
    known = groups != ""
    labels = faces.labels(faces.rows("train"))
    found = association(labels[known], groups[known]) if known.any() else None
    entry: dict[str, Any] = {"attribute": attribute, "rare": [], "reached": None}
    entry |= {"cramers_v": None, "tied": False}
    if found is None or not known.all():
        return entry | {"kind": "partly_known"}
    if found.nested:
        return entry | {"kind": "label"}
    rare = _rare(attribute, groups)
    reached = _reached(attribute, weights)
    label, group = found.rarest_cell
    return entry | {
        "rare": rare,
        "reached": reached,
        "cramers_v": _defined(found.cramers_v),
        "rarest_cell": f"{faces.label}:{faces.classes[int(label)]}{CROSS}{attribute}:{group}",
        "rarest_count": count_or_none(found.rarest_count, below),
        "expected_count": found.expected_count,
        "tied": found.tied,
        "kind": _kind(rare, reached),
    }


def _kind(rare: list[str], reached: list[str] | None) -> str:
    if not rare:
        return "even"
    if reached is None:
        return "rare_unmeasured"
    return "rare_reached" if set(rare) <= set(reached) else "rare_missed"


def _rare(attribute: str, groups: Shaped[np.ndarray, " n"]) -> list[str]:
    """Groups with less than half of an even share."""
    names, counts = np.unique(groups, return_counts=True)
    few = counts < 0.5 * len(groups) / len(names)
    return [f"{attribute}:{name}" for name in names[few]]


def _reached(attribute: str, weights: Mapping[str, Mapping[str, Any]]) -> list[str] | None:
    """Groups that the latent weights raise beyond chance; None without such weights."""
    latent = [figures for figures in weights.values() if figures["rule"] == "latent_rarity"]
    if not latent:
        return None
    tables = [reach(table).reached for table in tables_by_attribute(latent[0])]
    names = [name for table in tables for name in table["group"]]
    return [name for name in names if name.startswith(f"{attribute}:")]


def _defined(value: float) -> float | None:
    return value if value == value else None


def sentence(entry: Mapping[str, Any]) -> str:
    """What the situation means, and what to do; a group can be rare and tied to the label."""
    if not entry["tied"]:
        return _of_rarity(entry)
    correlation = (
        f"Correlation: the label goes with {entry['attribute']} (Cramér's V "
        f"{entry['cramers_v']:.2f}). What is missing most is a combination, "
        f"{entry['rarest_cell']} ({_few(entry['rarest_count'])}, {entry['expected_count']:.0f} "
        "if they were independent). A correlation is not a rarity: use a reference set or annotate "
        "some images, and do not expect latent rarity to find it."
    )
    return f"{_of_rarity(entry)} {correlation}" if entry["rare"] else correlation


def _few(count: int | None) -> str:
    return "a few images, number withheld" if count is None else f"{count} images"


def _of_rarity(entry: Mapping[str, Any]) -> str:
    attribute, rare = entry["attribute"], ", ".join(entry["rare"])
    if entry["kind"] == "label":
        return f"Groups of {attribute} say what the label says: neither rarity nor correlation."
    if entry["kind"] == "partly_known":
        return f"Who is rare cannot be told for {attribute}: not every training face is annotated."
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

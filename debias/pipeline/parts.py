"""The finished parts of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from debias.storage.artifacts import Artifact


@dataclass(frozen=True)
class Stages:
    """The finished artifacts of a run, by what they are; why arms were refused, by their name."""

    faces: Artifact
    representation: Artifact
    reference: Artifact | None
    weights: Mapping[str, Artifact]
    classifiers: Mapping[str, Sequence[Artifact]]
    refused: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(cls, made: Mapping[str, Any]) -> "Stages":
        """What the steps of a run made, by stop, arm and seed: "weights/latent"."""
        weights: dict[str, Artifact] = {}
        refused: dict[str, str] = {}
        trained: dict[str, list[Artifact]] = {}
        for name, one in made.items():
            stop, *which = name.split("/")
            if stop == "weights":
                (refused if isinstance(one, str) else weights)[which[0]] = one
            elif stop == "classifier":
                trained.setdefault(which[0], []).append(one)
        parts: dict[str, Any] = {
            name: made.get(name) for name in ("faces", "representation", "reference")
        }
        return cls(**parts, weights=weights, refused=refused, classifiers=trained)

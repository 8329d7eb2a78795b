"""The finished parts of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

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

"""The finished parts of a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from debias.artifacts import Artifact


@dataclass(frozen=True)
class Stages:
    """The finished artifacts of a run, by what they are."""

    faces: Artifact
    representation: Artifact
    reference: Artifact | None
    weights: Mapping[str, Artifact]
    classifiers: Mapping[str, Sequence[Artifact]]

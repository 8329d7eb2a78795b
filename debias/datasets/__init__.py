"""Where faces come from: one file per source, from its layout on disk to a table of samples."""

from typing import Protocol, runtime_checkable

from debias.datasets.folder import Folder
from debias.datasets.synthetic import Population, SyntheticFaces
from debias.datasets.utkface import UTKFace
from debias.types import Collection

DATASETS = {"synthetic": SyntheticFaces, "utkface": UTKFace, "folder": Folder}

__all__ = ["DATASETS", "Dataset", "Folder", "Population", "SyntheticFaces", "UTKFace"]


@runtime_checkable
class Dataset(Protocol):
    """A source of faces; ``annotation`` says who annotated the attributes and how.

    ``source`` is the same in a word: self-reported, annotated, inferred or not stated.
    """

    @property
    def name(self) -> str: ...
    @property
    def annotation(self) -> str: ...
    @property
    def source(self) -> str: ...

    def collect(self, seed: int) -> Collection: ...

"""Where faces come from: one file per source, from its layout on disk to a table of samples."""

from typing import Protocol, runtime_checkable

from debias.datasets.celeba import CelebA
from debias.datasets.fairface import FairFace
from debias.datasets.folder import Folder
from debias.datasets.image_folder import ImageFolder
from debias.datasets.lfw import LFW
from debias.datasets.listed import ListedFaces
from debias.datasets.synthetic import Population, SyntheticFaces
from debias.datasets.utkface import UTKFace
from debias.types import Collection

DATASETS = {
    "synthetic": SyntheticFaces,
    "utkface": UTKFace,
    "celeba": CelebA,
    "fairface": FairFace,
    "lfw": LFW,
    "listed": ListedFaces,
    "image_folder": ImageFolder,
    "folder": Folder,
}

__all__ = [
    "DATASETS",
    "LFW",
    "CelebA",
    "Dataset",
    "FairFace",
    "Folder",
    "ImageFolder",
    "ListedFaces",
    "Population",
    "SyntheticFaces",
    "UTKFace",
]


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

"""Where faces come from: one file per source, from its layout on disk to a table of samples."""

from typing import Protocol, runtime_checkable

from debias.datasets.arrays import ArrayFile
from debias.datasets.celeba import CelebA
from debias.datasets.fairface import FairFace
from debias.datasets.folder import Folder, ImageFolder, Images
from debias.datasets.hdf5 import Hdf5Faces
from debias.datasets.hugging_face import HuggingFace
from debias.datasets.idx import Idx
from debias.datasets.lfw import LFW
from debias.datasets.store import Store
from debias.datasets.synthetic import Population, SyntheticFaces
from debias.datasets.tar import TarShards
from debias.datasets.utkface import UTKFace
from debias.plugins import Registry
from debias.types import Collection

DATASETS = Registry(
    "data set",
    {
        "synthetic": SyntheticFaces,
        "utkface": UTKFace,
        "celeba": CelebA,
        "fairface": FairFace,
        "lfw": LFW,
        "image_folder": ImageFolder,
        "images": Images,
        "folder": Folder,
        "tar": TarShards,
        "hdf5": Hdf5Faces,
        "hugging_face": HuggingFace,
        "idx": Idx,
        "arrays": ArrayFile,
        "store": Store,
    },
    group="debias.datasets",
    asks=("annotation", "source", "collect"),
)

__all__ = ["DATASETS", "Dataset", "Population", "SyntheticFaces"]


@runtime_checkable
class Dataset(Protocol):
    """A source of faces; ``annotation`` says who annotated the attributes and how.

    ``source`` is the same in a word: self-reported, annotated, inferred, drawn or not stated. One
    that always has categorical attributes names them in ``groups``.
    """

    @property
    def name(self) -> str: ...
    @property
    def annotation(self) -> str: ...
    @property
    def source(self) -> str: ...

    def collect(self, seed: int) -> Collection: ...

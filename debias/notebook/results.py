"""What :mod:`debias.notebook.functions` return: finished folders, opened as values."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from debias.errors import ArtifactCorruptError, DataError
from debias.metrics import ComparisonReport, FairnessReport, Rules
from debias.pipeline.export import open_audit
from debias.pipeline.fairness import arm_comparisons, read_run
from debias.pipeline.step import load_weights
from debias.shown import Shown
from debias.storage.artifacts import Artifact, RunFolder, load_faces
from debias.storage.sealed import read_checked
from debias.types import FaceStore, Latents
from debias.weighting.weights import SamplingWeights

# The file of a finished folder that says which faces it is about, and where in it.
POINTERS = {
    "store.json": ("faces",),
    "audit.json": ("faces",),
    "report.json": ("run", "artifacts", "faces"),
}


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredFaces(FaceStore):
    """Decoded faces, and the folder of the store, run or audit in which they lie.

    Attributes:
        folder: Of the store, run or audit.
        key: Content of the store.
    """

    folder: Path
    key: str

    def __repr__(self) -> str:
        named = f", attributes {', '.join(self.attributes)}" if self.attributes else ""
        return (
            f"StoredFaces in {self.folder}: {len(self.images):,} images of {self.images.shape[1]} "
            f"pixels, label {self.label}{named}"
        )

    @property
    def artifact(self) -> Artifact:
        """The sealed folder of the faces; ArtifactCorruptError if it is gone or was altered."""
        return _part(self.folder, "faces", self.key)


def open_faces(folder: Path) -> StoredFaces:
    """The faces of a store, of a finished run or of a finished audit.

    Raises:
        DataError: It is none of them.
        ArtifactCorruptError: The faces are gone or were altered.
    """
    for name, places in POINTERS.items():
        if (folder / name).exists():
            key: Any = read_checked(folder / name)
            for place in places:
                key = key[place]
            found = load_faces(_part(folder, "faces", key))
            known = {one.name: getattr(found, one.name) for one in fields(FaceStore)}
            return StoredFaces(**known, folder=folder, key=key)
    raise DataError(
        f"{folder.absolute()} is no store, finished run or finished audit (no "
        f"{', '.join(POINTERS)}); make a store of images with debias.ingest"
    )


def _part(folder: Path, stage: str, key: str) -> Artifact:
    found = RunFolder(folder).find(stage, key)
    if found is None:
        raise ArtifactCorruptError(f"{folder / stage / key} is missing; make {folder} again")
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Finished(Shown):
    folder: Path

    @cached_property
    def store(self) -> StoredFaces:
        return open_faces(self.folder)

    def _said(self, name: str, sentences: list[str]) -> str:
        points = "".join(f"\n* {sentence}" for sentence in sentences)
        return f"{type(self).__name__} {name!r} in {self.folder}{points}"


@dataclass(frozen=True, kw_only=True, eq=False)
class RunResult(Finished):
    """A finished run; ``report.html`` in its ``folder`` is the page.

    Attributes:
        report: The document, as in ``report.json``.
    """

    report: Mapping[str, Any]

    def __repr__(self) -> str:
        return self._said(self.report["name"], self.report["concluded"])

    @cached_property
    def fairness(self) -> dict[str, FairnessReport]:
        """How the classifiers of each arm treat every group; measured again, images included."""
        return read_run(self.folder)

    @cached_property
    def comparisons(self) -> dict[str, ComparisonReport]:
        """What each other arm changed against plain training; tested again."""
        rules = Rules.model_validate(self.report["run"]["config"]["evaluation"])
        return arm_comparisons(self.fairness, rules)

    @cached_property
    def weights(self) -> dict[str, SamplingWeights]:
        """Of each arm, one a training image."""
        keys = self.report["run"]["artifacts"]["weights"]
        return {arm: load_weights(_part(self.folder, "weights", key)) for arm, key in keys.items()}


@dataclass(frozen=True, kw_only=True, eq=False)
class AuditResult(Finished):
    """A finished audit; ``audit.html`` in its ``folder`` is the page.

    Attributes:
        document: As in ``audit.json``.
    """

    document: Mapping[str, Any]

    def __repr__(self) -> str:
        return self._said(self.document["name"], self.verdicts)

    @property
    def verdicts(self) -> list[str]:
        """What a reader must know, worst first, one sentence each."""
        return [one["sentence"] for one in self.document["verdicts"]]

    @cached_property
    def images(self) -> pd.DataFrame:
        """One row an audited image, as in :class:`debias.AuditReport`."""
        return open_audit(self.folder).images

    @cached_property
    def latents(self) -> Latents:
        """Where the audited images lie."""
        return open_audit(self.folder).latents

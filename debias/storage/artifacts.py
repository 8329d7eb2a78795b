"""Run folders: every value is saved atomically, with a manifest written last.

``RUN/<stage>/<key>/manifest.json`` lists size and SHA-256 of every file beside it. A folder
without a manifest does not exist; a file that differs from its manifest is refused.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.torch import load_file, save_file
from torch import nn

from debias.errors import ArtifactCorruptError, StorageError
from debias.storage.leftovers import CHECKPOINT, STAGES, delete, stale_checkpoints
from debias.storage.sealed import (
    SCHEMA,
    is_sealed,
    lineages,
    read_checked,
    read_manifest,
    sealing,
    verify,
    write_checked,
    write_json,
)
from debias.types import FaceStore, Latents, ShardedImages

Files = Mapping[str, np.ndarray | pd.DataFrame | nn.Module | Mapping[str, Any]]  # by file name


def content_key(stage: str, settings: Mapping[str, Any], inputs: Mapping[str, str]) -> str:
    """Name of what a stage makes from these settings and inputs; never path, time or host."""
    about = {"schema": SCHEMA, "stage": stage, "settings": settings, "inputs": inputs}
    text = json.dumps(about, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Artifact:
    stage: str
    key: str
    path: Path

    @property
    def seconds(self) -> float:
        """How long it took to make; ArtifactCorruptError if it does not say."""
        found = self.about.get("seconds")
        if not isinstance(found, int | float):
            what = f"the manifest of {self.path} does not say how long that took"
            raise ArtifactCorruptError(what, "delete the folder and run again to rebuild it")
        return float(found)

    @property
    def about(self) -> dict[str, Any]:
        """What its manifest says."""
        return read_manifest(self.path)

    def read_json(self, name: str) -> Any:  # noqa: ANN401 (JSON)
        return json.loads((self.path / name).read_text(encoding="utf-8"))


@dataclass
class RunFolder:
    """One run on disk: ``run.json``, one folder per stage and key, the report."""

    path: Path
    _verified: set[Path] = field(default_factory=set)

    def open(self, run: Mapping[str, Any]) -> dict[str, Any]:
        """Create or continue the folder: ``run.json`` with its lasting ``id``; or StorageError."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            known = self.path / "run.json"
            before = read_checked(known) if known.exists() else {}
            delete(stale_checkpoints(self.path))
            now = datetime.now(UTC).isoformat(timespec="seconds")
            fresh = {"id": os.urandom(8).hex(), "created": now} | before | dict(run)
            write_checked(known, fresh | {"opened": now})
        except OSError as error:
            raise StorageError(
                f"the run folder {self.path.absolute()} cannot be written ({error}); "
                "choose another with --out"
            ) from error
        return fresh

    def find(self, stage: str, key: str) -> Artifact | None:
        """The finished artifact of this key; ArtifactCorruptError if it is not as sealed.

        A store from which somebody was taken out stands in the place of the one before.
        """
        path = self.path / stage / key
        if path.parent.is_symlink():
            raise ArtifactCorruptError(
                f"{path.parent} is a link, so what is in it may belong to another run",
                "delete the link and run again; to keep stages elsewhere, link the run folder",
            )
        if not is_sealed(path):
            others = lineages(self.path / stage).get(key, []) if stage in STAGES else []
            if not others:
                return None
            path = others[-1]
        if path not in self._verified:
            verify(path)
            self._verified.add(path)
        return Artifact(stage, path.name, path)

    def checkpoint(self, stage: str, key: str) -> Path:
        """Where a training that leads to this key keeps how far it is."""
        return self.path / stage / f"{key}{CHECKPOINT}"

    @contextmanager
    def create(self, stage: str, key: str, about: Mapping[str, Any]) -> Iterator[Path]:
        """A temporary folder to fill, named once all of it is on disk; or StorageError."""
        manifest: dict[str, Any] = {"stage": stage, "key": key, "schema": SCHEMA}
        with sealing(self.path / stage / key, manifest) as temporary:
            yield temporary
            manifest |= about  # what was found out while the folder was filled counts too


def save_faces(folder: Path, samples: pd.DataFrame, about: Mapping[str, Any]) -> None:
    samples.to_parquet(folder / "samples.parquet", index=False)
    write_json(folder / "faces.json", about)


def load_faces(artifact: Artifact) -> FaceStore:
    about = artifact.read_json("faces.json")
    shards = [np.load(path, mmap_mode="r") for path in sorted(artifact.path.glob("images-*.npy"))]
    return FaceStore(
        images=ShardedImages(shards),
        samples=pd.read_parquet(artifact.path / "samples.parquet"),
        classes=tuple(about["classes"]),
        attributes=tuple(about["attributes"]),
        label=about["label"],
    )


def load_array(artifact: Artifact, name: str) -> np.ndarray:
    return np.load(artifact.path / f"{name}.npy", allow_pickle=False)


def load_latents(artifact: Artifact) -> Latents:
    """Latents whose arrays are memory-mapped: they may be larger than memory."""
    mapped = {
        name: np.load(artifact.path / f"{name}.npy", mmap_mode="r", allow_pickle=False)
        for name in ("mean", "log_var")
        if (artifact.path / f"{name}.npy").exists()
    }
    return Latents(sample_ids=load_array(artifact, "ids"), encoder=artifact.key, **mapped)


def load_network(artifact: Artifact, network: nn.Module) -> nn.Module:
    """Fill a freshly built network; every name and shape must agree."""
    network.load_state_dict(load_file(artifact.path / "network.safetensors"), strict=True)
    return network.eval()


def save(folder: Path, files: Files) -> None:
    """Each value under its name, in the format of its kind."""
    for name, value in files.items():
        match value:
            case np.ndarray():
                np.save(folder / name, value, allow_pickle=False)
            case pd.DataFrame():
                value.to_parquet(folder / name, index=False)
            case nn.Module():  # safetensors holds no code
                state = {k: x.detach().cpu().contiguous() for k, x in value.state_dict().items()}
                save_file(state, folder / name)
            case _:
                write_json(folder / name, value)

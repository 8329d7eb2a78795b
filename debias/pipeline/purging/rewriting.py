"""An artifact as it was, but without one person; sealed anew and put in its place."""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from debias.ingesting.build import ACCOUNT
from debias.pipeline.purging.holdings import Store
from debias.pipeline.purging.recounting import recounted
from debias.pipeline.purging.scrubbing import Edit, without, without_in_json, without_rows
from debias.pipeline.purging.swapping import discard, fresh_name, swap
from debias.pipeline.purging.traces import Traces, is_shown_in
from debias.storage.files import sync
from debias.storage.leftovers import delete
from debias.storage.sealed import (
    MANIFEST,
    PRIVATE_FILE,
    PRIVATE_FOLDER,
    fingerprint,
    read_manifest,
    verify,
    write_json,
)

IDS, WEIGHTS, ORIGIN, DRAWN = "ids.npy", "weights.parquet", "origin.json", "reconstructions.npy"
# Arrays in the order of faces without ids, or figures that rest on every image: they are made again
# by the next run.
REMADE = ("discriminator", "audit")


@dataclass(frozen=True)
class Rewriting:
    """What is to become of an artifact.

    Attributes:
        path: Its folder.
        removed: Rows of its main table; entries where none is the person's.
        edits: By file; None if the whole artifact goes.
        is_store: Whether it is a store of faces.
        images: Of the person, in a store.
    """

    path: Path
    removed: int
    edits: Mapping[str, Edit] | None
    is_store: bool = False
    images: int = 0

    def apply(self) -> None:
        """Write what is left beside the artifact, and swap the two."""
        if self.edits is None:
            discard(self.path)
            return
        fresh = fresh_name(self.path)
        delete([fresh])
        fresh.mkdir(mode=PRIVATE_FOLDER)
        manifest = read_manifest(self.path)
        # The account last: it is counted from the other files.
        for name in sorted(manifest["files"], key=lambda name: (name == ACCOUNT, name)):
            manifest["files"][name] = _carry_over(self.path / name, fresh, self.edits.get(name))
        manifest["files"] = {k: v for k, v in manifest["files"].items() if v}
        manifest["purged"] = manifest.get("purged", 0) + self.removed
        write_json(fresh / MANIFEST, manifest, mode=PRIVATE_FILE)
        sync(fresh)
        swap(fresh, self.path)


def rewriting(path: Path, traces: Traces, stores: Sequence[Store]) -> Rewriting | None:
    """Plan the change of one artifact; None if nothing in it is about the person.

    Args:
        path: Its folder.
        traces: Names of the person in this place.
        stores: All of this place, as they are before the change.

    Raises:
        ArtifactCorruptError: The artifact differs from its manifest: what is in it is not known.
    """
    if path.parent.name in REMADE:
        return Rewriting(path, 0, None)
    verify(path)  # before anything is read: what it holds is sealed anew
    store = next((store for store in stores if store.path == path), None)
    rows = _rows(path, traces, store)
    edits = _edits(path, traces) | _array_edits(path, rows) | _redrawn(path, traces, stores)
    if not edits:
        return None
    removed = int(rows.sum()) or max(edit.removed for edit in edits.values())
    images = int(rows.sum()) if store else 0
    if _is_emptied(rows, edits):
        return Rewriting(path, removed, None, store is not None, images)
    if store is not None and (path / ACCOUNT).exists():
        edits[ACCOUNT] = _accounted(path, traces, removed)
    if WEIGHTS in edits and (path / ORIGIN).exists():
        edits[ORIGIN] = _noted(path / ORIGIN, traces, removed)
    return Rewriting(path, removed, edits, store is not None, images)


def _is_emptied(rows: Bool[np.ndarray, " n"], edits: Mapping[str, Edit]) -> bool:
    """Whether nothing is left that could be used: no image, or no weight above zero."""
    gone = WEIGHTS in edits and edits[WEIGHTS].save is None
    return gone or (len(rows) > 0 and bool(rows.all()))


def _rows(path: Path, traces: Traces, store: Store | None) -> Bool[np.ndarray, " n"]:
    """Which rows of the arrays beside the ids are the person's."""
    if store is not None:
        return traces.rows(store.samples)
    if (path / IDS).exists():
        ids = np.load(path / IDS, allow_pickle=False).astype(str)
        return np.isin(ids, list(traces.ids))
    return np.zeros(0, dtype=bool)


def _edits(path: Path, traces: Traces) -> dict[str, Edit]:
    """Of tables, lists and pages."""
    edits = {}
    for name in read_manifest(path)["files"]:
        if name.endswith(".html"):
            edit = _page(path / name, traces)
        else:
            edit = without(path / name, traces)
        if edit is not None:
            edits[name] = edit
    return edits


def _page(path: Path, traces: Traces) -> Edit | None:
    shown = is_shown_in(path) or traces.in_bytes(path.read_bytes())
    return Edit(1, None) if shown else None


def _array_edits(path: Path, rows: Bool[np.ndarray, " n"]) -> dict[str, Edit]:
    """Of image shards, one behind another, and of every array with one row an image."""
    if not rows.any():
        return {}
    edits, start = {}, 0
    for file in sorted(path.glob("*.npy")):
        shape = np.load(file, mmap_mode="r", allow_pickle=False).shape
        if file.name.startswith("images-"):
            mine = rows[start : start + shape[0]]
            start += shape[0]
        else:
            mine = rows if shape[:1] == rows.shape else rows[:0]
        edit = without_rows(file, mine)
        if edit is not None:
            edits[file.name] = edit
    return edits


def _redrawn(path: Path, traces: Traces, stores: Sequence[Store]) -> dict[str, Edit]:
    """Of the faces that a network drew again: the first validation faces of its store.

    ``reconstructions.npy`` is (snapshots, faces, H, W, C).
    """
    if not ((path / DRAWN).exists() and (path / IDS).exists()):
        return {}
    ids = np.load(path / IDS, allow_pickle=False).astype(str)
    shown = np.load(path / DRAWN, mmap_mode="r", allow_pickle=False).shape[1]
    for store in stores:
        if np.array_equal(store.ids("train"), ids):
            gone = np.isin(store.ids("validation")[:shown], list(traces.ids))
            return _without_faces(path / DRAWN, gone)
    return {}


def _without_faces(path: Path, gone: Bool[np.ndarray, " m"]) -> dict[str, Edit]:
    if not gone.any():
        return {}

    def save(target: Path) -> None:
        np.save(target, np.load(path, allow_pickle=False)[:, ~gone], allow_pickle=False)

    return {path.name: Edit(int(gone.sum()), save)}


def _noted(path: Path, traces: Traces, removed: int) -> Edit:
    """Say beside the weights that they were made with more images than they have now."""
    origin: dict[str, Any] = without_in_json(json.loads(path.read_text(encoding="utf-8")), traces)[
        0
    ]
    origin["purged"] = origin.get("purged", 0) + removed
    return Edit(1, lambda target: write_json(target, origin))


def _accounted(path: Path, traces: Traces, removed: int) -> Edit:
    return Edit(removed, lambda target: write_json(target, recounted(path, target.parent, traces)))


def _carry_over(file: Path, folder: Path, edit: Edit | None) -> str:
    """Bring one file into the new folder; returns its fingerprint, empty if it goes."""
    target = folder / file.name
    if edit is None:
        recorded: str = read_manifest(file.parent)["files"][file.name]
        _link(file, target)
        target.chmod(PRIVATE_FILE)
        return recorded
    if edit.save is None:
        return ""
    edit.save(target)
    target.chmod(PRIVATE_FILE)
    sync(target)
    return fingerprint(target)


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target)
    except OSError:  # some file systems have no links
        shutil.copy2(source, target)
        sync(target)

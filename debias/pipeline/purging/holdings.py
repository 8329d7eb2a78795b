"""Where a person stands: run folders, the stores in them, and the names they go by."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Shaped

from debias.errors import ArtifactCorruptError, DataError
from debias.ingesting.build import PAIRS
from debias.ingesting.parts import FOUND, REJECTED
from debias.pipeline.purging.traces import OWN, Traces, combined, paths_of
from debias.storage.files import TEMPORARY, amount
from debias.storage.leftovers import STAGES, artifacts_below, parts_below, walk
from debias.storage.sealed import fingerprint, is_sealed, read_manifest, verify
from debias.storage.suppressed import SAMPLE, SUBJECT, Name, as_text, suppressed_in

SAMPLES = "samples.parquet"
SET_ASIDE = ("quarantine.jsonl", "set_aside.json", REJECTED)
READ = (*OWN, "path", "split", "duplicate_cluster")
COMPARED = "comparison.json"
PAGES = ("evaluation.json", COMPARED)  # the numbers that lie beside pages


@dataclass(frozen=True, eq=False)
class Store:
    """The table of one store, and what was set aside when it was made.

    Also of a stage where too much was set aside to make one: only the list of it is there, and
    parts of what was decoded, whose table ``found.parquet`` holds ids and contents alone.
    """

    path: Path
    table: str = SAMPLES

    @cached_property
    def samples(self) -> pd.DataFrame:
        """Who is shown, one row an image; ArtifactCorruptError if the table is not as sealed."""
        import pyarrow.parquet as parquet  # type: ignore[import-untyped]

        file = self.path / self.table
        if not file.exists():
            return pd.DataFrame({"sample_id": pd.Series(dtype=str)})
        self._require_sealed(self.table)
        known = parquet.read_schema(file).names
        return pd.read_parquet(file, columns=[name for name in READ if name in known])

    def tells_of(self, asked: str) -> bool:
        """Whether a name stands here as it was asked for."""
        return self.names(Traces(asked, asked, self.ids_of(asked)))

    def ids_of(self, asked: str) -> frozenset[str]:
        """Of the image with this id, else of those whose path is this or ends with it."""
        ids = [*self.samples["sample_id"], *(item.get("sample_id") for item in self.set_aside)]
        if asked in ids:
            return frozenset({asked})
        paths = [*as_text(self._column("path")), *map(_path, self.set_aside)]
        named = zip(ids, paths, strict=True)
        return frozenset(str(id_) for id_, path in named if f"/{path}".endswith(f"/{asked}"))

    @cached_property
    def set_aside(self) -> list[dict[str, Any]]:
        """Records of rejected items; ArtifactCorruptError if the list is not as sealed."""
        found: list[dict[str, Any]] = []
        for name in SET_ASIDE:
            if (self.path / name).exists():
                self._require_sealed(name)
                found += _records(self.path / name)
        return found

    def _require_sealed(self, name: str) -> None:
        if is_sealed(self.path):
            recorded = read_manifest(self.path)["files"].get(name)
            if recorded != fingerprint(self.path / name):
                verify(self.path)  # says which file, and what to do

    def ids(self, split: str) -> Shaped[np.ndarray, " n"]:
        """Sample ids of one split, in order."""
        wanted = self.samples["split"] == split if "split" in self.samples else slice(0)
        return self.samples.loc[wanted, "sample_id"].to_numpy(dtype=str)

    def people(self) -> set[str]:
        """Everybody who is named here."""
        named = as_text(self.samples[SUBJECT]) if SUBJECT in self.samples else pd.Series(dtype=str)
        return (set(named) | {str(_said(item, SUBJECT)) for item in self.set_aside}) - {"", "None"}

    def add_to(self, traces: Traces) -> Traces:
        """The names, and those of every image here that one of them stands for."""
        mine = self.samples[traces.rows(self.samples)]
        items = [item for item in self.set_aside if is_of(item, traces)]
        ids = [*mine["sample_id"].astype(str), *(str(item.get("sample_id", "")) for item in items)]
        # All empty files have the same content, whoever they were meant to show.
        contents = [str(item.get("sha256") or "") for item in items if item.get("bytes") != 0]
        if "sha256" in mine:
            contents.extend(as_text(mine["sha256"]))
        return replace(
            traces,
            ids=(traces.ids | set(ids)) - {""},
            sha256=(traces.sha256 | set(contents)) - {""},
        )

    def names(self, traces: Traces) -> bool:
        """Whether the person is shown here, or was set aside."""
        shown = traces.rows(self.samples).any() or self.paired(traces).any()
        return bool(shown) or any(is_of(item, traces) for item in self.set_aside)

    def paired(self, traces: Traces) -> Bool[np.ndarray, " m"]:
        """Pairs of duplicates of which one is the person's."""
        if not (self.path / PAIRS).exists():
            return np.zeros(0, dtype=bool)
        pairs = pd.read_parquet(self.path / PAIRS, columns=["first_id", "second_id"])
        return pairs.isin(traces.ids).any(axis=1).to_numpy()

    def paths(self, traces: Traces) -> tuple["pd.Series[str]", "pd.Series[str]"]:
        """Of the person's files, and of all others."""
        mine = np.append(
            traces.rows(self.samples), [is_of(item, traces) for item in self.set_aside]
        ).astype(bool)
        listed = pd.Series([_path(item) for item in self.set_aside], dtype=str)
        every = pd.concat([as_text(self._column("path")), listed], ignore_index=True)
        return every[mine], every[~mine]

    def _column(self, name: str) -> "pd.Series[Any]":
        return self.samples.get(name, pd.Series("", index=self.samples.index))

    def lookalikes(self, traces: Traces) -> list[str]:
        """Images that stay although they are near duplicates of some that go."""
        if "duplicate_cluster" not in self.samples:
            return []
        gone = traces.rows(self.samples)
        cluster = self.samples["duplicate_cluster"].fillna(-1)
        shared = cluster.isin(set(cluster[gone]) - {-1}) & ~gone
        return self.samples.loc[shared, "sample_id"].astype(str).tolist()


@dataclass(frozen=True, eq=False)
class Place:
    """A run folder or store, or a folder of pages.

    Attributes:
        root: The folder.
        artifacts: What was finished there; none in a folder of pages.
        pages: Folders of pages inside it.
    """

    root: Path
    artifacts: tuple[Path, ...] = ()
    pages: tuple[Path, ...] = ()

    @cached_property
    def stores(self) -> list[Store]:
        made = [path for path in self.artifacts if (path / SAMPLES).exists()]
        refused = [
            path for path in self.stages if any((path / name).exists() for name in SET_ASIDE)
        ]
        parts = [file.parent for path in parts_below(self.root) for file in path.rglob(FOUND)]
        whole = [Store(path) for path in (*made, *refused)]
        return [*whole, *(Store(path, FOUND) for path in sorted(parts))]

    @property
    def stages(self) -> list[Path]:
        """Folders that artifacts lie in."""
        return [path for name in STAGES if (path := self.root / name).is_dir()]

    @cached_property
    def about(self) -> dict[str, Any]:
        """What ``run.json`` says; empty without one."""
        try:
            found = json.loads((self.root / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def setting(self, *names: str) -> Any:  # noqa: ANN401 (JSON)
        """A value of the run's configuration; None where it has none of this name."""
        found: Any = self.about.get("config")
        for name in names:
            found = found.get(name) if isinstance(found, dict) else None
        return found

    def loose_files(self) -> list[Path]:
        """Files of its own outside of artifacts, those aside that were never finished.

        Not those of other folders inside: if a run was written into a folder that holds other
        things, too, these are none of ours.
        """
        folders = (self.root, *self.stages, *self.pages)
        found = [path for folder in folders for path in sorted(folder.iterdir())]
        found = [path for path in found if path.is_file() and not path.is_symlink()]
        return [path for path in found if not TEMPORARY.fullmatch(path.name)]


def places_in(folders: Sequence[Path]) -> list[Place]:
    """Every run folder, store and folder of pages in or around the given folders; or DataError."""
    missing = [folder for folder in folders if not folder.is_dir()]
    if missing:
        raise DataError(f"{missing[0].absolute()} is no folder; name run folders or stores")
    folders = [folder.resolve() for folder in folders]
    by_root = _runs(folders)
    pages = {page for folder in [*folders, *by_root] for page in _pages(folder)}
    inside = {root: [page for page in pages if page.is_relative_to(root)] for root in by_root}
    alone = pages.difference(*inside.values())
    runs = [Place(root, tuple(by_root[root]), tuple(sorted(inside[root]))) for root in by_root]
    return [*runs, *(Place(page) for page in sorted(alone))]


def _runs(folders: Sequence[Path]) -> dict[Path, list[Path]]:
    """Artifacts by run folder; given a part of a run, all of the run."""
    found = {path for folder in folders for path in artifacts_below(folder)}
    for folder in folders:
        for run in {path.parent.parent for path in found} & set(folder.parents):
            found.update(artifacts_below(run))
    by_root: dict[Path, list[Path]] = {}
    for path in sorted(found):
        by_root.setdefault(path.parent.parent, []).append(path)
    for folder in folders:
        for here, _, names in walk(folder, hidden=False):
            if set(names) & set(SET_ASIDE) and Path(here).name in STAGES:
                by_root.setdefault(Path(here).parent, [])
        for parts in parts_below(folder):  # of a build that was refused or stopped
            by_root.setdefault(parts.parent.parent, [])
    return by_root


def _pages(folder: Path) -> list[Path]:
    walked = walk(folder, hidden=False)
    return [Path(here) for here, _, names in walked if set(names) & set(PAGES)]


def traces_in(places: Sequence[Place], asked: Name) -> dict[Path, Traces]:
    """By what names the person goes in each place.

    An id stands for one image within a place; images with the same content are the same
    everywhere. A place without a store of its own is searched for all of the names.

    Raises:
        DataError: Nobody of that name is there, nor was; says how many people are. A file name
            stands for several images.
    """
    kind, name = asked
    start = Traces(name, name if kind == SUBJECT else "")
    ids = {place.root: _ids_of(place, name) if kind == SAMPLE else frozenset() for place in places}
    own = {place.root: _named(place, replace(start, ids=ids[place.root])) for place in places}
    contents = frozenset[str]().union(*(traces.sha256 for traces in own.values()))
    held = any(is_held(place, own[place.root]) for place in places)
    if not held and kind == SAMPLE and Path(name).is_file():  # parts of a build know contents alone
        contents |= {fingerprint(Path(name)).partition(":")[2]}
    own = {place.root: _named(place, replace(own[place.root], sha256=contents)) for place in places}
    held = any(is_held(place, own[place.root]) for place in places)
    if not held and not any(suppressed_in(place.root).day(asked) for place in places):
        raise DataError(_unknown(places, asked))
    own = {place.root: _with_paths(place, own[place.root]) for place in places}
    every = combined([start, *own.values()])
    return {place.root: own[place.root] if place.stores else every for place in places}


def _named(place: Place, traces: Traces) -> Traces:
    for store in place.stores:
        traces = store.add_to(traces)
    return traces


def _ids_of(place: Place, name: str) -> frozenset[str]:
    found = frozenset[str]().union(*(store.ids_of(name) for store in place.stores))
    if len(found) > 1:
        raise DataError(
            f"{name!r} stands for {len(found)} images in {place.root}: give more of the path"
        )
    return found or frozenset({name})


def _with_paths(place: Place, traces: Traces) -> Traces:
    sides = [store.paths(traces) for store in place.stores]
    if not sides:
        return traces
    gone, staying = (pd.concat(side, ignore_index=True) for side in zip(*sides, strict=True))
    return replace(traces, paths=traces.paths | paths_of(gone, staying))


def is_held(place: Place, traces: Traces) -> bool:
    """Whether a store of this place holds or has rejected one of the images."""
    return any(store.names(traces) for store in place.stores)


def _unknown(places: Sequence[Place], asked: Name) -> str:
    (kind, name), stores = asked, [store for place in places for store in place.stores]
    images = sum(len(store.samples) for store in stores)
    people = len(set[str]().union(*(store.people() for store in stores)))
    if not stores:
        return "no store of faces lies in the given folders, so nobody can be found in them"
    held = f"{amount(len(stores), 'store')} with {amount(images, 'image')}"
    silent = any(store.table == FOUND for store in stores)
    if kind == SAMPLE:
        parts = " (of parts of unfinished builds only the path of the file itself)" * silent
        return f"no image {name!r} is in {held}; give its sample_id or path in the source{parts}"
    if not people:
        return f"nobody is named in {held}: give the images one by one, with --image"
    known = amount(people, "person", "people")
    parts = " (parts of unfinished builds do not say who: give --image)" if silent else ""
    return f"no subject {name!r} is in {held} of {known}{parts}; it is the subject_id"


def _records(path: Path) -> list[dict[str, Any]]:
    try:
        text = path.read_text(encoding="utf-8")
        if path.suffix == ".json":
            found = json.loads(text)["items"]
        else:
            found = [json.loads(line) for line in text.split("\n") if line.strip()]
        if all(isinstance(record, dict) for record in found):
            return list(found)
        raise ValueError("an entry is no record")
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ArtifactCorruptError(
            f"{path} cannot be read ({error}), so it is not known who was set aside; delete it and "
            "run the same command again"
        ) from error


def is_of(item: Mapping[str, Any], traces: Traces) -> bool:
    """Whether a record of what was set aside is about the person."""
    mine = _said(item, "sample_id") in traces.ids or _said(item, "sha256") in traces.sha256
    return mine or traces.is_person(str(_said(item, SUBJECT)))


def _path(item: Mapping[str, Any]) -> str:
    # Bytes that are no text cannot be searched for in a table.
    return str(item.get("path") or "").encode(errors="backslashreplace").decode()


def _said(item: Mapping[str, Any], name: str) -> object:
    """What a record says under a name, or what one inside it does."""
    inner = (value for value in item.values() if isinstance(value, Mapping))
    return next((part[name] for part in (item, *inner) if part.get(name) is not None), None)

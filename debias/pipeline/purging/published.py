"""What a run folder published: files of its tracked runs that name a person or may show them."""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from debias.pipeline.purging.holdings import Place
from debias.pipeline.purging.traces import Traces, names_person
from debias.storage.leftovers import walk
from debias.tracking import servers
from debias.tracking.servers import MLFLOW, without_password

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".gif")
NETWORKS = (".safetensors", ".pt2")  # saw the person
# Whatever a run folder's own pages are called, they were made with the person.
REPORTS = (
    "report.html", "report.json", "audit.html", "audit.json", "ingest.html", "ingest.json",
)  # fmt: skip


@dataclass(frozen=True)
class Published:
    """What is to be taken back.

    Attributes:
        files: Those that name the person or may show them, by MLflow run id, by store.
        folders: Where the files of all tracked runs lie.
        unreached: One sentence for each place that cannot be looked at from here.
    """

    files: Mapping[str, Mapping[str, list[Path]]] = field(default_factory=dict)
    folders: tuple[Path, ...] = ()
    unreached: tuple[str, ...] = ()

    def take_back(self, uri: str) -> None:
        """Delete the files; the next run of the recipe publishes what is left of them."""
        from debias.tracking.mlflow_tracker import (
            publish_again,  # seconds that only tracked runs cost
        )

        # First: a kill in between must not leave a run that counts as complete without its files.
        publish_again(uri, self.files[uri])
        for paths in self.files[uri].values():
            for path in paths:
                path.unlink(missing_ok=True)


def published(place: Place, traces: Traces) -> Published:
    """What a run folder published to stores on this machine; TrackingError if one is unreadable."""
    run = place.about.get("id")
    stores, unreached = _stores(place)
    if not run or not stores:
        return Published(unreached=tuple(unreached))
    from debias.tracking.mlflow_tracker import (
        published_files,  # seconds that only tracked runs cost
    )

    files: dict[str, dict[str, list[Path]]] = {}
    folders: list[Path] = []
    for uri, root in stores.items():
        for run_id, address in published_files(uri, str(run)):
            folder = _local(address, root)
            if folder is None or not folder.exists():
                unreached.append(f"the files of the tracked run {run_id}, which lie at {address}")
                continue
            folders.append(folder)
            chosen = [path for path in _files(folder) if _is_of(path, traces)]
            if chosen:
                files.setdefault(uri, {}).setdefault(run_id, []).extend(chosen)
    return Published(files, tuple(folders), tuple(unreached))


def _stores(place: Place) -> tuple[dict[str, Path], list[str]]:
    """SQLite stores with their folders, and what lies elsewhere."""
    local = place.root.parent
    stores = {servers.local_store(local): local} if (local / "mlflow.db").exists() else {}
    named = str(place.setting("tracking", "uri") or os.environ.get(MLFLOW) or "")
    if not named or place.setting("tracking", "enabled") is False:
        return stores, []
    if named.startswith("sqlite:"):
        path = Path(named.removeprefix("sqlite:///").partition("?")[0]).resolve()
        return stores | ({f"sqlite:///{path}": path.parent} if path.exists() else {}), []
    shown = without_password(named)
    return stores, [f"tracked runs at {shown}: delete them there, with their files"]


def _local(address: str, root: Path) -> Path | None:
    """Folder on this machine of an address that MLflow gave; None if it is elsewhere."""
    parts = urlsplit(address)
    if parts.scheme == "mlflow-artifacts":  # a server's way of naming its own folder
        return servers.local_artifacts(root) / parts.path.lstrip("/")
    return Path(url2pathname(parts.path)) if parts.scheme in ("", "file") else None


def _files(folder: Path) -> Iterator[Path]:
    return (Path(place, name) for place, _, names in walk(folder) for name in names)


def _is_of(path: Path, traces: Traces) -> bool:
    return (
        path.suffix in (*PICTURES, *NETWORKS) or path.name in REPORTS or names_person(path, traces)
    )

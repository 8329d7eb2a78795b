"""What a run folder published: its tracked runs, with their files.

All of them were made with the person, so all of them go, with tables that name nobody. Whatever of
the run folder stays is published again by its next run.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from debias.pipeline.purging.holdings import Place
from debias.tracking import servers
from debias.tracking.servers import MLFLOW, without_password


@dataclass(frozen=True)
class Tracked:
    """What a run folder published to one store, a SQLite file."""

    uri: str
    store: Path
    runs: Sequence[str]
    models: Sequence[str]
    folders: Sequence[Path]

    def delete_runs(self) -> None:
        _delete(self.uri, self.runs, ())

    def delete_models(self) -> None:
        """Last: MLflow does not say any more where the files of a deleted model lie."""
        _delete(self.uri, (), self.models)


@dataclass(frozen=True)
class Published:
    """What is to be taken back; ``unreached``: a sentence for each place that is not here."""

    stores: tuple[Tracked, ...] = ()
    unreached: tuple[str, ...] = ()


def published(place: Place) -> Published:
    """What a run folder published to stores on this machine; TrackingError if one is unreadable."""
    run = place.about.get("id")
    stores, unreached = _stores(place)
    if not run or not stores:
        return Published(unreached=tuple(unreached))
    from debias.tracking.mlflow_tracker import published_by  # seconds that only tracked runs cost

    found = []
    for uri, store in stores.items():
        runs, models, addresses = published_by(uri, str(run))
        folders = []
        for address in addresses:
            folder = _local(address, store.parent)
            if folder is None or not folder.parent.parent.exists():
                unreached.append(f"files of a tracked run, which lie at {address}")
            elif folder.exists():
                folders.append(folder)
        found.append(Tracked(uri, store, runs, models, folders))
    return Published(tuple(found), tuple(unreached))


def _delete(uri: str, runs: Sequence[str], models: Sequence[str]) -> None:
    from debias.tracking.mlflow_tracker import delete_published

    delete_published(uri, runs, models)


def _stores(place: Place) -> tuple[dict[str, Path], list[str]]:
    """SQLite files by address, and what lies elsewhere."""
    local = place.root.parent / "mlflow.db"
    stores = {servers.local_store(local.parent): local} if local.exists() else {}
    named = str(place.setting("tracking", "uri") or os.environ.get(MLFLOW) or "")
    if not named or place.setting("tracking", "enabled") is False:
        return stores, []
    if named.startswith("sqlite:"):
        path = Path(named.removeprefix("sqlite:///").partition("?")[0]).resolve()
        return stores | ({f"sqlite:///{path}": path} if path.exists() else {}), []
    shown = without_password(named)
    return stores, [f"tracked runs at {shown}: delete them there, with their files"]


def _local(address: str, root: Path) -> Path | None:
    """Folder on this machine of an address that MLflow gave; None if it is elsewhere."""
    parts = urlsplit(address)
    if parts.scheme == "mlflow-artifacts":  # a server's way of naming its own folder
        return servers.local_artifacts(root) / parts.path.lstrip("/")
    return Path(url2pathname(parts.path)) if parts.scheme in ("", "file") else None

"""Whom a purge is about, who else works there, and how it is lifted."""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from debias.errors import ConfigError, DataError, StorageError
from debias.pipeline.purging.holdings import places_in
from debias.storage import leftovers as janitor
from debias.storage.files import LOCK, amount, locked
from debias.storage.sealed import sealed_in, supersede_nothing
from debias.storage.suppressed import FILE, SAMPLE, SUBJECT, Name, suppressed_in

PATIENCE = 10.0  # seconds for which another process is waited for


def forget(name: str, folders: Sequence[Path], *, sample: bool = False) -> list[Path]:
    """Let later ingests read again who was purged; returns the folders where they were held back.

    Stores stay as they are; they do not stand in the place of the old ones any more.

    Raises:
        DataError: Nobody of that name is held back there.
        ConfigError, StorageError: As in :func:`purge`.
    """
    asked, folders = asked_for(name, sample=sample), [folder.resolve() for folder in folders]
    roots = {place.root for place in places_in(folders)}
    roots |= {
        Path(here) for one in folders for here, _, names in janitor.walk(one) if FILE in names
    }
    held = [one for root in sorted(roots) if (one := suppressed_in(root)).day(asked)]
    if not held:
        raise DataError(f"nobody called {name!r} is held back in {amount(len(roots), 'folder')}")
    with alone_in(folders):
        for one in held:
            for stage in janitor.STAGES:
                for store in sealed_in(one.path.parent / stage):
                    supersede_nothing(store)
            one.forget(asked)
    return [one.path.parent for one in held]


def asked_for(name: str, *, sample: bool) -> Name:
    """Whom a name means; ConfigError at an empty one, which would mean everybody unnamed."""
    if not name.strip():
        raise ConfigError("the name to purge is empty; give a subject_id, or --image SAMPLE_ID")
    return (SAMPLE if sample else SUBJECT, name)


@contextmanager
def alone_in(folders: Sequence[Path]) -> Iterator[None]:
    """Nobody else builds there meanwhile, and what dead builders put aside is gone."""
    with ExitStack() as held:
        runs = [place.root for place in places_in(folders) if place.stages or place.artifacts]
        for folder in sorted({lock for run in runs for lock in _locks(run)}):
            held.enter_context(locked(folder, PATIENCE))
        for run in runs:
            _require_silence(run)
            # What was put aside by a purge that was killed is named nowhere else any more.
            janitor.delete(one.path for one in janitor.leftovers_below(run) if one.is_folder)
        yield


def _locks(folder: Path) -> list[Path]:
    """Folders whose lock somebody else may hold: this one, and wherever one has built before."""
    below = {Path(here) for here, _, names in janitor.walk(folder) if LOCK in names}
    return sorted({folder} | below)


def _require_silence(folder: Path) -> None:
    busy = [one for one in janitor.leftovers_below(folder) if one.at_work]
    if busy:
        owner = busy[0].owner.partition("-")[0]
        raise StorageError(
            f"process {owner} is writing {busy[0].path}: what it writes could name the person "
            "again; wait for it or stop it, then run the same command again"
        )

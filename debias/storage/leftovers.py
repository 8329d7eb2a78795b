"""What interrupted work leaves behind: whose it is, and when it may be deleted."""

import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from debias.processes import PROCESSES
from debias.storage.files import DAY, TEMPORARY, is_abandoned
from debias.storage.sealed import MANIFEST, is_sealed

KEY = re.compile(r"[0-9a-f]{20}")  # of content, as artifacts are named
STAGES = ("faces", "reference", "elsewhere")  # that read images of people
POINTER = "store.json"  # says which faces of a folder are the store
PARTS = ".parts"  # of a build that goes on when the same command is run again
CHECKPOINT = ".checkpoint"  # ends the name of a file by which a training goes on
CHECKPOINTS = 4  # of a stage that are kept: one for each process that works there
WEEK = 7 * DAY
MOUNTS = PROCESSES / "mounts"
OVER_A_NETWORK = (
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "gpfs", "9p",
    "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.glusterfs", "beegfs",
)  # fmt: skip


@dataclass(frozen=True)
class Leftover:
    """A temporary file or folder, and the process that made it."""

    path: Path
    owner: str

    @property
    def is_folder(self) -> bool:
        return self.path.is_dir() and not self.path.is_symlink()

    @property
    def at_work(self) -> bool:
        """Whether the process that made it may still need it."""
        return not is_abandoned(self.path, self.owner)


def artifacts_below(folder: Path) -> list[Path]:
    """Finished artifacts, ``RUN/<stage>/<key>``; parts and temporary folders do not count."""
    places = (Path(here) for here, _, names in walk(folder, hidden=False) if MANIFEST in names)
    return [place for place in places if KEY.fullmatch(place.name)]


def leftovers_below(folder: Path) -> list[Leftover]:
    return [
        Leftover(Path(place, name), match["owner"])
        for place, folders, files in walk(folder)
        for name in [*folders, *files]
        if (match := TEMPORARY.fullmatch(name))
    ]


def parts_below(folder: Path) -> list[Path]:
    """Parts of unfinished builds; ``folder`` may be the stage's own."""
    places = (Path(place) for place, folders, _ in walk(folder) if PARTS in folders)
    return [place / PARTS for place in places if place.resolve().name in STAGES]


def checkpoints_below(folder: Path) -> list[Path]:
    """Checkpoints of unfinished trainings, ``RUN/<stage>/<key>.checkpoint``."""
    return [file for file in folder.glob(f"*/*{CHECKPOINT}") if KEY.fullmatch(file.stem)]


def stale_checkpoints(run: Path) -> list[Path]:
    """Those of finished trainings, those that nobody went on with, and what dead writers left."""
    stale = [one.path for one in leftovers_below(run)
             if one.path.suffix == CHECKPOINT and not one.at_work]  # fmt: skip
    by_stage: dict[Path, list[Path]] = {}
    for file in sorted(checkpoints_below(run), key=_written, reverse=True):
        same = by_stage.setdefault(file.parent, [])
        if is_sealed(file.with_suffix("")) or time.time() - _written(file) > WEEK:
            stale.append(file)
        else:
            same.append(file)
    return stale + [file for same in by_stage.values() for file in same[CHECKPOINTS:]]


def _written(file: Path) -> float:
    """When, by the clock; long ago if it is gone."""
    about = status(file)
    return about.st_mtime if about is not None else 0.0


def status(path: Path) -> os.stat_result | None:
    """Of a file or link itself; None once it is gone: others work here, too."""
    with suppress(OSError):
        return path.lstat()
    return None


def walk(folder: Path, *, hidden: bool = True) -> Iterator[tuple[str, list[str], list[str]]]:
    """Every folder below, sorted; links are not followed."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if hidden or not name.startswith("."))
        yield place, folders, sorted(files)


def delete(paths: Iterable[Path]) -> None:
    """Delete files and folders; one that is gone already is fine, else OSError."""
    for path in paths:
        with suppress(FileNotFoundError):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def file_system(path: Path) -> str:
    """Kind of file system, such as ext4; empty where the machine does not say."""
    lines = MOUNTS.read_text(errors="replace").splitlines() if MOUNTS.exists() else []
    parts = [line.split(" ") for line in lines]
    kinds = {place.replace("\\040", " "): kind for _, place, kind, *_ in parts}
    holds = [place for place in kinds if path.absolute().is_relative_to(place)]
    return kinds[max(holds, key=len)] if holds else ""


def is_over_a_network(path: Path) -> bool:
    return file_system(path) in OVER_A_NETWORK

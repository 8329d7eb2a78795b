"""What interrupted work leaves behind: whose it is, and when it may be deleted."""

import os
import re
import shutil
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from debias.files import sync
from debias.sealed import MANIFEST, is_sealed

KEY = re.compile(r"[0-9a-f]{20}")  # of content, as artifacts are named
# As tempfile names them: in folders the process number stands before the random part.
FOLDER = re.compile(r"\..+-(?P<owner>\d+)-[a-z0-9_]{8}")
FILE = re.compile(r"\..+-[a-z0-9_]{8}(\.[a-z0-9]+)?")
PARTS = ".parts*"  # of a build that goes on when the same command is run again
PURGED = ".purged-*"
JOURNAL = ".purging.json"
NEW, OLD = ".new", ".old"
DAY = 24 * 3600.0
PROCESSES = Path("/proc")
MOUNTS = PROCESSES / "mounts"
OVER_A_NETWORK = (
    "nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "gpfs", "9p",
    "fuse.sshfs", "fuse.s3fs", "fuse.gcsfuse", "fuse.glusterfs", "beegfs",
)  # fmt: skip


@dataclass(frozen=True)
class Leftover:
    """A temporary file or folder.

    Attributes:
        owner: Number of the process that made it; None where its name does not say.
    """

    path: Path
    owner: int | None

    @property
    def at_work(self) -> bool:
        """Whether the process that made it may still need it.

        The number of a process says something on its own machine only, and a file has none: there
        a day without a change decides.
        """
        if self.owner is None or is_over_a_network(self.path) or not PROCESSES.exists():
            return time.time() - self.path.stat().st_mtime < DAY
        return self.owner == os.getpid() or (PROCESSES / str(self.owner)).exists()


def artifacts_below(folder: Path) -> list[Path]:
    """Finished artifacts, ``RUN/<stage>/<key>``; parts and temporary folders do not count."""
    return [
        Path(place)
        for place, _, names in walk(folder, hidden=False)
        if MANIFEST in names and KEY.fullmatch(Path(place).name)
    ]


def leftovers_below(folder: Path) -> list[Leftover]:
    """Temporary files and folders, wherever they lie."""
    found: list[Leftover] = []
    for place, folders, files in walk(folder):
        for name in folders:
            match = FOLDER.fullmatch(name)
            if match:
                found.append(Leftover(Path(place, name), int(match["owner"])))
        found += [Leftover(Path(place, name), None) for name in files if FILE.fullmatch(name)]
    return found


def matching(folder: Path, pattern: str) -> list[Path]:
    """Folders below whose names match, such as :data:`PARTS`."""
    found = []
    for place, folders, _ in walk(folder):
        found += [path for path in map(Path(place).joinpath, folders) if path.match(pattern)]
    return sorted(found)


def walk(folder: Path, *, hidden: bool = True) -> Iterator[tuple[str, list[str], list[str]]]:
    """Every folder below, sorted; links are not followed."""
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if hidden or not name.startswith("."))
        yield place, folders, sorted(files)


def delete(paths: Iterable[Path]) -> None:
    """Delete files and folders; one that is gone already is fine.

    Raises:
        OSError: One of them cannot be deleted.
    """
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)


def finish_swaps(folder: Path) -> int:
    """Bring interrupted swaps to an end; returns how many there were.

    A complete new artifact takes the place of an old one that had been moved aside; what is left
    of either is deleted. Whoever swaps holds the folder's lock meanwhile, and so must the caller.
    """
    found = matching(folder, PURGED)
    for path in found:
        final = path.with_name(path.stem.removeprefix(".purged-"))
        # The new one sorts before the old one, which only stays where nothing replaced it.
        if is_sealed(path) and not final.exists():
            path.rename(final)
    delete(path for path in found if path.exists())
    return len(found)


def swap(fresh: Path, final: Path) -> None:
    """Put a sealed folder in the place of another one of the same name."""
    old = final.with_name(f".purged-{final.name}{OLD}")
    final.rename(old)
    fresh.rename(final)
    sync(final.parent)
    delete([old])


def file_system(path: Path) -> str:
    """Kind of file system, such as ext4; empty where the machine does not say."""
    if not MOUNTS.exists():
        return ""
    place = path.absolute()
    best = ("", "")
    for line in MOUNTS.read_text(errors="replace").splitlines():
        _, mounted, kind, *_ = line.split(" ")
        mounted = mounted.replace("\\040", " ")
        if place.is_relative_to(mounted) and len(mounted) >= len(best[0]):
            best = mounted, kind
    return best[1]


def is_over_a_network(path: Path) -> bool:
    return file_system(path) in OVER_A_NETWORK

"""Files that are there whole or not at all, and one writer at a time in a folder."""

import errno
import fcntl
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from debias.errors import StorageError, StorageFullError
from debias.processes import IDENTITY, identity, is_gone

LONGEST_NAME, LONGEST_PATH = 200, 4096  # characters in a message


def is_text(name: str) -> bool:
    """Whether a name can be written to a file; bytes that are no UTF-8 cannot."""
    return safe_text(name) == name


def safe_text(name: str) -> str:
    """A file name that can be written as text, whatever bytes it is made of."""
    return name.encode(errors="backslashreplace").decode()


def shown(name: str | Path) -> str:
    """A name or path for a message: what a terminal would obey or hide is written out."""
    longest = LONGEST_PATH if isinstance(name, Path) else LONGEST_NAME
    written = (
        mark if mark.isprintable() else mark.encode("unicode_escape").decode()
        for mark in str(name)[:longest]
    )
    return "".join(written)


def amount(count: int, one: str, many: str = "") -> str:
    """A number of things for a sentence: ``1 group``, ``2,000 groups``."""
    return f"{count:,} {one if count == 1 else many or f'{one}s'}"


PAGE = re.compile(
    rb"(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<(!doctype\s+html|html|head|error)\b", re.I | re.S
)
TITLE = re.compile(rb"<(title|message)>\s*(.*?)\s*</\1>", re.I | re.S)


def mistaken_for(content: bytes) -> str:
    """What came in place of a file whose download failed, with what to do; empty for all others."""
    start = content[:4096].lstrip(b"\xef\xbb\xbf \t\r\n")
    if start.startswith(b"version https://git-lfs"):
        return "a pointer of Git LFS in place of the file: fetch it with git lfs pull"
    if not PAGE.match(start):
        return ""
    title = TITLE.search(start)
    named = f" ({shown(title[2].decode(errors='replace'))})" if title else ""
    return f"a web page{named} in place of the file: the download failed; get it again"


FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# Of temporary files and folders: nobody else uses such names, so what a dead process left can be
# told from what belongs to somebody. Earlier versions gave its number alone.
TEMPORARY = re.compile(rf"\.debias-(?P<owner>{IDENTITY}|[1-9][0-9]*)-[a-z0-9_]{{8}}(\.[^.]*)?")
DAY = 24 * 3600.0
HEADROOM = 1.2  # of what is needed must be free: tables and temporary files come on top


def replace_file(path: Path, save: Callable[[Path], object], *, mode: int = 0o644) -> None:
    """Give a file its name only when all of it is on disk; a reader sees the old one or the new.

    ``save`` writes the content to the path that it is given, which has the same ending.

    Raises:
        OSError: The folder cannot be written; what was there stays.
    """
    handle, name = tempfile.mkstemp(path.suffix.lower(), temporary_prefix(), path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        save(temporary)
        sync(temporary)
        temporary.chmod(mode)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def link(source: Path, target: Path) -> None:
    """The same file under another name, or a copy where the file system has no links."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def temporary_prefix() -> str:
    """How the names of this process's temporary files and folders begin; random letters follow."""
    return f".debias-{identity()}-"


def is_abandoned(path: Path, owner: str) -> bool:
    """Whether the process that made a temporary file or folder is gone.

    Where that cannot be told, because it works or worked elsewhere: whether nothing has changed
    for a day.
    """
    gone = is_gone(owner)
    if gone is not None:
        return gone
    try:
        return time.time() - path.lstat().st_mtime > DAY
    except OSError:  # gone meanwhile: others work here, too
        return True


def sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def storage_error(error: OSError, folder: Path) -> StorageError:
    """What to tell about a failed write below ``folder``."""
    # NumPy counts what it could write and does not say why it could not write more.
    if error.errno in FULL or (error.errno is None and "written" in str(error)):
        return StorageFullError(
            f"no space left to write below {folder.absolute()} ({error}; "
            f"{free_bytes(folder) / 2**20:,.0f} MiB free); nothing was left half-written: make "
            "space, or choose another folder with --out, and run the same command again"
        )
    return StorageError(f"cannot write below {folder.absolute()}: {error}")


def require_space(folder: Path, needed: int) -> None:
    """Raise StorageFullError unless so many bytes, and a fifth more, are free below the folder."""
    free = free_bytes(folder)
    if free < HEADROOM * needed:
        raise StorageFullError(
            f"about {HEADROOM * needed / 2**20:,.0f} MiB are needed below {folder.absolute()}, "
            f"{free / 2**20:,.0f} MiB are free; make space or choose another folder with --out"
        )


def free_bytes(folder: Path) -> int:
    place = folder.absolute()
    return shutil.disk_usage(next(one for one in (place, *place.parents) if one.exists())).free


# Not the package filelock: it works on without a lock where the file system has none.
LOCK = ".lock"
POLL = 0.1  # seconds
UNSUPPORTED = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS}


@contextmanager
def locked(
    folder: Path,
    patience: float = float("inf"),
    waiting: Callable[[str], None] = lambda owner: None,
    name: str = LOCK,
) -> Iterator[int]:
    """Hold the folder's lock, whose descriptor comes; the kernel gives it back however we end.

    ``patience`` is in seconds; ``waiting`` is called once, with the other process's number.

    Raises:
        StorageError: It took longer, or the folder cannot be written or locked.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise storage_error(error, folder) from error
    try:
        _acquire(descriptor, folder, patience, waiting)
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def alone(folder: Path, name: str, waiting: Callable[[str], None]) -> Iterator[None]:
    """Likewise a lock of one of many names, whose file goes with it; or StorageError."""
    file = folder / f".{name}{LOCK}"
    while True:
        with locked(folder, waiting=waiting, name=file.name) as descriptor:
            if not os.fstat(descriptor).st_nlink:  # deleted by the one before, after the wait
                continue
            try:
                yield
            finally:
                file.unlink(missing_ok=True)
            return


def _acquire(
    descriptor: int, folder: Path, patience: float, waiting: Callable[[str], None]
) -> None:
    """Wait for the lock, and leave this process's number for those who wait."""
    begun, told = time.monotonic(), False
    while not _try(descriptor, folder):
        owner = os.pread(descriptor, 20, 0).decode(errors="replace") or "unknown"
        if time.monotonic() - begun > patience:
            raise StorageError(
                f"process {owner} has been building in {folder.absolute()} for more than "
                f"{patience:.0f} s; wait for it or stop it, then run the same command again"
            )
        if not told:
            waiting(owner)
            told = True
        time.sleep(POLL)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    except OSError as error:
        raise storage_error(error, folder) from error


def _try(descriptor: int, folder: Path) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in UNSUPPORTED:
            raise
        raise StorageError(
            f"the file system of {folder.absolute()} has no locks ({error}), so two builders "
            "could not be kept apart; choose a folder on a local disk with --out"
        ) from error
    return True

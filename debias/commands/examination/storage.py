"""The disk: whether there is room, whether it can be written, and whether it keeps its promises."""

import fcntl
import mmap
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from debias.commands.examination.finding import Finding
from debias.storage.files import HEADROOM, free_bytes
from debias.storage.leftovers import file_system as kind_of
from debias.storage.leftovers import is_over_a_network

LITTLE = 2**30  # bytes


def disk(folder: Path, images: int | None = None, size: int = 64) -> Iterator[Finding]:
    """Free space, in images, and whether the folder can be written.

    Args:
        folder: May not exist yet; then the folder it would be made in counts.
        images: To be put into a store; None for as many as there is room for.
        size: Side of an image, pixels; one takes 3 ``size``² bytes.
    """
    place = existing(folder)
    free = free_bytes(place)
    room = int(free / HEADROOM / (3 * size * size))
    text = f"{_bytes(free)} free below {place.absolute()}: room for {room:,} images of {size} px"
    if images is not None and images > room:
        needed = _bytes(int(HEADROOM * images * 3 * size * size))
        yield Finding(
            "disk", "problem", f"{text}; {images:,} of them need {needed}",
            "make space, choose a smaller image_size, or another folder",
        )  # fmt: skip
    elif free < LITTLE:
        yield Finding("disk", "warning", text, "make space: builds stop when the disk is full")
    else:
        yield Finding("disk", "ok", text)
    if not os.access(place, os.W_OK | os.X_OK):
        yield Finding(
            "disk", "problem", f"{place.absolute()} cannot be written",
            "choose another folder with --out, or ask its owner",
        )  # fmt: skip


def file_system(folder: Path) -> Iterator[Finding]:
    """What builds rely on, tried with a file that is deleted again: locks, renames, mapping."""
    place = existing(folder)
    if is_over_a_network(place):
        yield Finding(
            "file system", "warning",
            f"{place.absolute()} lies on a network file system ({kind_of(place)}), where locks and "
            "SQLite are not safe",
            "keep runs and mlflow.db on a local disk and copy what is finished",
        )  # fmt: skip
    if not os.access(place, os.W_OK | os.X_OK):
        return
    failed = [name for name, works in TRIALS.items() if not _holds(works, place)]
    kind = f" ({kind_of(place)})" if kind_of(place) else ""
    if failed:
        yield Finding(
            "file system", "problem",
            f"{place.absolute()}{kind} has no working {', '.join(failed)}",
            "choose a folder on a local disk",
        )  # fmt: skip
    else:
        yield Finding("file system", "ok", f"{', '.join(TRIALS)} work{kind}")


def existing(folder: Path) -> Path:
    """The folder, or the nearest one above that is there."""
    return next(
        place for place in (folder.absolute(), *folder.absolute().parents) if place.is_dir()
    )


def _holds(trial: Callable[[Path], bool], place: Path) -> bool:
    with suppress(OSError, ValueError), tempfile.TemporaryDirectory(dir=place) as scratch:
        return trial(Path(scratch))
    return False


def _excludes(scratch: Path) -> bool:
    """A lock that is held is not given a second time."""
    with (scratch / "lock").open("w") as first, (scratch / "lock").open("w") as second:
        fcntl.flock(first, fcntl.LOCK_EX | fcntl.LOCK_NB)
        try:
            fcntl.flock(second, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        return False


def _replaces(scratch: Path) -> bool:
    """A rename puts the new file in the old one's place, and folders move whole."""
    old, new = scratch / "old", scratch / "new"
    old.write_text("old")
    new.write_text("new")
    new.replace(old)
    (scratch / "a").mkdir()
    (scratch / "a").rename(scratch / "b")
    return old.read_text() == "new" and (scratch / "b").is_dir() and not new.exists()


def _maps(scratch: Path) -> bool:
    (scratch / "data").write_bytes(b"0123" * 4096)
    with (
        (scratch / "data").open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        return content[4:8] == b"0123"


TRIALS: dict[str, Callable[[Path], bool]] = {
    "locks": _excludes,
    "renames": _replaces,
    "memory mapping": _maps,
}


def _bytes(count: int) -> str:
    return f"{count / 2**30:,.1f} GiB"

"""Files that are there whole or not at all."""

import os
import tempfile
from collections.abc import Callable
from pathlib import Path


def replace_file(path: Path, save: Callable[[Path], object], *, mode: int = 0o644) -> None:
    """Give a file its name only when all of it is on disk; a reader sees the old one or the new.

    Args:
        path: File to write; its folder must exist.
        save: Writes the content to the path that it is given, which has the same ending.
        mode: Permissions of the file.

    Raises:
        OSError: The folder cannot be written; what was there stays.
    """
    handle, name = tempfile.mkstemp(
        prefix=f".{path.stem}-", suffix=path.suffix.lower(), dir=path.parent
    )
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


def sync(path: Path) -> None:
    """Bring a file or the entries of a folder to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""What lies in a folder: image files, found by listing it, and names that can be written as text.

Nothing here opens a file, and no link is followed below the folder that a person named.
"""

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from jaxtyping import Shaped
from numpy import ndarray
from pandas import Series

from debias.errors import EmptyDatasetError, UnsafePathError
from debias.storage.names import is_text, safe_text, shown
from debias.types import Rejected

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
DETAILS = {
    "not a regular file": "a link, pipe, device or folder; links are not followed",
    "not an image file": f"the name ends in none of {', '.join(SUFFIXES)}",
    "in no class folder": "images count where a folder names their class",
    "name not understood": "the name is not valid text",
    "folder not listed": "the folder cannot be listed",
    "hidden": "the name begins with a dot; hidden files and folders are not looked at",
    "in a subfolder": "images count where they lie in the folder itself",
}


class Entry(NamedTuple):
    """Something below a folder.

    Attributes:
        name: Below the folder, with "/" between folders.
        problem: Why it is no readable file, a key of ``DETAILS``; empty if it is one.
    """

    name: str
    problem: str


def walk(root: Path) -> Iterator[Entry]:
    """Everything below a folder but the folders that could be listed.

    Of a hidden folder the name is told, and nothing below it.
    """
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        try:
            with os.scandir(root / folder) as entries:
                found = [(entry.name, entry.is_dir(follow_symlinks=False),
                          entry.is_file(follow_symlinks=False)) for entry in entries]  # fmt: skip
        except OSError:  # forbidden, or deeper than a path may be long
            yield Entry(folder, "folder not listed")
            continue
        for name, is_folder, is_regular in found:
            below = f"{folder}/{name}" if folder else name
            if name.startswith("."):
                yield Entry(below, "hidden")
            elif is_folder:
                waiting.append(below)
            else:
                yield Entry(below, "" if is_regular else "not a regular file")


def image_problem(entry: Entry) -> str:
    """Why an entry is not an image file with a name, a key of ``DETAILS``; empty if it is."""
    if entry.problem:
        return entry.problem
    if not entry.name.lower().endswith(SUFFIXES):
        return "not an image file"
    return "" if is_text(entry.name) else "name not understood"


def set_aside(name: str, path: str, reason: str, detail: str = "", sample_id: str = "") -> Rejected:
    """A record of a file, its name written so that any file or page can hold it.

    Args:
        name: Stands for the file where it has no other id.
        path: Of the file.
        reason: A few plain words.
        detail: One sentence; empty where ``DETAILS`` has one for the reason.
        sample_id: The id that the sample would have had.
    """
    return Rejected(
        sample_id=sample_id or safe_text(name),
        path=safe_text(path),
        reason=reason,
        detail=detail or DETAILS[reason],
    )


def require_folder(root: Path, where: str) -> None:
    """Fail with the full path and where to get the data."""
    require_path(root)
    if not root.exists():
        raise FileNotFoundError(
            f"the data folder {shown(root.absolute())} does not exist; "
            f"set data.root to the folder, or get the data from {where}"
        )
    if not root.is_dir():
        raise FileNotFoundError(f"{shown(root.absolute())} is a file, not a folder of images")
    if next(root.iterdir(), None) is None:
        raise EmptyDatasetError(f"the data folder {shown(root.absolute())} is empty")


def require_path(path: Path) -> None:
    """Refuse what no file system can name.

    Raises:
        UnsafePathError: The path holds a NUL character or is too long.
    """
    try:
        os.lstat(path)
    except FileNotFoundError:
        return
    except (ValueError, OSError) as error:
        raise UnsafePathError(
            f"the data path {shown(str(path))} cannot be opened: {shown(str(error))}; choose "
            "another with data.root"
        ) from error


def require_regular(path: Path, where: str) -> None:
    """Refuse a link to nothing, a folder, or a pipe that would be read for ever.

    Raises:
        FileNotFoundError: There is no regular file; says where to get it.
    """
    require_path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"the data file {shown(path.absolute())} does not exist; set its path in data, or get "
            f"the data from {where}"
        )
    if not stat.S_ISREG(path.stat().st_mode):
        raise FileNotFoundError(f"{shown(path.absolute())} is not a regular file")


def require_paths(paths: Sequence[Path], where: str) -> None:
    """Fail with the full path of everything that is missing, and where to get it."""
    missing = [shown(path.absolute()) for path in paths if not path.exists()]
    if missing:
        raise FileNotFoundError(f"missing: {', '.join(missing)}; get the data from {where}")


def regular_files(folder: Path) -> set[str]:
    """Names of the image files right below a folder, from one listing of it; links do not count."""
    with os.scandir(folder) as entries:
        return {
            entry.name
            for entry in entries
            if entry.name.lower().endswith(SUFFIXES) and entry.is_file(follow_symlinks=False)
        }


def sample_ids(files: "Series[str]") -> Shaped[ndarray, " n"]:
    """Readable ids where names are plain and remain distinct, and a hash for all others."""
    plain = files.str.replace("/", "-", regex=False).str.replace(r"\.\w+$", "", regex=True)
    fit = plain.str.fullmatch(r"[A-Za-z0-9_-]+") & ~plain.duplicated(keep=False)
    ids = plain.to_numpy(dtype=object, copy=True)
    odd = ~fit.to_numpy(dtype=bool)
    ids[odd] = hashed_ids(files[odd])
    return ids


def hashed_ids(files: Iterable[str]) -> list[str]:
    return [hashlib.sha256(name.encode()).hexdigest()[:16] for name in files]

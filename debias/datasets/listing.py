"""What lies in a folder or stands in a table of paths: which may be opened, and why not others.

No more is read of a file than what tells whether it is a photograph. No link is followed below the
folder that a person named, and a table is not trusted: ``../`` and absolute names, and links that
leave the root, are recognised first.
"""

import filecmp
import hashlib
import os
import posixpath
import stat
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from jaxtyping import Shaped

from debias.decoding.rules import head, is_photograph
from debias.errors import DataError, EmptyDatasetError, UnsafePathError
from debias.storage.files import is_text, safe_text, shown
from debias.types import Rejected

NO_IMAGE, IRREGULAR = "not an image file", "not a regular file"
NAMESAKE, MASKS = "named like another", "masks"
# Photographs that nobody reads, although they are there.
HIDDEN, PACKED, VERSION = "hidden photograph", "in an archive", "another version"
TABLES = (".csv", ".tsv", ".txt", ".parquet", ".json", ".jsonl", ".xlsx")
ARCHIVES = (".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".7z", ".rar")
DETAILS = {
    IRREGULAR: "a link, pipe, device or folder; links are not followed",
    NO_IMAGE: "neither the name nor the content is that of a photograph",
    "in no class folder": "images count where a folder names their class",
    "name not understood": "the name is not valid text",
    "folder not listed": "the folder cannot be listed",
    "hidden": "the name begins with a dot; hidden files and folders are not read",
    HIDDEN: "a photograph whose name, or a folder's on the way to it, begins with a dot: rename it",
    PACKED: "a photograph in an archive, which is not opened: unpack it, or take it away",
    MASKS: "an image in a folder of masks, which show parts of a face and no face",
    NAMESAKE: "a copy of the file of the same name that is read from another folder",
    VERSION: "a photograph of the same name is read from another folder, and this is no copy of "
    "it: take one of the two away",
    "row not understood": "the row names no file",
    "unsafe path": "the path is absolute, contains '..' or NUL, is longer than 4,096 characters, "
    "or a link on the way leads out of the root",
}
UNPACK = "{} is packed: unpack it, and name the folder"
REMEDIES = dict.fromkeys((".gz", ".tgz", ".zip", ".bz2", ".xz", ".zst", ".7z", ".rar"), UNPACK) | {
    ".arrow": "{} was written by datasets.save_to_disk: write what is read with "
    "datasets.load_from_disk(FOLDER).to_parquet('faces.parquet')"
}
LARGEST_END, LARGEST_TABLE = 65_557, 1 << 26  # bytes of a zip archive
MACOS = "__MACOSX/"  # what macOS packs beside every file, under its name
LONGEST = 4096  # characters of a path, the usual limit of the operating system
# A drive letter, an absolute path, a step upwards, or the end of a C string.
ODD = r"^[A-Za-z]:|^[/\\]|(?:^|[/\\])\.\.(?:[/\\]|$)|\x00"


class Entry(NamedTuple):
    """Something below a folder: its name from there, with "/" between folders.

    ``problem`` says why it is no photograph that may be opened, a key of ``DETAILS``; empty if it
    is one. Whether its format is read, the decoder says: a photograph that is not read is missed.
    """

    name: str
    problem: str


def walk(root: Path) -> Iterator[Entry]:
    """Everything below a folder but the folders that could be listed.

    Of a hidden folder its name is told, and of it and of zip archives every photograph that does
    not lie outside, too: what was unpacked, and small pictures of what is there, are no loss.
    """
    names, unseen = list[str](), list[tuple[Entry, set[str]]]()
    for entry in _listed(root):
        yield entry
        names += [] if entry.problem else [entry.name]
        unseen += _inside_of(root, entry)
    if unseen:
        there = {*names, *("/".join(["", *name.split("/")[-2:]]) for name in names)}
        yield from (entry for entry, outside in unseen if not outside & there)


def _listed(root: Path, start: str = "", *, hidden: bool = False) -> Iterator[Entry]:
    """What lies below a folder ``start`` of ``root``; hidden files too, or their names alone."""
    waiting = [start]
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
            if name.startswith(".") and not hidden:
                yield Entry(below, "hidden")
            elif is_folder:
                waiting.append(below)
            else:
                yield Entry(below, _problem(root / below, is_regular=is_regular))


def _inside_of(root: Path, entry: Entry) -> Iterator[tuple[Entry, set[str]]]:
    """The photographs of a hidden file or folder, or of a zip archive; and where each may lie, too.

    A name that begins with a slash stands for the end of a path.
    """
    path = root / entry.name
    if entry.problem == NO_IMAGE and path.suffix.lower() == ".zip":
        for name in _packed(path):
            *above, last = name.split("/")[-2:]
            folders = [f"/{above[0]}"] if above else ["", f"/{path.stem}"]
            yield Entry(f"{entry.name}/{name}", PACKED), {f"{one}/{last}" for one in folders}
    elif entry.problem == "hidden":
        is_folder = path.is_dir() and not path.is_symlink()
        below = _listed(root, entry.name, hidden=True) if is_folder else [entry]
        for name, _ in below:
            # By content alone: what macOS keeps beside 1.jpg is called ._1.jpg, too.
            if is_photograph("", partial(head, root / name)):
                plain = (step for step in name.split("/") if not step.startswith("."))
                yield Entry(name, HIDDEN), {"/".join(plain)}


def _packed(path: Path) -> list[str]:
    """The photographs in a zip archive, by their names; none where it cannot be listed."""
    with suppress(zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - LARGEST_END))
            end = file.read(LARGEST_END)
        # The size of its table stands at its end: a large one must not fill the memory.
        size = int.from_bytes(end[end.rfind(b"PK\5\6") :][12:16], "little")
        if size <= LARGEST_TABLE:
            with zipfile.ZipFile(path) as archive:
                found = archive.namelist()
            return [name for name in found if is_photograph(name, bytes) and MACOS not in name]
    return []


def walked(root: Path) -> list[Entry]:
    """The same, sorted, of a folder that nothing but its files describes.

    Raises:
        DataError: A folder below it is a link: its images, perhaps a whole class, would vanish.
    """
    entries = sorted(walk(root))
    links = [name for name, why in entries if why == IRREGULAR and os.path.isdir(root / name)]
    if links:
        raise DataError(
            f"{shown(root / links[0])} is a link to a folder ({len(links)} in all), and links are "
            "not followed: put the folder itself in its place, or remove the link"
        )
    return entries


def _problem(path: Path, *, is_regular: bool) -> str:
    if not is_regular:
        return IRREGULAR
    return "" if is_photograph(path.name, partial(head, path)) else NO_IMAGE


def image_problem(entry: Entry) -> str:
    """Why an entry is not a photograph with a name, a key of ``DETAILS``; empty if it is."""
    return entry.problem or ("" if is_text(entry.name) else "name not understood")


def namesake(path: str, other: str) -> str:
    """Why a photograph is not read beside another of its name: a copy, or another version."""
    with suppress(OSError):
        return NAMESAKE if filecmp.cmp(path, other, shallow=False) else VERSION
    return VERSION


def unread_tables(problems: Mapping[str, str]) -> tuple[str, ...]:
    """Sentences about tables and archives among images, of which nobody reads any by itself."""
    told = {
        TABLES: "Not read, though more may stand there: {}. A table with one row an image is named "
        "with --table, one with a row a person with --people.",
        ARCHIVES: "Not opened, though photographs may be there: {}. Unpack or remove them.",
    }
    found = {ends: _ending_so(problems, ends) for ends in told}
    return tuple(told[ends].format(files) for ends, files in found.items() if files)


def _ending_so(problems: Mapping[str, str], ends: tuple[str, ...]) -> str:
    """How many files that are no images end so, and how; empty for none."""
    names = [name.lower() for name, why in problems.items() if why == NO_IMAGE]
    names = [name for name in names if name.endswith(ends)]
    # Without a single name: it may be that of a person.
    kinds = ", ".join(sorted({f".{name.rpartition('.')[2]}" for name in names}))
    files = "1 file" if len(names) == 1 else f"{len(names):,} files"
    return f"{files} ({kinds})" if names else ""


def remedy(names: Iterable[str]) -> str:
    """What to do about files that hold images and are not read, as half a sentence; or nothing."""
    told = ((REMEDIES.get(posixpath.splitext(name)[1].lower()), name) for name in names)
    return next((f": {text.format(shown(name))}" for text, name in told if text), "")


def beside_a_list(name: str, place: Path, reason: str, detail: str) -> Rejected:
    """A record of a file that no list names: set aside if it is a photograph, else ignored."""
    if is_photograph("" if name.startswith(".") else name, partial(head, place)):
        return set_aside(name, str(place), reason, detail)
    return set_aside(name, str(place), NO_IMAGE)


def set_aside(name: str, path: str, reason: str, detail: str = "", sample_id: str = "") -> Rejected:
    """A record of a file, its name written so that any file or page can hold it.

    ``name`` stands for it where it has no other id; ``detail`` may be empty where ``DETAILS`` has
    a sentence for the reason.
    """
    return Rejected(
        sample_id=sample_id or safe_text(name),
        path=safe_text(path),
        reason=reason,
        detail=detail or DETAILS[reason],
    )


def all_set_aside(
    root: Path,
    problems: Mapping[str, str],
    detail: Callable[[str, str], str] = lambda name, why: "",
) -> tuple[Rejected, ...]:
    """A record of every file below ``root`` that has a problem; ``detail`` as in the one above."""
    found = ((name, why) for name, why in problems.items() if why)
    return tuple(set_aside(name, f"{root}/{name}", why, detail(name, why)) for name, why in found)


def require_folder(root: Path, where: str) -> None:
    """Fail with the full path and where to get the data."""
    require_path(root)
    full = shown(root.absolute())
    if not root.exists():
        raise FileNotFoundError(
            f"the data folder {full} does not exist; set data.root to the folder, or get the data "
            f"from {where}"
        )
    if not root.is_dir():
        raise FileNotFoundError(f"{full} is a file, not a folder of images")
    if next(root.iterdir(), None) is None:
        raise EmptyDatasetError(
            f"the data folder {full} is empty; name another, or put images there"
        )


def require_path(path: Path) -> None:
    """Refuse what no file system can name: with a NUL character, or too long."""
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
    """Refuse a link to nothing, a folder, or a pipe that would be read for ever."""
    require_path(path)
    full = shown(path.absolute())
    if not path.exists():
        raise FileNotFoundError(
            f"the data file {full} does not exist; set its path in data, or get the data from "
            f"{where}"
        )
    if not stat.S_ISREG(path.stat().st_mode):
        raise FileNotFoundError(f"{full} is not a regular file")


def require_paths(paths: Sequence[Path], where: str) -> None:
    """Fail with the full path of everything that is missing, and where to get it."""
    missing = [shown(path.absolute()) for path in paths if not path.exists()]
    if missing:
        raise FileNotFoundError(f"missing: {', '.join(missing)}; get the data from {where}")


def regular_files(folder: Path) -> set[str]:
    """Names of the files right below a folder, from one listing of it; links do not count."""
    with os.scandir(folder) as entries:
        return {entry.name for entry in entries if entry.is_file(follow_symlinks=False)}


def sample_ids(files: "pd.Series[str]") -> Shaped[np.ndarray, " n"]:
    """Readable ids where names are plain and remain distinct, and a hash for all others."""
    plain = files.str.replace("/", "-", regex=False).str.replace(r"\.\w+$", "", regex=True)
    fit = plain.str.fullmatch(r"[A-Za-z0-9_-]+") & ~plain.duplicated(keep=False)
    ids = plain.to_numpy(dtype=object, copy=True)
    odd = ~fit.to_numpy(dtype=bool)
    ids[odd] = hashed_ids(files[odd])
    return ids


def hashed_ids(files: Iterable[str]) -> list[str]:
    return [hashlib.sha256(name.encode()).hexdigest()[:16] for name in files]


def plain_paths(names: "pd.Series[str]") -> "pd.Series[str]":
    """The same paths without "." and empty steps, so that one file has one name."""
    roundabout = names.str.contains(r"(?:^|/)\.?/|/\.?$", regex=True)
    roundabout &= ~names.str.contains("..", regex=False)  # a step upwards must not vanish
    return names.mask(roundabout, names[roundabout].map(posixpath.normpath))


def path_problems(names: "pd.Series[str]", root: Path) -> Shaped[np.ndarray, " n"]:
    """Why each path below an existing ``root`` may not be opened; empty where it may.

    The reasons are keys of ``DETAILS``.
    """
    odd = names.str.contains(ODD, regex=True) | (names.str.len() > LONGEST)
    problems = np.where(names == "", "row not understood", np.where(odd, "unsafe path", ""))
    problems = problems.astype(object)
    fit = np.flatnonzero(problems == "")
    here, real_root = names.iloc[fit], os.path.realpath(root)
    code, folders = pd.factorize(here.str.rpartition("/")[0] if len(fit) else here)
    within = np.array([_inside(real_root, f"{real_root}/{name}") for name in folders], dtype=bool)
    problems[fit[~within[code]]] = "unsafe path"
    listed = (_odd_files(real_root, str(name)) for name in folders[within])
    found = here.map(dict(chain.from_iterable(listed))).to_numpy(dtype=object)
    known = pd.notna(found)
    problems[fit[known]] = found[known]
    return problems


def rejected_paths(
    names: "pd.Series[str]", problems: Shaped[np.ndarray, " n"], table: Path
) -> list[Rejected]:
    """A record of every row that may not be opened; the path is the one that the table names.

    Its id is the one that the sample would have had, and where the row names no path, or names one
    again, its place in the table.
    """
    wrong = names[problems != ""]
    unnamed = (wrong == "") | wrong.duplicated()
    records = []
    for number, name, no_name, reason in zip(
        wrong.index, wrong, unnamed, problems[problems != ""], strict=True
    ):
        place = f"{names.index.name} {number}"
        sample_id = safe_text(f"{table.name}:{place}") if no_name else hashed_ids([name])[0]
        path = safe_text(name).replace("\0", "\\0")
        path = path if len(path) <= LONGEST else f"{path[:LONGEST]}..."
        detail = f"{place}: {DETAILS[reason]}"
        records.append(set_aside("", path or str(table), reason, detail, sample_id))
    return records


def _inside(real_root: str, place: str) -> bool:
    """Whether a path leads to the root or below it, links followed."""
    real = os.path.realpath(place)
    return real == real_root or real.startswith(real_root.rstrip(os.sep) + os.sep)


def _odd_files(real_root: str, folder: str) -> Iterator[tuple[str, str]]:
    """Links that leave the root and whatever else is no file, from one listing of a folder."""
    try:
        with os.scandir(f"{real_root}/{folder}") as entries:
            for entry in entries:
                if entry.is_symlink() and not _inside(real_root, entry.path):
                    yield posixpath.join(folder, entry.name), "unsafe path"
                elif not entry.is_file(follow_symlinks=False):
                    yield posixpath.join(folder, entry.name), IRREGULAR
    except OSError:  # no such folder: its files are missing, which is found out on reading
        return

"""Who else can read faces and names, and who can change what is there."""

import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from debias.commands.examination.finding import Finding, some
from debias.storage import leftovers as janitor
from debias.storage.leftovers import STAGES

PRIVATE = "quarantine.jsonl"  # names people wherever it lies


def permissions(folder: Path) -> Iterator[Finding]:
    """Folders that anybody can change; files about people that others can read.

    Bits of the mode decide, those of the folders above included; access lists are not looked at.
    """
    writable = [Path(here) for here, _, _ in janitor.walk(folder) if _anybody_writes(Path(here))]
    if writable:
        yield Finding(
            "permissions", "problem", f"anybody on this machine can change {some(writable)}",
            f"chmod -R o-w {folder}",
        )  # fmt: skip
    readable: dict[str, list[Path]] = {}
    for path in _about_people(folder):
        for who in _readers(path):
            readable.setdefault(who, []).append(path)
    for who, paths in readable.items():
        places = " ".join(sorted({str(path.parent) for path in paths}))
        yield Finding(
            "permissions", "warning", f"{who} can read faces or names: {some(paths)}",
            f"chmod -R go-rwx {places}",
        )  # fmt: skip
    if not writable and not readable:
        yield Finding("permissions", "ok", "nobody else can write there, nor read faces and names")


def _about_people(folder: Path) -> Iterator[Path]:
    """Files of stores, finished or not, and lists of what was set aside."""
    stores = [path for path in janitor.artifacts_below(folder) if path.parent.name in STAGES]
    for place in [*stores, *janitor.parts_below(folder)]:
        yield from (path for path in sorted(place.rglob("*")) if path.name != PRIVATE)
    for here, _, names in janitor.walk(folder):
        yield from (Path(here, name) for name in names if name == PRIVATE)


def _anybody_writes(folder: Path) -> bool:
    about = janitor.status(folder)
    return about is not None and bool(about.st_mode & stat.S_IWOTH) and not _is_sticky(about)


def _is_sticky(about: os.stat_result) -> bool:
    return bool(about.st_mode & stat.S_ISVTX)


def _readers(path: Path) -> Iterator[str]:
    """Who else can read a file: all folders on the way to it must let them through."""
    about = janitor.status(path)
    if about is None or not stat.S_ISREG(about.st_mode):
        return
    above = [found for one in path.resolve().parents if (found := janitor.status(one))]
    if about.st_mode & stat.S_IROTH and all(one.st_mode & stat.S_IXOTH for one in above):
        yield "anybody on this machine"
    elif about.st_mode & stat.S_IRGRP and all(_lets_through(one, about.st_gid) for one in above):
        yield f"the group {_group(about.st_gid)}"


def _lets_through(folder: os.stat_result, group: int) -> bool:
    needed = stat.S_IXGRP if folder.st_gid == group else stat.S_IXOTH
    return bool(folder.st_mode & needed)


def _group(number: int) -> str:
    with suppress(ImportError, KeyError):
        import grp

        return grp.getgrgid(number).gr_name
    return str(number)

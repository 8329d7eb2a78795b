"""Paths that a table names: which of them lead to a file below the root, and why the others do not.

A table is not trusted: ``../`` and absolute names, and links that leave the root, are recognised
here, before anything is opened.
"""

import os
import posixpath
from collections.abc import Iterable, Iterator
from itertools import accumulate, chain
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Bool, Shaped

from debias.datasets.listing import hashed_ids
from debias.storage.names import safe_text
from debias.types import Rejected

DETAILS = {
    "row not understood": "the row names no file",
    "unsafe path": "the path is absolute, contains '..' or NUL, is longer than 4,096 characters, "
    "or a link on the way leads out of the root",
    "not a regular file": "a link, pipe, device or folder; links are not followed",
}
LONGEST = 4096  # characters of a path, the usual limit of the operating system
# A drive letter, an absolute path, a step upwards, or the end of a C string.
ODD = r"^[A-Za-z]:|^[/\\]|(?:^|[/\\])\.\.(?:[/\\]|$)|\x00"


def plain_paths(names: "pd.Series[str]") -> "pd.Series[str]":
    """The same paths without "." and empty steps, so that one file has one name."""
    roundabout = names.str.contains(r"(?:^|/)\.?/|/\.?$", regex=True)
    roundabout &= ~names.str.contains("..", regex=False)  # a step upwards must not vanish
    if not roundabout.any():
        return names
    return names.mask(roundabout, names[roundabout].map(posixpath.normpath))


def path_problems(names: "pd.Series[str]", root: Path) -> Shaped[np.ndarray, " n"]:
    """Why each path may not be opened, as a key of ``DETAILS``; empty where it may.

    Args:
        names: Paths below ``root``; no missing values.
        root: Folder that exists.
    """
    odd = names.str.contains(ODD, regex=True) | (names.str.len() > LONGEST)
    problems = np.where(names == "", "row not understood", np.where(odd, "unsafe path", ""))
    problems = problems.astype(object)
    fit = np.flatnonzero(problems == "")
    if not len(fit):
        return problems
    here = names.iloc[fit]
    code, folders = pd.factorize(here.str.rpartition("/")[0])
    real_root = os.path.realpath(root)
    outside = _outside(real_root, folders)
    problems[fit[outside[code]]] = "unsafe path"
    within = [str(name) for name in folders[~outside]]
    odd_files = dict(chain.from_iterable(_odd_files(real_root, name) for name in within))
    if odd_files:
        found = here.map(odd_files).to_numpy(dtype=object)
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
    odd = problems != ""
    wrong = names[odd]
    unnamed = (wrong == "") | wrong.duplicated()
    places = [f"{names.index.name} {number}" for number in wrong.index]
    return [
        Rejected(
            sample_id=safe_text(f"{table.name}:{place}") if no_name else sample_id,
            path=_shown(name) or safe_text(str(table)),
            reason=reason,
            detail=f"{place}: {DETAILS[reason]}",
        )
        for place, name, no_name, sample_id, reason in zip(
            places, wrong, unnamed, hashed_ids(wrong), problems[odd], strict=True
        )
    ]


def _outside(real_root: str, folders: Iterable[str]) -> Bool[np.ndarray, " n"]:
    """Which folders a link on the way takes out of the root; each step is looked at once."""
    known: dict[str, bool] = {}

    def leaves(folder: str) -> bool:
        out = False
        for place in accumulate(folder.split("/"), "{}/{}".format, initial=real_root):
            if place not in known:
                known[place] = out or (os.path.islink(place) and not _inside(real_root, place))
            out = known[place]
        return out

    return np.array([leaves(folder) for folder in folders], dtype=bool)


def _inside(real_root: str, place: str) -> bool:
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
                    yield posixpath.join(folder, entry.name), "not a regular file"
    except OSError:  # no such folder: its files are missing, which is found out on reading
        return


def _shown(name: str) -> str:
    text = name.encode(errors="backslashreplace").decode().replace("\0", "\\0")
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."

"""What the way to an image says: words for its folders, and folders that look like people."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

import pandas as pd

from debias.datasets.owners_lists import SPLIT_NAMES
from debias.storage.tables import OURS

PERSON, SPLIT, NOTHING = "person", "split", "*"
ROLES = {PERSON: "subject_id", SPLIT: "split"}
# How face recognition sets call people: Freebase (RFW, BUPT, MS-Celeb), VGGFace2, IMDb, numbers.
CALLED = re.compile(
    r"m\.0\w{2,}|n\d{6}|nm\d{7}|(?:id|s|p|person|subject|subj|identity|people|celeb)[-_ ]?\d+",
    re.ASCII | re.IGNORECASE,
)
CALLED_FIRST = re.compile(rf"(?P<who>{CALLED.pattern})[-_. ]", CALLED.flags)
# Ann_Lee, Jean_van_der_Ley
NAMED = re.compile(r"[^\W\d_a-z][^\W\d_]*\.?(?:[_ -][^\W\d_][\w.'-]*)+")
NUMBERED = re.compile(r"\d{5,}", re.ASCII)
COUNTED = re.compile(r"(?P<who>.+?)[-_. ]?(?<!\d)\d+(?:[-_]\d+)?", re.ASCII)  # Ann_Lee_0001
CLEAR = 0.8  # share of the folders that must be called like people
FEWEST, MANY = 3, 10  # people: called so, and without such names
FEW_IMAGES = 50  # of one person


class Step(NamedTuple):
    """What one folder (or the file) on the way says: columns, and how they are read from it."""

    columns: tuple[str, ...]
    fits: re.Pattern[str]
    of_file: bool  # only a pattern is compared with the name of the file itself


def steps(way: str) -> list[Step]:
    """The words of a way such as ``race/person`` or ``{person}_*``, folder by folder.

    Raises:
        ValueError: A word is empty, stands there twice or is a name that samples need.
    """
    found = [_step(word) for word in way.strip("/").split("/")]
    columns = [name for step in found for name in step.columns]
    for name in columns:
        if not name.strip() or columns.count(name) > 1:
            raise ValueError(f"{way!r} must name each column once: like race/person, split/class")
        if name in OURS and name not in ROLES:
            raise ValueError(f"{name!r} is a name the samples need for themselves; choose another")
    return found


def _step(word: str) -> Step:
    pattern = "{" in word
    pieces = re.split(r"(\{[^{}]*\}|\*)", word if pattern or word == NOTHING else f"{{{word}}}")
    regex = "".join(
        "(.+)" if piece.startswith("{") else ".*" if piece == NOTHING else re.escape(piece)
        for piece in pieces
    )
    columns = tuple(piece[1:-1] for piece in pieces if piece.startswith("{"))
    return Step(columns, re.compile(regex, re.DOTALL), pattern)


def said(name: str, way: Sequence[Step]) -> dict[str, str] | None:
    """Column and value of what the way to an image says; None where it does not fit."""
    parts, found = name.split("/"), dict[str, str]()
    for place, step in enumerate(way):
        if place >= len(parts) - (not step.of_file):
            return None
        match = step.fits.fullmatch(parts[place])
        if match is None:
            return None
        found |= zip(step.columns, match.groups(), strict=True)
    if SPLIT in found:
        side = SPLIT_NAMES.get(found[SPLIT].lower())
        return None if side is None else found | {SPLIT: side}
    return found


def in_thousands(names: Sequence[str]) -> bool:
    """Whether the folders are numbers that only keep folders small: no file name comes again."""
    folders = {name.split("/")[-2] for name in names if "/" in name}
    numbers = [int(name) for name in folders if NUMBERED.fullmatch(name)]
    stems = [name.rpartition("/")[2].partition(".")[0] for name in names]
    alone = len(set(stems)) == len(stems) and all(stem.isdigit() for stem in stems)
    return len(numbers) == len(folders) > 0 and alone


class People(NamedTuple):
    """Who may be shown: one name an image where this is clear, and what to tell."""

    names: list[str] | None
    remark: str


def people_of(names: Sequence[str]) -> People | None:
    """Whether folders or file names look like people, as in sets for face recognition.

    Clear where they are called so; else, where many hold few images each, only to be told.
    """
    folders = [name.rpartition("/")[0] for name in names]
    last = [folder.rpartition("/")[2] for folder in folders]
    stems = [name.rpartition("/")[2].rpartition(".")[0] for name in names]
    files = [_counted(stem) for stem in stems]
    repeated = len(set(stems)) < len(stems)
    above = _above(folders)
    way = "/".join([*above[:-1], PERSON] if above else [])
    pattern = "/".join([*above, "{person}_*"])
    if _clear(last, repeated=repeated):
        return People(last, _told(last, "folders", way, clear=True))
    if _clear(files):
        return People(files, _told(files, "file names", pattern, clear=True))
    if _few_each(folders) and not in_thousands(names):
        return People(None, _told(last, "folders", way, clear=False))
    if _few_each(files):
        return People(None, _told(files, "file names", pattern, clear=False))
    return None


def _counted(stem: str) -> str:
    """What the name of an image says before its number; empty where that is a number, too."""
    match = CALLED_FIRST.match(stem) or COUNTED.fullmatch(stem)
    return match["who"] if match and re.search(r"[^\W\d_]", match["who"]) else ""


def _clear(who: Sequence[str], *, repeated: bool = False) -> bool:
    """Whether names are those of people; a number is one where files of one name lie in several."""
    people = set(who)
    called = {name for name in people if CALLED.fullmatch(name)}
    numbers = {name for name in people if repeated and NUMBERED.fullmatch(name)}
    names = {name for name in people if NAMED.fullmatch(name)} if len(people) >= MANY else set()
    several = len(who) > len(people) >= FEWEST and all(who)
    return several and len(called | numbers | names) >= CLEAR * len(people)


def _few_each(who: Sequence[str]) -> bool:
    count = Counter(who)
    return all(who) and len(count) >= MANY and 1 < median(count.values()) <= FEW_IMAGES


def _above(folders: Sequence[str]) -> list[str]:
    """Words for the folders on the way to most images."""
    depths = Counter(folder.count("/") + 1 if folder else 0 for folder in folders)
    depth = depths.most_common(1)[0][0]
    tops = {folder.split("/")[0].lower() for folder in folders}
    first = SPLIT if tops <= SPLIT_NAMES.keys() else "group"
    return [first, *[NOTHING] * depth][:depth]


def _told(who: Sequence[str], what: str, way: str, *, clear: bool) -> str:
    # Without a single name: a page with it would have to be purged.
    people = len(set(who))
    if clear:
        return (
            f"{people:,} {what} look like people: each was taken for one person, so that nobody "
            f"stands on two sides of the split. To say so, or otherwise: --folders '{way}'."
        )
    return (
        f"{people:,} {what} stand for few images each ({len(who) / people:.0f}), as those of "
        "people do, and nothing says who is shown: one person may stand on two sides of the split. "
        f"If they are people: --folders '{way}'."
    )


def named(found: Iterable[dict[str, str]]) -> pd.DataFrame:
    """Columns of what the ways say, the person and the split under the names of samples."""
    rows = list(found)
    return pd.DataFrame(rows, index=range(len(rows))).rename(columns=ROLES)

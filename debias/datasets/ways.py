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
WORD = re.compile(rf"(?<![a-z])(?:{'|'.join(SPLIT_NAMES)})(?![a-z])")
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
        side = side_of(found[SPLIT])
        return found | {SPLIT: side} if side else None
    return found


def only_numbers(names: Sequence[str]) -> bool:
    """Whether the folders are numbers that only keep folders small, as 00000 to 69000 of FFHQ do.

    All have as many digits, two at least, and no file name comes again in another.
    """
    folders = {name.split("/")[-2] for name in names if "/" in name}
    stems = {name.rpartition("/")[2].partition(".")[0] for name in names}
    digits = {len(name) for name in folders if re.fullmatch(r"[0-9]{2,}", name)}
    numbers = all(name.isascii() and name.isdigit() for name in folders)
    return len(digits) == 1 and numbers and len(stems) == len(names)


class Sorted(NamedTuple):
    """Where an image lies among folders of classes: split and class, each empty for none.

    ``top`` is the first folder where it should be a split and is none.
    """

    side: str
    of: str
    top: str = ""


def sorted_by_folders(images: Sequence[str]) -> dict[str, Sorted]:
    """Split and class of each path: ``CLASS/...``, ``SPLIT/CLASS/...``, or some folders deeper."""
    above = wrapper(images)
    inner = {name: name.removeprefix(above) for name in images}
    sides = _splits(list(inner.values()))
    if not sides:
        return {name: Sorted("", _top(way)) for name, way in inner.items()}
    found = {name: sides.get(_top(way), "") for name, way in inner.items()}
    below = {name: _below_side(inner[name], side) for name, side in found.items() if side}
    more = wrapper(list(below.values()))
    return {
        name: Sorted(side, _top(below[name].removeprefix(more))) if side
        else Sorted("", "", _top(inner[name]))
        for name, side in found.items()
    }  # fmt: skip


def wrapper(images: Sequence[str]) -> str:
    """Folders that only hold the one that holds everything, with a slash at the end, or nothing."""
    above = ""
    while True:
        inner = [name.removeprefix(above) for name in images]
        first = {_top(name) for name in inner}
        only = first.pop() if len(first) == 1 else ""
        deep = all(name.count("/") > 1 for name in inner)
        if not only or not deep or SPLIT_NAMES.get(only.lower()) == "train":
            return above
        above += f"{only}/"


def side_of(folder: str) -> str:
    """Split that the name of a folder states, as set_train does; empty if none or several."""
    words = {SPLIT_NAMES[word] for word in WORD.findall(folder.lower())}
    return words.pop() if len(words) == 1 else ""


def sides_of(folders: Iterable[str]) -> dict[str, str]:
    """Split of each folder called after one; else of those that differ by its name alone."""
    names = set(folders)
    plain = {name: SPLIT_NAMES[name.lower()] for name in names if name.lower() in SPLIT_NAMES}
    if plain:
        return plain
    stated = {name: side for name in names if (side := side_of(name))}
    rests = {WORD.sub("", name.lower()) for name in stated}
    return stated if len(rests) == 1 and len(stated) > 1 else {}


def _top(name: str) -> str:
    """The first folder of a path; empty for what lies in none."""
    return name.partition("/")[0] if "/" in name else ""


def _below_side(way: str, side: str) -> str:
    """What follows the folder of a split, and another of the same split in it."""
    below = way.partition("/")[2]
    return below.partition("/")[2] if side_of(_top(below)) == side else below


def _splits(images: Sequence[str]) -> dict[str, str]:
    """Split by first folder, where these are splits, whatever else was unpacked beside them."""
    tops = {_top(name) for name in images}
    sides, deep = sides_of(tops), all(name.count("/") > 1 for name in images)
    train = [name for name in images if sides.get(_top(name)) == "train"]
    if not train:
        return sides if sides.keys() == tops and deep else {}
    only_folders = all(name.count("/") > 1 for name in train)
    return sides if len(sides) > 1 or sides.keys() == tops - {""} or only_folders else {}


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
    if _few_each(folders) and not only_numbers(names):
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
    """Words for the folders on the way to most images: the first that differ are split or group."""
    ways = [folder.split("/") if folder else [] for folder in set(folders)]
    depth = Counter(map(len, ways)).most_common(1)[0][0]
    levels = [{way[place] for way in ways if len(way) == depth} for place in range(depth)]
    words = [NOTHING] * depth
    first = next((place for place, names in enumerate(levels) if len(names) > 1), None)
    if first is not None:
        names = levels[first]
        words[first] = SPLIT if sides_of(names).keys() == names else "group"
    return words


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

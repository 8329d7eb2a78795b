"""What the way to an image says: words for its folders, classes, splits, versions of a set."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import pandas as pd

from debias.datasets.owners_lists import SPLIT_NAMES
from debias.storage.tables import OURS

PERSON, SPLIT, NOTHING = "person", "split", "*"
ROLES = {PERSON: "subject_id", SPLIT: "split"}
WILD = {NOTHING: ".*", "#": r"(?<!\d)\d+(?!\d)"}  # anything, and a whole number
WORD = re.compile(rf"(?<![a-z])(?:{'|'.join(SPLIT_NAMES)})(?![a-z])")
# Folders of one set in several versions, and those that only divide it.
VERSION = re.compile(
    r"\d+x\d+|thumb|orig|augment|align|crop|resiz|wild|margin|^\d\.\d+$", re.ASCII | re.IGNORECASE
)
MADE_OF = re.compile(r"mask|segment|depth|landmark|annot", re.ASCII | re.IGNORECASE)
FOLD = re.compile(
    r"(k?fold|part|chunk|batch|shard|images?|imgs?|photos?|pics?|set|data)s?[-_ ]?\d+",
    re.ASCII | re.IGNORECASE,
)


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
    pieces = re.split(r"(\{[^{}]*\}|[*#])", word if pattern or word == NOTHING else f"{{{word}}}")
    regex = "".join(
        "(.+)" if piece.startswith("{") else WILD.get(piece) or re.escape(piece) for piece in pieces
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
    """Whether the folders are numbers, and no classes, as 00000 to 69000 of FFHQ are.

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


def versions(images: Sequence[str]) -> list[str]:
    """Folders that hold versions of the same photographs and are no classes, sorted.

    All are called so (FFHQ's images1024x1024 and thumbnails128x128), or one is and holds the names
    of files beside it, or folders with the names of those beside it (augmented/male and male).
    """
    numbers: dict[str, set[str]] = {}
    for name, place in sorted_by_folders(images).items():
        numbers.setdefault(place.of, set()).add(name.rpartition("/")[2].partition(".")[0])
    if len(numbers) > 1 and all(map(VERSION.search, numbers)):
        return sorted(numbers)
    called = [one for one in numbers if VERSION.search(one) or MADE_OF.search(one)]
    others = set[str]().union(*(numbers[one] for one in numbers if one not in called))
    again = {one for one in called if len(numbers[one] & others) > len(numbers[one]) / 2}
    steps = {tuple(name.split("/")[:2]) for name in images if name.count("/") > 1}
    tops = {_top(name) for name in images}
    same = ((top, below) for top, below in steps if below in tops - {top})
    inner = Counter(top for top, below in same if re.search(r"[^\W\d]", below))
    return sorted(again.union(top for top, count in inner.items() if count > 1))


def other_way(images: Sequence[str]) -> str:
    """The way to images of which neither a class nor a split is said by the first folder.

    As ``--folders`` takes it; empty where there is none: class/split, fold/class or fold.
    """
    first = {_top(name) for name in images}
    deep = all(name.count("/") > 1 for name in images)
    second = {name.split("/")[1] for name in images} if deep else set()
    sides = sides_of(second)
    if deep and sides.keys() == second and "train" in sides.values() and not sides_of(first):
        return f"class/{SPLIT}"
    if all(map(FOLD.fullmatch, first)):
        return "fold/class" if deep else "fold"
    return ""


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


def named(found: Iterable[dict[str, str]]) -> pd.DataFrame:
    """Columns of what the ways say, the person and the split under the names of samples."""
    rows = list(found)
    return pd.DataFrame(rows, index=range(len(rows))).rename(columns=ROLES)

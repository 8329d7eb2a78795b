"""What the way to an image says: words for its folders, and folders that look like people."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import median
from typing import NamedTuple

import pandas as pd

from debias.datasets.owners_lists import SPLIT_NAMES
from debias.decoding.rules import SUFFIXES
from debias.storage.tables import OURS

PERSON, SPLIT, NOTHING = "person", "split", "*"
ROLES = {PERSON: "subject_id", SPLIT: "split"}
WILD = {NOTHING: ".*", "#": r"(?<!\d)\d+(?!\d)"}  # anything, and a whole number
# How face recognition sets call people: Freebase (RFW, BUPT, MS-Celeb), VGGFace2, IMDb, numbers.
CALLED = re.compile(
    r"m\.0\w{2,}|n\d{6}|nm\d{7}|(?:id|s|p|person|subject|subj|identity|people|celeb)[-_ ]?\d+",
    re.ASCII | re.IGNORECASE,
)
CALLED_FIRST = re.compile(rf"(?P<who>{CALLED.pattern})[-_. ]", CALLED.flags)
# Ann_Lee, Jean_van_der_Ley
NAMED = re.compile(r"[^\W\d_a-z][^\W\d_]*\.?(?:[_ -][^\W\d_][\w.'-]*)+")
NUMBERED = re.compile(r"\d{5,}", re.ASCII)
BARE = re.compile(r"\d+|[0-9a-f]{8,}", re.ASCII)  # numbers, and those that hide names
FIELD = re.compile(r"[^\W\d_]{3,}|\d{5,}")  # of a file name, a person's: a word, a long number
BRACES = re.compile(r"[{}]")  # part of no pattern
MARKS = "_", "-", ".", " "  # between the fields of a file name
COUNTED = re.compile(r"(?P<who>.+?)[-_. ]?(?<!\d)\d+(?:[-_]\d+)?", re.ASCII)  # Ann_Lee_0001
WORD = re.compile(rf"(?<![a-z])(?:{'|'.join(SPLIT_NAMES)})(?![a-z])")
# Folders of one set in several versions, and those that only divide it.
VERSION = re.compile(
    r"\d+x\d+|thumb|orig|augment|align|crop|resiz|wild|margin|^\d\.\d+$", re.ASCII | re.IGNORECASE
)
FOLD = re.compile(
    r"(k?fold|part|chunk|batch|shard|images?|imgs?|photos?|pics?|set|data)s?[-_ ]?\d+",
    re.ASCII | re.IGNORECASE,
)
CLEAR = 0.8  # share of the folders that must be called like people
FEWEST, MANY = 3, 10  # people: called so, and without such names
FEW_IMAGES, MOST_IMAGES = 50, 500  # of one person: of any name, and of a name like a person's
TRIED = 1000  # names with which a pattern is tried
STEPS = 100, 1000, 10_000, 100_000  # files in a folder that only keeps folders small


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


def _only_keep_small(names: Sequence[str]) -> bool:
    """Whether each folder is a part of the number of every file in it: it holds so many of them.

    Folders of people that are numbered through, as those of CASIA, are none of this kind.
    """
    within = {tuple(name.split("/")[-2:]) for name in names if "/" in name}
    pairs = {(folder, re.split(r"[\W_]", file)[0]) for folder, file in within}
    return any(folder != number for folder, number in pairs) and all(
        _holds(*pair) for pair in pairs
    )


def _holds(folder: str, number: str) -> bool:
    """Whether a file so numbered lies in such a folder: 0001/00010002, 17/10000217, 01000/01234."""
    if not re.fullmatch("[0-9a-f]{2,}", folder):
        return False
    if number.startswith(folder) or number.endswith(folder):
        return True
    whole = number.isdecimal() and folder.isdecimal()
    return whole and any(
        int(folder) in (int(number) // step, int(number) // step * step) for step in STEPS
    )


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

    All are called so (FFHQ's images1024x1024 and thumbnails128x128), or one holds folders with the
    names of those beside it (male, female and augmented/male).
    """
    classes = {place.of for place in sorted_by_folders(images).values()}
    if len(classes) > 1 and all(map(VERSION.search, classes)):
        return sorted(classes)
    steps = {tuple(name.split("/")[:2]) for name in images if name.count("/") > 1}
    tops = {_top(name) for name in images}
    inner = Counter(top for top, below in steps if below in tops - {top})
    return sorted(top for top, count in inner.items() if count > 1)


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


class People(NamedTuple):
    """Who may be shown: one name an image; ``clear`` where these are called like people."""

    names: list[str]
    what: str  # that bears the names
    way: str  # that reads them, as ``--folders`` takes it; empty for none
    clear: bool

    def taken(self) -> str:
        """What is said of names that were taken for people."""
        # Without a single name: a page with it would have to be purged.
        otherwise = f" To say so, or otherwise: --folders '{self.way}'." if self.way else ""
        return (
            f"{len(set(self.names)):,} {self.what} look like people: each was taken for one "
            f"person, so that nobody stands on two sides of the split.{otherwise}"
        )

    def asked(self, sides: Sequence[str] | None = None) -> str:
        """What is asked of names that may be those of people; ``sides``: the split of each."""
        people, both = len(set(self.names)), "one person may stand on two sides of the split"
        if sides is not None:
            side = Counter(name for name, _ in set(zip(self.names, sides, strict=True)))
            several = sum(count > 1 for count in side.values())
            both = f"{several:,} of them stand on several sides of the split"
        way = f"--folders '{self.way}'" if self.way else "name a column of people with --subject"
        return (
            f"{people:,} {self.what} may be people ({len(self.names) / people:.0f} images each), "
            f"and nothing says who is shown: {both}. If they are people: {way}."
        )


def people_of(names: Sequence[str]) -> People | None:
    """Whether folders, file names or a part of these look like people, as in face recognition.

    Clear where they are called so; else, where they stand for few images each, to be asked.
    """
    folders = [name.rpartition("/")[0] for name in names]
    last = [folder.rpartition("/")[2] for folder in folders]
    stems = [_stem(name) for name in names]
    above = _above(folders)
    by_folder = People(last, "folders", "/".join([*above[:-1], PERSON]), clear=True)
    numbered = [_counted(stem) for stem in stems]
    by_file = People(numbered, "file names", _pattern(names, numbered, above), clear=True)
    found = [by_file] if _only_keep_small(names) else [by_folder, by_file]
    for people in found:
        if _clear(people.names, stems):
            return people
    if by_folder in found and _questionable(last, stems):
        return by_folder._replace(clear=False)
    for who, what in ((numbered, "file names"), (_fielded(stems), "parts of file names")):
        if _few_each(who, stems):
            return People(who, what, _pattern(names, who, above), clear=False)
    return None


def _stem(name: str) -> str:
    """The name of an image without the ending of one: Yale's subject01.happy is a name."""
    last = name.rpartition("/")[2]
    stem, dot, ending = last.rpartition(".")
    return stem if dot and f".{ending.lower()}" in SUFFIXES else last


def _counted(stem: str) -> str:
    """What the name of an image says before its number; empty where that is a number, too."""
    match = CALLED_FIRST.match(stem) or COUNTED.fullmatch(stem)
    return match["who"] if match and re.search(r"[^\W\d_]", match["who"]) else ""


def _fielded(stems: Sequence[str]) -> list[str]:
    """The part of names that divides them into most, each of several; empty for none.

    The first fields, as few as do; else one within, if it is a word or a long number.
    """
    mark = max(MARKS, key=lambda mark: sum(mark in stem for stem in stems))
    rows = [stem.split(mark) for stem in stems]
    widths = {len(row) for row in rows}
    first = [[mark.join(row[:count]) for row in rows] for count in range(1, min(widths, default=0))]
    fit = [who for who in first if _few_each(who, stems)]
    if fit:  # what says no more than the fields before is still part of a name: Ann_Lee
        return [who for who in fit if len(set(who)) == len(set(fit[0]))][-1]
    within = [list(who) for who in zip(*rows, strict=True)] if len(widths) == 1 else []
    fit = [who for who in within if all(map(FIELD.fullmatch, who)) and _few_each(who, stems)]
    return max(fit, key=lambda who: len(set(who)), default=[""] * len(stems))


def _pattern(names: Sequence[str], who: Sequence[str], above: Sequence[str]) -> str:
    """The way that reads from the names of files who is shown; empty where none does."""
    pairs = [(name, one) for name, one in zip(names, who, strict=True) if one][:TRIED]
    for shape in (_general, _exact):
        shapes = Counter(shape(name.rpartition("/")[2], one) for name, one in pairs)
        for common, _ in shapes.most_common(1):
            way = "/".join([*above, common])
            read = [(said(name, steps(way)) or {}).get(PERSON) for name, _ in pairs]
            right = sum(one == of for one, (_, of) in zip(read, pairs, strict=True))
            if right >= CLEAR * len(pairs):
                return way
    return ""


def _general(file: str, who: str) -> str:
    """A pattern like {person}_*, with the mark that stands next to the name on each side."""
    before, after = (BRACES.sub("", part) for part in file.partition(who)[::2])
    return f"{NOTHING * bool(before)}{before[-1:]}{{{PERSON}}}{after[:1]}{NOTHING}"


def _exact(file: str, who: str) -> str:
    """A pattern like #_{person}_#.*, with every number and word in its place."""
    before, after = (
        re.sub(r"[^\W_]+", NOTHING, re.sub(r"\d+", "#", BRACES.sub("", part)))
        for part in file.partition(who)[::2]
    )
    return f"{before}{{{PERSON}}}{after}"


def _clear(who: Sequence[str], stems: Sequence[str]) -> bool:
    """Whether names are those of people: a long number is one where it stands for few images."""
    people, repeated = set(who), len(set(stems)) < len(stems)
    few = repeated or len(who) <= FEW_IMAGES * len(people)
    called = {name for name in people if CALLED.fullmatch(name)}
    numbers = {name for name in people if few and NUMBERED.fullmatch(name)}
    names = {name for name in people if NAMED.fullmatch(name)} if len(people) >= MANY else set()
    several = len(who) > len(people) >= FEWEST and all(who)
    return several and len(called | numbers | names) >= CLEAR * len(people)


def _questionable(folders: Sequence[str], stems: Sequence[str]) -> bool:
    """Whether folders may be people: ten or more of any name, three of a person's or a number."""
    names = set(folders)
    alike = [name for name in names if NAMED.fullmatch(name) or BARE.fullmatch(name)]
    kinds = len({re.split(r"[_ -]", name)[-1] for name in names}) == 1  # Black_Hair, Gray_Hair
    if len(alike) >= CLEAR * len(names) and not kinds:
        return _few_each(folders, stems, FEWEST, MOST_IMAGES)
    return _few_each(folders, stems)


def _few_each(
    who: Sequence[str], stems: Sequence[str], least: int = MANY, most: int = FEW_IMAGES
) -> bool:
    """Whether names stand for few images each, and these differ by more than by the folder."""
    count = Counter(who)
    if not all(who) or len(count) < least or median(count.values()) > most:
        return False
    return median(Counter(one for one, _ in set(zip(who, stems, strict=True))).values()) > 1


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


def named(found: Iterable[dict[str, str]]) -> pd.DataFrame:
    """Columns of what the ways say, the person and the split under the names of samples."""
    rows = list(found)
    return pd.DataFrame(rows, index=range(len(rows))).rename(columns=ROLES)

"""Who may be shown, by what folders and files are called, as in sets for face recognition.

Names are taken for people where they are called so, and asked about where they only may be.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from statistics import median
from typing import NamedTuple

import pandas as pd

from debias.datasets.ways import NOTHING, PERSON, SPLIT, said, sides_of, steps
from debias.decoding.rules import SUFFIXES

# How face recognition sets call people: Freebase (RFW, BUPT, MS-Celeb), VGGFace2, IMDb, numbers.
CALLED = re.compile(
    r"m\.0\w{2,}|n\d{6}|nm\d{7}|"
    r"(?:id|s|p|person|subject|subj|identity|people|celeb|user|participant|individual|actor)[-_ ]?"
    r"\d+",
    re.ASCII | re.IGNORECASE,
)
CALLED_FIRST = re.compile(rf"(?P<who>{CALLED.pattern})[-_. ]", CALLED.flags)
# Ann_Lee, Jean_van_der_Ley; and as others write them: ann_lee, "Lee, Ann"
NAMED = re.compile(r"[^\W\d_a-z][^\W\d_]*\.?(?:(?:[_ -]|, ?)[^\W\d_][\w.'-]*)+")
NAMED_SO = re.compile(NAMED.pattern.replace("a-z", "", 1))
NUMBERED = re.compile(r"\d{5,}", re.ASCII)
SHORT = re.compile(r"[sp][-_ ]?\d+", re.ASCII | re.IGNORECASE)
BARE = re.compile(r"\d+|[0-9a-f]{8,}", re.ASCII)  # numbers, and those that hide names
FIELD = re.compile(r"[^\W\d_]{3,}|\d{5,}")  # of a file name, a person's: a word, a long number
BRACES = re.compile(r"[{}]")  # part of no pattern
MARKS = "_", "-", ".", " "  # between the fields of a file name
COUNTED = re.compile(
    r"(?:\d+[-_. ])?(?P<who>.+?)[-_. ]?(?<!\d)\d+(?:[-_]\d+)?", re.ASCII
)  # Ann_Lee_0001, 30_Ann_Lee_0001
CLEAR = 0.8  # share of the folders that must be called like people
FEWEST, MANY = 3, 10  # people: called so, and without such names
FEW_IMAGES, MOST_IMAGES = 50, 500  # of one person: of any name, and of a name like a person's
LIKELY = re.compile(  # columns that are asked about
    r"(?:^|[\W_])(?:name|who|user|celeb|actor|person|subject|identity|individual|participant|"
    r"patient|speaker|face_?id)(?![a-z])",
    re.IGNORECASE,
)
TRIED = 1000  # names with which a pattern is tried
STEPS = 100, 1000, 10_000, 100_000  # files in a folder that only keeps folders small


class People(NamedTuple):
    """Who may be shown: one name an image; ``clear`` where these are called like people."""

    names: list[str]
    what: str  # that bears the names
    way: str  # that reads them, as ``--folders`` takes it; empty for none
    clear: bool
    option: str = "--folders"  # that takes the way

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
        way = (
            f"{self.option} '{self.way}'" if self.way else "name a column of people with --subject"
        )
        return (
            f"{people:,} {self.what} may be people ({len(self.names) / people:.0f} images each), "
            f"and nothing says who is shown: {both}. If they are people: {way}."
        )


def people_in(samples: pd.DataFrame) -> People | None:
    """A column that is called like one of people and names few images each, to be asked about."""
    rows = [*map(str, range(len(samples)))]
    for name in map(str, samples):
        if LIKELY.search(name):
            who = samples[name].astype("string").fillna("").tolist()
            if _few_each(who, rows, FEWEST, MOST_IMAGES):
                return People(who, f"values of {name!r}", name, clear=False, option="--subject")
    return None


def people_of(names: Sequence[str]) -> People | None:
    """Whether folders, file names or a part of these look like people, as in face recognition.

    Clear where they are called so; else, where they stand for few images each, to be asked.
    """
    if not names:
        return None
    folders = [name.rpartition("/")[0] for name in names]
    last = [folder.rpartition("/")[2] for folder in folders]
    stems = [_stem(name) for name in names]
    above = _above(folders)
    by_folder = People(last, "folders", "/".join([*above[:-1], PERSON]), clear=True)
    numbered = [_counted(stem) for stem in stems]
    by_file = People(numbered, "file names", _pattern(names, numbered, above), clear=True)
    found = [by_file] if _only_keep_small(names) else [by_folder, *_higher(names, above), by_file]
    for people in found:
        if _clear(people.names, stems):
            return people
    within = [_counted(folder) for folder in last]  # of videos: id3_0012/000.jpg
    least = FEWEST if all(map(CALLED.fullmatch, within)) else MANY
    if len(set(within)) < len(set(last)) and _few_each(within, names, least, MOST_IMAGES):
        way = _pattern(folders, within, above[:-1])
        return People(within, "parts of folder names", way, clear=False)
    if by_folder in found and _questionable(last, stems):
        return by_folder._replace(clear=False)
    for who, what in ((numbered, "file names"), (_fielded(stems), "parts of file names")):
        if _few_each(who, stems):
            return People(who, what, _pattern(names, who, above), clear=False)
    return None


def _higher(names: Sequence[str], above: Sequence[str]) -> Iterator[People]:
    """People by the folders that hold folders: subject_3/happy/1.jpg; no s1 or p1, often parts."""
    depth = min((name.count("/") for name in names), default=0)
    for place in range(depth - 1):
        who = [name.split("/")[place] for name in names]
        if not any(map(SHORT.fullmatch, who)) and len(who) <= MOST_IMAGES * len(set(who)):
            yield People(who, "folders", "/".join([*above[:place], PERSON]), clear=True)


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
    mark, rows = _fields(stems)
    widths = {len(row) for row in rows}
    first = [[mark.join(row[:count]) for row in rows] for count in range(1, min(widths, default=0))]
    fit = [who for who in first if _few_each(who, stems)]
    if fit:  # what says no more than the fields before is still part of a name: Ann_Lee
        return [who for who in fit if len(set(who)) == len(set(fit[0]))][-1]
    within = [list(who) for who in zip(*rows, strict=True)] if len(widths) == 1 else []
    fit = [who for who in within if all(map(FIELD.fullmatch, who)) and _few_each(who, stems)]
    return max(fit, key=lambda who: len(set(who)), default=[""] * len(stems))


def _fields(stems: Sequence[str]) -> tuple[str, list[list[str]]]:
    """What divides names into fields, and these: of KDEF's AF01ANFL letters and numbers."""
    often = {mark: sum(mark in stem for stem in stems) for mark in MARKS}
    mark = max(MARKS, key=lambda mark: often[mark])
    if often[mark] >= CLEAR * len(stems):
        return mark, [stem.split(mark) for stem in stems]
    rows = [re.findall(r"\d+|\D+", stem) for stem in stems]
    shapes = Counter(tuple(map(len, row[:2])) for row in rows)  # random ones have many
    alike = shapes.most_common(1)[0][1] >= CLEAR * len(stems)
    return "", rows if alike else [[stem] for stem in stems]


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
    alike = [name for name in names if NAMED_SO.fullmatch(name) or BARE.fullmatch(name)]
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

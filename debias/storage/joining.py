"""Two tables about the same images, joined by the names that both hold, never by chance in order.

A column of names is known by its own name (``path``, ``filename``, ``image_id``, ...) or by what it
holds (names of files). Names match as they are, or by the end of their paths, without folders above
and without the ending, where that leaves every name its own; one such way holds for a whole table.
A bare number is a name only where nothing beside it differs: every data set has an image 00001.
Files of other folders are other images, and a number that only counts the rows is no name where
files are named. A column that both have is a name, whatever it is called, where each value stands
once: rows that it puts in another order are not joined by theirs.

``n`` samples, ``m`` rows of the table that is joined to them.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path, PurePath
from typing import Any, TypeAlias
from urllib.parse import unquote

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64

from debias.errors import DataError
from debias.storage.files import shown
from debias.storage.tables import plain_column

ALLOWED = 0.01  # share of the samples, or of the rows, that may stay without a partner
BY_ORDER, ALLOW = "--by-order", "--allow-unjoined"
NAMES = (
    "path", "file", "filename", "image", "imageid", "imagename", "imagepath", "imagefile", "img",
    "imgid", "imgname", "imgpath", "imgfile", "filepath", "sampleid", "sample", "samplename",
    "photo", "photoid", "picture", "pictureid", "face", "faceid", "name", "basename", "fname",
    "key", "id", "uid", "uuid", "index", "idx", "rowid",
)  # fmt: skip
FILE = r"[^\n]*[\w)\]]\.[A-Za-z][A-Za-z0-9]{1,4}|[^\n]*[/\\][^\n]+"  # an ending or a folder
ENDING = re.compile(r"(?<=[^/.])\.[A-Za-z][A-Za-z0-9]{1,4}$")
ADDRESS = re.compile(r"\w+://[^/?#]*([^?#]*).*", re.DOTALL)
QUERY = re.compile(r"(\.[A-Za-z][A-Za-z0-9]{1,4})[?#][^/]*$")
FOLDER = r"([^/]+)/[^/]*$"
# A number that tells nothing of its data set, and the ending; in lower case.
NUMBERED = (
    r"(?:^|/)(?:img|image|im|face|frame|photo|pic|picture)?[-_ ]?"
    r"(?P<number>\d{1,15})(?P<ending>\.[a-z][a-z0-9]{1,4})?$"
)
DENSE = 0.9  # share of the numbers from the first to the last, from which on they seem to count
SPLIT = r"(train|val|test|dev)[^/\\]*"
SIDE = rf"^(?:.*[/\\])?{SPLIT}[/\\]"  # folders of other images
SHARED = 0.5  # share of the names that two columns have in common, from which on they say something
LOOKED_AT = 1000  # rows that tell what a column holds
DEEPEST = 8  # steps of a path that are compared
NUMBERS, TEXT, FILES = range(3)  # what names look like; the later, the less they match by chance

Texts: TypeAlias = "pd.Series[str]"  # without the missing ones, by position


@dataclass(frozen=True, kw_only=True, eq=False)
class Join:
    """Which row of a table belongs to each sample.

    Attributes:
        rows: (n,) position in the table; -1 where a sample has no row.
        unused: Rows of the table without a sample.
        sentence: How they were joined, how many, and what was not.
        column: Of the table, by which; empty by order.
    """

    rows: Int64[np.ndarray, " n"]
    unused: int
    sentence: str
    column: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class Match:
    """What joining one column with another gives; ``way`` is "" where names match as they are."""

    left: str
    right: str
    way: str
    rows: Int64[np.ndarray, " n"]
    share: float  # of the fewer names
    kind: int

    @property
    def rank(self) -> tuple[bool, int, int]:
        return self.share >= 1 - ALLOWED, self.kind, self.count

    @property
    def count(self) -> int:
        return int((self.rows >= 0).sum())


def join(
    samples: pd.DataFrame,
    table: pd.DataFrame,
    *,
    called: tuple[str, str] = ("the samples", "the table"),
    by_order: bool = False,
    nameless: bool = False,
    allow_unjoined: float = ALLOWED,
) -> Join:
    """Find the row of ``table`` for each row of ``samples``.

    Args:
        samples: (n) Any columns; at least one should hold names.
        table: (m) Likewise.
        called: How messages call the two.
        by_order: Go by the order of the rows where there are no names in common.
        nameless: Likewise, but only where neither has a column of names.
        allow_unjoined: Share in [0, 1] of samples, and of rows, that may stay without a partner.

    Raises:
        DataError: No names in common and order was not asked for, or another number of rows; names
            that stand for several rows, or columns of names that contradict each other; order was
            asked for and names give another; more without a partner than allowed.
    """
    match, doubt = _best(samples, table, called)
    nameless = nameless and match is None and not doubt
    if by_order or (nameless and not name_columns(samples) and not name_columns(table)):
        return _in_order(len(samples), len(table), match, called)
    if match is None:
        told = doubt or _strangers(samples, table, called)
        raise DataError(f"{told}; {_way_out(len(samples), len(table))}")
    found = _described(samples, table, match, called)
    lost = max(len(samples) - match.count, 0) / max(len(samples), 1)
    share = max(lost, found.unused / max(len(table), 1))
    if share > allow_unjoined:
        raise DataError(
            f"{found.sentence}. That is {share:.1%} without a partner, more than "
            f"{allow_unjoined:.0%}: correct the names, or allow it with {ALLOW} {above(share)}"
        )
    return found


def matched(
    left: Texts, right: Texts, called: tuple[str, str]
) -> tuple["pd.Series[int]", str] | str:
    """Where in ``right`` each name of ``left`` stands, and the way in which names match.

    The first way that joins 99 % of the fewer names counts, or the one that joins most.

    Returns:
        Index in ``right`` by index in ``left``, and the way, "" for names as they are; or why no
        way leaves every name its own, "" where nothing matches.
    """
    enough = (1 - ALLOWED) * min(len(left), len(right))
    best: tuple[pd.Series[int], str] | None = None
    most, doubt = 0, ""
    for way, one, other in _ways(left, right):
        shared = pd.Index(one).intersection(pd.Index(other))
        if len(shared) <= most:
            continue
        twice = [side[side.duplicated() & side.isin(shared)] for side in (one, other)]
        told = [
            f"{shown(names.iloc[0])!r} stands for several rows of {which}: a name must stand for "
            "one image"
            for names, which in zip(twice, called, strict=True)
            if len(names)
        ]
        if told:
            doubt = doubt or told[0]
            continue
        common = one[one.isin(shared)]
        where = pd.Series(other.index, index=pd.Index(other)).loc[common].to_numpy()
        if way and (apart := _apart(left.loc[common.index], right.loc[where])):
            doubt = doubt or apart
            continue
        best, most = (pd.Series(where, index=common.index), way), len(shared)
        if most >= enough:
            break
    if best and (counted := _counted(left, right, most, called)):
        return counted
    return best or doubt or _without_zeros(left, right)


def _apart(left: Texts, right: Texts) -> str:
    """Two names that match and are of different images; empty without any.

    They lie in folders of training and of test images, or in others that are called otherwise; or
    nothing agrees but a number.
    """
    sides = [
        names.str.lower().str.extract(SIDE, expand=False).fillna("") for names in (left, right)
    ]
    apart = _differ(*sides)
    why = "lie in folders of different splits"
    if not apart.any():
        one, other = _numbered(left), _numbered(right)
        number = one["number"].notna().to_numpy() & other["number"].notna().to_numpy()
        folder = _differ(one["folder"], other["folder"])
        beside = (one["folder"] != "").to_numpy() & (other["folder"] != "").to_numpy() & ~folder
        ending = _differ(one["ending"], other["ending"]) & ~beside
        apart = folder | (ending & number)
        why = "nothing agrees but the number, and any data set has one: write the names alike"
        if not number[apart].any():
            why = (
                "their folders differ, and files of one name may be other images: write the names "
                "alike, or leave the folders out of one side"
            )
    if not apart.any():
        return ""
    first = int(np.argmax(apart))
    names = f"{shown(left.iloc[first])!r} and {shown(right.iloc[first])!r}"
    return f"{names} would be joined, but {why}"


def _differ(one: Texts, other: Texts) -> Bool[np.ndarray, " n"]:
    """Where both say something, and not the same."""
    left, right = one.to_numpy(dtype=str), other.to_numpy(dtype=str)
    return (left != right) & (left != "") & (right != "")


def _numbered(names: Texts) -> pd.DataFrame:
    """Last folder, of splits by its word; number and ending of names that are numbers."""
    paths = _each(names, _path).str.lower()
    found = paths.str.extract(NUMBERED)
    found["number"] = pd.to_numeric(found["number"])
    folder = paths.str.extract(FOLDER, expand=False)
    found["folder"] = folder.fillna("").str.replace(f"^{SPLIT}", r"\1", regex=True)
    return found.assign(ending=found["ending"].fillna("").replace(".jpeg", ".jpg"))


def _counted(left: Texts, right: Texts, joined: int, called: tuple[str, str]) -> str:
    """Why numbers may be those of rows and of files that are counted otherwise; empty if not so."""
    if NUMBERS not in (_look(left), _look(right)):
        return ""
    sides = [_numbered(names)["number"].dropna().astype(np.int64) for names in (left, right)]
    if not all(len(side) for side in sides):
        return ""
    ends = [(int(side.min()), int(side.max())) for side in sides]
    dense = [
        len(side) >= DENSE * (high - low + 1) for side, (low, high) in zip(sides, ends, strict=True)
    ]
    shifted = all(dense) and {low for low, _ in ends} == {0, 1}
    if not shifted and joined == min(len(left), len(right)):
        return ""
    told = " and ".join(
        f"{low} to {high} in {what}" for (low, high), what in zip(ends, called, strict=True)
    )
    return f"the numbers go from {told}: they may count other rows; give names of files"


def _without_zeros(left: Texts, right: Texts) -> str:
    """Numbers that only zeros in front keep from matching, as told by the first; empty if not."""
    one, other = (_numbered(names)["number"].dropna() for names in (left, right))
    if NUMBERS not in (_look(left), _look(right)) or not one.isin(other).mean() > 1 - ALLOWED:
        return ""
    first = other.index[int(np.argmax(other.to_numpy() == one.iloc[0]))]
    return (
        f"{shown(left[one.index[0]])!r} and {shown(right[first])!r} are the same number but for "
        "zeros in front, which a spreadsheet drops: write the names as they were"
    )


def _ways(left: Texts, right: Texts) -> Iterator[tuple[str, Texts, Texts]]:
    """Both sides under each way of writing them, the strictest first."""
    yield "", left, right
    sides = [_each(names, _path) for names in (left, right)]
    depth = min(max((name.count("/") + 1 for name in side), default=1) for side in sides)
    for ending in ("", " without its ending"):
        if ending:
            sides = [_each(side, lambda name: ENDING.sub("", name)) for side in sides]
        for steps in range(min(depth, DEEPEST), 0, -1):
            one, other = (_each(side, _tail(steps)) for side in sides)
            told = "the name of the file" if steps == 1 else f"the last {steps} steps of the path"
            yield told + ending, one, other


def _path(name: str) -> str:
    """The path of a name, or of the address of a file, spelled in one way and without a query."""
    if match := ADDRESS.fullmatch(name):
        name = match[1]
    path = QUERY.sub(r"\1", name.replace("\\", "/").removeprefix("./"))
    return unicodedata.normalize("NFC", unquote(path))


def _each(names: Texts, change: Callable[[str], str]) -> Texts:
    return pd.Series([change(name) for name in names], index=names.index, dtype=object)


def _tail(steps: int) -> Callable[[str], str]:
    return lambda name: "/".join(name.rsplit("/", steps)[-steps:])


def name_columns(frame: pd.DataFrame) -> dict[str, tuple[Texts, int]]:
    """Columns that may name a row, in the order of ``NAMES``: their texts, and what these are."""
    ranks = {str(name): _rank(str(name)) for name in frame}
    found = {}
    for place in sorted(range(len(ranks)), key=lambda place: [*ranks.values()][place]):
        column, name = frame.iloc[:, place], str(frame.columns[place])
        is_named = is_called(name)
        if not is_named and _look(_texts(column.iloc[:LOOKED_AT])) != FILES:
            continue
        texts = _texts(column)
        if not len(texts):
            continue
        look = _look(texts)
        if is_named or (look == FILES and texts.is_unique):
            _require_header(name, texts)
            found[name] = texts, look
    return found


def _require_header(name: str, texts: Texts) -> None:
    ending = PurePath(name).suffix
    if ending and texts.str.endswith(ending).any():
        raise DataError(
            f"{shown(name)!r} stands where the name of a column is expected: add a header line to "
            "the table, such as path,label"
        )


def value_column(table: pd.DataFrame, file: Path, wanted: str | None) -> str:
    """The column that was named, or the only one that names no rows; else DataError."""
    names = [str(name) for name in table]
    if wanted in names:
        return str(wanted)
    if wanted is not None:
        raise DataError(f"{shown(file)} has no column {wanted!r}; columns: {', '.join(names)}")
    held = name_columns(table)
    values = [name for name in names if name not in held]
    if len(values) != 1:
        raise DataError(
            f"{shown(file)} has the columns {', '.join(names)}; say which one as {file}:COLUMN"
        )
    return values[0]


def is_called(column: str) -> bool:
    """Whether a column has the name of one that names rows."""
    return _rank(column) < len(NAMES)


def _rank(column: str) -> int:
    name = plain_column(column).replace("_", "")
    return NAMES.index(name) if name in NAMES else len(NAMES)


def _texts(column: "pd.Series[Any]") -> Texts:
    values = pd.Series(column.to_numpy(dtype=object)).dropna()
    named = values.map(lambda one: np.isscalar(one) and not isinstance(one, bytes))
    if pd.api.types.is_float_dtype(column.dtype) or not named.all():
        return values.iloc[:0].astype(str)
    texts = values.astype(str).str.strip()
    return texts[texts != ""]


def _look(texts: Texts) -> int:
    """Numbers with leading zeros are names: nothing is counted so."""
    texts = texts.iloc[:LOOKED_AT]
    if texts.str.fullmatch(r"\d+").mean() > 0.5 and not texts.str.match(r"0\d").any():
        return NUMBERS
    return FILES if texts.str.fullmatch(FILE).mean() > 0.5 else TEXT


def _best(
    samples: pd.DataFrame, table: pd.DataFrame, called: tuple[str, str]
) -> tuple[Match | None, str]:
    """The pair of columns that joins best; or why there is none, if names have something common."""
    found, doubts, sides = [], [], [name_columns(frame) for frame in (samples, table)]
    files = [name for side in sides for name, (_, look) in side.items() if look == FILES]
    for (left, (ours, look)), (right, (theirs, other)) in _pairs(samples, table, sides):
        result = matched(ours, theirs, called)
        if isinstance(result, str):
            doubts += [result] if result else []
            continue
        where, way = result
        kind = min(look, other)
        if files and look == other == NUMBERS and (_counts(ours) or _counts(theirs)):
            doubts.append(
                f"{left!r} of {called[0]} and {right!r} of {called[1]} may only count the rows, "
                f"and {files[0]!r}, which names files, joins nothing: give names of files to both"
            )
            continue
        rows = np.full(len(samples), -1, dtype=np.int64)
        rows[where.index] = where
        share = len(where) / min(len(ours), len(theirs))
        found.append(Match(left=left, right=right, way=way, rows=rows, share=share, kind=kind))
    if not found:
        return None, doubts[0] if doubts else ""
    best = max(found, key=lambda match: match.rank)
    _require_one_answer(best, found)
    return best, ""


Named: TypeAlias = tuple[str, tuple[Texts, int]]


def _pairs(
    samples: pd.DataFrame, table: pd.DataFrame, sides: Sequence[dict[str, tuple[Texts, int]]]
) -> Iterator[tuple[Named, Named]]:
    """Columns that may name the same: those of names, and what both have, each value once."""
    yield from product(*(side.items() for side in sides))
    for name in map(str, samples):
        if name not in table or (name in sides[0] and name in sides[1]):
            continue
        ours, theirs = (_texts(frame[name]) for frame in (samples, table))
        unique = ours.is_unique and theirs.is_unique
        common = ours.isin(theirs).sum() if unique else 0
        if common > SHARED * min(len(ours), len(theirs)) and not (
            _counts(ours) and _counts(theirs)
        ):
            yield (name, (ours, _look(ours))), (name, (theirs, _look(theirs)))


def _counts(texts: Texts) -> bool:
    """Whether they are the numbers of the rows, from 0 or from 1 on."""
    return any(
        texts.tolist() == [str(number) for number in range(first, first + len(texts))]
        for first in (0, 1)
    )


def _require_one_answer(best: Match, found: Sequence[Match]) -> None:
    """Another column of names of that kind, or of files beside numbers, must give the same rows."""
    for other in found:
        if other.kind >= best.kind and other.share > SHARED:
            both = (other.rows >= 0) & (best.rows >= 0)
            if (other.rows != best.rows)[both].any():
                raise DataError(
                    f"columns {best.left!r} and {best.right!r} have names in common, and so have "
                    f"{other.left!r} and {other.right!r}, but they join other rows: leave out one "
                    "of these columns"
                )


def _in_order(n: int, m: int, match: Match | None, called: tuple[str, str]) -> Join:
    if n != m:
        raise DataError(
            f"{BY_ORDER} needs as many rows in {called[1]} as in {called[0]}, got {m:,} and {n:,}"
        )
    if (
        match is not None
        and match.share > SHARED
        and (match.rows != np.arange(n))[match.rows >= 0].any()
    ):
        raise DataError(
            f"{BY_ORDER} joins row by row, but the names in {match.left!r} of {called[0]} and "
            f"{match.right!r} of {called[1]} stand in another order: leave it out"
        )
    told = f"{called[1]}: {m:,} rows joined with {called[0]} by the order of the rows"
    return Join(rows=np.arange(n), unused=0, sentence=told)


def _described(
    samples: pd.DataFrame, table: pd.DataFrame, match: Match, called: tuple[str, str]
) -> Join:
    used = np.zeros(len(table), dtype=bool)
    used[match.rows[match.rows >= 0]] = True
    way = f", by {match.way}" if match.way else ""
    parts = [
        f"{called[1]}: {match.count:,} of {len(table):,} rows joined with {match.count:,} of "
        f"{len(samples):,} in {called[0]} ({match.right} = {match.left}{way})"
    ]
    for frame, column, free, what in (
        (samples, match.left, match.rows < 0, called[0]), (table, match.right, ~used, called[1]),
    ):  # fmt: skip
        if free.any():
            first = shown(str(frame[column].iloc[int(np.argmax(free))]))
            parts.append(f"{int(free.sum()):,} of {what} without a partner, first {first}")
    sentence, unused = "; ".join(parts), int((~used).sum())
    return Join(rows=match.rows, unused=unused, sentence=sentence, column=match.right)


def _strangers(samples: pd.DataFrame, table: pd.DataFrame, called: tuple[str, str]) -> str:
    held = (
        f"{what} {'has names such as ' + example if example else 'has no column of names'}"
        for what, example in zip(called, map(_example, (samples, table)), strict=True)
    )
    return f"no names in common: {'; '.join(held)}. Add a column of names to both"


def _way_out(n: int, m: int) -> str:
    if n == m:
        return f"if row by row they are about the same samples, say so with {BY_ORDER}"
    return f"and with {n:,} and {m:,} rows they cannot be joined by order either"


def _example(frame: pd.DataFrame) -> str:
    found = next(iter(name_columns(frame).items()), None)
    return "" if found is None else f"{shown(found[1][0].iloc[0])!r} ({found[0]})"


def above(share: float) -> str:
    """The share, rounded up to two digits, that an option would have to allow."""
    return f"{min(1.0, np.ceil(share * 100) / 100):g}"

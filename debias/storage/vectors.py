"""Which columns of a table are an embedding, as told by their names and by every one of their rows.

A candidate is a column with a list of numbers in each row, in whatever way it is written, or a set
of columns that are numbered alike. What bears the name of a label, score, place in the picture or
picture is none, whatever it holds.

``n`` rows, ``k`` dimensions.
"""

import ast
import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float, Shaped

from debias.errors import DataError
from debias.storage.tables import COMMA, MISSING, plain_column

LOOKED_AT = 1000  # rows that tell what dimensions look like
NAMED = 5  # examples in a message
CLEARLY = 4  # times as wide as any other candidate, and nobody asks which is meant
NUMBERED = re.compile(r"(.*?)(\d+)")
MEANT = {
    "emb", "embs", "embed", "embedding", "embeddings", "feature", "features", "feat", "feats",
    "vector", "vec", "latent", "latents", "encoding", "encodings", "descriptor", "z",
}  # fmt: skip
OTHERS = {  # words in a name, unless one of the above stands beside them -> what it is
    "a label or a person": "label labels class classes target targets age ages gender sex race "
    "ethnicity emotion expr expression person subject identity attr attrs attribute attributes "
    "pred preds prediction predictions answer",
    "a score": "score scores confidence conf prob probs probability probabilities logit logits "
    "quality blur weight similarity distance proba date time",
    "a place in the picture": "bbox bboxes box boxes bounding rect region area facial landmark "
    "landmarks lm lms keypoint keypoints kps eye eyes nose mouth pose yaw pitch roll size width "
    "height",
    "a picture": "pixel pixels image images img photo jpeg jpg png thumbnail rgb",
    "a number of the row": "unnamed index year count split fold",
}
WORDS = {word: what for what, words in OTHERS.items() for word in words.split()}
MARKS = str.maketrans("[](){},;|", " " * 9)
# As Python, NumPy and torch print an array into a cell.
PRINTED = re.compile(
    r"\b(?:np|numpy|torch)\.|\b(?:array|tensor|list)\b|\bfloat(?:16|32|64)\b"
    r"|,\s*\w+ ?= ?(?:'[^']*'|<[^>]*>|[\w.]+)"
)
SEVERAL = re.compile(r"\S[\s,;|]+\S|[\[({]")
SPACES = str.maketrans("[](){};|", " " * 8)  # all marks but the comma, which may be a decimal one
WHOLE = re.compile(r"[-+]?\d+")
TORN = re.compile(r"-0|[-+]?0\d+")  # what a decimal comma leaves, and nobody writes as a number
EMPTY, BROKEN = np.zeros(0), np.zeros(1)  # no embedding; begins like one and is none
LONGEST_STEM = 4  # letters before the number of a lone dimension: e, z, pc, dim, feat
MOST_CLASSES = 10
CLASSES = "labels (whole numbers, few of them different)"
FEW_CLASSES = 2  # columns like this among dimensions are labels that were numbered with them
BOX = 4  # numbers that are never negative: corners, or a corner and a size


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidate:
    """Columns that look like an embedding.

    Attributes:
        columns: One with a list in each row, or several.
        width: Dimensions.
        values: (n, k), NaN in a row without an embedding; None where it cannot be read. An array
            of a file may have another shape.
        other: What it seems to be instead; empty for an embedding.
        fault: Why it cannot be read; empty if it can.
    """

    columns: tuple[str, ...]
    width: int
    values: Shaped[np.ndarray, "..."] | None = None
    other: str = ""
    fault: str = ""

    @property
    def called(self) -> str:
        ends = dict.fromkeys((self.columns[0], self.columns[-1]))
        return " to ".join(map(repr, ends))


def listed(names: Sequence[object]) -> str:
    texts = [str(name) for name in names]
    return ", ".join(texts[:NAMED]) + (", ..." if len(texts) > NAMED else "")


def meaning(name: str) -> str:
    """What a name says that a column is, other than an embedding; empty if it says nothing."""
    words = _words(name)
    found = [WORDS[word] for word in words if word in WORDS]
    return found[0] if found and MEANT.isdisjoint(words) else ""


def _words(name: str) -> list[str]:
    """Of ``faceBox_12``: face, box."""
    return re.split(r"[_\W\d]+", plain_column(re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)))


def candidates(table: pd.DataFrame) -> list[Candidate]:
    """Everything in a table that looks like an embedding, the widest first."""
    found = [one for name in table if (one := list_candidate(str(name), table[name])) is not None]
    return sorted([*found, *_families(table)], key=lambda one: -one.width)


def list_candidate(name: str, column: "pd.Series[Any]") -> Candidate | None:
    """A column with a list of numbers in most of the rows that hold anything; None if it is none.

    Lists may be nested one in another, in a structure with one list, or text.
    """
    if pd.api.types.is_numeric_dtype(column.dtype) or not len(column):
        return None
    given = column.to_numpy(dtype=object)
    if isinstance(next(iter(column.dropna()), None), bytes):
        return _bytes(name, column.dropna()) or _promised(name, given[column.notna()])
    rows = [_numbers(value) for value in given]
    sizes = np.array([-1 if row is None else row.size for row in rows])
    vectors, held = sizes > 1, sizes != 0
    broken = np.array([row is BROKEN for row in rows])
    if not held.any() or 2 * (vectors | broken).sum() < held.sum():
        return _promised(name, given[held]) if held.any() else None
    width = Counter(sizes[vectors].tolist()).most_common(1)[0][0] if vectors.any() else 0
    odd = np.flatnonzero(held & (sizes != width))
    if len(odd):
        return Candidate(
            columns=(name,), width=max(width, BOX + 1), other=meaning(name),
            fault=_odd(given, sizes, width, odd),
        )  # fmt: skip
    return matrix_candidate(name, _stacked(rows, vectors, width))


def _promised(name: str, given: Shaped[np.ndarray, " m"]) -> Candidate | None:
    """A column that is called an embedding and holds none that can be read."""
    if (MEANT - {"z"}).isdisjoint(_words(name)):
        return None
    fault = f"its values are no lists of numbers, first {given[0]!r:.60}"
    return Candidate(columns=(name,), width=1, fault=fault)


def matrix_candidate(name: str, values: Shaped[np.ndarray, "n k"]) -> Candidate:
    """Vectors under a name, which with four numbers that are never negative is that of a box."""
    other = meaning(name) if values.dtype.kind in "fiu" else "no numbers"
    if not other and values.shape[1] == BOX and not (values < 0).any():
        other = "a bounding box (four numbers that are never negative)"
    if not other and MEANT.isdisjoint(_words(name)) and _is_class(values.reshape(-1)):
        other = CLASSES
    return Candidate(columns=(name,), width=values.shape[1], values=values, other=other)


def _stacked(
    rows: Sequence[np.ndarray | None], held: Shaped[np.ndarray, " n"], width: int
) -> Float[np.ndarray, "n k"]:
    kept = [row for row, holds in zip(rows, held, strict=True) if holds and row is not None]
    single = all(row.dtype in (np.float16, np.float32) for row in kept)
    values = np.full((len(rows), width), np.nan, dtype=np.float32 if single else np.float64)
    values[held] = kept
    return values


def _bytes(name: str, column: "pd.Series[Any]") -> Candidate | None:
    """Bytes of one length may be numbers, but of what kind nothing says; packed pictures differ."""
    sizes = column.map(len).unique()
    if len(sizes) > 1 or sizes[0] < 4 * BOX or sizes[0] % 4:
        return None
    fault = (
        f"it holds {sizes[0]} bytes a row, and nothing says which numbers they are; write lists, "
        "for example numpy.frombuffer(value, 'float32').tolist()"
    )
    return Candidate(columns=(name,), width=int(sizes[0]) // 4, other=meaning(name), fault=fault)


def _odd(
    given: Shaped[np.ndarray, " n"], sizes: Shaped[np.ndarray, " n"], width: int,
    odd: Shaped[np.ndarray, " m"],
) -> str:  # fmt: skip
    first = int(odd[0])
    if sizes[first] > 1:
        return (
            f"its lists differ in length: {width} numbers in most rows, {sizes[first]} in row "
            f"{first} ({len(odd)} of {len(given)} differ)"
        )
    cut = "..." in str(given[first])
    hint = "; numbers were left out ('...') when it was written" if cut else ""
    return (
        f"{len(odd)} of {len(given)} values are no lists of numbers, first {given[first]!r:.60} in "
        f"row {first}{hint}"
    )


def _numbers(value: Any) -> Shaped[np.ndarray, " k"] | None:  # noqa: ANN401 (a cell)
    """The numbers in a cell; EMPTY for none, None for something else, BROKEN in between."""
    if isinstance(value, str):
        return _of_text(value)
    if isinstance(value, Mapping):
        inside = [_numbers(one) for name, one in value.items() if not meaning(str(name))]
        parts = [one for one in inside if one is not None and one.size != 1]
        return parts[0] if len(parts) == 1 else None
    if not isinstance(value, list | tuple | np.ndarray):
        return EMPTY if value is None or value is pd.NA or value != value else None
    if len(value) == 1 and not np.isscalar(value[0]):
        return _numbers(value[0])
    try:
        array = np.asarray(value)
        array = array.astype(np.float64) if array.dtype == object else array
    except (TypeError, ValueError):
        return None
    if array.dtype.kind not in "fiu" or array.size != max(array.shape):
        return EMPTY if not array.size else None
    return EMPTY if np.isnan(array).all() else array.reshape(-1)


def _of_text(text: str) -> Shaped[np.ndarray, " k"] | None:
    if text.strip().lower() in MISSING:
        return EMPTY
    if not SEVERAL.search(text):  # most texts of most tables
        return None
    plain = PRINTED.sub(" ", text).strip()
    if "{" in plain[:2]:
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            is_json = '"' in plain
            return _numbers(json.loads(plain) if is_json else ast.literal_eval(plain))
    parts = _parts(plain)
    try:
        array = np.array(parts, dtype=np.float64)
    except ValueError:
        numeric = sum(part.lstrip("-+.").replace(".", "", 1)[:1].isdigit() for part in parts)
        is_list = plain[:1] in ("[", "{") or "..." in parts
        return BROKEN if is_list and 2 * numeric > len(parts) else None
    if len(parts) == 1 and parts[0] != plain and "," in plain:
        return None  # one number, with a decimal comma
    return EMPTY if np.isnan(array).all() else array


def _parts(plain: str) -> list[str]:
    """The numbers of a list as text, with a decimal point; a comma separates if nothing else does.

    Where it may do either, as in "0,05,0,10", none is cut.
    """
    spaced = plain.translate(SPACES).split()
    has_commas = any(map(COMMA.fullmatch, spaced)) and (len(spaced) > 1 or plain == spaced[0])
    if has_commas and all(COMMA.fullmatch(part) or WHOLE.fullmatch(part) for part in spaced):
        return [part.replace(",", ".") for part in spaced]
    parts = plain.translate(MARKS).split()
    is_torn = all(map(WHOLE.fullmatch, parts)) and any(map(TORN.fullmatch, parts))
    return spaced if is_torn and "," in plain else parts


def likeness(values: Shaped[np.ndarray, "n k"]) -> str:
    """A sentence on what the first rows look like, if not like an embedding; else empty."""
    rows = values[:LOOKED_AT]
    rows = rows[np.isfinite(rows).all(axis=1)]
    if not len(rows) or rows.shape[1] < 2:
        return ""
    odd = np.array([_kinds(column) > 1 for column in rows.T])
    if 0 < odd.sum() <= FEW_CLASSES < len(odd):
        return (
            f"Number {int(odd.argmax()) + 1} of the {len(odd):,} of each row is always whole, "
            "unlike the others, as an age or a label is: leave it out if it is one."
        )
    what = ""
    if not (rows % 1).any():
        what = "counts (whole numbers, none below 0)"
    elif np.allclose(rows.sum(axis=1, dtype=np.float64), 1, atol=1e-3):
        what = "probabilities of classes (none below 0, and each row adds up to 1)"
    is_embedding = not what or bool((rows < 0).any())
    return "" if is_embedding else f"The numbers look like {what} and not like an embedding."


def _families(table: pd.DataFrame) -> Iterator[Candidate]:
    """Columns that are numbered alike, by their number; one alone if there are no others."""
    numbers = set(map(str, table.select_dtypes(np.number)))
    families: dict[str, list[tuple[int, str]]] = {}
    for name in map(str, table):
        if match := NUMBERED.fullmatch(name):
            families.setdefault(match[1], []).append((int(match[2]), name))
    for stem, members in families.items():
        columns = tuple(name for _, name in sorted(members))
        if numbers.isdisjoint(columns) or len(columns) < min(2, len(numbers)):
            continue
        fault = next((told for name in columns if (told := _no_numbers(table[name]))), "")
        values = None if fault else wide(table, columns)
        other = meaning(stem)
        if values is not None and not other:
            other, fault = _labels(columns, stem, values)
        yield Candidate(
            columns=columns, width=len(columns), values=values, other=other, fault=fault
        )


def _labels(columns: Sequence[str], stem: str, values: Float[np.ndarray, "n k"]) -> tuple[str, str]:
    """What numbered columns seem to be, and what is wrong with them, where some hold classes."""
    if len(columns) == 1:
        alone = len(stem) > LONGEST_STEM and MEANT.isdisjoint(_words(stem))
        return ("a single column of numbers" if alone else ""), ""
    whole = np.array([_kinds(column) for column in values.T])
    few = (whole > 1) & (whole <= MOST_CLASSES)
    if few.all():
        return CLASSES, ""
    label, age = (
        "few different whole numbers, as a label",
        "whole numbers among fractions, as an age",
    )
    for odd, what in ((few, label), (whole > 1, age)):
        if 0 < odd.sum() <= FEW_CLASSES and not odd.all():
            return "", f"{columns[int(odd.argmax())]!r} among them holds {what} does"
    return "", ""


def _is_class(column: Float[np.ndarray, " n"]) -> bool:
    """Whether it holds whole numbers only, few of them different, but more than one."""
    return 1 < _kinds(column) <= MOST_CLASSES


def _kinds(column: Float[np.ndarray, " n"]) -> int:
    """How many different numbers a column holds that has whole ones only; 0 for any other."""
    known = column[np.isfinite(column)]
    if len(known) <= MOST_CLASSES or (known[:MOST_CLASSES] % 1).any() or (known % 1).any():
        return 0
    return len(np.unique(known))


def wide(table: pd.DataFrame, columns: Sequence[str]) -> Float[np.ndarray, "n k"]:
    """One column of numbers a dimension."""
    single = (table[list(columns)].dtypes == np.float32).all()
    return table[list(columns)].to_numpy(np.float32 if single else np.float64, na_value=np.nan)


def _no_numbers(column: "pd.Series[Any]") -> str:
    """Which values of a column of a dimension are no numbers; empty if all are."""
    if pd.api.types.is_numeric_dtype(column.dtype):
        return ""
    known = column.dropna()
    wrong = known[pd.to_numeric(known.astype(str), errors="coerce").isna()]
    told = f"{len(wrong)} of {len(column)} values of column {column.name!r} are no numbers"
    return told + "".join(f", first {wrong[row]!r:.40} in row {row}" for row in wrong.index[:1])


def named_candidate(table: pd.DataFrame, names: Sequence[str]) -> Candidate:
    """The columns that somebody named: one of lists, or one for each dimension."""
    lists = [one for name in names if (one := list_candidate(name, table[name])) is not None]
    if len(names) == 1 and lists:
        return replace(lists[0], other="")
    wrong = f"{lists[0].called} holds lists beside other columns; name one" if lists else ""
    fault = wrong or next((told for name in names if (told := _no_numbers(table[name]))), "")
    values = None if fault else wide(table, names)
    return Candidate(columns=tuple(names), width=len(names), values=values, fault=fault)


def chosen(
    place: object, found: Sequence[Candidate], held: Sequence[str], way_out: str
) -> Candidate:
    """The candidate that is clearly the widest.

    Raises:
        DataError: There is none, there are several, or it cannot be read; it says what looks like
            an embedding and why it is not taken.
    """
    real = [one for one in found if not one.other]
    if not real:
        told = "; ".join(f"{one.called} looks like {one.other}" for one in found) or (
            f"none holds lists of numbers, or is numbered as e0, e1, e2 are ({listed(held)})"
        )
        raise DataError(f"{place} does not look like embeddings: {told}; {way_out}")
    first, *others = real
    promised = next((one for one in real if one.fault and one.width == 1), None)
    if promised is not None and MEANT.isdisjoint(_words(first.columns[0] if first.columns else "")):
        first, others = promised, []  # what is called an embedding and cannot be read
    if others and first.width < CLEARLY * others[0].width:
        raise DataError(
            f"{place} may hold several embeddings: {first.called} ({first.width:,} dimensions) and "
            f"{others[0].called} ({others[0].width:,}); {way_out}"
        )
    if first.fault:
        raise DataError(
            f"{place}: {first.called} should be the embedding, but {first.fault}; correct that, or "
            f"{way_out}"
        )
    return first

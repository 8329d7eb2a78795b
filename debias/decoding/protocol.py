"""What parent and child may say to each other: JSON and raw bytes, each with its length first.

The child has parsed files of unknown origin, so nothing it says is trusted: no pickle, and every
length, count and type is compared with what was asked for.

    parent -> child   settings {size, limits}; then lists of items
    child -> parent   "ready"; then a list of records, one an item, followed without any gap by the
                      pixels of those that succeeded
    item              [path as Latin-1 text of its bytes, offset, length, square], the last two null
                      for all and for the largest centred square
    record            [sha256, notes] or [reason, detail, sha256, size, format, width and height]
"""

import json
import re
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from debias.decoding.cropping import Square
from debias.decoding.decode import FORMATS, LONGEST_DETAIL
from debias.decoding.rules import NOTES, REASONS, Place

LENGTH = struct.Struct(">I")
READY = "ready"
MOST_A_RECORD = 1024  # bytes
_DIGEST = re.compile("[0-9a-f]{64}")


class Item(NamedTuple):
    """One image to be read."""

    place: Place
    crop: Square | None = None


class Kept(NamedTuple):
    """An image was decoded."""

    sha256: str
    notes: str


class Refused(NamedTuple):
    """No image came of it."""

    reason: str
    detail: str
    sha256: str = ""
    size: int | None = None
    format: str = ""
    dimensions: tuple[int, int] | None = None


Record = Kept | Refused


class NonsenseError(Exception):
    """The child said something that no child of ours says."""


def message(value: object) -> bytes:
    """JSON in ASCII with its length in front."""
    text = json.dumps(value, separators=(",", ":")).encode("ascii")
    return LENGTH.pack(len(text)) + text


def received(read: Callable[[int], bytes]) -> Any:  # noqa: ANN401 (JSON)
    """The next message, or None at the end.

    Args:
        read: Returns exactly as many bytes as it is asked for, or fewer at the end.
    """
    head = read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    return json.loads(read(LENGTH.unpack(head)[0]))


def packed(items: Sequence[Item]) -> bytes:
    """A request."""
    return message(
        [
            (place.path.decode("latin-1"), place.offset, place.length, _numbers(crop))
            for place, crop in items
        ]
    )


def unpacked(values: list[Any]) -> list[Item]:
    """The items of a request."""
    return [
        Item(Place(path.encode("latin-1"), offset, length), Square(*crop) if crop else None)
        for path, offset, length, crop in values
    ]


def records_of(values: Any, count: int) -> list[Record]:  # noqa: ANN401 (JSON of anybody)
    """Records of an answer about ``count`` items.

    Raises:
        NonsenseError: It is not what a child of ours would say.
    """
    if not isinstance(values, list) or len(values) != count:
        raise NonsenseError(f"expected {count} records")
    return [_record(value) for value in values]


def _record(value: Any) -> Record:  # noqa: ANN401 (JSON of anybody)
    if isinstance(value, list) and len(value) == 2:
        digest, notes = value
        if _is_digest(digest) and (notes == "" or _are_notes(notes)):
            return Kept(digest, notes)
    elif isinstance(value, list) and len(value) == 6:
        reason, detail, digest, size, kind, dimensions = value
        if (
            _is_one_of(REASONS, reason)
            and _is_text(detail)
            and (digest == "" or _is_digest(digest))
            and (size is None or _is_count(size))
            and (kind == "" or _is_one_of(FORMATS, kind))
            and (dimensions is None or _are_dimensions(dimensions))
        ):
            return Refused(reason, detail, digest, size, kind, dimensions and tuple(dimensions))
    raise NonsenseError("a record of unknown form")


def _numbers(crop: Square | None) -> list[float] | None:
    return [crop.x, crop.y, crop.side, crop.angle] if crop else None


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and _DIGEST.fullmatch(value) is not None


def _are_notes(value: object) -> bool:
    return isinstance(value, str) and NOTES.issuperset(value.split(", "))


def _is_one_of(words: frozenset[str], value: object) -> bool:
    return isinstance(value, str) and value in words


def _is_text(value: object) -> bool:
    return isinstance(value, str) and len(value) <= LONGEST_DETAIL and value.isprintable()


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63


def _are_dimensions(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_count, value))

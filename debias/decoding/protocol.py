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
from debias.decoding.decode import LONGEST_DETAIL
from debias.decoding.rules import FORMATS, NOTES, REASONS, Place

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


class NonsenseError(Exception):
    """The child said something that no child of ours says."""


def message(value: object) -> bytes:
    """JSON in ASCII with its length in front."""
    text = json.dumps(value, separators=(",", ":")).encode("ascii")
    return LENGTH.pack(len(text)) + text


def received(read: Callable[[int], bytes]) -> Any:  # noqa: ANN401 (JSON)
    """The next message, or None at the end, where ``read`` returns fewer bytes than it is asked."""
    head = read(LENGTH.size)
    return json.loads(read(LENGTH.unpack(head)[0])) if len(head) == LENGTH.size else None


def packed(items: Sequence[Item]) -> bytes:
    """A request."""
    return message([(at.path.decode("latin-1"), at.offset, at.length, crop) for at, crop in items])


def unpacked(values: list[Any]) -> list[Item]:
    """The items of a request."""
    return [
        Item(Place(path.encode("latin-1"), offset, length), Square(*crop) if crop else None)
        for path, offset, length, crop in values
    ]


def records_of(values: Any, count: int) -> list[Kept | Refused]:  # noqa: ANN401 (JSON of anybody)
    """Records of an answer about ``count`` items.

    Raises:
        NonsenseError: It is not what a child of ours would say.
    """
    if not isinstance(values, list) or len(values) != count:
        raise NonsenseError(f"expected {count} records")
    return [_record(value) for value in values]


def _record(value: Any) -> Kept | Refused:  # noqa: ANN401 (JSON of anybody)
    match value:
        case [str(digest), str(notes)]:
            if _DIGEST.fullmatch(digest) and (not notes or NOTES.issuperset(notes.split(", "))):
                return Kept(digest, notes)
        case [str(reason), str(detail), str(digest), size, str(kind), dimensions]:
            printable = len(detail) <= LONGEST_DETAIL and detail.isprintable()
            known = reason in REASONS and kind in FORMATS | {""}
            named = not digest or _DIGEST.fullmatch(digest) is not None
            counted = size is None or _is_count(size)
            if printable and known and named and counted:
                match dimensions:
                    case None:
                        return Refused(reason, detail, digest, size, kind)
                    case [width, height] if _is_count(width) and _is_count(height):
                        return Refused(reason, detail, digest, size, kind, (width, height))
    raise NonsenseError("a record of unknown form")


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value < 2**63

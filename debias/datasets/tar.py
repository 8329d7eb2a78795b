"""Images in tar archives, as WebDataset writes them: ``KEY.jpg``, and ``KEY.json`` beside it.

Images: JPEG, PNG, WebP or BMP, read later as slices of the archives, which are never unpacked.
Labels and attributes: a flat JSON object a sample, or the class in a text file; who annotated them
    is for their owner to say.
Splits: archives named train-0000.tar, val-0000.tar, test-0000.tar, or in folders of these names.
Source, citation, licence: those of the owner of the archives. The layout is that of WebDataset,
    github.com/webdataset/webdataset: a key is the name up to the first dot after the last slash,
    and all members of one key stand side by side.
Known problems: only uncompressed archives can be read in slices; links, absolute names and names
    with ``..`` are set aside; ``KEY.txt`` and all other endings are ignored; of the attributes,
    ``sample_id``, ``path``, ``offset``, ``length``, ``sha256``, ``split``, ``duplicate_cluster``
    and, unless a setting names it, ``subject_id`` are left out.
"""

import json
import math
import re
import tarfile
from array import array
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from debias.datasets.listing import (
    SUFFIXES,
    hashed_ids,
    require_path,
    require_regular,
    set_aside,
    walk,
)
from debias.datasets.owners_lists import (
    OWNER_SPLIT,
    SPLIT_NAMES,
    STATED,
    SplitBy,
    Stated,
    annotated_as,
    completed_split,
)
from debias.errors import DataError, DuplicateIdError, EmptyDatasetError, UnsafeArchiveError
from debias.plugins import Settings
from debias.storage.files import is_text, safe_text, shown
from debias.storage.tables import OURS, require_once
from debias.types import Collection, Rejected

SIDE = re.compile(rf"({'|'.join(SPLIT_NAMES)})(?![a-z])", re.IGNORECASE)
COMPRESSED = re.compile(r"\.(tgz|tar\.\w+)$", re.IGNORECASE)
PROGRAMS = {
    b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\xfd7zXZ\x00": "unxz", b"\x28\xb5\x2f\xfd": "unzstd"
}  # fmt: skip
EXTENDED = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip
LARGEST_HEADER = 16_384  # bytes of a long name or of extended attributes
LARGEST_SIDECAR = 1 << 20  # bytes
MOST_MEMBERS = 10_000_000
MOST_COLUMNS = 1000
LARGEST_NUMBER = 2**63  # whole numbers below it fit into a column
AGAIN = "get it again, or pack it again"

Scalar = str | int | float | bool | None
Notes = dict[str, tarfile.TarInfo]


class TarShards(Settings):
    """A folder of tar archives, or one, in the layout of WebDataset.

    Columns: the names in the JSON objects, as numbers where all values are, else as text;
    ``class``, where there are class files.
    """

    name: Literal["tar"] = "tar"
    root: Path = Field(description="Folder of .tar files, or one .tar file.")
    split: SplitBy = Field(
        default="owner",
        description=f"'owner': archives named after train, val and test{OWNER_SPLIT}",
    )
    subject_column: str | None = Field(
        default=None, description="Attribute that says who is shown; keeps people in one split."
    )
    annotation: str = annotated_as("The archives do not say who annotated the attributes or how.")
    source: Stated = STATED

    def collect(self, seed: int) -> Collection:
        """One row per key with an image; everything else is set aside.

        Raises:
            FileNotFoundError: The folder or file does not exist.
            EmptyDatasetError: No archive holds an image.
            DataError: An archive is compressed, cut off or damaged, or only some name a split.
            DuplicateIdError: A key stands in two places, or has two images.
            UnsafeArchiveError: An archive is built to exhaust whoever lists it.
        """
        shards, rejected = _shards(self.root)
        sides = [_side(shard, self.root) for shard in shards]
        found = _Samples(rejected)
        for number, (shard, side) in enumerate(zip(shards, sides, strict=True)):
            found.add(number, shard, side)
        if len(found.names) == len(found.lost):
            named = Path(rejected[0].path) if rejected else self.root
            first = f", first: {shown(named)}: {rejected[0].detail}" if rejected else ""
            raise EmptyDatasetError(
                f"{len(shards)} archives in {shown(self.root.absolute())} hold no image beside a "
                f"key, like 000001.jpg{first}"
            )
        everyone = found.frame(shards, self.subject_column)
        split = self.split == "owner" and "train" in sides
        if split:
            _require_sides(shards, sides, self.root)
            everyone["split"] = np.array(sides, dtype=object)[found.places[::3]]
        kept = ~np.isin(np.arange(len(everyone)), found.lost)
        samples = everyone[kept].reset_index(drop=True)
        samples = completed_split(samples, seed) if split else samples
        lost = everyone[~kept].drop(columns=["path", "offset", "length"]).reset_index(drop=True)
        known = lost if len(lost) else None
        return Collection(samples=samples, rejected=tuple(rejected), lost=known)


def _shards(root: Path) -> tuple[list[Path], list[Rejected]]:
    """The archives, sorted by name, and everything else that lies beside them."""
    require_path(root)
    if not root.is_dir():
        require_regular(root, "the owner of the data")
        return [root.resolve()], []  # a link is followed here, where a person named it
    shards, rejected = [], []
    for entry in sorted(walk(root)):
        path, problem, detail = root / entry.name, entry.problem, ""
        if not problem and COMPRESSED.search(entry.name):
            raise DataError(
                f"{shown(path)} is compressed, so its images cannot be read one by one: unpack it, "
                "or pack it again without compression"
            )
        if not problem and not entry.name.lower().endswith(".tar"):
            problem, detail = "not an image file", "no .tar archive"
        elif not problem and not is_text(entry.name):
            problem = "name not understood"
        if problem:
            rejected.append(set_aside(entry.name, str(path), problem, detail))
        else:
            shards.append(path)
    if not shards:
        raise EmptyDatasetError(
            f"{shown(root.absolute())} holds no .tar archive, only {len(rejected)} other files"
        )
    return shards, rejected


def _side(shard: Path, root: Path) -> str:
    """Split that the name of an archive or of its first folder states; empty if none."""
    stated = SIDE.match(str(shard.relative_to(root)) if root.is_dir() else root.name)
    return SPLIT_NAMES[stated[1].lower()] if stated else ""


def _require_sides(shards: list[Path], sides: list[str], root: Path) -> None:
    """Refuse archives of which only some name a split: nobody could tell what others are for."""
    silent = [shard for shard, side in zip(shards, sides, strict=True) if not side]
    if silent:
        raise DataError(
            f"{len(silent)} of {len(shards)} archives in {shown(root.absolute())} do not begin "
            f"with {', '.join(SPLIT_NAMES)} as the others do, first: {shown(silent[0].name)}; "
            "rename or move them, or set data.split to 'drawn'"
        )


class _Samples:
    """What has been found in the archives so far, in a few bytes a sample."""

    def __init__(self, rejected: list[Rejected]) -> None:
        self.rejected = rejected  # what was set aside
        self.names: list[str] = []  # key of each sample, after the side that its archive states
        self.lost: list[int] = []  # samples known by their notes alone, their image set aside
        self.places = array("q")  # number of its archive, first byte and bytes of each image
        self._columns: dict[str, list[Scalar]] = {}
        self._texts: dict[str, str] = {}  # the same few words for a million rows

    def add(self, number: int, path: Path, side: str) -> None:
        """List one archive; its keys are told from those of other sides of the split."""
        with path.open("rb") as content:
            named = self._named(path, content)
            for key, group in groupby(named, key=lambda member: _key_and_ending(member)[0]):
                parts = _parts(key, [*group], path)
                image = next((parts.pop(end) for end in [*parts] if f".{end}" in SUFFIXES), None)
                wrong = {ending: _wrong(note) for ending, note in parts.items()}
                for ending, why in wrong.items():
                    if why:
                        self._set_aside(parts.pop(ending), path, *why)
                if image is not None:
                    name = safe_text(f"{side}/{key}" if side else key)
                    if self._is_taken(name, image, parts, path, content):
                        self.names.append(name)
                        self.places.extend((number, image.offset_data, image.size))
                elif parts:
                    detail = f"no image of this key, only .{shown(', .'.join(sorted(parts)))}"
                    self.rejected.append(
                        set_aside(key, f"{path}/{key}", "not an image file", detail)
                    )

    def _named(self, path: Path, content: IO[bytes]) -> Iterator[tarfile.TarInfo]:
        """Whatever has a key and an ending; the rest is set aside."""
        nameless = "not an image file", "the name has no key or ending"
        for member in _members(path, content):
            if _key_and_ending(member)[0]:
                yield member
            else:
                self._set_aside(member, path, *(_wrong(member) or nameless))

    def _is_taken(
        self, name: str, image: tarfile.TarInfo, notes: Notes, path: Path, content: IO[bytes]
    ) -> bool:
        """Take what the notes say; whether the sample counts, if only as one that was lost."""
        wrong, known = _wrong(image), True
        try:
            said = _attributes(notes, path, content)
            known = bool(said) or not wrong
            if known:
                self._take_note(said)
        except ValueError as error:
            wrong, known = wrong or ("row not understood", str(error)), False
        if wrong:
            self._set_aside(image, path, *wrong, sample_id=hashed_ids([name])[0] if known else "")
        self.lost += [len(self.names)] if wrong and known else []
        return known

    def _take_note(self, said: dict[str, Scalar]) -> None:
        """One more row of attributes, which need not all have the same names.

        Raises:
            ValueError: There would be more than a thousand names.
        """
        for name in said.keys() - self._columns.keys():
            if len(self._columns) == MOST_COLUMNS:
                raise ValueError(f"a new name beside {MOST_COLUMNS} others")
            self._columns[name] = [None] * len(self.names)
        for name, column in self._columns.items():
            value = said.get(name)
            column.append(self._texts.setdefault(value, value) if isinstance(value, str) else value)

    def _set_aside(
        self, member: tarfile.TarInfo, path: Path, reason: str, detail: str, sample_id: str = ""
    ) -> None:
        place = f"{path}/{member.name}"
        self.rejected.append(set_aside(member.name, place, reason, detail, sample_id))

    def frame(self, shards: list[Path], subject: str | None) -> pd.DataFrame:
        """One row a sample, in the order in which they were found."""
        require_once(
            pd.Series(self.names),
            lambda count: f"{count} keys stand in more than one place",
            "all members of a key must stand side by side (tar --sort=name), and no key may be "
            "used twice",
        )
        columns = {name: _column(self._columns[name]) for name in sorted(self._columns)}
        attributes = pd.DataFrame(columns, index=range(len(self.names)))
        if subject is not None and subject not in attributes:
            raise DataError(
                f"no sample has the attribute {subject!r} (data.subject_column); attributes: "
                f"{list(attributes.columns)}"
            )
        numbers, offsets, lengths = np.array(self.places, dtype=np.int64).reshape(-1, 3).T
        paths = np.array([str(shard) for shard in shards], dtype=object)[numbers]
        samples = pd.DataFrame(
            {"sample_id": hashed_ids(self.names), "path": paths, "offset": offsets,
             "length": lengths}
        )  # fmt: skip
        others = attributes.drop(columns={*OURS, subject}.intersection(attributes.columns))
        if subject is not None:
            others["subject_id"] = attributes[subject]
        return pd.concat([samples, others], axis=1)


def _key_and_ending(member: tarfile.TarInfo) -> tuple[str, str]:
    """The name up to the first dot after the last slash, and what follows; else two empty texts."""
    folder, slash, base = member.name.rpartition("/")
    stem, dot, ending = base.partition(".")
    return (f"{folder}{slash}{stem}", ending.lower()) if stem and dot else ("", "")


def _wrong(member: tarfile.TarInfo) -> tuple[str, str] | None:
    """Reason and detail why a member must not be read; None if it may."""
    steps = member.name.replace("\\", "/").split("/")
    problem = "an absolute name, or one with '..' in it"
    if member.issparse():
        problem = "a sparse file"
    elif not member.isreg():
        problem = "a link, device or pipe"
    elif steps[0] and ".." not in steps and steps[0][1:2] != ":":
        return None if is_text(member.name) else ("name not understood", "")
    return "unsafe archive member", problem


def _parts(key: str, group: list[tarfile.TarInfo], path: Path) -> Notes:
    """Members of one key by their ending."""
    parts = {_key_and_ending(member)[1]: member for member in group}
    images = [ending for ending in parts if f".{ending}" in SUFFIXES]
    if len(parts) < len(group) or len(images) > 1:
        raise DuplicateIdError(
            f"{shown(path)} holds two images or two notes named '{shown(key)}'; nothing says which "
            "one counts: pack it again with one of each"
        )
    return parts


def _attributes(notes: Notes, path: Path, content: IO[bytes]) -> dict[str, Scalar]:
    """What the notes beside an image say; a ValueError if they are unreadable or contradictory."""
    texts = {}
    for ending in {"json", "cls"}.intersection(notes):
        note = notes[ending]
        if note.size > LARGEST_SIDECAR:
            raise UnsafeArchiveError(
                f"{shown(path)}: {shown(note.name)} has {note.size} bytes; at most "
                f"{LARGEST_SIDECAR} are read beside an image"
            )
        content.seek(note.offset_data)
        texts[ending] = content.read(note.size)
        if len(texts[ending]) < note.size:
            raise DataError(f"{shown(path)} is cut off within '{shown(note.name)}'; {AGAIN}")
    row = _flat_object(texts["json"]) if "json" in texts else {}
    if "cls" in texts:
        name = texts["cls"].decode().strip()
        if not name or len(name.splitlines()) > 1:
            raise ValueError("not one line of text")
        if str(row.setdefault("class", name)) != name:
            raise ValueError("the class file and the JSON object name different classes")
    return row


def _flat_object(content: bytes) -> dict[str, Scalar]:
    """A JSON object of texts, numbers, truth values and nulls; anything else is a ValueError."""
    try:
        value = json.loads(content.decode(), object_pairs_hook=_once, parse_int=_whole)
    except RecursionError:
        raise ValueError("values within values") from None
    if not isinstance(value, dict):
        raise ValueError("not an object")
    for name, item in value.items():
        if isinstance(item, list | dict):
            raise ValueError(f"{name[:40]!r} holds several values")
        if isinstance(item, float) and not math.isfinite(item):
            raise ValueError(f"{name[:40]!r} is no finite number")
        if not is_text(name) or (isinstance(item, str) and not is_text(item)):
            raise ValueError("half a character, which no file can hold")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = dict(pairs)
    if len(names) < len(pairs):
        raise ValueError("a name stands there twice")
    return names


def _whole(digits: str) -> int:
    if len(digits) > 20 or not -LARGEST_NUMBER <= int(digits) < LARGEST_NUMBER:
        raise ValueError(f"a whole number of {len(digits)} digits")
    return int(digits)


def _column(values: Iterable[Scalar]) -> pd.Series:
    """Numbers where all values are; else texts, as JSON writes truth values and numbers."""
    given = pd.Series(list(values), dtype=object)
    kinds = {type(value) for value in given} - {type(None)}
    if kinds and kinds <= {int, float}:
        if float in kinds:
            return given.astype("float64")
        return given.astype("Int64") if given.isna().any() else given.astype("int64")
    texts = given.map(lambda value: value if isinstance(value, str) else json.dumps(value))
    return texts.where(given.notna(), None).astype("str")


class _HeaderRefusedError(Exception):
    """A header that must not be followed."""


class _Header(tarfile.TarInfo):
    """A header whose size is checked before anything is read or skipped by it."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_Header":
        header = super().frombuf(buf, encoding, errors)
        _require_length(header.size)
        if header.type in EXTENDED and header.size > LARGEST_HEADER:
            raise _HeaderRefusedError(
                f"a name or attributes of {header.size} bytes; at most {LARGEST_HEADER} are read"
            )
        return header


def _require_length(size: int) -> None:
    if size < 0:
        raise _HeaderRefusedError(f"it says that it holds {size} bytes")


def _members(path: Path, content: IO[bytes]) -> Iterator[tarfile.TarInfo]:
    """Every member of an uncompressed archive but folders; no link is followed.

    Python's tarfile reads the headers. Here is what it lets pass: an archive that ends too early or
    goes on after its end, sizes below zero, headers that fill memory, and compressed files.
    """
    named, offset = shown(path), -1
    _require_plain(content, named)
    try:
        archive = tarfile.open(fileobj=content, mode="r:", tarinfo=_Header)  # noqa: SIM115
        offset = 0
        for _ in range(MOST_MEMBERS + 1):
            member = archive.next()
            if member is None:
                return _require_end(archive.offset, content, named)
            archive.members = []  # type: ignore[attr-defined]  # else each stays in memory
            _require_length(member.size)  # extended attributes replace what the header said
            if archive.offset <= member.offset:  # reading on would go round in circles
                raise _HeaderRefusedError("it says that it ends before it begins")
            offset, member.name = archive.offset, member.name.removeprefix("./")
            if not member.isdir():
                yield member
    except tarfile.TarError as error:
        at = f"cut off or damaged at byte {archive.offset}" if offset >= 0 else "no tar archive"
        raise DataError(f"{named} is {at}: {shown(str(error))}; {AGAIN}") from error
    except (_HeaderRefusedError, RecursionError, ValueError, OverflowError) as error:
        raise UnsafeArchiveError(
            f"{named}, header at byte {max(0, offset)}: {shown(str(error))}; do not use this "
            "archive, or pack its images again"
        ) from error
    raise UnsafeArchiveError(
        f"{named} has more than {MOST_MEMBERS:,} members; split it into several archives"
    )


def _require_plain(content: IO[bytes], named: str) -> None:
    start = content.read(6)
    content.seek(0)
    for magic, program in PROGRAMS.items():
        if start.startswith(magic):
            raise DataError(
                f"{named} is compressed, so its images cannot be read one by one: unpack it with "
                f"{program}, or pack it again without compression"
            )


def _require_end(offset: int, content: IO[bytes], named: str) -> None:
    """An archive ends in zeros: tarfile takes any end of the file, or garbage, for the end."""
    content.seek(offset)
    block = content.read(tarfile.BLOCKSIZE)
    if len(block) < tarfile.BLOCKSIZE or any(block):
        raise DataError(
            f"{named} is cut off or damaged at byte {offset}: there is neither another member nor "
            f"the mark of the end; {AGAIN}"
        )
    while block := content.read(1 << 20):
        if block.count(0) != len(block):
            raise DataError(
                f"{named} goes on after its end at byte {offset}, like archives that were joined; "
                "pack it again as one archive"
            )

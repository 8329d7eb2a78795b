"""Images in tar archives, as WebDataset writes them: ``KEY.jpg``, and ``KEY.json`` beside it.

Images: JPEG, PNG, WebP or BMP, read later as slices of the archives, which are never unpacked.
Labels and attributes: a flat JSON object a sample, or the class in a text file; where no image has
    either, what names say, as in a folder: those of UTKFace, or of folders, a class each. Who
    annotated them is for their owner to say.
Splits: archives named train-0000.tar, val-0000.tar, test-0000.tar, or in folders of these names.
Source, citation, licence: those of the owner of the archives. The layout is that of WebDataset,
    github.com/webdataset/webdataset: a key is the name up to the first dot after the last slash,
    and all members of one key stand side by side; the last ending says what a member is.
Known problems: only uncompressed archives can be read in slices; links, absolute names and names
    with ``..`` are set aside; ``KEY.txt`` and all other endings are ignored, and so are further
    images of a key (``KEY.mask.png`` beside ``KEY.jpg``); lists and objects in a JSON object are
    not read; of the attributes,
    ``sample_id``, ``path``, ``offset``, ``length``, ``sha256``, ``duplicate_cluster`` and, unless
    a setting names it, ``split`` are left out.
"""

import re
import tarfile
from array import array
from collections import Counter
from collections.abc import Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import IO, Literal

import numpy as np
import pandas as pd
from jaxtyping import Int64
from pydantic import Field

from debias.datasets import utkface
from debias.datasets.folder import of_folders
from debias.datasets.likely_people import people_of
from debias.datasets.listing import (
    HIDDEN,
    NO_IMAGE,
    Entry,
    hashed_ids,
    require_path,
    require_regular,
    set_aside,
    walked,
)
from debias.datasets.notes import (
    LARGEST_SIDECAR,
    RENAME,
    USE,
    NoteColumns,
    Scalar,
    flat,
    says_nothing,
)
from debias.datasets.owners_lists import (
    OWNER_SPLIT,
    SPLIT_NAMES,
    STATED,
    SplitBy,
    Stated,
    annotated_as,
    completed_split,
    no_training,
)
from debias.datasets.people import WithPeople, person_column, taken
from debias.datasets.table_paths import split_names
from debias.datasets.ways import side_of
from debias.decoding.rules import HEAD, is_photograph
from debias.errors import DataError, DuplicateIdError, EmptyDatasetError, UnsafeArchiveError
from debias.storage.files import is_text, mistaken_for, safe_text, shown
from debias.storage.tables import OURS, require_once
from debias.types import Collection, Rejected

COMPRESSED = re.compile(r"\.(tgz|tar\.\w+)$", re.IGNORECASE)
PROGRAMS = {
    b"\x1f\x8b": "gunzip", b"BZh": "bunzip2", b"\xfd7zXZ\x00": "unxz", b"\x28\xb5\x2f\xfd": "unzstd"
}  # fmt: skip
EXTENDED = (
    tarfile.XHDTYPE, tarfile.XGLTYPE, tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK,
)  # fmt: skip
LARGEST_HEADER = 16_384  # bytes of a long name or of extended attributes
MOST_MEMBERS = 10_000_000
AGAIN = "get it again, or pack it again"

NOTES = ("json", "cls")
Notes = dict[str, tarfile.TarInfo]


class TarShards(WithPeople):
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
    split_column: str | None = Field(
        default=None, description="Attribute that says train, validation or test, as in a table."
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
        attributes = found.notes.frame()
        person = self.subject_column or person_column(attributes)
        roles = {"subject_id": person, "split": self.split_column}
        everyone = found.frame(shards, attributes, roles)
        remarks = [*found.notes.remarks(), *_unused(attributes, roles)]
        if person != self.subject_column:
            remarks.append(taken(str(person), everyone["subject_id"].nunique()))
        if not (found.notes.columns or found.notes.unused):
            said, told = _said_by_names(found.plain_names(sides))
            everyone, remarks = everyone.join(said), [*remarks, *told]
            found.lose(np.flatnonzero(said.isna().any(axis=1)), shards)
        everyone, alone = self._divided(
            everyone, found.places[::3], dict(zip(shards, sides, strict=True))
        )
        kept = ~np.isin(np.arange(len(everyone)), found.lost)
        samples = everyone[kept].reset_index(drop=True)
        lost = everyone[~kept].drop(columns=["path", "offset", "length"]).reset_index(drop=True)
        known = lost if len(lost) else None
        collection = Collection(
            samples=samples, rejected=tuple(rejected), lost=known, ignored=found.ignored,
            remarks=(*remarks, *alone), notes=found.noted,
        )  # fmt: skip
        return completed_split(self.joined(collection), seed)

    def _divided(
        self, everyone: pd.DataFrame, numbers: "array[int]", shards: Mapping[Path, str]
    ) -> tuple[pd.DataFrame, tuple[str, ...]]:
        """With the split that archives, names or an attribute state, if it counts.

        Args:
            everyone: All images.
            numbers: Of the archive of each.
            shards: Archives, with the split that the name of each states.
        """
        sides = np.array([*shards.values()])[numbers]
        if self.split_column is not None:
            return everyone, ()  # an attribute says it
        if self.split == "owner" and "train" in sides:
            _require_sides([*shards], [*shards.values()], self.root)
            return everyone.assign(split=sides.astype(object)), ()
        if self.split == "owner" and "train" in set(everyone.get("split", ())):
            return everyone, ()
        told = no_training(sides) if self.split == "owner" else ()
        return everyone.drop(columns="split", errors="ignore"), told


def _unused(attributes: pd.DataFrame, named: Mapping[str, str | None]) -> list[str]:
    """A sentence about attributes with names of ours that nothing else names."""
    unused = [name for name in OURS if name in attributes and name not in named.values()]
    told = ", ".join(f"{name} ({USE.get(name, RENAME)})" for name in unused)
    return [f"Attributes that are not used: {told}."] if told else []


def _said_by_names(names: list[str]) -> tuple[pd.DataFrame, list[str]]:
    """What the names of images say that have nothing beside them, as in a folder; and remarks."""
    labels = [utkface.said(f"{name.rpartition('/')[2].partition('.')[0]}.jpg") for name in names]
    known, paths = sum(map(bool, labels)), [f"{name}.jpg" for name in names]
    said, people = None, people_of(paths)
    if known > len(names) / 2:
        said = pd.DataFrame(labels, index=range(len(names)))
        what = f"names follow UTKFace ({known:,} of {len(names):,}): gender, race and age were read"
    elif people is not None and people.clear:
        said, what = pd.DataFrame({"subject_id": people.names}), people._replace(way="").taken()
    elif (said := of_folders(paths)) is not None:
        what = f"the {said['class'].nunique():,} folders in which they lie were read as classes"
    else:
        what = "no label is read. Pack a KEY.json beside each, or unpack them and name a --table"
    told = [f"Nothing stands beside the images of the archives: {what.removesuffix('.')}."]
    if people is not None and not (people.clear or known > len(names) / 2):
        told.append(people._replace(way="").asked())
    return pd.DataFrame(index=range(len(names))) if said is None else said, told


def _shards(root: Path) -> tuple[list[Path], list[Rejected]]:
    """The archives, sorted by name, and everything else that lies beside them."""
    require_path(root)
    if not root.is_dir():
        require_regular(root, "the owner of the data")
        return [root.resolve()], []  # a link is followed here, where a person named it
    shards, rejected = [], []
    for entry in walked(root):
        path, (problem, detail) = root / entry.name, _no_archive(entry, root)
        if problem:
            rejected.append(set_aside(entry.name, str(path), problem, detail))
        else:
            shards.append(path)
    if not shards:
        raise EmptyDatasetError(
            f"{shown(root.absolute())} holds no .tar archive, only {len(rejected)} other files"
        )
    return shards, rejected


def _no_archive(entry: Entry, root: Path) -> tuple[str, str]:
    """Why a file is none that is read, as reason and detail; empty if it is one."""
    is_file = entry.problem in ("", NO_IMAGE)
    if is_file and COMPRESSED.search(entry.name):
        raise DataError(
            f"{shown(root / entry.name)} is compressed, so its images cannot be read one by one: "
            "unpack it, or pack it again without compression"
        )
    if not is_file:
        return entry.problem, ""
    if entry.name.lower().endswith(".tar"):
        return ("" if is_text(entry.name) else "name not understood"), ""
    if entry.problem:
        return NO_IMAGE, "no .tar archive"
    return "not listed", "a photograph beside the archives"


def _side(shard: Path, root: Path) -> str:
    """Split that the name of an archive or of a folder states, the first that does, or nothing."""
    steps = shard.relative_to(root).parts if root.is_dir() else (root.name,)
    return next(filter(None, map(side_of, steps)), "")


def _require_sides(shards: list[Path], sides: list[str], root: Path) -> None:
    """Refuse archives of which only some name a split: nobody could tell what others are for."""
    silent = [shard for shard, side in zip(shards, sides, strict=True) if not side]
    if silent:
        raise DataError(
            f"{len(silent)} of {len(shards)} archives in {shown(root.absolute())} are named "
            f"after none of {', '.join(SPLIT_NAMES)}, as the others are, first: "
            f"{shown(silent[0].name)}; rename or move them, or set data.split to 'drawn'"
        )


class _Samples:
    """What has been found in the archives so far, in a few bytes a sample."""

    def __init__(self, rejected: list[Rejected]) -> None:
        self.rejected = rejected  # what was set aside
        self.ignored: Counter[str] = Counter()  # members that are no images, by ending
        self.names: list[str] = []  # key of each sample, after the side that its archive states
        self.alone: list[str] = []  # keys of notes without an image
        self.lost: list[int] = []  # samples known by their notes alone, their image set aside
        self.places = array("q")  # number of its archive, first byte and bytes of each image
        self.notes, self.noted = NoteColumns(), 0  # and how many files held them

    def plain_names(self, sides: list[str]) -> list[str]:
        """The keys as they stand in the archives."""
        return [
            name.removeprefix(f"{sides[number]}/") if sides[number] else name
            for name, number in zip(self.names, self.places[::3], strict=True)
        ]

    def lose(self, rows: Int64[np.ndarray, " m"], shards: list[Path]) -> None:
        """Set samples aside whose names say nothing, where those of others do."""
        for row in rows.tolist():
            name, place = self.names[row], shards[self.places[3 * row]]
            why = "name not understood", utkface.DETAIL, hashed_ids([name])[0]
            self.rejected.append(set_aside(name, f"{place}/{name}", *why))
            self.lost.append(row)

    def add(self, number: int, path: Path, side: str) -> None:
        """List one archive; its keys are told from those of other sides of the split."""
        with path.open("rb") as content:
            keyed = groupby(_members(path, content), key=lambda one: _key_and_ending(one.name)[0])
            for key, group in keyed:
                images, notes = self._told_apart([*group], key, path, content)
                self.noted += len(notes) * bool(images)
                for name, image in _named(key, images, notes, path):
                    whole = safe_text(f"{side}/{name}" if side else name)
                    if self._is_taken(whole, image, notes, path, content):
                        self.names.append(whole)
                        self.places.extend((number, image.offset_data, image.size))
                if notes and not images:
                    self.alone.append(safe_text(f"{side}/{key}" if side else key))
                    detail = f"no image of this key, only .{shown(', .'.join(sorted(notes)))}"
                    self.rejected.append(set_aside(key, f"{path}/{key}", "file missing", detail))

    def _told_apart(
        self, group: list[tarfile.TarInfo], key: str, path: Path, content: IO[bytes]
    ) -> tuple[list[tarfile.TarInfo], Notes]:
        """Images and notes of one key; what is neither is ignored, what is unsafe set aside."""
        kinds: dict[str, list[tarfile.TarInfo]] = {kind: [] for kind in ("image", *NOTES)}
        for member in group:
            wrong, kind = _wrong(member), _key_and_ending(member.name)[1].rpartition(".")[2]
            if key and kind not in NOTES and _is_image(member, content, readable=not wrong):
                kinds["image"].append(member)
            elif wrong:
                self._set_aside(member, path, *wrong)
            elif not key and _holds_image(member, content):
                self._set_aside(member, path, HIDDEN, "")
            elif key and kind in NOTES:
                kinds[kind].append(member)
            else:
                self._ignore(member)
        images, *notes = map(self._plainest, kinds.values())
        if any(len(found) > 1 for found in notes):
            raise _twice("notes", key, path)
        return images, {kind: found[0] for kind, found in zip(NOTES, notes, strict=True) if found}

    def _plainest(self, found: list[tarfile.TarInfo]) -> list[tarfile.TarInfo]:
        """Of ``KEY.jpg`` and ``KEY.mask.png`` the first: the other was made of it."""
        plain = [member for member in found if _is_plain(member)]
        if len(plain) != 1:
            return found
        for member in found:
            if member is not plain[0]:
                self._ignore(member)
        return plain

    def _ignore(self, member: tarfile.TarInfo) -> None:
        key, ending = _key_and_ending(member.name)
        self.ignored[("." + ending if ending else "without ending") if key else "hidden"] += 1

    def _is_taken(
        self, name: str, image: tarfile.TarInfo, notes: Notes, path: Path, content: IO[bytes]
    ) -> bool:
        """Take what the notes say; whether the sample counts, if only as one that was lost."""
        wrong, known = _wrong(image), True
        try:
            said, unused = _attributes(notes, path, content)
            if says_nothing(unused):
                self._ignore(notes["json"])
                self.noted -= 1
            known = bool(said) or not wrong
            if known:
                self.notes.take(said, unused)
        except ValueError as error:
            wrong, known = wrong or ("row not understood", str(error)), False
        if wrong:
            self._set_aside(image, path, *wrong, sample_id=hashed_ids([name])[0] if known else "")
        self.lost += [len(self.names)] if wrong and known else []
        return known

    def _set_aside(
        self, member: tarfile.TarInfo, path: Path, reason: str, detail: str, sample_id: str = ""
    ) -> None:
        place = f"{path}/{member.name}"
        self.rejected.append(set_aside(member.name, place, reason, detail, sample_id))

    def frame(
        self, shards: list[Path], attributes: pd.DataFrame, named: Mapping[str, str | None]
    ) -> pd.DataFrame:
        """One row a sample, as they were found, with ``attributes``, some ``named`` by role."""
        require_once(
            pd.Series([*self.names, *self.alone]),
            lambda count: f"{count} keys stand in more than one place",
            "all members of a key must stand side by side (tar --sort=name), and no key may be "
            "used twice",
        )
        roles = {role: name for role, name in named.items() if name is not None}
        for role, name in roles.items():
            if name not in attributes:
                raise DataError(
                    f"no sample has the attribute {name!r} (used as {role}); attributes: "
                    f"{list(attributes.columns)}"
                )
        numbers, offsets, lengths = np.array(self.places, dtype=np.int64).reshape(-1, 3).T
        paths = np.array([str(shard) for shard in shards], dtype=object)[numbers]
        samples = pd.DataFrame(
            {"sample_id": hashed_ids(self.names), "path": paths, "offset": offsets,
             "length": lengths}
        )  # fmt: skip
        others = attributes.drop(columns={*OURS, *roles.values()}.intersection(attributes.columns))
        for role, name in roles.items():
            column = attributes[name]
            others[role] = split_names(column, shards[0].parent)[0] if role == "split" else column
        return pd.concat([samples, others], axis=1)


def _key_and_ending(name: str) -> tuple[str, str]:
    """The name up to the first dot after the last slash, and what follows; no key where hidden."""
    folder, slash, base = name.rpartition("/")
    stem, _, ending = base.partition(".")
    return (f"{folder}{slash}{stem}" if stem else "", ending.lower())


def _is_plain(member: tarfile.TarInfo) -> bool:
    """Whether a name has one dot at most behind its last slash."""
    return "." not in _key_and_ending(member.name)[1]


def _holds_image(member: tarfile.TarInfo, content: IO[bytes]) -> bool:
    """By its content alone: what macOS packs beside 1.jpg is called ._1.jpg, too."""
    content.seek(member.offset_data)
    start = content.read(min(HEAD, member.size))
    return is_photograph("", lambda: start)


def _is_image(member: tarfile.TarInfo, content: IO[bytes], *, readable: bool) -> bool:
    """By the last ending, as WebDataset has it, or by what it holds where it may be read."""

    def start() -> bytes:
        content.seek(member.offset_data)
        return content.read(min(HEAD, member.size))

    return is_photograph(member.name, start if readable else bytes)


def _named(
    key: str, images: list[tarfile.TarInfo], notes: Notes, path: Path
) -> list[tuple[str, tarfile.TarInfo]]:
    """Each image with the name of its sample: the key or, in plain archives, its own name."""
    if len(images) == 1 and (notes or _is_plain(images[0])):
        return [(key, images[0])]
    if images and (notes or any(map(_is_plain, images))):
        raise _twice("images", key, path)
    return [(image.name.rpartition(".")[0], image) for image in images]


def _twice(what: str, key: str, path: Path) -> DuplicateIdError:
    return DuplicateIdError(
        f"{shown(path)} holds two {what} named '{shown(key)}'; nothing says which one counts: pack "
        "it again with one of each"
    )


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


def _attributes(
    notes: Notes, path: Path, content: IO[bytes]
) -> tuple[dict[str, Scalar], list[tuple[str, str]]]:
    """What the notes beside an image say, and in which columns stands what no column can hold.

    A ValueError says that they are unreadable or contradictory.
    """
    texts = {}
    for ending, note in notes.items():
        if note.size > LARGEST_SIDECAR:
            raise UnsafeArchiveError(
                f"{shown(path)}: {shown(note.name)} has {note.size} bytes; at most "
                f"{LARGEST_SIDECAR} are read beside an image"
            )
        content.seek(note.offset_data)
        texts[ending] = content.read(note.size)
        if len(texts[ending]) < note.size:
            raise DataError(f"{shown(path)} is cut off within '{shown(note.name)}'; {AGAIN}")
    row, unused = flat(texts["json"]) if "json" in texts else ({}, [])
    if "cls" in texts:
        name = texts["cls"].decode().strip()
        if not name or len(name.splitlines()) > 1:
            raise ValueError("the class file is not one line of text")
        if str(row.setdefault("class", name)) != name:
            raise ValueError("the class file and the JSON object name different classes")
    return row, unused


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
    start = content.read(4096)
    content.seek(0)
    if other := mistaken_for(start):
        raise DataError(f"{named} is {other}")
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

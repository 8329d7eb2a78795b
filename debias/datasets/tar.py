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
from array import array
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

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
    SPLIT_NAMES,
    STATED,
    SplitBy,
    Stated,
    annotated_as,
    completed_split,
)
from debias.datasets.tar_members import Archive, Member
from debias.errors import DataError, DuplicateIdError, EmptyDatasetError, UnsafeArchiveError
from debias.plugins import Settings
from debias.storage.files import is_text, safe_text, shown
from debias.storage.tables import OURS, require_once
from debias.types import Collection, Rejected

SIDE = re.compile(rf"({'|'.join(SPLIT_NAMES)})(?![a-z])", re.IGNORECASE)
COMPRESSED = re.compile(r"\.(tgz|tar\.\w+)$", re.IGNORECASE)
LARGEST_SIDECAR = 1 << 20  # bytes
MOST_COLUMNS = 1000
LARGEST_NUMBER = 2**63  # whole numbers below it fit into a column

Parts = dict[str, Member]
Scalar = str | int | float | bool | None


class TarShards(Settings):
    """A folder of tar archives, or one, in the layout of WebDataset.

    Columns: the names in the JSON objects, as numbers where all values are, else as text;
    ``class``, where there are class files.
    """

    name: Literal["tar"] = "tar"
    root: Path = Field(description="Folder of .tar files, or one .tar file.")
    split: SplitBy = Field(
        default="owner",
        description="'owner': archives named after train, val and test decide, where there are "
        "such; without test, val is the test set; without both val and test, a tenth of train is "
        "drawn for validation; 'drawn': a split drawn by selection.",
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
        listing = TarSamples(rejected)
        for number, (shard, side) in enumerate(zip(shards, sides, strict=True)):
            listing.add(number, shard, side)
        if len(listing.names) == len(listing.lost):
            named = Path(rejected[0].path) if rejected else self.root
            first = f", first: {shown(named)}: {rejected[0].detail}" if rejected else ""
            raise EmptyDatasetError(
                f"{len(shards)} archives in {shown(self.root.absolute())} hold no image beside a "
                f"key, like 000001.jpg{first}"
            )
        everyone = listing.frame(shards, self.subject_column)
        split = self.split == "owner" and "train" in sides
        if split:
            _require_sides(shards, sides, self.root)
            everyone["split"] = np.array(sides, dtype=object)[listing.places[:, 0]]
        kept = ~np.isin(np.arange(len(everyone)), listing.lost)
        samples = everyone[kept].reset_index(drop=True)
        samples = completed_split(samples, seed) if split else samples
        lost = everyone[~kept].drop(columns=["path", "offset", "length"]).reset_index(drop=True)
        return Collection(
            samples=samples, rejected=tuple(rejected), lost=lost if len(lost) else None
        )


def _shards(root: Path) -> tuple[list[Path], list[Rejected]]:
    """The archives, sorted by name, and everything else that lies beside them."""
    require_path(root)
    if not root.is_dir():
        require_regular(root, "the owner of the data")
        return [root.resolve()], []  # a link is followed here, where a person named it
    shards, rejected = [], []
    for entry in sorted(walk(root)):
        path = root / entry.name
        if not entry.problem and COMPRESSED.search(entry.name):
            raise DataError(
                f"{shown(path)} is compressed, so its images cannot be read one by one: unpack it, "
                "or pack it again without compression"
            )
        problem, detail = entry.problem, ""
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


class TarSamples:
    """What has been found in the archives so far, in a few bytes a sample.

    Attributes:
        rejected: What was set aside.
        names: Key of each sample, after the side of the split that its archive states.
        lost: Which of the samples are known by their notes alone, their image being set aside.
    """

    def __init__(self, rejected: list[Rejected]) -> None:
        self.rejected = rejected
        self.names: list[str] = []
        self.lost: list[int] = []
        self._places = array("q")
        self._columns: dict[str, list[Scalar]] = {}
        self._texts: dict[str, str] = {}  # the same few words for a million rows

    @property
    def places(self) -> np.ndarray:
        """(n, 3): number of its archive, first byte and bytes of each image."""
        return np.array(self._places, dtype=np.int64).reshape(-1, 3)

    def add(self, number: int, path: Path, side: str) -> None:
        """List one archive; its keys are told from those of other sides of the split."""
        with Archive(path) as archive:
            for key, group in groupby(self._named(archive, path), key=lambda member: member[0]):
                parts = _parts(key, [(ending, member) for _, ending, member in group], path)
                images = {name for name in parts if f".{name}" in SUFFIXES}
                notes = self._usable(
                    {name: part for name, part in parts.items() if name not in images}, path
                )
                if images:
                    name = safe_text(f"{side}/{key}" if side else key)
                    image = parts[images.pop()]
                    try:
                        self._take(name, number, image, path, _attributes(notes, archive, path))
                    except ValueError as error:
                        self._set_aside(
                            image, path, *(_wrong(image) or ("row not understood", str(error)))
                        )
                elif notes:
                    endings = shown(", .".join(sorted(notes)))
                    detail = f"no image of this key, only .{endings}"
                    self.rejected.append(
                        set_aside(key, f"{path}/{key}", "not an image file", detail)
                    )

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
        people = {} if subject is None else {"subject_id": attributes[subject]}
        numbers, offsets, lengths = self.places.T
        paths = np.array([str(shard) for shard in shards], dtype=object)[numbers]
        samples = pd.DataFrame(
            {"sample_id": hashed_ids(self.names), "path": paths, "offset": offsets,
             "length": lengths}
        )  # fmt: skip
        others = attributes.drop(columns={*OURS, subject}.intersection(attributes.columns))
        return pd.concat([samples, others.assign(**people)], axis=1)

    def _take(
        self, name: str, number: int, image: Member, path: Path, said: dict[str, Scalar]
    ) -> None:
        """A sample, or what its notes say of it where its image must not be read.

        Raises:
            ValueError: There would be more than a thousand attributes.
        """
        wrong = _wrong(image)
        if wrong and not said:
            self._set_aside(image, path, *wrong)
            return
        self._take_note(said)
        if wrong:
            self._set_aside(image, path, *wrong, sample_id=hashed_ids([name])[0])
            self.lost.append(len(self.names))
        self.names.append(name)
        self._places.extend((number, image.offset, image.length))

    def _take_note(self, said: dict[str, Scalar]) -> None:
        """One more row of attributes, which need not all have the same names."""
        for name in said.keys() - self._columns.keys():
            if len(self._columns) == MOST_COLUMNS:
                raise ValueError(f"a new name beside {MOST_COLUMNS} others")
            self._columns[name] = [None] * len(self.names)
        for name, column in self._columns.items():
            value = said.get(name)
            column.append(self._texts.setdefault(value, value) if isinstance(value, str) else value)

    def _named(self, archive: Archive, path: Path) -> Iterator[tuple[str, str, Member]]:
        """Key, ending and member of whatever has a key and an ending."""
        for member in archive:
            folder, slash, base = member.name.rpartition("/")
            stem, dot, ending = base.partition(".")
            if stem and dot:
                yield f"{folder}{slash}{stem}", ending.lower(), member
            else:
                nameless = "not an image file", "the name has no key or ending"
                self._set_aside(member, path, *(_wrong(member) or nameless))

    def _usable(self, notes: Parts, path: Path) -> Parts:
        """Without what must not be read, which is set aside."""
        wrong = {ending: _wrong(member) for ending, member in notes.items()}
        for ending, why in wrong.items():
            if why:
                self._set_aside(notes[ending], path, *why)
        return {ending: member for ending, member in notes.items() if not wrong[ending]}

    def _set_aside(
        self, member: Member, path: Path, reason: str, detail: str, sample_id: str = ""
    ) -> None:
        place = f"{path}/{member.name}"
        self.rejected.append(set_aside(member.name, place, reason, detail, sample_id))


def _wrong(member: Member) -> tuple[str, str] | None:
    """Reason and detail why a member must not be read; None if it may."""
    if member.problem:
        return "unsafe archive member", member.problem
    return None if is_text(member.name) else ("name not understood", "")


def _parts(key: str, group: list[tuple[str, Member]], path: Path) -> Parts:
    """Members of one key by their ending."""
    parts = dict(group)
    images = [ending for ending in parts if f".{ending}" in SUFFIXES]
    if len(parts) < len(group) or len(images) > 1:
        raise DuplicateIdError(
            f"{shown(path)} holds two images or two notes named '{shown(key)}'; nothing says which "
            "one counts: pack it again with one of each"
        )
    return parts


def _attributes(notes: Parts, archive: Archive, path: Path) -> dict[str, Scalar]:
    """What the notes beside an image say.

    Raises:
        ValueError: They cannot be read, or contradict each other.
        UnsafeArchiveError: They are too long.
    """
    for ending in {"json", "cls"}.intersection(notes):
        if notes[ending].length > LARGEST_SIDECAR:
            raise UnsafeArchiveError(
                f"{shown(path)}: {shown(notes[ending].name)} has {notes[ending].length} bytes; at "
                f"most {LARGEST_SIDECAR} are read beside an image"
            )
    row = _flat_object(archive.read(notes["json"])) if "json" in notes else {}
    if "cls" in notes:
        name = archive.read(notes["cls"]).decode().strip()
        if not name or len(name.splitlines()) > 1:
            raise ValueError("not one line of text")
        if str(row.setdefault("class", name)) != name:
            raise ValueError("the class file and the JSON object name different classes")
    return row


def _flat_object(content: bytes) -> dict[str, Scalar]:
    """A JSON object of texts, numbers, truth values and nulls.

    Raises:
        ValueError: It is anything else: nested, NaN or infinite, not UTF-8, or with a name twice.
    """
    try:
        value = json.loads(
            content.decode(), object_pairs_hook=_once, parse_constant=_refused, parse_int=_whole
        )
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


def _refused(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


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

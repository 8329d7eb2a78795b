"""From the members of tar archives to a table of samples: keys, slices and attributes."""

from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

import numpy as np
import pandas as pd

from debias.datasets.listing import SUFFIXES, hashed_ids, set_aside
from debias.datasets.sidecars import Columns, Scalar, read_attributes, read_class
from debias.datasets.tar_members import Archive, Member
from debias.errors import DataError, DuplicateIdError, UnsafeArchiveError
from debias.storage.names import is_text, safe_text, shown
from debias.storage.tables import OURS
from debias.types import Rejected

LARGEST_SIDECAR = 1 << 20  # bytes
Parts = dict[str, Member]


@dataclass
class TarSamples:
    """What has been found in the archives so far, in a few bytes a sample.

    Attributes:
        rejected: What was set aside.
        names: Key of each sample, after the side of the split that its archive states.
        lost: Which of the samples are known by their notes alone, their image being set aside.
        shards: Number of the archive that holds each sample.
        offsets: First byte of each image in its archive.
        lengths: Bytes of each image.
        columns: What the notes beside the images say.
        count: Archives listed.
    """

    rejected: list[Rejected]
    names: list[str] = field(default_factory=list)
    lost: list[int] = field(default_factory=list)
    shards: "array[int]" = field(default_factory=lambda: array("q"))
    offsets: "array[int]" = field(default_factory=lambda: array("q"))
    lengths: "array[int]" = field(default_factory=lambda: array("q"))
    columns: Columns = field(default_factory=Columns)
    count: int = 0

    def add(self, path: Path, side: str) -> None:
        """List one archive; its keys are told from those of other sides of the split."""
        with Archive(path) as archive:
            for key, group in groupby(self._named(archive, path), key=lambda member: member[0]):
                parts = _parts(key, [(ending, member) for _, ending, member in group], path)
                image = _image(parts)
                notes = self._usable_notes(parts, path)
                if image is None:
                    if notes:
                        endings = shown(", .".join(sorted(notes)))
                        detail = f"no image of this key, only .{endings}"
                        place = f"{path}/{key}"
                        self.rejected.append(set_aside(key, place, "not an image file", detail))
                    continue
                name = safe_text(f"{side}/{key}" if side else key)
                try:
                    self._take(name, image, path, _attributes(notes, archive, path))
                except ValueError as error:
                    odd = "row not understood", str(error)
                    self._set_aside(image, path, *(_wrong(image) or odd))
        self.count += 1

    def _take(self, name: str, image: Member, path: Path, said: dict[str, Scalar]) -> None:
        """A sample, or what its notes say of it where its image must not be read.

        Raises:
            ValueError: There are too many attributes.
        """
        wrong = _wrong(image)
        if wrong and not said:
            self._set_aside(image, path, *wrong)
            return
        self.columns.add(said)
        if wrong:
            self._set_aside(image, path, *wrong, sample_id=hashed_ids([name])[0])
            self.lost.append(len(self.names))
        self.names.append(name)
        self.shards.append(self.count)
        self.offsets.append(image.offset)
        self.lengths.append(image.length)

    def frame(self, shards: list[Path], subject: str | None) -> pd.DataFrame:
        """One row a sample, in the order in which they were found."""
        names = pd.Series(self.names)
        _require_once(names)
        attributes = self.columns.frame()
        if subject is not None and subject not in attributes:
            raise DataError(
                f"no sample has the attribute {subject!r} (data.subject_column); attributes: "
                f"{list(attributes.columns)}"
            )
        people = {} if subject is None else {"subject_id": attributes[subject]}
        paths = np.array([str(shard) for shard in shards], dtype=object)
        samples = pd.DataFrame(
            {
                "sample_id": hashed_ids(self.names),
                "path": paths[np.array(self.shards)],
                "offset": np.array(self.offsets),
                "length": np.array(self.lengths),
            }
        )
        others = attributes.drop(columns={*OURS, subject}.intersection(attributes.columns))
        return pd.concat([samples, others.assign(**people)], axis=1)

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

    def _usable_notes(self, parts: Parts, path: Path) -> Parts:
        """All but the image; what must not be read is set aside."""
        others = {ending: part for ending, part in parts.items() if f".{ending}" not in SUFFIXES}
        notes = {}
        for ending, member in others.items():
            wrong = _wrong(member)
            if wrong:
                self._set_aside(member, path, *wrong)
            else:
                notes[ending] = member
        return notes

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


def _image(parts: Parts) -> Member | None:
    return next((part for ending, part in parts.items() if f".{ending}" in SUFFIXES), None)


def _attributes(parts: Parts, archive: Archive, path: Path) -> dict[str, Scalar]:
    """What the notes beside an image say.

    Raises:
        ValueError: They cannot be read, or contradict each other.
        UnsafeArchiveError: They are too long.
    """
    for ending in {"json", "cls"}.intersection(parts):
        if parts[ending].length > LARGEST_SIDECAR:
            raise UnsafeArchiveError(
                f"{shown(path)}: {shown(parts[ending].name)} has {parts[ending].length} bytes; at "
                f"most {LARGEST_SIDECAR} are read beside an image"
            )
    row: dict[str, Scalar] = {}
    if "json" in parts:
        row = read_attributes(archive.read(parts["json"]))
    if "cls" in parts:
        name = read_class(archive.read(parts["cls"]))
        if str(row.setdefault("class", name)) != name:
            raise ValueError("the class file and the JSON object name different classes")
    return row


def _require_once(names: "pd.Series[str]") -> None:
    repeated = names[names.duplicated()]
    if len(repeated):
        first = ", ".join(map(shown, repeated.unique()[:10]))
        raise DuplicateIdError(
            f"{len(repeated)} keys stand in more than one place, first: {first}; all members of a "
            "key must stand side by side (tar --sort=name), and no key may be used twice"
        )

"""LFW: news photographs of public people, in a folder a person.

Images: 13,233 faces found by a detector, 250 x 250, of 5,749 people; also "funneled" and
    "deep-funneled" (aligned).
Labels: who is shown, from the captions of the news; no attribute is annotated by the owners, so the
    set serves as a reference without labels, not for training a classifier.
Splits: "view 1" (peopleDevTrain and peopleDevTest, .txt or Kaggle's .csv), for development,
    disjoint by person.
Source: vis-www.cs.umass.edu/lfw.
Citation: Huang, Ramesh, Berg, Learned-Miller 2007, Labeled Faces in the Wild: A Database for
    Studying Face Recognition in Unconstrained Environments.
Licence: none stated; distributed for research on face verification, and not meant, its owners say,
    to vet commercial algorithms; the photographs belong to news agencies.
Known problems: few women, few children, no babies, very few people over 80, many groups hardly or
    not at all (the owners' words); some people very often (George W. Bush 530 times); a few people
    under a wrong or under two names (errata on the owner's page); only faces that a detector of
    2001 found.
"""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

import pandas as pd
from pydantic import Field

from debias.datasets.listing import (
    beside_a_list,
    hashed_ids,
    regular_files,
    require_folder,
    require_paths,
)
from debias.datasets.owners_lists import SplitBy, completed_split, matched
from debias.datasets.people import WithPeople
from debias.datasets.places import Listing, Place, accounted, tables_like, tree
from debias.errors import DataError, EmptyDatasetError, SplitLeakageError
from debias.storage.files import is_text, shown
from debias.storage.tables import read_bytes
from debias.types import Collection, Rejected

WHERE = "http://vis-www.cs.umass.edu/lfw (images, and the lists of people of view 1)"
LISTS = ("peopleDevTrain", "peopleDevTest")
FEW_PEOPLE = 20  # whose folders are looked into
# "Aaron_Peirsol"; other sets have folders of people too, with numbers for names.
PERSON = re.compile(r"[^\W\d_][^\d_]*(_[^\d_]+)*")
UNSPLIT = "The owners' lists of view 1 are not there: a split is drawn by person."
NAME = re.compile(r"(?P<person>.+)_\d{4}\.jpg", re.ASCII | re.DOTALL)


class LFW(WithPeople):
    """LFW as its owners distribute it: ``lfw/PERSON/PERSON_0001.jpg`` and two lists of people.

    Columns: ``images_of_person`` (number).
    """

    source: ClassVar[str] = "not stated"
    annotation: ClassVar[str] = (
        "LFW comes without annotated attributes; who is shown was taken from the captions of "
        "news photographs."
    )
    name: Literal["lfw"] = "lfw"
    root: Path = Field(description="Folder that holds the folder lfw and the lists of people.")
    split: SplitBy = Field(
        default="owner",
        description="'owner': view 1, with a tenth of the training people drawn for validation; "
        "'drawn': a split drawn by selection, by person.",
    )

    def collect(self, seed: int) -> Collection:
        """One row per image below a person's folder; people on no list are set aside.

        Raises:
            FileNotFoundError: The folder or, for the owner's split, the lists do not exist.
            EmptyDatasetError: No image is named the way LFW names them.
            DataError: A list is cut off or names a person twice.
            SplitLeakageError: A person is on the lists of both training and testing.
        """
        require_folder(self.root, WHERE)
        place = self.find(tree(self.root)) or Place()
        images = place.images or self.root / "lfw"
        require_paths([images], WHERE)
        rows, odd = _found(images)
        if self.split == "drawn":
            found = _collected(rows, images, {}, odd)
            found = replace(found, remarks=() if len(place.tables) == 2 else (UNSPLIT,))
            return self.with_people(accounted(found, self.root, place, rows["file"]))
        train, test = self._people(place.tables)
        sides = dict.fromkeys(train, "train") | dict.fromkeys(test, "test")
        rows["split"] = rows["subject_id"].map(sides)
        listed = rows[rows["split"].notna()]
        found = _collected(listed, images, train | test, odd)
        found = self.with_people(accounted(found, self.root, place, listed["file"]))
        return completed_split(found, seed)

    @classmethod
    def find(cls, listings: Sequence[Listing]) -> Place | None:
        """Where the folders of people and the lists of view 1 lie."""
        tables = tables_like(listings, LISTS)
        around = (one.place for one in listings if _of_people(one))
        images = next((place for place in around if tables or _called_so(place)), None)
        if images is None and not tables:
            return None
        settings = {} if len(tables) == len(LISTS) else {"split": "drawn"}
        return Place(images=images, tables=tables, settings=settings)

    def _people(self, tables: Mapping[str, Path]) -> tuple[dict[str, int], dict[str, int]]:
        """Images of every person, by the lists of view 1 for training and testing."""
        lists = [tables.get(name, self.root / f"{name}.txt") for name in LISTS]
        require_paths(lists, WHERE)
        train, test = (_listed(path) for path in lists)
        both = sorted(set(train) & set(test))
        if both:
            raise SplitLeakageError(
                f"{len(both)} people are on the lists of both training and testing in "
                f"{shown(self.root)}, first: {shown(both[0])}; set data.split to 'drawn', or get "
                f"the lists from {WHERE}"
            )
        return train, test


def _of_people(listing: Listing) -> bool:
    """Whether most folders in one are called after a person, and so are the images in them."""
    first = [name for name in listing.folders if PERSON.fullmatch(name)][:FEW_PEOPLE]
    if len(first) <= len(listing.folders[:FEW_PEOPLE]) / 2:
        return False
    named = (tree(listing.place / name, 0)[0].files for name in first)
    own = [
        any(_person_of(file) == name for file in files)
        for name, files in zip(first, named, strict=True)
    ]
    return sum(own) > len(first) / 2


def _called_so(place: Path) -> bool:
    return any("lfw" in name.lower() for name in place.absolute().parts[-3:])


def _collected(
    rows: pd.DataFrame, folder: Path, counts: Mapping[str, int], odd: list[Rejected]
) -> Collection:
    """Rows with ids, and what is set aside: images that a list counts but are not there."""
    present = set(rows["file"])
    absent = [
        (person, name)
        for person, count in counts.items()
        for number in range(1, count + 1)
        if (name := f"{person}/{person}_{number:04d}.jpg") not in present
    ]
    if absent:
        known = rows.drop_duplicates("subject_id").set_index("subject_id").drop(columns="file")
        more = pd.DataFrame(absent, columns=["subject_id", "file"])
        rows = pd.concat([rows, more.join(known, on="subject_id")], ignore_index=True)
        rows["images_of_person"] = rows["images_of_person"].fillna(0).astype("int64")
    # Names of people have no place in ids, which reports may show.
    found = matched(rows, present, folder, named=hashed_ids)
    return replace(found, rejected=(*odd, *found.rejected))


def _found(folder: Path) -> tuple[pd.DataFrame, list[Rejected]]:
    """Every image of every person, from one listing a person."""
    with os.scandir(folder) as entries:
        people = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    files = [(person, name) for person in people for name in sorted(regular_files(folder / person))]
    fit = [(person, f"{person}/{name}") for person, name in files if _person_of(name) == person]
    if not fit:
        raise EmptyDatasetError(
            f"{shown(folder)} holds {len(files)} images in {len(people)} folders but none like "
            f"'Aaron_Peirsol/Aaron_Peirsol_0001.jpg'; get LFW from {WHERE}"
        )
    rows = pd.DataFrame(fit, columns=["subject_id", "file"])
    rows["images_of_person"] = rows.groupby("subject_id")["file"].transform("size")
    detail = "the name does not follow PERSON/PERSON_0001.jpg"
    odd = [
        beside_a_list(name, folder / person / name, "name not understood", detail)
        for person, name in files
        if _person_of(name) != person
    ]
    return rows, odd


def _person_of(name: str) -> str:
    match = NAME.fullmatch(name)
    return match["person"] if match and is_text(name) else ""


def _listed(path: Path) -> dict[str, int]:
    """People with their numbers of images, in a list that begins with how many there are.

    Or in a CSV file (Kaggle), which begins with the names of its columns.

    Raises:
        DataError: A line is neither, the list is cut off, or it names a person twice.
    """
    separator = "," if path.suffix.lower() == ".csv" else " "
    content = read_bytes(path, separator).decode()
    head, *lines = [line for line in content.split("\n") if line] or [""]
    head = str(len(lines)) if separator == "," else head
    people: dict[str, int] = {}
    for number, line in enumerate(lines, start=2):
        person, _, count = line.rpartition(separator)
        if not person or not count.isdigit():
            raise DataError(
                f"{shown(path)}, line {number}: neither a count nor a person and a count"
            )
        if person in people:
            raise DataError(f"{shown(path)}, line {number}: {shown(person)} is named twice")
        people[person] = int(count)
    if not head.isdigit() or int(head) != len(people):
        raise DataError(
            f"{shown(path)} says {shown(head[:40]) or 'no number of'} people but has "
            f"{len(people)}; it may be cut off: get it again from {WHERE}"
        )
    return people

"""LFW: news photographs of public people, in a folder a person.

Images: 13,233 faces found by a detector, 250 x 250, of 5,749 people; also "funneled" and
    "deep-funneled" (aligned).
Labels: who is shown, from the captions of the news; no attribute is annotated by the owners, so the
    set serves as a reference without labels, not for training a classifier.
Splits: "view 1" (peopleDevTrain.txt, peopleDevTest.txt), for development, disjoint by person; ten
    folds of "view 2" (people.txt), for reporting, which share people with view 1.
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
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field

from debias.datasets.listing import (
    hashed_ids,
    regular_files,
    require_folder,
    require_paths,
    set_aside,
)
from debias.datasets.owners_lists import (
    SplitBy,
    completed_split,
    matched,
    unlisted_files,
)
from debias.errors import DataError, EmptyDatasetError, SplitLeakageError
from debias.plugins import Settings
from debias.storage.names import is_text, shown
from debias.storage.tables import read_bytes
from debias.types import Collection, Rejected

WHERE = "http://vis-www.cs.umass.edu/lfw (images, and the lists of people of view 1 and view 2)"
FOLDERS = (
    "lfw", "lfw_funneled", "lfw-deepfunneled/lfw-deepfunneled", "lfw-deepfunneled",
)  # fmt: skip
NAME = re.compile(r"(?P<person>.+)_\d{4}\.jpg", re.ASCII | re.DOTALL)
SIDES = {"DevTrain": "train", "DevTest": "test"}


class LFW(Settings):
    """LFW as its owners distribute it: ``lfw/PERSON/PERSON_0001.jpg`` and lists of people.

    Columns: ``images_of_person`` (number) and, where people.txt is there, ``fold`` (1 to 10).
    """

    name: Literal["lfw"] = "lfw"
    root: Path = Field(description="Folder that holds the folder lfw and the lists of people.")
    split: SplitBy = Field(
        default="owner",
        description="'owner': view 1, with a tenth of the training people drawn for validation; "
        "'drawn': a split drawn by selection, by person.",
    )

    @property
    def annotation(self) -> str:
        return (
            "LFW comes without annotated attributes; who is shown was taken from the captions of "
            "news photographs."
        )

    @property
    def source(self) -> str:
        return "not stated"

    def collect(self, seed: int) -> Collection:
        """One row per image below a person's folder; people on no list are set aside.

        Raises:
            FileNotFoundError: The folder or, for the owner's split, the lists do not exist.
            EmptyDatasetError: No image is named the way LFW names them.
            DataError: A list is cut off or names a person twice.
            SplitLeakageError: A person is on the lists of both training and testing.
            QuarantineLimitExceededError: Too many listed images are missing.
        """
        require_folder(self.root, WHERE)
        images = next((self.root / name for name in FOLDERS if (self.root / name).is_dir()), None)
        if images is None:
            require_paths([self.root / "lfw"], WHERE)
        assert images is not None  # else the line above has raised
        rows, odd = _found(images)
        rows["fold"] = rows["subject_id"].map(_folds(self.root / "people.txt"))
        rows = rows.dropna(axis="columns", how="all")
        if self.split == "drawn":
            return self._collected(rows, images, {}, odd)
        sides, counts = self._sides()
        rows["split"] = rows["subject_id"].map(sides)
        unlisted = unlisted_files(rows["file"][rows["split"].isna()].tolist(), images)
        listed = rows[rows["split"].notna()]
        found = self._collected(listed, images, counts, [*odd, *unlisted])
        return replace(found, samples=completed_split(found.samples, seed))

    def _sides(self) -> tuple[dict[str, str], dict[str, int]]:
        """Split of every person of view 1 and, from the lists of people, how many images."""
        lists = {name: self.root / f"people{name}.txt" for name in SIDES}
        pairs = {name: self.root / f"pairs{name}.txt" for name in SIDES}
        if not any(path.exists() for path in lists.values()) and pairs["DevTrain"].exists():
            require_paths(list(pairs.values()), WHERE)
            people = {name: dict.fromkeys(_paired(path), 0) for name, path in pairs.items()}
        else:
            require_paths(list(lists.values()), WHERE)
            people = {name: _only_section(path) for name, path in lists.items()}
        both = sorted(set(people["DevTrain"]) & set(people["DevTest"]))
        if both:
            raise SplitLeakageError(
                f"{len(both)} people are on the lists of both training and testing in "
                f"{shown(self.root)}, first: {shown(both[0])}; set data.split to 'drawn', or get "
                f"the lists from {WHERE}"
            )
        sides = {person: SIDES[name] for name in SIDES for person in people[name]}
        return sides, people["DevTrain"] | people["DevTest"]

    def _collected(
        self, rows: pd.DataFrame, folder: Path, counts: Mapping[str, int], odd: list[Rejected]
    ) -> Collection:
        """Rows with ids, and what is set aside: images that a list counts but are not there."""
        present = set(rows["file"])
        expected = [
            (person, f"{person}/{person}_{number:04d}.jpg")
            for person, count in counts.items()
            for number in range(1, count + 1)
        ]
        absent = [(person, name) for person, name in expected if name not in present]
        if absent:
            known = rows.drop_duplicates("subject_id").set_index("subject_id").drop(columns="file")
            more = pd.DataFrame(absent, columns=["subject_id", "file"])
            rows = pd.concat([rows, more.join(known, on="subject_id")], ignore_index=True)
            rows["images_of_person"] = rows["images_of_person"].fillna(0).astype("int64")
        # Names of people have no place in ids, which reports may show.
        found = matched(rows, present, folder, named=hashed_ids)
        rejected = (*odd, *found.rejected)
        return Collection(samples=found.samples, rejected=rejected, lost=found.lost)


def _found(folder: Path) -> tuple[pd.DataFrame, list[Rejected]]:
    """Every image of every person, from one listing a person."""
    with os.scandir(folder) as entries:
        people = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    listed = [(person, sorted(regular_files(folder / person))) for person in people]
    files = [(person, name) for person, names in listed for name in names]
    fit = [(person, name) for person, name in files if _person_of(name) == person]
    if not fit:
        raise EmptyDatasetError(
            f"{shown(folder)} holds {len(files)} images in {len(people)} folders but none like "
            f"'Aaron_Peirsol/Aaron_Peirsol_0001.jpg'; get LFW from {WHERE}"
        )
    rows = pd.DataFrame(fit, columns=["subject_id", "file"])
    rows["file"] = rows["subject_id"] + "/" + rows["file"]
    rows["images_of_person"] = rows.groupby("subject_id")["file"].transform("size")
    detail = "the name does not follow PERSON/PERSON_0001.jpg"
    odd = [
        set_aside(name, f"{folder}/{person}/{name}", "name not understood", detail)
        for person, name in files
        if _person_of(name) != person
    ]
    return rows, odd


def _person_of(name: str) -> str:
    match = NAME.fullmatch(name)
    return match["person"] if match and is_text(name) else ""


def _folds(path: Path) -> dict[str, str]:
    """Fold of view 2 of every person, or nothing without the list."""
    if not path.is_file():
        return {}
    (stated, loose), *sections = _sections(path)
    if loose or stated != len(sections):
        raise DataError(
            f"{shown(path)} says {stated} folds but has {len(sections)}; get it from {WHERE}"
        )
    folds: dict[str, str] = {}
    for number, section in enumerate(sections, start=1):
        people = _full(section, path)
        twice = sorted(set(people) & set(folds))
        if twice:
            raise DataError(
                f"{shown(path)} puts {len(twice)} people in two folds, first: {shown(twice[0])}"
            )
        folds |= dict.fromkeys(people, str(number))
    return folds


def _only_section(path: Path) -> dict[str, int]:
    sections = _sections(path)
    if len(sections) != 1:
        raise DataError(
            f"{shown(path)} must be one count and a list of people, got {len(sections)} lists"
        )
    return _full(sections[0], path)


def _full(section: tuple[int, dict[str, int]], path: Path) -> dict[str, int]:
    stated, people = section
    if stated != len(people):
        raise DataError(
            f"{shown(path)} says {stated} people but has {len(people)}; it may be cut off: get it "
            f"again from {WHERE}"
        )
    return people


def _sections(path: Path) -> list[tuple[int, dict[str, int]]]:
    """People with their numbers of images, in lists that each begin with how many there are.

    Raises:
        DataError: A line is neither, no line says how many, or a list names a person twice.
    """
    sections: list[tuple[int, dict[str, int]]] = []
    for number, line in enumerate(_lines(path), start=1):
        person, _, count = line.rpartition(" ")
        if not count.isdigit() or (person and not sections):
            raise DataError(
                f"{shown(path)}, line {number}: neither a count nor a person and a count"
            )
        if not person:
            sections.append((int(count), {}))
        elif person in sections[-1][1]:
            raise DataError(f"{shown(path)}, line {number}: {shown(person)} is named twice")
        else:
            sections[-1][1][person] = int(count)
    if not sections:
        raise DataError(f"{shown(path)} is empty; get it again from {WHERE}")
    return sections


def _paired(path: Path) -> Iterator[str]:
    """People of a list of pairs: ``person 1 2`` or ``person 1 other 2``."""
    for line in _lines(path)[1:]:
        yield from re.split(r"(?: \d+)+(?: |$)", line)[:-1]


def _lines(path: Path) -> list[str]:
    text = read_bytes(path, " ").decode()
    return [line for line in text.split("\n") if line]

"""FairFace: faces chosen so that seven annotated races are about equally many.

Images: 97,698 face photographs (86,744 and 10,954), mostly from Flickr (YFCC-100M), cropped
    and aligned by dlib with a margin of 0.25 or 1.25.
Labels: perceived gender, annotated race and a range of ages, by three crowd workers (Amazon
    Mechanical Turk) an image: two of three had to agree, else three others were asked; labels that
    a model trained on them disputed were looked at again. None is self-reported.
Splits: train and validation; there is no test set, so the validation set is used as one.
Source: github.com/joojs/fairface, two label files and the images in the folders train and val.
Citation: Karkkainen, Joo 2021, FairFace: Face Attribute Dataset for Balanced Race, Gender, and Age
    for Bias Measurement and Mitigation.
Licence: CC BY 4.0 for the labels and crops; the photographs have licences of their own.
Known problems: race and binary gender are judged from looks; ages are ranges; people photographed
    several times are not marked, so one person can fall on both sides of a split; copies of the
    label files that went through a spreadsheet have dates for ages and are refused.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

import pandas as pd
from pydantic import Field

from debias.datasets.listing import regular_files, require_folder, require_paths
from debias.datasets.owners_lists import SplitBy, completed_split, matched
from debias.datasets.people import WithPeople
from debias.datasets.places import Listing, Place, accounted, files_like, mostly, tree
from debias.errors import DataError
from debias.storage.files import shown
from debias.storage.tables import marked, read_csv, require_columns
from debias.types import Collection, Rejected

WHERE = "https://github.com/joojs/fairface (label files and one of the two image archives)"
PARTS = {"train": "train", "val": "test"}  # others report their results on val
NAME = re.compile(r"\d+\.jpg", re.ASCII)
UNSPLIT = "Only the part {} of FairFace is there: instead of the owner's split one is drawn."
VALUES = {
    "age": ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70"),
    "gender": ("Male", "Female"),
    "race": (
        "White", "Black", "Indian", "East Asian", "Southeast Asian", "Middle Eastern",
        "Latino_Hispanic",
    ),
}  # fmt: skip


class FairFace(WithPeople):
    """FairFace as its owners distribute it.

    Columns: ``perceived_gender`` (male, female), ``annotated_race`` (White, Black, Indian,
    East Asian, Southeast Asian, Middle Eastern, Latino_Hispanic), ``age_range`` (text: 0-2, 3-9,
    10-19, ..., 60-69, more than 70) and ``service_test`` (True for the images with which the
    owners tested commercial services).
    """

    groups: ClassVar[tuple[str, ...]] = ("perceived_gender", "annotated_race", "age_range")
    source: ClassVar[str] = "annotated"
    annotation: ClassVar[str] = (
        "Gender, race and age in FairFace were annotated by crowd workers, looking at the "
        "photographs: they say how people are perceived, not how they describe themselves."
    )
    name: Literal["fairface"] = "fairface"
    root: Path = Field(description="Folder that holds the two label files, train and val.")
    split: SplitBy = Field(
        default="owner",
        description="'owner': val is the test set and a tenth of train is drawn for validation; "
        "'drawn': a split of all images drawn by selection.",
    )

    def collect(self, seed: int) -> Collection:
        """One row per image that a label file names and a folder holds.

        Raises:
            FileNotFoundError: The folder, a label file or an image folder does not exist.
            DataError: A label file lacks a column, names an image twice or has dates for ages.
        """
        require_folder(self.root, WHERE)
        place = self.find(tree(self.root)) or Place()
        images, tables = place.images or self.root, place.tables
        # Of one part alone no split can be made: half of a part is a part that is broken.
        there = [part for part in PARTS if part in tables or (images / part).is_dir()]
        parts = there if self.split == "drawn" and there else list(PARTS)
        named = {part: self.root / f"fairface_label_{part}.csv" for part in PARTS} | {**tables}
        require_paths([path for part in parts for path in (named[part], images / part)], WHERE)
        read = [_labelled(named[part], part) for part in parts]
        rows = pd.concat([rows for rows, _ in read], ignore_index=True)
        rejected, names = [item for _, items in read for item in items], rows["file"].tolist()
        present = {f"{part}/{name}" for part in parts for name in regular_files(images / part)}
        if self.split == "drawn":
            found = matched(rows.drop(columns="split"), present, images, rejected)
            alone = (UNSPLIT.format(*parts),) if len(parts) == 1 else ()
            found = replace(found, remarks=alone)
        else:
            found = matched(rows, present, images, rejected)
        found = self.with_people(accounted(found, self.root, place, names))
        return completed_split(found, seed)

    @classmethod
    def find(cls, listings: Sequence[Listing]) -> Place | None:
        """Where the label files lie, and the folder that holds train, val or both."""
        tables = {part: path for part in PARTS if (path := _label_file(listings, part))}
        within = [
            one
            for one in listings
            if mostly(one.files, NAME.fullmatch) and one.place.name.lower() in PARTS
        ]
        around = [one.place.parent for one in within]
        called = any("fairface" in name.lower() for one in around for name in one.parts[-3:])
        if not tables and not called:
            return None
        beside = {path.parent for path in tables.values()}  # not where only the numbers agree
        images = max(around, key=lambda one: (one in beside, around.count(one)), default=None)
        lacks = "" if tables else "its label files, fairface_label_train.csv and _val.csv"
        there = {one.place.name for one in within if one.place.parent == images} | {*tables}
        settings = {} if there.issuperset(PARTS) else {"split": "drawn"}
        return Place(images=images, tables=tables, settings=settings, lacks=lacks)


def _label_file(listings: Sequence[Listing], part: str) -> Path | None:
    """The owners' file, or a CSV file called after the part that has their columns."""
    owners = files_like(listings, rf"fairface_labels?_{part}\.csv")
    others = files_like(listings, rf"(fairface_?)?(labels?_)?{part}(_labels?)?\.csv")
    return next(owners, None) or next((path for path in others if _has_columns(path)), None)


def _has_columns(path: Path) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as file:
        names = file.readline(4096).decode(errors="replace").lstrip("\ufeff").strip().split(",")
    return {"file", *VALUES} <= {name.strip() for name in names}


def _labelled(table: Path, part: str) -> tuple[pd.DataFrame, list[Rejected]]:
    """The rows of the label file of a part; a bare ``1.jpg`` lies in the folder of that part."""
    rows, rejected = read_csv(table)
    require_columns(rows, ["file", *VALUES], table)
    dates = rows["age"][rows["age"].str.contains(r"^\d+-[A-Za-z]{3}$|^[A-Za-z]{3}-\d+$")]
    if len(dates):
        raise DataError(
            f"{shown(table)} has {len(dates)} dates for ages, first: {dates.iloc[0]!r}; a "
            f"spreadsheet changed 3-9 and 10-19 when it saved the file: get it again from {WHERE}"
        )
    known = pd.DataFrame({name: rows[name].isin(VALUES[name]) for name in VALUES})
    said = rows[list(VALUES)].where(known, "")  # what is no value is no group either
    labelled = pd.DataFrame(
        {
            "file": rows["file"].where(rows["file"].str.contains("/"), f"{part}/" + rows["file"]),
            "split": PARTS[part],
            "perceived_gender": said["gender"].str.lower(),
            "annotated_race": said["race"],
            "age_range": said["age"],
        }
    )
    if "service_test" in rows:
        labelled["service_test"] = rows["service_test"]
    odd = "age, gender or race is not one of FairFace's"
    return marked(labelled, known.all(axis=1).to_numpy(), table, odd), rejected

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

from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

import pandas as pd
from pydantic import Field

from debias.datasets.listing import regular_files, require_folder, require_paths
from debias.datasets.owners_lists import SplitBy, completed_split, matched
from debias.errors import DataError
from debias.plugins import Settings
from debias.storage.files import shown
from debias.storage.tables import marked, read_csv, require_columns
from debias.types import Collection, Rejected

WHERE = "https://github.com/joojs/fairface (label files and one of the two image archives)"
PARTS = {"train": "train", "val": "test"}  # others report their results on val
ARCHIVES = ("", "fairface-img-margin025-trainval", "fairface-img-margin125-trainval")
VALUES = {
    "age": ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "more than 70"),
    "gender": ("Male", "Female"),
    "race": (
        "White", "Black", "Indian", "East Asian", "Southeast Asian", "Middle Eastern",
        "Latino_Hispanic",
    ),
}  # fmt: skip


class FairFace(Settings):
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
        places = [self.root / archive for archive in ARCHIVES]
        images = next((place for place in places if (place / "train").is_dir()), self.root)
        tables = {part: self.root / f"fairface_label_{part}.csv" for part in PARTS}
        require_paths([*tables.values(), *(images / part for part in PARTS)], WHERE)
        read = [_labelled(tables[part], PARTS[part]) for part in PARTS]
        rows = pd.concat([rows for rows, _ in read], ignore_index=True)
        rejected = [item for _, items in read for item in items]
        present = {f"{part}/{name}" for part in PARTS for name in regular_files(images / part)}
        if self.split == "drawn":
            return matched(rows.drop(columns="split"), present, images, rejected)
        found = matched(rows, present, images, rejected)
        return replace(found, samples=completed_split(found.samples, seed))


def _labelled(table: Path, split: str) -> tuple[pd.DataFrame, list[Rejected]]:
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
            "file": rows["file"],
            "split": split,
            "perceived_gender": said["gender"].str.lower(),
            "annotated_race": said["race"],
            "age_range": said["age"],
        }
    )
    if "service_test" in rows:
        labelled["service_test"] = rows["service_test"]
    odd = "age, gender or race is not one of FairFace's"
    return marked(labelled, known.all(axis=1).to_numpy(), table, odd), rejected

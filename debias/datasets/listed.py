"""Lists of images: the Pilot Parliaments Benchmark and its like.

Images: 1,270 portraits of members of six national parliaments (Rwanda, Senegal, South Africa,
    Iceland, Finland, Sweden), in the folder ``imgs`` beside ``PPB-2017-metadata.csv``.
Labels: perceived gender, from names, titles and appearance, by annotators; skin type on the
    six-point Fitzpatrick scale, labelled from the photograph by a dermatologist after annotators.
Splits: none distributed; the set was made for testing and is small for training.
Source: by request from the Algorithmic Justice League, www.ajl.org; project page gendershades.org.
Citation: Buolamwini, Gebru 2018, Gender Shades: Intersectional Accuracy Disparities in Commercial
    Gender Classification.
Licence: terms of the Algorithmic Justice League, research use; the photographs belong to the
    parliaments that published them.
Known problems: skin type read off a photograph depends on light and camera; gender is binary; the
    six countries were chosen for contrast, so country goes with skin type; faces only.

Another list with a file name, a gender and a skin type a row is read by naming its columns.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import Field, model_validator

from debias.datasets.listing import regular_files, require_folder, require_paths
from debias.datasets.owners_lists import (
    matched,
)
from debias.errors import (
    DataError,
)
from debias.plugins import Settings
from debias.storage.names import shown
from debias.storage.tables import OURS, marked, plain_name, read_csv, require_columns
from debias.types import Collection

WHERE = "the Algorithmic Justice League, https://www.ajl.org (by request; see gendershades.org)"
TYPES = {"I": "1", "II": "2", "III": "3", "IV": "4", "V": "5", "VI": "6"}
LIGHTER = ("1", "2", "3")
UNSTATED = "The list does not say who annotated the attributes or how."


class ListedFaces(Settings):
    """A CSV with one image a row: file name, gender, Fitzpatrick skin type; PPB as it comes.

    Columns: ``perceived_gender``, ``skin_type_fitzpatrick`` (1 to 6), ``skin_type_group`` (lighter
    for 1 to 3, darker for 4 to 6) and every other column of the list, in lower case.
    """

    name: Literal["listed"] = "listed"
    root: Path = Field(description="Folder that holds the list and the images.")
    table: Path | None = Field(
        default=None, description="The list; empty: PPB-2017-metadata.csv in root."
    )
    images: str = Field(default="imgs", description="Folder of the images below root.")
    file_column: str = Field(default="filename", description="Column with the file name.")
    gender_column: str = Field(default="gender", description="Column with the perceived gender.")
    skin_type_column: str = Field(
        default="fitzpatrick skin type category",
        description="Column with the Fitzpatrick skin type, 1 to 6 or I to VI.",
    )
    group_column: str = Field(
        default="bi.fitz",
        description="Column that says lighter or darker; checked against the type where it exists.",
    )
    annotation: str = Field(
        default="Gender in the Pilot Parliaments Benchmark was labelled from names, titles and "
        "photographs, skin type from photographs by annotators and a dermatologist: they say how "
        "people are perceived, not how they describe themselves.",
        description="Who annotated the attributes and how; printed in the report.",
    )
    source: Literal["self-reported", "annotated", "inferred", "not stated"] = Field(
        default="annotated", description="The same in a word; machine guesses get a warning."
    )

    @model_validator(mode="before")
    @classmethod
    def _of_another_list(cls, values: Any) -> Any:  # noqa: ANN401 (raw configuration)
        """What holds for PPB is not claimed of a list that somebody else wrote."""
        if isinstance(values, Mapping) and values.get("table") is not None:
            return {"annotation": UNSTATED, "source": "not stated", **values}
        return values

    def collect(self, seed: int) -> Collection:
        """One row per image that the list names and the folder holds.

        Raises:
            FileNotFoundError: The folder, the list or the image folder does not exist.
            DataError: The list lacks a column, names an image twice or contradicts itself.
            QuarantineLimitExceededError: Too many rows or images are unreadable or missing.
        """
        require_folder(self.root, WHERE)
        table, images = self.table or self.root / "PPB-2017-metadata.csv", self.root / self.images
        require_paths([table, images], WHERE)
        rows, rejected = read_csv(table)
        needed = (self.file_column, self.gender_column, self.skin_type_column)
        require_columns(rows, needed, table)
        found = matched(self._labelled(rows, table), regular_files(images), images, rejected)
        return Collection(samples=found.samples, rejected=found.rejected, lost=found.lost)

    def _labelled(self, rows: pd.DataFrame, table: Path) -> pd.DataFrame:
        given = rows[self.skin_type_column].str.upper().replace(TYPES)
        known = given.isin([*TYPES.values(), ""]).to_numpy()
        given = given.where(known, "")  # what is no type is no group either
        group = given.isin(LIGHTER).map({True: "lighter", False: "darker"}).where(given != "", "")
        if self.group_column in rows:
            _require_agreement(rows, group, (self.file_column, self.group_column), table)
        used = {
            self.file_column, self.gender_column, self.skin_type_column, self.group_column,
            "image_id",
        }  # fmt: skip
        others = rows.drop(columns=used.intersection(rows.columns)).rename(columns=plain_name)
        mistakable = others.columns.isin([*OURS, "file"]) | others.columns.duplicated()
        labelled = others.loc[:, ~mistakable].assign(
            file=rows[self.file_column],
            perceived_gender=rows[self.gender_column].str.lower(),
            skin_type_fitzpatrick=given,
            skin_type_group=group,
        )
        return marked(labelled, known, table, "skin type is not 1 to 6")


def _require_agreement(
    rows: pd.DataFrame, group: "pd.Series[str]", columns: tuple[str, str], table: Path
) -> None:
    """Refuse a list whose groups (of the second column) are not those of its skin types."""
    files, column = columns
    stated = rows[column].str.lower()
    odd = (stated != group) & (stated != "") & (group != "")
    if odd.any():
        first = rows[files][odd].iloc[0]
        raise DataError(
            f"{shown(table)}: {odd.sum()} rows contradict themselves, first {shown(first)}: "
            f"{shown(column)} does not go with the skin type (lighter is 1 to 3, darker 4 to 6); "
            "repair the list"
        )

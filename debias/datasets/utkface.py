"""UTKFace: labels are read from the file names.

Images: 23,708 aligned and cropped face photographs from the web, 200 x 200 (other sizes work).
Labels: age in years, perceived gender, annotated race, estimated by a model (DEX) and checked by
    a human annotator; none is self-reported.
Splits: none distributed.
Source: the data set's page, susanqq.github.io/UTKFace; "Aligned&Cropped Faces".
Citation: Zhang, Song, Qi 2017, Age Progression/Regression by Conditional Adversarial Autoencoder.
Licence: non-commercial research only; copyright stays with the original owners of the images.
Known problems: duplicates, some with conflicting labels; a few wrong labels and malformed names;
    no identities, so one person can fall on both sides of a split; labels of babies mean little.
"""

import re
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field

from debias.datasets.folder import require_folder
from debias.errors import EmptyDatasetError
from debias.settings import Settings
from debias.types import Collection, Rejected

GENDERS = ("male", "female")
RACES = ("White", "Black", "Asian", "Indian", "Others")
NAME = re.compile(r"(?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_(?P<taken>\d+)\.jpg")
WHERE = "https://susanqq.github.io/UTKFace (the aligned and cropped version)"


class UTKFace(Settings):
    """A folder of UTKFace images named ``age_gender_race_datetime.jpg[.chip.jpg]``.

    Columns: ``perceived_gender`` (male, female), ``annotated_race`` (White, Black, Asian, Indian,
    Others), ``age`` (years).
    """

    name: Literal["utkface"] = "utkface"
    root: Path = Field(description="Folder that holds the images.")

    @property
    def annotation(self) -> str:
        return (
            "Age, gender and race in UTKFace were estimated by a model and checked by annotators: "
            "they say how people are perceived, not how they describe themselves."
        )

    @property
    def source(self) -> str:
        return "annotated"

    def collect(self, seed: int) -> Collection:
        """One row per image whose name can be read; files with other names are set aside.

        Raises:
            FileNotFoundError: The folder does not exist.
            EmptyDatasetError: It holds no image named the way UTKFace names them.
        """
        require_folder(self.root, WHERE)
        files = sorted(path for path in self.root.iterdir() if path.suffix == ".jpg")
        rows = [_row(path) for path in files if NAME.match(path.name)]
        if not rows:
            raise EmptyDatasetError(
                f"{self.root} holds {len(files)} .jpg files but none named like "
                f"'23_1_0_20170103.jpg.chip.jpg'; get UTKFace from {WHERE}"
            )
        others = tuple(_other(path) for path in files if not NAME.match(path.name))
        return Collection(samples=pd.DataFrame(rows), rejected=others)


def _other(path: Path) -> Rejected:
    detail = "the name does not follow age_gender_race_datetime"
    return Rejected(
        sample_id=path.name, path=str(path), reason="name not understood", detail=detail
    )


def _row(path: Path) -> dict[str, object]:
    match = NAME.match(path.name)
    assert match is not None  # filtered by the caller
    return {
        "sample_id": path.name.partition(".jpg")[0],
        "path": str(path),
        "perceived_gender": GENDERS[int(match["gender"])],
        "annotated_race": RACES[int(match["race"])],
        "age": int(match["age"]),
    }

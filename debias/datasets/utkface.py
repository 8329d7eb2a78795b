"""UTKFace: labels are read from the file names.

Images: 23,708 aligned and cropped face photographs from the web, 200 x 200 (other sizes work).
Labels: age in years, perceived gender, annotated race, estimated by a model (DEX) and checked by
    a human annotator; none is self-reported.
Splits: none distributed.
Source: the data set's page, susanqq.github.io/UTKFace; "Aligned&Cropped Faces".
Citation: Zhang, Song, Qi 2017, Age Progression/Regression by Conditional Adversarial Autoencoder.
Licence: non-commercial research only; copyright stays with the original owners of the images.
Known problems: duplicates, some with conflicting labels; a few wrong labels and malformed names;
    no identities, so one person can fall on both sides of a split; "Others" stands for several
    groups; labels of babies mean little.
"""

import re
from pathlib import Path
from typing import ClassVar, Literal

import pandas as pd
from pydantic import Field

from debias.datasets.listing import Entry, image_problem, require_folder, set_aside, walk
from debias.errors import EmptyDatasetError
from debias.plugins import Settings
from debias.storage.files import shown
from debias.storage.tables import require_unique
from debias.types import Collection

GENDERS = ("male", "female")
RACES = ("White", "Black", "Asian", "Indian", "Others")
NAME = re.compile(
    r"((?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_\d+)(\.jpg)?(\.chip)?\.\w+", re.ASCII
)
IRREGULAR, ODD = "not a regular file", "name not understood"
DETAIL = "the name is not text that follows age_gender_race_datetime"
WHERE = "https://susanqq.github.io/UTKFace (the aligned and cropped version)"


class UTKFace(Settings):
    """A folder of UTKFace images named ``age_gender_race_datetime.jpg[.chip.jpg]``.

    Columns: ``perceived_gender`` (male, female), ``annotated_race`` (White, Black, Asian, Indian,
    Others), ``age`` (years).
    """

    groups: ClassVar[tuple[str, ...]] = ("perceived_gender", "annotated_race")
    source: ClassVar[str] = "annotated"
    annotation: ClassVar[str] = (
        "Age, gender and race in UTKFace were estimated by a model and checked by annotators: "
        "they say how people are perceived, not how they describe themselves."
    )
    name: Literal["utkface"] = "utkface"
    root: Path = Field(description="Folder that holds the images.")

    def collect(self, seed: int) -> Collection:
        """One row per image whose name can be read; everything else that lies there is set aside.

        Raises:
            FileNotFoundError: The folder does not exist.
            EmptyDatasetError: It holds no image named the way UTKFace names them.
            DuplicateIdError: It holds one image with and without ".chip" in its name.
        """
        require_folder(self.root, WHERE)
        problems = {entry.name: _problem(entry) for entry in sorted(walk(self.root))}
        files = [name for name, why in problems.items() if not why]
        if not files:
            count = sum(why != "not an image file" for why in problems.values())
            raise EmptyDatasetError(
                f"{shown(self.root.absolute())} holds {count} images but none named like "
                f"'23_1_0_20170103.jpg.chip.jpg'; get UTKFace from {WHERE}"
            )
        samples = pd.DataFrame([_row(name, self.root) for name in files])
        require_unique(samples["sample_id"], f"{shown(self.root)} (with and without .chip)")
        # Of links and the like the name says who is shown, unless an image has the same id.
        odd = [_row(name, self.root) for name, why in problems.items() if why == IRREGULAR]
        lost = pd.DataFrame(odd, columns=samples.columns).dropna().drop_duplicates("sample_id")
        lost = lost[~lost["sample_id"].isin(samples["sample_id"])].astype(samples.dtypes)
        known = dict(zip(lost["path"], lost["sample_id"], strict=True))
        rejected = [
            set_aside(name, path, why, DETAIL if why == ODD else "", known.get(path, ""))
            for name, why in problems.items()
            if why
            for path in [f"{self.root}/{name}"]
        ]
        lost = lost.reset_index(drop=True)
        return Collection(
            samples=samples, rejected=tuple(rejected), lost=lost if len(lost) else None
        )


def _problem(entry: Entry) -> str:
    problem = image_problem(entry) or ("in a subfolder" if "/" in entry.name else "")
    return problem or ("" if NAME.fullmatch(entry.name) else ODD)


def _row(name: str, root: Path) -> dict[str, object]:
    """What a name says; nothing if it says nothing."""
    match = NAME.fullmatch(name)
    return {"sample_id": match[1], "path": f"{root}/{name}"} | said(name) if match else {}


def said(name: str) -> dict[str, object]:
    """Gender, race and age that the name of an image says; nothing if it says nothing."""
    match = NAME.fullmatch(name)
    if match is None:
        return {}
    return {
        "perceived_gender": GENDERS[int(match["gender"])],
        "annotated_race": RACES[int(match["race"])],
        "age": int(match["age"]),
    }

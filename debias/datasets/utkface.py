"""UTKFace: labels are read from the file names.

Images: 23,708 aligned and cropped face photographs from the web, 200 x 200 (other sizes work).
Labels: age in years, perceived gender, annotated race, estimated by a model (DEX) and checked by
    a human annotator; none is self-reported.
Splits: none distributed; folders named train, val and test of whoever sorted the images so.
Source: the data set's page, susanqq.github.io/UTKFace; "Aligned&Cropped Faces", or those "in the
    Wild" (part1 to part3); of two files of one name, such as those of Kaggle's crop_part1, one is
    read.
Citation: Zhang, Song, Qi 2017, Age Progression/Regression by Conditional Adversarial Autoencoder.
Licence: non-commercial research only; copyright stays with the original owners of the images.
Known problems: duplicates, some with conflicting labels; a few wrong labels and malformed names;
    no identities, so one person can fall on both sides of a split; "Others" stands for several
    groups; labels of babies mean little.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar, Literal

import pandas as pd
from pydantic import Field

from debias.datasets.listing import (
    IRREGULAR,
    Entry,
    image_problem,
    namesake,
    require_folder,
    set_aside,
    unread_tables,
    walked,
)
from debias.datasets.owners_lists import OWNER_SPLIT, SplitBy, completed_split
from debias.datasets.people import WithPeople
from debias.datasets.places import FEW, Listing, Place, mostly
from debias.datasets.ways import sorted_by_folders
from debias.decoding.rules import is_photograph
from debias.errors import EmptyDatasetError
from debias.storage.files import shown
from debias.types import Collection

GENDERS = ("male", "female")
RACES = ("White", "Black", "Asian", "Indian", "Others")
NAME = re.compile(
    r"((?P<age>\d{1,3})_(?P<gender>[01])_(?P<race>[0-4])_\d+)(\.jpg)?(\.chip)?\.\w+", re.ASCII
)
ODD = "name not understood"
DETAIL = "the name is not text that follows age_gender_race_datetime"
FEW_NAMED = 0.1  # share of the images in a folder
WHERE = "https://susanqq.github.io/UTKFace (the aligned and cropped version)"


class UTKFace(WithPeople):
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
    root: Path = Field(description="Folder below which the images lie.")
    split: SplitBy = Field(
        default="owner", description=f"'owner': folders named train, val and test{OWNER_SPLIT}"
    )

    def collect(self, seed: int) -> Collection:
        """One row per image whose name can be read; everything else that lies there is set aside.

        Of images of one name, with or without ".chip" or in two folders, the one counts that lies
        in the folder with more images.

        Raises:
            FileNotFoundError: The folder does not exist.
            EmptyDatasetError: It holds no image named the way UTKFace names them.
        """
        require_folder(self.root, WHERE)
        problems = {entry.name: _problem(entry) for entry in walked(self.root)}
        files = [name for name, why in problems.items() if not why]
        if not files:
            count = sum(why != "not an image file" for why in problems.values())
            links = sum(why == IRREGULAR for why in problems.values())
            apart = f" ({links} are links, which are not followed: copy the files)" * bool(links)
            raise EmptyDatasetError(
                f"{shown(self.root.absolute())} holds {count} images{apart} but none named like "
                f"'23_1_0_20170103.jpg.chip.jpg'; get UTKFace from {WHERE}"
            )
        everyone = pd.DataFrame([_row(name, self.root) for name in _largest_first(files)])
        again = everyone["sample_id"].duplicated()
        read = everyone[~again].set_index("sample_id")["path"]
        others = everyone[again].set_index("path")["sample_id"].map(read)
        copies = {str(path): namesake(str(path), other) for path, other in others.items()}
        samples = everyone[~again].sort_values("path", ignore_index=True)
        # Of links and the like the name says who is shown, unless an image has the same id.
        odd = [_row(name, self.root) for name, why in problems.items() if why == IRREGULAR]
        lost = pd.DataFrame(odd, columns=samples.columns).dropna().drop_duplicates("sample_id")
        lost = lost[~lost["sample_id"].isin(samples["sample_id"])].astype(samples.dtypes)
        known = dict(zip(lost["path"], lost["sample_id"], strict=True))
        rejected = [
            set_aside(name, path, reason, DETAIL * (reason == ODD), known.get(path, ""))
            for name, why in problems.items()
            for path in [f"{self.root}/{name}"]
            if (reason := copies.get(path, why))
        ]
        lost = lost.reset_index(drop=True)
        known_lost = lost if len(lost) else None
        found = Collection(
            samples=samples, rejected=tuple(rejected), lost=known_lost,
            remarks=unread_tables(problems),
        )  # fmt: skip
        return self._split(self.with_people(found), seed)

    def _split(self, found: Collection, seed: int) -> Collection:
        """With the split that folders state, where they do so for every image."""
        names = found.samples["path"].str.removeprefix(f"{self.root}/")
        sides = [place.side for place in sorted_by_folders([*names]).values()]
        if self.split == "drawn" or not any(sides):
            return found
        if "train" not in sides or not all(sides):
            told = f"Only {sum(map(bool, sides)):,} of {len(sides):,} images lie in folders named "
            told += f"after a split ({', '.join(sorted({*sides} - {''}))}): a split is drawn."
            return replace(found, remarks=(*found.remarks, told))
        return completed_split(replace(found, samples=found.samples.assign(split=sides)), seed)

    @classmethod
    def find(cls, listings: Sequence[Listing]) -> Place | None:
        """Whether the images in the folder and below are named so, or in some of its folders."""
        there = [
            (one.place, pictures)
            for one in listings
            if (pictures := [name for name in one.files if is_photograph(name, bytes)])
        ]
        own = [place for place, names in there if mostly(names, NAME.fullmatch)]
        if not own:
            return _nearly(there)
        others = {place: len(names) for place, names in there if place not in own}
        if sum(others.values()) <= FEW * sum(len(names) for _, names in there):
            return Place(images=own[0])
        other, named = max(others, key=lambda place: others[place]), ", ".join(map(shown, own))
        return Place(
            images=own[0], lacks=f"a folder of its own: its images lie in {named}, others in "
            f"{shown(other)}; name its folder"
        )  # fmt: skip


def _nearly(there: Sequence[tuple[Path, list[str]]]) -> Place | None:
    """A folder in which some images are named so: too many for chance, too few for the set."""
    for place, names in there:
        count = sum(bool(NAME.fullmatch(name)) for name in names)
        if count > FEW_NAMED * len(names):
            return Place(
                images=place,
                lacks=f"names: {count} of {len(names)} images in {shown(place)} are called like "
                "23_1_0_20170103.jpg",
            )
    return None


def _largest_first(names: Sequence[str]) -> list[str]:
    """Paths by their folders, the one with the most images first."""
    size = Counter(name.rpartition("/")[0] for name in names)
    return sorted(names, key=lambda name: (-size[name.rpartition("/")[0]], name))


def _problem(entry: Entry) -> str:
    fits = NAME.fullmatch(entry.name.rpartition("/")[2])
    return image_problem(entry) or ("" if fits else ODD)


def _row(name: str, root: Path) -> dict[str, object]:
    """What a name says; nothing if it says nothing."""
    last = name.rpartition("/")[2]
    match = NAME.fullmatch(last)
    return {"sample_id": match[1], "path": f"{root}/{name}"} | said(last) if match else {}


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

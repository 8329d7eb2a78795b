"""Any folder with one folder a class, as torchvision's ImageFolder reads it.

Images: JPEG, PNG, WebP or BMP, ``root/CLASS/...`` or ``root/SPLIT/CLASS/...``.
Labels: the name of the folder; who sorted the images is for their owner to say.
Splits: folders named train, val (valid, validation) and test, or none (then they are drawn). They
    are splits and no classes where there is train and another, or train holds no image itself, or
    there is nothing else.
Source, citation, licence: those of the folder's owner.
Known problems: nothing says who is shown, so one person can fall on both sides of a split.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field

from debias.datasets.listing import (
    Entry,
    hashed_ids,
    image_problem,
    require_folder,
    set_aside,
    walk,
)
from debias.datasets.owners_lists import SPLIT_NAMES, SplitBy, completed_split
from debias.errors import EmptyDatasetError
from debias.plugins import Settings
from debias.storage.names import shown
from debias.types import Collection


class ImageFolder(Settings):
    """A folder of folders: each holds the images of one class.

    Columns: ``class``, the name of the folder.
    """

    name: Literal["image_folder"] = "image_folder"
    root: Path = Field(description="Folder that holds a folder per class, or per split.")
    split: SplitBy = Field(
        default="owner",
        description="'owner': folders named train, val and test decide, where there are such; "
        "without test, val is the test set; without both val and test, a tenth of train is drawn "
        "for validation; 'drawn': a split drawn by selection.",
    )
    annotation: str = Field(
        default="The folders do not say who sorted the images or how.",
        description="Who annotated the images and how; printed in the report.",
    )
    source: Literal["self-reported", "annotated", "inferred", "not stated"] = Field(
        default="not stated", description="The same in a word; machine guesses get a warning."
    )

    def collect(self, seed: int) -> Collection:
        """One row per image below a class folder; everything else is set aside.

        Raises:
            FileNotFoundError: The folder does not exist.
            EmptyDatasetError: No class folder holds an image.
        """
        require_folder(self.root, "the owner of the data")
        entries = sorted(walk(self.root))
        depth = 2 if _has_splits(entries) else 1
        wrong = {entry.name: _problem(entry, depth) for entry in entries}
        names = [name for name, problem in wrong.items() if not problem]
        if not names:
            raise EmptyDatasetError(
                f"{shown(self.root.absolute())} holds no image in a folder per class, like "
                "class/1.jpg or train/class/1.jpg"
            )
        samples = pd.DataFrame(
            {
                "sample_id": hashed_ids(names),
                "path": [f"{self.root}/{name}" for name in names],
                "class": [name.split("/")[depth - 1] for name in names],
            }
        )
        if depth == 2 and self.split == "owner":
            samples["split"] = [SPLIT_NAMES[_top(name)] for name in names]
            samples = completed_split(samples, seed)
        rejected = [
            set_aside(name, f"{self.root}/{name}", why, _detail(name, why, depth))
            for name, why in wrong.items()
            if why
        ]
        return Collection(samples=samples, rejected=tuple(rejected))


def _top(name: str) -> str:
    """The first folder of a path in lower case; empty for what lies in none."""
    return name.rpartition("/")[0].partition("/")[0].lower()


def _has_splits(entries: Sequence[Entry]) -> bool:
    """Whether the first folders are splits, whatever else was unpacked beside them."""
    images = [entry.name for entry in entries if not image_problem(entry)]
    tops = {_top(name) for name in images if "/" in name}
    splits = tops.intersection(SPLIT_NAMES)
    only_folders = all(name.count("/") > 1 for name in images if _top(name) == "train")
    return "train" in splits and (len(splits) > 1 or splits == tops or only_folders)


def _problem(entry: Entry, depth: int) -> str:
    problem = image_problem(entry)
    in_place = entry.name.count("/") >= depth and (depth == 1 or _top(entry.name) in SPLIT_NAMES)
    return problem or ("" if in_place else "in no class folder")


def _detail(name: str, reason: str, depth: int) -> str:
    """One sentence where the usual one does not say enough; else empty."""
    top = name.partition("/")[0]
    if reason != "in no class folder" or depth == 1 or _top(name) in {"", *SPLIT_NAMES}:
        return ""
    return f"the folder '{shown(top)}' is no split: none of {', '.join(SPLIT_NAMES)}"

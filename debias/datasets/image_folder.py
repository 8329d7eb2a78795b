"""Any folder with one folder a class, as torchvision's ImageFolder reads it.

Images: JPEG, PNG, WebP or BMP, ``root/CLASS/...`` or ``root/SPLIT/CLASS/...``.
Labels: the name of the folder; who sorted the images is for their owner to say.
Splits: folders named train, val (valid, validation) and test, or none (then they are drawn).
Source, citation, licence: those of the folder's owner.
Known problems: nothing says who is shown, so one person can fall on both sides of a split.
"""

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
from debias.settings import Settings
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
        tops = {entry.name.partition("/")[0].lower() for entry in entries if "/" in entry.name}
        depth = 2 if "train" in tops and tops <= set(SPLIT_NAMES) else 1
        wrong = {entry.name: _problem(entry, depth) for entry in entries}
        names = [name for name, problem in wrong.items() if not problem]
        if not names:
            raise EmptyDatasetError(
                f"{self.root.absolute()} holds no image in a folder per class, like class/1.jpg "
                "or train/class/1.jpg"
            )
        samples = pd.DataFrame(
            {
                "sample_id": hashed_ids(names),
                "path": [f"{self.root}/{name}" for name in names],
                "class": [name.split("/")[depth - 1] for name in names],
            }
        )
        if depth == 2 and self.split == "owner":
            samples["split"] = [SPLIT_NAMES[name.partition("/")[0].lower()] for name in names]
            samples = completed_split(samples, seed)
        rejected = [
            set_aside(name, f"{self.root}/{name}", why) for name, why in wrong.items() if why
        ]
        return Collection(samples=samples, rejected=tuple(rejected))


def _problem(entry: Entry, depth: int) -> str:
    problem = image_problem(entry)
    return problem or ("in no class folder" if entry.name.count("/") < depth else "")

"""Any folder of images, at any depth, about which nothing else is known.

Images: JPEG, PNG, WebP or BMP.
Labels, splits: none. Column ``folder`` says in which folder below the root an image lies.
Source, citation, licence: those of the folder's owner.
Known problems: nothing says who is shown, so one person can fall on both sides of a split.
"""

from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field

from debias.datasets.listing import hashed_ids, image_problem, require_folder, set_aside, walk
from debias.errors import EmptyDatasetError
from debias.plugins import Settings
from debias.storage.names import shown
from debias.types import Collection


class Images(Settings):
    """A folder of images.

    Columns: ``folder``, the place of an image below the root ("." for the root itself).
    """

    name: Literal["images"] = "images"
    root: Path = Field(description="Folder below which the images lie.")

    @property
    def annotation(self) -> str:
        return "Nobody annotated these images: nothing is known of who is shown."

    @property
    def source(self) -> str:
        return "not stated"

    def collect(self, seed: int) -> Collection:
        """One row per image; everything else that lies there is set aside.

        Raises:
            FileNotFoundError: The folder does not exist.
            EmptyDatasetError: There is no image in it.
        """
        require_folder(self.root, "the owner of the data")
        entries = sorted(walk(self.root))
        wrong = {entry.name: image_problem(entry) for entry in entries}
        names = [name for name, problem in wrong.items() if not problem]
        if not names:
            raise EmptyDatasetError(
                f"{shown(self.root.absolute())} holds {len(entries)} files, none of them an image"
            )
        samples = pd.DataFrame(
            {
                "sample_id": hashed_ids(names),
                "path": [f"{self.root}/{name}" for name in names],
                "folder": [name.rpartition("/")[0] or "." for name in names],
            }
        )
        rejected = [
            set_aside(name, f"{self.root}/{name}", why) for name, why in wrong.items() if why
        ]
        return Collection(samples=samples, rejected=tuple(rejected))

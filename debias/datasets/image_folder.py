"""Any folder with one folder a class, as torchvision's ImageFolder reads it.

Images: JPEG, PNG, WebP or BMP, ``root/CLASS/...`` or ``root/SPLIT/CLASS/...``.
Labels: the name of the folder; who sorted the images is for their owner to say.
Splits: folders named train, val (valid, validation) and test, or none (then they are drawn).
Source, citation, licence: those of the folder's owner.
Known problems: nothing says who is shown, so one person can fall on both sides of a split.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import pandas as pd
from pydantic import Field

from debias.datasets.folder import require_folder
from debias.datasets.owners_lists import SUFFIXES, SplitBy, completed_split, hashed_ids, safe_text
from debias.errors import EmptyDatasetError
from debias.settings import Settings
from debias.types import Collection, Rejected

SPLIT_NAMES = {
    "train": "train", "val": "validation", "valid": "validation", "validation": "validation",
    "test": "test",
}  # fmt: skip


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
        files = sorted(_walk(self.root), key=lambda file: file.name)
        tops = {file.name.partition("/")[0].lower() for file in files if "/" in file.name}
        depth = 2 if "train" in tops and tops <= set(SPLIT_NAMES) else 1
        wrong = {file.name: _problem(file, depth) for file in files}
        names = [name for name, problem in wrong.items() if not problem]
        if not names:
            raise EmptyDatasetError(
                f"{self.root.absolute()} holds no image in a folder per class, like class/1.jpg "
                "or train/class/1.jpg"
            )
        samples = pd.DataFrame(
            {
                "sample_id": hashed_ids(names),
                "path": [f"{self.root}{os.sep}{name}" for name in names],
                "class": [name.split("/")[depth - 1] for name in names],
            }
        )
        if depth == 2 and self.split == "owner":
            samples["split"] = [SPLIT_NAMES[name.partition("/")[0].lower()] for name in names]
            samples = completed_split(samples, seed)
        rejected = [_set_aside(self.root, name, why) for name, why in wrong.items() if why]
        return Collection(samples=samples, rejected=tuple(rejected))


class _File(NamedTuple):
    name: str  # below the root, with "/" between folders
    regular: bool


def _walk(root: Path) -> Iterator[_File]:
    """Everything below a folder but hidden names; links are named and not followed."""
    waiting = [""]
    while waiting:
        folder = waiting.pop()
        with os.scandir(root / folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                name = f"{folder}/{entry.name}" if folder else entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(name)
                else:
                    yield _File(name, entry.is_file(follow_symlinks=False))


def _problem(file: _File, depth: int) -> str:
    if not file.regular:
        return "not a regular file"
    if not file.name.lower().endswith(SUFFIXES):
        return "not an image file"
    if file.name.count("/") < depth:
        return "in no class folder"
    return "" if safe_text(file.name) == file.name else "name not understood"


def _set_aside(root: Path, name: str, reason: str) -> Rejected:
    details = {
        "not a regular file": "a link, pipe or device; links are not followed",
        "not an image file": f"the name ends in none of {', '.join(SUFFIXES)}",
        "in no class folder": "images count where a folder names their class",
        "name not understood": "the name is not valid text",
    }
    return Rejected(
        sample_id=safe_text(name),
        path=safe_text(str(root / name)),
        reason=reason,
        detail=details[reason],
    )

"""Lists of images as their owners distribute them: matching rows with files, splits.

Every public set with a table goes through here. Nothing is opened that a folder does not hold: a
name with ``..`` or an absolute path matches no listed file.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from pydantic import AfterValidator, Field

from debias.datasets.listing import sample_ids, set_aside
from debias.errors import EmptyDatasetError, SplitLeakageError
from debias.seeding import numpy_generator
from debias.storage.files import shown
from debias.storage.tables import OURS, PROBLEM, require_unique
from debias.types import Collection, Rejected

VALIDATION_SHARE = 0.1  # of the training people, where the owner gives no validation set

SplitBy = Literal["owner", "drawn"]
SPLIT_NAMES = {
    "train": "train", "training": "train", "val": "validation", "valid": "validation",
    "validation": "validation", "dev": "validation", "test": "test", "testing": "test",
}  # fmt: skip
# What follows "folders (archives) named train, val and test" in the description of a setting.
OWNER_SPLIT = (
    " decide, where there are such; without test, val is the test set; without both val and test, "
    "a tenth of train is drawn for validation; 'drawn': a split drawn by selection."
)
Stated = Literal["self-reported", "annotated", "inferred", "not stated"]
STATED: Any = Field(
    default="not stated", description="The same in a word; machine guesses get a warning."
)


def _free(name: str) -> str:
    if name in OURS:
        raise ValueError(f"{name!r} is a name the samples need for themselves; choose another")
    return name


LabelName = Annotated[
    str,
    Field(min_length=1, description="What the labels say; the name of their column."),
    AfterValidator(_free),
]


def annotated_as(default: str, what: str = "attributes") -> Any:  # noqa: ANN401 (as of Field)
    """A setting that says who annotated a data set of which only its owner knows."""
    return Field(
        default=default, description=f"Who annotated the {what} and how; printed in the report."
    )


def matched(
    rows: pd.DataFrame,
    present: set[str],
    folder: Path,
    rejected: Sequence[Rejected] = (),
    named: Callable[["pd.Series[str]"], Iterable[str]] = sample_ids,
) -> Collection:
    """Turn the column ``file`` into ``sample_id`` and ``path``, without images that are missing.

    Records tell of rows that cannot be used and of images that are missing; what the list says of
    the rows that were lost is kept.

    Args:
        rows: One row an image; ``file`` is its path below ``folder``; the column ``PROBLEM``, where
            there is one, says which cannot be used.
        present: Files that are there, found by listing folders: a name with ``..`` or an absolute
            path is never among them, so nothing outside ``folder`` is opened.
        folder: Where the images are.
        rejected: Rows of which nothing is known.
        named: Makes ids from all listed files: what is missing changes the id of no other.

    Raises:
        DataError: An image is listed twice.
        EmptyDatasetError: No listed image is there.
    """
    require_unique(rows["file"], f"the list of images in {shown(folder)}")
    rows = rows.reset_index(drop=True)
    files = rows.pop("file")
    problems = rows.pop(PROBLEM) if PROBLEM in rows else pd.Series("", index=rows.index)
    missing = "file missing", "listed, but no regular file of this name is there"
    place = f"{folder.absolute()}{os.sep}"  # not joined: an absolute name would replace the folder
    fit, told = np.ones(len(rows), dtype=bool), [*rejected]
    ids = np.asarray(named(files), dtype=object)
    for row, (file, problem) in enumerate(zip(files, problems, strict=True)):
        if problem or file not in present:
            fit[row] = False
            reason, detail = ("row not understood", problem) if problem else missing
            told.append(set_aside(file, place + file, reason, detail, ids[row]))
    if not fit.any():
        first = f"first: {shown(Path(told[0].path))}: {told[0].detail}" if told else "none listed"
        raise EmptyDatasetError(
            f"none of {len(told)} listed images is in {shown(folder.absolute())}, {first}"
        )
    rows.insert(0, "sample_id", ids)
    kept = rows[fit].reset_index(drop=True)
    kept.insert(1, "path", [f"{folder}{os.sep}{name}" for name in files[fit]])
    lost = None if fit.all() else rows[~fit].reset_index(drop=True)
    return Collection(samples=kept, rejected=tuple(told), lost=lost)


def require_one_side(samples: pd.DataFrame) -> None:
    """Refuse an owner's split that puts one person on two sides."""
    sides = samples.groupby("subject_id")["split"].nunique()
    both = sides[sides > 1].index
    if len(both):
        raise SplitLeakageError(
            f"{len(both)} people stand on more than one side of the owner's split, first: "
            f"{shown(str(both[0]))}; set data.split to 'drawn' to have a split drawn by person"
        )


def completed_split(found: Collection, seed: int) -> Collection:
    """Train, validation and test out of what an owner gives, with sentences about what is not.

    An owner's validation set without a test set beside it is what others report results on: it
    becomes the test set. Without a validation set, a tenth of the training people (images, where
    nobody says who is shown) is drawn for it. Without training images nothing is changed.
    """
    samples, told = found.samples, list[str]()
    if "train" not in set(samples.get("split", ())):
        return found
    split = samples["split"].to_numpy(dtype=object)
    if "test" not in split and "validation" in split:
        split = np.where(split == "validation", "test", split)
        held = np.count_nonzero(split == "test")
        told.append(f"No image is called test, so the {held:,} validation images are the test set.")
    if "validation" not in split:
        unit = samples["subject_id"] if "subject_id" in samples else samples["sample_id"]
        codes, people = pd.factorize(unit.where(split == "train"))  # -1 outside the training set
        count = max(1, round(VALIDATION_SHARE * len(people))) if len(people) > 1 else 0
        order = numpy_generator(seed, "data/validation").permutation(len(people))
        drawn = np.isin(codes, order[:count])
        told.append(
            f"{np.count_nonzero(drawn):,} of {np.count_nonzero(codes >= 0):,} training images were "
            "drawn for validation."
        )
        split = np.where(drawn, "validation", split)
    samples = samples.assign(split=split)
    return replace(found, samples=samples, remarks=(*found.remarks, *told))


def no_training(sides: Iterable[str]) -> tuple[str, ...]:
    """A sentence about folders or archives that name other splits than train."""
    named = sorted({*sides} - {""})
    if not named or "train" in named:
        return ()
    return (f"Nothing is called train, only {', '.join(named)}: a split is drawn.",)

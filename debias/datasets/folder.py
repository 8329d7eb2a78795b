"""Any folder of images described by a table: one row per image.

Images: JPEG, PNG, WebP or BMP below a root folder.
Labels and attributes: columns of a CSV or Parquet file; who annotated them is for its owner to say.
Splits: a column that says train, validation or test, or none (then they are drawn).
Source, citation, licence: those of the folder's owner.
Known problems: the table is believed in all but its paths: a row whose path leaves the root is set
    aside. A column named ``sample_id``, ``sha256``, ``duplicate_cluster``, ``offset`` or ``length``
    is left out, and so are ``subject_id`` and ``split`` unless a setting names them.
"""

import re
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field

from debias.datasets.listing import hashed_ids, require_folder, require_path
from debias.datasets.safe_paths import path_problems, plain_paths, rejected_paths
from debias.errors import DataError, DuplicateIdError, EmptyDatasetError
from debias.plugins import Settings
from debias.storage.names import shown
from debias.storage.tables import OURS, read_table
from debias.types import SPLITS, Collection


class Folder(Settings):
    """A folder of images and a table with one row per image."""

    name: Literal["folder"] = "folder"
    root: Path = Field(description="Folder below which the images lie.")
    table: Path = Field(description="CSV or Parquet file with one row per image.")
    path_column: str = Field(default="path", description="Column with the path below root.")
    subject_column: str | None = Field(
        default=None, description="Column that says who is shown; keeps people in one split."
    )
    split_column: str | None = Field(
        default=None, description="Column that says train, validation or test."
    )
    annotation: str = Field(
        default="The table does not say who annotated the attributes or how.",
        description="Who annotated the attributes and how; printed in the report.",
    )
    source: Literal["self-reported", "annotated", "inferred", "not stated"] = Field(
        default="not stated", description="The same in a word; machine guesses get a warning."
    )

    def collect(self, seed: int) -> Collection:
        """One row per row of the table, every column kept as text or number.

        Raises:
            FileNotFoundError: The folder or the table does not exist.
            UnsafePathError: Root or table is not a path that can be opened.
            DataError: A named column is missing or a split has an unknown name.
            DuplicateIdError: Two rows name one path.
            EmptyDatasetError: No row names a path below the root.
        """
        require_folder(self.root, "the owner of the data")
        require_path(self.table)
        if not self.table.exists():
            raise FileNotFoundError(
                f"the table {shown(self.table.absolute())} does not exist; set data.table"
            )
        samples, unread = read_table(self.table)
        samples = self._named(samples)
        given = samples["path"].astype(object)
        names = plain_paths(given.where(given.notna(), "").astype(str))
        problems = path_problems(names, self.root)
        unsafe = rejected_paths(names, problems, self.table)
        if len(unsafe) == len(samples):
            first = f", first: {shown(Path(unsafe[0].path))}: {unsafe[0].detail}" if unsafe else ""
            raise EmptyDatasetError(
                f"none of {len(samples)} rows of {shown(self.table)} names an image below "
                f"{shown(self.root)}{first}"
            )
        kept = problems == ""
        lost = samples[~kept].drop(columns="path").reset_index(drop=True)
        lost["sample_id"] = [item.sample_id for item in unsafe]
        names = names[kept]
        _require_one_row_each(names, self.table)
        samples = samples[kept].reset_index(drop=True)
        samples["sample_id"] = hashed_ids(names)
        samples["path"] = (f"{self.root}/" + names).to_numpy()
        rejected = (*unread, *unsafe)
        return Collection(samples=samples, rejected=rejected, lost=lost if unsafe else None)

    def _named(self, samples: pd.DataFrame) -> pd.DataFrame:
        """The table under our names for path, person and split."""
        asked = {
            "path": self.path_column, "subject_id": self.subject_column, "split": self.split_column,
        }  # fmt: skip
        named = {role: column for role, column in asked.items() if column is not None}
        for role, column in named.items():
            if column not in samples:
                raise DataError(
                    f"{shown(self.table)} has no column {column!r} (used as {role}); columns: "
                    f"{list(samples.columns)}{_hint(list(samples.columns), role)}"
                )
        columns = {role: samples[column] for role, column in named.items()}
        samples = samples.drop(columns={*OURS, *named.values()}.intersection(samples.columns))
        if self.split_column:
            _check_splits(columns["split"])
        return samples.assign(**columns)


def _hint(columns: list[str], role: str) -> str:
    """What probably went wrong with a table that lacks a column."""
    used = next((mark for mark in (";", "\t", "|") if any(mark in name for name in columns)), None)
    if used is not None:
        return f"; its columns are separated by {used!r}: save it with commas"
    if role != "path":
        return ""
    likely = [name for name in columns if re.search("path|file|image|name", name, re.IGNORECASE)]
    named = likely[0] if likely else "COLUMN"
    return f"; name the column of file names with --set data.path_column={named}"


def _check_splits(split: "pd.Series[str]") -> None:
    unknown = sorted(set(split.dropna().astype(str)) - set(SPLITS))
    if unknown or split.isna().any():
        raise DataError(
            f"splits must be one of {SPLITS} in every row, got also {unknown or 'none'}"
        )


def _require_one_row_each(names: "pd.Series[str]", table: Path) -> None:
    repeated = names[names.duplicated()]
    if len(repeated):
        first = ", ".join(map(shown, repeated.unique()[:10]))
        raise DuplicateIdError(
            f"{len(repeated)} images are listed more than once in {shown(table)}, first: {first}; "
            "rows about one image may contradict each other, so none is chosen: repair the table"
        )

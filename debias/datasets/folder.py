"""Any folder of images described by a table: one row per image.

Images: JPEG, PNG, WebP or BMP below a root folder.
Labels and attributes: columns of a CSV or Parquet file; who annotated them is for its owner to say.
Splits: a column that says train, validation or test, or none (then they are drawn).
Licence: that of the folder's owner.
"""

import hashlib
from pathlib import Path
from typing import Literal

import pandas as pd
from pydantic import Field

from debias.errors import DataError, EmptyDatasetError
from debias.settings import Settings
from debias.types import SPLITS, Collection

OURS = ("path", "subject_id", "split", "sample_id", "sha256")


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
            DataError: A named column is missing or a split has an unknown name.
        """
        require_folder(self.root, "the owner of the data")
        asked = {self.path_column, self.subject_column, self.split_column}
        samples = _read(self.table)
        # A column that only happens to bear one of our names must not decide anything.
        samples = samples.drop(columns=[n for n in OURS if n in samples and n not in asked])
        samples = _renamed(samples, self.path_column, "path", self.table)
        if self.subject_column:
            samples = _renamed(samples, self.subject_column, "subject_id", self.table)
        if self.split_column:
            samples = _renamed(samples, self.split_column, "split", self.table)
            _check_splits(samples["split"])
        names = samples["path"].fillna("").astype(str)
        samples["sample_id"] = [hashlib.sha256(name.encode()).hexdigest()[:16] for name in names]
        samples["path"] = [str(self.root / name) for name in names]
        return Collection(samples=samples)


def require_folder(root: Path, where: str) -> None:
    """Fail with the full path and where to get the data."""
    if not root.exists():
        raise FileNotFoundError(
            f"the data folder {root.absolute()} does not exist; "
            f"set data.root to the folder, or get the data from {where}"
        )
    if not root.is_dir():
        raise FileNotFoundError(f"{root.absolute()} is a file, not a folder of images")
    if next(root.iterdir(), None) is None:
        raise EmptyDatasetError(f"the data folder {root.absolute()} is empty")


def _read(table: Path) -> pd.DataFrame:
    if not table.exists():
        raise FileNotFoundError(f"the table {table.absolute()} does not exist; set data.table")
    try:
        if table.suffix == ".parquet":
            return pd.read_parquet(table)
        # Text stays text: a group called NO or 01 must not become False or 1.
        return pd.read_csv(table, dtype=str, keep_default_na=False, na_values=[""])
    except (ValueError, OSError) as error:
        raise DataError(f"{table} cannot be read as a table: {error}") from error


def _renamed(samples: pd.DataFrame, column: str, role: str, table: Path) -> pd.DataFrame:
    if column not in samples:
        raise DataError(
            f"{table} has no column {column!r} (used as {role}); columns: {list(samples.columns)}"
        )
    return samples.rename(columns={column: role})


def _check_splits(split: "pd.Series[str]") -> None:
    unknown = sorted(set(split.dropna()) - set(SPLITS))
    if unknown or split.isna().any():
        raise DataError(
            f"splits must be one of {SPLITS} in every row, got also {unknown or 'none'}"
        )

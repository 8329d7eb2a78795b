"""Lists of images as their owners distribute them: reading rows, matching them with files.

Every public set with a table goes through here. Nothing is opened that a folder does not hold: a
name with ``..`` or an absolute path matches no listed file.
"""

import hashlib
import io
import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
import pyarrow.csv as pa_csv  # type: ignore[import-untyped]
from jaxtyping import Bool, Shaped

from debias.errors import (
    DataError,
    EmptyDatasetError,
    QuarantineLimitExceededError,
    SplitLeakageError,
)
from debias.seeding import numpy_generator
from debias.types import Rejected

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
VALIDATION_SHARE = 0.1  # of the training people, where the owner gives no validation set
MOST_LOST_SHARE, FEW_LOST = 0.01, 10  # the limits of ingest: a list is held to them too

SplitBy = Literal["owner", "drawn"]


class Matched(NamedTuple):
    """Rows of a list whose image exists, and what was set aside."""

    samples: pd.DataFrame
    rejected: tuple[Rejected, ...]


def matched(
    rows: pd.DataFrame, present: set[str], folder: Path, rejected: Sequence[Rejected]
) -> Matched:
    """Turn the column ``file`` into ``sample_id`` and ``path``, without images that are missing.

    Args:
        rows: One row an image; ``file`` is its path below ``folder``.
        present: Files that are there, found by listing folders: a name with ``..`` or an absolute
            path is never among them, so nothing outside ``folder`` is opened.
        folder: Where the images are.
        rejected: Rows that were set aside before.

    Raises:
        DataError: An image is listed twice.
        EmptyDatasetError: No listed image is there.
        QuarantineLimitExceededError: More than 1 % of the list (and more than 10) is lost.
    """
    require_unique(rows["file"], f"the list of images in {folder}")
    here = np.array([name in present for name in rows["file"].to_numpy(dtype=object)], dtype=bool)
    lost = [*rejected, *missing_files(rows["file"][~here], folder)]
    _check_lost(len(rows) + len(rejected), lost, folder)
    named = {item.sample_id for item in rejected}  # their rows say something, if not enough
    extra = unlisted_files(sorted(present.difference(rows["file"], named)), folder)
    kept = rows[here].reset_index(drop=True)
    files = kept.pop("file")
    kept.insert(0, "sample_id", sample_ids(files))
    kept.insert(1, "path", [f"{folder}{os.sep}{name}" for name in files])
    return Matched(kept, (*lost, *extra))


def _check_lost(total: int, lost: Sequence[Rejected], folder: Path) -> None:
    first = f"first: {lost[0].path}: {lost[0].detail}" if lost else ""
    if len(lost) == total:
        raise EmptyDatasetError(
            f"none of {total} listed images is in {folder.absolute()}, {first or 'none listed'}"
        )
    if len(lost) > max(FEW_LOST, MOST_LOST_SHARE * total):
        raise QuarantineLimitExceededError(
            f"{len(lost)} of {total} listed images are missing or their rows cannot be read, more "
            f"than {MOST_LOST_SHARE:.0%}: what is left may not represent the data; {first}"
        )


def require_paths(paths: Sequence[Path], where: str) -> None:
    """Fail with the full path of everything that is missing, and where to get it."""
    missing = [str(path.absolute()) for path in paths if not path.exists()]
    if missing:
        raise FileNotFoundError(f"missing: {', '.join(missing)}; get the data from {where}")


def require_unique(names: "pd.Series[str]", place: str) -> None:
    """Refuse a list that says two things about one image, even if they agree."""
    repeated = names[names.duplicated()]
    if len(repeated):
        raise DataError(
            f"{place} names {len(repeated)} images more than once, first: {repeated.iloc[0]}; "
            "duplicate rows may contradict each other, so none is chosen: repair the list"
        )


def require_columns(rows: pd.DataFrame, names: Sequence[str], table: Path) -> None:
    missing = [name for name in names if name not in rows]
    if missing:
        raise DataError(f"{table} has no column {missing}; columns: {list(rows.columns)}")


def require_one_side(samples: pd.DataFrame) -> None:
    """Refuse an owner's split that puts one person on two sides.

    Raises:
        SplitLeakageError: With how many people, and the setting that draws another split.
    """
    sides = samples.groupby("subject_id")["split"].nunique()
    both = sides[sides > 1].index
    if len(both):
        raise SplitLeakageError(
            f"{len(both)} people stand on more than one side of the owner's split, first: "
            f"{both[0]}; set data.split to 'drawn' to have a split drawn by person"
        )


def regular_files(folder: Path) -> set[str]:
    """Names of the image files right below a folder, from one listing of it; links do not count."""
    with os.scandir(folder) as entries:
        return {
            entry.name
            for entry in entries
            if entry.name.lower().endswith(SUFFIXES) and entry.is_file(follow_symlinks=False)
        }


def completed_split(samples: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Train, validation and test out of what an owner gives.

    An owner's validation set without a test set beside it is what others report results on: it
    becomes the test set. Without a validation set, a tenth of the training people (images, where
    nobody says who is shown) is drawn for it.
    """
    split = samples["split"].to_numpy(dtype=object)
    if "test" not in split:
        split = np.where(split == "validation", "test", split)
    if "validation" not in split:
        split = np.where(_drawn(samples, split == "train", seed), "validation", split)
    return samples.assign(split=split)


def _drawn(
    samples: pd.DataFrame, train: Bool[np.ndarray, " n"], seed: int
) -> Bool[np.ndarray, " n"]:
    unit = samples["subject_id"] if "subject_id" in samples else samples["sample_id"]
    codes, people = pd.factorize(unit.where(train))  # -1 outside the training set
    count = max(1, round(VALIDATION_SHARE * len(people))) if len(people) > 1 else 0
    chosen = numpy_generator(seed, "data/validation").permutation(len(people))[:count]
    return np.isin(codes, chosen)


def read_csv(path: Path) -> tuple[pd.DataFrame, list[Rejected]]:
    """A table with a header, every cell as text without spaces around it.

    Raises:
        DataError: It is no table, or a column name stands there twice.
    """
    content = read_bytes(path)
    names = [name.strip().strip('"') for name in first_lines(content, 1)[0].split(",")]
    rows, rejected = read_rows(path, content, names, skip=1)
    return rows.apply(lambda column: column.astype(object).str.strip()), rejected


def read_bytes(path: Path, separator: str = ",") -> bytes:
    """A text file with one kind of line ending and, in columns of blanks, one blank between two."""
    content = path.read_bytes().removeprefix(b"\xef\xbb\xbf")
    try:
        content.decode()
    except UnicodeDecodeError:  # such a name matches no file, so its row is set aside, not the list
        content = content.decode(errors="replace").encode()
    # The PPB list has the line endings of old Macintoshes.
    content = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    if separator == " ":
        content = content.replace(b"\t", b" ")
        while b"  " in content:
            content = content.replace(b"  ", b" ")
        content = content.replace(b" \n", b"\n").replace(b"\n ", b"\n").strip(b" ")
    return content


def first_lines(content: bytes, count: int) -> list[str]:
    """The first lines of a list, empty where there are fewer."""
    lines = [line.decode().strip() for line in content.split(b"\n", count)[:count]]
    return lines + [""] * (count - len(lines))


def read_rows(
    path: Path, content: bytes, names: Sequence[str], separator: str = ",", skip: int = 0
) -> tuple[pd.DataFrame, list[Rejected]]:
    """Rows of a list as text, all but the first column as categories.

    Rows with another number of fields are set aside.

    Raises:
        DataError: The content is no table, or a column name stands there twice.
    """
    twice = sorted({name for name in names if list(names).count(name) > 1})
    if twice:
        raise DataError(f"{path} names the columns {twice} more than once")
    bad: list[Rejected] = []

    def set_aside(row: Any) -> str:  # noqa: ANN401 (an untyped library)
        detail = f"line {row.number}: {row.actual_columns} fields, not {row.expected_columns}"
        bad.append(_unread(f"{path.name}:{row.number}", path, detail))
        return "skip"

    few = pa.dictionary(pa.int32(), pa.string())  # a million rows of few values fit in memory
    types = dict.fromkeys(names, few) | {names[0]: pa.string()}
    try:
        table = pa_csv.read_csv(
            io.BytesIO(content),
            pa_csv.ReadOptions(column_names=list(names), skip_rows=skip, use_threads=False),
            pa_csv.ParseOptions(
                delimiter=separator,
                quote_char='"' if separator == "," else False,
                invalid_row_handler=set_aside,
            ),
            pa_csv.ConvertOptions(column_types=types, null_values=[]),
        )
    except pa.ArrowInvalid as error:
        raise DataError(f"{path} cannot be read as a table: {error}") from error
    return table.to_pandas(), bad


def unread_rows(files: "pd.Series[str]", table: Path, detail: str) -> list[Rejected]:
    return [_unread(name, table, detail) for name in files]


def _unread(sample_id: str, table: Path, detail: str) -> Rejected:
    return Rejected(
        sample_id=sample_id, path=str(table), reason="row not understood", detail=detail
    )


def missing_files(files: "pd.Series[str]", folder: Path) -> list[Rejected]:
    return [
        Rejected(
            sample_id=name,
            path=str(folder.absolute() / name),
            reason="file missing",
            detail="listed, but no regular file of this name is there",
        )
        for name in files
    ]


def unlisted_files(names: Sequence[str], folder: Path) -> list[Rejected]:
    return [
        Rejected(
            sample_id=safe_text(name),
            path=safe_text(str(folder / name)),
            reason="not listed",
            detail="the owner's list does not name this file",
        )
        for name in names
    ]


def safe_text(name: str) -> str:
    """A file name that can be written as text, whatever bytes it is made of."""
    return name.encode(errors="backslashreplace").decode()


def sample_ids(files: "pd.Series[str]") -> Shaped[np.ndarray, " n"]:
    """Readable ids where names are plain and remain distinct, and a hash for all others."""
    plain = files.str.replace("/", "-", regex=False).str.replace(r"\.\w+$", "", regex=True)
    fit = plain.str.fullmatch(r"[A-Za-z0-9_-]+") & ~plain.duplicated(keep=False)
    ids = plain.to_numpy(dtype=object, copy=True)
    odd = ~fit.to_numpy(dtype=bool)
    ids[odd] = hashed_ids(files[odd])
    return ids


def hashed_ids(files: Iterable[str]) -> list[str]:
    return [hashlib.sha256(name.encode()).hexdigest()[:16] for name in files]


def plain_name(column: str) -> str:
    """A column name in lower case with underscores."""
    return re.sub(r"\W+", "_", column.strip().lower()).strip("_")

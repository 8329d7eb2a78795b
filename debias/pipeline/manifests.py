"""Manifests: one line an image, for training code that knows nothing of this package.

Names, paths and annotations are written as they are: training code must find them again. A
spreadsheet may take a cell that begins with ``=`` for a formula; a remark says so where there are
such cells.
"""

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int64

from debias.errors import ConfigError
from debias.pipeline.finished_audit import PLACES, FinishedAudit
from debias.storage.files import replace_file

PRIVATE = 0o600  # names and annotations of people
FORMULA = ("=", "+", "-", "@")  # the first sign of one
UNLABELLED = "none"  # what a store without a label calls it
WRITERS: dict[str, Callable[[pd.DataFrame, Path], None]] = {
    ".csv": lambda table, path: table.to_csv(path, index=False),
    ".parquet": lambda table, path: table.to_parquet(path, index=False),
}
COLUMNS = {
    "draw": "number of the draw; an image that counts more is drawn several times",
    "sample_id": "name of the image in the audit",
    "path": "file of the image, absolute on the machine of the audit; empty if it has none",
    "offset": "first byte of the image in its file; empty: the whole file",
    "length": "bytes of the image in its file",
    "row": "position of the image in the decoded shards, put one behind another",
    "split": "part of the data set",
    "label": "number of the class, from 0",
    "weight": "how much the image counts, 1 on average",
    "probability": "chance of the image at each draw; adds up to 1",
}


def require_ending(out: Path) -> None:
    """Refuse a file of a kind that is not written.

    Raises:
        ConfigError: The ending is another.
    """
    if out.suffix.lower() not in WRITERS:
        raise ConfigError(
            f"a manifest is written as {' or '.join(WRITERS)}, got --out {out}; change its ending"
        )


def manifest_of(
    audit: FinishedAudit, rows: Int64[np.ndarray, " m"], columns: Mapping[str, np.ndarray]
) -> pd.DataFrame:
    """Lines of a file, under our names first; an annotation of one of these names is renamed."""
    samples, about = audit.samples.iloc[rows].reset_index(drop=True), audit.about
    found = {name: samples[name] for name in ("sample_id", *PLACES, "row", "split")
             if name in samples}  # fmt: skip
    annotated = {name: samples[name] for name in about["attributes"] if name in samples}
    if about["label"] != UNLABELLED:
        found["label"] = samples["label"]
        names = pd.Index(about["classes"]).take(samples["label"].to_numpy())
        annotated = {about["label"]: names.to_numpy()} | annotated
    renamed = {
        f"{name}_annotated" if name in COLUMNS else name: annotated[name] for name in annotated
    }
    first = {name: columns[name] for name in columns if name == "draw"}
    return pd.DataFrame({**first, **found, **renamed, **columns})


def remarks(manifest: pd.DataFrame, held_out: pd.DataFrame) -> list[str]:
    """What whoever opens the files must know."""
    told = []
    if not len(held_out):
        told.append("No image is held out: a classifier has to be tested on other data.")
    if not (manifest["path"] != "").all():
        told.append(
            "Some images have no file of their own: take them from the decoded shards by 'row' "
            "(numpy.load each of images.shards, put one behind another)."
        )
    if "offset" in manifest and manifest["offset"].notna().any():
        told.append(
            "Images lie inside larger files: read 'length' bytes of 'path' from 'offset', or take "
            "the decoded ones by 'row'."
        )
    paths = [path for path in manifest["path"].unique() if path]
    gone = [path for path in paths if not Path(path).is_file()]
    if gone:
        told.append(
            f"{len(gone):,} of {len(paths):,} files are not where the audit read them, first "
            f"{gone[0]}; run debias export where the audit ran, or take the images by 'row'."
        )
    return told


def formulas(table: pd.DataFrame) -> list[str]:
    """A remark if a spreadsheet may take text of the table for a formula."""
    found = (text for name in table for text in (str(name), *_texts(table[name])))
    first = next((text for text in found if text.startswith(FORMULA) and not _is_number(text)), "")
    if not first:
        return []
    return [
        f"Some cells begin with {' '.join(FORMULA)}, such as {first}: a spreadsheet may run them "
        "as formulas; import the columns there as text, or write .parquet."
    ]


def _texts(column: pd.Series) -> list[str]:
    return [value for value in column.unique() if isinstance(value, str)]


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def write_manifest(table: pd.DataFrame, path: Path) -> None:
    """Write it whole or not at all, readable by its owner only.

    Raises:
        OSError: The folder cannot be written; what was there stays.
    """
    save = WRITERS[path.suffix.lower()]
    replace_file(path, lambda target: save(table, target), mode=PRIVATE)

"""What ``debias evaluate`` does: a table of predictions becomes a page and a JSON file.

The folder it writes can be given to ``debias compare``, which reads the table again.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from debias import __version__, report
from debias.errors import DataError, EvaluationError, StorageError
from debias.metrics import FairnessReport, evaluate, json_text
from debias.storage.files import replace_file

PAGE, NUMBERS = "evaluation.html", "evaluation.json"
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which column of the table is what.

    Attributes:
        label: True class.
        prediction: Predicted class.
        groups: Attributes.
        score: Probability of the positive class, or None.
        subject: Who is shown, or None.
        sample: Name of the image, by which two tables are joined; None for the order of the rows.
    """

    label: str
    prediction: str
    groups: tuple[str, ...]
    score: str | None = None
    subject: str | None = None
    sample: str | None = None

    def named(self) -> list[str]:
        """Every column that is needed."""
        single = (self.label, self.prediction, self.score, self.subject, self.sample)
        return [name for name in single if name is not None] + list(self.groups)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the command was asked for.

    Attributes:
        table: CSV or Parquet file, one row an image.
        columns: Which column is what.
        settings: The other arguments of :func:`debias.evaluate`.
    """

    table: Path
    columns: Columns
    settings: Mapping[str, Any]


def evaluate_table(request: Request) -> FairnessReport:
    """Read the table and measure.

    Raises:
        DataError: The file or a column is missing or cannot be read.
        EvaluationError: The predictions cannot be evaluated as they are.
    """
    columns = request.columns
    if columns.label == columns.prediction:
        raise EvaluationError(
            f"column {columns.label!r} is named as the label and as the prediction: it would agree "
            "with itself in every row; name the column of the classifier's answers"
        )
    frame = read_table(request.table, columns.named())
    return evaluate(
        _classes(frame[columns.label]),
        _classes(frame[columns.prediction]),
        score=None if columns.score is None else _numbers(frame[columns.score]),
        groups=frame[list(columns.groups)].map(_text),
        subject_id=None if columns.subject is None else _subjects(frame[columns.subject]),
        sample_id=None if columns.sample is None else frame[columns.sample].map(str),
        name=request.table.stem,
        **request.settings,
    )


def write_evaluation(request: Request, out: Path) -> FairnessReport:
    """Write ``evaluation.html`` and ``evaluation.json`` into a folder, the numbers last.

    Raises:
        PipelineError: The table cannot be evaluated, nothing may be shown of any group, or the
            folder cannot be written.
    """
    found = evaluate_table(request)
    _require_shown(found)
    document: dict[str, Any] = {
        "kind": "evaluation",
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "input": _described(request),
        "fairness": found.to_dict(),
    }
    text = json_text(document)
    try:
        out.mkdir(parents=True, exist_ok=True)
        report.write_fairness(out / PAGE, document["fairness"])
        replace_file(out / NUMBERS, lambda file: file.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise StorageError(f"cannot write into {out} ({error}); choose another --out") from error
    return found


def _require_shown(found: FairnessReport) -> None:
    """Refuse a report in which not one number of one group may be read.

    Raises:
        EvaluationError: With the way out.
    """
    state = found.by_group["state"]
    if not state.isin(["suppressed", "not_estimable", "unknown"]).all():
        return
    below = found.suppress_below
    raise EvaluationError(
        f"nothing can be said about any group of {', '.join(_attributes(found))}: "
        f"{(state == 'suppressed').sum()} of {len(state)} rates are withheld because a count from "
        f"1 to {below - 1} could be read from them, and no other can be computed; join small "
        "groups, bring more images, or, if single people may be recognised in what is shown, "
        "give --suppress-below 1"
    )


def _attributes(found: FairnessReport) -> list[str]:
    return [str(one["attribute"]) for one in found.attributes]


def read_evaluation(folder: Path) -> FairnessReport:
    """Measure again what an evaluation folder is about; it holds no image of its own.

    Raises:
        DataError: The table is gone or has changed since.
    """
    try:
        document = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
        known = document["kind"] == "evaluation" and document["schema"] == SCHEMA
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{folder / NUMBERS} is no evaluation: {error!r}") from error
    if not known:
        raise DataError(f"{folder / NUMBERS} was written by another version; evaluate again")
    given = document["input"]
    table = Path(given["file"])
    if not table.exists():
        raise DataError(f"{folder} was made from {table}, which is gone; put it back")
    if _sha256(table) != given["sha256"]:
        raise DataError(
            f"{table} has changed since {folder} was made from it; run debias evaluate again"
        )
    columns = Columns(**{**given["columns"], "groups": tuple(given["columns"]["groups"])})
    request = Request(table=table, columns=columns, settings=given["settings"])
    return evaluate_table(request)


def _described(request: Request) -> dict[str, Any]:
    columns = request.columns
    return {
        "file": str(request.table.absolute()),
        "sha256": _sha256(request.table),
        "columns": {name: getattr(columns, name) for name in Columns.__dataclass_fields__},
        "settings": dict(request.settings),
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_table(path: Path, needed: Sequence[str]) -> pd.DataFrame:
    """A CSV file as text, or a Parquet file as it is typed.

    CSV values stay text, because a group called NA or 01 must not become something else; only an
    empty field is missing.

    Raises:
        DataError: No such file, another kind of file, or a column that is not there.
    """
    readers = {
        ".csv": lambda: pd.read_csv(path, dtype=str, keep_default_na=False, na_values=[""]),
        ".parquet": lambda: pd.read_parquet(path),
    }
    if path.suffix.lower() not in readers:
        raise DataError(f"predictions must be a .csv or .parquet file, got {path}")
    if not path.is_file():
        raise DataError(f"there is no file {path.absolute()}")
    try:
        frame = readers[path.suffix.lower()]()
    except (ValueError, OSError) as error:
        raise DataError(f"{path} cannot be read as {path.suffix.lower()[1:]}: {error}") from error
    missing = [name for name in needed if name not in frame]
    if missing:
        raise DataError(
            f"{path} has no column {missing[0]!r}; it has: {', '.join(map(str, frame.columns))}"
            f"{_delimited(frame)}"
        )
    return frame


def _delimited(frame: pd.DataFrame) -> str:
    """What to do about a table whose header was read as one name."""
    name = str(frame.columns[0]) if len(frame.columns) == 1 else ""
    mark = next((mark for mark in (";", "\t", "|") if mark in name), None)
    return "" if mark is None else f"; it is separated by {mark!r}: write it with commas"


def _classes(column: pd.Series) -> Any:  # noqa: ANN401 (numbers if all are, else text)
    """Numbers where every value is one; "1" and "1.0" are the same class then."""
    if column.dtype.kind in "biuf" or column.isna().any():
        return column.to_numpy()
    numbers = pd.to_numeric(column, errors="coerce")
    return column.to_numpy(dtype=object) if numbers.isna().any() else numbers.to_numpy()


def _numbers(column: pd.Series) -> Any:  # noqa: ANN401 (an array of floats)
    numbers = pd.to_numeric(column, errors="coerce")
    broken = numbers.isna()
    if broken.any():
        first = column[broken].iloc[0]
        raise EvaluationError(
            f"{broken.sum()} of {len(column)} values of column {column.name!r} are no numbers, "
            f"first {first!r} in row {int(broken.to_numpy().argmax())}"
        )
    return numbers.to_numpy(dtype=float)


def _subjects(column: pd.Series) -> Any:  # noqa: ANN401 (text, None where missing)
    return column.map(_text).to_numpy(dtype=object)


def _text(value: Any) -> str | None:  # noqa: ANN401 (a field of a table)
    if not pd.api.types.is_scalar(value):
        raise DataError(f"a group or identity must be one value, got {value!r:.80}")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # whole numbers beside missing ones are stored as floats
    return None if pd.isna(value) else str(value).strip()

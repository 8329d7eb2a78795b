"""What ``debias evaluate`` and ``debias compare`` do: tables and runs become pages and JSON files.

A folder of an evaluation can be compared, because the table is read again. A classifier is named
by such a folder or by ``RUN:ARM``.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from debias import __version__, report
from debias.errors import DataError, EvaluationError, StorageError
from debias.metrics import ComparisonReport, FairnessReport, compare_pairs, evaluate
from debias.metrics import compare as compare_reports
from debias.storage.documents import json_text
from debias.storage.files import replace_file
from debias.types import BASELINE

PAGE, NUMBERS, COMPARED = "evaluation.html", "evaluation.json", "comparison.json"
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which column of the table is what; of ``sample``, None: tables agree row by row."""

    label: str
    prediction: str
    groups: tuple[str, ...]
    score: str | None = None
    subject: str | None = None
    sample: str | None = None

    def named(self) -> list[str]:
        single = (self.label, self.prediction, self.score, self.subject, self.sample)
        return [name for name in single if name is not None] + list(self.groups)


@dataclass(frozen=True, kw_only=True)
class Request:
    """A table with one row an image, and the other arguments of :func:`debias.evaluate`."""

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
        subject_id=None
        if columns.subject is None
        else frame[columns.subject].map(_text).to_numpy(dtype=object),
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
    fairness = found.to_dict()
    with _written(out, NUMBERS, "evaluation", input=_described(request), fairness=fairness):
        report.write_fairness(out / PAGE, fairness)
    return found


@contextmanager
def _written(out: Path, name: str, kind: str, **parts: object) -> Iterator[None]:
    """A folder for pages, and their numbers after them."""
    head = {"kind": kind, "schema": SCHEMA}
    made = {"created": datetime.now(UTC).isoformat(timespec="seconds"), "version": __version__}
    text = json_text({**head, **made, **parts})
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield
        replace_file(out / name, lambda file: file.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise StorageError(f"cannot write into {out} ({error}); choose another --out") from error


def _require_shown(found: FairnessReport) -> None:
    """Refuse a report in which not one number of one group may be read."""
    state, below = found.by_group["state"], found.suppress_below
    if state.isin(["suppressed", "not_estimable", "unknown"]).all():
        attributes = ", ".join(str(one["attribute"]) for one in found.attributes)
        raise EvaluationError(
            f"nothing can be said about any group of {attributes}: "
            f"{(state == 'suppressed').sum()} of {len(state)} rates are withheld because a count "
            f"from 1 to {below - 1} could be read from them, and no other can be computed; join "
            "small groups, bring more images, or, if single people may be recognised in what is "
            "shown, give --suppress-below 1"
        )


def read_evaluation(folder: Path) -> FairnessReport:
    """Measure an evaluation again; DataError if its table is gone or has changed since."""
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
    kind = path.suffix.lower()
    if kind not in (".csv", ".parquet"):
        raise DataError(f"predictions must be a .csv or .parquet file, got {path}")
    if not path.is_file():
        raise DataError(f"there is no file {path.absolute()}")
    text: dict[str, Any] = {"dtype": str, "keep_default_na": False, "na_values": [""]}
    try:
        frame = pd.read_csv(path, **text) if kind == ".csv" else pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise DataError(f"{path} cannot be read as {kind[1:]}: {error}") from error
    missing = [name for name in needed if name not in frame]
    if missing:
        raise DataError(
            f"{path} has no column {missing[0]!r}; it has: {', '.join(map(str, frame.columns))}"
            f"{_delimited(frame)}"
        )
    return frame


def _delimited(frame: pd.DataFrame) -> str:
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


def _text(value: Any) -> str | None:  # noqa: ANN401 (a field of a table)
    if not pd.api.types.is_scalar(value):
        raise DataError(f"a group or identity must be one value, got {value!r:.80}")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))  # whole numbers beside missing ones are stored as floats
    return None if pd.isna(value) else str(value).strip()


def compare_places(
    before: str, after: str | None, settings: Mapping[str, Any]
) -> dict[str, ComparisonReport]:
    """Compare two classifiers, or every arm that two runs share, or the arms of one run.

    ``before`` and ``after`` are ``FOLDER`` or ``FOLDER:ARM``; without ``after`` every arm of a run
    is compared with its plain training. By name of what changed.

    Raises:
        DataError: A folder is not what it should be.
        EvaluationError: Images that differ, or an arm that is not there.
    """
    first = read_reports(before)
    if after is None:
        if BASELINE not in first or len(first) < 2:
            raise EvaluationError(
                f"{before} has no arm {BASELINE!r} and another to compare; name two classifiers"
            )
        plain = first.pop(BASELINE)
        return compare_pairs({arm: (plain, found) for arm, found in first.items()}, **settings)
    second = read_reports(after)
    if len(first) == len(second) == 1:
        (one,), (other,) = first.values(), second.values()
        return {f"{one.name} to {other.name}": compare_reports(one, other, **settings)}
    common = [arm for arm in first if arm in second]
    if not common:
        raise EvaluationError(
            f"no arm is in both: {', '.join(first)} and {', '.join(second)}; name them as "
            "FOLDER:ARM"
        )
    return compare_pairs({arm: (first[arm], second[arm]) for arm in common}, **settings)


def compare(
    before: FairnessReport | str | Path,
    after: FairnessReport | str | Path,
    *,
    reference: str | Mapping[str, str] | Sequence[str] | None = None,
    margin: float | None = None,
    level: float = 0.95,
) -> ComparisonReport:
    """Compare two classifiers, or two arms over seeds, on the same images.

    Args:
        before: Report of ``evaluate``; or a folder of ``debias evaluate``, or ``RUN:ARM``.
        after: Likewise.
        reference: Group that the others are compared with; by default what both declared, or all
            pairs.
        margin: Largest change that does not matter, in (0, 1). Without one, a change can never be
            ruled out.
        level: Of the intervals of groups, and of all comparisons together.

    Raises:
        DataError: A folder is not what it should be.
        EvaluationError: Images, labels, groups, classes, people or seeds that differ; a run
            folder with several arms, none of which was named.
    """
    return compare_reports(
        _one(before), _one(after), reference=reference, margin=margin, level=level
    )


def _one(place: FairnessReport | str | Path) -> FairnessReport:
    if isinstance(place, FairnessReport):
        return place
    found = read_reports(str(place))
    if len(found) > 1:
        raise EvaluationError(f"{place} has several arms; name one: {place}:{next(iter(found))}")
    return next(iter(found.values()))


def folder_name(before: str, after: str | None) -> str:
    """Of a comparison, by what is compared, so that no other one is in its way."""
    names = [_slug(Path(place).name) for place in (before, after) if place]
    return "-".join([*names, "comparison"])


def write_comparison(found: Mapping[str, ComparisonReport], out: Path) -> list[Path]:
    """One page a comparison and ``comparison.json``, returning the pages; or StorageError."""
    comparisons = {name: one.to_dict() for name, one in found.items()}
    names = ["comparison"] if len(found) == 1 else [f"comparison-{_slug(name)}" for name in found]
    pages = [out / f"{name}.html" for name in names]
    listed = [page.name for page in pages]
    with _written(out, COMPARED, "comparisons", comparisons=comparisons, pages=listed):
        for old in set(out.glob("comparison*.html")) - set(pages):  # of an earlier comparison
            old.unlink()
        for page, comparison in zip(pages, comparisons.values(), strict=True):
            report.write_comparison(page, comparison)
    return pages


def _slug(name: str) -> str:
    """An arm may bear any name; a file may not."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)


def read_reports(place: str) -> dict[str, FairnessReport]:
    """The classifiers of ``FOLDER`` or ``FOLDER:ARM`` by name.

    Raises:
        DataError: It is neither an evaluation nor a finished run.
        EvaluationError: There is no such arm.
    """
    name, colon, arm = ("", "", place) if Path(place).exists() else place.rpartition(":")
    folder, arm = (Path(name), arm) if colon else (Path(place), "")
    if (folder / NUMBERS).exists():
        if colon:
            raise EvaluationError(f"{folder} is an evaluation and has no arms")
        return {"": read_evaluation(folder)}
    if not (folder / "report.json").exists():
        raise DataError(
            f"{folder.absolute()} is neither a folder of debias evaluate (no {NUMBERS}) "
            "nor a finished run (no report.json)"
        )
    from debias.pipeline.fairness import read_run  # loads torch

    arms = read_run(folder)
    if colon and arm not in arms:
        raise EvaluationError(f"{folder} has no arm {arm!r}; known: {', '.join(arms)}")
    return {arm: arms[arm]} if colon else arms

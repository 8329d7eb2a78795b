"""What ``debias evaluate`` and ``debias compare`` do: tables and runs become pages and JSON files.

A folder of an evaluation can be compared, because the table is read again. A classifier is named
by such a folder or by ``RUN:ARM``.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from debias import __version__, report
from debias.errors import DataError, EvaluationError
from debias.metrics import ComparisonReport, FairnessReport, compare_pairs, evaluate
from debias.metrics import compare as compare_reports
from debias.statistics.ranges import ranged, taken_apart
from debias.storage.documents import json_text
from debias.storage.files import replace_file, storage_error
from debias.storage.joining import ALLOWED, join, name_columns, value_column
from debias.storage.sealed import read_checked
from debias.storage.tables import file_and_column, is_missing, place_of, read_whole
from debias.types import BASELINE

PAGE, NUMBERS, COMPARED = "evaluation.html", "evaluation.json", "comparison.json"
SCHEMA = 1
COMMA = re.compile(r"^(-?\d*),(\d+)$")


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which column of the table is what.

    ``label`` may be ``FILE:COLUMN`` of another table, joined by names; a group may bring ranges, as
    in ``age:0-17,18-``; without ``sample``, a column that names the rows, each once, is taken, and
    where there is none, tables that are compared agree row by row.
    """

    label: str
    prediction: str
    groups: tuple[str, ...]
    score: str | None = None
    subject: str | None = None
    sample: str | None = None

    def beside_label(self) -> list[str]:
        """All that are needed but the label."""
        single = (self.prediction, self.score, self.subject, self.sample)
        return [*(name for name in single if name is not None), *taken_apart(self.groups)[0]]


@dataclass(frozen=True, kw_only=True)
class Request:
    """A table with one row an image, and the other arguments of :func:`debias.evaluate`.

    ``by_order`` and ``allow_unjoined`` are about a label of another table, see
    :func:`debias.storage.joining.join`.
    """

    table: Path
    columns: Columns
    settings: Mapping[str, Any]
    by_order: bool = False
    allow_unjoined: float = ALLOWED

    @property
    def labels(self) -> Path | None:
        """The other table, if there is one."""
        return file_and_column(self.columns.label)[0]


def evaluate_table(request: Request) -> FairnessReport:
    """Read the table and measure.

    Raises:
        DataError: The file or a column is missing or cannot be read.
        EvaluationError: The predictions cannot be evaluated as they are.
    """
    columns = request.columns
    _require_distinct(columns)
    names, ranges = taken_apart(columns.groups)
    declared = request.settings.get("declared") or {}
    y_true, frame, told = _joined(request)
    if columns.sample is None and (name := _sample_column(frame, columns)) is not None:
        columns = replace(columns, sample=name)
        told.append(f"Images are told apart by column {name!r}; --sample names another.")
    told += _repeated(frame, columns)
    y_true, y_pred = _classes(y_true, frame[columns.prediction])
    who = None if columns.subject is None else _groups(frame[columns.subject])
    groups = {
        name: _groups(frame[name], ranges.get(name, ()), declared.get(name, ())) for name in names
    }
    read = groups if who is None else groups | {str(columns.subject): who}
    if lost := [name for name in read if read[name].isna().sum() > frame[name].isna().sum()]:
        told.append(
            f"{', '.join(lost)}: text such as NA, None or nan counts as missing; where it is a "
            "group, declare it with --declare."
        )
    found = evaluate(
        y_true,
        y_pred,
        score=None if columns.score is None else _numbers(frame[columns.score]),
        groups=pd.DataFrame(groups),
        subject_id=None if who is None else who.to_numpy(dtype=object),
        sample_id=None if columns.sample is None else frame[columns.sample].map(str),
        name=request.table.stem,
        **request.settings,
    )
    return replace(found, notes=(*found.notes, *told, _unused(frame, columns)))


def _sample_column(frame: pd.DataFrame, columns: Columns) -> str | None:
    """The first column of no other use that gives every row a name of its own."""
    free = frame.drop(columns={columns.label, *columns.beside_label()}, errors="ignore")
    named = name_columns(free).items()
    return next(
        (name for name, (texts, _) in named if len(texts) == len(frame) and texts.is_unique), None
    )


def _repeated(frame: pd.DataFrame, columns: Columns) -> list[str]:
    """That images stand in several rows, which are treated as images of their own."""
    free = frame.drop(columns={columns.label, *columns.beside_label()}, errors="ignore")
    for name, (texts, _) in name_columns(free).items() if columns.subject is None else ():
        count = texts.nunique()
        if 0.1 * len(texts) < count < len(texts):
            return [
                f"Rows repeat: {len(texts):,} rows hold {count:,} different values of {name!r} and "
                "are treated as independent, which makes intervals too narrow. Keep one row an "
                f"image (one seed), or say so with --subject {name}."
            ]
    return []


def _groups(
    column: "pd.Series[Any]", ranges: Sequence[str] = (), declared: Sequence[str] = ()
) -> "pd.Series[Any]":
    """Groups as text or ranges; what other tools write for nothing is missing unless declared."""
    text = column.map(_text)
    empty = is_missing(text, declared)
    return ranged(column.mask(empty), ranges) if ranges else text.mask(empty, None)


def _unused(frame: pd.DataFrame, columns: Columns) -> str:
    """Every column is used or named."""
    used = {columns.label, *columns.beside_label()}
    left = [str(name) for name in frame if name not in used]
    ending = f"; not used: {', '.join(left)}" if left else ""
    return f"{len(frame):,} rows and {len(frame.columns)} columns were read{ending}."


def _require_distinct(columns: Columns) -> None:
    if columns.label == columns.prediction:
        raise EvaluationError(
            f"column {columns.label!r} is named as the label and as the prediction: it would agree "
            "with itself in every row; name the column of the classifier's answers"
        )
    for name in taken_apart(columns.groups)[0]:
        if name in (columns.label, columns.prediction, columns.score):
            raise EvaluationError(
                f"column {name!r} is named as an attribute and as the label, prediction or score: "
                "groups that follow from the answers say nothing about who is served worse; name "
                "columns that say who is shown"
            )


def _joined(request: Request) -> tuple["pd.Series[Any]", pd.DataFrame, list[str]]:
    """True classes, the other columns by row, and how two tables were joined."""
    columns, needed = request.columns, request.columns.beside_label()
    file, column = file_and_column(columns.label)
    if file is None:
        frame = read_whole(request.table, [columns.label, *needed])
        return frame[columns.label], frame, []
    frame, labels = read_whole(request.table), read_whole(file)
    label = value_column(labels, file, column)
    names = (
        frame if columns.sample is None or columns.sample not in frame else frame[[columns.sample]]
    )
    found = join(
        names, labels, called=(request.table.name, file.name), by_order=request.by_order,
        allow_unjoined=request.allow_unjoined,
    )  # fmt: skip
    kept = frame[found.rows >= 0]
    beside = labels.iloc[found.rows[found.rows >= 0]].set_axis(kept.index)
    both = kept.join(beside[[name for name in beside if name not in kept]])
    missing = next((name for name in needed if name not in both), None)
    if missing is not None:
        raise DataError(
            f"neither {request.table} nor {file} has a column {missing!r}; together they have: "
            f"{', '.join(map(str, both.columns))}"
        )
    return beside[label], both, [f"{found.sentence}."]


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
        replace_file(out / name, lambda file: file.write_text(text, encoding="utf-8"), mode=0o600)
    except OSError as error:
        raise storage_error(error, out) from error


def _require_shown(found: FairnessReport) -> None:
    """Refuse a report in which not one number of one group may be read."""
    state, below = found.by_group["state"], found.suppress_below
    if state.isin(["suppressed", "not_estimable", "unknown"]).all():
        attributes = ", ".join(str(one["attribute"]) for one in found.attributes)
        raise EvaluationError(
            f"nothing can be said about any group of {attributes}: "
            f"{(state == 'suppressed').sum()} of {len(state)} rates are withheld because group "
            f"sizes or true classes of 1 to {below - 1} images could be read from them, and no "
            "other can be computed; join "
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
    columns = Columns(**{**given["columns"], "groups": tuple(given["columns"]["groups"])})
    request = Request(
        table=Path(given["file"]), columns=columns, settings=given["settings"],
        by_order=given.get("by_order", False),
        allow_unjoined=given.get("allow_unjoined", ALLOWED),
    )  # fmt: skip
    _require_same(request.table, given["sha256"], folder)
    if request.labels is not None:
        _require_same(request.labels, given["labels_sha256"], folder)
    return evaluate_table(request)


def _require_same(table: Path, sha256: str, folder: Path) -> None:
    if not table.exists():
        raise DataError(f"{folder} was made from {table}, which is gone; put it back")
    if _sha256(table) != sha256:
        raise DataError(
            f"{table} has changed since {folder} was made from it; run debias evaluate again"
        )


def _described(request: Request) -> dict[str, Any]:
    columns, (labels, column) = request.columns, file_and_column(request.columns.label)
    named = {name: getattr(columns, name) for name in Columns.__dataclass_fields__}
    joined: dict[str, Any] = {}
    if labels is not None:
        named["label"] = ":".join(filter(None, [str(labels.absolute()), column]))
        joined = {
            "labels_sha256": _sha256(labels), "by_order": request.by_order,
            "allow_unjoined": request.allow_unjoined,
        }  # fmt: skip
    return {
        "file": str(request.table.absolute()),
        "sha256": _sha256(request.table),
        "columns": named,
        "settings": dict(request.settings),
        **joined,
    }


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _classes(
    y_true: "pd.Series[Any]", y_pred: "pd.Series[Any]"
) -> tuple["pd.Series[Any]", "pd.Series[Any]"]:
    """Numbers where all values of both are, so that "1" and "1.0" are one class; else text.

    Probabilities stay numbers, so that they are told from classes.
    """
    found = [_as_numbers(column) for column in (y_true, y_pred)]
    if found[1] is not None and (found[0] is not None or (found[1] % 1 != 0).any()):
        return y_true.map(_text) if found[0] is None else found[0], found[1]
    return y_true.map(_text), y_pred.map(_text)


def _as_numbers(column: "pd.Series[Any]") -> "pd.Series[Any] | None":
    """None if a value is no number; missing ones, and "nan" as text, stay for a message."""
    if column.dtype.kind in "biuf":
        return column
    if column.isna().any():
        return None
    numbers = pd.to_numeric(column, errors="coerce")
    return None if numbers.isna().any() else numbers


def _numbers(column: "pd.Series[Any]") -> "pd.Series[Any]":
    given = column.replace(COMMA, r"\1.\2", regex=True)  # a decimal comma
    numbers = pd.to_numeric(given, errors="coerce")
    broken = numbers.isna()
    if broken.any():
        first = int(broken.to_numpy().argmax())
        raise EvaluationError(
            f"{broken.sum()} of {len(column)} values of column {column.name!r} are no numbers, "
            f"first {column.iloc[first]!r} in {place_of(column, first)}"
        )
    return numbers.astype(float)


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
    is compared with its plain training. By name of what changed. The questions are those of the
    recipe of ``before`` unless others are asked, which is then remarked.

    Raises:
        DataError: A folder is not what it should be.
        EvaluationError: Images that differ, or an arm that is not there.
    """
    asked, remarks = _asked(before, after, settings)
    found = _compared(before, after, asked)
    return {name: replace(one, notes=(*remarks, *one.notes)) for name, one in found.items()}


def _asked(
    before: str, after: str | None, settings: Mapping[str, Any]
) -> tuple[dict[str, Any], list[str]]:
    """What is compared, with the questions of a run; that others were chosen after its report."""
    folder, chosen = _apart(before)[0], settings.get("primary")
    if not (folder / "report.json").exists():
        return dict(settings), []
    from debias.pipeline.recipe import RunConfig  # loads torch

    document = read_checked(folder / "report.json")
    config = RunConfig.model_validate(document["run"]["config"])
    compared = document["comparisons"].values()
    own = list(dict.fromkeys(row["quantity"] for one in compared for row in one["primary"]))
    same = after is None or _apart(after)[0].resolve() == folder.resolve()
    asked = {**settings, "primary": chosen or config.evaluation.primary}
    if not chosen or list(chosen) == own:
        return {**asked, "looks": config.looks if same else None}, []
    return asked, [
        f"Primary questions chosen after results: {', '.join(chosen)}. The recipe of {folder} "
        f"asked {', '.join(own) or 'none'}, and its report was there before; take the "
        "answers as a hint for a new run whose recipe names these questions."
    ]


def _compared(
    before: str, after: str | None, settings: Mapping[str, Any]
) -> dict[str, ComparisonReport]:
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
    primary: Sequence[str] | None = None,
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
        primary: Figures whose change is asked first and decides the verdict, in order of priority;
            by default ``worst_group_accuracy``, then ``accuracy``.

    Raises:
        DataError: A folder is not what it should be.
        EvaluationError: Images, labels, groups, classes, people or seeds that differ; a run
            folder with several arms, none of which was named.
    """
    return compare_reports(
        _one(before), _one(after), reference=reference, margin=margin, level=level,
        primary=primary,
    )  # fmt: skip


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


def write_comparison(
    found: Mapping[str, ComparisonReport], out: Path, *places: str | None
) -> list[Path]:
    """One page a comparison and ``comparison.json``, returning the pages; or StorageError.

    ``places`` are what was compared: a purge of one of them deletes the pages.
    """
    comparisons = {name: one.to_dict() for name, one in found.items()}
    names = ["comparison"] if len(found) == 1 else [f"comparison-{_slug(name)}" for name in found]
    pages = [out / f"{name}.html" for name in names]
    listed = [page.name for page in pages]
    of = [str(_apart(place)[0].resolve()) for place in places if place]
    with _written(out, COMPARED, "comparisons", of=of, comparisons=comparisons, pages=listed):
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
    folder, arm = _apart(place)
    if (folder / NUMBERS).exists():
        if arm:
            raise EvaluationError(f"{folder} is an evaluation and has no arms")
        return {"": read_evaluation(folder)}
    if not (folder / "report.json").exists():
        raise DataError(no_reports(folder.absolute()))
    from debias.pipeline.fairness import read_run  # loads torch

    arms = read_run(folder)
    if arm and arm not in arms:
        raise EvaluationError(f"{folder} has no arm {arm!r}; known: {', '.join(arms)}")
    return {arm: arms[arm]} if arm else arms


def _apart(place: str) -> tuple[Path, str]:
    """Folder and arm of ``FOLDER:ARM``; the arm is empty where none is named."""
    name, colon, arm = ("", "", place) if Path(place).exists() else place.rpartition(":")
    return (Path(name), arm) if colon else (Path(place), "")


def no_reports(folder: Path) -> str:
    if not folder.exists():
        return f"there is no folder {folder}; name one of debias evaluate or debias run"
    if (folder / "run.json").exists():
        return (
            f"{folder} is a run without a report (no report.json): it has not finished, or a purge "
            "deleted it; run the same debias run command again"
        )
    return (
        f"{folder} is neither a folder of debias evaluate (no {NUMBERS}) nor a finished run (no "
        "report.json)"
    )

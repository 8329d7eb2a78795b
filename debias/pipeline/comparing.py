"""What ``debias compare`` does: two classifiers, or the arms of runs, before and after.

A classifier is named by a folder of ``debias evaluate`` or by ``RUN:ARM``.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from debias import __version__, report
from debias.errors import DataError, EvaluationError, StorageError
from debias.metrics import ComparisonReport, FairnessReport, compare_pairs, json_text
from debias.metrics import compare as compare_reports
from debias.pipeline.evaluating import NUMBERS as EVALUATION
from debias.pipeline.evaluating import read_evaluation
from debias.storage.files import replace_file
from debias.types import BASELINE

NUMBERS = "comparison.json"
SCHEMA = 1


@dataclass(frozen=True, kw_only=True)
class Place:
    """A folder, and the arm in it if one was named."""

    folder: Path
    arm: str | None

    @staticmethod
    def parse(text: str) -> "Place":
        """Read ``FOLDER`` or ``FOLDER:ARM``."""
        folder, colon, arm = text.rpartition(":")
        if not colon or Path(text).exists():
            return Place(folder=Path(text), arm=None)
        return Place(folder=Path(folder), arm=arm)


def compare_places(
    before: str, after: str | None, settings: Mapping[str, Any]
) -> dict[str, ComparisonReport]:
    """Compare two classifiers, or every arm that two runs share, or the arms of one run.

    Args:
        before: ``FOLDER`` or ``FOLDER:ARM``.
        after: Likewise; None compares every arm of one run with its plain training.
        settings: ``reference``, ``margin`` and ``level`` of :func:`debias.compare`.

    Returns:
        By name of what changed.

    Raises:
        DataError: A folder is not what it should be.
        EvaluationError: Images that differ, or an arm that is not there.
    """
    first = read_reports(Place.parse(before))
    if after is None:
        if BASELINE not in first or len(first) < 2:
            raise EvaluationError(
                f"{before} has no arm {BASELINE!r} and another to compare; name two classifiers"
            )
        plain = first.pop(BASELINE)
        return compare_pairs({arm: (plain, found) for arm, found in first.items()}, **settings)
    second = read_reports(Place.parse(after))
    if len(first) == len(second) == 1:
        (one,), (other,) = first.values(), second.values()
        return {f"{one.name} to {other.name}": compare_reports(one, other, **settings)}
    return _arm_by_arm(first, second, settings)


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
    found = read_reports(Place.parse(str(place)))
    if len(found) > 1:
        raise EvaluationError(f"{place} has several arms; name one: {place}:{next(iter(found))}")
    return next(iter(found.values()))


def _arm_by_arm(
    first: Mapping[str, FairnessReport],
    second: Mapping[str, FairnessReport],
    settings: Mapping[str, Any],
) -> dict[str, ComparisonReport]:
    common = [arm for arm in first if arm in second]
    if not common:
        raise EvaluationError(
            f"no arm is in both: {', '.join(first)} and {', '.join(second)}; name them as "
            "FOLDER:ARM"
        )
    return compare_pairs({arm: (first[arm], second[arm]) for arm in common}, **settings)


def folder_name(before: str, after: str | None) -> str:
    """Of a comparison, by what is compared, so that no other one is in its way."""
    names = [_slug(Path(place).name) for place in (before, after) if place]
    return "-".join([*names, "comparison"])


def write_comparison(found: Mapping[str, ComparisonReport], out: Path) -> list[Path]:
    """Write one page a comparison and ``comparison.json`` into a folder; returns the pages.

    Raises:
        StorageError: The folder cannot be written.
    """
    comparisons = {name: one.to_dict() for name, one in found.items()}
    document: dict[str, Any] = {
        "kind": "comparisons",
        "schema": SCHEMA,
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
        "comparisons": comparisons,
    }
    names = ["comparison"] if len(found) == 1 else [f"comparison-{_slug(name)}" for name in found]
    pages = [out / f"{name}.html" for name in names]
    document["pages"] = [page.name for page in pages]
    text = json_text(document)
    try:
        out.mkdir(parents=True, exist_ok=True)
        _remove_stale(out, pages)
        for page, comparison in zip(pages, comparisons.values(), strict=True):
            report.write_comparison(page, comparison)
        replace_file(out / NUMBERS, lambda file: file.write_text(text, encoding="utf-8"))
    except OSError as error:
        raise StorageError(f"cannot write into {out} ({error}); choose another --out") from error
    return pages


def _slug(name: str) -> str:
    """An arm may bear any name; a file may not."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name)


def _remove_stale(out: Path, pages: Sequence[Path]) -> None:
    """Pages that an earlier comparison wrote here and this one does not."""
    for old in out.glob("comparison*.html"):
        if old not in pages:
            old.unlink()


def read_reports(place: Place) -> dict[str, FairnessReport]:
    """The classifiers of a folder by name.

    Raises:
        DataError: It is neither an evaluation nor a finished run.
        EvaluationError: There is no such arm.
    """
    if (place.folder / EVALUATION).exists():
        found = {"": read_evaluation(place.folder)}
        if place.arm is not None:
            raise EvaluationError(f"{place.folder} is an evaluation and has no arms")
        return found
    if not (place.folder / "report.json").exists():
        raise DataError(
            f"{place.folder.absolute()} is neither a folder of debias evaluate (no {EVALUATION}) "
            "nor a finished run (no report.json)"
        )
    from debias.pipeline.fairness import read_run  # loads torch

    arms = read_run(place.folder)
    if place.arm is None:
        return arms
    if place.arm not in arms:
        raise EvaluationError(f"{place.folder} has no arm {place.arm!r}; known: {', '.join(arms)}")
    return {place.arm: arms[place.arm]}

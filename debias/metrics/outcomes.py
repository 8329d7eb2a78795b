"""What classifiers said about images, checked once: the input of every measure and comparison.

``n`` images, ``s`` trainings of one classifier (1 for a single one), ``c`` classes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float64, Int64, Shaped
from numpy.typing import ArrayLike

from debias.errors import EvaluationError
from debias.statistics.groupings import (
    Grouping,
    as_groups,
    groupings,
    join_groups,
    require_groups,
)
from debias.storage.tables import is_missing, place_of
from debias.types import Predictions

Codes = Int64[np.ndarray, " n"]
Column = Shaped[np.ndarray, " n"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Outcomes:
    """What one classifier, trained once or several times, said about each image."""

    sample_ids: Column  # unique, ascending
    classes: tuple[str, ...]  # at least two, in the order of the indices below
    positive: str | None  # that rates such as recall are about; None for more than two classes
    y_true: Codes  # index into ``classes``
    y_pred: Int64[np.ndarray, "s n"]  # likewise, one row a training
    score: Float64[np.ndarray, "s n c"] | None  # probability of each class
    groupings: tuple[Grouping, ...]  # one per attribute, then their crossing
    subjects: Codes | None  # identity of each image as a number from 0; None where nobody says
    unnamed: int = 0  # images without identity, each counted as a person of its own
    seeds: tuple[int, ...] = ()  # of each training; empty for a classifier of unknown training


def read_outcomes(  # noqa: PLR0913 (the columns of one table)
    y_true: ArrayLike,
    y_pred: ArrayLike,
    score: ArrayLike | None,
    groups: object,
    subject_id: ArrayLike | None,
    sample_id: ArrayLike | None,
    *,
    classes: Sequence[object] | None = None,
    positive: object | None = None,
    sources: Mapping[str, str] | None = None,
    declared: Mapping[str, Sequence[str]] | None = None,
) -> Outcomes:
    """Check the columns of one classifier's predictions, all in the same order; see ``evaluate``.

    Raises:
        EvaluationError: Lengths that disagree, missing values, predictions that look like
            probabilities, lie outside the classes or have none in common with the truth, scores
            that are no probabilities, groups that look like identifiers or numbers.
        GroupSchemaError: A group that was not declared.
    """
    truth, guess = _labels("y_true", y_true, classes), _labels("y_pred", y_pred, classes)
    if len(truth) != len(guess):
        raise EvaluationError(f"y_true has {len(truth)} rows and y_pred {len(guess)}")
    if not len(truth):
        raise EvaluationError("there is no prediction to evaluate")
    values, names = _classes(truth, classes)
    about = _positive(names, positive)
    ids = _ids(sample_id, len(truth))
    order = np.argsort(ids, kind="stable")
    subjects, unnamed = _subjects(subject_id, len(truth))
    found = groupings(as_groups(groups, ids).iloc[order], sources, declared)
    for grouping in found:
        if not grouping.is_crossing and grouping.attribute not in (declared or {}):
            require_groups(grouping)
    y_true, y_pred = _indices("y_true", truth, values), _indices("y_pred", guess, values)
    if classes is None and not np.isin(y_true, y_pred).any():
        told = [", ".join(names[code] for code in np.unique(one)) for one in (y_true, y_pred)]
        raise EvaluationError(
            f"y_true holds only {told[0]} and y_pred only {told[1]}: they have no class in common. "
            "Write the same class in the same way in both; if every answer is wrong indeed, "
            "declare the classes"
        )
    scores = None if score is None else _checked_score(score, names, about, len(ids))
    return Outcomes(
        sample_ids=ids[order],
        classes=names,
        positive=about,
        y_true=y_true[order],
        y_pred=y_pred[order][None],
        score=None if scores is None else scores[order][None],
        groupings=found,
        subjects=None if subjects is None else subjects[order],
        unnamed=unnamed,
    )


def outcomes_of_trainings(
    trainings: Sequence[Predictions],
    groups: pd.DataFrame,
    classes: tuple[str, str],
    sources: Mapping[str, str] | None = None,
    subjects: pd.Series | None = None,
) -> Outcomes:
    """The trainings of one arm, one per seed, joined by sample id with groups and identities.

    Raises:
        EvaluationError: No training, several arms or splits, a seed twice, images that differ
            between trainings, ids repeated or without groups, classes outside {0, 1}, scores
            outside [0, 1].
    """
    if not trainings:
        raise EvaluationError("there is no prediction to evaluate")
    kinds = sorted({f"{one.arm} on {one.split}" for one in trainings})
    if len(kinds) > 1:
        raise EvaluationError(f"seeds of one arm and split are needed, got {', '.join(kinds)}")
    seeds = [one.seed for one in trainings]
    if len(set(seeds)) < len(seeds):
        raise EvaluationError(f"each seed may occur once, got {seeds}")
    ordered = sorted(trainings, key=lambda one: one.seed)
    found = [_read_training(one, classes) for one in ordered]
    ids, y_true = found[0][:2]
    for one, (its_ids, labels, *_) in zip(ordered, found, strict=True):
        if not (np.array_equal(its_ids, ids) and np.array_equal(labels, y_true)):
            raise EvaluationError(
                f"seeds {ordered[0].seed} and {one.seed} of arm {one.arm!r} predicted different "
                "images"
            )
    codes, unnamed = _subjects(None if subjects is None else subjects.loc[ids].to_numpy(), len(ids))
    return Outcomes(
        sample_ids=ids,
        classes=classes,
        positive=classes[1],
        y_true=y_true,
        y_pred=np.stack([y_pred for _, _, y_pred, _ in found]),
        score=np.stack([score for *_, score in found]),
        groupings=groupings(join_groups(groups, ids), sources=sources),
        subjects=codes,
        unnamed=unnamed,
        seeds=tuple(sorted(seeds)),
    )


def _read_training(one: Predictions, classes: tuple[str, str]) -> tuple[np.ndarray, ...]:
    """Ids, true and predicted classes and scores (n, 2) of one training, by id."""
    if not len(one.y_true):
        raise EvaluationError("there is no prediction to evaluate")
    if not np.isfinite(one.threshold):
        raise EvaluationError(f"the threshold must be finite, got {one.threshold}")
    ids = _ids(one.sample_ids, len(one.y_true))
    order = np.argsort(ids, kind="stable")
    y_true = _indices("y_true", _labels("y_true", one.y_true), [0, 1])
    score = _checked_score(one.score, classes, classes[1], len(ids))
    return ids[order], y_true[order], one.y_pred[order], score[order]


def _labels(name: str, values: ArrayLike, classes: Sequence[object] | None = None) -> Column:
    """One column of class labels: whole numbers or text, nothing missing."""
    column = np.asarray(values)
    if column.ndim != 1:
        raise EvaluationError(f"{name} must be one column of classes, got shape {column.shape}")
    missing = is_missing(pd.Series(column), classes or ())
    if missing.any():
        first = int(np.argmax(missing))
        raise EvaluationError(
            f"{missing.sum()} of {len(column)} values of {name} are missing, first "
            f"{column[first]!r} in {_place(values, first)}; leave these rows out or label them"
        )
    if column.dtype == object:
        kind = pd.api.types.infer_dtype(column)
        if kind not in ("string", "integer", "boolean", "floating"):
            raise EvaluationError(f"{name} holds {kind} values; use whole numbers or text alone")
        column = column.astype(str) if kind == "string" else np.array(column.tolist())
    if column.dtype.kind == "f":
        # Beyond 2^53 neighbouring whole numbers are one float.
        broken = ~np.isfinite(column) | (column != np.round(column)) | (np.abs(column) > 2**53)
        if broken.any():
            raise EvaluationError(_no_class(name, column, column[broken][0]))
    return column.astype(np.int64) if column.dtype.kind in "biuf" else column.astype(str)


def _place(values: object, position: int) -> str:
    """Where a value stands: by the line of its file where that is known, else by row from 0."""
    if isinstance(values, pd.Series) and values.index.name in ("line", "row"):
        return place_of(values, position)
    return f"row {position}"


def _no_class(name: str, column: Column, first: float) -> str:
    if ((column >= 0) & (column <= 1)).all():
        return (
            f"{name} holds {first:g}: these look like probabilities. Give them as the score, and "
            f"as {name} the class that each leads to: in a column of its own, for example 1 where "
            "the score is 0.5 or more; in a terminal: --prediction CLASSES --score PROBABILITIES"
        )
    return f"{name} holds {first:g}, which is no class; use whole numbers or text"


def _classes(truth: Column, declared: Sequence[object] | None) -> tuple[list[Any], tuple[str, ...]]:
    """The raw value of each class, and its name."""
    numeric = truth.dtype.kind == "i"
    if declared is not None:
        values = [_declared(one) if numeric else str(one) for one in declared]
    else:
        values = np.unique(truth).tolist()
        if numeric and set(values) <= {0, 1}:
            values = [0, 1]
    names = tuple(str(one) for one in values)
    if len(set(names)) < max(2, len(names)):
        raise EvaluationError(
            f"two different classes are needed, got {', '.join(names)}; declare them with classes"
        )
    return values, names


def _declared(one: object) -> int:
    try:
        return int(str(one))
    except ValueError as error:
        raise EvaluationError(
            f"class {one!r} was declared, but y_true holds whole numbers; make y_true and y_pred "
            "text, or declare numbers"
        ) from error


def _positive(classes: tuple[str, ...], declared: object | None) -> str | None:
    if len(classes) > 2:
        if declared is not None:
            raise EvaluationError(f"a positive class is one of two; there are {len(classes)}")
        return None
    positive = classes[-1] if declared is None else str(declared)
    if positive not in classes:
        raise EvaluationError(f"positive class {positive!r} is none of {', '.join(classes)}")
    return positive


def _indices(name: str, column: Column, values: list[Any]) -> Codes:
    numeric = column.dtype.kind == "i"
    if numeric != isinstance(values[0], int):
        kinds = "whole numbers" if numeric else "text"
        raise EvaluationError(f"{name} holds {kinds}, the classes are {values[:10]}: not the same")
    codes = pd.Index(values).get_indexer(pd.Index(column)).astype(np.int64)
    outside = codes < 0
    if outside.any():
        strange = sorted({str(value) for value in column[outside]})[:5]
        raise EvaluationError(
            f"{outside.sum()} of {len(column)} values of {name} lie outside the classes "
            f"{', '.join(map(str, values[:10]))}: {', '.join(strange)}; declare all classes, in a "
            f"terminal with --classes {','.join(map(str, [*values[:10], *strange]))}"
        )
    return codes


def _checked_score(
    score: ArrayLike, classes: Sequence[str], positive: str | None, n: int
) -> Float64[np.ndarray, "n c"]:
    n_classes = len(classes)
    try:
        values = np.asarray(score, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise EvaluationError(f"score must be numbers: {error}") from error
    if n_classes == 2 and values.ndim == 1:
        both = [1 - values, values]  # one column is about the positive class
        values = np.stack(both if positive == classes[1] else both[::-1], axis=1)
    if values.shape != (n, n_classes):
        raise EvaluationError(
            f"score must have shape ({n}, {n_classes}), or ({n},) for two classes; got "
            f"{np.asarray(score).shape}"
        )
    outside = ~((values >= 0) & (values <= 1)).all(axis=1)  # True for NaN, too
    if outside.any():
        first = int(np.argmax(outside))
        raise EvaluationError(
            f"{outside.sum()} of {n} scores are not probabilities in [0, 1], first "
            f"{np.asarray(score)[first]} in {_place(score, first)}; give probabilities (of a logit "
            "x: 1 / (1 + exp(-x))), or leave the scores out"
        )
    far = np.abs(values.sum(axis=1) - 1) > 1e-4
    if far.any():
        raise EvaluationError(f"{far.sum()} of {n} rows of score do not sum to 1")
    return values


def _subjects(subject_id: ArrayLike | None, n: int) -> tuple[Codes | None, int]:
    """Identities as numbers; an image without one is a person of its own."""
    if subject_id is None:
        return None, 0
    given = np.asarray(subject_id, dtype=object)
    if given.shape != (n,):
        raise EvaluationError(f"subject_id has shape {given.shape} for {n} predictions")
    column = pd.Series(list(given), dtype=object)
    blank = column.map(lambda one: isinstance(one, str) and not one.strip())
    column = column.mask(blank, None)
    if pd.api.types.infer_dtype(column, skipna=True).startswith("mixed"):
        raise EvaluationError("subject_id mixes text and numbers: 1 and '1' would be two people")
    codes, known = pd.factorize(column)
    unnamed = codes < 0
    codes[unnamed] = len(known) + np.arange(unnamed.sum())
    return codes.astype(np.int64), int(unnamed.sum())


def _ids(sample_id: ArrayLike | None, n: int) -> Column:
    if sample_id is None:
        return np.arange(n)
    ids = np.asarray(sample_id)
    missing = int(pd.isna(ids).sum())
    if missing:
        raise EvaluationError(f"{missing} of {n} sample ids are missing; give each image a name")
    ids = ids.astype(str) if ids.dtype == object else ids
    if ids.shape != (n,):
        raise EvaluationError(f"sample_id has shape {ids.shape} for {n} predictions")
    repeated = n - len(np.unique(ids))
    if repeated:
        raise EvaluationError(f"{repeated} predictions repeat a sample id")
    return ids

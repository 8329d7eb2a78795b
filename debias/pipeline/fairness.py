"""The arms of a run -> one report each on how it treats every group, and what changed."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from debias import metrics
from debias.errors import ArtifactCorruptError, DataError
from debias.metrics import ComparisonReport, FairnessReport, Outcomes, Rules, Training
from debias.metrics.documents import PrimaryChange
from debias.pipeline.about import Stages
from debias.pipeline.job import Run
from debias.pipeline.recipe import RunConfig
from debias.pipeline.step import load_predictions
from debias.report.documents import Stopping, Weights
from debias.statistics.looks import Looks
from debias.statistics.withholding import hidden_counts
from debias.storage.artifacts import Artifact, RunFolder, load_faces
from debias.storage.sealed import read_checked
from debias.types import BASELINE, FaceStore


def arm_reports(
    run: Run, faces: FaceStore, classifiers: Mapping[str, Sequence[Artifact]]
) -> dict[str, FairnessReport]:
    """One report an arm: the mean over its trainings, on the unweighted test faces."""
    return _reports(faces, classifiers, run.config.data.source, run.config.evaluation)


def arm_trainings(run: Run, reports: Mapping[str, FairnessReport]) -> dict[str, list[Training]]:
    """Every training of every arm by itself."""
    rules = run.config.evaluation
    return {
        arm: metrics.each_training(report.outcomes, rules, arm) for arm, report in reports.items()
    }


def arm_comparisons(
    reports: Mapping[str, FairnessReport], rules: Rules, looks: Looks | None = None
) -> dict[str, ComparisonReport]:
    """Every other arm against plain training, as one family of comparisons.

    ``looks`` where the number of trainings was left to the answers.
    """
    if BASELINE not in reports:
        return {}
    plain = reports[BASELINE]
    pairs = {arm: (plain, report) for arm, report in reports.items() if arm != BASELINE}
    return metrics.compare_pairs(
        pairs,
        reference=rules.reference,
        margin=rules.margin,
        level=rules.level,
        primary=rules.primary,
        looks=looks,
    )


def enough_trainings(config: RunConfig, stages: Stages) -> bool:
    """Whether every primary question of every arm is answered by these trainings."""
    faces = load_faces(stages.faces)
    reports = _reports(faces, stages.classifiers, config.data.source, config.evaluation)
    compared = arm_comparisons(reports, config.evaluation, config.looks)
    return all_answered(row for one in compared.values() for row in one.primary)


def all_answered(primary: Iterable[PrimaryChange]) -> bool:
    """Nothing more would be learned by further trainings; so too where nothing was asked."""
    return all(one["reading"] != "cannot_tell" for one in primary)


def stopping_of(
    config: RunConfig, trainings: int, comparisons: Mapping[str, ComparisonReport]
) -> Stopping | None:
    """Why there are so many trainings; None where a recipe gives their number."""
    looks, error = config.looks, 1 - config.evaluation.level
    if looks is None:
        return None
    answered = all_answered(row for one in comparisons.values() for row in one.primary)
    level = looks.level(trainings, error)
    why = (
        "then every primary question was answered"
        if answered
        else "the most that the recipe allows, and not every primary question was answered"
    )
    return {
        "least": looks.least, "most": looks.most, "trainings": trainings, "answered": answered,
        "level": level,
        "sentence": f"{trainings} trainings of every arm, {why}. From {looks.least} to "
        f"{looks.most} trainings the questions are judged anew after each, so a p-value counts "
        f"after {trainings} only up to {level:.2g} where {error:.2g} is allowed: all these looks "
        f"together err no more often than {100 * error:.2g}%.",
    }  # fmt: skip


def read_run(folder: Path) -> dict[str, FairnessReport]:
    """The reports of every arm of a finished run folder, made again from its predictions.

    Raises:
        DataError: The run was written by another version, which did not name its parts.
        ArtifactCorruptError: A part of it is missing or altered.
    """
    document = read_checked(folder / "report.json")
    made = document["run"].get("artifacts")
    if made is None:
        raise DataError(f"{folder} was written by an older version; run debias run on it again")
    parts = RunFolder(folder)
    faces = load_faces(_part(parts, "faces", made["faces"]))
    classifiers = {
        arm: [_part(parts, "classifier", key) for key in keys]
        for arm, keys in made["classifiers"].items()
    }
    config = document["run"]["config"]
    rules = Rules.model_validate(config["evaluation"])
    return _reports(faces, classifiers, document["data"]["source"], rules)


def _part(folder: RunFolder, stage: str, key: str) -> Artifact:
    found = folder.find(stage, key)
    if found is None:
        raise ArtifactCorruptError(f"{folder.path / stage / key} is missing; run debias run again")
    return found


def arm_outcomes(
    faces: FaceStore,
    artifacts: Sequence[Artifact],
    source: Any,  # noqa: ANN401 (a word of the data set)
) -> Outcomes:
    """What the trainings of one arm say about the test faces."""
    test = faces.samples.iloc[faces.rows("test")].set_index("sample_id")
    first, second = faces.classes  # scores are of one positive class
    return metrics.outcomes_of_trainings(
        [load_predictions(one) for one in artifacts],
        test[list(faces.attributes)],
        (first, second),
        dict.fromkeys(faces.attributes, source),
        test.get("subject_id"),
    )


def _reports(
    faces: FaceStore,
    classifiers: Mapping[str, Sequence[Artifact]],
    source: Any,  # noqa: ANN401
    rules: Rules,
) -> dict[str, FairnessReport]:
    return {
        arm: metrics.report_on(
            arm_outcomes(faces, artifacts, source), rules, name=arm, split="test"
        )
        for arm, artifacts in classifiers.items()
    }


def small_training_groups(faces: FaceStore, below: int) -> frozenset[str]:
    """Names of the groups and crossings whose number of training images is withheld."""
    hidden = hidden_counts(faces.groups(faces.rows("train")), below)
    return frozenset(name for name, withheld in hidden.items() if withheld)


def without(figures: Weights, hidden: frozenset[str]) -> Weights:
    """Figures of weights without the groups whose counts could be read from them."""
    tables: Any = {
        name: {group: row for group, row in found.items() if group not in hidden}
        for name, found in (
            ("share_by_group", figures.get("share_by_group")),
            ("auc_by_group", figures.get("auc_by_group")),
        )
        if found is not None
    }
    return {**figures, **tables}

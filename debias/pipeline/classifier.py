"""Stage 4: one classifier of one arm and seed, trained, predicted and measured."""

from collections.abc import Hashable, Mapping
from typing import Any, cast

import numpy as np
import pandas as pd

from debias.metrics import Training, each_training
from debias.models import Classifier, encoding
from debias.pipeline.fairness import arm_outcomes, small_training_groups
from debias.pipeline.film import film, wanted
from debias.pipeline.job import Run
from debias.pipeline.step import HISTORY, Shown, Step, Work, example_batch, predictions_files
from debias.pipeline.task import ClassifierTask, built
from debias.plugins import dump
from debias.report.for_whom import arm_title
from debias.seeding import torch_stream
from debias.storage.artifacts import Artifact, Files, load_network
from debias.tracking.tracker import Tracker
from debias.training.batches import Batches
from debias.types import FaceStore, Predictions
from debias.weighting import sampling

THRESHOLD = 0.5
DIFFERENCES = (
    "demographic_parity_difference",
    "equal_opportunity_difference",
    "equalized_odds_difference",
)


def _settings(work: Work[Run]) -> dict[str, Any]:
    config = work.job.config
    settings = dump(config.classifier) | {"seed": [config.seed, work.seed], "arm": work.arm}
    if work.arm in config.objectives:
        settings["objective"] = dump(config.objectives[work.arm])
    if config.objective(work.arm).joint:
        settings["weights"] = [dump(config.arms[work.arm]), dump(config.density)]
    return settings | work.job.compute.identity() | {"sampler": sampling.VERSION}


def _shown(work: Work[Run]) -> Shown:
    arm, seed = work.which
    tags = {"arm": arm, "arm_title": arm_title(arm), "seed": seed}
    tags |= {"generated": "true"} if arm in work.job.config.generating else {}
    return Shown(classifier_name(arm, work.seed), f"{arm_title(arm)}, seed {seed}", tags)


def classifier_name(arm: str, seed: int) -> str:
    return f"{arm} seed {seed}"


def measure(run: Run, faces: FaceStore, artifact: Artifact) -> Training:
    """Rates of one trained classifier on the test faces, by annotated group."""
    outcomes = arm_outcomes(faces, [artifact], run.config.data.source)
    return each_training(outcomes, run.config.evaluation)[0]


def _train(work: Work[Run], tracker: Tracker) -> Files:
    """Raises TrainingError if training diverged."""
    run, faces = work.job, work.faces
    if not np.array_equal(work.weights.sample_ids, faces.ids(faces.rows("train"))):
        raise ValueError("weights and training faces are not of the same samples")
    objective = run.config.objective(work.arm)
    advance = work.start(objective.fitted(run.config.classifier.training.epochs))
    task = ClassifierTask(work, objective, tracker, advance)
    with torch_stream(run.config.seed, f"classifier/{work.seed}/network"):
        network = cast(Classifier, objective.train(task))
    predictions = predictions_files(_predict(work, network))
    history = {"epochs": task.history, "film": task.frames}
    return {"network.safetensors": network, HISTORY: history, **predictions}


def _predict(work: Work[Run], network: Classifier) -> Predictions:
    """The test set as it is: evaluation is never reweighted."""
    rows = work.faces.rows("test")
    batches = Batches(work.faces, 256, work.job.compute.device)
    labels, score = encoding.scores(network, batches.evaluate(rows), work.job.compute)
    return Predictions(
        sample_ids=work.faces.ids(rows),
        y_true=labels,
        score=score,
        threshold=THRESHOLD,
        arm=work.arm,
        seed=work.seed,
        split="test",
    )


def _tell(work: Work[Run], artifact: Artifact, tracker: Tracker) -> None:
    run, faces = work.job, work.faces
    report = measure(run, faces, artifact)
    rule = run.config.arms[work.arm]
    tracker.dataset(run.config.data.name, work.inputs["faces"].key)
    tracker.params({"arm": work.arm, "seed": work.seed, "label": faces.label})
    tracker.params({"weighting": dump(rule), "classifier": dump(run.config.classifier)})
    if "density" in rule.needs:
        tracker.params({"density": dump(run.config.density)})
    tracker.params({"objective": dump(run.config.objective(work.arm))})
    tracker.params({"group_labels": run.config.group_labels(work.arm)})
    tracker.metrics(_metrics(report))
    tracker.metrics({"time/seconds": artifact.seconds})
    tracker.table("by_group", side_by_side(report.by_group))
    _tell_film(run, faces, artifact, tracker)
    network = built(run.config, work.arm, len(faces.classes))
    load_network(artifact, network)
    tracker.model("classifier", network, example_batch(faces))


def _tell_film(run: Run, faces: FaceStore, artifact: Artifact, tracker: Tracker) -> None:
    hidden = small_training_groups(faces, run.config.evaluation.suppress_below)
    epochs, rows = film([artifact], hidden), []
    for number, (epoch, ids) in enumerate(zip(epochs, wanted(artifact), strict=True)):
        shares = {f"share_after/{group}": share for group, share in epoch["share_by_group"].items()}
        tracker.metrics({"weights/ess": epoch["ess"], **shares}, number)
        rows.append({"epoch": number + 1, "ess": epoch["ess"], **epoch["share_by_group"],
                     "drawn_most": " ".join(ids)})  # fmt: skip
    if rows:
        tracker.table("weights_by_epoch", pd.DataFrame(rows))


def side_by_side(by_group: pd.DataFrame) -> pd.DataFrame:
    """Rates by group with two columns in front by which MLflow lays runs side by side.

    Its table of several runs groups by the first column and compares the second.
    """
    rows = by_group.to_dict("records")
    named = [f"{row['metric']} of {row['group']}" for row in rows]
    front = pd.DataFrame({"rate": named, "measured": [_said(row) for row in rows]})
    return pd.concat([front, by_group], axis=1)


def _said(row: Mapping[Hashable, Any]) -> str:
    """A rate in one cell; never a number without its interval and its size."""
    if row["state"] in ("suppressed", "not_estimable"):
        return str(row["state"]).replace("_", " ")
    small = ", too small" if row["state"] == "too_small" else ""
    return (
        f"{row['value']:.1%} [{row['low']:.1%}, {row['high']:.1%}], "
        f"n = {row['denominator']:,.0f}{small}"
    )


def _metrics(report: Training) -> dict[str, float]:
    """Slash-named: the part before the slash is a section of charts."""
    found = report.figures
    accuracy, differences = found["accuracy"], found["disparities"]
    values = {
        "accuracy/overall": accuracy["overall"],
        "accuracy/worst_group": accuracy["worst_group"],
        "accuracy/gap": accuracy["gap"],
        "accuracy/variance": accuracy["variance"],
        "quality/auroc": found["auroc"],
        "quality/expected_calibration_error": found["expected_calibration_error"],
    }
    for name in DIFFERENCES:
        values[f"fairness/{name}"] = differences[name]
        for attribute, figures in found["disparities_by_attribute"].items():
            values[f"fairness {attribute}/{name}"] = figures[name]
    for row in report.by_group.to_dict("records"):
        name = f"{row['metric']} by group/{row['group']}"
        values[name] = float(row["value"])
        if row["value"] == row["value"]:  # of what is undefined, the value says it
            values |= {f"{name}_{end}": float(row[end]) for end in ("low", "high")}
    return values


CLASSIFIER = Step(
    "classifier", settings=_settings, build=_train, tell=_tell, shown=_shown, trains=True
)

"""Classifiers of the annotated columns, trained on the data: they judge what is drawn.

The features of the first one are those in which samples and images are compared.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from debias.models import Classifier, encoding
from debias.pipeline.job import Study
from debias.pipeline.representation import shuffled_epochs
from debias.pipeline.step import Step, Work
from debias.plugins import dump
from debias.seeding import torch_stream
from debias.statistics.groupings import UNKNOWN, group_names
from debias.storage.artifacts import Artifact, Files, load_network
from debias.tracking.tracker import Tracker
from debias.training.batches import Batches
from debias.training.loop import EpochMetrics, fit
from debias.types import FaceStore

STAGE, ABOUT = "judge", "judge.json"
AT_ONCE = 256


def annotated(store: FaceStore, column: str) -> FaceStore:
    """The store with a column as its label; images of which nobody said it are in no split."""
    if column == store.label:
        return store
    values = group_names(store.samples[column])
    classes = tuple(sorted(set(values) - {UNKNOWN}))
    known = np.isin(values, classes)
    codes = np.searchsorted(np.array(classes), np.where(known, values, classes[0]))
    split = store.samples["split"].where(known, UNKNOWN)
    samples = store.samples.assign(label=codes.astype(np.int64), split=split)
    return replace(store, samples=samples, classes=classes, label=column)


def load_judge(job: Study, artifact: Artifact) -> tuple[Classifier, np.ndarray]:
    """The classifier on the device of the run, and the names of its classes."""
    classes = artifact.read_json(ABOUT)["classes"]
    network: Any = load_network(artifact, job.config.judge.model.build(len(classes)))
    return job.compute.place(network), np.array(classes)  # type: ignore[return-value]


def _settings(work: Work[Study]) -> dict[str, Any]:
    config = work.job.config
    return dump(config.judge) | {
        "column": work.arm, "seed": config.seed, **work.job.compute.identity()
    }  # fmt: skip


def _build(work: Work[Study], tracker: Tracker) -> Files:
    """Raises TrainingError if training diverged."""
    job, store = work.job, annotated(work.faces, work.arm)
    recipe, seed, purpose = job.config.judge, job.config.seed, f"judge/{work.arm}"
    batches = Batches(store, recipe.training.batch_size, job.compute.device, recipe.augmentation)
    train, advance = store.rows("train"), work.start(recipe.training.epochs)
    draws = shuffled_epochs(batches, train, seed, f"{purpose}/order", f"{purpose}/views")

    def on_epoch(number: int, means: EpochMetrics) -> None:
        advance(f"accuracy {means['accuracy']:.1%}")

    with torch_stream(seed, purpose):
        network: Classifier = job.compute.build(lambda: recipe.model.build(len(store.classes)))
        steps = len(train) // recipe.training.batch_size
        fit(network, draws, recipe.training, steps, job.compute, on_epoch)
    network.eval()
    return {"network.safetensors": network, ABOUT: _about(job, store, network)}


def _about(job: Study, store: FaceStore, network: Classifier) -> dict[str, Any]:
    """How often it is right about held-out images, and what it says of images like those seen."""

    def asked(split: str) -> tuple[np.ndarray, np.ndarray]:
        rows = store.rows(split)
        batches = Batches(store, AT_ONCE, job.compute.device).evaluate(rows)
        return encoding.predicted(network, batches, job.compute), store.labels(rows)

    (said, truth), (alike, shares) = asked("test"), asked("validation")
    right = [float((said[truth == code] == code).mean()) if (truth == code).any() else None
             for code in range(len(store.classes))]  # fmt: skip
    return {
        "column": store.label,
        "classes": list(store.classes),
        "images": len(truth),
        "accuracy": float((said == truth).mean()),
        "right": right,  # share of each class
        "share": [float((shares == code).mean()) for code in range(len(store.classes))],
        "judged": [float((alike == code).mean()) for code in range(len(store.classes))],
    }


JUDGE = Step(STAGE, settings=_settings, build=_build, trains=True)

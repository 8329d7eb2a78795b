"""Curves of a training: one record an epoch, kept beside the network and sent to the tracker."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from jaxtyping import Float32

from debias.storage.artifacts import Artifact
from debias.storage.sealed import write_json
from debias.tracking.tracker import Tracker
from debias.training.loop import EpochMetrics
from debias.types import FaceStore

FILE = "history.json"


def epoch_record(means: EpochMetrics, held_out: EpochMetrics) -> dict[str, float]:
    """Means over the epoch's batches and over the validation images, slash-named."""
    return named("train", means) | named("val", held_out)


def named(prefix: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f"{prefix}/{name}": float(value) for name, value in values.items()}


def save_history(folder: Path, epochs: list[dict[str, float]]) -> None:
    write_json(folder / FILE, {"epochs": epochs})


def load_history(artifact: Artifact) -> list[dict[str, float]]:
    epochs: list[dict[str, float]] = artifact.read_json(FILE)["epochs"]
    return epochs


def replay(artifact: Artifact, tracker: Tracker) -> None:
    """Send the curves of a finished training, as they would have been sent live."""
    for epoch, metrics in enumerate(load_history(artifact)):
        tracker.metrics(metrics, epoch)


def example_batch(faces: FaceStore) -> Float32[np.ndarray, "2 C H W"]:
    """Two images as a network takes them: the shape under which a model is logged."""
    pixels = faces.images[faces.rows("validation")[:2]].transpose(0, 3, 1, 2)
    return pixels.astype(np.float32) / 255

"""A step: what decides its result, how it is made of finished ones, who is told.

Finding, reusing, timing, sealing, publishing stand here, once. What feeds what is in plans.py.
"""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic

import numpy as np
import pandas as pd
from jaxtyping import Float32

from debias import stopping
from debias.pipeline.job import J
from debias.pipeline.ranks import together
from debias.storage.artifacts import Artifact, Files, content_key, load_faces, load_latents, save
from debias.tracking.tracker import Advance, Tracker
from debias.training.checkpoint import checkpoints
from debias.types import FaceStore, Latents, Predictions
from debias.weighting.weights import SamplingWeights

HISTORY = "history.json"  # curves of a training, one record an epoch


@dataclass(frozen=True)
class Work(Generic[J]):
    """One piece of work of a step: for which arm and seed, made from what.

    Values of the inputs are loaded when they are asked for.
    """

    job: J
    which: tuple[str, ...] = ()
    inputs: Mapping[str, Artifact] = field(default_factory=dict)
    title: str = ""

    def start(self, total: int) -> Advance:
        """Tell who watches that it begins, in so many steps."""
        return self.job.progress.start(self.title, total)

    @property
    def keys(self) -> dict[str, str]:
        return {name: one.key for name, one in self.inputs.items()}

    @property
    def arm(self) -> str:
        return self.which[0]

    @property
    def seed(self) -> int:
        return int(self.which[1])

    @cached_property
    def faces(self) -> FaceStore:
        return load_faces(self.inputs["faces"])

    @cached_property
    def latents(self) -> Latents:
        return load_latents(self.inputs["representation"])

    @cached_property
    def weights(self) -> SamplingWeights:
        return load_weights(self.inputs["weights"])


@dataclass(frozen=True)
class Shown:
    """Under which name, title and tags a tracker shows a piece of work."""

    name: str
    title: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step(Generic[J]):
    """A step whose result is a sealed folder, found again by its content.

    Attributes:
        name: Of the step, and of its folder in the run.
        settings: Everything that decides the result beside the inputs.
        build: The result, by file; reports progress, and curves of a training to the tracker.
        tell: Publishes a finished result; None for a step that no tracker shows.
        shown: As what.
        keyed: Content keys of the inputs that decide the result; by default of all.
        heading: What people read while it is made; by default its name.
        trains: Whether processes that train together all build it; then a module can name it.
    """

    name: str
    settings: Callable[[Work[J]], Mapping[str, Any]]
    build: Callable[[Work[J], Tracker], Files]
    tell: Callable[[Work[J], Artifact, Tracker], None] | None = None
    shown: Callable[[Work[J]], Shown] = lambda work: Shown("")
    keyed: Callable[[Work[J]], Mapping[str, str]] = lambda work: work.keys
    heading: str = ""
    trains: bool = False

    def make(self, job: J, *which: str, **inputs: Artifact | None) -> Artifact:
        """Make the result for an arm and a seed, or find it made; then see that it is published."""
        stopping.check()
        start, title = time.monotonic(), self.title(*which)
        given = {name: one for name, one in inputs.items() if one is not None}
        work = Work(job, which, given, title)
        settings, keys = self.settings(work), self.keyed(work)
        key = content_key(self.name, settings, keys)
        found, shown = job.folder.find(self.name, key), self.shown(work)
        if found is not None:
            job.progress.reused(title)
            if self.tell is None or job.published(self.name, key, shown.name):
                return found
        with self._tracker(work, key, shown) as tracker:
            found = found or job.folder.find(self.name, key)  # by another process meanwhile
            if found is None:
                job.require_making(title)
                unfinished = job.folder.checkpoint(self.name, key)
                others = together(self.build, work) if self.trains else nullcontext()
                with others, checkpoints(unfinished, job.progress.note):
                    files = self.build(work, tracker)
                found = self._seal(work, key, keys, files, start)
                unfinished.unlink(missing_ok=True)
            else:
                replay(curves(found), tracker)
            if self.tell is not None:
                self.tell(work, found, tracker)
        return found

    def title(self, *which: str) -> str:
        return " ".join((self.heading or self.name.capitalize(), ", seed ".join(which))).strip()

    def _tracker(self, work: Work[J], key: str, shown: Shown) -> AbstractContextManager[Tracker]:
        if self.tell is None:
            return nullcontext(Tracker())
        return work.job.tracked(self.name, key, shown.name, title=shown.title, **shown.tags)

    def _seal(
        self, work: Work[J], key: str, keys: Mapping[str, str], files: Files, start: float
    ) -> Artifact:
        about = work.job.compute.describe() | {"inputs": dict(keys)}
        with work.job.folder.create(self.name, key, about) as folder:
            save(folder, files)
            about["seconds"] = round(time.monotonic() - start, 3)
        found = work.job.folder.find(self.name, key)  # read back and checked
        if found is None:
            raise FileNotFoundError(f"{self.name}/{key} was not written")
        return found


def named(prefix: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f"{prefix}/{name}": float(value) for name, value in values.items()}


def curves(artifact: Artifact) -> list[dict[str, float]]:
    """Curves of a finished training, one record an epoch; none of what was not trained."""
    if not (artifact.path / HISTORY).exists():
        return []
    epochs: list[dict[str, float]] = artifact.read_json(HISTORY)["epochs"]
    return epochs


def replay(history: list[dict[str, float]], tracker: Tracker) -> None:
    """Send the curves of past epochs, as they would have been sent live."""
    for epoch, metrics in enumerate(history):
        tracker.metrics(metrics, epoch)


def take_up(
    history: list[dict[str, float]],
    left: list[dict[str, float]],
    tracker: Tracker,
    advance: Advance,
) -> None:
    """Put the epochs of an interrupted training into ``history``, and tell who follows it."""
    advance("", len(left) - len(history))
    history[:] = left
    replay(history, tracker)


def example_batch(faces: FaceStore) -> Float32[np.ndarray, "2 C H W"]:
    """Two images as a network takes them: the shape under which a model is logged."""
    pixels = faces.images[faces.rows("validation")[:2]].transpose(0, 3, 1, 2)
    return pixels.astype(np.float32) / 255


def arrays(**named: np.ndarray) -> Files:
    return {f"{name}.npy": array for name, array in named.items()}


def latents_files(latents: Latents) -> Files:
    """Ids, points and, where samples have one, their spread."""
    spread = {} if latents.log_var is None else {"log_var": latents.log_var}
    return arrays(ids=latents.sample_ids, mean=latents.mean, **spread)


def weights_files(weights: SamplingWeights) -> Files:
    frame = pd.DataFrame({"sample_id": weights.sample_ids, "probability": weights.probability})
    return {"weights.parquet": frame, "origin.json": weights.origin}


def load_weights(artifact: Artifact) -> SamplingWeights:
    frame = pd.read_parquet(artifact.path / "weights.parquet")
    return SamplingWeights(
        sample_ids=frame["sample_id"].to_numpy(dtype=str),
        probability=frame["probability"].to_numpy(dtype=np.float64),
        origin=artifact.read_json("origin.json"),
    )


def predictions_files(predictions: Predictions) -> Files:
    columns = {
        "sample_id": predictions.sample_ids,
        "y_true": predictions.y_true,
        "score": predictions.score,
    }
    names = ("threshold", "arm", "seed", "split")
    about = {name: getattr(predictions, name) for name in names}
    return {"predictions.parquet": pd.DataFrame(columns), "predictions.json": about}


def load_predictions(artifact: Artifact) -> Predictions:
    frame = pd.read_parquet(artifact.path / "predictions.parquet")
    return Predictions(
        sample_ids=frame["sample_id"].to_numpy(dtype=str),
        y_true=frame["y_true"].to_numpy(dtype=np.int64),
        score=frame["score"].to_numpy(dtype=np.float64),
        **artifact.read_json("predictions.json"),
    )

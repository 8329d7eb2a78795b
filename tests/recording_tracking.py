"""Trackers that keep what they are told, for tests."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from debias.tracking.tracker import Tracker, Tracking


@dataclass
class RecordingTracker(Tracker):
    """Keeps what it is told, for tests."""

    logged_params: dict[str, object] = field(default_factory=dict)
    logged_metrics: list[tuple[str, float, int | None]] = field(default_factory=list)
    logged_tags: dict[str, str] = field(default_factory=dict)
    logged_images: list[tuple[str, int | None]] = field(default_factory=list)
    logged_tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    logged_artifacts: list[str] = field(default_factory=list)
    logged_models: list[str] = field(default_factory=list)
    logged_note: str = ""
    logged_datasets: list[tuple[str, str]] = field(default_factory=list)

    def params(self, values: Mapping[str, object]) -> None:
        self.logged_params |= dict(values)

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        self.logged_metrics += [(name, value, step) for name, value in values.items()]

    def tags(self, values: Mapping[str, str]) -> None:
        self.logged_tags |= dict(values)

    def note(self, markdown: str) -> None:
        self.logged_note = markdown

    def dataset(self, name: str, digest: str) -> None:
        self.logged_datasets.append((name, digest))

    def image(self, name: str, image: UInt8[np.ndarray, "H W 3"], step: int | None = None) -> None:
        self.logged_images.append((name, step))

    def table(self, name: str, frame: pd.DataFrame) -> None:
        self.logged_tables[name] = frame

    def artifact(self, path: Path, folder: str = "") -> None:
        self.logged_artifacts.append(str(Path(folder) / path.name))

    def figure(self, name: str, svg: bytes) -> None:
        self.logged_artifacts.append(f"figures/{name}.svg")

    def model(self, name: str, module: object, example: np.ndarray) -> None:
        self.logged_models.append(name)


@dataclass
class RecordingTracking(Tracking):
    """Opens recording trackers and keeps them by key, for tests."""

    runs: dict[str, RecordingTracker] = field(default_factory=dict)
    complete: set[str] = field(default_factory=set)

    @contextmanager
    def open(self, key: str, name: str, tags: Mapping[str, str]) -> Iterator[Tracker]:
        tracker = self.runs.setdefault(key, RecordingTracker())
        tracker.tags(tags)
        yield tracker
        self.complete.add(key)

    def finished(self, key: str) -> bool:
        return key in self.complete

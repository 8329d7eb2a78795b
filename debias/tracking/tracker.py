"""What the pipeline tells an experiment tracker, without knowing which one listens."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from pydantic import Field, field_validator

from debias.plugins import Settings


@runtime_checkable
class Tracker(Protocol):
    """One tracked run: what was set, measured and made."""

    def params(self, values: Mapping[str, object]) -> None: ...
    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None: ...
    def tags(self, values: Mapping[str, str]) -> None: ...
    def note(self, markdown: str) -> None:
        """Describe the run; the target ``artifact:NAME`` of a link opens that artifact."""

    def dataset(self, name: str, digest: str) -> None: ...
    def image(
        self, name: str, image: UInt8[np.ndarray, "H W 3"], step: int | None = None
    ) -> None: ...
    def table(self, name: str, frame: pd.DataFrame) -> None: ...
    def artifact(self, path: Path, folder: str = "") -> None: ...
    def figure(self, name: str, svg: bytes) -> None: ...
    def model(self, name: str, module: object, example: np.ndarray) -> None:
        """Log a torch module that maps one float32 batch to one tensor, so that it loads again."""


@runtime_checkable
class Tracking(Protocol):
    """Opens tracked runs. The same key continues the same run."""

    def open(
        self, key: str, name: str, tags: Mapping[str, str]
    ) -> AbstractContextManager[Tracker]: ...

    def finished(self, key: str) -> bool:
        """Whether everything about this run has already been stored."""

    def provision_views(self, comparison: str | None = None, keys: Sequence[str] = ()) -> None:
        """Save the views in which a reader compares the arms of one comparison, best effort."""

    def link(self, key: str = "") -> str | None:
        """Address of the tracked run of this key or, without one, of all; or path of the store."""


class NullTracker:
    """Listens to nothing; the off switch."""

    def params(self, values: Mapping[str, object]) -> None: ...
    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None: ...
    def tags(self, values: Mapping[str, str]) -> None: ...
    def note(self, markdown: str) -> None: ...
    def dataset(self, name: str, digest: str) -> None: ...
    def image(
        self, name: str, image: UInt8[np.ndarray, "H W 3"], step: int | None = None
    ) -> None: ...
    def table(self, name: str, frame: pd.DataFrame) -> None: ...
    def artifact(self, path: Path, folder: str = "") -> None: ...
    def figure(self, name: str, svg: bytes) -> None: ...
    def model(self, name: str, module: object, example: np.ndarray) -> None: ...


class NullTracking:
    """Opens null trackers."""

    @contextmanager
    def open(self, key: str, name: str, tags: Mapping[str, str]) -> Iterator[Tracker]:
        yield NullTracker()

    def finished(self, key: str) -> bool:
        return True

    def provision_views(self, comparison: str | None = None, keys: Sequence[str] = ()) -> None: ...

    def link(self, key: str = "") -> str | None:
        return None


@dataclass
class RecordingTracker:
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
class RecordingTracking:
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

    def provision_views(self, comparison: str | None = None, keys: Sequence[str] = ()) -> None: ...

    def link(self, key: str = "") -> str | None:
        return None


class TrackingOptions(Settings):
    """Where metrics go. MLFLOW_TRACKING_URI in the environment decides when uri is empty."""

    enabled: bool = Field(default=True, description="Whether to record in MLflow at all.")
    uri: str | None = Field(
        default=None, description="MLflow address; empty: the environment, else a local file."
    )
    experiment: str = Field(default="debias", min_length=1, description="MLflow experiment.")

    @field_validator("uri")
    @classmethod
    def _no_password(cls, uri: str | None) -> str | None:
        """Configs are stored in clear by orchestrators and trackers alike."""
        if uri and "@" in uri.split("://", 1)[-1].split("/", 1)[0]:
            raise ValueError(
                "must not hold a user name or password; give the full address in the environment "
                "variable MLFLOW_TRACKING_URI"
            )
        return uri

"""Who is told: somebody who watches, and an experiment tracker, whichever listens."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import pandas as pd
from jaxtyping import UInt8
from pydantic import Field, field_validator

from debias.plugins import Settings
from debias.tracking import servers


@runtime_checkable
class Advance(Protocol):
    """Tells that steps are done, with a short note."""

    def __call__(self, note: str, steps: int = 1) -> None: ...


@runtime_checkable
class Progress(Protocol):
    """Somebody who watches a run."""

    def start(self, title: str, total: int) -> Advance:
        """A stage with ``total`` steps begins; call the result as they are done."""

    def reused(self, title: str) -> None:
        """A stage was found finished."""

    def note(self, text: str) -> None:
        """Something a person should know before they wait for the rest, in a sentence."""


class Lines:
    """Tells which stage works in one line on standard error."""

    def start(self, title: str, total: int) -> Advance:
        sys.stderr.write(f"{title} ...\n")
        return silent

    def reused(self, title: str) -> None:
        sys.stderr.write(f"{title}: found finished\n")

    def note(self, text: str) -> None:
        sys.stderr.write(f"{text}\n")


class Silence:
    def start(self, title: str, total: int) -> Advance:
        return silent

    def reused(self, title: str) -> None: ...
    def note(self, text: str) -> None: ...


def silent(note: str, steps: int = 1) -> None:
    """Nobody counts."""


class Tracker:
    """One tracked run: what was set, measured and made. This one listens to nothing."""

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


class Tracking:
    """Opens tracked runs; the same key continues the same run. This one opens none."""

    @property
    def lost(self) -> str:
        """Why not all that was told has been stored; empty if it has."""
        return ""

    def lose(self, why: str) -> None:
        """Send nothing more, as a process that sends for this one no longer can."""

    @contextmanager
    def open(self, key: str, name: str, tags: Mapping[str, str]) -> Iterator[Tracker]:
        yield Tracker()

    def finished(self, key: str) -> bool:
        """Whether everything about this run has already been stored."""
        return True

    def provision_views(self, comparison: str | None = None, keys: Sequence[str] = ()) -> None:
        """Save the views in which a reader compares the arms of one comparison, best effort."""

    def link(self, key: str = "") -> str | None:
        """Address of the tracked run of this key or, without one, of all; or path of the store."""
        return None


class NullTracking(Tracking):
    """The off switch."""


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
        if uri and not uri.startswith("sqlite:") and servers.without_password(uri) != uri:
            raise ValueError(
                "must not hold a user name or password, nor a question (? and what is behind it); "
                "give the full address in the environment variable MLFLOW_TRACKING_URI"
            )
        return uri


def choose_tracking(options: TrackingOptions, folder: Path) -> Tracking:
    """The configured MLflow, that of the environment, or a file in ``folder``; or TrackingError."""
    if not options.enabled:
        return NullTracking()
    for name, value in servers.client_environment().items():
        os.environ.setdefault(name, value)  # before the import, which would set up telemetry
    from debias.tracking.mlflow_tracker import MlflowTracking  # seconds that not every run needs

    uri = options.uri or os.environ.get(servers.MLFLOW) or servers.local_store(folder)
    tracking = MlflowTracking(uri, options.experiment)
    tracking.reconcile()
    return tracking

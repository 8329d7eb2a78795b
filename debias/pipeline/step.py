"""What every stage of a run needs to know: recipe, folder, device, who listens."""

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from debias.ingesting.build import labelled
from debias.ingesting.decoded import list_recipe
from debias.pipeline.finished import AUDIT, REPORT, make_room
from debias.pipeline.recipe import RunConfig, SpaceRecipe
from debias.plugins import dump
from debias.storage.artifacts import Artifact, RunFolder, content_key
from debias.tracking.progress import Progress, Silence
from debias.tracking.tracker import NullTracking, Tracker, Tracking
from debias.training.device import Compute, choose

J = TypeVar("J", bound="Job")


@dataclass(frozen=True)
class Job:
    """A recipe at work, and everything around it.

    Attributes:
        id: Lasting identity of the run folder; tracked runs are found again by it.
        tags: Tags of every tracked run, such as the flow run that started this one.
        command: What was typed to start it, for the next steps that a report names; may be empty.
    """

    config: SpaceRecipe
    folder: RunFolder
    compute: Compute
    id: str
    tracking: Tracking = field(default_factory=NullTracking)
    progress: Progress = field(default_factory=Silence)
    tags: Mapping[str, str] = field(default_factory=dict)
    command: str = ""

    def with_tracking(self: J, tracking: Tracking) -> J:
        return replace(self, tracking=tracking)

    def find(
        self, stage: str, settings: Mapping[str, Any], inputs: Mapping[str, str]
    ) -> tuple[str, Artifact | None]:
        """Content key of a stage, and its artifact if it is finished."""
        key = content_key(stage, settings, inputs)
        return key, self.folder.find(stage, key)

    @contextmanager
    def create(self, stage: str, key: str, start: float) -> Iterator[Path]:
        """A folder to fill for a stage that began at ``start`` (monotonic seconds).

        Seconds and device go into its manifest.
        """
        about: dict[str, Any] = self.compute.describe()
        with self.folder.create(stage, key, about) as path:
            yield path
            about["seconds"] = round(time.monotonic() - start, 3)

    def finished(self, stage: str, key: str) -> Artifact:
        """The artifact that was just created, read back and checked."""
        artifact = self.folder.find(stage, key)
        if artifact is None:
            raise FileNotFoundError(f"{stage}/{key} was not written")
        return artifact

    @contextmanager
    def tracked(
        self, stage: str, key: str, name: str, *, title: str = "", **tags: str
    ) -> Iterator[Tracker]:
        """A tracked run of this stage; the same content continues the same tracked run.

        People see it under the name of the recipe and ``title`` or, without one, ``name``.
        """
        own = {f"debias.{tag}": value for tag, value in ({"stage": stage} | tags).items()}
        about = {"debias.run": self.id, "debias.name": self.config.name, "debias.key": key}
        shown = f"{self.config.name}: {title or name}"
        with self.tracking.open(
            self.tracking_key(stage, key, name), shown, {**about, **own, **self.tags}
        ) as tracker:
            yield tracker

    def published(self, stage: str, key: str, name: str) -> bool:
        """Whether the tracker already has everything about this stage."""
        return self.tracking.finished(self.tracking_key(stage, key, name))

    def tracking_key(self, stage: str, key: str, name: str) -> str:
        return f"{self.id}/{stage}/{name}/{key}"


@dataclass(frozen=True)
class Run(Job):
    """A job that trains classifiers and compares them."""

    config: RunConfig


def open_run(
    config: RunConfig,
    out: Path,
    *,
    progress: Progress | None = None,
    tags: Mapping[str, str] | None = None,
    replace: bool = False,
) -> Run:
    """Create or continue the run folder ``out``.

    Finished stages are found by their content, so changed settings of a recipe go on with them.
    The report of the former settings is deleted first, so that none lies beside another recipe;
    whoever goes back to them makes it again from its stages.

    Args:
        config: The recipe.
        out: Folder.
        progress: Watches.
        tags: Of every tracked run.
        replace: Take over the finished folder of a recipe of another name.

    Raises:
        StorageError: The folder cannot be written.
        ConfigError: A recipe of another name has finished there, or the device does not exist on
            this machine.
    """
    progress = progress or Silence()
    wanted = {REPORT: dump(config)}
    make_room(out, config.name, wanted, progress, replace=replace, check=partial(_fits, config))
    return _opened(Run, config, out, progress, tags)


def open_job(
    config: SpaceRecipe,
    out: Path,
    *,
    progress: Progress | None = None,
    tags: Mapping[str, str] | None = None,
    replace: bool = False,
) -> Job:
    """Likewise, for a job that trains no classifier: an audit."""
    progress = progress or Silence()
    wanted = {AUDIT: dump(config)}
    make_room(out, config.name, wanted, progress, replace=replace, check=partial(_fits, config))
    return _opened(Job, config, out, progress, tags)


def _fits(config: SpaceRecipe) -> None:
    """Refuse a label or attribute that the data do not have."""
    labelled(list_recipe(config).samples, config)


def _opened(
    kind: type[J],
    config: SpaceRecipe,
    out: Path,
    progress: Progress,
    tags: Mapping[str, str] | None,
) -> J:
    folder = RunFolder(out)
    about = folder.open({"name": config.name, "config": dump(config), "pid": os.getpid()})
    return kind(
        config=config,
        folder=folder,
        compute=choose(config.device, config.precision),
        id=about["id"],
        progress=progress,
        tags=tags or {},
    )

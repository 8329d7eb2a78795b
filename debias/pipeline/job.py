"""A recipe at work in its folder: what every step needs to know, and how the folder is taken."""

import os
import shlex
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from debias.errors import (
    ArtifactCorruptError,
    ArtifactError,
    ConfigError,
    DataError,
    StorageError,
)
from debias.ingesting.build import labelled
from debias.ingesting.decoded import list_recipe
from debias.pipeline.recipe import RunConfig, SpaceRecipe, load
from debias.pipeline.study_recipe import StudyConfig
from debias.plugins import dump
from debias.processes import identity
from debias.storage.artifacts import RunFolder, content_key
from debias.storage.files import alone
from debias.storage.sealed import read_checked
from debias.tracking.tracker import NullTracking, Progress, Silence, Tracker, Tracking
from debias.training.device import Compute, choose

Own = TypeVar("Own", bound="Job")
REPORT, AUDIT, STUDY = "report", "audit", "study"  # each a page and its numbers


@dataclass(frozen=True)
class Job:
    """A recipe at work, and everything around it.

    Attributes:
        id: Lasting identity of the run folder; tracked runs are found again by it.
        tags: Tags of every tracked run, such as the flow run that started this one.
        command: What was typed to start it, for the next steps that a report names; may be empty.
        finished_only: Whether it only publishes what is finished, and makes nothing.
    """

    config: SpaceRecipe
    folder: RunFolder
    compute: Compute
    id: str
    tracking: Tracking = field(default_factory=NullTracking)
    progress: Progress = field(default_factory=Silence)
    tags: Mapping[str, str] = field(default_factory=dict)
    command: str = ""
    finished_only: bool = False

    def with_tracking(self: Own, tracking: Tracking) -> Own:
        return replace(self, tracking=tracking)

    def sent(self: Own) -> Own:
        """As another process is given it: tracked and watched by nobody there."""
        folder = RunFolder(self.folder.path.absolute())
        return replace(self, folder=folder, tracking=NullTracking(), progress=Silence())

    @contextmanager
    def tracked(
        self, stage: str, key: str, name: str, *, title: str = "", **tags: str
    ) -> Iterator[Tracker]:
        """A tracked run of this stage; the same content continues the same tracked run.

        People see it under the name of the recipe and ``title`` or, without one, ``name``. Two
        processes of one folder would undo each other's work there: the second one waits.
        """
        own = {f"debias.{tag}": value for tag, value in ({"stage": stage} | tags).items()}
        about = {"debias.run": self.id, "debias.name": self.config.name, "debias.key": key}
        shown = f"{self.config.name}: {title or name}"
        tracking_key = self.tracking_key(stage, key, name)

        def waiting(owner: str) -> None:
            self.progress.note(f"Waiting for process {owner}, which is at the same {stage}.")

        with (
            alone(self.folder.path, content_key(stage, {}, {"": tracking_key}), waiting),
            self.tracking.open(tracking_key, shown, {**about, **own, **self.tags}) as tracker,
        ):
            yield tracker

    def published(self, stage: str, key: str, name: str) -> bool:
        """Whether the tracker already has everything about this stage."""
        return self.tracking.finished(self.tracking_key(stage, key, name))

    def require_making(self, title: str) -> None:
        """ArtifactError if nothing is to be made."""
        if self.finished_only:
            raise ArtifactError(
                f"{title} is not finished in {self.folder.path}, or was made by another version, "
                "so it cannot be published; run its recipe again"
            )

    def unpublished(self) -> str:
        """What the tracker lacks, and how it gets it, in a sentence; empty if it lacks nothing."""
        why, folder = self.tracking.lost, self.folder.path
        return why and (
            f"MLflow has not all of this run ({why}); everything is in {folder}, and goes there "
            f"with: debias publish {shlex.quote(str(folder))}"
        )

    def tracking_key(self, stage: str, key: str, name: str) -> str:
        return f"{self.id}/{stage}/{name}/{key}"


@dataclass(frozen=True)
class Run(Job):
    """A job that trains classifiers and compares them."""

    config: RunConfig


@dataclass(frozen=True)
class Study(Job):
    """A job that compares representations."""

    config: StudyConfig

    def of(self, space: str, seed: int) -> "Study":
        """The job as the step of one representation sees it."""
        return replace(self, config=self.config.of(space, seed))


J = TypeVar("J", bound=Job)
# By the page that each leaves.
KINDS: Mapping[str, tuple[type[SpaceRecipe], type[Job]]] = {
    REPORT: (RunConfig, Run), AUDIT: (SpaceRecipe, Job), STUDY: (StudyConfig, Study),
}  # fmt: skip


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
    whoever goes back to them makes it again from its stages. ``replace`` takes over the finished
    folder of a recipe of another name; ``tags`` are those of every tracked run.

    Raises:
        StorageError: The folder cannot be written.
        ConfigError: A recipe of another name has finished there, or there is no such device.
    """
    return _open(Run, REPORT, config, out, progress, tags, replace=replace)


def open_job(
    config: SpaceRecipe,
    out: Path,
    *,
    progress: Progress | None = None,
    tags: Mapping[str, str] | None = None,
    replace: bool = False,
) -> Job:
    """Likewise, for a job that trains no classifier: an audit."""
    return _open(Job, AUDIT, config, out, progress, tags, replace=replace)


def open_study(
    config: StudyConfig,
    out: Path,
    *,
    progress: Progress | None = None,
    tags: Mapping[str, str] | None = None,
    replace: bool = False,
) -> Study:
    """Likewise, for a study."""
    return _open(Study, STUDY, config, out, progress, tags, replace=replace)


def reopen(folder: Path, progress: Progress) -> Iterator[Job]:
    """The finished jobs of a run folder, to be published as they are and not made.

    Raises:
        DataError: Nothing has finished there.
        ArtifactCorruptError: The numbers of a job are not what it wrote.
    """
    found = [kind for kind in KINDS if (folder / f"{kind}.json").exists()]
    if not found:
        raise DataError(
            f"nothing has finished in {folder.absolute()} (no {', '.join(KINDS)}.json), so there "
            "is nothing to publish; run its recipe first"
        )
    for kind in found:
        config, job = KINDS[kind]
        about = read_checked(folder / f"{kind}.json")["run"]
        recipe = load(config, about["config"])
        opened = _open(job, kind, recipe, folder, progress, None, replace=False)
        yield replace(opened, finished_only=True, command=about.get("command", ""))


def _open(  # noqa: PLR0913 (what the functions above are given)
    kind: Callable[..., J], page: str, config: SpaceRecipe, out: Path,
    progress: Progress | None, tags: Mapping[str, str] | None, *, replace: bool,
) -> J:  # fmt: skip
    progress = progress or Silence()
    _make_room(out, config, page, progress, replace=replace)
    return kind(config, *_opened(config, out), progress=progress, tags=tags or {})


def _opened(config: SpaceRecipe, out: Path) -> tuple[RunFolder, Compute, str]:
    folder, compute = RunFolder(out), choose(config.device, config.precision)
    process = {"pid": os.getpid(), "process": identity()}
    about = folder.open({"name": config.name, "config": dump(config)} | process)
    return folder, compute, about["id"]


def _make_room(
    folder: Path, config: SpaceRecipe, page: str, progress: Progress, *, replace: bool
) -> None:
    """See to it that no finished page will lie beside the recipe of another.

    ``replace`` deletes the pages of recipes of other names, too. A recipe that does not fit its
    data must not cost what was finished, nor leave a folder where there was none.
    """
    told = _to_delete(folder, config, page, replace=replace)
    if told or not (folder / "run.json").exists():
        labelled(list_recipe(config).samples, config)
    for kind, what in told.items():
        _delete(folder, kind)
        progress.note(
            f"The {kind} in {folder} was made with {what} and is deleted; with them it comes "
            "back from its finished stages."
        )


def _to_delete(folder: Path, config: SpaceRecipe, page: str, *, replace: bool) -> dict[str, str]:
    """Finished pages of other recipes or settings, and with what they were made."""
    told = {}
    for kind in KINDS:
        found = _finished(folder, kind)
        if found is None:
            continue
        other, settings = found
        if other != config.name and not replace:
            raise ConfigError(
                f"{folder.absolute()} holds the finished {kind} of another recipe, {other!r}; this "
                f"one is called {config.name!r}. Name another folder with --out, or give "
                f"--replace: the {kind} of {other!r} is deleted then, its stages stay"
            )
        changed = _changed(settings, dump(config)) if kind == page else ""
        if other != config.name:
            told[kind] = f"recipe {other!r}"
        elif changed:
            told[kind] = f"other settings ({changed})"
    return told


def _finished(folder: Path, kind: str) -> tuple[str, Mapping[str, Any]] | None:
    """Name and settings of the recipe that wrote the numbers of this kind."""
    try:
        document = read_checked(folder / f"{kind}.json")
        about = document.get("run", document)
        return str(document["name"]), about["config"]
    except (ArtifactCorruptError, OSError, KeyError, TypeError, AttributeError):
        return None  # none was finished, or nobody can read it


def _changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    names = dict.fromkeys([*before, *after])
    return ", ".join(name for name in names if before.get(name) != after.get(name))


def _delete(folder: Path, kind: str) -> None:
    try:
        for ending in ("json", "html"):
            (folder / f"{kind}.{ending}").unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"cannot delete {kind} in {folder.absolute()}: {error}") from error

"""Publishes runs to MLflow: one run per key, safe to retry, resume and replay.

Every call names its run; the active run of MLflow's fluent interface is per thread and is not
used. What is published twice is stored once: metric timestamps depend on the step alone, images,
tables and models are recognised by name. Nothing that goes wrong here stops the pipeline: from an
outage on nothing more is sent. No list is kept of what was left out: it is whatever finished
artifacts hold of runs that are not FINISHED here, and whoever comes next publishes that.
"""

import copy
import hashlib
import importlib.metadata
import json
import logging
import math
import os
import posixpath
import re
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar
from urllib.parse import urlsplit

import mlflow
import numpy as np
import pandas as pd
from filelock import FileLock
from jaxtyping import UInt8
from mlflow import MlflowClient
from mlflow import entities as e
from mlflow.exceptions import MlflowException
from mlflow.models import Model
from sqlalchemy.exc import SQLAlchemyError

from debias.errors import TrackingError
from debias.processes import identity, is_gone, machine
from debias.tracking import views as pages
from debias.tracking.servers import answer, client_environment, local_artifacts, without_password
from debias.tracking.tracker import Tracker, Tracking

log = logging.getLogger(__name__)

P = ParamSpec("P")
T = TypeVar("T")

KEY = "debias.run_key"
ATTEMPT = "debias.attempt"
ARM = "debias.arm"
COMPARISON = "debias.comparison"
OWNER = "debias.owner"
NOT_ESTIMABLE = "debias.not_estimable"
READ_HERE = "debias.read_here"
RENAMED = "debias.metric_names"
WEIGHTS = "debias.weights_sha256"

# MLflow's own limits.
METRICS_PER_CALL, VALUES_PER_CALL = 1000, 100
PARAM_LENGTH, TAG_LENGTH, NAME_LENGTH, DIGEST_LENGTH = 6000, 8000, 250, 36

FAULTS = (MlflowException, SQLAlchemyError, OSError)
NAMES = re.compile(r"[^A-Za-z0-9_\-. :/]")
FILE_NAMES = re.compile(r"[^A-Za-z0-9_\-. /]")

PATIENCE = 9.0  # seconds that calls without success may cost a process
MOMENT = 1.0  # seconds in which one that is well answers a small question
SLOWEST = 1e6  # bytes per second at which a file is expected to be sent to it
# What a server that is well says about one call: of a value that it never takes, and of the state
# that it finds, such as what another process has just deleted.
VALUES = ("INVALID_PARAMETER_VALUE", "BAD_REQUEST")
_RESOURCES = ("RESOURCE_DOES_NOT_EXIST", "RESOURCE_ALREADY_EXISTS", "RESOURCE_CONFLICT")
STATES = (*_RESOURCES, "INVALID_STATE")

_exporting = threading.Lock()  # torch.export traces through interpreter-wide state


class Connection:
    """Carries out calls until the first outage; from then on every call is skipped.

    Attributes:
        lost: Why nothing more is sent; empty while all is well.
        refused: What a server that is well said to the first call that it refused.
        refusals: How many there were.
    """

    def __init__(self, address: str) -> None:
        self.lost = self.refused = ""
        self.refusals = 0
        self._address, self._left = address, PATIENCE
        self._reporting = threading.Lock()

    def attempt(self, action: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T | None:
        """Return what ``action`` returns, or None if MLflow is away or refuses."""
        return self._carry(0, lambda: action(*arguments, **named))

    def send(self, size: int, action: Callable[..., object], *arguments: object) -> None:
        """Likewise, of an action that sends so many bytes."""
        self._carry(size, lambda: action(*arguments))

    def _carry(self, size: int, action: Callable[[], T]) -> T | None:
        begun = time.monotonic()
        try:
            return None if self.lost else self._in_time(size, action)
        except Exception as error:  # whatever it is: no result depends on it
            with self._reporting:
                self._left -= time.monotonic() - begun
                self._failed(error)
            return None

    def _in_time(self, size: int, action: Callable[[], T]) -> T:
        """A server that sends one byte now and then keeps to every time limit but this one.

        What sends much may take longer while the server answers a small question.
        """
        if self._address.startswith("sqlite:"):
            return action()
        begun, done = time.monotonic(), _begun(action)
        wait([done], self._left)
        if size and not done.done() and self._is_well():
            wait([done], size / SLOWEST)
        if not done.done():
            raise TimeoutError(f"no answer within {time.monotonic() - begun:.0f} s")
        return done.result()

    def _is_well(self) -> bool:
        if not self._address.startswith("http"):  # a database
            return True
        health = _begun(lambda: answer(f"{self._address}/health"))
        wait([health], MOMENT)
        return health.done() and health.result() is not None

    def _failed(self, error: Exception) -> None:
        code = getattr(error, "error_code", "") if self._left > 0 else ""
        said = _told(error)
        if code in VALUES:
            log.warning("MLflow refused a value, which is left out: %s", said)
        elif code in STATES:
            self.refusals, self.refused = self.refusals + 1, self.refused or said
        elif not self.lost:
            self.lost = _told(_first(error))
            log.warning("MLflow cannot be reached (%s); nothing more is sent to it.", self.lost)


def _begun(action: Callable[[], T]) -> Future[T]:
    """What an action will return that is carried out meanwhile."""
    done: Future[T] = Future()

    def work() -> None:
        try:
            done.set_result(action())
        except Exception as error:
            done.set_exception(error)

    threading.Thread(target=work, daemon=True).start()
    return done


def _told(error: BaseException) -> str:
    return without_password(str(error) or type(error).__name__)[:200]


def _first(error: BaseException) -> BaseException:
    """What an error began with: that somebody refused a connection, and not who gave up then."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return error if before is None else _first(before)


class MlflowTracker(Tracker):
    def __init__(
        self,
        connection: Connection,
        client: MlflowClient,
        run: e.Run,
        stored: Iterable[tuple[str, int]] = (),
    ) -> None:
        self.run_id: str = run.info.run_id
        self._do, self._send = connection.attempt, connection.send
        self._client = client
        self._experiment_id: str = run.info.experiment_id
        self._start: int = run.info.start_time
        self._params: dict[str, str] = dict(run.data.params)
        listed = json.loads(run.data.tags.get("mlflow.loggedArtifacts", "[]"))
        self._tables: list[str] = [entry["path"] for entry in listed]
        self._images = set(stored)
        self._not_estimable: set[str] = set()
        self._renamed: dict[str, str] = {}

    def params(self, values: Mapping[str, object]) -> None:
        """Store settings; nested ones under dotted names. A stored one is never changed."""
        new: dict[str, str] = {}
        for name, value in _flat(values, ""):
            text, stored = value[:PARAM_LENGTH], self._params.get(name)
            if stored is None:
                new[name] = text
            elif stored != text:
                said = "parameter %s is %.80s in MLflow and stays so; this attempt has %.80s"
                log.warning(said, name, stored, text)
        self._params |= new
        self._batch("params", [e.Param(*item) for item in new.items()])

    def metrics(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Store numbers; what is not finite is noted by name in ``debias.not_estimable``."""
        at = step or 0
        finite = {self._name(k): _shown(float(v)) for k, v in values.items() if math.isfinite(v)}
        # The timestamp depends on the step alone, so sending a point twice stores it once.
        points = [e.Metric(k, v, self._start + at, at) for k, v in finite.items()]
        self._batch("metrics", points, METRICS_PER_CALL)
        missing = {name for name, value in values.items() if not math.isfinite(value)}
        if missing - self._not_estimable:
            self._not_estimable |= missing
            self.tags({NOT_ESTIMABLE: ",".join(sorted(self._not_estimable))})

    def tags(self, values: Mapping[str, str]) -> None:
        self._batch("tags", [e.RunTag(*item) for item in _as_tags(values).items()])

    def note(self, markdown: str) -> None:
        """Describe the run; the target ``artifact:NAME`` of a link opens that artifact."""
        page = pages.run_page(self._experiment_id, self.run_id)
        self.tags({pages.NOTE: markdown.replace("](artifact:", f"]({page}/artifacts/")})

    def dataset(self, name: str, digest: str) -> None:
        """State the data by name and content, as the column Dataset shows them."""
        data = e.DatasetInput(e.Dataset(name, digest[:DIGEST_LENGTH], "local", "{}"))
        self._do(self._client.log_inputs, self.run_id, [data])

    def image(self, name: str, image: UInt8[np.ndarray, "H W 3"], step: int | None = None) -> None:
        """Store an image for MLflow's grid, once per name and step."""
        key, at = slug(name, FILE_NAMES), step or 0
        if (key, at) not in self._images:
            self._images.add((key, at))
            log_image, stamp = self._client.log_image, self._start + at
            self._do(log_image, self.run_id, image, key=key, step=at, timestamp=stamp)

    def table(self, name: str, frame: pd.DataFrame) -> None:
        """Store ``tables/<name>.json``, which MLflow shows side by side over runs."""
        # Not log_table: it appends to the rows of an earlier attempt.
        path = f"tables/{slug(name, FILE_NAMES)}.json"
        text = frame.to_json(orient="split", index=False)
        self._do(self._client.log_text, self.run_id, text, path)
        if path not in self._tables:
            self._tables.append(path)
            listed = [{"path": known, "type": "table"} for known in self._tables]
            self.tags({"mlflow.loggedArtifacts": json.dumps(listed)})

    def figure(self, name: str, svg: bytes) -> None:
        path = f"figures/{slug(name, FILE_NAMES)}.svg"
        self._send(len(svg), self._client.log_text, self.run_id, svg.decode(), path)

    def artifact(self, path: Path, folder: str = "") -> None:
        """Store a file or folder below ``folder``; FileNotFoundError if there is none."""
        if not path.exists():
            raise FileNotFoundError(f"cannot publish {path}: there is no such file")
        client = self._client
        self._send(_size(path), client.log_artifact, self.run_id, str(path), folder or None)

    def model(self, name: str, module: object, example: np.ndarray) -> None:
        """Store a torch module that maps one float32 batch to one tensor, so that it loads again.

        The batch size stays free. Of ``example`` only shape and type are stored, no pixel.
        """
        plain = copy.deepcopy(module).cpu().eval()  # type: ignore[attr-defined]
        digest = _weights_digest(plain)
        name = slug(name, FILE_NAMES).replace("/", "-")
        if self._do(self._holds_model, name, digest):
            return
        # The steps of mlflow.pytorch.log_model, which works on the active run and global store.
        entry = self._do(self._new_model, name, digest)
        if entry is None:
            return
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "model"
            self._save_model(plain, example.shape[1:], entry, path)
            self._send(_size(path), self._client.log_model_artifacts, entry.model_id, str(path))
        self._do(self._client.finalize_logged_model, entry.model_id, "READY")

    def _save_model(
        self, module: object, shape: tuple[int, ...], entry: e.LoggedModel, path: Path
    ) -> None:
        level = logging.root.level
        with _exporting, warnings.catch_warnings():
            # torch's exporter about itself; nothing a reader could act on.
            warnings.filterwarnings("ignore", "No complete tensor found")
            mlflow.pytorch.save_model(
                module, path,
                mlflow_model=Model(
                    artifact_path=entry.artifact_location, run_id=self.run_id,
                    model_uuid=entry.model_id, model_id=entry.model_id,
                ),
                # One row would be exported as a fixed batch size of one.
                input_example=np.zeros((2, *shape), dtype=np.float32),
                # Stated, or MLflow starts a process to find out.
                pip_requirements=[_installed(package) for package in ("mlflow", "numpy", "torch")],
                serialization_format="pt2",
            )  # fmt: skip
        logging.root.setLevel(level)  # mlflow.pytorch silences the warnings of everybody

    def _new_model(self, name: str, digest: str) -> e.LoggedModel:
        entry = self._client.create_logged_model(
            self._experiment_id, name=name, source_run_id=self.run_id, tags={WEIGHTS: digest},
            params=self._params,
        )  # fmt: skip
        self._client.log_outputs(self.run_id, [e.LoggedModelOutput(entry.model_id, step=0)])
        return entry

    def _holds_model(self, name: str, digest: str) -> bool:
        """Whether an earlier attempt stored this very model; what else it left is removed."""
        held = False
        condition = f"source_run_id = '{self.run_id}'"
        for model in self._client.search_logged_models([self._experiment_id], condition):
            if model.name != name:
                continue
            if model.tags.get(WEIGHTS) == digest and str(model.status) == "READY":
                held = True
            else:
                self._client.delete_logged_model(model.model_id)
        return held

    def _name(self, name: str) -> str:
        accepted = slug(name, NAMES)
        if accepted != name and accepted not in self._renamed:
            self._renamed[accepted] = name
            self.tags({RENAMED: json.dumps(self._renamed, ensure_ascii=False)})
        return accepted

    def _batch(self, kind: str, entries: Sequence[object], size: int = VALUES_PER_CALL) -> None:
        for at in range(0, len(entries), size):
            part: dict[str, Any] = {kind: entries[at : at + size]}
            self._do(self._client.log_batch, self.run_id, **part)


class MlflowTracking(Tracking):
    """Opens MLflow runs in one experiment.

    Args:
        uri: ``http(s)://...``, ``sqlite:///...`` or another database MLflow supports.
        experiment: Name of the experiment, made when missing. The files of a SQLite store lie in
            ``mlartifacts`` beside it.

    Raises:
        TrackingError: The address, the store or the experiment cannot be used as configured.
    """

    def __init__(self, uri: str, experiment: str) -> None:
        for name, value in client_environment().items():
            os.environ.setdefault(name, value)
        # It tells whole addresses, and every single attempt.
        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)
        self.uri = _checked(uri)
        self.experiment = experiment
        self.experiment_id = ""
        self._client: MlflowClient
        self._connection = Connection(self.uri)
        self._do = self._connection.attempt
        if self.uri.startswith("sqlite:"):
            self._connect_to_file()
        else:
            self._do(self._connect, None)

    @contextmanager
    def open(self, key: str, name: str, tags: Mapping[str, str]) -> Iterator[Tracker]:
        """Continue the run of this key, or start it; it ends with the block.

        The run becomes FINISHED, FAILED on an error, KILLED on an interrupt.
        """
        known, before = pages.having({KEY: key}), self._connection.refusals
        tracker = self._do(self._tracker, known, name, {**tags, KEY: key})
        if tracker is None:
            yield Tracker()
            return
        ending = "KILLED"
        try:
            yield tracker
            ending = "FINISHED" if self._connection.refusals == before else "FAILED"
        except Exception:
            ending = "FAILED"
            raise
        finally:
            self._do(self._client.set_terminated, tracker.run_id, ending)

    def finished(self, key: str) -> bool:
        """Whether everything about this run has already been stored."""
        run = self._do(self._find, pages.having({KEY: key}))
        return run is not None and run.info.status == "FINISHED"

    def lose(self, why: str) -> None:
        self._connection.lost = self._connection.lost or why

    @property
    def lost(self) -> str:
        return self._connection.lost or self._connection.refused

    def link(self, key: str = "") -> str | None:
        """Page of the run of this key or, without one, of all arms; or path of the SQLite store.

        The path is relative where the store lies below the working directory.
        """
        if not self.experiment_id:
            return None
        base = without_password(self.uri)
        if not base.startswith("http"):
            # A page need not tell a home folder.
            path, here = Path(base.removeprefix("sqlite:///")), Path.cwd()
            return str(path.relative_to(here) if path.is_relative_to(here) else path)
        run = self._do(self._find, pages.having({KEY: key})) if key else None
        if run is None:
            return pages.links(base, self.experiment_id)["by arm"]
        return f"{base}/{pages.run_page(self.experiment_id, run.info.run_id)}"

    def reconcile(self) -> list[str]:
        """End the runs whose process on this machine is gone, and return their ids."""
        return self._do(lambda: _left_running(self._client, [self.experiment_id], end=True)) or []

    def provision_views(self, comparison: str | None = None, keys: Sequence[str] = ()) -> None:
        """Save the views of :meth:`links`, best effort; runs of ``keys`` join ``comparison``."""
        runs = [self._do(self._join, key, comparison) for key in keys]
        measured = _of_first_arm([run for run in runs if run is not None])
        for name, view in pages.saved_views(measured, comparison).items():
            self._set_experiment_tag(f"mlflow.sharedViewState.{name}", view)

    def links(self, base_url: str) -> dict[str, str]:
        """Addresses of pages worth opening, by what they show; none where nothing was reached."""
        if not self.experiment_id:
            return {}
        found = {stage: self._latest(stage) for stage in pages.OPENED}
        return pages.links(base_url, self.experiment_id, found)

    def leave_word(self, word: str) -> None:
        """Write down a word by which a server shows that it reads this store."""
        self._set_experiment_tag(READ_HERE, word)

    def _latest(self, stage: str) -> dict[str, str]:
        """Name of a recipe -> id of its latest run of this stage, the latest first."""
        runs = self._do(self._search, pages.having({"debias.stage": stage})) or []
        latest: dict[str, str] = {}
        for run in reversed(runs):
            latest.setdefault(run.data.tags.get("debias.name", ""), run.info.run_id)
        return latest

    def _join(self, key: str, comparison: str | None) -> e.Run | None:
        run = self._find(pages.having({KEY: key}))
        if run is not None and run.data.tags.get(COMPARISON) != comparison:
            self._client.set_tag(run.info.run_id, COMPARISON, comparison)
        return run

    def _set_experiment_tag(self, name: str, value: str) -> None:
        # Asked for first: without a connection there is no client.
        self._do(lambda: self._client.set_experiment_tag(self.experiment_id, name, value))

    def _connect_to_file(self) -> None:
        path = Path(urlsplit(self.uri).path.removeprefix("/"))
        root = local_artifacts(path.parent)
        try:
            # Of four processes that initialise an empty store at once, three would fail.
            path.parent.mkdir(parents=True, exist_ok=True)
            with FileLock(path.with_name(path.name + ".lock")):
                root.mkdir(mode=0o700, parents=True, exist_ok=True)
                self._connect(root.as_uri())
        except (*FAULTS, NotImplementedError) as error:  # of a file system without locks
            raise TrackingError(
                f"the tracking store {path} cannot be used: {_told(error)}; choose another "
                "place, or another MLflow version if it was made by a newer one"
            ) from error

    def _connect(self, artifact_location: str | None) -> None:
        self._client = MlflowClient(self.uri)
        known, wanted = self._known(artifact_location), self.experiment
        for number in count(2):
            if known.lifecycle_stage == "active":
                break
            # Restored, it would bring back every run that somebody deleted.
            self.experiment = f"{wanted}-{number}"
            known = self._known(artifact_location)
        if self.experiment != wanted:
            log.warning(
                "The experiment %r has been deleted in MLflow, which keeps its name; this run is "
                "recorded in %r.", wanted, self.experiment,
            )  # fmt: skip
        if artifact_location and known.artifact_location.startswith("mlflow-artifacts:"):
            raise TrackingError(
                f"the files of the experiment {self.experiment!r} belong to an MLflow server; set "
                "MLFLOW_TRACKING_URI to its address, or configure another experiment"
            )
        self.experiment_id = known.experiment_id

    def _known(self, artifact_location: str | None) -> e.Experiment:
        """The experiment of the name, deleted or not, made when missing."""
        known = self._client.get_experiment_by_name(self.experiment)
        return self._created(artifact_location) if known is None else known

    def _created(self, artifact_location: str | None) -> e.Experiment:
        # The kind decides which page a bare link to the experiment opens.
        kind = {"mlflow.experimentKind": "custom_model_development"}
        try:
            made = self._client.create_experiment(self.experiment, artifact_location, kind)
            return self._client.get_experiment(made)
        except MlflowException:
            theirs = self._client.get_experiment_by_name(self.experiment)
            if theirs is None:  # otherwise another process was first
                raise
            return theirs

    def _tracker(self, known: str, name: str, tags: Mapping[str, str]) -> MlflowTracker:
        run, tags = self._find(known), {**tags, OWNER: identity()}
        if run is None:
            # Whose it is stands in it from the start: a process may be killed at any moment.
            first = _as_tags({**tags, ATTEMPT: "1"})
            run = self._client.create_run(self.experiment_id, tags=first, run_name=name)
            return MlflowTracker(self._connection, self._client, run)
        stored = _images_in(self._client, run.info.run_id)
        tracker = MlflowTracker(self._connection, self._client, run, stored)
        before = run.data.tags.get(ATTEMPT, "")
        tracker.tags({**tags, ATTEMPT: str(int(before) + 1 if before.isdecimal() else 1)})
        self._client.update_run(run.info.run_id, status="RUNNING", name=name)
        if NOT_ESTIMABLE in run.data.tags:
            self._client.delete_tag(run.info.run_id, NOT_ESTIMABLE)
        return tracker

    def _find(self, condition: str) -> e.Run | None:
        return next(iter(self._search(condition)), None)

    def _search(self, condition: str) -> list[e.Run]:
        return _runs(self._client, [self.experiment_id], condition)


def _runs(
    client: MlflowClient, experiments: list[str], condition: str, view: int = e.ViewType.ACTIVE_ONLY
) -> list[e.Run]:
    """All that a search finds, the oldest run first."""
    order = ["attributes.start_time ASC"]
    return _every(
        lambda token: client.search_runs(
            experiments, condition, view, order_by=order, page_token=token
        )
    )


def _every(search: Callable[[str | None], Any]) -> list[Any]:
    """What stands on all pages of a search."""
    found: list[Any] = []
    token: str | None = None
    while token != "":
        page = search(token)
        found, token = [*found, *page], page.token or ""
    return found


class Publication(NamedTuple):
    """What one run folder published to a store.

    Attributes:
        runs: Ids of MLflow runs that are not deleted.
        models: Ids of models that are not deleted, of deleted runs, too.
        addresses: Where the files of all of these lie, and of deleted runs: MLflow keeps them.
    """

    runs: list[str]
    models: list[str]
    addresses: list[str]


def published_by(uri: str, run: str) -> Publication:
    """Everything that one run folder published.

    Args:
        uri: Of a store that exists; it is looked at, and nothing is made in it.
        run: Lasting identity of the run folder, as in its ``run.json``.

    Raises:
        TrackingError: The store cannot be read.
    """
    unknown = ", so it is not known what was published there; repair it and"
    with _explained(uri, "read", unknown):
        client = MlflowClient(_checked(uri))
        every = [x.experiment_id for x in client.search_experiments(view_type=e.ViewType.ALL)]
        runs = _runs(client, every, pages.having({"debias.run": run}), e.ViewType.ALL)
        if not runs:
            return Publication([], [], [])
        places = list({one.info.experiment_id for one in runs})
        condition = f"source_run_id IN ({', '.join(repr(one.info.run_id) for one in runs)})"
        models = _every(
            lambda token: client.search_logged_models(places, condition, page_token=token)
        )
        return Publication(
            [one.info.run_id for one in runs if one.info.lifecycle_stage == "active"],
            [model.model_id for model in models],
            [one.info.artifact_uri for one in runs] + [one.artifact_location for one in models],
        )


def delete_published(uri: str, runs: Iterable[str] = (), models: Iterable[str] = ()) -> None:
    """Delete runs, which MLflow keeps until ``mlflow gc``, and models; or TrackingError."""
    with _explained(uri, "written", ";"):
        client = MlflowClient(_checked(uri))
        for run_id in runs:
            client.delete_run(run_id)
        for model_id in models:
            client.delete_logged_model(model_id)


def left_running(uri: str, *, end: bool = False) -> list[str]:
    """Ids of runs of this machine that are RUNNING without a process; TrackingError.

    Args:
        uri: Of a store that exists.
        end: Whether to end them.
    """
    with _explained(uri, "read", ";"):
        client = MlflowClient(_checked(uri))
        every = [x.experiment_id for x in client.search_experiments()]
        return _left_running(client, every, end=end)


def _left_running(client: MlflowClient, experiments: list[str], *, end: bool) -> list[str]:
    condition = f"attributes.status = 'RUNNING' AND tags.`{OWNER}` LIKE '%-{machine()}'"
    runs = _runs(client, experiments, condition)
    dead = [run.info.run_id for run in runs if is_gone(run.data.tags[OWNER])]
    for run_id in dead if end else ():
        client.set_terminated(run_id, "KILLED")
    return dead


@contextmanager
def _explained(uri: str, done: str, then: str) -> Iterator[None]:
    try:
        yield
    except FAULTS as error:
        raise TrackingError(
            f"{without_password(uri)} cannot be {done} ({without_password(str(error))[:300]})"
            f"{then} run the same command again"
        ) from error


def slug(name: str, refused: re.Pattern[str]) -> str:
    """The name itself where MLflow accepts it, otherwise a similar one.

    ``skin=dark`` becomes ``skin:dark`` in a metric; where letters are lost, six hexadecimal digits
    of a hash keep two names apart.
    """
    wanted = name if refused is FILE_NAMES else name.replace("=", ":")
    accepted = posixpath.normpath(refused.sub("_", wanted)).lstrip("./")
    if accepted == wanted and 0 < len(accepted) <= NAME_LENGTH:
        return accepted
    digest = hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{accepted[: NAME_LENGTH - 7]}-{digest}"


def _checked(uri: str) -> str:
    """The address as MLflow takes it; that of a file becomes absolute."""
    scheme = urlsplit(uri).scheme.split("+")[0]
    known = ("http", "https", "sqlite", "postgresql", "mysql", "mssql")
    if scheme not in known:
        raise TrackingError(
            f"the tracking address {without_password(uri)!r} is not supported; it begins with "
            f"one of {', '.join(known)}, such as sqlite:///mlflow.db"
        )
    if scheme != "sqlite":
        return uri.rstrip("/")
    path, mark, options = uri.removeprefix("sqlite:///").partition("?")
    if not uri.startswith("sqlite:///") or path in ("", ":memory:"):
        raise TrackingError(
            f"the tracking address {without_password(uri)!r} names no file, so nothing would be "
            "left to look at; write sqlite:/// and a path"
        )
    return f"sqlite:///{Path(path).resolve()}{mark}{options}"


def _images_in(client: MlflowClient, run_id: str) -> set[tuple[str, int]]:
    """Name and step of the images that are stored in full."""
    paths = [posixpath.basename(file.path) for file in client.list_artifacts(run_id, "images")]
    # name+step+3+timestamp+1700000000000+id+compressed.webp, written after the image itself.
    parts = [path.split("+") for path in paths if path.endswith("+compressed.webp")]
    return {(name.replace("~", "/"), int(step)) for name, _, step, *_ in parts}


def _as_tags(values: Mapping[str, object]) -> dict[str, str]:
    return {slug(name, NAMES): str(value)[:TAG_LENGTH] for name, value in values.items()}


def _size(path: Path) -> int:
    """Bytes of a file, or of all below a folder."""
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files)


def _flat(values: Mapping[str, object], prefix: str) -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield slug(f"{prefix}{name}", NAMES), str(value)


def _weights_digest(module: Any) -> str:  # noqa: ANN401 (a torch module, without importing torch)
    digest = hashlib.sha256()
    for name, tensor in module.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.detach().double().numpy().tobytes())
    return digest.hexdigest()


def _installed(package: str) -> str:
    # Local versions, such as +cpu, cannot be installed by anybody else.
    return f"{package}=={importlib.metadata.version(package).split('+')[0]}"


def _of_first_arm(runs: Sequence[e.Run]) -> dict[str, float]:
    """Means over the runs of the same arm as the first."""
    of_arm = [r.data.metrics for r in runs if r.data.tags.get(ARM) == runs[0].data.tags.get(ARM)]
    names = dict.fromkeys(name for metrics in of_arm for name in metrics)
    return {n: float(np.mean([metrics[n] for metrics in of_arm if n in metrics])) for n in names}


def _shown(value: float) -> float:
    """Six digits: what floating point adds behind them is nobody's to read."""
    return float(value) if float(value).is_integer() else float(f"{value:.6g}")

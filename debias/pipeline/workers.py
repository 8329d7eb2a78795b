"""Who does the work: this process, or Dask workers beside it or behind an address.

Workers share the run folder. What travels is a recipe, content keys and small numbers, never a
tensor; every piece finds finished work by its content, so one that is begun twice is made once.
Independent trainings in threads of one process would draw from one stream of random numbers, so a
worker does one piece at a time.
"""

import atexit
import functools
import importlib
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any, Protocol, Self
from uuid import uuid4

from debias import stopping
from debias.errors import ConfigError, WorkerError
from debias.pipeline.job import Job
from debias.pipeline.ranks import refuse_workers
from debias.tracking.profile import Seats
from debias.tracking.tracker import Advance, choose_tracking
from debias.training.device import threads

if TYPE_CHECKING:
    from distributed import Client, Future, LocalCluster

Piece = Callable[..., Any]  # of a job, the inputs as keywords
Inputs = Mapping[str, Any]
BEGUN = 2  # times that a piece may lose its worker before the run ends
POLL = 0.1  # seconds
PATIENCE = 10  # seconds that an address has to answer
TOPIC = "debias "
TALK = 0.2  # seconds between two words of a worker about one piece
THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
LEFT = ("PYTHONHASHSEED", "__DASK_PARENT_PID")  # in the environment, by Dask
LACKING = (
    "workers need the package distributed, which is not installed: pip install 'debias[workers]', "
    "or set workers=1"
)


class Hands(Protocol):
    """Does pieces of work; what it returns stands for what they make, and is what they take."""

    def do(self, piece: Piece, title: str, inputs: Inputs, *, here: bool = False) -> Any:  # noqa: ANN401
        """Begin a piece of work; ``here``: in this process, and now."""

    def result(self, made: Any) -> Any:  # noqa: ANN401
        """What a piece made, waited for; raises what ended it, or any other."""


@dataclass(frozen=True)
class Alone:
    """One piece after another in this process."""

    job: Job

    def do(self, piece: Piece, title: str, inputs: Inputs, *, here: bool = False) -> Any:  # noqa: ANN401
        return piece(self.job, **inputs)

    def result(self, made: Any) -> Any:  # noqa: ANN401
        return made


@contextmanager
def hired(job: Job) -> Iterator[Hands]:
    """As many workers as the recipe asks for; none is left running.

    Raises:
        ConfigError: Nobody answers at the address, or the package is not installed, or this is one
            of several processes already.
    """
    refuse_workers(job.config.workers)
    if job.config.workers == 1:
        yield Alone(job)
        return
    with Pool(job) as pool:
        yield pool


@contextmanager
def lent(workers: int | str) -> "Iterator[Client]":
    """Workers that know nothing of a run, to whoever speaks Dask; none is left running.

    Raises:
        ConfigError: Nobody answers at the address, or the package is not installed.
    """
    environment = _environment()
    client = _client(workers, {})
    try:
        yield client
    finally:
        _give_back(client, environment)


class Pool:
    """Pieces on Dask workers, each as soon as its inputs are there.

    The workers start while the first piece, which is made here, goes on.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self._sent = job.sent()
        self._name = os.urandom(8).hex()
        self._futures: list[Future] = []
        self._heard, self._told = [TOPIC + self._name, "all"], _Told(job)
        self._environment = _environment()
        self._lent = ThreadPoolExecutor(1).submit(
            _client, job.config.workers, dict.fromkeys(self._heard, self._told.hear)
        )

    def __enter__(self) -> Self:
        return self

    def do(self, piece: Piece, title: str, inputs: Inputs, *, here: bool = False) -> Any:  # noqa: ANN401
        if here:
            return piece(self.job, **{name: self.result(one) for name, one in inputs.items()})
        future = self._lent.result().submit(
            _work, piece, self._sent, title, inputs, self._name, key=f"{title} {uuid4().hex}"
        )
        self._futures.append(future)
        return future

    def result(self, made: Any) -> Any:  # noqa: ANN401
        while getattr(made, "status", "") == "pending":
            for other in self._futures:
                if other.status == "error":
                    self.alone(other)
            time.sleep(POLL)
        return self.alone(made)

    def alone(self, made: Any) -> Any:  # noqa: ANN401
        """Likewise, whatever becomes of others."""
        from distributed import Future, KilledWorker

        try:
            return made.result() if isinstance(made, Future) else made
        except KilledWorker as error:
            raise WorkerError(
                f"{made.key.rpartition(' ')[0]} was begun {BEGUN} times, and its worker was gone "
                "each time, most often for want of memory; what is finished is kept: run again "
                "with fewer workers"
            ) from error

    def __exit__(self, kind: type[BaseException] | None, *failure: object) -> None:
        if kind is not None and self._lent.exception() is not None:
            return  # nobody was hired, and what ends the block says more
        client = self._lent.result()
        if kind is not None:
            client.run(_ask, self._name)
            self._wait(stopping.PATIENCE)
        self._told.listens = False
        for topic in self._heard:
            client.unsubscribe_topic(topic)
        client.cancel(self._futures, force=True)
        _give_back(client, self._environment)

    def _wait(self, seconds: float) -> None:
        """For trainings that keep how far they are."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and any(self._lent.result().processing().values()):
            time.sleep(POLL)


@dataclass
class _Told:
    """What workers say, told by this process."""

    job: Job
    bars: dict[str, tuple[Advance, list[int]]] = field(default_factory=dict)
    listens: bool = True

    def hear(self, event: tuple[float, dict[str, Any]]) -> None:
        _, said = event
        progress = self.job.progress
        match said:
            case {"started": title, "total": total, "worker": worker}:
                self._start(title, total)
                if isinstance(progress, Seats):
                    progress.by(title, worker)
            case {"advanced": title, "note": note, "steps": steps}:
                advance, done = self.bars[title]
                done[0] += steps
                advance(note, steps)
            case {"reused": title}:
                progress.reused(title)
            case {"note": text}:
                progress.note(text)
            case {"lost": why}:
                self.job.tracking.lose(why)
            case {"action": "remove-worker", "expected": False} if self.listens:
                progress.note("A worker is gone; what it was at begins again elsewhere.")

    def _start(self, title: str, total: int) -> None:
        """A piece that begins again takes up its bar."""
        if title not in self.bars:
            self.bars[title] = self.job.progress.start(title, total), [0]
            return
        advance, done = self.bars[title]
        advance("", -done[0])
        done[0] = 0


class _Says:
    """Progress of a worker, told where the run was started."""

    def __init__(self, topic: str) -> None:
        from distributed import get_worker

        self._worker, self._topic = get_worker(), topic

    def _say(self, **what: object) -> None:
        self._worker.log_event(self._topic, what)

    def start(self, title: str, total: int) -> Advance:
        self._say(started=title, total=total, worker=str(self._worker.name))
        done, kept, said = 0, 0, 0.0

        def advance(note: str, steps: int = 1) -> None:
            nonlocal done, kept, said
            done, kept = done + steps, kept + steps
            if done < total and time.monotonic() - said < TALK:
                return
            self._say(advanced=title, note=note, steps=kept)
            kept, said = 0, time.monotonic()

        return advance

    def reused(self, title: str) -> None:
        self._say(reused=title)

    def note(self, text: str) -> None:
        self._say(note=text)

    def lost(self, why: str) -> None:
        self._say(lost=why)


class _At:
    name = ""  # of the run that this worker is at
    connected = functools.cache(choose_tracking)  # it takes seconds, and every piece asks


def _work(piece: Piece, job: Job, title: str, inputs: dict[str, Any], name: str) -> Any:  # noqa: ANN401
    """In a worker."""
    progress = _Says(TOPIC + name)
    tracking = _At.connected(job.config.tracking, job.folder.path.parent)
    _At.name = name
    try:
        return piece(replace(job, progress=progress, tracking=tracking), **inputs)
    except KeyboardInterrupt:
        raise WorkerError(f"{title} was stopped") from None
    finally:
        _At.name = ""
        stopping.forget()
        if tracking.lost:
            progress.lost(tracking.lost)


def _client(workers: int | str, heard: dict[str, Callable[[Any], None]]) -> "Client":
    """Of workers that are started here, or of those behind an address."""
    try:
        from distributed import Client, Security
    except ImportError as error:
        raise ConfigError(LACKING) from error
    if str(workers).startswith(("tls:", "wss:")) and not Security().tls_client_cert:
        raise ConfigError(
            f"workers={workers!r} wants a certificate, and Dask was given none: name its files in "
            "DASK_DISTRIBUTED__COMM__TLS__CA_FILE, ..__CLIENT__CERT and ..__CLIENT__KEY"
        )
    try:
        whom = workers if isinstance(workers, str) else _local(workers)
        client = Client(whom, timeout=PATIENCE, set_as_default=False)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(
            f"no Dask scheduler answers at workers={workers!r} ({error}): start one there, or name "
            "a number of workers to start here"
        ) from error
    for topic, hear in heard.items():
        client.subscribe_topic(topic, hear)
    return client


def _environment() -> dict[str, str | None]:
    return {name: os.environ.get(name) for name in (*THREADS, *LEFT)}


def _give_back(client: "Client", environment: Mapping[str, str | None]) -> None:
    """End the workers that were started here.

    What Dask sets for its workers it sets in this process, too, and leaves there.
    """
    if client.cluster is not None:
        client.run(atexit.register, os._exit, 0)  # tidying up an interpreter takes seconds
        client.cluster.close()
    client.close()
    for name, was in environment.items():
        os.environ.pop(name, None)
        if was is not None:
            os.environ[name] = was


def _local(workers: int) -> "LocalCluster":
    """Processes that end with this one, on their share of its threads.

    Whoever may speak to a worker may run programs as its user, so they listen on 127.0.0.1 alone,
    behind a certificate that only this process has.
    """
    import dask
    from distributed import LocalCluster

    _quiet()
    each = max(1, threads() // workers)
    dask.config.set({
        "distributed.scheduler.allowed-failures": BEGUN - 1,
        # In place of what Dask sets there: to give back every page at once, a third of the time.
        "distributed.nanny.pre-spawn-environ": dict.fromkeys(THREADS, each),
        "distributed.scheduler.http.routes": [],  # nothing to be read without the certificate
    })  # fmt: skip
    with _deaf():
        return LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, memory_limit=0, security=True,
            scheduler_kwargs={"dashboard": False, "dashboard_address": "127.0.0.1:0"},
            silence_logs=logging.CRITICAL, preload=["debias.pipeline.workers"],
        )  # fmt: skip


@contextmanager
def _deaf() -> Iterator[None]:
    """Who is started in the block, or by whoever is, hears no signal until it says otherwise.

    Ctrl-C in a terminal reaches workers as well, who could not ignore it while they start.
    """
    resource_tracker.ensure_running()  # by whose start the thread that does it would hear again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, stopping.SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _quiet() -> None:
    """What is worth a word is said by this file; Prefect would show all that Dask logs."""
    logging.getLogger("distributed").setLevel(logging.CRITICAL)


def dask_setup(worker: object) -> None:
    """What Dask calls in a worker that starts; who started it hears what is asked of both."""
    importlib.import_module("debias.pipeline.plans")  # seconds, for which no piece shall wait
    _quiet()
    for one in stopping.SIGNALS:
        signal.signal(one, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, stopping.SIGNALS)


def _ask(name: str) -> None:
    """In a worker: end what it does for this run at the next safe point."""
    if _At.name == name:
        stopping.ask()

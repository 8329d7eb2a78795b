"""One training by the processes that ``torchrun`` started.

The first of them walks the plan as if it were alone: it finds, seals, tracks and shows. The others
wait, and build with it what is trained; what they make of it is left to it.
"""

import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from debias.errors import ConfigError, PipelineError, WorkerError, memory_explained
from debias.processes import several
from debias.stopping import Stopped, end_now
from debias.tracking.tracker import Tracker

if TYPE_CHECKING:
    from debias.training.team import Team

WORKERS = (
    "torchrun has started several processes, which train together, and workers={} asks for several "
    "trainings at the same time: set workers to 1, or start debias without torchrun"
)


class _At:
    team: "Team | None" = None  # that this process leads


@contextmanager
def leading() -> Iterator[bool]:
    """Of several processes, whether this one does the work; another has helped until it was done.

    Raises:
        WorkerError: A helper is gone.
    """
    from debias.training.team import join, leave  # seconds that one process does not need

    team = join()
    if team.rank:
        _help(team)
        yield False
    else:
        _At.team = team
        try:
            yield True
        except Stopped as error:
            if team.told():
                raise team.lost() from error
            raise
        finally:
            _At.team = None
            with suppress(RuntimeError):  # where the messages lay is gone as well
                team.send(None)
    leave()


@contextmanager
def together(build: Callable[..., Any], work: Any) -> Iterator[None]:  # noqa: ANN401 (of a step)
    """Let the helpers do ``build(work, tracker)`` while it is done in the block."""
    from debias.training import parallel

    if _At.team is None:
        yield
        return
    _At.team.send((build, replace(work, job=work.job.sent())))
    with parallel.training(_At.team):
        yield


def refuse_workers(workers: int | str) -> None:
    """A ConfigError where several trainings at a time are asked of processes that train one."""
    if several() and workers != 1:
        raise ConfigError(WORKERS.format(workers))


def _help(team: "Team") -> None:
    """Do every piece of work with the one who leads, and say nothing but why it cannot be done.

    Who cannot leaves at once: an interpreter that tidies up while its messages break is aborted.
    """
    from debias.pipeline import plans  # noqa: F401 (seconds, for which no piece shall wait)
    from debias.training import parallel
    from debias.training.checkpoint import checkpoints
    from debias.training.team import STOPPED

    try:
        while (piece := team.receive()) is not None:
            build, work = piece
            with memory_explained(), parallel.training(team), checkpoints(None):
                build(work, Tracker())
    except WorkerError:  # another one is gone: who leads says so
        end_now(WorkerError.exit_code)
    except Stopped as error:
        team.tell(STOPPED)
        end_now(error.exit_code)
    except PipelineError as error:
        team.tell(f"{type(error).__name__}: {error}")
        end_now(error.exit_code)
    except Exception as error:
        traceback.print_exc()
        team.tell(f"{type(error).__name__}: {error}")
        end_now(1)

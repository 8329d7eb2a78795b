"""Blocks of latents that no machine holds, and the Dask workers that look at each of them.

``n`` samples, ``k`` latent dimensions, ``m`` samples of one block.
"""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from jaxtyping import Float, Int64

from debias.density import Points
from debias.errors import ConfigError, DataError, WorkerError
from debias.storage.shards import Shard, Span, find_shards, spans

if TYPE_CHECKING:
    from dask.array import Array as Array
    from distributed import Client as Client
    from distributed import Future as Future

Work = Callable[[Any], Any]
T = TypeVar("T")
Columns = Int64[np.ndarray, " k"] | None
LACKING = (
    "shards are weighed by Dask: give client=distributed.Client(...), or start one before; "
    "pip install 'debias[workers]' if distributed is not installed"
)


def current_client() -> "Client":
    try:
        from distributed import get_client

        return get_client()
    except (ImportError, ValueError) as error:
        raise ConfigError(LACKING) from error


@dataclass(frozen=True)
class Crew:
    """Dask workers; every piece of work has one thread."""

    client: "Client"

    @property
    def size(self) -> int:
        return max(1, sum(self.client.nthreads().values()))

    def begin(self, work: "Work | Future", blocks: Sequence[Any]) -> "list[Future]":
        """A function of an array done for each block: a span, a future, or one of a Dask array."""
        if blocks and hasattr(blocks[0], "dask"):
            return self.client.compute([later(_on, block, work) for block in blocks])
        return self.client.map(_on, blocks, work=work, pure=False)

    def shared(self, work: Work) -> "Future":
        """Work that holds much, which every worker gets once; a task, so it outlives a worker."""
        return self.client.submit(_itself, work, pure=False)

    def each(self, work: Work, blocks: Sequence[Any]) -> Iterator[Any]:
        """What it finds, in order."""
        return results(self.begin(work, blocks))

    def rows(
        self, blocks: Sequence[Any], rows: Sequence[Int64[np.ndarray, " _"]]
    ) -> Float[np.ndarray, "m k"]:
        """Some rows of each block, in this memory."""
        begun = [later(_rows, block, own) for block, own in zip(blocks, rows, strict=True)]
        return np.concatenate([*results(self.client.compute(begun))])

    def each_points(self, work: Work, blocks: Sequence[Any]) -> Iterator[Any]:
        """Likewise of a function of points."""
        return self.each(partial(_of_points, work), blocks)


def later(work: Callable[..., Any], *given: Any) -> Any:  # noqa: ANN401 (of Dask)
    """Work on parts of a Dask array that is done when somebody asks for it."""
    from dask import delayed

    return delayed(work)(*given)


def joined(parts: Sequence[Any], sizes: Sequence[int], kind: type[np.generic]) -> "Array":
    """A Dask array (n,) of parts of these sizes: futures, or what is done later."""
    import dask.array as da

    found = zip(parts, sizes, strict=True)
    return da.concatenate([da.from_delayed(part, (size,), kind) for part, size in found])


def results(futures: "list[Future]") -> Iterator[Any]:
    """In order; each is forgotten once it is here."""
    from distributed import KilledWorker

    waiting = deque(futures)
    futures.clear()
    while waiting:
        try:
            yield waiting.popleft().result()
        except KilledWorker as error:
            raise WorkerError(
                "a worker was lost again and again at the same shards, most often for want of "
                "memory: give workers more of it, or start fewer"
            ) from error


def _itself(value: T) -> T:
    return value


def _on(block: Any, work: Work) -> Any:  # noqa: ANN401
    """In a worker."""
    from debias.loops import one_thread

    with one_thread():
        found = work(block.read() if isinstance(block, Span) else block)
        return [*found] if isinstance(found, Iterator) else found


def _rows(
    block: Span | Float[np.ndarray, "n k"], rows: Int64[np.ndarray, " m"]
) -> Float[np.ndarray, "m k"]:
    return (block.read() if isinstance(block, Span) else block)[rows]


def _of_points(work: Work, array: Float[np.ndarray, "m k"]) -> Any:  # noqa: ANN401
    found = work(Points(mean=array))
    return [*found] if isinstance(found, Iterator) else found


@dataclass(frozen=True, eq=False)
class Files:
    """Latents in shards."""

    shards: tuple[Shard, ...]

    @staticmethod
    def found(given: Sequence[Any] | str | Path, columns: Sequence[str]) -> "Files":
        """Shards, or what is found behind addresses."""
        each = [given] if isinstance(given, str | Path) else [*given]
        known = [one for one in each if isinstance(one, Shard)]
        return Files(tuple(known if len(known) == len(each) else find_shards(each, columns)))

    @property
    def size(self) -> int:
        return sum(shard.rows for shard in self.shards)

    @property
    def width(self) -> int:
        return self.shards[0].width

    def blocks(self, rows: int, columns: Columns = None) -> list[Span]:
        return spans(self.shards, rows, columns)

    def place(self, row: int) -> str:
        return spans(self.shards, self.size)[0].place(row)


@dataclass(frozen=True, eq=False)
class DaskRows:
    """Latents in a Dask array."""

    array: "Array"
    shards: tuple[Shard, ...] = ()

    def __post_init__(self) -> None:
        shape, kind = self.array.shape, self.array.dtype
        if len(shape) != 2 or kind.kind not in "fiub" or any(size != size for size in shape):
            raise DataError(
                f"a Dask array of latents is (samples, dimensions) of real numbers, of known size "
                f"(array.compute_chunk_sizes()), got shape {shape} of {kind}"
            )

    @property
    def size(self) -> int:
        return int(self.array.shape[0])

    @property
    def width(self) -> int:
        return int(self.array.shape[1])

    def blocks(self, rows: int, columns: Columns = None) -> list[Any]:
        kind = self.array.dtype
        if kind not in (np.float32, np.float64):  # as of one array: debias.latent_weights
            kind = np.dtype(np.float32 if kind == np.float16 else np.float64)
        array = self.array.astype(kind)
        array = array if columns is None else array[:, columns]
        return [*array.rechunk({0: rows, 1: -1}).to_delayed().ravel()]

    def place(self, row: int) -> str:
        return f"row {row:,} of the array"

"""Latents in several files, of which some rows are read at a time: no machine need hold them.

============  ====================================================================================
``.npy``      an array (n, k); memory-mapped where it lies on a disk of this machine.
``.parquet``  the columns that are an embedding, see :mod:`debias.storage.embeddings`.
``.zarr``     an array (n, k); with the package zarr.
============  ====================================================================================

An address is a path, or whatever fsspec opens: ``s3://bucket/latents``, ``gs://``, ``https://``.
Shards follow each other in the order given, those of a folder or a pattern in that of their names.
"""

import posixpath
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq  # type: ignore[import-untyped]
from jaxtyping import Float, Int64, Shaped

from debias.errors import ConfigError, DataError
from debias.storage.embeddings import WAY_OUT, as_floats, named_columns, unreadable
from debias.storage.vectors import candidates, chosen, named_candidate

HIDDEN = (".", "_")  # how names begin that are nobody's shards
PATTERN = "*?["
ROWS_LOOKED_AT = 1000  # that tell which columns are an embedding
ROWS_AT_ONCE = 65_536
Columns = tuple[str, ...]


@dataclass(frozen=True)
class Shard:
    """A file of latents: ``rows`` by ``width``, of a table made of ``columns``."""

    address: str
    rows: int
    width: int
    columns: Columns = ()

    @property
    def name(self) -> str:
        """Of the file, without its ending."""
        return posixpath.splitext(posixpath.basename(self.address))[0]

    def read(self, start: int, stop: int) -> Float[np.ndarray, "m k"]:
        """Rows as floats; a DataError if they cannot be read."""
        with _explained(self.address):
            found = _KINDS[_ending(self.address)][1](self, start, stop)
            if found.shape != (stop - start, self.width):
                raise ValueError(f"it holds fewer than the {self.rows:,} rows that it promises")
        return as_floats(Path(self.address), found)


@dataclass(frozen=True, eq=False)
class Span:
    """Consecutive rows of one shard or several: (shard, start, stop), and columns, None for all."""

    parts: tuple[tuple[Shard, int, int], ...]
    columns: Int64[np.ndarray, " k"] | None = None

    def __len__(self) -> int:
        return sum(stop - start for _, start, stop in self.parts)

    def read(self) -> Float[np.ndarray, "m k"]:
        found = [shard.read(start, stop) for shard, start, stop in self.parts]
        every = found[0] if len(found) == 1 else np.concatenate(found)
        return every if self.columns is None else every[:, self.columns]

    def place(self, row: int) -> str:
        """Where a row of the span stands, for a message."""
        for shard, start, stop in self.parts:
            if row < stop - start:
                return f"row {start + row:,} of {shard.address}"
            row -= stop - start
        raise IndexError(row)


def spans(
    shards: Sequence[Shard], rows: int, columns: Int64[np.ndarray, " k"] | None = None
) -> list[Span]:
    """The rows of all shards, so many at a time; the last span may be shorter."""
    found: list[Span] = []
    parts: list[tuple[Shard, int, int]] = []
    free = rows
    for shard in shards:
        start = 0
        while start < shard.rows:
            stop = min(start + free, shard.rows)
            parts.append((shard, start, stop))
            free -= stop - start
            start = stop
            if not free:
                found.append(Span(tuple(parts), columns))
                parts, free = [], rows
    return [*found, Span(tuple(parts), columns)] if parts else found


def find_shards(addresses: Sequence[str | Path], columns: Sequence[str] = ()) -> list[Shard]:
    """The shards behind addresses: files, folders of them, patterns.

    Args:
        addresses: At least one.
        columns: Columns of a table that are the dimensions, written as for one file; empty for
            what looks like an embedding in the first shard.

    Raises:
        DataError: There is none, one is of another kind, unreadable, or of another width than the
            first; or two have the same name, under which their weights would be written.
        ConfigError: A package is missing that reads them.
    """
    found = [one for address in addresses for one in _expanded(str(address))]
    known: dict[str, str] = {}
    shards: list[Shard] = []
    for address in found:
        ending = _ending(address)
        with _explained(address):
            opened = _KINDS[ending][0](address, shards[0].columns if shards else tuple(columns))
        if not opened.rows:
            raise DataError(f"{address} holds no row; leave it out")
        if opened.name in known:
            raise DataError(
                f"two shards are called {opened.name}: {known[opened.name]} and {address}. Their "
                "weights would have one name, and a shard that is given twice would count twice: "
                "leave one out, or rename it"
            )
        known[opened.name] = address
        shards.append(opened)
        if opened.width != shards[0].width:
            raise DataError(
                f"{address} holds {opened.width} dimensions, {shards[0].address} "
                f"{shards[0].width}: all shards must come from the same encoder"
            )
    return shards


def _ending(address: str) -> str:
    ending = posixpath.splitext(address.rstrip("/"))[1].lower()
    if ending not in _KINDS:
        raise DataError(
            f"{address}: shards are {', '.join(_KINDS)} files, not {ending or 'without an ending'}"
        )
    return ending


def _expanded(address: str) -> list[str]:
    """Files behind an address, by name."""
    with _explained(address):
        system, path = _system(address)
        if any(mark in path for mark in PATTERN):
            found = [one for one in system.glob(path) if not _is_hidden(one)]
        elif path.rstrip("/").endswith(".zarr") or not system.isdir(path):
            if not system.exists(path):
                raise DataError(f"the shards {address} do not exist; correct the address")
            found = [path.rstrip("/")]
        else:
            names = (one.rstrip("/") for one in system.ls(path, detail=False))
            found = [one for one in names if not _is_hidden(one) and one.endswith((*_KINDS,))]
    if not found:
        raise DataError(f"{address} holds no shard ({', '.join(_KINDS)}); correct the address")
    # Absolute: a worker may be at home in another folder.
    local = "file" in system.protocol
    return sorted(one if local else system.unstrip_protocol(one) for one in found)


def _is_hidden(path: str) -> bool:
    return posixpath.basename(path.rstrip("/")).startswith(HIDDEN)


def _system(address: str) -> tuple[Any, str]:
    try:
        import fsspec  # type: ignore[import-untyped]
    except ImportError as error:
        raise ConfigError(
            "shards are found by the package fsspec, which is not installed: pip install "
            "'debias[workers]'"
        ) from error
    return fsspec.core.url_to_fs(address)


@contextmanager
def _explained(address: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:  # of fsspec, and of zarr
        raise ConfigError(
            f"{address} is read by a package that is not installed ({error}); install it, or write "
            "the shards as .npy"
        ) from error
    except (OSError, ValueError, EOFError, KeyError) as error:
        raise DataError(f"{address} {unreadable(error)}") from error


def _open_npy(address: str, columns: Columns) -> Shard:
    system, path = _system(address)
    with system.open(path, "rb") as file:
        shape, _, _ = _header(file)
    if len(shape) != 2 or not shape[1]:
        raise DataError(f"{address} holds an array of shape {shape}; shards are (rows, dimensions)")
    return Shard(address, *shape)


def _header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:  # noqa: ANN401 (of fsspec)
    """Shape, whether columns come first, and type; the file then stands at the first value."""
    first = np.lib.format.read_magic(file) == (1, 0)
    lib = np.lib.format
    found = lib.read_array_header_1_0(file) if first else lib.read_array_header_2_0(file)
    if found[2].hasobject:
        raise ValueError("Python objects")
    return found


def _read_npy(shard: Shard, start: int, stop: int) -> Shaped[np.ndarray, "m k"]:
    system, path = _system(shard.address)
    if "file" in system.protocol:
        return np.load(path, mmap_mode="r", allow_pickle=False)[start:stop]
    with system.open(path, "rb") as file:
        (_, width), by_column, kind = _header(file)
        if by_column:
            raise ValueError("its columns come first (Fortran order); save it in C order")
        file.seek(start * width * kind.itemsize, 1)
        content = file.read((stop - start) * width * kind.itemsize)
    return np.frombuffer(content, kind).reshape(-1, width)


def _open_parquet(address: str, columns: Columns) -> Shard:
    first = next(_batches(address, (), 0, ROWS_LOOKED_AT), None)
    if first is None:
        raise DataError(f"{address} holds no row; leave it out")
    table = first.set_axis(first.columns.astype(str), axis=1)
    if columns:
        asked = dict.fromkeys(
            name for one in columns for name in named_columns(Path(address), one, [*table])
        )
        taken = named_candidate(table, [*asked])
    else:
        taken = chosen(address, candidates(table), [*table], WAY_OUT)
    with _parquet(address) as file:
        return Shard(address, file.metadata.num_rows, taken.width, taken.columns)


def _read_parquet(shard: Shard, start: int, stop: int) -> Shaped[np.ndarray, "m k"]:
    frames = _batches(shard.address, shard.columns, start, stop)
    return np.concatenate([_values(shard, frame) for frame in frames])


def _values(shard: Shard, frame: pd.DataFrame) -> Shaped[np.ndarray, "m k"]:
    found = named_candidate(frame, [*shard.columns])
    if found.values is None:
        raise ValueError(found.fault)
    return found.values


@contextmanager
def _parquet(address: str) -> Iterator[Any]:
    system, path = _system(address)
    with system.open(path, "rb") as file:
        yield pq.ParquetFile(file)


def _batches(address: str, columns: Columns, start: int, stop: int) -> Iterator[pd.DataFrame]:
    """Rows from start to stop, of the row groups that hold them."""
    with _parquet(address) as file:
        sizes = [file.metadata.row_group(one).num_rows for one in range(file.num_row_groups)]
        ends = np.cumsum(sizes)
        groups = [at for at, end in enumerate(ends) if start < end and end - sizes[at] < stop]
        at = int(ends[groups[0]] - sizes[groups[0]]) if groups else 0
        for batch in file.iter_batches(ROWS_AT_ONCE, row_groups=groups, columns=columns or None):
            first = min(max(0, start - at), len(batch))
            piece = batch.slice(first, max(0, stop - at - first))
            at += len(batch)
            if len(piece):
                yield piece.to_pandas()


def _open_zarr(address: str, columns: Columns) -> Shard:
    shape = _zarr(address).shape
    if len(shape) != 2 or not shape[1]:
        raise DataError(f"{address} holds an array of shape {shape}; shards are (rows, dimensions)")
    return Shard(address, *shape)


def _read_zarr(shard: Shard, start: int, stop: int) -> Shaped[np.ndarray, "m k"]:
    return np.asarray(_zarr(shard.address)[start:stop])


def _zarr(address: str) -> Any:  # noqa: ANN401 (of zarr)
    return import_module("zarr").open_array(address, mode="r")


_KINDS: dict[
    str,
    tuple[
        Callable[[str, Columns], Shard], Callable[[Shard, int, int], Shaped[np.ndarray, "m k"]]
    ],
] = {
    ".npy": (_open_npy, _read_npy),
    ".parquet": (_open_parquet, _read_parquet),
    ".zarr": (_open_zarr, _read_zarr),
}  # fmt: skip

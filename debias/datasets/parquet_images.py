"""Parquet files with a column of images: what else they say, and the bytes, read by row.

A column of images is a ``struct<bytes, path>`` or one of bytes that is called like an image or that
the library datasets has noted in the file (key "huggingface") to be one.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa  # type: ignore[import-untyped]
from jaxtyping import Bool, Int64
from pyarrow import parquet

from debias.errors import DataError
from debias.storage.files import shown
from debias.storage.tables import table_of
from debias.types import ImageBytes

NAMES = ("image", "img", "face", "photo", "picture", "jpg", "png")
AT_ONCE = 16  # images held in memory


@dataclass(frozen=True)
class Shard:
    """A Parquet file; ``wanted`` names its column of images, empty for the one that looks so."""

    path: Path
    wanted: str = ""

    @cached_property
    def column(self) -> str | None:
        """The column of images; None if there is none."""
        kinds = zip(self.schema.names, self.schema.types, strict=True)
        fit = [name for name, kind in kinds if self._holds_images(name, kind)]
        if self.wanted:
            return self.wanted if self.wanted in fit else None
        return next((name for name in (*NAMES, *fit) if name in fit), None)

    @cached_property
    def schema(self) -> Any:  # noqa: ANN401 (an untyped library)
        with self._opened() as file:
            return file.schema_arrow

    @cached_property
    def leaf(self) -> str:
        """What holds the bytes, as Parquet calls it."""
        return f"{self.column}.bytes" if self._nested("bytes") else str(self.column)

    def read(self) -> tuple[pd.DataFrame, Mapping[str, str]]:
        """The other columns, classes by their names; and the types of those that hold no text."""
        with self._opened() as file:
            others = [name for name in self.schema.names if name != self.column]
            rows, _, odd = table_of(file.read(columns=others, use_pandas_metadata=False))
            if not others:
                rows = pd.DataFrame(index=pd.RangeIndex(1, file.metadata.num_rows + 1, name="row"))
        for name, what in self._features.items():
            if what.get("_type") == "ClassLabel" and name in rows and what.get("names"):
                words = dict(enumerate(map(str, what["names"])))
                rows[name] = rows[name].map(words).where(rows[name].notna(), None).astype(object)
        return rows, odd

    def paths(self) -> list[str]:
        """What is noted beside the bytes of each row; empty for nothing."""
        with self._opened() as file:
            if not self._nested("path"):
                return [""] * int(file.metadata.num_rows)
            column = file.read(columns=[f"{self.column}.path"], use_pandas_metadata=False)[0]
        return [(one or {}).get("path") or "" for one in column.to_pylist()]

    def held(self) -> Bool[np.ndarray, " n"]:
        """Which rows hold the bytes of their image: read from counts, where these can tell."""
        found = []
        with self._opened() as file:
            for group in range(file.metadata.num_row_groups):
                about = file.metadata.row_group(group)
                places = {about.column(n).path_in_schema: n for n in range(about.num_columns)}
                counts = about.column(places[self.leaf]).statistics if self.leaf in places else None
                count = about.num_rows
                empty = counts.null_count if counts and counts.has_null_count else None
                if empty in (0, count):
                    found.append(np.full(count, empty == 0))
                else:
                    found += [
                        np.array([one is not None for one in batch], dtype=bool)
                        for batch in self._batches(file, group)
                    ]
        return np.concatenate(found) if found else np.zeros(0, dtype=bool)

    def contents(self, rows: Int64[np.ndarray, " m"]) -> Iterator[bytes]:
        """The bytes of some rows, which ascend; one row group is read at a time, in batches."""
        with self._opened() as file:
            sizes = [file.metadata.row_group(n).num_rows for n in range(file.num_row_groups)]
            starts = np.cumsum([0, *sizes])
            for group in np.unique(np.searchsorted(starts, rows, side="right") - 1):
                first, last = starts[group], starts[group + 1]
                wanted = iter(rows[(rows >= first) & (rows < last)])
                row, place = next(wanted, None), first
                for batch in self._batches(file, int(group)):
                    while row is not None and row < place + len(batch):
                        yield batch[int(row - place)] or b""
                        row = next(wanted, None)
                    place += len(batch)

    def _batches(self, file: Any, group: int) -> Iterator[list[bytes | None]]:  # noqa: ANN401 (untyped)
        for batch in file.iter_batches(AT_ONCE, row_groups=[group], columns=[self.leaf]):
            values = batch.column(0).to_pylist()
            nested = self._nested("bytes")
            yield [one and one.get("bytes") for one in values] if nested else values

    @cached_property
    def _features(self) -> Mapping[str, Mapping[str, Any]]:
        """What datasets noted of each column; nothing where that is no such note."""
        noted = (self.schema.metadata or {}).get(b"huggingface", b"{}")
        try:
            found = json.loads(noted)["info"]["features"]
        except (ValueError, KeyError, TypeError, RecursionError):
            return {}
        pairs = found.items() if isinstance(found, dict) else ()
        return {name: what for name, what in pairs if isinstance(what, dict)}

    def _holds_images(self, name: str, kind: Any) -> bool:  # noqa: ANN401 (an untyped library)
        binary = pa.types.is_binary(kind) or pa.types.is_large_binary(kind)
        if pa.types.is_struct(kind):
            inner = {kind.field(n).name: kind.field(n).type for n in range(kind.num_fields)}
            held = inner.get("bytes")
            return held is not None and (pa.types.is_binary(held) or pa.types.is_large_binary(held))
        noted = self._features.get(name, {}).get("_type") == "Image"
        return binary and (noted or name.lower() in NAMES or name.lower().endswith("bytes"))

    def _nested(self, part: str) -> bool:
        kind = self.schema.field(self.column).type
        return pa.types.is_struct(kind) and kind.get_field_index(part) >= 0

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        """The file; what the library raises if it is damaged becomes our error."""
        try:
            with parquet.ParquetFile(self.path, pre_buffer=False, buffer_size=1 << 20) as file:
                yield file
        except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
            raise DataError(
                f"{shown(self.path)} cannot be read as Parquet: {shown(str(error))}"
            ) from error


@dataclass(frozen=True)
class Contents:
    """Reads the images of samples of several shards, by ``offset``, the number of their row."""

    shards: Mapping[str, Shard]  # by path

    def __call__(self, samples: pd.DataFrame) -> ImageBytes:
        """The bytes of each image in the order of ``samples``, None where it is a file itself."""
        paths, rows = samples["path"].tolist(), samples["offset"].tolist()
        at = 0
        while at < len(paths):
            shard, end = self.shards.get(paths[at]), at + 1
            if shard is None:
                yield None
            else:
                while end < len(paths) and paths[end] == paths[at] and rows[end] > rows[end - 1]:
                    end += 1
                yield from shard.contents(np.array(rows[at:end], dtype=np.int64))
            at = end

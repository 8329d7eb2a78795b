"""A file of embeddings in place of a network: samples are found by id, never by position.

``n`` samples, ``k`` dimensions.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
import torch
from jaxtyping import Bool, Float, Int64
from pydantic import Field, PrivateAttr

from debias.errors import DataError
from debias.models.representation import Representation, digest
from debias.storage.embeddings import read_embeddings
from debias.types import Rejected

NAMED = 5  # examples in a message


class Embeddings(Representation):
    """Embeddings made elsewhere, one row per sample; see :mod:`debias.storage.embeddings`.

    An id of the file is the ``sample_id`` of a sample or the path of its image: in full, relative
    to the data folder, or any ending of it that still tells all samples apart.
    """

    trained: ClassVar[bool] = False
    by_id: ClassVar[bool] = True

    name: Literal["embeddings"] = "embeddings"
    file: Path = Field(
        description="A .npy, .npz, .parquet, .csv, .tsv or .jsonl file, one row per sample."
    )
    ids: Path | None = Field(
        default=None,
        description="Ids of the rows, needed with .npy: text with one id a line, or .npy.",
    )
    beside: tuple[str, ...] = Field(
        default=(), description="Columns that are not part of the embedding: names, e0-e31, e*."
    )
    columns: tuple[str, ...] = Field(
        default=(),
        description="Columns of a table that are its dimensions: names, e0-e31, e*, or one of "
        "lists; empty: what looks like an embedding.",
    )
    _annotated: tuple[str, ...] = PrivateAttr(default=())

    def identity(self) -> dict[str, Any]:
        """Contents of the files; a DataError if one is missing."""
        return {
            "name": self.name,
            "file": digest(self.file, "representation.model.file"),
            "ids": self.ids and digest(self.ids, "representation.model.ids"),
            "beside": self.beside,
            "columns": self.columns,
            "annotated": self._annotated,
        }

    def blind_to(self, annotated: Sequence[str]) -> "Embeddings":
        """Itself, where no column with labels or groups can become a dimension."""
        seeing = self.model_copy()
        seeing._annotated = tuple(annotated)
        return seeing

    def lacking(self, samples: pd.DataFrame) -> list[Rejected]:
        """Samples of which the file holds none; a DataError as below."""
        found = self._opened()
        detail = (
            f"{self.file.name} holds none for it; its ids read {found.ids[0]}, ..., and should be "
            "paths of images, or sample_id"
        )
        return [
            Rejected(
                sample_id=row["sample_id"], path=str(row.get("path", "")), reason="no embedding",
                detail=detail,
            )
            for row in samples[found.lacks(samples)].to_dict("records")
        ]  # fmt: skip

    def open(self, device: torch.device) -> "EmbeddingIndex":
        """Read the file; a DataError if it cannot be, or nothing says which row is which sample."""
        return self._opened()

    def _opened(self) -> "EmbeddingIndex":
        table = read_embeddings(
            self.file, ids=self.ids, columns=self.columns, beside=self.beside,
            annotated=self._annotated,
        )  # fmt: skip
        if table.ids is None:
            raise DataError(
                f"{self.file} does not say which row is which sample: give a table a column "
                "sample_id or path, give .npz an array ids, or set representation.model.ids to a "
                "file with one id per row"
            )
        ids = pd.Index(table.ids.tolist())
        told = f"{self.file.name}: {table.sentence}" if table.sentence else ""
        return EmbeddingIndex(self.file, ids, table.values, table.missing, told)


@dataclass(frozen=True, eq=False)
class EmbeddingIndex:
    """Rows (n, k) of a file of embeddings, by sample."""

    file: Path
    ids: pd.Index
    values: Float[np.ndarray, "n k"]
    missing: Bool[np.ndarray, " n"]  # rows that hold none
    sentence: str = ""  # which columns became dimensions

    def lacks(self, samples: pd.DataFrame) -> Bool[np.ndarray, " n"]:
        """Samples of which the file has no row, or an empty one."""
        return self._empty(self._rows(samples))

    def find(self, samples: pd.DataFrame) -> Float[np.ndarray, "n k"]:
        """The embeddings of samples with ``sample_id`` and maybe ``path``, in their order.

        Raises:
            DataError: A sample has none, or one with values that are not finite.
        """
        names = samples["path" if "path" in samples else "sample_id"].to_numpy(dtype=str)
        rows = self._rows(samples)
        lost = names[self._empty(rows)]
        if len(lost):
            raise DataError(
                f"{self.file} holds no embedding for {len(lost)} of {len(names)} samples, first: "
                f"{', '.join(lost[:NAMED])}; its ids read {self.ids[0]}, ...: they must be paths "
                "of images, or sample_id as in samples.parquet of the run's faces, one row per "
                "sample"
            )
        values = np.asarray(self.values[rows])
        bad = names[~np.isfinite(values).all(axis=1)]
        if len(bad):
            raise DataError(
                f"{self.file} holds values that are not finite for {len(bad)} of {len(names)} "
                f"samples, first: {', '.join(bad[:NAMED])}; compute these embeddings again or "
                "leave the samples out"
            )
        return values

    def _empty(self, rows: Int64[np.ndarray, " n"]) -> Bool[np.ndarray, " n"]:
        return (rows < 0) | self.missing[rows]

    def _rows(self, samples: pd.DataFrame) -> Int64[np.ndarray, " n"]:
        """Row of each sample, -1 for none, under the naming that finds the most."""
        best = np.full(len(samples), -1)
        for names in _namings(samples):
            rows = self.ids.get_indexer(pd.Index(names))
            best = max(best, rows, key=lambda found: (found >= 0).sum())
            if (best >= 0).all():
                break
        return best.astype(np.int64)


def _namings(samples: pd.DataFrame) -> Iterator[list[str]]:
    """Names of all samples, each different: the id, then shorter and shorter endings of paths."""
    yield samples["sample_id"].astype(str).tolist()
    names = samples["path"].astype(str).tolist() if "path" in samples else []
    while names and all(names):
        if len(set(names)) == len(names):
            yield names
        names = [name.partition("/")[2] for name in names]

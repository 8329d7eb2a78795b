"""What must stay on one side of a split, and draws of it that give every stratum its share.

``n`` samples, ``u`` units, ``s`` strata.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64

from debias.ingesting.columns import crossed
from debias.ingesting.leakage import COLUMNS, members


def units(samples: pd.DataFrame) -> Int64[np.ndarray, " n"]:
    """What must stay together: people, duplicate clusters, equal files, and chains of them.

    Two images of one person are together, and so are two people with one photograph between them.

    Args:
        samples: With ``subject_id`` (empty: nobody in particular), ``duplicate_cluster`` (negative
            or empty: none) and ``sha256`` where they are known.

    Returns:
        (n,) numbers without gaps, in the order of first appearance.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    count = len(samples)
    rows, nodes = [], []
    for kind in COLUMNS:
        member = members(samples, kind)
        sizes = np.bincount(member[member >= 0], minlength=1)
        tied = np.flatnonzero((member >= 0) & (sizes[member] > 1))  # one alone ties nothing
        rows.append(tied)
        nodes.append(count + member[tied])
        count += len(sizes)
    edges = np.concatenate(rows), np.concatenate(nodes)
    graph = coo_array((np.ones(len(edges[0]), dtype=np.int8), edges), shape=(count, count))
    _, component = connected_components(graph.tocsr(), directed=False)
    return pd.factorize(component[: len(samples)])[0].astype(np.int64)


def linked_people(samples: pd.DataFrame) -> Int64[np.ndarray, " n"]:
    """Number of the people who share a photograph, through chains; -1 for all others.

    Args:
        samples: Copies included, with ``subject_id`` and ``sha256`` where they are known.
    """
    person = members(samples, "person")
    unit = units(samples[[name for name in ("subject_id", "sha256") if name in samples]])
    known = np.flatnonzero(person >= 0)
    pairs = np.unique(np.stack([unit[known], person[known]], axis=1), axis=0)
    people = np.bincount(pairs[:, 0], minlength=unit.max(initial=-1) + 1)
    return np.where(people[unit] > 1, unit, -1)


@dataclass(frozen=True, eq=False)
class Units:
    """What stays together, and the stratum each of them counts for.

    Attributes:
        of_row: (n,) unit of each row.
        size: (u,) images.
        stratum: (u,) cell of most of its images.
        example: (s,) a row of each stratum.
    """

    of_row: Int64[np.ndarray, " n"]
    size: Int64[np.ndarray, " u"]
    stratum: Int64[np.ndarray, " u"]
    example: Int64[np.ndarray, " s"]

    @classmethod
    def of(cls, samples: pd.DataFrame, columns: Sequence[str]) -> "Units":
        of_row, cell = units(samples), crossed(samples, columns)
        example = np.unique(cell, return_index=True)[1]
        pairs, images = np.unique(of_row * len(example) + cell, return_counts=True)
        unit, stratum = np.divmod(pairs, max(1, len(example)))
        largest = np.lexsort((stratum, -images, unit))  # first of each unit: its commonest cell
        first = largest[np.unique(unit[largest], return_index=True)[1]]
        return cls(of_row, np.bincount(of_row), stratum[first], example)

    def touched(self, rows: Bool[np.ndarray, " n"]) -> Bool[np.ndarray, " u"]:
        """Units with an image among some rows."""
        return np.bincount(self.of_row[rows], minlength=len(self.size)) > 0

    def random_order(self, generator: np.random.Generator) -> Int64[np.ndarray, " n"]:
        """Rows by units in random order, the images of a unit side by side."""
        return np.argsort(generator.permutation(len(self.size))[self.of_row], kind="stable")

    def drawn(
        self,
        available: Bool[np.ndarray, " u"],
        share: Float64[np.ndarray, " s"],
        generator: np.random.Generator,
    ) -> Bool[np.ndarray, " u"]:
        """Units that hold the given share of the images of every stratum, to within one unit.

        What is due of each stratum is rounded so that the sum over strata is right to half an
        image. Within a stratum, units in random order are taken while half of the next still fits.
        """
        place = generator.permutation(len(self.size))
        stratum = self._with_small_together(available, share)[self.stratum]
        order = np.lexsort((place, stratum, share[self.stratum]))
        order = order[available[order]]
        if not len(order):
            return np.zeros(len(self.size), dtype=bool)
        size = self.size[order]
        starts = np.flatnonzero(np.diff(stratum[order], prepend=-1))
        lengths = np.diff(np.append(starts, len(order)))
        due = share[self.stratum[order[starts]]] * np.add.reduceat(size, starts)
        due = np.diff(np.round(np.cumsum(due)), prepend=0)
        before = np.cumsum(size) - size
        before -= np.repeat(before[starts], lengths)
        taken = np.zeros(len(self.size), dtype=bool)
        taken[order[before + size / 2 < np.repeat(due, lengths)]] = True
        return taken

    def _with_small_together(
        self, available: Bool[np.ndarray, " u"], share: Float64[np.ndarray, " s"]
    ) -> Int64[np.ndarray, " s"]:
        """Number of each stratum; those due less than an image have one per share."""
        images = np.bincount(
            self.stratum[available], self.size[available], minlength=len(self.example)
        )
        together = len(images) + np.unique(share, return_inverse=True)[1]
        return np.where(share * images < 1, together, np.arange(len(images)))

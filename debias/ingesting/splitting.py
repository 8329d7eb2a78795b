"""Train, validation and test: no person and no photograph on two sides, every class in its share.

``n`` samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Bool, Float64, Int64

from debias.errors import DataError, SplitLeakageError
from debias.ingesting.duplicates import connected
from debias.ingesting.labels import (
    cell_name,
    clean_text,
    coded,
    crossed,
    place_in_cell,
    require_column,
)
from debias.ingesting.planting import TIE
from debias.ingesting.selection import Caps, Selection
from debias.statistics.groupings import UNKNOWN
from debias.storage.files import shown
from debias.types import SPLITS, Rejected

COLUMNS = {
    "person": "subject_id",
    "duplicate cluster": "duplicate_cluster",
    "file content": "sha256",
    "people with one photograph": "linked_people",
}
NUMBERED = ("duplicate_cluster", "linked_people")  # -1: none
PLURALS = {
    "person": "people",
    "duplicate cluster": "duplicate clusters",
    "file content": "file contents",
    "people with one photograph": "sets of people with one photograph",
}
SHOWN = 3  # examples of each kind
ADVICE = "have the split drawn anew, by unit"


def members(samples: pd.DataFrame, kind: str) -> Int64[np.ndarray, " n"]:
    """Number of the person, cluster or content (``COLUMNS``) of each row; -1: unknown."""
    column = COLUMNS[kind]
    if column not in samples:
        return np.full(len(samples), -1)
    values = samples[column]
    if column in NUMBERED:
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        return pd.factorize(np.where(numbers < 0, np.nan, numbers))[0].astype(np.int64)
    if kind == "file content":
        return pd.factorize(values.where(values != ""))[0].astype(np.int64)
    codes, names = coded(values)
    nobody = np.array([*(name == UNKNOWN for name in names), True])  # -1 finds the last entry
    return np.where(nobody[codes], -1, codes)


def leaks(samples: pd.DataFrame) -> pd.DataFrame:
    """People, duplicate clusters and contents that stand on more than one side.

    Args:
        samples: With ``split``, and ``subject_id``, ``duplicate_cluster`` and ``sha256`` where
            they are known.

    Returns:
        One row each: ``kind``, ``unit`` (its name), ``splits`` (joined by ", "), ``images`` (on
        all sides together).
    """
    tables = []
    for kind, column in COLUMNS.items():
        table = pd.DataFrame({"unit": members(samples, kind), "side": samples["split"].to_numpy()})
        table = table[table["unit"] >= 0].dropna()
        sides = table.drop_duplicates().sort_values(["unit", "side"])
        sides = sides[sides["unit"].duplicated(keep=False)]
        images = table[table["unit"].isin(sides["unit"])].groupby("unit")
        first = images.head(1).sort_values("unit").index
        found = {
            "kind": [kind] * len(first),
            "unit": [clean_text(name) for name in samples[column].iloc[first]]
            if len(first)
            else [],
            "splits": sides.groupby("unit")["side"].agg(", ".join).to_numpy(),
            "images": images.size().to_numpy(),
        }
        tables.append(pd.DataFrame(found))
    return pd.concat(tables, ignore_index=True)


def require_no_leak(samples: pd.DataFrame, advice: str = ADVICE) -> None:
    """Refuse a split that divides a person, a duplicate cluster or equal files.

    Raises:
        SplitLeakageError: With how many of each kind, the first three, and the advice.
    """
    found = leaks(samples)
    if found.empty:
        return
    counts, examples = [], []
    for kind, table in found.groupby("kind", sort=False):
        counts.append(f"{len(table)} {str(kind) if len(table) == 1 else PLURALS[str(kind)]}")
        first = table.head(SHOWN)
        named = ", ".join(first["unit"] + " (" + first["splits"] + ")")
        examples.append(f"{kind} {named}")
    there = _one_a_side(samples, found.iloc[0]) if "path" in samples else ""
    verb = "stands" if len(found) == 1 else "stand"
    raise SplitLeakageError(
        f"{', '.join(counts)} {verb} on more than one side of the split, first: "
        f"{'; '.join(examples)}{there}; {advice}"
    )


def _one_a_side(samples: pd.DataFrame, leak: "pd.Series[Any]") -> str:
    """Where an image of each side lies: its folder may bear another name than the side has."""
    unit = samples[COLUMNS[str(leak["kind"])]].map(clean_text) == leak["unit"]
    first = samples[unit].drop_duplicates("split").sort_values("split")
    named = (
        f"{side}: {shown(path)}" for side, path in zip(first["split"], first["path"], strict=True)
    )
    return f" (the first: {', '.join(named)})"


def units(samples: pd.DataFrame) -> Int64[np.ndarray, " n"]:
    """What must stay together: people, duplicate clusters, equal files, and chains of them.

    Two images of one person are together, and so are two people with one photograph between them.
    Samples have ``subject_id`` (empty: nobody in particular), ``duplicate_cluster`` (negative or
    empty: none) and ``sha256`` where they are known. (n,) numbers without gaps, in the order of
    first appearance.
    """
    count = len(samples)
    rows, nodes = [], []
    for kind in COLUMNS:
        member = members(samples, kind)
        sizes = np.bincount(member[member >= 0], minlength=1)
        tied = np.flatnonzero((member >= 0) & (sizes[member] > 1))  # one alone ties nothing
        rows.append(tied)
        nodes.append(count + member[tied])
        count += len(sizes)
    component = connected(np.concatenate(rows), np.concatenate(nodes), count)
    return pd.factorize(component[: len(samples)])[0].astype(np.int64)


def linked_people(samples: pd.DataFrame) -> Int64[np.ndarray, " n"]:
    """Number of the people who share a photograph, copies included; -1 for all others."""
    person = members(samples, "person")
    unit = units(samples[[name for name in ("subject_id", "sha256") if name in samples]])
    known = np.flatnonzero(person >= 0)
    pairs = np.unique(np.stack([unit[known], person[known]], axis=1), axis=0)
    people = np.bincount(pairs[:, 0], minlength=unit.max(initial=-1) + 1)
    return np.where(people[unit] > 1, unit, -1)


@dataclass(frozen=True, eq=False)
class Units:
    """What stays together, and the stratum each of them counts for."""

    of_row: Int64[np.ndarray, " n"]  # unit of each row
    size: Int64[np.ndarray, " u"]  # images
    stratum: Int64[np.ndarray, " u"]  # cell of most of its images
    example: Int64[np.ndarray, " s"]  # a row of each stratum

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


DRAWN_INSTEAD = (
    "leave out data.split_column, or set data.split to 'drawn' where no column says it, to have it "
    "drawn"
)
GIVEN = (
    "repair the table or the folders, name another column of people with --subject, set "
    f"selection.leaks to 'drop', or {DRAWN_INSTEAD}"
)


def split(
    samples: pd.DataFrame,
    selection: Selection,
    attributes: Sequence[str],
    generator: np.random.Generator,
) -> pd.DataFrame:
    """Add the column ``split``; rows that belong to no split are left out.

    Units (:func:`units`) never stand on two sides. A share of the images is drawn by units within
    strata, the cells of the label crossed with the columns that the selection names (a unit counts
    for the cell of most of its images), so that every stratum's share is met to within one unit;
    strata that are due less than one image are drawn from together. No image is lost by that.

    Attributes steer nothing unless the selection asks for it: what a model sees, and every figure
    that names no group, must not depend on which annotation is listed.

    Images are lost only where numbers are asked for: ``test_per_group`` takes exactly as many from
    every cell of the crossed ``attributes``, and caps take at most so many for training; the other
    images of the units that they divide are left out.

    The order of the rows has no influence, only the seed has. A split that the data bring is
    checked and kept, and so is the order of its rows; else they come by ``sample_id``.

    Raises:
        DataError: A cell holds fewer images than ``test_per_group``, or a given split stands
            beside settings that draw one.
        GroupSchemaError: A column that the selection names does not exist.
        SplitLeakageError: A given split divides a unit, and ``leaks`` is "refuse".
    """
    if "split" in samples:
        if selection.caps or selection.test_per_group or selection.even_over:
            raise DataError(
                "the data bring their own split, so selection.caps, selection.test_per_group and "
                f"selection.even_over have no effect; drop them, or {DRAWN_INSTEAD}"
            )
        if selection.leaks == "drop":
            return without_leaks(samples)[0]
        require_no_leak(samples, GIVEN)
        return samples
    samples = samples.sort_values("sample_id", kind="stable")
    parts = Units.of(samples, _stratified_by(samples, selection))
    test = _test_rows(samples, parts, selection, attributes, generator)
    rest = ~parts.touched(test)[parts.of_row]
    validation = _validation_rows(samples, parts, rest, selection, generator)
    train = rest & ~validation
    if selection.caps:
        train = _capped(samples, parts, train, selection.caps, generator)
    names = np.select([test, train, validation], ["test", "train", "validation"], default="")
    return samples.assign(split=names)[names != ""]


def without_leaks(samples: pd.DataFrame) -> tuple[pd.DataFrame, tuple[Rejected, ...]]:
    """Leave out of a given split what also stands on the side that is held back more.

    Of a unit with test images only these stay, and of one without, only its validation images.

    Returns:
        The samples that stay, and a record of every one that goes.
    """
    unit = units(samples)
    rank = pd.Index(SPLITS).get_indexer(pd.Index(samples["split"])).astype(np.int64)
    best = np.full(unit.max(initial=-1) + 1, -1)
    np.maximum.at(best, unit, rank)
    gone = rank < best[unit]
    if not gone.any():
        return samples, ()
    left = samples[gone].assign(side=[SPLITS[place] for place in best[unit][gone]])
    paths = left["path"] if "path" in left else left["sample_id"]
    rejected = tuple(
        Rejected(
            sample_id=name,
            path=path,
            reason=f"also in the {side} set",
            detail=f"a person or photograph of the {side} set; was listed for {was}",
        )
        for name, path, side, was in zip(
            left["sample_id"], paths, left["side"], left["split"], strict=True
        )
    )
    return samples[~gone], rejected


def _stratified_by(samples: pd.DataFrame, selection: Selection) -> list[str]:
    for column in selection.even_over:
        require_column(samples, column, "selection.even_over")
    capped = [selection.caps.column] if selection.caps else []
    for column in capped:
        require_column(samples, column, "selection.caps")
    label = ["label"] if "label" in samples else []
    tied = [TIE] if selection.tie else []
    return list(dict.fromkeys([*label, *selection.even_over, *capped, *tied]))


def _test_rows(
    samples: pd.DataFrame,
    parts: Units,
    selection: Selection,
    attributes: Sequence[str],
    generator: np.random.Generator,
) -> Bool[np.ndarray, " n"]:
    wanted = selection.test_per_group
    if wanted is None:
        everyone = np.ones(len(parts.size), dtype=bool)
        share = np.full(len(parts.example), selection.test_fraction)
        return parts.drawn(everyone, share, generator)[parts.of_row]
    cells = crossed(samples, attributes)
    sizes = np.bincount(cells)
    if sizes.min() < wanted:
        smallest = cell_name(samples, attributes, int(np.argmax(cells == sizes.argmin())))
        raise DataError(
            f"selection.test_per_group is {wanted}, but {smallest or 'the data set'} has only "
            f"{sizes.min()} images; lower it or filter that group out"
        )
    order = parts.random_order(generator)
    test = np.zeros(len(samples), dtype=bool)
    test[order[place_in_cell(cells[order]) < wanted]] = True
    return test


def _validation_rows(
    samples: pd.DataFrame,
    parts: Units,
    rest: Bool[np.ndarray, " n"],
    selection: Selection,
    generator: np.random.Generator,
) -> Bool[np.ndarray, " n"]:
    """The share of the training images, of capped groups the share of their cap."""
    share = selection.validation_fraction
    of_rest = np.full(len(parts.example), share / (1 + share))
    if selection.caps:
        values, most = _values_and_caps(samples, selection.caps)
        for value, cap in most.items():
            images = np.count_nonzero(rest & (values == value))
            capped = values[parts.example] == value
            of_rest[capped] = np.minimum(of_rest[capped], share * cap / max(1, int(images)))
    return parts.drawn(parts.touched(rest), of_rest, generator)[parts.of_row]


def _capped(
    samples: pd.DataFrame,
    parts: Units,
    train: Bool[np.ndarray, " n"],
    caps: Caps,
    generator: np.random.Generator,
) -> Bool[np.ndarray, " n"]:
    """Training rows under the caps."""
    values, most = _values_and_caps(samples, caps)
    order = parts.random_order(generator)
    kept = train.copy()
    for value, cap in most.items():
        rows = order[train[order] & (values[order] == value)]
        kept[rows[cap:]] = False
    return kept


def _values_and_caps(
    samples: pd.DataFrame, caps: Caps
) -> tuple[Int64[np.ndarray, " n"], dict[int, int]]:
    """(n,) value of each row as a number, and the caps by that number."""
    values, names = coded(samples[caps.column], UNKNOWN)
    return values, {names.index(name): cap for name, cap in caps.most.items() if name in names}

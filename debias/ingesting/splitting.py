"""Train, validation and test: no person and no photograph on two sides, every class in its share.

``n`` samples.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Bool, Int64

from debias.errors import DataError
from debias.ingesting.columns import cell_name, coded, crossed, place_in_cell
from debias.ingesting.leakage import require_no_leak
from debias.ingesting.selection import Caps, Selection, require_column
from debias.ingesting.units import Units, units
from debias.statistics.groupings import UNKNOWN
from debias.types import SPLITS, Rejected

DRAWN_INSTEAD = "leave out data.split_column (data.split: drawn for a public set) to have it drawn"


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
    every cell of the crossed attributes, and caps take at most so many for training; the other
    images of the units that they divide are left out.

    The order of the rows has no influence, only the seed has. A split that the data bring is
    checked and kept.

    Args:
        samples: With ``sample_id``, unique, and the attributes; with ``label`` (class index) where
            there is one.
        selection: Shares and numbers.
        attributes: Columns whose cells ``test_per_group`` speaks of.
        generator: Of this split.

    Returns:
        The samples by ``sample_id``, or as they were where they brought a split.

    Raises:
        DataError: A cell holds fewer images than ``test_per_group``, or a given split stands
            beside settings that draw one.
        GroupSchemaError: A column that the selection names does not exist.
        SplitLeakageError: A given split divides a unit, and ``leaks`` is "refuse".
    """
    if "split" in samples:
        return _given(samples, selection)
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
    kept_on = [SPLITS[place] for place in best[unit][gone]]
    left = samples[gone]
    paths = left["path"] if "path" in left else left["sample_id"]
    rejected = tuple(
        Rejected(
            sample_id=name,
            path=path,
            reason=f"also in the {side} set",
            detail=f"a person or photograph of the {side} set; was listed for {was}",
        )
        for name, path, side, was in zip(
            left["sample_id"], paths, kept_on, left["split"], strict=True
        )
    )
    return samples[~gone], rejected


def _given(samples: pd.DataFrame, selection: Selection) -> pd.DataFrame:
    if selection.caps or selection.test_per_group or selection.even_over:
        raise DataError(
            "the data bring their own split, so selection.caps, selection.test_per_group and "
            f"selection.even_over have no effect; drop them, or {DRAWN_INSTEAD}"
        )
    if selection.leaks == "drop":
        return without_leaks(samples)[0]
    require_no_leak(
        samples,
        f"repair the table, set selection.leaks to 'drop', or {DRAWN_INSTEAD}",
    )
    return samples


def _stratified_by(samples: pd.DataFrame, selection: Selection) -> list[str]:
    for column in selection.even_over:
        require_column(samples, column, "selection.even_over")
    named = [*selection.even_over]
    if selection.caps:
        require_column(samples, selection.caps.column, "selection.caps")
        named.append(selection.caps.column)
    label = ["label"] if "label" in samples else []
    return list(dict.fromkeys([*label, *named]))


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

"""Which decoded images become the store: one of every copy, split by person and photograph."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Int64

from debias import ingesting as ingest
from debias.ingesting.decoded import Listed
from debias.ingesting.rules import FacesRecipe
from debias.seeding import numpy_generator
from debias.tracking.progress import Progress
from debias.types import Rejected, ShardedImages

UNLABELLED = ("unlabelled",)
_NO_HASHES = np.empty((0, 4), dtype=np.uint64)
GIVEN = (
    "repair the table, set selection.leaks to 'drop', or leave out data.split_column (data.split: "
    "drawn for a public set) to have it drawn"
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Chosen:
    """The samples of a store and how they came to be chosen.

    Attributes:
        samples: One row an image, with ``split``, ``label`` and ``duplicate_cluster``.
        rows: Of the decoded images, ascending.
        pairs: Duplicates by sample id, with the columns in which their annotation disagrees.
        rejected: What else was set aside: copies, and what it took to repair a leak.
        classes: Names of the label values.
    """

    samples: pd.DataFrame
    rows: Int64[np.ndarray, " n"]
    pairs: pd.DataFrame
    rejected: list[Rejected]
    classes: tuple[str, ...]


def choose(
    listed: Listed, decoded: ingest.Decoded, recipe: FacesRecipe, progress: Progress
) -> Chosen:
    """Drop exact copies, group near ones, split, and check that nothing leaks.

    Raises:
        SplitLeakageError: A given split puts one person or photograph on two sides.
        LabelError, GroupSchemaError: A column cannot be used.
    """
    if "split" in decoded.samples and recipe.selection.leaks == "refuse":
        ingest.require_no_leak(decoded.samples, GIVEN)  # copies on two sides are a leak as well
    kept, copies = ingest.kept_rows(decoded.samples, _annotated(recipe))
    rows = np.flatnonzero(kept)
    samples = decoded.samples.iloc[rows].reset_index(drop=True)
    near = _near_pairs(listed, decoded, rows, recipe, progress)
    if "duplicate_cluster" not in samples:  # a store brings those that were found when it was made
        samples["duplicate_cluster"] = ingest.clusters(len(rows), near)
    exact = ingest.exact_pairs(decoded.samples["sha256"].to_numpy(dtype=str))
    pairs = [_named(exact, decoded.samples, recipe), _named(near, samples, recipe)]
    # A copy that is dropped may be all that tells of two people with one photograph.
    samples["linked_people"] = ingest.linked_people(decoded.samples)[rows]
    if "label" in samples:
        samples["label_text"] = samples["label"]  # ours is the index of a class
    samples, classes = labelled(samples, recipe)
    generator = numpy_generator(recipe.seed, "split")
    leaked: tuple[Rejected, ...] = ()
    remaining = samples
    if "split" in samples and recipe.selection.leaks == "drop":
        remaining, leaked = ingest.without_leaks(samples)
    divided = ingest.split(remaining, recipe.selection, recipe.attributes, generator)
    ingest.require_no_leak(divided)
    place = pd.Index(samples["sample_id"]).get_indexer(divided["sample_id"])
    return Chosen(
        samples=divided.reset_index(drop=True),
        rows=rows[place],
        pairs=pd.concat(pairs, ignore_index=True),
        rejected=[*copies, *leaked],
        classes=classes,
    )


def _near_pairs(
    listed: Listed,
    decoded: ingest.Decoded,
    rows: Int64[np.ndarray, " n"],
    recipe: FacesRecipe,
    progress: Progress,
) -> pd.DataFrame:
    """Pairs among ``rows`` of the decoded images; none where nothing is to be looked for."""
    if not _wanted(listed, recipe):
        return ingest.near_pairs(ShardedImages(decoded.images.shards, rows[:0]), _NO_HASHES)
    advance = progress.start("Duplicates", len(rows))
    return ingest.near_pairs(
        ShardedImages(decoded.images.shards, rows),
        decoded.perceptual[rows],
        advance=lambda steps: advance("", steps),
    )


def _wanted(listed: Listed, recipe: FacesRecipe) -> bool:
    """Drawn faces look alike and are not; a store brings what was found when it was made."""
    known = "duplicate_cluster" in listed.samples
    return recipe.ingest.near_duplicates and not listed.collection.distinct and not known


def labelled(samples: pd.DataFrame, recipe: FacesRecipe) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Class index and attribute texts; the names of the classes.

    Raises:
        LabelError, GroupSchemaError: A column cannot be used.
    """
    if recipe.label is None:
        texts = ingest.attribute_texts(samples, recipe.attributes)
        columns = {name: texts[name] for name in recipe.attributes}
        return samples.assign(label=0, **columns), UNLABELLED
    classes = ingest.classes_of(samples, recipe.label, recipe.positive)
    return ingest.encoded(samples, recipe.label, classes, recipe.attributes), classes


def _named(pairs: pd.DataFrame, samples: pd.DataFrame, recipe: FacesRecipe) -> pd.DataFrame:
    """Pairs by sample id instead of row, with what their annotation disagrees about."""
    found = ingest.conflicts(samples, pairs, _annotated(recipe))
    ids = samples["sample_id"].to_numpy(dtype=object)
    first, second = ids[found["first"].to_numpy()], ids[found["second"].to_numpy()]
    return found.drop(columns=["first", "second"]).assign(first_id=first, second_id=second)


def _annotated(recipe: FacesRecipe) -> list[str]:
    """Label and attributes, each once."""
    return list(dict.fromkeys([*([recipe.label] if recipe.label else []), *recipe.attributes]))

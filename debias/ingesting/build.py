"""From a data set to a store of decoded faces, with an account of what is not in it."""

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int64

from debias.decoding.rules import decoded_by
from debias.errors import ArtifactCorruptError, DataError, GroupSchemaError, LabelError
from debias.ingesting import decoded as decoding
from debias.ingesting.account import account
from debias.ingesting.decoded import Listed
from debias.ingesting.duplicates import clusters, conflicts, exact_pairs, kept_rows, near_pairs
from debias.ingesting.labels import classes_of, encoded
from debias.ingesting.parts import Decoded, write_shards
from debias.ingesting.quarantine import require_within, summarise, write_quarantine
from debias.ingesting.rules import FacesRecipe, IngestRules
from debias.ingesting.splitting import GIVEN, linked_people, require_no_leak, split, without_leaks
from debias.plugins import dump
from debias.seeding import numpy_generator
from debias.storage.artifacts import (
    Artifact,
    RunFolder,
    content_key,
    load_faces,
    save_faces,
)
from debias.storage.files import locked
from debias.storage.sealed import read_manifest, sealed_in, write_json
from debias.storage.suppressed import Suppressed, suppressed_in
from debias.storage.tables import OURS
from debias.tracking.tracker import Progress, Silence
from debias.types import Rejected, ShardedImages

STAGE = "faces"
QUARANTINE, ACCOUNT, PAIRS = "quarantine.jsonl", "account.json", "duplicates.parquet"
UNLABELLED = ("unlabelled",)


def ingest_faces(
    recipe: FacesRecipe,
    place: RunFolder,
    progress: Progress | None = None,
    *,
    about: Mapping[str, object] | None = None,
    retry: bool = False,
) -> Artifact:
    """Make the store of a recipe below ``place``, or find it.

    Stopped at any time, it goes on where it was. What was decoded before, for this store or for an
    earlier one in the same place, is not decoded again. Whoever was purged from the place is held
    back, and ``progress`` told of how many images.

    Args:
        recipe: Data, selection, rules.
        place: Folder of the run or store; one builder at a time works there.
        progress: Watches.
        about: Goes into the manifest.
        retry: Read again what failed by bad luck (it took too long, or ran out of memory).

    Raises:
        DataError: The data cannot be used; the message says why.
        StorageError: The folder cannot be written.
    """
    progress, start = progress or Silence(), time.monotonic()
    listed = decoding.list_recipe(recipe)
    _require_columns(listed, recipe)  # a wrong column should not cost hours of decoding
    stage = place.path / STAGE
    listed, found = _look(recipe, listed, place, retry=retry)
    listed.tell_held_back(progress)
    if found is not None and not decoding.has_parts(listed, place, STAGE):
        progress.reused("Faces")
        return found  # reading needs no lock, and no right to write

    def wait(owner: str) -> None:
        progress.start(f"Waiting for process {owner}, which builds here", 1)

    with locked(stage, waiting=wait):
        listed, found = _look(recipe, listed, place, retry=retry)  # whoever held the lock built it
        if found is not None:
            progress.reused("Faces")
        else:
            checked = listed.table, recipe.attributes, recipe.ingest, stage
            judge(listed.rejected, *checked)  # before anything is decoded
            decoded = decoding.decode(listed, place, STAGE, progress, retry=retry)
            listed = decoding.content_of(listed, decoded)
            judge(rejected := listed.rejected + decoded.rejected, *checked)
            chosen = choose(listed, decoded, recipe, progress)
            key, made = _store_of(recipe, listed, decoded)
            set_aside = [*rejected, *chosen.rejected]
            found = seal_store(
                place, STAGE, key, {**(about or {}), **made}, decoded, chosen.rows,
                lambda folder: _fill(folder, recipe, listed, set_aside, chosen), start,
            )  # fmt: skip
        decoding.forget_parts(listed, place, STAGE)  # even those of one killed at the very end
    return found


def seal_store(  # noqa: PLR0913 (where, under what name, which images, which tables)
    place: RunFolder,
    stage: str,
    key: str,
    about: dict[str, object],
    decoded: Decoded,
    rows: Int64[np.ndarray, " m"],
    fill: Callable[[Path], None],
    start: float,
) -> Artifact:
    """Seal a store of these rows of the decoded images; ``fill`` writes its tables.

    ``about`` goes into the manifest, with the seconds since ``start``. StorageError if the folder
    cannot be written.
    """
    with place.create(stage, key, about) as folder:
        about["files"] = write_shards(folder, decoded, rows)
        fill(folder)
        about["seconds"] = round(time.monotonic() - start, 3)
    found = place.find(stage, key)
    assert found is not None  # sealed just now
    return found


def judge(
    rejected: Sequence[Rejected],
    table: pd.DataFrame,
    attributes: Sequence[str],
    rules: IngestRules,
    stage: Path,
) -> None:
    """Stop where too much was set aside, or one group too often; the list of it stays.

    Raises:
        QuarantineLimitExceededError: With numbers, limit and where the list is.
        EmptyDatasetError: Nothing could be read.
    """
    where = stage / QUARANTINE
    where.unlink(missing_ok=True)
    try:
        require_within(summarise(rejected, table, attributes, rules), rules, where)
    except DataError:
        write_quarantine(where, rejected, table, attributes)
        raise


@dataclass(frozen=True, kw_only=True, eq=False)
class Chosen:
    """The samples of a store and how they came to be chosen."""

    samples: pd.DataFrame  # a row an image, with ``split``, ``label`` and ``duplicate_cluster``
    rows: Int64[np.ndarray, " n"]  # of the decoded images, ascending
    pairs: pd.DataFrame  # duplicates by id, with the columns in which their annotation disagrees
    rejected: list[Rejected]  # copies, and what it took to repair a leak
    classes: tuple[str, ...]  # names of the label values


def choose(listed: Listed, decoded: Decoded, recipe: FacesRecipe, progress: Progress) -> Chosen:
    """Drop exact copies, group near ones, split, and check that nothing leaks.

    Raises:
        SplitLeakageError: A given split puts one person or photograph on two sides.
        LabelError, GroupSchemaError: A column cannot be used.
    """
    drop = recipe.selection.leaks == "drop"
    if "split" in decoded.samples and not drop:
        require_no_leak(decoded.samples, GIVEN)  # copies on two sides are a leak as well
    annotated = list(dict.fromkeys([*([recipe.label] if recipe.label else []), *recipe.attributes]))
    kept, copies = kept_rows(decoded.samples, annotated)
    rows = np.flatnonzero(kept)
    samples = decoded.samples.iloc[rows].reset_index(drop=True)
    near = _near_pairs(listed, decoded, rows, recipe, progress)
    if "duplicate_cluster" not in samples:  # a store brings those that were found when it was made
        samples["duplicate_cluster"] = clusters(len(rows), near)
    exact = exact_pairs(decoded.samples["sha256"].to_numpy(dtype=str))
    pairs = [_named(exact, decoded.samples, annotated), _named(near, samples, annotated)]
    # A copy that is dropped may be all that tells of two people with one photograph.
    samples["linked_people"] = linked_people(decoded.samples)[rows]
    if "label" in samples:
        samples["label_text"] = samples["label"]  # ours is the index of a class
    samples, classes = labelled(samples, recipe)
    repair = "split" in samples and drop
    remaining, leaked = without_leaks(samples) if repair else (samples, ())
    generator = numpy_generator(recipe.seed, "split")
    planting = recipe.planting
    cells = planting.columns if planting else recipe.attributes
    divided = split(remaining, recipe.selection, cells, generator)
    if planting:
        divided = planting.thinned(divided, numpy_generator(recipe.seed, "tie"))
    require_no_leak(divided)
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
    decoded: Decoded,
    rows: Int64[np.ndarray, " n"],
    recipe: FacesRecipe,
    progress: Progress,
) -> pd.DataFrame:
    """Pairs among ``rows`` of the decoded images; none where nothing is to be looked for.

    Drawn faces look alike and are not; a store brings what was found when it was made.
    """
    known = "duplicate_cluster" in listed.samples
    if not recipe.ingest.near_duplicates or listed.collection.distinct or known:
        rows = rows[:0]
    tell = progress.start("Duplicates", len(rows)) if len(rows) else None
    return near_pairs(
        ShardedImages(decoded.images.shards, rows),
        decoded.perceptual[rows],
        advance=(lambda steps: tell("", steps)) if tell else None,
    )


def labelled(samples: pd.DataFrame, recipe: FacesRecipe) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Class index and attribute texts; the names of the classes.

    Raises:
        LabelError, GroupSchemaError: A column cannot be used.
    """
    label = recipe.label
    classes = classes_of(samples, label, recipe.positive) if label is not None else UNLABELLED
    return encoded(samples, label, classes, recipe.attributes), classes


def _require_columns(listed: Listed, recipe: FacesRecipe) -> None:
    """Fail as :func:`labelled`; where there is no annotation at all, with what was not read."""
    try:
        labelled(listed.samples, recipe)
    except (LabelError, GroupSchemaError) as error:
        if not (set(listed.samples) <= set(OURS) and listed.collection.remarks):
            raise
        raise type(error)(f"{error}. {' '.join(listed.collection.remarks)}") from error


def _named(pairs: pd.DataFrame, samples: pd.DataFrame, annotated: list[str]) -> pd.DataFrame:
    """Pairs by sample id instead of row, with what their annotation disagrees about."""
    found = conflicts(samples, pairs, annotated)
    ids = samples["sample_id"].to_numpy(dtype=object)
    first, second = ids[found.pop("first").to_numpy()], ids[found.pop("second").to_numpy()]
    return found.assign(first_id=first, second_id=second)


def _look(
    recipe: FacesRecipe, listed: Listed, place: RunFolder, *, retry: bool
) -> tuple[Listed, Artifact | None]:
    """The listing, hashed if that can tell anything, and the finished store of its content.

    After bad luck there may be several: the one that lost least counts.
    """
    purged = suppressed_in(place.path)
    if not (purged or decoding.is_begun(place.path / STAGE)):
        return listed, None
    listed = decoding.hashed(listed).without(purged)
    base = _base(recipe, listed)
    found = place.find(STAGE, base)
    if found is not None and is_without(purged, found):
        return listed, found
    others = []
    for folder in sealed_in(place.path / STAGE) if not retry else ():
        with suppress(ArtifactCorruptError):  # another store's damage is none of ours
            manifest = read_manifest(folder)
            if manifest.get("base") == base:
                others.append((manifest["unlucky"], folder.name))
    lucky = (place.find(STAGE, key) for _, key in sorted(others))
    return listed, next((one for one in lucky if one and is_without(purged, one)), None)


def is_without(purged: Suppressed, store: Artifact) -> bool:
    """Not so of the old one of a purge that was killed."""
    return not purged or not purged.holds(load_faces(store).samples).any()


def _base(recipe: FacesRecipe, listed: Listed) -> str:
    """Content key of a store in which nothing failed by bad luck, and of which nobody is purged."""
    listed = listed.whole or listed
    names = ("seed", "label", "positive", "attributes", "image_size")
    settings = {name: getattr(recipe, name) for name in names} | {
        "selection": dump(recipe.selection),
        "ingest": recipe.ingest.lasting(),
        "annotation": [recipe.data.annotation, recipe.data.source],
        "decoded_by": decoded_by(),
    }
    return content_key(STAGE, settings, {"content": listed.content, "left_out": listed.left_out})


def _store_of(
    recipe: FacesRecipe, listed: Listed, decoded: Decoded
) -> tuple[str, dict[str, object]]:
    """Key and manifest; a key of its own after bad luck and where somebody is held back.

    Of both a later store may hold more.
    """
    base, unlucky = _base(recipe, listed), decoding.unlucky(decoded)
    without = {"unlucky": " ".join(unlucky)} if unlucky else {}
    if listed.held_back:
        without["held_back"] = listed.content
    key = content_key(STAGE, {"base": base}, without) if without else base
    now = datetime.now(UTC).isoformat(timespec="seconds")
    made = {"base": base, "unlucky": len(unlucky), "created": now, "decoded_by": decoded_by()}
    return key, made | ({"purged": listed.held_back} if listed.held_back else {})


def _fill(
    folder: Path, recipe: FacesRecipe, listed: Listed, rejected: list[Rejected], chosen: Chosen
) -> None:
    """Write the tables of a store."""
    about = {
        "classes": chosen.classes,
        "attributes": recipe.attributes,
        "label": recipe.label or "none",
        "data": recipe.data.name,
        "annotation": recipe.data.annotation,
        "source": recipe.data.source,
        "framing": dump(recipe.ingest.framing),
        "near_duplicates": recipe.ingest.near_duplicates,
    }
    save_faces(folder, chosen.samples, about)
    records = write_quarantine(folder / QUARANTINE, rejected, listed.table, recipe.attributes)
    chosen.pairs.to_parquet(folder / PAIRS, index=False)
    summary = summarise(rejected, listed.table, recipe.attributes, recipe.ingest.told)
    counted = account(recipe, listed, chosen.samples, chosen.pairs, records, summary)
    write_json(folder / ACCOUNT, counted)

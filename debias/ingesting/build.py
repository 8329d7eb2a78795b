"""Stage 1: from a data set to a store of decoded faces, with an account of what is not in it."""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from debias import ingesting as ingest
from debias.decoding.rules import decoded_by
from debias.errors import (
    ArtifactCorruptError,
    DataError,
)
from debias.ingesting import decoded as decoding
from debias.ingesting.account import Ingested, account
from debias.ingesting.choosing import Chosen, choose, labelled
from debias.ingesting.rules import FacesRecipe
from debias.plugins import dump
from debias.storage.artifacts import Artifact, RunFolder, content_key, save_faces
from debias.storage.locks import locked
from debias.storage.sealed import read_manifest, sealed_in, write_json
from debias.tracking.progress import Progress, Silence
from debias.types import Rejected

STAGE = "faces"
QUARANTINE, ACCOUNT, PAIRS = "quarantine.jsonl", "account.json", "duplicates.parquet"


def ingest_faces(
    recipe: FacesRecipe,
    place: RunFolder,
    progress: Progress | None = None,
    *,
    about: Mapping[str, Any] | None = None,
    retry: bool = False,
) -> Artifact:
    """Make the store of a recipe below ``place``, or find it.

    Stopped at any time, it goes on where it was. What was decoded before, for this store or for an
    earlier one in the same place, is not decoded again.

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
    labelled(listed.samples, recipe)  # a wrong column should not cost hours of decoding
    stage = place.path / STAGE
    listed, found = _look(recipe, listed, place, retry=retry)
    if found is not None and not decoding.has_parts(listed, place, STAGE):
        progress.reused("Faces")
        return found  # reading needs no lock, and no right to write
    with locked(stage, waiting=lambda owner: _tell(progress, owner)):
        listed, found = _look(recipe, listed, place, retry=retry)  # whoever held the lock built it
        if found is not None:
            progress.reused("Faces")
            decoding.forget_parts(listed, place, STAGE)  # of a builder killed at the very end
            return found
        decoded = decoding.decode(listed, place, STAGE, progress, retry=retry)
        listed = decoding.content_of(listed, decoded)
        rejected = listed.rejected + decoded.rejected
        judge(rejected, listed.table, recipe.attributes, recipe.ingest, stage)
        chosen = choose(listed, decoded, recipe, progress)
        ingested = Ingested(
            recipe=recipe, listed=listed, chosen=chosen, rejected=[*rejected, *chosen.rejected]
        )
        written = _write(place, ingested, decoded, dict(about or {}), start)
        decoding.forget_parts(listed, place, STAGE)
    return written


def judge(
    rejected: Sequence[Rejected],
    table: pd.DataFrame,
    attributes: Sequence[str],
    rules: ingest.IngestRules,
    stage: Path,
) -> None:
    """Stop where too much was set aside, or one group too often; the list of it stays.

    Raises:
        QuarantineLimitExceededError: With numbers, limit and where the list is.
        EmptyDatasetError: Nothing could be read.
    """
    where = stage / QUARANTINE
    where.unlink(missing_ok=True)
    summary = ingest.summarise(rejected, table, attributes, rules)
    try:
        ingest.require_within(summary, rules, where)
    except DataError:
        ingest.write_quarantine(where, rejected, table, attributes)
        raise


def _tell(progress: Progress, owner: str) -> None:
    progress.start(f"Waiting for process {owner}, which builds here", 1)


def _base(recipe: FacesRecipe, listed: decoding.Listed) -> str:
    """Content key of a store in which nothing failed by bad luck."""
    settings = {
        "selection": dump(recipe.selection),
        "seed": recipe.seed,
        "label": recipe.label,
        "positive": recipe.positive,
        "attributes": recipe.attributes,
        "image_size": recipe.image_size,
        "ingest": recipe.ingest.lasting(),
        "annotation": [recipe.data.annotation, recipe.data.source],
        "decoded_by": decoded_by(),
    }
    inputs = {"content": listed.content, "left_out": listed.left_out}
    return content_key(STAGE, settings, inputs)


def _look(
    recipe: FacesRecipe, listed: decoding.Listed, place: RunFolder, *, retry: bool
) -> tuple[decoding.Listed, Artifact | None]:
    """The listing, hashed if that can tell anything, and the finished store of its content."""
    if not decoding.is_begun(place.path / STAGE):
        return listed, None
    listed = decoding.hashed(listed)
    return listed, _find(place, _base(recipe, listed), retry=retry)


def _find(place: RunFolder, base: str, *, retry: bool) -> Artifact | None:
    """The finished store of this content; after bad luck, the one that lost least."""
    found = place.find(STAGE, base)
    if found is not None or retry:
        return found
    others = []
    for folder in sealed_in(place.path / STAGE):
        with suppress(ArtifactCorruptError):  # another store's damage is none of ours
            manifest = read_manifest(folder)
            if manifest.get("base") == base:
                others.append((manifest["unlucky"], folder.name))
    return place.find(STAGE, min(others)[1]) if others else None


def _write(
    place: RunFolder,
    ingested: Ingested,
    decoded: ingest.Decoded,
    about: dict[str, Any],
    start: float,
) -> Artifact:
    """Seal the store; after bad luck under a key of its own, so that a later one may be better."""
    recipe, listed, rejected = ingested.recipe, ingested.listed, ingested.rejected
    base, unlucky = _base(recipe, listed), decoding.unlucky(decoded)
    key = content_key(STAGE, {"base": base}, {"unlucky": " ".join(unlucky)}) if unlucky else base
    now = datetime.now(UTC).isoformat(timespec="seconds")
    about |= {"base": base, "unlucky": len(unlucky), "created": now, "decoded_by": decoded_by()}
    with place.create(STAGE, key, about) as folder:
        about["files"] = ingest.write_shards(folder, decoded, ingested.chosen.rows)
        save_faces(folder, ingested.chosen.samples, _described(recipe, ingested.chosen))
        ingest.write_quarantine(folder / QUARANTINE, rejected, listed.table, recipe.attributes)
        ingested.chosen.pairs.to_parquet(folder / PAIRS, index=False)
        write_json(folder / ACCOUNT, account(ingested))
        about["seconds"] = round(time.monotonic() - start, 3)
    artifact = place.find(STAGE, key)
    assert artifact is not None  # sealed just now
    return artifact


def _described(recipe: FacesRecipe, chosen: Chosen) -> dict[str, Any]:
    return {
        "classes": chosen.classes,
        "attributes": recipe.attributes,
        "label": recipe.label or "none",
        "data": recipe.data.name,
        "annotation": recipe.data.annotation,
        "source": recipe.data.source,
        "framing": dump(recipe.ingest.framing),
        "near_duplicates": recipe.ingest.near_duplicates,
    }

"""From a listed data set to decoded images: what was decoded before is not decoded again."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import numpy as np
import pandas as pd

from debias.datasets import Dataset
from debias.decoding.pool import hash_files, read_drawn, read_files
from debias.decoding.rules import Limits, decoded_by
from debias.decoding.spooling import hash_fetched, read_fetched
from debias.errors import ArtifactCorruptError, DataError, EmptyDatasetError
from debias.ingesting.labels import in_ranges, without_words
from debias.ingesting.parts import (
    BAD_LUCK,
    FOUND,
    IMAGES,
    NOTES,
    PERCEPTUAL,
    Decoded,
    Known,
    Listing,
    Source,
    decode_parts,
    known,
)
from debias.ingesting.planting import Planting
from debias.ingesting.rules import FacesRecipe, IngestRules, framed
from debias.ingesting.selection import Filters, keep
from debias.storage.artifacts import RunFolder
from debias.storage.files import amount
from debias.storage.sealed import read_manifest, sealed_in, verify
from debias.storage.suppressed import Suppressed
from debias.tracking.tracker import Progress
from debias.types import Collection, ReadImages, Rejected

PARTS = ".parts"


@dataclass(frozen=True, kw_only=True, eq=False)
class Listed:
    """What is to be decoded, before and after its files were hashed."""

    collection: Collection  # what the data set offers
    table: pd.DataFrame  # rows that pass the filters, those among them that the listing lost
    samples: pd.DataFrame  # those with a file and a place of the face: to be decoded
    rejected: list[Rejected]  # what the listing and the framing had to set aside
    size: int  # side of the images, pixels
    rules: IngestRules  # framing and limits
    held_back: int = 0  # images that are in none of these, because they were purged
    whole: "Listed | None" = None  # with them: who was purged changes no key

    @cached_property
    def name(self) -> str:
        """Of the parts' folder: the same for the same samples, whatever their content is."""
        head = [str(self.size), str(self.rules.framing), self.fingerprint]
        return _digest(head, self.samples[["sample_id"]])[:12]

    @property
    def left_out(self) -> str:
        """Stands for what was set aside before anything was decoded."""
        found: list[object] = [*sorted((item.sample_id, item.reason) for item in self.rejected)]
        if told := (*sorted(self.collection.ignored.items()), *self.collection.remarks):
            found.append(told)
        return hashlib.sha256(json.dumps(found).encode()).hexdigest()

    @property
    def limits(self) -> Limits:
        """What one file may cost."""
        return Limits(
            most_bytes=int(self.rules.most_megabytes * 2**20),
            most_pixels=int(self.rules.most_megapixels * 1e6),
            seconds=self.rules.seconds,
        )

    @cached_property
    def fingerprint(self) -> str:
        """Stands for the content of a data set without files; empty where files are hashed."""
        return "" if self.collection.draw is None else self._digest_without("path")

    @cached_property
    def content(self) -> str:
        """Names of the columns and every row in order, file contents by hash; no paths."""
        return self._digest_without("path", "offset", "length")

    def _digest_without(self, *columns: str) -> str:
        table = self.samples.drop(columns=[*columns], errors="ignore").astype(str)
        return _digest([self.collection.fingerprint, *table.columns], table)

    def with_digests(self, digests: Mapping[str, str]) -> "Listed":
        """With ``sha256`` by sample id, as before or empty where none is given."""
        before = self.samples.get("sha256", "")
        sha256 = self.samples["sample_id"].map(digests).fillna(before).astype(str)
        whole = self.whole and self.whole.with_digests(digests)
        return replace(self, samples=self.samples.assign(sha256=sha256), whole=whole)

    def without(self, suppressed: Suppressed) -> "Listed":
        """Without whoever was purged from this folder, wherever the listing names them.

        Raises:
            EmptyDatasetError: Nobody is left.
        """
        ids_of = [one.sample_id for one in self.rejected]
        set_aside = pd.DataFrame({"sample_id": ids_of, "sha256": [x.sha256 for x in self.rejected]})
        named = (self.table, self.samples, set_aside)
        ids = set[str]().union(*(frame["sample_id"][suppressed.holds(frame)] for frame in named))
        if not ids:
            return self

        def left(frame: pd.DataFrame) -> pd.DataFrame:
            return frame[~frame["sample_id"].isin(ids)].reset_index(drop=True)

        samples = left(self.samples)
        if samples.empty:
            raise EmptyDatasetError(f"no sample is left: {held_back(len(ids))}")
        offered = replace(
            self.collection,
            samples=left(self.collection.samples),
            rejected=tuple(one for one in self.collection.rejected if one.sample_id not in ids),
        )
        return replace(
            self, collection=offered, table=left(self.table), samples=samples,
            rejected=[one for one in self.rejected if one.sample_id not in ids],
            held_back=self.held_back + len(ids), whole=self.whole or self,
        )  # fmt: skip

    def without_unplaced(self, unplaced: list[Rejected]) -> "Listed":
        """With these set aside as well; EmptyDatasetError if nobody is left."""
        if not unplaced:
            return self
        lost = self.samples["sample_id"].isin([one.sample_id for one in unplaced])
        if lost.all():
            raise EmptyDatasetError(f"no sample is left; first: {unplaced[0].detail}")
        samples = self.samples[~lost].reset_index(drop=True)
        told = f"{len(unplaced):,} of {len(lost):,} images are left out: {unplaced[0].reason}."
        offered = replace(self.collection, remarks=(*self.collection.remarks, told))
        rejected = [*self.rejected, *unplaced]
        return replace(self, collection=offered, samples=samples, rejected=rejected)

    def tell_held_back(self, progress: Progress) -> None:
        if self.held_back:
            progress.note(held_back(self.held_back))


def held_back(count: int) -> str:
    """What is said of so many images that were purged."""
    they = "it was" if count == 1 else "they were"
    held = amount(count, "image is", "images are")
    return f"{held} held back because {they} purged from this folder."


def list_recipe(recipe: FacesRecipe) -> Listed:
    """List the data set of a recipe, filtered and framed as it says; errors as below."""
    filters = recipe.selection.filters
    listed = list_samples(
        recipe.data, recipe.seed, filters, recipe.image_size, recipe.ingest, recipe.ranges,
        recipe.planting,
    )  # fmt: skip
    return listed.without_unplaced(recipe.unplaced(listed.samples))


def list_samples(  # noqa: PLR0913 (what is listed, and what becomes of its columns)
    data: Dataset,
    seed: int,
    filters: Filters,
    size: int,
    rules: IngestRules,
    ranges: Mapping[str, Sequence[str]] | None = None,
    planting: Planting | None = None,
) -> Listed:
    """List a data set; columns of numbers that have ``ranges`` hold these after the filters.

    With ``planting``, only what is on a side of it.

    Raises:
        DataError: Its files are not there or cannot be read, or nothing can be planted in them.
        EmptyDatasetError: No sample passes the filters.
    """
    try:
        collection = data.collect(seed)
    except (FileNotFoundError, PermissionError) as error:
        raise DataError(str(error)) from error
    samples = keep(collection.samples, filters).sort_values("sample_id", ignore_index=True)
    table = samples
    if collection.lost is not None:  # as far as the filters would have kept them
        with suppress(EmptyDatasetError):
            table = pd.concat([samples, keep(collection.lost, filters)], ignore_index=True)
    (samples, _), (table, words) = (without_words(frame) for frame in (samples, table))
    if words:
        told = f"{words}: text such as NA, None or nan counts as missing; write a group otherwise."
        collection = replace(collection, remarks=(*collection.remarks, told))
    if planting is not None:
        planting.require(samples)
        before = len(samples)
        samples, table = (planting.marked(frame) for frame in (samples, table))
        if left := before - len(samples):
            told = f"{left:,} images are left out: their {planting.tie.column} is on no side of "
            told += "selection.tie."
            collection = replace(collection, remarks=(*collection.remarks, told))
    samples, table = (in_ranges(frame, ranges or {}) for frame in (samples, table))
    if collection.draw is not None and rules.framing.name != "centre":
        raise DataError(
            f"ingest.framing is {rules.framing.name!r}, but data set {data.name!r} hands over "
            "finished squares; leave it out"
        )
    samples, unplaced = framed(samples, rules.framing)
    if samples.empty:
        raise EmptyDatasetError(f"no sample is left; first: {unplaced[0].detail}")
    rejected = [*collection.rejected, *unplaced]
    return Listed(
        collection=collection, table=table, samples=samples, rejected=rejected, size=size,
        rules=rules,
    )  # fmt: skip


def hashed(listed: Listed) -> Listed:
    """With ``sha256`` of every file, empty where it cannot be read; drawn faces as they are."""
    known = "sha256" in listed.samples and "sha256" not in listed.collection.samples
    if listed.collection.draw is not None or known:
        return listed
    if listed.collection.fetch is not None:
        fetch = listed.collection.fetch
        return listed.with_digests(hash_fetched(listed.samples, listed.limits, fetch))
    found, _ = hash_files(listed.samples, listed.limits)
    return listed.with_digests(dict(zip(found["sample_id"], found["sha256"], strict=True)))


def is_begun(stage: Path) -> bool:
    """Whether anything was decoded there before, so that hashing first may save the decoding."""
    return bool(sealed_in(stage)) or any((stage / PARTS).glob("*/part-*"))


def decode(
    listed: Listed, place: RunFolder, stage: str, progress: Progress, *, retry: bool = False
) -> Decoded:
    """Decode what is not there yet into parts below the stage's folder, whose lock is held.

    Raises:
        StorageError: There is no space, or the folder cannot be written.
    """
    listing = Listing(
        samples=listed.samples, size=listed.size, fingerprint=listed.fingerprint,
        known=_known(place.path / stage, listed), retry=retry, decoded_by=decoded_by(),
    )  # fmt: skip
    advance = progress.start(stage.capitalize(), len(listed.samples))
    folder = place.path / stage / PARTS / listed.name
    return decode_parts(folder, listing, _reader(listed), advance)


def _reader(listed: Listed) -> ReadImages:
    """What turns rows of the listing into pixels."""
    draw, fetch = listed.collection.draw, listed.collection.fetch
    limits, workers = listed.limits, listed.rules.workers
    if draw is not None:
        return read_drawn(draw)
    if fetch is not None:
        return partial(read_fetched, limits=limits, workers=workers, fetch=fetch)
    return partial(read_files, limits=limits, workers=workers)


def has_parts(listed: Listed, place: RunFolder, stage: str) -> bool:
    """Whether a builder of this listing left some."""
    return (place.path / stage / PARTS / listed.name).exists()


def forget_parts(listed: Listed, place: RunFolder, stage: str) -> None:
    """Delete the parts of a listing; its finished store has links to what it needs."""
    folder = place.path / stage / PARTS
    shutil.rmtree(folder / listed.name, ignore_errors=True)
    with suppress(OSError):  # parts of another listing, which was refused or stopped
        folder.rmdir()


def content_of(listed: Listed, decoded: Decoded) -> Listed:
    """With the ``sha256`` of what was in fact decoded."""
    if listed.collection.draw is not None:
        return listed
    digests = dict(zip(decoded.samples["sample_id"], decoded.samples["sha256"], strict=True))
    digests |= {item.sample_id: item.sha256 for item in decoded.rejected}
    return listed.with_digests(digests)


def unlucky(decoded: Decoded) -> list[str]:
    """Samples that failed but may be readable another time."""
    return sorted(item.sample_id for item in decoded.rejected if item.reason in BAD_LUCK)


def _known(stage: Path, listed: Listed) -> Known | None:
    """Images of finished stores and of unfinished parts, if they have the right size."""
    if listed.collection.draw is not None or "sha256" not in listed.samples:
        return None
    places = [(folder, "samples.parquet", "images-*.npy") for folder in sealed_in(stage)]
    for build in sorted((stage / PARTS).glob("*")):
        places += [(folder, FOUND, IMAGES) for folder in sealed_in(build)]
    found = [_source(*place) for place in places]
    fit = (one for one in found if one is not None and one.shards)
    return known([one for one in fit if one.shards[0].shape[1] == listed.size])


def _source(folder: Path, table: str, images: str) -> Source | None:
    """A finished store or part, unless it is damaged or was decoded by other rules."""
    try:
        verify(folder)
        if read_manifest(folder).get("decoded_by") != decoded_by():
            return None  # by other rules, or by a version that did not say
    except ArtifactCorruptError:
        return None
    samples = pd.read_parquet(folder / table)
    if NOTES in samples:  # of a store, whose data may have notes of their own
        samples["notes"] = samples[NOTES]
    shards = [np.load(path, mmap_mode="r") for path in sorted(folder.glob(images))]
    return Source(samples, shards, np.load(folder / PERCEPTUAL))


def _digest(head: list[str], table: pd.DataFrame) -> str:
    rows = pd.util.hash_pandas_object(table, index=False).to_numpy()
    return hashlib.sha256(json.dumps(head).encode() + rows.tobytes()).hexdigest()

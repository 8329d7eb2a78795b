"""Stage 1: from a data set to a store of decoded faces."""

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd

from debias import ingest
from debias.artifacts import Artifact, load_faces, save_faces, write_json
from debias.config import RunConfig
from debias.datasets import Dataset
from debias.errors import DataError, DatasetSmallerThanBatchError, SingleClassError
from debias.models.pretrained import Pretrained
from debias.seeding import numpy_generator
from debias.stages.run import Run, dump
from debias.types import SPLITS, Collection, FaceStore, ImageOrRejected, ReadImages, Rejected

STAGE = "faces"


def build_faces(run: Run) -> Artifact:
    """List, filter, split and decode the faces, or find them decoded.

    Raises:
        DataError: The data cannot be used; the message says why.
    """
    config, start = run.config, time.monotonic()
    collection = collect(config.data, config.seed)
    samples, rejected, content = listed(collection, config.selection.filters)
    settings = {
        "selection": dump(config.selection),
        "seed": config.seed,
        "label": config.label,
        "positive": config.positive,
        "attributes": config.attributes,
        "image_size": config.image_size,
    }
    key, found = run.find(STAGE, settings, {"content": content})
    if found is not None:
        run.progress.reused("Faces")
        _check(load_faces(found), config)
        return found
    classes = ingest.classes_of(samples, config.label, config.positive)
    samples = ingest.encoded(samples, config.label, classes, config.attributes)
    generator = numpy_generator(config.seed, "split")
    samples = ingest.split(samples, config.selection, config.attributes, generator)
    about = {"classes": classes, "attributes": config.attributes, "label": config.label}
    with run.create(STAGE, key, start) as folder:
        read = with_progress(run, "Faces", collection, len(samples))
        write_store(folder, samples, read, about, rejected, config.image_size)
    finished = run.finished(STAGE, key)
    _check(load_faces(finished), config)
    return finished


def collect(data: Dataset, seed: int) -> Collection:
    """List a data set.

    Raises:
        DataError: Its files are not there or cannot be read.
    """
    try:
        return data.collect(seed)
    except (FileNotFoundError, PermissionError) as error:
        raise DataError(str(error)) from error


def listed(
    collection: Collection, filters: ingest.Filters
) -> tuple[pd.DataFrame, list[Rejected], str]:
    """Filtered samples, what was set aside so far, and a fingerprint of the content."""
    samples = ingest.keep(collection.samples, filters)
    rejected = list(collection.rejected)
    if collection.draw is None:
        samples, unreadable = ingest.hash_files(samples)
        ingest.check_share(len(samples) + len(unreadable), unreadable)
        samples, repeated = ingest.without_duplicates(samples)
        rejected += unreadable + repeated
    return samples, rejected, fingerprint(samples, collection.fingerprint)


def write_store(
    folder: Path,
    samples: pd.DataFrame,
    read: ReadImages,
    about: Mapping[str, Any],
    rejected: list[Rejected],
    size: int,
) -> None:
    """Decode the samples into shards, with their table and the list of what was set aside."""
    decoded = ingest.write_shards(folder, samples, read, size)
    save_faces(folder, decoded.samples, about)
    write_json(folder / "set_aside.json", _set_aside(rejected + decoded.rejected))


def fingerprint(samples: pd.DataFrame, drawn: str) -> str:
    """Names of the columns and every row in order, file contents by hash; paths do not count."""
    table = samples.drop(columns="path", errors="ignore").astype(str)
    rows = pd.util.hash_pandas_object(table, index=False).to_numpy()
    names = json.dumps([drawn, *table.columns])
    return hashlib.sha256(names.encode() + rows.tobytes()).hexdigest()


def _reader(collection: Collection) -> ReadImages:
    draw = collection.draw
    if draw is None:
        return ingest.read_files

    def read(samples: pd.DataFrame, size: int) -> Iterator[ImageOrRejected]:
        for start in range(0, len(samples), 1024):
            yield from draw(samples.iloc[start : start + 1024], size)

    return read


def with_progress(run: Run, title: str, collection: Collection, total: int) -> ReadImages:
    """A reader of the collection's images that moves a progress bar."""
    read = _reader(collection)

    def watched(samples: pd.DataFrame, size: int) -> Iterator[ImageOrRejected]:
        advance = run.progress.start(title, total)
        for image in read(samples, size):
            yield image
            advance("")

    return watched


def _set_aside(rejected: list[Rejected]) -> dict[str, object]:
    return {"count": len(rejected), "items": [asdict(item) for item in rejected]}


def _check(faces: FaceStore, config: RunConfig) -> None:
    """Refuse a store that cannot be trained or tested on."""
    for split in SPLITS:
        labels = faces.labels(faces.rows(split))
        if not len(labels):
            raise DataError(f"no image is left for {split}; see selection in the config")
        if split != "validation" and len(set(labels.tolist())) < 2:
            only = faces.classes[labels[0]]
            raise SingleClassError(f"every {split} image has {faces.label} = {only!r}")
    size = len(faces.rows("train"))
    trained = [("classifier", config.classifier.training)]
    if not isinstance(config.representation.model, Pretrained):
        trained.append(("representation", config.representation.training))
    for part, training in trained:
        if size < training.batch_size:
            raise DatasetSmallerThanBatchError(
                f"there are {size} training images, fewer than one batch of "
                f"{training.batch_size}; set {part}.training.batch_size to "
                f"{max(2, size // 4)} or less, or use more images"
            )

"""The unlabelled reference set: faces that say what the training set should look like."""

import time
from dataclasses import replace

import numpy as np
import pandas as pd

from debias.decoding.rules import decoded_by
from debias.errors import (
    DataError,
    DatasetSmallerThanBatchError,
    EmptyDatasetError,
    SingleClassError,
)
from debias.ingesting import decoded as decoding
from debias.ingesting.build import QUARANTINE, ingest_faces, judge
from debias.ingesting.parts import write_shards
from debias.ingesting.quarantine import write_quarantine
from debias.ingesting.selection import drawn_evenly
from debias.pipeline.foreseen import foreseen
from debias.pipeline.recipe import ReferenceRecipe, RunConfig
from debias.pipeline.step import Job, Run
from debias.plugins import dump
from debias.seeding import numpy_generator, stream_seed
from debias.storage.artifacts import Artifact, content_key, load_faces, save_faces
from debias.storage.locks import locked
from debias.types import SPLITS, FaceStore

STAGE = "reference"
SPLIT = "reference"
ABOUT = {"classes": ("unlabelled",), "attributes": (), "label": "none"}


def build_reference(run: Job, faces: Artifact) -> Artifact | None:
    """List, filter, draw and decode the reference faces, or find them decoded.

    Returns:
        A store whose faces all stand in the split ``reference``; None without a reference.

    Raises:
        DataError: The reference cannot be used; the message says why.
    """
    recipe, start = run.config.reference, time.monotonic()
    if recipe is None:
        return None
    # Another seed: drawn faces must not be those of the main set once more.
    seed = stream_seed(run.config.seed, "reference")
    size, rules = run.config.image_size, run.config.ingest
    listed = decoding.hashed(decoding.list_samples(recipe.data, seed, recipe.filters, size, rules))
    stage = run.folder.path / STAGE
    with locked(stage):
        found = run.folder.find(STAGE, _key(run, listed, faces, []))
        if found is not None:
            run.progress.reused("Reference")
            return found
        judge(listed.rejected, listed.table, (), rules, stage)
        chosen = _chosen(run, recipe, _new(listed.samples, faces))
        drawn = replace(listed, samples=chosen.sort_values("sample_id", ignore_index=True))
        decoded = decoding.decode(drawn, run.folder, STAGE, run.progress)
        judge(decoded.rejected, drawn.samples, (), rules, stage)
        # What failed by bad luck is in the key: another time it may be there.
        key = _key(run, listed, faces, decoding.unlucky(decoded))
        with run.create(STAGE, key, start) as folder:
            write_shards(folder, decoded, np.arange(len(decoded.samples)))
            save_faces(folder, decoded.samples, ABOUT)
            rejected = listed.rejected + decoded.rejected
            write_quarantine(folder / QUARANTINE, rejected, listed.table, ())
        decoding.forget_parts(drawn, run.folder, STAGE)
    return run.finished(STAGE, key)


def _key(run: Job, listed: decoding.Listed, faces: Artifact, unlucky: list[str]) -> str:
    recipe = run.config.reference
    assert recipe is not None  # asked before
    settings = {
        "even_over": recipe.even_over,
        "most": recipe.most,
        "image_size": listed.size,
        "ingest": listed.rules.lasting(),
        "decoded_by": decoded_by(),
        "seed": run.config.seed,
        "data": dump(recipe.data)["name"],
        "unlucky": unlucky,
    }
    return content_key(STAGE, settings, {"content": listed.content, "faces": faces.key})


def _new(samples: pd.DataFrame, faces: Artifact) -> pd.DataFrame:
    """Samples that are not in the main data set, and not meant for a test of their own."""
    if "split" in samples:
        samples = samples[samples["split"] == "train"]
    if "sha256" in samples:
        known = load_faces(faces).samples["sha256"]
        repeated = samples["sha256"].duplicated() & (samples["sha256"] != "")
        samples = samples[~samples["sha256"].isin(known) & ~repeated]
    if samples.empty:
        raise EmptyDatasetError(
            "no reference face is left: every one of them is also in the main data set (or none "
            "is a training face of its own set); choose another reference"
        )
    return samples


def _chosen(run: Job, recipe: ReferenceRecipe, samples: pd.DataFrame) -> pd.DataFrame:
    generator = numpy_generator(run.config.seed, "reference/draw")
    chosen = drawn_evenly(samples, recipe.even_over, recipe.most, generator)
    return chosen.assign(split=SPLIT, label=0)


def build_faces(run: Run) -> Artifact:
    """List, filter, decode and split the faces, or find them decoded.

    Raises:
        DataError: The data cannot be used; the message says why.
    """
    artifact = ingest_faces(run.config, run.folder, run.progress, about=run.compute.describe())
    faces = load_faces(artifact)
    _check(faces, run.config)
    for sentence in foreseen(run.config, faces):
        run.progress.note(sentence)
    return artifact


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
    if config.representation.model.trained:
        trained.append(("representation", config.representation.training))
    for part, training in trained:
        if size < training.batch_size:
            raise DatasetSmallerThanBatchError(
                f"there are {size} training images, fewer than one batch of "
                f"{training.batch_size}; set {part}.training.batch_size to "
                f"{max(2, size // 4)} or less, or use more images"
            )

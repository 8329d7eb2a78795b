"""The stores of a run: its faces, other sets that it looks at, the earlier version of the data."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Int64

from debias.auditing.audit import declared_shares, require_declarable, require_enough
from debias.decoding.rules import decoded_by
from debias.errors import (
    ConfigError,
    DataError,
    DatasetSmallerThanBatchError,
    EmptyDatasetError,
    SingleClassError,
)
from debias.ingesting import decoded as decoding
from debias.ingesting.build import (
    ACCOUNT,
    QUARANTINE,
    ingest_faces,
    is_without,
    judge,
    seal_store,
)
from debias.ingesting.labels import require_column
from debias.ingesting.quarantine import write_quarantine
from debias.ingesting.rules import FacesRecipe
from debias.ingesting.selection import Selection, drawn_evenly
from debias.pipeline.job import Job, Run
from debias.pipeline.recipe import ElsewhereRecipe, OtherFaces, RunConfig, SpaceRecipe
from debias.plugins import dump
from debias.seeding import numpy_generator, stream_seed
from debias.statistics.groupings import UNKNOWN, group_names
from debias.storage.artifacts import Artifact, content_key, load_faces, save_faces
from debias.storage.files import locked
from debias.storage.sealed import read_manifest
from debias.storage.suppressed import suppressed_in
from debias.training.loop import Training
from debias.types import BASELINE, SPLITS, FaceStore

SPLIT = "reference"  # of every face of another set
ABOUT = {"classes": ("unlabelled",), "label": "none"}
FEW = 2000  # training images
NAMED = 6  # groups
LEARNABLE = 30  # faces of a group


def make_faces(run: Run) -> Artifact:
    """List, filter, decode and split the faces, or find them decoded; DataError says why not."""
    artifact = ingest_faces(run.config, run.folder, run.progress, about=run.compute.describe())
    faces = load_faces(artifact)
    _require_trainable(faces, SPLITS, _trained(run.config))
    for split in ("train", "test"):
        _require_classes(faces, split)
    for sentence in (*remarks(artifact), *foreseen(run.config, faces)):
        run.progress.note(sentence)
    return artifact


def remarks(faces: Artifact) -> list[str]:
    """What the data set had to say of how it was read."""
    return [str(one) for one in faces.read_json(ACCOUNT).get("remarks", [])]


def make_audited_faces(job: Job) -> Artifact:
    """The store of the data set, in which no label is needed.

    Raises:
        DataError: The data cannot be used, are too few to audit or to train an autoencoder, or do
            not fit the declared shares.
    """
    declared = declared_shares(job.config.audit)  # a wrong file should not cost hours of decoding
    faces = ingest_faces(job.config, job.folder, job.progress, about=job.compute.describe())
    store = load_faces(faces)
    rows = audited_rows(job, store)
    require_enough(len(rows))
    require_declarable(store.groups(rows), declared)
    require_trainable(job, store)
    for sentence in remarks(faces):
        job.progress.note(sentence)
    return faces


def audited_rows(job: Job, store: FaceStore) -> Int64[np.ndarray, " n"]:
    splits = job.config.audit.splits
    rows = np.sort(np.concatenate([store.rows(split) for split in splits]))
    if not len(rows):
        raise EmptyDatasetError(f"no image is in the splits {', '.join(splits)}; see audit.splits")
    return rows


def require_trainable(job: Job, store: FaceStore) -> None:
    """Raise DataError at an empty split, or fewer training images than one batch."""
    _require_trainable(store, ("train", "validation"), _trained(job.config))


def _trained(config: SpaceRecipe) -> dict[str, Training]:
    """What is trained here, by its place in the recipe."""
    parts: dict[str, Training] = {}
    if isinstance(config, RunConfig):
        parts["classifier"] = config.classifier.training
    if config.representation.model.trained:
        parts["representation"] = config.representation.training
    return parts


def _require_trainable(
    store: FaceStore, splits: Sequence[str], trained: Mapping[str, Training]
) -> None:
    for split in splits:
        if not len(store.rows(split)):
            raise DataError(f"no image is left for {split}; see selection in the config")
    size = len(store.rows("train"))
    for part, training in trained.items():
        if size < training.batch_size:
            raise DatasetSmallerThanBatchError(
                f"there are {size} training images, fewer than one batch of "
                f"{training.batch_size}; set {part}.training.batch_size to "
                f"{max(2, size // 4)} or less, or use more images"
            )


def _require_classes(faces: FaceStore, split: str) -> None:
    labels = set(faces.labels(faces.rows(split)).tolist())
    if len(labels) < 2:
        only = faces.classes[labels.pop()]
        raise SingleClassError(f"every {split} image has {faces.label} = {only!r}")


def make_reference(run: Job, faces: Artifact) -> Artifact:
    """The reference faces, see :func:`_make_other`."""
    assert run.config.reference is not None  # the plan has asked
    return _make_other(run, _Other("reference", run.config.reference), faces)


def make_elsewhere(run: Run, faces: Artifact) -> Artifact:
    """The faces that are annotated elsewhere, see :func:`_make_other`."""
    assert run.config.elsewhere is not None  # the plan has asked
    return _make_other(run, _Other("elsewhere", run.config.elsewhere), faces)


@dataclass(frozen=True)
class _Other:
    """Another set of faces: where it stands in a recipe and in a folder, and what it is."""

    stage: str
    recipe: OtherFaces

    @property
    def attributes(self) -> tuple[str, ...]:
        """Columns that are read."""
        return (self.recipe.groups,) if isinstance(self.recipe, ElsewhereRecipe) else ()


def _make_other(run: Job, other: _Other, faces: Artifact) -> Artifact:
    """List, filter, draw and decode the faces of another set, or find them decoded.

    All of them stand in the split ``reference``. DataError says why they cannot be used.
    """
    start, stage, recipe = time.monotonic(), other.stage, other.recipe
    # Another seed: drawn faces must not be those of the main set once more.
    seed = stream_seed(run.config.seed, stage)
    size, rules = run.config.image_size, run.config.ingest
    ranges = _ranges(run, other)
    listed = decoding.hashed(
        decoding.list_samples(recipe.data, seed, recipe.filters, size, rules, ranges)
    )
    purged, folder = suppressed_in(run.folder.path), run.folder.path / stage
    listed = listed.without(purged)
    listed.tell_held_back(run.progress)
    key = partial(_key, run, other, listed, faces)
    with locked(folder):
        for held_back in (False, True):
            found = run.folder.find(stage, key([], held_back=held_back))
            if found is not None and is_without(purged, found):
                run.progress.reused(stage.capitalize())
                return found
        judge(listed.rejected, listed.table, (), rules, folder)
        chosen = _chosen(run, other, _new(listed.samples, faces, stage))
        drawn = replace(listed, samples=chosen.sort_values("sample_id", ignore_index=True))
        decoded = decoding.decode(drawn, run.folder, stage, run.progress)
        judge(decoded.rejected, drawn.samples, (), rules, folder)

        def fill(folder: Path) -> None:
            save_faces(folder, decoded.samples, {**ABOUT, "attributes": other.attributes})
            rejected = listed.rejected + decoded.rejected
            write_quarantine(folder / QUARANTINE, rejected, listed.table, ())

        # What failed by bad luck is in the key: another time it may be there.
        about: dict[str, object] = {**run.compute.describe(), "inputs": {"faces": faces.key}}
        rows, unlucky = np.arange(len(decoded.samples)), decoding.unlucky(decoded)
        made = seal_store(run.folder, stage, key(unlucky), about, decoded, rows, fill, start)
        decoding.forget_parts(drawn, run.folder, stage)
    return made


def _ranges(run: Job, other: _Other) -> dict[str, tuple[str, ...]]:
    """Of the numbers among what is read there: the same groups as the data have."""
    read = dict.fromkeys((*other.recipe.even_over, *other.attributes))
    return {name: run.config.ranges[name] for name in read if name in run.config.ranges}


def _key(
    run: Job,
    other: _Other,
    listed: decoding.Listed,
    faces: Artifact,
    unlucky: list[str],
    *,
    held_back: bool = True,
) -> str:
    settings = {
        "even_over": other.recipe.even_over,
        "most": other.recipe.most,
        "image_size": listed.size,
        "ingest": listed.rules.lasting(),
        "decoded_by": decoded_by(),
        "seed": run.config.seed,
        "data": dump(other.recipe.data)["name"],
        "unlucky": unlucky,
    }
    if other.attributes:
        settings["attributes"] = other.attributes
    if ranges := _ranges(run, other):
        settings["ranges"] = ranges
    # A purge gives a store another key, and must not lead to its reference being read again.
    known = read_manifest(faces.path).get("instead_of", faces.key)
    inputs = {"content": (listed.whole or listed).content, "faces": known}
    if held_back and listed.held_back:
        inputs["held_back"] = listed.content
    return content_key(other.stage, settings, inputs)


def _new(samples: pd.DataFrame, faces: Artifact, stage: str) -> pd.DataFrame:
    """Samples that are not in the main data set, and not meant for a test of their own."""
    if "split" in samples:
        samples = samples[samples["split"] == "train"]
    if "sha256" in samples:
        known = load_faces(faces).samples["sha256"]
        repeated = samples["sha256"].duplicated() & (samples["sha256"] != "")
        samples = samples[~samples["sha256"].isin(known) & ~repeated]
    if samples.empty:
        raise EmptyDatasetError(
            f"no {stage} face is left: every one of them is also in the main data set (or none "
            f"is a training face of its own set); choose another data set for {stage!r}"
        )
    return samples


def _chosen(run: Job, other: _Other, samples: pd.DataFrame) -> pd.DataFrame:
    for column in other.attributes:
        require_column(samples, column, f"{other.stage}.groups")
        samples = samples[group_names(samples[column]) != UNKNOWN]
        _require_groups(samples[column], other.stage)
    generator = numpy_generator(run.config.seed, f"{other.stage}/draw")
    recipe = other.recipe
    chosen = drawn_evenly(samples, recipe.even_over, recipe.most, generator, other.stage)
    return chosen.assign(split=SPLIT, label=0)


def _require_groups(column: "pd.Series[Any]", stage: str) -> None:
    """Raise DataError unless there are two groups, each large enough to learn it."""
    counts = pd.Series(group_names(column)).value_counts()
    if len(counts) < 2:
        raise DataError(
            f"{stage}.groups: every annotated face has {column.name} = "
            f"{', '.join(map(repr, counts.index)) or 'nothing'}; at least 2 groups are needed to "
            "tell them apart: name another column, or widen the filters"
        )
    if counts.min() < LEARNABLE:
        raise DataError(
            f"{stage}.groups: {column.name} = {counts.idxmin()!r} has {counts.min()} faces, fewer "
            f"than the {LEARNABLE} that are needed to learn it; filter it out, or take a larger "
            "collection"
        )


def make_earlier(job: Job) -> Artifact:
    """Decode the earlier version into a store of the same folder, or find it decoded.

    Raises:
        ConfigError: The data are capped, or a tie is planted in them.
        DataError: It cannot be used; the message says why.
    """
    earlier, config = job.config.earlier, job.config
    assert earlier is not None  # the plan has asked
    random = [name for name in ("caps", "tie") if getattr(config.selection, name) is not None]
    if random:
        raise ConfigError(
            f"selection.{random[0]} leaves images out at random, so nobody could tell which images "
            f"were removed since the earlier version; leave out one of {random[0]!r} and 'earlier'"
        )
    filters = config.selection.filters if earlier.filters is None else earlier.filters
    recipe = FacesRecipe(
        name=config.name,
        seed=config.seed,
        data=earlier.data,
        image_size=config.image_size,
        selection=Selection(filters=filters, leaks="drop"),
        ingest=config.ingest,
    )
    return ingest_faces(recipe, job.folder, job.progress, about=job.compute.describe())


def few_images(faces: FaceStore) -> list[str]:
    """What a small training set means for everything that follows."""
    count = len(faces.rows("train"))
    if count >= FEW:
        return []
    return [
        f"{count:,} training images are few (below {FEW:,}): the latent space is coarse, weights "
        "show the same images again and again, and results vary from training to training. "
        "Expect wide intervals; many questions will end in 'cannot tell'."
    ]


def foreseen(config: RunConfig, faces: FaceStore) -> list[str]:
    found = [*_without_baseline(config), *few_images(faces), *_groups(config, faces)]
    return [*found, *_untested(config, faces)]


def _without_baseline(config: RunConfig) -> Iterator[str]:
    if BASELINE not in config.arms:
        yield (
            f"No arm is called {BASELINE!r}, so there is no plain training to compare with: the "
            "report will describe the arms and judge no change. Add "
            f"--set arms.{BASELINE}={BASELINE}."
        )


def _untested(config: RunConfig, faces: FaceStore) -> Iterator[str]:
    """Groups of which the test set holds too few for a verdict."""
    least, tested = config.evaluation.minimum, faces.groups(faces.rows("test"))
    for attribute in faces.attributes:
        counts = tested[attribute].value_counts()
        small = sorted(str(name) for name in counts.index[counts < least])
        if small:
            more = f" and {len(small) - NAMED} more" if len(small) > NAMED else ""
            yield (
                f"No verdict can be reached on {attribute} {', '.join(small[:NAMED])}{more}: fewer "
                f"than {least} test images each. More images of them help, or a larger "
                "selection.test_fraction."
            )


def _groups(config: RunConfig, faces: FaceStore) -> Iterator[str]:
    groups = faces.groups(faces.rows("train"))
    for arm, rule in config.arms.items():
        if "groups" in rule.needs and not faces.attributes:
            yield (
                f"Arm {arm!r} balances annotated groups and none are named, so it will be left "
                "out: name columns with --attributes, or drop the arm."
            )
        elif "groups" in rule.needs:
            chosen = list(getattr(rule, "by", ()) or faces.attributes)
            if (groups[chosen].nunique() < 2).all():
                yield (
                    f"Arm {arm!r} balances {', '.join(map(str, chosen))}, but all training images "
                    "are of one group: it will be plain training."
                )

"""Images generated for an arm: what they are made of, and the training set that they join.

They exist here and in the training of their arm alone, in a split of their own; no evaluation, no
export and no other arm sees one.
"""

from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import UInt8

from debias.models import galleries
from debias.pipeline.job import Run
from debias.pipeline.representation import load_representation
from debias.pipeline.step import Shown, Step, Work
from debias.plugins import dump
from debias.seeding import numpy_generator
from debias.statistics.groupings import UNKNOWN
from debias.storage.artifacts import Artifact, Files
from debias.tracking.tracker import Tracker
from debias.types import FaceStore, ShardedImages
from debias.weighting.generated import plan

STAGE = SPLIT = "generated"
IMAGES, TABLE = "images.npy", "generated.parquet"


def enlarged(faces: FaceStore, made: Artifact) -> FaceStore:
    """The faces and, behind them, the generated images, whose split is ``generated``."""
    table = table_of(made)[["sample_id", "label"]]
    rows = table.assign(split=SPLIT, **dict.fromkeys(faces.attributes, UNKNOWN))
    shards = [*faces.images.shards, np.load(made.path / IMAGES, mmap_mode="r")]
    return FaceStore(
        images=ShardedImages(shards),
        samples=pd.concat([faces.samples, rows], ignore_index=True),
        classes=faces.classes,
        attributes=faces.attributes,
        label=faces.label,
    )


def table_of(made: Artifact) -> pd.DataFrame:
    """One row a generated image: its id, class, parents, and ``generated``, which is true."""
    return pd.read_parquet(made.path / TABLE)


def families(made: Artifact, faces: FaceStore, most: int) -> UInt8[np.ndarray, "3 m H W C"]:
    """First parents, generated images and second parents of the first so many."""
    table, ids = table_of(made)[:most], pd.Index(faces.samples["sample_id"])
    first, second = (
        faces.images[ids.get_indexer(table[name])] for name in ("parent_id", "neighbour_id")
    )
    return np.stack([first, np.load(made.path / IMAGES, mmap_mode="r")[:most], second])


def _settings(work: Work[Run]) -> dict[str, Any]:
    config = work.job.config
    about = {"rule": dump(config.generating[work.arm]), "seed": config.seed}
    return about | work.job.compute.identity()


def _build(work: Work[Run], _: Tracker) -> Files:
    """Raises WeightError if nothing is generated, ConfigError if nothing is drawn."""
    run, faces, advance = work.job, work.faces, work.start(1)
    train = faces.rows("train")
    ids, labels, mean = faces.ids(train), faces.labels(train), work.latents.mean
    generator = numpy_generator(run.config.seed, f"generated/{work.arm}")
    found = plan(run.config.generating[work.arm], work.weights, mean, labels, generator)
    network = load_representation(run, work.inputs["representation"])
    told = galleries.told(network, faces, train[found.first])
    images = galleries.decode(network, found.places(mean), run.compute, told)  # type: ignore[arg-type]
    table = pd.DataFrame({
        "sample_id": [f"generated-{work.arm}-{number:06d}" for number in range(len(images))],
        "generated": True,
        "label": labels[found.first],
        "parent_id": ids[found.first],
        "neighbour_id": ids[found.second],
        "position": found.position,
    })  # fmt: skip
    advance(f"{len(images):,} images")
    return {IMAGES: images, TABLE: table}


def _shown(work: Work[Run]) -> Shown:
    return Shown(f"{STAGE} {work.arm}", tags={"arm": work.arm, "generated": "true"})


def _tell(work: Work[Run], artifact: Artifact, tracker: Tracker) -> None:
    rule, images = work.job.config.generating[work.arm], float(len(table_of(artifact)))
    tracker.params({"arm": work.arm, "weighting": dump(rule)})
    tracker.metrics({"generated/images": images, "generated/share": rule.share})
    tracker.artifact(artifact.path / TABLE, STAGE)


GENERATED = Step(
    STAGE, settings=_settings, build=_build, tell=_tell, shown=_shown, heading="Generated images"
)

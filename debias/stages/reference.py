"""The unlabelled reference set: faces that say what the training set should look like."""

import time

import pandas as pd

from debias import ingest
from debias.artifacts import Artifact, load_faces
from debias.config import ReferenceRecipe
from debias.errors import EmptyDatasetError
from debias.seeding import numpy_generator, stream_seed
from debias.stages.faces import collect, listed, with_progress, write_store
from debias.stages.run import Run, dump

STAGE = "reference"
SPLIT = "reference"
ABOUT = {"classes": ("unlabelled",), "attributes": (), "label": "none"}


def build_reference(run: Run, faces: Artifact) -> Artifact | None:
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
    collection = collect(recipe.data, stream_seed(run.config.seed, "reference"))
    samples, rejected, content = listed(collection, recipe.filters)
    settings = {
        "even_over": recipe.even_over,
        "most": recipe.most,
        "image_size": run.config.image_size,
        "seed": run.config.seed,
        "data": dump(recipe.data)["name"],
    }
    key, found = run.find(STAGE, settings, {"content": content, "faces": faces.key})
    if found is not None:
        run.progress.reused("Reference")
        return found
    chosen = _chosen(run, recipe, _new(samples, faces))
    with run.create(STAGE, key, start) as folder:
        read = with_progress(run, "Reference", collection, len(chosen))
        write_store(folder, chosen, read, ABOUT, rejected, run.config.image_size)
    return run.finished(STAGE, key)


def _new(samples: pd.DataFrame, faces: Artifact) -> pd.DataFrame:
    """Samples that are not in the main data set, and not meant for a test of their own."""
    if "split" in samples:
        samples = samples[samples["split"] == "train"]
    known = load_faces(faces).samples
    if "sha256" in samples and "sha256" in known:
        samples = samples[~samples["sha256"].isin(known["sha256"])]
    if samples.empty:
        raise EmptyDatasetError(
            "no reference face is left: every one of them is also in the main data set (or none "
            "is a training face of its own set); choose another reference"
        )
    return samples


def _chosen(run: Run, recipe: ReferenceRecipe, samples: pd.DataFrame) -> pd.DataFrame:
    generator = numpy_generator(run.config.seed, "reference/draw")
    chosen = ingest.drawn_evenly(samples, recipe.even_over, recipe.most, generator)
    return chosen.assign(split=SPLIT, label=0)

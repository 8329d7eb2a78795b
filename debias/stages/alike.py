"""Which decoded images show the same photograph: by hashes and, where a model exists, latents."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int64

from debias import encoding
from debias.artifacts import Artifact, RunFolder
from debias.batches import Batches
from debias.config import FacesRecipe, RunConfig, parse_config
from debias.device import choose as choose_device
from debias.errors import DataError
from debias.ingest import room as ingest
from debias.models import ConvVAE
from debias.progress import Progress
from debias.sealed import sealed_in
from debias.stages.decoded import Listed
from debias.stages.run import Run
from debias.stages.vae import AT_ONCE, load_vae
from debias.stages.vae import STAGE as REPRESENTATION
from debias.types import FaceStore, ShardedImages

_NO_HASHES = np.empty((0, 4), dtype=np.uint64)


def near_pairs(
    listed: Listed,
    decoded: ingest.Decoded,
    rows: Int64[np.ndarray, " n"],
    recipe: FacesRecipe,
    progress: Progress,
) -> pd.DataFrame:
    """Pairs among ``rows`` of the decoded images; none where nothing is to be looked for.

    Raises:
        DataError: ``ingest.latents_of`` names no run with a trained autoencoder for this size.
    """
    if not _wanted(listed, recipe):
        return ingest.near_pairs(ShardedImages(decoded.images.shards, rows[:0]), _NO_HASHES)
    images = ShardedImages(decoded.images.shards, rows)
    also = None
    if recipe.ingest.latents_of is not None and len(rows) > 1:
        also = latent_neighbours(recipe.ingest.latents_of, images)
    advance = progress.start("Duplicates", len(rows))
    return ingest.near_pairs(
        images, decoded.perceptual[rows], also=also, advance=lambda steps: advance("", steps)
    )


def _wanted(listed: Listed, recipe: FacesRecipe) -> bool:
    """Drawn faces look alike and are not; a store brings what was found when it was made."""
    known = "duplicate_cluster" in listed.samples
    return recipe.ingest.near_duplicates and not listed.collection.distinct and not known


def trained_on(folder: Path, size: int) -> tuple[RunConfig, Artifact]:
    """Recipe and trained autoencoder of a run, for images of ``size`` pixels.

    Raises:
        DataError: It is no run folder, its representation was not trained there, on images of
            another size, or more than once.
    """
    about = folder / "run.json"
    if not about.exists():
        raise DataError(f"ingest.latents_of: {folder.absolute()} is no run folder")
    try:
        tree = json.loads(about.read_text(encoding="utf-8"))["config"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"ingest.latents_of: {about} is damaged ({error!r})") from error
    config = parse_config(tree, str(about))
    if config.image_size != size:
        raise DataError(
            f"ingest.latents_of: {folder} was trained on images of {config.image_size} pixels, "
            f"these have {size}; set image_size to that of the run"
        )
    if not isinstance(config.representation.model, ConvVAE):
        raise DataError(f"ingest.latents_of: {folder} took its representation from elsewhere")
    sealed = sealed_in(folder / REPRESENTATION)
    if len(sealed) != 1:
        raise DataError(
            f"ingest.latents_of: {folder} has trained {len(sealed) or 'no'} autoencoders; name the "
            "folder of a run that has trained one"
        )
    found = RunFolder(folder).find(REPRESENTATION, sealed[0].name)
    assert found is not None  # sealed
    return config, found


def latent_neighbours(folder: Path, images: ShardedImages) -> Int64[np.ndarray, "p 2"]:
    """Pairs of images that lie close in the latent space of a run; to be compared, not believed.

    Raises:
        DataError: As :func:`trained_on`.
    """
    config, artifact = trained_on(folder, images.shape[1])
    model = config.representation.model
    assert isinstance(model, ConvVAE)  # refused otherwise
    run = Run(config, RunFolder(folder), choose_device(config.device, config.precision), id="")
    every = np.arange(len(images))
    batches = Batches(_unnamed(images), AT_ONCE, run.compute.device).evaluate(every)
    mean, _ = encoding.posterior(load_vae(run, artifact, model), batches, run.compute)
    return ingest.latent_candidates(mean)


def _unnamed(images: ShardedImages) -> FaceStore:
    samples = pd.DataFrame({"label": np.zeros(len(images), dtype=np.int64)})
    return FaceStore(images=images, samples=samples, classes=("none",), attributes=(), label="none")

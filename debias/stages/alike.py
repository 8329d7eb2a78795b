"""Which decoded images show the same photograph: by hashes and, where a model exists, latents."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
from jaxtyping import Int64

from debias import encoding, ingest
from debias.artifacts import Artifact, RunFolder
from debias.batches import Batches
from debias.config import FacesRecipe, RunConfig, parse_config
from debias.device import choose as choose_device
from debias.errors import DataError
from debias.models import ConvVAE
from debias.progress import Progress
from debias.sealed import is_sealed
from debias.stages.decoded import Listed
from debias.stages.run import Run
from debias.stages.vae import AT_ONCE, load_vae
from debias.stages.vae import STAGE as REPRESENTATION
from debias.types import FaceStore, ShardedImages


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
        rows = rows[:0]
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


def trained_on(folder: Path) -> tuple[RunConfig, Artifact]:
    """Recipe and trained autoencoder of a run.

    Raises:
        DataError: It is no run folder, or its representation was not trained there.
    """
    about = folder / "run.json"
    if not about.exists():
        raise DataError(f"ingest.latents_of: {folder.absolute()} is no run folder")
    config = parse_config(json.loads(about.read_text(encoding="utf-8"))["config"], str(about))
    if not isinstance(config.representation.model, ConvVAE):
        raise DataError(f"ingest.latents_of: {folder} took its representation from elsewhere")
    sealed = [path for path in (folder / REPRESENTATION).glob("*") if is_sealed(path)]
    newest = max(sealed, key=lambda path: (path / "manifest.json").stat().st_mtime, default=None)
    found = newest and RunFolder(folder).find(REPRESENTATION, newest.name)
    if not found:
        raise DataError(f"ingest.latents_of: {folder} has trained no autoencoder yet")
    return config, found


def latent_neighbours(folder: Path, images: ShardedImages) -> Int64[np.ndarray, "p 2"]:
    """Pairs of images that lie close in the latent space of a run; to be compared, not believed.

    Raises:
        DataError: The run's images have another size.
    """
    config, artifact = trained_on(folder)
    if config.image_size != images.shape[1]:
        raise DataError(
            f"ingest.latents_of: {folder} was trained on images of {config.image_size} pixels, "
            f"these have {images.shape[1]}; set image_size to that of the run"
        )
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

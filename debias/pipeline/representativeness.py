"""The whole audit, one stage after another."""

from typing import Any

from debias.auditing.audit import declared_shares, require_declarable, require_enough
from debias.errors import DataError, DatasetSmallerThanBatchError
from debias.ingesting.build import ingest_faces
from debias.pipeline.audit import AuditParts, audited_rows, build_audit
from debias.pipeline.earlier import build_earlier
from debias.pipeline.faces import build_reference
from debias.pipeline.representation import build_representation
from debias.pipeline.step import Job
from debias.storage.artifacts import Artifact, load_faces
from debias.types import FaceStore


def examine(job: Job) -> dict[str, Any]:
    """Faces, reference, earlier version, latent space, audit.

    Returns:
        The document that ``audit.json`` holds.
    """
    faces = build_audited_faces(job)
    reference = build_reference(job, faces)  # first: it can fail, and takes seconds
    earlier = build_earlier(job)
    latents = build_representation(job, faces)
    return build_audit(job, AuditParts(faces, latents, reference, earlier))


def build_audited_faces(job: Job) -> Artifact:
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
    return faces


def require_trainable(job: Job, store: FaceStore) -> None:
    """Refuse a store on which the representation of the recipe cannot be trained.

    Raises:
        DataError: A split is empty, or there are fewer training images than one batch.
    """
    recipe = job.config.representation
    for split in ("train", "validation"):
        if not len(store.rows(split)):
            raise DataError(f"no image is left for {split}; see selection in the config")
    size = len(store.rows("train"))
    if recipe.model.trained and size < recipe.training.batch_size:
        raise DatasetSmallerThanBatchError(
            f"there are {size} training images, fewer than one batch of "
            f"{recipe.training.batch_size}; set representation.training.batch_size to "
            f"{max(2, size // 4)} or less, or use more images"
        )

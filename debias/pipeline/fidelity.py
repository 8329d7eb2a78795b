"""Whether the trained model tells images apart, measured on the validation images of the store."""

from typing import Any

import numpy as np
from jaxtyping import Int64

from debias.auditing.fidelity import Encoded, fidelity
from debias.density import active_dimensions
from debias.models import Decodes
from debias.models import galleries as generation
from debias.pipeline.job import Job
from debias.pipeline.representation import encode_store
from debias.storage.artifacts import Artifact, load_latents
from debias.types import FaceStore

MOST_HELD_OUT, MOST_TRAINING = 500, 5000  # images looked at, to keep it within seconds
LONGER = 3  # times the epochs: what is advised where the model draws one face for everybody


def fidelity_of(
    job: Job, network: Decodes, representation: Artifact, store: FaceStore
) -> dict[str, Any]:
    """As the audit document holds it, with the epochs of the training and those advised."""
    known = load_latents(representation)  # of the training images
    active = active_dimensions(known)
    held_out, training = store.rows("validation"), store.rows("train")
    some = _spread(np.arange(len(training), dtype=np.int64), MOST_TRAINING)
    rows = _spread(held_out, MOST_HELD_OUT)
    latents = encode_store(job, representation, store, rows)
    drawn = generation.decode(network, latents.mean, job.compute)
    found = fidelity(
        Encoded(images=store.images[rows], latents=latents.mean[:, active]),
        drawn,
        Encoded(images=store.images[training[some]], latents=known.mean[some][:, active]),
    )
    epochs = job.config.representation.training.epochs
    return found | {"epochs": epochs, "advised": LONGER * epochs}


def _spread(rows: Int64[np.ndarray, " n"], most: int) -> Int64[np.ndarray, " m"]:
    """At most so many rows, evenly over all of them."""
    return rows[np.linspace(0, len(rows) - 1, min(most, len(rows))).astype(np.int64)]

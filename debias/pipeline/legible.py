"""Whether the class that generated images were given can be read off them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Int64

from debias.models import encoding
from debias.pipeline.generated import SPLIT, enlarged, table_of
from debias.pipeline.job import Run
from debias.pipeline.representation import spread
from debias.pipeline.task import built
from debias.report.documents import Legible
from debias.statistics.intervals import mean_limits
from debias.storage.artifacts import Artifact, load_network
from debias.training.batches import Batches
from debias.types import BASELINE, FaceStore

MOST = 2000  # images looked at


def legible(
    run: Run, faces: FaceStore, made: Artifact, plain: Sequence[Artifact]
) -> Legible | None:
    """How often plain training names the class of generated images, and that of their parents.

    Means over the ``plain`` trainings with Student's t interval; None without one.
    """
    if not plain:
        return None
    every, ids = enlarged(faces, made), pd.Index(faces.samples["sample_id"])
    parents = ids.get_indexer(table_of(made)["parent_id"]).astype(np.int64)
    asked = [spread(rows, MOST) for rows in (every.rows(SPLIT), parents)]
    right = np.array([[_right(run, every, one, rows) for rows in asked] for one in plain])
    mean, *limits = mean_limits(right[:, 0])
    low, high = (min(max(end, 0.0), 1.0) if np.isfinite(end) else None for end in limits)
    return Legible(right=mean, low=low, high=high, parents=float(right[:, 1].mean()))


def _right(run: Run, faces: FaceStore, trained: Artifact, rows: Int64[np.ndarray, " m"]) -> float:
    network = built(run.config, BASELINE, len(faces.classes))
    network = run.compute.place(load_network(trained, network))
    batches = Batches(faces, 256, run.compute.device).evaluate(rows)
    found = encoding.predicted(network, batches, run.compute)
    return float((found == faces.labels(rows)).mean())

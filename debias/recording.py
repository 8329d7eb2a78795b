"""Which tracker listens to a run, from the config and the environment."""

import os
from pathlib import Path

from debias.config import TrackingOptions
from debias.tracking import NullTracking, Tracking

ADDRESS = "MLFLOW_TRACKING_URI"


def choose_tracking(options: TrackingOptions, folder: Path) -> Tracking:
    """The configured MLflow, else the one in the environment, else a SQLite file in ``folder``.

    Raises:
        TrackingError: The address cannot be used.
    """
    if not options.enabled:
        return NullTracking()
    from debias.mlflow_tracker import MlflowTracking  # four seconds that not every run needs

    local = f"sqlite:///{folder.absolute() / 'mlflow.db'}"
    uri = options.uri or os.environ.get(ADDRESS) or local
    artifacts = folder.absolute() / "mlartifacts" if uri == local else None
    return MlflowTracking(uri, options.experiment, artifacts)

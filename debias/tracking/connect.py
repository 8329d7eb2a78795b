"""Which tracker listens to a run, from the config and the environment."""

import os
from pathlib import Path

from debias.tracking import servers
from debias.tracking.tracker import NullTracking, Tracking, TrackingOptions

ADDRESS = "MLFLOW_TRACKING_URI"


def choose_tracking(options: TrackingOptions, folder: Path) -> Tracking:
    """The configured MLflow, else the one in the environment, else a SQLite file in ``folder``.

    Raises:
        TrackingError: The address cannot be used.
    """
    if not options.enabled:
        return NullTracking()
    for name, value in servers.client_environment().items():
        os.environ.setdefault(name, value)  # before the import, which would set up telemetry
    from debias.tracking.mlflow_tracker import (
        MlflowTracking,  # four seconds that not every run needs
    )

    local = servers.local_store(folder)
    uri = options.uri or os.environ.get(ADDRESS) or local
    artifacts = servers.local_artifacts(folder) if uri == local else None
    tracking = MlflowTracking(uri, options.experiment, artifacts)
    tracking.reconcile()
    return tracking

"""Addresses of servers, as they may be shown."""

import re

MLFLOW, PREFECT = "MLFLOW_TRACKING_URI", "PREFECT_API_URL"  # where the environment names them


def without_password(text: str) -> str:
    """Without the user names and passwords that stand in front of a host."""
    return re.sub(r"://[^/@\s]*@", "://", text)

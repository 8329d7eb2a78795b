"""Who is told: progress, the tracker, MLflow and its views, local servers."""

"""Weights and predictions on disk."""

from pathlib import Path

import numpy as np
import pandas as pd

from debias.storage.artifacts import Artifact
from debias.storage.sealed import write_json
from debias.types import Predictions
from debias.weighting.weights import SamplingWeights


def save_weights(folder: Path, weights: SamplingWeights) -> None:
    frame = pd.DataFrame({"sample_id": weights.sample_ids, "probability": weights.probability})
    frame.to_parquet(folder / "weights.parquet", index=False)
    write_json(folder / "origin.json", weights.origin)


def load_weights(artifact: Artifact) -> SamplingWeights:
    frame = pd.read_parquet(artifact.path / "weights.parquet")
    return SamplingWeights(
        sample_ids=frame["sample_id"].to_numpy(dtype=str),
        probability=frame["probability"].to_numpy(dtype=np.float64),
        origin=artifact.read_json("origin.json"),
    )


def save_predictions(folder: Path, predictions: Predictions) -> None:
    columns = {
        "sample_id": predictions.sample_ids,
        "y_true": predictions.y_true,
        "score": predictions.score,
    }
    pd.DataFrame(columns).to_parquet(folder / "predictions.parquet", index=False)
    names = ("threshold", "arm", "seed", "split")
    write_json(folder / "predictions.json", {name: getattr(predictions, name) for name in names})


def load_predictions(artifact: Artifact) -> Predictions:
    frame = pd.read_parquet(artifact.path / "predictions.parquet")
    return Predictions(
        sample_ids=frame["sample_id"].to_numpy(dtype=str),
        y_true=frame["y_true"].to_numpy(dtype=np.int64),
        score=frame["score"].to_numpy(dtype=np.float64),
        **artifact.read_json("predictions.json"),
    )

"""Values of a run as files, and back."""

import numpy as np
import pandas as pd

from debias.storage.artifacts import Artifact, Files
from debias.types import Latents, Predictions
from debias.weighting.weights import SamplingWeights


def arrays(**named: np.ndarray) -> Files:
    return {f"{name}.npy": array for name, array in named.items()}


def latents_files(latents: Latents) -> Files:
    """Ids, points and, where samples have one, their spread."""
    spread = {} if latents.log_var is None else {"log_var": latents.log_var}
    return arrays(ids=latents.sample_ids, mean=latents.mean, **spread)


def weights_files(weights: SamplingWeights) -> Files:
    frame = pd.DataFrame({"sample_id": weights.sample_ids, "probability": weights.probability})
    return {"weights.parquet": frame, "origin.json": weights.origin}


def load_weights(artifact: Artifact) -> SamplingWeights:
    frame = pd.read_parquet(artifact.path / "weights.parquet")
    return SamplingWeights(
        sample_ids=frame["sample_id"].to_numpy(dtype=str),
        probability=frame["probability"].to_numpy(dtype=np.float64),
        origin=artifact.read_json("origin.json"),
    )


def predictions_files(predictions: Predictions) -> Files:
    columns = {
        "sample_id": predictions.sample_ids,
        "y_true": predictions.y_true,
        "score": predictions.score,
    }
    names = ("threshold", "arm", "seed", "split")
    about = {name: getattr(predictions, name) for name in names}
    return {"predictions.parquet": pd.DataFrame(columns), "predictions.json": about}


def load_predictions(artifact: Artifact) -> Predictions:
    frame = pd.read_parquet(artifact.path / "predictions.parquet")
    return Predictions(
        sample_ids=frame["sample_id"].to_numpy(dtype=str),
        y_true=frame["y_true"].to_numpy(dtype=np.int64),
        score=frame["score"].to_numpy(dtype=np.float64),
        **artifact.read_json("predictions.json"),
    )

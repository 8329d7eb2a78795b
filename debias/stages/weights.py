"""Stage 3: sampling weights of one arm, and what they do to each group."""

import time
import warnings
from typing import Any

import numpy as np
import pandas as pd

from debias import density, metrics, weighting
from debias.artifacts import (
    Artifact,
    load_faces,
    load_latents,
    load_weights,
    save_weights,
    write_json,
)
from debias.seeding import numpy_generator
from debias.stages.run import Run, dump
from debias.tracking import Tracker
from debias.types import FaceStore, LogFactors, SamplingWeights, TrainingTable

STAGE = "weights"


def build_weights(run: Run, faces: Artifact, latents: Artifact, arm: str) -> Artifact:
    """Weights of one arm for every training face, or find them built.

    Raises:
        WeightError: The weights cannot be built or rest on too few samples.
    """
    rule = run.config.arms[arm]
    settings: dict[str, Any] = {"rule": dump(rule)}
    settings |= {"attributes": run.config.attributes, "seed": run.config.seed}
    inputs = {"faces": faces.key}
    if rule.needs_density:
        settings["density"] = dump(run.config.density)
        inputs["latents"] = latents.key
    key, found = run.find(STAGE, settings, inputs)
    name = f"weights {arm}"
    if found is not None:
        run.progress.reused(f"Weights {arm}")
        if run.published(STAGE, key, name):
            return found
    with run.tracked(STAGE, key, name, arm=arm) as tracker:
        if found is None:
            found = _build(run, key, load_faces(faces), latents, arm)
        _publish(run, found, arm, tracker)
    return found


def _build(run: Run, key: str, faces: FaceStore, latents: Artifact, arm: str) -> Artifact:
    advance = run.progress.start(f"Weights {arm}", 1)
    start = time.monotonic()
    rule, factors = run.config.arms[arm], None
    rows = faces.rows("train")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        if rule.needs_density:
            factors = _log_factors(run, faces, latents, arm)
        weights = rule.weights(
            TrainingTable(
                sample_ids=faces.ids(rows),
                labels=faces.labels(rows),
                log_factors=None if factors is None else factors.values,
                groups=crossed(faces) if rule.uses_groups else None,
            )
        )
    figures = _figures(run, faces, weights, factors)
    figures["warnings"] = [str(warning.message) for warning in caught]
    with run.create(STAGE, key, start) as folder:
        save_weights(folder, weights)
        write_json(folder / "figures.json", figures | {"uses_groups": rule.uses_groups})
    advance(f"effective sample size {weights.ess:.0%}")
    return run.finished(STAGE, key)


def _log_factors(run: Run, faces: FaceStore, latents: Artifact, arm: str) -> LogFactors:
    found = load_latents(latents)
    rows = faces.rows("train")
    if not np.array_equal(found.sample_ids, faces.ids(rows)):
        raise ValueError("latents and training faces are not of the same samples")
    by_class = getattr(run.config.arms[arm], "across", "class") == "class"
    labels = faces.labels(rows)
    return density.estimate(run.config.density, found, labels, "class" if by_class else "all")


def crossed(faces: FaceStore) -> np.ndarray:
    """Group of every training face: its attribute values, crossed."""
    groups = faces.groups(faces.rows("train"))
    if groups.empty:
        return np.full(len(groups), "all")
    return groups.agg(metrics.CROSS.join, axis=1).to_numpy(dtype=str)


def _figures(
    run: Run, faces: FaceStore, weights: SamplingWeights, factors: LogFactors | None
) -> dict[str, Any]:
    """Concentration of the weights, and their relation to every annotated group."""
    rows = faces.rows("train")
    labels = faces.labels(rows)
    figures: dict[str, Any] = dict(weights.origin) | weighting.describe(weights)
    figures |= {"dropped_dimensions": list(factors.dropped_dimensions) if factors else []}
    figures |= {"share_by_group": {}, "auc_by_group": {}}
    columns = {str(name): str(name) + ":" + values for name, values in faces.groups(rows).items()}
    if len(columns) > 1:
        columns[metrics.CROSS.join(columns)] = _cells(faces)
    for column in columns.values():
        groups = column.to_numpy(dtype=str)
        generator = numpy_generator(run.config.seed, "weights/random")
        figures["share_by_group"] |= weighting.share_by_group(weights, groups, labels, generator)
        table = metrics.auc_by_group(weights.probability, labels, groups)
        areas = table.set_index("group").astype(object)
        figures["auc_by_group"] |= areas.where(areas.notna(), None).to_dict("index")
    return figures


def _cells(faces: FaceStore) -> "pd.Series[str]":
    groups = faces.groups(faces.rows("train"))
    return groups.apply(lambda column: column.name + ":" + column).agg(metrics.CROSS.join, axis=1)


def _publish(run: Run, artifact: Artifact, arm: str, tracker: Tracker) -> None:
    figures = artifact.read_json("figures.json")
    tracker.params({"arm": arm, "weighting": dump(run.config.arms[arm])})
    if run.config.arms[arm].needs_density:
        tracker.params({"density": dump(run.config.density)})
    names = ("ess", "tau", "alpha", "unique_per_epoch", "top_1_percent", "largest", "capped")
    values = {f"weights/{name}": figures[name] for name in names if name in figures}
    for group, share in figures["share_by_group"].items():
        values[f"share_before/{group}"] = share["before"]
        values[f"share_after/{group}"] = share["after"]
    for group, area in figures["auc_by_group"].items():
        if area["auc"] is not None:
            values[f"weight_auc/{group}"] = area["auc"]
    tracker.metrics(values)
    tracker.artifact(artifact.path / "weights.parquet", "weights")


def load_multiples(artifact: Artifact) -> np.ndarray:
    """Weight of every training face, as a multiple of plain sampling."""
    weights = load_weights(artifact)
    return weights.probability * len(weights.probability)

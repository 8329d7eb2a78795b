"""Stage 3: sampling weights of one arm, and what they do to each group."""

import time
import warnings
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from debias.errors import WeightError
from debias.pipeline.fairness import small_training_groups, without
from debias.pipeline.history import named
from debias.pipeline.step import Run
from debias.pipeline.targets import Inputs, score_of
from debias.pipeline.values import load_weights, save_weights
from debias.plugins import dump
from debias.seeding import stream_seed
from debias.statistics.groupings import CROSS
from debias.storage.artifacts import Artifact, load_faces
from debias.storage.sealed import write_json
from debias.tracking.tracker import Tracker
from debias.types import BASELINE, FaceStore
from debias.weighting.rule import Given
from debias.weighting.weights import SamplingWeights, in_an_epoch

STAGE = "weights"
STEADY = 1000  # effective images below which the report says what that means


def build_weights(
    run: Run, faces: Artifact, latents: Artifact, reference: Artifact | None, arm: str
) -> Artifact:
    """Weights of one arm for every training face, or find them built.

    Args:
        run: The run.
        faces: Store of faces.
        latents: The representation.
        reference: Store of the unlabelled reference; None without one.
        arm: Name of the arm in the recipe.

    Raises:
        WeightError: The weights cannot be built or rest on too few samples.
    """
    rule, start = run.config.arms[arm], time.monotonic()
    given = score_of(run, rule, Inputs(faces, latents, reference))
    settings: dict[str, Any] = {"rule": dump(rule), **given.settings}
    settings |= {"attributes": run.config.attributes, "seed": run.config.seed}
    key, found = run.find(STAGE, settings, {"faces": faces.key, **given.inputs})
    name = f"weights {arm}"
    if found is not None:
        run.progress.reused(f"Weights {arm}")
        if run.published(STAGE, key, name):
            return found
    with run.tracked(STAGE, key, name, arm=arm) as tracker:
        if found is None:
            found = _build(run, key, load_faces(faces), given, (arm, start))
        _publish(run, load_faces(faces), found, arm, tracker)
    return found


def build_arm(
    run: Run, faces: Artifact, latents: Artifact, reference: Artifact | None, arm: str
) -> Artifact | str:
    """As :func:`build_weights`, but weights that cannot be used cost their arm and not the run.

    Returns:
        The weights, or why there are none.
    """
    try:
        return build_weights(run, faces, latents, reference, arm)
    except WeightError as error:
        run.progress.note(f"Arm {arm!r} is left out: {error}.")
        return str(error)


def usable(arms: Mapping[str, Artifact | str]) -> tuple[dict[str, Artifact], dict[str, str]]:
    """The arms to train, and those that were refused with the reason.

    Raises:
        WeightError: None is left to train.
    """
    refused = {arm: found for arm, found in arms.items() if isinstance(found, str)}
    kept = {arm: found for arm, found in arms.items() if not isinstance(found, str)}
    if not kept:
        reasons = "; ".join(f"{arm}: {reason}" for arm, reason in refused.items())
        raise WeightError(f"every arm was refused, so there is nothing to train ({reasons})")
    return kept, refused


def _build(
    run: Run, key: str, faces: FaceStore, given: Given, which: tuple[str, float]
) -> Artifact:
    """``which``: the arm, and when its work began, networks for its target included."""
    arm, start = which
    advance = run.progress.start(f"Weights {arm}", 1)
    rule = run.config.arms[arm]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        table, about = given.table()
        weights = rule.weights(table)
    weights = replace(weights, origin={"rule": rule.name, **weights.origin})
    figures = _figures(run, faces, weights) | about
    figures["warnings"] = [str(warning.message) for warning in caught] + _unsteady(weights)
    with run.create(STAGE, key, start) as folder:
        save_weights(folder, weights)
        write_json(folder / "figures.json", figures | {"uses_groups": "groups" in rule.needs})
    advance(f"effective sample size {weights.ess:.0%}")
    return run.finished(STAGE, key)


def _unsteady(weights: SamplingWeights) -> list[str]:
    """What weights mean that count for few images, which small sets cannot help."""
    effective = weights.effective_sample_size
    if effective >= STEADY * (1 - 1e-9) or weights.origin.get("rule") == BASELINE:
        return []
    return [
        f"results vary from one training to the next about as with {effective:.0f} images: "
        f"{in_an_epoch(weights)}"
    ]


def _figures(run: Run, faces: FaceStore, weights: SamplingWeights) -> dict[str, Any]:
    """Concentration of the weights, and their relation to every annotated group."""
    rows = faces.rows("train")
    labels = faces.labels(rows)
    figures: dict[str, Any] = dict(weights.origin) | weights.describe()
    figures |= {"dropped_dimensions": [], "share_by_group": {}, "auc_by_group": {}}
    columns = {str(name): str(name) + ":" + values for name, values in faces.groups(rows).items()}
    if len(columns) > 1:
        columns[CROSS.join(columns)] = _cells(faces)
    for column in columns.values():
        groups = column.to_numpy(dtype=str)
        seed = stream_seed(run.config.seed, "weights/random")
        table = weights.describe(groups, labels, seed=seed)["by_group"].set_index("group")
        shares = table[["before", "after", "random_low", "random_high"]]
        figures["share_by_group"] |= shares.to_dict("index")
        areas = table[["auc", "low", "high"]].astype(object)
        areas = areas.where(areas.notna(), None).assign(n=table["count"])
        figures["auc_by_group"] |= areas.to_dict("index")
    return figures


def _cells(faces: FaceStore) -> "pd.Series[str]":
    groups = faces.groups(faces.rows("train"))
    return groups.apply(lambda column: column.name + ":" + column).agg(CROSS.join, axis=1)


def _publish(run: Run, faces: FaceStore, artifact: Artifact, arm: str, tracker: Tracker) -> None:
    figures = artifact.read_json("figures.json")
    tracker.params({"arm": arm, "weighting": dump(run.config.arms[arm])})
    if "density" in run.config.arms[arm].needs:
        tracker.params({"density": dump(run.config.density)})
    if figures.get("ratio"):
        tracker.params({"discriminator": dump(run.config.discriminator)})
        ratio = {name: float(value) for name, value in figures["ratio"].items() if name != "style"}
        tracker.metrics(named("ratio", ratio))
    names = ("ess", "tau", "alpha", "unique_per_epoch", "top_1_percent", "largest", "capped")
    values = {f"weights/{name}": figures[name] for name in names if name in figures}
    hidden = small_training_groups(faces, run.config.evaluation.suppress_below)
    figures = without(figures, hidden)
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
    return load_weights(artifact).weight

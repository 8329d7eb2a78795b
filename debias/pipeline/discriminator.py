"""What the images say about a target: log ratios from cross-fitted networks."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Shaped
from scipy.stats import spearmanr

from debias.pipeline.faces import SPLIT
from debias.pipeline.step import Run
from debias.plugins import dump
from debias.statistics.areas import area_under_curve
from debias.storage.artifacts import Artifact, load_array, load_faces, save_arrays
from debias.storage.sealed import write_json
from debias.types import FaceStore
from debias.weighting import sampling
from debias.weighting.image_ratio import (
    DiscriminatorRecipe,
    LogRatios,
    Sets,
    cross_fitted_log_ratios,
    match_style,
    shrunk,
)

STAGE = "discriminator"
TELLTALE = 0.95  # two sets told apart better than this differ in more than their people


def build_reference_ratio(run: Run, faces: Artifact, reference: Artifact) -> Artifact:
    """Log ratio of the reference to the training faces, image by image.

    One more repetition is trained on images whose style is matched (or as they are, if the recipe
    matches): a ranking that survives the change does not rest on colour and sharpness.
    """
    recipe = run.config.discriminator
    key, found = run.find(STAGE, _settings(run), {"faces": faces.key, "reference": reference.key})
    if found is not None:
        run.progress.reused("Reference ratio")
        return found
    start = time.monotonic()
    train, wanted = load_faces(faces), load_faces(reference)
    opposite = "as_is" if recipe.style == "matched" else "matched"
    control = recipe.model_copy(update={"repeats": 1, "style": opposite})
    advance = run.progress.start("Reference ratio", recipe.folds * (recipe.repeats + 1))
    as_is = _against_reference(train, wanted, recipe.side)
    ratios = [
        cross_fitted_log_ratios(
            _in_style(as_is, one.style), one, run.config.seed, run.compute, advance
        )
        for one in (recipe, control)
    ]
    with run.create(STAGE, key, start) as folder:
        save_arrays(folder, population=ratios[0].population, examples=ratios[0].examples)
        write_json(folder / "figures.json", _figures(recipe, ratios))
    return run.finished(STAGE, key)


def build_group_ratio(run: Run, faces: Artifact, groups: Shaped[np.ndarray, " n"]) -> Artifact:
    """Log ratio of every annotated group to all training faces, image by image.

    Args:
        run: The run.
        faces: Store of faces.
        groups: (n,) group of each training face, empty where it is unknown.
    """
    digest = {"groups": groups.tolist()}
    key, found = run.find(STAGE, _settings(run) | digest, {"faces": faces.key})
    if found is not None:
        run.progress.reused("Group ratio")
        return found
    start, recipe = time.monotonic(), run.config.discriminator
    advance = run.progress.start("Group ratio", recipe.folds * recipe.repeats)
    sets = _against_groups(load_faces(faces), groups, recipe)
    found_ratios = cross_fitted_log_ratios(sets, recipe, run.config.seed, run.compute, advance)
    with run.create(STAGE, key, start) as folder:
        save_arrays(folder, population=found_ratios.population, examples=found_ratios.examples)
        write_json(folder / "figures.json", {})
    return run.finished(STAGE, key)


def load_log_ratios(artifact: Artifact) -> LogRatios:
    return LogRatios(
        population=load_array(artifact, "population"), examples=load_array(artifact, "examples")
    )


def _settings(run: Run) -> dict[str, Any]:
    settings = dump(run.config.discriminator) | {"seed": run.config.seed}
    return settings | {"sampler": sampling.VERSION} | run.compute.identity()


def _against_reference(train: FaceStore, wanted: FaceStore, side: int) -> Sets:
    rows, others = train.rows("train"), wanted.rows(SPLIT)
    return Sets(
        population=shrunk(train.images, rows, side),
        strata=train.labels(rows),
        examples=shrunk(wanted.images, others, side),
        target=np.zeros(len(others), dtype=np.int64),
        twin=np.full(len(others), -1, dtype=np.int64),
    )


def _in_style(sets: Sets, style: str) -> Sets:
    """The same images as they are, or with their style matched."""
    if style == "as_is":
        return sets
    population, examples = match_style(sets.population, sets.examples)
    return replace(sets, population=population, examples=examples)


def _against_groups(
    train: FaceStore, groups: Shaped[np.ndarray, " n"], recipe: DiscriminatorRecipe
) -> Sets:
    rows = train.rows("train")
    population = shrunk(train.images, rows, recipe.side)
    known = np.flatnonzero(groups != "")
    return Sets(
        population=population,
        strata=train.labels(rows),
        examples=population[known],
        target=np.unique(groups[known], return_inverse=True)[1].astype(np.int64),
        twin=known.astype(np.int64),
    )


def _figures(recipe: DiscriminatorRecipe, ratios: Sequence[LogRatios]) -> dict[str, Any]:
    """How well the two sets are told apart, and whether style is what tells them apart."""
    used, control = ratios
    agreement = float(spearmanr(used.population[:, 0], control.population[:, 0]).statistic)
    apart = separability(used)
    return {
        "style": recipe.style,
        "separability": apart,
        "separability_other_style": separability(control),
        "style_agreement": agreement,
        "telltale": apart > TELLTALE,
    }


def separability(ratios: LogRatios) -> float:
    """Area under the ROC curve with which the networks tell reference from training faces."""
    return area_under_curve(ratios.examples[:, 0], ratios.population[:, 0]).value

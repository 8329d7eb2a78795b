"""What the images say about a target: log ratios from cross-fitted networks."""

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Shaped
from scipy.stats import spearmanr

from debias.pipeline.faces import SPLIT
from debias.pipeline.job import Run
from debias.pipeline.step import Step, Work, arrays
from debias.plugins import dump
from debias.statistics.areas import area_under_curve
from debias.storage.artifacts import Artifact, Files, load_array, load_faces
from debias.tracking.tracker import Tracker
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


def make_reference_ratio(run: Run, **sets: Artifact) -> Artifact:
    """Log ratio of the ``reference`` to the training ``faces``, image by image.

    One more repetition is trained on images whose style is matched (or as they are, if the recipe
    matches): a ranking that survives the change does not rest on colour and sharpness.
    """
    return Step(STAGE, _settings, _to_reference, heading="Reference ratio").make(run, **sets)


def make_group_ratio(run: Run, groups: Shaped[np.ndarray, " n"], faces: Artifact) -> Artifact:
    """Log ratio of every annotated group to all training faces, image by image.

    ``groups``: (n,) group of each training face, empty where it is unknown.
    """
    step: Step[Run] = Step(
        STAGE,
        settings=lambda work: _settings(work) | {"groups": groups.tolist()},
        build=lambda work, _: _to_groups(work, groups),
        heading="Group ratio",
    )
    return step.make(run, faces=faces)


def _to_reference(work: Work[Run], _: Tracker) -> Files:
    run, recipe = work.job, work.job.config.discriminator
    opposite = "as_is" if recipe.style == "matched" else "matched"
    control = recipe.model_copy(update={"repeats": 1, "style": opposite})
    advance = work.start(recipe.folds * (recipe.repeats + 1))
    as_is = _against_reference(work.faces, load_faces(work.inputs["reference"]), recipe.side)
    used, other = (
        cross_fitted_log_ratios(
            _in_style(as_is, one.style), one, run.config.seed, run.compute, advance
        )
        for one in (recipe, control)
    )
    return _files(used) | {"figures.json": _figures(recipe.style, used, other)}


def _to_groups(work: Work[Run], groups: Shaped[np.ndarray, " n"]) -> Files:
    run, recipe = work.job, work.job.config.discriminator
    advance = work.start(recipe.folds * recipe.repeats)
    sets = _against_groups(work.faces, groups, recipe)
    found = cross_fitted_log_ratios(sets, recipe, run.config.seed, run.compute, advance)
    return _files(found) | {"figures.json": {}}


def _files(ratios: LogRatios) -> dict[str, Any]:
    return dict(arrays(population=ratios.population, examples=ratios.examples))


def load_log_ratios(artifact: Artifact) -> LogRatios:
    return LogRatios(
        population=load_array(artifact, "population"), examples=load_array(artifact, "examples")
    )


def _settings(work: Work[Run]) -> dict[str, Any]:
    config = work.job.config
    settings = dump(config.discriminator) | {"seed": config.seed}
    return settings | {"sampler": sampling.VERSION} | work.job.compute.identity()


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


def _figures(style: str, used: LogRatios, other: LogRatios) -> dict[str, Any]:
    """How well the two sets are told apart, and whether style is what tells them apart."""
    agreement = float(spearmanr(used.population[:, 0], other.population[:, 0]).statistic)
    apart = separability(used)
    return {
        "style": style,
        "separability": apart,
        "separability_other_style": separability(other),
        "style_agreement": agreement,
        "telltale": apart > TELLTALE,
    }


def separability(ratios: LogRatios) -> float:
    """Area under the ROC curve with which the networks tell reference from training faces."""
    return area_under_curve(ratios.examples[:, 0], ratios.population[:, 0]).value

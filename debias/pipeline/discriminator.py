"""What the images say about a target: log ratios from cross-fitted networks."""

from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Int64, Shaped
from scipy.stats import spearmanr

from debias.pipeline.faces import SPLIT
from debias.pipeline.job import Run
from debias.pipeline.step import Step, Work, arrays
from debias.plugins import dump
from debias.seeding import numpy_generator
from debias.statistics.areas import area_under_curve
from debias.statistics.groupings import group_names
from debias.storage.artifacts import Artifact, Files, load_array, load_faces
from debias.tracking.tracker import Advance, Tracker
from debias.training.device import Compute
from debias.types import FaceStore
from debias.weighting import sampling
from debias.weighting.image_ratio import (
    DiscriminatorRecipe,
    LogRatios,
    Sets,
    cross_fitted_log_ratios,
    cross_fitted_scores,
    in_every_style,
    shrunk,
)
from debias.weighting.label_shift import estimated
from debias.weighting.matching import match_style
from debias.weighting.membership import even_membership

STAGE = "discriminator"
TELLTALE = 0.95  # two sets told apart better than this differ in more than their people


def make_reference_ratio(run: Run, **sets: Artifact) -> Artifact:
    """Log ratio of the ``reference`` to the training ``faces``, image by image.

    One more repetition is trained on images whose style is matched (or as they are, if the recipe
    changes it): a ranking that survives the change does not rest on colour and sharpness. With
    style ``auto``, sets that are told apart almost perfectly as they are get random styles.
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


def make_elsewhere_scores(run: Run, column: str, **sets: Artifact) -> Artifact:
    """Chance of every training face of ``faces`` to be of a group of ``elsewhere``, and shares."""
    step: Step[Run] = Step(
        STAGE,
        settings=lambda work: _settings(work) | {"elsewhere": column},
        build=lambda work, _: _of_elsewhere(work, column),
        heading="Groups annotated elsewhere",
    )
    return step.make(run, **sets)


def _to_reference(work: Work[Run], _: Tracker) -> Files:
    run, recipe = work.job, work.job.config.discriminator
    wanted = load_faces(work.inputs["reference"])
    one = np.zeros(len(wanted.rows(SPLIT)), dtype=np.int64)
    sets = _against(work.faces, wanted, recipe.side, one)

    def ratios(style: str, repeats: int, advance: Advance) -> LogRatios:
        styled = recipe.model_copy(update={"style": style, "repeats": repeats})
        return in_style(sets, styled, run.config.seed, run.compute, advance)

    style = "as_is" if recipe.style == "auto" else recipe.style
    advance = work.start(recipe.folds * (recipe.repeats + 1))
    used = ratios(style, recipe.repeats, advance)
    if recipe.style == "auto" and separability(used) > TELLTALE:
        advance = work.start(recipe.folds * recipe.repeats)
        used, other = ratios("augmented", recipe.repeats, advance), used
        style = "augmented"
    else:
        other = ratios("matched" if style == "as_is" else "as_is", 1, advance)
    return _files(used) | {"figures.json": _figures(style, used, other)}


def _to_groups(work: Work[Run], groups: Shaped[np.ndarray, " n"]) -> Files:
    run, recipe = work.job, work.job.config.discriminator
    advance = work.start(recipe.folds * recipe.repeats)
    sets = _against_groups(work.faces, groups, recipe)
    found = cross_fitted_log_ratios(sets, recipe, run.config.seed, run.compute, advance)
    return _files(found) | {"figures.json": {}}


def _of_elsewhere(work: Work[Run], column: str) -> Files:
    run, recipe = work.job, in_every_style(work.job.config.discriminator)
    advance = work.start(recipe.folds)
    other = load_faces(work.inputs["elsewhere"])
    names, codes = np.unique(group_names(other.samples[column]), return_inverse=True)
    sets = _against(work.faces, other, recipe.side, codes.astype(np.int64))
    scores = cross_fitted_scores(sets, recipe, run.config.seed, run.compute, advance)
    found = estimated(scores, numpy_generator(run.config.seed, "discriminator/shares"))
    even = even_membership(scores.averaged, scores.held_out[0], scores.codes)
    figures = {"column": column, **found.describe(names), "images": len(codes)}
    return dict(arrays(even=even)) | {"figures.json": figures}


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


def _against(
    train: FaceStore, other: FaceStore, side: int, target: Int64[np.ndarray, " m"]
) -> Sets:
    rows, others = train.rows("train"), other.rows(SPLIT)
    return Sets(
        population=shrunk(train.images, rows, side),
        strata=train.labels(rows),
        examples=shrunk(other.images, others, side),
        target=target,
        twin=np.full(len(others), -1, dtype=np.int64),
    )


def in_style(
    sets: Sets, recipe: DiscriminatorRecipe, seed: int, compute: Compute, advance: Advance
) -> LogRatios:
    """Log ratios of the images as they are, or with their style matched, or of random styles."""
    if recipe.style != "as_is":
        population, examples = match_style(sets.population, sets.examples)
        sets = replace(sets, population=population, examples=examples)
    if recipe.style == "augmented":
        recipe = in_every_style(recipe)
    return cross_fitted_log_ratios(sets, recipe, seed, compute, advance)


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

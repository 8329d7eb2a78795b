"""Stage 3: sampling weights of one arm, and what they do to each group."""

import warnings
from collections.abc import Collection
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd

from debias.density import seeded, sized
from debias.errors import ConfigError, WeightError
from debias.pipeline.discriminator import (
    load_log_ratios,
    make_elsewhere_scores,
    make_group_ratio,
    make_reference_ratio,
)
from debias.pipeline.faces import SPLIT
from debias.pipeline.fairness import small_training_groups, without
from debias.pipeline.job import Run
from debias.pipeline.representation import encode_store
from debias.pipeline.step import Shown, Step, Work, load_weights, named, weights_files
from debias.plugins import dump
from debias.seeding import stream_seed
from debias.statistics.groupings import CROSS
from debias.storage.artifacts import Artifact, Files, load_array, load_faces, load_latents
from debias.tracking.tracker import Tracker
from debias.types import BASELINE, FaceStore, Latents
from debias.weighting.rule import Context, Foreign, Found, Given, Ratio, Reference
from debias.weighting.weights import SamplingWeights, in_an_epoch

STAGE = "weights"
STEADY = 1000  # effective images below which the report says what that means


def make_arm(
    run: Run,
    arm: str,
    faces: Artifact,
    representation: Artifact | None = None,
    reference: Artifact | None = None,
    elsewhere: Artifact | None = None,
) -> Artifact | str:
    """Weights of one arm; those that cannot be used cost their arm and not the run.

    Returns:
        The weights, or why there are none.
    """
    try:
        return make_weights(run, arm, faces, representation, reference, elsewhere)
    except WeightError as error:
        run.progress.note(f"Arm {arm!r} is left out: {error}.")
        return str(error)


def make_weights(
    run: Run,
    arm: str,
    faces: Artifact,
    representation: Artifact | None = None,
    reference: Artifact | None = None,
    elsewhere: Artifact | None = None,
) -> Artifact:
    """What the rule of the arm asks for, networks of its own included, and its weights of it.

    Raises:
        WeightError: Weights cannot be built, or rest on too few samples.
    """
    others = {"representation": representation, "reference": reference, "elsewhere": elsewhere}
    target = run.config.drawn(arm).score(_context(run, faces, **others))
    step = Step(
        STAGE,
        settings=lambda work: _settings(work, target),
        build=lambda work, _: _build(work, target),
        tell=_tell,
        shown=lambda work: Shown(f"weights {work.arm}", tags={"arm": work.arm}),
        keyed=lambda work: {"faces": work.inputs["faces"].key, **target.inputs},
    )
    return step.make(run, arm, faces=faces, **others)


def _settings(work: Work[Run], target: Given) -> dict[str, Any]:
    config = work.job.config
    settings = {"rule": dump(config.drawn(work.arm)), **target.settings}
    return settings | {"attributes": config.attributes, "seed": config.seed}


def _build(work: Work[Run], target: Given) -> Files:
    run, rule = work.job, work.job.config.drawn(work.arm)
    advance = work.start(1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        table, about = target.table()
        weights = rule.weights(table)
    weights = replace(weights, origin={"rule": rule.name, **weights.origin})
    figures = _figures(run, work.faces, weights) | about
    figures["warnings"] = [str(warning.message) for warning in caught] + _unsteady(weights)
    figures["uses_groups"] = _uses_groups(run, rule.needs)
    advance(f"effective sample size {weights.ess:.0%}")
    return {**weights_files(weights), "figures.json": figures}


def _uses_groups(run: Run, needs: Collection[str]) -> bool:
    """Whether annotated groups decide, as such or through what the representation is told."""
    told = run.config.representation.model.uses_groups(run.config.label)
    return "groups" in needs or (told and bool({"density", "reference", "latents"} & {*needs}))


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


def _tell(work: Work[Run], artifact: Artifact, tracker: Tracker) -> None:
    run, faces, arm = work.job, work.faces, work.arm
    figures = artifact.read_json("figures.json")
    tracker.params({"arm": arm, "weighting": dump(run.config.drawn(arm))})
    if "density" in run.config.drawn(arm).needs:
        tracker.params({"density": dump(run.config.density)})
    if found := figures.get("elsewhere"):
        shares = {name: one["share"] for name, one in found["shares"].items()}
        tracker.params({"discriminator": dump(run.config.discriminator)})
        tracker.metrics(named("estimated_share", shares))
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


def _context(
    run: Run,
    faces: Artifact,
    representation: Artifact | None,
    reference: Artifact | None,
    elsewhere: Artifact | None,
) -> Context:
    """The training faces, and what is made of them when a rule asks for it."""
    store = load_faces(faces)

    def placed() -> Artifact:
        assert representation is not None  # unless the rule said that it is blind
        return representation

    def asked() -> Artifact:
        if reference is None:
            raise ConfigError("an arm aims at a reference, but 'reference' names no data set")
        return reference

    def wanted() -> Reference:
        others = load_faces(asked())
        rows = others.rows(SPLIT)
        return Reference(others, lambda: encode_store(run, placed(), others, rows))

    def foreign() -> Found[Foreign]:
        recipe = run.config.elsewhere
        if recipe is None or elsewhere is None:
            raise ConfigError("an arm asks for groups elsewhere, but 'elsewhere' names no data set")
        found = make_elsewhere_scores(run, recipe.groups, faces=faces, elsewhere=elsewhere)
        figures = found.read_json("figures.json")
        return Found(found.key, lambda: Foreign(load_array(found, "even"), figures))

    return Context(
        faces=store,
        seed=run.config.seed,
        density=sized(seeded(run.config.density, run.config.seed), len(store.rows("train"))),
        latents=Found(
            representation.key if representation else "", lambda: _latents(placed(), store)
        ),
        reference=lambda: Found(asked().key, wanted),
        reference_ratio=lambda: _ratio(make_reference_ratio(run, faces=faces, reference=asked())),
        group_ratio=lambda groups: _ratio(make_group_ratio(run, groups, faces)),
        elsewhere=foreign,
    )


def _ratio(found: Artifact) -> Found[Ratio]:
    def load() -> Ratio:
        return Ratio(load_log_ratios(found).population, found.read_json("figures.json"))

    return Found(found.key, load)


def _latents(representation: Artifact, faces: FaceStore) -> Latents:
    found = load_latents(representation)
    if not np.array_equal(found.sample_ids, faces.ids(faces.rows("train"))):
        raise ValueError("latents and training faces are not of the same samples")
    return found

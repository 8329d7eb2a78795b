"""What the rule of an arm is told about the training faces: rarity, log ratio, or groups."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Shaped

from debias import density, metrics
from debias.density import DensityEstimator, MixtureDensity, RatioDensity
from debias.density.descriptors import DESCRIPTORS, describe
from debias.errors import ConfigError
from debias.pipeline.discriminator import (
    annotated,
    build_group_ratio,
    build_reference_ratio,
    load_log_ratios,
)
from debias.pipeline.faces import SPLIT
from debias.pipeline.job import Run
from debias.pipeline.representation import encode_store
from debias.plugins import dump
from debias.statistics.groupings import UNKNOWN
from debias.storage.artifacts import Artifact, load_faces, load_latents
from debias.types import FaceStore, Latents, Rarity, TrainingTable
from debias.weighting import GroupBalance, LatentRarity, ReferenceRatio, Weighting
from debias.weighting.membership import calibrated_membership, cross_fitted_membership

Table = tuple[TrainingTable, dict[str, Any]]


@dataclass(frozen=True)
class Inputs:
    """Finished artifacts that a target may be estimated from."""

    faces: Artifact
    latents: Artifact
    reference: Artifact | None


@dataclass(frozen=True)
class Given:
    """What a rule is given, not computed before it is asked for.

    Attributes:
        table: Makes the table, and plain values about how it came about.
        settings: What the table depends on beside the rule.
        inputs: Content keys of the artifacts that it depends on, beside the faces.
    """

    table: Callable[[], Table]
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)


def score_of(run: Run, rule: Weighting, inputs: Inputs) -> Given:
    """What the rule needs, by its kind."""
    faces = load_faces(inputs.faces)
    if isinstance(rule, LatentRarity):
        return _rarity(run, rule, inputs, faces)
    if isinstance(rule, ReferenceRatio):
        on = {"images": _ratio_on_images, "latents": _ratio_on_latents}
        return on.get(rule.estimate_on, _ratio_of_densities)(run, rule, inputs, faces)
    if isinstance(rule, GroupBalance):
        return _groups(run, rule, inputs, faces)
    return Given(table=lambda: (_table(faces), {}))


def crossed(faces: FaceStore, columns: tuple[str, ...] = ()) -> Shaped[np.ndarray, " n"]:
    """Group of every training face: its attribute values, crossed; empty where one is unknown."""
    groups = faces.groups(faces.rows("train"))
    groups = groups[list(columns or groups.columns)]
    if groups.empty:
        return np.full(len(groups), "all")
    text = groups.agg(metrics.CROSS.join, axis=1).to_numpy(dtype=str)
    return np.where((groups == UNKNOWN).any(axis=1), "", text)


def _estimator(run: Run) -> DensityEstimator:
    """The recipe's density; one that draws at random does so by the seed of the run."""
    chosen = run.config.density
    if not isinstance(chosen, MixtureDensity | RatioDensity) or "seed" in chosen.model_fields_set:
        return chosen
    return chosen.model_copy(update={"seed": run.config.seed})


def _table(faces: FaceStore, **known: Any) -> TrainingTable:  # noqa: ANN401 (fields of the table)
    rows = faces.rows("train")
    return TrainingTable(sample_ids=faces.ids(rows), labels=faces.labels(rows), **known)


def _scored(faces: FaceStore, rarity: Rarity) -> Table:
    return _table(faces, score=rarity.score), dict(rarity.about)


def _latents(inputs: Inputs, faces: FaceStore) -> Latents:
    found = load_latents(inputs.latents)
    if not np.array_equal(found.sample_ids, faces.ids(faces.rows("train"))):
        raise ValueError("latents and training faces are not of the same samples")
    return found


def _rarity(run: Run, rule: LatentRarity, inputs: Inputs, faces: FaceStore) -> Given:
    estimator = _estimator(run)

    def table() -> Table:
        labels = faces.labels(faces.rows("train"))
        found: dict[str, Rarity] = {
            view: density.rarity(
                estimator,
                _view(view, inputs, faces),
                labels,
                alpha=rule.alpha,
                combine=rule.combine,
                across=rule.across,
            )
            for view in rule.views
        }
        return _scored(faces, density.combined(found, labels, rule.across))

    return Given(table, {"density": dump(estimator)}, {"latents": inputs.latents.key})


def _view(view: str, inputs: Inputs, faces: FaceStore) -> Latents:
    """Where the training faces lie, in the latent space or in a plain description of the image."""
    if view == "latents":
        return _latents(inputs, faces)
    rows = faces.rows("train")
    return Latents(sample_ids=faces.ids(rows), mean=describe(view, faces.images, rows))


def _reference(inputs: Inputs) -> Artifact:
    if inputs.reference is None:
        raise ConfigError("an arm aims at a reference, but 'reference' names no data set")
    return inputs.reference


def _ratio_on_images(run: Run, rule: ReferenceRatio, inputs: Inputs, faces: FaceStore) -> Given:
    found = build_reference_ratio(run, inputs.faces, _reference(inputs))

    def table() -> Table:
        """Networks and plain descriptors err differently: the mean of both ranks better."""
        networks = load_log_ratios(found).population[:, 0]
        wanted = load_faces(_reference(inputs))
        plain = density.log_ratio(
            RatioDensity(seed=run.config.seed),
            _described(faces, "train"),
            _described(wanted, SPLIT),
            faces.labels(faces.rows("train")),
            alpha=rule.alpha,
        )
        score = (networks + plain.score) / 2
        return _table(faces, score=score), {"ratio": found.read_json("figures.json")}

    return Given(table, {"descriptors": list(DESCRIPTORS)}, {"ratio": found.key})


def _described(faces: FaceStore, split: str) -> Latents:
    """Every plain descriptor of the faces of one split, side by side."""
    rows = faces.rows(split)
    parts = [describe(name, faces.images, rows) for name in DESCRIPTORS]
    return Latents(sample_ids=faces.ids(rows), mean=np.concatenate(parts, axis=1))


def _ratio_on_latents(run: Run, rule: ReferenceRatio, inputs: Inputs, faces: FaceStore) -> Given:
    own = _estimator(run)
    ratio = own if isinstance(own, RatioDensity) else RatioDensity(seed=run.config.seed)
    return _between_latents(run, rule, inputs, faces, ratio)


def _ratio_of_densities(run: Run, rule: ReferenceRatio, inputs: Inputs, faces: FaceStore) -> Given:
    return _between_latents(run, rule, inputs, faces, _estimator(run))


def _between_latents(
    run: Run,
    rule: ReferenceRatio,
    inputs: Inputs,
    faces: FaceStore,
    estimator: DensityEstimator,
) -> Given:
    reference = _reference(inputs)

    def table() -> Table:
        wanted = load_faces(reference)
        found = density.log_ratio(
            estimator,
            _latents(inputs, faces),
            encode_store(run, inputs.latents, wanted, wanted.rows(SPLIT)),
            faces.labels(faces.rows("train")),
            alpha=rule.alpha,
            across=rule.across,
        )
        return _scored(faces, found)

    keys = {"latents": inputs.latents.key, "reference": reference.key}
    return Given(table, {"density": dump(estimator)}, keys)


def _groups(run: Run, rule: GroupBalance, inputs: Inputs, faces: FaceStore) -> Given:
    if not faces.attributes:
        return Given(table=lambda: (_table(faces), {}))  # the rule says what is missing
    groups = annotated(run, crossed(faces, rule.by), rule.annotated_per_group)
    about = {"annotated": int((groups != "").sum()), "estimated": bool((groups == "").any())}
    if (groups != "").all():
        return Given(table=lambda: (_table(faces, groups=groups), about))
    labels = faces.labels(faces.rows("train"))
    if rule.estimate_on == "images":
        ratio = build_group_ratio(run, inputs.faces, groups)

        def on_images() -> Table:
            member = calibrated_membership(load_log_ratios(ratio).population, groups, labels)
            return _table(faces, groups=groups, membership=member), about

        return Given(on_images, inputs={"ratio": ratio.key})

    def on_latents() -> Table:
        mean = _latents(inputs, faces).mean
        member = cross_fitted_membership(mean, groups, labels, seed=run.config.seed)
        return _table(faces, groups=groups, membership=member), about

    return Given(on_latents, inputs={"latents": inputs.latents.key})

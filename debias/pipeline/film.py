"""Weights that follow the latents of a classifier in training, and what they were by epoch."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn, TypedDict

import numpy as np
from jaxtyping import Int64

from debias.density import seeded
from debias.errors import ConfigError
from debias.pipeline.job import Run
from debias.pipeline.step import HISTORY
from debias.report.documents import EpochOfWeights
from debias.storage.artifacts import Artifact
from debias.types import FaceStore, Latents
from debias.weighting.rule import Context, Found
from debias.weighting.weights import SamplingWeights

WANTED = 12  # images of each epoch that are named


class Frame(TypedDict):
    """The draws of one epoch of one training."""

    ess: float
    share_by_group: dict[str, float]
    wanted: list[str]  # ids, the most drawn first
    warnings: list[str]


def frame(weights: SamplingWeights, faces: FaceStore, warnings: Sequence[str] = ()) -> Frame:
    """How even the draws are, who gets them, and which images come up most; no ids if all do."""
    groups = faces.groups(faces.rows("train"))
    shares = {
        f"{column}:{value}": float(weights.probability[values == value].sum())
        for column, values in groups.items()
        for value in sorted(set(values))
    }
    order = np.argsort(-weights.probability, kind="stable")[:WANTED]
    even = np.ptp(weights.probability) < 1e-12
    wanted = [] if even else weights.sample_ids[order].tolist()
    return {
        "ess": weights.ess, "share_by_group": shares, "wanted": wanted, "warnings": [*warnings]
    }  # fmt: skip


def weigh(
    run: Run, arm: str, faces: FaceStore, rows: Int64[np.ndarray, " m"], latents: Latents
) -> SamplingWeights:
    """What the rule of an arm makes of the latents of these training images, and of no others.

    Raises:
        WeightError: The weights cannot be built, or rest on too few samples.
    """
    split = faces.samples["split"].to_numpy(dtype=str)
    aside = np.where(split == "train", "aside", split)
    aside[rows] = "train"
    context = Context(
        faces=replace(faces, samples=faces.samples.assign(split=aside)),
        seed=run.config.seed,
        density=seeded(run.config.density, run.config.seed),
        latents=Found("", lambda: latents),
        reference=_none,
        reference_ratio=_none,
        group_ratio=_none,
        elsewhere=_none,
    )
    rule = run.config.arms[arm]
    return rule.weights(rule.score(context).table()[0])


def _none(*_: object) -> NoReturn:
    raise ConfigError("weights of the latents of a training know no other data set and no group")


def film(artifacts: Sequence[Artifact], hidden: frozenset[str]) -> list[EpochOfWeights]:
    """Means over the trainings of an arm, without ``hidden`` groups; empty where weights stay."""
    films = [_frames(one) for one in artifacts]
    return [
        {
            "ess": float(np.mean([one["ess"] for one in frames])),
            "share_by_group": {
                group: float(np.mean([one["share_by_group"][group] for one in frames]))
                for group in frames[0]["share_by_group"]
                if group not in hidden
            },
        }
        for frames in zip(*films, strict=True)
    ]


def wanted(artifact: Artifact) -> list[list[str]]:
    """Ids of the images drawn most in each epoch; none where all are drawn alike."""
    return [one["wanted"] for one in _frames(artifact)]


def warned(artifact: Artifact) -> list[str]:
    frames = enumerate(_frames(artifact), start=1)
    return [f"Epoch {epoch}: {said}" for epoch, one in frames for said in one["warnings"]]


def _frames(artifact: Artifact) -> list[Frame]:
    found: list[Frame] = artifact.read_json(HISTORY).get("film", [])
    return found

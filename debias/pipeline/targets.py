"""What the rule of an arm may ask about the training faces of a run."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Shaped

from debias.density import seeded
from debias.errors import ConfigError
from debias.pipeline.discriminator import load_log_ratios, make_group_ratio, make_reference_ratio
from debias.pipeline.faces import SPLIT
from debias.pipeline.job import Run
from debias.pipeline.representation import encode_store
from debias.storage.artifacts import Artifact, load_faces, load_latents
from debias.types import FaceStore, Latents
from debias.weighting import Weighting
from debias.weighting.rule import Context, Found, Given, Ratio, Reference


@dataclass(frozen=True)
class Inputs:
    """Finished artifacts that a target may be estimated from."""

    faces: Artifact
    latents: Artifact
    reference: Artifact | None


def score_of(run: Run, rule: Weighting, inputs: Inputs) -> Given:
    """What the rule needs, as it says itself."""
    return rule.score(context_of(run, inputs))


def context_of(run: Run, inputs: Inputs) -> Context:
    """The training faces, and what is made of them when a rule asks for it."""
    faces = load_faces(inputs.faces)

    def reference() -> Artifact:
        if inputs.reference is None:
            raise ConfigError("an arm aims at a reference, but 'reference' names no data set")
        return inputs.reference

    def wanted() -> Reference:
        store = load_faces(reference())
        rows = store.rows(SPLIT)
        return Reference(store, lambda: encode_store(run, inputs.latents, store, rows))

    def of_groups(groups: Shaped[np.ndarray, " n"]) -> Found[Ratio]:
        return _ratio(make_group_ratio(run, groups, inputs.faces))

    return Context(
        faces=faces,
        seed=run.config.seed,
        density=seeded(run.config.density, run.config.seed),
        latents=Found(inputs.latents.key, lambda: _latents(inputs, faces)),
        reference=lambda: Found(reference().key, wanted),
        reference_ratio=lambda: _ratio(
            make_reference_ratio(run, faces=inputs.faces, reference=reference())
        ),
        group_ratio=of_groups,
    )


def _ratio(found: Artifact) -> Found[Ratio]:
    def load() -> Ratio:
        return Ratio(load_log_ratios(found).population, found.read_json("figures.json"))

    return Found(found.key, load)


def _latents(inputs: Inputs, faces: FaceStore) -> Latents:
    found = load_latents(inputs.latents)
    if not np.array_equal(found.sample_ids, faces.ids(faces.rows("train"))):
        raise ValueError("latents and training faces are not of the same samples")
    return found

"""The whole job, one stage after another."""

from typing import Any

from debias.pipeline.classifier import build_classifier
from debias.pipeline.comparison import build_report
from debias.pipeline.faces import build_faces, build_reference
from debias.pipeline.parts import Stages
from debias.pipeline.representation import build_representation
from debias.pipeline.step import Run
from debias.pipeline.weights import build_arm, usable


def mitigate(run: Run) -> dict[str, Any]:
    """Faces, latent space, reference, weights, classifiers of every arm and seed, report.

    Returns:
        The document that ``report.json`` holds.
    """
    faces = build_faces(run)
    reference = build_reference(run, faces)  # first: it can fail, and takes seconds
    latents = build_representation(run, faces)
    arms = {arm: build_arm(run, faces, latents, reference, arm) for arm in run.config.arms}
    weights, refused = usable(arms)
    classifiers = {
        arm: [build_classifier(run, faces, found, arm, seed) for seed in range(run.config.seeds)]
        for arm, found in weights.items()
    }
    return build_report(run, Stages(faces, latents, reference, weights, classifiers, refused))

"""The whole job, one stage after another."""

from typing import Any

from debias.stages.classifier import build_classifier
from debias.stages.faces import build_faces
from debias.stages.parts import Stages
from debias.stages.reference import build_reference
from debias.stages.report import build_report
from debias.stages.representation import build_representation
from debias.stages.run import Run
from debias.stages.weights import build_arm, usable


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

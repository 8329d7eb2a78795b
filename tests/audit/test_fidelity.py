import numpy as np
import pytest

from debias.auditing import words as wording
from debias.auditing.audit_report import of_fidelity
from debias.auditing.fidelity import Encoded, fidelity
from debias.datasets.synthetic import SyntheticFaces, render

SIDE = 32


@pytest.fixture(scope="module")
def faces():
    """Held-out and training faces, each at its own place: the pixels themselves."""
    pictures = render(SyntheticFaces(n_train=160).collect(0).samples.iloc[:160], SIDE)
    points = pictures.reshape(160, -1).astype(np.float32)
    held_out = Encoded(images=pictures[:60], latents=points[:60])
    return held_out, Encoded(images=pictures[60:], latents=points[60:])


def test_what_is_kept_whole_is_explained_whole(faces):
    held_out, training = faces
    found = fidelity(held_out, held_out.images, training)
    assert (found["explained"], found["explained_detail"]) == (1.0, 1.0)
    assert found["neighbours_kept"] == pytest.approx(1.0)
    assert found["neighbours_by_chance"] == pytest.approx(0.1)
    assert found["verdict"] == "tells_apart"


def test_the_mean_image_explains_nothing(faces):
    held_out, training = faces
    mean = np.round(training.images.mean(axis=0)).astype(np.uint8)
    found = fidelity(held_out, np.broadcast_to(mean, held_out.images.shape), training)
    assert found["explained"] == pytest.approx(0, abs=0.01)
    assert found["explained_detail"] == pytest.approx(0, abs=0.02)
    assert found["verdict"] == "blurred"


def test_light_alone_does_not_tell_faces_apart(faces):
    held_out, training = faces
    mean = training.images.mean(axis=0)
    light = (held_out.images - mean).mean(axis=(1, 2), keepdims=True)
    drawn = np.clip(np.round(mean + light), 0, 255).astype(np.uint8)
    found = fidelity(held_out, drawn, training)
    assert found["explained"] > 0.15
    assert found["explained_detail"] < 0.05
    assert found["verdict"] == "blurred"


def test_latents_at_random_keep_neighbours_by_chance(faces):
    held_out, _ = faces
    generator = np.random.default_rng(0)
    lost = [
        Encoded(images=one.images, latents=generator.standard_normal((len(one.images), 4)))
        for one in faces
    ]
    found = fidelity(lost[0], held_out.images, lost[1])
    assert found["neighbours_kept"] == pytest.approx(found["neighbours_by_chance"], abs=0.05)


def test_where_no_dimension_is_active_chance_decides_who_is_near(faces):
    nowhere = [Encoded(images=one.images, latents=one.latents[:, :0]) for one in faces]
    found = fidelity(nowhere[0], faces[0].images, nowhere[1])
    assert found["neighbours_kept"] == found["neighbours_by_chance"] == pytest.approx(0.1)


def test_of_few_or_equal_images_nothing_is_said(faces):
    held_out, training = faces
    few = Encoded(images=held_out.images[:5], latents=held_out.latents[:5])
    assert fidelity(few, few.images, training)["verdict"] == "too_few"
    flat = Encoded(images=np.zeros_like(held_out.images), latents=held_out.latents)
    black = Encoded(images=np.zeros_like(training.images), latents=training.latents)
    found = fidelity(flat, flat.images, black)
    assert (found["explained"], found["verdict"]) == (None, "too_few")


def test_what_draws_one_face_for_everybody_is_the_first_verdict(faces):
    held_out, training = faces
    mean = np.broadcast_to(training.images.mean(axis=0).astype(np.uint8), held_out.images.shape)
    section = of_fidelity(fidelity(held_out, mean, training) | {"epochs": 4, "advised": 12})
    document = dict.fromkeys(("reference", "drift", "groups"))
    document["regions"] = {"verdict": "none", "list": [], "sentence": "None.", "action": None}
    document["coverage"] = {"sentence": "Even.", "action": None}
    found = wording.verdicts(document | {"fidelity": section})
    assert found[0]["kind"] == "fidelity"
    assert "nearly the same face" in found[0]["sentence"]
    assert "--set representation.training.epochs=12 (now 4)" in found[0]["action"]
    unmeasured = wording.verdicts(document | {"fidelity": None})
    assert unmeasured[0]["kind"] == "undeclared"

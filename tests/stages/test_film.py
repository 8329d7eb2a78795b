"""A DB-VAE in a run: its weights are made anew before every epoch, and the report says so."""

import json

import numpy as np
import pytest
from documents import misfits
from recording_tracking import RecordingTracking
from safetensors.numpy import load_file

from debias.errors import ConfigError, WeightDegeneracyError
from debias.models.db_vae import DBVAENetwork
from debias.pipeline import mitigate, open_run
from debias.pipeline.classifier import CLASSIFIER
from debias.pipeline.faces import make_faces
from debias.pipeline.film import film, warned
from debias.pipeline.recipe import RunConfig, load
from debias.pipeline.representation import REPRESENTATION
from debias.pipeline.weights import make_arm
from debias.report.documents import Weights
from debias.storage.artifacts import Artifact, load_faces

EPOCHS, BATCH = 3, 8
SETTINGS = [
    "image_size=32", "seeds=1", "data.n_train=160", "data.n_validation=40", "data.n_test=80",
    "data.population.dark_share=0.2", "density={name: histogram, components: 2}",
    "representation={model: {name: pca}}", "arms={uniform: uniform}",
    f"classifier.training={{epochs: {EPOCHS}, batch_size: {BATCH}, learning_rate: 0.003}}",
    "device=cpu", "precision=float32",
]  # fmt: skip
JOINT = [
    "objectives={db_vae: {name: db_vae, latent_dim: 3, width: 4, hidden: 16, c2: 0.01, c3: 0}}"
]


def run_of(folder, *more, tracking=None):
    run = open_run(load(RunConfig, None, [*SETTINGS, *JOINT, *more]), folder)
    return run.with_tracking(tracking) if tracking else run


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run, and what the network was shown: in training, and between the epochs."""
    folder, tracking, seen = tmp_path_factory.mktemp("film"), RecordingTracking(), []
    read = DBVAENetwork._read

    def recorded(network, images):
        seen.append((network.training, images.detach()))
        return read(network, images)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DBVAENetwork, "_read", recorded)
        document = mitigate(run_of(folder, tracking=tracking))
    return folder, document, tracking, seen


def artifact_of(folder, document):
    (key,) = document["run"]["artifacts"]["classifiers"]["db_vae"]
    return Artifact("classifier", key, folder / "classifier" / key)


def test_every_epoch_but_the_first_draws_positives_by_their_latents(finished):
    folder, document, _, _ = finished
    frames = artifact_of(folder, document).read_json("history.json")["film"]
    assert len(frames) == EPOCHS
    assert frames[0]["ess"] == pytest.approx(1)
    assert frames[0]["wanted"] == []
    key = document["run"]["artifacts"]["faces"]
    faces = load_faces(Artifact("faces", key, folder / "faces" / key))
    rows = faces.rows("train")
    ids, labels = faces.ids(rows), faces.labels(rows)
    # Half the weight lies evenly on the negatives, half on as many positives as half of them.
    positives = labels.mean()
    expected = 1 / ((1 - positives) + positives / 0.5)
    shares = {frame["share_by_group"]["skin_tone_group:dark"] for frame in frames}
    assert len(shares) == EPOCHS
    for frame in frames[1:]:
        assert frame["ess"] == pytest.approx(expected, rel=0.01)
        assert sum(frame["share_by_group"].values()) == pytest.approx(1)
        assert len(set(frame["wanted"])) == 12
        assert set(frame["wanted"]) <= set(ids[labels == 1])


def test_the_network_trains_in_training_mode_and_sees_one_kind_of_image(finished):
    """Re-weighting that leaves the model in evaluation mode, or shows it other intensities."""
    folder, document, _, seen = finished
    values = load_file(artifact_of(folder, document).path / "network.safetensors")
    counted = values["encoder.1.num_batches_tracked"]  # evaluation mode would count no batch
    assert counted == EPOCHS * (160 // BATCH)
    training = [images for mode, images in seen if mode]
    others = [images for mode, images in seen if not mode]
    assert len(training) == counted
    colours = [mean_colour(images) for images in (training, others)]
    assert all(0.02 < channel < 0.98 for colour in colours for channel in colour)
    np.testing.assert_allclose(*colours, atol=0.05)  # intensities and the order of the channels
    assert np.ptp(colours[0]) > 0.06  # which would be seen


def mean_colour(batches):
    return np.concatenate([images.numpy() for images in batches]).mean(axis=(0, 2, 3))


def test_the_report_says_what_it_did(finished):
    folder, document, tracking, _ = finished
    weights = document["weights"]["db_vae"]
    assert misfits(weights, Weights) == []
    assert weights["rule"] == "uniform"  # of the first epoch
    assert weights["objective"] == "db_vae"
    assert weights["group_labels"] == "no"
    frames = artifact_of(folder, document).read_json("history.json")["film"]
    assert [epoch["ess"] for epoch in weights["by_epoch"]] == [frame["ess"] for frame in frames]
    page = (folder / "report.html").read_text()
    assert "weighed anew before every epoch but the first" in page
    assert "in multiples of its share of the images" in page
    assert page.count("The training images drawn most in epoch") == EPOCHS - 1
    assert "weights that it makes anew every epoch" in page
    (told,) = [
        one
        for one in tracking.runs.values()
        if (one.logged_tags["debias.stage"], one.logged_tags.get("debias.arm"))
        == ("classifier", "db_vae")
    ]
    logged = [(step, value) for name, value, step in told.logged_metrics if name == "weights/ess"]
    assert logged == [(step, frame["ess"]) for step, frame in enumerate(frames)]
    assert "weights_by_epoch" in told.logged_tables
    assert told.logged_models == ["classifier"]
    assert json.loads((folder / "report.json").read_text())["weights"]["db_vae"] == weights


def trained(folder, *more):
    """The classifier of the arm, without a report."""
    run = run_of(folder, *more)
    faces = make_faces(run)
    places = REPRESENTATION.make(run, faces=faces)
    weights = make_arm(run, "db_vae", faces=faces, representation=places)
    return CLASSIFIER.make(run, "db_vae", "0", faces=faces, weights=weights)


def test_weights_that_cannot_be_used_name_their_epoch(tmp_path):
    few = "arms={db_vae: {name: latent_rarity, ess: 0.02}}"
    with pytest.raises(
        WeightDegeneracyError, match="arm 'db_vae', weights of epoch 2: the weights rest"
    ):
        trained(tmp_path, few)


def test_while_no_latent_varies_every_image_is_drawn_equally_often(tmp_path):
    made = trained(tmp_path, "objectives.db_vae.c2=0", "objectives.db_vae.c3=100")
    assert [epoch["ess"] for epoch in film([made], frozenset())] == [pytest.approx(1)] * EPOCHS
    said = "no latent dimension varied, so every image was drawn equally often"
    assert warned(made) == [f"Epoch {epoch}: {said}" for epoch in (2, 3)]


def test_weightings_that_need_more_than_latents_are_refused_with_the_recipe(tmp_path):
    with pytest.raises(ConfigError, match="'group_balance' asks for groups: name a"):
        run_of(tmp_path, "arms={db_vae: group_balance}")

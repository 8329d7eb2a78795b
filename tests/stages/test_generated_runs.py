"""An arm whose training set is filled with generated images, from the recipe to the page."""

import re

import numpy as np
import pandas as pd
import pytest
import torch
from recording_tracking import RecordingTracking
from test_mitigate import small_run
from torch import nn

from debias.errors import ConfigError
from debias.models import galleries
from debias.pipeline import mitigate
from debias.pipeline.generated import enlarged, families, table_of
from debias.pipeline.legible import legible
from debias.pipeline.purging.removal import purge
from debias.pipeline.recipe import RunConfig, load
from debias.pipeline.representation import load_representation
from debias.pipeline.step import Work, load_predictions, load_weights
from debias.pipeline.task import ClassifierTask, built
from debias.storage.artifacts import Artifact, load_faces, load_latents, load_network
from debias.tracking.tracker import Tracker
from debias.training.objectives.erm import ERM

ARMS = "arms={uniform: uniform, new: {name: generated, share: 0.4, allow_degenerate: true}}"
MODEL = "representation.model"


def part(folder, document, stage):
    made = document["run"]["artifacts"][stage]
    key = made["new"] if isinstance(made, dict) else made
    return Artifact(stage, key, folder / stage / key)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder, tracking = tmp_path_factory.mktemp("generated"), RecordingTracking()
    run, _ = small_run(folder, ARMS, "seeds=1", tracking=tracking)
    return folder, mitigate(run), run, tracking


@pytest.fixture(scope="module")
def parts(finished):
    """The generated images, faces and latents."""
    folder, document, _, _ = finished
    return [part(folder, document, stage) for stage in ("generated", "faces", "representation")]


def test_every_generated_image_is_marked_and_knows_its_parents(finished, parts):
    made, faces = table_of(parts[0]), load_faces(parts[1])
    assert len(made) == 160  # beside 240 real ones
    assert made["generated"].all()
    assert set(made["sample_id"]).isdisjoint(faces.samples["sample_id"])
    assert made["sample_id"].is_unique
    train = faces.samples[faces.samples["split"] == "train"].set_index("sample_id")
    for parent in ("parent_id", "neighbour_id"):
        labels = train["label"].loc[made[parent]].to_numpy()
        np.testing.assert_array_equal(labels, made["label"])
    assert (made["parent_id"] != made["neighbour_id"]).all()
    keys = parts[0].about["inputs"].values()
    assert {parts[1].key, parts[2].key} <= set(keys)


def test_an_image_is_what_lies_between_its_parents(finished, parts):
    _, _, run, _ = finished
    made, latents = table_of(parts[0]), load_latents(parts[2])
    rows = pd.Index(latents.sample_ids)
    start, end = (
        latents.mean[rows.get_indexer(made[name])] for name in ("parent_id", "neighbour_id")
    )
    places = start + made["position"].to_numpy()[:, None] * (end - start)
    images = galleries.decode(load_representation(run, parts[2]), places, run.compute)
    kept = np.load(parts[0].path / "images.npy")
    assert kept.shape == (160, 32, 32, 3)
    assert np.abs(kept.astype(int) - images).max() <= 1
    shown = families(parts[0], load_faces(parts[1]), 5)
    np.testing.assert_array_equal(shown[1], kept[:5])


def test_they_join_the_training_of_their_arm_and_nothing_else(finished, parts):
    folder, document, run, _ = finished
    faces = load_faces(parts[1])
    more = enlarged(faces, parts[0])
    for split in ("train", "validation", "test"):
        np.testing.assert_array_equal(more.rows(split), faces.rows(split))
    assert len(more.rows("generated")) == len(more.samples) - len(faces.samples) == 160
    weights = load_weights(part(folder, document, "weights"))
    np.testing.assert_array_equal(weights.sample_ids, faces.ids(faces.rows("train")))
    for key in document["run"]["artifacts"]["classifiers"]["new"]:
        found = load_predictions(Artifact("classifier", key, folder / "classifier" / key))
        np.testing.assert_array_equal(found.sample_ids, faces.ids(faces.rows("test")))
    inputs = {
        "faces": parts[1],
        "generated": parts[0],
        "weights": part(folder, document, "weights"),
    }
    work = Work(run, ("new", "0"), inputs)
    task = ClassifierTask(work, ERM(), Tracker(), lambda *_: None)
    draws = task._draws(None)
    rows = np.concatenate([draws.rows(epoch) for epoch in range(100)])
    assert (rows >= len(faces.samples)).mean() == pytest.approx(0.4, abs=0.02)
    assert set(rows) <= {*more.rows("train"), *more.rows("generated")}


def test_page_and_tracker_say_so(finished):
    folder, document, _, tracking = finished
    made = document["weights"]["new"]["generated"]
    made = dict(made)
    found = made.pop("legible")
    assert made == {"images": 160, "share": 0.4, "neighbours": 5}
    assert (found["low"], found["high"]) == (None, None)  # of a single training
    page = re.sub(r"</?data[^>]*>", "", (folder / "report.html").read_text())
    assert "This arm trains with 160 generated images, 40.0% of its training set" in page
    assert "middle: generated, nobody is shown" in page
    assert f"names that of {found['right']:.1%} of the generated images" in page
    assert "trained with 160 generated images beside the real ones" in page
    tags = [run.logged_tags for run in tracking.runs.values()]
    stages = {
        (one["debias.stage"], one.get("debias.arm")): one.get("debias.generated") for one in tags
    }
    assert stages["generated", "new"] == stages["classifier", "new"] == "true"
    assert stages["classifier", "uniform"] is None


def test_whether_their_class_can_be_read_off_them(finished, parts):
    """By hand: the answers of plain training to the generated images, and to their parents."""
    folder, document, run, _ = finished
    (key,) = document["run"]["artifacts"]["classifiers"]["uniform"]
    trained = Artifact("classifier", key, folder / "classifier" / key)
    network = load_network(trained, built(run.config, "uniform", 2))
    table, faces = table_of(parts[0]), load_faces(parts[1])
    rows = pd.Index(faces.samples["sample_id"]).get_indexer(table["parent_id"])
    for images, kind in ((np.load(parts[0].path / "images.npy"), "right"),
                         (faces.images[rows], "parents")):  # fmt: skip
        pixels = torch.from_numpy(images).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            answers = network(pixels).argmax(1).numpy()
        found = legible(run, faces, parts[0], [trained])
        assert found[kind] == pytest.approx((answers == table["label"]).mean())
    assert legible(run, faces, parts[0], []) is None
    two = legible(run, faces, parts[0], [trained, trained])
    assert (two["right"], two["low"]) == (found["right"], None)  # nothing varies


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ([f"{MODEL}=kmeans"], "'kmeans' draws none: set representation.model to one with a decod"),
        ([f"{MODEL}={{name: embeddings, file: e.npz}}"], "'embeddings' draws none"),
        ([f"{MODEL}=gan"], "set representation.model.encoder to inverted"),
        (["objectives.new=focal"], "which only plain training takes, and objectives.new names"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_recipe(settings, said):
    with pytest.raises(ConfigError, match=said):
        load(RunConfig, None, [ARMS, *settings])


class Blind(nn.Module):
    """Places images, and draws none."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def encode(self, images):
        return self.layer(images.mean(dim=(2, 3)))

    def loss(self, batch):
        return self.encode(batch.image).square().mean()


class Drawing(Blind):
    def decode(self, z):
        return z.sum(dim=1).sigmoid()[:, None, None, None].expand(-1, 3, 32, 32)


@pytest.mark.parametrize("form", [lambda kind: kind, lambda kind: kind()], ids=["class", "object"])
def test_a_module_of_the_users_must_decode(form):
    recipe = {"arms": {"new": "generated"}}
    with pytest.raises(ConfigError, match="'own' draws none"):
        load(RunConfig, {**recipe, "representation": {"model": form(Blind)}})
    kept = load(RunConfig, {**recipe, "representation": {"model": form(Drawing)}})
    assert list(kept.generating) == ["new"]


def test_a_model_that_is_told_something_draws_under_the_first_parents_value(tmp_path):
    told = f"{MODEL}={{name: conditional_vae, condition: smiling, latent_dim: 4, width: 4}}"
    run, _ = small_run(tmp_path, ARMS, told, "seeds=1", "tracking.enabled=false")
    document = mitigate(run)
    made, faces = part(tmp_path, document, "generated"), part(tmp_path, document, "faces")
    network = load_representation(run, part(tmp_path, document, "representation"))
    latents = load_latents(part(tmp_path, document, "representation"))
    table, rows = table_of(made)[:20], pd.Index(latents.sample_ids)
    start, end = (latents.mean[rows.get_indexer(table[name])]
                  for name in ("parent_id", "neighbour_id"))  # fmt: skip
    places = start + table["position"].to_numpy()[:, None] * (end - start)
    told = np.eye(len(load_faces(faces).classes))[table["label"]]
    images = galleries.decode(network, places, run.compute, told)
    kept = np.load(made.path / "images.npy")[:20]
    assert np.abs(kept.astype(int) - images).max() <= 1


def test_who_is_taken_out_takes_what_was_generated_along(finished, parts, tmp_path):
    """Last: it takes the run apart."""
    folder, _, _, _ = finished
    parent = table_of(parts[0])["parent_id"][0]
    result = purge(parent, [folder], sample=True)
    assert result.images == 1
    assert not parts[0].path.exists()
    left = [path for path in folder.rglob("*.parquet") if "generated" in path.name]
    assert left == []
    assert not any(parent.encode() in path.read_bytes() for path in folder.rglob("*.parquet"))

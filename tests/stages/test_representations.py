"""What all representations have in common, and a whole run with each that is not trained here."""

import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
import yaml
from recording_tracking import RecordingTracking

from debias.errors import ConfigError, DataError, QuarantineLimitExceededError
from debias.models import REPRESENTATIONS
from debias.pipeline import examine, mitigate, open_job, open_run
from debias.pipeline.faces import make_faces
from debias.pipeline.recipe import RunConfig, SpaceRecipe, load
from debias.pipeline.representation import REPRESENTATION, encode_store, is_trained
from debias.storage.artifacts import load_faces, load_latents
from debias.types import FaceStore

SPACE = [
    "image_size=28", "data.n_train=160", "data.n_validation=24", "data.n_test=80",
    "data.population.dark_share=0.2",
    "representation.training={epochs: 4, batch_size: 16, learning_rate: 0.003}",
    "density={name: histogram, bins: 8}", "device=cpu", "precision=float32",
]  # fmt: skip
SMALL = [
    *SPACE, "seeds=1",
    "arms={uniform: uniform, latent: {name: latent_rarity, allow_degenerate: true}}",
    "classifier.model={name: conv, width: 4}", "classifier.training={epochs: 1, batch_size: 16}",
]  # fmt: skip


def opened(folder, model, *overrides):
    return open_run(load(RunConfig, None, [*SMALL, as_text(model), *overrides]), folder)


def as_text(model):
    return f"representation.model={yaml.safe_dump(model, default_flow_style=True).strip()}"


class Quarters(torch.nn.Module):
    """Mean intensity of each quarter of the image, by channel: 12 numbers."""

    def forward(self, images):
        return torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)


def trained(name, **settings):
    return lambda folder, faces: {"name": name, **settings}


def as_embeddings(folder, faces):
    """Rows in an order of their own, more of them than are asked for."""
    every = np.random.default_rng(0).permutation(len(faces.samples))
    points = Quarters()(as_tensor(faces, every)).numpy()
    np.savez(folder / "points.npz", ids=faces.ids(every), embeddings=points)
    return {"name": "embeddings", "file": str(folder / "points.npz")}


def as_encoder(folder, faces):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(Quarters(), as_tensor(faces, np.arange(2)))
        torch.jit.save(traced, folder / "quarters.pt")
    return {"name": "encoder", "file": str(folder / "quarters.pt")}


TINY = {"latent_dim": 3, "width": 4, "hidden": 16}
MAKERS = {
    "conv_vae": trained("conv_vae", **TINY),
    "conditional_vae": trained("conditional_vae", **TINY, condition="skin_tone_group", beta=0.05),
    "draw": trained("draw", latent_dim=2, steps=2, hidden=128, beta=0.05),
    "gan": trained("gan", **TINY, encoder="inverted"),
    "vae_gan": trained("vae_gan", **TINY),
    "autoencoder": trained("autoencoder", **TINY),
    "lecture_autoencoder": trained("lecture_autoencoder"),
    "linear_autoencoder": trained("linear_autoencoder", latent_dim=3),
    "pca": trained("pca", latent_dim=3),
    "kmeans": trained("kmeans", clusters=3, passes=2),
    "embeddings": as_embeddings,
    "encoder": as_encoder,
}


def as_tensor(faces, rows):
    pixels = faces.images[np.asarray(rows, dtype=np.int64)].transpose(0, 3, 1, 2)
    return torch.from_numpy(pixels.astype(np.float32) / 255)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A run folder in which the faces are drawn already."""
    folder = tmp_path_factory.mktemp("drawn")
    run = opened(folder, {"name": "conv_vae"})
    return folder, load_faces(make_faces(run))


@pytest.fixture(scope="module", params=REPRESENTATIONS)
def placed(request, drawn, tmp_path_factory):
    """Run, store and finished representation of every kind."""
    source, faces = drawn
    folder = tmp_path_factory.mktemp(request.param)
    shutil.copytree(source, folder / "run")
    model = MAKERS[request.param](folder, faces)
    run = opened(folder / "run", model).with_tracking(RecordingTracking())
    return run, faces, REPRESENTATION.make(run, faces=make_faces(run)), model


class TestRepresentationContract:
    def test_every_training_face_is_placed_once(self, placed):
        _, faces, artifact, _ = placed
        latents = load_latents(artifact)
        np.testing.assert_array_equal(latents.sample_ids, faces.ids(faces.rows("train")))
        assert latents.encoder == artifact.key
        assert latents.mean.dtype.kind == "f"
        figures = artifact.read_json("figures.json")
        assert figures["latent_dim"] == latents.mean.shape[1]
        assert 1 <= figures["active_units"] <= figures["latent_dim"]

    def test_a_store_is_placed_where_its_training_faces_were(self, placed):
        run, faces, artifact, _ = placed
        again = encode_store(run, artifact, faces, faces.rows("train"))
        known = load_latents(artifact)
        np.testing.assert_allclose(again.mean, known.mean, atol=1e-5)
        assert (again.log_var is None) == (known.log_var is None)

    def test_the_order_of_rows_does_not_matter(self, placed):
        run, faces, artifact, _ = placed
        rows = faces.rows("test")
        forward, backward = (
            encode_store(run, artifact, faces, chosen) for chosen in (rows, rows[::-1].copy())
        )
        np.testing.assert_allclose(forward.mean, backward.mean[::-1], atol=1e-5)
        np.testing.assert_array_equal(forward.sample_ids, backward.sample_ids[::-1])

    def test_it_is_found_again_by_content(self, placed, tmp_path):
        run, _, artifact, model = placed
        moved = dict(model)
        if "file" in model:
            moved["file"] = shutil.copy(model["file"], tmp_path)
        again = opened(run.folder.path, moved)
        assert REPRESENTATION.make(again, faces=make_faces(again)).key == artifact.key

    def test_its_settings_survive_a_yaml_file(self, placed):
        run, _, _, model = placed
        settings = run.config.representation.model
        text = yaml.safe_dump(settings.model_dump(mode="json"))
        assert type(settings).model_validate(yaml.safe_load(text)) == settings
        assert settings.name == model["name"]

    def test_the_tracker_hears_what_there_is(self, placed):
        run, _, _, model = placed
        (tracker,) = run.tracking.runs.values()
        assert tracker.logged_params["model"]["name"] == model["name"]
        assert {"representation/latent_dim", "representation/active_units"} <= {
            name for name, _, _ in tracker.logged_metrics
        }
        name = model["name"]
        assert bool(tracker.logged_models) == (is_trained(run) and name != "conditional_vae")
        assert bool(tracker.logged_images) == (is_trained(run) and name != "kmeans")
        assert ("training" in tracker.logged_params) == is_trained(run)


def test_an_encoder_and_its_own_embeddings_agree(drawn, tmp_path):
    """The same network once called and once looked up."""
    source, faces = drawn
    found = []
    for name in ("encoder", "embeddings"):
        shutil.copytree(source, tmp_path / name / "run")
        run = opened(tmp_path / name / "run", MAKERS[name](tmp_path, faces))
        found.append(load_latents(REPRESENTATION.make(run, faces=make_faces(run))))
    np.testing.assert_allclose(found[0].mean, found[1].mean, atol=1e-6)


def second_store(faces: FaceStore, prefix: str) -> FaceStore:
    """The test faces as another collection."""
    rows = faces.rows("test")
    samples = faces.samples.iloc[rows].assign(split="reference")
    train = faces.ids(faces.rows("train"))
    names = train[: len(rows)] if not prefix else np.char.add(prefix, faces.ids(rows))
    images = type(faces.images)([faces.images[rows]])
    return FaceStore(
        images=images, samples=samples.assign(sample_id=names), classes=faces.classes,
        attributes=faces.attributes, label=faces.label,
    )  # fmt: skip


def test_a_second_store_needs_rows_of_its_own(drawn, tmp_path):
    source, faces = drawn
    other = second_store(faces, "other-")
    as_embeddings(tmp_path, faces)
    with np.load(tmp_path / "points.npz") as known:
        ids = np.concatenate([known["ids"], other.samples["sample_id"]]).astype(str)
        more = 5 + np.arange(12 * len(other.samples)).reshape(-1, 12)
        np.savez(
            tmp_path / "both.npz", ids=ids, embeddings=np.concatenate([known["embeddings"], more])
        )
    shutil.copytree(source, tmp_path / "run")
    model = {"name": "embeddings", "file": str(tmp_path / "both.npz")}
    run = opened(tmp_path / "run", model)
    artifact = REPRESENTATION.make(run, faces=make_faces(run))
    rows = other.rows("reference")
    np.testing.assert_array_equal(encode_store(run, artifact, other, rows).mean, more)
    absent, taken = second_store(faces, "absent-"), second_store(faces, "")
    with pytest.raises(DataError, match="no embedding for 80 of 80 samples"):
        encode_store(run, artifact, absent, rows)
    with pytest.raises(DataError, match="80 of 80 faces have the sample_id and the embedding"):
        encode_store(run, artifact, taken, rows)


def test_training_faces_without_an_embedding_are_left_out_and_told_and_many_stop(drawn, tmp_path):
    _, faces = drawn
    names = faces.ids(faces.rows("train"))

    def run_with(count, *overrides):
        frame = pd.DataFrame({"sample_id": names, "x0": np.linspace(0, 1, len(names))})
        frame.loc[1 : count - 1, "x0"] = np.nan  # an empty row is none
        frame[1:].to_csv(tmp_path / "e.csv", index=False)
        model = {"name": "embeddings", "file": str(tmp_path / "e.csv")}
        return opened(tmp_path / "run", model, *overrides)

    run = run_with(2)
    store = make_faces(run)
    latents = load_latents(REPRESENTATION.make(run, faces=store))
    assert latents.sample_ids.tolist() == names[2:].tolist()
    account = store.read_json("account.json")
    assert account["counts"]["listed"] == len(faces.samples)
    assert [(one["reason"], one["count"]) for one in account["reasons"]] == [("no embedding", 2)]
    assert "2 of 264 images are left out: no embedding." in account["remarks"]
    message = r"40 of 264 items were set aside, 15\.2%.*40 no embedding.*e\.csv holds none for it"
    with pytest.raises(QuarantineLimitExceededError, match=message):
        make_faces(run_with(40))
    allowed = make_faces(run_with(40, "ingest.most_rejected=0.16"))
    assert allowed.read_json("account.json")["counts"]["kept"] == 224


@pytest.mark.parametrize("name", ["embeddings", "encoder"])
def test_a_whole_run_without_a_network_of_its_own(drawn, tmp_path, name):
    source, faces = drawn
    shutil.copytree(source, tmp_path / "run")
    model = MAKERS[name](tmp_path, faces)
    document = mitigate(opened(tmp_path / "run", model))
    about = document["representation"]
    file = model["file"].rpartition("/")[2]
    known = {"name": name, "file": file, "latent_dim": 12, "active_units": 12}
    assert about == known | {"trained": False}
    assert document["weights"]["latent"]["ess"] == pytest.approx(0.5, rel=0.01)
    page = (tmp_path / "run" / "report.html").read_text()
    assert f"from <code>{file}</code>" in page
    assert "A model first learned" not in page
    assert "epochs of training" not in page
    assert "What single dimensions mean" not in page
    assert "How the training images spread over each dimension" in page


@pytest.mark.parametrize("name", ["kmeans", "pca", "autoencoder", "conditional_vae"])
def test_a_whole_run_and_an_audit_with_each_kind_that_is_learned(drawn, tmp_path, name):
    """Without a decoder, without a loop, without a posterior, and told a group."""
    source, faces = drawn
    shutil.copytree(source, tmp_path / "run")
    run = opened(tmp_path / "run", MAKERS[name](tmp_path, faces))
    document = mitigate(run)
    about = document["representation"]
    assert about["trained"]
    assert about["latent_dim"] == 3
    loop = name in ("autoencoder", "conditional_vae")
    assert about.get("epochs") == (4 if loop else None)
    told = name == "conditional_vae"
    assert about.get("told") == ("skin_tone_group" if told else None)
    assert document["weights"]["latent"]["uses_groups"] is told
    assert document["weights"]["uniform"]["uses_groups"] is False
    page = (tmp_path / "run" / "report.html").read_text()
    assert ("What single dimensions mean" in page) == (name != "kmeans")
    assert ("of each it was told the skin tone group, and nothing else" in page) == told
    assert ("without being told anything" in page) == (not told)
    small = ["audit.map_method=PCA", "audit.permutations=199", "tracking.enabled=false"]
    recipe = load(SpaceRecipe, None, [*SPACE, *small, as_text(MAKERS[name](tmp_path, faces))])
    audited = examine(open_job(recipe, tmp_path / "audit"))
    assert (audited["latent_pages"] is None) == (name == "kmeans")
    assert (audited["anomalies"] is not None) == told
    pages = [one["name"] for one in (audited["latent_pages"] or {"pages": []})["pages"]]
    assert ("samples" in pages) == told
    assert (audited["fidelity"] or {}).get("epochs") == (4 if loop else None)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("image_size=30", r"(?<!: ): conv_vae needs an image size divisible by 4, got 30"),
        (
            "representation.model.beta=-1",
            "representation.model.beta: .* greater than or equal to 0",
        ),
        (
            "representation.model={name: conditional_vae, condition: age}",
            "condition is 'age', which is neither the label nor one of the attributes: name one of",
        ),
    ],
)
def test_what_cannot_be_learned_is_said_before_an_image_is_read(override, message):
    with pytest.raises(ConfigError, match=message):
        load(RunConfig, None, [override])

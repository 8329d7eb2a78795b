"""Arms that aim at a reference or at partly annotated groups, through the whole job."""

import json

import numpy as np
import pandas as pd
import pytest
from counting import Counting
from small_store import folder, noise

from debias.errors import ConfigError, EmptyDatasetError, WeightError
from debias.pipeline import discriminator, mitigate, open_run
from debias.pipeline.faces import make_faces, make_reference
from debias.pipeline.recipe import RunConfig, load
from debias.pipeline.step import load_weights
from debias.pipeline.weights import make_weights
from debias.storage.artifacts import load_faces
from debias.storage.sealed import sealed_in
from debias.weighting import GroupBalance

QUICK = [
    "image_size=32", "seeds=1", "data.n_train=240", "data.n_validation=40", "data.n_test=80",
    "data.population.dark_share=0.2",
    "representation.model={name: conv_vae, latent_dim: 4, width: 4, hidden: 32}",
    "representation.training={epochs: 3, batch_size: 16, learning_rate: 0.003}",
    "density={name: histogram, components: 2}",
    "classifier.model={name: conv, width: 4}",
    "classifier.training={epochs: 1, batch_size: 16}",
    "discriminator={model: {name: pooled, width: 4}, training: {epochs: 2, batch_size: 32}, "
    "folds: 2, repeats: 1}",
    "device=cpu", "precision=float32",
]  # fmt: skip
REFERENCE = (
    "reference={data: {name: synthetic, n_train: 300, n_validation: 8, n_test: 8, "
    "population: {dark_share: 0.5}}, most: 160, even_over: [skin_tone_group]}"
)
ANOTHER = REFERENCE.replace("dark_share: 0.5", "dark_share: 0.2").replace("[skin_tone_group]", "[]")
ARMS = (
    "arms={uniform: uniform, latent: {name: latent_rarity, allow_degenerate: true}, "
    "reference: {name: reference_ratio, allow_degenerate: true}, "
    "on_latents: {name: reference_ratio, estimate_on: latents, allow_degenerate: true}, "
    "of_densities: {name: reference_ratio, estimate_on: density, allow_degenerate: true}, "
    "partial: {name: group_balance, annotated_per_group: 12, allow_degenerate: true}, "
    "partial_latents: {name: group_balance, annotated_per_group: 12, estimate_on: latents, "
    "allow_degenerate: true}}"
)


def opened(folder, *overrides):
    progress = Counting()
    return open_run(
        load(RunConfig, None, [*QUICK, *overrides]), folder, progress=progress
    ), progress


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("targets")
    run, progress = opened(folder, REFERENCE, ARMS)
    return folder, mitigate(run), progress


@pytest.mark.parametrize("arm", ["reference", "on_latents", "of_densities"])
def test_an_unlabelled_even_reference_raises_the_rare_part(finished, arm):
    figures = finished[1]["weights"][arm]
    share = figures["share_by_group"]["skin_tone_group:dark"]
    assert share["before"] < 0.25
    assert share["after"] > 1.3 * share["before"]
    assert figures["auc_by_group"]["skin_tone_group:dark"]["auc"] > 0.6
    assert figures["ess"] == pytest.approx(0.5, rel=0.02)
    assert figures["uses_groups"] is False


@pytest.mark.parametrize("arm", ["partial", "partial_latents"])
def test_a_dozen_annotated_faces_a_group_raise_it_as_well(finished, arm):
    figures = finished[1]["weights"][arm]
    assert figures["annotated"] == 24
    assert figures["estimated"]
    share = figures["share_by_group"]["skin_tone_group:dark"]
    assert share["after"] > 1.1 * share["before"]


def test_the_report_says_what_the_ratio_keys_on(finished):
    folder, document, _ = finished
    ratio = document["weights"]["reference"]["ratio"]
    assert 0.4 < ratio["separability"] < 1
    assert -1 <= ratio["style_agreement"] <= 1
    page = (folder / "report.html").read_text()
    assert "rank correlation" in page
    assert "What this arm asks for most" in page
    assert "12 annotated" not in page
    found, blind = document["diagnoses"]
    assert found["sentence"].startswith("Skin tone group: ")
    assert blind["sentence"].startswith("Without annotation: ")
    assert "Which kind of trouble do these data have?" in page
    assert "24 annotated images; other groups estimated" in page


def test_sets_that_another_camera_tells_apart_are_shown_in_random_styles(tmp_path, monkeypatch):
    run = opened(tmp_path, REFERENCE, ARMS)[0]
    faces = make_faces(run)
    sets = {"faces": faces, "reference": make_reference(run, faces)}
    monkeypatch.setattr(discriminator, "TELLTALE", 0.0)  # these two are told apart a little
    found = discriminator.make_reference_ratio(run, **sets)
    figures = found.read_json("figures.json")
    assert figures["style"] == "augmented"
    as_is = opened(tmp_path, REFERENCE, ARMS, "discriminator.style=as_is")[0]
    plain = discriminator.make_reference_ratio(as_is, **sets)
    # What told them apart, with all repetitions, is kept as the other style.
    assert figures["separability_other_style"] == plain.read_json("figures.json")["separability"]


def test_a_second_run_reuses_every_stage(finished):
    folder, document, _ = finished
    run, progress = opened(folder, REFERENCE, ARMS)
    again = mitigate(run)
    assert progress.started == []
    assert {"Reference", "Reference ratio", "Group ratio"} <= set(progress.kept)
    assert again["arms"] == json.loads(json.dumps(document["arms"]))


def test_reference_faces_are_not_those_of_the_data(finished):
    folder, _, _ = finished
    (path,) = sealed_in(folder / "reference")
    run, _ = opened(folder, REFERENCE, ARMS)
    faces = make_faces(run)
    reference = make_reference(run, faces)
    assert reference.path == path
    wanted, store = load_faces(reference), load_faces(faces)
    assert len(wanted.rows("reference")) == len(wanted.samples) == 160
    counts = wanted.samples["skin_tone_group"].value_counts()
    assert (counts == 80).all()
    mine = {image.tobytes() for image in store.images[np.arange(len(store.images))]}
    theirs = {image.tobytes() for image in wanted.images[np.arange(160)]}
    assert not mine & theirs


def test_weights_of_another_reference_are_other_weights(finished, tmp_path):
    run, _ = opened(finished[0], ANOTHER, ARMS)
    faces = make_faces(run)
    other = make_reference(run, faces)
    latents = run.folder.find(
        "representation", next((finished[0] / "representation").iterdir()).name
    )
    found = make_weights(run, "on_latents", faces=faces, representation=latents, reference=other)
    before = finished[1]["weights"]["on_latents"]["share_by_group"]["skin_tone_group:dark"]
    after = found.read_json("figures.json")["share_by_group"]["skin_tone_group:dark"]
    assert after["after"] != before["after"]
    assert load_weights(found).probability.sum() == pytest.approx(1)


def test_an_arm_that_aims_at_nothing_is_refused():
    with pytest.raises(ConfigError, match=r"arm 'reference' needs a second data set"):
        load(RunConfig, None, ["arms.reference=reference_ratio"])
    with pytest.raises(ConfigError, match=r"arm 'g' balances by 'tone', which is not one of"):
        load(RunConfig, None, ["arms.g={name: group_balance, by: [tone]}"])


def folder_of_faces(root, count, seed):
    row = np.arange(count)
    folder(root, noise(100 * (row % 2), 16, seed), smiling=row % 2, tone=row % 3)
    return f"{{name: folder, root: {root}, table: {root / 'table.csv'}}}"


def test_images_that_are_in_both_sets_leave_the_reference(tmp_path):
    data = folder_of_faces(tmp_path / "faces", 60, 0)
    overrides = ["image_size=16", "attributes=[]", f"data={data}", "arms={uniform: uniform}",
                 "representation.training.batch_size=8",
                 "classifier.training.batch_size=8"]  # fmt: skip
    run, _ = opened(tmp_path / "run", *overrides, f"reference={{data: {data}}}")
    with pytest.raises(EmptyDatasetError, match="every one of them is also in the main data set"):
        make_reference(run, make_faces(run))
    other = folder_of_faces(tmp_path / "other", 40, 1)
    run, _ = opened(tmp_path / "run", *overrides, f"reference={{data: {other}}}")
    assert len(load_faces(make_reference(run, make_faces(run))).samples) == 40
    ranges = ["ranges={tone: [0-0, 1-2]}", f"reference={{data: {other}, even_over: [tone]}}"]
    run, _ = opened(tmp_path / "run", *overrides, "attributes=[tone]", *ranges)
    drawn = load_faces(make_reference(run, make_faces(run))).samples  # of 14 and 26
    assert drawn["tone"].value_counts().to_dict() == {"0-0": 14, "1-2": 14}


def test_groups_with_empty_cells_are_estimated_and_too_few_are_refused(tmp_path):
    data = folder_of_faces(tmp_path / "faces", 60, 0)
    table = pd.read_csv(tmp_path / "faces" / "table.csv")
    table["tone"] = table["tone"].map({0: "a", 1: "b", 2: None})
    table.to_csv(tmp_path / "faces" / "table.csv", index=False)
    overrides = ["image_size=16", "attributes=[tone]", f"data={data}",
                 "representation.training.batch_size=8",
                 "classifier.training.batch_size=8"]  # fmt: skip
    arms = "arms={uniform: uniform, groups: {name: group_balance, allow_degenerate: true}}"
    run, _ = opened(tmp_path / "run", *overrides, arms)
    faces = make_faces(run)
    found = make_weights(run, "groups", faces=faces, representation=faces)
    figures = found.read_json("figures.json")
    train = load_faces(faces)
    known = (train.groups(train.rows("train"))["tone"] != "unknown").sum()
    assert figures["annotated"] == known < len(train.rows("train"))
    few = GroupBalance(annotated_per_group=2, allow_degenerate=True)
    run, _ = opened(
        tmp_path / "run", *overrides,
        f"arms={{groups: {json.dumps(few.model_dump(mode='json'))}}}", "discriminator.folds=3",
    )  # fmt: skip
    with pytest.raises(WeightError, match=r"holds 2 images, fewer than the 3 folds"):
        make_weights(run, "groups", faces=faces, representation=faces)

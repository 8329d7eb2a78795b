"""A study from end to end, small: what is trained, reused, measured, shown, refused."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from recording_tracking import RecordingTracking
from typer.testing import CliRunner

from debias.commands import app
from debias.errors import ConfigError, DataError
from debias.pipeline import open_job, open_study, survey
from debias.pipeline.faces import make_audited_faces
from debias.pipeline.judge import annotated
from debias.pipeline.recipe import SpaceRecipe, load
from debias.pipeline.representation import REPRESENTATION
from debias.pipeline.source import Request, study_recipe
from debias.pipeline.study import _over_seeds
from debias.pipeline.study_recipe import StudyConfig
from debias.pipeline.subject import topped_up
from debias.report.study_page import best, headline, informed, page, summary
from debias.report.terminal import lines
from debias.statistics.groupings import UNKNOWN
from debias.storage.artifacts import load_faces

TRAINING = {"epochs": 3, "batch_size": 16, "learning_rate": 0.005}
VAE = {"model": {"name": "conv_vae", "latent_dim": 2, "width": 4, "hidden": 32, "beta": 0.01},
       "training": TRAINING}  # fmt: skip
RECIPE = {
    "name": "small",
    "image_size": 16,
    "device": "cpu",
    "precision": "float32",
    "label": "smiling",
    "attributes": ["skin_tone_group"],
    "data": {"name": "synthetic", "n_train": 160, "n_validation": 32, "n_test": 40,
             "population": {"dark_share": 0.2}},
    "spaces": {"vae": VAE, "pca": {"model": {"name": "pca", "latent_dim": 3}},
               "clusters": {"model": {"name": "kmeans", "clusters": 4}}},
    "densities": {"histogram": {"name": "histogram"}},
    "factors": ["skin_tone", "yaw"],
    "seeds": 2,
    "judge": {"model": {"name": "conv", "width": 2}, "training": TRAINING},
    "looks": {"images": 24, "samples": 60, "bound_images": 4, "bound_samples": 5, "gap_images": 4,
              "trials": 10, "mapped": 60, "known": 100, "votes": 20},
    "tracking": {"enabled": False},
}  # fmt: skip


def recipe(**changes):
    return load(StudyConfig, RECIPE | changes)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """The job of a finished study, its document and what a tracker heard."""
    tracking = RecordingTracking()
    job = open_study(recipe(), tmp_path_factory.mktemp("study") / "small")
    return job, survey(job.with_tracking(tracking)), tracking


def figures(document):
    return {one["name"]: one["figures"] for one in document["spaces"]}


def test_page_and_numbers_lie_in_the_folder_for_their_owner_alone(made):
    job, document, _ = made
    written = json.loads((job.folder.path / "study.json").read_text())
    assert written["spaces"] == document["spaces"]
    assert (job.folder.path / "study.html").stat().st_mode & 0o777 == 0o600
    assert (job.folder.path / "study.html").read_text().count("data:image/webp") > 15


def test_what_a_representation_cannot_do_is_not_zero_but_not_there(made):
    found = figures(made[1])
    assert {"elbo", "weighted_bound", "kl", "bits_per_dimension", "mig"} <= set(found["vae"])
    assert {"psnr", "fid", "denoise/psnr", "compress/bits", "mig"} <= set(found["pca"])
    assert "elbo" not in found["pca"]
    assert "psnr" not in found["clusters"]
    assert all("nearest_centroid" in one and "seconds" in one for one in found.values())
    assert [one["draws"] for one in made[1]["spaces"]] == [True, True, False]
    assert "prior" in made[1]["spaces"][0]["drawn_from"]
    assert "fitted" in made[1]["spaces"][1]["drawn_from"]


def test_figures_are_means_over_the_trainings_with_their_interval(made):
    job, document, _ = made
    measured = [json.loads(path.read_text()) for path in job.folder.path.glob("measures/*/*.json")]
    values = [one["figures"]["kl"]["value"] for one in measured if "kl" in one.get("figures", {})]
    assert len(values) == 2
    found = figures(document)["vae"]["kl"]
    assert found["value"] == pytest.approx(np.mean(values))
    assert found["low"] < found["value"] < found["high"]


@pytest.mark.parametrize(
    ("values", "value"), [([1.0, 3.0], 2.0), ([1.0, None], None), ([None, None], None)]
)
def test_a_figure_that_one_training_lacks_has_no_mean(values, value):
    found = [None if one is None else {"value": one, "low": None, "high": None} for one in values]
    assert _over_seeds(found, is_share=False)["value"] == value


def test_limits_of_a_share_over_trainings_lie_between_0_and_1():
    found = [{"value": one, "low": None, "high": None} for one in (0.9, 1.0, 0.98)]
    free, share = (_over_seeds(found, is_share=one) for one in (False, True))
    assert free["high"] > 1
    assert (share["low"], share["high"], share["value"]) == (free["low"], 1, free["value"])


def test_who_is_found_is_told_for_every_representation_density_and_group(made):
    rows = made[1]["found"]
    assert {(row["space"], row["group"]) for row in rows} == {
        (space, group) for space in RECIPE["spaces"] for group in ("dark", "light")
    }
    assert {row["group"] for row in rows if row["rare"]} == {"dark"}
    space, density, area = best(made[1])
    assert density == "histogram"
    assert area == max(row["auc"] for row in rows if row["rare"])
    assert headline(made[1]).startswith(f"Of 3 representations, {space} finds the rare groups best")


def test_every_group_has_enough_images_whose_posterior_is_sampled(made):
    rows = [row for row in made[1]["served"] if row["measure"] == "inference_gap"]
    assert {(row["space"], row["group"]) for row in rows} == {("vae", "dark"), ("vae", "light")}
    for row in rows:
        assert row["n"] == 12
        assert row["mean_low"] < row["mean"] < row["mean_high"]
        assert 0 <= row["worse_low"] <= row["worse"] <= row["worse_high"] <= 1
    (said,) = informed(made[1])
    assert said.startswith("vae: is the encoder worse informed about skin tone group: dark")
    page = (Path(made[1]["run"]["folder"]) / "study.html").read_text()
    assert "is the encoder worse informed about skin tone group: dark" in page


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ((0.6, 0.9), "Yes: its answer is farther from the sampled posterior than for somebody"),
        ((0.4, 0.9), "Cannot tell: its answer"),
        ((0.1, 0.4), "No, it is better informed: its answer"),
        ((None, None), "Cannot tell: too few of its images"),
    ],
)
def test_whether_the_encoder_is_worse_informed_is_said_no_louder_than_measured(made, limits, said):
    low, high = limits
    row = next(one for one in made[1]["served"] if one["group"] == "dark")
    limits = {"worse": low and (low + high) / 2, "worse_low": low, "worse_high": high}
    told = {**made[1], "served": [{**row, "measure": "inference_gap", **limits}]}
    (found,) = informed(told)
    assert found.partition("? ")[2].startswith(said)


def test_rows_are_topped_up_to_so_many_of_each_group():
    groups = pd.DataFrame({"tone": ["a"] * 8 + ["b"] * 3 + [UNKNOWN], "sex": ["x", "y"] * 6})
    rows = topped_up(np.array([0, 2]), np.arange(12), groups, 4)
    assert rows[:2].tolist() == [0, 2]
    assert len(set(rows)) == len(rows)
    assert (groups["tone"][rows] == "a").sum() >= 4
    assert (groups["tone"][rows] == "b").sum() == 3  # all there are
    assert (groups["sex"][rows] == "x").sum() >= 4
    assert (groups["sex"][rows] == "y").sum() == 4
    np.testing.assert_array_equal(topped_up(np.array([5]), np.arange(12), groups, 0), [5])


def test_shares_of_samples_stand_beside_those_of_images(made):
    _, document, _ = made
    of_vae = [row for row in document["shares"] if row["space"] == "vae"]
    assert {row["attribute"] for row in of_vae} == {"smiling", "skin_tone_group"}
    total = sum(row["share"] for row in of_vae if row["attribute"] == "smiling")
    assert total == pytest.approx(1)
    assert [one["column"] for one in document["judges"]] == ["smiling", "skin_tone_group"]
    assert "classifier of 'smiling'" in document["features"]


def test_samples_may_be_compared_in_the_features_of_an_encoder_of_the_users_own(made, tmp_path):
    blocks = torch.nn.Sequential(torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten())
    torch.jit.save(torch.jit.trace(blocks, torch.rand(2, 3, 16, 16)), tmp_path / "blocks.pt")
    encoder = {"name": "encoder", "file": str(tmp_path / "blocks.pt")}
    changed = recipe(spaces={"pca": RECIPE["spaces"]["pca"]}, seeds=1, factors=[], features=encoder)
    found = survey(open_study(changed, tmp_path / "declared"))
    assert found["features"] == "the encoder blocks.pt"
    by_judge = figures(made[1])["pca"]["fid"]["value"]
    assert figures(found)["pca"]["fid"]["value"] not in (None, by_judge)
    with pytest.raises(DataError, match=r"gone\.pt does not exist"):
        survey(open_study(recipe(features=encoder | {"file": "gone.pt"}), tmp_path / "gone"))


def test_the_tracker_hears_the_figures_of_every_training_and_of_the_study(made):
    tracking = made[2]
    heard = tracking.runs
    study = next(one for key, one in heard.items() if "/study/" in key)
    told = {name for name, _, _ in study.logged_metrics}
    assert {"vae/elbo", "pca/psnr", "clusters/active_units"} <= told
    assert study.logged_artifacts == ["study.html", "study.json"]
    assert sum("/measures/" in key for key in heard) == 6


def test_a_second_study_makes_nothing_anew_and_a_run_of_the_same_recipe_reuses_its_space(made):
    job, document, _ = made
    before = {path: path.stat().st_mtime_ns for path in job.folder.path.glob("*/*/manifest.json")}
    again = survey(open_study(job.config, job.folder.path))
    assert {p: p.stat().st_mtime_ns for p in job.folder.path.glob("*/*/manifest.json")} == before
    assert again["spaces"] == document["spaces"]
    others = {"spaces", "densities", "factors", "seeds", "judge", "looks", "name"}
    plain = {key: value for key, value in RECIPE.items() if key not in others}
    audited = load(SpaceRecipe, plain | {"name": "small", "representation": VAE})
    other = open_job(audited, job.folder.path)
    found = REPRESENTATION.make(other, faces=make_audited_faces(other))
    assert found.path / "manifest.json" in before


def test_maps_and_pictures_are_left_out_where_faces_may_not_be_shown(made):
    _, document, _ = made
    shown = page(document, {"vae": {"map": np.zeros((3, 2)), "map_values": np.array(["a"] * 3)}})
    assert next(one.place for one in shown.sections if one.blocks) == "map"
    said = "\n".join(map(str, lines(summary(document))))
    assert "finds the rare groups best" in said


def test_images_of_which_nobody_said_it_teach_no_judge(made):
    store = load_faces(make_audited_faces(made[0]))
    samples = store.samples.assign(
        skin_tone_group=store.samples["skin_tone_group"].where(store.samples.index > 9, "")
    )
    of_skin = annotated(replace(store, samples=samples), "skin_tone_group")
    assert of_skin.classes == ("dark", "light")
    assert len(of_skin.rows("train")) == len(store.rows("train")) - 10
    assert annotated(store, "smiling") is store


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"factors": ["smlie"]}, "did you mean 'smile'"),
        (
            {
                "factors": ["eyewear"],
                "data": {"name": "synthetic", "population": {"glasses_share": 0}},
            },
            "the factor 'eyewear' is the same for all images of this population",
        ),
        ({"data": {"name": "utkface", "root": "x"}}, "does not know the factors of its images"),
        ({"representation": VAE}, "move 'representation' there"),
        ({"spaces": {}}, "at least 1 item"),
        ({"spaces": {"a b": VAE}}, "letters, digits"),
        ({"spaces": {"a": {"model": {"name": "conv_vae", "beta": -1}}}}, "greater than or equal"),
    ],
)
def test_what_no_study_may_ask_is_refused_in_a_sentence(changes, said):
    with pytest.raises(ConfigError, match=said):
        recipe(**changes)


def test_a_study_without_a_recipe_or_of_a_folder_is_told_what_it_needs(tmp_path):
    for source in (None, tmp_path):
        with pytest.raises(ConfigError, match="a study needs a recipe with 'spaces'"):
            study_recipe(Request(source=source))


def test_a_side_that_a_representation_cannot_take_costs_no_folder_of_it(tmp_path):
    result = CliRunner().invoke(
        app, ["study", "configs/study-drawn.yaml", "--out", str(tmp_path / "out"),
              "--set", "image_size=30", "--set", "data.n_train=64"],
    )  # fmt: skip
    assert result.exit_code == 2
    assert "divisible by 4, got 30" in " ".join(result.output.split())
    assert not list(tmp_path.glob("out/*/*/network.safetensors"))

"""Audits from end to end, small: what is written, reused, shown, refused."""

import json

import numpy as np
import pandas as pd
import pytest
from recording_tracking import RecordingTracking
from small_store import folder, picture
from typer.testing import CliRunner

from debias.commands import app
from debias.errors import ConfigError, DataError
from debias.pipeline import examine, open_job
from debias.pipeline.faces import make_audited_faces
from debias.pipeline.recipe import SpaceRecipe, load
from debias.pipeline.source import Request, audit_recipe

TINY = [
    "image_size=32", "device=cpu", "tracking.enabled=false", "audit.map_method=PCA",
    "audit.permutations=199", "audit.clusters=3",
    "representation.training={epochs: 8, batch_size: 16, learning_rate: 0.005}",
]  # fmt: skip
MODEL = "representation.model={name: conv_vae, latent_dim: 4, width: 4, hidden: 32, beta: 0.1}"
DRAWN = [*TINY, MODEL, "data.n_train=200", "data.n_validation=40", "data.n_test=20"]


def audit(*arguments):
    return CliRunner(env={"COLUMNS": "160"}).invoke(app, ["audit", *map(str, arguments)])


def sets(*settings):
    return [part for one in settings for part in ("--set", one)]


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The drawn demo with its reference; the folder, what was said, what was tracked."""
    folder = tmp_path_factory.mktemp("audit") / "demo"
    config = audit_recipe(Request(overrides=[*DRAWN, "reference.data.n_train=80"]))
    tracking = RecordingTracking()
    document = examine(open_job(config, folder).with_tracking(tracking))
    return folder, document, tracking


def test_page_numbers_and_images_lie_in_the_folder(demo):
    folder, document, _ = demo
    written = json.loads((folder / "audit.json").read_text())
    assert {name: written[name] for name in ("verdicts", "coverage")} == {
        name: document[name] for name in ("verdicts", "coverage")
    }
    table = pd.read_parquet(folder / "audit" / written["key"] / "images.parquet")
    assert len(table) == written["data"]["images"] == 240
    assert np.isfinite(table["nats"]).all()
    assert np.isfinite(table["log_ratio"]).all()
    page = (folder / "audit.html").read_text()
    assert page.count("data:image/webp") > 10  # drawn faces are shown
    assert (folder / "audit.html").stat().st_mode & 0o777 == 0o600


def test_what_is_tracked_says_what_the_document_says(demo):
    _, document, tracking = demo
    (key,) = [key for key in tracking.runs if "/audit/" in key]
    logged = {name: value for name, value, _ in tracking.runs[key].logged_metrics}
    assert logged["audit/effective_cells"] == document["coverage"]["effective_cells"]
    assert logged["audit/explained_detail"] == document["fidelity"]["explained_detail"]
    assert logged["audit/neighbours_kept"] > logged["audit/neighbours_by_chance"]
    assert "audit_groups" in tracking.runs[key].logged_tables
    assert "audit.html" in tracking.runs[key].logged_artifacts


def test_the_second_time_nothing_is_made_again(demo):
    folder, _, _ = demo
    arguments = [*sets(*DRAWN, "reference.data.n_train=80"), "--out", folder]
    before = json.loads((folder / "audit.json").read_text())
    result = audit(*arguments)
    assert result.exit_code == 0, result.output
    assert "Reused" in result.output
    assert "Audit" in result.output
    after = json.loads((folder / "audit.json").read_text())
    assert {k: v for k, v in after.items() if k != "run"} == {
        k: v for k, v in before.items() if k != "run"
    }
    assert f"Page: {folder / 'audit.html'}" in result.output


@pytest.fixture(scope="module")
def photographs(tmp_path_factory):
    """Photographs in folders, with a table, as real ones lie."""
    root = tmp_path_factory.mktemp("photographs")
    tone = np.where(np.arange(90) < 5, "few", "many")
    folder(root, [picture(number, 40) for number in range(90)], tone=tone)
    return root


def test_a_folder_is_audited_whole_and_no_face_is_shown(photographs, tmp_path):
    out = tmp_path / "out"
    result = audit(
        photographs, "--table", photographs / "table.csv", "--attributes", "tone",
        "--earlier", photographs, *sets(*TINY, MODEL), "--out", out,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    document = json.loads((out / "audit.json").read_text())
    assert document["data"]["images"] == 90
    drift = document["drift"]
    assert (drift["added"], drift["removed"], drift["kept"]) == (0, 0, 90)
    rows = document["groups"]["attributes"][0]["rows"]
    assert {row["count"] for row in rows} == {None}  # five are few, and 85 would tell
    page = (out / "audit.html").read_text()
    assert "data:image/webp" not in page
    assert page.count("--show-faces") == 1
    assert document["fidelity"]["images"] == document["data"]["splits"]["validation"]
    assert document["fidelity"]["verdict"] == "too_few"


def test_annotated_columns_of_a_known_layout_are_used_unless_others_are_named(tmp_path):
    for number in range(60):
        (tmp_path / f"{20 + number}_{number % 2}_{number % 5}_2017{number:04d}.jpg").touch()
    recipe = audit_recipe(Request(source=tmp_path))
    assert recipe.attributes == ("perceived_gender", "annotated_race")
    named = audit_recipe(Request(source=tmp_path, recipe={"attributes": ["annotated_race"]}))
    assert named.attributes == ("annotated_race",)
    assert audit_recipe(Request(source=tmp_path, overrides=["attributes=[]"])).attributes == ()


def test_few_images_are_looked_at_more_often(tmp_path):
    assert audit_recipe(Request()).representation.training.epochs == 8
    for number in range(60):
        (tmp_path / f"{number}.jpg").touch()
    few = audit_recipe(Request(source=tmp_path)).representation.training.epochs
    for number in range(60, 600):
        (tmp_path / f"{number}.jpg").touch()
    more = audit_recipe(Request(source=tmp_path)).representation.training.epochs
    assert (few, more) == (402, 41)
    given = Request(source=tmp_path, overrides=["representation.training.epochs=3"])
    assert audit_recipe(given).representation.training.epochs == 3


def test_an_earlier_version_is_the_same_although_a_test_set_is_not_audited(tmp_path, photographs):
    recipe = tmp_path / "r.yaml"
    source = {"name": "images", "root": str(photographs)}
    recipe.write_text(json.dumps({"data": source, "earlier": {"data": source}}))
    config = load(SpaceRecipe, recipe, [*TINY, MODEL])
    document = examine(open_job(config, tmp_path / "out"))
    drift = document["drift"]
    assert (drift["added"], drift["removed"]) == (0, 0)
    assert drift["kept"] == document["data"]["images"] == 72


def test_wrong_shares_are_refused_before_anything_is_trained(photographs, tmp_path):
    shares = tmp_path / "shares.csv"
    shares.write_text("attribute,group,share\ntone,few,0.5\ntone,none,0.5\n")
    out = tmp_path / "out"
    result = audit(
        "--data", photographs, "--table", photographs / "table.csv", "--attributes", "tone",
        "--shares", shares, *sets(*TINY, MODEL), "--out", out,
    )  # fmt: skip
    assert result.exit_code != 0
    assert "many" in result.output
    assert not (out / "representation").exists()
    assert not (out / "audit.html").exists()


def test_too_few_images_are_refused_before_anything_is_trained(tmp_path):
    config = audit_recipe(Request(overrides=[*DRAWN, "data.n_train=30", "data.n_validation=8"]))
    with pytest.raises(DataError, match="38 images to audit"):
        make_audited_faces(open_job(config, tmp_path))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--data", "nowhere"], "nowhere"),
        (["nowhere.yaml"], "cannot read"),
        (["x.yaml", "--data", "y"], "name one"),
        (["--layout", "tar"], "--layout says how to read"),
        (["--set", "audit.cellz=3"], "audit.cellz: unknown key"),
        (["--set", "audit.difference_level=0.0005"], "permutations is 999"),
        (["--shares", "nowhere.csv"], "nowhere.csv"),
    ],
)
def test_wrong_input_ends_in_one_paragraph(arguments, said, tmp_path):
    result = audit(*arguments, "--out", tmp_path / "out")
    assert result.exit_code in (2, 3, 4)
    assert said in result.output
    assert "Traceback" not in result.output


def test_capped_data_cannot_be_compared_with_an_earlier_version(tmp_path, photographs):
    source = {"name": "images", "root": str(photographs)}
    recipe = {"data": source, "earlier": {"data": source}, "attributes": ["folder"]}
    recipe["selection"] = {"caps": {"column": "folder", "most": {".": 50}}}
    (tmp_path / "r.yaml").write_text(json.dumps(recipe))
    with pytest.raises(ConfigError, match="caps"):
        examine(open_job(load(SpaceRecipe, tmp_path / "r.yaml", [*TINY, MODEL]), tmp_path / "out"))


def test_a_recipe_for_a_run_is_a_recipe_for_an_audit():
    config = load_space_of_utkface()
    assert config.reference.most == 1200
    assert config.label == "perceived_gender"


def load_space_of_utkface():
    from pathlib import Path

    import debias

    return load(SpaceRecipe, Path(debias.__file__).parents[1] / "configs" / "utkface.yaml")

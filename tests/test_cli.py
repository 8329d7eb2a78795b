"""The command as a person uses it: results, links, and one paragraph for each wrong input."""

import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from small_store import folder, make_store, noise
from typer.testing import CliRunner

from debias import __version__
from debias.commands import app
from debias.pipeline.faces import foreseen
from debias.pipeline.recipe import RunConfig, load

TINY = {
    "name": "tiny", "image_size": 32, "seeds": 1, "device": "cpu", "label": "bright",
    "attributes": ["group"], "density": {"name": "histogram", "components": 1},
    "representation": {
        "model": {"name": "conv_vae", "latent_dim": 4, "width": 4, "hidden": 32, "beta": 0.05},
        "training": {"epochs": 4, "batch_size": 16, "learning_rate": 0.003},
    },
    "arms": {"uniform": "uniform", "latent": {"name": "latent_rarity", "allow_degenerate": True}},
    "classifier": {
        "model": {"name": "conv", "width": 4}, "training": {"epochs": 2, "batch_size": 16}
    },
    "tracking": {"enabled": False},
}  # fmt: skip


@pytest.fixture
def faces(tmp_path):
    """A folder of 120 small images with a table."""
    row = np.arange(120)
    bright, group = np.array(["y", "n"])[row % 2], np.where(row % 3, "a", "b")
    folder(tmp_path / "faces", noise(120 * (row % 2)), bright=bright, group=group)
    (tmp_path / "faces" / "table.csv").rename(tmp_path / "table.csv")
    return tmp_path


def run(faces, *overrides, out=None):
    recipe = TINY | {
        "data": {"name": "folder", "root": str(faces / "faces"), "table": str(faces / "table.csv")}
    }
    (faces / "tiny.yaml").write_text(yaml.safe_dump(recipe))
    arguments = ["run", str(faces / "tiny.yaml"), "--out", str(out or faces / "out")]
    for override in overrides:
        arguments += ["--set", override]
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, arguments)


def test_a_folder_of_faces_ends_with_a_table_and_a_report_which_lists_what_was_set_aside(faces):
    (faces / "faces" / "007.png").write_bytes(b"no image")
    result = run(faces)
    assert result.exit_code == 0, result.output
    for text in ("uniform", "latent", "worst group", str(faces / "out" / "report.html")):
        assert text in result.output
    assert " read, 1 left out, 0 ignored." in result.output
    page = (faces / "out" / "report.html").read_text()
    assert "not decodable" in page
    assert "007.png" not in page  # names of files may be names of people
    (records,) = (faces / "out").glob("faces/*/quarantine.jsonl")
    assert "007.png" in records.read_text()
    again = run(faces)
    assert again.exit_code == 0
    assert "Reused" in again.output


@pytest.mark.parametrize(
    ("overrides", "code", "message"),
    [
        (["data.root=/no/such/folder"], 3, "the data folder /no/such/folder does not exist"),
        (["densty.name=histogram"], 2, "densty: unknown key (did you mean 'density'?)"),
        (["density.name=histgram"], 2, "known: aggregate"),
        (["label=smile"], 3, "there is no column 'smile'; columns: bright, group"),
        (["attributes=[race]"], 3, "there is no column 'race'"),
        (["selection.filters={bright: [y]}"], 3, "every one of 60 samples has bright = 'y'"),
        (["classifier.training.batch_size=500"], 3, "fewer than one batch of 500"),
        (["representation.training.batch_size=500"], 3, "fewer than one batch of 500"),
        (["arms={few: {name: latent_rarity, ess: 0.05}}"], 6, "rest on too few samples"),
        (["attributes=[path]"], 3, "is a name the store needs for itself"),
        (["selection.test_per_group=90"], 3, "lower it or filter that group out"),
    ],
)
def test_wrong_input_is_explained_in_one_paragraph(faces, overrides, code, message):
    result = run(faces, *overrides)
    assert result.exit_code == code, result.output
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert not (faces / "out" / "report.html").exists()


def test_missing_files_beyond_one_percent_stop_the_run(faces):
    for row in range(20):
        (faces / "faces" / f"{row:03d}.png").unlink()
    result = run(faces)
    assert result.exit_code == 3
    assert "20 of 120 items were set aside" in " ".join(result.output.split())


SMALL = [
    "seeds=1", "device=cpu", "tracking.enabled=false", "density={name: histogram, components: 1}",
    *(
        f"{part}={json.dumps(TINY[section][part.split('.')[1]])}"
        for section in ("representation", "classifier")
        for part in (f"{section}.model", f"{section}.training")
    ),
    "representation.augmentation={flip: false}",
    "arms.latent={name: latent_rarity}", "arms.few={name: latent_rarity, ess: 0.05}",
]  # fmt: skip


def debias(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, [str(one) for one in arguments])


def sets(settings):
    return [part for one in settings for part in ("--set", one)]


def test_a_folder_will_do_and_a_refused_arm_costs_that_arm_alone(faces):
    out = faces / "out"
    source = (faces / "faces", "--table", faces / "table.csv", "--label", "bright",
              "--attributes", "group", "--size", 32)  # fmt: skip
    result = debias("run", *source, *sets(SMALL), "--out", out)
    assert result.exit_code == 0, result.output
    said = " ".join(result.output.split())
    assert "training images are few" in said
    assert "Arm 'few' is left out: the weights rest on too few samples" in said
    document = json.loads((out / "report.json").read_text())
    assert list(document["arms"]) == ["uniform", "latent", "groups"]
    assert list(document["refused"]) == ["few"]
    assert "Anything about arm 'few'" in document["not_concluded"][0]
    assert any(
        "from one training to the next" in w for w in document["weights"]["latent"]["warnings"]
    )
    # The recipe that was made is there to be edited, and is the same; a profile changes nothing.
    before = {file: file.read_bytes() for file in out.glob("*/*/*")}
    again = debias("run", out / "recipe.yaml", "--out", out, "--profile")
    assert again.exit_code == 0, again.output
    assert "Reused" in again.output
    assert f"Profile: {out / 'profile.svg'}" in again.output
    reused = (out / "profile.svg").read_text().count(">reused<")
    assert f"Reused {reused} finished stages" in again.output
    assert {file: file.read_bytes() for file in out.glob("*/*/*")} == before
    assert json.loads((out / "report.json").read_text())["arms"] == document["arms"]
    assert "is deleted" not in again.output
    # init writes the same.
    made = debias("init", *source, *sets(SMALL), "--out", faces / "my.yaml")
    assert made.exit_code == 0, made.output
    assert (faces / "my.yaml").read_text() == (out / "recipe.yaml").read_text()
    assert "exists already" in debias("init", *source, "--out", faces / "my.yaml").output
    assert load(RunConfig, faces / "my.yaml").attributes == ("group",)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "give --label COLUMN. Columns of"),
        (["--label", "smile"], 3, "there is no column 'smile'; columns: bright, group"),
        (["--label", "many"], 3, "choose another column; columns: bright, group, many"),
        (["--layout", "images", "--table="], 2, "no column of"),
        (["--set", "data.path_column=file"], 3, "has no column 'file'"),
    ],
)
def test_a_folder_without_a_usable_label_says_which_columns_there_are(
    faces, arguments, code, message
):
    table = pd.read_csv(faces / "table.csv")
    table.assign(many=range(len(table))).to_csv(faces / "table.csv", index=False)
    given = [] if "--table=" in arguments else ["--table", faces / "table.csv"]
    more = [one for one in arguments if one != "--table="]
    result = debias("run", faces / "faces", *given, *more, "--out", faces / "runs" / "out")
    assert result.exit_code == code, result.output
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert not (faces / "runs").exists()  # nothing was begun


def test_without_plain_training_or_groups_it_is_said_before_anything_is_trained(faces):
    made = load(
        RunConfig, None, ["attributes=[]", "arms={latent: latent_rarity, g: group_balance}"]
    )
    store = make_store(attributes=())
    first, second, third = foreseen(made, store)
    assert "No arm is called 'uniform'" in first
    assert "48 training images are few" in second
    assert "Arm 'g' balances annotated groups and none are named" in third
    named = load(RunConfig, None, ["attributes=[group]", "arms={uniform: uniform}"])
    assert "No verdict can be reached on group a, b" in foreseen(named, make_store())[-1]


def test_the_template_and_shipped_recipes_are_copied_and_listed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert debias("init").exit_code == 0
    assert load(RunConfig, tmp_path / "my-faces.yaml").data.name == "folder"
    assert debias("init", "utkface", "--out", "mine.yaml").exit_code == 0
    assert load(RunConfig, tmp_path / "mine.yaml").name == "utkface"
    unknown = debias("init", "nowhere")
    assert unknown.exit_code == 3
    assert "folder, lab-drawn, lab, study-drawn, study-mnist" in " ".join(unknown.output.split())


@pytest.mark.parametrize("command", ["run", "audit", "ingest", "init", "purge", "evaluate"])
def test_the_short_help_shows_flags_without_a_value(command):
    shown = debias(command, "-h")
    assert shown.exit_code == 0
    assert "<bool>" not in shown.output


def test_version_and_exit_codes_are_told():
    for option in ("--version", "-V"):
        assert __version__ in debias(option).output
    shown = debias("--help").output
    assert "<bool>" not in shown
    for text in ("--install-completion", "2: A setting is unknown", "130: Interrupted"):
        assert text in shown


@pytest.mark.parametrize(
    ("arguments", "note"),
    [
        (["ingest", "nowhere", "--data", "images"], "--data is now called --layout"),
        (["audit", "--data", "nowhere"], "--data FOLDER is now SOURCE"),
        (["compare", "a", "--reference", "x=y"], "--reference is now called --reference-group"),
        (["purge", "x", "nowhere", "--sample"], "--sample is now called --image"),
    ],
)
def test_old_spellings_go_on_working_with_a_note(arguments, note):
    result = debias(*arguments)
    assert note in result.stderr
    assert "No such option" not in result.output


def test_a_device_that_is_not_there(faces, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    result = run(faces, "device=cuda")
    assert result.exit_code == 2
    assert "not available on this machine" in " ".join(result.output.split())


def test_an_empty_folder_and_an_unwritable_output(faces):
    empty = faces / "empty"
    empty.mkdir()
    result = run(faces, f"data.root={empty}")
    assert (result.exit_code, "is empty" in result.output) == (3, True)
    result = run(faces, out=faces / "table.csv" / "out")
    assert result.exit_code == 4
    assert "choose another with --out" in " ".join(result.output.split())


def test_a_missing_recipe_is_named(tmp_path):
    result = CliRunner().invoke(app, ["run", str(tmp_path / "none.yaml")])
    assert result.exit_code == 2
    assert "none.yaml" in "".join(result.output.split())


def test_the_user_interface_needs_recorded_runs(tmp_path):
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["ui", "--folder", str(tmp_path)])
    assert result.exit_code == 8
    assert "no recorded runs" in result.output


def test_help_explains_itself():
    shown = subprocess.run(
        [sys.executable, "-m", "debias", "--help"],
        capture_output=True, text=True, check=True, env=os.environ | {"COLUMNS": "120"},
    ).stdout  # fmt: skip
    for word in ("run", "ui", "without group labels"):
        assert word in shown

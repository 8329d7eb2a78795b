"""The command as a person uses it: results, links, and one paragraph for each wrong input."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image
from typer.testing import CliRunner

from debias.commands import app

TINY = {
    "name": "tiny", "image_size": 32, "seeds": 1, "device": "cpu", "label": "bright",
    "attributes": ["group"], "density": {"name": "histogram", "components": 1},
    "representation": {
        "model": {"name": "conv_vae", "latent_dim": 4, "width": 4, "hidden": 32},
        "training": {"epochs": 3, "batch_size": 16, "learning_rate": 0.003},
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
    root = tmp_path / "faces"
    root.mkdir()
    generator = np.random.default_rng(0)
    rows = []
    for row in range(120):
        pixels = generator.integers(0, 60, (32, 32, 3)) + 120 * (row % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(root / f"{row}.png")
        rows.append({"path": f"{row}.png", "bright": "yn"[row % 2], "group": "ab"[row % 3 == 0]})
    pd.DataFrame(rows).to_csv(tmp_path / "table.csv", index=False)
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


def test_a_folder_of_faces_ends_with_a_table_and_the_path_of_the_report(faces):
    result = run(faces)
    assert result.exit_code == 0, result.output
    for text in ("uniform", "latent", "worst group", str(faces / "out" / "report.html")):
        assert text in result.output
    assert (faces / "out" / "report.html").exists()
    again = run(faces)
    assert again.exit_code == 0
    assert "Reused" in again.output


def test_a_broken_image_among_good_ones_is_set_aside_and_listed(faces):
    (faces / "faces" / "7.png").write_bytes(b"no image")
    result = run(faces)
    assert result.exit_code == 0, result.output
    assert "1 file was set aside" in result.output
    page = (faces / "out" / "report.html").read_text()
    assert "not decodable" in page
    assert "7.png" not in page  # names of files may be names of people
    (records,) = (faces / "out").glob("faces/*/quarantine.jsonl")
    assert "7.png" in records.read_text()


@pytest.mark.parametrize(
    ("overrides", "code", "message"),
    [
        (["data.root=/no/such/folder"], 3, "the data folder /no/such/folder does not exist"),
        (["densty.name=histogram"], 2, "densty: unknown key"),
        (["density.name=histgram"], 2, "known: aggregate"),
        (["label=smile"], 3, "there is no column 'smile'; columns: bright, group"),
        (["attributes=[race]"], 3, "there is no column 'race'"),
        (["selection.filters={bright: [y]}"], 3, "every one of 60 samples has bright = 'y'"),
        (["classifier.training.batch_size=500"], 3, "fewer than one batch of 500"),
        (["representation.training.batch_size=500"], 3, "fewer than one batch of 500"),
        (["arms.latent={name: latent_rarity}"], 6, "rest on too few samples"),
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
        (faces / "faces" / f"{row}.png").unlink()
    result = run(faces)
    assert result.exit_code == 3
    assert "20 of 120 items were set aside" in " ".join(result.output.split())


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

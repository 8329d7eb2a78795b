"""`debias ingest` as a person uses it, and with names that nobody should use."""

import html
import json
import os
import shlex
from html.parser import HTMLParser
from pathlib import Path

import pandas as pd
import pytest
from small_store import picture
from typer.testing import CliRunner

from debias.commands import app
from debias.datasets.recognition import recognised
from debias.errors import DataError, QuarantineLimitExceededError
from debias.ingesting.quarantine import read_quarantine
from debias.pipeline.source import Request, run_recipe
from debias.storage.artifacts import RunFolder, load_faces
from debias.storage.sealed import MANIFEST

NAMES = [
    "plain.png", "<script>alert(1)<script>.png", "a b.png", "$x^$.png", "_hidden.png",
    "\u202egnp.png", "caf\u00e9.png", "cafe\u0301.png", "'; DROP TABLE faces; --.png", "-rf.png",
    "x" * 200 + ".png", "{{7*7}}.png", "[bold red]x.png", "a&amp;b.png", "=1+1.png",
    "\U0001f600.png", "nbsp\u00a0.png", "tab\tin.png", "new\nline.png", "\x1b[31mred.png",
]  # fmt: skip
GROUPS = ["<b>bold</b>", "$x^$", "_hidden", "NO", "\u202eevil", "=cmd()", "{{7*7}}", "1.0"]


def ingest(*arguments):
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["ingest", *map(str, arguments)])


@pytest.fixture
def hostile(tmp_path):
    """Files whose names try everything, and a table whose groups do."""
    root = tmp_path / "in"
    root.mkdir()
    rows = []
    for number, name in enumerate(NAMES * 8):
        folder = root / f"f{number // len(NAMES)}"
        folder.mkdir(exist_ok=True)
        picture(number).save(folder / name)
        path = f"{folder.name}/{name}"
        rows.append({"path": path, "smiles": "yn"[number % 2], "group": GROUPS[number % 8]})
    (root / "f0" / "broken<i>.png").write_bytes(b"no")
    rows.append({"path": "f0/broken<i>.png", "smiles": "y", "group": GROUPS[0]})
    rows.append({"path": "../table.csv", "smiles": "y", "group": GROUPS[0]})
    pd.DataFrame(rows).to_csv(tmp_path / "table.csv", index=False)
    return tmp_path


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.seen = set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)


def test_hostile_names_and_groups_go_all_the_way(hostile):
    store = hostile / "store"
    result = ingest(
        hostile / "in", "--table", hostile / "table.csv", "--label", "smiles",
        "--attributes", "group", "--size", 32, "--out", store,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    faces = load_faces(
        RunFolder(store).find("faces", json.loads((store / "store.json").read_text())["faces"])
    )
    assert len(faces.images) == 8 * len(NAMES)
    assert faces.samples["sample_id"].str.fullmatch("[0-9a-f]{16}").all()
    assert faces.samples["group"].nunique() == len(GROUPS)
    page = (store / "ingest.html").read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(page)
    assert not tags.seen & {"script", "iframe", "link", "object", "embed", "form", "input"}
    assert not any(group in page for group in GROUPS if "<" in group)
    for group in ("<b>bold</b>", "$x^$", "_hidden", "NO", "=cmd()", "{{7*7}}"):
        assert html.escape(group) in page
    assert "\x1b[31m" not in result.output
    assert "\u202e" not in page
    written = {path.relative_to(hostile).parts[0] for path in hostile.rglob("*")}
    assert written == {"in", "table.csv", "store"}
    (folder,) = (path.parent for path in store.rglob(MANIFEST))
    records = read_quarantine(folder / "quarantine.jsonl")
    assert {record["reason"] for record in records} == {"not decodable", "unsafe path"}


def test_the_command_ends_with_where_things_are_and_finds_them_again(hostile):
    arguments = (hostile / "in", "--size", 32, "--out", hostile / "store",
                 "--set", "ingest.most_rejected=0.1")  # fmt: skip
    first = ingest(*arguments)
    assert first.exit_code == 0, first.output
    for text in ("ingest.html", "ingest.json", "Next:", "not decodable"):
        assert text in first.output
    assert "read as data set 'image_folder'" in first.output
    again = ingest(*arguments)
    assert again.exit_code == 0
    assert json.loads((hostile / "store" / "ingest.json").read_text())["reused"] is True


def test_photographs_by_other_names_are_read_and_those_of_other_formats_left_out(tmp_path):
    """JPEG by any name is read; TIFF is missed, which stops the ingest, or a group alone does."""
    names = [f"a/{n}.{'jfif' if n % 2 else 'JPG_large'}" for n in range(12)]
    names += [f"b/{n}{'.txt' if n % 2 else ''}" for n in range(8)]
    names += [f"b/{n}.tif" for n in range(6)]
    for number, name in enumerate(names):
        path = tmp_path / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture(number).save(path, "TIFF" if name.endswith("tif") else "JPEG")
    (tmp_path / "in" / "a" / "LICENCE").write_text("BMW may use these images.")
    arguments = tmp_path / "in", "--out", tmp_path / "store", "--size", "16"
    refused = ingest(*arguments)
    assert refused.exit_code == QuarantineLimitExceededError.exit_code, refused.output
    said = " ".join(refused.output.split())
    assert "6 of 26 items were set aside, 23.1%, more than 1.0% (6 format not read)" in said
    assert "TIFF files are not read; JPEG, PNG, WebP and BMP are: convert it" in said
    assert "allow it with --most-rejected 0.24 (ingest.most_rejected)" in said
    arguments += "--most-rejected", "0.24"
    grouped = ingest(*arguments, "--attributes", "class")
    assert grouped.exit_code == QuarantineLimitExceededError.exit_code, grouped.output
    assert "6 of 14 items of class:b" in " ".join(grouped.output.split())
    arguments += "--attributes", "class", "--set", "ingest.most_group_ratio=99"
    allowed = ingest(*arguments)
    assert allowed.exit_code == 0, allowed.output
    page = (tmp_path / "store" / "ingest.html").read_text()
    for text in (allowed.output, page):  # what was allowed is told all the same
        assert "% of all images were rejected; the limit is 1%." in " ".join(text.split())
        assert "none is flagged" not in text
        assert "6 of 14" in text
        assert "20 of 26 images are in the store (76.9" in text
        assert "27 files seen: 20 read, 6 left out, 1 ignored (1 without ending)." in text
        assert "Every image listed" not in text


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["nowhere"], 3, "does not exist"),
        (["in", "--layout", "celebb"], 2, "did you mean 'celeba'"),
        (["in", "--table", "no.csv"], 3, "no.csv does not exist"),
        (["in", "--table", "table.csv", "--label", "smile"], 3, "no column 'smile'"),
        (["in", "--attributes", "race"], 3, "no column 'race'"),
        (["in", "--size", "7"], 2, "image_size"),
        (["table.csv"], 3, "file of no known kind"),
        (["in", "--set", "ingest.framing=box"], 3, "needs the columns"),
        (["in", "--set", "ingest.latents_of=in"], 2, "latents_of"),
    ],
)
def test_wrong_input_is_explained_in_one_paragraph(hostile, monkeypatch, arguments, code, message):
    monkeypatch.chdir(hostile)
    result = ingest(*arguments, "--out", "store")
    assert result.exit_code == code, result.output
    assert message in " ".join(result.output.split())
    assert "Traceback" not in result.output
    assert not list(hostile.glob("store/faces/*/"))


def test_a_recipe_cannot_be_contradicted(hostile):
    (hostile / "my.yaml").write_text("data: {name: images, root: in}")
    result = ingest(hostile / "my.yaml", "--table", "x.csv")
    assert result.exit_code == 2
    assert "is a recipe" in result.output


def test_a_recipe_of_a_run_or_of_a_store_alone_will_do(hostile):
    recipe = hostile / "my.yaml"
    root = f"data: {{name: images, root: {hostile / 'in'}}}\nimage_size: 32\n"
    recipe.write_text(root + "ingest: {most_rejected: 0.1}\nseeds: 7\narms: {uniform: uniform}\n")
    result = ingest(recipe, "--out", hostile / "store")
    assert result.exit_code == 0, result.output
    recipe.write_text(root + "framing: box\n")
    assert "framing: unknown key" in ingest(recipe, "--out", hostile / "store").output


def test_the_command_that_is_named_next_runs(hostile):
    result = ingest(
        hostile / "in", "--table", hostile / "table.csv", "--label", "smiles",
        "--attributes", "group", "--size", 32, "--out", hostile / "store",
    )  # fmt: skip
    (line,) = [line for line in result.output.splitlines() if line.startswith("Next:")]
    named = shlex.split(line.partition("debias run ")[2])
    assert named[1::2] == ["--label", "--attributes"]
    config = run_recipe(
        Request(source=Path(named[0]), recipe={"label": named[2], "attributes": [named[4]]})
    )
    assert config.image_size == 32  # no more than the store has
    assert config.data.name == "store"
    assert config.label == "smiles"
    assert config.attributes == ("group",)
    assert len(config.data.collect(0).samples) == 8 * len(NAMES)


def test_known_layouts_are_recognised_by_names(tmp_path):
    def made(*names):
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        for name in names:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(b"")
        return recognised(root, {})["name"]

    assert made("list_attr_celeba.txt", "img_align_celeba/000001.jpg") == "celeba"
    assert made("fairface_label_train.csv", "train/1.jpg") == "fairface"
    assert made("peopleDevTrain.txt") == "lfw"
    assert made("23_1_0_20170103.jpg.chip.jpg", "readme.txt") == "utkface"
    assert made("train-0000.tar") == "tar"
    assert made("store.json") == "store"
    assert made("a/1.jpg", "b/2.jpg") == "image_folder"
    assert made("1.jpg", "b/2.jpg") == "images"
    (tmp_path / "x.h5").write_bytes(b"")
    assert recognised(tmp_path / "x.h5", {}) == {"name": "hdf5", "file": str(tmp_path / "x.h5")}
    with pytest.raises(DataError, match="no known kind"):
        recognised(tmp_path / "0" / "list_attr_celeba.txt", {})


def test_the_record_is_for_its_owner_alone(hostile):
    ingest(hostile / "in", "--out", hostile / "store", "--set", "ingest.most_rejected=0.1")
    private = [*(hostile / "store").glob("ingest.*"), *(hostile / "store").rglob("*.jsonl")]
    assert len(private) == 3
    for path in private:
        assert oct(os.stat(path).st_mode)[-3:] == "600", path

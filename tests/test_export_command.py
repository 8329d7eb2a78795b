"""``debias export``: an audit folder in, manifests and a short audit out."""

import json
import os
import shutil
from importlib import import_module
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from typer.testing import CliRunner

from debias.commands import app
from debias.datasets import Folder
from debias.decoding.decode import decode
from debias.density import NeighbourDensity
from debias.errors import (
    AllDimensionsInactiveError,
    ArtifactCorruptError,
    ConfigError,
    DataError,
    DuplicateIdError,
)
from debias.pipeline.export import Request, export
from debias.pipeline.step import latents_files
from debias.report.terminal import lines
from debias.statistics.intervals import clopper_pearson
from debias.storage.artifacts import RunFolder, save, save_faces
from debias.storage.sealed import write_json
from debias.types import Latents
from debias.weighting.latent_weights import latent_weights

command = import_module("debias.commands.export")  # the package names its function so
ROWS, SIDE, RARE = 240, 8, 24
KEY, FACES = "a" * 20, "b" * 20


def table_of(root: Path) -> pd.DataFrame:
    """Every tenth image is of people in a far corner of the latent space; every fourth a test."""
    rare, unnamed = np.arange(ROWS) < RARE, np.arange(ROWS) >= 140
    split = np.where(np.arange(ROWS) % 4 == 3, "test", "train").astype(object)
    split[::12] = "validation"
    return pd.DataFrame(
        {
            "sample_id": [f"={row:03}" if row == 5 else f"{row:03}" for row in range(ROWS)],
            "path": [str(root / f"{row:03}.png") for row in range(ROWS)],
            "split": split,
            "label": np.arange(ROWS) % 2,
            "skin": np.where(rare, "dark", np.where(unnamed, "NA", "light")),
            "weight": "annotated",
        }
    )


def make_audit(
    folder: Path, samples: pd.DataFrame, about: dict | None = None, key: str = KEY, **changed
) -> Path:
    """What an audit leaves on disk, as far as an export needs it; nothing is withheld.

    ``changed``: ``document`` of the audit, ``audited`` splits, ``latents`` of all images.
    """
    run, generator = RunFolder(folder), np.random.default_rng(0)
    run.open({})
    faces = {"classes": ["no", "yes"], "attributes": ["skin", "weight"], "label": "smiles"}
    if run.find("faces", FACES) is None:
        with run.create("faces", FACES, {}) as place:
            images = generator.integers(0, 255, (ROWS, SIDE, SIDE, 3)).astype(np.uint8)
            np.save(place / "images-00000.npy", images[:100])
            np.save(place / "images-00001.npy", images[100:])
            save_faces(place, samples, faces | (about or {}))
    seen = samples["split"].isin(changed.get("audited", ("train", "validation"))).to_numpy()
    latents, rare = changed.get("latents", latents_of()), np.arange(ROWS) < RARE
    ids = samples["sample_id"].to_numpy(str)[seen]
    images = pd.DataFrame(
        {"sample_id": ids, "split": samples["split"][seen], "cell": rare[seen].astype(int) * 3}
    )
    document = {"coverage": {"cells": 4}, "data": {"name": "folder", "suppress_below": 1}}
    with run.create("audit", key, {}) as place:
        images.to_parquet(place / "images.parquet", index=False)
        save(place, latents_files(Latents(sample_ids=ids, mean=latents[seen])))
        write_json(place / "audit.json", document | changed.get("document", {}))
    return folder


def latents_of() -> np.ndarray:
    """The rare ones, far off and far apart: a tenth of the images in half of the range."""
    mean = np.random.default_rng(1).normal(size=(ROWS, 3))
    mean[:RARE] = 2 * mean[:RARE] + 9
    return mean.astype(np.float32)


@pytest.fixture
def photos(tmp_path) -> Path:
    root = tmp_path / "photos"
    root.mkdir()
    for row in range(ROWS):
        Image.new("RGB", (SIDE, SIDE), (row, 100 * (row % 2), 9)).save(root / f"{row:03}.png")
    return root


@pytest.fixture
def audit(tmp_path, photos) -> Path:
    return make_audit(tmp_path / "audit", table_of(photos))


def ask(audit: Path, kind: str, name: str = "out/found.csv", **settings):
    return export(Request(folder=audit, kind=kind, out=audit.parent / name, **settings))


def read(path: Path) -> pd.DataFrame:
    text = {"sample_id": str, "skin": str}
    if path.suffix == ".parquet":
        return pd.read_parquet(path)
    return pd.read_csv(path, dtype=text, keep_default_na=False)


@pytest.mark.parametrize("ending", [".csv", ".parquet", ".CSV"])
def test_weights_are_of_the_rule_of_the_audit_with_mean_1_over_the_training_images(audit, ending):
    found = ask(audit, "weights", f"w{ending}")
    table = read(found.manifest) if ending != ".CSV" else pd.read_csv(found.manifest)
    train = (table_of(audit.parent / "photos")["split"] == "train").to_numpy()
    expected = latent_weights(latents_of()[train]).probability
    np.testing.assert_allclose(table["probability"], expected)
    np.testing.assert_allclose(table["weight"], expected * train.sum())
    rare = table["row"] < RARE
    assert table["weight"][rare].mean() > 2 * table["weight"][~rare].mean()
    assert table["weight_annotated"].eq("annotated").all()  # the user's column of this name
    assert set(table["split"]) == {"train"}


@pytest.mark.parametrize("name", ["m.csv", "m.parquet"])
def test_a_manifest_reads_back_in(audit, photos, name):
    """Paths are absolute in it and annotations may bear names of ours."""
    manifest = read(ask(audit, "weights", name).manifest)
    part = {"root": photos, "allow_unjoined": 1.0}  # the test images were not audited
    back = Folder(table=audit.parent / name, split_column="split", **part).collect(0)
    assert back.rejected == ()
    samples = back.samples
    assert samples["path"].tolist() == manifest["path"].tolist()
    assert all(Path(path).is_file() for path in samples["path"])
    assert samples["split"].value_counts().to_dict() == {"train": 144, "validation": 16}
    for column in ("skin", "smiles", "weight_annotated"):
        assert samples[column].tolist() == manifest[column].tolist()
    assert {"NA", "light", "dark"} == set(samples["skin"])
    few = ask(audit, "subset", "few.csv", size=40).manifest
    assert len(Folder(table=few, **part).collect(0).samples) == 40
    drawn = ask(audit, "resampled", "drawn.csv").manifest
    with pytest.raises(DuplicateIdError, match="debias export --as weights lists each once"):
        Folder(root=photos, table=drawn).collect(0)


@pytest.mark.parametrize("kind", ["weights", "resampled", "subset"])
def test_images_of_other_splits_move_nothing_though_they_were_audited(tmp_path, photos, kind):
    samples, latents, size = table_of(photos), latents_of(), 40 if kind == "subset" else None
    moved = latents.copy()
    moved[(samples["split"] != "train").to_numpy()] += 9  # the rare corner fills
    every = {"audited": ("train", "validation", "test")}
    audits = [
        make_audit(tmp_path / name, samples, latents=points, **every)
        for name, points in (("first", latents), ("moved", moved))
    ]
    first, second = (read(ask(one, kind, size=size).manifest) for one in audits)
    pd.testing.assert_frame_equal(first, second)


def test_the_density_is_that_of_the_audit(tmp_path, photos):
    train = (table_of(photos)["split"] == "train").to_numpy()
    density = {"name": "knn", "neighbours": 5}
    audit = make_audit(tmp_path / "knn", table_of(photos), document={
        "coverage": {"cells": 4}, "density": density})  # fmt: skip
    found = ask(audit, "weights")
    assert found.document["density"] == "knn"
    expected = latent_weights(latents_of()[train], density=NeighbourDensity(neighbours=5))
    np.testing.assert_allclose(read(found.manifest)["probability"], expected.probability)
    unknown = make_audit(tmp_path / "other", table_of(photos), document={
        "density": {"name": "splines"}})  # fmt: skip
    with pytest.raises(DataError, match=r"'splines'.*again"):
        ask(unknown, "weights")


def test_ids_annotations_and_labels_are_written_as_they_are(audit):
    found = ask(audit, "weights", splits=("train", "validation"))
    table = read(found.manifest).set_index("sample_id")
    assert table.loc["=005", "row"] == 5
    assert table.loc["200", "skin"] == "NA"
    assert table["smiles"].tolist() == np.where(table["row"] % 2, "yes", "no").tolist()
    assert (table["label"] == table["row"] % 2).all()


def test_a_subset_is_of_the_size_evener_and_without_annotation(audit, tmp_path, photos):
    found = ask(audit, "subset", size=40)
    table = read(found.manifest)
    assert len(table) == table["sample_id"].nunique() == 40
    assert "weight" not in table
    train = table_of(photos).query("split == 'train'")
    assert (table["skin"] == "dark").mean() > 2 * (train["skin"] == "dark").mean()
    coverage = found.document["coverage"]
    assert coverage["after"]["effective_cells"] > coverage["before"]["effective_cells"]
    assert coverage["after"]["effective_cells"] > coverage["random"]["effective_cells"]["high"]
    assert any("is more even than by chance" in one for one in found.document["sentences"])
    shuffled = table_of(photos)
    shuffled["skin"] = shuffled["skin"].sample(frac=1, random_state=0).to_numpy()
    other = make_audit(tmp_path / "audit2", shuffled)
    again = ask(other, "subset", "other.csv", size=40)
    assert read(again.manifest)["sample_id"].tolist() == table["sample_id"].tolist()


def test_a_resampled_manifest_repeats_what_counts_more(audit):
    found = ask(audit, "resampled", size=300)
    table = read(found.manifest)
    assert table["draw"].tolist() == list(range(300))
    samples = table_of(audit.parent / "photos").query("split == 'train'")
    weights = read(ask(audit, "weights", "weights.csv").manifest).set_index("sample_id")
    expected = 300 * weights["probability"]
    drawn = table["sample_id"].value_counts().reindex(expected.index, fill_value=0)
    assert (np.abs(drawn - expected) < 1).all()
    assert found.document["images"]["different"] == table["sample_id"].nunique()
    assert len(read(ask(audit, "resampled", "all.csv").manifest)) == len(samples)


def test_the_other_splits_are_held_out_as_they_are(audit):
    found = ask(audit, "subset", size=20)
    held_out, samples = read(found.held_out), table_of(audit.parent / "photos")
    expected = samples.loc[samples["split"] != "train", "sample_id"]
    assert held_out["sample_id"].tolist() == expected.tolist()
    assert not set(held_out["sample_id"]) & set(read(found.manifest)["sample_id"])


def test_lines_lead_to_the_photographs_and_to_the_decoded_images_from_anywhere(
    audit, tmp_path, monkeypatch
):
    found = ask(audit, "subset", size=20)
    monkeypatch.chdir(tmp_path.parent)
    shards = np.concatenate([np.load(path) for path in found.document["images"]["shards"]])
    store = np.concatenate(
        [np.load(path) for path in sorted((audit / "faces" / FACES).glob("images-*.npy"))]
    )
    for line in read(found.manifest).to_dict("records"):
        with Image.open(line["path"]) as photo:
            assert photo.getpixel((0, 0))[0] == line["row"]
        np.testing.assert_array_equal(shards[line["row"]], store[line["row"]])


def test_relative_paths_become_absolute(tmp_path, photos, monkeypatch):
    monkeypatch.chdir(tmp_path)
    audit = make_audit(Path("audit"), table_of(Path("photos")))
    table = read(ask(audit, "weights").manifest)
    assert table["path"].str.startswith(str(photos)).all()


def test_files_that_are_gone_are_named(audit, photos):
    (photos / "001.png").unlink()
    said = " ".join(ask(audit, "weights").document["sentences"])
    assert "1 of 160 files are not where the audit read them" in said
    assert str(photos / "001.png") in said


def test_images_without_files_are_reached_by_row(tmp_path, photos):
    drawn = make_audit(tmp_path / "drawn", table_of(photos).drop(columns="path"))
    found = ask(drawn, "weights")
    assert read(found.manifest)["path"].eq("").all()
    assert any("by 'row'" in sentence for sentence in found.document["sentences"])


def test_parts_of_larger_files_keep_their_place(tmp_path, photos):
    samples = table_of(photos).assign(offset=512, length=70)
    blurred = {"fidelity": {"verdict": "blurred", "action": "Train longer."}}
    found = ask(make_audit(tmp_path / "tar", samples, document=blurred), "weights")
    assert read(found.manifest)[["offset", "length"]].eq([512, 70]).all().all()
    assert any("'offset'" in sentence for sentence in found.document["sentences"])
    assert found.document["sentences"][0] == (
        "The model draws nearly the same face for every image, so this choice cannot be relied on. "
        "Audit again: Train longer."
    )


def test_an_audit_of_a_store_finds_the_files_that_the_store_was_made_from(tmp_path, photos):
    store = make_audit(tmp_path / "store", table_of(photos))
    write_json(store / "store.json", {"faces": FACES})
    document = {"data": {"name": "store", "place": str(store)}}
    samples = table_of(photos).drop(columns="path")
    table = read(ask(make_audit(tmp_path / "of", samples, document=document), "weights").manifest)
    assert [Path(path).stem for path in table["path"]] == [f"{row:03}" for row in table["row"]]


def test_the_short_audit_counts_groups_before_and_after(audit):
    found = ask(audit, "subset", size=80)
    document = json.loads(found.numbers.read_text())
    rows = {row["group"]: row for row in document["groups"]["rows"]}
    table = read(found.manifest)
    dark = int((table["skin"] == "dark").sum())
    assert rows["skin:dark"]["after"]["count"] == dark
    assert isinstance(rows["skin:dark"]["after"]["count"], int)
    low, high = clopper_pearson(np.array([dark]), np.array([80]))
    after = rows["skin:dark"]["after"]
    assert (after["low"], after["high"]) == pytest.approx((low[0], high[0]))
    assert document["files"][found.manifest.name]["columns"]["row"].startswith("position")
    assert document["audit"]["key"] == KEY
    assert document["seed"] == 0


@pytest.fixture
def with_one(tmp_path, photos) -> Path:
    """An audit in which one image alone is of a group."""
    samples = table_of(photos)
    samples.loc[100, "skin"] = "one"
    return make_audit(tmp_path / "with-one", samples, document={"data": {"suppress_below": 11}})


def test_small_groups_are_withheld_before_and_after_and_cannot_be_worked_out(with_one):
    document = ask(with_one, "subset", size=80, splits=("train", "validation")).document
    for attribute in ("skin", "skin x weight"):
        rows = [row for row in document["groups"]["rows"] if row["attribute"] == attribute]
        hidden = [row for row in rows if row["state"] == "suppressed"]
        assert any("one" in row["group"] for row in hidden)
        assert len(hidden) >= 2  # the total minus the others would tell it
        assert all(set(row[side].values()) == {None} for row in hidden for side in ("before",
                   "after"))  # fmt: skip
    evenness = {row["attribute"]: row["after"] for row in document["groups"]["evenness"]}
    assert evenness["skin"] is None


@pytest.mark.parametrize("told", [{"data": {"suppress_below": 11}}, {"data": {}}])
def test_how_much_is_withheld_is_what_the_audit_said_when_it_was_sealed(tmp_path, photos, told):
    samples = table_of(photos)
    samples.loc[100, "skin"] = "one"
    audit = make_audit(tmp_path / "audit", samples, document=told)
    # A later audit that failed, or has not ended, leaves its wishes here.
    RunFolder(audit).open({"config": {"audit": {"suppress_below": 1}, "data": {"name": "store"}}})
    found = ask(audit, "subset", size=80, splits=("train", "validation"))
    states = {row["group"]: row["state"] for row in found.document["groups"]["rows"]}
    assert states["skin:one"] == "suppressed"


def test_an_export_of_one_split_does_not_tell_small_counts_of_the_other(tmp_path, photos):
    told = {"data": {"suppress_below": 11}}
    audit = make_audit(tmp_path / "audit", table_of(photos), document=told)
    rows = ask(audit, "weights").document["groups"]["rows"]
    # Of the 24 audited in the rare corner 2 are validation images.
    assert {row["state"] for row in rows if row["group"] == "skin:dark"} == {"suppressed"}


def test_groups_that_the_audit_withholds_are_withheld(tmp_path, photos):
    def row(group: str, state: str) -> dict:
        return {"group": group, "state": state}

    told = {
        "attributes": [
            {
                "attribute": "skin",
                "rows": [row("skin:dark", "suppressed"), row("skin:NA", "estimated")],
            }
        ],
        "crossings": [row("skin:dark x weight:annotated", "suppressed")],
    }
    told = {"groups": told, "data": {"suppress_below": 2}}
    audit = make_audit(tmp_path / "audit", table_of(photos), document=told)
    shown = ask(audit, "weights").document["groups"]["rows"]
    states = {row["group"]: row["state"] for row in shown}
    # One more group hides what is left of the total.
    assert [states[f"skin:{name}"] for name in ("dark", "NA", "light")] == [
        "suppressed", "suppressed", "estimated",
    ]  # fmt: skip
    assert states["skin:light x weight:annotated"] == "suppressed"


def test_weights_change_shares_and_widen_intervals(audit):
    rows = {row["group"]: row for row in ask(audit, "weights").document["groups"]["rows"]}
    before, after = rows["skin:dark"]["before"], rows["skin:dark"]["after"]
    assert after["share"] > 2 * before["share"]
    assert after["high"] - after["low"] > before["high"] - before["low"]


def test_small_groups_that_shrank_are_said_first(tmp_path, photos):
    samples = table_of(photos)
    plain = make_audit(tmp_path / "plain", samples)
    weight = read(ask(plain, "weights").manifest).set_index("row")["weight"]
    # Annotation that goes against the latent space: who is common there is rare here.
    common = samples.index.isin(weight.nsmallest(30).index)
    audit = make_audit(tmp_path / "against", samples.assign(skin=np.where(common, "dark", "light")))
    first = ask(audit, "weights").document["sentences"][0]
    assert first.startswith("Harm: small groups with a smaller share than before: skin:dark (")


def test_without_label_or_annotation_there_is_still_a_manifest(tmp_path, photos):
    about = {"classes": ["unlabelled"], "attributes": [], "label": "none"}
    found = ask(make_audit(tmp_path / "plain", table_of(photos), about), "subset", size=10)
    assert list(read(found.manifest)) == ["sample_id", "path", "row", "split"]
    assert found.document["groups"] == {"rows": [], "evenness": []}
    assert "before" in found.document["coverage"]


def test_a_seed_decides_and_a_later_export_replaces_an_earlier_one_whole(audit):
    first = ask(audit, "subset", size=30)
    content = first.manifest.read_bytes()
    assert ask(audit, "subset", size=30).manifest.read_bytes() == content
    assert ask(audit, "subset", size=30, seed=1).manifest.read_bytes() != content
    assert {path.name for path in first.manifest.parent.iterdir()} == {
        "found.csv", "found.held-out.csv", "found.csv.audit.json",
    }  # fmt: skip
    assert first.manifest.stat().st_mode & 0o777 == 0o600


def test_what_an_earlier_export_held_out_does_not_stay_when_nothing_is(tmp_path, photos):
    samples = table_of(photos).query("split != 'test'")
    audit = make_audit(tmp_path / "audit", table_of(photos))
    shutil.rmtree(audit / "faces")
    with RunFolder(audit).create("faces", FACES, {}) as place:
        save_faces(place, samples, {"classes": [], "attributes": [], "label": "none"})
    earlier = ask(audit, "weights").held_out
    assert earlier.is_file()
    found = ask(audit, "weights", splits=("train", "validation"))
    assert found.held_out is None
    assert not earlier.exists()


def test_csv_and_parquet_of_one_name_keep_their_own_numbers(audit):
    first, second = ask(audit, "subset", "x.csv", size=9), ask(audit, "weights", "x.parquet")
    assert first.numbers.name == "x.csv.audit.json"
    assert json.loads(first.numbers.read_text())["as"] == "subset"
    assert json.loads(second.numbers.read_text())["as"] == "weights"


@pytest.mark.parametrize(
    ("settings", "error", "said"),
    [
        ({"kind": "subset", "size": 161}, ConfigError, "choose 2 to 160"),
        ({"kind": "subset", "size": 1}, ConfigError, "choose 2 to 160"),
        ({"kind": "subset"}, ConfigError, "--size N"),
        ({"kind": "weights", "size": 5}, ConfigError, "leave out --size"),
        ({"kind": "resampled", "size": 1}, ConfigError, "choose 2 or more"),
        ({"kind": "resampled", "size": 10**30}, ConfigError, "choose 100,000,000 or fewer"),
        ({"kind": "even"}, ConfigError, "choose weights, resampled, subset"),
        ({"kind": "weights", "name": "w.xlsx"}, ConfigError, r"\.csv or \.parquet"),
        ({"kind": "weights", "splits": ("train", "test")}, ConfigError, "test images stay"),
        ({"kind": "weights", "splits": ()}, ConfigError, "train and validation"),
    ],
)
def test_impossible_wishes_are_refused_and_nothing_is_written(audit, settings, error, said):
    with pytest.raises(error, match=said):
        ask(audit, settings.pop("kind"), settings.pop("name", "out/w.csv"), **settings)
    assert not (audit.parent / "out").exists()


def test_a_split_that_was_not_audited_is_named(tmp_path, photos):
    samples = table_of(photos)
    samples["split"] = samples["split"].replace("validation", "train")
    audit = make_audit(tmp_path / "audit", samples)
    with pytest.raises(DataError, match="the audit looked at: train"):
        ask(audit, "weights", splits=("validation",))


def test_latents_that_say_nothing_give_no_weights(tmp_path, photos):
    same = np.ones((ROWS, 3), np.float32)
    audit = make_audit(tmp_path / "audit", table_of(photos), latents=same)
    with pytest.raises(AllDimensionsInactiveError, match="none of 3 latent dimensions"):
        ask(audit, "weights")
    assert len(read(ask(audit, "subset", size=9).manifest)) == 9


def test_a_folder_that_is_no_audit_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no finished audit.*debias audit IMAGES"):
        ask(tmp_path / "nothing", "weights")


def test_of_several_audits_the_named_one_counts(audit, photos):
    other = "c" * 20
    make_audit(audit, table_of(photos), key=other, latents=latents_of()[::-1])
    first = ask(make_audit(audit.parent / "alone", table_of(photos)), "weights", "1.csv")
    with pytest.raises(DataError, match=r"2 finished stages 'audit'.*run the same"):
        ask(audit, "weights")
    write_json(audit / "audit.json", {"key": other})
    found = ask(audit, "weights")
    assert found.document["audit"]["key"] == other
    assert not read(found.manifest)["weight"].equals(read(first.manifest)["weight"])


def test_of_several_stores_the_named_one_counts(audit):
    other = audit / "faces" / ("d" * 20)
    shutil.copytree(audit / "faces" / FACES, other)
    with pytest.raises(DataError, match=r"2 finished stages 'faces'"):
        ask(audit, "weights")
    write_json(audit / "audit.json", {"key": KEY, "faces": FACES})
    shards = ask(audit, "weights").document["images"]["shards"]
    assert {Path(path).parent.name for path in shards} == {FACES}


def test_a_damaged_audit_is_refused(audit):
    (audit / "audit.json").write_text("{")
    with pytest.raises(DataError, match=r"audit\.json cannot be read"):
        ask(audit, "weights")
    (audit / "audit.json").unlink()
    table = audit / "audit" / KEY / "images.parquet"
    table.write_bytes(table.read_bytes()[:-1])
    with pytest.raises(ArtifactCorruptError, match="does not match its manifest"):
        ask(audit, "weights")


def test_an_audit_of_other_images_is_refused(audit, photos):
    shutil.rmtree(audit / "faces")
    samples = table_of(photos)
    samples["sample_id"] = samples["sample_id"] + "x"
    shutil.rmtree(audit / "audit")
    make_audit(audit, samples)
    shutil.rmtree(audit / "faces")
    run = RunFolder(audit)
    with run.create("faces", FACES, {}) as place:
        np.save(place / "images-00000.npy", np.zeros((ROWS, 2, 2, 3), np.uint8))
        save_faces(place, table_of(photos), {"classes": [], "attributes": [], "label": "none"})
    with pytest.raises(DataError, match="speaks of other images"):
        ask(audit, "weights")


def test_the_terminal_shows_shares_and_no_withheld_one(with_one):
    document = ask(with_one, "subset", size=80, splits=("train", "validation")).document
    first, *_, table = lines(command.summary(document))
    assert "80 of 180 images" in first
    cells = [list(column.cells) for column in table.columns]
    assert "skin: one" not in cells[0]
    assert "undefined" not in [*cells[1], *cells[2]]


def test_the_command_writes_and_says_where(audit, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    runner = CliRunner(env={"COLUMNS": "200"})
    result = runner.invoke(app, ["export", str(audit), "--as", "subset", "--size", "30"])
    assert result.exit_code == 0, result.output
    assert "Manifest: subset.csv" in result.output
    assert "Held out, for testing: subset.held-out.csv" in result.output
    assert len(read(Path("subset.csv"))) == 30
    result = runner.invoke(app, ["export", str(audit), "--as", "subset"])
    assert result.exit_code == ConfigError.exit_code
    assert "--size N" in result.output


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_is_named(audit):
    from debias.errors import StorageError

    closed = audit.parent / "closed"
    closed.mkdir(mode=0o500)
    with pytest.raises(StorageError, match="closed"):
        ask(audit, "weights", "closed/w.csv")


def test_the_lines_of_torch_in_the_docs_see_the_pixels_of_the_store(tmp_path, monkeypatch):
    """Photographs of a camera held sideways, wider than high."""
    monkeypatch.chdir(tmp_path)
    small = np.random.default_rng(0).integers(0, 256, (12, 4, 5, 3), dtype=np.uint8)
    for row, colours in enumerate(small):
        turned = Image.Exif()
        turned[0x0112] = 1 + row % 8
        picture = Image.fromarray(colours).resize((200, 160), Image.Resampling.BICUBIC)
        picture.save(f"{row}.jpg", quality=95, exif=turned)
    table = pd.DataFrame({"path": [f"{row}.jpg" for row in range(12)], "split": "test"})
    table["perceived_gender"] = ["female", "male"] * 6
    table.to_csv("subset.csv", index=False)
    table.to_csv("subset.held-out.csv", index=False)
    text = (Path(__file__).parents[1] / "docs" / "audit.md").read_text(encoding="utf-8")
    lines = text.partition("```python\n")[2].partition("```")[0]
    assert "torch" in lines
    seen: dict = {}
    exec(lines, seen)  # what a reader would type
    for row in range(12):
        ours = decode(Path(f"{row}.jpg").read_bytes(), 64).pixels
        theirs = (255 * seen["x"][row]).movedim(0, 2).numpy()
        assert np.abs(ours - theirs).mean() < 2  # of 255; a wrong turn makes it 50

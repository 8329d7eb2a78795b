"""A person is taken out of everything that a small run folder holds."""

import hashlib
import json
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from debias.errors import ArtifactCorruptError, DataError, StorageError
from debias.pipeline.purging.published import _local
from debias.pipeline.purging.removal import purge
from debias.pipeline.purging.traces import Traces, names_person, paths_of
from debias.pipeline.step import arrays, latents_files, predictions_files, weights_files
from debias.processes import identity, machine
from debias.storage.artifacts import (
    Artifact,
    RunFolder,
    content_key,
    load_faces,
    save,
    save_faces,
)
from debias.storage.files import locked
from debias.storage.sealed import read_manifest, verify, write_json
from debias.storage.suppressed import suppressed_in
from debias.types import Latents, Predictions
from debias.weighting.weights import SamplingWeights

PEOPLE = ("Ann_Lee", "Bob_Ray", "Cho_Kim", "Dee_Fox")
PNG = "data:image/png;base64,iVBORw0KGgo="


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def table(prefix="img", size=24):
    """Every fourth image shows the same person; all splits hold everybody."""
    rows = np.arange(size)
    split = np.select([rows < size // 2, rows < 3 * size // 4], ["train", "validation"], "test")
    return pd.DataFrame(
        {
            "sample_id": [f"{prefix}_{row:04d}" for row in rows],
            "subject_id": [PEOPLE[row % 4] for row in rows],
            "split": split,
            "label": rows % 2,
            "group": np.where(rows % 3 == 0, "a", "b"),
            "path": [f"/data/{PEOPLE[row % 4]}/{prefix}_{row:04d}.jpg" for row in rows],
            "sha256": [digest(f"{prefix}{row}") for row in rows],
            "duplicate_cluster": np.where(rows < 2, 0, np.where((rows > 3) & (rows < 7), 1, -1)),
        }
    )


def save_store(folder, samples, *, stage="faces"):
    key = content_key(stage, {"rows": len(samples)}, {"first": samples["sample_id"][0]})
    images = np.arange(len(samples), dtype=np.uint8)[:, None, None, None] * np.ones((8, 8, 3))
    about = {"classes": ["no", "yes"], "attributes": ["group"], "label": "smile"}
    rejected = {"sample_id": "bad_0001", "subject_id": "Ann_Lee", "sha256": digest("bad")}
    other = {"sample_id": "bad_0002", "subject_id": "Bob_Ray", "sha256": digest("bad 2")}
    pairs = {"first_id": ["img_0000", "img_0005"], "second_id": ["img_0001", "img_0006"]}
    with folder.create(stage, key, {}) as path:
        for number, rows in enumerate(np.array_split(np.arange(len(samples)), 3)):
            np.save(path / f"images-{number:05d}.npy", images[rows].astype(np.uint8))
        np.save(path / "perceptual.npy", np.arange(4 * len(samples)).reshape(-1, 4))
        save_faces(path, samples, about)
        (path / "quarantine.jsonl").write_text(json.dumps(rejected) + "\n" + json.dumps(other))
        (path / "quarantine.jsonl").chmod(0o600)
        pd.DataFrame(pairs).to_parquet(path / "duplicates.parquet")
    return folder.find(stage, key)


def save_dependents(folder, samples, faces):
    """What a run makes of the store ``faces``; the oldest manifests did not say of what."""
    latents_key = content_key("r", {}, {})
    of_faces, of_latents = {"inputs": {"faces": faces.key}}, {"inputs": {"latents": latents_key}}
    train = samples[samples["split"] == "train"]["sample_id"].to_numpy(dtype=str)
    test = samples[samples["split"] == "test"]
    latents = Latents(
        sample_ids=train,
        mean=np.arange(3.0 * len(train)).reshape(-1, 3),
        log_var=np.zeros((len(train), 3)),
    )
    with folder.create("representation", latents_key, of_faces) as path:
        save(path, latents_files(latents))
        sheets = np.arange(6) * np.ones((2, 8, 8, 3, 1))  # the sixth validation face is all 5
        save(path, arrays(reconstructions=sheets.transpose(0, 4, 1, 2, 3).astype(np.uint8)))
        (path / "network.safetensors").write_bytes(b"parameters")
    probability = np.arange(1.0, len(train) + 1)
    weights = SamplingWeights(
        sample_ids=train, probability=probability / probability.sum(), origin={"rule": "r"}
    )
    with folder.create("weights", content_key("w", {}, {}), of_latents) as path:
        save(path, weights_files(weights))
    predictions = Predictions(
        sample_ids=test["sample_id"].to_numpy(dtype=str),
        y_true=test["label"].to_numpy(),
        score=np.linspace(0, 1, len(test)),
        threshold=0.5, arm="uniform", seed=0, split="test",
    )  # fmt: skip
    with folder.create("classifier", content_key("c", {}, {}), {}) as path:
        save(path, predictions_files(predictions))
    with folder.create("discriminator", content_key("d", {}, {}), {}) as path:
        save(path, arrays(population=np.zeros((len(train), 1)), examples=np.zeros((5, 1))))


def save_pages(root):
    (root / "report.html").write_text(f"<img src='{PNG}'>")
    write_json(root / "report.json", {"data": {"set_aside": [{"sample_id": "bad_0001"}]}})
    (root / "comparison").mkdir()
    (root / "comparison" / "comparison.json").write_text('{"n": 3}')
    (root / "comparison" / "latent.html").write_text(f"<img src='{PNG}'>")
    (root / "comparison" / "plain.html").write_text("<p>no picture</p>")


@pytest.fixture
def root(tmp_path):
    """A run folder with everything that a run leaves there."""
    folder = RunFolder(tmp_path / "runs" / "one")
    folder.open({"name": "one"})
    samples = table()
    faces = save_store(folder, samples)
    reference = table("ref", 12).assign(split="reference")
    save_store(folder, reference, stage="reference")
    save_dependents(folder, samples, faces)
    save_pages(folder.path)
    parts = folder.path / "faces" / ".parts" / "part-00000"
    parts.mkdir(parents=True)
    np.save(parts / "images.npy", np.zeros(3))
    return folder.path


def only(root, stage):
    (path,) = (path.parent for path in (root / stage).glob("*/manifest.json"))
    return Artifact(stage, path.name, path)


def snapshot(root):
    """Every file below a folder with its bytes."""
    files = (path for path in root.rglob("*") if path.is_file())
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def bytes_with(root, *needles):
    """Independent search: files whose bytes, or whose table cells, hold one of the needles."""
    found = []
    for name, content in snapshot(root).items():
        text = content
        if name.endswith(".parquet"):
            text = pd.read_parquet(root / name).to_csv().encode()
        if name.endswith("ids.npy"):
            text = " ".join(np.load(root / name)).encode()
        found += [name for needle in needles if needle.encode() in text]
    return found


def test_nothing_names_the_person_any_more(root):
    ids = [f"img_{row:04d}" for row in range(0, 24, 4)] + ["ref_0000", "ref_0004", "bad_0001"]
    hashes = [digest(f"img{row}") for row in range(0, 24, 4)] + [digest("bad")]
    assert len(bytes_with(root, "Ann_Lee", *ids, *hashes)) > 20
    result = purge("Ann_Lee", [root])
    assert bytes_with(root, "Ann_Lee", *ids, *hashes) == []
    assert result.remaining == ()
    assert result.complete
    assert result.images == 6 + 3
    assert not (root / "faces" / ".parts").exists()


def test_what_is_left_is_whole_and_consistent(root):
    purge("Ann_Lee", [root])
    for path in root.glob("*/*/manifest.json"):
        verify(path.parent)
    faces = load_faces(only(root, "faces"))
    left = [row for row in range(24) if row % 4]
    assert len(faces.images) == len(left) == 18
    np.testing.assert_array_equal(faces.images[np.arange(18)][:, 0, 0, 0], left)
    perceptual = np.load(only(root, "faces").path / "perceptual.npy")
    np.testing.assert_array_equal(perceptual[:, 0] // 4, left)


def test_all_that_was_made_from_the_old_store_goes(root):
    """By way of others or not, networks included; what rests on another store stays."""
    other = save_store(RunFolder(root), table("other", 8).assign(subject_id="Eve_Sun", path=""))
    with RunFolder(root).create("weights", "0" * 20, {"inputs": {"faces": other.key}}) as path:
        (path / "origin.json").write_text("{}")
    purge("img_0009", [root], sample=True)
    stages = ("representation", "classifier", "discriminator")
    assert not [path for stage in stages for path in (root / stage).glob("*")]
    assert only(root, "weights").key == "0" * 20
    assert RunFolder(root).find("faces", other.key).key == other.key


def test_lists_keep_what_is_about_others(root):
    purge("Ann_Lee", [root])
    store = only(root, "faces").path
    (line,) = (store / "quarantine.jsonl").read_text().strip().split("\n")
    assert json.loads(line)["subject_id"] == "Bob_Ray"
    assert stat.S_IMODE((store / "quarantine.jsonl").stat().st_mode) == 0o600
    pairs = pd.read_parquet(store / "duplicates.parquet")
    assert pairs.to_numpy().tolist() == [["img_0005", "img_0006"]]
    clusters = load_faces(only(root, "faces")).samples.set_index("sample_id")["duplicate_cluster"]
    assert clusters["img_0001"] == -1  # its only duplicate is gone
    assert clusters["img_0005"] == clusters["img_0006"] == 1
    assert read_manifest(store)["purged"] == 6


def test_pages_that_show_or_name_faces_are_deleted_and_others_stay(root):
    result = purge("Ann_Lee", [root])
    left = {path.name for path in root.rglob("*") if path.suffix in (".html", ".json")}
    assert "plain.html" in left
    assert "comparison.json" in left
    assert not left & {"report.html", "report.json", "latent.html"}
    assert set(result.pages) == {root, root / "comparison"}


def test_the_next_run_finds_the_new_store_under_the_old_key(root):
    """So that it does not read the person again; also after a second purge."""
    key = only(root, "faces").key
    for person, left in (("Ann_Lee", 18), ("Bob_Ray", 12)):
        purge(person, [root])
        found = RunFolder(root).find("faces", key)
        assert found.key != key
        assert len(load_faces(found).samples) == left
        assert person not in set(load_faces(found).samples["subject_id"])
    assert read_manifest(found.path)["purged"] == 12


def test_untouched_files_are_linked_and_not_copied(root):
    before = (only(root, "faces").path / "faces.json").stat().st_ino
    purge("Ann_Lee", [root])
    assert (only(root, "faces").path / "faces.json").stat().st_ino == before


def test_a_dry_run_changes_nothing_and_announces_the_same(root):
    (root / "notes.csv").write_text("sample_id,said\nimg_0000,hello\n")
    before = snapshot(root)
    planned = purge("Ann_Lee", [root], dry_run=True)
    assert snapshot(root) == before
    (notes,) = planned.remaining
    assert notes == root / "notes.csv"
    assert not planned.complete
    done = purge("Ann_Lee", [root])
    assert [(s.path, s.removed) for s in planned.steps] == [(s.path, s.removed) for s in done.steps]
    assert (planned.images, planned.remaining) == (done.images, done.remaining)


def test_a_comparison_beside_the_runs_goes_where_it_says_of_which_they_are(root):
    """Its rates are those of the run; of one that does not say so they may be."""
    kept, mine, others = (root.parent / f"{name}-comparison" for name in ("one-two", "one", "on"))
    for folder, of in ((mine, [root]), (others, [root.parent / "two"])):
        folder.mkdir()
        write_json(folder / "comparison.json", {"of": list(map(str, of))})
        (folder / "comparison-latent.html").write_text("<p>no picture</p>")
    kept.mkdir()
    result = purge("Ann_Lee", [root])
    (line,) = (text for text in result.unreached if "rates may be" in text)
    assert line.startswith(f"{kept}, ")
    assert mine in result.pages
    assert [len(list(folder.iterdir())) for folder in (mine, others)] == [0, 2]


@pytest.mark.parametrize("name", ["img_0005.jpg", "Bob_Ray/img_0005.jpg"])
def test_an_image_goes_by_its_path_too(root, name):
    result = purge(name, [root], sample=True)
    assert (result.images, result.complete) == (1, True)
    assert bytes_with(root, "img_0005", digest("img5")) == []
    assert purge(name, [root], sample=True).already
    held = suppressed_in(root).holds(table()[["sample_id"]])
    assert np.flatnonzero(held).tolist() == [5]


def test_a_file_name_of_several_images_is_refused(root, tmp_path):
    other = table("more").assign(path=[f"/data/{row % 12}/{row // 12}.jpg" for row in range(24)])
    folder = RunFolder(tmp_path / "runs" / "two")
    save_store(folder, other)
    with pytest.raises(DataError, match="stands for 12 images"):
        purge("1.jpg", [folder.path], sample=True)
    assert purge("7/1.jpg", [folder.path], sample=True).images == 1


def test_what_a_person_at_a_terminal_is_told(root):
    planned = list(purge("Ann_Lee", [root], dry_run=True).lines())
    done = list(purge("Ann_Lee", [root]).lines())
    assert f"{root / 'report.html'}: whole" in planned
    (told,) = (line for line in planned if line.startswith("Would remove"))
    assert told.endswith("images from stores: 9")
    assert [line.replace("Would remove", "Removed") for line in planned] == done
    assert done[-1].startswith("Next: write the pages")


def test_an_unknown_person_is_an_error_that_names_nobody(root):
    before = snapshot(root)
    with pytest.raises(DataError, match=r"2 stores with 36 images of 4 people") as caught:
        purge("Zoe_Wu", [root])
    assert not any(person in str(caught.value) for person in PEOPLE)
    with pytest.raises(DataError, match="sample_id"):
        purge("Ann_Lee", [root], sample=True)
    with pytest.raises(DataError, match="is no folder"):
        purge("Ann_Lee", [root / "nowhere"])
    with pytest.raises(DataError, match="no store of faces"):
        purge("Ann_Lee", [root / "comparison"])
    assert {k: v for k, v in snapshot(root).items() if not k.endswith(".lock")} == before


def test_a_single_image_goes_with_its_copies_and_nothing_else(root):
    result = purge("img_0005", [root], sample=True)
    assert result.images == 1
    assert bytes_with(root, "img_0005", digest("img5")) == []
    assert len(load_faces(only(root, "faces")).samples) == 23
    assert any("img_0004" in text and "near duplicates" in text for text in result.unreached)


def test_the_same_content_goes_wherever_it_is(root, tmp_path):
    """A second store over the same files that says nothing about people."""
    folder = RunFolder(tmp_path / "runs" / "two")
    other = table("copy").drop(columns=["subject_id", "path"])
    other["sha256"] = table()["sha256"]
    save_dependents(folder, other, save_store(folder, other))
    result = purge("Ann_Lee", [tmp_path / "runs"])
    assert result.images == 6 + 3 + 6
    assert len(load_faces(only(folder.path, "faces")).samples) == 18
    assert bytes_with(tmp_path, "copy_0000", digest("img0"), "Ann_Lee") == []
    assert result.complete


def test_an_id_means_another_image_in_another_run(root, tmp_path):
    folder = RunFolder(tmp_path / "runs" / "two")
    other = table().assign(subject_id="Somebody_Else", path="")
    other["sha256"] = [digest(f"other{row}") for row in range(24)]
    store = save_store(folder, other)
    lines = (store.path / "quarantine.jsonl").read_text()
    purge("img_0005", [root], sample=True)
    purge("Cho_Kim", [tmp_path / "runs"])
    assert len(load_faces(only(folder.path, "faces")).samples) == 24
    assert (store.path / "quarantine.jsonl").read_text() == lines


@pytest.mark.parametrize("part", ["faces", "faces/*", "representation"])
def test_a_part_of_a_run_stands_for_all_of_it(root, part):
    (folder,) = (path for path in root.glob(part) if not path.name.startswith("."))
    assert purge("Ann_Lee", [folder]).complete
    assert bytes_with(root, "img_0000") == []


def test_somebody_who_was_only_ever_rejected_can_be_purged(root):
    store = only(root, "faces").path
    lines = json.dumps({"sample_id": "bad_0009", "groups": {"subject_id": "Eve_Sun"}})
    with (store / "quarantine.jsonl").open("a") as file:
        file.write("\n" + lines)
    manifest = read_manifest(store)
    content = (store / "quarantine.jsonl").read_bytes()
    manifest["files"]["quarantine.jsonl"] = f"{len(content)}:{hashlib.sha256(content).hexdigest()}"
    write_json(store / "manifest.json", manifest)
    result = purge("Eve_Sun", [root])
    assert (result.images, result.complete) == (0, True)
    assert "bad_0009" not in (only(root, "faces").path / "quarantine.jsonl").read_text()


def test_a_refused_build_leaves_a_list_that_is_purged_too(root, tmp_path):
    """Too much was set aside: there is no store, and the list of it says why."""
    for stage in (root / "faces", tmp_path / "refused" / "faces"):
        stage.mkdir(parents=True, exist_ok=True)
        records = [{"sample_id": "bad_0003", "subject_id": "Ann_Lee"}, {"sample_id": "bad_0004"}]
        (stage / "quarantine.jsonl").write_text("".join(json.dumps(x) + "\n" for x in records))
        assert purge("Ann_Lee", [stage.parent]).complete
        assert (stage / "quarantine.jsonl").read_text() == '{"sample_id": "bad_0004"}\n'


def test_numbers_as_names_are_found_where_they_mean_people(root, tmp_path):
    """Identity 7 is not the age 7, nor seven epochs."""
    folder = RunFolder(tmp_path / "celeb")
    samples = table().drop(columns="path")
    samples["subject_id"] = np.where(np.arange(24) % 4 == 0, 7.0, np.nan)
    samples["age"] = np.where(np.arange(24) % 2, "7", "8")
    save_store(folder, samples)
    write_json(folder.path / "run.json", {"epochs": 7, "seeds": "7"})
    result = purge("7", [folder.path])
    left = load_faces(only(folder.path, "faces")).samples
    assert len(left) == 18
    assert set(left["age"]) == {"7", "8"}
    assert json.loads((folder.path / "run.json").read_text()) == {"epochs": 7, "seeds": "7"}
    assert result.complete
    assert any("too short" in text for text in result.unreached)


def test_a_store_of_one_person_goes_whole(root, tmp_path):
    folder = RunFolder(tmp_path / "alone")
    made = save_store(folder, table("solo", 12).assign(subject_id="Ann_Lee"))
    write_json(folder.path / "store.json", {"faces": made.key})
    result = purge("Ann_Lee", [folder.path])
    left = {path.name for path in folder.path.rglob("*")}
    # Nothing says any more that these faces are the store.
    assert left - {".lock"} == {"faces", "purged.json"}
    assert result.complete


@pytest.mark.parametrize(
    "about",
    [
        {"config": {"tracking": None, "representation": None}, "id": "x", "pid": None},
        {"config": None, "pid": "one"},
        {"config": {"tracking": {"uri": 5}, "representation": {"model": "vae"}}, "pid": -1},
        [],
    ],
)
def test_a_strange_description_of_a_run_stops_nobody(root, about):
    (root / "run.json").write_text(json.dumps(about))
    assert purge("Ann_Lee", [root]).complete


@pytest.mark.parametrize("uri", ["http://[::1", "sqlite://[::1", "postgresql://a:b/c@host/d"])
def test_an_address_that_is_none_is_named_without_what_it_hides(root, monkeypatch, uri):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    result = purge("Ann_Lee", [root])
    assert "b/c" not in str(result)


def test_a_list_that_is_none_is_named(root):
    (root / "faces" / "quarantine.jsonl").write_text("{\n")
    with pytest.raises(ArtifactCorruptError, match=r"quarantine\.jsonl cannot be read"):
        purge("Ann_Lee", [root])


def test_empty_files_of_others_stay_on_the_list(root):
    stage, empty = root / "faces", {"sha256": digest(""), "bytes": 0}
    records = [{"sample_id": "e1", "subject_id": "Ann_Lee"}, {"sample_id": "e2"}]
    (stage / "quarantine.jsonl").write_text("\n".join(json.dumps(x | empty) for x in records))
    purge("Ann_Lee", [root])
    assert "e2" in (stage / "quarantine.jsonl").read_text()


@pytest.mark.parametrize("name", ["images-00000.npy", "samples.parquet", "quarantine.jsonl"])
def test_an_altered_artifact_is_refused_before_anything_is_changed(root, name):
    file = only(root, "faces").path / name
    file.write_bytes(file.read_bytes()[:-1] + b"\x01")
    before = snapshot(root)
    with pytest.raises(ArtifactCorruptError, match=rf"{name} .*; so nobody can tell who is in it"):
        purge("Ann_Lee", [root])
    assert {k: v for k, v in snapshot(root).items() if not k.endswith(".lock")} == before


def test_nothing_is_changed_while_somebody_writes(root, monkeypatch):
    monkeypatch.setattr("debias.pipeline.purging.lifting.PATIENCE", 0.0)
    before = snapshot(root)
    with locked(root / "faces"), pytest.raises(StorageError, match="has been building"):
        purge("Ann_Lee", [root])
    busy = root / "weights" / f".debias-{identity()}-abcdefgh"
    busy.mkdir()
    with pytest.raises(StorageError, match="is writing"):
        purge("Ann_Lee", [root])
    busy.rmdir()
    assert {k: v for k, v in snapshot(root).items() if not k.endswith(".lock")} == before


def test_what_a_dead_builder_left_goes_too(root):
    dead = root / "faces" / f".debias-999999999-1-{machine()}-abcdefgh"
    dead.mkdir()
    (dead / "samples.json").write_text('["img_0000"]')
    half = root / f".debias-999999999-1-{machine()}-abcd1234.json"
    half.write_text('{"ids": ["img_0000"')
    learned = root / "representation" / f"{'0a' * 10}.checkpoint"  # of images, her own included
    learned.parent.mkdir(exist_ok=True)
    learned.touch()
    assert purge("Ann_Lee", [root]).complete
    assert not any(path.exists() for path in (dead, half, learned))


@pytest.mark.parametrize(
    "name",
    [
        ".docker-settings.json", ".backup-2024-december", ".purged-notes", ".purged-0123.old",
        ".parts-of-my-bike", ".parts", ".debias-notes", "..debias-9-abcdefgh", ".debias-x-abcdefgh",
    ],
)  # fmt: skip
@pytest.mark.parametrize("is_folder", [True, False])
def test_hidden_files_of_the_user_stay(root, name, is_folder):
    mine = root / name
    if is_folder:
        mine.mkdir()
        mine = mine / "samples.txt"
    mine.write_text("mine")
    assert purge("Ann_Lee", [root]).complete
    assert mine.read_text() == "mine"


def test_other_files_of_the_user_are_named_and_not_touched(root):
    """They are not ours to change, and somebody who wants a person gone must know of them."""
    notes = root / "notes" / "notes.csv"
    notes.parent.mkdir()
    notes.write_text("sample_id,said\nimg_0000,hello\n")
    result = purge("Ann_Lee", [root])
    assert result.remaining == (notes,)
    assert not result.complete
    assert "img_0000" in notes.read_text()


KILLED_AT = """
    import os, signal, sys
    from pathlib import Path
    import pandas, pyarrow.parquet, debias.pipeline.purging.removal as removal

    def killed(root, left):
        real = removal._discard

        def discard(artifact):
            nonlocal left
            left -= 1
            if left == 0:  # aside, and still there
                removal.janitor.delete = lambda paths: os.kill(os.getpid(), signal.SIGKILL)
            real(artifact)

        removal._discard = discard
        removal.purge("Ann_Lee", [Path(root)])

    for place in sys.argv[1:]:
        root, at = place.split("=")
        child = os.fork()
        if not child:
            killed(root, int(at))
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_killed_purge_is_finished_by_the_same_command(root, tmp_path):
    """Killed while an artifact goes, the last store included: nothing is lost or left."""
    copies = {shutil.copytree(root, tmp_path / f"at-{at}"): at for at in (1, 3, 5, 6)}
    purge("Ann_Lee", [root])
    places = [f"{copy}={at}" for copy, at in copies.items()]
    command = [sys.executable, "-c", textwrap.dedent(KILLED_AT), *places]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.split() == [str(-signal.SIGKILL)] * len(places)
    for copy in copies:
        assert list(copy.rglob(".debias-*"))
        assert purge("Ann_Lee", [copy]).complete
        assert bytes_with(copy, "Ann_Lee", "img_0000", digest("img0")) == []
        assert not list(copy.rglob(".debias-*"))
        assert _tables(copy) == _tables(root)


def _tables(root):
    """All but what says when, and who is held back under which key."""
    files, changing = snapshot(root), (".lock", "run.json", "purged.json")
    return {k: v for k, v in files.items() if not k.endswith(changing)}


def test_paths_count_that_stand_for_nobody_else():
    gone = pd.Series(["/d/ann/1.jpg", "/d/ann/ann-2.jpg", "/d/all.tar", "", "C:\\d\\left.png"])
    staying = pd.Series(["/d/bob/1.jpg", "/d/all.tar", "", "/d/bob/joann-2.jpg"])
    assert paths_of(gone, staying) == {
        "/d/ann/1.jpg", "/d/ann/ann-2.jpg", "ann-2.jpg", "C:\\d\\left.png", "left.png",
    }  # fmt: skip


def test_whatever_is_rewritten_is_for_its_owner_alone(root):
    """Also what an earlier version sealed for everybody."""
    for path in [*root.glob("*/*"), *root.glob("*/*/*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    purge("Ann_Lee", [root])
    rewritten = only(root, "faces").path
    assert stat.S_IMODE(rewritten.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in rewritten.iterdir()} == {0o600}


TRACES = Traces(
    "Ann_Lee", "Ann_Lee", ids=frozenset({"img_0001", "7"}), sha256=frozenset({digest("x")})
)


@pytest.mark.parametrize(
    ("text", "is_hit"),
    [
        ("img_0001", True),
        ('{"a": "img_0001"}', True),
        ("/data/Ann_Lee/img_0001.jpg", True),
        ("same content as img_0001, of 3", True),
        ("img_00012", False),
        ("my_img_0001", False),
        ("img_0001-b", False),
        ("Ann_Leeds", False),
        (digest("x").upper(), False),
        ("7", False),  # means anything outside of a column of ids
    ],
)
def test_a_name_counts_as_a_word_of_its_own(text, is_hit):
    assert TRACES.in_text(text) == is_hit
    (in_table,) = TRACES.texts(pd.Series([text]))
    assert in_table == is_hit


@pytest.mark.parametrize("name", ["Zoë <Müller>", "O'Hara & Sons", "Ngũgĩ wa Thiong'o"])
def test_names_are_found_however_a_format_spells_them(tmp_path, name):
    import html
    import unicodedata

    traces = Traces(name, name)
    for spelt in (name, unicodedata.normalize("NFD", name), json.dumps(name), html.escape(name)):
        assert traces.in_text(f"x {spelt} y")
        assert traces.texts(pd.Series([f"x {spelt} y", "x y"])).tolist() == [True, False]


def test_another_images_row_stays_without_the_mention(tmp_path):
    folder, samples = RunFolder(tmp_path), table().assign(twin="none", said=7)
    samples.loc[1, "twin"] = "see img_0000"
    save_store(folder, samples)
    assert purge("img_0000", [tmp_path], sample=True).complete
    left = load_faces(only(tmp_path, "faces")).samples
    assert left["twin"].tolist() == ["", *["none"] * 22]
    assert set(left["said"]) == {7}


@pytest.mark.parametrize(
    ("value", "is_named"),
    [
        ({"items": [{"sample_id": "img_0001"}]}, True),
        ({"heaviest": {"sample_id": 7}}, True),  # a short name, under a key of ids
        ({"by_image": {"img_0001": 1.0}}, True),
        ({"note": "first is img_0001"}, True),
        ({"ids": ["7"]}, True),
        ({"epochs": 7, "ids": [True, None, "img_0002"], "age": "7"}, False),
    ],
)
def test_a_name_is_found_wherever_it_stands_in_json(tmp_path, value, is_named):
    (tmp_path / "x.json").write_text(json.dumps(value))
    (tmp_path / "x.jsonl").write_text(json.dumps(value) + "\n\n")
    assert names_person(tmp_path / "x.json", TRACES) == is_named
    assert names_person(tmp_path / "x.jsonl", TRACES) == is_named


def published_run(root):
    """What stages publish of a run: weights with ids, pictures, the page, a table of rates."""
    from debias.tracking.mlflow_tracker import MlflowTracking
    from debias.tracking.servers import local_store

    tracking = MlflowTracking(local_store(root.parent), "debias")
    about = json.loads((root / "run.json").read_text())
    with tracking.open("one/weights", "weights", {"debias.run": about["id"]}) as tracker:
        tracker.artifact(only(root, "weights").path / "weights.parquet", "weights")
        tracker.table("by_group", pd.DataFrame({"group": ["a"], "accuracy": [0.5]}))
        tracker.image("reconstructions", np.zeros((8, 8, 3), dtype=np.uint8), 0)
        tracker.artifact(root / "report.html")
    with tracking.open("two/weights", "weights", {"debias.run": "another"}) as tracker:
        tracker.image("reconstructions", np.zeros((8, 8, 3), dtype=np.uint8), 0)
    return tracking


def test_what_was_published_is_taken_back(root):
    tracking = published_run(root)
    runs = root.parent
    assert bytes_with(runs / "mlartifacts", "img_0000")
    result = purge("Ann_Lee", [root])
    left = [path for path in (runs / "mlartifacts").rglob("*") if path.is_file()]
    assert {path.suffix for path in left} == {".png", ".webp"}  # of the other run
    assert len(left) == 2
    (told,) = (line for line in result.lines() if "MLflow" in line)
    assert told.startswith("Removed 1 tracked run from MLflow, with all files")
    assert bytes_with(runs, "Ann_Lee", "img_0000", digest("img0")) == []
    assert result.complete
    assert not tracking.finished("one/weights")  # so the next run publishes what is left
    assert tracking.finished("two/weights")


def test_an_audit_that_names_nobody_goes_too_as_it_counted_them(root):
    """Here and in the tracker; where it lies inside other folders it is none of this place."""
    from debias.tracking.mlflow_tracker import MlflowTracking
    from debias.tracking.servers import local_store

    write_json(root / "audit.json", {"data": {"images": 24}})
    (root / "audit.html").write_text("<p>24 images, no picture</p>")
    (root / "mine").mkdir()
    (root / "mine" / "audit.html").write_text("<p>of the user</p>")
    with RunFolder(root).create("audit", content_key("a", {}, {}), {}) as path:
        write_json(path / "audit.json", {"data": {"images": 24}})
    tracking = MlflowTracking(local_store(root.parent), "debias")
    about = json.loads((root / "run.json").read_text())
    with tracking.open("one/audit", "audit", {"debias.run": about["id"]}) as tracker:
        for name in ("audit.html", "audit.json"):
            tracker.artifact(root / name)
    result = purge("img_0005", [root], sample=True)
    assert list(root.parent.rglob("audit.*")) == [root / "mine" / "audit.html"]
    assert not list(root.glob("audit/*/manifest.json"))
    assert not tracking.finished("one/audit")
    assert set(result.pages) == {root, root / "comparison"}  # what was tracked comes back with them
    told = list(result.lines())
    assert "with debias run, debias audit, debias ingest or debias compare" in told[-1]
    assert any("lists of images that debias export wrote" in line for line in told)


def test_trackers_on_other_machines_are_named_and_not_called(root, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:canary-7@tracker.example/mlflow")
    result = purge("Ann_Lee", [root])
    assert "tracked runs at https://tracker.example/mlflow" in " ".join(result.unreached)
    assert "canary" not in str(result)


@pytest.mark.parametrize(
    ("address", "place"),
    [
        ("file:///data/my%20runs/mlartifacts/1/a", "/data/my runs/mlartifacts/1/a"),
        ("/data/mlartifacts/1/a", "/data/mlartifacts/1/a"),
        ("mlflow-artifacts:/1/a/artifacts", "/runs/mlartifacts/1/a/artifacts"),
        ("s3://bucket/1/a", None),
    ],
)
def test_addresses_of_published_files(address, place):
    found = _local(address, Path("/runs"))
    assert found == (None if place is None else Path(place))


PEOPLE_IN_THE_FOLDER = 12
SMALL = [
    "image_size=32", "label=bright", "attributes=[group]", "report.show_faces=true",
    "representation.model={name: conv_vae, latent_dim: 4, width: 4, hidden: 32}",
    "representation.training={epochs: 8, batch_size: 8, learning_rate: 0.01}",
    "density={name: histogram, components: 2}",
    "arms={uniform: {name: uniform}, latent: {name: latent_rarity, allow_degenerate: true}}",
    "classifier.model={name: conv, width: 4}",
    "classifier.training={epochs: 1, batch_size: 16}",
    "device=cpu", "precision=float32",
]  # fmt: skip


def real_folder(place):
    """Image files of twelve people, ten each, and the table that names them."""
    from PIL import Image

    generator, rows = np.random.default_rng(0), []
    for row in range(10 * PEOPLE_IN_THE_FOLDER):
        pixels = generator.integers(0, 60, (32, 32, 3)) + 120 * (row % 2)
        Image.fromarray(pixels.astype(np.uint8)).save(place / f"{row}.png")
        who = row // 2 % PEOPLE_IN_THE_FOLDER
        rows.append(
            {
                "path": f"{row}.png", "bright": "yn"[row % 2], "group": "ab"[row % 5 == 0],
                "who": f"person_{who:02d}",
                "part": "train" if who < 8 else "validation" if who < 10 else "test",
            }
        )  # fmt: skip
    pd.DataFrame(rows).to_csv(place / "t.csv", index=False)
    columns = "subject_column: who, split_column: part"
    return f"data={{name: folder, root: {place}, table: {place}/t.csv, {columns}}}"


def recorded_run(root, source, *overrides):
    from debias.pipeline import mitigate, open_run
    from debias.pipeline.recipe import RunConfig, load
    from debias.tracking.mlflow_tracker import MlflowTracking
    from debias.tracking.servers import local_store

    run = open_run(load(RunConfig, None, [*SMALL, source, *overrides]), root)
    tracking = MlflowTracking(local_store(root.parent), "debias")
    return mitigate(run.with_tracking(tracking))


@pytest.mark.slow
def test_a_recorded_run_forgets_a_person_and_goes_on(tmp_path):
    """Store, latents, weights, predictions, page and tracker, by way of the real stages."""
    (tmp_path / "source").mkdir()
    source, root = real_folder(tmp_path / "source"), tmp_path / "runs" / "one"
    recorded_run(root, source, "seeds=1")
    samples = load_faces(only(root, "faces")).samples
    people = ["person_00", "person_08"]  # in training; in validation, so that it was redrawn
    theirs = samples[samples["subject_id"].isin(people)]
    names = [*people, *theirs["sample_id"], *theirs["sha256"]]
    runs = root.parent
    pictures = list(runs.rglob("*.webp"))
    assert pictures
    assert len(bytes_with(runs, *names)) > 20

    for person in people:
        result = purge(person, [root])
        assert result.complete
        assert result.images == 10
        assert not list(runs.rglob("*.safetensors"))  # networks that saw them, here and published
    assert bytes_with(runs, *names) == []
    assert not list(runs.rglob("*.webp"))
    assert not list(runs.rglob("report.html"))

    again = recorded_run(root, source, "seeds=2")  # one seed more: a training on what is left
    assert {len(found["seeds"]) for found in again["arms"].values()} == {2}
    assert (root / "report.html").exists()
    assert len(list(runs.rglob("*.webp"))) == len(pictures)
    assert bytes_with(runs, *names) == []
    assert len(load_faces(only(root, "faces")).samples) == len(samples) - 20

import json
import os
import signal
import stat
import subprocess
import sys
import textwrap
import time

import numpy as np
import pytest
from small_store import make_store

from debias.errors import ArtifactCorruptError, StorageError
from debias.models import ConvClassifier
from debias.pipeline.step import (
    arrays,
    latents_files,
    load_predictions,
    load_weights,
    predictions_files,
    weights_files,
)
from debias.processes import identity, machine
from debias.storage.artifacts import (
    RunFolder,
    content_key,
    load_array,
    load_latents,
    load_network,
    save,
)
from debias.storage.files import DAY, TEMPORARY, replace_file
from debias.storage.sealed import read_manifest, sealing, write_checked, write_json
from debias.types import Latents, Predictions
from debias.weighting.weights import SamplingWeights

IDS = np.array(["a", "b", "c"])


@pytest.fixture
def folder(tmp_path):
    return RunFolder(tmp_path / "run")


def saved(folder, save, *values):
    with folder.create("stage", "key", {}) as path:
        save(path, *values)
    return folder.find("stage", "key")


def test_every_value_comes_back_as_it_was(folder):
    latents = Latents(
        sample_ids=IDS, mean=np.eye(3, 2), log_var=np.ones((3, 2)), encoder="someone else"
    )
    back = load_latents(saved(folder, save, latents_files(latents)))
    np.testing.assert_array_equal(back.mean, latents.mean)
    assert back.encoder == "key"

    folder = RunFolder(folder.path / "2")
    weights = SamplingWeights(
        sample_ids=IDS, probability=np.array([0.2, 0.3, 0.5]), origin={"tau": 0.25}
    )
    back = load_weights(saved(folder, save, weights_files(weights)))
    np.testing.assert_array_equal(back.probability, weights.probability)
    assert back.origin == {"tau": 0.25}

    folder = RunFolder(folder.path / "3")
    predictions = Predictions(
        sample_ids=IDS, y_true=np.array([0, 1, 1]), score=np.array([0.1, 0.5, 0.9]),
        threshold=0.5, arm="latent", seed=3, split="test",
    )  # fmt: skip
    back = load_predictions(saved(folder, save, predictions_files(predictions)))
    np.testing.assert_array_equal(back.y_pred, [0, 1, 1])
    assert (back.arm, back.seed, back.split) == ("latent", 3, "test")

    folder = RunFolder(folder.path / "4")
    network = ConvClassifier(width=2).build(2)
    back = load_network(
        saved(folder, save, {"network.safetensors": network}), ConvClassifier(width=2).build(2)
    )
    for name, tensor in network.state_dict().items():
        np.testing.assert_array_equal(back.state_dict()[name], tensor)


def test_a_damaged_manifest_is_noticed_wherever_the_bit_lies(folder):
    file = saved(folder, lambda path: save(path, arrays(z=np.arange(5.0)))).path / "manifest.json"
    content, accepted = file.read_bytes(), []
    for position in range(len(content)):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position % 8
        file.write_bytes(flipped)
        try:
            RunFolder(folder.path).find("stage", "key")
        except ArtifactCorruptError:
            continue
        accepted.append(position)
    assert accepted == []
    file.write_bytes(content)
    assert RunFolder(folder.path).find("stage", "key") is not None
    # As earlier versions wrote it.
    write_json(file, read_manifest(file.parent))
    assert RunFolder(folder.path).find("stage", "key") is not None


def altered(artifact, **about):
    write_checked(artifact.path / "manifest.json", {**artifact.about, **about})


def test_what_is_not_the_artifact_that_its_place_says_is_refused(folder):
    """Each in a sentence with a remedy; after it, the artifact can be made again."""
    artifact = saved(folder, lambda path: save(path, arrays(z=np.zeros(2))))
    with pytest.raises(ArtifactCorruptError, match="does not say how long that took; delete"):
        assert artifact.seconds
    altered(artifact, seconds=2)
    assert artifact.seconds == 2
    for about in ({"key": "other"}, {"stage": "other"}, {"schema": 99}):
        altered(artifact, **{"stage": "stage", "key": "key", "schema": 1} | about)
        ((name, value),) = about.items()
        with pytest.raises(ArtifactCorruptError, match=rf"its {name} is {value!r}, not .*; delete"):
            RunFolder(folder.path).find("stage", "key")
    altered(artifact, schema=1)
    (artifact.path / "more").mkdir()
    with pytest.raises(ArtifactCorruptError, match=r"key/more does not match .* found no file\)"):
        RunFolder(folder.path).find("stage", "key")
    # Without a manifest it counts as nothing, and is no obstacle.
    (artifact.path / "manifest.json").unlink()
    assert RunFolder(folder.path).find("stage", "key") is None
    again = saved(RunFolder(folder.path), lambda path: save(path, arrays(z=np.ones(2))))
    np.testing.assert_array_equal(load_array(again, "z"), 1)
    (folder.path / "stage").rename(folder.path / "elsewhere")
    (folder.path / "stage").symlink_to("elsewhere")
    with pytest.raises(ArtifactCorruptError, match=r"stage is a link.*delete the link"):
        RunFolder(folder.path).find("stage", "key")


def test_an_unfinished_folder_does_not_exist(folder):
    def fail():
        with folder.create("stage", "key", {}) as path:
            save(path, arrays(z=np.zeros(3)))
            raise RuntimeError("stopped")

    with pytest.raises(RuntimeError, match="stopped"):
        fail()
    assert folder.find("stage", "key") is None
    assert list((folder.path / "stage").iterdir()) == []


def test_any_flipped_bit_is_noticed(folder):
    artifact = saved(folder, lambda path: save(path, arrays(z=np.arange(50.0))))
    file = artifact.path / "z.npy"
    content = bytearray(file.read_bytes())
    for position in np.random.default_rng(0).integers(0, len(content), 40):
        flipped = bytearray(content)
        flipped[position] ^= 1
        file.write_bytes(flipped)
        with pytest.raises(ArtifactCorruptError, match=r"z\.npy does not match its manifest"):
            RunFolder(folder.path).find("stage", "key")
    file.write_bytes(content)
    assert RunFolder(folder.path).find("stage", "key") is not None
    file.unlink()
    with pytest.raises(ArtifactCorruptError, match="found missing"):
        RunFolder(folder.path).find("stage", "key")


def test_the_second_of_two_builders_keeps_what_the_first_finished(folder):
    with folder.create("stage", "key", {}) as mine:
        saved(RunFolder(folder.path), lambda path: save(path, arrays(z=np.ones(2))))
        save(mine, arrays(z=np.ones(2)))
    np.testing.assert_array_equal(load_array(folder.find("stage", "key"), "z"), 1)
    assert len(list((folder.path / "stage").iterdir())) == 1


def test_a_killed_writer_leaves_nothing_that_counts(folder):
    code = textwrap.dedent("""
        import os, sys, signal
        from pathlib import Path
        import numpy as np
        from debias.storage.artifacts import RunFolder, save
        with RunFolder(Path(sys.argv[1])).create("stage", "key", {}) as path:
            save(path, {"z.npy": np.zeros(1000)})
            os.kill(os.getpid(), signal.SIGKILL)
    """)
    done = subprocess.run([sys.executable, "-c", code, str(folder.path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert folder.find("stage", "key") is None
    assert len(list((folder.path / "stage").iterdir())) == 1  # abandoned
    saved(folder, lambda path: save(path, arrays(z=np.zeros(2))))
    assert [path.name for path in (folder.path / "stage").iterdir()] == ["key"]


def test_only_abandoned_folders_of_ours_are_removed(folder):
    gone, mine = f"999999999-1-{machine()}", identity()
    elsewhere = f"999999999-1-{'0' * 8}"  # a container that shares the folder
    owners = [mine, elsewhere, "999999999"]  # the last as earlier versions wrote it
    others = [".backup-2024-december", f".a-{gone}-abcdefgh"]
    others += [f".debias-{owner}-abcdefgh" for owner in owners]
    links = folder.path / "stage" / f".debias-{gone}-abcd0123"
    dead = folder.path / "stage" / f".debias-{gone}-abcdefgh"
    for name in others:
        (folder.path / "stage" / name).mkdir(parents=True)
    dead.mkdir()
    links.symlink_to(folder.path)
    saved(folder, lambda path: save(path, arrays(z=np.zeros(2))))
    left = {path.name for path in (folder.path / "stage").iterdir()}
    assert left == {"key", links.name, *others}
    silent = folder.path / "stage" / f".debias-{elsewhere}-abcdefgh"
    os.utime(silent, (0, time.time() - 2 * DAY))
    saved(folder, lambda path: save(path, arrays(z=np.zeros(2))))
    assert not silent.exists()


def test_temporary_files_and_folders_say_whose_they_are(tmp_path):
    seen = []
    replace_file(tmp_path / "a.JSON", lambda path: seen.append(path) or path.write_text("x"))
    with sealing(tmp_path / "stage" / "key", {}) as temporary:
        seen.append(temporary)
    names = [TEMPORARY.fullmatch(path.name) for path in seen]
    assert [name["owner"] for name in names] == [identity()] * 2
    assert seen[0].suffix == ".json"


def test_what_is_sealed_is_for_its_owner_alone(folder):
    """Faces and the names of people: whatever the umask and whatever a part was like."""
    before = os.umask(0)
    try:
        source = folder.path.parent / "shared.npy"
        np.save(source, np.zeros(2))
        with folder.create("stage", "key", {}) as path:
            save(path, arrays(z=np.zeros(2)))
            os.link(source, path / "linked.npy")
    finally:
        os.umask(before)
    sealed = folder.find("stage", "key").path
    assert stat.S_IMODE(sealed.stat().st_mode) == 0o700
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in sealed.iterdir()}
    assert modes == dict.fromkeys(["z.npy", "linked.npy", "manifest.json"], 0o600)
    write_json(folder.path / "open.json", {}, mode=0o640)
    assert stat.S_IMODE((folder.path / "open.json").stat().st_mode) == 0o640


def test_an_unwritable_folder_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match=r"file/run cannot be written.*--out"):
        RunFolder(tmp_path / "file" / "run").open({})


def test_a_full_disk_leaves_no_half_file(folder, monkeypatch):
    def full(*arguments):
        raise OSError(28, "No space left on device")

    def write():
        with folder.create("stage", "key", {}) as path:
            save(path, arrays(z=np.zeros(2)))
            monkeypatch.setattr(os, "fsync", full)

    with pytest.raises(StorageError, match="No space left"):
        write()
    monkeypatch.undo()
    assert folder.find("stage", "key") is None


def test_a_run_keeps_its_identity(folder):
    first = folder.open({"name": "x"})
    again = RunFolder(folder.path).open({"name": "y"})
    assert again["id"] == first["id"]
    assert json.loads((folder.path / "run.json").read_text())["name"] == "y"


def test_json_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    write_json(path, {"value": 1})
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(path, {"value": float("nan")})
    assert json.loads(path.read_text()) == {"value": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_the_content_key_depends_on_settings_inputs_and_nothing_else():
    base = content_key("stage", {"a": 1, "b": 2}, {"in": "x"})
    assert content_key("stage", {"b": 2, "a": 1}, {"in": "x"}) == base
    assert content_key("stage", {"a": 1, "b": 3}, {"in": "x"}) != base
    assert content_key("stage", {"a": 1, "b": 2}, {"in": "y"}) != base
    assert content_key("other", {"a": 1, "b": 2}, {"in": "x"}) != base


def test_a_store_seen_smaller_holds_the_mean_of_every_block():
    store = make_store(size=8, side=32)
    rows = np.array([5, 2])
    seen = store.seen(8)
    assert seen.images.shape == (8, 8, 8, 3)
    exact = store.images[rows].reshape(2, 8, 4, 8, 4, 3).mean(axis=(2, 4))
    assert np.abs(seen.images[rows] - exact).max() <= 0.5
    np.testing.assert_array_equal(store.seen(32).images[rows], store.images[rows])

"""From a folder of files, some of them broken, to a store and back."""

import io
import json
import shutil
from functools import cache

import numpy as np
import pandas as pd
import pytest
from counting import Counting
from PIL import Image
from small_store import picture

from debias.errors import (
    ArtifactCorruptError,
    EmptyDatasetError,
    LabelError,
    QuarantineLimitExceededError,
    SplitLeakageError,
)
from debias.ingesting import decoded as decoding
from debias.ingesting import parts
from debias.ingesting.build import PAIRS, QUARANTINE, STAGE, ingest_faces
from debias.ingesting.quarantine import read_quarantine
from debias.ingesting.rules import FacesRecipe
from debias.pipeline.recipe import load
from debias.storage.artifacts import RunFolder, load_faces
from debias.storage.sealed import MANIFEST
from debias.types import ReadBlock, Rejected

SIZE = 32


@cache
def photograph(number: int, quality: int = 95) -> bytes:
    return jpeg(picture(number), quality=quality)


def jpeg(image: Image.Image, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", **options)
    return buffer.getvalue()


class Faces:
    """A folder and a table, and the recipe that reads them."""

    def __init__(self, folder, count=120):
        self.root = folder / "faces"
        self.root.mkdir(parents=True)
        self.rows = []
        for number in range(count):
            name = f"{number:03d}.jpg"
            (self.root / name).write_bytes(photograph(number))
            self.rows.append(
                {
                    "path": name,
                    "smiling": ["no", "yes"][number % 2],
                    "group": "b" if number % 4 == 3 else "a",
                    "who": f"p{number // 3}",
                }
            )

    def add(self, name, content, **columns):
        (self.root / name).write_bytes(content)
        row = {"path": name, "smiling": "yes", "group": "a", "who": f"only {name}"}
        self.rows.append(row | columns)

    def recipe(self, *overrides, **changes):
        table = self.root.parent / "table.csv"
        pd.DataFrame(self.rows).to_csv(table, index=False)
        tree = {
            "label": "smiling",
            "attributes": ["group"],
            "image_size": SIZE,
            "data": {
                "name": "folder", "root": str(self.root), "table": str(table),
                "subject_column": "who",
            },
        }  # fmt: skip
        return load(FacesRecipe, tree | changes, overrides)


@pytest.fixture
def faces(tmp_path):
    return Faces(tmp_path)


@pytest.fixture
def place(tmp_path):
    return RunFolder(tmp_path / "store")


@pytest.fixture
def decoded_files(monkeypatch):
    """How many files were given to the decoder."""
    seen = []
    real = decoding.read_files

    def read(samples, size, *arguments, **options):
        seen.append(len(samples))
        return real(samples, size, *arguments, **options)

    monkeypatch.setattr(decoding, "read_files", read)
    return seen


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Faces with nothing wrong about them, and the folder and the artifact of their store."""
    folder = tmp_path_factory.mktemp("plain")
    faces, place = Faces(folder), RunFolder(folder / "store")
    return faces, place, ingest_faces(faces.recipe(), place)


def test_every_image_is_in_the_store_with_its_row(plain):
    store = load_faces(plain[2])
    assert len(store.images) == 120
    assert store.classes == ("no", "yes")
    for row in (0, 57, 119):
        wanted = store.samples.iloc[row]
        expected = next(x for x in range(120) if wanted["path"].endswith(f"/{x:03d}.jpg"))
        small = picture(expected).resize((SIZE, SIZE), Image.Resampling.BICUBIC)
        off = np.abs(store.images[np.array([row])][0].astype(int) - np.asarray(small, dtype=int))
        assert off.mean() < 6
        assert wanted["label"] == expected % 2
    sides = store.samples.groupby("subject_id")["split"].nunique()
    assert sides.max() == 1


def test_a_finished_store_is_read_without_the_right_to_write(plain):
    faces, place, artifact = plain
    (place.path / STAGE / ".lock").unlink()
    assert ingest_faces(faces.recipe(), place).key == artifact.key
    assert not (place.path / STAGE / ".lock").exists()


def test_a_damaged_store_is_refused_and_a_damaged_neighbour_does_not_matter(plain, tmp_path):
    faces, place, artifact = plain
    copy = RunFolder(shutil.copytree(place.path, tmp_path / "copy"))
    other = ingest_faces(faces.recipe(seed=5), copy)
    (other.path / MANIFEST).write_text("{")
    assert len(load_faces(ingest_faces(faces.recipe(), copy)).images) == 120
    file = copy.path / STAGE / artifact.key / "images-00000.npy"
    content = bytearray(file.read_bytes())
    content[5000] ^= 1
    file.write_bytes(content)
    with pytest.raises(ArtifactCorruptError, match=r"images-00000\.npy does not match"):
        ingest_faces(faces.recipe(), RunFolder(copy.path))


def test_the_same_recipe_finds_the_store_again_and_changed_files_do_not(
    faces, place, decoded_files
):
    first = ingest_faces(faces.recipe(), place)
    watched = Counting()
    assert ingest_faces(faces.recipe(), place, watched).key == first.key
    assert watched.kept == ["Faces"]
    (faces.root / "005.jpg").write_bytes(photograph(999))
    second = ingest_faces(faces.recipe(), place)
    assert second.key != first.key
    assert decoded_files == [120, 1]  # only what changed


def test_a_new_split_or_more_files_cost_no_decoding_twice(faces, place, decoded_files):
    for row in faces.rows:
        row["notes"] = "a column of their own, not ours"
    ingest_faces(faces.recipe(), place)
    ingest_faces(faces.recipe(seed=1), place)
    for number in range(200, 203):
        faces.add(f"{number}.jpg", photograph(number))
    more = ingest_faces(faces.recipe(), place)
    assert decoded_files == [120, 0, 3]
    fresh = ingest_faces(faces.recipe(), RunFolder(place.path.parent / "fresh"))
    assert fresh.key == more.key
    for file in fresh.path.iterdir():
        if file.name != MANIFEST:
            assert file.read_bytes() == (more.path / file.name).read_bytes(), file.name


def test_the_order_of_the_table_has_no_influence(faces, place):
    first = ingest_faces(faces.recipe(), place)
    faces.rows.reverse()
    other = ingest_faces(faces.recipe(), RunFolder(place.path.parent / "other"))
    assert other.key == first.key


def test_what_cannot_be_read_is_listed_with_its_group_and_nothing_is_lost(faces, place):
    faces.add("broken.jpg", b"\xff\xd8\xff no image", group="b")
    faces.add("gone.jpg", b"")
    (faces.root / "gone.jpg").unlink()
    artifact = ingest_faces(faces.recipe(), place)
    assert len(load_faces(artifact).images) == 120
    records = read_quarantine(artifact.path / QUARANTINE)
    found = {record["path"].rpartition("/")[2]: record for record in records}
    assert set(found) == {"broken.jpg", "gone.jpg"}
    assert found["broken.jpg"]["reason"] == "not decodable"
    assert found["broken.jpg"]["groups"] == {"group": "b"}
    assert found["gone.jpg"]["reason"] == "file missing"
    assert oct((artifact.path / QUARANTINE).stat().st_mode)[-3:] == "600"


def test_too_much_set_aside_stops_and_says_where_the_list_is(faces, place):
    for number in range(15):
        faces.add(f"broken{number}.jpg", b"no", group="b" if number % 4 == 3 else "a")
    with pytest.raises(QuarantineLimitExceededError, match=r"15 of 135.*quarantine\.jsonl"):
        ingest_faces(faces.recipe(), place)
    assert len((place.path / STAGE / QUARANTINE).read_text().splitlines()) == 15
    raised = ingest_faces(faces.recipe("ingest.most_rejected=0.2"), place)
    assert len(load_faces(raised).images) == 120
    assert not (place.path / STAGE / QUARANTINE).exists()


def test_files_that_were_repaired_after_a_refusal_are_all_that_is_decoded_again(
    faces, place, decoded_files, monkeypatch
):
    monkeypatch.setattr(parts, "PART_BYTES", 64 * SIZE * SIZE * 3)
    for number in range(15):
        faces.add(f"z{number}.jpg", b"no")
    with pytest.raises(QuarantineLimitExceededError):
        ingest_faces(faces.recipe(), place)
    for number in range(15):
        (faces.root / f"z{number}.jpg").write_bytes(photograph(500 + number))
    assert len(load_faces(ingest_faces(faces.recipe(), place)).images) == 135
    assert decoded_files == [135, 15]


def test_copies_are_dropped_and_contradictions_among_them_named(faces, place):
    content = (faces.root / "000.jpg").read_bytes()
    faces.add("copy.jpg", content, smiling="yes", group="a")
    artifact = ingest_faces(faces.recipe(), place)
    assert len(load_faces(artifact).images) == 120
    pairs = pd.read_parquet(artifact.path / PAIRS)
    exact = pairs[pairs["kind"] == "exact"]
    assert exact["conflict"].tolist() == ["smiling"]
    (record,) = read_quarantine(artifact.path / QUARANTINE)
    assert record["reason"] == "exact duplicate"


def test_one_photograph_in_two_files_stays_on_one_side(faces, place):
    rows = range(0, 120, 4)
    for number in rows:
        faces.add(f"again{number}.jpg", photograph(number, 70))
    store = load_faces(ingest_faces(faces.recipe(), place))
    clusters = store.samples[store.samples["duplicate_cluster"] >= 0]
    assert len(clusters) == 2 * len(rows)
    assert clusters.groupby("duplicate_cluster")["split"].nunique().max() == 1


def test_a_given_split_that_divides_a_photograph_is_refused_or_repaired(faces, place):
    for row, _ in enumerate(faces.rows):
        who = int(faces.rows[row]["who"][1:])
        faces.rows[row]["side"] = ["train", "train", "validation", "test"][who % 4]
    faces.add("again.jpg", photograph(0, 70), side="test")
    data = faces.recipe().data.model_dump(mode="json") | {"split_column": "side"}
    with pytest.raises(SplitLeakageError):
        ingest_faces(faces.recipe(data=data), place)
    artifact = ingest_faces(faces.recipe("selection.leaks=drop", data=data), place)
    # With the photograph all of its person's images go: who is tested is not trained on.
    assert len(load_faces(artifact).images) == 118
    records = read_quarantine(artifact.path / QUARANTINE)
    assert [record["reason"] for record in records] == ["also in the test set"] * 3


def test_a_wrong_label_is_refused_before_anything_is_decoded(faces, place, decoded_files):
    with pytest.raises(LabelError, match="no column 'smile'"):
        ingest_faces(faces.recipe(label="smile"), place)
    assert decoded_files == []


def test_bad_luck_may_be_tried_again(faces, place, monkeypatch):
    real = decoding.read_files
    unlucky = set()

    def read(samples, size, *arguments, **options):
        for block in real(samples, size, *arguments, **options):
            yield _without(block, set(samples["sample_id"].iloc[sorted(unlucky)]))

    monkeypatch.setattr(decoding, "read_files", read)
    unlucky.add(2)
    poor = ingest_faces(faces.recipe(), place)
    assert len(load_faces(poor).images) == 119
    assert ingest_faces(faces.recipe(), place).key == poor.key
    unlucky.clear()
    better = ingest_faces(faces.recipe(), place, retry=True)
    assert better.key != poor.key
    assert len(load_faces(better).images) == 120
    assert ingest_faces(faces.recipe(), place).key == better.key


def _without(block, ids):
    keep = ~block.found["sample_id"].isin(ids).to_numpy()
    lost = tuple(
        Rejected(
            sample_id=row["sample_id"], path="", reason="took too long", detail="10 s",
            sha256=row["sha256"],
        )
        for row in block.found[~keep].to_dict("records")
    )  # fmt: skip
    return ReadBlock(
        images=block.images[keep], found=block.found[keep],
        perceptual=block.perceptual[keep], rejected=(*block.rejected, *lost),
    )  # fmt: skip


def test_faces_without_labels_make_a_store_too_and_more_files_left_out_another(faces, place):
    recipe = load(
        FacesRecipe, {"data": {"name": "images", "root": str(faces.root)}, "image_size": SIZE}
    )
    first = ingest_faces(recipe, place)
    store = load_faces(first)
    assert store.classes == ("unlabelled",)
    assert set(store.samples["split"]) == {"train", "validation", "test"}
    (faces.root / "notes.txt").write_text("no image")
    second = ingest_faces(recipe, place)
    assert second.key != first.key
    (record,) = read_quarantine(second.path / QUARANTINE)
    assert record["reason"] == "not an image file"


def test_a_folder_in_which_nothing_can_be_read_is_refused(tmp_path, place):
    (tmp_path / "x").mkdir()
    for number in range(3):
        (tmp_path / "x" / f"{number}.png").write_bytes(b"no")
    recipe = load(FacesRecipe, {"data": {"name": "images", "root": str(tmp_path / "x")}})
    with pytest.raises(EmptyDatasetError, match="none of 3"):
        ingest_faces(recipe, place)


def test_faces_are_cut_out_where_the_table_says(faces, place):
    for row in faces.rows:
        row |= {"box_x": 16, "box_y": 16, "box_width": 32, "box_height": 32}
    recipe = faces.recipe("ingest.framing={name: box, margin: 0}")
    store = load_faces(ingest_faces(recipe, place))
    expected = np.asarray(picture(0), dtype=int)[16:48, 16:48]
    row = np.flatnonzero(store.samples["path"].str.endswith("/000.jpg"))
    assert np.abs(store.images[row][0].astype(int) - expected).mean() < 4


def test_faces_that_no_detector_found_count_for_their_group(faces, place):
    for number, row in enumerate(faces.rows):
        row |= {"box_x": 16, "box_y": 16, "box_width": 32, "box_height": 32}
        if number % 16 == 3:  # all of group b
            row |= {"box_x": "", "box_y": ""}
    with pytest.raises(QuarantineLimitExceededError, match=r"8 of 30 items of group:b"):
        ingest_faces(faces.recipe("ingest.framing=box", "ingest.most_rejected=0.5"), place)
    rules = ("ingest.most_rejected=0.5", "ingest.most_group_ratio=30")
    artifact = ingest_faces(faces.recipe("ingest.framing=box", *rules), place)
    records = read_quarantine(artifact.path / QUARANTINE)
    assert {record["reason"] for record in records} == {"no position of the face"}
    assert {record["groups"]["group"] for record in records} == {"b"}
    counts = artifact.read_json("account.json")["counts"]
    assert (counts["listed"], counts["kept"], counts["rejected"]) == (120, 112, 8)


def test_no_metadata_of_a_photograph_is_in_the_store(faces, place):
    exif = Image.Exif()
    exif[0x010E] = "CANARY-DESCRIPTION"
    exif.get_ifd(0x8825)[2] = (48.0, 51.0, 29.6)
    exif.get_ifd(0x8825)[0x1D] = "CANARY-GPS"
    faces.add("where.jpg", jpeg(picture(900), quality=95, exif=exif, comment=b"CANARY-COMMENT"))
    artifact = ingest_faces(faces.recipe(), place)
    assert len(load_faces(artifact).images) == 121
    for file in place.path.rglob("*"):
        if file.is_file():
            assert b"CANARY" not in file.read_bytes(), file


def test_the_account_adds_up(faces, place):
    faces.add("broken.jpg", b"no", group="b")
    faces.add("copy.jpg", (faces.root / "001.jpg").read_bytes())
    recipe = faces.recipe("selection.filters={group: [a, b]}")
    counts = ingest_faces(recipe, place).read_json("account.json")["counts"]
    assert counts["listed"] == 122
    parts_of_it = ("kept", "rejected", "exact_duplicates", "not_selected")
    assert [counts[name] for name in parts_of_it] == [120, 1, 1, 0]


def test_a_store_is_data_for_another_recipe(plain, tmp_path):
    _, place, artifact = plain
    pointer = {"faces": artifact.key, "name": "x"}
    (place.path / "store.json").write_text(json.dumps(pointer))
    recipe = load(FacesRecipe, 
        {
            "data": {"name": "store", "root": str(place.path)}, "label": "smiling",
            "attributes": ["group"], "image_size": SIZE,
        }
    )  # fmt: skip
    again = load_faces(ingest_faces(recipe, RunFolder(tmp_path)))
    first = load_faces(artifact)
    rows = np.arange(len(first.images))
    np.testing.assert_array_equal(again.images[rows], first.images[rows])
    for column in ("sample_id", "split", "label", "sha256", "duplicate_cluster", "group"):
        assert again.samples[column].tolist() == first.samples[column].tolist(), column


def test_two_people_with_one_photograph_between_them_stay_together(faces, place):
    """The copy is dropped; that it tied two people must not be forgotten."""
    content = (faces.root / "000.jpg").read_bytes()
    faces.add("copy.jpg", content, who="alias")
    for number in range(3):
        faces.add(f"alias{number}.jpg", photograph(700 + number), who="alias")
    for seed in range(12):
        samples = load_faces(ingest_faces(faces.recipe(seed=seed), place)).samples
        together = samples[samples["subject_id"].isin(["p0", "alias"])]
        assert len(together) == 6
        assert together["split"].nunique() == 1


def test_a_copy_on_another_side_of_a_given_split_is_a_leak(faces, place):
    for row in faces.rows:
        row["side"] = ["train", "train", "validation", "test"][int(row["who"][1:]) % 4]
    faces.add("copy.jpg", (faces.root / "000.jpg").read_bytes(), who="p0", side="test")
    data = faces.recipe().data.model_dump(mode="json") | {"split_column": "side"}
    data["subject_column"] = None
    with pytest.raises(SplitLeakageError, match=r"selection\.leaks"):
        ingest_faces(faces.recipe(data=data), place)


def test_one_person_spelled_twice_is_one_person(faces, place):
    for number, row in enumerate(faces.rows):
        row["who"] = "ann " if number % 2 else "ann"
        row["who"] = row["who"] if number < 60 else f"p{number}"
    samples = load_faces(ingest_faces(faces.recipe(), place)).samples
    ann = samples[samples["subject_id"].str.strip() == "ann"]
    assert len(ann) == 60
    assert ann["split"].nunique() == 1


def test_a_column_called_label_is_kept(faces, place):
    for row in faces.rows:
        row["label"] = row.pop("smiling")
    artifact = ingest_faces(faces.recipe(label=None), place)
    assert set(load_faces(artifact).samples["label_text"]) == {"yes", "no"}
    (place.path / "store.json").write_text(json.dumps({"faces": artifact.key}))
    data = {"name": "store", "root": str(place.path)}
    recipe = load(FacesRecipe, {"data": data, "label": "label", "image_size": SIZE})
    again = load_faces(ingest_faces(recipe, RunFolder(place.path.parent / "again")))
    assert again.classes == ("no", "yes")

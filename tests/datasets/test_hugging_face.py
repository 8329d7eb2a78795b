"""Data sets as Hugging Face keeps them: Parquet shards with images, and metadata beside images."""

import hashlib
import io
import json
import os

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from debias.datasets.hugging_face import HuggingFace
from debias.datasets.recognition import recognised
from debias.decoding.rules import Limits
from debias.decoding.spooling import hash_fetched, read_fetched
from debias.errors import DataError, DuplicateIdError, EmptyDatasetError

KIND = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
FEATURES = {
    "image": {"_type": "Image"},
    "label": {"names": ["female", "male"], "_type": "ClassLabel"},
    "boxes": {"feature": {"dtype": "int64", "_type": "Value"}, "_type": "Sequence"},
}


def picture(shade):
    content = io.BytesIO()
    Image.new("RGB", (16, 16), (shade, 0, 0)).save(content, "PNG")
    return content.getvalue()


def shard(path, images, features=FEATURES, **columns):
    path.parent.mkdir(parents=True, exist_ok=True)
    arrays = {"image": pa.array(images, KIND)} | {k: pa.array(v) for k, v in columns.items()}
    noted = {"huggingface": json.dumps({"info": {"features": features}})}
    pq.write_table(pa.table(arrays).replace_schema_metadata(noted), path, row_group_size=4)


def within(first, count):
    """Images in the file, all but the first called alike."""
    return [{"bytes": picture(first + n), "path": "x.png" if n else None} for n in range(count)]


def as_shards(root):
    for number, part in enumerate(("train-00000-of-00002", "train-00001-of-00002",
                                   "validation-00000-of-00001")):  # fmt: skip
        images, who = within(50 * number, 9), [f"p{number}{n // 3}" for n in range(9)]
        shard(root / f"data/{part}.parquet", images, label=[n % 2 for n in range(9)],
              boxes=[[n] for n in range(9)], who=who)  # fmt: skip
    (root / "README.md").write_text("about")
    return root


def test_shards_say_labels_by_name_and_sides_by_their_names(tmp_path):
    assert recognised(as_shards(tmp_path), {}) == {"name": "hugging_face", "root": str(tmp_path)}
    found = HuggingFace(root=tmp_path, subject_column="who").collect(0)
    samples = found.samples
    assert len(samples) == 27
    assert samples["label"].value_counts().to_dict() == {"female": 15, "male": 12}
    # Without a test set the validation set is one, and whole people are drawn for validation.
    assert samples["split"].value_counts().to_dict() == {"train": 15, "test": 9, "validation": 3}
    assert samples.groupby("subject_id")["split"].nunique().max() == 1
    assert samples["sample_id"].iloc[10] == "data-train-00001-of-00002-00000001"
    assert found.remarks == (
        "Columns not used (lists, objects, or names that samples need): boxes.",
        "No image is called test, so the 9 validation images are the test set.",
        "3 of 18 training images were drawn for validation.",
    )
    assert [item.path for item in found.rejected] == [f"{tmp_path}/README.md"]
    drawn = HuggingFace(root=tmp_path, split="drawn").collect(0).samples
    assert "split" not in drawn
    one = tmp_path / "data" / "train-00000-of-00002.parquet"
    alone = HuggingFace(**recognised(one, {})).collect(0).samples
    assert len(alone) == 9
    assert "split" not in alone


def test_bytes_are_read_by_row_and_decoded_like_files(tmp_path):
    found = HuggingFace(root=as_shards(tmp_path)).collect(0)
    chosen = found.samples.iloc[[1, 3, 4, 8, 10, 26, 0]]
    shades = [1, 3, 4, 8, 51, 108, 0]
    assert list(found.fetch(chosen)) == [picture(shade) for shade in shades]
    broken = tmp_path / "broken"
    shard(broken / "a.parquet", [*within(7, 2), {"bytes": b"no image", "path": "x"}])
    data = HuggingFace(root=broken).collect(0)
    (block,) = read_fetched(data.samples, 8, Limits(), data.fetch, workers=1)
    assert block.images[:, 0, 0, 0].tolist() == [7, 8]
    assert block.found["sha256"].tolist() == [
        hashlib.sha256(picture(shade)).hexdigest() for shade in (7, 8)
    ]
    assert [item.path for item in block.rejected] == [f"{broken}/a.parquet"]
    digests = hash_fetched(data.samples, Limits(), data.fetch)
    assert digests["a-00000000"] == block.found["sha256"].iloc[0]
    assert len(digests) == 3


def test_without_bytes_the_path_counts_and_must_lie_below_the_folder(tmp_path):
    for number in range(3):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / f"{number}.png").write_bytes(picture(number))
    rows = [{"bytes": None, "path": f"images/{n}.png"} for n in range(3)]
    rows += [{"bytes": picture(9), "path": "9.png"}, {"bytes": None, "path": "../secret.png"}, None]
    shard(tmp_path / "train.parquet", rows, label=[0, 1, None, 1, 0, 1])
    found = HuggingFace(root=tmp_path).collect(0)
    assert found.samples["path"].tolist() == [
        *(f"{tmp_path}/images/{n}.png" for n in range(3)), f"{tmp_path}/train.parquet",
    ]  # fmt: skip
    assert found.samples["label"].isna().tolist() == [False, False, True, False]
    assert [item.reason for item in found.rejected] == ["unsafe path", "row not understood"]
    assert found.lost["label"].tolist() == ["female", "male"]
    assert list(found.fetch(found.samples)) == [None, None, None, picture(9)]
    (block,) = read_fetched(found.samples, 8, Limits(), found.fetch, workers=1)
    assert block.images[:, 0, 0, 0].tolist() == [0, 1, 2, 9]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_metadata_beside_images_is_a_table_of_them(tmp_path, ending):
    for part in ("train", "test"):
        rows = pd.DataFrame({"file_name": [f"{n}.png" for n in range(4)], "age": [20, 30, 40, 50]})
        (tmp_path / part).mkdir()
        for name in (*rows["file_name"], "more.png"):
            (tmp_path / part / name).write_bytes(picture(1))
        table = tmp_path / part / f"metadata.{ending}"
        if ending == "csv":
            rows.to_csv(table, index=False)
        elif ending == "jsonl":
            rows.assign(boxes=[[1]] * 4).to_json(table, orient="records", lines=True)
        else:
            rows.to_parquet(table)
    found = HuggingFace(**recognised(tmp_path, {})).collect(0)
    assert found.fetch is None
    assert len(found.samples) == 8
    assert found.samples["age"].astype(int).tolist() == [20, 30, 40, 50] * 2
    assert set(found.samples["split"]) == {"train", "validation", "test"}
    assert sorted(item.path for item in found.rejected) == [
        f"{tmp_path}/test/more.png", f"{tmp_path}/train/more.png",
    ]  # fmt: skip
    assert {item.reason for item in found.rejected} == {"not listed"}
    assert ("boxes" in " ".join(found.remarks)) == (ending == "jsonl")


def test_every_file_is_read_left_out_or_ignored_and_told_once(tmp_path):
    as_shards(tmp_path)
    (tmp_path / "metadata.csv").write_text("file_name\na.png\n")
    for name in ("a.png", "b.png", ".hidden", "other.csv"):
        (tmp_path / name).write_bytes(picture(3))
    os.symlink(tmp_path / "a.png", tmp_path / "link.png")
    found = HuggingFace(root=tmp_path, split="drawn").collect(0)
    told = {*found.samples["path"], *(item.path for item in found.rejected)}
    there = {str(path) for path in tmp_path.rglob("*") if path.is_symlink() or path.is_file()}
    assert there - told == {str(tmp_path / "metadata.csv")}
    assert len(found.rejected) == len({item.path for item in found.rejected}) == 5


def test_what_cannot_be_read_is_explained(tmp_path):
    plain = tmp_path / "table.parquet"
    pd.DataFrame({"path": ["a.png"], "age": [3]}).to_parquet(plain)
    with pytest.raises(EmptyDatasetError, match=r"no column of images but \['path', 'age'\]"):
        HuggingFace(root=plain).collect(0)
    plain.write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="cannot be read as Parquet"):
        HuggingFace(root=plain).collect(0)
    for size in ("0.25", "1.25"):
        shard(tmp_path / "v" / size / "train.parquet", within(1, 2))
    with pytest.raises(DataError, match=r"several versions of the data, in .*0\.25 and .*1\.25"):
        HuggingFace(root=tmp_path / "v").collect(0)
    for name in ("train.parquet", "test.parquet", "rest.parquet"):
        shard(tmp_path / "s" / name, within(1, 2))
    with pytest.raises(DataError, match=r"do not, first: .*rest\.parquet"):
        HuggingFace(root=tmp_path / "s").collect(0)
    shard(tmp_path / "d" / "a.parquet", [{"bytes": None, "path": "a.png"}] * 2)
    with pytest.raises(DuplicateIdError, match="1 images are named by more than one row"):
        HuggingFace(root=tmp_path / "d").collect(0)


def test_a_table_that_cannot_be_read_does_not_decide_the_layout(tmp_path):
    for name in ("a/1.png", "b/1.png"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(picture(1))
    (tmp_path / "old.parquet").write_bytes(b"PAR1 and no more")
    (tmp_path / "metadata.csv").write_bytes(b"file_name\n\xff.png\n")
    os.mkfifo(tmp_path / "pipe.parquet")
    assert recognised(tmp_path, {})["name"] == "image_folder"


def test_columns_of_bytes_count_where_they_are_called_or_noted_so(tmp_path):
    images = [picture(1), picture(2)]
    for name, features in (("img", {}), ("front", {"front": {"_type": "Image"}})):
        table = pa.table({name: images, "age": [1, 2]})
        noted = {"huggingface": json.dumps({"info": {"features": features}})}
        pq.write_table(table.replace_schema_metadata(noted), tmp_path / f"{name}.parquet")
        found = HuggingFace(root=tmp_path / f"{name}.parquet").collect(0)
        assert list(found.fetch(found.samples)) == images
        assert found.samples["age"].tolist() == [1, 2]
    pq.write_table(pa.table({"checksum": images}), tmp_path / "no.parquet")
    with pytest.raises(EmptyDatasetError, match="no column of images"):
        HuggingFace(root=tmp_path / "no.parquet").collect(0)
    wanted = HuggingFace(root=tmp_path / "img.parquet", image_column="age")
    with pytest.raises(EmptyDatasetError, match="no column of images"):
        wanted.collect(0)


def test_folders_of_classes_a_split_and_people_in_a_table_are_read(tmp_path):
    for n in range(12):
        name = tmp_path / "ab"[n % 2] / f"{n}.png"
        name.parent.mkdir(exist_ok=True)
        name.write_bytes(picture(n))
    table = pd.DataFrame({"file_name": [f"{'ab'[n % 2]}/{n}.png" for n in range(12)],
                          "person": [f"p{n // 3}" for n in range(12)],
                          "split": ["Train"] * 9 + ["test"] * 3})  # fmt: skip
    table.to_csv(tmp_path / "metadata.csv", index=False)
    found = HuggingFace(root=tmp_path).collect(0)
    samples = found.samples.sort_values("path")
    assert samples["class"].tolist() == ["a"] * 6 + ["b"] * 6
    assert samples["split"].value_counts().to_dict() == {"train": 6, "validation": 3, "test": 3}
    assert samples["subject_id"].nunique() == 4
    assert found.remarks[0] == "class: the 2 folders in which the images lie."
    assert found.remarks[1].startswith("Column 'person' says who is shown, by its name")
    os.symlink(tmp_path / "a", tmp_path / "c")
    with pytest.raises(DataError, match="c is a link to a folder"):
        HuggingFace(root=tmp_path).collect(0)

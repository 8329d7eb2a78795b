"""A store that was made before is a source like any other."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image, ImageOps
from small_faces_store import KEY, write_store

from debias.datasets import Store
from debias.errors import ArtifactCorruptError, DataError
from debias.models import Embeddings


@pytest.fixture
def root(tmp_path):
    write_store(tmp_path / "store")
    return tmp_path / "store"


def test_columns_of_the_data_come_back_and_those_of_the_store_do_not(root):
    found = Store(root=root).collect(0)
    assert set(found.samples) == {
        "sample_id", "split", "smiling", "group", "subject_id", "sha256", "duplicate_cluster",
        "path",
    }  # fmt: skip
    assert found.samples["split"].tolist() == ["train", "test"] * 5
    assert found.fingerprint == KEY
    assert "split" not in Store(root=root, split="drawn").collect(0).samples


def test_embeddings_by_path_are_found_as_in_the_folder_that_the_store_was_made_of(tmp_path):
    write_store(tmp_path, path=[f"/photos/{row}.jpg" for row in range(10)])
    table = pd.DataFrame({"path": [f"{row}.jpg" for row in range(10)], "e0": range(10), "e1": 0.5})
    table.iloc[::-1].to_csv(tmp_path / "e.csv", index=False)
    samples = Store(root=tmp_path).collect(0).samples
    found = Embeddings(file=tmp_path / "e.csv").open(torch.device("cpu")).find(samples)
    assert found[:, 0].tolist() == list(range(10))


def test_faces_are_drawn_by_id_across_shards(root):
    found = Store(root=root).collect(0)
    some = found.samples.iloc[[9, 0, 5, 6, 0]].reset_index(drop=True)
    drawn = found.draw(some, 16)
    assert drawn.shape == (5, 16, 16, 3)
    assert drawn[:, 0, 0, 0].tolist() == [9, 0, 5, 6, 0]


def test_faces_can_be_made_smaller_but_not_larger(tmp_path):
    write_store(tmp_path)
    folder = tmp_path / "faces" / KEY
    found = Store(root=tmp_path).collect(0)
    drawn = found.draw(found.samples.iloc[3:4], 5)
    image = Image.fromarray(np.load(folder / "images-00000.npy")[3])
    expected = ImageOps.fit(image, (5, 5), Image.Resampling.BICUBIC)
    np.testing.assert_array_equal(drawn[0], np.asarray(expected))
    with pytest.raises(DataError, match=r"image_size is 17, but .* have 16 pixels a side"):
        found.draw(found.samples, 17)
    with pytest.raises(DataError, match="holds no sample nobody"):
        found.draw(found.samples.assign(sample_id="nobody"), 16)


def test_who_annotated_is_kept_in_the_store(tmp_path):
    write_store(tmp_path, about={"annotation": "Ten people looked.", "source": "annotated"})
    assert Store(root=tmp_path).annotation == "Ten people looked."
    assert Store(root=tmp_path).source == "annotated"


@pytest.mark.parametrize("about", [{}, {"annotation": None, "source": "somebody"}, ["nothing"]])
def test_a_store_that_does_not_say_says_so(tmp_path, about):
    write_store(tmp_path, about=about)
    assert "does not say" in Store(root=tmp_path).annotation
    assert Store(root=tmp_path).source == "not stated"


@pytest.mark.parametrize("name", ["images-00001.npy", "samples.parquet", "faces.json"])
def test_an_altered_or_missing_file_is_refused_before_it_is_read(root, name):
    file = root / "faces" / KEY / name
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(ArtifactCorruptError, match=rf"{name} does not.* again with debias ingest"):
        Store(root=root).collect(0)
    file.unlink()
    with pytest.raises(ArtifactCorruptError, match="missing"):
        Store(root=root).collect(0)


@pytest.mark.parametrize(
    ("pointer", "message"),
    [
        (None, r"is no store: store\.json cannot be read"),
        ("{", "is no store"),
        ("[" * 100_000, "is no store"),
        ('{"key": 1}', "is no store"),
        ('{"faces": 7}', "names no faces: 7"),
        ('{"faces": "../../elsewhere"}', r"names no faces: '\.\./\.\./elsewhere'"),
        (json.dumps({"faces": "f" * 20}), "names faces that are not there"),
    ],
)
def test_a_folder_that_is_no_store_is_explained(root, pointer, message):
    (root / "store.json").unlink()
    if pointer is not None:
        (root / "store.json").write_text(pointer)
    with pytest.raises(DataError, match=message):
        Store(root=root).collect(0)


def test_splits_that_are_none_are_refused_unless_another_is_drawn(tmp_path):
    write_store(tmp_path, split="dev")
    with pytest.raises(DataError, match=r"set data\.split to 'drawn'"):
        Store(root=tmp_path).collect(0)
    assert len(Store(root=tmp_path, split="drawn").collect(0).samples) == 10

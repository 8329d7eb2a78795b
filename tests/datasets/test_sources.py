import pandas as pd
import pytest

from debias.datasets import DATASETS, Folder, UTKFace
from debias.errors import DataError, EmptyDatasetError


def utk(tmp_path, names):
    for name in names:
        (tmp_path / name).write_bytes(b"")
    return UTKFace(root=tmp_path).collect(0)


def test_utkface_reads_labels_from_names(tmp_path):
    names = ["25_0_0_20170103.jpg.chip.jpg", "3_1_3_2017.jpg", "61_1_20170109.jpg.chip.jpg"]
    found = utk(tmp_path, names)  # the last lacks its race, as some in the wild do
    assert [item.sample_id for item in found.rejected] == names[2:]
    samples = found.samples
    assert samples["sample_id"].tolist() == ["25_0_0_20170103", "3_1_3_2017"]
    assert samples["perceived_gender"].tolist() == ["male", "female"]
    assert samples["annotated_race"].tolist() == ["White", "Indian"]
    assert samples["age"].tolist() == [25, 3]


def test_utkface_without_a_single_readable_name(tmp_path):
    with pytest.raises(EmptyDatasetError, match=r"holds 1 \.jpg files but none named like"):
        utk(tmp_path, ["portrait.jpg"])


@pytest.mark.parametrize("source", [UTKFace, lambda root: Folder(root=root, table=root / "t.csv")])
def test_a_missing_or_empty_folder_is_named_in_full(source, tmp_path):
    with pytest.raises(FileNotFoundError, match=str(tmp_path / "nowhere")):
        source(root=tmp_path / "nowhere").collect(0)
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmptyDatasetError, match=r"empty is empty"):
        source(root=tmp_path / "empty").collect(0)


def folder(tmp_path, text, **settings):
    (tmp_path / "t.csv").write_text(text)
    return Folder(root=tmp_path, table=tmp_path / "t.csv", **settings).collect(0).samples


def test_a_table_keeps_text_as_text(tmp_path):
    samples = folder(tmp_path, "path,country,code\na.png,NO,01\nb.png,,1\n")
    assert samples["country"].iloc[0] == "NO"
    assert samples["country"].isna().tolist() == [False, True]
    assert samples["code"].tolist() == ["01", "1"]
    assert samples["path"].tolist() == [str(tmp_path / "a.png"), str(tmp_path / "b.png")]
    assert samples["sample_id"].is_unique


def test_csv_and_parquet_say_the_same(tmp_path):
    text = "path,who,fold,smile\na.png,p1,train,yes\nb.png,p2,test,no\n"
    names = {"subject_column": "who", "split_column": "fold"}
    from_csv = folder(tmp_path, text, **names)
    pd.read_csv(tmp_path / "t.csv", dtype=str).to_parquet(tmp_path / "t.parquet")
    from_parquet = Folder(root=tmp_path, table=tmp_path / "t.parquet", **names).collect(0).samples
    pd.testing.assert_frame_equal(from_csv, from_parquet)
    assert from_csv["subject_id"].tolist() == ["p1", "p2"]
    assert from_csv["split"].tolist() == ["train", "test"]


@pytest.mark.parametrize(
    ("text", "settings", "message"),
    [
        ("file\na.png\n", {}, r"has no column 'path' \(used as path\); columns: \['file'\]"),
        ("path,fold\na.png,dev\n", {"split_column": "fold"}, r"splits must be one of .*\['dev'\]"),
        ("path\na.png\na.png\n", {}, "1 images are listed more than once"),
    ],
)
def test_a_table_that_does_not_fit_is_explained(tmp_path, text, settings, message):
    with pytest.raises(DataError, match=message):
        folder(tmp_path, text, **settings)


@pytest.mark.parametrize("source", DATASETS.values(), ids=DATASETS)
def test_every_source_says_who_annotated(source, tmp_path):
    fields = {name: tmp_path for name in ("root", "table") if name in source.model_fields}
    assert len(source(**fields).annotation) > 20

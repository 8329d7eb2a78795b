import os
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from small_sets import image

from debias.datasets import DATASETS, Folder, UTKFace
from debias.datasets.listing import hashed_ids
from debias.datasets.recognition import recognised
from debias.errors import DataError, DuplicateIdError, EmptyDatasetError, UnsafePathError


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


def test_utkface_keeps_the_split_of_folders_and_names_tables_beside_it(tmp_path):
    for number in range(30):
        side = ("train", "train", "test")[number % 3]
        image(tmp_path / "UTKFace" / side / f"{20 + number}_{number % 2}_0_2017.jpg")
    (tmp_path / "UTKFace" / "labels.csv").write_text("file,emotion\n")
    found = UTKFace(root=tmp_path).collect(0)
    assert found.samples["split"].value_counts().to_dict() == {
        "train": 18, "validation": 2, "test": 10
    }  # fmt: skip
    assert "Not read, though more may stand there: 1 file (.csv)." in found.remarks[0]
    assert "split" not in UTKFace(root=tmp_path, split="drawn").collect(0).samples
    image(tmp_path / "UTKFace" / "more" / "90_0_0_2017.jpg")
    found = UTKFace(root=tmp_path).collect(0)
    assert "split" not in found.samples
    assert found.remarks[1].startswith("Only 30 of 31 images lie in folders named after a split")


def test_utkface_without_a_single_readable_name(tmp_path):
    with pytest.raises(EmptyDatasetError, match=r"holds 1 images but none named like"):
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
        (
            "path,fold\na.png,extra\n",
            {"split_column": "fold"},
            r"splits must be one of .*\['extra'\]",
        ),
        ("path\na.png\na.png\n", {}, "1 images are listed more than once"),
    ],
)
def test_a_table_that_does_not_fit_is_explained(tmp_path, text, settings, message):
    with pytest.raises(DataError, match=message):
        folder(tmp_path, text, **settings)


def test_columns_with_our_names_decide_nothing_unless_a_setting_names_them(tmp_path):
    text = "path,split,subject_id,offset,length,sample_id,sha256,smile\na.png,dev,p,9,9,x,y,yes\n"
    assert set(folder(tmp_path, text)) == {"sample_id", "path", "smile"}
    samples = folder(tmp_path, text, subject_column="subject_id", path_column="path")
    assert samples["subject_id"].tolist() == ["p"]
    swapped = folder(tmp_path, "file,path\na.png,Ann\n", path_column="file", subject_column="path")
    assert swapped[["path", "subject_id"]].iloc[0].tolist() == [str(tmp_path / "a.png"), "Ann"]


def test_a_path_that_leaves_the_root_is_set_aside_and_the_others_stay(tmp_path):
    root, outside = tmp_path / "root", tmp_path / "outside"
    for place in (root / "a", outside):
        place.mkdir(parents=True)
        (place / "1.png").touch()
    os.symlink(outside, root / "out")
    os.symlink(root / "a", root / "within")
    os.symlink(outside / "1.png", root / "a" / "link.png")
    os.symlink(root / "a" / "1.png", root / "a" / "2.png")
    os.mkfifo(root / "a" / "pipe.png")
    wrong = {
        "unsafe path": [
            "/etc/passwd", "../outside/1.png", "a/../../outside/1.png", "out/1.png",
            "a/link.png", "C:/1.png", "\\\\host\\1.png", "a\\..\\1.png", "x/.././a/1.png",
            "a/" + "x" * 4096, "..",
        ],
        "not a regular file": ["a/2.png", "a/pipe.png"],
        "row not understood": [""],
    }  # fmt: skip
    right = ["a/1.png", "within/1.png", "missing/1.png", "a..b.png"]
    rows = [*right, *(name for names in wrong.values() for name in names)]
    table = tmp_path / "t.csv"
    table.write_text("path,n\n" + "".join(f'"{name}",{n}\n' for n, name in enumerate(rows)))
    found = Folder(root=root, table=table).collect(0)
    assert found.samples["path"].tolist() == [f"{root}/{name}" for name in right]
    assert found.samples["n"].tolist() == ["0", "1", "2", "3"]
    assert Counter(item.reason for item in found.rejected) == {
        reason: len(names) for reason, names in wrong.items()
    }
    lines = [item.detail.partition(":")[0] for item in found.rejected]
    assert lines == [f"line {number}" for number in range(6, 6 + len(found.rejected))]
    # Whom a row was about is known although its image must not be read.
    assert found.lost["n"].tolist() == [str(n) for n in range(4, len(rows))]
    assert found.lost["sample_id"].tolist() == [item.sample_id for item in found.rejected]
    by_id = {item.sample_id: item.path for item in found.rejected}
    assert by_id[hashed_ids(["/etc/passwd"])[0]] == "/etc/passwd"
    assert by_id["t.csv:line 19"] == str(table)  # the row that names nothing


def test_rows_that_repeat_an_unsafe_path_are_told_apart(tmp_path):
    (tmp_path / "t.csv").write_text("path,who\na.png,A\n../b.png,B\n../b.png,C\n,D\n,E\n")
    data = Folder(root=tmp_path, table=tmp_path / "t.csv", subject_column="who")
    found = data.collect(0)
    assert found.lost["subject_id"].tolist() == ["B", "C", "D", "E"]
    assert found.lost["sample_id"].tolist() == [
        *hashed_ids(["../b.png"]), "t.csv:line 4", "t.csv:line 5", "t.csv:line 6",
    ]  # fmt: skip
    assert set(found.lost) == set(found.samples) - {"path"}
    (tmp_path / "t.csv").write_text("path,who\na.png,A\n")
    assert data.collect(0).lost is None


def test_both_kinds_of_bad_rows_are_told_by_their_line_or_their_row(tmp_path):
    rows = ['a.png,"two\nlines"', "../b.png,B", "c.png", "../d.png,D", "e.png,E,E"]
    for breaks, kind, before in (("\n\n", "row", 0), ("\n", "line", 1)):
        text = "path,who" + breaks + "\n".join(rows).replace("\nl", " l" if before else "\nl")
        (tmp_path / "t.csv").write_text(text)
        found = Folder(root=tmp_path, table=tmp_path / "t.csv").collect(0)
        assert len(found.rejected) == 4
        for item in found.rejected:
            number = int(item.detail.split(":")[0].removeprefix(f"{kind} ")) - before
            expected = item.path if item.path.startswith("..") else ("c.png", "e.png,E,E")
            assert rows[number - 1].startswith(expected)
    pd.DataFrame({"path": ["a.png", "../b.png"]}).to_parquet(tmp_path / "t.parquet")
    found = Folder(root=tmp_path, table=tmp_path / "t.parquet").collect(0)
    assert found.rejected[0].detail.startswith("row 2: the path")


def test_one_file_has_one_row_however_its_path_is_written(tmp_path):
    samples = folder(tmp_path, "path\n./a//b.png\nc/./d.png\ne.png\n")
    assert samples["path"].tolist() == [str(tmp_path / n) for n in ("a/b.png", "c/d.png", "e.png")]
    rows = "".join(f"{n}.png\n./{n}.png\n" for n in range(12))
    with pytest.raises(
        DuplicateIdError, match=r"12 images are listed .* first: 0\.png, .* 9\.png;"
    ):
        folder(tmp_path, f"path\n{rows}")


def test_a_table_without_a_single_safe_path_is_explained(tmp_path):
    with pytest.raises(
        EmptyDatasetError, match=r"none of 2 rows .* first: \.\./a\.png: line 2: the path"
    ):
        folder(tmp_path, "path\n../a.png\n/b.png\n")


@pytest.mark.parametrize("source", [UTKFace, lambda root: Folder(root=root, table=root / "t.csv")])
def test_a_root_that_no_system_can_name_ends_the_run(source):
    with pytest.raises(UnsafePathError, match=r"the data path a\\x00b cannot be opened"):
        source(root=Path("a\0b")).collect(0)
    with pytest.raises(UnsafePathError, match="too long"):
        source(root=Path("x" * 5000)).collect(0)


def test_utkface_takes_regular_files_alone_and_accounts_for_the_others(tmp_path):
    (tmp_path / "25_0_0_2017.jpg.chip.jpg").touch()
    os.symlink(tmp_path / "25_0_0_2017.jpg.chip.jpg", tmp_path / "26_0_0_2017.jpg")
    os.mkfifo(tmp_path / "27_0_0_2017.jpg")
    (tmp_path / "28_0_0_2017.jpg").mkdir()
    (tmp_path / "29_0_0.png").touch()
    (tmp_path / "٢٥_0_0_2017.jpg").touch()  # digits, but not those of the owners
    with open(os.fsencode(tmp_path) + b"/30_0_0_\xff.jpg", "wb"):
        pass
    found = UTKFace(root=tmp_path).collect(0)
    assert found.samples["sample_id"].tolist() == ["25_0_0_2017"]
    reasons = Counter(item.reason for item in found.rejected)
    assert reasons == {"not a regular file": 2, "name not understood": 3}
    assert all(item.path.encode().isascii() or "٢" in item.path for item in found.rejected)


def test_utkface_reads_subfolders_and_accounts_for_other_endings_and_hidden_names(tmp_path):
    names = ["25_0_0_2017.jpg", "26_0_0_2017.gif", "scan.tif", "readme.txt", ".DS_Store",
             "part1/27_0_0_2.jpg", "part1/notes.txt", ".git/28_0_0_2017.jpg"]  # fmt: skip
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = UTKFace(root=tmp_path).collect(0)
    assert found.samples["sample_id"].tolist() == ["25_0_0_2017", "26_0_0_2017", "27_0_0_2"]
    assert Counter(item.reason for item in found.rejected) == {
        "not an image file": 2, "hidden": 2, "name not understood": 1,
    }  # fmt: skip
    assert found.lost is None


def test_utkface_knows_whom_a_link_was_to_show(tmp_path):
    (tmp_path / "25_0_0_2017.jpg").touch()
    for name in ("26_1_3_2017.jpg", "26_1_3_2017.jpg.chip.jpg", "25_0_0_2017.jpg.chip.jpg"):
        os.symlink(tmp_path / "nowhere", tmp_path / name)
    found = UTKFace(root=tmp_path).collect(0)
    assert found.lost[
        ["sample_id", "perceived_gender", "annotated_race", "age"]
    ].to_numpy().tolist() == [["26_1_3_2017", "female", "Indian", 26]]
    ids = [item.sample_id for item in found.rejected]
    assert ids == ["25_0_0_2017.jpg.chip.jpg", "26_1_3_2017", "26_1_3_2017.jpg.chip.jpg"]


@pytest.mark.parametrize("image", ["1.jpg", "train/a/1.jpg"])
def test_one_archive_beside_images_does_not_decide_the_layout(tmp_path, image):
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "x-0.tar").touch()
    (tmp_path / "backup\x1b.tar").touch()
    assert recognised(tmp_path, {})["name"] == "tar"
    (tmp_path / image).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / image).touch()
    with pytest.raises(
        DataError, match=r"archives \(backup\\x1b\.tar\) and images .*tar for the archives"
    ):
        recognised(tmp_path, {})
    assert recognised(tmp_path, {"name": "images"})["name"] == "images"


def test_utkface_reads_one_of_two_files_of_a_name_from_the_larger_folder(tmp_path):
    for folder, names in {"a": ["25_0_0_2017.jpg"], "b": ["25_0_0_2017.jpg.chip.jpg", "3_1_1_2.jpg",
                          "3_1_1_2.jpg.chip.jpg"]}.items():  # fmt: skip
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).touch()
    found = UTKFace(root=tmp_path).collect(0)
    kept = ["b/25_0_0_2017.jpg.chip.jpg", "b/3_1_1_2.jpg"]
    assert found.samples["path"].tolist() == [f"{tmp_path}/{name}" for name in kept]
    assert {(item.path, item.reason) for item in found.rejected} == {
        (f"{tmp_path}/{name}", "named like another")
        for name in ("a/25_0_0_2017.jpg", "b/3_1_1_2.jpg.chip.jpg")
    }


@pytest.mark.parametrize("source", DATASETS.values(), ids=DATASETS)
def test_every_source_says_who_annotated(source, tmp_path):
    fields = {name: tmp_path for name in ("root", "table", "file") if name in source.model_fields}
    assert len(source(**fields).annotation) > 20

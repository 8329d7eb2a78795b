"""Loaders of public sets, on tiny sets in exactly the layouts that their owners distribute."""

import inspect
import os
import shutil
import tarfile
from collections import Counter

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image
from small_faces_store import write_store
from small_sets import AGES, PEOPLE, as_kaggle, celeba, edit, fairface, image, lfw

from debias.datasets import (
    DATASETS,
    LFW,
    CelebA,
    Dataset,
    FairFace,
    Folder,
    ImageFolder,
    Images,
    UTKFace,
)
from debias.errors import (
    DataError,
    EmptyDatasetError,
    QuarantineLimitExceededError,
    SplitLeakageError,
)
from debias.ingesting.quarantine import QuarantineLimits, require_within, summarise
from debias.pipeline.recipe import RunConfig, load
from debias.storage.files import mistaken_for


def reasons(found):
    return Counter(item.reason for item in found.rejected)


STRAY = {"not listed", "not a regular file"}


# CelebA -----------------------------------------------------------------------------------------


def test_celeba_reads_attributes_people_and_the_split_of_the_owner(tmp_path):
    found = CelebA(root=celeba(tmp_path)).collect(0)
    samples = found.samples
    assert found.rejected == ()
    assert samples["sample_id"].tolist() == [f"{n:06d}" for n in range(1, 21)]
    assert samples["path"].iloc[0] == str(tmp_path / "img_align_celeba" / "000001.jpg")
    numbers = np.arange(1, 21)
    for column, word, other, divisor in [
        ("perceived_gender", "male", "female", 2),
        ("smiling", "yes", "no", 3),
        ("young", "yes", "no", 5),
    ]:
        expected = np.where(numbers % divisor == 0, word, other)
        assert samples[column].tolist() == expected.tolist()
    assert set(samples["5_o_clock_shadow"]) == {"no"}
    assert "male" not in samples
    assert samples["split"].tolist() == ["train"] * 16 + ["validation"] * 2 + ["test"] * 2
    assert samples["subject_id"].tolist() == [str(2880 + n // 2) for n in range(20)]
    assert samples[["x_1", "height", "lefteye_x", "rightmouth_y"]].iloc[3].tolist() == [
        95, 313, 69, 154,
    ]  # fmt: skip
    assert len(samples.columns) == 2 + 40 + 1 + 4 + 10 + 1


def test_celeba_is_the_same_with_other_line_endings_blanks_and_folders(tmp_path):
    plain = CelebA(root=celeba(tmp_path / "plain")).collect(0).samples
    odd = celeba(tmp_path / "odd one", newline=" \r\n")
    for folder, stems in {
        "Anno": ("list_a", "list_b", "list_l", "id"),
        "Eval": ("list_e",),
    }.items():
        (odd / folder).mkdir()
        for path in [p for p in odd.glob("*.txt") if p.name.startswith(stems)]:
            shutil.move(path, odd / folder / path.name)
    (odd / "Img").mkdir()
    shutil.move(odd / "img_align_celeba", odd / "Img" / "img_align_celeba")
    other = CelebA(root=odd).collect(0).samples
    pd.testing.assert_frame_equal(plain.drop(columns="path"), other.drop(columns="path"))


def test_celeba_as_csv_says_the_same_but_who_is_shown(tmp_path):
    text = CelebA(root=celeba(tmp_path / "a")).collect(0).samples
    table = CelebA(root=as_kaggle(celeba(tmp_path / "b"))).collect(0).samples
    columns = text.columns.drop(["path", "subject_id"])
    pd.testing.assert_frame_equal(text[columns], table[columns])
    assert "subject_id" not in table
    assert table["path"].iloc[0].endswith("img_align_celeba/img_align_celeba/000001.jpg")


def test_celeba_without_the_owners_split_needs_no_partition_but_says_who_is_shown(tmp_path):
    root = celeba(tmp_path)
    (root / "list_eval_partition.txt").unlink()
    samples = CelebA(root=root, split="drawn").collect(0).samples
    assert "split" not in samples
    assert samples["subject_id"].nunique() == 10


def test_celeba_names_everything_that_is_missing_and_where_to_get_it(tmp_path):
    (tmp_path / "readme.txt").write_text("nothing here")
    with pytest.raises(FileNotFoundError, match=r"mmlab\.ie\.cuhk") as error:
        CelebA(root=tmp_path).collect(0)
    for name in ("list_attr_celeba.txt", "list_eval_partition.txt", "img_align_celeba"):
        assert str(tmp_path / name) in str(error.value)


@pytest.mark.parametrize(
    ("table", "old", "new", "message"),
    [
        ("list_attr_celeba.txt", "20\n", "202599\n", r"says 202599 images but has 20 rows"),
        ("list_attr_celeba.txt", "20\n", "image\n", r"must begin with the number of images"),
        ("list_attr_celeba.txt", "000002.jpg", "000001.jpg", r"1 images more than once.*000001"),
        ("list_attr_celeba.txt", "Bald", "Male", r"names the columns \['male'\] more than once"),
        ("list_attr_celeba.txt", "Smiling", "Grinning", r"no attributes Male and Smiling"),
        ("identity_CelebA.txt", "000002.jpg", "000001.jpg", r"more than once, first: 000001"),
        ("list_eval_partition.txt", "000002.jpg", "000001.jpg", r"more than once"),
    ],
)
def test_celeba_refuses_tables_that_are_cut_off_or_say_two_things(
    tmp_path, table, old, new, message
):
    edit(celeba(tmp_path) / table, old, new)
    with pytest.raises(DataError, match=message):
        CelebA(root=tmp_path).collect(0)


def test_celeba_refuses_a_split_with_a_person_on_two_sides(tmp_path):
    edit(celeba(tmp_path) / "list_eval_partition.txt", "000001.jpg 0", "000001.jpg 2")
    with pytest.raises(SplitLeakageError, match=r"1 people .* first: 2880; set data.split to 'dra"):
        CelebA(root=tmp_path).collect(0)
    assert len(CelebA(root=tmp_path, split="drawn").collect(0).samples) == 20


def test_celeba_sets_aside_what_it_cannot_read_find_or_place(tmp_path):
    root = celeba(tmp_path)
    edit(root / "list_attr_celeba.txt", "000003.jpg -1", "000003.jpg  7")
    edit(root / "list_attr_celeba.txt", "000004.jpg -1", "000004.jpg")
    edit(root / "list_eval_partition.txt", "000005.jpg 0", "000005.jpg 9")
    edit(root / "list_eval_partition.txt", "000006.jpg 0\n", "")
    (root / "img_align_celeba" / "000007.jpg").unlink()
    image(root / "img_align_celeba" / "900000.jpg", 999)
    os.symlink(root / "img_align_celeba" / "000001.jpg", root / "img_align_celeba" / "link.jpg")
    found = CelebA(root=root).collect(0)
    assert len(found.samples) == 15
    # The row of 000004 has lost a field, so nobody can say which image it was about.
    assert reasons(found) == {
        "row not understood": 4, "file missing": 1, "not listed": 2, "not a regular file": 1,
    }  # fmt: skip
    by_id = {item.sample_id: item for item in found.rejected if item.reason not in STRAY}
    assert by_id["000007"].path == str(root / "img_align_celeba" / "000007.jpg")
    assert by_id["000003"].path == str(root / "img_align_celeba" / "000003.jpg")
    assert by_id["000003"].detail == "list_attr_celeba.txt: an attribute is neither -1 nor 1"
    assert by_id["list_attr_celeba.txt:line 6"].detail == "line 6: 40 fields, not 41"


def lost(found):
    """What is known of the samples that were lost, by id; they are among the rejected, once."""
    ids = [item.sample_id for item in found.rejected]
    assert found.lost["sample_id"].is_unique
    assert all(ids.count(name) == 1 for name in found.lost["sample_id"])
    assert not set(found.lost["sample_id"]) & set(found.samples["sample_id"])
    assert set(found.samples.columns) - set(found.lost.columns) <= {"path", "offset", "length"}
    assert set(found.lost.columns) <= set(found.samples.columns)
    return found.lost.set_index("sample_id")


def test_celeba_knows_whom_it_lost(tmp_path):
    root = celeba(tmp_path)
    edit(root / "list_attr_celeba.txt", "000003.jpg -1", "000003.jpg  7")
    edit(root / "list_eval_partition.txt", "000005.jpg 0", "000005.jpg 9")
    edit(root / "identity_CelebA.txt", "000006.jpg 2882\n", "")
    (root / "img_align_celeba" / "000008.jpg").unlink()
    known = lost(CelebA(root=root).collect(0))
    assert sorted(known.index) == ["000003", "000005", "000006", "000008"]
    # Male where even, smiling where divisible by three, two images a person from 2880 on.
    assert known.loc["000003", ["perceived_gender", "smiling", "subject_id", "split"]].tolist() == [
        "female", "yes", "2881", "train",
    ]  # fmt: skip
    assert known["5_o_clock_shadow"].isna().tolist() == [True, False, False, False]
    assert known.loc["000008", ["perceived_gender", "subject_id"]].tolist() == ["male", "2883"]
    assert known["subject_id"].isna().tolist() == [False, False, True, False]
    assert known["split"].isna().tolist() == [False, True, False, False]
    assert CelebA(root=celeba(tmp_path / "whole")).collect(0).lost is None


def test_an_id_does_not_depend_on_what_is_missing(tmp_path):
    root = fairface(tmp_path)
    edit(root / "fairface_label_train.csv", "train/2.jpg", "train/1.png")
    before = FairFace(root=root, split="drawn").collect(0)
    image(root / "train" / "1.png")
    after = FairFace(root=root, split="drawn").collect(0)
    both = {before.samples["sample_id"].iloc[0], lost(before).index[0]}
    assert both == set(after.samples["sample_id"].iloc[:2])


def judged(data, most_rejected=0.01):
    """Whether an ingest would go on after listing the data: it raises if not."""
    found, rules = data.collect(0), QuarantineLimits(most_rejected=most_rejected)
    listed = pd.concat([found.samples, found.lost], ignore_index=True)
    require_within(summarise(found.rejected, listed, ()), rules)


def test_celeba_with_more_than_the_usual_share_missing_stops(tmp_path):
    root = celeba(tmp_path, 30)
    for path in sorted((root / "img_align_celeba").iterdir())[:11]:
        path.unlink()
    message = (
        rf"11 of 30 items .*\(11 file missing\).* first: {root}/img_align_celeba/000001\.jpg: "
        r"listed, but no regular file .* --most-rejected 0\.37"
    )
    with pytest.raises(QuarantineLimitExceededError, match=message):
        judged(CelebA(root=root))
    judged(CelebA(root=root), most_rejected=0.37)
    shutil.rmtree(root / "img_align_celeba")
    (root / "img_align_celeba").mkdir()
    with pytest.raises(EmptyDatasetError, match="none of 30 listed images is in"):
        CelebA(root=root).collect(0)


def test_celeba_with_a_list_of_people_that_is_cut_off_stops(tmp_path):
    root = celeba(tmp_path, 30)
    people = (root / "identity_CelebA.txt").read_text().splitlines(keepends=True)
    (root / "identity_CelebA.txt").write_text("".join(people[:-11]))
    with pytest.raises(QuarantineLimitExceededError, match="no identity is listed"):
        judged(CelebA(root=root))


@pytest.mark.parametrize(
    ("no", "yes"), [("0", "1"), ("False", "True"), ("-1.0", "1.0"), ("No", "Yes")]
)
def test_celeba_is_read_in_other_hands_words_too(tmp_path, no, yes):
    known = CelebA(root=celeba(tmp_path)).collect(0).samples
    table = tmp_path / "list_attr_celeba.txt"
    count, header, *rows = table.read_text().splitlines()
    words = {"-1": no, "1": yes}
    rows = [[word if n == 0 else words[word] for n, word in enumerate(row.split())] for row in rows]
    table.write_text("\n".join([count, header, *(" ".join(row) for row in rows)]) + "\n")
    again = CelebA(root=tmp_path).collect(0)
    assert again.rejected == ()
    pd.testing.assert_frame_equal(again.samples, known)
    # As pandas writes it, with its index in front.
    names = ["", "image_id", *header.split()]
    lines = [",".join([str(n), *row]) for n, row in enumerate(rows)]
    table.write_text("\n".join([",".join(names), *lines]) + "\n")
    pd.testing.assert_frame_equal(CelebA(root=tmp_path).collect(0).samples, known)


def test_celeba_does_not_take_a_nought_among_minus_ones_for_no(tmp_path):
    edit(celeba(tmp_path) / "list_attr_celeba.txt", "000003.jpg -1", "000003.jpg  0")
    found = CelebA(root=tmp_path).collect(0)
    assert [item.detail for item in found.rejected] == [
        "list_attr_celeba.txt: an attribute is neither -1 nor 1"
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("\n<!DOCTYPE html><html><head><title>Google Drive - Quota exceeded</title>",
         r"list_attr_celeba\.txt is a web page \(Google Drive - Quota exceeded\) in place of the "
         "file: the download failed"),
        ("<?xml version='1.0'?><Error><Code>AccessDenied</Code><Message>Access Denied</Message>",
         r"is a web page \(Access Denied\)"),
        ("<HTML><BODY>no", "is a web page in place"),
        ("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 3", "git lfs pull"),
    ],
)  # fmt: skip
def test_what_came_in_place_of_a_table_is_named(tmp_path, content, message):
    root = celeba(tmp_path)
    (root / "list_attr_celeba.txt").write_text(content)
    with pytest.raises(DataError, match=message):
        CelebA(root=root).collect(0)
    assert mistaken_for(b"image_id,Smiling\n<html>.jpg,1") == ""


def test_celeba_works_in_a_recipe(tmp_path):
    config = load(
        RunConfig,
        {
            "data": {"name": "celeba", "root": str(celeba(tmp_path))},
            "label": "smiling",
            "attributes": ["perceived_gender", "young"],
        },
    )
    samples = config.data.collect(0).samples
    assert {config.label, *config.attributes} <= set(samples.columns)
    with Image.open(samples["path"].iloc[2]) as picture:
        assert picture.getpixel((0, 0))[0] < 20  # the third image is all but black


# FairFace ---------------------------------------------------------------------------------------


def test_fairface_reads_both_label_files_and_tests_on_val(tmp_path):
    found = FairFace(root=fairface(tmp_path)).collect(0)
    samples = found.samples.set_index("sample_id")
    assert found.rejected == ()
    assert len(samples) == 50
    assert samples["split"].value_counts().to_dict() == {"train": 36, "test": 10, "validation": 4}
    assert {name[:3] for name in samples.index[samples["split"] == "test"]} == {"val"}
    row = samples.loc["train-9"]
    assert row["path"] == str(tmp_path / "train" / "9.jpg")
    assert row[["perceived_gender", "annotated_race", "age_range", "service_test"]].tolist() == [
        "female", "Indian", "0-2", "False",
    ]  # fmt: skip
    assert set(samples["age_range"]) == set(AGES)
    assert "subject_id" not in samples


def test_fairface_is_the_same_with_other_line_endings_and_inside_the_owners_archive(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    plain = FairFace(root=fairface(tmp_path / "a"), split="drawn").collect(0).samples
    archive = tmp_path / "b" / "fairface-img-margin025-trainval"
    odd = FairFace(root=fairface(tmp_path / "b", archive, "  \r\n"), split="drawn").collect(0)
    pd.testing.assert_frame_equal(plain.drop(columns="path"), odd.samples.drop(columns="path"))
    assert "split" not in plain


def test_the_validation_images_depend_on_the_seed_alone(tmp_path):
    data = FairFace(root=fairface(tmp_path))
    splits = [data.collect(seed).samples["split"].tolist() for seed in (0, 0, 1)]
    assert splits[0] == splits[1]
    assert splits[0] != splits[2]


def test_fairface_refuses_what_a_spreadsheet_did_to_the_ages(tmp_path):
    table = fairface(tmp_path) / "fairface_label_train.csv"
    edit(table, ",3-9,", ",9-Mar,", -1)
    edit(table, ",10-19,", ",19-Oct,", -1)
    with pytest.raises(DataError, match=r"10 dates for ages, first: '9-Mar'; a spreadsheet"):
        FairFace(root=tmp_path).collect(0)


def test_fairface_sets_aside_rows_and_files_it_does_not_know(tmp_path):
    root = fairface(tmp_path)
    edit(root / "fairface_label_train.csv", "train/1.jpg,3-9", "train/1.jpg,old")
    edit(root / "fairface_label_train.csv", "train/2.jpg", "train/../../secret.jpg")
    edit(root / "fairface_label_val.csv", "val/3.jpg", f"{root}/val/3.jpg")
    found = FairFace(root=root).collect(0)
    assert len(found.samples) == 47
    assert reasons(found) == {"row not understood": 1, "file missing": 2, "not listed": 2}
    known = lost(found)
    assert known.loc["train-1"].to_dict() == {
        "split": "train", "perceived_gender": "female", "annotated_race": "Black", "age_range": "",
        "service_test": "False",
    }  # fmt: skip
    others = known.drop("train-1")
    assert others[["split", "annotated_race", "age_range"]].to_numpy().tolist() == [
        ["train", "Indian", "10-19"], ["test", "East Asian", "20-29"],
    ]  # fmt: skip
    assert "split" not in FairFace(root=root, split="drawn").collect(0).lost


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda root: (root / "fairface_label_val.csv").unlink(), FileNotFoundError, "val.csv"),
        (lambda root: shutil.rmtree(root / "val"), FileNotFoundError, r"val; get .*joojs/fairface"),
        (
            lambda root: edit(root / "fairface_label_val.csv", "race", "origin"),
            DataError,
            r"has no column \['race'\]",
        ),
        (
            lambda root: edit(root / "fairface_label_val.csv", "val/2.jpg", "val/1.jpg"),
            DataError,
            r"1 images more than once, first: val/1\.jpg",
        ),
    ],
)
def test_fairface_explains_what_does_not_fit(tmp_path, change, error, message):
    change(fairface(tmp_path))
    with pytest.raises(error, match=message):
        FairFace(root=tmp_path).collect(0)


# LFW --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("newline", "folder"), [("\n", "lfw"), ("\r\n", "lfw_funneled")])
def test_lfw_reads_people_from_folders_and_view_1_from_the_lists(tmp_path, newline, folder):
    found = LFW(root=lfw(tmp_path, newline, folder)).collect(0)
    samples = found.samples
    assert found.rejected == ()
    assert len(samples) == sum(PEOPLE.values())
    assert samples.groupby("subject_id").size().to_dict() == PEOPLE
    assert samples.groupby("subject_id")["split"].nunique().max() == 1
    assert set(samples["subject_id"][samples["split"] == "test"]) == set(list(PEOPLE)[12:])
    assert set(samples["split"]) == {"train", "validation", "test"}
    first = samples[samples["subject_id"] == "Person_C"].iloc[1]
    assert first["path"] == str(tmp_path / folder / "Person_C" / "Person_C_0002.jpg")
    assert first["images_of_person"] == 3
    assert not samples["sample_id"].str.contains("Person").any()


def test_lfw_without_lists_says_who_is_shown(tmp_path):
    root = lfw(tmp_path)
    for path in root.glob("*.txt"):
        path.unlink()
    with pytest.raises(FileNotFoundError, match=rf"{root}/peopleDevTrain.txt, .*vis-www"):
        LFW(root=root).collect(0)
    samples = LFW(root=root, split="drawn").collect(0).samples
    assert "split" not in samples
    assert samples.groupby("subject_id").size().to_dict() == PEOPLE


def test_lfw_refuses_lists_that_share_a_person_or_contradict_themselves(tmp_path):
    root = lfw(tmp_path)
    edit(root / "peopleDevTest.txt", "Person_M", "Person_A")
    with pytest.raises(SplitLeakageError, match=r"1 people are on the lists .* first: Person_A"):
        LFW(root=root).collect(0)
    for name, old, new, message in [
        ("peopleDevTest.txt", "4\n", "5\n", "says 5 people but has 4"),
        ("peopleDevTest.txt", "Person_N", "Person_M", "Person_M is named twice"),
        ("peopleDevTest.txt", "Person_N\t2", "Person_N", "line 3: neither a count nor"),
    ]:
        edit(lfw(root) / name, old, new)
        with pytest.raises(DataError, match=message):
            LFW(root=root).collect(0)


def test_lfw_sets_aside_odd_names_people_on_no_list_and_images_that_should_be_there(tmp_path):
    root = lfw(tmp_path)
    image(root / "lfw" / "Van der Sar" / "Van der Sar_0001.jpg", 900)
    image(root / "lfw" / "Person_A" / "scan.jpg", 901)
    (root / "lfw" / "Person_C" / "Person_C_0003.jpg").unlink()
    found = LFW(root=root).collect(0)
    assert reasons(found) == {"not listed": 1, "name not understood": 1, "file missing": 1}
    assert str(root / "lfw" / "Person_C" / "Person_C_0003.jpg") in {i.path for i in found.rejected}
    assert "Van der Sar" in set(LFW(root=root, split="drawn").collect(0).samples["subject_id"])
    known = lost(found)
    assert not known.index.str.contains("Person").any()
    assert known[["subject_id", "split", "images_of_person"]].to_numpy().tolist() == [
        ["Person_C", "train", 2]
    ]
    assert found.samples["images_of_person"].dtype == np.int64


# The Pilot Parliaments Benchmark ------------------------------------------------------------------


@pytest.mark.parametrize("newline", ["\r", "\n", "\r\n"])
def test_the_list_of_the_pilot_parliaments_benchmark_is_a_table_like_others(tmp_path, newline):
    """The owner's list has the line endings of old Macintoshes and none at its end."""
    lines = ["image_id,filename,gender,fitzpatrick skin type category,bi.fitz,country"]
    for n in range(1, 13):
        kind, name = 1 + n % 6, f"{n:04d}_SA.jpg"
        image(tmp_path / "imgs" / name, n)
        group = "lighter" if kind < 4 else "darker"
        lines.append(f"{n},{name},{('Female', 'Male')[n % 2]},{kind},{group},South Africa")
    table = tmp_path / "PPB-2017-metadata.csv"
    table.write_bytes(newline.join(lines).encode())
    found = Folder(root=tmp_path / "imgs", table=table, path_column="filename").collect(0)
    assert found.rejected == ()
    row = found.samples.iloc[3]
    assert row["path"] == str(tmp_path / "imgs" / "0004_SA.jpg")
    assert row[["gender", "fitzpatrick skin type category", "bi.fitz"]].tolist() == [
        "Female", "5", "darker",
    ]  # fmt: skip


# Folders of classes ------------------------------------------------------------------------------


def test_an_image_folder_has_a_class_a_folder(tmp_path):
    for n, name in enumerate(["cat's eye/1.jpg", "cat's eye/deep/2.PNG", "dög/1.jpeg"]):
        image(tmp_path / name, n)
    image(tmp_path / "loose.jpg")
    (tmp_path / "dög" / "notes.txt").write_text("hello")
    (tmp_path / ".hidden").write_text("")
    os.symlink("1.jpeg", tmp_path / "dög" / "link.jpg")
    os.mkfifo(tmp_path / "dög" / "pipe.jpg")
    found = ImageFolder(root=tmp_path).collect(0)
    assert found.samples["class"].tolist() == ["cat's eye", "cat's eye", "dög"]
    assert found.samples["path"].iloc[1] == str(tmp_path / "cat's eye" / "deep" / "2.PNG")
    assert "split" not in found.samples
    assert reasons(found) == {
        "in no class folder": 1, "not an image file": 1, "not a regular file": 2, "hidden": 1,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("folders", "expected"),
    [
        (["train", "val", "test"], {"train": 40, "validation": 40, "test": 40}),
        (["train", "val"], {"train": 36, "validation": 4, "test": 40}),
        (["train", "test"], {"train": 36, "validation": 4, "test": 40}),
        (["train", "valid", "test"], {"train": 40, "validation": 40, "test": 40}),
    ],
)
def test_an_image_folder_may_hold_splits(tmp_path, folders, expected):
    for n in range(40 * len(folders)):
        path = tmp_path / folders[n // 40] / ("a", "b")[n % 2] / f"{n}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    samples = ImageFolder(root=tmp_path).collect(0).samples
    assert samples["split"].value_counts().to_dict() == expected
    assert set(samples["class"]) == {"a", "b"}
    assert "split" not in ImageFolder(root=tmp_path, split="drawn").collect(0).samples


@pytest.mark.parametrize(
    ("names", "classes", "odd"),
    [
        (["train/a/1.jpg", "test/a/2.jpg", "__MACOSX/1.jpg"], ["a", "a"], "__MACOSX"),
        (["train/a/1.jpg", "val/b/2.jpg", "x/b/3.jpg", "train/4.jpg"], ["a", "b"], "x"),
        (["train/a/1.jpg", "train/b/2.jpg", "__MACOSX/1.jpg"], ["a", "b"], "__MACOSX"),
        (["train/1.jpg", "plane/2.jpg"], ["plane", "train"], None),
        (["train/a/1.jpg", "train/2.jpg"], ["a"], None),
        (["Train/a/1.jpg", "TEST/b/2.jpg"], ["b", "a"], None),
    ],
)
def test_a_stray_folder_does_not_turn_splits_into_classes(tmp_path, names, classes, odd):
    for name in names:
        image(tmp_path / name)
    found = ImageFolder(root=tmp_path).collect(0)
    assert sorted(found.samples["class"]) == sorted(classes)
    assert len(found.samples) + len(found.rejected) == len(names)
    details = {item.path: item.detail for item in found.rejected}
    if odd:
        where = next(name for name in names if name.startswith(f"{odd}/"))
        assert details[f"{tmp_path}/{where}"].startswith(f"the folder '{odd}' is no split")
    assert ("split" in found.samples) == (set(classes) <= {"a", "b"})


def test_doubled_folders_of_a_split_are_no_classes(tmp_path):
    for name in ("training_set", "test_set"):
        for number in range(20):
            image(tmp_path / name / name / ("male", "female")[number % 2] / f"{number}.jpg")
    samples = ImageFolder(root=tmp_path).collect(0).samples
    assert samples["class"].value_counts().to_dict() == {"male": 20, "female": 20}
    assert samples["split"].value_counts().to_dict() == {"train": 18, "validation": 2, "test": 20}


@pytest.mark.parametrize("kind", [ImageFolder, Images, UTKFace])
def test_a_link_to_a_folder_is_refused_by_name(tmp_path, kind):
    for name in ("here/a/20_0_0_1.jpg", "there/20_1_0_2.jpg"):
        image(tmp_path / name)
    os.symlink(tmp_path / "there", tmp_path / "here" / "b")
    with pytest.raises(DataError, match=r"/here/b is a link to a folder \(1 in all\)"):
        kind(root=tmp_path / "here").collect(0)


def test_hidden_names_are_accounted_for_once_and_photographs_among_them_are_left_out(tmp_path):
    for name in ("a/1.jpg", "a/._1.jpg", "a/.git/1.jpg", "a/.git/2.jpg", ".hidden/a/1.jpg"):
        image(tmp_path / name)
    for source in (ImageFolder, Images):
        found = source(root=tmp_path).collect(0)
        assert len(found.samples) == 1
        assert reasons(found) == {"hidden": 2, "hidden photograph": 2}  # two are there outside
        paths = sorted(item.path for item in found.rejected)
        names = (".hidden", "a/._1.jpg", "a/.git", "a/.git/2.jpg")
        assert paths == [f"{tmp_path}/{name}" for name in names]


def test_an_image_folder_without_classes_is_explained(tmp_path):
    image(tmp_path / "1.jpg")
    with pytest.raises(
        EmptyDatasetError, match=rf"{tmp_path} holds no image in a folder per class"
    ):
        ImageFolder(root=tmp_path).collect(0)


def test_a_file_name_that_is_no_text_is_set_aside(tmp_path):
    image(tmp_path / "a" / "1.jpg")
    with open(os.fsencode(tmp_path / "a") + b"/\xff.jpg", "wb"):
        pass
    found = ImageFolder(root=tmp_path).collect(0)
    assert reasons(found) == {"name not understood": 1}
    found.rejected[0].path.encode()


# What every source promises ----------------------------------------------------------------------


def utkface(root):
    image(root / "25_0_0_20170103.jpg.chip.jpg")


def class_folder(root):
    image(root / "a" / "1.jpg")


def folder(root):
    image(root / "1.jpg")
    (root / "t.csv").write_text("path\n1.jpg\n")
    return {"table": root / "t.csv"}


def tar(root):
    with tarfile.open(root / "shard-0.tar", "w") as archive:
        archive.add(root.parent / "1.jpg", "1.jpg")
    return {"root": root / "shard-0.tar"}


def shards(root):
    images = {"image": [{"bytes": (root.parent / "1.jpg").read_bytes(), "path": None}] * 2}
    pd.DataFrame(images).to_parquet(root / "train.parquet")


def hdf5(root):
    with h5py.File(root / "faces.h5", "w") as file:
        file["images"] = np.zeros((3, 4, 4, 3), np.uint8)
        file["labels"] = np.array([[0.0], [1.0], [1.0]])
    return {"file": root / "faces.h5"}


def arrays(root):
    np.savez(root / "faces.npz", images=np.zeros((3, 4, 4), np.uint8), labels=np.arange(3))
    return {"file": root / "faces.npz"}


def idx(root):
    head = bytes([0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 2])
    (root / "train-images-idx3-ubyte").write_bytes(head + bytes(16))


WRITTEN = {
    "celeba": celeba, "fairface": fairface, "lfw": lfw, "utkface": utkface,
    "image_folder": class_folder, "images": class_folder, "folder": folder,
    "tar": tar, "hdf5": hdf5, "hugging_face": shards, "store": write_store,
    "arrays": arrays, "idx": idx,
}  # fmt: skip


@pytest.fixture(params=list(DATASETS))
def source(request, tmp_path):
    """Every registered source, on a tiny set of its own."""
    if request.param == "synthetic":
        return DATASETS["synthetic"]()
    root = tmp_path / "the data"
    root.mkdir()
    image(tmp_path / "1.jpg")
    fields = WRITTEN[request.param](root)
    fields = fields if isinstance(fields, dict) else {}
    if "root" in DATASETS[request.param].model_fields:
        fields = {"root": root, **fields}
    return DATASETS[request.param](**fields)


def test_every_source_says_what_it_is(source):
    assert isinstance(source, Dataset)
    assert len(source.annotation) > 20
    assert source.source in {"self-reported", "annotated", "inferred", "not stated", "drawn"}
    about = f"{inspect.getmodule(type(source)).__doc__}\n{type(source).__doc__}".lower()
    assert "licen" in about
    if source.name != "synthetic":
        assert "citation" in about
        assert "known problems" in about


def test_every_source_lists_unique_samples_the_same_way_twice(source):
    first, second = source.collect(0), source.collect(0)
    pd.testing.assert_frame_equal(first.samples, second.samples)
    assert first.rejected == second.rejected
    assert first.samples["sample_id"].is_unique
    assert first.samples["sample_id"].map(type).eq(str).all()
    if "path" in first.samples and first.draw is None:  # else no more than a name
        assert first.samples["path"].map(os.path.isfile).all()
    if "split" in first.samples:
        assert set(first.samples["split"]) <= {"train", "validation", "test"}


@pytest.mark.parametrize("name", [name for name in DATASETS if name != "synthetic"])
def test_a_missing_root_is_named_in_full_with_where_to_get_the_data(name, tmp_path):
    fields = {
        key: tmp_path / "x"
        for key in ("root", "table", "file")
        if key in DATASETS[name].model_fields
    }
    with pytest.raises(FileNotFoundError, match=rf"{tmp_path}/x .* or get the data from \S+"):
        DATASETS[name](**fields).collect(0)

"""Known sets one or some folders deeper than a person points, in whole and in part."""

import os
import shutil

import pandas as pd
import pytest
from small_sets import as_kaggle, celeba, fairface, image, lfw

from debias.datasets import DATASETS, LFW, CelebA, FairFace, ImageFolder, Images, UTKFace
from debias.datasets.places import tree
from debias.datasets.recognition import recognised
from debias.errors import DataError, EmptyDatasetError


def made(root, *names):
    for number, name in enumerate(names):
        image(root / name, number)
    return root


def moved(root, **folders):
    """Move what has a name that begins so into a folder."""
    for folder, starts in folders.items():
        for path in [path for path in root.iterdir() if path.name.startswith(tuple(starts))]:
            (root / folder).mkdir(exist_ok=True)
            shutil.move(path, root / folder / path.name)


def as_distributed(root):
    moved(celeba(root / "CelebA"), Anno=("list_a", "list_b", "list_l", "id"), Eval=("list_e",),
          Img=("img",))  # fmt: skip


def without_partition(root):
    (celeba(root / "celeba") / "list_eval_partition.txt").unlink()


def in_split_folders(root):
    without_partition(root)
    (root / "celeba/identity_CelebA.txt").unlink()  # some are on two sides
    images = root / "celeba/img_align_celeba"
    moved(images, train=["00000"], valid=["00001"], test=["00002"])
    for part in [*images.iterdir()]:
        shutil.move(part, root / "celeba")
    images.rmdir()


def with_the_wild_ones(root):
    celeba(root)
    for number in range(1, 21):
        image(root / f"Img/img_celeba/{number:06d}.jpg", 100 + number)


def parts(root, *folders, suffix=".jpg"):
    faces = [f"{20 + n}_{n % 2}_{n % 5}_2017{n}{suffix}" for n in range(12)]
    return made(root, *(f"{folders[n % len(folders)]}/{name}" for n, name in enumerate(faces)))


def with_crops(root):
    parts(root, "utkface_aligned_cropped/UTKFace", suffix=".jpg.chip.jpg")
    for n in range(0, 12, 3):
        image(root / "crop_part1" / f"{20 + n}_{n % 2}_{n % 5}_2017{n}.jpg.chip.jpg", 99)


def as_sklearn(root):
    lfw(root / "lfw_home", folder="lfw_funneled")
    for path in (root / "lfw_home").glob("*.txt"):
        path.unlink()


def as_kaggle_has_it(root):
    lfw(root, folder="lfw-deepfunneled/lfw-deepfunneled")
    for path in root.glob("*.txt"):
        _, *rows = path.read_text().replace("\t", ",").splitlines()
        path.with_suffix(".csv").write_text("\n".join(["name,images", *rows, ""]))
        path.unlink()


def in_two_versions(root):
    lfw(root, folder="lfw-deepfunneled/lfw-deepfunneled")
    lfw(root, folder="lfw_funneled")


def called_otherwise(root):
    fairface(root / "data" / "FairFace")
    for part in ("train", "val"):
        table = root / "data" / "FairFace" / f"fairface_label_{part}.csv"
        table.rename(table.with_name(f"{part}_labels.csv"))


def validation_alone(root):
    shutil.rmtree(fairface(root / "fairface") / "train")
    (root / "fairface" / "fairface_label_train.csv").unlink()


GENDER, OWN = {"perceived_gender"}, {"train", "validation", "test"}
FOUND = [  # written by, name, images, columns, splits, ignored, a word of the remarks
    (as_distributed, "celeba", 20, GENDER | {"subject_id"}, OWN, 0, ""),
    (lambda root: as_kaggle(celeba(root / "a" / "b")), "celeba", 20, GENDER, OWN, 0, ""),
    (without_partition, "celeba", 20, GENDER | {"subject_id"}, set(), 0, "drawn by person"),
    (with_the_wild_ones, "celeba", 20, GENDER | {"subject_id"}, OWN, 20, ""),
    (lambda root: parts(root, "x/UTKFace"), "utkface", 12, GENDER | {"age"}, set(), 0, ""),
    (lambda root: parts(root, "part1", "part2", "part3"), "utkface", 12, GENDER, set(), 0, ""),
    (with_crops, "utkface", 12, GENDER, set(), 4, ""),
    (as_sklearn, "lfw", 31, {"subject_id"}, set(), 0, "view 1 are not there"),
    (as_kaggle_has_it, "lfw", 31, {"subject_id"}, OWN, 0, "drawn for validation"),
    (in_two_versions, "lfw", 31, {"subject_id"}, OWN, 31, "drawn for validation"),
    (called_otherwise, "fairface", 50, GENDER | {"annotated_race", "age_range"}, OWN, 0,
     "of 40 training images were drawn for validation"),
    (in_split_folders, "celeba", 20, GENDER, OWN, 0, ""),
    (validation_alone, "fairface", 10, GENDER, set(), 0, "Only the part val"),
]  # fmt: skip


@pytest.mark.parametrize("case", FOUND, ids=lambda case: getattr(case[0], "__name__", ""))
def test_a_known_set_is_found_deeper_and_in_other_folders(tmp_path, case):
    write, name, count, columns, splits, ignored, remark = case
    write(tmp_path)
    settings = recognised(tmp_path, {})
    assert (settings["name"], settings["root"]) == (name, str(tmp_path))
    found = DATASETS[name].model_validate(settings).collect(0)
    assert len(found.samples) == count
    assert columns <= set(found.samples)
    assert found.samples["path"].map(os.path.isfile).all()
    assert set(found.samples.get("split", ())) == splits
    reason = (
        "another version" if write in (with_the_wild_ones, with_crops) else "named like another"
    )
    assert [item.reason for item in found.rejected] == [reason] * ignored
    assert remark in " ".join(found.remarks)
    assert bool(remark) == bool(found.remarks)


def no_label_files(root):
    made(root, "fairface/train/1.jpg", "fairface/val/1.jpg")


def two_sets(root):
    celeba(root / "one")
    parts(root, "two")


def among_others(root):
    parts(root, "UTKFace")
    made(root, "holiday/a.jpg", "holiday/b.jpg")


@pytest.mark.parametrize(
    ("write", "folder", "message"),
    [
        (lambda root: made(root, "c/img_align_celeba/000001.jpg"), "",
         r"looks like celeba, but it lacks its attributes, list_attr_celeba.txt .*--layout images"),
        (celeba, "img_align_celeba", "holds images of celeba, whose tables lie higher: give"),
        (as_distributed, "CelebA/Img", "celeba, whose tables lie higher: give {root}/CelebA, or"),
        (lfw, "lfw", "holds images of lfw, whose tables lie higher: give {root}, or"),
        (fairface, "train", "holds images of fairface, whose tables lie higher: give {root}, or"),
        (no_label_files, "", "looks like fairface, but it lacks its label files"),
        (two_sets, "", r"several data sets \(celeba in {root}/one/img_align_celeba, utkface in "),
        (among_others, "", "utkface, but it .* lie in {root}/UTKFace, others in {root}/holiday"),
    ],
)  # fmt: skip
def test_what_is_nearly_a_known_set_is_refused_with_what_it_lacks(tmp_path, write, folder, message):
    write(tmp_path)
    with pytest.raises(DataError, match=message.replace("{root}", str(tmp_path))):
        recognised(tmp_path / folder, {})
    assert recognised(tmp_path / folder, {"name": "images"})["name"] == "images"


def test_numbers_alone_make_no_images_those_of_a_set_beside_them(tmp_path):
    fairface(tmp_path / "fairface")
    made(tmp_path / "mine", "train/1.jpg", "train/2.jpg", "val/3.jpg")
    in_split_folders(tmp_path)
    assert recognised(tmp_path / "mine", {})["folders"] == "split"
    assert recognised(tmp_path / "celeba", {})["name"] == "celeba"
    assert recognised(tmp_path / "fairface", {})["name"] == "fairface"


def test_a_part_with_a_table_of_its_own_is_a_set_whatever_lies_beside_it(tmp_path):
    fairface(tmp_path / "whole" / "FairFace")
    shutil.rmtree(fairface(tmp_path / "alone") / "train")
    (tmp_path / "alone" / "fairface_label_train.csv").unlink()
    assert recognised(tmp_path / "alone", {})["name"] == "fairface"


def test_a_setting_that_a_layout_does_not_have_is_refused_with_those_that_have_it(tmp_path):
    made(tmp_path, "a/1.jpg", "b/1.jpg")
    said = {"name": "image_folder", "folders": "race/person"}
    with pytest.raises(
        DataError, match=r"'image_folder', which .* data\.folders; images, folder have it"
    ):
        recognised(tmp_path, said)
    assert recognised(tmp_path, {"folders": "race"})["name"] == "images"
    assert recognised(tmp_path, {"name": "celebb", "folders": "x"})["name"] == "celebb"


def test_links_and_other_sets_of_people_are_no_known_set(tmp_path):
    celeba(tmp_path / "elsewhere")
    os.symlink(tmp_path / "elsewhere", made(tmp_path / "here", "a/1.jpg", "b/1.jpg") / "link")
    assert recognised(tmp_path / "here", {})["name"] == "image_folder"
    race = made(tmp_path / "lfw" / "rfw", *(f"African/m.0{n}/m.0{n}_0001.jpg" for n in range(9)))
    assert recognised(race, {})["name"] == "image_folder"


CLASSES = [
    (["00000/00000.png", "01000/01000.png"], "images", None, {"00000", "01000"}),  # FFHQ
    (["thumbs/00000/00000.png", "thumbs/01000/01000.png"], "images", None, {"thumbs/00000"}),
    (["0/1.png", "1/2.png"], "image_folder", "class", {"0", "1"}),  # digits are classes
    (["00000/1.png", "00001/1.png"], "image_folder", "class", {"00000", "00001"}),
    (["imdb/00/nm01_rm1.jpg", "imdb/99/nm99_rm2.jpg"], "images", None, {"imdb/00"}),
    (["photos/1.jpg", "photos/2.jpg"], "images", None, {"photos"}),
    (["in/here/cat/1.jpg", "in/here/dog/1.jpg"], "image_folder", "class", {"cat", "dog"}),
    (["x/Train/cat/1.jpg", "x/valid/dog/1.jpg"], "image_folder", "class", {"cat", "dog"}),
    (["training/a/1.jpg", "dev/b/1.jpg", "testing/a/2.jpg"], "image_folder", "class", {"a", "b"}),
    (["x_train/cat/1.jpg", "x_test/test/dog/1.jpg"], "image_folder", "class", {"cat", "dog"}),
    (["v_train/train/n1/1.jpg", "v_test/test/n2/1.jpg"], "image_folder", "class", {"n1", "n2"}),
    (["train_station/1.jpg", "test_tube/1.jpg"], "image_folder", "class", {"train_station"}),
    (["test/data/African/m.01/1.jpg", "test/data/Asian/m.02/1.jpg"], "image_folder", "class",
     {"African", "Asian"}),
    (["val/cat/1.jpg", "test/dog/1.jpg"], "image_folder", "class", {"cat", "dog"}),
    (["x/train/1.jpg", "x/test/1.jpg"], "images", "split", {"train", "test"}),
    (["1.jpg", "b/2.jpg"], "images", None, {".", "b"}),
    (["x/a/train/1.jpg", "x/b/train/2.jpg", "x/a/val/3.jpg"], "images", "class", {"a", "b"}),
    (["fold_0/a/1.jpg", "fold_1/b/2.jpg"], "images", "class", {"a", "b"}),
    (["part1/1.jpg", "part2/2.jpg"], "images", "fold", {"part1", "part2"}),
    (["1/2/a.jpg", "2/1/a.jpg", "3/1/a.jpg", "3/2/b.jpg"], "image_folder", "class", {"1", "3"}),
    (["with_mask/1.jpg", "no_mask/1.jpg", "z/3.jpg"], "image_folder", "class", {"with_mask"}),
]  # fmt: skip


@pytest.mark.parametrize(("names", "layout", "column", "values"), CLASSES)
def test_a_folder_is_a_class_only_where_it_can_be_one(tmp_path, names, layout, column, values):
    settings = recognised(made(tmp_path, *names), {})
    assert settings["name"] == layout
    found = DATASETS[layout].model_validate(settings).collect(0)
    assert values <= set(found.samples[column or "folder"])
    assert len(found.samples) == len(names)


@pytest.mark.parametrize(
    ("names", "named"),
    [
        (["x/images1024x1024/00000.png", "x/thumbnails128x128/00000.png"], "images1024x1024, thu"),
        (["original/a/1.jpg", "augmented/a/1_b.jpg"], "augmented, original"),
        (["train/0.25/1.jpg", "train/1.25/1.jpg", "val/0.25/2.jpg"], r"0\.25, 1\.25"),
        (["aligned/1.jpg", "in-the-wild/1.jpg"], "aligned, in-the-wild"),
        (["f/1.jpg", "m/2.jpg", "thumbs/1.jpg", "thumbs/2.jpg"], "in thumbs"),
        (["faces/1.jpg", "faces/2.jpg", "faces_masks/1.png"], "in faces_masks"),
        ([f"{way}{one}/1.jpg" for way in ("", "more/") for one in ("f", "m")], "more"),
    ],
)
def test_versions_of_the_same_photographs_are_refused_as_classes(tmp_path, names, named):
    with pytest.raises(DataError, match=rf"more than once, .*{named}.*--layout image_folder"):
        recognised(made(tmp_path, *names), {})
    assert recognised(tmp_path, {"name": "image_folder"})["name"] == "image_folder"


def divided(root, folder, number, ending):
    """CelebA with its images in two folders, or of another kind."""
    celeba(root)
    for path in (root / "img_align_celeba").iterdir():
        place = root / folder.format(int(path.stem) // number)
        place.mkdir(parents=True, exist_ok=True)
        path.rename(place / path.with_suffix(ending).name)
    (root / "img_align_celeba").rmdir() if not folder.startswith("img_align_celeba/") else None


@pytest.mark.parametrize(
    ("folder", "number", "ending"),
    [
        ("img_align_celeba/{}", 10, ".jpg"), ("part{}", 12, ".jpg"),
        ("img_align_celeba_png", 1, ".png"),
    ],
)  # fmt: skip
def test_celeba_is_found_in_divided_folders_and_as_png(tmp_path, folder, number, ending):
    plain = CelebA(root=celeba(tmp_path / "plain")).collect(0).samples.drop(columns="path")
    divided(tmp_path / "other", folder, number, ending)
    assert recognised(tmp_path / "other", {})["name"] == "celeba"
    found = CelebA(root=tmp_path / "other").collect(0)
    assert found.samples["path"].map(os.path.isfile).all()
    pd.testing.assert_frame_equal(plain, found.samples.drop(columns="path"))
    assert found.rejected == ()


def test_celeba_hq_has_attributes_and_its_masks_are_no_photographs(tmp_path):
    root = celeba(tmp_path) / "CelebAMask-HQ"
    text = (tmp_path / "list_attr_celeba.txt").read_text()
    shutil.rmtree(tmp_path / "img_align_celeba")
    for path in tmp_path.glob("*.txt"):
        path.unlink()
    for n in range(20):
        image(root / "CelebA-HQ-img" / f"{n}.jpg", n)
        image(root / "CelebAMask-HQ-mask-anno" / "0" / f"{n:05d}_hair.png", n)
        text = text.replace(f"{n + 1:06d}.jpg", f"{n}.jpg")
    (root / "CelebAMask-HQ-attribute-anno.txt").write_text(text)
    settings = recognised(tmp_path, {})
    assert (settings["name"], settings["split"]) == ("celeba", "drawn")
    found = CelebA.model_validate(settings).collect(0)
    assert found.samples["smiling"].tolist() == ["no", "no", "yes"] * 6 + ["no", "no"]
    assert {item.reason for item in found.rejected} == {"masks"}
    assert len(found.rejected) == 20


def test_fairface_lists_with_bare_names_are_those_of_their_part(tmp_path):
    fairface(tmp_path)
    plain = FairFace(root=tmp_path).collect(0).samples
    for part in ("train", "val"):
        path = tmp_path / f"fairface_label_{part}.csv"
        path.write_text(path.read_text().replace(f"{part}/", ""))
    pd.testing.assert_frame_equal(FairFace(root=tmp_path).collect(0).samples, plain)


def test_a_lone_class_and_numbered_folders_are_questioned(tmp_path):
    made(tmp_path / "one", "cat/1.jpg", "cat/2.jpg")
    assert "Every image is of one class" in ImageFolder(root=tmp_path / "one").collect(0).remarks[0]
    made(tmp_path / "n", "00000/00001.jpg", "01000/01001.jpg")
    (tmp_path / "n" / "01000" / "more.json").touch()
    lone, unread = ImageFolder(root=tmp_path / "n").collect(0).remarks
    assert "numbers of folders" in lone
    assert "1 file (.json)" in unread
    assert Images(root=tmp_path / "n").collect(0).remarks == (unread,)
    with pytest.raises(EmptyDatasetError, match="no image in a folder per class"):
        ImageFolder(root=made(tmp_path / "flat", "1.jpg", "2.jpg")).collect(0)


def test_notes_beside_images_are_read_as_columns(tmp_path):
    made(tmp_path, *(f"{n // 2:05d}/{n // 2:05d}{n % 2:04d}.jpg" for n in range(5)))
    said = [
        '{"gender": "f", "age": 30, "box": [1, 2], "path": "x"}', '{"gender": "m", "age": NaN}',
        "{", '{"gender": "f", "age": 31}',
    ]  # fmt: skip
    for n, text in enumerate(said):
        image = tmp_path / f"{n // 2:05d}" / f"{n // 2:05d}{n % 2:04d}.jpg"
        image.with_suffix(".json").write_text(text)
        image.with_suffix(".txt").write_text("a face")
    settings = recognised(tmp_path, {})
    assert settings["name"] == "images"
    found = Images.model_validate(settings).collect(0)
    assert found.samples["gender"].fillna("").tolist() == ["f", "m", "", "f", ""]
    assert found.samples["age"].fillna(0).tolist() == [30, 0, 0, 31, 0]
    assert sorted(found.remarks) == [
        "A note is left out where it holds no JSON: 1 of 5 samples.",
        "Column 'box' is left out where it holds a list: 1 of 5 samples.",
        "Not read beside the images, for their names: path.",
        "Not read, though more may stand there: 5 files (.json, .txt). A table with one row an "
        "image is named with --table, one with a row a person with --people.",
    ]
    assert [item.path[-4:] for item in found.rejected] == [".txt", ".txt", "json", ".txt", ".txt"]


STRAY = ("notes.txt", "elsewhere/901.jpg", "elsewhere/more.csv", ".DS_Store", "deep/er/902.png")


@pytest.mark.parametrize(
    ("write", "kind"),
    [
        (celeba, CelebA), (fairface, FairFace), (lfw, LFW),
        (lambda root: parts(root, "a"), UTKFace),
        (lambda root: made(root, "a/1.jpg", "b/1.jpg"), ImageFolder),
        (lambda root: made(root, "a/1.jpg", "b/1.jpg"), Images),
    ],
)  # fmt: skip
def test_every_file_is_read_left_out_or_ignored_and_told_once(tmp_path, write, kind):
    write(tmp_path)
    made(tmp_path, "elsewhere/901.jpg", "deep/er/902.png")
    for name in STRAY:
        if not (tmp_path / name).exists():
            (tmp_path / name).write_text("x")
    os.symlink(tmp_path / "notes.txt", tmp_path / "elsewhere" / "link.jpg")
    found = kind(root=tmp_path).collect(0)
    place = kind.find(tree(tmp_path)) if hasattr(kind, "find") else None
    tables = [] if place is None else list(map(str, place.tables.values()))
    told = [*found.samples["path"], *(item.path for item in found.rejected), *tables]
    there = [str(path) for path in tmp_path.rglob("*") if path.is_symlink() or path.is_file()]
    assert sorted(told) == sorted(there)

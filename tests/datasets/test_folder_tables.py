"""One table of images as many tools write it: paths, separators, splits, and what is said of it."""

import json
import os
from pathlib import Path

import pandas as pd
import pytest

from debias.datasets import Folder
from debias.errors import DataError, DuplicateIdError, EmptyDatasetError

NAMES = [f"set{n % 2}/{n:05d}.png" for n in range(20)]


@pytest.fixture
def place(tmp_path):
    """A folder ``img`` with twenty names of images."""
    for name in NAMES:
        (tmp_path / "img" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "img" / name).touch()
    return tmp_path


def rows(change=str, column="path", **more):
    codes = [f"0{n % 3}" for n in range(20)]  # text that must not become numbers
    return pd.DataFrame({column: [change(name) for name in NAMES], "code": codes, **more})


def collected(place, table, name="t.csv", **settings):
    if isinstance(table, pd.DataFrame):
        table.to_csv(place / name, index=False)
    return Folder(root=place / "img", table=place / name, **settings).collect(0)


def same(place, found):
    assert found.rejected == ()
    assert found.samples["path"].tolist() == [str(place / "img" / name) for name in NAMES]
    assert found.samples["code"].tolist() == rows()["code"].tolist()
    return " ".join(found.remarks)


def test_a_table_as_it_should_be_is_told_in_one_line(place):
    assert same(place, collected(place, rows())) == (
        "t.csv: 20 of 20 rows joined with 20 of 20 images; 2 columns of the table; used: path; "
        "annotations: code."
    )


@pytest.mark.parametrize(
    ("change", "way"),
    [
        (lambda name: name.replace("/", "\\"), "the last 2 steps of the path"),
        (lambda name: f"img/{name}", "the last 2 steps of the path"),
        (lambda name: f"data/img/{name}", "the last 2 steps of the path"),
        (lambda name: f"img\\{name}".replace("/", "\\"), "the last 2 steps of the path"),
        (
            lambda name: f"C:\\Users\\me\\img\\{name}".replace("/", "\\"),
            "the last 2 steps of the path",
        ),
        (lambda name: f"/content/drive/img/{name}", "the last 2 steps of the path"),
        (lambda name: f"../data/img/{name}", "the last 2 steps of the path"),
        (lambda name: name[:-4], "the last 2 steps of the path without its ending"),
        (lambda name: name.replace(".png", ".jpg"), "the last 2 steps of the path without its e"),
        (lambda name: name[5:], "the name of the file"),
        (lambda name: name[5:-4], "the name of the file without its ending"),
    ],
)
def test_paths_are_found_however_they_are_written(place, change, way):
    assert f"20 of 20 paths were found by {way}" in same(place, collected(place, rows(change)))


def test_absolute_paths_below_the_folder_are_read_and_others_are_not(place):
    absolute = rows(lambda name: str(place / "img" / name))
    assert "were found by" not in same(place, collected(place, absolute))
    os.symlink(place / "img", place / "linked")
    data = Folder(root=place / "linked", table=place / "t.csv")
    assert len(data.collect(0).samples) == 20
    with pytest.raises(EmptyDatasetError, match=r"none of 20 rows .* the path is absolute"):
        collected(place, rows(lambda name: f"/elsewhere/img/no{name[5:]}"))
    (place / "secret.png").touch()
    mixed = [f"../{NAMES[0]}", "../secret.png", str(place / "secret.png"), *NAMES[3:]]
    table = pd.DataFrame({"path": mixed})  # the others begin at the root
    message = r"3 of 20 images .* on no row .* 3 of 20 rows name none there, first '\.\./set0/00000"
    with pytest.raises(DataError, match=message):
        collected(place, table)
    found = collected(place, table, allow_unjoined=0.2)
    assert found.samples["path"].tolist() == [str(place / "img" / name) for name in NAMES[3:]]
    assert [one.reason for one in found.rejected] == ["unsafe path"] * 3


def test_a_path_that_could_mean_several_files_is_refused(place):
    for name in ("set0/1.png", "set1/1.png"):
        (place / "img" / name).touch()
    with pytest.raises(DataError, match=r"'1\.png' stands for several rows of the files below"):
        collected(place, pd.DataFrame({"path": ["1.png", *(name[5:] for name in NAMES)]}))
    with pytest.raises(DuplicateIdError, match="1 images are listed more than once"):
        collected(place, pd.DataFrame({"path": ["set0/1.png", str(place / "img/set0/1.png")]}))


def test_a_path_that_stands_as_it_is_is_never_matched_with_another_file(place):
    (place / "img" / "more").mkdir()
    (place / "img" / "more" / "00000.png").touch()
    names = [f"more/{name[5:]}" for name in NAMES]
    os.symlink(place / "img" / "more", place / "img" / "again")
    table = pd.DataFrame({"path": [*names[1:], "again/00000.png"]})
    found = collected(place, table, allow_unjoined=1.0)
    assert found.samples["path"].iloc[-1] == str(place / "img" / "again/00000.png")
    assert found.samples["path"].iloc[0] == str(place / "img" / names[1])  # missing, as it says


@pytest.mark.parametrize(
    "column", ["file_name", "filename", "image", "Image", "img", "id", "photo"]
)
def test_the_column_of_paths_is_found_where_none_is_called_path(place, column):
    said = same(place, collected(place, rows(column=column, note=["x"] * 20)))
    assert f"; 3 columns of the table; used: {column} as path; annotations: code, note." in said


def test_columns_that_name_other_files_are_refused_and_those_that_agree_are_not(place):
    table = rows(column="image", file_name=[*NAMES[1:], NAMES[0]])
    with pytest.raises(DataError, match=r"columns 'file_name' and 'image' .*path_column=file_name"):
        collected(place, table)
    found = collected(place, rows(column="image", mask=[f"m/{n}.gif" for n in range(20)]))
    assert len(found.samples) == 20
    stems = rows(column="image", image_id=[name[5:-4] for name in NAMES])
    assert "image as path" in same(place, collected(place, stems))
    with pytest.raises(DataError, match="no column 'path'"):
        collected(place, rows(lambda name: "x" + name[5:], column="file"))


def test_tables_of_other_kinds_say_the_same(place):
    for mark, name in ((";", "a.csv"), ("\t", "t.tsv"), ("|", "t.txt"), (",", "t.csv.gz")):
        rows().to_csv(place / name, sep=mark, index=False, encoding="utf-8-sig")
        same(place, collected(place, None, name))
    lines = "\n".join(map(json.dumps, rows(boxes=[[1, 2]] * 20).to_dict("records")))
    (place / "metadata.jsonl").write_text(lines)
    said = same(place, collected(place, None, "metadata.jsonl"))
    assert "3 columns of the table" in said
    assert "not used: boxes (several values in a cell)" in said
    rows().to_parquet(place / "t.parquet")
    same(place, collected(place, None, "t.parquet"))


UNFIT = [
    ("# by a tool\npath,code\nset0/00000.png,1\n", "'# by a tool', is a title or a"),
    ("Annotations,,\n,,\npath,code\nset0/00000.png,1\n", "'Annotations,,', is a title or"),
    ('path code who\n"1" "set0/00000.png" "a b"\n', r"blanks separate the columns of .*write\.csv"),
    ("id,image\n1,/data/upload/1/0a1b2c3d-00001.png\n", "'0a1b2c3d-00001.png' for '00001.png'"),
    ("filename,code\n00001_png.rf.0a1b.jpg,1\n", "Roboflow gives .*0a1b.jpg' for '00001'"),
    ('[{"id": 0, "data": {"image": "a.png"}, "annotations": [{"result": []}]}]', "nested"),
    ("path,code\n set0/00000.png ,1\n", "1 of 1 rows name none there, first ' set0/00000.png '"),
    ("code,who\n1,a\n", "has no column 'path'"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), UNFIT)
def test_a_table_that_does_not_fit_is_refused_with_the_cause(place, text, message):
    name = "t.json" if text.startswith("[") else "t.csv"
    (place / name).write_text(text)
    with pytest.raises(DataError, match=message):
        collected(place, None, name)


def test_columns_and_files_that_are_not_used_are_named(place):
    table = rows(split="train", sample_id="x")[:-1]
    message = (
        r"1 of 20 images .* on no row of .*\(5\.0%\), first 'set1/00019\.png'\. C.*unjoined 0\.05"
    )
    with pytest.raises(DataError, match=message):
        collected(place, table)
    found = collected(place, table, allow_unjoined=0.05)
    assert found.remarks == (
        "t.csv: 19 of 19 rows joined with 19 of 20 images; 4 columns of the table; used: path; "
        "annotations: code; not used: split (used with --set data.split_column=split), sample_id "
        "(a name of ours; rename it).",
    )
    assert found.ignored == {"images on no row": 1}


@pytest.mark.parametrize("column", ["id", "path"])
def test_numbers_are_names_of_files_only_where_they_count_the_same(place, column):
    files = [place / "img" / f"{n}.png" for n in range(120)]
    for file in files:
        file.touch()
    for name in NAMES:
        (place / "img" / name).unlink()

    def numbered(first, last):
        return pd.DataFrame({column: range(first, last), "smile": "yes"})

    with pytest.raises(DataError, match=r"1 to 120.* may count other rows"):
        collected(place, numbered(1, 121))
    assert len(collected(place, numbered(0, 120)).samples) == 120
    table = pd.DataFrame({column: [f"celeba/{n}.jpg" for n in range(120)]})
    for file in files:
        (place / "img" / "ffhq").mkdir(exist_ok=True)
        file.rename(place / "img" / "ffhq" / file.name)
    with pytest.raises(DataError, match="nothing agrees but the number"):
        collected(place, table)


def test_a_table_that_holds_the_images_itself_says_so(place):
    image = [{"bytes": b"x", "path": name} for name in NAMES]
    pd.DataFrame({"image": image, "smile": "yes"}).to_parquet(place / "t.parquet")
    with pytest.raises(DataError, match="'image' holds the images themselves: give this file as S"):
        collected(place, None, "t.parquet")
    image = [{"bytes": None, "path": f"/x/img/{name}"} for name in NAMES]
    rows(image=image).drop(columns="path").to_parquet(place / "t.parquet")
    assert "image as path" in same(place, collected(place, None, "t.parquet"))


@pytest.mark.parametrize(
    ("words", "note"),
    [
        (("train", "validation", "test"), False), (("Train", "val", "TEST "), False),
        (("TRAINING", "valid", "testing"), False), (("train", "dev", "test"), False),
        (("0", "1", "2"), True), (("0.0", "1.0", "2.0"), True),
    ],
)  # fmt: skip
def test_splits_are_read_however_they_are_written(place, words, note):
    parts = [words[0]] * 12 + [words[1]] * 4 + [words[2]] * 4
    found = collected(place, rows(fold=parts), split_column="fold")
    assert found.samples["split"].tolist() == ["train"] * 12 + ["validation"] * 4 + ["test"] * 4
    assert ("0, 1 and 2 were read as" in " ".join(found.remarks)) == note


def test_a_split_that_could_mean_either_or_says_nothing_is_refused(place):
    for parts, message in (
        (["0"] * 15 + ["1"] * 5, "says 0, 1: whether 1 is validation or test cannot be told"),
        (["train"] * 19 + [None], "column 'fold' has 1 empty cells$"),
        (["train"] * 19 + ["extra"], r"column 'fold' has \['extra'\]"),
    ):
        with pytest.raises(DataError, match=message):
            collected(place, rows(fold=parts), split_column="fold")


def test_a_split_without_validation_or_test_is_completed_with_a_note(place):
    person = [f"p{n // 2}" for n in range(20)]
    table = rows(fold=["train"] * 16 + ["test"] * 4, who=person)
    found = collected(place, table, split_column="fold", subject_column="who")
    drawn = found.samples[found.samples["split"] == "validation"]
    assert (len(drawn), drawn["subject_id"].nunique()) == (2, 1)  # a tenth of eight people
    assert "2 of 16 training images were drawn for validation" in found.remarks[-1]
    table["fold"] = table["fold"].replace("test", "val")
    found = collected(place, table, split_column="fold", subject_column="who")
    assert found.samples["split"].value_counts().to_dict() == {
        "train": 14, "test": 4, "validation": 2,
    }  # fmt: skip
    assert (
        "No image is called test, so the 4 validation images are the test set" in found.remarks[-2]
    )
    table["fold"] = "test"
    found = collected(place, table, split_column="fold")
    assert set(found.samples["split"]) == {"test"}


def test_a_relative_folder_reads_the_same(place, monkeypatch):
    monkeypatch.chdir(place)
    absolute = rows(lambda name: str(place / "img" / name))
    absolute.to_csv("t.csv", index=False)
    found = Folder(root=Path("img"), table=Path("t.csv")).collect(0)
    assert found.samples["path"].tolist() == [f"img/{name}" for name in NAMES]


def test_a_table_without_a_header_is_refused(place):
    rows().to_csv(place / "t.csv", index=False, header=False)
    with pytest.raises(DataError, match=r"'set0/00000\.png' stands where the name of a column"):
        collected(place, None)


def test_a_column_called_after_people_says_who_is_shown_and_is_told(place):
    person = [f"p{n // 2}" for n in range(20)]
    for name in ("subject_id", "Person ID", "identity"):
        found = collected(place, rows(**{name: person}, celebrity="x"))
        assert found.samples["subject_id"].tolist() == person
        assert found.remarks[1].startswith(f"Column '{name}' says who is shown, by its name: the")
        assert "10 people" in found.remarks[1]
    for odd in (["a", "b"] * 10, NAMES):  # too few to be people, and nobody twice
        assert "subject_id" not in collected(place, rows(person=odd)).samples


def test_what_may_be_a_split_is_told_and_read_where_it_is_named(place):
    sides = ["train"] * 15 + ["test"] * 5
    flags = [1] * 15 + [0] * 5
    usage = ["Training"] * 15 + ["PrivateTest"] * 5  # FER2013's
    named = ("set", sides), ("part", sides), ("Usage", usage), ("is_train", flags)
    for name, values in named:
        found = collected(place, rows(**{name: values}))
        assert f"--set data.split_column={name} uses it" in found.remarks[-1]
        found = collected(place, rows(**{name: values}), split_column=name).samples["split"]
        assert found.replace("validation", "train").tolist() == sides
    assert "may be a split" not in " ".join(collected(place, rows(smile=flags)).remarks)


def test_the_way_to_an_image_says_more_than_its_table(place):
    for side, n in (("train", 0), ("train", 1), ("test", 2)):
        (place / "sorted" / side).mkdir(parents=True, exist_ok=True)
        (place / "sorted" / side / f"p{n // 2}_{n}.png").touch()
    table = pd.DataFrame({"path": ["p0_0.png", "p0_1.png", "p1_2.png"], "age": [3, 4, 5]})
    table.to_csv(place / "s.csv", index=False)
    data = {"root": place / "sorted", "table": place / "s.csv"}
    assert "--folders 'split' reads it" in Folder(**data).collect(0).remarks[-1]
    found = Folder(**data, folders="split/{person}_*").collect(0).samples
    assert found["subject_id"].tolist() == ["p0", "p0", "p1"]
    assert found["split"].tolist()[2] == "test"
    with pytest.raises(DataError, match=r"to 3 of 3 images is not like '\{x\}-#'"):
        Folder(**data, folders="{x}-#").collect(0)
    with pytest.raises(DataError, match="both say age"):
        Folder(**data, folders="age").collect(0)

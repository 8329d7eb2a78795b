"""Who is shown: by folders, by file names, by a column, and by a table with one row a person."""

import pytest
from pydantic import ValidationError
from small_sets import image, lfw

from debias.datasets import LFW, Folder, ImageFolder, Images, UTKFace
from debias.datasets.likely_people import people_of
from debias.datasets.ways import said, steps
from debias.errors import DataError, DuplicateIdError


def made(root, *names):
    for number, name in enumerate(names):
        image(root / name, number)
    return root


RACES = [
    f"{race}/m.0{row}{n}/m.0{row}{n}_000{k}.jpg"
    for row, race in enumerate(("African", "Asian"))
    for n in range(4)
    for k in range(3)
]
PARTS = [
    f"{'train' if n < 12 else 'test'}/n{n:06d}/{k}_01.jpg" for n in range(16) for k in range(2)
]


@pytest.mark.parametrize(
    ("name", "way", "expected"),
    [
        ("African/m.01/1.jpg", "race/person", {"race": "African", "person": "m.01"}),
        ("African/m.01/deep/1.jpg", "*/person", {"person": "m.01"}),
        ("Valid/p1/1.jpg", "split/person", {"split": "validation", "person": "p1"}),
        ("Ann_Lee_0001.jpg", "{person}_*", {"person": "Ann_Lee"}),
        ("f-30/1.jpg", "{gender}-{age}", {"gender": "f", "age": "30"}),
        ("a/x.y.jpg", "folder name/{who}.*", {"folder name": "a", "who": "x.y"}),
        ("m.01/1.jpg", "race/person", None),  # the file is no person
        ("other/p1/1.jpg", "split/person", None),
        ("b/Ann.jpg", "*/{person}_*", None),
    ],
)
def test_a_way_says_what_each_folder_is(name, way, expected):
    assert said(name, steps(way)) == expected


@pytest.mark.parametrize("way", ["a//b", "person/person", "path/person", "{}_*", "sha256"])
def test_a_way_that_cannot_be_read_is_refused(tmp_path, way):
    with pytest.raises(ValidationError, match=r"name each column once|name the samples need"):
        Images(root=tmp_path, folders=way)


def test_folders_that_are_named_keep_a_person_together_and_make_columns(tmp_path):
    data = Images(root=made(tmp_path, *RACES, "loose.jpg"), folders="race/person")
    found = data.collect(0)
    assert found.samples["race"].value_counts().to_dict() == {"African": 12, "Asian": 12}
    assert found.samples.groupby("subject_id").size().to_dict() == {
        f"m.0{row}{n}": 3 for row in (0, 1) for n in range(4)
    }
    (odd,) = found.rejected
    assert (odd.reason, odd.path) == ("name not understood", f"{tmp_path}/loose.jpg")
    assert odd.detail == "the way to it is not like 'race/person'"
    assert found.remarks == ("The way to an image was read as race/person.",)
    with pytest.raises(DataError, match="none of 25 is like 'a/b/c/d'"):
        Images(root=tmp_path, folders="a/b/c/d").collect(0)


def test_a_split_among_the_folders_is_completed_by_person(tmp_path):
    made(tmp_path, *PARTS)
    samples = Images(root=tmp_path, folders="split/person").collect(0).samples
    assert samples.groupby("subject_id")["split"].nunique().max() == 1
    assert samples["split"].value_counts().to_dict() == {"train": 22, "validation": 2, "test": 8}
    drawn = Images(root=tmp_path, folders="split/person", split="drawn").collect(0).samples
    assert "split" not in drawn


CLEAR = [
    (RACES, "m.000", "group/person"),
    (PARTS, "n000000", "split/person"),
    ([f"{n:07d}/00{k}.jpg" for n in range(4) for k in range(2)], "0000000", "person"),  # CASIA
    ([f"s{n}/{k}.bmp" for n in range(1, 6) for k in range(3)], "s1", "person"),  # ORL
    ([f"x/y/nm000000{n}_rm{k}.jpg" for n in range(5) for k in (1, 2)], "nm0000000",
     "*/*/{person}_*"),
    ([f"RFW/{race}/m.0{race[:2]}{n}/{k}.jpg" for race in ("African", "Asian") for n in range(3)
      for k in (1, 2)], "m.0Af0", "*/group/person"),
    ([f"data/v_{side}/{side}/n00000{n}/1_0{k}.jpg" for n, side in enumerate(("train", "test") * 2)
      for k in (1, 2)], "n000000", "*/split/*/person"),
    ([f"Ann_Lee{c}_000{k}.jpg" for c in "ABCDEFGHIJ" for k in (1, 2)], "Ann_LeeA", "{person}_*"),
    ([f"Bo_{c}{c}/{k}.jpg" for c in "ABCDEFGHIJ" for k in (1, 2)], "Bo_AA", "person"),
    ([f"{20 + k}_Ann_Lee{c}_000{k}.jpg" for c in "ABCDEFGHIJ" for k in (1, 2)], "Ann_LeeA",
     "#_{person}_#.*"),  # CACD
    ([f"x/subject_{n}/{mood}/{k}.jpg" for n in range(4) for mood in "ab" for k in (1, 2)],
     "subject_0", "*/person"),
]  # fmt: skip


@pytest.mark.parametrize(("names", "first", "way"), CLEAR)
def test_what_is_called_like_people_is_taken_for_people_and_told(tmp_path, names, first, way):
    people = people_of(names)
    assert (people.names[0], people.clear) == (first, True)
    assert people.taken().endswith(f"--folders '{way}'.")
    assert first not in people.taken()
    if "{" not in way:
        found = ImageFolder(root=made(tmp_path, *names)).collect(0)
        assert found.samples["subject_id"].nunique() == len(set(people.names))
        assert found.remarks[0].startswith(f"{len(set(people.names))} folders look like people")
    told = [said(name, steps(way))["person"] for name in names]
    assert told == people.names


# Names of files or folders that carry a person, who is first, what bears the name, and the way.
ASKED = [
    ([f"visit {n}/{k}.jpg" for n in range(12) for k in range(4)], "visit 0", "folders", "person"),
    ([f"{3 * n + k}_{c * 4}_{30 + k}_f.jpg" for n, c in enumerate("ABCDEFGHIJ") for k in range(3)],
     "AAAA", "parts of file names", "#_{person}_#_*.*"),  # AgeDB
    ([f"al/{55829 + n:06d}_{k}M{30 + k}.JPG" for n in range(10) for k in range(3)],
     "055829", "parts of file names", "*/{person}_*"),  # MORPH
    ([f"{n}_{k}.jpg" for n in range(10) for k in range(3)],
     "0", "parts of file names", "{person}_*"),  # MS-Celeb, numbered
    ([f"CFD-{g}-{n:03d}-{k}-N.jpg" for g in ("WF", "BM") for n in range(5) for k in range(3)],
     "CFD-WF-000", "parts of file names", "{person}-#-*.*"),
    ([f"smile/{n:03d}A{k:02d}.jpg" for n in range(1, 11) for k in range(3)],
     "001A", "file names", "*/{person}#.*"),  # FG-NET
    ([f"{one}/{k}.jpg" for one in ("Ann Lee", "Bo Moe", "Cy Ray") for k in range(4)],
     "Ann Lee", "folders", "person"),
    ([f"{one}/{k}.jpg" for one in ("ann_lee", "Moe, Bo", "Cy Ray", "ida") for k in range(4)] +
     ["jo van_der_x/1.jpg", "jo van_der_x/2.jpg"], "ann_lee", "folders", "person"),
    ([f"{n}/{k}.jpg" for n in range(1, 9) for k in range(4)], "1", "folders", "person"),
    ([f"{kind}/id{n}_000{k}/{n}{k}.jpg" for kind in ("real", "fake") for n in range(10)
      for k in range(3)], "id0", "parts of folder names", "group/{person}_*"),  # Celeb-DF
]  # fmt: skip


@pytest.mark.parametrize(("names", "first", "what", "way"), ASKED)
def test_names_that_may_carry_a_person_are_asked_about(names, first, what, way):
    people = people_of(names)
    assert (people.names[0], people.what, people.clear) == (first, what, False)
    count, each = len(set(people.names)), len(names) / len(set(people.names))
    sides = ["test" if place == 1 else "train" for place in range(len(names))]  # of the first
    asked = people.asked(sides)
    assert asked.startswith(f"{count} {what} may be people ({each:.0f} images each)")
    assert "1 of them stand on several sides" in asked
    assert asked.endswith(f"--folders '{way}'.")
    assert len(first) < 3 or first not in asked  # nobody's name
    assert [said(name, steps(way))["person"] for name in names] == people.names


def test_where_no_way_reads_a_part_of_a_name_a_column_is_asked_for():
    names = [
        f"{g}{n:02d}{pose}.jpg" for g in ("AF", "BM") for n in range(6) for pose in ("ANFL", "HAS")
    ]
    people = people_of(names)  # KDEF
    assert (people.names[::12], people.way) == (["AF00", "BM00"], "")
    assert people.asked().endswith("If they are people: name a column of people with --subject.")


def test_folders_that_keep_folders_small_are_no_people_and_numbered_people_are():
    chunks = (
        [f"{n // 1000 * 1000:05d}/{n:05d}.png" for n in range(0, 12_000, 400)],  # FFHQ
        [f"{n:05d}/{n:05d}{k:04d}.jpg" for n in range(12) for k in range(3)],  # img2dataset
        [f"{n:02d}/nm00{k}{n:02d}_rm5_1960-1-1_2000.jpg" for n in range(12) for k in range(3)],
        [f"{n:02x}/{n:02x}{k}f.jpg" for n in range(200, 240) for k in range(3)],
    )
    for names in chunks:
        people = people_of(names)
        assert people is None or people.what == "file names"
    casia = [f"{p:06d}/{4 * p + k + 1:08d}.jpg" for p in range(14) for k in range(4)]
    people = people_of(casia)
    assert (people.names[:5], people.clear) == (["000000"] * 4 + ["000001"], True)


@pytest.mark.parametrize(
    "names",
    [
        [f"{c}_Hair/{n}.jpg" for c in ("Black", "Blond", "Gray") for n in range(3)],
        [f"{c}/{c}.{n}.jpg" for c in ("cat", "dog") for n in range(30)],
        [f"IMG_{n:04d}.jpg" for n in range(30)],
        [f"n0144{n}764/{k}.JPEG" for n in range(4) for k in range(60)],  # ImageNet
        [f"{n}_1_2_20170109.jpg" for n in range(30)],
    ],
)
def test_classes_and_numbers_are_no_people(names):
    assert people_of(names) is None


def test_a_column_says_who_is_shown_in_every_layout(tmp_path):
    found = ImageFolder(root=made(tmp_path / "a", *PARTS), subject_column="class").collect(0)
    assert found.samples["subject_id"].nunique() == 16
    assert "class" not in found.samples
    image(tmp_path / "u" / "25_0_0_2017.jpg")
    assert "subject_id" in UTKFace(root=tmp_path / "u", subject_column="age").collect(0).samples
    with pytest.raises(DataError, match=r"no column 'who' .*columns: class"):
        ImageFolder(root=tmp_path / "a", subject_column="who").collect(0)


META = 'Class_ID, Name, Sample_Num, Gender\n' + "".join(
    f'n{n:06d}, "Person_{n}", 2, {"fm"[n % 2]}\n' for n in range(20)
)  # fmt: skip


def test_a_table_by_person_is_joined_by_person(tmp_path):
    table = tmp_path / "identity_meta.csv"
    table.write_text(META)
    data = Images(root=made(tmp_path / "v", *PARTS), folders="split/person", people=table)
    found = data.collect(0)
    by_person = found.samples.groupby("subject_id")[["Gender", "Name", "Sample_Num"]].first()
    assert by_person.loc["n000003"].tolist() == ["m", "Person_3", "2"]
    assert found.samples["Gender"].value_counts().to_dict() == {"f": 16, "m": 16}
    _, remark, *_ = found.remarks
    assert remark.startswith("identity_meta.csv names 16 of 16 people; 4 of its rows name nobody")
    assert remark.endswith("Columns: Name, Sample_Num, Gender.")


def test_a_table_by_person_that_does_not_fit_is_explained(tmp_path):
    table, root = tmp_path / "people.csv", made(tmp_path / "v", *PARTS)
    data = Images(root=root, folders="split/person", people=table)
    table.write_text(META.replace("n000003", "n900003"))
    with pytest.raises(DataError, match=r"names 15 of 16 people, so 2 of 32 images .*n000003"):
        data.collect(0)
    partly = data.model_copy(update={"allow_unjoined": 1.0}).collect(0)
    assert partly.samples["Gender"].isna().sum() == 2
    table.write_text(META.replace("n0", "x0"))
    with pytest.raises(DataError, match=r"no column of .* names the people .*n000012"):
        data.collect(0)
    table.write_text(META + 'n000003, "Again", 1, f\n')
    with pytest.raises(DuplicateIdError, match="n000003"):
        data.collect(0)
    table.write_text(META.replace("Gender", "race"))
    both = Images(root=root, folders="race/person", people=table)
    with pytest.raises(DataError, match=r"both have \['race'\]"):
        both.collect(0)
    with pytest.raises(DataError, match="nothing says who is shown: name a column"):
        ImageFolder(root=made(tmp_path / "c", "a/1.jpg", "b/1.jpg"), people=table).collect(0)


def test_a_known_set_and_a_table_of_images_are_told_more_of_their_people(tmp_path):
    root = lfw(tmp_path / "lfw")
    table = tmp_path / "who.csv"
    rows = [f"Person_{c},{'fm'[n % 2]}" for n, c in enumerate("ABCDEFGHIJKLMNOP")]
    table.write_text("\n".join(["person,gender", *rows, ""]))
    samples = LFW(root=root, people=table).collect(0).samples
    assert samples[samples["subject_id"] == "Person_B"]["gender"].tolist() == ["m", "m"]
    (tmp_path / "images.csv").write_text("path,who\n1.jpg,Person_C\n2.jpg,Person_B\n")
    made(tmp_path, "1.jpg", "2.jpg")
    data = Folder(
        root=tmp_path, table=tmp_path / "images.csv", subject_column="who", people=table,
        allow_unjoined=1.0,
    )  # fmt: skip
    assert data.collect(0).samples["gender"].tolist() == ["f", "m"]

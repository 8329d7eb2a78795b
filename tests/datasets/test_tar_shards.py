"""Tar archives in the layout of WebDataset, and archives that mean harm."""

import gzip
import io
import json
import os
import tarfile
from collections import Counter

import numpy as np
import pytest

from debias.datasets import TarShards, tar
from debias.datasets.listing import hashed_ids
from debias.datasets.recognition import recognised
from debias.errors import (
    DataError,
    DuplicateIdError,
    EmptyDatasetError,
    LabelError,
    PipelineError,
    UnsafeArchiveError,
)
from debias.ingesting.build import ingest_faces
from debias.ingesting.rules import FacesRecipe
from debias.storage.artifacts import RunFolder

JPEG = b"\xff\xd8\xff pixels"


def archived(path, members, **settings):
    """Write members given as name: bytes, text, a JSON value or a header of its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w", **settings) as archive:
        for name, content in members.items() if isinstance(members, dict) else members:
            if isinstance(content, tarfile.TarInfo):
                archive.addfile(content)
                continue
            if not isinstance(content, bytes):
                text = content if isinstance(content, str) else json.dumps(content)
                content = text.encode()
            header = tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return path


def header(name, kind, **fields):
    made = tarfile.TarInfo(name)
    made.type = kind
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def reasons(found):
    return Counter(item.reason for item in found.rejected)


def listed(path, **settings):
    return TarShards(root=path, **settings).collect(0)


# What is read ------------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_slices_of_the_archive_are_the_images(tmp_path, layout):
    members = {
        "a/1.jpg": JPEG + b"1", "a/1.json": {"smile": "yes", "age": 30}, "a/1.txt": "ignored",
        "a/2.JSON": {"smile": "no", "age": 31}, "a/2.PNG": JPEG + b"two",
        "./3.webp": JPEG,
    }  # fmt: skip
    found = listed(archived(tmp_path / "x.tar", members, format=layout))
    assert found.rejected == ()
    content = (tmp_path / "x.tar").read_bytes()
    samples = found.samples
    slices = [
        content[offset : offset + length]
        for offset, length in zip(samples["offset"], samples["length"], strict=True)
    ]
    assert slices == [JPEG + b"1", JPEG + b"two", JPEG]
    assert set(samples["path"]) == {str(tmp_path / "x.tar")}
    assert samples["smile"].fillna("-").tolist() == ["yes", "no", "-"]
    assert samples["age"].tolist()[:2] == [30, 31]
    assert samples["age"].isna().tolist() == [False, False, True]
    assert "split" not in samples


def test_a_key_ends_at_the_first_dot_after_the_last_slash(tmp_path):
    members = {"v1.0/a.b.jpg": JPEG, "v1.0/a.jpg": JPEG, "v1.0/a.cls": " 7\n", "._a.jpg": ""}
    found = listed(archived(tmp_path / "x.tar", members | {".hidden.jpg": JPEG}))
    assert found.samples["class"].tolist() == ["7"]
    assert found.samples["length"].tolist() == [len(JPEG)]
    assert (reasons(found), found.ignored["hidden"]) == ({"hidden photograph": 1}, 1)
    assert found.ignored == {".b.jpg": 1, "hidden": 1}  # "a.jpg" is what "a.b.jpg" was made of


def test_values_become_numbers_where_all_are_and_else_text(tmp_path):
    values = [
        {"n": 1, "x": 0.5, "mixed": "a", "known": True, "big": 2**53 + 1, "text": "01"},
        {"n": 2, "x": 3, "mixed": 1, "known": False, "big": None, "text": "NO"},
        {"n": 3, "x": -1, "mixed": None, "big": 2**53, "text": ""},
    ]
    members = []
    for key, value in enumerate(values):
        members += [(f"{key}.jpg", JPEG), (f"{key}.json", value)]
    samples = listed(archived(tmp_path / "x.tar", members)).samples
    assert samples["n"].tolist() == [1, 2, 3]
    assert samples["x"].tolist() == [0.5, 3.0, -1.0]
    assert samples["mixed"].tolist()[:2] == ["a", "1"]
    assert samples["known"].tolist()[:2] == ["true", "false"]
    assert samples[["mixed", "known"]].iloc[2].isna().all()
    assert samples["big"].iloc[0] - samples["big"].iloc[2] == 1  # as floats they would be equal
    assert samples["text"].tolist() == ["01", "NO", ""]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1]", "A note is left out where it holds no JSON object"),
        ("3", "A note is left out where it holds no JSON object"),
        ('{"a": NaN, "b": 1}', ""),
        ('{"a": -Infinity, "b": 1}', "Column 'a' is left out where it holds no finite number"),
        ('{"a": 1e999, "b": 1}', "Column 'a' is left out where it holds no finite number"),
        ('{"a": [1], "b": 1}', "Column 'a' is left out where it holds a list"),
        ('{"a": {"a": 1}, "b": 1}', "Column 'a' is left out where it holds an object"),
        ('{"a": 1, "a": 2, "b": 1}', "Column 'a' is left out where it holds two values"),
        ('{"a": "\\ud800", "b": 1}', "Column 'a' is left out where it holds half a character"),
        ('{"\\udfff": 1, "b": 1}', "half a character"),
        ('{"a": 9223372036854775808, "b": 1}', "Column 'a' is left out where it holds a"),
        ('{"a": 1' + "0" * 5000 + ', "b": 1}', "a whole number of 5001 digits"),
    ],
)  # fmt: skip
def test_a_value_that_no_column_can_hold_costs_neither_image_nor_other_columns(
    tmp_path, text, told
):
    members = {"1.jpg": JPEG, "1.json": text, "2.jpg": JPEG, "2.json": {"a": 1, "b": 1}}
    found = listed(archived(tmp_path / "x.tar", members))
    assert found.rejected == ()
    assert found.samples["a"].isna().tolist() == [True, False]
    assert found.samples["b"].tolist()[text[0] != "{" :] == [1] * (1 + (text[0] == "{"))
    assert len(found.remarks) == bool(told)
    assert told in "".join(found.remarks)
    assert all(": 1 of 2 samples." in remark for remark in found.remarks)


@pytest.mark.parametrize("text", ["{", "", "[" * 100_000, b"\xff{}"])
def test_a_note_that_cannot_be_read_sets_its_sample_aside(tmp_path, text):
    members = {"1.jpg": JPEG, "1.json": text, "2.jpg": JPEG, "2.json": {"a": 1}}
    found = listed(archived(tmp_path / "x.tar", members))
    assert len(found.samples) == 1
    assert reasons(found) == {"row not understood": 1}
    assert found.rejected[0].path == str(tmp_path / "x.tar" / "1.jpg")


def test_the_last_ending_says_what_a_member_is_or_else_its_content(tmp_path):
    members = {
        "1.image.jpg": JPEG, "1.meta.json": {"a": 1}, "1.caption.txt": "a face",
        "2.face.PNG": JPEG, "2.face.cls": "7", "3.jfif": JPEG, "3.json": {"a": 3},
        "4": JPEG, "5.img": JPEG, "5.cls": "8", "6.tif": b"II*\0", "7.data": b"no image",
        "8.jpg": JPEG, "8.jpg.json": {"a": 8}, "8.mask.png": JPEG,
    }  # fmt: skip
    found = listed(archived(tmp_path / "x.tar", members))
    assert found.rejected == ()
    assert len(found.samples) == 7  # whether a TIFF is read, the decoder says
    assert found.samples["a"].fillna(0).tolist() == [1, 0, 3, 0, 0, 0, 8]
    assert found.samples["class"].fillna("").tolist() == ["", "7", "", "", "8", "", ""]
    assert found.ignored == {".caption.txt": 1, ".data": 1, ".mask.png": 1}


def test_images_of_a_plain_archive_go_by_their_own_names(tmp_path):
    names = ["img.0001.jpg", "img.0002.jpg", "x.jpg.chip.jpg"]
    found = listed(archived(tmp_path / "x.tar", dict.fromkeys(names, JPEG)))
    stems = ["img.0001", "img.0002", "x.jpg.chip"]
    assert found.samples["sample_id"].tolist() == hashed_ids(stems)
    with pytest.raises(DuplicateIdError, match="two images named 'img'"):
        listed(archived(tmp_path / "x.tar", {"img.json": {}} | dict.fromkeys(names, JPEG)))


def test_names_in_a_plain_archive_are_read_as_in_a_folder(tmp_path):
    names = [f"UTK/{20 + n}_{n % 2}_{n % 4}_2017.jpg.chip.jpg" for n in range(8)]
    found = listed(archived(tmp_path / "x.tar", dict.fromkeys([*names, "UTK/x.jpg"], JPEG)))
    assert found.samples["age"].tolist() == [*range(20, 28)]
    assert found.samples["perceived_gender"].tolist() == ["male", "female"] * 4
    assert found.samples["annotated_race"].tolist()[:4] == ["White", "Black", "Asian", "Indian"]
    assert reasons(found) == {"name not understood": 1}
    assert "names follow UTKFace (8 of 9): gender, race and age were read" in found.remarks[0]
    names = [f"set/{side}/{name}/1.png" for side in ("train", "val", "test") for name in "ab"]
    found = listed(archived(tmp_path / "x.tar", dict.fromkeys(names, JPEG)))
    assert found.samples["class"].tolist() == ["a", "b"] * 3
    assert found.samples["split"].unique().tolist() == ["train", "validation", "test"]
    assert "split" not in listed(tmp_path / "x.tar", split="drawn").samples
    assert found.remarks == (
        "Nothing stands beside the images of the archives: the 2 folders in which they lie were "
        "read as classes.",
    )
    names = [f"lfw/P_{n // 2}/P_{n // 2}_000{1 + n % 2}.jpg" for n in range(8)]
    found = listed(archived(tmp_path / "x.tar", dict.fromkeys(names, JPEG)))
    assert found.samples["subject_id"].tolist() == [f"P_{n // 2}" for n in range(8)]
    assert "4 folders look like people" in found.remarks[0]
    names = [f"set/{side}/{name}/1.png" for side in ("train", "val", "test") for name in "ab"]
    noted = dict.fromkeys(names, JPEG) | {"set/test/b/1.cls": "7"}
    assert listed(archived(tmp_path / "x.tar", noted)).samples["class"].notna().sum() == 1
    for names in (["1.jpg", "2.jpg"], ["a/1.jpg", "a/2.jpg"], ["a/1.jpg", "2.jpg"]):
        found = listed(archived(tmp_path / "x.tar", dict.fromkeys(names, JPEG)))
        assert set(found.samples) == {"sample_id", "path", "offset", "length"}
        assert "no label is read. Pack a KEY.json beside each" in found.remarks[0]


def test_two_notes_must_agree_on_the_class(tmp_path):
    members = {
        "1.jpg": JPEG, "1.cls": "3", "1.json": {"class": 3},
        "2.jpg": JPEG, "2.cls": "3", "2.json": {"class": 4},
        "3.jpg": JPEG, "3.cls": "two\nlines", "4.jpg": JPEG, "4.cls": b"\xff",
    }  # fmt: skip
    found = listed(archived(tmp_path / "x.tar", members))
    assert len(found.samples) == 1
    assert reasons(found) == {"row not understood": 3}


def test_people_among_the_attributes_and_archives_without_training_are_told(tmp_path):
    members = {}
    for n in range(8):
        members |= {f"{n}.jpg": JPEG, f"{n}.json": {"person_id": f"p{n // 2}", "split": "x"}}
    found = listed(archived(tmp_path / "val.tar", members).parent)
    assert found.samples["subject_id"].tolist() == [f"p{n // 2}" for n in range(8)]
    assert "split" not in found.samples
    assert found.notes == 8
    unused, person, alone = found.remarks
    assert "split (used with" in unused
    assert person.startswith("Column 'person_id' says who is shown, by its name")
    assert alone == "Nothing is called train, only validation: a split is drawn."


def test_notes_without_an_image_are_accounted_for(tmp_path):
    members = {"1.jpg": JPEG, "2.json": {"a": 1}, "README.md": "hello", "3.mask.png": JPEG}
    found = listed(archived(tmp_path / "x.tar", members))
    assert len(found.samples) == 2
    assert reasons(found) == {"file missing": 1}
    assert found.rejected[0].detail == "no image of this key, only .json"
    assert found.ignored == {".md": 1}
    apart = {"1.jpg": JPEG, "2.jpg": JPEG, "1.json": {"a": 1}, "2.json": {"a": 2}}
    with pytest.raises(DuplicateIdError, match=r"2 keys .*first: 1, 2; all members of a key must"):
        listed(archived(tmp_path / "x.tar", apart))


def test_notes_that_say_nothing_are_ignored_and_told_where_a_column_is_missing(tmp_path):
    place = tmp_path / "train" / "x.tar"
    place.parent.mkdir()
    archived(place, {"1.jpg": JPEG, "1.json": b"[1]", "2.jpg": JPEG, "2.json": b"[2]"})
    assert recognised(tmp_path, {})["name"] == "tar"
    found = listed(tmp_path)
    assert (found.notes, found.ignored) == (0, {".json": 2})
    recipe = FacesRecipe(data=TarShards(root=tmp_path), label="smile")
    message = r"no column 'smile'; columns: split.* it holds no JSON object: 2 of 2 samples"
    with pytest.raises(LabelError, match=message):
        ingest_faces(recipe, RunFolder(tmp_path / "run"))


def test_columns_with_our_names_decide_nothing_unless_a_setting_names_them(tmp_path):
    note = {"path": "/etc/passwd", "offset": 0, "length": 9, "split": "test", "who": "Ann", "a": 1}
    path = archived(tmp_path / "x.tar", {"1.jpg": JPEG, "1.json": note})
    samples = listed(path, subject_column="who").samples
    assert set(samples) == {"sample_id", "path", "offset", "length", "a", "subject_id"}
    assert samples["path"].iloc[0] == str(path)
    assert samples["subject_id"].iloc[0] == "Ann"
    found = listed(path, split_column="split")
    assert found.samples["split"].tolist() == ["test"]
    told = "Attributes that are not used: path (a name of ours; rename it)"
    assert any(remark.startswith(told) for remark in found.remarks)
    told = "split (used with --set data.split_column=split)"
    assert any(told in remark for remark in listed(path).remarks)
    with pytest.raises(DataError, match=r"no sample has the attribute 'person'"):
        listed(path, subject_column="person")


# Archives and splits -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["train-0", "train-1", "val-0", "test-0"], {"train": 40, "validation": 20, "test": 20}),
        (["train-0", "val-0"], {"train": 18, "validation": 2, "test": 20}),
        (["x-train-0", "x-val-0", "x-test-0"], {"train": 20, "validation": 20, "test": 20}),
        (["train/0", "Validation/0", "test/0"], {"train": 20, "validation": 20, "test": 20}),
    ],
)
def test_names_of_archives_and_folders_may_state_a_split(tmp_path, names, expected):
    for place, name in enumerate(names):
        first = 100 * place if name == "train-1" else 0  # keys begin anew in every split
        members = {f"{first + n:04d}.jpg": JPEG for n in range(20)}
        archived(tmp_path / f"{name}.tar", members)
    samples = listed(tmp_path).samples
    assert samples["split"].value_counts().to_dict() == expected
    assert samples["sample_id"].is_unique
    assert "split" not in listed(tmp_path, split="drawn").samples


def test_ids_depend_on_keys_and_not_on_archives(tmp_path):
    everything = {f"{n}.jpg": JPEG for n in range(4)}
    one = listed(archived(tmp_path / "one.tar", everything)).samples
    archived(tmp_path / "two" / "a.tar", dict(list(everything.items())[:1]))
    archived(tmp_path / "two" / "b.tar", dict(list(everything.items())[1:]))
    assert listed(tmp_path / "two").samples["sample_id"].tolist() == one["sample_id"].tolist()


def test_archives_of_which_only_some_state_a_split_are_refused(tmp_path):
    archived(tmp_path / "train-0.tar", {"1.jpg": JPEG})
    archived(tmp_path / "trainers-0.tar", {"2.jpg": JPEG})
    with pytest.raises(DataError, match=r"1 of 2 archives .* first: trainers-0\.tar"):
        listed(tmp_path)
    assert len(listed(tmp_path, split="drawn").samples) == 2


def test_other_files_beside_the_archives_are_accounted_for(tmp_path):
    archived(tmp_path / "x.tar", {"1.jpg": JPEG})
    (tmp_path / "x.idx").touch()
    (tmp_path / "._x.tar.gz").touch()
    os.symlink(tmp_path / "x.tar", tmp_path / "y.tar")
    os.mkfifo(tmp_path / "z.tar")
    found = listed(tmp_path)
    assert len(found.samples) == 1
    assert reasons(found) == {"not an image file": 1, "not a regular file": 2, "hidden": 1}
    assert listed(tmp_path / "y.tar").samples["path"].tolist() == [str(tmp_path / "x.tar")]


def test_compressed_archives_are_refused_with_what_to_do(tmp_path):
    path = archived(tmp_path / "x.tar", {"1.jpg": JPEG})
    (tmp_path / "zipped.tar").write_bytes(gzip.compress(path.read_bytes()))
    with pytest.raises(DataError, match="unpack it with gunzip"):
        listed(tmp_path / "zipped.tar")
    (tmp_path / "zipped.tar").rename(tmp_path / "zipped.tar.gz")
    with pytest.raises(DataError, match=r"zipped\.tar\.gz is compressed"):
        listed(tmp_path)


@pytest.mark.parametrize(
    "members",
    [
        [("1.jpg", JPEG), ("1.jpg", JPEG)],
        [("1.jpg", JPEG), ("1.png", JPEG)],
        [("1.a.jpg", JPEG), ("1.a.png", JPEG)],
        [("1.jpg", JPEG), ("1.json", "{}"), ("1.json", "{}")],
        [("1.jpg", JPEG), ("2.jpg", JPEG), ("1.jpg", JPEG)],
    ],
)
def test_a_key_in_two_places_is_refused(tmp_path, members):
    with pytest.raises(DuplicateIdError, match="1"):
        listed(archived(tmp_path / "x.tar", members))


def test_an_archive_without_images_is_explained(tmp_path):
    with pytest.raises(EmptyDatasetError, match=r"hold no image beside a key.*first: .*x\.tar/1"):
        listed(archived(tmp_path / "x.tar", {"1.json": {}}))
    (tmp_path / "x.tar").unlink()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(EmptyDatasetError, match=r"holds no \.tar archive, only 1 other files"):
        listed(tmp_path)


# Archives that are damaged -----------------------------------------------------------------------


def test_an_archive_cut_off_anywhere_is_named_with_the_byte(tmp_path):
    content = archived(
        tmp_path / "x.tar", {f"{n}.jpg": bytes(600 * n) for n in range(1, 5)}
    ).read_bytes()
    end = content.rindex(b"ustar") + 255 + 5 * 512  # where the two blocks of zeros begin
    cut = tmp_path / "cut.tar"
    for length in [1, 100, 511, 512, 513, *range(1000, end, 700), end]:
        cut.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"cut\.tar is (no tar|cut off or damaged at byte \d+)"):
            listed(cut)
    cut.write_bytes(content[: end + 1024])
    assert len(listed(cut).samples) == 4


def test_a_damaged_header_does_not_end_the_list_silently(tmp_path):
    path = archived(tmp_path / "x.tar", {f"{n}.jpg": JPEG for n in range(4)})
    content = bytearray(path.read_bytes())
    content[1024] ^= 1  # in the name of the second member
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"cut off or damaged at byte 1024: there is neither"):
        listed(path)


def test_archives_that_were_joined_are_refused(tmp_path):
    first = archived(tmp_path / "1.tar", {"1.jpg": JPEG}).read_bytes()
    (tmp_path / "1.tar").write_bytes(first + first)
    with pytest.raises(DataError, match="goes on after its end"):
        listed(tmp_path / "1.tar")


@pytest.mark.parametrize("content", [b"", b"hello", b"x" * 10_000])
def test_a_file_that_is_no_archive_is_named(tmp_path, content):
    (tmp_path / "x.tar").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.tar is no tar archive"):
        listed(tmp_path / "x.tar")
    (tmp_path / "x.tar").write_bytes(b"<!doctype html><title>Log in</title>" + content)
    with pytest.raises(DataError, match=r"x\.tar is a web page \(Log in\) in place of the file"):
        listed(tmp_path / "x.tar")


# Archives that mean harm -------------------------------------------------------------------------


def test_members_that_lead_elsewhere_are_set_aside(tmp_path):
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    members = [
        ("", header("1.jpg", tarfile.SYMTYPE, linkname=str(tmp_path / "secret.jpg"))),
        ("", header("2.jpg", tarfile.LNKTYPE, linkname="9.jpg")),
        ("", header("3.jpg", tarfile.FIFOTYPE)),
        ("", header("4.jpg", tarfile.CHRTYPE)),
        ("", header("5.jpg", tarfile.BLKTYPE)),
        ("", header("6.jpg", b"V")),
        ("", header("folder.jpg", tarfile.DIRTYPE)),
        ("/etc/7.jpg", JPEG),
        ("a/../../8.jpg", JPEG),
        ("C:\\8.jpg", JPEG),
        ("..\\8.jpg", JPEG),
        ("9.jpg", JPEG),
    ]
    found = listed(archived(tmp_path / "x.tar", members))
    assert len(found.samples) == 1
    assert reasons(found) == {"unsafe archive member": 10}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["secret.jpg", "x.tar"]


def test_whom_an_unsafe_image_was_to_show_is_known_from_its_note(tmp_path):
    members = [
        ("", header("1.jpg", tarfile.SYMTYPE, linkname="2.jpg")), ("1.json", {"g": "a", "who": 7}),
        ("2.jpg", JPEG), ("2.json", {"g": "b", "who": 8}),
        ("3.jpg", JPEG), ("", header("3.json", tarfile.SYMTYPE, linkname="2.json")),
        ("", header("4.jpg", tarfile.FIFOTYPE)),
        ("", header("5.jpg", tarfile.FIFOTYPE)), ("5.json", "no JSON"),
    ]  # fmt: skip
    found = listed(archived(tmp_path / "train-0.tar", members), subject_column="who")
    assert reasons(found) == {"unsafe archive member": 4}
    assert set(found.lost) == set(found.samples) - {"path", "offset", "length"}
    assert found.lost[["g", "subject_id", "split"]].to_numpy().tolist() == [["a", 7, "train"]]
    assert found.samples["subject_id"].fillna(0).tolist() == [8, 0]
    [item] = [item for item in found.rejected if item.path.endswith("/1.jpg")]
    assert [item.sample_id] == hashed_ids(["train/1"]) == found.lost["sample_id"].tolist()
    with pytest.raises(EmptyDatasetError, match="hold no image"):
        listed(archived(tmp_path / "train-0.tar", members[:2]))
    with pytest.raises(DuplicateIdError, match="train/1"):
        listed(archived(tmp_path / "train-0.tar", [*members[:2], *members[2:4], *members[:2]]))


def test_sparse_members_are_set_aside(tmp_path):
    sparse = header("1.jpg", tarfile.REGTYPE)
    sparse.pax_headers = {"GNU.sparse.map": "0,1", "GNU.sparse.size": "1000000000000"}
    found = listed(archived(tmp_path / "x.tar", [("", sparse), ("2.jpg", JPEG)]))
    assert [item.detail for item in found.rejected] == ["a sparse file"]


def raw(name, size, kind=b"0"):
    """A header of 512 bytes with any size, even one below zero."""
    made = bytearray(tarfile.TarInfo(name).tobuf(tarfile.USTAR_FORMAT))
    made[156:157] = kind
    made[124:136] = b"\xff" * 4 + size.to_bytes(8, "big", signed=True) if size < 0 else (
        f"{size:011o} ".encode()
    )  # fmt: skip
    made[148:156] = b" " * 8
    made[148:156] = f"{sum(made):06o}\0 ".encode()
    return bytes(made)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (raw("1.jpg", -512), "holds -512 bytes"),
        (raw("1.jpg", 0) + raw("2.jpg", -1024), "byte 512: it says that it holds -1024"),
        (raw("x", 8 * 10**9, b"x"), "attributes of 8000000000 bytes"),
        (raw("x", 20_000, b"L") + bytes(20_480), "a name or attributes of 20000 bytes"),
        (raw("x", 0, b"x") * 5000, "recursion"),
    ],
)
def test_headers_that_would_exhaust_the_reader_are_refused(tmp_path, content, message):
    (tmp_path / "x.tar").write_bytes(content + bytes(1024))
    with pytest.raises(UnsafeArchiveError, match=message) as error:
        listed(tmp_path / "x.tar")
    assert error.value.exit_code == 9


@pytest.mark.parametrize("place", [0, 2])
@pytest.mark.parametrize("name", ["1.jpg", "1.json"])
def test_attributes_that_make_a_length_negative_are_refused(tmp_path, place, name):
    """A length of -1 would mean: read all that is left, however much."""
    member = header(name, tarfile.REGTYPE)
    member.pax_headers = {"size": "-1"}
    members = [("0.jpg", JPEG), ("0.json", {"a": 1})]
    members.insert(place, ("", member))
    path = archived(tmp_path / "x.tar", members)
    with pytest.raises(UnsafeArchiveError, match=r"x\.tar, header at byte \d+: .* holds -1 bytes"):
        listed(path)


def test_attributes_that_make_a_size_negative_do_not_go_round_in_circles(tmp_path):
    member = header("1.jpg", tarfile.REGTYPE)
    member.pax_headers = {"size": "-2048"}
    path = archived(tmp_path / "x.tar", [("0.jpg", JPEG), ("", member), ("2.jpg", JPEG)])
    with pytest.raises(UnsafeArchiveError, match=r"x\.tar, header at byte"):
        listed(path)


def test_too_many_members_or_too_long_notes_are_refused(tmp_path, monkeypatch):
    path = archived(tmp_path / "x.tar", {"1.jpg": JPEG, "1.json": " " * (1 << 20) + "{}"})
    with pytest.raises(UnsafeArchiveError, match=r"1\.json has 1048578 bytes; at most 1048576"):
        listed(path)
    path = archived(tmp_path / "x.tar", {f"{n}.jpg": JPEG for n in range(11)})
    monkeypatch.setattr(tar, "MOST_MEMBERS", 10)
    with pytest.raises(UnsafeArchiveError, match="more than 10 members"):
        listed(path)


def test_notes_with_ever_new_names_do_not_make_columns_without_end(tmp_path):
    members = []
    for key in range(3):
        note = {f"{key}-{n}": 0 for n in range(400)}
        members += [(f"{key}.jpg", JPEG), (f"{key}.json", note)]
    found = listed(archived(tmp_path / "x.tar", members))
    assert len(found.samples) == 3
    assert found.samples.shape[1] == 4 + 1000
    assert len(found.remarks) == 11
    assert found.remarks[-1] == "So are values of 190 more columns."


def test_an_archive_damaged_in_any_way_is_listed_or_ends_in_one_of_our_errors(tmp_path):
    seeds = []
    for layout in (tarfile.PAX_FORMAT, tarfile.GNU_FORMAT):
        members = []
        for key in range(3):
            name = f"{'long' * 40 * (key == 1)}{key}\u00e9"
            members += [(f"{name}.jpg", JPEG * 50 * key), (f"{name}.json", {"a": key})]
        path = archived(tmp_path / "seed.tar", members, format=layout)
        seeds.append(path.read_bytes())
    generator, path = np.random.default_rng(0), tmp_path / "x.tar"
    outcomes = Counter()
    for _ in range(400):
        content = bytearray(seeds[generator.integers(2)])
        block = 512 * int(generator.integers(len(content) // 512))
        place = block + int(generator.integers(100, 512))
        if generator.random() < 0.2:
            del content[place : place + int(generator.integers(1, 2000))]
        else:
            content[place : place + 8] = generator.bytes(int(generator.integers(1, 8)))
        if generator.random() < 0.7:  # an attacker's header has the right sum
            content[block + 148 : block + 156] = b" " * 8
            total = sum(content[block : block + 512])
            content[block + 148 : block + 156] = f"{total:06o}\0 ".encode()
        path.write_bytes(content)
        try:
            listed(path)
            outcomes["listed"] += 1
        except PipelineError as error:
            outcomes[type(error).__name__] += 1
    assert outcomes["listed"] > 10
    assert outcomes["DataError"] > 100

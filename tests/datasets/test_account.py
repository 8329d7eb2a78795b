"""Nothing is used less than it says.

Of every source, files seen = read + left out + ignored; of every table, rows seen = joined + not
joined, and columns seen = used + named as not used.
"""

import io
import os
import shutil
import tarfile
import zipfile
from collections import Counter

import h5py
import numpy as np
import pandas as pd
import pytest
from small_faces_store import write_store

from debias.datasets import DATASETS, Folder, HuggingFace, Images
from debias.errors import QuarantineLimitExceededError
from debias.ingesting.account import kinds_of, questions, seen_of
from debias.ingesting.quarantine import NO_FAILURES, QuarantineLimits, require_within, summarise

JPEG, TIFF = b"\xff\xd8\xff pixels", b"II*\0 pixels"
# Beside the images of every folder: photographs by other names, some not read, and what is none.
BESIDE = {
    "a.jfif": JPEG, "b": JPEG, "c.JPG_large": JPEG, "d.tif": TIFF, "e.dat": TIFF, "f.heic": b"",
    ".g.jpg": JPEG, "notes.txt": b"BM: a note", "Thumbs.db": b"\xd0\xcf\x11\xe0", ".DS_Store": b"",
    "._a.jpg": b"\0\5\x16\7", "rows.csv": b"a,b",
}  # fmt: skip
PHOTOGRAPHS = 7


def written(root, files):
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content if isinstance(content, bytes) else content.encode())


def images(root):
    written(root, {f"deep/{name}": content for name, content in BESIDE.items()})
    os.symlink(root / "deep" / "b", root / "link.jpg")


def image_folder(root):
    classes = {f"{name}/{n}.jpg": JPEG for name in "xy" for n in range(3)}
    written(root, classes | {f"x/{name}": content for name, content in BESIDE.items()})
    written(root, {"loose.gif": b"GIF89a", "README.md": b"#"})


def utkface(root):
    written(root, {f"2{n}_0_1_2017.jpg.chip.jpg": JPEG for n in range(5)} | BESIDE)


def celeba(root):
    names = [f"{n:06d}.jpg" for n in range(5)]  # the last one is not there
    header = "5\nMale Smiling\n" + "".join(f"{name} 1 -1\n" for name in names)
    parts = "".join(f"{name} {n % 3}\n" for n, name in enumerate(names))
    written(root, {"list_attr_celeba.txt": header, "list_eval_partition.txt": parts})
    written(root / "img_align_celeba", {name: JPEG for name in names[:4]} | BESIDE)


def fairface(root):
    for part in ("train", "val"):
        rows = "".join(f"{part}/{n}.jpg,3-9,Male,White\n" for n in range(3))
        written(root, {f"fairface_label_{part}.csv": "file,age,gender,race\n" + rows})
        written(root / part, {f"{n}.jpg": JPEG for n in range(2)})
    written(root / "train", BESIDE)


def lfw(root):
    for n, side in enumerate(("Train", "Test")):
        written(root, {f"peopleDev{side}.txt": f"1\nP_{n}\t2\n"})
        written(root, {f"lfw/P_{n}/P_{n}_000{k}.jpg": JPEG for k in (1, 2)})
    written(root / "lfw" / "P_0", BESIDE)


def folder(root):
    rows = "path,smiling\n1.jpg,yes\n2.jpg,no\n../3.jpg,no\n"
    written(root, {"table.csv": rows, **{f"{name}.jpg": JPEG for name in "1245"}})


def tar(root):
    members = BESIDE | {"1.jpg": JPEG, "1.json": b'{"a": 1}', "1.txt": b"x", "2.json": b"{}"}
    with tarfile.open(root / "x.tar", "w") as archive:
        for name, content in members.items():
            header = tarfile.TarInfo(f"in/{name}")
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    written(root, {"x.idx": b""})


def hugging_face(root):
    rows = "".join(f"{n}.jpg,yes\n" for n in range(3))
    written(root, {"metadata.csv": f"file_name,smiling\n{rows}"})
    written(root, {f"{n}.jpg": JPEG for n in range(3)} | BESIDE)


def hdf5(root):
    with h5py.File(root / "x.h5", "w") as file:
        file["images"] = np.zeros((4, 8, 8, 3), dtype=np.uint8)
        file["labels"] = np.array([[0], [1], [0], [1]])


def arrays(root):
    np.savez(root / "x.npz", images=np.zeros((4, 8, 8), dtype=np.uint8))


def idx(root):
    head = bytes([0, 0, 8, 3, 0, 0, 0, 4, 0, 0, 0, 2, 0, 0, 0, 2])
    (root / "train-images-idx3-ubyte").write_bytes(head + bytes(16))


ALL = len(BESIDE)
# How a source is made, its settings, how many files it holds, how many of these are photographs.
SOURCES = {
    "images": (images, {}, ALL + 1, PHOTOGRAPHS + 1),
    "image_folder": (image_folder, {}, 6 + ALL + 2, 6 + PHOTOGRAPHS + 1),
    "utkface": (utkface, {}, 5 + ALL, 5 + PHOTOGRAPHS),
    "celeba": (celeba, {}, 5 + ALL, 5 + PHOTOGRAPHS),
    "fairface": (fairface, {}, 6 + ALL, 6 + PHOTOGRAPHS),
    "lfw": (lfw, {}, 4 + ALL, 4 + PHOTOGRAPHS),
    "folder": (
        folder,
        {"table": "table.csv", "allow_unjoined": 0.5},
        3 + 2,
        3,
    ),  # two stand in no row: nobody asked for them
    "tar": (tar, {}, ALL + 4 + 1, PHOTOGRAPHS + 1 + 1),  # and a note beside one of them
    "hugging_face": (hugging_face, {}, 3 + ALL, 3 + PHOTOGRAPHS),
    "hdf5": (hdf5, {"file": "x.h5"}, 4, 4),
    "arrays": (arrays, {"file": "x.npz"}, 4, 4),
    "idx": (idx, {}, 4, 4),
    "store": (write_store, {}, 10, 10),
    "synthetic": (lambda root: None, {"n_train": 8, "n_validation": 8, "n_test": 8}, 24, 24),
}


@pytest.mark.parametrize("name", DATASETS)
def test_every_file_is_read_or_left_out_or_ignored_and_no_photograph_is_ignored(tmp_path, name):
    make, settings, files, photographs = SOURCES[name]
    make(tmp_path)
    kind = DATASETS[name]
    places = {key: tmp_path / value for key, value in settings.items() if key in ("table", "file")}
    root = {"root": tmp_path} if "root" in kind.model_fields else {}
    found = kind(**root | settings | places).collect(0)
    left_out = sum(item.reason not in NO_FAILURES for item in found.rejected)
    ignored = sum(kind["count"] for kind in kinds_of(found.rejected, found.ignored))
    assert len(found.samples) + found.notes + left_out + ignored == files
    assert ignored == files - found.notes - photographs


def margins(root):
    """FairFace with both of its margins: other photographs of the same names; and a copy of one."""
    fairface(root)
    for margin in ("025", "125"):
        for part in ("train", "val"):
            names = {f"{n}.jpg": JPEG + margin.encode() for n in range(2)}
            written(root / f"margin{margin}" / part, names)
    for part in ("train", "val"):
        shutil.rmtree(root / part)
    written(root / "more" / "train", {"0.jpg": JPEG + b"025"})


def aligned(root):
    celeba(root)
    written(root / "img_celeba", {f"{n:06d}.jpg": JPEG + b" in the wild" for n in range(4)})


def unpacked_and_not(root):
    """Classes x and w lie there and in an archive, y in an archive alone, z in a hidden folder."""
    for name in ("x", "y", "w"):
        with zipfile.ZipFile(root / f"{name}.zip", "w") as archive:
            for n in range(3):
                archive.writestr(f"{name}/{n}.jpg" if name != "w" else f"{n}.jpg", JPEG)
            archive.writestr(f"__MACOSX/{name}/._0.jpg", b"")
    written(root, {f"{name}/{n}.jpg": JPEG for name in ("x", "w", ".z", "v") for n in range(3)})
    written(root, {"v/.small/0.jpg": JPEG, "v/damaged.zip": b"PK", "x.7z": b"7z"})


@pytest.mark.parametrize(
    ("make", "kind", "left_out", "copies"),
    [
        (margins, "fairface", {"another version": 4, "file missing": 2}, 1),
        (aligned, "celeba", {"another version": 4, "file missing": 1}, 0),
        (unpacked_and_not, "image_folder", {"in an archive": 3, "hidden photograph": 3}, 0),
    ],
)
def test_a_version_an_archive_and_a_hidden_folder_are_left_out_and_stop_the_ingest(
    tmp_path, make, kind, left_out, copies
):
    make(tmp_path)
    found = DATASETS[kind](root=tmp_path).collect(0)
    reasons = Counter(one.reason for one in found.rejected if one.reason not in NO_FAILURES)
    beside = {reason: count for reason, count in reasons.items() if reason in left_out}
    assert beside == left_out
    told = "Not opened, though photographs may be there: 1 file (.7z)."
    assert any(one.startswith(told) for one in found.remarks) == (kind == "image_folder")
    assert sum(one.reason == "named like another" for one in found.rejected) == copies
    with pytest.raises(
        QuarantineLimitExceededError, match=rf"\d {next(iter(left_out))}.*--most-rej"
    ):
        require_within(summarise(found.rejected, found.samples, ()), QuarantineLimits(few=1))


def test_names_that_may_be_people_are_asked_about_after_the_split_unless_somebody_says(tmp_path):
    names = [f"{n}_{k}.jpg" for n in range(10) for k in range(3)]
    paths = [f"{tmp_path}/x/{name}" for name in names]
    samples = pd.DataFrame({"path": paths, "split": ["train"] * 29 + ["test"]})
    (asked,) = questions(DATASETS["images"](root=tmp_path), samples)
    assert asked == (
        "10 parts of file names may be people (3 images each), and nothing says who is shown: 1 of "
        "them stand on several sides of the split. If they are people: --folders '*/{person}_*'."
    )
    (other,) = questions(DATASETS["hugging_face"](root=tmp_path), samples)
    assert other.endswith("name a column of people with --subject.")
    assert questions(DATASETS["utkface"](root=tmp_path), samples) == []  # known to have none
    assert questions(DATASETS["images"](root=tmp_path), samples.assign(subject_id="x")) == []
    assert questions(DATASETS["tar"](root=tmp_path), samples.assign(offset=0)) == []
    named = samples.assign(offset=0, username=range(30), celeb_name=[n // 3 for n in range(30)])
    (asked,) = questions(DATASETS["tar"](root=tmp_path), named)
    assert asked.startswith("10 values of 'celeb_name' may be people (3 images each), and nothing")
    assert asked.endswith("1 of them stand on several sides of the split. If they are people: "
                          "--subject 'celeb_name'.")  # fmt: skip


def test_notes_beside_images_are_in_the_line():
    kinds = kinds_of((), {".txt": 3})
    seen = seen_of(5, 1, kinds, purged=0, notes=2)
    assert (seen["files"], seen["read"], seen["notes"]) == (10, 4, 2)
    assert seen["line"] == (
        "10 files seen: 4 read, 2 notes read beside them, 1 left out, 3 ignored (3 .txt)."
    )


NAMES = [f"P_{n % 4}/{n}.jpg" for n in range(8)]


def folder_told(root):
    written(root, dict.fromkeys([*NAMES, "P_0/9.jpg"], JPEG))
    table = pd.DataFrame({"file": [*NAMES[:7], "P_9/x.jpg"], "smile": "yes", "box": [[1, 2]] * 8})
    table.assign(sample_id="x").to_json(root / "t.jsonl", orient="records", lines=True)
    found = Folder(root=root, table=root / "t.jsonl", allow_unjoined=0.25).collect(0)
    assert found.ignored == {"images on no row": 2}
    return found.remarks


def people_told(root):
    written(root, dict.fromkeys(NAMES, JPEG))
    table = pd.DataFrame({"who": ["P_0", "P_1", "P_2", "P_9"], "smile": "yes", "box": [[1, 2]] * 4})
    table.assign(sample_id="x").to_json(root / "t.jsonl", orient="records", lines=True)
    data = Images(root=root, folders="person", people=root / "t.jsonl", allow_unjoined=0.25)
    return data.collect(0).remarks


def hugging_face_told(root):
    written(root, dict.fromkeys([*NAMES, "P_0/9.jpg"], JPEG))
    table = pd.DataFrame({"file_name": [*NAMES, "../x.jpg"], "smile": "yes", "box": [[1, 2]] * 9})
    table.assign(sample_id="x").to_json(root / "metadata.jsonl", orient="records", lines=True)
    found = HuggingFace(root=root).collect(0)
    assert [one.reason for one in found.rejected[:2]] == ["unsafe path", "not listed"]
    return found.remarks


READERS = {
    hugging_face_told: (),
    folder_told: ("7 of 8 rows joined with 7 of 9 images", "file as path; annotations: smile"),
    people_told: ("names 3 of 4 people; 1 of its rows name nobody", "Columns: smile"),
}


@pytest.mark.parametrize(("reader", "told"), READERS.items())
def test_every_row_of_a_table_is_joined_or_counted_and_every_column_used_or_named(
    tmp_path, reader, told
):
    remarks = " ".join(reader(tmp_path))
    for part in (*told, "ot used", "sample_id", "box"):
        assert part in remarks

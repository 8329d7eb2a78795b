"""Nothing is used less than it says: of every source, files seen = read + left out + ignored."""

import io
import os
import tarfile

import h5py
import numpy as np
import pytest
from small_faces_store import write_store

from debias.datasets import DATASETS
from debias.ingesting.account import kinds_of
from debias.ingesting.quarantine import NO_FAILURES

JPEG, TIFF = b"\xff\xd8\xff pixels", b"II*\0 pixels"
# Beside the images of every folder: photographs by other names, some not read, and what is none.
BESIDE = {
    "a.jfif": JPEG, "b": JPEG, "c.JPG_large": JPEG, "d.tif": TIFF, "e.dat": TIFF, "f.heic": b"",
    "notes.txt": b"BM: a note", "Thumbs.db": b"\xd0\xcf\x11\xe0", ".DS_Store": b"",
    "rows.csv": b"a,b",
}  # fmt: skip
PHOTOGRAPHS = 6


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
        {"table": "table.csv"},
        3 + 2,
        3,
    ),  # two stand in no row: nobody asked for them
    "tar": (tar, {}, ALL + 1 + 1 + 1 + 1, PHOTOGRAPHS + 1 + 1),  # a note belongs to its image
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
    assert len(found.samples) + left_out + ignored == files
    assert ignored == files - photographs

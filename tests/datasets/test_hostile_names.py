"""Three hundred hostile names and labels through every way in which names come from outside.

No exception but our own, nothing outside the root is opened, ids stay plain ASCII, and whatever was
different stays different.
"""

import builtins
import csv
import io
import json
import os
import tarfile
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from debias.datasets import DATASETS, FairFace, Folder, ImageFolder, TarShards
from debias.errors import PipelineError

PLAIN = r"[0-9A-Za-z_-]+"
SHAPES = [
    "<script>alert({n})</script>", "<img src=x{n} onerror=alert(1)>", "a&amp;{n}", "'\";--{n}",
    "../../etc/passwd{n}", "/etc/passwd{n}", "..\\..\\windows{n}", "C:\\x{n}", "a/../b{n}", "~/{n}",
    "nul\0{n}", "line\nbreak{n}", "cr\rlf\r\n{n}", "tab\t{n}", "bell\x07{n}", "esc\x1b[31m{n}",
    "\u202eright to left{n}", "\u200bzero width{n}", "\u2066isolate{n}\u2069", "\ufeffbom{n}",
    "lone\ud800{n}", "lone\udcff{n}", "caf\u00e9{n}", "cafe\u0301{n}", "\u212bngstrom{n}",
    "$x_{n}$", "\\frac{{1}}{{{n}}}", "_x{n}", "__{n}", "=1+{n}", "+{n}", "-{n}", "@SUM({n})",
    "{{{{7*{n}}}}}", "{{% {n} %}}", "%s%n{n}", "${{jndi:{n}}}", "`id`{n}", "$(id){n}", "; rm {n}",
    "NaN{n}", "NO{n}", "0{n}", "1e{n}", "true{n}", "null{n}", " {n}", "{n} ", "{n}.", ".{n}",
    "CON{n}", "x,y{n}", '"quoted{n}"', "\U0001f600{n}", "\u0661\u0662{n}", "I\u0131{n}",
    "SS\u00df{n}",
    "long{n}" + "x" * 4090, "wide{n}" + "\u00e9" * 200, "*?[{n}]", "a/" * 2000 + "{n}",
]  # fmt: skip
HOSTILE = [shape.format(n=n) for n in range(5) for shape in SHAPES]
TEXT = [name for name in HOSTILE if name.encode(errors="replace").decode() == name]


def as_file_name(name):
    """The nearest name that a file system takes, or none."""
    name = name.replace("/", "\u2215").replace("\0", "")
    return name if len(os.fsencode(name)) <= 240 and name not in {"", ".", ".."} else None


def fsencodable(name):
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return False
    return True


FILES = sorted({name for raw in HOSTILE if fsencodable(raw) and (name := as_file_name(raw))})


@pytest.fixture
def opened(monkeypatch):
    """Paths that were opened, however that was done from Python."""
    paths = []
    for module, name in ((builtins, "open"), (io, "open"), (os, "open"), (os, "scandir")):
        original = getattr(module, name)

        def noted(path, *arguments, _original=original, **settings):
            paths.append(path)
            return _original(path, *arguments, **settings)

        monkeypatch.setattr(module, name, noted)
    return paths


def check(found, root, opened, total):
    samples, rejected = found.samples, found.rejected
    assert len(samples) + len(rejected) == total
    assert samples["sample_id"].str.fullmatch(PLAIN).all()
    assert samples["sample_id"].is_unique
    for item in rejected:  # a record can be written anywhere
        json.dumps([item.sample_id, item.path, item.detail]).encode()
        item.path.encode()
    inside = os.path.realpath(root)
    for path in [*samples["path"], *(p for p in opened if isinstance(p, str | bytes | Path))]:
        real = os.path.realpath(os.fsdecode(path))
        assert real == inside or real.startswith(inside + os.sep), path


def test_there_are_three_hundred_and_all_kinds():
    assert len(set(HOSTILE)) >= 300
    assert len(FILES) > 200
    assert unicodedata.normalize("NFC", "cafe\u0301") in {name[:4] for name in HOSTILE}


def test_hostile_paths_and_labels_in_a_table(tmp_path, opened):
    root = tmp_path / "root"
    root.mkdir()
    with (root / "t.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, quoting=csv.QUOTE_ALL)
        rows.writerows([["path", "label"], *([name, name] for name in TEXT)])
    opened.clear()
    found = Folder(root=root, table=root / "t.csv").collect(0)
    check(found, root, opened, len(TEXT))
    labels = found.samples["label"]
    as_written = [name.replace("\r\n", "\n").replace("\r", "\n") for name in TEXT]
    assert set(labels) <= set(as_written)
    assert labels.nunique() == len(labels)
    unsafe = {item.path for item in found.rejected}
    assert {"/etc/passwd0", "../../etc/passwd1", "..\\..\\windows2", "C:\\x3", "a/../b4"} <= unsafe


def test_hostile_paths_and_labels_in_parquet_are_the_same_to_the_byte(tmp_path, opened):
    pd.DataFrame({"path": TEXT, "label": TEXT}).to_parquet(tmp_path / "t.parquet")
    opened.clear()
    found = Folder(root=tmp_path, table=tmp_path / "t.parquet").collect(0)
    check(found, tmp_path, opened, len(TEXT))
    assert set(found.samples["label"]) <= set(TEXT)
    assert found.samples["label"].nunique() == len(found.samples)


def test_hostile_column_names_stay_apart(tmp_path):
    frame = pd.DataFrame({"path": ["a.png"]} | {name: ["x"] for name in set(TEXT)})
    frame.to_parquet(tmp_path / "t.parquet")
    samples = Folder(root=tmp_path, table=tmp_path / "t.parquet").collect(0).samples
    assert set(TEXT) <= set(samples.columns)


def test_hostile_names_of_files_and_classes(tmp_path, opened):
    for name in FILES:
        (tmp_path / f"c{name}").mkdir()
        (tmp_path / f"c{name}" / f"f{name[:60]}.jpg").touch()
    opened.clear()
    found = ImageFolder(root=tmp_path).collect(0)
    check(found, tmp_path, opened, len(FILES))
    assert found.samples["class"].nunique() == len(found.samples)
    assert {item.reason for item in found.rejected} == {"name not understood"}
    composed = found.samples["class"].str.startswith(("ccaf\u00e9", "ccafe\u0301"))
    assert composed.sum() == 10  # two ways of writing one word are two classes
    for path in found.samples["path"]:
        assert Path(path).is_file()


def test_hostile_members_and_notes_in_an_archive(tmp_path, opened):
    endings = 0
    with tarfile.open(tmp_path / "x.tar", "w", format=tarfile.PAX_FORMAT) as archive:
        for number, name in enumerate(HOSTILE):
            key = f"{number:03d}/{name.replace('.', '')}"
            key = name if name.startswith((".", "/", "C:")) else key
            try:
                f"{key}.jpg".encode("utf-8", "surrogateescape")
            except UnicodeEncodeError:
                continue  # no archive can hold it
            endings += 1
            note = json.dumps({"label": name, f"attribute {name[:9]}": name}).encode()
            for ending, content in (("jpg", b"\xff\xd8"), ("json", note)):
                header = tarfile.TarInfo(f"{key}.{ending}")
                header.size = len(content)
                archive.addfile(header, io.BytesIO(content))
    opened.clear()
    found = TarShards(root=tmp_path / "x.tar").collect(0)
    # Of a key that is set aside, image and note may be counted one by one.
    kept = len(found.samples)
    assert kept + len({item.path.rpartition(".")[0] or item.path for item in found.rejected}) > 200
    check(found, tmp_path, opened, kept + len(found.rejected))
    assert set(found.samples["label"]) <= set(TEXT)
    assert found.samples["label"].nunique() == kept
    assert kept > 0.75 * endings


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_hostile_names_and_labels_in_an_owners_list(tmp_path, opened, newline):
    root, plain = tmp_path / "root", [f"train/{n}.jpg" for n in range(3000)]
    fairface(root, plain)
    hostile = [name for name in TEXT if name.strip() == name and not set("\r\n") & set(name)]
    kept = hostile[:10]  # more missing ones would end the run
    lines = io.StringIO(newline="")
    rows = csv.writer(lines, quoting=csv.QUOTE_ALL, lineterminator=newline)
    rows.writerow(["file", "age", "gender", "race", "service_test"])
    rows.writerows(
        [name, "3-9", "Female", "White", label] for name, label in zip(plain, hostile, strict=False)
    )
    rows.writerows([f"{name}.jpg", "3-9", "Male", "Black", "x"] for name in kept)
    (root / "fairface_label_train.csv").write_bytes(lines.getvalue().encode())
    opened.clear()
    found = FairFace(root=root).collect(0)
    listed = len(hostile)
    assert len(found.samples) == listed
    assert set(found.samples["service_test"]) == set(hostile)
    check(found, root, opened, listed + len(kept) + 3000 - listed)


def fairface(root, names=()):
    for part in ("train", "val"):
        (root / part).mkdir(parents=True)
        (root / f"fairface_label_{part}.csv").write_text("file,age,gender,race,service_test\n")
    for name in names:
        (root / name).touch()
    return root


def test_a_list_whose_every_name_is_hostile_ends_in_one_of_our_errors(tmp_path):
    root = fairface(tmp_path / "root", ["train/1.jpg"])
    names = "".join(f'"{name}",3-9,Male,White,True\n' for name in TEXT if '"' not in name)
    with (root / "fairface_label_train.csv").open("a", newline="") as table:
        table.write(names)
    with pytest.raises(PipelineError) as error:
        FairFace(root=root).collect(0)
    assert error.value.exit_code == 3
    assert str(error.value).isprintable()


def test_messages_show_what_a_terminal_would_obey(tmp_path):
    name = "esc\x1b[31m\u202e\x07.png"
    pd.DataFrame({"path": [name, name]}).to_parquet(tmp_path / "t.parquet")
    with pytest.raises(PipelineError) as error:
        Folder(root=tmp_path, table=tmp_path / "t.parquet").collect(0)
    assert r"esc\x1b[31m\u202e\x07.png" in str(error.value)
    assert str(error.value).isprintable()


ODD = "esc\x1b[31m\u202e\x07"


@pytest.mark.parametrize("name", [name for name in DATASETS if name != "synthetic"])
@pytest.mark.parametrize("what", ["nothing", "empty folder", "nonsense"])
def test_no_message_about_a_hostile_place_reaches_the_terminal_unwritten(tmp_path, name, what):
    root = tmp_path / ODD
    if what != "nothing":
        root.mkdir()
    for file in ["x.csv", "file", "store.json", "peopleDevTrain.txt", "peopleDevTest.txt", "a.tar",
                 "list_attr_celeba.txt", "list_eval_partition.txt", "img_align_celeba/1.jpg",
                 "fairface_label_train.csv", "fairface_label_val.csv", "train/1", "val/1",
                 "lfw/P/P_0001.jpg"]:  # fmt: skip
        if what == "nonsense":
            (root / file).parent.mkdir(parents=True, exist_ok=True)
            (root / file).write_text(f"{ODD},{ODD}\n{ODD}\n")
    places = {"root": root, "table": root / "x.csv", "file": root / "file"}
    fields = {key: places[key] for key in DATASETS[name].model_fields if key in places}
    message = ""
    try:
        DATASETS[name](**fields).collect(0)
    except (PipelineError, FileNotFoundError) as error:
        message = str(error)
    assert message.isprintable()
    readable = what == "nonsense" and name in {"images", "image_folder"}
    assert (r"\x1b" in message) != readable


def test_hostile_names_of_members_are_written_out_in_messages(tmp_path):
    with tarfile.open(tmp_path / f"{ODD}.tar", "w") as archive:
        for ending in ("jpg", "json", ODD):
            header = tarfile.TarInfo(f"{ODD}.{ending}")
            header.size = 2_000_000 if ending == "json" else 0
            archive.addfile(header, io.BytesIO(bytes(header.size)))
    with pytest.raises(PipelineError, match=r"\\x1b.*json has 2000000 bytes") as error:
        TarShards(root=tmp_path / f"{ODD}.tar").collect(0)
    assert str(error.value).isprintable()


def test_bytes_that_are_no_text_do_not_make_two_values_one(tmp_path):
    root = fairface(tmp_path / "root", ["train/1.jpg", "train/2.jpg"])
    (root / "fairface_label_train.csv").write_bytes(
        b"file,age,gender,race,service_test\n"
        b"train/1.jpg,3-9,Male,White,C\xf4te\ntrain/2.jpg,3-9,Male,White,C\xf5te\n"
    )
    assert FairFace(root=root).collect(0).samples["service_test"].nunique() == 2


def test_what_differs_in_case_alone_stays_apart_where_the_system_says_so(tmp_path):
    (tmp_path / "t.csv").write_text("path\nA.png\na.png\n")
    samples = Folder(root=tmp_path, table=tmp_path / "t.csv").collect(0).samples
    assert np.unique(samples["sample_id"]).size == 2

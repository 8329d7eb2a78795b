"""The teaching lab's file, files that are nearly like it, and files that are broken."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import h5py
import numpy as np
import pytest
from PIL import Image, ImageOps

from debias.datasets import Hdf5Faces, hdf5
from debias.datasets.hdf5_probe import MOST_BYTES, MOST_LOOKED_AT, spread
from debias.errors import DataError

BLUE_FIRST = np.arange(5 * 6 * 6 * 3, dtype=np.uint64).reshape(5, 6, 6, 3) * 97 % 251
IMAGES = BLUE_FIRST.astype(np.uint8)
LABELS = np.array([[0.0], [1.0], [1.0], [0.0], [1.0]])


def written(path, images=IMAGES, labels=LABELS, **options):
    with h5py.File(path, "w") as file:
        for name, value in {"images": images, "labels": labels}.items():
            if value is not None:
                file.create_dataset(name, data=value, **(options if name == "images" else {}))
    return path


def test_labels_are_listed_and_pixels_drawn_red_first(tmp_path):
    found = Hdf5Faces(file=written(tmp_path / "f.h5")).collect(0)
    assert found.samples["face"].tolist() == ["no", "yes", "yes", "no", "yes"]
    assert found.samples["sample_id"].iloc[3] == "row-00000003"
    some = found.samples.iloc[[4, 0, 4, 2]]
    np.testing.assert_array_equal(found.draw(some, 6), IMAGES[[4, 0, 4, 2]][..., ::-1])
    assert found.draw(found.samples.iloc[:0], 6).shape == (0, 6, 6, 3)
    assert found.rejected == found.remarks == ()
    with h5py.File(written(tmp_path / "more.h5"), "a") as file:
        file["ages"] = np.zeros(5)
    (remark,) = Hdf5Faces(file=tmp_path / "more.h5").collect(0).remarks
    assert remark == "Beside images and labels the file holds what is not read: ages."
    (tmp_path / "page.h5").write_text("<html><title>Log in</title>")
    with pytest.raises(DataError, match=r"page\.h5 is a web page \(Log in\) in place of"):
        Hdf5Faces(file=tmp_path / "page.h5").collect(0)


def test_another_order_and_other_names(tmp_path):
    data = Hdf5Faces(
        file=written(tmp_path / "f.h5", labels=LABELS[:, 0].astype(np.uint8)),
        order="rgb", label_name="smiling", classes=("not smiling", "smiling"),
    )  # fmt: skip
    found = data.collect(0)
    assert found.samples["smiling"].tolist()[:2] == ["not smiling", "smiling"]
    np.testing.assert_array_equal(found.draw(found.samples, 6), IMAGES)
    other = data.model_copy(update={"order": "bgr"}).collect(0)
    assert found.fingerprint != other.fingerprint  # other pixels must never pass for these


def test_another_size_is_what_pillow_makes_of_the_centred_square(tmp_path):
    images = np.concatenate([IMAGES, IMAGES], axis=2)  # 6 high, 12 wide
    found = Hdf5Faces(file=written(tmp_path / "f.h5", images), order="rgb").collect(0)
    for size in (3, 9):
        drawn = found.draw(found.samples, size)
        for row, image in enumerate(images):
            square = ImageOps.fit(Image.fromarray(image), (size, size), Image.Resampling.BICUBIC)
            np.testing.assert_array_equal(drawn[row], np.asarray(square))


@pytest.mark.parametrize("options", [{}, {"chunks": (7, 2, 2, 3), "compression": "gzip"}])
@pytest.mark.parametrize("block", [1, 2000, 1 << 26])
def test_rows_in_any_order_and_number_are_drawn(tmp_path, monkeypatch, options, block):
    images = np.random.default_rng(0).integers(0, 256, (500, 4, 4, 3), dtype=np.uint8)
    path = written(tmp_path / "f.h5", images, np.zeros(500), **options)
    monkeypatch.setattr(hdf5, "BLOCK", block)
    found = Hdf5Faces(file=path, order="rgb").collect(0)
    for rows in (np.arange(500), np.array([499, 0, 250]), np.arange(499, 0, -3), np.zeros(5, int)):
        np.testing.assert_array_equal(found.draw(found.samples.iloc[rows], 4), images[rows])


def test_drawing_works_in_threads_and_in_a_forked_process(tmp_path):
    found = Hdf5Faces(file=written(tmp_path / "f.h5"), order="rgb").collect(0)
    with ThreadPoolExecutor(4) as pool:
        for drawn in pool.map(lambda _: found.draw(found.samples, 6), range(20)):
            np.testing.assert_array_equal(drawn, IMAGES)
    child = os.fork()
    if not child:
        os._exit(int(not np.array_equal(found.draw(found.samples, 6), IMAGES)))
    assert os.waitpid(child, 0)[1] == 0


def test_the_fingerprint_is_of_the_content_and_not_of_the_place(tmp_path):
    first = Hdf5Faces(file=written(tmp_path / "f.h5")).collect(0).fingerprint
    (tmp_path / "f.h5").rename(tmp_path / "g.h5")
    assert Hdf5Faces(file=tmp_path / "g.h5").collect(0).fingerprint == first
    written(tmp_path / "h.h5", IMAGES + 1)
    assert Hdf5Faces(file=tmp_path / "h.h5").collect(0).fingerprint != first


def test_a_file_that_changed_after_listing_is_not_drawn_from(tmp_path):
    found = Hdf5Faces(file=written(tmp_path / "f.h5")).collect(0)
    hdf5._opened.cache_clear()
    written(tmp_path / "f.h5", IMAGES[:3], LABELS[:3])
    with pytest.raises(DataError, match="changed while it was being read"):
        found.draw(found.samples, 6)


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (IMAGES / 255, LABELS, "images are float64; expected uint8"),
        (IMAGES.astype(np.int8), LABELS, "images are int8; expected uint8"),
        (None, LABELS, r"no dataset 'images', only \['labels'\]"),
        (IMAGES, None, r"no dataset 'labels', only \['images'\]"),
        (IMAGES.transpose(0, 3, 1, 2), LABELS, r"\(5, 3, 6, 6\), colours first; expected \(n, h"),
        (IMAGES[..., 0], LABELS, r"shape \(5, 6, 6\); expected \(n, height, width, 3\)"),
        (IMAGES[..., :2], LABELS, r"shape \(5, 6, 6, 2\)"),
        (IMAGES[:0], LABELS[:0], "there are 0 images"),
        (IMAGES[:, :1], LABELS, "1 x 6 pixels"),
        (IMAGES, LABELS[:3], r"labels have the shape \(3, 1\); expected \(5, 1\)"),
        (IMAGES, np.zeros((5, 2)), r"labels have the shape \(5, 2\)"),
        (IMAGES, np.array([0, 1, np.nan, 1, np.nan]), "2 of 5 labels .* first: nan in row 2"),
        (IMAGES, np.array([0, 1, 2, 1, 0]), "1 of 5 labels .* first: 2 in row 2"),
        (IMAGES, np.array([-1, 1, 1, 1, 1]), "first: -1 in row 0"),
        (IMAGES, np.array(["0", "1", "0", "1", "1"], dtype="S1"), "expected numbers, 0 or 1"),
    ],
)
def test_what_is_nearly_right_is_explained(tmp_path, images, labels, message):
    with pytest.raises(DataError, match=message) as error:
        Hdf5Faces(file=written(tmp_path / "f.h5", images, labels)).collect(0)
    assert str(tmp_path / "f.h5") in str(error.value)


def test_what_lies_in_other_files_is_not_followed(tmp_path):
    other = written(tmp_path / "other.h5")
    (tmp_path / "raw").write_bytes(IMAGES.tobytes())
    layout = h5py.VirtualLayout(IMAGES.shape, np.uint8)
    layout[:] = h5py.VirtualSource(other, "images", IMAGES.shape)
    for expected in ("is a link", "lies in other files", "lies in other files", "is a group"):
        with h5py.File(tmp_path / "f.h5", "w") as file:
            file["labels"] = LABELS
            if expected == "is a link":
                file["images"] = h5py.ExternalLink(other, "images")
            elif expected == "is a group":
                file.create_group("images")
            elif "virtual" not in file.attrs and expected == "lies in other files" and layout:
                file.create_virtual_dataset("images", layout)
                layout = None
            else:
                stored = [(str(tmp_path / "raw"), 0, IMAGES.nbytes)]
                file.create_dataset("images", IMAGES.shape, np.uint8, external=stored)
        with pytest.raises(DataError, match=f"'images' {expected}"):
            Hdf5Faces(file=tmp_path / "f.h5").collect(0)


def test_a_file_damaged_anywhere_ends_in_a_data_error_or_is_read(tmp_path):
    content = written(tmp_path / "f.h5").read_bytes()
    generator = np.random.default_rng(0)
    outcomes = set()
    for trial in range(6):
        broken = bytearray(content)
        if trial < 3:
            del broken[int(generator.integers(0, len(broken))) :]
        else:
            broken[: 800 * trial : 7] = bytes(len(broken[: 800 * trial : 7]))
        (tmp_path / "f.h5").write_bytes(broken)
        try:
            outcomes.add(len(Hdf5Faces(file=tmp_path / "f.h5").collect(0).samples))
        except DataError as error:
            outcomes.add(str(tmp_path / "f.h5") in str(error))
    assert outcomes <= {True, 5}
    assert True in outcomes


def damaged(path, chunks, bad, count=400):
    """A file of compressed chunks of which one cannot be unpacked."""
    images = np.zeros((count, 4, 4, 3), dtype=np.uint8)
    written(path, images, np.zeros(count), chunks=(chunks, 4, 4, 3), compression="gzip")
    with h5py.File(path, "r+") as file:
        file["images"].id.write_direct_chunk((bad, 0, 0, 0), b"not compressed")
    return path


def test_a_damaged_chunk_is_met_by_the_probe_where_chunks_are_few(tmp_path):
    for bad in (0, 70, 390):
        path = damaged(tmp_path / "f.h5", 10, bad)
        with pytest.raises(DataError, match=r"f\.h5: it cannot be read as HDF5 \(OSError"):
            Hdf5Faces(file=path).collect(0)


def test_a_damaged_chunk_that_the_probe_does_not_meet_ends_in_a_data_error(tmp_path):
    path = damaged(tmp_path / "f.h5", 1, 3)
    with h5py.File(path) as file:
        looked_at = spread(file["images"])
    assert 3 not in looked_at
    assert (looked_at[0], looked_at[-1], len(looked_at)) == (0, 399, MOST_LOOKED_AT)
    assert max(np.diff(looked_at)) <= 7  # evenly
    found = Hdf5Faces(file=path).collect(0)
    assert found.draw(found.samples.iloc[10:], 4).shape == (390, 4, 4, 3)
    with pytest.raises(DataError, match=r"f\.h5: rows 2 to 5 of the images .* is damaged: get it"):
        found.draw(found.samples.iloc[[5, 2, 3]], 4)


def test_the_probe_does_not_read_more_than_it_has_time_for(tmp_path):
    with h5py.File(tmp_path / "f.h5", "w") as file:
        images = file.create_dataset("images", (90, 4096, 4096, 3), np.uint8, chunks=True)
        one_chunk = file.create_dataset("x", (90, 9, 9, 3), np.uint8, chunks=(90, 9, 9, 3))
        assert 2 <= len(spread(images)) <= MOST_BYTES / (4096 * 4096 * 3)
        assert spread(one_chunk) == [0]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import time; time.sleep(60)", "could not be looked through within 0 s"),
        ("import os; os.abort()", r"the HDF5 library died of .* \(exit code -6\)"),
        ("raise MemoryError('no room')", r"died of .* \(exit code 1\) MemoryError: no room"),
    ],
)
def test_a_process_that_hangs_or_dies_ends_in_a_data_error(tmp_path, monkeypatch, code, message):
    (tmp_path / "look.py").write_text(code)
    monkeypatch.setattr(hdf5, "PROBE", tmp_path / "look.py")
    monkeypatch.setattr(hdf5, "LONGEST_PROBE", 0.4 if "sleep" in code else 20.0)
    with pytest.raises(DataError, match=message):
        Hdf5Faces(file=written(tmp_path / "f.h5")).collect(0)


def test_memory_that_a_file_makes_the_library_ask_for_is_limited(tmp_path):
    """A chunk of 8 GB that compresses to nothing: reading one row means reading all of it."""
    with h5py.File(tmp_path / "f.h5", "w") as file:
        shape = (4096, 800, 800, 3)
        file.create_dataset("images", shape, np.uint8, chunks=(2000, 800, 800, 3), fillvalue=1)
        identifier = file["images"].id
        identifier.write_direct_chunk((0, 0, 0, 0), b"x")
        file["labels"] = np.zeros(4096)
    with pytest.raises(DataError, match=r"f\.h5"):
        Hdf5Faces(file=tmp_path / "f.h5").collect(0)


def test_the_probe_answers_by_hand_as_documented(tmp_path):
    path = written(tmp_path / "f.h5")
    command = [sys.executable, "-P", str(hdf5.PROBE), str(path)]
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert json.loads(out) == {"problem": "", "rows": 5, "height": 6, "width": 6}


def test_a_pipe_is_not_opened_and_settings_that_contradict_are_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.h5")
    with pytest.raises(FileNotFoundError, match="is not a regular file"):
        Hdf5Faces(file=tmp_path / "pipe.h5").collect(0)
    with pytest.raises(ValueError, match="both classes are called 'yes'"):
        Hdf5Faces(file=tmp_path / "f.h5", classes=("yes", "yes"))
    with pytest.raises(ValueError, match="'path' is a name the samples need"):
        Hdf5Faces(file=tmp_path / "f.h5", label_name="path")

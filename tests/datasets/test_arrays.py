"""Images that come as arrays: .npz files and IDX files."""

import gzip
import os
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from debias.datasets.arrays import ArrayFile
from debias.datasets.idx import Idx
from debias.datasets.recognition import recognised
from debias.errors import DataError

GREY = np.arange(5 * 28 * 28).reshape(5, 28, 28).astype(np.uint8)
LABELS = np.array([3, 1, 4, 1, 5])
BESIDE = Path(__file__).parents[2].parent / "shared" / "data" / "mnist.npz"
MNIST = Path(os.environ.get("MNIST", BESIDE))


def npz(path, **arrays):
    np.savez_compressed(path, **arrays)
    return path


def idx(path, array):
    """As LeCun describes it: two zeros, the type, the number of sizes, the sizes, the values."""
    head = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    content = head + array.astype(np.uint8).tobytes()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def pixels(found, size=28):
    return found.draw(found.samples, size)


def test_grey_images_get_three_equal_channels_and_labels_a_column(tmp_path):
    file = npz(tmp_path / "a.npz", images=GREY, labels=LABELS, age=LABELS * 10, names=LABELS[:2])
    found = ArrayFile(file=file, label_name="digit").collect(0)
    assert found.samples.columns.tolist() == ["sample_id", "digit", "age"]
    assert found.samples["digit"].tolist() == [3, 1, 4, 1, 5]
    assert found.samples["age"].tolist() == [30, 10, 40, 10, 50]
    np.testing.assert_array_equal(pixels(found), np.repeat(GREY[..., None], 3, axis=3))
    turned = found.draw(found.samples[::-1], 28)
    np.testing.assert_array_equal(turned, pixels(found)[::-1])
    assert found.draw(found.samples[:2], 14).shape == (2, 14, 14, 3)
    assert found.remarks == ("Beside images and labels there is what is not read: names.",)


def test_names_say_the_split_whichever_way_round_they_are(tmp_path):
    first = npz(tmp_path / "a.npz", train_images=GREY, train_labels=LABELS, test_images=GREY[:2],
                test_labels=LABELS[:2])  # fmt: skip
    second = npz(tmp_path / "b.npz", x_train=GREY, y_train=LABELS[:, None], x_test=GREY[:2],
                 y_test=LABELS[:2, None])  # fmt: skip
    one, other = (ArrayFile(file=file).collect(0).samples for file in (first, second))
    pd.testing.assert_frame_equal(one, other)
    assert one["split"].value_counts().to_dict() == {"train": 4, "test": 2, "validation": 1}
    assert one["class"].tolist() == [3, 1, 3, 1, 4, 1, 5]


def test_colours_stay_and_a_threshold_leaves_black_and_white(tmp_path):
    colours = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    file = npz(tmp_path / "a.npz", images=colours)
    plain, binary = ArrayFile(file=file).collect(0), ArrayFile(file=file, threshold=100).collect(0)
    np.testing.assert_array_equal(pixels(plain, 8), colours)
    np.testing.assert_array_equal(pixels(binary, 8), 255 * (colours >= 100))
    assert plain.fingerprint != binary.fingerprint


@pytest.mark.parametrize("ending", ["", ".gz"])
def test_idx_files_are_found_by_their_names_and_read_to_the_last_value(tmp_path, ending):
    for part, count in (("train", 5), ("t10k", 3)):
        idx(tmp_path / f"{part}-images-idx3-ubyte{ending}", GREY[:count])
        idx(tmp_path / f"{part}-labels.idx1-ubyte{ending}", LABELS[:count])
    (tmp_path / "notes.txt").write_text("mine")
    assert recognised(tmp_path, {})["name"] == "idx"
    found = Idx(root=tmp_path, classes=("zero", "one", "two", "three", "four", "five")).collect(0)
    assert found.samples["split"].value_counts().to_dict() == {
        "train": 4, "validation": 1, "test": 3,
    }  # fmt: skip
    assert found.samples["class"].tolist()[:4] == ["three", "one", "four", "three"]
    np.testing.assert_array_equal(pixels(found)[..., 0], np.concatenate([GREY[:3], GREY]))
    assert found.remarks == (
        "Beside images and labels there is what is not read: notes.txt.",
        "1 of 5 training images were drawn for validation.",
    )


def test_a_file_of_arrays_is_recognised_by_its_ending(tmp_path):
    file = npz(tmp_path / "a.npz", images=GREY)
    assert recognised(file, {}) == {"name": "arrays", "file": str(file)}


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"pictures": GREY}, "no array called images or x, only 'pictures'"),
        ({"images": GREY / 255}, r"the images are float64, from 0.0 to 1.0; expected uint8"),
        ({"images": GREY[0]}, r"have the shape \(28, 28\); expected \(n, height, width\)"),
        ({"images": GREY, "labels": LABELS[:4]}, r"5 images, but labels of the shape \(4,\)"),
        ({"x_train": GREY, "x_test": GREY, "images": GREY}, "some images are of a split"),
        ({"images": GREY, "image": GREY}, "holds images twice, once as 'image'"),
        ({"images": np.array([{}])}, "no .npz file of plain arrays"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path, arrays, message):
    with pytest.raises(DataError, match=message):
        ArrayFile(file=npz(tmp_path / "a.npz", **arrays)).collect(0)


def test_a_label_without_a_name_and_what_is_no_archive_are_refused(tmp_path):
    file = npz(tmp_path / "a.npz", images=GREY, labels=LABELS)
    with pytest.raises(DataError, match=r"the label 5 has no name: data\.classes names 5, 0 to 4"):
        ArrayFile(file=file, classes=tuple("abcde")).collect(0)
    (tmp_path / "b.npz").write_text("<html>")
    with pytest.raises(DataError, match="a web page in place of the file"):
        ArrayFile(file=tmp_path / "b.npz").collect(0)


def test_idx_files_that_are_cut_off_or_none_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="holds no file such as train-images-idx3-ubyte;"):
        Idx(root=tmp_path).collect(0)
    labels, images = (tmp_path / f"train-{w}-ubyte" for w in ("labels-idx1", "images-idx3"))
    idx(labels, LABELS)
    with pytest.raises(DataError, match="beside the labels of 'train'"):
        Idx(root=tmp_path).collect(0)
    idx(images, GREY)
    whole = images.read_bytes()
    for content, message in (
        (whole[:-1], r"3,920 values of the shape \(5, 28, 28\) and holds 3,919"),
        (whole + b"1", "and holds more"),
        (b"\0\0\x0d\3" + whole[4:], "begins with 00000d03, expected 00000801"),
        (b"", "no IDX file"),
    ):
        images.write_bytes(content)
        with pytest.raises(DataError, match=message):
            Idx(root=tmp_path).collect(0)
    images.write_bytes(whole)
    idx(tmp_path / "other-train-images-idx3-ubyte", GREY)
    with pytest.raises(DataError, match="several data sets"):
        Idx(root=tmp_path).collect(0)


@pytest.mark.skipif(not MNIST.exists(), reason="MNIST is not here; name its file in MNIST")
def test_mnist_as_it_is():
    samples = ArrayFile(file=MNIST, label_name="digit").collect(0).samples
    assert samples["split"].value_counts().to_dict() == {
        "train": 54_000, "test": 10_000, "validation": 6_000,
    }  # fmt: skip
    assert sorted(samples["digit"].unique()) == list(range(10))

import io
import os
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from debias.decoding.perceptual import perceptual_hash
from debias.ingesting.duplicates import (
    clusters,
    conflicts,
    exact_pairs,
    kept_rows,
    near_pairs,
    read_details,
)
from debias.types import ShardedImages

BESIDE = Path(__file__).parents[2].parent / "shared" / "data" / "utkface"
FACES = Path(os.environ.get("UTKFACE", BESIDE))


def scenes(count, size=64, seed=0):
    """Images of their own: soft coloured noise, so that shifts and encodings do what they do."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 14, 14, 3), dtype=np.uint8)
    resized = [Image.fromarray(image).resize((size, size), Image.BICUBIC) for image in coarse]
    return np.stack([np.asarray(image) for image in resized])


def encoded(image, quality=70):
    content = io.BytesIO()
    Image.fromarray(image).save(content, "JPEG", quality=quality)
    return np.asarray(Image.open(content).convert("RGB"))


def moved(image, down, right, fill):
    """Moved by up to two pixels; what enters is the other edge, the same edge, or black."""
    if fill == "roll":
        return np.roll(image, (down, right), axis=(0, 1))
    mode = {"edge": "edge", "black": "constant"}[fill]
    padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode=mode)
    height, width, _ = image.shape
    return padded[2 - down : 2 - down + height, 2 - right : 2 - right + width]


def grey(image):
    return np.asarray(Image.fromarray(image).convert("L").convert("RGB"))


COPIES = {
    "the same pixels": (lambda image: image, "near"),
    "encoded again": (encoded, "near"),
    "mirrored": (lambda image: image[:, ::-1], "mirrored"),
    "mirrored and encoded": (lambda image: encoded(image[:, ::-1].copy()), "mirrored"),
    "grey": (grey, "near"),
    "darker": (lambda image: (image * 0.7).astype(np.uint8), "near"),
    "less contrast": (lambda image: (image // 2 + 60).astype(np.uint8), "near"),
}
SHIFTS = {"down": (2, 0), "up": (-2, 0), "right": (0, 2), "left": (0, -2)}


def found(images, **kwargs):
    return near_pairs(ShardedImages([images]), perceptual_hash(images), **kwargs)


def as_set(pairs):
    return set(zip(pairs["first"], pairs["second"], pairs["kind"], strict=True))


@pytest.mark.parametrize("copy", COPIES)
def test_every_copy_is_found_with_its_kind_and_nothing_else(copy):
    change, kind = COPIES[copy]
    images = scenes(30)
    both = np.concatenate([images, np.stack([change(image) for image in images])])
    assert as_set(found(both)) == {(row, row + 30, kind) for row in range(30)}


@pytest.mark.parametrize("fill", ["roll", "edge", "black"])
@pytest.mark.parametrize("direction", SHIFTS)
def test_a_shift_by_two_pixels_of_128_is_found(direction, fill):
    images = scenes(20, size=128)
    copies = np.stack([encoded(moved(image, *SHIFTS[direction], fill)) for image in images])
    both = np.concatenate([images, copies])
    assert as_set(found(both)) == {(row, row + 20, "near") for row in range(20)}


@pytest.mark.parametrize(("height", "width"), [(32, 32), (48, 64), (100, 80), (200, 200)])
def test_any_size_of_image_will_do(height, width):
    images = scenes(6, size=200)
    resized = [Image.fromarray(image).resize((width, height)) for image in images]
    images = np.stack([np.asarray(image) for image in resized])
    both = np.concatenate([images, images[:, :, ::-1]])
    assert as_set(found(both)) == {(row, row + 6, "mirrored") for row in range(6)}


def test_different_images_are_no_pairs():
    assert found(scenes(300)).empty


@pytest.mark.parametrize("count", [0, 1])
def test_fewer_than_two_images_have_no_pairs(count):
    pairs = found(scenes(2)[:count])
    assert pairs.empty
    assert list(pairs) == ["first", "second", "kind", "bits", "correlation"]
    assert clusters(count, pairs).tolist() == [-1] * count


def test_bits_and_correlation_are_what_they_say():
    images = scenes(1)
    both = np.concatenate([images, encoded(images[0], 20)[None]])
    pair = found(both).iloc[0]
    words = perceptual_hash(both)
    details = read_details(ShardedImages([both]))[:, 3:-3, 3:-3].reshape(2, -1)
    assert pair["bits"] == np.bitwise_count(words[0] ^ words[1]).sum()
    assert pair["correlation"] == pytest.approx(np.corrcoef(details)[0, 1], abs=0.01)


def test_the_partial_correlation_agrees_with_a_regression_on_the_slopes():
    from debias.ingesting.lookalikes import partial, products

    a, b = read_details(ShardedImages([scenes(2)]))
    b = (0.8 * a + 0.3 * b).astype(np.int8)
    slopes = [np.gradient(a.astype(float) + b, axis=axis) for axis in (1, 0)]
    y, x = np.mgrid[:32, :32] - 15.5
    turn, zoom = slopes[0] * y - slopes[1] * x, slopes[0] * x + slopes[1] * y
    inner = np.stack([np.ones((32, 32)), *slopes, turn, zoom, a, b])[:, 3:-3, 3:-3]
    given, pictures = inner[:5].reshape(5, -1).T, inner[5:].reshape(2, -1).T
    left = pictures - given @ np.linalg.lstsq(given, pictures, rcond=None)[0]
    expected = left[:, 0] @ left[:, 1] / np.sqrt((left**2).sum(axis=0).prod())
    assert partial(products(a, b)) == pytest.approx(expected, abs=1e-9)
    assert partial(products(b, a)) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 2**16))
def test_the_order_of_the_rows_makes_no_difference(seed):
    images = scenes(40)
    images = np.concatenate([images, images[:12], images[5:15, :, ::-1], images[8:10]])
    order = np.random.default_rng(seed).permutation(len(images))
    pairs = found(images[order])
    back = np.sort(order[pairs[["first", "second"]].to_numpy()], axis=1)
    turned = set(zip(*back.T.tolist(), pairs["kind"], strict=True))
    assert turned == as_set(found(images))
    assert pairs[["first", "second"]].apply(tuple, axis=1).is_monotonic_increasing


def test_several_shards_are_one_set_of_images():
    images = np.concatenate([scenes(9), scenes(9)[::-1, :, ::-1]])
    split = near_pairs(ShardedImages([images[:5], images[5:]]), perceptual_hash(images))
    pd.testing.assert_frame_equal(split, found(images))


def test_many_images_of_one_object_are_one_cluster_with_few_pairs():
    images = np.repeat(scenes(2), [1500, 1], axis=0)
    pairs = found(images)
    assert len(pairs) <= 16 * len(images)
    np.testing.assert_array_equal(clusters(1501, pairs), np.repeat([0, -1], [1500, 1]))


def test_blank_images_are_copies_of_each_other_and_of_nothing_else():
    blank = np.stack([np.full((64, 64, 3), level, dtype=np.uint8) for level in (0, 9, 255)])
    assert {pair[:2] for pair in as_set(found(np.concatenate([blank, scenes(5)])))} == {
        (0, 1),
        (0, 2),
        (1, 2),
    }


def test_progress_adds_up_to_the_number_of_images():
    told = []
    found(scenes(600, size=32), advance=told.append)
    assert sum(told) == 600
    assert len(told) > 1


def test_hashes_of_another_number_are_refused():
    with pytest.raises(ValueError, match=r"\(3, 2\) rows"):
        near_pairs(ShardedImages([scenes(3)]), perceptual_hash(scenes(2)))


def test_planted_hashes_are_found_among_many():
    """One bit in five differs, in hashes of 6,000 images."""
    from debias.ingesting.lookalikes import Images, find, sums

    generator = np.random.default_rng(0)
    count, planted = 6_000, 200
    bits = generator.random((count, 256)) < 0.5
    bits[:, :64] = bits[:, :1]  # correlated, as those of faces are
    details = generator.integers(-9, 9, (count, 32, 32), dtype=np.int8)
    rows = generator.permutation(count)[: 2 * planted].reshape(2, planted)
    bits[rows[1]] = bits[rows[0]]
    bits[rows[1], 100:150] ^= True
    details[rows[1]] = details[rows[0]]
    words = np.packbits(bits, axis=1).view(">u8").astype(np.uint64).T.copy()
    images = Images(words, details, *sums(details))
    number, which, correlation = find(images, (0, count), (80, 0.92))
    assert number.sum() == planted
    second = np.flatnonzero(number)
    pairs = set(zip(which[second, 0, 0].tolist(), second.tolist(), strict=True))
    assert pairs == set(map(tuple, np.sort(rows.T, axis=1).tolist()))
    assert (which[second, 0, 2] == 50).all()
    np.testing.assert_allclose(correlation[second, 0], 1.0)


@pytest.mark.parametrize("different", [1, 500])
def test_memory_does_not_grow_with_the_number_of_pairs(different):
    images = np.concatenate(
        [np.repeat(scenes(1, size=32), 4000, axis=0), scenes(different, size=32, seed=1)]
    )
    found(images[:200])  # compile
    tracemalloc.start()
    pairs = found(images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(pairs) == 16 * 4000 - 16 * 17 // 2
    assert peak < 40 * 2**20  # of all 8,000,000 pairs, 5 bytes each


def test_each_copy_is_paired_with_the_first_of_its_content():
    pairs = exact_pairs(np.array(["b", "a", "", "a", "b", "c", "a", ""]))
    assert pairs[["first", "second"]].to_numpy().tolist() == [[0, 4], [1, 3], [1, 6]]
    assert set(pairs["kind"]) == {"exact"}
    assert (pairs["bits"] == 0).all()
    assert (pairs["correlation"] == 1.0).all()


@pytest.mark.parametrize("content", [[], ["a"], ["", ""], ["a", "b"]])
def test_contents_without_copies_have_no_pairs(content):
    pairs = exact_pairs(np.array(content, dtype=object))
    assert list(pairs) == ["first", "second", "kind", "bits", "correlation"]
    assert pairs.empty


def table(*pairs):
    return pd.DataFrame(pairs, columns=["first", "second"])


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([], [-1, -1, -1, -1, -1, -1]),
        ([(4, 5)], [-1, -1, -1, -1, 0, 0]),
        ([(3, 5), (0, 2)], [0, -1, 0, 1, -1, 1]),
        ([(1, 4), (4, 5), (0, 3)], [0, 1, -1, 0, 1, 1]),
    ],
)
def test_clusters_are_chains_of_pairs_numbered_by_their_first_row(pairs, expected):
    np.testing.assert_array_equal(clusters(6, table(*pairs)), expected)


def test_a_conflict_names_the_columns_in_which_both_say_something_else():
    samples = pd.DataFrame(
        {
            "age": [20, 20, 21, None, 20],
            "perceived_gender": ["female", "male", "female", "", "unknown"],
            "note": ["x", " x ", None, "y", "x"],
        }
    )
    pairs = table((0, 1), (0, 2), (1, 2), (0, 3), (1, 4))
    columns = ["age", "perceived_gender", "note"]
    named = conflicts(samples, pairs, columns)
    expected = ["perceived_gender", "age", "age, perceived_gender", "note", ""]
    assert named["conflict"].tolist() == expected
    assert "conflict" not in pairs
    assert conflicts(samples, pairs, [])["conflict"].tolist() == [""] * 5
    assert conflicts(samples, pairs[:0], columns)["conflict"].tolist() == []


def copies():
    return pd.DataFrame(
        {
            "sample_id": ["d", "b", "a", "c", "e", "f"],
            "path": ["/d", "/b", "/a", "/c", "/e", "/f"],
            "sha256": ["1", "1", "2", "1", "", ""],
            "race": ["x", "y", "x", "x", "x", "x"],
            "age": [1, 1, 2, 1, 3, 3],
        },
        index=[3, 3, 4, 4, 9, 9],  # of no meaning
    )


def test_the_first_of_equal_files_by_its_id_stays():
    kept, rejected = kept_rows(copies(), ["race", "age"])
    assert copies()["sample_id"][kept].tolist() == ["b", "a", "e", "f"]
    assert [record.sample_id for record in rejected] == ["c", "d"]
    assert {record.reason for record in rejected} == {"exact duplicate"}
    assert rejected[0].detail == "same content as b, but they disagree on race"
    assert (rejected[0].path, rejected[0].sha256) == ("/c", "1")
    assert kept_rows(copies())[1][0].detail == "same content as b"


def test_of_equal_files_the_one_in_the_test_stays():
    samples = copies().assign(split=["test", "train", "train", "test", "train", "train"])
    kept, rejected = kept_rows(samples)
    assert samples["sample_id"][kept].tolist() == ["a", "c", "e", "f"]
    assert [record.detail for record in rejected] == ["same content as c"] * 2


@settings(max_examples=30, deadline=None)
@given(order=st.permutations(range(6)), with_split=st.booleans())
def test_what_stays_does_not_depend_on_the_order(order, with_split):
    samples = copies()
    if with_split:
        samples = samples.assign(split=["test", "train", "test", "test", "train", "train"])
    kept, rejected = kept_rows(samples, ["race"])
    turned = samples.iloc[list(order)]
    kept_turned, rejected_turned = kept_rows(turned, ["race"])
    assert set(turned["sample_id"][kept_turned]) == set(samples["sample_id"][kept])
    assert rejected_turned == rejected


@pytest.mark.skipif(
    not FACES.is_dir(), reason="UTKFace is not here; name its folder in the variable UTKFACE"
)
def test_planted_copies_are_all_found_among_real_faces():
    """Few pairs that nobody planted: UTKFace holds some photographs twice."""
    files = sorted(FACES.glob("*.jpg"))[::6]
    faces = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    rows = np.random.default_rng(0).choice(len(faces), 25, replace=False)
    changes = [encoded, lambda image: image[:, ::-1]]
    changes += [
        lambda image, by=by, fill=fill: encoded(moved(image, *by, fill))
        for by in SHIFTS.values()
        for fill in ("roll", "edge", "black")
    ]
    planted = [change(faces[row]) for change in changes for row in rows]
    images = np.concatenate([faces, np.stack(planted)])
    pairs = found(np.stack([np.asarray(Image.fromarray(image).reduce(2)) for image in images]))
    ends = set(map(tuple, pairs[["first", "second"]].to_numpy().tolist()))
    expected = {
        (int(row), len(faces) + 25 * kind + place)
        for kind in range(len(changes))
        for place, row in enumerate(rows)
    }
    assert not expected - ends
    among_originals = pairs["second"] < len(faces)
    assert among_originals.sum() <= 10

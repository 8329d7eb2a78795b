"""Tables that are joined by the names that both hold, and never by chance in order."""

import numpy as np
import pandas as pd
import pytest

from debias.errors import DataError
from debias.storage.joining import join

NAMES = [f"set{n % 2}/{n:05d}.png" for n in range(200)]
ORDER = np.random.default_rng(0).permutation(200)


def table(change=str, column="filename", order=ORDER, **more):
    """The same 200 images in another order, their names written otherwise."""
    names = [change(NAMES[row]) for row in order]
    return pd.DataFrame({column: names, "race": [f"r{row}" for row in order], **more})


SAMPLES = pd.DataFrame({"path": NAMES})


@pytest.mark.parametrize(
    ("change", "way"),
    [
        (str, "(filename = path)"),
        (lambda name: f" {name} ", "(filename = path)"),
        (lambda name: f"/data/all/{name}", "the last 2 steps"),
        (lambda name: "C:\\img\\" + name.replace("/", "\\"), "the last 2 steps"),
        (lambda name: f"./{name}", "the last 2 steps"),
        (lambda name: name[:-4], "the last 2 steps of the path without its ending"),
        (lambda name: name.replace(".png", ".JPG"), "without its ending"),
        (lambda name: f"https://x.org/img/{name}?w=300#top", "the last 2 steps of the path)"),
        (lambda name: f"file:///home/me/img/{name}", "the last 2 steps of the path)"),
        (lambda name: name[5:] + "?x=1", "the name of the file)"),
        (lambda name: name.replace("/", "%2F"), "the last 2 steps of the path)"),
        (lambda name: name[5:-4], "the name of the file without its ending"),
    ],
)
def test_names_are_matched_however_they_are_written(change, way):
    found = join(SAMPLES, table(change))
    assert (ORDER[found.rows] == np.arange(200)).all()
    assert found.unused == 0
    assert "200 of 200 rows joined with 200 of 200" in found.sentence
    assert way in found.sentence


@pytest.mark.parametrize(
    "column", ["image_id", "Image", "file_name", "img_name", "sample_id", "unnamed_0", "ID"]
)
def test_a_column_of_names_is_known_by_its_name_or_by_what_it_holds(column):
    assert (ORDER[join(SAMPLES, table(column=column)).rows] == np.arange(200)).all()


def test_files_count_before_numbers_of_rows():
    samples = SAMPLES.assign(id=np.arange(200))
    found = join(samples, table(id=np.arange(200)))
    assert (ORDER[found.rows] == np.arange(200)).all()


def test_numbers_that_only_count_rows_do_not_match_in_part():
    samples, others = pd.DataFrame({"id": range(200)}), pd.DataFrame({"id": range(1, 201)})
    message = "numbers go from 0 to 199 in a and 1 to 200 in b: they may count .* with --by-order"
    with pytest.raises(DataError, match=message):
        join(samples, others, called=("a", "b"))
    rows = join(samples, pd.DataFrame({"id": range(199, -1, -1)})).rows
    assert rows.tolist() == list(range(199, -1, -1))


def test_numbers_of_files_that_are_counted_otherwise_are_not_joined():
    files = pd.DataFrame({"path": [f"{n}.jpg" for n in range(120)]})

    def ids(first, last):
        return pd.DataFrame({"id": range(first, last)})

    with pytest.raises(DataError, match="0 to 119 in the samples and 1 to 120 in the table"):
        join(files, ids(1, 121))  # 119 of 120 match
    with pytest.raises(DataError, match="0 to 119 in the samples and 1 to 119 in the table"):
        join(files, ids(1, 120))
    assert join(files, ids(0, 120)[::-1]).rows.tolist() == [*range(119, -1, -1)]
    assert join(files, ids(0, 60), allow_unjoined=1.0).rows.max() == 59  # some are annotated
    named = pd.DataFrame({"path": [f"{n}.jpg" for n in range(1, 121)]})
    assert join(files, named).rows[:2].tolist() == [-1, 0]
    with pytest.raises(
        DataError, match=r"'set0/00000\.png' and '0' .* zeros in front, which a spr"
    ):
        join(SAMPLES, ids(0, 200))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("ffhq/{:05d}.png", "celeba/{:05d}.jpg"), ("ffhq/{:05d}.jpg", "celeba/{:05d}.jpg"),
        ("{:05d}.png", "{:05d}.jpg"), ("a/img_{:04d}.jpg", "b/img_{:04d}.jpg"),
        ("C:\\a\\{:d}.png", "https://b.org/b/{:d}.png?x=1"),
    ],
)  # fmt: skip
def test_images_of_which_only_the_number_agrees_are_others(left, right):
    samples, others = (
        pd.DataFrame({"path": [form.format(n) for n in range(50)]}) for form in (left, right)
    )
    with pytest.raises(DataError, match=r"nothing agrees but the number.*say so with --by-order"):
        join(samples, others)
    assert join(samples, others, by_order=True).rows.tolist() == [*range(50)]


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("ffhq/{:05d}.png", "{:05d}.png"), ("ffhq/{:05d}.png", "x/FFHQ/{:05d}.jpg"),
        ("ffhq/{:05d}.png", "{:05d}"), ("{:05d}.jpeg", "{:05d}.JPG"),
        ("a/Ann_{:04d}.png", "x/a/Ann_{:04d}.jpg"),
    ],
)  # fmt: skip
def test_a_number_with_something_beside_it_or_nothing_against_it_is_a_name(left, right):
    samples, others = (
        pd.DataFrame({"path": [form.format(n) for n in range(50)]}) for form in (left, right)
    )
    assert join(samples, others[::-1]).rows.tolist() == [*range(49, -1, -1)]


def test_files_of_one_name_in_other_folders_are_others():
    samples, others = (
        pd.DataFrame({"path": [f"{site}/ann_{n}_a.jpg" for n in range(50)]})
        for site in ("siteA", "siteB")
    )
    message = r"'siteA/ann_0_a\.jpg' and 'siteB/.*' would be joined, but their folders differ"
    with pytest.raises(DataError, match=message):
        join(samples, others)
    bare = others.assign(path=[name[6:] for name in others["path"]])
    assert join(samples, bare[::-1]).rows.tolist() == [*range(49, -1, -1)]
    assert join(samples, others, by_order=True).rows.tolist() == [*range(50)]


@pytest.mark.parametrize(("column", "first"), [("index", 0), ("id", 1), ("ID", 1)])
def test_numbers_of_the_rows_are_no_names_where_files_are_named(column, first):
    counts = pd.DataFrame({column: range(first, first + 200)})
    named = table(lambda name: f"{name[:-4]}_a.png")[["filename"]].assign(id=counts[column])
    with pytest.raises(DataError, match=r"may only count the rows.*'filename'.*with --by-order"):
        join(counts, named)
    assert join(counts, named, by_order=True).rows.tolist() == [*range(200)]
    assert join(counts, named[["id"]]).rows.tolist() == [*range(200)]


def test_columns_of_files_that_match_in_part_are_not_overruled_by_numbers():
    samples = SAMPLES.assign(id=np.arange(200))
    lost = table(id=np.arange(200))
    lost.loc[:9, "filename"] = [f"lost/{n}x.png" for n in range(10)]
    with pytest.raises(DataError, match=r"190 of 200 rows joined .*filename = path.*5\.0%"):
        join(samples, lost)
    with pytest.raises(DataError, match="in another order: leave it out"):
        join(samples, lost, by_order=True)
    ids = np.random.default_rng(1).permutation(200) + 7
    both = r"'id' and 'id' have names in common, and so have 'path' and 'filename', but they join"
    with pytest.raises(DataError, match=both):
        join(samples.assign(id=ids), lost.assign(id=ids))


@pytest.mark.parametrize("column", ["frame", "unnamed_0"])
@pytest.mark.parametrize("asked", [{}, {"nameless": True}])
def test_a_column_that_both_have_is_a_name_and_order_against_it_refused(column, asked):
    samples, others = pd.DataFrame({column: range(200)}), pd.DataFrame({column: ORDER})
    assert (ORDER[join(samples, others, **asked).rows] == np.arange(200)).all()
    with pytest.raises(DataError, match="in another order: leave it out"):
        join(samples, others, by_order=True)
    twice = samples // 2
    with pytest.raises(DataError, match="no names in common"):
        join(twice, twice)
    assert join(twice, twice, nameless=True).rows.tolist() == [*range(200)]
    with pytest.raises(DataError, match="no names in common"):
        join(samples, samples)  # which only count the rows


def test_without_names_in_common_order_must_be_asked_for():
    strange = table(lambda name: f"x{name[5:]}")
    message = r"a has names such as 'set0/00000.png' \(path\).*say so with --by-order"
    with pytest.raises(DataError, match=message):
        join(SAMPLES, strange, called=("a", "b"))
    with pytest.raises(DataError, match="has no column of names"):
        join(SAMPLES, strange[["race"]])
    found = join(SAMPLES, strange, by_order=True)
    assert found.rows.tolist() == list(range(200))
    assert "by the order of the rows" in found.sentence
    with pytest.raises(DataError, match="with 200 and 199 rows they cannot be joined by order"):
        join(SAMPLES, strange[1:])
    with pytest.raises(DataError, match="as many rows in the table as in the samples, got 199"):
        join(SAMPLES, strange[1:], by_order=True)


def test_order_against_the_names_is_refused():
    with pytest.raises(DataError, match="stand in another order: leave it out"):
        join(SAMPLES, table(), by_order=True)
    found = join(SAMPLES, table(order=np.arange(200)), by_order=True)
    assert found.rows.tolist() == list(range(200))


def test_names_that_stand_for_several_rows_are_refused():
    twice = pd.concat([table(), table()[:1]])
    first = NAMES[ORDER[0]]
    with pytest.raises(DataError, match=f"'{first}' stands for several rows of the table"):
        join(SAMPLES, twice)
    samples = pd.DataFrame({"path": ["a/1.png", "b/1.png", "a/2.png"]})
    others = pd.DataFrame({"file": ["1.png", "2.png"]})
    with pytest.raises(DataError, match=r"'1\.png' stands for several rows of the samples"):
        join(samples, others, allow_unjoined=1.0)


def test_images_of_other_splits_are_others_though_their_files_are_called_alike():
    names = [f"{n:04d}.jpg" for n in range(200)]
    samples = pd.DataFrame({"path": [f"val/{name}" for name in names]})
    with pytest.raises(DataError, match=r"'val/0000\.jpg' and 'x.*train_2/0000.jpg' would be"):
        join(samples, pd.DataFrame({"path": [f"x\\train_2/{name}" for name in names]}))
    found = join(samples, pd.DataFrame({"path": [f"Validation/{name}" for name in names]}))
    assert found.rows.tolist() == list(range(200))


def test_columns_that_contradict_each_other_are_refused():
    samples = SAMPLES.assign(image=[f"i{n}.jpg" for n in range(200)])
    others = table(image=[f"i{n}.jpg" for n in range(200)])
    with pytest.raises(DataError, match=r"columns .* but they join other rows"):
        join(samples, others)


def test_what_has_no_partner_is_counted_and_stops_above_one_percent():
    found = join(SAMPLES, table()[2:])
    lost = sorted(NAMES[row] for row in ORDER[:2])
    assert (found.rows < 0).sum() == 2
    assert f"2 of the samples without a partner, first {lost[0]}" in found.sentence
    found = join(SAMPLES[:199], table())
    assert found.unused == 1
    assert f"1 of the table without a partner, first {NAMES[199]}" in found.sentence
    message = r"3 of the samples without .* That is 1\.5% .* more than 1%.*--allow-unjoined 0\.02"
    with pytest.raises(DataError, match=message):
        join(SAMPLES, table()[3:])
    assert (join(SAMPLES, table()[3:], allow_unjoined=0.02).rows < 0).sum() == 3


def test_letters_may_be_composed_or_not():
    samples, others = (
        pd.DataFrame({"path": [f"{accent}{n}.jpg" for n in range(9)]})
        for accent in ("é", "e\u0301")
    )
    assert join(samples, others[::-1]).rows.tolist() == [*range(8, -1, -1)]


def test_missing_names_join_nothing():
    samples = pd.DataFrame({"path": [None, "a.png", ""]})
    found = join(samples, pd.DataFrame({"path": ["", "a.png", None]}), allow_unjoined=1.0)
    assert found.rows.tolist() == [-1, 1, -1]


def test_numbers_with_leading_zeros_are_names():
    samples = pd.DataFrame({"path": [f"{n:06d}.jpg" for n in range(300)]})
    others = pd.DataFrame({"image_id": [f"{n:06d}" for n in range(299, 0, -1)]})
    assert join(samples, others).rows.tolist() == [-1, *range(298, -1, -1)]


def test_names_of_any_marks_pass_through_messages():
    samples = pd.DataFrame({"path": ["{0}\x1b.png", "{1}.png"]})
    with pytest.raises(DataError, match="stands for several rows") as error:
        join(samples, pd.DataFrame({"path": ["{0}\x1b.png"] * 2}))
    assert str(error.value).isprintable()

"""Files of embeddings and encoders of the user's: what is read, what is refused and how."""

import csv
import json
import pickle
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from debias.errors import DataError
from debias.models import Embeddings, Encoder
from debias.storage.embeddings import read_embeddings

VALUES = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
IDS = np.array(list("fbdace"))
CPU = torch.device("cpu")


def table(**columns) -> pd.DataFrame:
    return pd.DataFrame(
        {"sample_id": IDS} | dict(zip(("e0", "e1", "e2"), VALUES.T, strict=True)) | columns
    )


def as_npy(folder: Path) -> dict[str, Path]:
    np.save(folder / "e.npy", VALUES)
    (folder / "ids.txt").write_text("\n".join(IDS) + "\n")
    return {"file": folder / "e.npy", "ids": folder / "ids.txt"}


def as_npy_with_npy_ids(folder: Path) -> dict[str, Path]:
    np.save(folder / "ids.npy", IDS)
    return as_npy(folder) | {"ids": folder / "ids.npy"}


def as_npz(folder: Path) -> dict[str, Path]:
    np.savez(folder / "e.npz", ids=IDS, embeddings=VALUES)
    return {"file": folder / "e.npz"}


def as_csv(folder: Path) -> dict[str, Path]:
    table(name="n", age=range(6)).to_csv(folder / "e.csv", index=False)
    return {"file": folder / "e.csv"}


def as_parquet(folder: Path) -> dict[str, Path]:
    table(name="n", age=range(6), glasses=True).to_parquet(folder / "e.parquet")
    return {"file": folder / "e.parquet"}


def as_lists(folder: Path) -> dict[str, Path]:
    frame = pd.DataFrame({"sample_id": IDS, "vector": list(VALUES), "score": np.arange(6.0)})
    frame.to_parquet(folder / "e.parquet")
    return {"file": folder / "e.parquet"}


FORMS = [as_npy, as_npy_with_npy_ids, as_npz, as_csv, as_parquet, as_lists]


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_rows_to_the_same_samples(tmp_path, form):
    index = Embeddings(**form(tmp_path)).open(CPU)
    samples = pd.DataFrame({"sample_id": list("abcd")})
    order = [list(IDS).index(name) for name in "abcd"]
    np.testing.assert_allclose(index.find(samples), VALUES[order], rtol=1e-6)
    np.testing.assert_allclose(index.find(samples[::-1]), VALUES[order[::-1]], rtol=1e-6)


def test_an_array_is_mapped_and_not_read(tmp_path):
    found = read_embeddings(as_npy(tmp_path)["file"])
    assert isinstance(found.values, np.memmap)
    assert found.ids is None
    assert found.columns.shape == (6, 0)


def test_columns_are_dimensions_by_their_names_and_not_by_their_numbers(tmp_path):
    found = read_embeddings(as_csv(tmp_path)["file"])
    assert found.values.shape == (6, 3)
    assert found.dimensions == ("e0", "e1", "e2")
    assert list(found.columns) == ["name", "age"]
    assert found.columns["age"].tolist() == list(range(6))
    whole = table(age=np.linspace(0.5, 1, 6))  # fractions beside whole numbers are no dimension
    for name in ("e0", "e1", "e2"):
        whole[name] = range(6)
    whole.to_csv(tmp_path / "i.csv", index=False)
    whole = read_embeddings(tmp_path / "i.csv")
    assert whole.values.dtype == np.float64
    assert whole.values.tolist() == [[row] * 3 for row in range(6)]


def test_dimensions_are_in_the_order_of_their_numbers(tmp_path):
    names = [f"d{number}" for number in range(12)]
    frame = pd.DataFrame({name: [float(number)] for number, name in enumerate(names)})
    frame[sorted(names)].assign(year=2020).to_csv(tmp_path / "e.csv", index=False)
    assert read_embeddings(tmp_path / "e.csv").values.tolist() == [[*map(float, range(12))]]


@pytest.mark.parametrize(
    ("asked", "taken"),
    [
        (["x", "y"], ["x", "y"]),
        (["a0-a1", "y"], ["a0", "a1", "y"]),
        (["a*"], ["a0", "a1", "a2"]),
        (["b*", "b1"], ["b0", "b1"]),
    ],
)
def test_dimensions_may_be_named(tmp_path, asked, taken):
    frame = pd.DataFrame({name: [0.5, 1.5] for name in ("x", "y", "a0", "a1", "a2", "b0", "b1")})
    frame.to_parquet(tmp_path / "e.parquet")
    found = read_embeddings(tmp_path / "e.parquet", columns=asked)
    assert list(found.dimensions) == taken


def test_named_columns_stay_beside_the_embedding(tmp_path):
    table(e3=np.linspace(0, 1, 6)).to_csv(tmp_path / "e.csv", index=False)
    assert read_embeddings(tmp_path / "e.csv").values.shape == (6, 4)
    found = read_embeddings(tmp_path / "e.csv", beside=["e3"])
    assert found.values.shape == (6, 3)
    assert list(found.columns) == ["e3"]


def test_ids_keep_their_leading_zeros(tmp_path):
    (tmp_path / "e.csv").write_text("sample_id,x0\n007,0.5\n7,0.25\n")
    assert read_embeddings(tmp_path / "e.csv").ids.tolist() == ["007", "7"]


LISTS = [list(map(float, row)) for row in VALUES]
WRITTEN = {  # ways in which tables hold the same list in a cell
    "lists": lambda row: row,
    "arrays": lambda row: np.float32(row),
    "nested": lambda row: [row],
    "structures": lambda row: {"vector": row},
    "of a face": lambda row: {"embedding": row, "facial_area": {"x": 1, "left_eye": [3, 4]}},
    "of the faces": lambda row: [{"embedding": row, "face_confidence": 0.9}],
    "text": str,
    "text of an array": lambda row: str(np.array(row)),
    "text of a long array": lambda row: repr(np.array(row)).replace(", ", ",\n "),
    "text of numbers of NumPy": lambda row: repr([np.float32(value) for value in row]),
    "text of a tensor": lambda row: f"tensor({row}, dtype=torch.float64)",
    "blanks": lambda row: " ".join(map(str, row)),
    "commas": lambda row: ",".join(map(str, row)),
    "JSON": lambda row: json.dumps([{"embedding": row, "region": [1, 2, 3, 4]}]),
}


@pytest.mark.parametrize("written", WRITTEN.values(), ids=WRITTEN)
@pytest.mark.parametrize("kind", ["parquet", "csv", "tsv", "jsonl"])
def test_a_list_is_found_however_it_is_written_and_wherever_rows_are_empty(tmp_path, written, kind):
    cells = [None if row in (0, 4) else written(LISTS[row]) for row in range(6)]
    table = pd.DataFrame({"sample_id": IDS, "face": cells, "smile": [0, 1] * 3, "score": 0.5})
    table["bbox"] = [[1.5, 2.5, 30.0, 40.0]] * 6
    if kind == "parquet":
        table.to_parquet(tmp_path / "e.parquet")
    elif kind == "jsonl":
        as_json = table.assign(face=[c.tolist() if hasattr(c, "tolist") else c for c in cells])
        as_json.to_json(tmp_path / "e.jsonl", orient="records", lines=True, double_precision=15)
    else:
        table.to_csv(tmp_path / f"e.{kind}", index=False, sep="," if kind == "csv" else "\t")
    found = read_embeddings(tmp_path / f"e.{kind}")
    assert found.missing.tolist() == [True, False, False, False, True, False]
    np.testing.assert_allclose(found.values[~found.missing], VALUES[[1, 2, 3, 5]], rtol=1e-6)
    assert np.isnan(found.values[found.missing]).all()
    assert found.ids.tolist() == IDS.tolist()
    assert found.sentence == (
        "Dimensions: the 3 numbers in face, 1 of 4 columns. No dimensions: smile (no list), score "
        "(a score), bbox (a place in the picture)."
    )
    kept = found.without_missing()
    assert kept.ids.tolist() == list("bdae")
    assert kept.columns["smile"].tolist() == [1, 0, 1, 1]
    assert not kept.missing.any()


def test_arrays_in_a_file_are_told_apart_by_name_and_width(tmp_path):
    wide = np.random.default_rng(0).normal(size=(6, 1, 40))
    boxes, names = np.ones((6, 30)), np.array([f"{row}.jpg" for row in range(6)])
    np.savez(tmp_path / "e.npz", vectors=wide, bbox=boxes, points=np.ones((6, 5, 2)), path=names)
    found = read_embeddings(tmp_path / "e.npz")
    np.testing.assert_array_equal(found.values, wide[:, 0])
    assert found.ids.tolist() == names.tolist()
    assert read_embeddings(tmp_path / "e.npz", columns=["bbox"]).values.shape == (6, 30)
    np.savez(tmp_path / "e.npz", one=wide, two=wide)
    with pytest.raises(DataError, match=r"'one' \(40 dimensions\) and 'two' \(40\)"):
        read_embeddings(tmp_path / "e.npz")
    assert read_embeddings(tmp_path / "e.npz", beside=["one"]).dimensions == ("two",)
    np.save(tmp_path / "e.npy", VALUES[:, None, :, None])
    np.testing.assert_array_equal(read_embeddings(tmp_path / "e.npy").values, VALUES)


TABLE = pd.DataFrame(
    {"path": [f"{name}.jpg" for name in IDS]} | {f"e{i}": VALUES[:, i] for i in range(3)}
)


@pytest.mark.parametrize("extra", ["separators at the ends", "names of rows"])
def test_lines_with_one_field_more_than_the_header_are_not_moved_by_one(tmp_path, extra):
    table = TABLE.assign(label=[0, 1] * 3)
    header, *lines = table.to_csv(index=False, quoting=csv.QUOTE_NONNUMERIC).splitlines()
    if extra == "names of rows":  # as R writes them
        lines = [f'"r{row}",{line}' for row, line in enumerate(lines)]
    else:
        lines = [f"{line}," for line in lines]
    (tmp_path / "e.csv").write_text("\n".join([header, *lines]) + "\n")
    found = read_embeddings(tmp_path / "e.csv")
    np.testing.assert_allclose(found.values, VALUES, rtol=1e-6)
    assert found.columns["label"].tolist() == [0, 1] * 3
    assert found.ids[0] == "f.jpg"


def test_numbers_with_a_decimal_comma_and_words_for_none_are_numbers(tmp_path):
    """A first row without any fraction, as of a picture without a face, decides nothing."""
    frame = TABLE.assign(group="NA").astype(object)
    frame.loc[0, ["e0", "e1", "e2"]] = 0
    for mark, name in (("\t", "e.tsv"), (";", "e.csv")):
        frame.to_csv(tmp_path / name, sep=mark, index=False, decimal=",", encoding="utf-16")
        found = read_embeddings(tmp_path / name)
        np.testing.assert_allclose(found.values[1:], VALUES[1:], rtol=1e-6)
        assert found.values[0].tolist() == [0, 0, 0]
        assert found.columns["group"].tolist() == ["NA"] * 6
    frame.loc[0, ["e0", "e1", "e2"]] = "NA"  # R's
    frame.to_csv(tmp_path / "e.csv", index=False)
    assert read_embeddings(tmp_path / "e.csv").missing.tolist() == [True] + [False] * 5


@pytest.mark.parametrize(
    "form", ["{:.4f};{:.4f};{:.4f}", "{:.4f} {:.4f}  {:.4f}", "[{:.4f}; {:.4f}; {:.4f}]"]
)
def test_a_decimal_comma_in_a_list_is_none_between_numbers(tmp_path, form):
    texts = [form.format(*row).replace(".", ",") for row in VALUES]
    pd.DataFrame({"sample_id": IDS, "emb": texts}).to_csv(tmp_path / "e.csv", index=False)
    np.testing.assert_allclose(read_embeddings(tmp_path / "e.csv").values, VALUES, atol=1e-4)


def test_where_a_comma_may_be_either_no_number_is_cut(tmp_path):
    pd.DataFrame({"emb": ["0,05,0,10,-0,30"] * 6}).to_csv(tmp_path / "e.csv", index=False)
    with pytest.raises(DataError, match="its values are no lists of numbers, first '0,05,0,10"):
        read_embeddings(tmp_path / "e.csv")


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (np.full((60, 5), 0.2), "look like probabilities of classes"),
        (np.arange(300).reshape(60, 5), "look like counts"),
        (np.full((60, 4), -0.25), ""),
        (np.c_[np.linspace(-1, 1, 180).reshape(60, 3), np.arange(60)], "Number 4 of the 4 of each"),
    ],
)
def test_probabilities_counts_and_ages_are_named_as_such(tmp_path, values, told):
    pd.DataFrame({"output": list(values)}).to_parquet(tmp_path / "e.parquet")
    sentence = read_embeddings(tmp_path / "e.parquet").sentence
    assert told in sentence
    assert ("--columns names another" in sentence) == bool(told)


ANY = np.linspace(-1, 1, 60)
AGES = [*range(18, 78)]


@pytest.mark.parametrize(
    ("columns", "told"),
    [
        ({"smiling_v2": [0, 1] * 30}, "a single column of numbers"),
        ({"pred_0": ANY, "pred_1": -ANY}, "a label"),
        ({f"q{i}": np.roll([0, 1] * 30, i) for i in range(5)}, "few of them different"),
        ({"size": ["178, 218"] * 60}, "a place in the picture"),
        ({"date": ["2017 01 05"] * 60}, "a score"),
        ({"skin_rgb": ["(1, 2, 3)"] * 60}, "a picture"),
        ({f"Var{i}": ANY + i for i in range(1, 9)} | {"Var9": [0, 1] * 30}, "'Var9' among them"),
        ({f"V{i}": ANY + i for i in range(1, 9)} | {"V9": AGES}, "'V9' among them holds whole"),
        ({"lm_0": ANY, "lm_1": -ANY}, "a place in the picture"),
        ({"embedding": ["emb/1.npy"] * 60, "meta": [[0.5, 1.5, 2.5]] * 60}, "first 'emb/1.npy'"),
    ],
)
def test_labels_scores_and_the_like_are_no_embedding(tmp_path, columns, told):
    table = pd.DataFrame({"path": [f"{row}.jpg" for row in range(60)]} | columns)
    table.to_parquet(tmp_path / "e.parquet")
    with pytest.raises(DataError, match=told):
        read_embeddings(tmp_path / "e.parquet")


def test_whatever_lies_beside_an_embedding_does_not_stop_it(tmp_path):
    table = TABLE[["path"]].assign(image=[b"\xff\xd8" * 9] * 6, embedding=list(VALUES))
    table.to_parquet(tmp_path / "e.parquet")
    np.testing.assert_array_equal(read_embeddings(tmp_path / "e.parquet").values, VALUES)
    other = {"all_scores": np.ones((20, 2)), "labels": np.arange(20)}  # of other images
    np.savez(tmp_path / "e.npz", emb=VALUES, **other)
    found = read_embeddings(tmp_path / "e.npz")
    np.testing.assert_array_equal(found.values, VALUES)
    assert "labels" not in found.columns
    np.savez(tmp_path / "e.npz", labels=np.arange(20))
    with pytest.raises(DataError, match="does not look like embeddings"):
        read_embeddings(tmp_path / "e.npz")


def listed(values, **columns) -> pd.DataFrame:
    return pd.DataFrame({"sample_id": IDS, "vector": list(values), "age": range(6)} | columns)


RAGGED = [*LISTS[:5], LISTS[5][:2]]
CUT = [str(row).replace(", ", " ... ", 1) for row in LISTS]
NO_EMBEDDINGS = {
    "ragged": (listed(RAGGED), "its lists differ in length: 3 numbers in most rows, 2 in row 5"),
    "bytes": (listed([VALUES.tobytes()[:16]] * 6), "'vector' should be the embedding, but it holds "
              "16 bytes a row"),
    "cut by print": (listed(CUT), r"numbers were left out \('\.\.\.'\) when it was written"),
    "a box": (listed([[1.0, 2.0, 9.0, 9.0]] * 6), "'vector' looks like a bounding box"),
    "a named box": (listed(RAGGED).rename(columns={"vector": "face_box"}), "'face_box' looks like "
                    "a place in the picture"),
    "pixels": (listed(["1 2 3"] * 6).rename(columns={"vector": "pixels"}), "looks like a picture"),
    "classes": (pd.DataFrame({f"score_{n}": [0.5, 1.5] for n in range(9)}), "'score_0' to "
                "'score_8' looks like a score"),
    "a label alone": (pd.DataFrame({"label1": [0.5, 1.5]}), "'label1' looks like a label"),
    "lists and columns": (listed(LISTS, e0=1.5, e1=2.5), r"'vector' \(3 dimensions\) and 'e0' to "),
}  # fmt: skip


@pytest.mark.parametrize(("frame", "message"), NO_EMBEDDINGS.values(), ids=NO_EMBEDDINGS)
def test_what_looks_like_an_embedding_is_named_with_why_it_is_not_taken(tmp_path, frame, message):
    frame.to_parquet(tmp_path / "e.parquet")
    with pytest.raises(DataError, match=message) as raised:
        read_embeddings(tmp_path / "e.parquet")
    assert "--columns" in str(raised.value)


def test_what_is_named_is_taken_whatever_it_looks_like(tmp_path):
    frame = listed(LISTS, e0=1.5, e1=2.5, age1=3.0)
    frame.rename(columns={"vector": "face_box"}).to_parquet(tmp_path / "e.parquet")
    assert read_embeddings(tmp_path / "e.parquet").dimensions == ("e0", "e1")
    found = read_embeddings(tmp_path / "e.parquet", columns=["face_box"])
    np.testing.assert_allclose(found.values, VALUES)
    assert read_embeddings(tmp_path / "e.parquet", columns=["age*"]).values.shape == (6, 2)
    for refused, message in ((["e0", "face_box"], "holds lists"), (["e0", "age"], "cannot be a")):
        with pytest.raises(DataError, match=message):
            read_embeddings(tmp_path / "e.parquet", columns=refused, beside=["age"])


def test_annotations_are_no_dimensions_even_if_they_are_numbered_alike(tmp_path):
    table(e3=[0, 1] * 3, e4=np.arange(6.0)).to_csv(tmp_path / "e.csv", index=False)
    samples = pd.DataFrame({"sample_id": IDS})
    plain = Embeddings(file=tmp_path / "e.csv")
    blind = plain.blind_to(["e3", "e4", "skin"])
    assert plain.open(CPU).find(samples).shape == (6, 5)
    np.testing.assert_allclose(blind.open(CPU).find(samples), VALUES, rtol=1e-6)
    assert blind.open(CPU).sentence == "e.csv: Dimensions: e0 to e2, 3 of 3 columns."
    assert blind.identity() != plain.identity()
    with pytest.raises(DataError, match="'e3' cannot be a dimension and stand beside"):
        plain.model_copy(update={"columns": ("e*",)}).blind_to(["e3"]).open(CPU)


def test_names_of_rows_may_be_called_otherwise_and_semicolons_may_separate(tmp_path):
    frame = table().rename(columns={"sample_id": "filename"})
    frame.to_csv(tmp_path / "e.csv", index=False, sep=";")
    assert read_embeddings(tmp_path / "e.csv").ids.tolist() == IDS.tolist()
    frame.set_index("filename").rename_axis(None).to_parquet(tmp_path / "e.parquet")
    assert read_embeddings(tmp_path / "e.parquet").ids.tolist() == IDS.tolist()
    text = frame.assign(group="NA").to_csv(index=False, sep=";", decimal=",")
    (tmp_path / "e.csv").write_text(text)
    found = read_embeddings(tmp_path / "e.csv")
    np.testing.assert_allclose(found.values, VALUES, rtol=1e-6)
    assert found.columns["group"].tolist() == ["NA"] * 6


def test_half_precision_is_widened(tmp_path):
    np.save(tmp_path / "e.npy", VALUES.astype(np.float16))
    assert read_embeddings(tmp_path / "e.npy").values.dtype == np.float32


def test_other_arrays_of_an_archive_stand_beside(tmp_path):
    np.savez(tmp_path / "e.npz", z=VALUES, smiling=np.arange(6), note=np.arange(2))
    found = read_embeddings(tmp_path / "e.npz")
    assert found.values.shape == (6, 3)
    assert list(found.columns) == ["smiling"]


@pytest.mark.parametrize("ending", ["absolute", "relative", "name"])
def test_paths_in_a_file_find_images_below_any_root(tmp_path, ending):
    names = ["a/1.png", "a/2.png", "b/3.png"]
    stored = {
        "absolute": [f"/data/faces/{name}" for name in names],
        "relative": names,
        "name": [Path(name).name for name in names],
    }
    frame = pd.DataFrame({"path": stored[ending], "x0": [0.1, 0.2, 0.3]})
    frame.to_csv(tmp_path / "e.csv", index=False)
    samples = pd.DataFrame({"sample_id": list("321"), "path": stored["absolute"][::-1]})
    found = Embeddings(file=tmp_path / "e.csv").open(CPU).find(samples)
    np.testing.assert_allclose(found[:, 0], [0.3, 0.2, 0.1])


def test_an_ending_that_names_two_images_is_not_used(tmp_path):
    pd.DataFrame({"path": ["1.png"], "x0": [0.5]}).to_csv(tmp_path / "e.csv", index=False)
    samples = pd.DataFrame({"sample_id": list("ab"), "path": ["/f/a/1.png", "/f/b/1.png"]})
    with pytest.raises(DataError, match="no embedding for 2 of 2 samples"):
        Embeddings(file=tmp_path / "e.csv").open(CPU).find(samples)


def test_content_decides_the_identity_and_the_path_does_not(tmp_path):
    first = Embeddings(**as_npz(tmp_path)).identity()
    (tmp_path / "elsewhere.npz").write_bytes((tmp_path / "e.npz").read_bytes())
    assert Embeddings(file=tmp_path / "elsewhere.npz").identity() == first
    np.savez(tmp_path / "e.npz", ids=IDS, embeddings=VALUES + 1)
    assert Embeddings(file=tmp_path / "e.npz").identity() != first


def broken_csv(folder, text):
    (folder / "e.csv").write_text(text)
    return {"path": folder / "e.csv"}


def broken_npy(folder, array, **more):
    np.save(folder / "e.npy", array)
    return {"path": folder / "e.npy"} | more


BROKEN = {
    "missing": (lambda f: {"path": f / "no.npy"}, "do not exist"),
    "another kind": (lambda f: {"path": Path(__file__)}, "are read from .npy, "),
    "garbage": (lambda f: broken_csv(f, ""), "cannot be read as a table: Empty"),
    "no numbers": (lambda f: broken_csv(f, "sample_id,name\na,b\n"), "like embeddings: none"),
    "no header": (lambda f: broken_csv(f, "0.5,1.5\n0.1,0.2\n"), "names of columns are expected"),
    "no header, spaces": (lambda f: broken_csv(f, "0.5 1.5\n0.1 0.2\n"), "names of columns are"),
    "no header, whole": (lambda f: broken_csv(f, "7,0,9\n1,2,3\n"), "names of columns are"),
    "no header, names": (lambda f: broken_csv(f, "a,0.5,1.5\nb,0.1,0.2\n"), "names of columns are"),
    "repeated": (
        lambda f: broken_csv(f, "sample_id,x0\na,.5\na,.2\nb,.1\n"),
        r"an id stands for more than one row \(1 of them: a\)",
    ),
    "unnamed": (lambda f: broken_csv(f, "sample_id,x0\na,.5\n,.2\n"), "1 of 2 rows have no id"),
    "a word": (
        lambda f: broken_csv(f, "sample_id,x0,x1\na,.5,1.5\nb,.2,oops\nc,.1,2.5\n"),
        "1 of 3 values of column 'x1' are no numbers, first 'oops' in row 1",
    ),
    "predictions": (
        lambda f: broken_csv(f, "id,y,yhat,p,g,age\na,0,1,.5,w,30\nb,1,1,.7,m,40\n"),
        r"does not look like embeddings: none holds lists of numbers, or is numbered as e0, e1",
    ),
    "two families": (
        lambda f: broken_csv(f, "a0,a1,b0,b1\n.5,1.5,2,3\n"),
        r"several embeddings: 'a0' to 'a1' \(2 dimensions\) and 'b0' to 'b1' \(2\); name the",
    ),
    "a family of words and numbers": (
        lambda f: broken_csv(f, "a0,a1,a2\n.5,1.5,x\n.5,1.5,y\n"),
        "should be the embedding, but 2 of 2 values of column 'a2' are no numbers, first 'x'",
    ),
    "no such dimension": (
        lambda f: broken_csv(f, "a0,a1\n.5,1.5\n") | {"columns": ["b*"]},
        r"no column 'b\*'; columns: a0, a1",
    ),
    "dimensions of an array": (
        lambda f: broken_npy(f, VALUES, columns=["e0"]), "an array, which has no columns",
    ),
    "flat": (lambda f: broken_npy(f, np.zeros(4)), r"shape \(4,\); embeddings are"),
    "text": (lambda f: broken_npy(f, np.array([["a"]])), "embeddings are real numbers"),
    "too few ids": (
        lambda f: broken_npy(f, VALUES, ids=as_npy(f)["ids"]) | {"path": _long(f)},
        r"ids of shape \(6,\) for 7 rows",
    ),
    "no such column": (
        lambda f: broken_csv(f, "sample_id,x0\na,.5\n") | {"beside": ["label"]},
        "no column 'label'; columns: ",
    ),
}  # fmt: skip


def _long(folder):
    np.save(folder / "long.npy", np.zeros((7, 2)))
    return folder / "long.npy"


@pytest.mark.parametrize(("made", "message"), BROKEN.values(), ids=BROKEN)
def test_what_is_wrong_with_a_file_is_said(tmp_path, made, message):
    arguments = made(tmp_path)
    with pytest.raises(DataError, match=message):
        read_embeddings(arguments.pop("path"), **arguments)


@pytest.mark.filterwarnings("error")
def test_an_infinite_value_is_left_to_whoever_uses_it(tmp_path):
    columns = {f"e{i}": [np.inf, *range(59)] for i in range(4)}
    pd.DataFrame(columns).to_csv(tmp_path / "e.csv", index=False)
    assert np.isinf(read_embeddings(tmp_path / "e.csv").values[0]).all()


def test_pickled_objects_are_refused_with_what_to_do(tmp_path):
    objects = np.empty(6, dtype=object)
    objects[:] = LISTS
    np.save(tmp_path / "e.npy", objects, allow_pickle=True)
    (tmp_path / "p.npy").write_bytes(pickle.dumps(LISTS))
    np.savez(tmp_path / "e.npz", embeddings=objects)
    for name in ("e.npy", "p.npy", "e.npz"):
        with pytest.raises(DataError, match=r"could run code .* never are; write numbers, such as"):
            read_embeddings(tmp_path / name)
    np.savez(tmp_path / "e.npz", embeddings=VALUES, note=objects)
    assert read_embeddings(tmp_path / "e.npz").values.shape == (6, 3)


def test_missing_and_unusable_samples_are_counted_and_named(tmp_path):
    with pytest.raises(DataError, match=r"2 of 3 samples, first: y, z; its ids read f"):
        Embeddings(**as_npz(tmp_path)).open(CPU).find(pd.DataFrame({"sample_id": list("yaz")}))
    holed = VALUES.copy()
    holed[[0, 1], [1, 2]] = np.nan, np.inf
    np.savez(tmp_path / "e.npz", ids=IDS, embeddings=holed)
    index = Embeddings(file=tmp_path / "e.npz").open(CPU)
    assert index.find(pd.DataFrame({"sample_id": list("ac")})).shape == (2, 3)  # others do no harm
    with pytest.raises(DataError, match="not finite for 2 of 3 samples, first: b, f"):
        index.find(pd.DataFrame({"sample_id": list("baf")}))
    holed[0] = np.nan
    np.savez(tmp_path / "e.npz", ids=IDS, embeddings=holed)
    model, samples = Embeddings(file=tmp_path / "e.npz"), pd.DataFrame({"sample_id": list("faz")})
    with pytest.raises(DataError, match=r"no embedding for 2 of 3 samples, first: f, z; its ids"):
        model.open(CPU).find(samples)
    lacking = model.lacking(samples)
    assert [(one.sample_id, one.reason) for one in lacking] == [
        ("f", "no embedding"), ("z", "no embedding"),
    ]  # fmt: skip
    assert lacking[0].detail.startswith("e.npz holds none for it; its ids read f, ...")


def test_rows_without_ids_are_not_matched_by_position(tmp_path):
    with pytest.raises(DataError, match="does not say which row is which sample"):
        Embeddings(file=as_npy(tmp_path)["file"]).open(CPU)


class Flattened(nn.Module):
    """Three linear features of the image; optionally log-variances."""

    def __init__(self, side=16, spread=False):
        super().__init__()
        self.linear = nn.Linear(3 * side * side, 3)
        self.spread = spread

    def forward(self, images):
        mean = self.linear(images.flatten(1))
        return (mean, 0 * mean - 1) if self.spread else mean


class Unpooled(nn.Module):
    def forward(self, images):
        return images[:, :, ::4, ::4] * 1.0


class Infinite(nn.Module):
    def forward(self, images):
        return 1 / (images.flatten(1)[:, :4] * 0)


def saved(folder: Path, network: nn.Module, kind: str, side=16, dynamic=True) -> Path:
    """Write the network the way its user would."""
    example = torch.rand(2, 3, side, side)
    if kind == "pt2":
        shapes = ({0: torch.export.Dim("batch")},) if dynamic else None
        program = torch.export.export(network.eval(), (example,), dynamic_shapes=shapes)
        torch.export.save(program, folder / "encoder.pt2")
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.save(torch.jit.trace(network.eval(), example), folder / "encoder.pt")
    return folder / f"encoder.{kind}"


@pytest.fixture
def images():
    faces = torch.rand(5, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    return faces.to(memory_format=torch.channels_last)


KINDS = pytest.mark.parametrize("kind", ["pt", "pt2"])


@KINDS
def test_an_encoder_gives_what_its_network_gives(tmp_path, images, kind):
    network = Flattened()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a run must not talk about torch's plans
        opened = Encoder(file=saved(tmp_path, network, kind), batch_size=2).open(CPU)
    with torch.inference_mode():
        found, spread = opened.encode(images)
    assert spread is None
    torch.testing.assert_close(found, network(images).detach())


@KINDS
def test_an_encoder_may_give_a_posterior(tmp_path, images, kind):
    file = saved(tmp_path, Flattened(spread=True), kind)
    with torch.inference_mode():
        mean, spread = Encoder(file=file, output="posterior").open(CPU).encode(images)
        assert mean.shape == spread.shape == (5, 3)
        assert (spread == -1).all()
        with pytest.raises(DataError, match=r"one tensor of shape \(5, k\) for 5 images, got"):
            Encoder(file=file).open(CPU).encode(images)


def test_images_are_resized_and_normalised_as_asked(tmp_path, images):
    network = Flattened(side=8)
    settings = Encoder(
        file=saved(tmp_path, network, "pt2", side=8), image_size=8,
        mean=(0.5, 0.4, 0.3), std=(0.2, 0.2, 0.1),
    )  # fmt: skip
    small = nn.functional.interpolate(images, (8, 8), mode="bilinear", antialias=True)
    centre = torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1)
    scale = torch.tensor([0.2, 0.2, 0.1]).view(1, 3, 1, 1)
    found, _ = settings.open(CPU).encode(images)
    torch.testing.assert_close(found, network((small - centre) / scale))


@KINDS
def test_images_that_do_not_fit_are_refused_with_their_shape(tmp_path, images, kind):
    opened = Encoder(file=saved(tmp_path, Flattened(side=8), kind, side=8)).open(CPU)
    with pytest.raises(DataError, match=r"fails on images of shape \(5, 3, 16, 16\)"):
        opened.encode(images)


def test_a_program_for_one_batch_size_says_how_to_go_on(tmp_path, images):
    file = saved(tmp_path, Flattened(), "pt2", dynamic=False)
    with pytest.raises(DataError, match="dynamic batch dimension or set batch_size"):
        Encoder(file=file).open(CPU).encode(images)
    even, _ = Encoder(file=file, batch_size=2).open(CPU).encode(images[:4])
    assert even.shape == (4, 3)


@pytest.mark.parametrize(
    ("network", "message"),
    [(Unpooled(), r"got shape \(5, 3, 4, 4\); pool or flatten"), (Infinite(), "5 of 5 images")],
)
def test_what_an_encoder_may_not_return(tmp_path, images, network, message):
    opened = Encoder(file=saved(tmp_path, network, "pt")).open(CPU)
    with pytest.raises(DataError, match=message):
        opened.encode(images)


class Touch:
    """Leaves a trace when it is unpickled."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return (Path.touch, (self.trace,))


def test_files_that_are_no_programs_are_refused_and_not_run(tmp_path):
    torch.save({"model": Touch(tmp_path / "ran")}, tmp_path / "pickled.pt")
    torch.save(nn.Linear(2, 2).state_dict(), tmp_path / "state.pt")
    (tmp_path / "garbage.pt").write_bytes(b"garbage")
    (tmp_path / "garbage.pt2").write_bytes(b"garbage")
    scripted = saved(tmp_path, Flattened(), "pt").rename(tmp_path / "scripted.pt2")
    for name in ("pickled.pt", "state.pt", "garbage.pt"):
        with pytest.raises(DataError, match="is no TorchScript file"):
            Encoder(file=tmp_path / name).open(CPU)
    for file in (tmp_path / "garbage.pt2", scripted):
        with pytest.raises(DataError, match="is no exported program"):
            Encoder(file=file).open(CPU)
    with pytest.raises(DataError, match=r"does not exist; correct representation\.model\.file"):
        Encoder(file=tmp_path / "none.pt2").open(CPU)
    assert not (tmp_path / "ran").exists()


def rewritten(source: Path, target: Path, replaced: dict[str, bytes]) -> Path:
    """A copy of an archive with some members exchanged or added."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "w") as new:
        root = old.namelist()[0].partition("/")[0]
        names = {name: old.read(name) for name in old.namelist()}
        for name, content in (names | {f"{root}/{n}": c for n, c in replaced.items()}).items():
            new.writestr(name, content)
    return target


def test_code_inside_an_exported_program_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", raising=False)
    torch.save((Touch(tmp_path / "ran"),), tmp_path / "inputs.pt")
    program = saved(tmp_path, Flattened(), "pt2")
    evil = {"data/sample_inputs/model.pt": (tmp_path / "inputs.pt").read_bytes()}
    pickled = rewritten(program, tmp_path / "pickled.pt2", evil)
    with pytest.raises(DataError, match="cannot be loaded"):
        Encoder(file=pickled).open(CPU)
    for part in ("data/aotinductor/model/model.so", "data/constants/opaque_obj_0"):
        compiled = rewritten(program, tmp_path / "compiled.pt2", {part: b"code"})
        with pytest.raises(DataError, match=f"compiled code or pickled objects .*{part}"):
            Encoder(file=compiled).open(CPU)
    assert not (tmp_path / "ran").exists()


def test_settings_that_change_the_numbers_change_the_identity(tmp_path):
    file = saved(tmp_path, Flattened(), "pt")
    known = Encoder(file=file).identity()
    copy = tmp_path / "copy.pt"
    copy.write_bytes(file.read_bytes())
    assert Encoder(file=copy, batch_size=7).identity() == known
    others = [{"mean": (0.5, 0.5, 0.5)}, {"image_size": 32}, {"output": "posterior"}]
    assert all(Encoder(file=file, **other).identity() != known for other in others)


def test_a_spread_of_zero_is_refused():
    with pytest.raises(ValueError, match="greater than 0"):
        Encoder(file=Path("e.pt"), std=(1.0, 0.0, 1.0))

"""A planted correlation: which images stay, in which cells, and what cannot be tied."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from debias import evaluate
from debias.errors import DataError, GroupSchemaError, LabelError
from debias.ingesting.build import ingest_faces
from debias.ingesting.decoded import list_recipe
from debias.ingesting.planting import Planting
from debias.ingesting.rules import FacesRecipe
from debias.ingesting.selection import Selection
from debias.ingesting.splitting import split
from debias.storage.artifacts import RunFolder, load_faces

RACES = {"m": ["White"], "f": ["Black", "Asian"]}


def planting(share=0.9, sides=RACES, column="race", label="gender", **more):
    selection = Selection(tie={"column": column, "sides": sides, "share": share, **more})
    return Planting(tie=selection.tie, label=label)


def people(**cells):
    """A table with so many images of each gender and race: ``m_White=3``."""
    rows = [name.split("_") for name, count in cells.items() for _ in range(count)]
    samples = pd.DataFrame(rows, columns=["gender", "race"])
    return samples.assign(sample_id=[f"s{row:04d}" for row in range(len(rows))])


def counted(samples):
    return samples.groupby(["split", "gender", "tie"]).size().to_dict()


def test_every_image_on_a_side_is_aligned_or_conflicting():
    samples = people(m_White=1, m_Asian=1, f_Black=1, f_White=1, m_Other=1, f_Other=1)
    marked = planting().marked(samples)
    assert marked["sample_id"].tolist() == ["s0000", "s0001", "s0002", "s0003"]
    assert marked["tie"].tolist() == ["aligned", "conflicting"] * 2
    assert marked["race_side"].tolist() == ["White", "Black or Asian", "Black or Asian", "White"]
    ages = pd.DataFrame({"gender": ["m", "m", "f", "f", "f"], "age": [20, 10, 10.5, 3, 99]})
    tied = planting(sides={"f": {"max": 10}, "m": {"min": 20}}, column="age").marked(ages)
    assert tied["age"].tolist() == [20, 10, 3, 99]
    assert tied["tie"].tolist() == ["aligned", "conflicting"] * 2


def test_as_many_as_the_share_allows_are_drawn():
    """Of 95 and 11: 95 / 0.9 = 105.6 images, so 94.5 and 10.5 rounded; of 50 and 4: 40 images."""
    train = people(m_White=95, m_Asian=11, f_Black=50, f_White=4).assign(split="train")
    validation = people(m_White=9, m_Asian=9, f_Black=30, f_White=3).assign(split="validation")
    test = people(m_White=7, m_Asian=4, f_Black=3, f_White=9).assign(split="test")
    samples = planting().marked(pd.concat([train, validation, test], ignore_index=True))
    thinned = planting().thinned(samples, np.random.default_rng(0))
    assert counted(thinned) == {
        ("train", "m", "aligned"): 94, ("train", "m", "conflicting"): 11,
        ("train", "f", "aligned"): 36, ("train", "f", "conflicting"): 4,
        ("validation", "m", "aligned"): 9, ("validation", "m", "conflicting"): 1,
        ("validation", "f", "aligned"): 27, ("validation", "f", "conflicting"): 3,
        ("test", "m", "aligned"): 3, ("test", "m", "conflicting"): 3,
        ("test", "f", "aligned"): 3, ("test", "f", "conflicting"): 3,
    }  # fmt: skip
    assert thinned.index.is_monotonic_increasing
    others = planting().thinned(samples, np.random.default_rng(1))
    assert counted(others) == counted(thinned)
    assert others.index.tolist() != thinned.index.tolist()
    few = planting(most=20).thinned(samples, np.random.default_rng(0))
    assert counted(few)["train", "m", "aligned"] == 18
    assert counted(few)["train", "f", "conflicting"] == 2
    assert counted(few)["validation", "f", "aligned"] == 18
    # On the side of m are 95 men and 4 women, on that of f 50 women and 11 men.
    sides = counted(planting(within="column").thinned(samples, np.random.default_rng(0)))
    assert (sides["train", "m", "aligned"], sides["train", "f", "conflicting"]) == (36, 4)
    assert (sides["train", "f", "aligned"], sides["train", "m", "conflicting"]) == (50, 5)
    told = planting().told(thinned)
    assert "90% of the training images of each gender are aligned with race" in told
    assert "(m: White, f: Black or Asian). Images" in told
    assert "train m 94 and 11, f 36 and 4; validation m 9 and 1, f 27 and 3; test m 3 and" in told


def test_a_share_that_floating_point_cannot_hold_loses_no_image():
    """1 - 0.95 is a little more than 0.05, and 5 images divided by it a little less than 100."""
    samples = people(m_White=95, m_Asian=5, f_Black=95, f_White=5).assign(split="train")
    tied = planting(0.95)
    assert len(tied.thinned(tied.marked(samples), np.random.default_rng(0))) == 200


def test_a_drawn_split_has_even_test_cells_and_a_tied_rest():
    tied = planting()
    samples = tied.marked(people(m_White=200, m_Asian=60, f_Black=150, f_White=30))
    samples["label"] = (samples["gender"] == "m").astype(int)
    generator = np.random.default_rng(0)
    chosen = Selection(tie=tied.tie, test_per_group=9, validation_fraction=0.5)
    divided = split(samples, chosen, ("gender", "tie"), generator)
    counts = counted(tied.thinned(divided, generator))
    # Left are 191, 51, 141 and 21, of which a third is for validation: 64, 17, 47 and 7.
    assert [counts["test", one, tie] for one in "mf" for tie in ("aligned", "conflicting")] == [
        9
    ] * 4
    assert [counts["validation", "m", "aligned"], counts["validation", "f", "aligned"]] == [64, 47]
    assert [counts["validation", "m", "conflicting"], counts["train", "m", "aligned"]] == [7, 127]
    with pytest.raises(DataError, match="is 31, but f x conflicting has only 30 images"):
        split(samples, Selection(tie=tied.tie, test_per_group=31), ("gender", "tie"), generator)


@pytest.mark.parametrize(
    ("changed", "error", "said"),
    [
        ({"column": "tone"}, GroupSchemaError, "selection.tie: there is no column 'tone'"),
        ({"label": "sex"}, LabelError, "label: there is no column 'sex'"),
        ({"sides": {"m": ["White"], "x": ["Asian"]}}, LabelError, "but gender holds f, m: give"),
        ({"sides": {"m": ["White"], "f": ["Asian", "White"]}}, DataError, "both sides, first 'Wh"),
        ({"sides": {"m": ["Asian"], "f": ["Blakc"]}}, DataError, "no image is m with race Blakc"),
        (
            {"column": "age", "sides": {"m": {"max": 10}, "f": {"min": 12.5, "max": 20}}},
            DataError,
            "no image is m with age from 12.5 up to 20 among 8",
        ),
    ],
)
def test_what_cannot_be_tied_is_refused(changed, error, said):
    with pytest.raises(error, match=said):
        planting(**changed).require(
            people(m_White=2, m_Asian=2, f_White=2, f_Asian=2).assign(age=9)
        )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"share": 0.5}, "greater than 0.5"),
        ({"share": 1}, "less than 1"),
        ({"sides": {"m": ["White"]}}, "at least 2 items"),
        ({"most": 1}, "greater than or equal to 2"),
    ],
)
def test_a_tie_that_is_none_is_refused(changed, said):
    with pytest.raises(ValidationError, match=said):
        planting(**changed)


def test_a_split_with_too_few_images_of_a_cell_is_refused():
    samples = people(m_White=9, m_Asian=1, f_Black=3, f_White=1).assign(split="train")
    with pytest.raises(DataError, match="of 14 train images 1 are f with race White, and none"):
        planting().thinned(planting().marked(samples), np.random.default_rng(0))


def test_a_tie_excludes_caps_and_needs_a_label():
    tie = {"column": "race", "sides": RACES, "share": 0.9}
    with pytest.raises(ValidationError, match=r"caps and selection.tie both say .* leave one out"):
        Selection(tie=tie, caps={"column": "race", "most": {"White": 3}})
    with pytest.raises(ValidationError, match="name it under 'label'"):
        FacesRecipe(data="synthetic", selection={"tie": tie})


def test_drawn_faces_are_tied_in_the_splits_they_bring(tmp_path):
    sides = {"smiling": ["light"], "not smiling": ["dark"]}
    recipe = FacesRecipe(
        data={"name": "synthetic", "n_train": 200, "n_validation": 80, "n_test": 40},
        label="smiling", attributes=["smiling", "tie"], image_size=16,
        selection={"tie": {"column": "skin_tone_group", "sides": sides, "share": 0.8}},
    )  # fmt: skip
    made = ingest_faces(recipe, RunFolder(tmp_path))
    samples = load_faces(made).samples
    by_tie = samples.groupby(["split", "smiling", "tie"]).size().unstack("tie")
    share = by_tie["aligned"] / by_tie.sum(axis=1)
    assert share["train"].tolist() == pytest.approx([0.8, 0.8], abs=0.01)
    assert share["validation"].tolist() == pytest.approx([0.8, 0.8], abs=0.03)
    assert set(by_tie.loc["test"].to_numpy().ravel()) == {10}
    light = (samples["skin_tone_group"] == "light") == (samples["smiling"] == "smiling")
    assert ((samples["tie"] == "aligned") == light).all()
    # A classifier that goes by the skin tone in one of two cells: the rare ones are where it fails.
    faces, rows = load_faces(made), load_faces(made).rows("test")
    labels, groups = faces.labels(rows), faces.groups(rows)
    wrong = (groups["tie"] == "conflicting").to_numpy() & (labels == 1)
    answers = np.where(wrong, 0, labels)
    found = evaluate(labels, answers, groups=groups, metrics=["accuracy"], suppress_below=1)
    accuracy = found.by_group.set_index("group")["value"]
    assert found.overall["value"].tolist() == [0.75]  # mean over the four cells
    assert accuracy["tie:conflicting"] == 0.5  # over the two rare ones
    assert accuracy["smiling:smiling x tie:conflicting"] == 0
    (told,) = made.read_json("account.json")["remarks"]
    assert "test smiling 10 and 10, not smiling 10 and 10." in told


def test_who_is_on_no_side_is_not_decoded_and_that_is_said(tmp_path):
    """A side of numbers sees them, though the attribute is made of ranges."""
    ages = [5, 30, 15] * 60
    table = pd.DataFrame({"age": ages, "gender": np.repeat(["f", "m"], 90)})
    names = [f"{row:03d}.png" for row in range(len(table))]
    for name in names:
        (tmp_path / name).write_bytes(b"\x89PNG\r\n\x1a\n")
    table.assign(path=names).to_csv(tmp_path / "t.csv", index=False)
    sides = {"f": {"max": 10}, "m": {"min": 20}}
    recipe = FacesRecipe(
        data={"name": "folder", "root": tmp_path, "table": tmp_path / "t.csv"}, label="gender",
        attributes=["age", "tie"], ranges={"age": ["0-9", "10-39"]},
        selection={"tie": {"column": "age", "sides": sides, "share": 0.75}},
    )  # fmt: skip
    listed = list_recipe(recipe)
    assert listed.samples.groupby(["gender", "age", "tie"]).size().to_dict() == {
        ("f", "0-9", "aligned"): 30, ("f", "10-39", "conflicting"): 30,
        ("m", "0-9", "conflicting"): 30, ("m", "10-39", "aligned"): 30,
    }  # fmt: skip
    assert "60 images are left out: their age is on no side of selection.tie." in (
        listed.collection.remarks
    )

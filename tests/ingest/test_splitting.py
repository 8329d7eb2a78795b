import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from debias.errors import DataError, GroupSchemaError, SplitLeakageError
from debias.ingesting import splitting
from debias.ingesting.account import without_test, without_validation
from debias.ingesting.quarantine import summarise
from debias.ingesting.selection import Caps, Selection
from debias.ingesting.splitting import Units, require_no_leak, units, without_leaks

ATTRIBUTES = ["race", "gender"]


def faces(size=400, seed=0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "sample_id": [f"s{row:04d}" for row in range(size)],
            "race": generator.choice(["A", "B"], size, p=[0.8, 0.2]),
            "gender": generator.choice(["f", "m"], size),
            "label": generator.integers(0, 2, size),
        }
    )


def people(size=400, seed=0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    subjects = generator.integers(0, max(1, size // 3), size).astype(str)
    return faces(size, seed).assign(subject_id=subjects)


def chained(size=600, seed=0) -> pd.DataFrame:
    """People and duplicate clusters that overlap: some chains run through several of both."""
    generator = np.random.default_rng(seed)
    samples = people(size, seed)
    cluster = np.where(generator.random(size) < 0.2, generator.integers(0, size // 15, size), -1)
    nobody = generator.random(size) < 0.3
    return samples.assign(
        subject_id=samples["subject_id"].where(~nobody), duplicate_cluster=cluster
    )


def split(samples, seed=1, attributes=ATTRIBUTES, **chosen) -> pd.DataFrame:
    return splitting.split(samples, Selection(**chosen), attributes, np.random.default_rng(seed))


def joined_by_hand(samples) -> list[int]:
    """Units by merging sets until nothing changes."""
    unit = list(range(len(samples)))
    columns = [c for c in ("subject_id", "duplicate_cluster", "sha256") if c in samples]
    changed = True
    while changed:
        changed = False
        for column in columns:
            lowest: dict = {}
            for row, value in enumerate(samples[column]):
                if pd.isna(value) or value in ("", -1):
                    continue
                lowest[value] = min(lowest.get(value, unit[row]), unit[row])
            for row, value in enumerate(samples[column]):
                if value in lowest and unit[row] != lowest[value]:
                    unit[row], changed = lowest[value], True
    return pd.factorize(np.array(unit))[0].tolist()


class TestUnits:
    def test_by_hand(self):
        samples = pd.DataFrame(
            {
                "subject_id": ["a", "b", None, "", "c", "d", "a", "e"],
                "duplicate_cluster": [-1, 0, 0, -1, 1, 2, 1, -1],
                "sha256": ["u", "v", "w", "x", "y", "z", "t", "z"],
            }
        )
        # a and c by cluster 1, b and nobody by cluster 0, d and e by equal files.
        assert units(samples).tolist() == [0, 1, 1, 2, 0, 3, 0, 3]

    def test_nothing_known_means_every_image_for_itself(self):
        assert units(pd.DataFrame({"sample_id": list("abc")})).tolist() == [0, 1, 2]
        none = pd.DataFrame({"subject_id": [np.nan] * 3, "duplicate_cluster": [np.nan, -1, -1]})
        assert units(none).tolist() == [0, 1, 2]

    def test_a_chain_of_any_length(self):
        row = np.arange(5000)
        chain = pd.DataFrame({"subject_id": row // 2, "duplicate_cluster": (row + 1) // 2})
        assert set(units(chain)) == {0}

    @settings(max_examples=150, derandomize=True, deadline=None)
    @given(st.integers(1, 30), st.integers(0, 10_000), st.booleans())
    def test_it_agrees_with_merging_sets(self, size, seed, files):
        generator = np.random.default_rng(seed)
        samples = pd.DataFrame(
            {
                "subject_id": generator.choice(["a", "b", "c", "d", "e", ""], size),
                "duplicate_cluster": generator.integers(-1, 8, size),
            }
        )
        if files:
            samples["sha256"] = generator.integers(0, 40, size).astype(str)
        assert units(samples).tolist() == joined_by_hand(samples)


def test_a_unit_counts_for_the_cell_of_most_of_its_images():
    samples = pd.DataFrame(
        {"race": ["A", "B", "B", "B", "A", "A", "C"], "subject_id": ["p"] * 3 + ["q"] * 3 + [None]}
    )
    parts = Units.of(samples, ["race"])
    assert parts.size.tolist() == [3, 3, 1]
    assert samples["race"].iloc[parts.example[parts.stratum]].tolist() == ["B", "A", "C"]


class TestShares:
    def test_fractions_of_single_images_are_exact(self):
        sizes = split(faces(), test_fraction=0.25)["split"].value_counts()
        assert sizes["test"] == 100
        assert sizes["validation"] == pytest.approx(0.1 * sizes["train"], abs=1)
        assert sizes.sum() == 400

    @pytest.mark.parametrize("labelled", [True, False])
    def test_every_cell_gets_its_share(self, labelled):
        samples = faces(4000) if labelled else faces(4000).drop(columns="label")
        cells = ["label", *ATTRIBUTES] if labelled else ATTRIBUTES
        chosen = split(
            samples, test_fraction=0.2, validation_fraction=0.25, even_over=tuple(ATTRIBUTES)
        )
        for _, cell in chosen.groupby(cells):
            sizes = cell["split"].value_counts()
            assert sizes["test"] == pytest.approx(0.2 * len(cell), abs=1)
            assert sizes["validation"] == pytest.approx(0.16 * len(cell), abs=2)

    @pytest.mark.parametrize("labelled", [True, False])
    def test_attributes_steer_nothing_unless_the_selection_names_them(self, labelled):
        samples = chained() if labelled else chained().drop(columns="label")
        ways = [{}, {"even_over": ("race",)}, {"caps": Caps(column="race", most={"A": 50})}]
        for chosen in ways:
            bare, named = split(samples, attributes=[], **chosen), split(samples, **chosen)
            pd.testing.assert_frame_equal(bare, named)

    def test_a_column_to_be_even_over_that_is_not_there(self):
        with pytest.raises(GroupSchemaError, match=r"selection.even_over: there is no column 'to"):
            split(faces(), even_over=("tone",))

    def test_strata_too_small_for_a_share_are_drawn_from_together(self):
        samples = faces(400).assign(race=[f"r{row // 2}" for row in range(400)])  # pairs
        for seed in range(5):
            chosen = split(samples, seed, test_fraction=0.25, even_over=("race",))
            assert (chosen["split"] == "test").sum() == 100

    def test_which_of_the_small_strata_are_drawn_is_left_to_chance(self):
        samples = faces(80).assign(race=[f"r{row // 2:02d}" for row in range(80)], label=0)
        seen = set()
        for seed in range(40):
            chosen = split(samples, seed, even_over=("race",), test_fraction=0.2)
            seen |= set(chosen["race"][chosen["split"] == "test"])
        assert seen == set(samples["race"])

    def test_many_strata_of_odd_size_do_not_add_up_to_another_share(self):
        # Each of 100 strata of 6 is due 1.2 images; rounding each down would lose a sixth.
        samples = faces(600).assign(race=[f"r{row // 6:02d}" for row in range(600)], label=0)
        chosen = split(samples, even_over=("race",), test_fraction=0.2)
        per_cell = chosen[chosen["split"] == "test"].groupby("race").size()
        assert per_cell.sum() == 120
        assert set(per_cell) == {1, 2}

    @settings(max_examples=60, derandomize=True, deadline=None)
    @given(
        st.integers(1, 300), st.integers(0, 10_000),
        st.floats(0.02, 0.9), st.floats(0.02, 0.9), st.integers(1, 40),
    )  # fmt: skip
    def test_shares_of_strata_hold_to_within_one_unit(self, size, seed, test, validation, most):
        generator = np.random.default_rng(seed)
        samples = faces(size, seed)
        person = generator.integers(0, 1 + size // most, size)
        # A person stands in one cell, so that the strata can be told from outside.
        samples["race"] = np.array(["A", "B", "C"])[person % 3]
        samples["gender"], samples["label"] = "f", 0
        samples["subject_id"] = person.astype(str)
        chosen = split(
            samples, seed, test_fraction=test, validation_fraction=validation, even_over=("race",)
        )
        assert len(chosen) == size  # nothing is lost
        require_no_leak(chosen)
        sides = chosen["split"]
        rest = chosen[sides != "test"]
        for asked, whole, taken in [
            (test, chosen, chosen[sides == "test"]),
            (validation / (1 + validation), rest, rest[rest["split"] == "validation"]),
        ]:
            self.check(asked, whole, taken)

    @staticmethod
    def check(asked, whole, taken):
        largest = whole.groupby("subject_id").size().max() if len(whole) else 0
        small_due, small_got, small_strata = 0.0, 0, 0
        for race, stratum in whole.groupby("race"):
            due, got = asked * len(stratum), (taken["race"] == race).sum()
            unit = stratum.groupby("subject_id").size().max()
            if due < 1:
                small_due, small_got, small_strata = small_due + due, small_got + got, 1
            else:
                assert abs(got - due) <= unit / 2 + 1
        assert abs(small_got - small_due) <= small_strata * (largest / 2 + 1)


class TestTogether:
    def test_nobody_is_on_two_sides(self):
        chosen = split(people(), test_fraction=0.3)
        assert chosen.groupby("subject_id")["split"].nunique().max() == 1
        assert {"train", "validation", "test"} == set(chosen["split"])
        assert len(chosen) == 400

    def test_no_leak_in_a_thousand_splits(self):
        """Every way to ask for sides, on planted chains of people and duplicate clusters."""
        ways = [
            {},
            {"test_fraction": 0.5, "validation_fraction": 0.5},
            {"test_per_group": 3},
            {"test_per_group": 2, "caps": Caps(column="race", most={"A": 40, "B": 5})},
        ]
        for number in range(1000):
            if number % 50 == 0:
                samples = chained(150, seed=number)
            chosen = split(samples, seed=number, **ways[number % len(ways)])
            sides = chosen["split"].to_numpy()
            for column, nobody in [("subject_id", None), ("duplicate_cluster", -1)]:
                side: dict = {}
                for unit, found in zip(chosen[column].tolist(), sides, strict=True):
                    if unit != nobody and unit == unit:
                        assert side.setdefault(unit, found) == found

    def test_the_order_of_the_rows_has_no_influence(self):
        samples = chained()
        # Clusters are numbered by row, so another order numbers them differently.
        moved = samples.sample(frac=1, random_state=3)
        moved["duplicate_cluster"] = np.where(
            moved["duplicate_cluster"] >= 0, 1000 - moved["duplicate_cluster"], -1
        )
        for chosen in [{}, {"test_per_group": 20}, {"caps": Caps(column="race", most={"A": 50})}]:
            one, other = split(samples, **chosen), split(moved, **chosen)
            assert one["sample_id"].tolist() == other["sample_id"].tolist()
            assert one["split"].tolist() == other["split"].tolist()

    def test_the_seed_decides_and_the_input_stays(self):
        samples = chained()
        before = samples.copy()
        pd.testing.assert_frame_equal(split(samples), split(samples))
        assert split(samples)["split"].tolist() != split(samples, seed=2)["split"].tolist()
        pd.testing.assert_frame_equal(samples, before)

    def test_one_person_alone_stays_on_one_side(self):
        chosen = split(faces(50).assign(subject_id="me"))
        assert set(chosen["split"]) == {"train"}


class TestCounts:
    def test_equal_test_cells(self):
        chosen = split(faces(), test_per_group=20)
        test = chosen[chosen["split"] == "test"]
        assert test.groupby(ATTRIBUTES).size().tolist() == [20] * 4
        assert len(chosen) == 400

    def test_equal_test_cells_of_people(self):
        samples = people()
        chosen = split(samples, test_per_group=20)
        assert chosen[chosen["split"] == "test"].groupby(ATTRIBUTES).size().tolist() == [20] * 4
        left = samples[~samples["sample_id"].isin(chosen["sample_id"])]
        tested = set(chosen["subject_id"][chosen["split"] == "test"])
        assert set(left["subject_id"]) <= tested  # only images of divided people are left out

    def test_a_cell_that_is_too_small_is_named(self):
        with pytest.raises(
            DataError, match=r"test_per_group is 100, but B x . has only \d+ images"
        ):
            split(faces(), test_per_group=100)
        with pytest.raises(DataError, match="test_per_group is 401, but the data set has only 400"):
            split(faces(), attributes=[], test_per_group=401)

    def test_caps_plant_an_imbalance_and_validation_follows_it(self):
        caps = Caps(column="race", most={"A": 100, "B": 10, "nobody": 3})
        chosen = split(faces(), test_per_group=10, caps=caps, validation_fraction=0.2)
        counts = chosen.groupby(["split", "race"]).size()
        assert counts["train"].to_dict() == {"A": 100, "B": 10}
        assert counts["validation"].to_dict() == {"A": 20, "B": 2}

    def test_caps_of_people_are_never_exceeded(self):
        caps = Caps(column="race", most={"A": 50, "B": 0})
        chosen = split(people(), caps=caps, validation_fraction=0.2)
        train = chosen[chosen["split"] == "train"]
        assert train["race"].value_counts().to_dict() == {"A": 50}
        validation = chosen[chosen["split"] == "validation"]
        assert (validation["race"] == "A").sum() == pytest.approx(10, abs=8)

    def test_a_cap_on_a_column_that_is_not_there(self):
        with pytest.raises(GroupSchemaError, match=r"selection.caps: there is no column 'tone'"):
            split(faces(), caps=Caps(column="tone", most={"x": 1}))

    def test_cells_without_caps_keep_everybody(self):
        chosen = split(faces(), caps=Caps(column="race", most={"B": 5}), test_fraction=0.25)
        a = chosen[chosen["race"] == "A"]
        assert len(a) == (faces()["race"] == "A").sum()
        assert (chosen[chosen["split"] == "train"]["race"] == "B").sum() == 5


class TestGiven:
    def test_a_given_split_is_kept(self):
        samples = people().assign(split="train")
        assert split(samples) is samples

    def test_settings_that_would_draw_one_are_refused(self):
        samples = faces().assign(split=["train", "test"] * 200)
        for chosen in [{"test_per_group": 5}, {"even_over": ("race",)}]:
            with pytest.raises(DataError, match="bring their own split"):
                split(samples, **chosen)

    @pytest.mark.parametrize("column", ["subject_id", "duplicate_cluster", "sha256"])
    def test_a_divided_unit_is_refused(self, column):
        samples = faces(4).assign(split=["train", "test", "train", "test"])
        samples[column] = [1, 2, 3, 2]
        assert split(samples) is samples
        samples[column] = [1, 2, 1, 1]
        with pytest.raises(SplitLeakageError, match=r"^1 .* stands on more than one side of the"):
            split(samples)
        with pytest.raises(SplitLeakageError, match=r"set selection.leaks to 'drop', or leave out"):
            split(samples)

    def test_dropping_keeps_what_is_held_back_most(self):
        samples = pd.DataFrame(
            {
                "sample_id": list("abcdefg"),
                "path": [f"/{name}" for name in "abcdefg"],
                "subject_id": ["p", "p", None, "q", "q", "r", "s"],
                "duplicate_cluster": [-1, 0, 0, -1, -1, -1, -1],
                "split": ["train", "train", "test", "train", "validation", "train", "test"],
            }
        )
        kept, gone = without_leaks(samples)
        # a shows the person of b, and b is the photograph of c, which is for the test.
        assert kept["sample_id"].tolist() == ["c", "e", "f", "g"]
        assert [(one.sample_id, one.path, one.reason) for one in gone] == [
            ("a", "/a", "also in the test set"),
            ("b", "/b", "also in the test set"),
            ("d", "/d", "also in the validation set"),
        ]
        assert gone[2].detail.endswith("was listed for train")
        require_no_leak(kept)
        dropped = split(samples, leaks="drop")
        assert dropped["sample_id"].tolist() == ["c", "e", "f", "g"]
        assert without_leaks(kept) == (kept, ())

    def test_what_was_dropped_is_counted_by_group(self):
        samples = chained()
        samples["split"] = np.random.default_rng(0).choice(["train", "test"], len(samples))
        kept, gone = without_leaks(samples)
        require_no_leak(kept)
        assert len(kept) + len(gone) == len(samples)
        groups = summarise(gone, samples, ["race"]).by_group
        lost = samples[~samples["sample_id"].isin(kept["sample_id"])]
        assert groups["leaks"].tolist() == lost["race"].value_counts().sort_index().tolist()
        assert groups["rejected"].tolist() == [0, 0]


@pytest.mark.parametrize(("count", "advice"), [(4, "0.5 "), (7, "0.2 ")])
def test_where_no_person_is_left_for_validation_the_advice_takes_one(count, advice):
    samples = pd.DataFrame({"sample_id": [f"{n:03d}" for n in range(6 * count)],
                            "subject_id": [f"p{n // 6}" for n in range(6 * count)]})  # fmt: skip
    drawn = split(samples, attributes=[])
    assert "validation" not in set(drawn["split"])
    (told,) = without_validation(drawn, drawn=True)
    assert f"selection.validation_fraction={advice}" in told
    again = split(samples, attributes=[], validation_fraction=float(advice))
    assert again["split"].value_counts()["validation"] == 6
    assert without_validation(again, drawn=True) == without_validation(drawn, drawn=False) == []
    assert without_test(drawn, drawn=True) == []
    (told,) = without_test(drawn[drawn["split"] == "train"], drawn=False)
    assert told.startswith("The test set has 0 images")
    assert "set data.split to 'drawn'" in told

import json
import unicodedata

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from debias.errors import (
    DataError,
    EmptyDatasetError,
    GroupSchemaError,
    LabelError,
    SingleClassError,
)
from debias.ingesting.labels import classes_of, clean_text, coded, crossed, encoded
from debias.ingesting.selection import Range, Selection, drawn_evenly, keep


def faces(size=400, seed=0) -> pd.DataFrame:
    generator = np.random.default_rng(seed)
    return pd.DataFrame(
        {
            "sample_id": [f"s{row:04d}" for row in range(size)],
            "race": generator.choice(["A", "B"], size, p=[0.8, 0.2]),
            "gender": generator.choice(["f", "m"], size),
            "age": generator.integers(1, 90, size).astype(str),
        }
    )


class TestCleanText:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (" dark ", "dark"),
            (3, "3"),
            (3.0, "3"),
            (2.5, "2.5"),
            (True, "True"),
            ("e\u0301", "\u00e9"),
            ("\u202eabc", "\u202eabc"),  # the direction mark stays: it is a character
            ("a\x00b\nc", r"a\x00b\nc"),
            ("x\ud800", r"x\ud800"),
            ("<b>$x^$", "<b>$x^$"),
        ],
    )
    def test_by_hand(self, value, text):
        assert clean_text(value) == text

    @given(st.text(st.characters(codec=None, exclude_categories=[])))
    def test_every_text_can_be_written_and_cleaning_twice_changes_nothing(self, value):
        text = clean_text(value)
        text.encode()
        assert not {unicodedata.category(c) for c in text} & {"Cc", "Cs"}
        assert clean_text(text) == text

    def test_cells_are_numbered_by_clean_text(self):
        column = pd.Series(["b", " b", None, "", "a", "e\u0301", "\u00e9"], dtype=object)
        codes, names = coded(column)
        assert (codes.tolist(), names) == ([0, 0, -1, -1, 1, 2, 2], ["b", "a", "\u00e9"])
        codes, names = coded(column, "unknown")
        assert (codes.tolist(), names[1]) == ([0, 0, 1, 1, 2, 3, 3], "unknown")

    def test_crossing_many_columns_does_not_overflow(self):
        wide = pd.DataFrame({f"c{i}": np.arange(2000) for i in range(12)})
        assert crossed(wide, list(wide)).tolist() == list(range(2000))


class TestFilters:
    def test_several_ranges_of_numbers_are_joined(self):
        filters = Selection.model_validate({"filters": {"age": [{"max": 12}, {"min": 60}]}}).filters
        table = pd.DataFrame({"age": [3, 12, 13, 59, 60, None]})
        assert keep(table, filters).index.tolist() == [0, 1, 4]
        plain = Selection.model_validate({"filters": {"age": ["3", "60"]}}).filters
        assert keep(table, plain).index.tolist() == [0, 4]

    def test_filters_keep_values_and_ranges(self):
        kept = keep(faces(), {"race": ["B"], "age": Range(min=18, max=60)})
        assert set(kept["race"]) == {"B"}
        assert kept["age"].astype(int).between(18, 60).all()

    @pytest.mark.parametrize(
        ("column", "rule", "kept"),
        [
            ([1, 2, None], ["1"], [0]),  # pandas makes 1.0 of it
            ([1, 2, None], Range(max=1.5), [0]),
            ([1, 2, 3], Range(min=2, max=2), [1]),
            (["x", None, "nan"], ["nan"], [2]),  # an empty cell is no text "nan"
            (["7", "n/a", ""], Range(), [0]),
            ([True, False, True], ["True"], [0, 2]),
            (pd.Categorical(["u", "v", "u"]), ["u"], [0, 2]),
            (["e\u0301", "e", ""], ["\u00e9"], [0]),
        ],
    )
    def test_types_of_columns(self, column, rule, kept):
        table = pd.DataFrame({"sample_id": ["a", "b", "c"], "c": column})
        assert keep(table, {"c": rule}).index.tolist() == kept

    def test_filters_that_cannot_work_are_refused(self):
        with pytest.raises(GroupSchemaError, match=r"no column 'skin'; columns: race, gender"):
            keep(faces(), {"skin": ["x"]})
        with pytest.raises(EmptyDatasetError, match="no sample of 400 passes"):
            keep(faces(), {"race": ["Z"]})
        with pytest.raises(DataError, match="column 'boxes' holds values that are no text"):
            keep(faces(2).assign(boxes=[[1], [2]]), {"boxes": ["1"]})


class TestLabels:
    samples = pd.DataFrame(
        {"sample_id": ["a", "b", "c"], "smile": ["yes", "no", "yes"], "n": [1, 2, 3]}
    )

    def test_the_positive_class_comes_last(self):
        assert classes_of(self.samples, "smile", None) == ("no", "yes")
        assert classes_of(self.samples, "smile", "no") == ("yes", "no")

    @pytest.mark.parametrize(
        ("label", "positive", "error", "message"),
        [
            ("smiles", None, LabelError, "no column 'smiles'; columns: smile, n"),
            ("n", None, LabelError, r"has 3 values \(1, 2, 3\)"),
            ("smile", "maybe", LabelError, r"positive is 'maybe', but smile holds \['no', 'yes'\]"),
        ],
    )
    def test_unusable_labels_are_explained(self, label, positive, error, message):
        with pytest.raises(error, match=message):
            classes_of(self.samples, label, positive)

    def test_a_single_class_and_missing_labels(self):
        with pytest.raises(SingleClassError, match="every one of 2 samples has smile = 'yes'"):
            classes_of(self.samples[self.samples["smile"] == "yes"], "smile", None)
        with pytest.raises(LabelError, match=r"1 samples have no 'smile', first: b \(row 1\)"):
            classes_of(self.samples.replace({"no": None}), "smile", None)
        placed = self.samples.replace({"no": None}).assign(path="/faces/set0/1.png")
        with pytest.raises(
            LabelError, match=r"'smile', first: set0/1\.png; give them one or leave"
        ):
            classes_of(placed, "smile", None)

    def test_everything_wrong_is_said_at_once(self):
        samples = pd.DataFrame(
            {"sample_id": list("abcdef"), "smile": ["yes", " ", "no", "maybe", None, "NO"]},
            index=range(10, 16),
        )
        with pytest.raises(LabelError) as caught:
            classes_of(samples, "smile", "Yes")
        message = str(caught.value)
        assert "2 samples have no 'smile', first: b (row 11), e (row 14)" in message
        assert "has 4 values (NO, maybe, no, yes)" in message
        assert "positive is 'Yes'" in message
        with pytest.raises(LabelError) as caught:
            encoded(samples, "smile", ("no", "yes"), [])
        message = str(caught.value)
        assert "first: b (row 11), e (row 14)" in message
        assert "2 samples have a 'smile' that is none of ['no', 'yes']" in message
        assert "d (row 13), f (row 15); values: ['maybe', 'NO']" in message

    def test_no_more_than_ten_rows_are_named(self):
        samples = pd.DataFrame({"sample_id": [f"s{i}" for i in range(50)], "smile": [None] * 50})
        with pytest.raises(LabelError, match=r"50 samples.*s9 \(row 9\);"):
            classes_of(samples, "smile", None)

    @pytest.mark.parametrize(
        ("values", "message"),
        [
            ([1, "1", 0], "holds mixed-integer values, such as 1 and '1'"),
            ([False, "NO", "yes"], "holds mixed values, such as False and 'NO'"),
            ([1, True, 0], "holds mixed-integer values"),
            ([0.0, 1.0, 1.0000001], "holds the fractions 1.0000001"),
            ([1, 1.0, 0], "holds mixed-integer-float values"),
            ([[1], [0], [1]], "holds mixed values"),
            ([b"y", b"n", b"y"], "holds bytes values"),
        ],
    )
    def test_kinds_that_could_be_confused_are_refused(self, values, message):
        samples = self.samples.assign(smile=pd.Series(values, dtype=object))
        with pytest.raises(LabelError, match=message):
            classes_of(samples, "smile", None)
        with pytest.raises(LabelError, match=message):
            encoded(samples, "smile", ("0", "1"), [])

    @pytest.mark.parametrize(
        ("values", "classes"),
        [
            ([1, 0, 1], ("0", "1")),
            ([1.0, 0.0, 1.0], ("0", "1")),
            ([True, False, True], ("False", "True")),
            ([" yes", "no", "yes "], ("no", "yes")),
            (pd.Categorical(["y", "n", "y"]), ("n", "y")),
            (pd.array([1, 0, 1], dtype="Int64"), ("0", "1")),
            (["e\u0301", "x", "\u00e9"], ("x", "\u00e9")),
        ],
    )
    def test_kinds_that_are_clear(self, values, classes):
        samples = self.samples.assign(smile=values)
        assert classes_of(samples, "smile", None) == classes
        assert encoded(samples, "smile", classes, [])["label"].tolist() == [1, 0, 1]


class TestAttributes:
    samples = TestLabels.samples

    def test_attributes_become_text_and_gaps_say_unknown(self):
        samples = self.samples.assign(group=["x", None, " "], n=[1, None, 2])
        done = encoded(samples, "smile", ("no", "yes"), ["group", "n"])
        assert done["group"].tolist() == ["x", "unknown", "unknown"]
        assert done["n"].tolist() == ["1", "unknown", "2"]
        assert done["label"].tolist() == [1, 0, 1]
        assert samples["n"].tolist()[0] == 1  # the input is untouched

    def test_all_attributes_that_cannot_be_used_are_named(self):
        samples = self.samples.assign(tone=pd.Series([1, "1", None], dtype=object))
        with pytest.raises(GroupSchemaError) as caught:
            encoded(samples, "smile", ("no", "yes"), ["race", "tone", "split", "n"])
        message = str(caught.value)
        assert "attributes: there is no column 'race'" in message
        assert "column 'tone' holds mixed-integer values, such as 1 and '1'" in message
        assert "'split' is a name the store needs for itself" in message
        assert "'n'" not in message

    @pytest.mark.parametrize(("label", "index"), [("smile", [1, 0, 1]), (None, [0, 0, 0])])
    def test_hostile_names_and_values(self, label, index):
        values = pd.Series(["\ud800", "<script>", "a" * 4096], dtype=object)
        samples = self.samples.assign(**{"<b>": values})
        samples["self"] = ["p", "q", "p"]
        done = encoded(samples, label, ("no", "yes"), ["<b>", "self"])
        assert done["label"].tolist() == index
        assert done["<b>"].tolist() == [r"\ud800", "<script>", "a" * 4096]
        assert done["self"].tolist() == ["p", "q", "p"]


CELLS = st.one_of(
    st.none(), st.booleans(), st.just(float("nan")), st.just(pd.NA),
    st.sampled_from(["yes", "no", "NO", "False", "1", "0", "1.0", "", " ", "yes ", "e\u0301"]),
    st.sampled_from([0, 1, 1.0, 0.0, 1.0000001, -1, float("inf"), 2**70]),
    st.text(st.characters(codec=None, exclude_categories=[]), max_size=6),
    st.sampled_from([b"yes", pd.Timestamp("2020-01-01"), 1 + 0j]),
    st.lists(st.integers(), max_size=2), st.tuples(st.integers()),
)  # fmt: skip
FEW = st.lists(CELLS, min_size=1, max_size=3).flatmap(
    lambda values: st.lists(st.sampled_from(values), min_size=1, max_size=12)
)


@settings(max_examples=200, derandomize=True, deadline=None)
@given(label=FEW, group=FEW)
def test_any_table_is_encoded_correctly_or_refused_by_name(label, group):
    size = min(len(label), len(group))
    samples = pd.DataFrame({"sample_id": [f"s{row}" for row in range(size)]})
    samples["label column"] = pd.Series(label[:size], dtype=object)
    samples["group"] = pd.Series(group[:size], dtype=object)
    try:
        classes = classes_of(samples, "label column", None)
        done = encoded(samples, "label column", classes, ["group"])
    except DataError as error:
        str(error).encode(errors="backslashreplace")
        return
    assert [classes[code] for code in done["label"]] == [clean_text(one) for one in label[:size]]
    assert len({type(one) for one in label[:size]}) == 1  # nothing else could be told apart
    for raw, text in zip(group[:size], done["group"], strict=True):
        empty = raw is None or raw is pd.NA or raw != raw or clean_text(raw) == ""
        assert text == ("unknown" if empty else clean_text(raw))
    json.loads(json.dumps(done["group"].tolist(), ensure_ascii=False).encode())


def test_drawing_evenly_without_a_number_takes_what_the_smallest_cell_has():
    samples = pd.DataFrame(
        {"sample_id": [f"s{row:03d}" for row in range(100)], "tone": ["a"] * 70 + ["b"] * 30}
    )
    generator = np.random.default_rng(0)
    assert drawn_evenly(samples, ["tone"], None, generator)["tone"].value_counts().to_dict() == {
        "a": 30, "b": 30,
    }  # fmt: skip
    assert len(drawn_evenly(samples, [], None, generator)) == 100
    assert len(drawn_evenly(samples, [], 40, generator)) == 40
    with pytest.raises(DataError, match="40 for each of 2 cells, but b has only 30"):
        drawn_evenly(samples, ["tone"], 80, generator)
    with pytest.raises(DataError, match="fewer than the 100 cells"):
        drawn_evenly(samples, ["sample_id"], 20, generator)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (["smiling", "tone"], r"no column 'smilling'; columns: smiling, tone; did you mean 'smi"),
        (["age", "tone"], r"no column 'smilling'; columns: age, tone$"),
        (["folder"], r"columns: folder; image files alone say no more: .* --table TABLE"),
    ],
)
def test_a_column_that_is_not_there_is_answered_with_what_may_help(columns, message):
    samples = pd.DataFrame({"sample_id": ["a"], "path": ["/a"], **dict.fromkeys(columns, "x")})
    with pytest.raises(LabelError, match=message):
        classes_of(samples, "smilling", None)

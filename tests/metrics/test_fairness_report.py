"""What a report of ``evaluate`` promises beyond its numbers."""

import json

import numpy as np
import pandas as pd
import pytest
from documents import misfits

from debias.errors import EvaluationError, GroupSchemaError
from debias.metrics import evaluate, outcomes_of_trainings, report_on
from debias.metrics.documents import FairnessDocument
from debias.metrics.rules import Rules
from debias.types import Predictions

VOCABULARY = {"difference_found", "difference_ruled_out", "cannot_tell"}
REASONS = {"", "insufficient_evidence", "not_estimable", "too_small", "suppressed", "no_margin"}
STATES = {"estimated", "not_estimable", "too_small", "suppressed", "unknown"}


def sample(sizes, rates, seed=0):
    """Labels, predictions and groups: so many images a group, so large a share of them right."""
    generator = np.random.default_rng(seed)
    tone = np.repeat(list(sizes), list(sizes.values()))
    y = generator.integers(0, 2, len(tone))
    wrong = generator.random(len(tone)) > np.array([rates[name] for name in tone])
    return y, np.where(wrong, 1 - y, y), pd.DataFrame({"tone": tone})


def report(sizes, rates=None, **settings):
    y, yhat, groups = sample(sizes, rates or dict.fromkeys(sizes, 0.9))
    return evaluate(y, yhat, groups=groups, **settings)


def row(found, group, metric="accuracy"):
    table = found.by_group
    return table[(table["group"] == group) & (table["metric"] == metric)].iloc[0]


def test_the_document_has_the_fields_that_it_declares():
    sizes = {"a": 400, "b": 300, "c": 5, "d": 350}
    found = report(sizes, margin=0.2, noise=True, name="model")
    document = json.loads(found.to_json())
    assert misfits(document, FairnessDocument) == []
    assert document["noise"]
    assert misfits(document | {"nmae": "model"}, FairnessDocument) == [": nmae"]
    assert misfits(document | {"minimum": "30"}, FairnessDocument) == [".minimum: '30'"]


def test_no_image_is_listed_in_the_json():
    found = report({"a": 400, "b": 300}, sample_id=[f"face-{i}" for i in range(700)])
    assert "face-" not in found.to_json()


def test_the_number_of_comparisons_is_that_of_the_gaps_with_an_interval():
    found = report({"a": 400, "b": 300, "c": 28}).to_dict()
    intervals = [gap for gap in found["gaps"] if gap["low"] is not None]
    assert found["comparisons"] == len(intervals) == 5  # a with b, five rates
    assert found["adjusted_level"] == pytest.approx(1 - 0.05 / 5)
    assert {gap["reason"] for gap in found["gaps"]} <= REASONS
    assert {gap["verdict"] for gap in found["gaps"]} <= VOCABULARY
    assert {cell["state"] for cell in found["by_group"]} <= STATES


def test_equal_seeds_give_equal_bytes_and_the_order_of_rows_changes_nothing():
    y, yhat, groups = sample({"a": 300, "b": 200}, {"a": 0.9, "b": 0.7})
    people = np.arange(500) // 4
    ids = np.array([f"{i:04}" for i in range(500)])

    def text(order):
        return evaluate(
            y[order], yhat[order], groups=groups.iloc[order], subject_id=people[order],
            sample_id=ids[order], noise=True, seed=3,
        ).to_json()  # fmt: skip

    shuffled = np.random.default_rng(0).permutation(500)
    assert text(np.arange(500)) == text(np.arange(500)) == text(shuffled)


@pytest.mark.parametrize(
    ("size", "state"),
    [
        (0, "not_estimable"), (1, "suppressed"), (10, "suppressed"), (11, "too_small"),
        (29, "too_small"), (30, "estimated"),
    ],
)  # fmt: skip
def test_states_at_the_limits(size, state):
    found = report(
        {"a": 400, "b": 300, "c": size},
        metrics=["accuracy"],
        declared={"tone": ["a", "b", "c"]},
    )
    cell = row(found, "tone:c")
    assert cell["state"] == state
    assert np.isnan(cell["value"]) == (state in ("not_estimable", "suppressed"))
    assert np.isnan(cell["denominator"]) == (state == "suppressed")


def test_a_small_group_does_not_come_alone_and_can_be_shown_on_request():
    sizes = {"a": 400, "b": 300, "c": 5}
    hidden = report(sizes, metrics=["accuracy"]).by_group.set_index("group")["state"]
    assert hidden.to_dict() == {
        "tone:a": "estimated", "tone:b": "suppressed", "tone:c": "suppressed"
    }  # fmt: skip
    shown = report(sizes, metrics=["accuracy"], suppress_below=1)
    assert row(shown, "tone:c")["denominator"] == 5


def test_a_difference_is_ruled_out_only_within_a_margin_and_with_every_group():
    sizes, rates = {"a": 6000, "b": 6000}, {"a": 0.9, "b": 0.9}
    assert report(sizes, rates).verdict.reason == "no_margin"
    found = report(sizes, rates, margin=0.1)
    assert found.verdict.reading == "difference_ruled_out"
    assert "beyond the margin of 10.0 percentage points" in found.verdict.sentence
    tight = report(sizes, rates, margin=0.001)
    assert (tight.verdict.reading, tight.verdict.reason) == ("cannot_tell", "insufficient_evidence")
    for extra in ({"c": 0}, {"c": 20}):
        more = report({**sizes, **extra}, margin=0.1, declared={"tone": ["a", "b", "c"]},
                      rates={**rates, "c": 0.9})  # fmt: skip
        assert (more.verdict.reading, more.verdict.incomplete) == ("cannot_tell", True)
        assert "insufficient evidence" in more.verdict.sentence


def test_a_group_that_cannot_be_tested_does_not_hide_a_difference():
    found = report({"a": 2000, "b": 2000, "c": 20}, {"a": 0.95, "b": 0.8, "c": 0.9}, margin=0.01)
    assert found.verdict.reading == "difference_found"
    assert found.verdict.incomplete
    assert (
        "accuracy of tone b is" in found.verdict.sentence or "tone a is" in found.verdict.sentence
    )


def test_a_reference_is_declared_and_never_chosen_by_the_data():
    sizes = {"a": 400, "b": 300, "c": 200}
    found = report(sizes, reference="tone:a", metrics=["accuracy"])
    assert set(found.gaps["other"]) == {"tone:a"}
    assert found.comparisons == 2
    assert found.attributes[0]["reference"] == "tone:a"
    for name in ("worst", "tone:best", "majority"):
        with pytest.raises(EvaluationError, match="chosen by the data"):
            report(sizes, reference=name)
    with pytest.raises(EvaluationError, match="'tone:z' is no group"):
        report(sizes, reference={"tone": "z"})


def test_the_crossing_has_a_reference_when_each_attribute_has_one():
    y, yhat, groups = sample({"a": 400, "b": 400}, {"a": 0.9, "b": 0.8})
    groups["sex"] = np.tile(["f", "m"], 400)
    found = evaluate(y, yhat, groups=groups, reference={"tone": "a", "sex": "f"})
    crossing = found.gaps[found.gaps["attribute"] == "tone x sex"]
    assert set(crossing["other"]) == {"tone:a x sex:f"}
    assert len(crossing) == 3 * 5


def test_groups_that_say_the_label_are_compared_by_accuracy_alone():
    y, yhat, groups = sample({"a": 1000, "b": 1000}, {"a": 0.9, "b": 0.9})
    groups["gender"] = np.where(y == 1, "f", "m")
    found = evaluate(y, yhat, groups=groups, margin=0.15, noise=True)
    for table in (found.gaps, found.spread, found.ratios, found.noise):
        assert set(table.loc[table["attribute"] != "tone", "metric"]) <= {"accuracy"}
    assert "gender" in set(found.gaps["attribute"])
    assert found.verdict.reading == "difference_ruled_out"
    assert any("hold one true class each" in note for note in found.notes)


def test_images_without_a_group_are_counted_and_compared_with_nobody():
    y, yhat, groups = sample({"a": 400, "b": 300}, {"a": 0.9, "b": 0.9})
    groups.loc[::10, "tone"] = None
    found = evaluate(y, yhat, groups=groups)
    assert row(found, "tone:unknown")["state"] == "unknown"
    assert "tone:unknown" not in set(found.gaps["group"]) | set(found.gaps["other"])
    counted = found.by_group[found.by_group["metric"] == "accuracy"]["denominator"].sum()
    assert counted == found.n == 700


@pytest.mark.parametrize(("source", "warned"), [("inferred", True), ("annotated", False)])
def test_machine_guesses_are_said_to_be_guesses(source, warned):
    found = report({"a": 400, "b": 300}, sources={"tone": source})
    assert any("machine guesses" in note for note in found.notes) == warned


def test_the_reader_is_told_who_is_shown():
    said, sizes = "images are treated as independent", {"a": 400, "b": 300}
    assert any(said in note for note in report(sizes).notes)
    people = (np.arange(700) // 7).astype(object)
    found = report(sizes, subject_id=people)
    assert not any(said in note for note in found.notes)
    assert found.identities == 100
    # An image without identity is a person of its own; a blank one is none.
    for blank in (None, " "):
        found = report(sizes, subject_id=np.where(np.arange(700) < 7, blank, people.astype(str)))
        assert found.identities == 99 + 7
        assert any("7 images without identity" in note for note in found.notes)


def test_people_who_repeat_are_worth_fewer_images_and_widen_the_interval():
    generator = np.random.default_rng(1)
    able = np.repeat(generator.beta(4.5, 0.5, 100), 20)
    y = np.ones(2000, dtype=int)
    y[::2] = 0
    yhat = np.where(generator.random(2000) < able, y, 1 - y)
    groups = {"tone": np.repeat(["a", "b"], 1000)}
    alone = evaluate(y, yhat, groups=groups)
    known = evaluate(y, yhat, groups=groups, subject_id=np.arange(2000) // 20)
    for name in ("tone:a", "tone:b"):
        narrow, wide = row(alone, name), row(known, name)
        assert wide["low"] < narrow["low"] < wide["value"] < narrow["high"] <= wide["high"]
        assert wide["effective"] < 600 < narrow["effective"] == 1000
        assert wide["identities"] == 50


def test_a_value_that_was_not_declared_is_refused():
    with pytest.raises(GroupSchemaError, match="'c', which was not declared; declared are: a, b"):
        report({"a": 400, "b": 300, "c": 30}, declared={"tone": ["a", "b"]})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"level": 1.0}, "level = 1.0"),
        ({"margin": 0.0}, "margin = 0.0"),
        ({"minimum": 0}, "minimum = 0"),
        ({"metrics": ["beauty"]}, "unknown metric 'beauty'"),
        ({"score": np.full(700, 1.5)}, "700 of 700 scores"),
        ({"score": np.full(3, 0.5)}, "score must have shape"),
        ({"subject_id": [1, "1"] * 350}, "would be two people"),
        ({"subject_id": [1]}, "subject_id has shape"),
        ({"sample_id": ["x"] * 700}, "699 predictions repeat a sample id"),
        ({"classes": [1]}, "two different classes"),
        ({"positive": 7}, "positive class '7'"),
        ({"metrics": []}, "metrics"),
        ({"score": ["a"] * 700}, "score must be numbers"),
        ({"subject_id": [[1, 2]] * 700}, "subject_id has shape"),
        ({"sample_id": [None, *range(699)]}, "1 of 700 sample ids are missing"),
        ({"declared": {"tone": ["a", "b", "a"]}}, "without repeats"),
        ({"declared": {"tone": "ab"}}, "must be a list"),
        ({"declared": {"skin": ["a"]}}, "no attribute 'skin'"),
        ({"sources": {"tone": "rumour"}}, "unknown source of groups 'rumour'"),
    ],
)
def test_wrong_settings_are_refused(settings, message):
    with pytest.raises(EvaluationError, match=message):
        report({"a": 400, "b": 300}, **settings)


def test_several_trainings_are_the_mean_of_each():
    y, yhat, groups = sample({"a": 400, "b": 300}, {"a": 0.9, "b": 0.8})
    other = np.where(np.random.default_rng(9).random(700) < 0.1, 1 - yhat, yhat)
    ids = np.array([f"{i:03}" for i in range(700)])
    trainings = [
        Predictions(sample_ids=ids, y_true=y, score=guess.astype(float), threshold=0.5,
                    arm="latent", seed=seed, split="test")
        for seed, guess in enumerate((yhat, other))
    ]  # fmt: skip
    table = groups.set_index(pd.Index(ids))
    together = report_on(
        outcomes_of_trainings(trainings, table, ("0", "1")), Rules(), name="latent"
    )
    apart = [evaluate(y, guess, groups=groups) for guess in (yhat, other)]
    for metric in ("accuracy", "true_positive_rate"):
        mean = np.mean([row(one, "tone:b", metric)["value"] for one in apart])
        assert row(together, "tone:b", metric)["value"] == pytest.approx(mean)
    assert together.seeds == (0, 1)
    assert any("2 trainings" in note for note in together.notes)


def test_every_scope_says_what_was_not_measured():
    found = report({"a": 400, "b": 300}, name="model")
    text = " ".join(found.scope)
    for part in ("model", "700 images", "tone", "comparisons", "unweighted", "Not measured"):
        assert part in text
    json.dumps(found.to_dict(), allow_nan=False)


def test_a_largest_gap_comes_with_what_equal_groups_would_show():
    found = report(dict.fromkeys("abcdefg", 50), metrics=["accuracy"])
    (spread,) = found.to_dict()["spread"]
    assert spread["expected_if_equal"] == pytest.approx(0.113, abs=0.03)  # at a rate of 0.9
    assert spread["groups"] == 7


def test_a_ratio_never_comes_without_its_interval_sizes_and_chance():
    found = report({"a": 60, "b": 60, "c": 60})
    (ratio,) = found.to_dict()["ratios"]
    assert ratio["low"] <= ratio["ratio"] <= ratio["high"]
    assert (ratio["n_group"], ratio["n_other"]) == (60, 60)
    assert 0 < ratio["chance_if_equal"] < 1


def test_columns_of_groups_are_joined_by_the_labels_of_the_first():
    y, yhat, groups = sample({"a": 400, "b": 300}, {"a": 0.9, "b": 0.7})
    order = np.random.default_rng(0).permutation(700)
    columns = {
        "tone": pd.Series(groups["tone"].to_numpy(), index=order),
        "sex": pd.Series(np.tile(["f", "m"], 350), index=order[::-1]),
    }
    found = evaluate(y, yhat, groups=columns)
    expected = evaluate(y, yhat, groups=groups.assign(sex=np.tile(["m", "f"], 350)))
    assert found.to_json() == expected.to_json()
    with pytest.raises(EvaluationError, match="groups must be a table"):
        evaluate(y, yhat, groups="tone")


@pytest.mark.parametrize("missing", [20, 40, 600])
def test_images_without_a_group_do_not_sway_the_verdict(missing):
    y, yhat, groups = sample({"a": 3000, "b": 3000}, {"a": 0.9, "b": 0.9})
    groups.iloc[:missing] = None
    found = evaluate(y, yhat, groups=groups, margin=0.3, metrics=["accuracy"])
    assert (found.verdict.reading, found.verdict.incomplete) == ("difference_ruled_out", False)
    assert row(found, "tone:unknown")["state"] == "unknown"


def test_many_images_of_a_few_people_are_too_small_a_group():
    people = np.where(np.arange(2000) < 1000, 0, np.arange(2000))
    found = report({"a": 1000, "b": 1000}, subject_id=people, metrics=["accuracy"])
    assert row(found, "tone:a")["state"] == "too_small"
    assert found.comparisons == 0
    # The number of people is a count of people; the other one would tell it.
    assert np.isnan(found.by_group["identities"]).all()


def test_people_in_two_groups_do_not_raise_false_alarms():
    """One who is always taken for smiling is right in one group and wrong in the other."""
    generator = np.random.default_rng(0)
    alarms = 0
    for _ in range(60):
        lean = np.repeat(generator.beta(2, 2, 100), 20)
        y = np.tile([0, 1], 1000)
        yhat = (generator.random(2000) < lean).astype(int)
        found = evaluate(
            y, yhat, groups={"face": np.where(y == 1, "smile", "rest")}, metrics=["accuracy"],
            subject_id=np.arange(2000) // 20,
        )  # fmt: skip
        alarms += found.verdict.reading == "difference_found"
    assert alarms <= 8  # the 99% point of a binomial of 60 at 5 %


def test_what_is_withheld_does_not_depend_on_the_rates_that_are_asked_for():
    sizes = {"a": 400, "b": 300, "c": 5}
    one = report(sizes, metrics=["accuracy"])
    every = report(sizes)
    for name in one.attributes[0]["groups"]:
        assert (row(one, name)["state"] == "suppressed") == (
            row(every, name)["state"] == "suppressed"
        )


def test_too_many_groups_are_compared_with_a_reference_or_not_at_all():
    generator = np.random.default_rng(0)
    groups = pd.DataFrame(
        {name: generator.choice(list("abcdefghi"), 9000) for name in ("one", "two")}
    )
    y = generator.integers(0, 2, 9000)
    found = evaluate(y, y, groups=groups, metrics=["accuracy"])
    assert "one x two" not in set(found.gaps["attribute"])
    assert any("81 groups of one x two were not compared" in note for note in found.notes)
    assert found.verdict.incomplete
    named = evaluate(y, y, groups=groups, metrics=["accuracy"], reference={"one": "a", "two": "a"})
    assert (named.gaps["attribute"] == "one x two").sum() == 80


def test_the_size_of_a_group_is_withheld_where_no_rate_tells_it():
    """Two patterns of what is withheld could give away together what each of them keeps."""
    sizes = {"a": 400, "b": 300, "c": 5}
    tone = np.repeat(list(sizes), list(sizes.values()))
    y = np.tile([0, 1], len(tone))[: len(tone)]
    report = evaluate(y, y, groups={"tone": tone})
    assert report.unsized == {"tone:b", "tone:c"}
    rare = np.where(tone == "b", np.cumsum(tone == "b") <= 5, y).astype(int)
    found = evaluate(rare[tone != "c"], y[tone != "c"], groups={"tone": tone[tone != "c"]})
    states = found.by_group[found.by_group["group"] == "tone:b"].set_index("metric")["state"]
    assert states["true_positive_rate"] == "suppressed"
    assert states["accuracy"] == "estimated"  # so its size is told, here as there
    assert found.unsized == frozenset()
    few_selected = np.where((tone == "a") & (np.arange(len(tone)) > 4), 0, y)
    found = evaluate(y[tone != "c"], few_selected[tone != "c"], groups={"tone": tone[tone != "c"]})
    assert "suppressed" in set(found.by_group["state"])  # precision of a
    assert found.unsized == frozenset()
    classes = {"a": 400, "b": 300, "d": 40}  # of d there are few of one class
    tone = np.repeat(list(classes), list(classes.values()))
    y = np.where(tone == "d", np.cumsum(tone == "d") <= 5, np.arange(len(tone)) % 2).astype(int)
    asked = ["selection_rate", "accuracy"]
    both = evaluate(y, y, groups={"tone": tone}, metrics=asked)
    hidden = {metric: set(rows.loc[rows["state"] == "suppressed", "group"])
              for metric, rows in both.by_group.groupby("metric")}  # fmt: skip
    assert (both.unsized, hidden["accuracy"]) == (frozenset(), set())
    assert "tone:d" in hidden["selection_rate"]
    alone = evaluate(y, y, groups={"tone": tone}, metrics=asked[:1])
    assert alone.unsized == hidden["selection_rate"]
    alone = evaluate(y, y, groups={"tone": tone}, metrics=["precision"])
    assert alone.unsized == {"tone:b", "tone:d"}

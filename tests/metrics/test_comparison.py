import json
from dataclasses import replace
from functools import cache

import numpy as np
import pandas as pd
import pytest
from documents import misfits
from fake_predictions import groups_of, predictions_of
from scipy.stats import binomtest, ttest_rel

from debias.errors import EvaluationError
from debias.metrics import (
    Rules,
    compare,
    compare_pairs,
    evaluate,
    outcomes_of_trainings,
    report_on,
)
from debias.metrics.documents import ComparisonDocument

TONES = np.repeat(["dark", "light"], 300)
TRUTH = np.tile([0, 1], 300)


def wrong(*places):
    """Predictions that are right but for the given rows."""
    found = TRUTH.copy()
    for place in places:
        found[place] = 1 - found[place]
    return found


def report(y_pred, name="", **options):
    given = {"groups": {"tone": list(TONES)}, "metrics": ["accuracy"], "name": name}
    return evaluate(TRUTH, y_pred, **{**given, **options})


BEFORE = report(wrong(range(10), range(300, 330)), "plain")


@cache
def arm(seeds, name="plain", harmed=0, noise=0.02):
    """One training a seed: some dark faces are harmed in every one, others err by chance."""
    trainings = []
    for seed in range(seeds):
        rng = np.random.default_rng([seed, sum(name.encode())])
        y_pred = wrong(np.flatnonzero(rng.random(600) < noise), range(harmed + seed % 2))
        trainings.append(predictions_of(TRUTH, y_pred, arm=name, seed=seed))
    groups = groups_of(trainings[0].sample_ids, tone=TONES)
    outcomes = outcomes_of_trainings(trainings, groups, ("man", "woman"))
    return report_on(outcomes, Rules(metrics=("accuracy",)), name=name, split="test")


def row_of(found, **where):
    rows = found
    for column, value in where.items():
        rows = rows[rows[column] == value]
    assert len(rows) == 1
    return rows.iloc[0]


def test_a_hand_computed_change():
    """Dark: 8 newly wrong, 2 newly right. Light: nothing changes."""
    after = report(wrong(range(2, 18), range(300, 330)), "latent")
    found = compare(BEFORE, after)
    dark = row_of(found.groups, group="tone:dark")
    assert (dark["fixed"], dark["broken"], dark["n"]) == (2, 8, 300)
    assert dark["p_value"] == pytest.approx(binomtest(2, 10).pvalue)
    assert (dark["before"], dark["after"]) == pytest.approx((290 / 300, 284 / 300))
    assert dark["change"] == pytest.approx(-6 / 300)
    assert dark["low"] < -6 / 300 < dark["high"]
    light = row_of(found.groups, group="tone:light")
    assert (light["change"], light["p_value"], light["fixed"]) == (0, 1, 0)
    assert light["low"] < 0 < light["high"]
    gap = found.gaps.iloc[0]
    assert (gap["group"], gap["other"]) == ("tone:dark", "tone:light")
    assert gap["before"] == pytest.approx(290 / 300 - 270 / 300)
    assert gap["change"] == pytest.approx(-6 / 300)
    assert gap["direction"] == "narrower"
    # Two groups and one gap.
    assert found.comparisons == 3
    assert found.adjusted_level == pytest.approx(1 - 0.05 / 3)
    # Holm: the gap has the smallest p of three, the dark group the next.
    assert gap["p_adjusted"] == pytest.approx(3 * gap["p_value"])
    assert dark["p_adjusted"] == pytest.approx(max(3 * gap["p_value"], 2 * dark["p_value"]))
    assert (found.before, found.after, found.n, found.seeds) == ("plain", "latent", 600, ())


def test_planted_harm_opens_the_verdict():
    after = report(wrong(range(10, 40), range(300, 310)), "latent")
    found = compare(BEFORE, after)
    assert found.verdict["sentence"].startswith("Harm: accuracy of tone dark fell by 6.7 percent")
    assert found.verdict["reading"] == "difference_found"
    assert found.groups.iloc[0]["group"] == "tone:dark"
    assert found.groups["harm"].tolist() == [True, False]
    assert [text.split(" by ")[0] for text in found.verdict["gains"]] == [
        "accuracy of tone light rose"
    ]
    assert found.gaps.iloc[0]["direction"] == "reversed"
    assert "says nothing about retraining" in found.notes[0]


def test_a_widening_gap_is_a_harm_even_when_nobody_became_worse():
    after = report(wrong(range(300, 330)), "latent")
    before = report(wrong(range(40), range(300, 330)), "plain")
    found = compare(before, after)
    gap = found.gaps.iloc[0]
    assert gap["direction"] == "reversed"
    assert (gap["verdict"], bool(gap["harm"])) == ("difference_found", True)
    assert not found.groups["harm"].any()
    assert found.verdict["sentence"].startswith("Harm: gap in accuracy of tone dark to tone light")


def test_swapping_the_two_turns_every_sign():
    after = report(wrong(range(10, 40), range(300, 310)), "latent")
    one, other = compare(BEFORE, after), compare(after, BEFORE)
    keys = ["metric", "group"]
    a, b = (part.groups.sort_values(keys) for part in (one, other))
    assert a["change"].to_numpy() == pytest.approx(-b["change"].to_numpy())
    assert a["low"].to_numpy() == pytest.approx(-b["high"].to_numpy(), abs=1e-12)
    assert a["p_value"].tolist() == b["p_value"].tolist()
    assert one.gaps["p_value"].to_numpy() == pytest.approx(other.gaps["p_value"].to_numpy())


def test_fixed_means_better_for_every_rate():
    """One positive becomes right, three negatives become wrong."""
    after = report(wrong(range(10), range(11, 12), range(300, 330)), metrics=None)
    before = report(wrong(range(10), range(13, 14), range(300, 330)), metrics=None)
    rows = compare(before, after).groups
    rows = rows[rows["group"] == "tone:dark"].set_index("metric")[["fixed", "broken"]]
    # Row 11 is of class 1 and is lost, row 13 of class 1 is found again.
    assert rows.loc["true_positive_rate"].tolist() == [1, 1]
    alarms = report(wrong(range(10), range(12, 16, 2), range(300, 330)), metrics=None)
    rows = compare(before, alarms).groups
    rows = rows[rows["group"] == "tone:dark"].set_index("metric")
    assert rows.loc["false_positive_rate", ["fixed", "broken"]].tolist() == [0, 2]
    assert rows.loc["false_positive_rate", "change"] > 0
    assert rows.loc["selection_rate", ["fixed", "broken"]].tolist() == [3, 0]


def test_selecting_more_is_neither_harm_nor_gain():
    before = report(np.where(np.arange(600) < 150, 0, TRUTH), metrics=["selection_rate"])
    after = report(np.where(np.arange(600) < 150, 1, TRUTH), metrics=["selection_rate"])
    found = compare(before, after)
    dark = row_of(found.groups, group="tone:dark")
    assert (dark["verdict"], bool(dark["harm"])) == ("difference_found", False)
    assert not [text for text in found.verdict["harms"] if not text.startswith("gap")]


@pytest.mark.parametrize(
    ("seeds", "reason"), [(1, "single_run"), (2, "too_few_seeds"), (4, "too_few_seeds")]
)
def test_fewer_than_five_seeds_never_give_a_verdict_but_name_the_harm(seeds, reason):
    found = compare(arm(seeds), arm(seeds, "latent", harmed=60))
    assert (found.verdict["reading"], found.verdict["reason"]) == ("cannot_tell", reason)
    assert set(found.groups["verdict"]) | set(found.gaps["verdict"]) == {"cannot_tell"}
    assert found.groups.iloc[0]["harm"]
    where = "this training" if seeds == 1 else f"these {seeds} trainings"
    told = found.verdict["sentence"]
    assert told.startswith(f"Harm seen in {where}: accuracy of tone dark fell by")
    assert "in these trainings" in found.verdict["harms"][0]
    back = compare(arm(seeds, "latent", harmed=60), arm(seeds)).verdict["sentence"]
    assert back.startswith(f"Seen in {where}, perhaps chance: accuracy of tone dark rose by")
    assert "Gain" not in told + back
    assert any(str(seeds) in note or "Single run" in note for note in found.notes)
    limits = found.groups[["seed_low", "seed_high"]].isna().to_numpy()
    assert limits.all() if seeds == 1 else not limits.any()


def test_fewer_of_both_kinds_of_yes_is_a_trade_and_no_gain():
    """Saying yes to nobody dark: no false alarm is left, and nobody is recognised."""
    rates = ["true_positive_rate", "false_positive_rate"]
    before, after = (
        report(np.where(np.arange(600) < 150, value, TRUTH), metrics=rates) for value in (1, 0)
    )
    verdict = compare(before, after).verdict
    assert [text.split(" by ")[0] for text in verdict["trades"]] == [
        "false positive rate of tone dark fell"
    ]
    assert not [text for text in verdict["gains"] if not text.startswith("gap")]
    assert verdict["harms"][0].startswith("true positive rate of tone dark fell")
    assert verdict["sentence"].startswith("Harm: ")
    assert "Trade: false positive rate of tone dark fell" in verdict["sentence"]


def test_five_seeds_tell_harm():
    before, after = arm(5), arm(5, "latent", harmed=60)
    found = compare(before, after)
    assert found.verdict["reading"] == "difference_found"
    assert "in these trainings" not in found.verdict["harms"][0]
    assert found.seeds == (0, 1, 2, 3, 4)
    dark = row_of(found.groups, group="tone:dark")
    rates = [
        (one.outcomes.y_pred == one.outcomes.y_true)[:, TONES == "dark"].mean(axis=1)
        for one in (before, after)
    ]
    expected = ttest_rel(rates[1], rates[0]).confidence_interval(found.adjusted_level)
    assert (dark["seed_low"], dark["seed_high"]) == pytest.approx((expected.low, expected.high))


def test_seeds_that_disagree_give_no_verdict():
    """A change in one training of five is seen in the images, and not over seeds."""
    before = arm(5, noise=0.0)
    y_pred = before.outcomes.y_pred.copy()
    y_pred[0, :200] = 1 - TRUTH[:200]
    after = replace(before, outcomes=replace(before.outcomes, y_pred=y_pred))
    found = compare(before, after)
    dark = row_of(found.groups, group="tone:dark")
    assert dark["p_adjusted"] < 1e-6
    assert dark["seed_low"] < 0 < dark["seed_high"]
    assert (dark["verdict"], dark["reason"]) == ("cannot_tell", "insufficient_evidence")
    assert found.verdict["reading"] == "cannot_tell"
    assert "in these trainings" in found.verdict["harms"][0]


def test_trainings_are_paired_by_seed_whatever_their_order():
    before, after = arm(5), arm(5, "latent", harmed=60)
    turned = replace(
        after.outcomes, seeds=after.outcomes.seeds[::-1], y_pred=after.outcomes.y_pred[::-1],
        score=after.outcomes.score[::-1],
    )  # fmt: skip
    assert compare(before, replace(after, outcomes=turned)).to_dict() == (
        compare(before, after).to_dict()
    )


def test_nothing_changed_is_not_proof_of_nothing():
    found = compare(BEFORE, BEFORE)
    assert (found.verdict["reading"], found.verdict["reason"]) == ("cannot_tell", "no_margin")
    assert "not evidence that there is none" in found.verdict["sentence"]
    assert compare(BEFORE, BEFORE, margin=0.1).verdict["reading"] == "difference_ruled_out"
    tight = compare(BEFORE, BEFORE, margin=0.001)
    assert tight.verdict["reason"] == "insufficient_evidence"
    assert "insufficient evidence" in tight.verdict["sentence"]


def test_a_group_that_cannot_be_tested_forbids_ruling_out():
    tones = ["rare"] * 20 + list(TONES[20:])
    before = report(wrong(), groups={"tone": tones})
    found = compare(before, before, margin=0.3)
    rare = row_of(found.groups, group="tone:rare")
    assert rare[["state", "reason", "verdict"]].tolist() == ["too_small"] * 2 + ["cannot_tell"]
    assert rare["n"] == 20
    assert np.isnan(rare["p_value"])
    assert found.verdict["reading"] == "cannot_tell"
    assert "Incomplete" in found.verdict["sentence"]
    untested = found.gaps[
        (found.gaps["group"] == "tone:rare") | (found.gaps["other"] == "tone:rare")
    ]
    assert set(untested["reason"]) == {"too_small"}
    assert untested["change"].isna().all()


def test_images_without_a_group_are_shown_and_take_no_part():
    tones = [None] * 40 + list(TONES[40:])
    before = report(wrong(), groups={"tone": tones})
    after = report(wrong(range(40)), groups={"tone": tones})
    found = compare(before, after, margin=0.3)
    unknown = row_of(found.groups, group="tone:unknown")
    assert (unknown["change"], unknown["reason"]) == (-1, "unknown")
    assert np.isnan(unknown["p_value"])
    assert "tone:unknown" not in set(found.gaps["group"]) | set(found.gaps["other"])
    assert found.verdict["reading"] == "difference_ruled_out"


def test_what_is_withheld_stays_withheld():
    tones = ["hidden"] * 5 + list(TONES[5:])
    options = {"groups": {"tone": tones}, "metrics": None, "score": TRUTH * 0.8 + 0.1}
    before, after = report(wrong(), **options), report(wrong(range(5)), **options)
    secret = set(before.by_group.loc[before.by_group["state"] == "suppressed", "group"])
    assert "tone:hidden" in secret
    found = compare(before, after)
    rows = found.groups[found.groups["state"] == "suppressed"]
    assert set(rows["group"]) == secret
    columns = ["n", "before", "after", "change", "low", "high", "fixed", "broken", "p_value"]
    assert rows[[*columns, "p_adjusted", "seed_low"]].isna().all(axis=None)
    trade = found.trade[found.trade["group"] == "tone:hidden"]
    assert set(trade["metric"]) >= {"accuracy", "auroc", "calibration_bias"}
    assert trade[["before", "after", "change"]].isna().all(axis=None)
    gaps = found.gaps[found.gaps["reason"] == "suppressed"]
    assert gaps[["before", "after", "change", "low", "high"]].isna().all(axis=None)
    assert row_of(found.sizes, group="tone:hidden")[["before", "after"]].isna().all()
    text = json.dumps(found.to_dict(), allow_nan=False)
    assert "NaN" not in text


def test_withheld_in_one_report_is_withheld_in_the_comparison():
    after = report(wrong(range(10, 40)), "latent")
    states = after.by_group.assign(
        state=np.where(after.by_group["group"] == "tone:dark", "suppressed", "estimated")
    )
    found = compare(BEFORE, replace(after, by_group=states))
    dark = row_of(found.groups, group="tone:dark")
    assert (dark["state"], bool(dark["harm"])) == ("suppressed", False)
    assert np.isnan(dark["after"])
    trade = found.trade[found.trade["group"] == "tone:dark"]
    assert trade[["before", "after"]].isna().all(axis=None)


def test_a_group_without_positives_is_not_estimable():
    truth = np.where(TONES == "dark", 0, TRUTH)
    options = {"groups": {"tone": list(TONES)}, "metrics": ["true_positive_rate"]}
    one = evaluate(truth, wrong(), **options)
    found = compare(one, one)
    dark = row_of(found.groups, group="tone:dark")
    assert (dark["state"], dark["n"], dark["reason"]) == ("not_estimable", 0, "not_estimable")
    assert dark[["before", "after", "change", "low", "high"]].isna().all()


IDS = [f"a{i:03d}" for i in range(600)]
PEOPLE = [f"p{i // 2}" for i in range(600)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sample_id": [f"b{i:03d}" if i < 3 else IDS[i] for i in range(600)]},
         "6 images are in one of the two reports only, first a000"),
        ({"groups": {"tone": ["light", "light", *TONES[2:]]}},
         "groups of tone differ for 2 of 600 images, first a000"),
        ({"groups": {"shade": list(TONES)}}, "the attributes of the two reports differ"),
        ({"subject_id": None}, "only one of the two reports knows who is shown"),
        ({"subject_id": ["p9", *PEOPLE[1:]]}, "identities differ"),
        ({"positive": 0}, "the classes differ"),
        ({"metrics": ["precision"]}, "no metric in common"),
    ],
)  # fmt: skip
def test_other_images_are_refused(change, message):
    options = {"sample_id": IDS, "subject_id": PEOPLE}
    with pytest.raises(EvaluationError, match=message):
        compare(report(wrong(), **options), report(wrong(), **{**options, **change}))


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        (lambda: report(wrong()),
         lambda: report(wrong(), declared={"tone": ["dark", "light", "z"]}),
         "1 are not in both in the same order, first tone:z"),
        (lambda: BEFORE, lambda: evaluate(1 - TRUTH, wrong(), groups={"tone": list(TONES)}),
         "true labels differ for 600 of 600 images, first 0"),
        (lambda: arm(2), lambda: arm(3), r"same seeds.*\[0, 1\] and \[0, 1, 2\]"),
        (lambda: BEFORE, lambda: arm(2), "sample ids are numbers in one report and text"),
        (lambda: unknown_training(), lambda: arm(2), "paired by their seeds only"),
    ],
)  # fmt: skip
def test_other_labels_groups_or_seeds_are_refused(before, after, message):
    with pytest.raises(EvaluationError, match=message):
        compare(before(), after())


def unknown_training():
    return replace(arm(1), outcomes=replace(arm(1).outcomes, seeds=()))


def test_trainings_of_unknown_seed_are_two_single_classifiers():
    assert compare(unknown_training(), arm(1)).seeds == ()


@pytest.mark.parametrize("options", [{"level": 1.0}, {"margin": 5.0}, {"reference": "tone:best"}])
def test_decisions_out_of_range_are_refused(options):
    with pytest.raises(EvaluationError):
        compare(BEFORE, BEFORE, **options)


def test_the_order_of_rows_does_not_matter():
    rng = np.random.default_rng(0)
    order = rng.permutation(600)
    y_pred = wrong(range(5, 45), range(320, 340))
    options = {"sample_id": IDS, "subject_id": PEOPLE}
    plain = report(wrong(), **options)
    shuffled = evaluate(
        TRUTH[order], y_pred[order], groups={"tone": list(TONES[order])}, metrics=["accuracy"],
        sample_id=np.array(IDS)[order], subject_id=np.array(PEOPLE)[order],
    )  # fmt: skip
    assert compare(plain, shuffled).to_dict() == compare(plain, report(y_pred, **options)).to_dict()


def test_people_make_the_comparison_more_careful():
    """The same 30 newly wrong images, of 30 people or of three."""
    after = wrong(range(30))
    many = compare(
        report(wrong(), subject_id=list(range(600))), report(after, subject_id=list(range(600)))
    )
    few_ids = np.arange(600) // 10
    few = compare(report(wrong(), subject_id=few_ids), report(after, subject_id=few_ids))
    rows = [row_of(one.groups, group="tone:dark") for one in (many, few)]
    assert rows[0]["p_value"] < 1e-6 < rows[1]["p_value"]
    assert rows[1]["high"] - rows[1]["low"] > 2 * (rows[0]["high"] - rows[0]["low"])
    assert [row["identities"] for row in rows] == [300, 30]
    assert (many.identities, few.identities) == (600, 60)


def test_where_there_is_nothing_to_compare_people_are_no_trouble():
    """An attribute of one group; a crossing of so many cells that none is compared."""
    people, rng = np.arange(600) // 2, np.random.default_rng(0)
    many = {name: rng.integers(0, 9, 600).astype(str).tolist() for name in ("one", "other")}
    for groups, expected in (({"tone": ["dark"] * 600}, set()), (many, {"one", "other"})):
        found = report(wrong(range(40)), groups=groups, subject_id=people, suppress_below=1)
        assert set(found.gaps["attribute"]) == expected
        document = compare(found, found).to_dict()
        assert misfits(document, ComparisonDocument) == []
        assert {gap["attribute"] for gap in document["gaps"]} == expected


def test_arms_are_one_family():
    arms = {"a": report(wrong(range(10, 40)), "a"), "b": report(wrong(range(8)), "b")}
    together = compare_pairs({name: (BEFORE, one) for name, one in arms.items()})
    alone = compare(BEFORE, arms["a"])
    assert [one.comparisons for one in together.values()] == [6, 6]
    assert alone.comparisons == 3
    assert together["a"].adjusted_level == pytest.approx(1 - 0.05 / 6)
    assert (together["a"].groups["p_adjusted"] >= alone.groups["p_adjusted"]).all()
    assert "2 arms together" in " ".join(together["a"].scope)
    assert compare_pairs({}) == {}


def test_the_number_printed_is_the_number_made():
    groups = pd.DataFrame({"tone": TONES, "age": np.tile(["old", "young", "young"], 200)})
    options = {"groups": groups, "metrics": None}
    found = compare(report(wrong(), **options), report(wrong(range(9)), **options)).to_dict()
    rows = [*found["groups"], *found["gaps"]]
    made = [row for row in rows if row["p_value"] is not None]
    # Eight cells; one pair in each attribute and six in the crossing; four paired measures.
    assert len(made) == found["comparisons"] == 4 * (8 + 1 + 1 + 6)
    assert f"{found['comparisons']} comparisons" in " ".join(found["scope"])
    assert all(row["p_adjusted"] >= row["p_value"] for row in made)


def test_a_declared_reference_is_kept():
    declared = [report(p, reference="tone:light") for p in (wrong(), wrong(range(9)))]
    assert compare(*declared).gaps[["group", "other"]].to_numpy().tolist() == [
        ["tone:dark", "tone:light"]
    ]
    turned = compare(*declared, reference="tone:dark").gaps
    assert turned[["group", "other"]].to_numpy().tolist() == [["tone:light", "tone:dark"]]


def test_recall_bought_with_precision_is_told():
    truth = TRUTH
    before = report(np.where((truth == 1) & (np.arange(600) % 5 == 1), 0, truth), metrics=None)
    after = report(np.where((truth == 0) & (np.arange(600) % 5 == 0), 1, truth), metrics=None)
    found = compare(before, after)
    rows = found.trade[found.trade["group"] == ""].set_index("metric")
    assert rows.loc["true_positive_rate", ["before", "after"]].tolist() == pytest.approx([0.8, 1])
    assert rows.loc["precision", ["before", "after"]].tolist() == pytest.approx([1, 300 / 360])
    told = [note for note in found.notes if "recall rose by 20.0 percentage points" in note]
    assert len(told) == 1
    assert "precision fell by 16.7 percentage points (100.0% to 83.3%)" in told[0]
    same = compare(before, before)
    assert not [note for note in same.notes if "recall" in note]


def test_the_trade_shows_the_quality_of_scores():
    score = np.where(TRUTH == 1, 0.8, 0.3)
    before = report(wrong(), score=score, metrics=None)
    after = report(wrong(), score=1 - score, metrics=None)
    rows = compare(before, after).trade.set_index(["group", "metric"])
    for group in ("", "tone:dark"):
        assert rows.loc[(group, "auroc"), ["before", "after"]].tolist() == [1, 0]
        assert rows.loc[(group, "calibration_bias"), "before"] == pytest.approx(-0.05)
    assert rows.index.is_unique


def test_more_than_two_classes():
    truth = np.tile(["bird", "cat", "dog"], 200)
    guess = truth.copy()
    guess[:60] = "dog"
    options = {"groups": {"tone": list(TONES)}}
    found = compare(evaluate(truth, truth, **options), evaluate(truth, guess, **options))
    assert found.groups.iloc[0]["harm"]
    cat = row_of(found.groups, group="tone:dark", metric="true_positive_rate[cat]")
    assert (cat["harm"], cat["broken"]) == (True, 20)
    dog = row_of(found.groups, group="tone:dark", metric="false_positive_rate[dog]")
    assert (bool(dog["harm"]), dog["broken"], dog["change"] > 0) == (True, 40, True)


def test_the_document_has_the_fields_that_it_declares():
    for found in (compare(BEFORE, BEFORE), compare(arm(5), arm(5, "latent", harmed=60))):
        document = json.loads(found.to_json())
        assert (document["kind"], document["schema"]) == ("comparison", 1)
        assert misfits(document, ComparisonDocument) == []


def test_without_groups_there_is_nothing_to_compare():
    images = replace(BEFORE.outcomes, groupings=())
    alone = replace(BEFORE, outcomes=images, by_group=BEFORE.by_group[:0], attributes=[])
    found = compare(alone, alone)
    assert (len(found.groups), len(found.gaps), found.comparisons) == (0, 0, 0)
    assert found.verdict["reading"] == "cannot_tell"
    assert found.verdict["reason"] == "insufficient_evidence"
    assert misfits(found.to_dict(), ComparisonDocument) == []


def test_generated_text_promises_nothing():
    found = compare_pairs({"a": (arm(5), arm(5, "latent", harmed=60)), "b": (arm(5), arm(5))})
    texts = [json.dumps(one.to_dict()) for one in found.values()]
    words = {word.strip(".,;:()[]'\"").lower() for text in texts for word in text.split()}
    assert not words & {"fair", "unfair", "unbiased", "solved", "compliant", "bias-free", "pass"}


def test_a_gap_that_only_changes_sides_is_no_harm():
    """Both groups improve; the gap is as wide as before, the other way round."""
    n = 20_000
    tone = np.repeat(["a", "b"], n)
    y = np.ones(2 * n, dtype=int)
    y[::2] = 0

    def predicted(right_a, right_b):
        place = np.tile(np.arange(n), 2)
        right = place < np.where(tone == "a", right_a, right_b)
        return np.where(right, y, 1 - y)

    before = evaluate(y, predicted(16_000, 16_800), groups={"tone": tone}, metrics=["accuracy"])
    after = evaluate(y, predicted(18_040, 17_190), groups={"tone": tone}, metrics=["accuracy"])
    found = compare(before, after)
    assert found.gaps.iloc[0]["direction"] == "reversed"
    assert found.verdict["harms"] == []
    assert not found.gaps["harm"].any()


@pytest.mark.slow
def test_people_who_gain_in_one_group_and_lose_in_the_other_raise_no_false_alarms():
    """A new habit of calling some people smiling: right in one group, wrong in the other."""
    generator = np.random.default_rng(5)
    face = np.tile(["smile", "rest"], 1000)
    y, who = (face == "smile").astype(int), np.arange(2000) // 20
    alarms = 0
    for _ in range(60):
        habits = generator.beta(1.5, 1.5, (2, 100))  # of each person, before and after
        guesses = [(generator.random(2000) < habit[who]).astype(int) for habit in habits]
        before, after = (
            evaluate(y, guess, groups={"face": face}, metrics=["accuracy"], subject_id=who)
            for guess in guesses
        )
        alarms += (compare(before, after).gaps["p_value"] <= 0.05).sum()
    assert alarms <= 8  # the 99% point of a binomial of 60 at 5 %

"""Groups against declared shares, rarity and weights: by hand, by oracle, and under attack."""

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from debias.auditing.groups import (
    audit_groups,
    declared_groupings,
    judged,
    losses,
    shares,
    states,
)
from debias.auditing.rules import AuditRules
from debias.auditing.words import percent
from debias.errors import GroupSchemaError
from debias.statistics.areas import areas_of_people, auc_by_group
from debias.statistics.withholding import hidden_counts

RACE = {"race": {"A": 0.25, "B": 0.25, "C": 0.5}}
FIELDS = {
    "group", "count", "share", "low", "high", "declared", "missing", "verdict", "p_adjusted",
    "auc", "auc_low", "auc_high", "weight_share", "raised", "set_aside", "set_aside_share", "state",
}  # fmt: skip


def column(**counts):
    """Values in blocks: column(A=2, B=1) is A, A, B."""
    return [value.replace("none", "") for value, count in counts.items() for _ in range(count)]


def audited(groups, declared=None, **more):
    table = pd.DataFrame(groups)
    n = len(table)
    given = {"rarity": np.arange(n) / n, "weight": np.ones(n)} | more
    return audit_groups(table, declared=declared or {}, **given)


def rows(audit, attribute="race"):
    (found,) = (one["rows"] for one in audit["attributes"] if one["attribute"] == attribute)
    return {row["group"].removeprefix(f"{attribute}:"): SimpleNamespace(**row) for row in found}


def crossed(audit):
    return {row["group"]: SimpleNamespace(**row) for row in audit["crossings"]}


def compared(values, declared, people=None, hidden=()):
    """Counts, p-values and verdicts alone: quick enough to repeat."""
    (grouping,) = declared_groupings(pd.DataFrame({"race": values}), {"race": declared})
    none = np.zeros(len(grouping.cells), dtype=bool)
    withheld = np.isin(grouping.cells, [f"race:{name}" for name in hidden])
    table = shares(grouping, withheld, people, level=0.05, comparisons=len(declared))
    table = judged(table.assign(state=states(table, withheld, none)), 0.05)
    return table.assign(group=table["group"].str.removeprefix("race:")).set_index("group")


def said(audit, *parts):
    return [text for text in audit["sentences"] if all(part in text for part in parts)]


# Counts, intervals, what is missing


def test_one_attribute_by_hand():
    found = rows(audited({"race": column(A=20, B=30, C=450)}, RACE))
    a, b, c = found["A"], found["B"], found["C"]
    assert [row.count for row in (a, b, c)] == [20, 30, 450]
    assert [row.share for row in (a, b, c)] == [0.04, 0.06, 0.9]
    # (0.25 * 500 - 30) / 0.75 = 126.7
    assert [row.missing for row in (a, b, c)] == [140, 127, 0]
    assert [row.state for row in (a, b, c)] == ["estimated"] * 3
    assert [row.verdict for row in (a, b, c)] == ["below", "below", "above"]
    assert a.p_adjusted < 1e-30
    assert a.low < 0.04 < a.high


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.031, "3.1%"), (0.25, "25%"), (0.0, "0%"), (0.0042, "0.42%"), (1e-6, "under 0.01%"),
     (1.0, "100%")],
)  # fmt: skip
def test_percentages_as_they_are_written(share, text):
    assert percent(share) == text


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 90), st.integers(30, 400), st.floats(0.01, 0.99))
def test_intervals_and_p_values_are_those_of_the_exact_test(count, others, declared):
    values = column(A=count, B=others)
    row = compared(values, {"A": declared, "B": 1 - declared}).loc["A"]
    n = count + others
    oracle = binomtest(count, n, declared).proportion_ci(0.95, method="exact")
    np.testing.assert_allclose([row.low, row.high], oracle, atol=1e-9)
    sides = [binomtest(count, n, declared, side).pvalue for side in ("less", "greater")]
    assert row.p == pytest.approx(min(1.0, 2 * min(sides)), rel=1e-6, abs=1e-300)


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 200), st.integers(1, 400), st.floats(0, 0.99))
def test_missing_is_the_least_number_that_suffices(count, others, declared):
    found = compared(column(A=count, B=others), {"A": declared, "B": 1 - declared})
    n, more = count + others, found.loc["A", "missing"]
    assert (count + more) / (n + more) >= declared - 1e-9
    assert more == 0 or (count + more - 1) / (n + more - 1) < declared


def test_p_values_are_adjusted_by_hand_and_groups_without_a_verdict_count():
    """Of three, the smallest times 3, the next times 2; A is withheld and counts as 1."""
    shares = {"A": 0.1, "B": 0.26, "C": 0.64}
    found = compared(column(A=20, B=290, C=690), shares, hidden="A")
    p = found["p"]
    assert p["A"] < 3 * p["C"] < 2 * p["B"] < 0.1
    assert found["p_adjusted"].isna().tolist() == [True, False, False]
    assert found.loc["C", "p_adjusted"] == pytest.approx(3 * p["C"])
    assert found.loc["B", "p_adjusted"] == pytest.approx(2 * p["B"])


def test_a_share_of_all_can_be_missed_by_any_number():
    found = audited({"race": column(A=100, B=100)}, {"race": {"A": 1.0, "B": 0.0}})
    assert (rows(found)["A"].missing, rows(found)["B"].missing) == (None, 0)
    assert said(found, "race: A is below", "no number of images of this group alone")


def test_a_declared_share_of_exactly_what_is_there_misses_nothing():
    shares = {value: 0.1 for value in "ABCDEFGHIJ"}
    found = rows(audited({"race": column(**dict.fromkeys(shares, 33))}, {"race": shares}))
    assert {row.missing for row in found.values()} == {0}


# Verdicts


def test_an_equal_share_is_never_called_right_only_not_told_apart():
    found = audited({"race": column(A=50, B=50, C=100)}, RACE)
    assert {row.verdict for row in rows(found).values()} == {"cannot_tell"}
    assert said(found, "cannot tell whether A, B, C differ", "INSUFFICIENT EVIDENCE")


def test_a_declared_group_without_images_is_short_and_not_estimable():
    row = rows(audited({"race": column(B=200, C=200)}, RACE))["A"]
    assert (row.state, row.count, row.share, row.low) == ("not_estimable", 0, 0.0, 0.0)
    assert row.high == pytest.approx(1 - 0.025 ** (1 / 400))
    assert row.verdict == "below"
    assert row.missing == 134  # 0.25 * 400 / 0.75
    assert (row.auc, row.raised, row.weight_share) == (None, None, None)


@pytest.mark.parametrize(("n", "verdict"), [(29, None), (30, "below")])
def test_thirty_images_are_needed_to_miss_a_group(n, verdict):
    found = rows(audited({"race": column(B=n)}, {"race": {"A": 0.5, "B": 0.5}}))
    assert found["A"].verdict == verdict


@pytest.mark.parametrize(
    ("a", "b", "state", "verdict"),
    [
        (0, 2000, "not_estimable", "below"), (1, 2000, "estimated", "below"),
        (29, 2000, "estimated", "below"), (28, 1, "too_small", None), (29, 1, "estimated", "above"),
        (15, 14, "too_small", None), (15, 15, "estimated", "cannot_tell"),
    ],
)  # fmt: skip
def test_thirty_labelled_images_are_needed_to_judge_a_share(a, b, state, verdict):
    found = audited({"race": column(A=a, B=b, none=500)}, {"race": {"A": 0.5, "B": 0.5}})
    assert (rows(found)["A"].state, rows(found)["A"].verdict) == (state, verdict)
    assert bool(said(found, "no verdict on A (")) == (state == "too_small")


def test_a_small_group_of_a_large_set_is_below_its_declared_share():
    found = audited({"race": column(A=25, B=475)}, {"race": {"A": 0.5, "B": 0.5}})
    row = rows(found)["A"]
    assert (row.state, row.verdict, row.missing) == ("estimated", "below", 450)
    assert row.p_adjusted == pytest.approx(2 * binomtest(25, 500, 0.5).pvalue)
    assert found["sentences"][0].startswith("race: A is below its declared share: 5% (")
    assert {"kind": "below", "sentence": found["sentences"][0]} in found["news"]
    assert not said(found, "no verdict")


@pytest.mark.parametrize("images", [29, 30])
def test_thirty_images_of_a_group_are_needed_to_say_more_than_its_share(images):
    """Even of one whose rarity and weights stand out as far as they can."""
    values = column(A=images, B=2000)
    known = np.where(np.array(values) == "A", 8.0, 1.0)
    listed = account(A=(images, 20), B=(2020, 20))
    found = audited({"race": values}, rarity=known, weight=known, set_aside=listed)
    row, is_enough = rows(found)["A"], images == 30
    of_its_images = (row.auc, row.auc_low, row.weight_share, row.raised, row.set_aside_share)
    assert [value is not None for value in of_its_images] == [is_enough] * 5
    assert (row.state, row.set_aside) == ("estimated", 20)
    assert bool(said(found, "thinner surroundings", "A (")) == is_enough
    assert bool(said(found, "weights raise the share of A")) == is_enough
    assert bool(said(found, "A lost more")) == is_enough
    assert bool(said(found, "whether rarity or weights reach A is not said")) != is_enough


def test_without_declared_shares_there_is_no_verdict():
    found = audited({"race": column(A=50, B=950)})
    assert {(row.verdict, row.missing, row.p_adjusted) for row in rows(found).values()} == {
        (None, None, None)
    }
    assert found["comparisons"] == 0
    assert said(found, "race: no shares are declared", "no verdict")


def test_images_without_a_label_are_a_row_of_their_own_and_no_part_of_the_shares():
    found = audited({"race": column(A=100, B=100, C=200, none=600)}, RACE)
    assert rows(found)["A"].share == 0.25
    assert rows(found)["A"].verdict == "cannot_tell"
    unknown = rows(found)["unknown"]
    assert (unknown.state, unknown.count, unknown.share) == ("unknown", 600, 0.6)
    assert (unknown.low, unknown.verdict, unknown.auc) == (None, None, None)
    assert sum(row.count for row in rows(found).values()) == 1000
    assert said(found, "600 images (60%) have no label")


def test_p_values_are_adjusted_over_attributes_and_crossings_and_the_number_is_printed():
    groups = {"race": column(A=140, B=260), "sex": column(f=200, m=200)}
    crossing = {"sex:f x race:A": 0.25, "sex:m x race:A": 0.25, "race:B x sex:f": 0.25,
                "race:B x sex:m": 0.25}  # fmt: skip
    half = {"race": {"A": 0.5, "B": 0.5}}
    alone = audited(groups, half)
    all_of_it = audited(groups, half | {"sex": {"f": 0.5, "m": 0.5}, "sex x race": crossing})
    assert (alone["comparisons"], all_of_it["comparisons"]) == (2, 8)
    declared = [row for table in all_of_it["attributes"] for row in table["rows"]]
    declared += all_of_it["crossings"]
    assert sum(row["declared"] is not None for row in declared) == 8
    assert rows(all_of_it)["A"].p_adjusted > rows(alone)["A"].p_adjusted
    assert said(all_of_it, "8 groups and crossings were compared")


def test_a_crossing_has_the_share_that_was_declared_and_never_a_product():
    groups = {"race": column(A=200, B=200), "sex": column(f=200, m=200)}
    half = {"race": {"A": 0.5, "B": 0.5}, "sex": {"f": 0.5, "m": 0.5}}
    found = crossed(audited(groups, half))
    assert {row.declared for row in found.values()} == {None}
    assert found["race:A x sex:m"].count == 0
    assert {row.verdict for row in found.values()} == {None}
    shares = {"race:A x sex:f": 0.4, "sex:m x race:A": 0.1, "race:B x sex:f": 0.1,
              "race:B x sex:m": 0.4}  # fmt: skip
    found = crossed(audited(groups, {"race x sex": shares}))
    assert found["race:A x sex:m"].declared == 0.1
    assert found["race:A x sex:m"].verdict == "below"


def test_false_alarms_under_equality_stay_below_the_level():
    """At most 18 of 200 at 5% (99% point of the binomial)."""
    generator = np.random.default_rng(0)
    declared = {"A": 0.6, "B": 0.25, "C": 0.1, "D": 0.05}
    alarms = 0
    for _ in range(200):
        drawn = generator.choice(list(declared), 800, p=list(declared.values()))
        alarms += compared(drawn, declared)["verdict"].isin(["below", "above"]).any()
    assert alarms <= 18


# People who repeat


@pytest.mark.parametrize("heavy", [False, True])
def test_false_alarms_stay_below_the_level_where_people_repeat(heavy):
    """At most 7 of 60 (99% point of the binomial); counted by images it would be most of them."""
    generator = np.random.default_rng(0)
    declared = {"A": 0.6, "B": 0.3, "C": 0.1}
    alarms, naive, missed = 0, 0, 0
    for _ in range(60):
        images = np.minimum(generator.zipf(2.0, 500), 100) if heavy else np.full(500, 10)
        people = np.repeat(np.arange(500), images)
        drawn = generator.choice(list(declared), 500, p=list(declared.values()))[people]
        found = compared(drawn, declared, people)
        alarms += found["verdict"].isin(["below", "above"]).any()
        missed += not found["low"]["A"] <= 0.6 <= found["high"]["A"]
        naive += compared(drawn, declared)["verdict"].isin(["below", "above"]).any()
    assert alarms <= 7
    assert missed <= 7
    assert naive > 30


def test_people_that_repeat_widen_every_interval():
    generator = np.random.default_rng(1)
    people = np.repeat(np.arange(200), 10)
    drawn = generator.choice(["A", "B"], 200)[people]
    rarity = generator.normal(size=200)[people]
    plain = rows(audited({"race": drawn}, rarity=rarity))["A"]
    clustered = rows(audited({"race": drawn}, rarity=rarity, subjects=people))["A"]
    assert clustered.low < plain.low < plain.high < clustered.high
    assert clustered.auc_low < plain.auc_low < plain.auc_high < clustered.auc_high
    # Ten alike images count as one: the width grows by about the root of ten.
    assert 2.9 < (clustered.high - clustered.low) / (plain.high - plain.low) < 3.8
    areas_widened = (clustered.auc_high - clustered.auc_low) / (plain.auc_high - plain.auc_low)
    assert 2.9 < areas_widened < 3.8


def test_people_that_do_not_repeat_change_little():
    values = {"race": column(A=300, B=700)}
    plain = rows(audited(values))["A"]
    apart = rows(audited(values, subjects=np.array([None] * 1000, dtype=object)))["A"]
    assert apart.high - apart.low == pytest.approx(plain.high - plain.low, rel=0.02)


def test_a_thousand_photographs_of_one_person_are_no_group():
    groups = {"race": column(A=1000, B=1000)}
    subjects = np.array(["one"] * 1000 + [f"p{i}" for i in range(1000)])
    found = audited(groups, {"race": {"A": 0.25, "B": 0.75}}, subjects=subjects)
    assert rows(found)["A"].state == "too_small"
    assert rows(found)["A"].verdict is None
    assert said(found, "2,000 images show 1,001 people")


def test_who_says_nothing_about_people_is_told_what_that_means():
    assert said(audited({"race": column(A=50, B=50)}), "treated as independent", "too narrow")


# Rarity and weights


def test_areas_are_those_of_the_ranking():
    generator = np.random.default_rng(0)
    race = generator.choice(["A", "B", "C"], 500)
    rarity = generator.normal(size=500) + (race == "A")
    found = rows(audited({"race": race}, rarity=rarity))
    oracle = auc_by_group(rarity, np.zeros(500, dtype=np.int64), race).set_index("group")
    for group, row in found.items():
        assert [row.auc, row.auc_low, row.auc_high] == oracle.loc[
            group, ["auc", "low", "high"]
        ].tolist()
    assert said(found_audit := audited({"race": race}, rarity=rarity), "images of A (", "thinner")
    assert said(found_audit, "race: rarity does not tell") == []


def test_an_area_over_everybody_is_undefined():
    row = rows(audited({"race": column(A=100)}))["A"]
    assert (row.auc, row.auc_low, row.raised) == (None, None, None)
    assert row.weight_share == 1.0


def test_nobody_else_is_compared_with_images_that_are_masked():
    score, codes = np.array([3.0, 1.0, 2.0, 0.0]), np.array([0, 0, -1, -1])
    assert areas_of_people(score, codes, None, level=0.95)["auc"].to_dict() == {0: 0.75}


def test_weights_that_know_a_group_raise_it_and_others_do_not():
    generator = np.random.default_rng(0)
    race = np.array(column(A=100, B=1900))
    uneven = generator.permutation(np.repeat([0.5, 1.5], 1000))
    found = {
        name: audited({"race": race}, weight=weight)
        for name, weight in {
            "known": np.where(race == "A", 8.0, 0.6) * generator.uniform(0.9, 1.1, 2000),
            "opposite": np.where(race == "A", 0.2, 1.0) * generator.uniform(0.9, 1.1, 2000),
            "random": uneven,
            "even": np.ones(2000),
        }.items()
    }
    raised = {name: rows(one)["A"].raised for name, one in found.items()}
    assert raised == {"known": True, "opposite": False, "random": False, "even": False}
    assert rows(found["even"])["A"].weight_share == pytest.approx(0.05)
    assert rows(found["known"])["A"].weight_share > 0.3
    assert said(found["known"], "the weights raise the share of A (5% to 4")
    assert said(found["random"], "the weights do not target A, B")
    # Harm stands before everything but shortfalls.
    assert "harm, the weights lower the share of A" in found["opposite"]["sentences"][0]


# What was set aside


def account(**counts):
    return pd.DataFrame(
        [("race", f"race:{name}", listed, rejected) for name, (listed, rejected) in counts.items()],
        columns=["attribute", "group", "listed", "rejected"],
    )


def test_a_group_that_lost_more_is_named_and_equal_losses_are_not():
    values = {"race": column(A=950, B=1980)}
    uneven = audited(values, set_aside=account(A=(1000, 50), B=(2000, 20)))
    assert rows(uneven)["A"].set_aside == 50
    assert rows(uneven)["A"].set_aside_share == 0.05
    assert said(uneven, "race: A lost more", "5% of its", "2.3% overall")
    assert not said(uneven, "race: B lost more")
    alike = audited(values, set_aside=account(A=(1000, 50), B=(2000, 100)))
    assert not said(alike, "lost more")


def test_a_group_of_which_everything_was_lost_is_there():
    values = {"race": column(B=1000)}
    gone = rows(audited(values, set_aside=account(A=(40, 40), B=(1010, 10))))["A"]
    assert (gone.state, gone.count, gone.set_aside, gone.set_aside_share) == (
        "not_estimable", 0, 40, 1.0,
    )  # fmt: skip
    few = rows(audited(values, set_aside=account(A=(10, 10), B=(1010, 10))))["A"]
    assert (few.set_aside, few.set_aside_share) == (None, None)
    shown = audited(
        values, set_aside=account(A=(10, 10), B=(1010, 10)), rules=AuditRules(suppress_below=1)
    )
    assert rows(shown)["A"].set_aside == 10


# What is withheld


def test_losses_of_withheld_groups_do_not_move_the_answers_about_others():
    hidden = frozenset({"race:A", "race:C"})
    answers = []
    for of_a, of_c in ((30, 0), (15, 15)):
        accounts = [
            account(A=(40, of_a), B=(1000, lost), C=(40, of_c), D=(1000, 5)) for lost in range(80)
        ]
        tables = [losses(one, hidden, below=11, minimum=30, level=0.05) for one in accounts]
        assert all(table.loc[list(hidden)].isna().all(axis=None) for table in tables)
        answers.append([table.loc["race:B", "more_set_aside"] for table in tables])
    assert answers[0] == answers[1]
    assert set(answers[0]) == {False, True}


def test_how_far_a_set_must_grow_is_not_said_beside_withheld_counts():
    groups = pd.DataFrame({"race": column(A=5, B=60, C=100, D=120, E=900)})
    found = audited(groups, {"race": dict.fromkeys("ABCDE", 0.2)}, hidden=hide(groups))
    assert len(said(found, "is below")) == 2
    assert not said(found, "at once")


def hide(groups, below=11):
    return frozenset(name for name, is_hidden in hidden_counts(groups, below).items() if is_hidden)


def documents(groups, hidden, subjects=None, listed=None):
    """The audit of some groups, all else being drawn from one seed."""
    generator = np.random.default_rng(5)
    n = len(groups)
    rarity = generator.normal(size=n)
    declared = {"race": {"A": 0.2, "B": 0.2, "C": 0.6}}
    return audit_groups(
        groups, declared=declared, rarity=rarity, weight=np.exp(rarity / 2), hidden=hidden,
        subjects=subjects, set_aside=listed,
    )  # fmt: skip


def listed_of(groups):
    sizes = groups["race"].replace("", "unknown").value_counts()
    found = account(**{name: (size + 3, 3) for name, size in sizes.items()})
    if "sex" not in groups:
        return found
    names = "race:" + groups["race"].replace("", "unknown") + " x sex:" + groups["sex"]
    crossed = [("race x sex", name, size + 3, 3) for name, size in names.value_counts().items()]
    return pd.concat([found, pd.DataFrame(crossed, columns=found.columns)], ignore_index=True)


@pytest.mark.parametrize("repeat", [1, 3])
@pytest.mark.parametrize(
    ("counts", "move"),
    [
        ({"A": 5, "B": 60, "C": 900}, ("B", "A")),
        ({"A": 9, "B": 12, "C": 900}, ("A", "B")),
        ({"A": 400, "B": 700, "C": 45, "none": 4}, ("C", "")),
        ({"A": 400, "B": 35, "C": 700, "none": 9}, ("", "B")),
    ],
)
def test_other_images_behind_a_withheld_count_give_the_same_document(counts, move, repeat):
    """Then nothing in it, p-values, missing images, weights and sentences included, tells it."""
    groups = pd.DataFrame({"race": column(**counts)})
    hidden = hide(groups)
    assert {f"race:{name or 'unknown'}" for name in move} <= hidden
    other = groups.copy()
    at = other.index[other["race"] == move[0]][:2]
    other.loc[at, "race"] = move[1]
    subjects = np.arange(len(groups)) // repeat if repeat > 1 else None
    first, second = (documents(g, hidden, subjects, listed_of(g)) for g in (groups, other))
    assert first == second


def test_other_images_behind_a_withheld_crossing_give_the_same_document():
    sizes = {("A", "f"): 5, ("A", "m"): 100, ("B", "f"): 200, ("B", "m"): 150, ("C", "f"): 300,
             ("C", "m"): 400}  # fmt: skip
    pairs = [pair for pair, size in sizes.items() for _ in range(size)]
    groups = pd.DataFrame(pairs, columns=["race", "sex"])
    hidden = hide(groups)
    cells = [f"race:{race} x sex:{sex}" for race, sex in sizes]
    assert len(hidden) == 4
    assert cells[0] in hidden
    other_race = next(race for race in "BC" if f"race:{race} x sex:f" in hidden)
    other = groups.copy()
    for race, sex, to in (("A", "m", "f"), (other_race, "f", "m")):
        is_in = (other["race"] == race) & (other["sex"] == sex)
        other.loc[other.index[is_in][:2], "sex"] = to
    # Attribute rows see other images as f and m: only sizes are looked at, with equal scores.
    found = [
        audit_groups(
            g, declared={}, rarity=np.zeros(len(g)), weight=np.ones(len(g)), hidden=hidden,
            set_aside=listed_of(g),
        )
        for g in (groups, other)
    ]  # fmt: skip
    assert found[0] == found[1]


def test_a_withheld_row_keeps_its_name_and_declared_share_only():
    groups = pd.DataFrame({"race": column(A=5, B=60, C=900)})
    table = documents(groups, hide(groups), None, listed_of(groups))["attributes"][0]["rows"]
    hidden = {row["group"]: row for row in table if row["state"] == "suppressed"}
    assert set(hidden) == {"race:A", "race:B"}
    for row in hidden.values():
        kept = {name for name, value in row.items() if value is not None}
        assert kept == {"group", "state", "declared"}


def test_how_many_lack_a_label_may_be_withheld_and_verdicts_hold_for_any_number():
    groups = pd.DataFrame({"race": column(A=400, B=700, C=45, none=4)})
    found = audit_groups(
        groups, declared={"race": {"A": 0.355, "B": 0.4, "C": 0.245}}, rarity=np.zeros(1149),
        weight=np.ones(1149), hidden=hide(groups),
    )  # fmt: skip
    a = rows(found)["A"]
    assert a.share == 400 / 1149
    assert a.low == pytest.approx(binomtest(400, 1149).proportion_ci(method="exact").low)
    assert a.high == pytest.approx(binomtest(400, 1100).proportion_ci(method="exact").high)
    assert a.verdict == "cannot_tell"
    assert rows(found)["B"].verdict == "above"


# Documents


def test_the_document_holds_the_fields_of_the_schema_and_can_be_written():
    groups = {"race": column(A=100, B=300, none=20), "sex": column(f=210, m=210)}
    document = audited(groups, {"race": {"A": 0.5, "B": 0.5}}, source="inferred")
    text = json.dumps(document, allow_nan=False)
    assert json.loads(text) == document
    wanted = {"source", "attributes", "crossings", "sentences", "comparisons", "news"}
    assert set(document) == wanted
    assert [one["declared"] for one in document["attributes"]] == [True, False]
    for row in [*document["attributes"][0]["rows"], *document["crossings"]]:
        assert set(row) == FIELDS
    assert any("machine guesses" in text for text in document["sentences"])


def test_the_worst_news_come_first():
    found = audited({"race": column(A=312, B=900, C=8788)}, RACE)
    assert found["sentences"][0] == (
        "race: A is below its declared share: 3.1% (2.8% to 3.5%) instead of 25%; "
        "2,918 more images would reach it."
    )
    assert found["sentences"][1].startswith("race: B is below")
    # 8788 / 0.5: the group that is largest beside its share decides.
    assert said(found, "at once", "it takes 17,576 images in all")
    assert list(rows(found)) == ["A", "B", "C"]


def test_the_same_input_gives_the_same_document_and_stays_as_it_was():
    groups = pd.DataFrame({"race": column(A=100, B=300), "sex": column(f=200, m=200)})
    before = groups.copy()
    weight = np.random.default_rng(0).uniform(0.5, 1.5, 400)
    found = [audited(groups, weight=weight.copy()) for _ in range(2)]
    assert found[0] == found[1]
    pd.testing.assert_frame_equal(groups, before)


# Bad input


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"race": {"A": 1.0}}, r"do not name 1 groups that the data hold: race:B; declare"),
        ({"age": {"old": 1.0}}, "'age', which is no attribute; there are race, sex or their cross"),
        ({"race x age": {"race:A x age:1": 1.0}}, "no attribute"),
        ({"race x sex": {"A x f": 1.0}}, "must be of the form 'race:value x sex:value'"),
        ({"race x sex": {"race:A x sex:f": 1.0}}, "do not name 1 groups.*race:B x sex:m"),
    ],
)
def test_shares_that_do_not_fit_the_data_are_refused(declared, message):
    groups = {"race": column(A=40, B=40), "sex": column(f=40, m=40)}
    with pytest.raises(GroupSchemaError, match=message):
        audited(groups, declared)


def test_too_many_crossings_are_refused():
    many = [f"v{i}" for i in range(101)]
    with pytest.raises(GroupSchemaError, match="cross to 10,201 groups, more than 10,000"):
        audited({"one": many, "two": many})

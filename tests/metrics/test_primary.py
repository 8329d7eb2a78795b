"""The primary questions: figures against other libraries, who is allowed what, and what is read."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from documents import misfits
from fake_predictions import groups_of, predictions_of
from scipy.stats import mannwhitneyu, ttest_rel
from sklearn.metrics import roc_auc_score

from debias.errors import EvaluationError
from debias.metrics import Rules, compare_pairs, evaluate, outcomes_of_trainings, report_on
from debias.metrics.documents import FairnessDocument, PrimaryChange
from debias.metrics.primary import Answer, Figure, answered, answers
from debias.statistics.crossed import Crossed

TRUTH = np.tile([0, 1], 300)
TONES = np.repeat(["dark", "light"], 300)


def arm(name="plain", wrong=(), seeds=3, rules=None, people=None):
    """Wrong answers that all trainings share, and a few of their own."""
    trainings = []
    for seed in range(seeds):
        generator = np.random.default_rng([seed, sum(name.encode())])
        y_pred = TRUTH.copy()
        own = np.flatnonzero(generator.random(600) < 0.03)
        for some in (np.asarray(wrong, dtype=int), own):
            y_pred[some] = 1 - TRUTH[some]
        score = np.clip(0.5 + (y_pred - 0.5) * generator.uniform(0.2, 0.9, 600), 0, 1)
        trainings.append(predictions_of(TRUTH, y_pred, score=score, arm=name, seed=seed))
    groups = groups_of(trainings[0].sample_ids, tone=TONES)
    outcomes = outcomes_of_trainings(trainings, groups, ("man", "woman"), subjects=people)
    return report_on(outcomes, rules or Rules(), name=name, split="test")


PLAIN = arm(wrong=range(60))


def asked(after, *primary, before=PLAIN, **options):
    found = compare_pairs({"": (before, after)}, primary=primary or None, **options)[""]
    return found.primary


def test_by_default_the_worst_group_comes_before_all_images():
    worst, everybody = asked(arm("latent"))
    assert (worst["quantity"], everybody["quantity"]) == ("worst_group_accuracy", "accuracy")
    right = (PLAIN.outcomes.y_pred == TRUTH), (arm("latent").outcomes.y_pred == TRUTH)
    dark = [one[:, :300].mean(axis=1) for one in right]
    light = [one[:, 300:].mean(axis=1) for one in right]
    lowest = [np.minimum(*pair) for pair in zip(dark, light, strict=True)]
    assert worst["before"] == pytest.approx(lowest[0].mean())
    assert worst["differences"] == pytest.approx(lowest[1] - lowest[0])
    assert everybody["change"] == pytest.approx(right[1].mean() - right[0].mean())
    assert [one["reading"] for one in (worst, everybody)] == ["difference_found"] * 2
    assert misfits(json.loads(json.dumps(worst, allow_nan=False)), PrimaryChange) == []


@pytest.mark.parametrize(
    ("quantity", "of"),
    [
        ("true_positive_rate", lambda y, p, s: (p[y == 1] == 1).mean()),
        ("precision", lambda y, p, s: (y[p == 1] == 1).mean()),
        ("auroc", lambda y, p, s: roc_auc_score(y, s)),
        ("accuracy_gap", lambda y, p, s: abs((p == y)[:300].mean() - (p == y)[300:].mean())),
        ("accuracy/tone:dark", lambda y, p, s: (p == y)[:300].mean()),
        ("auroc/tone:dark", lambda y, p, s: roc_auc_score(y[:300], s[:300])),
        ("equalized_odds_difference", lambda y, p, s: max(
            abs((p[:300][y[:300] == k] == 1).mean() - (p[300:][y[300:] == k] == 1).mean())
            for k in (0, 1))),
    ],
)  # fmt: skip
def test_every_figure_is_what_it_is_called(quantity, of):
    after = arm("latent")
    (found,) = asked(after, quantity)
    expected = [
        [
            of(TRUTH, p, s)
            for p, s in zip(one.outcomes.y_pred, one.outcomes.score[:, :, 1], strict=True)
        ]
        for one in (PLAIN, after)
    ]
    assert (found["before"], found["after"]) == pytest.approx(tuple(np.mean(expected, axis=1)))
    assert found["sd"] == pytest.approx(np.diff(expected, axis=0).std(ddof=1))


@pytest.mark.parametrize("quantity", ["accuracy", "precision", "auroc", "worst_group_accuracy"])
def test_the_influence_of_images_is_that_of_leaving_them_out(quantity):
    """The standard error by images, of a single training, is that of the jackknife."""
    before, after = arm(wrong=range(0, 60, 3), seeds=1), arm("latent", seeds=1)
    (found,) = asked(after, quantity, before=before)
    keep, values = np.ones(600, dtype=bool), []

    def figure(report):
        y_pred, score = report.outcomes.y_pred[0][keep], report.outcomes.score[0, :, 1][keep]
        y, tones = TRUTH[keep], TONES[keep]
        return {
            "accuracy": lambda: (y_pred == y).mean(),
            "precision": lambda: (y[y_pred == 1] == 1).mean(),
            "auroc": lambda: mannwhitneyu(score[y == 1], score[y == 0]).statistic
            / ((y == 1).sum() * (y == 0).sum()),
            "worst_group_accuracy": lambda: min(
                (y_pred == y)[tones == tone].mean() for tone in ("dark", "light")
            ),
        }[quantity]()  # fmt: skip

    for out in range(600):
        keep[out] = False
        values.append(figure(after) - figure(before))
        keep[out] = True
    jackknife = np.sqrt(599 / 600 * np.square(np.array(values) - np.mean(values)).sum())
    assert found["se_images"] == pytest.approx(jackknife, rel=0.08)


def test_a_question_of_trainings_alone_is_a_paired_t_test():
    """Every image of the dark group changes or none: only trainings vary."""
    before, after = arm(seeds=5), arm("latent", seeds=5)
    (found,) = asked(after, "accuracy", before=before)
    rates = [(one.outcomes.y_pred == TRUTH).mean(axis=1) for one in (after, before)]
    assert found["se_trainings"] == pytest.approx(
        abs(ttest_rel(*rates).statistic) ** -1 * abs(found["change"])
    )


def test_arms_share_the_error_and_pass_it_on():
    pairs = {"a": (PLAIN, arm("a")), "b": (PLAIN, arm("b", wrong=range(58)))}
    found = compare_pairs(pairs)
    a, b = found["a"].primary, found["b"].primary
    assert [one["reading"] for one in a] == ["difference_found"] * 2
    # Half the error; a quarter comes from the other arm's first question.
    assert (a[0]["level"], b[0]["level"]) == pytest.approx((0.975, 0.9625))
    assert {one["reading"] for one in b} == {"cannot_tell"}
    assert all(found[name].describes is (name == "b") for name in pairs)
    alone = compare_pairs({"b": pairs["b"]})["b"].primary
    assert b[0]["p_value"] == alone[0]["p_value"]
    assert b[0]["p_adjusted"] >= alone[0]["p_adjusted"]


def test_a_margin_rules_out_and_few_images_do_not_ask():
    assert asked(arm("latent", wrong=range(60)), margin=0.2)[0]["reading"] == "difference_ruled_out"
    strict = Rules(minimum=301)
    before, after = arm(rules=strict), arm("latent", rules=strict)
    assert [one["quantity"] for one in asked(after, before=before)] == ["accuracy"]


def test_an_interval_ends_where_a_figure_can_go_no_further():
    before, after = (
        Figure(np.array(values), np.zeros((2, 600)), np.ones(600, dtype=bool), 0.0)
        for values in ([0.9, 0.8], [0.9, 0.5])
    )
    change = Crossed(np.array([-0.15]), np.array([0.0225]), np.array([1e-4]), 2, np.array([599.0]))
    answer = Answer("accuracy", ("plain", "latent"), (0, 1), before, after, change)
    ((found,),) = answered({"latent": [answer]}, Rules()).values()
    assert (found["low"], found["high"]) == pytest.approx((-0.85, 0.15))


def test_what_is_withheld_is_not_asked():
    hidden = Rules(suppress_below=301)
    before, after = arm(rules=hidden), arm("latent", rules=hidden)
    assert asked(after, "worst_group_accuracy", "accuracy/tone:dark", before=before) == []


def test_people_are_units():
    people = dict(zip(PLAIN.outcomes.sample_ids, [f"p{k // 10}" for k in range(600)], strict=True))
    series = pd.Series(people)
    before, after = arm(wrong=range(60), people=series), arm("latent", people=series)
    (alone,) = asked(arm("latent"), "accuracy")
    (found,) = asked(after, "accuracy", before=before)
    assert found["change"] == alone["change"]
    assert found["se_images"] > 1.5 * alone["se_images"]


@pytest.mark.parametrize(
    ("question", "message"),
    [
        ("kindness", "'kindness' is no figure; known: accuracy"),
        ("accuracy/tone:blue", "there is no group 'tone:blue'; known: tone:dark, tone:light"),
        ("worst_group_kindness", "'kindness' is no figure"),
    ],
)
def test_a_question_nobody_can_ask_is_refused(question, message):
    with pytest.raises(EvaluationError, match=message):
        asked(arm("latent"), question)


def test_identical_arms_are_rarely_told_apart():
    """The family of two arms with two questions each, trainings and images random: at most 5 %."""
    generator, wrong, trials = np.random.default_rng(0), 0, 150

    def made(hard):
        rate = 0.05 + np.abs(generator.normal(0, 0.02, (3, 1))) + 0.4 * hard
        y_pred = np.where(generator.random((3, 600)) < rate, 1 - TRUTH, TRUTH)
        return replace(PLAIN, outcomes=replace(PLAIN.outcomes, y_pred=y_pred))

    for _ in range(trials):
        hard = generator.random(600) < 0.15
        plain, found = made(hard), {}
        for name in ("a", "b"):
            pair = plain, made(hard)
            found[name] = answers(pair, (pair[0].outcomes, pair[1].outcomes), Rules())
        told = answered(found, Rules())
        wrong += any(one["reading"] == "difference_found" for arm in told.values() for one in arm)
    assert wrong / trials <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)


def rated(right, **options):
    """Two hundred women and two hundred men, half of each positive; errors by group and class."""
    y_true, groups = np.tile([0, 1], 200), np.repeat(["w", "m"], 200)
    y_pred = y_true.copy()
    for (group, label), wrong in right.items():
        y_pred[np.flatnonzero((groups == group) & (y_true == label))[:wrong]] = 1 - label
    return evaluate(y_true, y_pred, groups=pd.DataFrame({"sex": groups}), **options)


def test_an_evaluation_asks_first_whether_accuracy_differs():
    found = rated({("w", 0): 20, ("w", 1): 20})
    (asked,) = found.primary
    assert (asked["metric"], asked["comparisons"], asked["level"]) == ("accuracy", 1, 0.95)
    assert abs(asked["difference"]) == pytest.approx(0.2)
    row = found.gaps[found.gaps["metric"] == "accuracy"].iloc[0]
    assert asked["p_value"] == row["p_value"]
    assert asked["reading"] == found.verdict.reading == "difference_found"
    assert row["low"] < asked["low"] < asked["high"] < row["high"]  # of five rates
    assert not found.describes
    assert misfits(json.loads(found.to_json()), FairnessDocument) == []


def test_other_rates_only_describe_where_it_does_not():
    """Errors of opposite kinds: accuracy is equal, the rates of both classes are not."""
    wrong = {("w", 0): 30, ("m", 1): 30}
    found = rated(wrong)
    assert found.describes
    assert found.verdict.reading == "cannot_tell"
    assert "only describes" in found.verdict.sentence
    silent = found.gaps[found.gaps["reason"] == "only_describes"]
    assert {"true_positive_rate", "false_positive_rate"} <= set(silent["metric"])
    assert ((silent["low"] > 0) | (silent["high"] < 0)).all()
    asked = rated(wrong, primary=["true_positive_rate", "accuracy"])
    assert [one["reading"] for one in asked.primary] == ["difference_found", "cannot_tell"]
    assert asked.verdict.sentence.startswith("Difference found: true positive rate differs")
    backwards = rated(wrong, primary=["accuracy", "true_positive_rate"])
    assert [one["reason"] for one in backwards.primary] == [
        "insufficient_evidence",
        "only_describes",
    ]
    with pytest.raises(EvaluationError, match="primary question 'kindness' is no rate"):
        rated(wrong, primary=["kindness"])


def test_equal_groups_rarely_differ_in_what_is_asked_first_or_later():
    generator, wrong = np.random.default_rng(0), 0
    for _ in range(200):
        y_true, groups = np.tile([0, 1], 300), np.repeat(list("abcdef"), 100)
        y_pred = np.where(generator.random(600) < 0.1, 1 - y_true, y_true)
        found = evaluate(y_true, y_pred, groups=pd.DataFrame({"g": groups}))
        wrong += found.verdict.reading == "difference_found"
    assert wrong / 200 <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 200)

"""What is said first of a run, on its page, in the terminal and in the summary."""

import pytest
from fake_fairness import fake_comparison
from fake_run import fake_document, skill_record
from reading import FORBIDDEN, Page

from debias.flows.summary import as_markdown
from debias.report import Pictures, opening
from debias.report.opening import changed, headline, moved, worst_seen
from debias.report.run_page import summary
from debias.report.terminal import lines

ONE = ("skin_tone_group",)


def rate(metric, group, value):
    return {
        "metric": metric,
        "attribute": "tone",
        "group": f"tone:{group}",
        "value": value,
        "denominator": 400,
    }


def gap(metric, difference, verdict="difference_found", attribute="tone"):
    return {
        "metric": metric, "attribute": attribute, "group": "tone:dark", "other": "tone:light",
        "difference": difference, "low": difference - 0.05, "high": difference + 0.05,
        "verdict": verdict, "reason": "" if verdict == "difference_found" else "no_margin",
    }  # fmt: skip


def change(after, verdict="difference_found", **more):
    return {
        **rate("false_positive_rate", "dark", None), "before": 0.46, "after": after,
        "change": after - 0.46, "low": after - 0.51, "high": after - 0.41,
        "verdict": verdict, "harm": False, "p_adjusted": 0.001,
        "wide_low": -0.5, "wide_high": -0.1,
        "reason": "" if verdict == "difference_found" else "insufficient_evidence", **more,
    }  # fmt: skip


def small_run(gaps, *, after=None, seeds=5):
    """Two groups of one attribute under two arms; ``after`` is the change of the dark group."""
    document = fake_document(arms=("uniform", "latent"), attributes=ONE, seeds=seeds)
    rates = {"accuracy": (0.65, 0.99), "true_positive_rate": (0.75, 0.99),
             "false_positive_rate": (0.46, 0.004)}  # fmt: skip
    document["fairness"]["uniform"] |= {
        "gaps": gaps,
        "by_group": [
            rate(metric, group, value)
            for metric, values in rates.items()
            for group, value in zip(("dark", "light"), values, strict=True)
        ],
    }
    compared = document["comparisons"]["latent"]
    compared |= {"groups": [after] if after else [], "gaps": []}
    compared["primary"][0]["reading"] = "cannot_tell"
    return document


def said(document):
    found = opening(document)
    return found["headline"], " ".join(found["sentences"]), found["next"]


def test_the_opening_says_who_is_served_worse_in_a_hundred_faces():
    document = small_run(
        [gap("accuracy", -0.34), gap("false_positive_rate", 0.456)], after=change(0.05)
    )
    headline, text, _ = said(document)
    assert headline == (
        "Plain training wrongly calls tone dark “smiling” more often than light; drawing unusual "
        "faces more often helps"
    )
    assert text == (
        "The classifier guesses smiling: “not smiling” or “smiling”. Of 100 “not smiling” images "
        "of tone dark, 46 are called “smiling”; of light, fewer than 1. "
        "Difference found: 45.6 percentage points (40.6 to 50.6). "
        "Drawing unusual faces more often (latent weights): 5 instead of 46, better."
    )
    assert len(text.split()) <= 60


@pytest.mark.parametrize(
    ("metric", "difference", "words"),
    [
        ("accuracy", 0.34, "of tone light, 99 are answered rightly; of dark, 65."),
        (
            "true_positive_rate",
            -0.24,
            "“smiling” images of tone dark, 75 are recognised; of light, 99.",
        ),
        ("false_positive_rate", -0.456, "“not smiling” images of tone light"),
    ],
)
def test_the_group_that_is_served_worse_comes_first(metric, difference, words):
    assert words in said(small_run([gap(metric, difference)]))[1]


def test_a_found_difference_comes_before_a_larger_one_that_was_not_and_before_a_crossing():
    rows = [
        gap("accuracy", -0.2), gap("true_positive_rate", -0.5, "cannot_tell"),
        gap("false_positive_rate", 0.6, attribute="tone x gender"),
    ]  # fmt: skip
    assert "answered rightly" in said(small_run(rows))[1]


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (change(0.6, harm=True), "(latent weights): 60 instead of 46, worse."),
        (
            change(0.3, "cannot_tell"),
            "30 instead of 46, better, though other trainings could undo it.",
        ),
        (change(0.3, "cannot_tell", p_adjusted=0.2), "30 instead of 46, perhaps chance."),
        (change(0.4601, "cannot_tell", p_adjusted=None), "4,601 instead of 4,600 of 10,000, "),
        (change(0.45, "difference_ruled_out"), "45 instead of 46, no more than your margin."),
        (None, "(40.6 to 50.6)."),
    ],
)
def test_what_the_weights_changed_is_told_with_how_sure_it_is(after, words):
    assert words in said(small_run([gap("false_positive_rate", 0.456)], after=after))[1]


def test_a_verdict_on_what_was_asked_first_is_not_put_in_doubt():
    document = small_run([gap("false_positive_rate", 0.456)], after=change(0.3, "cannot_tell"))
    first = document["comparisons"]["latent"]["primary"][0]
    first |= {"quantity": "worst_group_accuracy", "reading": "difference_found", "change": 0.1}
    headline, text, _ = said(document)
    assert "46, better (accuracy of the worst group: difference found)." in text
    assert headline.endswith("more often raises accuracy of the worst group")
    first |= {"quantity": "accuracy_gap", "change": -0.1}
    assert said(document)[0].endswith("lowers accuracy gap, best to worst group")
    first["change"] = 0.1  # the gap widened
    assert "better, though other trainings could undo it." in said(document)[1]


@pytest.mark.parametrize(
    ("recall", "more"),
    [
        (0.55, ", better, but of 100 “smiling” images there, 55 instead of 75 are recognised."),
        (0.85, ", better."),
    ],
)
def test_what_a_gain_cost_the_same_group_is_told_with_it(recall, more):
    beside = {**change(recall), "metric": "true_positive_rate", "before": 0.75,
              "change": recall - 0.75}  # fmt: skip
    document = small_run([gap("false_positive_rate", 0.456)], after=change(0.05))
    document["comparisons"]["latent"]["groups"].append(beside)
    assert f"5 instead of 46{more}" in said(document)[1]


@pytest.mark.parametrize(
    ("after", "words"),
    [
        (change(0.6, harm=True), "; drawing unusual faces more often makes it worse"),
        (change(0.3, "cannot_tell"), "; drawing unusual faces more often seems to help"),
        (change(0.3, "cannot_tell", p_adjusted=0.2), " more often makes no sure difference"),
        (None, "more often than light"),
    ],
)
def test_the_headline_says_what_was_done_and_whether_it_helped(after, words):
    assert said(small_run([gap("false_positive_rate", 0.456)], after=after))[0].endswith(words)


def test_a_classifier_of_any_name_has_one_in_the_headline():
    document = small_run([gap("false_positive_rate", 0.456)])["fairness"]["uniform"]
    assert headline(document | {"name": "before"}).startswith("The classifier “before” wrongly")
    assert headline(document | {"name": ""}).startswith("The classifier wrongly calls tone dark")


def test_of_several_classes_the_one_that_it_holds_for_is_named():
    document = small_run([gap("true_positive_rate[sad]", -0.24)])
    document["fairness"]["uniform"] |= {"classes": ["glad", "sad", "mad"], "positive": None}
    for row in document["fairness"]["uniform"]["by_group"]:
        row["metric"] = row["metric"].replace("true_positive_rate", "true_positive_rate[sad]")
    headline, text, _ = said(document)
    assert headline == "Plain training recognises “sad” less often in tone dark than in light"
    assert "Of 100 “sad” images of tone dark, 75 are recognised; of light, 99." in text


def test_without_a_difference_the_verdict_is_told_as_it_is():
    headline, text, _ = said(small_run([gap("accuracy", -0.01, "cannot_tell")]))
    document = fake_document()
    assert headline == "Plain training: difference found"  # the made-up verdict over all
    unsure = small_run([gap("accuracy", -0.01, "cannot_tell")])
    unsure["fairness"]["uniform"]["verdict"]["reading"] = "cannot_tell"
    assert said(unsure)[0] == "Plain training: cannot tell whether a group is served worse"
    assert document["fairness"]["uniform"]["verdict"]["sentence"] in text
    assert "Difference seen: 1.0 percentage points" in text


def test_without_groups_nothing_is_said_of_any():
    headline, text, _ = said(fake_document(arms=("uniform",), attributes=(), seeds=1))
    assert headline == "Plain training: no group is annotated"
    assert "only figures over all images" in text


def at_chance(*arms):
    document = fake_document(arms=("uniform", "latent"), seeds=5)
    document["skill"] |= {arm: skill_record(arm, 5, at_chance=5) for arm in arms}
    return document | {"opening": opening(document)}


def test_a_classifier_at_chance_is_said_first_and_gets_no_finding(quick):
    document = at_chance("uniform")
    headline, text, steps = said(document)
    assert headline == "Plain training learned nothing"
    assert "uniform learned nothing in 5 trainings." in text
    assert "no finding" in text
    assert steps[0]["command"].endswith("--set classifier.training.epochs=12")
    page = Page(quick(document, Pictures())).visible
    top = page[: page.index("Which groups?", page.index("Means over"))]
    assert headline in top
    assert [words for words in ("Harm", "Gain", "serves", "fell.") if words in top] == []
    assert page.count("are between guesses") == 2  # how different, what changed
    shown = [line for line in lines(summary(document)) if isinstance(line, str)]
    assert headline in shown[0]
    assert as_markdown(document).startswith(f"# demo: {headline}")


def test_arms_that_failed_like_plain_training_are_named_once():
    text = said(at_chance("uniform", "latent"))[1]
    assert "Nor did latent weights." in text
    assert text.count("learned nothing") == 1


def test_another_arm_at_chance_is_said_and_its_changes_are_not_told(quick):
    document = at_chance("latent")
    headline, text, _ = said(document)
    assert "learned nothing" not in headline
    assert "latent learned nothing in 5 trainings." in text
    assert "instead of" not in text
    assert "Gain under latent weights" not in Page(quick(document, Pictures())).visible


def test_a_single_seed_names_the_command_that_reuses_it():
    step, other = said(fake_document(seeds=1))[2]
    assert step["command"] == "debias run configs/demo.yaml --out runs/demo --set seeds=5"
    assert "the one that is finished is used again" in step["why"]
    assert other["command"] == "debias compare runs/demo"


def test_an_open_question_asks_for_what_it_lacks():
    document = small_run([gap("false_positive_rate", 0.456)], after=change(0.05))
    document["run"]["config"] = {"data": {"n_test": 300}}
    open_ = document["comparisons"]["latent"]["primary"][1]
    open_ |= {"reading": "difference_found", "reason": ""}
    assert [step["setting"] for step in said(document)[2]] == [""]
    open_ |= {"reading": "cannot_tell", "reason": "insufficient_evidence"}
    images = said(document)[2][0]  # vary more than trainings do
    assert images["setting"] == "data.n_test=600"
    assert images["why"].endswith("stays open, for want of test images more than of trainings.")
    open_ |= {"se_trainings": 0.02}
    assert said(document)[2][0]["setting"] == "seeds=10"


def test_a_run_that_nobody_typed_names_the_setting(quick):
    document = fake_document(seeds=1)
    document["run"]["command"] = ""
    document["opening"] = opening(document)
    assert document["opening"]["next"][0]["command"] is None
    assert "again into the same folder: seeds=5" in Page(quick(document, Pictures())).visible


@pytest.mark.parametrize(
    ("command", "result"),
    [
        ("debias run", "debias run --set seeds=5"),
        ("debias run --set seeds=3 --out 'a b'", "debias run --out 'a b' --set seeds=5"),
        ("debias run --set=seeds=3 --set seed=1", "debias run --set seed=1 --set seeds=5"),
        ("prefect deployment run a/b", "prefect deployment run a/b --param changes=seeds=5"),
        (
            "prefect deployment run a/b --param 'changes=seeds=3\nseed=1'",
            "prefect deployment run a/b --param 'changes=seed=1\nseeds=5'",
        ),
    ],
)
def test_a_setting_takes_the_place_of_an_earlier_one(command, result):
    assert changed(command, "seeds=5") == result


def test_the_terminal_and_the_summary_tell_the_same_and_promise_nothing():
    document = fake_document(seeds=1)
    document["comparisons"]["latent"] = fake_comparison()
    texts = ["\n".join(line for line in lines(summary(document)) if isinstance(line, str)),
             as_markdown(document).replace("\\", "")]  # fmt: skip
    for text in texts:
        for part in (document["opening"]["headline"], *document["opening"]["sentences"]):
            assert part in text
        assert "debias run configs/demo.yaml --out runs/demo --set seeds=5" in text
        assert FORBIDDEN.findall(text) == []


def test_a_comparison_is_headed_by_who_changed_most_in_which_class():
    document = fake_comparison() | {"groups": [change(0.6, harm=True), change(0.05)]}
    worse, better = (moved(document, better=better) for better in (False, True))
    images = "Of 100 “not smiling” images of tone dark,"
    assert worse == f"{images} 60 instead of 46 are called “smiling”"
    assert better == f"{images} 5 instead of 46 are called “smiling”"
    assert worst_seen(document) == (
        "Largest loss seen: of 100 “not smiling” images of tone dark, 60 instead of 46 are called "
        "“smiling” (+9.0 to +19.0 points)."
    )
    assert worst_seen(document | {"groups": [change(0.05)]}) == ""
    assert moved(document | {"groups": []}, better=True) == "Somebody is served better than before"


def test_weights_that_show_a_small_group_less_often_are_a_harm_of_the_first_screen():
    document = small_run([gap("accuracy", -0.34)])
    document["weights"]["latent"]["lowered"] = [
        {"group": "tone:dark", "before": 0.072, "after": 0.046}
    ]
    told = "Harm: latent weights draw less often: tone: dark (7.2% to 4.6%)."
    assert told in opening(document)["sentences"]


def test_weights_that_rest_on_a_model_that_draws_one_face_are_doubted_everywhere(quick):
    document = fake_document(arms=("uniform", "latent"))
    document["weights"]["latent"]["uses_latents"] = True
    document["fidelity"] = {
        "verdict": "tells_apart", "sentence": "It does.", "action": None, "advised": 36,
    }  # fmt: skip
    assert "nearly the same face" not in said(document)[1]
    document["fidelity"] |= {"verdict": "blurred", "sentence": "It keeps 7%.", "action": "Longer."}
    told = "The model draws nearly the same face for every image: latent weights cannot be relied"
    document["opening"] = opening(document)
    _, text, steps = said(document)
    assert told in text
    assert steps[0]["command"].endswith("--set representation.training.epochs=36")
    assert told in "\n".join(line for line in lines(summary(document)) if isinstance(line, str))
    page = Page(quick(document, Pictures())).visible
    assert page.index(told) < page.index("It keeps 7%.") < page.index("What to do: Longer.")
    del document["fidelity"]["advised"]  # found without a loop: nothing can be trained for longer
    document["run"]["config"] = {"representation": {"model": {"name": "pca", "latent_dim": 4}}}
    step = opening(document)["next"][0]
    assert step["setting"] == "representation.model.latent_dim=8"
    assert step["why"].startswith("Let the model keep more dimensions")
    document["weights"]["latent"]["uses_latents"] = False
    assert "nearly the same face" not in said(document)[1]

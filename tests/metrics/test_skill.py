"""Whether a classifier that learned nothing is told from one that did."""

import numpy as np
import pandas as pd
import pytest
from documents import misfits
from fake_predictions import predictions_of

from debias.metrics import outcomes_of_trainings, skill_of
from debias.metrics.documents import SkillDocument


def skill(y_true, *scores, name="Plain training"):
    trainings = [
        predictions_of(y_true, score >= 0.5, score=score, seed=seed)
        for seed, score in enumerate(scores)
    ]
    nobody = pd.DataFrame(index=pd.Index(trainings[0].sample_ids, name="sample_id"))
    return skill_of(outcomes_of_trainings(trainings, nobody, ("no", "yes")), name)


def guesses(n, seed):
    return np.random.default_rng(seed).random(n)


def knows(y_true, seed, strength=0.6):
    return (1 - strength) * guesses(len(y_true), seed) + strength * y_true


EVEN = np.arange(2000) % 2
RARE = (np.arange(2000) % 20 == 0).astype(np.int64)


def test_guesses_on_even_classes_are_told_with_their_figures():
    found = skill(EVEN, *(guesses(2000, seed) for seed in range(3)))
    assert (found["at_chance"], found["trainings"], found["learned"]) == (3, 3, False)
    assert found["low"] < 0.5 < found["high"]
    assert found["auroc_low"] < 0.5 < found["auroc_high"]
    said = found["sentence"]
    assert said.startswith("Plain training learned nothing")
    assert "3 of 3 trainings" in said
    assert "always answering “no” would be right in 50.0%" in said


@pytest.mark.parametrize("y_true", [EVEN, RARE], ids=["even", "rare"])
def test_a_classifier_that_learned_is_left_alone(y_true):
    found = skill(y_true, knows(y_true, 0), knows(y_true, 1))
    assert found["learned"]
    assert found["at_chance"] == 0
    assert found["sentence"] == ""


def test_always_the_common_class_is_no_better_than_guessing_though_right_in_most():
    found = skill(RARE, 0.2 * knows(RARE, 0))
    assert found["accuracy"] == found["guessed"] == 0.95
    assert found["auroc"] > 0.9
    assert not found["learned"]


def test_a_rare_class_that_is_found_at_some_cost_counts_as_learned():
    found = skill(RARE, np.where(guesses(2000, 0) < 0.15, 0.9, knows(RARE, 1)))
    assert found["accuracy"] < found["guessed"]
    assert found["learned"]


def test_one_failed_training_of_three_is_said_and_does_not_condemn_the_others():
    found = skill(EVEN, knows(EVEN, 0), knows(EVEN, 1), guesses(2000, 2), name="Latent weights")
    assert found["learned"]
    assert found["sentence"] == (
        "Latent weights: in 1 of 3 trainings no better than guessing; every mean holds these, too."
    )


def test_at_most_one_guesser_in_twenty_passes_for_better():
    passed = sum(skill(EVEN[:300], guesses(300, seed))["learned"] for seed in range(200))
    assert passed <= 10  # both intervals must lie above 0.5, one tail of 2.5% each


def test_images_of_one_class_tell_nothing():
    assert skill(np.zeros(100, np.int64), guesses(100, 0)) is None


def test_the_document_has_the_fields_that_it_declares():
    found = skill(EVEN, knows(EVEN, 0))
    assert misfits(found, SkillDocument) == []
    assert None not in found.values()

"""No model scores what it has seen, and the scores are those of scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold, cross_val_predict

from debias.statistics.crossfit import cross_fitted, left_out_log_odds


def two_sets(first=60, second=40):
    generator = np.random.default_rng(0)
    codes = np.repeat([0, 1], [first, second])
    return generator.normal(size=(len(codes), 3)) + codes[:, None], codes


@pytest.mark.parametrize("method", ["decision_function", "predict_log_proba"])
def test_scores_are_those_of_a_model_of_the_other_folds(method):
    x, codes = two_sets()
    found = cross_fitted(LogisticRegression(), x, codes, folds=4, seed=3, method=method)
    parts = StratifiedKFold(4, shuffle=True, random_state=3)
    oracle = cross_val_predict(LogisticRegression(), x, codes, cv=parts, method=method)
    np.testing.assert_array_equal(found.held_out, oracle)
    assert len(found.models) == 4


def test_a_class_of_few_samples_has_fewer_folds():
    x, codes = two_sets(60, 3)
    assert len(cross_fitted(LogisticRegression(), x, codes, folds=5, seed=0).models) == 3


def test_the_loss_is_the_same_from_odds_and_from_probabilities():
    x, codes = two_sets()
    odds, probabilities = (
        cross_fitted(LogisticRegression(), x, codes, folds=4, seed=3, method=method).loss(codes)
        for method in ("decision_function", "predict_log_proba")
    )
    assert odds == pytest.approx(probabilities)


def test_what_predicts_best_is_chosen_and_averaged_over_repetitions():
    x, codes = two_sets()
    drawn = []

    def useful(strength, generator):
        drawn.append(float(generator.random()))
        return LogisticRegression(C=strength)

    def useless(strength, _):
        return LogisticRegression(C=1e-12)

    options = {"folds": 4, "repeats": 2, "seed": 5}
    both = left_out_log_odds(x, codes > 0, [useless, useful], [0.1], **options)
    alone = left_out_log_odds(x, codes > 0, [useful], [0.1], **options)
    np.testing.assert_array_equal(both, alone)
    assert len(set(drawn)) == 2  # one stream a repetition
    assert both[codes == 1].mean() > both[codes == 0].mean() + 1

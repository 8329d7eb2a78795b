"""Membership from a few annotated samples: against known truth, and at its edges."""

import numpy as np
import pytest

from debias.errors import DataError, WeightError
from debias.weighting.membership import calibrated_membership, cross_fitted_membership

SHARES = np.array([0.85, 0.1, 0.05])


def clouds(size=6000, annotated=60, distance=2.5, width=6, seed=0):
    """Groups g0, g1, g2 of very different size, equally many of each annotated."""
    generator = np.random.default_rng(seed)
    code = generator.choice(3, size, p=SHARES)
    centres = distance * np.eye(3, width)
    z = (generator.normal(size=(size, width)) + centres[code]).astype(np.float32)
    groups = np.full(size, "", dtype="<U2")
    for number in range(3):
        groups[generator.choice(np.flatnonzero(code == number), annotated, replace=False)] = (
            f"g{number}"
        )
    return z, groups, code


def test_probabilities_are_near_the_truth_although_the_annotated_sample_is_even():
    z, groups, code = clouds()
    member = cross_fitted_membership(z, groups)
    assert member.shape == (6000, 3)
    np.testing.assert_allclose(member.sum(axis=1), 1)
    # Bayes' rule with the true centres, variances and shares is the oracle.
    log_odds = 2.5 * z[:, :3].astype(float) + np.log(SHARES)
    truth = np.exp(log_odds - np.logaddexp.reduce(log_odds, axis=1, keepdims=True))
    unknown = groups == ""
    assert np.abs(member - truth)[unknown].mean() < 0.03
    np.testing.assert_allclose(member[unknown].mean(axis=0), SHARES, atol=0.03)
    right = (member.argmax(axis=1) == code)[unknown].mean()
    assert right > 0.93


def test_uneven_annotation_gives_the_same_answer_as_even_annotation():
    z, groups, _ = clouds()
    fewer = groups.copy()
    fewer[np.flatnonzero(groups == "g2")[20:]] = ""
    unknown = (groups == "") & (fewer == "")
    even, uneven = cross_fitted_membership(z, groups), cross_fitted_membership(z, fewer)
    assert np.abs(even - uneven)[unknown].mean() < 0.03


def test_an_annotated_sample_is_scored_by_models_that_did_not_see_it():
    z, groups, _ = clouds(size=400, annotated=15, distance=0, width=200)
    known = np.flatnonzero(groups != "")
    own = np.unique(groups[known], return_inverse=True)[1]
    # Nothing separates the groups and 200 dimensions fit 45 samples perfectly: a model that had
    # seen them would give each its own group.
    assert (cross_fitted_membership(z, groups)[known].argmax(axis=1) == own).mean() < 0.6


def test_latents_that_say_nothing_leave_everybody_alike():
    z, groups, _ = clouds(distance=0)
    member = cross_fitted_membership(z, groups)
    assert member.std(axis=0).max() < 0.1


def test_the_same_seed_gives_the_same_numbers_and_the_scale_does_not_matter():
    z, groups, _ = clouds(size=1500, annotated=20)
    first = cross_fitted_membership(z, groups, seed=3)
    np.testing.assert_array_equal(first, cross_fitted_membership(z, groups, seed=3))
    scaled = z.astype(np.float64) * 1e9 + 1e9
    np.testing.assert_allclose(cross_fitted_membership(scaled, groups, seed=3), first, atol=1e-3)


def test_complete_annotation_and_two_groups_and_constant_columns():
    z, _, code = clouds(size=600, annotated=1)
    z[:, 4] = 7
    groups = np.where(code == 0, "a", "b")
    member = cross_fitted_membership(z, groups)
    assert ((member[:, 1] > 0.5) == (groups == "b")).mean() > 0.9


def test_scores_of_another_model_are_calibrated():
    generator = np.random.default_rng(0)
    code = generator.integers(0, 2, 4000)
    logit = 2 * (2 * code - 1) + 2 * generator.normal(size=4000)  # log odds of 1: logit
    groups = np.where(np.arange(4000) < 2000, np.where(code == 1, "b", "a"), "")
    overconfident = 10 * np.stack([-logit / 2, logit / 2], axis=1)
    member = calibrated_membership(overconfident, groups)
    np.testing.assert_allclose(member[:, 1], 1 / (1 + np.exp(-logit)), atol=0.05)


@pytest.mark.parametrize(
    ("groups", "error", "message"),
    [
        (["a", "b", ""], DataError, "must agree"),
        (["a", "a", "", ""], WeightError, "belong to 1 group"),
        (["", "", "", ""], WeightError, "belong to 0 group"),
        (["a", "a", "b", ""], WeightError, "group 'b' has a single annotated sample"),
    ],
)
def test_what_cannot_be_learned_from_is_refused(groups, error, message):
    with pytest.raises(error, match=message):
        cross_fitted_membership(np.eye(4), np.array(groups))


def test_a_label_that_goes_with_the_group_is_used():
    """Shares differ between classes: a rare combination is found only if classes are apart."""
    generator = np.random.default_rng(0)
    size = 3000
    labels = generator.integers(0, 2, size)
    member = np.where(generator.random(size) < 0.05, 1 - labels, labels)  # tied to 95 %
    z = generator.normal(size=(size, 8)) + 1.5 * member[:, None] * (np.arange(8) < 1)
    groups = np.full(size, "", dtype="<U1")
    for label in (0, 1):
        for value in (0, 1):
            rows = np.flatnonzero((labels == label) & (member == value))[:20]
            groups[rows] = "ab"[value]
    apart = cross_fitted_membership(z, groups, labels)
    together = cross_fitted_membership(z, groups)
    unknown = groups == ""

    def error(found) -> float:
        return float(np.mean(np.abs(found[unknown, 1] - member[unknown])))

    assert error(apart) < 0.8 * error(together)
    shares = [apart[labels == label, 1].mean() for label in (0, 1)]
    assert shares[0] < 0.2 < 0.8 < shares[1]


def test_a_group_without_annotation_in_a_class_has_no_share_there():
    generator = np.random.default_rng(0)
    z = generator.normal(size=(200, 3))
    labels = (np.arange(200) % 2).astype(np.int64)
    groups = np.full(200, "", dtype="<U1")
    groups[:40] = np.where(labels[:40] == 0, "a", np.where(np.arange(40) % 4 == 1, "b", "c"))
    found = cross_fitted_membership(z, groups, labels)
    np.testing.assert_allclose(found[labels == 0], [[1, 0, 0]] * 100)
    assert (found[labels == 1, 0] == 0).all()

"""Shares of groups that were learned elsewhere: by hand, against known truth, and in doubt."""

import numpy as np
import pytest

from debias import latent_weights
from debias.errors import DataError
from debias.weighting.label_shift import black_box_shares, estimated, scores_of_latents

CENTRES = 2.5 * np.eye(3, 5)
SHARES = np.array([0.8, 0.15, 0.05])


def clouds(size, shares, seed, move=0.0, width=5):
    """Latents of groups 0, 1, 2 around three places, and who is of which."""
    generator = np.random.default_rng(seed)
    codes = generator.choice(3, size, p=shares)
    return generator.normal(size=(size, width)) + CENTRES[codes, :width] + move, codes


def shares_of(own, there, codes, seed=0):
    scores = scores_of_latents(own, there, codes, seed=seed)
    return estimated(scores, np.random.default_rng(seed))


def test_the_check_by_hand():
    """A tenth of group 0 is taken for 1, a fifth of group 1 for 0; 66 of 100 look like 0."""
    confusion = np.array([[0.9, 0.2], [0.1, 0.8]])
    even = np.repeat([[1.0, 0.0], [0.0, 1.0]], [66, 34], axis=0)
    # 0.9 s + 0.2 (1 - s) = 0.66
    np.testing.assert_allclose(black_box_shares(confusion, even), [46 / 70, 24 / 70])


def test_shares_are_found_where_everybody_is_annotated_evenly_elsewhere():
    there, codes = clouds(900, [1 / 3] * 3, 0)
    own, truth = clouds(4000, SHARES, 1)
    true = np.bincount(truth) / len(truth)
    found = shares_of(own, there, codes)
    np.testing.assert_allclose(found.share, true, atol=0.02)
    np.testing.assert_allclose(found.check, true, atol=0.03)
    assert ((found.low <= true) & (true <= found.high)).all()
    assert (found.high - found.low < 0.08).all()
    assert found.doubts == ()


def test_limits_hold_the_truth_about_as_often_as_they_say():
    held = []
    for seed in range(12):
        there, codes = clouds(400, [0.4, 0.3, 0.3], seed)
        own, truth = clouds(500, SHARES, 100 + seed)
        found, true = shares_of(own, there, codes, seed), np.bincount(truth, minlength=3) / 500
        held.extend((found.low <= true) & (true <= found.high))
    assert np.mean(held) >= 0.85


def test_a_collection_that_looks_quite_different_is_doubted():
    there, codes = clouds(900, [1 / 3] * 3, 0)
    own, _ = clouds(2000, SHARES, 1, move=np.array([-6.0, 8.0, 8.0, 0, 0]))
    doubts = shares_of(own, there, codes).doubts
    assert doubts
    assert any("score as hardly any image" in text for text in doubts)


def test_weights_follow_groups_that_nobody_annotated_here():
    there, codes = clouds(900, [1 / 3] * 3, 0)
    own, truth = clouds(3000, SHARES, 1)
    names = np.array(["a", "b", "c"])[codes]
    weights = latent_weights(own, target="elsewhere", elsewhere=(there, names), ess=0.2)
    drawn = np.bincount(truth, weights.probability)
    np.testing.assert_allclose(drawn, 1 / 3, atol=0.1)
    figures = weights.origin["elsewhere"]
    assert list(figures["shares"]) == ["a", "b", "c"]
    assert figures["images"] == 900
    with pytest.warns(UserWarning, match="nothing can be said of the groups here"):
        latent_weights(own + 9, target="elsewhere", elsewhere=(there, names), ess=0.2)


@pytest.mark.parametrize(
    ("groups", "said"),
    [
        (["a"] * 60, "at least 2 groups of 10 samples"),
        (["a"] * 55 + ["b"] * 5, "'b': 5"),
        (["a"] * 30, "groups elsewhere"),
    ],
)
def test_what_cannot_be_learned_elsewhere_is_refused(groups, said):
    there, _ = clouds(60, [1 / 3] * 3, 0)
    with pytest.raises(DataError, match=said):
        latent_weights(there, target="elsewhere", elsewhere=(there, groups))


def test_another_encoder_is_refused():
    there, codes = clouds(60, [1 / 3] * 3, 0)
    with pytest.raises(DataError, match="same encoder"):
        latent_weights(there[:, :4], target="elsewhere", elsewhere=(there, codes))

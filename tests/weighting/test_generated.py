"""Where images are generated: by hand, and what every plan obeys."""

import numpy as np
import pytest
from test_weighting import random_table, table

from debias.errors import WeightError
from debias.weighting import Generated, LatentRarity
from debias.weighting.generated import nearest, plan
from debias.weighting.weights import SamplingWeights


def test_an_image_counts_as_itself_and_as_a_first_parent():
    # Rarities 1 to 3: parents with chances 1/8, 1/8, 3/8, 3/8; half of 8 images are generated.
    score = np.log([1.0, 1, 3, 3])
    rule = Generated(share=0.5, ess="published", allow_degenerate=True)
    found = rule.weights(table(score))
    chance = np.array([1, 1, 3, 3]) / 8
    np.testing.assert_allclose(found.probability, 1 / 8 + chance / 2)
    np.testing.assert_allclose(rule.parents(found), chance)
    assert found.origin["rule"] == "generated"
    assert found.origin["generated"] == {"images": 4, "share": 0.5, "neighbours": 5}


def test_parents_are_those_whom_rarity_would_draw_more_often():
    given = random_table()
    rule = Generated()
    expected = LatentRarity().weights(given).probability
    np.testing.assert_allclose(rule.parents(rule.weights(given)), expected, rtol=1e-9)


def test_an_image_alone_in_its_class_has_no_neighbour():
    with pytest.raises(WeightError, match="class 1 has a single training image"):
        Generated().weights(table(np.zeros(4), [0, 0, 0, 1]))


def test_a_share_that_is_no_image_is_refused():
    rule, even = Generated(share=0.05), SamplingWeights(
        sample_ids=np.array(["a", "b"]), probability=np.full(2, 0.5)
    )  # fmt: skip
    with pytest.raises(WeightError, match=r"share of 0\.05 beside 2 real images is no generated"):
        rule.parents(even)


def test_the_nearest_by_hand():
    line = np.array([[0.0], [1], [3], [10], [10]])
    found = nearest(line, np.array([0, 2, 3]), 2)
    assert found.tolist() == [[1, 2], [1, 0], [4, 2]]
    assert nearest(line, np.array([0]), 99).tolist() == [[1, 2, 3, 4]]


def test_copies_of_an_image_do_not_make_it_its_own_neighbour():
    found = nearest(np.zeros((20, 3)), np.arange(20), 4)
    assert found.shape == (20, 4)
    assert not (found == np.arange(20)[:, None]).any()


def test_a_plan_stays_between_near_images_of_one_class():
    given, rule = random_table(), Generated(share=0.4, neighbours=3)
    mean = np.random.default_rng(1).normal(size=(2000, 4)).astype(np.float32)
    weights = rule.weights(given)
    found = plan(rule, weights, mean, given.labels, np.random.default_rng(2))
    assert len(found.first) == rule.images(2000) == 1333
    assert (given.labels[found.first] == given.labels[found.second]).all()
    assert (found.first != found.second).all()
    for first, second in list(zip(found.first, found.second, strict=True))[:50]:
        same = given.labels == given.labels[first]
        distance = np.linalg.norm(mean - mean[first], axis=1)
        assert (distance[same] < distance[second]).sum() <= 3  # itself, and two others
    assert found.position.min() >= 0
    assert found.position.max() < 1
    assert found.position.mean() == pytest.approx(0.5, abs=0.03)
    way = found.places(mean) - mean[found.first]
    whole = mean[found.second] - mean[found.first]
    np.testing.assert_allclose(way, found.position[:, None] * whole, atol=1e-6)
    expected = rule.parents(weights) @ given.score
    assert given.score[found.first].mean() == pytest.approx(expected, rel=0.05)
    share = given.labels[found.first].mean()
    assert share == pytest.approx(given.labels.mean(), abs=0.04)


def test_a_plan_comes_back_from_its_seed():
    given, rule = random_table(200), Generated(allow_degenerate=True)
    mean, weights = np.random.default_rng(1).normal(size=(200, 4)), rule.weights(given)
    one, two, other = (
        plan(rule, weights, mean, given.labels, np.random.default_rng(seed)) for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one.second, two.second)
    np.testing.assert_array_equal(one.position, two.position)
    assert not np.array_equal(one.first, other.first)

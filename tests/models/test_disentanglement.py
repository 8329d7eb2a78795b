"""Scores of disentanglement on worlds in which the latents are known functions of the factors."""

import math

import numpy as np
import pandas as pd
import pytest

from debias.models.quality import disentanglement as d

NAMES = ("a", "b", "c")


def sample(n, generator):
    return pd.DataFrame(generator.uniform(0, 1, (n, 3)), columns=list(NAMES))


def world(encode):
    return d.World(NAMES, sample, lambda frame: encode(frame.to_numpy()))


def scored(encode):
    return d.all_scores(world(encode), np.random.default_rng(0), samples=800, votes=120)


def noise(z):
    return np.random.default_rng(len(z)).normal(size=(len(z), 3))


def test_one_dimension_a_factor_scores_highest_whatever_its_order_and_scale():
    found = scored(lambda v: np.exp(3 * v[:, ::-1]) * [1, 100, 5])
    for name in ("mig", "disentanglement", "completeness", "informativeness"):
        assert found[name] > 0.97, name
    assert found["beta_vae"] == found["factor_vae"] == 1
    assert found["sap"] == pytest.approx(0.85, abs=0.1)  # R^2 of exp(3 v) and v


def test_latents_without_any_factor_score_as_chance_does():
    found = scored(noise)
    assert found["mig"] < 0.03 > found["sap"]
    assert found["informativeness"] < 0.05 > found["disentanglement"] - 0.1
    assert found["beta_vae"] < 0.6 > found["factor_vae"]


def test_a_factor_in_two_dimensions_leaves_no_gap_but_stays_informative():
    found = scored(lambda v: np.hstack([v, v]))
    assert found["mig"] == pytest.approx(0, abs=1e-9)
    assert found["sap"] == pytest.approx(0, abs=1e-9)
    assert found["disentanglement"] > 0.95  # each dimension still serves one factor
    assert found["completeness"] < 0.75  # log 2 / log 6 of the entropy is there
    assert found["informativeness"] > 0.97


def test_a_rotation_by_45_degrees_hides_both_factors_of_its_plane():
    turned = np.array([[1.0, 1, 0], [1, -1, 0], [0, 0, 1]])
    found, straight = scored(lambda v: v @ turned), scored(lambda v: v)
    assert found["mig"] < straight["mig"] - 0.5
    assert found["sap"] == pytest.approx(1 / 3, abs=0.05)  # only c stands alone


def test_gap_and_information_by_hand():
    # Two binary factors, four equally frequent combinations; z1 is v1, z2 is v1 xor v2, z3 is v2.
    v1, v2 = np.array([0, 0, 1, 1] * 50), np.array([0, 1, 0, 1] * 50)
    factors = np.stack([v1, v2], axis=1).astype(float)
    latent = np.stack([v1, v1 ^ v2], axis=1).astype(float)
    # v1: I = log 2 with z1, 0 with z2, H = log 2: gap 1. v2: 0 with each alone: gap 0.
    assert d.mutual_information_gap(latent, factors) == pytest.approx(0.5)
    assert d.separated_predictability(latent, factors) == pytest.approx(0.5)
    assert d._gap(np.array([[0.5, 0.2], [0.4, 0.9]])) == pytest.approx([0.1, 0.7])
    assert d._gap(np.array([[0.5]])) == pytest.approx([0.5])  # one dimension: the second is 0


def test_entropy_of_importances_by_hand():
    rows = np.array([[1.0, 0, 0, 0], [1, 1, 0, 0], [2, 2, 2, 2], [0, 0, 0, 0]])
    assert d._entropy(rows) == pytest.approx([0, math.log(2) / math.log(4), 1, 1])


def test_votes_by_hand():
    # First half teaches: dimension 0 is still for factor 1, dimension 1 for factor 0.
    variances = np.array([[0.1, 1], [1, 0.1], [0.2, 1], [0.3, 1], [1, 0.1], [0.1, 1]])
    assert d.factor_vae_score(variances, np.array([1, 0, 1, 1, 0, 0])) == pytest.approx(2 / 3)
    differences = np.array([[0.0, 1], [1, 0]] * 20)
    assert d.beta_vae_score(differences, np.array([0, 1] * 20)) == 1


def test_values_are_sorted_into_tenths_and_equal_ones_stay_together():
    assert np.bincount(d._sorted_into_parts(np.arange(100.0))).tolist() == [10] * 10
    binary = d._sorted_into_parts(np.array([0.0] * 30 + [1.0] * 70))
    assert len(set(binary[:30])) == len(set(binary[30:])) == 1 < len(set(binary))


def test_collapsed_latents_and_constant_factors_have_no_scores():
    assert all(math.isnan(value) for value in scored(lambda v: np.ones((len(v), 2))).values())
    constant = d.World(
        NAMES, lambda n, g: sample(n, g).assign(b=1.0), lambda frame: frame.to_numpy(float)
    )
    assert all(map(math.isnan, d.all_scores(constant, np.random.default_rng(0)).values()))
    alone = np.zeros(4, dtype=np.int64)  # one factor: nothing to tell apart
    assert math.isnan(d.beta_vae_score(np.eye(4), alone))
    assert math.isnan(d.factor_vae_score(np.eye(4), alone))

"""Chains, annealing and gradients, against a model whose posterior is known in closed form."""

import math

import numpy as np
import pytest
import torch
from linear_gaussian import SIGMA, LinearGaussian, batch

from debias.models.quality.gradients import gradients
from debias.models.quality.posterior import (
    Chains,
    annealed,
    effective_size,
    gaps,
    metropolis,
    split_r_hat,
    starts,
)


def generator(seed=3):
    return torch.Generator().manual_seed(seed)


def walked(network, data, *, chains=8, wide=0.0, **steps):
    return metropolis(
        network, data, starts(network, data, chains, generator(), wide=wide), generator(4), **steps
    )


@pytest.mark.parametrize("wide", [0.0, 2.0])
def test_chains_have_the_moments_of_the_posterior_wherever_they_start(wide):
    truth, data = LinearGaussian().eval(), batch(2)
    mean, log_var = truth.encode(data.image)
    # The encoder that sets out is wrong; the chains are not.
    chains = walked(LinearGaussian(off=0.3, wide=1.5).eval(), data, wide=wide, draws=1500)
    assert chains.mixed.all()
    assert ((chains.acceptance > 0.15) & (chains.acceptance < 0.35)).all()
    size = chains.effective_size
    assert (size > 300).all()
    pooled = chains.draws.transpose(2, 0, 1, 3).reshape(2, -1, 3)
    spread = (log_var / 2).exp().numpy()
    error = spread / np.sqrt(size)[:, None]
    assert (np.abs(pooled.mean(axis=1) - mean.numpy()) < 4 * error).all()
    for image, one in enumerate(pooled):  # columns of W are orthogonal: so is the covariance
        off = np.cov(one.T) / np.outer(spread[image], spread[image]) - np.eye(3)
        assert np.abs(off).max() < 5 * math.sqrt(2 / size[image])


def test_chains_that_have_not_mixed_are_said_to_have_not():
    network, data = LinearGaussian().eval(), batch(2)
    chains = walked(network, data, wide=30.0, draws=40, warm_up=0)
    assert not chains.mixed.any()
    assert (chains.r_hat > 1.5).all()
    assert (chains.effective_size < 40).all()
    stuck = Chains(np.zeros((10, 2, 1, 1)), np.zeros(1))
    assert np.isnan(stuck.r_hat).all()
    assert not stuck.mixed.any()


def test_r_hat_by_hand_and_effective_size_of_a_known_process():
    # Half chains 0, 2 and 2, 4: means 1 and 3, variance 2 in each, 2 between the means.
    assert split_r_hat(np.array([[0.0], [2.0], [2.0], [4.0]])) == pytest.approx(math.sqrt(1.5))
    random, rho = np.random.default_rng(0), 0.8
    draws = random.standard_normal((4000, 4))
    for row in range(1, len(draws)):
        draws[row] = rho * draws[row - 1] + math.sqrt(1 - rho**2) * draws[row]
    expected = draws.size * (1 - rho) / (1 + rho)
    assert effective_size(draws) == pytest.approx(expected, rel=0.15)
    independent = random.standard_normal((2000, 4))
    assert effective_size(independent) == pytest.approx(independent.size, rel=0.15)
    assert split_r_hat(independent) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("start", ["encoder", "prior"])
def test_annealing_reaches_the_marginal_likelihood(start):
    network, data = LinearGaussian(off=0.3, wide=1.5).eval(), batch(3)
    found = annealed(network, data, generator(), chains=500, temperatures=1200, start=start)
    assert found.bound == pytest.approx(network.log_evidence(data.image), abs=0.1)
    assert (found.error < 0.1).all()


def test_all_that_a_displaced_encoder_loses_is_amortisation():
    network, data = LinearGaussian(off=0.3, wide=1.5).eval(), batch(3)
    precision = network.w.square().sum(0) / SIGMA**2 + 1
    # KL of N(m + off, wide^2 / precision) to N(m, 1 / precision), summed over dimensions.
    terms = 0.5 * (1.5**2 + 0.3**2 * precision - 1 - math.log(1.5**2))
    found = gaps(network, data, generator(), steps=300)
    assert found.inference == pytest.approx(float(terms.sum()), abs=0.35)
    assert found.amortisation == pytest.approx(found.inference, abs=0.2)
    exact = gaps(LinearGaussian().eval(), data, generator(), steps=100)
    assert np.abs(exact.inference).max() < 0.35  # of 200 draws
    assert np.abs(exact.amortisation).max() < 0.1  # of the same for both


def test_every_estimator_of_the_gradient_is_unbiased_and_the_score_is_the_noisiest():
    network, data = LinearGaussian(off=0.3, wide=1.2).eval(), batch(2)
    mean, log_var = network.encode(data.image)
    residual = data.image.flatten(1) - network.b - mean @ network.w.T
    by_mean = residual @ network.w / SIGMA**2
    by_log_var = -0.5 * network.w.square().sum(0) / SIGMA**2 * log_var.exp()
    expected = torch.cat([by_mean, by_log_var], dim=1).numpy()
    samples = 20_000
    found = gradients(network, [data], generator(), samples)
    for estimate in found.values():
        error = np.sqrt(estimate.variance / samples)[:, None]
        assert (np.abs(estimate.mean - expected) < 4 * error).all()
    score, baseline, path = (found[name].variance for name in found)
    assert list(found) == ["score", "score_with_baseline", "reparameterised"]
    assert (path < baseline).all()
    assert (baseline < score).all()


def test_what_has_no_spread_or_no_draws_is_refused():
    network, data = LinearGaussian().eval(), batch(2)
    with pytest.raises(ValueError, match="at least 2 samples, got 1"):
        gradients(network, [data], generator(), 1)
    points = LinearGaussian().eval()
    points.encode = lambda images: (torch.zeros(len(images), 3), None)
    with pytest.raises(ValueError, match="posterior with a spread; these are points"):
        gradients(points, [data], generator())
    with pytest.raises(ValueError, match="an encoder with a posterior is needed"):
        annealed(points, data, generator())

"""Bounds on log p(x), against torch.distributions and a model whose log p(x) is known."""

import math

import numpy as np
import pytest
import torch
from linear_gaussian import LinearGaussian, batch
from torch.distributions import Normal, kl_divergence

from debias.models import ConvVAE
from debias.models.quality import bounds
from debias.models.quality.bounds import (
    bits_per_dimension,
    evidence,
    importance_weighted,
    nats_by_dimension,
)
from debias.types import Latents


def generator():
    return torch.Generator().manual_seed(2)


def test_with_the_true_posterior_every_bound_is_the_marginal_likelihood():
    network, data = LinearGaussian().eval(), batch()
    truth = network.log_evidence(data.image)
    weighted = importance_weighted(network, [data], generator(), samples=7)
    assert weighted.bound == pytest.approx(truth, abs=1e-3)
    assert weighted.error == pytest.approx(0, abs=1e-3)  # every weight is p(x)
    assert evidence(network, [data], generator(), samples=4000).bound == pytest.approx(
        truth, abs=0.2
    )


def test_with_a_wrong_posterior_5000_samples_reach_the_truth_and_the_plain_bound_lies_below():
    network, data = LinearGaussian(off=0.1, wide=1.5).eval(), batch()
    truth = network.log_evidence(data.image)
    plain = evidence(network, [data], generator(), samples=2000).bound
    one, few, many = (
        importance_weighted(network, [data], generator(), samples=s).bound.mean()
        for s in (1, 10, 5000)
    )
    found = importance_weighted(network, [data], generator(), samples=5000)
    assert np.abs(found.bound - truth).max() < 0.05
    assert (plain < truth - 0.3).all()
    assert plain.mean() - 2 < one < few < many + 0.1
    assert (np.abs(found.bound - truth) < 4 * found.error).all()
    assert 0 < found.error.max() < 0.03


def test_the_standard_error_is_the_spread_of_repeated_estimates():
    network, data = LinearGaussian(off=0.1, wide=1.5).eval(), batch(1)
    source = generator()
    found = [importance_weighted(network, [data], source, samples=200) for _ in range(300)]
    spread = np.std([one.bound[0] for one in found])
    assert np.mean([one.error[0] for one in found]) == pytest.approx(spread, rel=0.2)
    assert np.isnan(importance_weighted(network, [data], source, samples=1).error).all()


def test_both_parts_agree_with_torch_distributions():
    network = ConvVAE(latent_dim=3, width=2, hidden=8, likelihood="gaussian_fixed").build(16).eval()
    data = batch(4, (3, 16, 16))
    found = evidence(network, [data], generator(), samples=3)
    with torch.no_grad():
        mean, log_var = network.encode(data.image)
        posterior = Normal(mean, (0.5 * log_var).exp())
        kl = kl_divergence(posterior, Normal(torch.zeros(3), torch.ones(3))).sum(1)
        noise = torch.randn(3, *mean.shape, generator=generator())
        drawn = [network.decode(posterior.mean + posterior.stddev * one) for one in noise]
        each = [-Normal(one, 0.1).log_prob(data.image).flatten(1).sum(1) for one in drawn]
    assert found.kl == pytest.approx(kl.numpy(), rel=1e-5)
    assert found.reconstruction == pytest.approx(torch.stack(each).mean(0).numpy(), rel=1e-5)
    assert found.bound == pytest.approx(-(found.reconstruction + found.kl))


def test_how_many_images_are_decoded_at_once_changes_nothing_but_the_draws(monkeypatch):
    network, data = LinearGaussian().eval(), batch()
    whole = importance_weighted(network, [data], generator(), samples=9).bound
    monkeypatch.setattr(bounds, "AT_ONCE", 13)  # two samples of six images, four times, then one
    assert importance_weighted(network, [data], generator(), samples=9).bound == pytest.approx(
        whole, abs=1e-3
    )
    assert bounds._pieces(9, 6) == [2, 2, 2, 2, 1]
    with pytest.raises(ValueError, match="at least 1 sample, got 0"):
        importance_weighted(network, [data], generator(), samples=0)


def test_bits_per_dimension_by_hand():
    assert bits_per_dimension(100 * math.log(2), 100, continuous=False) == pytest.approx(1)
    assert bits_per_dimension(0.0, 100, continuous=True) == 8  # an even density over [0, 1]


def test_a_network_without_a_spread_has_no_bound():
    network = LinearGaussian().eval()
    network.encode = lambda images: (images.flatten(1)[:, :3], None)
    with pytest.raises(ValueError, match="encodes points"):
        evidence(network, [batch()], generator())


def test_nats_by_dimension_add_up_to_the_mean_kl():
    rng = np.random.default_rng(5)
    mean, log_var = rng.normal(size=(2, 30, 4)).astype(np.float32)
    latents = Latents(sample_ids=np.arange(30).astype(str), mean=mean, log_var=log_var)
    prior = Normal(0.0, 1.0)
    posterior = Normal(torch.from_numpy(mean), torch.from_numpy(log_var).mul(0.5).exp())
    expected = kl_divergence(posterior, prior).mean(0).numpy()
    assert nats_by_dimension(latents) == pytest.approx(expected, rel=1e-5)
    points = Latents(sample_ids=latents.sample_ids, mean=mean)
    assert nats_by_dimension(points) is None
